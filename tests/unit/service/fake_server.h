#ifndef TEST_FAKE_SERVER_H
#define TEST_FAKE_SERVER_H

#include "participant/engine.h"

/**
 * A stand-in for participant/engine.h in unit tests of what the daemon builds on it: one process, no network, no
 * keystore, whole private keys in memory, real signatures. Compile it into the test; it then takes
 * the place of the engine in the library. Beyond engine.h, the calls below steer it.
 * Threads: any.
 */

typedef struct {
    unsigned registered, generated, presigned, deleted, signed_count, pinged, handled;
} fake_calls;

/** The next call that can fail fails so; participant: index or TDSA_NOBODY. */
void fake_engine_fail_next(part_engine *e, tdsa_status status, int participant, const char *text);
/** Every ping fails so, until TDSA_OK. */
void fake_engine_peer_down(part_engine *e, tdsa_status status, int participant);
/** Requests of the protocol port are kept until fake_engine_release; else echoed at once. */
void fake_engine_hold(part_engine *e, bool hold);
/** Answers kept requests: TDSA_OK echoes their bodies. Returns how many. */
size_t fake_engine_release(part_engine *e, tdsa_status status);
void fake_engine_calls(part_engine *e, fake_calls *out);
/** What the last import brought, and its key; 7 signatures per minute are refused as denied. */
const part_import_spec *fake_engine_imported(const uint8_t **key, size_t *len);
/** What the last reshare asked for; threshold 4 is refused as denied. */
const part_reshare_spec *fake_engine_reshared(void);
/** What the last approval or export asked for; a path of 7 elements was not approved by 2. */
const part_export_spec *fake_engine_exported(void);
/** Puts a key into a state, as if it came so from the store. */
void fake_engine_set_state(part_engine *e, const char *key_id, ks_key_state state);

#endif
