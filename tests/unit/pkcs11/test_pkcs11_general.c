#include "support/p11_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkcs11-provider/errors.h"
#include "support/fake_engine.h"

/* Every pointer of a table of `count` functions behind its version. */
static void assert_no_null(const void *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *entry = NULL;

        memcpy(&entry, (const char *)table + sizeof(void *) * (i + 1), sizeof entry);
        assert_non_null(entry);
    }
}

static void function_list_says_2_40_and_has_no_null(void **state)
{
    CK_FUNCTION_LIST *list = NULL;

    (void)state;
    assert_int_equal(C_GetFunctionList(NULL), CKR_ARGUMENTS_BAD);
    P11_OK(C_GetFunctionList(&list));
    assert_int_equal(list->version.major, 2);
    assert_int_equal(list->version.minor, 40);
    assert_no_null(list, 68);
}

static void interfaces_are_3_2_3_0_and_2_40_and_have_no_null(void **state)
{
    static const struct {
        CK_VERSION version;
        size_t count;
    } want[] = {{{3, 2}, 68 + 24 + 12}, {{3, 0}, 68 + 24}, {{2, 40}, 68}};
    CK_INTERFACE list[3];
    CK_ULONG count = 2;

    (void)state;
    assert_int_equal(C_GetInterfaceList(NULL, NULL), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_GetInterfaceList(list, &count), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 3);
    count = 0;
    P11_OK(C_GetInterfaceList(NULL, &count));
    assert_int_equal(count, 3);
    P11_OK(C_GetInterfaceList(list, &count));
    for (size_t i = 0; i < 3; i++) {
        const CK_VERSION *v = list[i].pFunctionList;

        assert_string_equal((const char *)list[i].pInterfaceName, "PKCS 11");
        assert_int_equal(list[i].flags, CKF_INTERFACE_FORK_SAFE);
        assert_int_equal(v->major, want[i].version.major);
        assert_int_equal(v->minor, want[i].version.minor);
        assert_no_null(list[i].pFunctionList, want[i].count);
    }
}

static void interface_is_found_by_name_version_and_flags(void **state)
{
    CK_UTF8CHAR name[] = "PKCS 11";
    CK_UTF8CHAR other[] = "Vendor";
    CK_VERSION version = {3, 2};
    CK_INTERFACE *out = NULL;

    (void)state;
    assert_int_equal(C_GetInterface(name, &version, NULL, 0), CKR_ARGUMENTS_BAD);
    P11_OK(C_GetInterface(NULL, NULL, &out, 0));
    assert_int_equal(((const CK_VERSION *)out->pFunctionList)->major, 3);
    P11_OK(C_GetInterface(name, &version, &out, CKF_INTERFACE_FORK_SAFE));
    assert_int_equal(((const CK_VERSION *)out->pFunctionList)->minor, 2);
    version = (CK_VERSION){2, 40};
    P11_OK(C_GetInterface(name, &version, &out, 0));
    assert_int_equal(((const CK_VERSION *)out->pFunctionList)->major, 2);
    version = (CK_VERSION){3, 1};
    assert_int_equal(C_GetInterface(name, &version, &out, 0), CKR_ARGUMENTS_BAD);
    assert_null(out);
    assert_int_equal(C_GetInterface(other, NULL, &out, 0), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_GetInterface(name, NULL, &out, 4), CKR_ARGUMENTS_BAD);
}

static void info_tells_the_version_of_its_table(void **state)
{
    static const CK_VERSION versions[] = {{2, 40}, {3, 0}, {3, 2}};
    CK_INFO info;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        CK_VERSION v = versions[i];
        CK_INTERFACE *interface = NULL;

        P11_OK(C_GetInterface(NULL, &v, &interface, 0));
        P11_OK(((CK_FUNCTION_LIST *)interface->pFunctionList)->C_GetInfo(&info));
        assert_int_equal(info.cryptokiVersion.major, v.major);
        assert_int_equal(info.cryptokiVersion.minor, v.minor);
        assert_memory_equal(info.manufacturerID, "TDSA                            ", 32);
        assert_int_equal(info.flags, 0);
    }
    assert_int_equal(C_GetInfo(NULL), CKR_ARGUMENTS_BAD);
}

