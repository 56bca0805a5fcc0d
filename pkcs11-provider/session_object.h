#ifndef P11_SESSION_OBJECT_H
#define P11_SESSION_OBJECT_H

#include "pkcs11-provider/call.h"

/**
 * Session objects: they live in this process and end with the session that made them. A session key is
 * a key of the participants like any other, made by them and for all of them, but shown to this process
 * alone; when its session ends, it is ordered to be deleted, with the shortest grace period. What a
 * killed process leaves behind is deleted after a day by whichever process of the token closes a session
 * while it is logged in.
 */
#define P11_SESSION_KEY_LIFE_MS UINT64_C(86400000)

/** Ends the objects of sessions that are closed. Participants that do not answer hear of it later: this
 * waits for half a second at most. */
void p11_session_objects_end(p11_core *core) TDSA_NONNULL;
/** Before a logout, ends the session keys, whose private halves nobody may use any more. PKCS#11, C_Logout:
 * "all private session objects ... are destroyed". Later the keystore is locked, and they would stay. */
void p11_session_keys_end(p11_core *core) TDSA_NONNULL;

#endif
