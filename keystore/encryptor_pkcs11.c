#include "keystore/encryptor.h"

#include <stdlib.h>
#include <string.h>

#include "base/cipher.h"
#include "base/hash.h"
#include "base/statement.h"
#include "keystore/kcv.h"
#include "keystore/wrap_module.h"

/*
 * The data key is encrypted inside the token by an AES-256 key that never leaves it:
 *   stmt("wrap-pkcs11", key check value, nonce, AES-256-GCM of the data key)
 * with the statement up to the check value as associated data. C_Encrypt with CKM_AES_GCM is used
 * rather than C_WrapKey: the data key need not become an object of the token, and SoftHSM 2.6 as
 * Debian builds it has no CKM_AES_KEY_WRAP_PAD.
 */
typedef struct {
    ks_encryptor base;
    ks_wrap_uri *uri;
    bool create_key;
    tdsa_rng rng;
    ks_wrap_memory memory;
    bool chosen, renewed; /* of several keys of one name wrap takes that with this check value */
    uint8_t kcv[KS_KCV_LEN];
} pkcs11;

#define KEYS_MAX   64u
#define CT_LEN     (TDSA_KEY_LEN + TDSA_GCM_TAG_LEN)
#define BLOCK_LEN  16u
#define ATTEMPTS   3
#define WRAP_LABEL "wrap-pkcs11"

/* Keys of the token that the URI names. */
typedef struct {
    CK_OBJECT_HANDLE handle[KEYS_MAX];
    CK_ULONG count;
} key_list;

/* A data key on its way in or out. */
typedef struct {
    uint8_t kcv[KS_KCV_LEN];
    uint8_t nonce[TDSA_GCM_NONCE_LEN];
    uint8_t sealed[CT_LEN];
} wrapped_key;

static pkcs11 *self(ks_encryptor *e)
{
    return (pkcs11 *)(void *)e;
}

static void pkcs11_close(ks_encryptor *base)
{
    ks_wrap_memory_clear(&self(base)->memory);
    ks_wrap_uri_free(self(base)->uri);
    free(base);
}

static tdsa_status pkcs11_open(ks_encryptor **out, const ks_cfg *cfg, tdsa_err *err)
{
    pkcs11 *e = NULL;
    tdsa_status st;

    *out = NULL;
    if (cfg->wrapping_uri == NULL || cfg->wrapping_uri[0] == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "encryptor pkcs11 needs the URI of a wrapping key");
    }
    e = calloc(1, sizeof *e);
    if (e == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an encryptor");
    }
    e->base = (ks_encryptor){&ks_encryptor_pkcs11, "pkcs11", NULL};
    e->rng = cfg->rng;
    e->create_key = cfg->create_wrapping_key;
    st = ks_wrap_uri_parse(&e->uri, cfg->wrapping_uri, err);
    if (st != TDSA_OK) {
        pkcs11_close(&e->base);
        return st;
    }
    *out = &e->base;
    return TDSA_OK;
}

static CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, void *value, size_t len)
{
    return (CK_ATTRIBUTE){type, value, (CK_ULONG)len};
}

/* Appends what names the key. */
static CK_ULONG add_name(CK_ATTRIBUTE *t, CK_ULONG n, const ks_wrap_uri *u)
{
    if (u->object != NULL) {
        t[n++] = attribute(CKA_LABEL, u->object, u->object_len);
    }
    if (u->id != NULL) {
        t[n++] = attribute(CKA_ID, u->id, u->id_len);
    }
    return n;
}

static tdsa_status find_keys(ks_wrap *w, key_list *keys, tdsa_err *err)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ATTRIBUTE t[4] = {attribute(CKA_CLASS, &class, sizeof class),
                         attribute(CKA_KEY_TYPE, &type, sizeof type)};
    CK_RV rv = w->f->C_FindObjectsInit(w->session, t, add_name(t, 2, w->uri));

    keys->count = 0;
    if (rv != CKR_OK) {
        return ks_wrap_fail(w, rv, "C_FindObjectsInit", err);
    }
    rv = w->f->C_FindObjects(w->session, keys->handle, KEYS_MAX, &keys->count);
    (void)w->f->C_FindObjectsFinal(w->session);
    if (rv != CKR_OK) {
        keys->count = 0;
        return ks_wrap_fail(w, rv, "C_FindObjects", err);
    }
    return TDSA_OK;
}

