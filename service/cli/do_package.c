#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "cli/cli.h"
#include "cli/file.h"
#include "protocol/recovery.h"

/* Documents that go into files: tdsa recovery info */

static tdsa_status put_aux(const cli *c, json_t *body, tdsa_err *err)
{
    TDSA_SCOPED_BUF aux = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    tdsa_status st = TDSA_OK;

    if (cli_given(c, CLI_OPT_AUX_DATA)) {
        st = cli_read_file(&aux, c->args.value[CLI_OPT_AUX_DATA], MPC_RECOVERY_AUX_MAX, err);
        tdsa_base64url_encode(&text, aux.data, aux.len);
        if (st == TDSA_OK) {
            st = tdsa_buf_check(&text, err);
        }
        if (st == TDSA_OK && text.len > 0) {
            (void)json_object_set_new(body, "auxiliaryData",
                                      json_stringn((const char *)text.data, text.len));
        }
    }
    return st;
}

tdsa_status cli_write_document(cli *c, json_t *doc, tdsa_err *err)
{
    char *text = json_dumps(doc, JSON_INDENT(2));
    const char *path = c->args.value[CLI_OPT_OUT];
    tdsa_status st = TDSA_OK;

    if (text == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the document");
    }
    if (path != NULL) {
        st = cli_write_file(path, text, strlen(text), CLI_PUBLIC, err);
    } else {
        cli_print_line(c, text);
    }
    free(text);
    return st;
}

tdsa_status cli_read_member(json_t **out, const char *path, size_t max, const char *member,
                            tdsa_err *err)
{
    TDSA_SCOPED_BUF file = TDSA_BUF_EMPTY;
    json_t *doc = NULL;
    tdsa_status st = cli_read_file(&file, path, max, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    doc = json_loadb(file.len > 0 ? (const char *)file.data : "", file.len, JSON_REJECT_DUPLICATES,
                     NULL);
    if (json_is_string(json_object_get(doc, member))) {
        *out = json_incref(json_object_get(doc, member));
    } else {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s is no document with a text \"%s\"", path,
                       member);
    }
    json_decref(doc);
    return st;
}

tdsa_status cli_do_recovery_info(cli *c, tdsa_err *err)
{
    json_t *body = cli_body(c, ~UINT64_C(0));
    json_t *doc = NULL;
    tdsa_status st = put_aux(c, body, err);

    if (st == TDSA_OK) {
        st = cli_post_key(c, "/recovery-info", body, &doc, err);
    }
    if (st == TDSA_OK) {
        st = cli_write_document(c, doc, err);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}
