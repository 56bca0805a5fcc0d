/* C_WaitForSlotEvent: signatures cannot be made any more, or can again. */
#include "support/p11_calls.h"

#include <pthread.h>
#include <stdlib.h>

#include "pkcs11-provider/slot.h"
#include "support/fake_engine.h"

static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE priv;

/* A life of the module with this configuration, and a key. */
static void start(const char *extra)
{
    CK_OBJECT_HANDLE pub = 0;

    P11_OK(p11_restart(extra));
    s = p11_open_user();
    p11_make_pair(s, "a", &pub, &priv);
}

static int setup(void **state)
{
    if (p11_setup(state) != 0) {
        return -1;
    }
    start("");
    return 0;
}

static CK_RV sign(void)
{
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_BYTE digest[32] = {1};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;

    P11_OK(C_SignInit(s, &mech, priv));
    return C_Sign(s, digest, sizeof digest, sig, &len);
}

static CK_RV sign_failing(tdsa_status st, int participant)
{
    CK_RV rv = CKR_OK;

    atomic_store(&fake.fail_sign, st);
    atomic_store(&fake.blame, participant + 1);
    rv = sign();
    atomic_store(&fake.fail_sign, TDSA_OK);
    return rv;
}

static CK_RV look(CK_SLOT_ID *slot)
{
    return C_WaitForSlotEvent(CKF_DONT_BLOCK, slot, NULL);
}

static CK_ULONG missing(void)
{
    CK_SESSION_INFO info;

    P11_OK(C_GetSessionInfo(s, &info));
    return info.ulDeviceError;
}

static void signatures_tell_whether_there_is_a_quorum(void **state)
{
    CK_SLOT_ID slot = 7;

    (void)state;
    P11_OK(sign());
    assert_int_equal(look(&slot), CKR_NO_EVENT); /* all is as it was taken for */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sign_failing(TDSA_E_UNAVAILABLE, 2), CKR_DEVICE_REMOVED);
        assert_int_equal(missing(), 1u << 2);
        slot = 7;
        P11_OK(look(&slot));
        assert_int_equal(slot, 0);
        assert_int_equal(look(&slot), CKR_NO_EVENT);
        assert_int_equal(sign_failing(TDSA_E_TIMEOUT, 1), CKR_DEVICE_ERROR);
        assert_int_equal(missing(), 1u << 1); /* another one, and no news */
        assert_int_equal(look(&slot), CKR_NO_EVENT);
        P11_OK(sign());
        assert_int_equal(missing(), 0);
        P11_OK(look(&slot));
        assert_int_equal(look(&slot), CKR_NO_EVENT);
    }
    assert_int_equal(atomic_load(&fake.ping_calls), 0); /* nobody was asked */
}

static void other_failures_are_no_events(void **state)
{
    CK_SLOT_ID slot = 0;

    (void)state;
    assert_int_equal(sign_failing(TDSA_E_DENIED, 2), CKR_ACTION_PROHIBITED);
    assert_int_equal(sign_failing(TDSA_E_PROTOCOL, 2), CKR_DEVICE_ERROR);
    assert_int_equal(sign_failing(TDSA_E_TIMEOUT, TDSA_NOBODY), CKR_DEVICE_ERROR);
    assert_int_equal(sign_failing(TDSA_E_STORE, TDSA_NOBODY), CKR_DEVICE_ERROR);
    assert_int_equal(look(&slot), CKR_NO_EVENT);
    assert_int_equal(missing(), 0);
}

static void each_slot_has_the_event(void **state)
{
    CK_SLOT_ID slot = 0;

    (void)state;
    start("  slotPerKey: true\n  slots:\n    - tokenLabel: second\n      view: all\n");
    assert_int_equal(sign_failing(TDSA_E_UNAVAILABLE, 1), CKR_DEVICE_REMOVED);
    P11_OK(look(&slot));
    assert_int_equal(slot, 0);
    P11_OK(look(&slot));
    assert_int_equal(slot, 1);
    P11_OK(sign()); /* it is over: all have news again */
    for (CK_SLOT_ID i = 0; i < 2; i++) {
        P11_OK(look(&slot));
        assert_int_equal(slot, i);
    }
    P11_OK(look(&slot));
    assert_in_range(slot, P11_SLOT_KEYS, P11_SLOT_KEYS + 100);
    assert_int_equal(look(&slot), CKR_NO_EVENT);
}

static void events_of_an_earlier_life_are_forgotten(void **state)
{
    CK_SLOT_ID slot = 0;

    (void)state;
    assert_int_equal(sign_failing(TDSA_E_UNAVAILABLE, 1), CKR_DEVICE_REMOVED);
    start("");
    assert_int_equal(look(&slot), CKR_NO_EVENT);
    assert_int_equal(missing(), 0);
}

/* ---- waiting ---- */

static void who_waits_asks_the_participants(void **state)
{
    CK_SLOT_ID slot = 7;

    (void)state;
    atomic_store(&fake.missing, 1u << 1 | 1u << 2);
    P11_OK(C_WaitForSlotEvent(0, &slot, NULL));
    assert_int_equal(slot, 0);
    assert_int_equal(missing(), 1u << 1 | 1u << 2);
    atomic_store(&fake.missing, 0);
    slot = 7;
    P11_OK(C_WaitForSlotEvent(0, &slot, NULL));
    assert_int_equal(slot, 0);
    assert_int_equal(missing(), 0);
    assert_int_equal(atomic_load(&fake.ping_calls), 2);
}

typedef struct {
    CK_SLOT_ID slot;
    CK_RV rv;
} waiter;

static void *wait_for_one(void *arg)
{
    waiter *w = arg;

    w->rv = C_WaitForSlotEvent(0, &w->slot, NULL);
    return NULL;
}

/* A thread that has asked the participants once and waits. */
static pthread_t start_waiting(waiter *w)
{
    pthread_t thread;

    *w = (waiter){.slot = 7};
    assert_int_equal(pthread_create(&thread, NULL, wait_for_one, w), 0);
    while (atomic_load(&fake.ping_calls) == 0) {
        (void)sched_yield();
    }
    return thread;
}

static void who_waits_hears_of_a_signature_that_fails(void **state)
{
    pthread_t thread;
    waiter w;

    (void)state;
    thread = start_waiting(&w);
    assert_int_equal(sign_failing(TDSA_E_UNAVAILABLE, 2), CKR_DEVICE_REMOVED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    P11_OK(w.rv);
    assert_int_equal(w.slot, 0);
}

/* PKCS#11, C_Finalize: a thread that is blocked in C_WaitForSlotEvent "should return ...
 * CKR_CRYPTOKI_NOT_INITIALIZED". */
static void c_finalize_ends_the_wait(void **state)
{
    pthread_t thread;
    waiter w;

    (void)state;
    thread = start_waiting(&w);
    P11_OK(C_Finalize(NULL));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(w.rv, CKR_CRYPTOKI_NOT_INITIALIZED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(signatures_tell_whether_there_is_a_quorum),
        TEST(other_failures_are_no_events),
        TEST(each_slot_has_the_event),
        TEST(events_of_an_earlier_life_are_forgotten),
        TEST(who_waits_asks_the_participants),
        TEST(who_waits_hears_of_a_signature_that_fails),
        TEST(c_finalize_ends_the_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
