#ifndef UNIT_PARTICIPANT_DELETE_FIXTURE_H
#define UNIT_PARTICIPANT_DELETE_FIXTURE_H

#include "participant/internal.h"
#include "sim/sim_internal.h"

/** A group on virtual time, (3,1) or with two processes of a client, that deletes keys. */

#define GRACE_MS 100000u

/** A group with a key. */
sim *start(bool with_client, char *key_id);
/** Orders, with the deadline of 2 s. */
tdsa_status delete_key(sim *s, uint16_t at, const char *key_id, tdsa_err *err);
tdsa_status undelete(sim *s, uint16_t at, const char *key_id, tdsa_err *err);
ks_key_state state_at(sim *s, uint16_t index, const char *key_id);
void all_are(sim *s, const char *key_id, ks_key_state state);
/** Who has not been told, bit per participantIndex. */
uint32_t pending_at(sim *s, uint16_t index, const char *key_id);
void must_sign(sim *s, uint16_t at, const char *key_id);
/** Signing fails, and the error says `text`. */
void must_not_sign(sim *s, uint16_t at, const char *key_id, const char *text);
/** Takes the lines of a participant off, or on. */
void cut(sim *s, uint16_t index, bool off);

#endif
