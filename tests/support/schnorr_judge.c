#include "support/schnorr_judge.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <secp256k1.h>
#include <secp256k1_extrakeys.h>
#include <secp256k1_schnorrsig.h>

/* A failure of the test itself, not of what it tests. */
static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

bool judge_bip340(const uint8_t key[32], const uint8_t *msg, size_t len, const uint8_t sig[64])
{
    secp256k1_xonly_pubkey y;
    const uint8_t none = 0;

    if (secp256k1_xonly_pubkey_parse(secp256k1_context_static, &y, key) != 1) {
        return false;
    }
    return secp256k1_schnorrsig_verify(secp256k1_context_static, sig, len == 0 ? &none : msg, len,
                                       &y) == 1;
}

bool judge_eddsa(const uint8_t key[32], const uint8_t *msg, size_t len, const uint8_t sig[64])
{
    EVP_PKEY *y = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = false;

    must(ctx != NULL);
    if (y != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, y) == 1) {
        ok = EVP_DigestVerify(ctx, sig, 64, msg, len) == 1;
    }
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(y);
    return ok;
}

void judge_tap_output(uint8_t out[32], const uint8_t internal[32], const uint8_t *root)
{
    static const char tag[] = "TapTweak";
    uint8_t data[64];
    uint8_t tweak[32];
    secp256k1_xonly_pubkey p;
    secp256k1_xonly_pubkey x;
    secp256k1_pubkey q;

    memcpy(data, internal, 32);
    if (root != NULL) {
        memcpy(data + 32, root, 32);
    }
    must(secp256k1_tagged_sha256(secp256k1_context_static, tweak, (const uint8_t *)tag,
                                 sizeof tag - 1, data, root != NULL ? 64 : 32) == 1);
    must(secp256k1_xonly_pubkey_parse(secp256k1_context_static, &p, internal) == 1);
    must(secp256k1_xonly_pubkey_tweak_add(secp256k1_context_static, &q, &p, tweak) == 1);
    must(secp256k1_xonly_pubkey_from_pubkey(secp256k1_context_static, &x, NULL, &q) == 1);
    must(secp256k1_xonly_pubkey_serialize(secp256k1_context_static, out, &x) == 1);
}
