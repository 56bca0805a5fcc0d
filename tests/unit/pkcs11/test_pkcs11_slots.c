/* What is made in a slot is seen in it, or not made. */
#include "support/p11_calls.h"

#include <string.h>

#include "support/fake_engine.h"

/* The slot of the key p256 with slotPerKey. */
static CK_SLOT_ID slot_of_p256(void)
{
    CK_SLOT_ID list[8];
    CK_ULONG count = 0;
    CK_TOKEN_INFO info = {0};

    P11_OK(C_GetSlotList(CK_TRUE, NULL, &count)); /* looks for keys */
    assert_in_range(count, 2, 8);
    P11_OK(C_GetSlotList(CK_TRUE, list, &count));
    for (CK_ULONG i = 0; i < count; i++) {
        P11_OK(C_GetTokenInfo(list[i], &info));
        if (memcmp(info.label, "p256 ", 5) == 0) {
            return list[i];
        }
    }
    fail_msg("the key has no slot");
    return 0;
}

static CK_SESSION_HANDLE open_rw(CK_SLOT_ID slot)
{
    CK_SESSION_HANDLE s = 0;

    P11_OK(C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s));
    return s;
}

static CK_RV make_key(CK_SESSION_HANDLE s, bool secp256k1, CK_BBOOL token, CK_OBJECT_HANDLE *pub,
                      CK_OBJECT_HANDLE *priv)
{
    CK_ATTRIBUTE templ[] = {{CKA_TOKEN, &token, sizeof token}};
    const p11_new_pair how = {CKM_EC_KEY_PAIR_GEN, secp256k1 ? p11_oid_secp256k1 : p11_oid_p256,
                              secp256k1 ? sizeof p11_oid_secp256k1 : sizeof p11_oid_p256,
                              P11_ARRAY(templ)};

    return p11_make_any_pair(s, &how, pub, priv);
}

static CK_RV to_token(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_OBJECT_HANDLE *copy)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE templ[] = {{CKA_TOKEN, &yes, sizeof yes}};

    return C_CopyObject(s, object, P11_ARRAY(templ), copy);
}

static CK_RV make_note(CK_SESSION_HANDLE s, CK_BBOOL token, CK_OBJECT_HANDLE *note)
{
    CK_OBJECT_CLASS cls = CKO_DATA;
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cls, sizeof cls}, {CKA_TOKEN, &token, sizeof token}};

    return C_CreateObject(s, P11_ARRAY(templ), note);
}

static CK_RV sign_in(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE priv)
{
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_BYTE digest[32] = {1};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;
    const CK_RV rv = C_SignInit(s, &mech, priv);

    return rv == CKR_OK ? C_Sign(s, digest, sizeof digest, sig, &len) : rv;
}

