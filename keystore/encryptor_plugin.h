#ifndef TDSA_ENCRYPTOR_PLUGIN_H
#define TDSA_ENCRYPTOR_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

/**
 * An encryptor of your own: what wraps the keystore's data key, as a shared object that the daemon, the
 * command and the PKCS#11 module load. This header is all that a plugin needs; it may be copied.
 *
 * Where   A file *.so in /tdsa/lib, or in tdsaLibrary.storageConfiguration.encryptorPath. It and its folder
 *         belong to root or to the user of the process, and nobody else may write to them.
 * What    It exports one object of the type below, with default visibility:
 *             const tdsa_encryptor_plugin tdsa_encryptor_plugin_table = { ... };
 *         and is chosen by `encryptor: <name>`, the name that it declares. Every *.so of the folder is loaded to
 *         learn its name, and unloaded when it is another's.
 * Threads One call at a time for each object that create() made; two objects may be used by two threads.
 *         After fork() the child calls nothing but destroy().
 * Secrets The arguments and the data key are secrets. They are lent for the call: keep copies only of
 *         what you need, wipe each when you are done with it, and put none into an error text or a log.
 *         The process has core dumps of them switched off for its own copies only.
 * Time    wrap and unwrap are called at start, at each login and when keys are rotated; a participant does not
 *         answer until they return.
 */

/** Of this table. A plugin that says another one is refused. */
#define TDSA_ENCRYPTOR_PLUGIN_VERSION 1u
/** Name of the exported object. */
#define TDSA_ENCRYPTOR_PLUGIN_SYMBOL "tdsa_encryptor_plugin_table"

#define TDSA_ENCRYPTOR_NAME_MAX \
    96u /* characters of a declared name, of [A-Za-z0-9_.-] with a dot in it */
#define TDSA_ENCRYPTOR_WRAPPED_MAX 512u /* bytes of a wrapped data key */
#define TDSA_ENCRYPTOR_CHECK_MAX   64u  /* bytes of a check value */
#define TDSA_ENCRYPTOR_ERROR_MAX   160u /* bytes of an error text with its NUL */

/** What a call gives back. */
#define TDSA_ENCRYPTOR_OK          0
#define TDSA_ENCRYPTOR_ARGUMENTS   1 /* the arguments are wrong: the configuration must change */
#define TDSA_ENCRYPTOR_UNAVAILABLE 2 /* a device or service does not answer: it may work later */
#define TDSA_ENCRYPTOR_DENIED      3 /* it refuses a PIN or password: it must not be tried again */
#define TDSA_ENCRYPTOR_DAMAGED     4 /* the wrapped key is edited or was wrapped by another key */

/** Room for bytes that a call gives back: at most `cap`, of which it sets `len`. */
typedef struct {
    uint8_t *data;
    size_t cap, len;
} tdsa_encryptor_bytes;

/** Why a call failed: one line for people, NUL-terminated, empty when the call comes. No secret in it. */
typedef struct {
    char text[TDSA_ENCRYPTOR_ERROR_MAX];
} tdsa_encryptor_error;

typedef struct {
    /** TDSA_ENCRYPTOR_PLUGIN_VERSION of the header that the plugin was built with. In every version the first
     * two members are these. */
    uint32_t version;
    /** Such as "com.example.MyEncryptor". It is stored with the wrapped key: never change it. */
    const char *name;

    /** Makes an encryptor of `encryptorArguments`, in order; where the configuration says
     * DATABASE_ENCRYPTION_KEY, argument[i] is the encryption key. *out is yours. */
    int (*create)(void **out, const char *const *argument, size_t count,
                  tdsa_encryptor_error *error);
    /** Wipes and frees. */
    void (*destroy)(void *self);
    /** Up to TDSA_ENCRYPTOR_CHECK_MAX bytes that are always the same for one wrapping key, differ for another,
     * and tell nothing of it, such as a fixed block encrypted with it. A hash of them is stored, and names the
     * key in the error of a start with a wrong one. */
    int (*check)(void *self, tdsa_encryptor_bytes *out, tdsa_encryptor_error *error);
    /** Encrypts a data key of key_len bytes (32), with authentication. The same key twice should give
     * different bytes. */
    int (*wrap)(void *self, const uint8_t *key, size_t key_len, tdsa_encryptor_bytes *out,
                tdsa_encryptor_error *error);
    /** The data key of bytes that wrap() once gave, in this process or another. `wrapped` may be anything. */
    int (*unwrap)(void *self, const uint8_t *wrapped, size_t wrapped_len, tdsa_encryptor_bytes *out,
                  tdsa_encryptor_error *error);
} tdsa_encryptor_plugin;

#endif