static tdsa_status no_key(const ks_wrap *w, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_WRAPPING,
                     "wrapping token %s has no AES key %s: check the URI, or make it with "
                     "pkcs11-tool --keygen --key-type AES:32",
                     w->uri->token_name, w->uri->key_name);
}

static tdsa_status generate_key(ks_wrap *w, CK_OBJECT_HANDLE *key, tdsa_err *err)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ULONG len = TDSA_KEY_LEN;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ATTRIBUTE t[13] = {
        attribute(CKA_CLASS, &class, sizeof class), attribute(CKA_KEY_TYPE, &type, sizeof type),
        attribute(CKA_VALUE_LEN, &len, sizeof len), attribute(CKA_TOKEN, &yes, sizeof yes),
        attribute(CKA_PRIVATE, &yes, sizeof yes),   attribute(CKA_SENSITIVE, &yes, sizeof yes),
        attribute(CKA_EXTRACTABLE, &no, sizeof no), attribute(CKA_ENCRYPT, &yes, sizeof yes),
        attribute(CKA_DECRYPT, &yes, sizeof yes),   attribute(CKA_WRAP, &yes, sizeof yes),
        attribute(CKA_UNWRAP, &yes, sizeof yes),
    };
    const CK_RV rv = w->f->C_GenerateKey(w->session, &mechanism, t, add_name(t, 11, w->uri), key);

    return rv == CKR_OK ? TDSA_OK : ks_wrap_fail(w, rv, "making the wrapping key", err);
}

/* A call that failed, or said CKR_OK and gave back too little or too much. */
static tdsa_status wrong_answer(ks_wrap *w, CK_RV rv, const char *what, tdsa_err *err)
{
    return ks_wrap_fail(w, rv != CKR_OK ? rv : CKR_ENCRYPTED_DATA_LEN_RANGE, what, err);
}

/* Check value: one AES block over a label that is used for nothing else. */
static tdsa_status key_kcv(ks_wrap *w, CK_OBJECT_HANDLE key, uint8_t kcv[KS_KCV_LEN], tdsa_err *err)
{
    CK_BYTE label[BLOCK_LEN] = "tdsa wrap check";
    CK_BYTE out[2 * BLOCK_LEN];
    CK_ULONG len = sizeof out;
    CK_MECHANISM mechanism = {CKM_AES_ECB, NULL, 0};
    CK_RV rv = w->f->C_EncryptInit(w->session, &mechanism, key);

    if (rv == CKR_OK) {
        rv = w->f->C_Encrypt(w->session, label, sizeof label, out, &len);
    }
    if (rv != CKR_OK || len != BLOCK_LEN) {
        return wrong_answer(w, rv, "check value of the wrapping key", err);
    }
    return ks_kcv_of(kcv, out, BLOCK_LEN, err);
}

static void head(tdsa_buf *out, const uint8_t kcv[KS_KCV_LEN])
{
    tdsa_stmt_begin(out, WRAP_LABEL);
    tdsa_stmt_octets(out, kcv, KS_KCV_LEN);
}

static tdsa_status encrypt(ks_wrap *w, CK_OBJECT_HANDLE key, wrapped_key *k, tdsa_secret *data_key,
                           tdsa_err *err)
{
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    CK_GCM_PARAMS p = {k->nonce, sizeof k->nonce,     8 * sizeof k->nonce, NULL,
                       0,        8 * TDSA_GCM_TAG_LEN};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &p, sizeof p};
    CK_ULONG len = sizeof k->sealed;
    CK_RV rv;
    tdsa_status st;

    head(&aad, k->kcv);
    st = tdsa_buf_check(&aad, err);
    if (st != TDSA_OK) {
        return st;
    }
    p.pAAD = aad.data;
    p.ulAADLen = aad.len;
    rv = w->f->C_EncryptInit(w->session, &mechanism, key);
    if (rv == CKR_OK) {
        rv =
            w->f->C_Encrypt(w->session, tdsa_secret_bytes(data_key), TDSA_KEY_LEN, k->sealed, &len);
    }
    if (rv != CKR_OK || len != CT_LEN) {
        return wrong_answer(w, rv, "wrapping the data key", err);
    }
    return TDSA_OK;
}

