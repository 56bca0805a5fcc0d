#include "support/p11.h"

#include <dlfcn.h>
#include <string.h>

#define SLOTS_MAX 16u

static CK_BYTE oid_p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static CK_BYTE oid_secp256k1[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};

bool p11_good(CK_RV rv, const char *what)
{
    if (rv != CKR_OK) {
        (void)fprintf(stderr, "%s: CKR 0x%lx\n", what, (unsigned long)rv);
    }
    return rv == CKR_OK;
}

static bool load(p11 *p, const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;
    CK_C_INITIALIZE_ARGS args;
    void *symbol = NULL;

    if (handle == NULL) {
        (void)fprintf(stderr, "%s\n", dlerror());
        return false;
    }
    symbol = dlsym(handle, "C_GetFunctionList");
    if (symbol == NULL) {
        (void)fprintf(stderr, "%s has no C_GetFunctionList\n", path);
        return false;
    }
    memcpy(&get, &symbol, sizeof get); /* POSIX: data and function pointers have one size */
    memset(&args, 0, sizeof args);
    args.flags = CKF_OS_LOCKING_OK;
    return p11_good(get(&p->f), "C_GetFunctionList") &&
           p11_good(p->f->C_Initialize(&args), "C_Initialize");
}

static bool find_slot(p11 *p, const char *token)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_TOKEN_INFO info;
    const size_t len = strlen(token);
    CK_ULONG i = 0;

    if (!p11_good(p->f->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList")) {
        return false;
    }
    for (i = 0; i < count; i++) {
        if (p->f->C_GetTokenInfo(slots[i], &info) == CKR_OK && len <= sizeof info.label &&
            memcmp(info.label, token, len) == 0) {
            p->slot = slots[i];
            return true;
        }
    }
    (void)fprintf(stderr, "no token with the label %s\n", token);
    return false;
}

bool p11_open(p11 *p, const char *module, const char *token)
{
    memset(p, 0, sizeof *p);
    return load(p, module) && find_slot(p, token) && p11_open_session(p, &p->session);
}

bool p11_open_session(const p11 *p, CK_SESSION_HANDLE *out)
{
    return p11_good(
        p->f->C_OpenSession(p->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, out),
        "C_OpenSession");
}

bool p11_log_in(const p11 *p, const char *pin)
{
    CK_UTF8CHAR copy[128];
    const size_t len = strlen(pin);

    if (len > sizeof copy) {
        return false;
    }
    memcpy(copy, pin, len);
    return p11_good(p->f->C_Login(p->session, CKU_USER, copy, len), "C_Login");
}

CK_RV p11_make_key(p11 *p, const char *curve, const char *label)
{
    const bool is_p256 = strcmp(curve, "p256") == 0;
    CK_BBOOL yes = CK_TRUE;
    CK_BYTE name[64];
    const size_t len = strnlen(label, sizeof name);
    CK_ATTRIBUTE public_part[] = {
        {CKA_EC_PARAMS, is_p256 ? oid_p256 : oid_secp256k1,
         is_p256 ? sizeof oid_p256 : sizeof oid_secp256k1},
        {CKA_TOKEN, &yes, sizeof yes},
        {CKA_VERIFY, &yes, sizeof yes},
        {CKA_LABEL, name, len},
    };
    CK_ATTRIBUTE private_part[] = {
        {CKA_TOKEN, &yes, sizeof yes},
        {CKA_PRIVATE, &yes, sizeof yes},
        {CKA_SENSITIVE, &yes, sizeof yes},
        {CKA_SIGN, &yes, sizeof yes},
        {CKA_LABEL, name, len},
    };
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};

    memcpy(name, label, len);
    return p->f->C_GenerateKeyPair(p->session, &mechanism, public_part, 4, private_part, 5,
                                   &p->public_key, &p->private_key);
}

static bool find_one(const p11 *p, CK_OBJECT_CLASS class, const char *label, CK_OBJECT_HANDLE *out)
{
    CK_BYTE name[64];
    const size_t len = strnlen(label, sizeof name);
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, name, len}};
    CK_ULONG found = 0;

    memcpy(name, label, len);
    if (!p11_good(p->f->C_FindObjectsInit(p->session, wanted, 2), "C_FindObjectsInit")) {
        return false;
    }
    if (!p11_good(p->f->C_FindObjects(p->session, out, 1, &found), "C_FindObjects")) {
        found = 0;
    }
    return p11_good(p->f->C_FindObjectsFinal(p->session), "C_FindObjectsFinal") && found == 1;
}

bool p11_find_key(p11 *p, const char *label)
{
    return find_one(p, CKO_PRIVATE_KEY, label, &p->private_key) &&
           find_one(p, CKO_PUBLIC_KEY, label, &p->public_key);
}

void p11_destroy_key(const p11 *p)
{
    (void)p->f->C_DestroyObject(p->session, p->private_key);
    (void)p->f->C_DestroyObject(p->session, p->public_key);
}

CK_RV p11_sign(const p11 *p, CK_SESSION_HANDLE session, const unsigned char digest[32],
               unsigned char signature[64])
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_BYTE in[32];
    CK_ULONG len = 64;
    CK_RV rv = CKR_OK;

    memcpy(in, digest, sizeof in);
    rv = p->f->C_SignInit(session, &mechanism, p->private_key);
    if (rv == CKR_OK) {
        rv = p->f->C_Sign(session, in, sizeof in, signature, &len);
    }
    return rv == CKR_OK && len != 64 ? CKR_GENERAL_ERROR : rv;
}

void p11_close(p11 *p)
{
    if (p->f != NULL) {
        (void)p->f->C_Finalize(NULL);
    }
}
