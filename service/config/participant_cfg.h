#ifndef CFG_PARTICIPANT_CFG_H
#define CFG_PARTICIPANT_CFG_H

#include "config/config.h"
#include "participant/engine.h"

/**
 * Turns the checked document into what the engine and the keystore want; used by the daemon and by
 * the PKCS#11 module alike. Checks what spans several keys: participant count, indices, ids,
 * key formats (wrong curve, swapped primary and secondary), URIs, at least one alternative per
 * server. A local public key that does not belong to the local private key is a warning, never an
 * error (the documented example has that flaw).
 *
 * Certificates are read and must be fit for encryption (base/rsa.h).
 *
 * Also a warning each: a certificate with a short RSA key or that is not valid today, no encryption of rows, a weak encryptionKey, the default serverGroupId at a
 * server, a server whose own id is not known or is not the selected one, keys in another form of base64. Refused because this version does not have it: vault
 * selectors, proxies.
 *
 * The engine's deadline_ms is pkcs11.deadline for the client and sessionTimeout for a server;
 * unlock_at_open is true: the module, which waits for C_Login, clears it in its copy.
 *
 * out  strings and arrays are owned by it, or lent by `c`, which must outlive it; free with
 *      cfg_participant_free, which wipes the private keys.
 * Errors: TDSA_E_CONFIG, naming the path; TDSA_E_NO_MEMORY. No text holds a secret.
 */
typedef struct cfg_participant cfg_participant;
TDSA_MUST_USE tdsa_status cfg_participant_new(cfg_participant **out, const cfg *c,
                                              const tdsa_log *log, tdsa_err *err)
    __attribute__((nonnull(1, 2, 4)));
void cfg_participant_free(cfg_participant *p);

/** The engine's configuration, lent; its store, clock, rng and log fields are the caller's to set. */
const part_engine_cfg *cfg_participant_engine(const cfg_participant *p) TDSA_NONNULL;
/** The keystore's configuration, lent. */
const ks_cfg *cfg_participant_keystore(const cfg_participant *p) TDSA_NONNULL;

#endif