static tdsa_status decrypt(ks_wrap *w, CK_OBJECT_HANDLE key, wrapped_key *k, tdsa_secret **data_key,
                           tdsa_err *err)
{
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET room = NULL;
    CK_GCM_PARAMS p = {k->nonce, sizeof k->nonce,     8 * sizeof k->nonce, NULL,
                       0,        8 * TDSA_GCM_TAG_LEN};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &p, sizeof p};
    CK_ULONG len = CT_LEN; /* SoftHSM wants room for the tag too */
    CK_RV rv;
    tdsa_status st = tdsa_secret_new(&room, CT_LEN, err);

    head(&aad, k->kcv);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&aad, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    p.pAAD = aad.data;
    p.ulAADLen = aad.len;
    rv = w->f->C_DecryptInit(w->session, &mechanism, key);
    if (rv == CKR_OK) {
        rv = w->f->C_Decrypt(w->session, k->sealed, CT_LEN, tdsa_secret_bytes(room), &len);
    }
    if (rv != CKR_OK || len != TDSA_KEY_LEN) {
        return wrong_answer(w, rv, "unwrapping the data key (was it edited?)", err);
    }
    return tdsa_secret_copy(data_key, tdsa_secret_view(room), TDSA_KEY_LEN, err);
}

/* The key of the list with a check value; false: it is not there. */
static tdsa_status find_kcv(ks_wrap *w, const key_list *keys, const uint8_t kcv[KS_KCV_LEN],
                            bool *found, CK_OBJECT_HANDLE *key, tdsa_err *err)
{
    uint8_t has[KS_KCV_LEN];
    tdsa_status st = TDSA_OK;

    *found = false;
    for (CK_ULONG i = 0; st == TDSA_OK && !*found && i < keys->count; i++) {
        st = key_kcv(w, keys->handle[i], has, err);
        *found = st == TDSA_OK && tdsa_ct_equal(has, kcv, KS_KCV_LEN);
        *key = keys->handle[i];
    }
    return st;
}

/* The key that wraps: the one that did, or the first. */
static tdsa_status choose_key(ks_wrap *w, const pkcs11 *e, const key_list *keys,
                              CK_OBJECT_HANDLE *key, tdsa_err *err)
{
    bool found = false;
    tdsa_status st = TDSA_OK;

    if (e->chosen) {
        st = find_kcv(w, keys, e->kcv, &found, key, err);
    }
    if (st == TDSA_OK && !found) {
        *key = keys->handle[0];
    }
    return st;
}

/* Wraps with the key of the URI, which is made when it is missing and may be made. */
static tdsa_status wrap_in_session(ks_wrap *w, const pkcs11 *e, wrapped_key *k,
                                   tdsa_secret *data_key, tdsa_err *err)
{
    TDSA_SCOPED_SECRET again = NULL;
    CK_OBJECT_HANDLE key = 0;
    key_list keys;
    tdsa_status st = find_keys(w, &keys, err);

    if (st == TDSA_OK && keys.count == 0) {
        st = e->create_key ? generate_key(w, &key, err) : no_key(w, err);
    } else if (st == TDSA_OK) {
        st = choose_key(w, e, &keys, &key, err);
    }
    if (st == TDSA_OK) {
        st = key_kcv(w, key, k->kcv, err);
    }
    if (st == TDSA_OK) {
        st = encrypt(w, key, k, data_key, err);
    }
    if (st == TDSA_OK) { /* never store what the token cannot give back */
        st = decrypt(w, key, k, &again, err);
    }
    if (st == TDSA_OK && !tdsa_secret_equal(again, data_key)) {
        st = TDSA_FAIL(err, TDSA_E_WRAPPING, "wrapping token %s does not give back what it wrapped",
                       w->uri->token_name);
    }
    return st;
}

/* Of several keys of one name (two processes may have made theirs at once) the one that wrapped. */
static tdsa_status unwrap_in_session(ks_wrap *w, wrapped_key *k, tdsa_secret **data_key,
                                     tdsa_err *err)
{
    key_list keys;
    uint8_t found[KS_KCV_LEN];
    tdsa_status st = find_keys(w, &keys, err);

    if (st == TDSA_OK && keys.count == 0) {
        return no_key(w, err);
    }
    for (CK_ULONG i = 0; st == TDSA_OK && i < keys.count; i++) {
        st = key_kcv(w, keys.handle[i], found, err);
        if (st == TDSA_OK && tdsa_ct_equal(found, k->kcv, KS_KCV_LEN)) {
            return decrypt(w, keys.handle[i], k, data_key, err);
        }
    }
    return st != TDSA_OK ? st : ks_kcv_compare(k->kcv, found, w->uri->key_name, err);
}

