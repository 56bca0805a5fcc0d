#include "base/encode.h"
#include "base/rsa.h"
#include "cli/cli.h"
#include "cli/file.h"

/* tdsa key approve-export, tdsa key export: under the certificate of --certificate. */

static tdsa_status put_certificate(const cli *c, json_t *body, tdsa_err *err)
{
    TDSA_SCOPED_BUF file = TDSA_BUF_EMPTY;
    const char *path = c->args.value[CLI_OPT_CERTIFICATE];
    char hex[65];
    tdsa_rsa_cert *cert = NULL;
    tdsa_status st = cli_read_file(&file, path, 2u * TDSA_RSA_CERT_LEN_MAX, err);

    if (st == TDSA_OK && file.len == 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s is empty", path);
    }
    if (st == TDSA_OK) {
        st = tdsa_rsa_cert_read(&cert, file.data, file.len, err);
    }
    if (st == TDSA_OK) {
        tdsa_hex(hex, tdsa_rsa_cert_facts(cert)->sha256, 32);
        (void)json_object_set_new(body, "certificate", json_string(hex));
    }
    tdsa_rsa_cert_free(cert);
    return st;
}

static tdsa_status post(cli *c, const char *rest, json_t **doc, tdsa_err *err)
{
    json_t *body = cli_body(c, ~UINT64_C(0));
    tdsa_status st = put_certificate(c, body, err);

    *doc = NULL;
    if (st == TDSA_OK) {
        st = cli_post_key(c, rest, body, doc, err);
    }
    json_decref(body);
    return st;
}

tdsa_status cli_do_key_approve_export(cli *c, tdsa_err *err)
{
    json_t *doc = NULL;
    tdsa_status st = post(c, "/export-approvals", &doc, err);

    if (st == TDSA_OK) {
        cli_show(c, doc);
    }
    json_decref(doc);
    return st;
}

tdsa_status cli_do_key_export(cli *c, tdsa_err *err)
{
    json_t *doc = NULL;
    tdsa_status st = post(c, "/export", &doc, err);

    if (st == TDSA_OK) {
        st = cli_write_document(c, doc, err);
    }
    json_decref(doc);
    return st;
}
