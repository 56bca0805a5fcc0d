#include "cli/token.h"

#include <stdlib.h>
#include <string.h>

#include "base/oaep.h"
#include "cli/file.h"
#include "keystore/wrap_module.h"

#define FOUND_MAX 2u /* one is wanted; two are too many */

struct cli_token {
    ks_wrap_uri *uri;
    ks_wrap wrap;
    bool begun;
    CK_OBJECT_HANDLE key;
};

/* The templates of PKCS #11 are not const. */
static CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, void *value, size_t len)
{
    return (CK_ATTRIBUTE){type, value, len};
}

static tdsa_status find_key(cli_token *t, tdsa_err *err)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_RSA;
    CK_ATTRIBUTE wanted[4] = {attribute(CKA_CLASS, &class, sizeof class),
                              attribute(CKA_KEY_TYPE, &type, sizeof type)};
    CK_OBJECT_HANDLE found[FOUND_MAX];
    CK_ULONG count = 2;
    CK_RV rv;

    if (t->uri->object != NULL) {
        wanted[count++] = attribute(CKA_LABEL, t->uri->object, t->uri->object_len);
    }
    if (t->uri->id != NULL) {
        wanted[count++] = attribute(CKA_ID, t->uri->id, t->uri->id_len);
    }
    rv = t->wrap.f->C_FindObjectsInit(t->wrap.session, wanted, count);
    if (rv != CKR_OK) {
        return ks_wrap_fail(&t->wrap, rv, "C_FindObjectsInit", err);
    }
    count = 0;
    rv = t->wrap.f->C_FindObjects(t->wrap.session, found, FOUND_MAX, &count);
    (void)t->wrap.f->C_FindObjectsFinal(t->wrap.session);
    if (rv != CKR_OK) {
        return ks_wrap_fail(&t->wrap, rv, "C_FindObjects", err);
    }
    if (count != 1) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "token %s has %s RSA private key %s",
                         t->uri->token_name, count == 0 ? "no" : "more than one", t->uri->key_name);
    }
    t->key = found[0];
    return TDSA_OK;
}

static tdsa_status read_pin(tdsa_secret **out, const cli_token *t, const char *pin_file,
                            tdsa_err *err)
{
    const cli_secret_source source = {"PIN of the token", "--pin-file", pin_file, false};

    if (pin_file == NULL && ks_wrap_uri_has_source(t->uri)) {
        return ks_wrap_uri_pin(t->uri, out, err);
    }
    return cli_read_secret(out, &source, err);
}

static tdsa_status begin(cli_token *t, const char *pin_file, tdsa_err *err)
{
    TDSA_SCOPED_SECRET secret = NULL;
    ks_wrap_way way = {.uri = t->uri};
    tdsa_status st = read_pin(&secret, t, pin_file, err);

    if (st != TDSA_OK) {
        return st;
    }
    way.pin = (ks_wrap_pin){(const char *)tdsa_secret_view(secret), tdsa_secret_len(secret),
                            pin_file != NULL || ks_wrap_uri_has_source(t->uri)};
    t->begun = true;
    st = ks_wrap_begin(&t->wrap, &way, err);
    return st == TDSA_OK ? find_key(t, err) : st;
}

tdsa_status cli_token_open(cli_token **out, const char *uri, const char *pin_file, tdsa_err *err)
{
    cli_token *t = calloc(1, sizeof *t);
    tdsa_status st;

    *out = NULL;
    if (t == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the token");
    }
    st = ks_wrap_uri_parse_private(&t->uri, uri, err);
    if (st == TDSA_OK && t->uri->pin != NULL) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                       "no PIN on a command line: use --pin-file, or pin-source in the URI");
    }
    if (st == TDSA_OK) {
        st = begin(t, pin_file, err);
    }
    if (st != TDSA_OK) {
        cli_token_close(t);
        return st;
    }
    *out = t;
    return TDSA_OK;
}

void cli_token_close(cli_token *t)
{
    if (t == NULL) {
        return;
    }
    if (t->begun) {
        ks_wrap_end(&t->wrap);
    }
    ks_wrap_uri_free(t->uri);
    free(t);
}

/* What says that the ciphertext is bad, not the token. */
static bool is_about_input(CK_RV rv)
{
    return rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE ||
           rv == CKR_DATA_INVALID || rv == CKR_DATA_LEN_RANGE;
}

/* EM of the length of the modulus: some tokens leave its leading zeros out. */
static tdsa_status raw_decrypt(cli_token *t, uint8_t em[TDSA_OAEP_LEN_MAX],
                               const tdsa_rsa_sealed *s, tdsa_err *err)
{
    CK_MECHANISM mechanism = {CKM_RSA_X_509, NULL, 0};
    CK_BYTE sealed[TDSA_OAEP_LEN_MAX];
    CK_ULONG len = TDSA_OAEP_LEN_MAX;
    CK_RV rv;

    memcpy(sealed, s->sealed, s->sealed_len); /* C_Decrypt takes a pointer that is not const */
    rv = t->wrap.f->C_DecryptInit(t->wrap.session, &mechanism, t->key);
    if (rv != CKR_OK) {
        return ks_wrap_fail(&t->wrap, rv, "C_DecryptInit with CKM_RSA_X_509", err);
    }
    rv = t->wrap.f->C_Decrypt(t->wrap.session, sealed, s->sealed_len, em, &len);
    if (is_about_input(rv) || (rv == CKR_OK && len > s->sealed_len)) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "the token does not decrypt it");
    }
    if (rv != CKR_OK) {
        return ks_wrap_fail(&t->wrap, rv, "C_Decrypt", err);
    }
    memmove(em + (s->sealed_len - len), em, len);
    memset(em, 0, s->sealed_len - len);
    return TDSA_OK;
}

tdsa_status cli_token_decrypt(cli_token *t, tdsa_buf *out, const tdsa_rsa_sealed *s, tdsa_err *err)
{
    uint8_t em[TDSA_OAEP_LEN_MAX];
    tdsa_status st = TDSA_OK;

    if (s->sealed_len > sizeof em) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "the ciphertext is too long");
    }
    st = raw_decrypt(t, em, s, err);
    if (st == TDSA_OK) {
        st = tdsa_oaep_decode(out, em, s->sealed_len, s->label, s->label_len, err);
    }
    tdsa_wipe(em, sizeof em);
    return st;
}