/* One more key of the name, whose check value none of the others has. */
static tdsa_status renew_in_session(ks_wrap *w, wrapped_key *k, tdsa_err *err)
{
    CK_OBJECT_HANDLE key = 0;
    CK_OBJECT_HANDLE same = 0;
    key_list keys;
    bool found = false;
    tdsa_status st = find_keys(w, &keys, err);

    if (st == TDSA_OK && keys.count == KEYS_MAX) {
        return TDSA_FAIL(
            err, TDSA_E_WRAPPING,
            "wrapping token %s has %u keys %s: delete those that nothing is wrapped with",
            w->uri->token_name, KEYS_MAX, w->uri->key_name);
    }
    if (st == TDSA_OK) {
        st = generate_key(w, &key, err);
    }
    if (st == TDSA_OK) {
        st = key_kcv(w, key, k->kcv, err);
    }
    if (st == TDSA_OK) {
        st = find_kcv(w, &keys, k->kcv, &found, &same, err);
    }
    if (st == TDSA_OK && found) {
        (void)w->f->C_DestroyObject(w->session, key);
        return TDSA_FAIL(
            err, TDSA_E_CONFLICT,
            "the new wrapping key has the check value of another one by chance: try again");
    }
    return st;
}

static tdsa_status destroy_in_session(ks_wrap *w, const wrapped_key *k, tdsa_err *err)
{
    CK_OBJECT_HANDLE key = 0;
    key_list keys;
    bool found = false;
    tdsa_status st = find_keys(w, &keys, err);

    if (st == TDSA_OK) {
        st = find_kcv(w, &keys, k->kcv, &found, &key, err);
    }
    if (st == TDSA_OK && found) {
        const CK_RV rv = w->f->C_DestroyObject(w->session, key);

        st = rv == CKR_OK ? TDSA_OK : ks_wrap_fail(w, rv, "destroying a wrapping key", err);
    }
    return st;
}

/* Somebody else in the process finalised the module while it was used here. */
static bool was_pulled_away(CK_RV rv)
{
    return rv == CKR_CRYPTOKI_NOT_INITIALIZED || rv == CKR_SESSION_HANDLE_INVALID ||
           rv == CKR_SESSION_CLOSED;
}

/* What is to be done in a session. */
typedef enum { WRAP, UNWRAP, RENEW, DESTROY, CHECK } work_kind;

typedef struct {
    pkcs11 *e;
    work_kind what;
    wrapped_key k; /* RENEW, DESTROY: its check value alone; CHECK: nothing */
    tdsa_secret *data_key;
} job;

/* The session is there, so the PIN is right, unless it was not looked at. */
static tdsa_status check_in_session(const ks_wrap *w, tdsa_err *err)
{
    return w->was_logged_in
               ? TDSA_FAIL(err, TDSA_E_WRAPPING,
                           "the application is logged in to wrapping token %s itself, which does "
                           "not check a PIN before that ends",
                           w->uri->token_name)
               : TDSA_OK;
}

static tdsa_status work(ks_wrap *w, job *j, tdsa_err *err)
{
    switch (j->what) {
    case WRAP:
        return wrap_in_session(w, j->e, &j->k, j->data_key, err);
    case UNWRAP:
        return unwrap_in_session(w, &j->k, &j->data_key, err);
    case RENEW:
        return renew_in_session(w, &j->k, err);
    case DESTROY:
        return destroy_in_session(w, &j->k, err);
    case CHECK:
        return check_in_session(w, err);
    }
    return TDSA_FAIL(err, TDSA_E_INTERNAL, "no such work for a token");
}

static tdsa_status run_once(job *j, const ks_wrap_pin *pin, bool *again, tdsa_err *err)
{
    ks_wrap w;
    const bool write =
        j->what == RENEW || j->what == DESTROY || (j->what == WRAP && j->e->create_key);
    const ks_wrap_way way = {j->e->uri, *pin, &j->e->memory, write};
    tdsa_status st = ks_wrap_begin(&w, &way, err);

    if (st == TDSA_OK) {
        st = work(&w, j, err);
    }
    ks_wrap_end(&w);
    *again = st != TDSA_OK && was_pulled_away(w.rv) && !w.login_failed;
    return st;
}

