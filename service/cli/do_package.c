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

tdsa_status cli_do_recovery_info(cli *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
    json_t *body = cli_body(c, ~UINT64_C(0));
    cli_request in = {"POST", NULL, body};
    json_t *doc = NULL;
    tdsa_status st = put_aux(c, body, err);

    cli_target_key(&target, c->args.word[0], "/recovery-info");
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
