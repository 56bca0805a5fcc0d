#include "ks_shim.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

const ks_variant ks_shim_variant = {"sqlite+pkcs11", "sqlite", KS_ENCRYPTOR_PKCS11};

static void find(void *library, const char *name, void *out, size_t len)
{
    void *symbol = dlsym(library, name);

    assert_non_null(symbol);
    memcpy(out, &symbol, len);
}

ks_shim ks_shim_put(ks_fixture *f, const char *rest)
{
    ks_shim s = {.module = dlopen(SHIM_PATH, RTLD_NOW | RTLD_LOCAL)};

    assert_non_null(s.module);
    find(s.module, "softhsm_shim_set", &s.set, sizeof s.set);
    find(s.module, "softhsm_shim_hang", &s.hang, sizeof s.hang);
    find(s.module, "softhsm_shim_logins", &s.logins, sizeof s.logins);
    find(s.module, "softhsm_shim_names", &s.names, sizeof s.names);
    s.set(NULL, CKR_OK, 0);
    s.hang(NULL, 0);
    ks_close(f->s);
    f->s = NULL;
    (void)snprintf(f->uri, sizeof f->uri, "pkcs11:token=tok;object=tdsa-wrap?module-path=%s%s",
                   SHIM_PATH, rest);
    return s;
}

void ks_shim_drop(ks_shim *s)
{
    s->set(NULL, CKR_OK, 0);
    s->hang(NULL, 0);
    assert_int_equal(dlclose(s->module), 0);
}

struct CMUnitTest ks_shim_test(struct CMUnitTest test)
{
    test.setup_func = ks_fixture_setup;
    test.teardown_func = ks_fixture_teardown;
    test.initial_state = (void *)(uintptr_t)&ks_shim_variant;
    return test;
}
