#include "cli/cli.h"
#include "cli/sign.h"

/* tdsa key partial-sign, tdsa key combine */

#define PARTIAL_FILE_MAX (256u * 1024u) /* a message of 64 KiB is in it, in base64 */

tdsa_status cli_do_key_partial_sign(cli *c, tdsa_err *err)
{
    json_t *body = cli_body(c, ~UINT64_C(0));
    json_t *doc = NULL;
    tdsa_status st = cli_put_payload(c, body, err);

    (void)json_object_set_new(body, "presignatureId", json_string(c->args.word[1]));
    if (st == TDSA_OK) {
        st = cli_post_key(c, "/partial-signatures", body, &doc, err);
    }
    if (st == TDSA_OK) {
        st = cli_write_document(c, doc, err);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}

tdsa_status cli_do_key_combine(cli *c, tdsa_err *err)
{
    json_t *body = cli_body(c, ~UINT64_C(0));
    json_t *partials = json_array();
    json_t *doc = NULL;
    tdsa_status st = TDSA_OK;

    for (size_t i = 1; i < c->args.word_count && st == TDSA_OK; i++) {
        json_t *partial = NULL;

        st = cli_read_member(&partial, c->args.word[i], PARTIAL_FILE_MAX, "partialSignature", err);
        if (st == TDSA_OK) {
            (void)json_array_append_new(partials, partial);
        }
    }
    (void)json_object_set_new(body, "partials", partials);
    if (st == TDSA_OK) {
        st = cli_post_key(c, "/combine", body, &doc, err);
    }
    if (st == TDSA_OK) {
        st = cli_put_signature(c, doc, err);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}
