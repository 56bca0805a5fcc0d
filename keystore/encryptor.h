#ifndef KS_ENCRYPTOR_H
#define KS_ENCRYPTOR_H

#include "keystore/kcv.h"
#include "keystore/keystore.h"

/**
 * Gives the keystore its data key: 32 bytes that seal every row. Two-level: the wrapped form is
 * stored in the database (meta row), never the key itself.
 */
typedef struct ks_encryptor ks_encryptor;

typedef struct {
    /** True when unlocking needs a PIN from outside (module login). */
    bool needs_login;
    tdsa_status (*open)(ks_encryptor **out, const ks_cfg *cfg, tdsa_err *err);
    void (*close)(ks_encryptor *e);
    /** Appends the wrapped form of a data key, after what may fail silently (token, plugin) unwrapped it again. */
    tdsa_status (*wrap)(ks_encryptor *e, const char *pin, size_t pin_len,
                        const tdsa_secret *data_key, tdsa_buf *wrapped, tdsa_err *err);
    /** The data key of a wrapped form. Errors: TDSA_E_LOGIN, TDSA_E_WRAPPING (names the key check
     * value found and the one expected). */
    tdsa_status (*unwrap)(ks_encryptor *e, const char *pin, size_t pin_len, const uint8_t *wrapped,
                          size_t wrapped_len, tdsa_secret **data_key, tdsa_err *err);
    /** Whether this PIN logs in, one try at most; nothing is kept of it. Errors: TDSA_E_LOGIN, TDSA_E_WRAPPING. NULL:
     * there is no PIN. */
    tdsa_status (*check_pin)(ks_encryptor *e, const char *pin, size_t pin_len, tdsa_err *err);
    /** Makes a new wrapping key of the same name, with which wrap works from now on, and gives its check value.
     * NULL: there is no such thing. */
    tdsa_status (*renew)(ks_encryptor *e, const char *pin, size_t pin_len, uint8_t kcv[KS_KCV_LEN],
                         tdsa_err *err);
    /** Destroys the wrapping key with this check value, if it is there. NULL: there is no such thing. */
    tdsa_status (*destroy)(ks_encryptor *e, const char *pin, size_t pin_len,
                           const uint8_t kcv[KS_KCV_LEN], tdsa_err *err);
} ks_encryptor_ops;

struct ks_encryptor {
    const ks_encryptor_ops *ops;
    const char *name;   /* "aesgcm", "pkcs11", or that of a plugin; stored with each wrapped key */
    const uint8_t *kcv; /* check value of the wrapping key; NULL: a login is needed to know it */
};

extern const ks_encryptor_ops ks_encryptor_aesgcm;
extern const ks_encryptor_ops ks_encryptor_pkcs11;
extern const ks_encryptor_ops ks_encryptor_plugin;

/** The encryptor of a configuration; NULL when it is KS_ENCRYPTOR_NONE. Close it with ops->close. */
TDSA_MUST_USE tdsa_status ks_encryptor_open(ks_encryptor **out, const ks_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;

#endif
