#define _GNU_SOURCE 1 /* memmem */
#include <stdio.h>
#include <string.h>

#include "api/encode.h"
#include "cli/cli.h"
#include "cli/file.h"

/* tdsa key import */

#define KEY_MAX        8192u
#define PUBLIC_KEY_MAX 900u
#define CHAIN_CODE_HEX 64u

/* A text of a file, without the line break at its end. */
static tdsa_status put_text(json_t *body, const char *field, const char *path, size_t max,
                            tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    tdsa_status st = cli_read_file(&text, path, max, err);

    while (st == TDSA_OK && text.len > 0 && strchr("\r\n", text.data[text.len - 1]) != NULL) {
        text.len--;
    }
    if (st == TDSA_OK && text.len == 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s is empty", path);
    }
    if (st == TDSA_OK &&
        json_object_set_new(body, field, json_stringn((const char *)text.data, text.len)) != 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s is no text", path);
    }
    return st;
}

/* PEM goes as it is, DER in base64. */
static tdsa_status put_private_key(json_t *body, const char *path, tdsa_err *err)
{
    TDSA_SCOPED_BUF file = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    const tdsa_buf *sent = &file;
    tdsa_status st = cli_read_file(&file, path, KEY_MAX, err);

    if (st == TDSA_OK && file.len == 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the file of the private key is empty");
    }
    if (st == TDSA_OK && memmem(file.data, file.len, "-----BEGIN ", 11) == NULL) {
        svc_base64(&text, file.data, file.len);
        sent = &text;
        st = tdsa_buf_check(&text, err);
    }
    if (st == TDSA_OK &&
        json_object_set_new(body, "privateKey",
                            json_stringn((const char *)sent->data, sent->len)) != 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the file of the private key is neither PEM nor DER");
    }
    return st;
}

tdsa_status cli_do_key_import(cli *c, tdsa_err *err)
{
    json_t *body = cli_body(c, ~UINT64_C(0));
    const cli_request in = {"POST", "/v1/keys:import", body};
    const char *public_key = c->args.value[CLI_OPT_PUBLIC_KEY];
    const char *chain_code = c->args.value[CLI_OPT_CHAIN_CODE];
    json_t *doc = NULL;
    tdsa_status st = put_private_key(body, c->args.word[0], err);

    if (c->args.word_count > 1) {
        (void)json_object_set_new(body, "keyId", json_string(c->args.word[1]));
    }
    if (st == TDSA_OK && public_key != NULL) {
        st = put_text(body, "publicKey", public_key, PUBLIC_KEY_MAX, err);
    }
    if (st == TDSA_OK && chain_code != NULL) {
        st = put_text(body, "chainCode", chain_code, CHAIN_CODE_HEX + 2, err);
    }
    if (st == TDSA_OK) {
        st = cli_ask(c, &in, &doc, err);
    }
    if (st == TDSA_OK) {
        cli_show(c, doc);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}