static CK_RV no_mutex(void **mutex)
{
    (void)mutex;
    return CKR_GENERAL_ERROR;
}

static CK_RV no_lock(void *mutex)
{
    (void)mutex;
    return CKR_GENERAL_ERROR;
}

static void initialize_follows_the_rules_of_its_arguments(void **state)
{
    CK_C_INITIALIZE_ARGS args = {0};
    int anything = 0;

    (void)state;
    assert_int_equal(C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
    P11_OK(C_Finalize(NULL));
    args.pReserved = &anything;
    assert_int_equal(C_Initialize(&args), CKR_ARGUMENTS_BAD);
    args.pReserved = NULL;
    args.CreateMutex = no_mutex;
    assert_int_equal(C_Initialize(&args), CKR_ARGUMENTS_BAD);
    args = (CK_C_INITIALIZE_ARGS){no_mutex, no_lock, no_lock, no_lock, 0, NULL};
    assert_int_equal(C_Initialize(&args), CKR_CANT_LOCK);
    args.flags = CKF_OS_LOCKING_OK; /* ours are used, the application's never called */
    P11_OK(C_Initialize(&args));
    P11_OK(C_Finalize(NULL));
    args = (CK_C_INITIALIZE_ARGS){.flags = CKF_LIBRARY_CANT_CREATE_OS_THREADS};
    P11_OK(C_Initialize(&args));
}

static void finalize_twice_is_an_error_and_no_crash(void **state)
{
    int anything = 0;

    (void)state;
    assert_int_equal(C_Finalize(&anything), CKR_ARGUMENTS_BAD);
    P11_OK(C_Finalize(NULL));
    assert_int_equal(C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
    P11_OK(C_Initialize(NULL));
    P11_OK(C_Finalize(NULL));
    assert_int_equal(atomic_load(&fake.stop_calls), 2);
}

static void initialize_fails_without_a_configuration(void **state)
{
    (void)state;
    P11_OK(C_Finalize(NULL));
    assert_int_equal(setenv("TDSA_PKCS11_CONFIG", "/nonexistent/pkcs11.yml", 1), 0);
    assert_int_equal(C_Initialize(NULL), CKR_GENERAL_ERROR);
    assert_int_equal(C_GetInfo(&(CK_INFO){0}), CKR_CRYPTOKI_NOT_INITIALIZED);
}

static void initialize_fails_when_the_store_does_not_open(void **state)
{
    (void)state;
    P11_OK(C_Finalize(NULL));
    atomic_store(&fake.fail_open, TDSA_E_STORE);
    assert_int_equal(C_Initialize(NULL), CKR_GENERAL_ERROR);
    atomic_store(&fake.fail_open, TDSA_OK);
    P11_OK(C_Initialize(NULL));
}

static void configuration_is_searched_for_the_user(void **state)
{
    const char *path = getenv("TDSA_PKCS11_CONFIG");
    const char *names[] = {"xdg", "xdg/tdsa", "home", "home/.config", "home/.config/tdsa"};
    char folder[128];
    char made[5][192];
    char xdg_file[256];
    char home_file[256];

    (void)state;
    P11_OK(C_Finalize(NULL));
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    for (size_t i = 0; i < 5; i++) {
        snprintf(made[i], sizeof made[i], "%s/%s", folder, names[i]);
        assert_int_equal(mkdir(made[i], 0700), 0);
    }
    snprintf(xdg_file, sizeof xdg_file, "%s/pkcs11.yml", made[1]);
    snprintf(home_file, sizeof home_file, "%s/pkcs11.yml", made[4]);
    assert_int_equal(rename(path, xdg_file), 0);
    unsetenv("TDSA_PKCS11_CONFIG");
    setenv("XDG_CONFIG_HOME", made[0], 1);
    P11_OK(C_Initialize(NULL));
    P11_OK(C_Finalize(NULL));
    assert_int_equal(rename(xdg_file, home_file), 0);
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", made[2], 1);
    P11_OK(C_Initialize(NULL));
    assert_int_equal(unlink(home_file), 0);
    for (size_t i = 5; i > 0; i--) {
        assert_int_equal(rmdir(made[i - 1]), 0);
    }
}

static void there_is_one_slot_with_a_token(void **state)
{
    CK_SLOT_ID slots[2];
    CK_ULONG count = 0;
    CK_SLOT_INFO slot;
    CK_TOKEN_INFO token;

    (void)state;
    assert_int_equal(C_GetSlotList(CK_TRUE, slots, NULL), CKR_ARGUMENTS_BAD);
    P11_OK(C_GetSlotList(CK_TRUE, NULL, &count));
    assert_int_equal(count, 1);
    count = 0;
    assert_int_equal(C_GetSlotList(CK_FALSE, slots, &count), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 1);
    P11_OK(C_GetSlotList(CK_FALSE, slots, &count));
    assert_int_equal(C_GetSlotInfo(slots[0] + 1, &slot), CKR_SLOT_ID_INVALID);
    assert_int_equal(C_GetSlotInfo(slots[0], NULL), CKR_ARGUMENTS_BAD);
    P11_OK(C_GetSlotInfo(slots[0], &slot));
    assert_int_equal(slot.flags, CKF_TOKEN_PRESENT);
    assert_int_equal(C_GetTokenInfo(slots[0] + 1, &token), CKR_SLOT_ID_INVALID);
    assert_int_equal(C_GetTokenInfo(slots[0], NULL), CKR_ARGUMENTS_BAD);
    P11_OK(C_GetTokenInfo(slots[0], &token));
    assert_memory_equal(token.label, "unit tests                      ", 32);
    assert_int_equal(token.flags, CKF_RNG | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED |
                                      CKF_TOKEN_INITIALIZED);
    for (size_t i = 0; i < sizeof token.serialNumber; i++) {
        assert_non_null(strchr("0123456789abcdef", token.serialNumber[i]));
    }
}

static void slot_events_want_a_place_to_be_told(void **state)
{
    CK_SLOT_ID slot = 0;

    (void)state;
    assert_int_equal(C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL), CKR_NO_EVENT);
    assert_int_equal(C_WaitForSlotEvent(CKF_DONT_BLOCK, NULL, NULL), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, &slot), CKR_ARGUMENTS_BAD);
}

