#include "support/softhsm_shim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/attr.h"

softhsm_shim_set_fn softhsm_shim_set TDSA_EXPORT;
softhsm_shim_hang_fn softhsm_shim_hang TDSA_EXPORT;
softhsm_shim_logins_fn softhsm_shim_logins TDSA_EXPORT;
softhsm_shim_names_fn softhsm_shim_names TDSA_EXPORT;

#define NAME_MAX_LEN 40
#define LOOK_MS      5u

typedef struct {
    char fail[NAME_MAX_LEN];
    CK_RV rv;
    char hang[NAME_MAX_LEN];
    unsigned hang_ms;
    CK_FLAGS flags;
} faults;

static struct {
    pthread_mutex_t mu;
    CK_FUNCTION_LIST *real;
    CK_FUNCTION_LIST list;
    faults own; /* what the functions below set */
    unsigned logins;
} shim = {.mu = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    (void)pthread_mutex_lock(&shim.mu);
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&shim.mu);
}

static void copy_name(char out[NAME_MAX_LEN], const char *name)
{
    (void)snprintf(out, NAME_MAX_LEN, "%s", name != NULL ? name : "");
}

void softhsm_shim_set(const char *function, CK_RV rv, CK_FLAGS flags)
{
    lock();
    copy_name(shim.own.fail, function);
    shim.own.rv = rv;
    shim.own.flags = flags;
    shim.logins = 0;
    unlock();
}

void softhsm_shim_hang(const char *function, unsigned ms)
{
    lock();
    copy_name(shim.own.hang, function);
    shim.own.hang_ms = ms;
    unlock();
}

unsigned softhsm_shim_logins(void)
{
    unsigned n = 0;

    lock();
    n = shim.logins;
    unlock();
    return n;
}

/* One line of the file over what is there. */
static void read_line(faults *f, const char *line)
{
    char word[NAME_MAX_LEN] = "";
    char name[NAME_MAX_LEN] = "";
    char number[NAME_MAX_LEN] = "";
    const int n = sscanf(line, "%39s %39s %39s", word, name, number);

    if (n == 3 && strcmp(word, "fail") == 0) {
        copy_name(f->fail, name);
        f->rv = strtoul(number, NULL, 0);
    } else if (n == 3 && strcmp(word, "hang") == 0) {
        copy_name(f->hang, name);
        f->hang_ms = (unsigned)strtoul(number, NULL, 0);
    } else if (n == 2 && strcmp(word, "flags") == 0) {
        f->flags |= strtoul(name, NULL, 0);
    }
}

/* What is wrong now. */
static faults look(void)
{
    const char *path = getenv("TDSA_SHIM_FAULTS");
    FILE *file = path != NULL ? fopen(path, "re") : NULL;
    char line[160];
    faults f;

    lock();
    f = shim.own;
    unlock();
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        read_line(&f, line);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return f;
}

static bool means(const char *name, const char *function)
{
    return strcmp(name, function) == 0 || strcmp(name, "*") == 0;
}

/* Before a call; true: it fails with *rv. */
static bool fails(const char *function, CK_RV *rv)
{
    const struct timespec pause = {0, LOOK_MS * 1000000L};
    faults f = look();

    for (unsigned ms = 0; means(f.hang, function) && ms < f.hang_ms; ms += LOOK_MS) {
        (void)nanosleep(&pause, NULL);
        f = look();
    }
    *rv = f.rv;
    return means(f.fail, function);
}

/* A function of the same arguments in front of the real one. */
#define FRONT(name, params, args)                             \
    static CK_RV front_##name params                          \
    {                                                         \
        CK_RV rv = CKR_OK;                                    \
        return fails(#name, &rv) ? rv : shim.real->name args; \
    }

FRONT(C_Initialize, (void *a), (a))
FRONT(C_Finalize, (void *a), (a))
FRONT(C_GetSlotList, (CK_BBOOL p, CK_SLOT_ID *s, CK_ULONG *n), (p, s, n))
FRONT(C_GetSlotInfo, (CK_SLOT_ID s, CK_SLOT_INFO *i), (s, i))
FRONT(C_OpenSession, (CK_SLOT_ID s, CK_FLAGS f, void *a, CK_NOTIFY n, CK_SESSION_HANDLE *h),
      (s, f, a, n, h))
FRONT(C_CloseSession, (CK_SESSION_HANDLE h), (h))
FRONT(C_Logout, (CK_SESSION_HANDLE h), (h))
FRONT(C_FindObjectsInit, (CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n), (h, t, n))
FRONT(C_FindObjects, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *o, CK_ULONG m, CK_ULONG *n),
      (h, o, m, n))
FRONT(C_FindObjectsFinal, (CK_SESSION_HANDLE h), (h))
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
    CK_RV rv = CKR_OK;

    if (!fails("C_GetTokenInfo", &rv)) {
        rv = shim.real->C_GetTokenInfo(slot, info);
    }
    if (rv == CKR_OK) {
        info->flags |= look().flags;
    }
    return rv;
}

static CK_RV front_C_Login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
    CK_RV rv = CKR_OK;

    lock();
    shim.logins++;
    unlock();
    return fails("C_Login", &rv) ? rv : shim.real->C_Login(h, user, pin, len);
}

const char *const *softhsm_shim_names(void)
{
    static const char *const names[] = {"C_GetFunctionList",
                                        "C_Initialize",
                                        "C_GetSlotList",
                                        "C_GetSlotInfo",
                                        "C_GetTokenInfo",
                                        "C_OpenSession",
                                        "C_Login",
                                        "C_FindObjectsInit",
                                        "C_FindObjects",
                                        "C_FindObjectsFinal",
                                        "C_EncryptInit",
                                        "C_Encrypt",
                                        "C_DecryptInit",
                                        "C_Decrypt",
                                        "C_GenerateKey",
                                        "C_Logout",
                                        "C_CloseSession",
                                        "C_Finalize",
                                        NULL};

    return names;
}

#define PUT(name) shim.list.name = front_##name

static void put_fronts(void)
{
    shim.list = *shim.real;
    PUT(C_Initialize);
    PUT(C_Finalize);
    PUT(C_GetSlotList);
    PUT(C_GetSlotInfo);
    PUT(C_GetTokenInfo);
    PUT(C_OpenSession);
    PUT(C_CloseSession);
    PUT(C_Login);
    PUT(C_Logout);
    PUT(C_FindObjectsInit);
    PUT(C_FindObjects);
    PUT(C_FindObjectsFinal);
    PUT(C_GenerateKey);
    PUT(C_EncryptInit);
    PUT(C_Encrypt);
    PUT(C_DecryptInit);
    PUT(C_Decrypt);
}

TDSA_EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
    const char *path = getenv("TDSA_SOFTHSM_MODULE");
    void *library =
        dlopen(path != NULL ? path : "/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
    void *symbol = library != NULL ? dlsym(library, "C_GetFunctionList") : NULL;
    CK_C_GetFunctionList get = NULL;
    CK_RV rv = CKR_GENERAL_ERROR;

    if (symbol == NULL || fails("C_GetFunctionList", &rv)) {
        return rv;
    }
    memcpy(&get, &symbol, sizeof get);
    rv = get(&shim.real);
    if (rv != CKR_OK) {
        return rv;
    }
    put_fronts();
    *out = &shim.list;
    return CKR_OK;
}
