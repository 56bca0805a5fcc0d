#include "peer/noise.h"

#include <string.h>

#include "base/cipher.h"
#include "base/dh.h"
#include "base/hash.h"

_Static_assert(PEER_NOISE_KEY_LEN == TDSA_X25519_LEN, "DHLEN of X25519");
_Static_assert(PEER_NOISE_TAG_LEN == TDSA_GCM_TAG_LEN, "tag of AES-GCM");

static const char protocol_name[] = "Noise_IKpsk2_25519_AESGCM_SHA256";
_Static_assert(sizeof protocol_name - 1 <= PEER_NOISE_HASH_LEN, "h starts as the name, padded");

static tdsa_status hmac(uint8_t out[32], const uint8_t key[32], const void *in, size_t len,
                        tdsa_err *err)
{
    return tdsa_hmac(out, TDSA_HASH_SHA256, key, PEER_NOISE_HASH_LEN, in, len, err);
}

/* Section 4.3: "HKDF(chaining_key, input_key_material, num_outputs)"; out has `count` * 32 bytes. */
static tdsa_status hkdf(uint8_t *out, unsigned count, const uint8_t ck[32], const uint8_t *ikm,
                        size_t ikm_len, tdsa_err *err)
{
    uint8_t temp[32];
    uint8_t in[33];
    tdsa_status st = hmac(temp, ck, ikm, ikm_len, err);

    for (unsigned i = 0; i < count && st == TDSA_OK; i++) {
        /* "output2 = HMAC-HASH(temp_key, output1 || byte(0x02))" and so on */
        const size_t before = i == 0 ? 0 : 32;

        if (i > 0) {
            memcpy(in, out + (size_t)(i - 1) * 32, 32);
        }
        in[before] = (uint8_t)(i + 1);
        st = hmac(out + (size_t)i * 32, temp, in, before + 1, err);
    }
    tdsa_wipe(temp, sizeof temp);
    tdsa_wipe(in, sizeof in);
    return st;
}

/* "MixHash(data): Sets h = HASH(h || data)." */
static tdsa_status mix_hash(peer_noise *n, const void *data, size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF both = TDSA_BUF_EMPTY;
    tdsa_status st;

    tdsa_buf_append(&both, n->h, sizeof n->h);
    tdsa_buf_append(&both, data, len);
    st = tdsa_buf_check(&both, err);
    if (st == TDSA_OK) {
        st = tdsa_hash(n->h, TDSA_HASH_SHA256, both.data, both.len, err);
    }
    return st;
}

/* "MixKey(input_key_material): Sets ck, temp_k = HKDF(ck, input_key_material, 2). [...] Calls
 * InitializeKey(temp_k)." */
static tdsa_status mix_key(peer_noise *n, const uint8_t ikm[32], tdsa_err *err)
{
    uint8_t out[64];
    tdsa_status st = hkdf(out, 2, n->ck, ikm, 32, err);

    if (st == TDSA_OK) {
        memcpy(n->ck, out, 32);
        memcpy(n->k, out + 32, 32);
        n->n = 0;
    }
    tdsa_wipe(out, sizeof out);
    return st;
}

/* "MixKeyAndHash(input_key_material): Sets ck, temp_h, temp_k = HKDF(ck, input_key_material, 3).
 * Calls MixHash(temp_h). [...] Calls InitializeKey(temp_k)." */
static tdsa_status mix_key_and_hash(peer_noise *n, const uint8_t ikm[32], tdsa_err *err)
{
    uint8_t out[96];
    tdsa_status st = hkdf(out, 3, n->ck, ikm, 32, err);

    if (st == TDSA_OK) {
        st = mix_hash(n, out + 32, 32, err);
    }
    if (st == TDSA_OK) {
        memcpy(n->ck, out, 32);
        memcpy(n->k, out + 64, 32);
        n->n = 0;
    }
    tdsa_wipe(out, sizeof out);
    return st;
}

static tdsa_status mix_dh(peer_noise *n, const uint8_t priv[32], const uint8_t pub[32],
                          tdsa_err *err)
{
    uint8_t shared[PEER_NOISE_KEY_LEN];
    tdsa_status st = tdsa_dh_shared(TDSA_DH_X25519, shared, priv, pub, err);

    if (st == TDSA_OK) {
        st = mix_key(n, shared, err);
    }
    tdsa_wipe(shared, sizeof shared);
    return st;
}

/* Token "e" with a pre-shared key in the pattern (section 9.2): MixHash(e), then MixKey(e). */
static tdsa_status mix_e(peer_noise *n, const uint8_t e[32], tdsa_err *err)
{
    tdsa_status st = mix_hash(n, e, PEER_NOISE_KEY_LEN, err);

    return st == TDSA_OK ? mix_key(n, e, err) : st;
}