static void mechanisms_are_listed_and_described(void **state)
{
    CK_MECHANISM_TYPE list[32];
    CK_MECHANISM_INFO info;
    CK_ULONG count = 0;

    (void)state;
    assert_int_equal(C_GetMechanismList(0, NULL, NULL), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_GetMechanismList(1, NULL, &count), CKR_SLOT_ID_INVALID);
    P11_OK(C_GetMechanismList(0, NULL, &count));
    assert_int_equal(count, 18);
    count = 17;
    assert_int_equal(C_GetMechanismList(0, list, &count), CKR_BUFFER_TOO_SMALL);
    P11_OK(C_GetMechanismList(0, list, &count));
    for (CK_ULONG i = 0; i < count; i++) {
        P11_OK(C_GetMechanismInfo(0, list[i], &info));
        assert_int_not_equal(list[i], CKM_ECDSA_SHA1);
    }
    P11_OK(C_GetMechanismInfo(0, CKM_ECDSA, &info));
    assert_int_equal(info.ulMinKeySize, 256);
    assert_int_equal(info.ulMaxKeySize, 521);
    assert_true((info.flags & CKF_SIGN) != 0 && (info.flags & CKF_HW) == 0);
    P11_OK(C_GetMechanismInfo(0, CKM_SHA256, &info));
    assert_int_equal(info.flags, CKF_DIGEST);
    assert_int_equal(C_GetMechanismInfo(0, CKM_ECDSA, NULL), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_GetMechanismInfo(1, CKM_ECDSA, &info), CKR_SLOT_ID_INVALID);
    assert_int_equal(C_GetMechanismInfo(0, CKM_RSA_PKCS, &info), CKR_MECHANISM_INVALID);
    assert_int_equal(C_GetMechanismInfo(0, CKM_ECDSA_SHA1, &info), CKR_MECHANISM_INVALID);
}

static void ecdsa_sha1_is_there_when_configured(void **state)
{
    CK_MECHANISM_INFO info;

    (void)state;
    P11_OK(p11_restart("  ecdsaSha1: true\n"));
    P11_OK(C_GetMechanismInfo(0, CKM_ECDSA_SHA1, &info));
    assert_true((info.flags & CKF_SIGN) != 0);
}

