#include "calls_run.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/errors.h"
#include "pkcs11-provider/mechanism.h"

void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

CK_RV known(CK_RV rv)
{
    must(rv != CKR_GENERAL_ERROR && strcmp(p11_rv_name(rv), "CKR_?") != 0);
    return rv;
}

uint8_t take(run *r)
{
    return r->pos < r->len ? r->data[r->pos++] : 0;
}

CK_BYTE *room(run *r, CK_ULONG len)
{
    CK_BYTE *p = malloc(len > 0 ? len : 1);

    must(p != NULL && r->kept_count < KEPT);
    r->kept[r->kept_count++] = p;
    return len > 0 ? p : NULL;
}

void forget_buffers(run *r)
{
    while (r->kept_count > 0) {
        free(r->kept[--r->kept_count]);
    }
}

CK_BYTE *some_bytes(run *r, CK_ULONG max, CK_ULONG *len)
{
    CK_BYTE *p = NULL;

    *len = take(r) % (max + 1);
    p = room(r, *len);
    for (CK_ULONG i = 0; i < *len; i++) {
        p[i] = take(r);
    }
    return p;
}

CK_OBJECT_HANDLE some_object(run *r)
{
    const uint8_t b = take(r);

    return b < 0xe0 ? atomic_load(&r->w->object[b % OBJECTS]) : b;
}

void remember_object(run *r, CK_OBJECT_HANDLE h)
{
    atomic_store(&r->w->object[h % OBJECTS], h);
}

CK_MECHANISM *some_mechanism(run *r)
{
    static const CK_MECHANISM_TYPE types[] = {
        CKM_ECDSA,      CKM_ECDSA_SHA256,    CKM_ECDSA_SHA512,
        CKM_EDDSA,      CKM_TDSA_BIP340,     CKM_SHA256,
        CKM_SHA3_256,   CKM_EC_KEY_PAIR_GEN, CKM_EC_EDWARDS_KEY_PAIR_GEN,
        CKM_ECDSA_SHA1, CKM_RSA_PKCS};
    const uint8_t b = take(r);
    CK_MECHANISM *m = (CK_MECHANISM *)(void *)room(r, sizeof *m);

    if (b >= 0xf8) {
        return NULL;
    }
    *m = (CK_MECHANISM){types[b % (sizeof types / sizeof types[0])], NULL, 0};
    if (b >= 0xf0) {
        m->pParameter = some_bytes(r, sizeof(CK_EDDSA_PARAMS), &m->ulParameterLen);
    } else if (b >= 0xe0) {
        m->ulParameterLen = sizeof(CK_EDDSA_PARAMS);
        m->pParameter = memset(room(r, sizeof(CK_EDDSA_PARAMS)), 0, sizeof(CK_EDDSA_PARAMS));
    }
    return m;
}

/* ---- templates ---- */

static void put(run *r, CK_ATTRIBUTE *a, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len)
{
    *a = (CK_ATTRIBUTE){type, room(r, len), len};
    if (len > 0) {
        memcpy(a->pValue, value, len);
    }
}

static void put_number(run *r, CK_ATTRIBUTE *a, CK_ATTRIBUTE_TYPE type, CK_ULONG number)
{
    put(r, a, type, &number, sizeof number);
}

static void put_params(run *r, CK_ATTRIBUTE *a, uint8_t which)
{
    static const CK_BYTE p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
    static const CK_BYTE secp256k1[] = {6, 5, 0x2b, 0x81, 4, 0, 0x0a};
    static const CK_BYTE ed25519[] = {6, 3, 0x2b, 0x65, 0x70};

    switch (which % 4) {
    case 0:
        put(r, a, CKA_EC_PARAMS, secp256k1, sizeof secp256k1);
        break;
    case 1:
        put(r, a, CKA_EC_PARAMS, ed25519, sizeof ed25519);
        break;
    default:
        put(r, a, CKA_EC_PARAMS, p256, sizeof p256);
    }
}

/* The value of an object that is brought in: the certificate, sometimes with a byte changed. */
static void put_value(run *r, CK_ATTRIBUTE *a, uint8_t how)
{
    CK_ULONG at = 0;

    if ((how & 1) != 0) {
        a->type = CKA_VALUE;
        a->pValue = some_bytes(r, 40, &a->ulValueLen);
        return;
    }
    put(r, a, CKA_VALUE, r->w->cert, r->w->cert_len);
    if ((how & 2) != 0) {
        at = ((CK_ULONG)take(r) << 8 | take(r)) % r->w->cert_len;
        ((CK_BYTE *)a->pValue)[at] ^= take(r);
    }
}

