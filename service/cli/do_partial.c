#include "cli/cli.h"
#include "cli/file.h"
#include "cli/sign.h"

/* tdsa key partial-sign, tdsa key combine */

#define PARTIAL_FILE_MAX (256u * 1024u) /* a message of 64 KiB is in it, in base64 */

tdsa_status cli_do_key_partial_sign(cli *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
    json_t *body = cli_body(c, ~UINT64_C(0));
    cli_request in = {"POST", NULL, body};
    json_t *doc = NULL;
    tdsa_status st = cli_put_payload(c, body, err);

    (void)json_object_set_new(body, "presignatureId", json_string(c->args.word[1]));
    cli_target_key(&target, c->args.word[0], "/partial-signatures");
    in.target = cli_target_text(&target);
    if (st == TDSA_OK) {
        st = cli_ask(c, &in, &doc, err);
    }
    if (st == TDSA_OK) {
        st = cli_write_document(c, doc, err);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}

/* The partial signature of a file that partial-sign wrote. */
static tdsa_status take_file(json_t *partials, const char *path, tdsa_err *err)
{
    TDSA_SCOPED_BUF file = TDSA_BUF_EMPTY;
    tdsa_status st = cli_read_file(&file, path, PARTIAL_FILE_MAX, err);
    json_t *doc = NULL;
    json_t *partial = NULL;

    if (st != TDSA_OK) {
        return st;
    }
    doc = json_loadb(file.len > 0 ? (const char *)file.data : "", file.len, JSON_REJECT_DUPLICATES,
                     NULL);
    partial = json_object_get(doc, "partialSignature");
    if (!json_is_string(partial)) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s is no partial signature", path);
    } else {
        (void)json_array_append(partials, partial);
    }
    json_decref(doc);
    return st;
}

tdsa_status cli_do_key_combine(cli *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
    json_t *body = cli_body(c, ~UINT64_C(0));
    json_t *partials = json_array();
    cli_request in = {"POST", NULL, body};
    json_t *doc = NULL;
    tdsa_status st = TDSA_OK;

    for (size_t i = 1; i < c->args.word_count && st == TDSA_OK; i++) {
        st = take_file(partials, c->args.word[i], err);
    }
    (void)json_object_set_new(body, "partials", partials);
    cli_target_key(&target, c->args.word[0], "/combine");
    in.target = cli_target_text(&target);
    if (st == TDSA_OK) {
        st = cli_ask(c, &in, &doc, err);
    }
    if (st == TDSA_OK) {
        st = cli_put_signature(c, doc, err);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}