tdsa_status peer_noise_seal(tdsa_buf *out, const uint8_t key[32], uint64_t n, const tdsa_buf *ad,
                            const uint8_t *plain, size_t len, tdsa_err *err)
{
    uint8_t nonce[TDSA_GCM_NONCE_LEN] = {0};
    const tdsa_gcm p = {key, nonce, ad == NULL ? NULL : ad->data, ad == NULL ? 0 : ad->len};

    for (size_t i = 0; i < 8; i++) {
        nonce[4 + i] = (uint8_t)(n >> (56 - 8 * i));
    }
    return tdsa_gcm_seal(out, &p, plain, len, err);
}

tdsa_status peer_noise_open(tdsa_buf *out, const uint8_t key[32], uint64_t n, const tdsa_buf *ad,
                            const uint8_t *sealed, size_t len, tdsa_err *err)
{
    uint8_t nonce[TDSA_GCM_NONCE_LEN] = {0};
    const tdsa_gcm p = {key, nonce, ad == NULL ? NULL : ad->data, ad == NULL ? 0 : ad->len};

    for (size_t i = 0; i < 8; i++) {
        nonce[4 + i] = (uint8_t)(n >> (56 - 8 * i));
    }
    return tdsa_gcm_open(out, &p, sealed, len, err);
}

tdsa_status peer_noise_rekey(uint8_t next[32], const uint8_t key[32], tdsa_err *err)
{
    static const uint8_t zeros[32] = {0};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    /* "REKEY(k): [...] the first 32 bytes from ENCRYPT(k, maxnonce, zerolen, zeros), where
     * maxnonce equals 2^64-1, zerolen is a zero-length byte sequence, and zeros is a sequence of
     * 32 bytes filled with zeros." */
    tdsa_status st = peer_noise_seal(&out, key, UINT64_MAX, NULL, zeros, sizeof zeros, err);

    if (st == TDSA_OK) {
        memcpy(next, out.data, 32);
    }
    return st;
}

/* The hash as associated data; a view, not owned. */
static tdsa_buf view_of_h(peer_noise *n)
{
    return (tdsa_buf){n->h, sizeof n->h, sizeof n->h, false};
}

/* "EncryptAndHash(plaintext)". */
static tdsa_status encrypt_and_hash(peer_noise *n, tdsa_buf *out, const uint8_t *plain, size_t len,
                                    tdsa_err *err)
{
    const size_t before = out->len;
    const tdsa_buf ad = view_of_h(n);
    tdsa_status st = peer_noise_seal(out, n->k, n->n, &ad, plain, len, err);

    if (st == TDSA_OK) {
        n->n++;
        st = mix_hash(n, out->data + before, out->len - before, err);
    }
    return st;
}

/* "DecryptAndHash(ciphertext)". */
static tdsa_status decrypt_and_hash(peer_noise *n, tdsa_buf *out, const uint8_t *sealed, size_t len,
                                    tdsa_err *err)
{
    const tdsa_buf ad = view_of_h(n);
    tdsa_status st = peer_noise_open(out, n->k, n->n, &ad, sealed, len, err);

    if (st == TDSA_OK) {
        n->n++;
        st = mix_hash(n, sealed, len, err);
    }
    return st;
}

tdsa_status peer_noise_init(peer_noise *n, const peer_noise_setup *setup, const uint8_t *rs,
                            tdsa_err *err)
{
    tdsa_status st;

    memset(n, 0, sizeof *n);
    memcpy(n->s, setup->s_private, sizeof n->s);
    memcpy(n->s_public, setup->s_public, sizeof n->s_public);
    if (rs != NULL) {
        memcpy(n->rs, rs, sizeof n->rs);
    }
    /* "If protocol_name is less than or equal to HASHLEN bytes in length, sets h equal to
     * protocol_name with zero bytes appended to make HASHLEN bytes." */
    memcpy(n->h, protocol_name, sizeof protocol_name - 1);
    memcpy(n->ck, n->h, sizeof n->ck);
    st = mix_hash(n, setup->prologue, setup->prologue_len, err);
    if (st == TDSA_OK) {
        st = mix_hash(n, rs == NULL ? n->s_public : n->rs, PEER_NOISE_KEY_LEN, err);
    }
    return st;
}

/* Appends my ephemeral public key to `out` and mixes it in. */
static tdsa_status write_e(peer_noise *n, tdsa_buf *out, tdsa_err *err)
{
    uint8_t e_public[PEER_NOISE_KEY_LEN];
    tdsa_status st = tdsa_dh_public(TDSA_DH_X25519, e_public, n->e, err);

    if (st == TDSA_OK) {
        tdsa_declassify(e_public, sizeof e_public); /* goes on the wire */
        tdsa_buf_append(out, e_public, sizeof e_public);
        st = mix_e(n, e_public, err);
    }
    return st;
}

