/* What a program, a slot and a slot of one key get to see. */
#include "support/p11_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/slot.h"
#include "support/fake_engine.h"

#define NONE 0u
#define P256 1u
#define ED   2u
#define K1   4u

static int teardown(void **state)
{
    (void)unsetenv("TDSA_PKCS11_VIEW");
    return p11_teardown(state);
}

/* Which of the three keys a session sees, by their public objects. */
static unsigned seen(CK_SESSION_HANDLE s)
{
    static const char *const labels[] = {"p256", "ed", "k1"};
    CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY;
    unsigned bits = NONE;

    for (unsigned i = 0; i < 3; i++) {
        CK_BYTE name[8];
        CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cls, sizeof cls},
                                {CKA_LABEL, name, strlen(labels[i])}};
        CK_OBJECT_HANDLE found = 0;

        memcpy(name, labels[i], strlen(labels[i]));
        bits |= p11_find_all(s, P11_ARRAY(templ), &found, 1) == 1 ? 1u << i : 0;
    }
    return bits;
}

static unsigned seen_in(CK_SLOT_ID slot)
{
    CK_SESSION_HANDLE s = 0;
    unsigned bits = 0;

    P11_OK(C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &s));
    bits = seen(s);
    P11_OK(C_CloseSession(s));
    return bits;
}

#define MY_VIEWS                     \
    "  views:\n"                     \
    "    - name: bitcoin\n"          \
    "      curves: [ secp256k1 ]\n"  \
    "    - name: two keys\n"         \
    "      keys: [ key-ed, p256 ]\n" \
    "    - name: of this test\n"     \
    "      curves: [ Ed25519 ]\n"    \
    "      programs: [ nobody, test_pkcs11_views ]\n"

static void views_show_curves_and_keys(void **state)
{
    static const struct {
        const char *view;
        unsigned bits;
    } cases[] = {{"all", P256 | ED | K1},
                 {"ssh", P256},
                 {"openssl", P256 | K1},
                 {"bitcoin", K1},
                 {"two keys", P256 | ED}};
    char extra[512];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(extra, sizeof extra, "  view: %s\n" MY_VIEWS, cases[i].view);
        P11_OK(p11_restart(extra));
        assert_int_equal(seen_in(0), cases[i].bits);
    }
}

static void the_environment_chooses_before_the_configuration(void **state)
{
    (void)state;
    assert_int_equal(setenv("TDSA_PKCS11_VIEW", "ssh", 1), 0);
    P11_OK(p11_restart("  view: all\n"));
    assert_int_equal(seen_in(0), P256);
    assert_int_equal(setenv("TDSA_PKCS11_VIEW", "", 1), 0);
    P11_OK(p11_restart("  view: openssl\n"));
    assert_int_equal(seen_in(0), P256 | K1);
}

static void a_program_gets_the_view_that_names_it(void **state)
{
    (void)state;
    P11_OK(p11_restart(""));
    assert_int_equal(seen_in(0), P256 | ED | K1); /* a program that nobody knows */
    P11_OK(p11_restart(MY_VIEWS));
    assert_int_equal(seen_in(0), ED);
    P11_OK(p11_restart("  view: auto\n" MY_VIEWS));
    assert_int_equal(seen_in(0), ED);
}

/* What the module says on standard error when it cannot start. */
static void reason_of(const char *extra, char *out, size_t cap)
{
    char path[] = "/tmp/tdsa-p11-log-XXXXXX";
    const int fd = mkstemp(path);
    FILE *f = NULL;
    size_t n = 0;

    assert_true(fd >= 0);
    assert_int_equal(setenv("TDSA_PKCS11_LOG_FILE", path, 1), 0);
    assert_int_equal(p11_restart(extra), CKR_GENERAL_ERROR);
    assert_int_equal(unsetenv("TDSA_PKCS11_LOG_FILE"), 0);
    f = fdopen(fd, "r");
    assert_non_null(f);
    n = fread(out, 1, cap - 1, f);
    out[n] = '\0';
    (void)fclose(f);
    (void)remove(path);
}

static void a_view_that_is_not_there_stops_the_module_with_a_reason(void **state)
{
    static const struct {
        const char *extra, *says;
    } cases[] = {
        {"  view: nonsense\n", "nonsense"},
        {"  views:\n    - name: ssh\n", "already"},
        {"  views:\n    - name: auto\n", "already"},
        {"  views:\n    - name: a\n    - name: a\n", "already"},
        {"  views:\n    - name: a\n      curves: [ P-257 ]\n", "P-257"},
        {"  slots:\n    - tokenLabel: x\n      view: nonsense\n", "nonsense"},
        {"  slots:\n    - tokenLabel: a label that is longer than it may be\n      view: all\n",
         "32"}};
    char text[2048];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reason_of(cases[i].extra, text, sizeof text);
        assert_non_null(strstr(text, cases[i].says));
    }
    assert_int_equal(setenv("TDSA_PKCS11_VIEW", "unheard of", 1), 0);
    reason_of("", text, sizeof text);
    assert_non_null(strstr(text, "unheard of"));
}

