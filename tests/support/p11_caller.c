/*
 * An application for the tests that kill processes: one command per line on stdin, one answer per
 * line on stdout ("ok ..." or "failed CKR 0x..."). Signatures are verified with OpenSSL before "ok".
 *
 * usage: p11_caller MODULE TOKEN PIN
 *   keygen CURVE LABEL      curve p256 or secp256k1
 *   sign LABEL COUNT        answers one line per signature: "ok r=<hex>"
 *   list                    "ok" and the labels of all private keys
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>

#include "support/p11.h"

#define KEYS_MAX 512u

static void answer_code(CK_RV rv)
{
    (void)printf("failed CKR 0x%lx\n", (unsigned long)rv);
    (void)fflush(stdout);
}

/* The public key as OpenSSL has it, from CKA_EC_PARAMS and CKA_EC_POINT (DER octet string). */
static EVP_PKEY *public_key(const p11 *p)
{
    CK_BYTE params[32];
    CK_BYTE point[80];
    CK_ATTRIBUTE wanted[] = {{CKA_EC_PARAMS, params, sizeof params},
                             {CKA_EC_POINT, point, sizeof point}};
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM *list = NULL;
    EVP_PKEY *key = NULL;

    if (p->f->C_GetAttributeValue(p->session, p->public_key, wanted, 2) == CKR_OK &&
        wanted[1].ulValueLen == 67 && build != NULL && ctx != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME,
                                        wanted[0].ulValueLen == 10 ? "P-256" : "secp256k1",
                                        0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point + 2, 65) == 1) {
        list = OSSL_PARAM_BLD_to_param(build);
    }
    if (list != NULL && EVP_PKEY_fromdata_init(ctx) == 1) {
        (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, list);
    }
    OSSL_PARAM_free(list);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool verifies(EVP_PKEY *key, const unsigned char digest[32], const unsigned char rs[64])
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    unsigned char *der = NULL;
    int len = 0;
    bool ok = false;

    if (sig != NULL && ctx != NULL &&
        ECDSA_SIG_set0(sig, BN_bin2bn(rs, 32, NULL), BN_bin2bn(rs + 32, 32, NULL)) == 1) {
        len = i2d_ECDSA_SIG(sig, &der);
        ok = len > 0 && EVP_PKEY_verify_init(ctx) == 1 &&
             EVP_PKEY_verify(ctx, der, (size_t)len, digest, 32) == 1;
    }
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static void sign_many(p11 *p, const char *label, unsigned long count)
{
    EVP_PKEY *key = NULL;
    unsigned char digest[32];
    unsigned char rs[64];
    unsigned long i = 0;
    size_t k = 0;

    if (!p11_find_key(p, label) || (key = public_key(p)) == NULL) {
        (void)printf("failed no key %s\n", label);
        (void)fflush(stdout);
        return;
    }
    for (i = 0; i < count; i++) {
        const CK_RV rv = RAND_bytes(digest, sizeof digest) == 1
                             ? p11_sign(p, p->session, digest, rs)
                             : CKR_GENERAL_ERROR;

        if (rv != CKR_OK) {
            answer_code(rv);
            continue;
        }
        (void)printf(verifies(key, digest, rs) ? "ok r=" : "WRONG SIGNATURE r=");
        for (k = 0; k < 32; k++) {
            (void)printf("%02x", rs[k]);
        }
        (void)printf("\n");
        (void)fflush(stdout);
    }
    EVP_PKEY_free(key);
}

static void list_keys(const p11 *p)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE wanted = {CKA_CLASS, &class, sizeof class};
    CK_OBJECT_HANDLE found[KEYS_MAX];
    CK_ULONG count = 0;
    CK_ULONG i = 0;

    if (p->f->C_FindObjectsInit(p->session, &wanted, 1) != CKR_OK ||
        p->f->C_FindObjects(p->session, found, KEYS_MAX, &count) != CKR_OK ||
        p->f->C_FindObjectsFinal(p->session) != CKR_OK) {
        answer_code(CKR_GENERAL_ERROR);
        return;
    }
    (void)printf("ok");
    for (i = 0; i < count; i++) {
        char label[65];
        CK_ATTRIBUTE attribute = {CKA_LABEL, label, sizeof label - 1};

        if (p->f->C_GetAttributeValue(p->session, found[i], &attribute, 1) == CKR_OK) {
            label[attribute.ulValueLen] = '\0';
            (void)printf(" %s", label);
        }
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

static void obey(p11 *p, char *line)
{
    char *save = NULL;
    const char *command = strtok_r(line, " \n", &save);
    const char *first = strtok_r(NULL, " \n", &save);
    const char *second = strtok_r(NULL, " \n", &save);

    if (command != NULL && strcmp(command, "list") == 0) {
        list_keys(p);
    } else if (command != NULL && second != NULL && strcmp(command, "keygen") == 0) {
        const CK_RV rv = p11_make_key(p, first, second);

        if (rv == CKR_OK) {
            (void)printf("ok %s\n", second);
            (void)fflush(stdout);
        } else {
            answer_code(rv);
        }
    } else if (command != NULL && second != NULL && strcmp(command, "sign") == 0) {
        sign_many(p, first, strtoul(second, NULL, 10));
    } else {
        (void)printf("failed what?\n");
        (void)fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    p11 p;
    char line[256];

    if (argc != 4) {
        (void)fprintf(stderr, "usage: p11_caller MODULE TOKEN PIN\n");
        return 2;
    }
    if (!p11_open(&p, argv[1], argv[2]) || !p11_log_in(&p, argv[3])) {
        return 1;
    }
    (void)printf("ok ready\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        obey(&p, line);
    }
    p11_close(&p);
    return 0;
}