static void random_bytes_come_and_seeds_are_accepted(void **state)
{
    const CK_SESSION_HANDLE s = p11_open(0);
    CK_BYTE a[32] = {0};
    CK_BYTE b[32] = {0};

    (void)state;
    P11_OK(C_GenerateRandom(s, a, sizeof a));
    P11_OK(C_GenerateRandom(s, b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
    P11_OK(C_GenerateRandom(s, NULL, 0));
    assert_int_equal(C_GenerateRandom(s, NULL, 1), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_GenerateRandom(s + 1, a, 1), CKR_SESSION_HANDLE_INVALID);
    P11_OK(C_SeedRandom(s, a, sizeof a));
    assert_int_equal(C_SeedRandom(s, NULL, 1), CKR_ARGUMENTS_BAD);
}

/* A function of any signature, called with zeros: the ABI passes them in registers and on a zeroed
 * stack. */
typedef CK_RV (*any_function)(void *, void *, void *, void *, void *, void *, void *, void *,
                              void *, void *);

static void every_function_survives_zeros(void **state)
{
    CK_VERSION v = {3, 2};
    CK_INTERFACE *interface = NULL;

    (void)state;
    P11_OK(C_GetInterface(NULL, &v, &interface, 0));
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 2; i < 68 + 24 + 12; i++) { /* all but C_Initialize and C_Finalize */
            any_function fn = NULL;
            CK_RV rv = CKR_OK;

            memcpy(&fn, (const char *)interface->pFunctionList + sizeof(void *) * (i + 1),
                   sizeof fn);
            rv = fn(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
            if (round == 0) {
                assert_string_not_equal(p11_rv_name(rv), "CKR_?"); /* an answer we know */
            } else if (i != 3 && i != 68 && i != 69) { /* these work without C_Initialize */
                assert_int_equal(rv, CKR_CRYPTOKI_NOT_INITIALIZED);
            }
        }
        if (round == 0) {
            P11_OK(C_Finalize(NULL));
        }
    }
}

static void functions_that_are_not_there_say_so(void **state)
{
    const CK_SESSION_HANDLE s = p11_open(0);
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_FLAGS flags = 7;

    (void)state;
    assert_int_equal(C_InitToken(0, NULL, 0, NULL), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(C_SetPIN(s, NULL, 0, NULL, 0), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(C_EncryptInit(s, &mech, 1), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(C_DeriveKey(s, &mech, 1, NULL, 0, NULL), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(C_WrapKey(s, &mech, 1, 1, NULL, NULL), CKR_KEY_UNEXTRACTABLE);
    assert_int_equal(C_GetFunctionStatus(0), CKR_FUNCTION_NOT_PARALLEL);
    assert_int_equal(C_CancelFunction(0), CKR_FUNCTION_NOT_PARALLEL);
    assert_int_equal(C_AsyncComplete(s, NULL, NULL), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(C_SignMessageBegin(s, NULL, 0), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(C_GetSessionValidationFlags(s, 1, NULL), CKR_ARGUMENTS_BAD);
    P11_OK(C_GetSessionValidationFlags(s, 1, &flags));
    assert_int_equal(flags, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, p11_setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(function_list_says_2_40_and_has_no_null),
        cmocka_unit_test(interfaces_are_3_2_3_0_and_2_40_and_have_no_null),
        cmocka_unit_test(interface_is_found_by_name_version_and_flags),
        TEST(info_tells_the_version_of_its_table),
        TEST(initialize_follows_the_rules_of_its_arguments),
        TEST(finalize_twice_is_an_error_and_no_crash),
        TEST(initialize_fails_without_a_configuration),
        TEST(initialize_fails_when_the_store_does_not_open),
        TEST(configuration_is_searched_for_the_user),
        TEST(there_is_one_slot_with_a_token),
        TEST(slot_events_want_a_place_to_be_told),
        TEST(mechanisms_are_listed_and_described),
        TEST(ecdsa_sha1_is_there_when_configured),
        TEST(random_bytes_come_and_seeds_are_accepted),
        TEST(every_function_survives_zeros),
        TEST(functions_that_are_not_there_say_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