static tdsa_status run(job *j, const char *pin, size_t pin_len, tdsa_err *err)
{
    TDSA_SCOPED_SECRET own = NULL;
    ks_wrap_pin use = {pin, pin_len, false};
    bool again = true;
    tdsa_status st = TDSA_OK;

    if (pin == NULL) {
        st = ks_wrap_uri_pin(j->e->uri, &own, err);
        if (st != TDSA_OK) {
            return st;
        }
        use = (ks_wrap_pin){(const char *)tdsa_secret_view(own), tdsa_secret_len(own), true};
    }
    for (int i = 0; again && i < ATTEMPTS; i++) {
        st = run_once(j, &use, &again, err);
    }
    return st;
}

static tdsa_status pkcs11_wrap(ks_encryptor *base, const char *pin, size_t pin_len,
                               const tdsa_secret *data_key, tdsa_buf *wrapped, tdsa_err *err)
{
    job j = {.e = self(base), .what = WRAP};
    tdsa_status st = tdsa_secret_copy(&j.data_key, tdsa_secret_view(data_key), TDSA_KEY_LEN, err);

    if (st == TDSA_OK) {
        st = tdsa_rng_fill(&j.e->rng, j.k.nonce, sizeof j.k.nonce, err);
    }
    if (st == TDSA_OK) {
        st = run(&j, pin, pin_len, err);
    }
    if (st == TDSA_OK) {
        head(wrapped, j.k.kcv);
        tdsa_stmt_octets(wrapped, j.k.nonce, sizeof j.k.nonce);
        tdsa_stmt_octets(wrapped, j.k.sealed, sizeof j.k.sealed);
        st = tdsa_buf_check(wrapped, err);
    }
    tdsa_secret_free(j.data_key);
    return st;
}

static void choose(pkcs11 *e, const uint8_t kcv[KS_KCV_LEN])
{
    memcpy(e->kcv, kcv, KS_KCV_LEN);
    e->chosen = true;
}

static tdsa_status pkcs11_unwrap(ks_encryptor *base, const char *pin, size_t pin_len,
                                 const uint8_t *wrapped, size_t wrapped_len, tdsa_secret **data_key,
                                 tdsa_err *err)
{
    job j = {.e = self(base), .what = UNWRAP};
    tdsa_reader r = tdsa_reader_of(wrapped, wrapped_len);
    tdsa_status st;

    *data_key = NULL;
    tdsa_stmt_expect(&r, WRAP_LABEL);
    tdsa_stmt_read_exact(&r, j.k.kcv, sizeof j.k.kcv);
    tdsa_stmt_read_exact(&r, j.k.nonce, sizeof j.k.nonce);
    tdsa_stmt_read_exact(&r, j.k.sealed, sizeof j.k.sealed);
    if (tdsa_reader_finish(&r, "wrapped data key", err) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "the wrapped data key is damaged");
    }
    st = run(&j, pin, pin_len, err);
    if (st == TDSA_OK) {
        *data_key = j.data_key;
        if (!j.e->renewed) {
            choose(j.e, j.k.kcv);
        }
    }
    return st;
}

static tdsa_status pkcs11_renew(ks_encryptor *base, const char *pin, size_t pin_len,
                                uint8_t kcv[KS_KCV_LEN], tdsa_err *err)
{
    job j = {.e = self(base), .what = RENEW};
    tdsa_status st = run(&j, pin, pin_len, err);

    memcpy(kcv, j.k.kcv, KS_KCV_LEN);
    if (st == TDSA_OK) {
        choose(j.e, kcv);
        j.e->renewed = true;
    }
    return st;
}

static tdsa_status pkcs11_destroy(ks_encryptor *base, const char *pin, size_t pin_len,
                                  const uint8_t kcv[KS_KCV_LEN], tdsa_err *err)
{
    job j = {.e = self(base), .what = DESTROY};

    memcpy(j.k.kcv, kcv, KS_KCV_LEN);
    return run(&j, pin, pin_len, err);
}

static tdsa_status pkcs11_check_pin(ks_encryptor *base, const char *pin, size_t pin_len,
                                    tdsa_err *err)
{
    job j = {.e = self(base), .what = CHECK};

    return run(&j, pin, pin_len, err);
}

const ks_encryptor_ops ks_encryptor_pkcs11 = {
    .needs_login = true,
    .open = pkcs11_open,
    .close = pkcs11_close,
    .wrap = pkcs11_wrap,
    .unwrap = pkcs11_unwrap,
    .check_pin = pkcs11_check_pin,
    .renew = pkcs11_renew,
    .destroy = pkcs11_destroy,
};
