#ifndef KS_ENCRYPTOR_H
#define KS_ENCRYPTOR_H

#include "keystore/keystore.h"

/**
 * Gives the keystore its data key: 32 bytes that seal every row. Two-level: the wrapped form is
 * stored in the database (meta row), never the key itself.
 */
typedef struct ks_encryptor ks_encryptor;

typedef struct {
    const char *name;
    /** True when unlocking needs a PIN from outside (module login). */
    bool needs_login;
    tdsa_status (*open)(ks_encryptor **out, const ks_cfg *cfg, tdsa_err *err);
    void (*close)(ks_encryptor *e);
    /** Makes a fresh data key and its wrapped form for the meta row. */
    tdsa_status (*create)(ks_encryptor *e, const char *pin, size_t pin_len, tdsa_secret **data_key,
                          tdsa_buf *wrapped, tdsa_err *err);
    /** The data key of a wrapped form. Errors: TDSA_E_LOGIN, TDSA_E_WRAPPING (names the key check
     * value found and the one expected). */
    tdsa_status (*unwrap)(ks_encryptor *e, const char *pin, size_t pin_len, const uint8_t *wrapped,
                          size_t wrapped_len, tdsa_secret **data_key, tdsa_err *err);
} ks_encryptor_ops;

struct ks_encryptor {
    const ks_encryptor_ops *ops;
};

extern const ks_encryptor_ops ks_encryptor_aesgcm;
extern const ks_encryptor_ops ks_encryptor_pkcs11;

#endif