static void what_is_hidden_cannot_be_used(void **state)
{
    CK_MECHANISM mech = {CKM_EDDSA, NULL, 0};
    CK_OBJECT_HANDLE ed = 0;
    CK_SESSION_HANDLE s = 0;
    CK_ULONG size = 0;

    (void)state;
    P11_OK(p11_restart("  slots:\n    - tokenLabel: ssh\n      view: ssh\n"));
    s = p11_open_user();
    ed = p11_one_labelled(s, CKO_PRIVATE_KEY, "ed");
    P11_OK(C_SignInit(s, &mech, ed));
    P11_OK(C_OpenSession(1, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s));
    assert_int_equal(C_SignInit(s, &mech, ed), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(C_GetObjectSize(s, ed, &size), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(p11_set(s, ed, CKA_LABEL, "x"), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(C_DestroyObject(s, ed), CKR_OBJECT_HANDLE_INVALID);
}

/* ---- slots ---- */

static void check_padded(const CK_UTF8CHAR *have, size_t cap, const char *want)
{
    const size_t len = strlen(want);

    assert_memory_equal(have, want, len);
    for (size_t i = len; i < cap; i++) {
        assert_int_equal(have[i], ' ');
    }
}

static void each_slot_is_a_token_with_its_view(void **state)
{
    CK_SLOT_ID list[4];
    CK_ULONG count = 1;
    CK_TOKEN_INFO info[3];

    (void)state;
    P11_OK(p11_restart("  slots:\n    - tokenLabel: ssh keys\n      view: ssh\n"
                       "    - tokenLabel: coins\n      view: bitcoin\n" MY_VIEWS));
    assert_int_equal(setenv("TDSA_PKCS11_VIEW", "", 1), 0);
    assert_int_equal(C_GetSlotList(CK_TRUE, list, &count), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 3);
    P11_OK(C_GetSlotList(CK_TRUE, list, &count));
    for (CK_SLOT_ID i = 0; i < 3; i++) {
        assert_int_equal(list[i], i);
        P11_OK(C_GetTokenInfo(i, &info[i]));
    }
    check_padded(info[0].label, sizeof info[0].label, "unit tests");
    check_padded(info[1].label, sizeof info[1].label, "ssh keys");
    check_padded(info[2].label, sizeof info[2].label, "coins");
    assert_memory_not_equal(info[0].serialNumber, info[1].serialNumber, 16);
    assert_memory_not_equal(info[1].serialNumber, info[2].serialNumber, 16);
    assert_int_equal(C_GetTokenInfo(3, &info[0]), CKR_SLOT_ID_INVALID);
    P11_OK(p11_restart("  view: all\n  slots:\n    - tokenLabel: a\n      view: ssh\n"
                       "    - tokenLabel: b\n      view: bitcoin\n" MY_VIEWS));
    assert_int_equal(seen_in(0), P256 | ED | K1);
    assert_int_equal(seen_in(1), P256);
    assert_int_equal(seen_in(2), K1);
}

static void sessions_are_of_one_slot_and_the_login_of_all(void **state)
{
    CK_SESSION_HANDLE a = 0;
    CK_SESSION_HANDLE b = 0;
    CK_SESSION_INFO session;
    CK_TOKEN_INFO token;

    (void)state;
    P11_OK(p11_restart("  slots:\n    - tokenLabel: second\n      view: all\n"));
    a = p11_open(CKF_RW_SESSION);
    P11_OK(C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &b));
    P11_OK(C_GetSessionInfo(b, &session));
    assert_int_equal(session.slotID, 1);
    P11_OK(C_GetTokenInfo(1, &token));
    assert_int_equal(token.ulSessionCount, 1);
    assert_int_equal(token.ulRwSessionCount, 0);
    P11_OK(p11_login(a, FAKE_PIN));
    P11_OK(C_GetSessionInfo(b, &session));
    assert_int_equal(session.state, CKS_RO_USER_FUNCTIONS);
    P11_OK(C_CloseAllSessions(0));
    assert_int_equal(C_GetSessionInfo(a, &session), CKR_SESSION_HANDLE_INVALID);
    P11_OK(C_GetSessionInfo(b, &session)); /* of the other slot, and still logged in */
    assert_int_equal(session.state, CKS_RO_USER_FUNCTIONS);
    assert_int_equal(C_CloseAllSessions(2), CKR_SLOT_ID_INVALID);
}

/* ---- a slot per key ---- */

static CK_ULONG slots(CK_SLOT_ID *list, CK_ULONG max)
{
    CK_ULONG count = 0;

    P11_OK(C_GetSlotList(CK_TRUE, NULL, &count)); /* looks for new keys */
    assert_in_range(count, 1, max);
    P11_OK(C_GetSlotList(CK_TRUE, list, &count));
    return count;
}

/* The slot of the key with this label. */
static CK_SLOT_ID slot_of(const char *label)
{
    CK_SLOT_ID list[16];
    const CK_ULONG count = slots(list, 16);
    CK_TOKEN_INFO info;

    for (CK_ULONG i = 0; i < count; i++) {
        P11_OK(C_GetTokenInfo(list[i], &info));
        if (memcmp(info.label, label, strlen(label)) == 0 && info.label[strlen(label)] == ' ') {
            return list[i];
        }
    }
    return CK_UNAVAILABLE_INFORMATION;
}

static void each_key_has_a_slot_that_shows_it_alone(void **state)
{
    CK_SLOT_ID list[16];
    CK_TOKEN_INFO a;
    CK_TOKEN_INFO b;

    (void)state;
    P11_OK(p11_restart("  slotPerKey: true\n"));
    assert_int_equal(slots(list, 16), 4); /* and the one that shows everything */
    assert_int_equal(list[0], 0);
    assert_true(slot_of("p256") >= P11_SLOT_KEYS);
    assert_int_equal(seen_in(0), P256 | ED | K1);
    assert_int_equal(seen_in(slot_of("p256")), P256);
    assert_int_equal(seen_in(slot_of("ed")), ED);
    P11_OK(C_GetTokenInfo(slot_of("ed"), &a));
    P11_OK(C_GetTokenInfo(slot_of("k1"), &b));
    assert_memory_not_equal(a.serialNumber, b.serialNumber, 16);
}

static void the_label_of_a_key_is_cut_between_characters(void **state)
{
    static const char *const labels[] = {
        "a euro beyond thirty-one bytes.\xe2\x82\xac", "exactly thirty-two bytes long\xe2\x82\xac",
        "a euro of bytes thirty-one on \xe2\x82\xac.",
        "no text at all \x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
        "\x80\x80\x80\x80\x80\x80\x80\x80\x80"};
    static const char *const ids[] = {"z-1", "z-2", "z-3", "z-4"};
    static const size_t kept[] = {31, 32, 30, 32};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        CK_SLOT_ID list[16];
        CK_TOKEN_INFO info;
        char want[33] = {0};

        memcpy(want, labels[i], kept[i]);
        fake_other_process_adds(ids[i], GRP_P256, labels[i]);
        P11_OK(p11_restart("  slotPerKey: true\n"));
        P11_OK(C_GetTokenInfo(list[slots(list, 16) - 1], &info)); /* by id */
        check_padded(info.label, sizeof info.label, want);
        fake_other_process_deletes(ids[i]);
    }
}

static void slots_of_keys_keep_their_ids(void **state)
{
    const char *extra = "  slotPerKey: true\n";
    CK_SLOT_ID p256 = 0;
    CK_SLOT_ID k1 = 0;
    CK_TOKEN_INFO info;
    CK_SLOT_INFO slot;

    (void)state;
    P11_OK(p11_restart(extra));
    p256 = slot_of("p256");
    k1 = slot_of("k1");
    fake_other_process_adds("key-a", GRP_P256, "first by name");
    fake_other_process_deletes("key-ed");
    assert_int_equal(slot_of("p256"), p256);
    assert_int_equal(slot_of("k1"), k1);
    assert_true(slot_of("first by name") > k1);
    assert_int_equal(slot_of("ed"), CK_UNAVAILABLE_INFORMATION);
    fake_other_process_deletes("key-k1");
    (void)slot_of("p256");
    assert_int_equal(C_GetTokenInfo(k1, &info), CKR_SLOT_ID_INVALID);
    assert_int_equal(C_GetSlotInfo(k1, &slot), CKR_SLOT_ID_INVALID);
    P11_OK(C_GetSlotInfo(p256, &slot));
}

static void sessions_in_the_slot_of_a_key_are_its_own(void **state)
{
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_SLOT_ID p256 = 0;
    CK_SESSION_HANDLE s = 0;
    CK_SESSION_HANDLE all = 0;
    CK_SESSION_INFO info;
    CK_BYTE digest[32] = {1};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;

    (void)state;
    P11_OK(p11_restart("  slotPerKey: true\n"));
    p256 = slot_of("p256");
    all = p11_open(0);
    P11_OK(C_OpenSession(p256, CKF_SERIAL_SESSION, NULL, NULL, &s));
    P11_OK(p11_login(s, FAKE_PIN));
    P11_OK(C_SignInit(s, &mech, p11_one_labelled(s, CKO_PRIVATE_KEY, "p256")));
    P11_OK(C_Sign(s, digest, sizeof digest, sig, &len));
    P11_OK(C_CloseAllSessions(p256));
    assert_int_equal(C_GetSessionInfo(s, &info), CKR_SESSION_HANDLE_INVALID);
    P11_OK(C_GetSessionInfo(all, &info));
}

static void the_slot_of_a_key_shows_its_certificates(void **state)
{
    CK_OBJECT_CLASS cls = CKO_CERTIFICATE;
    CK_BBOOL token = CK_TRUE;
    CK_SESSION_HANDLE all = 0;
    CK_SESSION_HANDLE s = 0;
    CK_OBJECT_HANDLE cert = 0;
    EVP_PKEY *key = NULL;
    p11_test_cert made;

    (void)state;
    P11_OK(p11_restart("  slotPerKey: true\n"));
    all = p11_open(CKF_RW_SESSION);
    key = p11_public_key(all, p11_one_labelled(all, CKO_PUBLIC_KEY, "p256"));
    p11_make_cert(&made, key, "p256");
    EVP_PKEY_free(key);
    {
        CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cls, sizeof cls},
                                {CKA_TOKEN, &token, sizeof token},
                                {CKA_VALUE, made.der, made.len}};

        P11_OK(C_CreateObject(all, P11_ARRAY(templ), &cert)); /* gets the id of its key */
    }
    P11_OK(C_OpenSession(slot_of("p256"), CKF_SERIAL_SESSION, NULL, NULL, &s));
    assert_int_equal(p11_count_class(s, CKO_CERTIFICATE, NULL), 1);
    P11_OK(C_OpenSession(slot_of("ed"), CKF_SERIAL_SESSION, NULL, NULL, &s));
    assert_int_equal(p11_count_class(s, CKO_CERTIFICATE, NULL), 0);
}

