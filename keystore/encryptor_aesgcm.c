#include "keystore/encryptor.h"

#include <stdlib.h>
#include <string.h>

#include "base/cipher.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/statement.h"
#include "keystore/kcv.h"

/*
 * secret text -> HKDF -> root -> { wrapping key, key check value }. The wrapped form is
 *   stmt("wrap-aesgcm", key check value, nonce | AES-256-GCM of the data key)
 * with the statement up to the check value as associated data. The secret text is taken as it is,
 * without stretching: it must be a random secret, not a word (docs/security.md).
 */
typedef struct {
    ks_encryptor base;
    tdsa_secret *wrap_key;
    uint8_t kcv[KS_KCV_LEN];
    tdsa_rng rng;
} aesgcm;

#define WRAPPED_LEN (TDSA_GCM_NONCE_LEN + TDSA_KEY_LEN + TDSA_GCM_TAG_LEN)

static aesgcm *self(ks_encryptor *e)
{
    return (aesgcm *)(void *)e;
}

static tdsa_status expand(uint8_t out[TDSA_KEY_LEN], const tdsa_secret *root, const char *label,
                          tdsa_err *err)
{
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&info, label);
    return tdsa_hkdf_expand(out, TDSA_KEY_LEN, tdsa_secret_view(root), &info, err);
}

static tdsa_status derive(aesgcm *e, const char *text, tdsa_err *err)
{
    TDSA_SCOPED_SECRET root = NULL;
    TDSA_SCOPED_SECRET check = NULL;
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;
    const uint8_t *ikm = (const uint8_t *)text;
    tdsa_status st = tdsa_secret_new(&root, TDSA_KEY_LEN, err);

    if (st == TDSA_OK) {
        st = tdsa_secret_new(&check, TDSA_KEY_LEN, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_secret_new(&e->wrap_key, TDSA_KEY_LEN, err);
    }
    tdsa_stmt_begin(&info, "keystore-encryption-key");
    if (st == TDSA_OK) {
        st = tdsa_hkdf_stmt(tdsa_secret_bytes(root), ikm, strlen(text), &info, err);
    }
    if (st == TDSA_OK) {
        st = expand(tdsa_secret_bytes(e->wrap_key), root, "keystore-wrap", err);
    }
    if (st == TDSA_OK) {
        st = expand(tdsa_secret_bytes(check), root, "keystore-check", err);
    }
    if (st == TDSA_OK) {
        st = ks_kcv_of(e->kcv, tdsa_secret_view(check), TDSA_KEY_LEN, err);
    }
    return st;
}

static void aesgcm_close(ks_encryptor *base)
{
    aesgcm *e = self(base);

    tdsa_secret_free(e->wrap_key);
    free(e);
}

static tdsa_status aesgcm_open(ks_encryptor **out, const ks_cfg *cfg, tdsa_err *err)
{
    aesgcm *e = NULL;
    tdsa_status st;

    *out = NULL;
    if (cfg->encryption_key == NULL || cfg->encryption_key[0] == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "encryptor aesgcm needs an encryption key");
    }
    e = calloc(1, sizeof *e);
    if (e == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an encryptor");
    }
    e->base = (ks_encryptor){&ks_encryptor_aesgcm, "aesgcm", e->kcv};
    e->rng = cfg->rng;
    st = derive(e, cfg->encryption_key, err);
    if (st != TDSA_OK) {
        aesgcm_close(&e->base);
        return st;
    }
    *out = &e->base;
    return TDSA_OK;
}

static void head(tdsa_buf *out, const uint8_t kcv[KS_KCV_LEN])
{
    tdsa_stmt_begin(out, "wrap-aesgcm");
    tdsa_stmt_octets(out, kcv, KS_KCV_LEN);
}

static tdsa_status aesgcm_wrap(ks_encryptor *base, const char *pin, size_t pin_len,
                               const tdsa_secret *data_key, tdsa_buf *wrapped, tdsa_err *err)
{
    aesgcm *e = self(base);
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    uint8_t nonce[TDSA_GCM_NONCE_LEN];
    tdsa_gcm p = {tdsa_secret_view(e->wrap_key), nonce, NULL, 0};
    tdsa_status st = tdsa_rng_fill(&e->rng, nonce, sizeof nonce, err);

    (void)pin;
    (void)pin_len;
    if (st != TDSA_OK) {
        return st;
    }
    head(&aad, e->kcv);
    p.aad = aad.data;
    p.aad_len = aad.len;
    tdsa_buf_append(&sealed, nonce, sizeof nonce);
    st = tdsa_gcm_seal(&sealed, &p, tdsa_secret_view(data_key), TDSA_KEY_LEN, err);
    if (st != TDSA_OK) {
        return st;
    }
    head(wrapped, e->kcv);
    tdsa_stmt_octets(wrapped, sealed.data, sealed.len);
    return tdsa_buf_check(wrapped, err);
}

static tdsa_status aesgcm_unwrap(ks_encryptor *base, const char *pin, size_t pin_len,
                                 const uint8_t *wrapped, size_t wrapped_len, tdsa_secret **data_key,
                                 tdsa_err *err)
{
    aesgcm *e = self(base);
    tdsa_reader r = tdsa_reader_of(wrapped, wrapped_len);
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    uint8_t kcv[KS_KCV_LEN];
    uint8_t sealed[WRAPPED_LEN];
    tdsa_gcm p = {tdsa_secret_view(e->wrap_key), sealed, NULL, 0};
    tdsa_status st;

    (void)pin;
    (void)pin_len;
    *data_key = NULL;
    tdsa_stmt_expect(&r, "wrap-aesgcm");
    tdsa_stmt_read_exact(&r, kcv, sizeof kcv);
    tdsa_stmt_read_exact(&r, sealed, sizeof sealed);
    if (tdsa_reader_finish(&r, "wrapped data key", err) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "the wrapped data key is damaged");
    }
    st = ks_kcv_compare(kcv, e->kcv, "encryption key", err);
    if (st != TDSA_OK) {
        return st;
    }
    head(&aad, kcv);
    p.aad = aad.data;
    p.aad_len = aad.len;
    st = tdsa_gcm_open(&plain, &p, sealed + TDSA_GCM_NONCE_LEN, WRAPPED_LEN - TDSA_GCM_NONCE_LEN,
                       err);
    if (st == TDSA_E_CRYPTO) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "the wrapped data key was edited");
    }
    if (st == TDSA_OK) {
        st = tdsa_secret_copy(data_key, plain.data, plain.len, err);
    }
    return st;
}

const ks_encryptor_ops ks_encryptor_aesgcm = {
    .needs_login = false,
    .open = aesgcm_open,
    .close = aesgcm_close,
    .wrap = aesgcm_wrap,
    .unwrap = aesgcm_unwrap,
};
