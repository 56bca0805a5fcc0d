#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "config/internal.h"
#include "config/node.h"

/* The encryptor of tdsaLibrary.storageConfiguration. */

#define STORAGE         "tdsaLibrary.storageConfiguration"
#define KEY_BITS_WANTED 128u
#define KEY_WORD        "DATABASE_ENCRYPTION_KEY"

/* Bits of a text whose characters are drawn evenly from the classes that occur in it. Which classes
 * occur is all that the time may tell. */
static size_t estimated_bits(const char *key)
{
    /* tenths of bits per character: none, digits, one case, one case + digits, both cases,
     * both cases + digits; anything else counts like base64 */
    static const size_t tenths[] = {0, 33, 47, 51, 57, 59};
    const size_t len = strlen(key);
    unsigned lower = 0;
    unsigned upper = 0;
    unsigned digit = 0;
    unsigned other = 0;

    for (size_t i = 0; i < len; i++) {
        const unsigned c = (unsigned char)key[i];
        const unsigned is_lower = (unsigned)(c - 'a' < 26u);
        const unsigned is_upper = (unsigned)(c - 'A' < 26u);
        const unsigned is_digit = (unsigned)(c - '0' < 10u);
        lower |= is_lower;
        upper |= is_upper;
        digit |= is_digit;
        other |= 1u ^ (is_lower | is_upper | is_digit);
    }
    return len * (other != 0 ? 60 : tenths[2 * (lower + upper) + digit]) / 10;
}

static bool same_text(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && tdsa_ct_equal(a, b, strlen(a));
}

static tdsa_status read_encryption_key(cfg_participant *p, const cfg *c, tdsa_err *err)
{
    const char *key = cfg_str(c, STORAGE ".encryptionKey");
    const char *other = cfg_str(c, "tdsaLibrary.encryptionKey");
    tdsa_status st = cfg_refuse_selector(c, STORAGE ".encryptionKey", err);

    if (st == TDSA_OK) {
        st = cfg_refuse_selector(c, "tdsaLibrary.encryptionKey", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (other != NULL && key != NULL && *key != '\0' && *other != '\0' && !same_text(other, key)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.encryptionKey and " STORAGE ".encryptionKey differ");
    }
    p->store.encryption_key = key != NULL && *key != '\0' ? key : other;
    return TDSA_OK;
}

/* `named`: somebody asked for encryption, so its key is not left out by intention. */
static tdsa_status use_aesgcm(cfg_participant *p, bool named, const tdsa_log *log, tdsa_err *err)
{
    const char *key = p->store.encryption_key;

    if (named && (key == NULL || *key == '\0')) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         STORAGE ".encryptor or encryptorArguments ask for encryption, but there "
                                 "is no encryptionKey (a wrapping key needs encryptor: pkcs11)");
    }
    if (key == NULL || *key == '\0') {
        p->store.encryptor = KS_ENCRYPTOR_NONE;
        p->store.encryption_key = NULL;
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "KEY SHARES ARE STORED WITHOUT ENCRYPTION: " STORAGE ".encryptionKey is empty");
        return TDSA_OK;
    }
    p->store.encryptor = KS_ENCRYPTOR_AESGCM;
    if (estimated_bits(key) < KEY_BITS_WANTED) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  STORAGE ".encryptionKey is weaker than %u bits; for a new database use "
                          "`openssl rand -base64 32`",
                  KEY_BITS_WANTED);
    }
    return TDSA_OK;
}

static tdsa_status use_pkcs11(cfg_participant *p, const cfg *c, tdsa_err *err)
{
    const char *uri = cfg_str(c, STORAGE ".encryptorArguments[0]");

    if (cfg_count(c, STORAGE ".encryptorArguments") != 1 || uri == NULL ||
        strncmp(uri, "pkcs11:", 7) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         STORAGE ".encryptorArguments must hold one PKCS #11 URI of the wrapping "
                                 "key (pkcs11:token=...;object=...?module-path=...)");
    }
    p->store.encryptor = KS_ENCRYPTOR_PKCS11;
    p->store.encryption_key = NULL;
    p->store.wrapping_uri = uri;
    p->store.create_wrapping_key = cfg_bool(c, STORAGE ".createWrappingKey");
    return TDSA_OK;
}

/* DATABASE_ENCRYPTION_KEY stands for the key, as in the service that this format comes from. */
static tdsa_status plugin_argument(cfg_participant *p, const cfg *c, size_t index, tdsa_err *err)
{
    char path[CFG_PATH_MAX];
    const char *text = NULL;

    (void)cfg_path(path, sizeof path, STORAGE ".encryptorArguments[%zu]", index);
    text = cfg_str(c, path);
    if (text != NULL && strcmp(text, KEY_WORD) == 0) {
        text = p->store.encryption_key;
        if (text == NULL || *text == '\0') {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "%s is " KEY_WORD ", but there is no encryptionKey", path);
        }
    }
    p->plugin_arguments[index] = text != NULL ? text : "";
    return TDSA_OK;
}

static tdsa_status use_plugin(cfg_participant *p, const cfg *c, const char *name, tdsa_err *err)
{
    const size_t count = cfg_count(c, STORAGE ".encryptorArguments");
    const char *folder = cfg_str(c, STORAGE ".encryptorPath");
    tdsa_status st = TDSA_OK;

    if (strchr(name, '.') == NULL || strlen(name) > KS_PLUGIN_NAME_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         STORAGE
                         ".encryptor: unknown encryptor; known: aesgcm, pkcs11, or the name "
                         "that a plugin declares, such as com.example.Name");
    }
    p->plugin_arguments = calloc(count + 1, sizeof *p->plugin_arguments);
    if (p->plugin_arguments == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the arguments of an encryptor");
    }
    for (size_t i = 0; st == TDSA_OK && i < count; i++) {
        st = plugin_argument(p, c, i, err);
    }
    p->store.encryptor = KS_ENCRYPTOR_PLUGIN;
    p->store.encryption_key = NULL;
    p->store.plugin_name = name;
    p->store.plugin_folder = folder != NULL && *folder != '\0' ? folder : NULL;
    p->store.plugin_arguments = p->plugin_arguments;
    p->store.plugin_argument_count = count;
    return st;
}

/* Empty, aesgcm, or a class name with AES-GCM in it. */
static bool is_aesgcm(const char *name)
{
    return name == NULL || *name == '\0' || strcasecmp(name, "aesgcm") == 0 ||
           strcasecmp(name, "aes-gcm") == 0 || strstr(name, "AesGcm") != NULL ||
           strstr(name, "AESGCM") != NULL;
}

tdsa_status cfg_fill_encryptor(cfg_participant *p, const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    const char *name = cfg_str(c, STORAGE ".encryptor");
    const char *by_class = cfg_str(c, STORAGE ".encryptorClass");
    tdsa_status st = read_encryption_key(p, c, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (by_class != NULL && name != NULL && *name != '\0' && strcmp(name, by_class) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         STORAGE ".encryptor and " STORAGE ".encryptorClass differ");
    }
    name = name == NULL || *name == '\0' ? by_class : name;
    if (is_aesgcm(name)) {
        const bool named =
            (name != NULL && *name != '\0') || cfg_count(c, STORAGE ".encryptorArguments") > 0;

        return use_aesgcm(p, named, log, err);
    }
    if (strcasecmp(name, "pkcs11") == 0) {
        return use_pkcs11(p, c, err);
    }
    return use_plugin(p, c, name, err);
}