tdsa_status peer_noise_write_first(peer_noise *n, const uint8_t *payload, size_t len, tdsa_buf *out,
                                   tdsa_err *err)
{
    tdsa_status st = write_e(n, out, err);

    if (st == TDSA_OK) {
        st = mix_dh(n, n->e, n->rs, err); /* es */
    }
    if (st == TDSA_OK) {
        st = encrypt_and_hash(n, out, n->s_public, sizeof n->s_public, err);
    }
    if (st == TDSA_OK) {
        st = mix_dh(n, n->s, n->rs, err); /* ss */
    }
    if (st == TDSA_OK) {
        st = encrypt_and_hash(n, out, payload, len, err);
    }
    return st == TDSA_OK ? tdsa_buf_check(out, err) : st;
}

tdsa_status peer_noise_read_first(peer_noise *n, const uint8_t *message, size_t len,
                                  tdsa_buf *payload, tdsa_err *err)
{
    TDSA_SCOPED_BUF rs = TDSA_BUF_EMPTY;
    const size_t s_len = PEER_NOISE_KEY_LEN + PEER_NOISE_TAG_LEN;
    tdsa_status st;

    if (len < PEER_NOISE_FIRST_LEN) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "first handshake message of %zu bytes", len);
    }
    memcpy(n->re, message, sizeof n->re);
    st = mix_e(n, n->re, err);
    if (st == TDSA_OK) {
        st = mix_dh(n, n->s, n->re, err); /* es */
    }
    if (st == TDSA_OK) {
        st = decrypt_and_hash(n, &rs, message + PEER_NOISE_KEY_LEN, s_len, err);
    }
    if (st == TDSA_OK) {
        memcpy(n->rs, rs.data, sizeof n->rs);
        tdsa_declassify(n->rs, sizeof n->rs); /* a public key */
        st = mix_dh(n, n->s, n->rs, err);     /* ss */
    }
    if (st == TDSA_OK) {
        st = decrypt_and_hash(n, payload, message + PEER_NOISE_KEY_LEN + s_len,
                              len - PEER_NOISE_KEY_LEN - s_len, err);
    }
    return st;
}

tdsa_status peer_noise_write_second(peer_noise *n, const uint8_t psk[32], const uint8_t *payload,
                                    size_t len, tdsa_buf *out, tdsa_err *err)
{
    tdsa_status st = write_e(n, out, err);

    if (st == TDSA_OK) {
        st = mix_dh(n, n->e, n->re, err); /* ee */
    }
    if (st == TDSA_OK) {
        st = mix_dh(n, n->e, n->rs, err); /* se */
    }
    if (st == TDSA_OK) {
        st = mix_key_and_hash(n, psk, err);
    }
    if (st == TDSA_OK) {
        st = encrypt_and_hash(n, out, payload, len, err);
    }
    return st == TDSA_OK ? tdsa_buf_check(out, err) : st;
}

tdsa_status peer_noise_read_second(peer_noise *n, const uint8_t psk[32], const uint8_t *message,
                                   size_t len, tdsa_buf *payload, tdsa_err *err)
{
    tdsa_status st;

    if (len < PEER_NOISE_SECOND_LEN) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "second handshake message of %zu bytes", len);
    }
    memcpy(n->re, message, sizeof n->re);
    st = mix_e(n, n->re, err);
    if (st == TDSA_OK) {
        st = mix_dh(n, n->e, n->re, err); /* ee */
    }
    if (st == TDSA_OK) {
        st = mix_dh(n, n->s, n->re, err); /* se */
    }
    if (st == TDSA_OK) {
        st = mix_key_and_hash(n, psk, err);
    }
    if (st == TDSA_OK) {
        st = decrypt_and_hash(n, payload, message + PEER_NOISE_KEY_LEN, len - PEER_NOISE_KEY_LEN,
                              err);
    }
    return st;
}

tdsa_status peer_noise_split(const peer_noise *n, uint8_t initiator[32], uint8_t responder[32],
                             tdsa_err *err)
{
    uint8_t out[64];
    tdsa_status st = hkdf(out, 2, n->ck, NULL, 0, err); /* "HKDF(ck, zerolen, 2)" */

    memset(initiator, 0, 32);
    memset(responder, 0, 32);
    if (st == TDSA_OK) {
        memcpy(initiator, out, 32);
        memcpy(responder, out + 32, 32);
    }
    tdsa_wipe(out, sizeof out);
    return st;
}
