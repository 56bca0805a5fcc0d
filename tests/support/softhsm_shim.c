#include "support/softhsm_shim.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

softhsm_shim_set_fn softhsm_shim_set TDSA_EXPORT;
softhsm_shim_logins_fn softhsm_shim_logins TDSA_EXPORT;

static struct {
    CK_FUNCTION_LIST *real;
    CK_FUNCTION_LIST list;
    char fail[40];
    CK_RV rv;
    CK_FLAGS flags;
    unsigned logins;
} shim;

void softhsm_shim_set(const char *function, CK_RV rv, CK_FLAGS flags)
{
    (void)snprintf(shim.fail, sizeof shim.fail, "%s", function != NULL ? function : "");
    shim.rv = rv;
    shim.flags = flags;
    shim.logins = 0;
}

unsigned softhsm_shim_logins(void)
{
    return shim.logins;
}

static bool fails(const char *function)
{
    return strcmp(shim.fail, function) == 0;
}

/* A function of the same arguments in front of the real one. */
#define FRONT(name, params, args)                             \
    static CK_RV front_##name params                          \
    {                                                         \
        return fails(#name) ? shim.rv : shim.real->name args; \
    }

FRONT(C_Initialize, (void *a), (a))
FRONT(C_GetSlotList, (CK_BBOOL p, CK_SLOT_ID *s, CK_ULONG *n), (p, s, n))
FRONT(C_GetSlotInfo, (CK_SLOT_ID s, CK_SLOT_INFO *i), (s, i))
FRONT(C_OpenSession, (CK_SLOT_ID s, CK_FLAGS f, void *a, CK_NOTIFY n, CK_SESSION_HANDLE *h),
      (s, f, a, n, h))
FRONT(C_FindObjectsInit, (CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n), (h, t, n))
FRONT(C_FindObjects, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *o, CK_ULONG m, CK_ULONG *n),
      (h, o, m, n))
FRONT(C_GenerateKey,
      (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *k),
      (h, m, t, n, k))
FRONT(C_EncryptInit, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE k), (h, m, k))
FRONT(C_Encrypt, (CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *m),
      (h, in, n, out, m))
FRONT(C_DecryptInit, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE k), (h, m, k))
FRONT(C_Decrypt, (CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *m),
      (h, in, n, out, m))

static CK_RV front_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    const CK_RV rv = fails("C_GetTokenInfo") ? shim.rv : shim.real->C_GetTokenInfo(slot, info);

    if (rv == CKR_OK) {
        info->flags |= shim.flags;
    }
    return rv;
}

static CK_RV front_C_Login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
    shim.logins++;
    return fails("C_Login") ? shim.rv : shim.real->C_Login(h, user, pin, len);
}

TDSA_EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
    const char *path = getenv("TDSA_SOFTHSM_MODULE");
    void *library =
        dlopen(path != NULL ? path : "/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
    void *symbol = library != NULL ? dlsym(library, "C_GetFunctionList") : NULL;
    CK_C_GetFunctionList get = NULL;
    CK_RV rv = CKR_GENERAL_ERROR;

    if (symbol == NULL) {
        return rv;
    }
    memcpy(&get, &symbol, sizeof get);
    rv = get(&shim.real);
    if (rv != CKR_OK) {
        return rv;
    }
    shim.list = *shim.real;
    shim.list.C_Initialize = front_C_Initialize;
    shim.list.C_GetSlotList = front_C_GetSlotList;
    shim.list.C_GetSlotInfo = front_C_GetSlotInfo;
    shim.list.C_GetTokenInfo = front_C_GetTokenInfo;
    shim.list.C_OpenSession = front_C_OpenSession;
    shim.list.C_Login = front_C_Login;
    shim.list.C_FindObjectsInit = front_C_FindObjectsInit;
    shim.list.C_FindObjects = front_C_FindObjects;
    shim.list.C_GenerateKey = front_C_GenerateKey;
    shim.list.C_EncryptInit = front_C_EncryptInit;
    shim.list.C_Encrypt = front_C_Encrypt;
    shim.list.C_DecryptInit = front_C_DecryptInit;
    shim.list.C_Decrypt = front_C_Decrypt;
    *out = &shim.list;
    return CKR_OK;
}
