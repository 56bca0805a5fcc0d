/* An encryptor plugin: AES-256-GCM under a key that a file and, when it is given, a second secret make together.
 *
 *   encryptor: com.example.KeyFile
 *   encryptorArguments: [/run/keys/wrap.key, DATABASE_ENCRYPTION_KEY]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "encryptor_plugin.h"

#define KEY_LEN   32
#define NONCE_LEN 12
#define TAG_LEN   16

typedef struct {
    unsigned char wrap[KEY_LEN];
    unsigned char check[KEY_LEN];
} key_file;

static int fail(tdsa_encryptor_error *error, int rc, const char *what, const char *path)
{
    (void)snprintf(error->text, sizeof error->text, "%s%.100s", what, path);
    return rc;
}

static int mac(unsigned char out[KEY_LEN], const unsigned char key[KEY_LEN], const char *text)
{
    unsigned int len = KEY_LEN;

    return HMAC(EVP_sha256(), key, KEY_LEN, (const unsigned char *)text, strlen(text), out, &len) !=
           NULL;
}

static int read_file(unsigned char out[KEY_LEN], const char *path, tdsa_encryptor_error *error)
{
    unsigned char bytes[KEY_LEN + 1]; /* a longer file is noticed */
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t len;

    if (fd < 0) {
        return fail(error, TDSA_ENCRYPTOR_ARGUMENTS, "cannot open ", path);
    }
    len = fstat(fd, &st) == 0 ? read(fd, bytes, sizeof bytes) : -1;
    (void)close(fd);
    if (len == KEY_LEN) {
        memcpy(out, bytes, KEY_LEN);
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    if (len != KEY_LEN) {
        return fail(error, TDSA_ENCRYPTOR_ARGUMENTS, "there are not 32 bytes in ", path);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return fail(error, TDSA_ENCRYPTOR_ARGUMENTS, "others may read or write ", path);
    }
    return TDSA_ENCRYPTOR_OK;
}

static void destroy(void *self)
{
    OPENSSL_cleanse(self, sizeof(key_file));
    (void)munlock(self, sizeof(key_file));
    free(self);
}

/* The file's key and the second argument make a root, which makes one key for each purpose. */
static int create(void **out, const char *const *argument, size_t count,
                  tdsa_encryptor_error *error)
{
    unsigned char file[KEY_LEN] = {0};
    unsigned char root[KEY_LEN] = {0};
    key_file *k = NULL;
    int rc;

    if (count < 1 || count > 2) {
        return fail(error, TDSA_ENCRYPTOR_ARGUMENTS,
                    "needs a file of 32 bytes, and may have a secret", "");
    }
    rc = read_file(file, argument[0], error);
    if (rc != TDSA_ENCRYPTOR_OK) {
        return rc;
    }
    k = calloc(1, sizeof *k);
    if (k == NULL) {
        rc = fail(error, TDSA_ENCRYPTOR_UNAVAILABLE, "no memory", "");
    } else {
        (void)mlock(k, sizeof *k); /* as far as the limit allows */
        rc = mac(root, file, count == 2 ? argument[1] : "") && mac(k->wrap, root, "wrap") &&
                     mac(k->check, root, "check")
                 ? TDSA_ENCRYPTOR_OK
                 : fail(error, TDSA_ENCRYPTOR_UNAVAILABLE, "HMAC failed", "");
    }
    OPENSSL_cleanse(file, sizeof file);
    OPENSSL_cleanse(root, sizeof root);
    if (rc != TDSA_ENCRYPTOR_OK && k != NULL) {
        destroy(k);
        k = NULL;
    }
    *out = k;
    return rc;
}

static int check(void *self, tdsa_encryptor_bytes *out, tdsa_encryptor_error *error)
{
    const key_file *k = self;

    (void)error;
    memcpy(out->data, k->check, 16);
    out->len = 16;
    return TDSA_ENCRYPTOR_OK;
}

/* nonce | ciphertext | tag */
static int wrap(void *self, const uint8_t *key, size_t key_len, tdsa_encryptor_bytes *out,
                tdsa_encryptor_error *error)
{
    const key_file *k = self;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t *at = out->data + NONCE_LEN;
    int len = 0;
    const int ok = c != NULL && out->cap >= NONCE_LEN + key_len + TAG_LEN &&
                   RAND_bytes(out->data, NONCE_LEN) == 1 &&
                   EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, k->wrap, out->data) == 1 &&
                   EVP_EncryptUpdate(c, at, &len, key, (int)key_len) == 1 &&
                   EVP_EncryptFinal_ex(c, at + key_len, &len) == 1 &&
                   EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_LEN, at + key_len) == 1;

    EVP_CIPHER_CTX_free(c);
    if (!ok) {
        return fail(error, TDSA_ENCRYPTOR_UNAVAILABLE, "AES-256-GCM failed", "");
    }
    out->len = NONCE_LEN + key_len + TAG_LEN;
    return TDSA_ENCRYPTOR_OK;
}

static int unwrap(void *self, const uint8_t *wrapped, size_t wrapped_len, tdsa_encryptor_bytes *out,
                  tdsa_encryptor_error *error)
{
    const key_file *k = self;
    const size_t key_len =
        wrapped_len > NONCE_LEN + TAG_LEN ? wrapped_len - NONCE_LEN - TAG_LEN : 0;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t tag[TAG_LEN];
    int len = 0;
    int ok = c != NULL && key_len > 0 && key_len <= out->cap;

    if (ok) {
        memcpy(tag, wrapped + wrapped_len - TAG_LEN, TAG_LEN);
        ok = EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, k->wrap, wrapped) == 1 &&
             EVP_DecryptUpdate(c, out->data, &len, wrapped + NONCE_LEN, (int)key_len) == 1 &&
             EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1 &&
             EVP_DecryptFinal_ex(c, out->data + key_len, &len) == 1;
    }
    EVP_CIPHER_CTX_free(c);
    if (!ok) {
        OPENSSL_cleanse(out->data, out->cap);
        return fail(error, TDSA_ENCRYPTOR_DAMAGED, "the wrapped key does not open", "");
    }
    out->len = key_len;
    return TDSA_ENCRYPTOR_OK;
}

__attribute__((
    visibility("default"))) extern const tdsa_encryptor_plugin tdsa_encryptor_plugin_table;
const tdsa_encryptor_plugin tdsa_encryptor_plugin_table = {
    .version = TDSA_ENCRYPTOR_PLUGIN_VERSION,
    .name = "com.example.KeyFile",
    .create = create,
    .destroy = destroy,
    .check = check,
    .wrap = wrap,
    .unwrap = unwrap,
};