static void a_view_hides_the_slots_of_keys_too(void **state)
{
    CK_SLOT_ID list[16];

    (void)state;
    P11_OK(p11_restart("  slotPerKey: true\n  view: ssh\n"));
    assert_int_equal(slots(list, 16), 2);
    assert_int_equal(slot_of("ed"), CK_UNAVAILABLE_INFORMATION);
}

/* ---- profiles ---- */

static void profiles_are_shown_to_callers_of_version_3(void **state)
{
    CK_SESSION_HANDLE v3 = 0;
    CK_OBJECT_HANDLE profile = 0;

    (void)state;
    v3 = p11_open_v3();
    assert_int_equal(p11_count_class(v3, CKO_PROFILE, &profile), 4);
    assert_int_equal(p11_count_class(p11_open(0), CKO_PROFILE, NULL), 0);
    assert_int_equal(C_DestroyObject(v3, profile), CKR_ACTION_PROHIBITED);
    P11_OK(p11_restart("  slotPerKey: true\n  view: two keys\n" MY_VIEWS));
    P11_OK(p11_table_v3()->C_OpenSession(slot_of("p256"), CKF_SERIAL_SESSION, NULL, NULL, &v3));
    assert_int_equal(p11_count_class(v3, CKO_PROFILE, NULL), 4); /* they say what each token is */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, p11_setup_kinds, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(views_show_curves_and_keys),
        TEST(the_environment_chooses_before_the_configuration),
        TEST(a_program_gets_the_view_that_names_it),
        TEST(a_view_that_is_not_there_stops_the_module_with_a_reason),
        TEST(what_is_hidden_cannot_be_used),
        TEST(each_slot_is_a_token_with_its_view),
        TEST(sessions_are_of_one_slot_and_the_login_of_all),
        TEST(each_key_has_a_slot_that_shows_it_alone),
        TEST(the_label_of_a_key_is_cut_between_characters),
        TEST(slots_of_keys_keep_their_ids),
        TEST(sessions_in_the_slot_of_a_key_are_its_own),
        TEST(the_slot_of_a_key_shows_its_certificates),
        TEST(a_view_hides_the_slots_of_keys_too),
        TEST(profiles_are_shown_to_callers_of_version_3),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
