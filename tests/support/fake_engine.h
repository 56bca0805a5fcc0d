#ifndef SUPPORT_FAKE_ENGINE_H
#define SUPPORT_FAKE_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "keystore/object.h"
#include "participant/engine.h"

/**
 * Test doubles of the engine and the keystore, for tests of PKCS#11 semantics alone: whole keys in
 * memory, one process, no network. They are linked before the real libraries and shadow them.
 * Everything that a participant really does is tested with the real engine in tests/e2e/pkcs11.
 */
typedef struct {
    atomic_uint sign_calls, register_calls, generate_calls, delete_calls, stop_calls, forget_calls,
        store_abandoned, engine_abandoned, list_calls, fork_prepared, fork_released;
    atomic_int fail_sign, fail_generate, fail_delete, fail_unlock, fail_open,
        fail_object;           /* tdsa_status */
    atomic_int blame;          /* participant of these errors plus one; 0: nobody */
    _Atomic(const char *) why; /* text of failures; NULL: "the test wants it" */
    atomic_int sign_delay_ms;  /* until part_engine_stop, in small steps */
    atomic_int delete_delay_ms;
    atomic_uint missing, ping_calls; /* who does not answer: bit per participant */
    atomic_uint delete_deadline_ms;  /* of the last call */
    atomic_bool assert_in_sign;      /* our own bug */
    void (*in_sign)(void);           /* called by part_engine_sign; NULL: nothing */
    tdsa_hash_alg last_hash;
    size_t last_payload_len;
    mpc_policy last_policy;
} fake_control;
extern fake_control fake;

#define FAKE_PIN "1234"

/** As if another process had done it: a new key appears, an existing one goes. */
void fake_other_process_adds(const char *key_id, grp_curve curve, const char *label);
void fake_other_process_deletes(const char *key_id);
/** Forgets every key. */
void fake_reset(void);
size_t fake_key_count(void);
bool fake_has_key(const char *key_id);

#endif
