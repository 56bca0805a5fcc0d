/* Random sequences of calls, valid and not, over the test doubles. Every answer must be a code that
 * this module documents, and signing must follow its state machine. */
#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/errors.h"
#include "support/fake_engine.h"
#include "support/p11_fixture.h"

#define SESSIONS 4u

typedef struct {
    const uint8_t *data;
    size_t len, pos;
    CK_SESSION_HANDLE session[SESSIONS];
    bool signing[SESSIONS]; /* what the model says */
    bool initialised;
    CK_OBJECT_HANDLE object[8];
    size_t objects;
} run;

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static uint8_t take(run *r)
{
    return r->pos < r->len ? r->data[r->pos++] : 0;
}

static CK_RV known(CK_RV rv)
{
    must(strcmp(p11_rv_name(rv), "CKR_?") != 0);
    return rv;
}

static CK_OBJECT_HANDLE pick_object(run *r)
{
    const uint8_t b = take(r);

    return r->objects > 0 && b < 0xe0 ? r->object[b % r->objects] : b;
}

static void remember(run *r, CK_OBJECT_HANDLE h)
{
    r->object[r->objects < 8 ? r->objects++ : h % 8] = h;
}

static CK_MECHANISM pick_mech(run *r)
{
    static const CK_MECHANISM_TYPE types[] = {
        CKM_ECDSA, CKM_ECDSA_SHA256, CKM_ECDSA_SHA512,    CKM_SHA256,
        CKM_SHA_1, CKM_RSA_PKCS,     CKM_EC_KEY_PAIR_GEN, CKM_ECDSA_SHA1};
    const uint8_t b = take(r);

    return (CK_MECHANISM){types[b % 8], NULL, b >= 0xf8 ? 4u : 0u};
}

static void do_attributes(run *r, CK_SESSION_HANDLE s)
{
    CK_BYTE buf[4][80];
    CK_ATTRIBUTE a[4];
    const CK_ULONG count = take(r) % 5;

    memset(buf, 0, sizeof buf);
    for (size_t i = 0; i < 4; i++) {
        const uint8_t b = take(r);

        a[i].type = (CK_ATTRIBUTE_TYPE)take(r) | ((CK_ATTRIBUTE_TYPE)(b & 3) << 8);
        a[i].pValue = (b & 4) != 0 ? NULL : buf[i];
        a[i].ulValueLen = (b & 8) != 0 ? sizeof buf[i] : b >> 4;
    }
    switch (take(r) % 5) {
    case 0:
        (void)known(C_GetAttributeValue(s, pick_object(r), a, count));
        break;
    case 1:
        (void)known(C_SetAttributeValue(s, pick_object(r), a, count));
        break;
    case 2:
        (void)known(C_FindObjectsInit(s, a, count));
        break;
    case 3: {
        CK_MECHANISM mech = pick_mech(r);
        CK_OBJECT_HANDLE x = 0;
        CK_OBJECT_HANDLE y = 0;

        if (fake_key_count() < 20 &&
            known(C_GenerateKeyPair(s, &mech, a, count / 2, a + count / 2, count - count / 2, &x,
                                    &y)) == CKR_OK) {
            remember(r, x);
            remember(r, y);
        }
        break;
    }
    default: {
        CK_OBJECT_HANDLE x = 0;

        (void)known(C_CreateObject(s, a, count, &x));
    }
    }
}

static void do_find(run *r, CK_SESSION_HANDLE s)
{
    CK_OBJECT_HANDLE out[4];
    CK_ULONG n = 0;
    const CK_ULONG max = take(r) % 5;

    if (known(C_FindObjects(s, out, max, &n)) == CKR_OK) {
        must(n <= max);
        for (CK_ULONG i = 0; i < n; i++) {
            remember(r, out[i]);
        }
    }
    if (take(r) < 0x80) { /* or leave the search open */
        (void)known(C_FindObjectsFinal(s));
    }
}

static void do_sign(run *r, size_t i)
{
    CK_SESSION_HANDLE s = r->session[i];
    CK_MECHANISM mech = pick_mech(r);
    CK_BYTE data[70] = {1};
    CK_BYTE sig[64];
    const CK_ULONG len = take(r) % 70;
    CK_ULONG sig_len = take(r) % 70;
    const bool was = r->signing[i];
    CK_RV rv = CKR_OK;

    switch (take(r) % 5) {
    case 0:
        rv = known(C_SignInit(s, &mech, pick_object(r)));
        must(!was || rv == CKR_OPERATION_ACTIVE || rv == CKR_SESSION_HANDLE_INVALID ||
             rv == CKR_CRYPTOKI_NOT_INITIALIZED);
        r->signing[i] = was || rv == CKR_OK;
        return;
    case 1:
        rv = known(C_SignUpdate(s, data, len));
        r->signing[i] = was && rv == CKR_OK;
        break;
    case 2:
        rv = known(C_SignFinal(s, sig_len > 66 ? NULL : sig, &sig_len));
        r->signing[i] = was && (rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && sig_len == 64 &&
                                                               C_SignUpdate(s, data, 0) == CKR_OK));
        break;
    case 3:
        rv = known(C_Sign(s, data, len, sig, &sig_len));
        r->signing[i] = was && rv == CKR_BUFFER_TOO_SMALL;
        break;
    default:
        rv = known(C_Sign(s, data, len, NULL, &sig_len)); /* a size query changes nothing */
        r->signing[i] = was && rv == CKR_OK;
    }
    must(was || rv != CKR_OK);
}