static void put_name(run *r, CK_ATTRIBUTE *a, uint8_t which)
{
    static const CK_ATTRIBUTE_TYPE names[] = {CKA_LABEL,      CKA_ID,       CKA_SUBJECT,
                                              CKA_START_DATE, CKA_END_DATE, CKA_APPLICATION,
                                              CKA_OBJECT_ID,  CKA_LABEL};

    a->type = names[which % 8];
    a->pValue = some_bytes(r, 8, &a->ulValueLen);
}

static void put_flag(run *r, CK_ATTRIBUTE *a, uint8_t which)
{
    static const CK_ATTRIBUTE_TYPE flags[] = {
        CKA_TOKEN,      CKA_PRIVATE,  CKA_ALWAYS_AUTHENTICATE, CKA_SIGN,
        CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE,         CKA_TOKEN};
    const CK_BBOOL value = (which & 8) != 0 ? CK_TRUE : CK_FALSE;

    put(r, a, flags[which % 8], &value, sizeof value);
}

static void put_class(run *r, CK_ATTRIBUTE *a, uint8_t which)
{
    static const CK_OBJECT_CLASS classes[] = {CKO_CERTIFICATE, CKO_DATA, CKO_PUBLIC_KEY,
                                              CKO_PRIVATE_KEY, CKO_PROFILE};

    put_number(r, a, CKA_CLASS, classes[which % 5]);
}

static void put_entry(run *r, CK_ATTRIBUTE *a)
{
    static const CK_MECHANISM_TYPE bip340 = CKM_TDSA_BIP340;
    const uint8_t b = take(r);

    switch (b % 10) {
    case 0:
        put_class(r, a, b >> 4);
        break;
    case 1:
    case 2:
        put_flag(r, a, b >> 4);
        break;
    case 3:
    case 4:
        put_name(r, a, b >> 4);
        break;
    case 5:
        put_params(r, a, b >> 4);
        break;
    case 6:
        put(r, a, CKA_EC_POINT, r->w->point + ((b & 0x10) != 0 ? 2 : 0), (b & 0x10) != 0 ? 65 : 67);
        break;
    case 7:
        put_value(r, a, b >> 4);
        break;
    case 8:
        put(r, a, CKA_ALLOWED_MECHANISMS, &bip340, sizeof bip340);
        break;
    default:
        a->type = (CK_ATTRIBUTE_TYPE)take(r) | ((CK_ATTRIBUTE_TYPE)(b & 0x30) << 4);
        a->pValue = some_bytes(r, 9, &a->ulValueLen);
        a->pValue = (b & 0x40) != 0 ? NULL : a->pValue;
    }
}

CK_ATTRIBUTE *some_template(run *r, CK_ULONG *count)
{
    CK_ATTRIBUTE *a = NULL;

    *count = take(r) % 7;
    a = (CK_ATTRIBUTE *)(void *)room(r, *count * sizeof *a);
    for (CK_ULONG i = 0; i < *count; i++) {
        put_entry(r, &a[i]);
    }
    return a;
}

/* ---- the model ---- */

bool check_session(run *r, size_t i, CK_RV rv)
{
    if (!r->alone) {
        return false;
    }
    must(r->session[i].open == (rv != CKR_SESSION_HANDLE_INVALID));
    return r->session[i].open;
}

void check_init(op_model *m, CK_RV rv, bool cancels)
{
    if (m->active) {
        must(rv == (cancels ? CKR_OK : CKR_OPERATION_ACTIVE));
        m->active = !cancels;
    } else {
        must(rv != CKR_OPERATION_ACTIVE && (rv != CKR_OK || !cancels));
        *m = (op_model){.active = rv == CKR_OK};
    }
}

void check_update(op_model *m, CK_RV rv)
{
    must(m->active == (rv != CKR_OPERATION_NOT_INITIALIZED));
    m->active = m->active && rv == CKR_OK;
    m->started = m->started || m->active;
}

void check_end(op_model *m, CK_RV rv, bool in_order, bool query)
{
    const bool goes_on = rv == CKR_BUFFER_TOO_SMALL || (query && rv == CKR_OK);

    must((m->active && in_order) == (rv != CKR_OPERATION_NOT_INITIALIZED));
    m->active = m->active && goes_on;
}

void model_logged_out(run *r)
{
    r->logged_in = false;
    r->private_before = r->private_seen != 0 ? r->private_seen : r->private_before;
    r->private_seen = 0;
}

void model_closed(run *r, size_t i)
{
    bool any = false;

    r->session[i] = (session_model){.open = false};
    for (size_t j = 0; j < SESSIONS; j++) {
        any = any || r->session[j].open;
    }
    if (r->logged_in && !any) {
        model_logged_out(r);
    }
}
