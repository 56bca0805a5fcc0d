#ifndef KS_WRAP_URI_H
#define KS_WRAP_URI_H

#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "base/buf.h"
#include "base/secret.h"

#define KS_WRAP_PIN_MAX      255u /* bytes of a PIN */
#define KS_WRAP_NAME_MAX     255u /* bytes of object and id */
#define KS_WRAP_MODULE_USUAL "/usr/lib/softhsm/libsofthsm2.so"

/**
 * Where the wrapping key is: an RFC 7512 URI such as
 *   pkcs11:token=keys;object=tdsa-wrap?module-path=/usr/lib/x.so&pin-source=file:/etc/tdsa/pin
 * Path attributes: token, serial, manufacturer, model, slot-id, slot-description (which token);
 * object, id (which key, one of them needed); type, which must be secret-key when it is there.
 * Query attributes: module-path (absolute; default KS_WRAP_MODULE_USUAL), and pin-value or pin-source:
 *   file:/path, /path   its first line; a file that others may read is refused
 *   env:NAME            the variable of the environment, as it is when the PIN is needed
 *   credential:NAME     the file NAME of $CREDENTIALS_DIRECTORY, where systemd puts what LoadCredential= names
 */
typedef struct {
    P11KitUri *uri; /* for matching slots and tokens; holds no PIN */
    char *module_path;
    char *pin_file, *pin_env, *pin_credential; /* one at most is not NULL */
    tdsa_secret *pin;                          /* of pin-value; NULL: none */
    uint8_t *object, *id;
    size_t object_len, id_len;
    char token_name[40]; /* for people: label of the token, or what else names it */
    char key_name[80];   /* for people: object label, or id in hex */
} ks_wrap_uri;

/** True when the URI says where the PIN comes from, other than in itself. */
static inline bool ks_wrap_uri_has_source(const ks_wrap_uri *u)
{
    return u->pin_file != NULL || u->pin_env != NULL || u->pin_credential != NULL;
}
/** Errors: TDSA_E_CONFIG; the text never holds the URI, because it may hold a PIN. */
TDSA_MUST_USE tdsa_status ks_wrap_uri_parse(ks_wrap_uri **out, const char *text, tdsa_err *err)
    TDSA_NONNULL;
/** The same for a private key (type=private), which a caller uses over ks_wrap_begin. */
TDSA_MUST_USE tdsa_status ks_wrap_uri_parse_private(ks_wrap_uri **out, const char *text,
                                                    tdsa_err *err) TDSA_NONNULL;
void ks_wrap_uri_free(ks_wrap_uri *u);

/**
 * The PIN of the URI: its value, or from its source, which is read anew at each call.
 * Errors: TDSA_E_LOGIN (there is none, the source is not there or cannot be read, is empty or too long; others
 * may read the file).
 */
TDSA_MUST_USE tdsa_status ks_wrap_uri_pin(const ks_wrap_uri *u, tdsa_secret **out, tdsa_err *err)
    TDSA_NONNULL;

#endif
