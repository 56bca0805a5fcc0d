#ifndef KS_ENCRYPTOR_GUARDED_H
#define KS_ENCRYPTOR_GUARDED_H

#include "keystore/encryptor.h"

/**
 * Puts an encryptor into one of the same name whose calls take a bounded time (guard.h): one that asks a
 * token or a plugin. Closing the new one closes the other, late where a call hangs in it. On error *e stays
 * as it was. Errors: TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status ks_encryptor_guard(ks_encryptor **e, const ks_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;

#endif