static void do_verify_and_digest(run *r, CK_SESSION_HANDLE s)
{
    CK_MECHANISM mech = pick_mech(r);
    CK_BYTE data[70] = {2};
    CK_BYTE out[64];
    const CK_ULONG len = take(r) % 70;
    CK_ULONG out_len = take(r) % 70;

    switch (take(r) % 10) {
    case 0:
        (void)known(C_VerifyInit(s, &mech, pick_object(r)));
        break;
    case 1:
        (void)known(C_Verify(s, data, len, data, 64));
        break;
    case 2:
        (void)known(C_VerifyUpdate(s, data, len));
        break;
    case 3:
        (void)known(C_VerifyFinal(s, data, out_len));
        break;
    case 4:
        (void)known(C_VerifySignatureInit(s, &mech, pick_object(r), data, 64));
        break;
    case 5:
        (void)known(C_VerifySignature(s, data, len));
        break;
    case 6:
        (void)known(C_DigestInit(s, &mech));
        break;
    case 7:
        (void)known(C_Digest(s, data, len, out, &out_len));
        break;
    case 8:
        (void)known(C_DigestUpdate(s, data, len));
        break;
    default:
        (void)known(C_DigestFinal(s, out, &out_len));
    }
}

static void forget_sessions(run *r)
{
    memset(r->signing, 0, sizeof r->signing);
}

static void do_session(run *r, size_t i)
{
    CK_UTF8CHAR pin[] = FAKE_PIN;
    CK_FLAGS flags = CKF_SERIAL_SESSION | ((take(r) & 1) != 0 ? CKF_RW_SESSION : 0);

    switch (take(r) % 8) {
    case 0:
    case 1:
        r->signing[i] = false;
        (void)C_CloseSession(r->session[i]);
        (void)known(C_OpenSession(0, flags, NULL, NULL, &r->session[i]));
        break;
    case 2:
        (void)known(C_CloseSession(r->session[i]));
        r->signing[i] = false;
        break;
    case 3:
        (void)known(C_Login(r->session[i], CKU_USER, pin, 4));
        break;
    case 4:
        (void)known(C_Logout(r->session[i]));
        break;
    case 5:
        (void)known(C_SessionCancel(r->session[i], CKF_SIGN));
        r->signing[i] = false;
        break;
    case 6:
        (void)known(C_CloseAllSessions(0));
        forget_sessions(r);
        break;
    default:
        (void)known(C_Finalize(NULL));
        forget_sessions(r);
        (void)known(C_Initialize(NULL));
        r->objects = 0;
    }
}

static void step(run *r)
{
    const uint8_t op = take(r);
    const size_t i = op % SESSIONS;

    switch ((op / SESSIONS) % 8) {
    case 0:
        do_session(r, i);
        break;
    case 1:
        do_attributes(r, r->session[i]);
        break;
    case 2:
        do_find(r, r->session[i]);
        break;
    case 3:
    case 4:
        do_sign(r, i);
        break;
    case 5:
        do_verify_and_digest(r, r->session[i]);
        break;
    case 6:
        (void)known(C_DestroyObject(r->session[i], pick_object(r)));
        break;
    default:
        if (fake_key_count() < 20) {
            char name[8] = {'k', (char)('a' + take(r) % 26), (char)('a' + take(r) % 26), 0};

            if (!fake_has_key(name)) {
                fake_other_process_adds(name, GRP_P256, name);
            }
        }
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    p11_write_config("");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;
    run r = {.data = data, .len = size};

    fake_reset();
    if (runs++ % 64 == 0) { /* starting costs most; handles of dead keys pile up */
        (void)C_Finalize(NULL);
        must(C_Initialize(NULL) == CKR_OK);
    }
    must(C_CloseAllSessions(0) == CKR_OK);
    for (size_t i = 0; i < SESSIONS; i++) { /* begin in the middle of things */
        must(C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &r.session[i]) ==
             CKR_OK);
    }
    must(p11_login(r.session[0], FAKE_PIN) == CKR_OK);
    p11_make_pair(r.session[0], "a", &r.object[0], &r.object[1]);
    r.objects = 2;
    while (r.pos < r.len) {
        step(&r);
    }
    return 0;
}
