/* Encryptor plugins for test_keystore_plugin: built once for each KIND, with good and bad tables. They wrap
 * with a xor, which is no encryption at all. */
#include <string.h>

#include "keystore/encryptor_plugin.h"

#ifndef PLUGIN_NAME
#    define PLUGIN_NAME "com.example.Xor"
#endif
#ifndef PLUGIN_VERSION
#    define PLUGIN_VERSION TDSA_ENCRYPTOR_PLUGIN_VERSION
#endif
#ifndef PLUGIN_LIES /* wraps something else than it was given */
#    define PLUGIN_LIES 0
#endif

static uint8_t mask[32];

static int create(void **out, const char *const *argument, size_t count,
                  tdsa_encryptor_error *error)
{
    if (count != 2 || strlen(argument[0]) > 31 || strcmp(argument[1], "second") != 0) {
        memcpy(error->text, "wants\na word\x1b", 14);
        return TDSA_ENCRYPTOR_ARGUMENTS;
    }
    memset(mask, 0x5a, sizeof mask);
    memcpy(mask, argument[0], strlen(argument[0]));
    *out = mask;
    return TDSA_ENCRYPTOR_OK;
}

static void destroy(void *self)
{
    memset(self, 0, sizeof mask);
}

static int check(void *self, tdsa_encryptor_bytes *out, tdsa_encryptor_error *error)
{
    (void)error;
    memcpy(out->data, self, 8);
    out->len = 8;
    return TDSA_ENCRYPTOR_OK;
}

static int apply(void *self, const uint8_t *in, size_t len, tdsa_encryptor_bytes *out,
                 tdsa_encryptor_error *error)
{
    const uint8_t *m = self;

    (void)error;
    if (len != sizeof mask || out->cap < len) {
        return TDSA_ENCRYPTOR_DAMAGED;
    }
    for (size_t i = 0; i < len; i++) {
        out->data[i] = in[i] ^ m[i];
    }
    out->data[0] ^= PLUGIN_LIES;
    out->len = len;
    return TDSA_ENCRYPTOR_OK;
}

static int apply_back(void *self, const uint8_t *in, size_t len, tdsa_encryptor_bytes *out,
                      tdsa_encryptor_error *error)
{
    const int rc = apply(self, in, len, out, error);

    if (PLUGIN_LIES) {
        out->data[0] ^= 2;
    }
    return rc;
}

__attribute__((
    visibility("default"))) extern const tdsa_encryptor_plugin tdsa_encryptor_plugin_table;
const tdsa_encryptor_plugin tdsa_encryptor_plugin_table = {
    PLUGIN_VERSION, PLUGIN_NAME, create, destroy, check, apply, apply_back,
};
