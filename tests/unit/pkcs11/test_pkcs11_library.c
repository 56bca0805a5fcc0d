#include "support/p11_fixture.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* The library as a host loads it. */

typedef CK_RV (*get_list_fn)(CK_FUNCTION_LIST **);

static CK_FUNCTION_LIST *load(void **handle)
{
    get_list_fn get = NULL;
    CK_FUNCTION_LIST *list = NULL;
    void *symbol = NULL;

    *handle = dlopen(TDSA_TEST_MODULE, RTLD_NOW | RTLD_LOCAL);
    if (*handle == NULL) {
        fail_msg("%s", dlerror());
    }
    symbol = dlsym(*handle, "C_GetFunctionList");
    assert_non_null(symbol);
    memcpy(&get, &symbol, sizeof get);
    P11_OK(get(&list));
    return list;
}

static void the_library_can_be_loaded_again_and_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        void *handle = NULL;
        CK_FUNCTION_LIST *list = load(&handle);
        CK_SESSION_HANDLE s = 0;

        P11_OK(list->C_Initialize(NULL));
        P11_OK(list->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s));
        if (i != 1) { /* a host that forgets C_Finalize */
            P11_OK(list->C_Finalize(NULL));
        } else {
            assert_int_equal(dlclose(handle), 0);
            list = load(&handle);
            P11_OK(list->C_Finalize(NULL));
        }
        assert_int_equal(dlclose(handle), 0);
    }
}

static void only_the_standard_names_are_exported(void **state)
{
    FILE *nm = popen("nm -D --defined-only " TDSA_TEST_MODULE, "r");
    char line[512];
    unsigned count = 0;

    (void)state;
    assert_non_null(nm);
    while (fgets(line, sizeof line, nm) != NULL) {
        const char *name = strrchr(line, ' ');

        assert_non_null(name);
        if (strncmp(name, " C_", 3) != 0) {
            fail_msg("exported: %s", line);
        }
        count++;
    }
    assert_int_equal(pclose(nm), 0);
    assert_int_equal(count, 68 + 24 + 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_library_can_be_loaded_again_and_again, p11_setup,
                                        p11_teardown),
        cmocka_unit_test_setup_teardown(only_the_standard_names_are_exported, p11_setup,
                                        p11_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