static void session_objects_are_of_the_slot_that_made_them(void **state)
{
    CK_SESSION_HANDLE first = 0;
    CK_SESSION_HANDLE second = 0;
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_OBJECT_HANDLE note = 0;
    CK_OBJECT_HANDLE copy = 0;
    CK_ULONG size = 0;

    (void)state;
    P11_OK(p11_restart("  slots:\n    - tokenLabel: second\n      view: all\n"));
    first = p11_open_user();
    second = open_rw(1);
    P11_OK(make_key(second, false, CK_FALSE, &pub, &priv));
    P11_OK(make_note(second, CK_FALSE, &note));
    P11_OK(sign_in(second, priv));
    assert_int_equal(p11_count_class(second, CKO_PRIVATE_KEY, NULL), 4);
    assert_int_equal(p11_count_class(second, CKO_DATA, NULL), 1);
    assert_int_equal(p11_count_class(first, CKO_PRIVATE_KEY, NULL), 3);
    assert_int_equal(p11_count_class(first, CKO_PUBLIC_KEY, NULL), 3);
    assert_int_equal(p11_count_class(first, CKO_DATA, NULL), 0);
    assert_int_equal(sign_in(first, priv), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(C_GetObjectSize(first, pub, &size), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(C_DestroyObject(first, note), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(to_token(first, priv, &copy), CKR_OBJECT_HANDLE_INVALID);
    P11_OK(sign_in(open_rw(1), priv)); /* another session with the same token */
    P11_OK(to_token(second, priv, &copy));
    P11_OK(sign_in(first, copy)); /* the token's objects are those of all slots */
    P11_OK(C_CloseSession(second));
    assert_int_equal(C_GetObjectSize(first, note, &size), CKR_OBJECT_HANDLE_INVALID);
}

static void a_slot_keeps_no_key_that_it_would_not_show(void **state)
{
    CK_SESSION_HANDLE s = 0;
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_OBJECT_HANDLE copy = 0;

    (void)state;
    P11_OK(p11_restart("  slots:\n    - tokenLabel: ssh\n      view: ssh\n"));
    (void)p11_open_user();
    s = open_rw(1);
    assert_int_equal(make_key(s, true, CK_TRUE, &pub, &priv), CKR_ACTION_PROHIBITED);
    assert_int_equal(fake_key_count(), 3); /* none was made for nobody */
    P11_OK(make_key(s, true, CK_FALSE, &pub, &priv));
    P11_OK(sign_in(s, priv));
    assert_int_equal(to_token(s, priv, &copy), CKR_ACTION_PROHIBITED);
    assert_int_equal(to_token(s, pub, &copy), CKR_ACTION_PROHIBITED);
    P11_OK(make_key(s, false, CK_TRUE, &pub, &priv));
    P11_OK(sign_in(s, priv));
    P11_OK(make_note(s, CK_TRUE, &copy));
    P11_OK(C_DestroyObject(s, copy));
}

static void a_slot_of_one_key_keeps_nothing_beside_it(void **state)
{
    CK_SESSION_HANDLE all = 0;
    CK_SESSION_HANDLE s = 0;
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_OBJECT_HANDLE other = 0;

    (void)state;
    P11_OK(p11_restart("  slotPerKey: true\n"));
    all = p11_open_user();
    s = open_rw(slot_of_p256());
    assert_int_equal(make_key(s, false, CK_TRUE, &pub, &priv), CKR_ACTION_PROHIBITED);
    assert_int_equal(fake_key_count(), 3);
    assert_int_equal(make_note(s, CK_TRUE, &other), CKR_ACTION_PROHIBITED);
    P11_OK(make_note(s, CK_FALSE, &other));
    P11_OK(
        make_key(s, false, CK_FALSE, &pub, &priv)); /* session keys come anywhere, and stay there */
    P11_OK(sign_in(s, priv));
    assert_int_equal(to_token(s, priv, &other), CKR_ACTION_PROHIBITED);
    assert_int_equal(sign_in(all, priv), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(p11_count_class(s, CKO_PRIVATE_KEY, NULL), 2);
    assert_int_equal(to_token(s, p11_one_labelled(s, CKO_PUBLIC_KEY, "p256"), &other),
                     CKR_ACTION_PROHIBITED);
    P11_OK(to_token(all, p11_one_labelled(all, CKO_PUBLIC_KEY, "p256"), &other));
}

/* Writing the public key of a pair gives the pair its names, but not from where the pair is hidden. */
static void a_hidden_pair_is_not_renamed(void **state)
{
    CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_BYTE name[] = "mine";
    CK_BYTE point[80];
    CK_BYTE params[16];
    CK_SESSION_HANDLE all = 0;
    CK_OBJECT_HANDLE k1 = 0;
    CK_OBJECT_HANDLE made = 0;

    (void)state;
    P11_OK(p11_restart("  slots:\n    - tokenLabel: ssh\n      view: ssh\n"));
    all = p11_open_user();
    k1 = p11_one_labelled(all, CKO_PUBLIC_KEY, "k1");
    {
        CK_ATTRIBUTE templ[] = {
            {CKA_CLASS, &cls, sizeof cls},
            {CKA_TOKEN, &yes, sizeof yes},
            {CKA_LABEL, name, 4},
            {CKA_EC_POINT, point, p11_get(all, k1, CKA_EC_POINT, point, sizeof point)},
            {CKA_EC_PARAMS, params, p11_get(all, k1, CKA_EC_PARAMS, params, sizeof params)}};

        assert_int_equal(C_CreateObject(open_rw(1), P11_ARRAY(templ), &made),
                         CKR_ACTION_PROHIBITED);
        (void)p11_one_labelled(all, CKO_PUBLIC_KEY, "k1");
        P11_OK(C_CreateObject(all, P11_ARRAY(templ), &made));
    }
    assert_int_equal(p11_one_labelled(all, CKO_PUBLIC_KEY, "mine"), k1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, p11_setup_kinds, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(session_objects_are_of_the_slot_that_made_them),
        TEST(a_slot_keeps_no_key_that_it_would_not_show),
        TEST(a_slot_of_one_key_keeps_nothing_beside_it),
        TEST(a_hidden_pair_is_not_renamed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
