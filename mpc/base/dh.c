#include "base/dh.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/crypto_internal.h"
#include "base/encode.h"

#define DER_INTEGER      0x02u
#define DER_BIT_STRING   0x03u
#define DER_OCTET_STRING 0x04u
#define DER_OID          0x06u
#define DER_SEQUENCE     0x30u
/* Longest DER that is a key: a PKCS#8 with attributes and the public key. */
#define KEY_DER_LEN_MAX 512u

static const char *dh_name(tdsa_dh_kind kind)
{
    return kind == TDSA_DH_X25519 ? "X25519" : "X448";
}

size_t tdsa_dh_len(tdsa_dh_kind kind)
{
    return kind == TDSA_DH_X25519 ? TDSA_X25519_LEN : TDSA_X448_LEN;
}

tdsa_status tdsa_dh_public(tdsa_dh_kind kind, uint8_t *pub, const uint8_t *priv, tdsa_err *err)
{
    const tdsa_crypto *c = tdsa_crypto_get(err);
    EVP_PKEY *key = NULL;
    size_t len = tdsa_dh_len(kind);
    bool ok = false;

    if (c == NULL) {
        return err->status;
    }
    (void)ERR_set_mark();
    key = EVP_PKEY_new_raw_private_key_ex(c->libctx, dh_name(kind), NULL, priv, len);
    ok = key != NULL && EVP_PKEY_get_raw_public_key(key, pub, &len) == 1;
    EVP_PKEY_free(key);
    (void)ERR_pop_to_mark();
    if (!ok) {
        memset(pub, 0, tdsa_dh_len(kind));
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "%s public key failed", dh_name(kind));
    }
    return TDSA_OK;
}

static bool dh_derive(const tdsa_crypto *c, tdsa_dh_kind kind, uint8_t *shared, const uint8_t *priv,
                      const uint8_t *peer_pub)
{
    const size_t len = tdsa_dh_len(kind);
    size_t got = len;
    EVP_PKEY *mine = EVP_PKEY_new_raw_private_key_ex(c->libctx, dh_name(kind), NULL, priv, len);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(c->libctx, dh_name(kind), NULL, peer_pub, len);
    EVP_PKEY_CTX *ctx = NULL;
    bool ok = false;

    if (mine != NULL && peer != NULL) {
        ctx = EVP_PKEY_CTX_new_from_pkey(c->libctx, mine, NULL);
        ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
             EVP_PKEY_derive_set_peer(ctx, peer) == 1 && EVP_PKEY_derive(ctx, shared, &got) == 1 &&
             got == len;
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(mine);
    EVP_PKEY_free(peer);
    return ok;
}

tdsa_status tdsa_dh_shared(tdsa_dh_kind kind, uint8_t *shared, const uint8_t *priv,
                           const uint8_t *peer_pub, tdsa_err *err)
{
    static const uint8_t zero[TDSA_X448_LEN] = {0};
    const tdsa_crypto *c = tdsa_crypto_get(err);
    const size_t len = tdsa_dh_len(kind);
    bool ok = false;
    bool is_zero = false;

    if (c == NULL) {
        return err->status;
    }
    memset(shared, 0xff, len); /* so that zeros below are the result, not an untouched buffer */
    (void)ERR_set_mark();
    ok = dh_derive(c, kind, shared, priv, peer_pub);
    (void)ERR_pop_to_mark();
    is_zero = tdsa_ct_equal(shared, zero, len);
    tdsa_declassify(&is_zero, sizeof is_zero); /* a low-order peer key is refused in public */
    if (ok && !is_zero) {
        return TDSA_OK;
    }
    tdsa_wipe(shared, len);
    if (is_zero) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "%s: the peer's key has low order", dh_name(kind));
    }
    return TDSA_FAIL(err, TDSA_E_CRYPTO, "%s failed", dh_name(kind));
}

/* The contents of the next DER element with `tag`; lengths below 2^16, shortest form only. */
static tdsa_reader der_next(tdsa_reader *r, uint8_t tag)
{
    size_t len = 0;
    tdsa_reader in;

    if (tdsa_read_u8(r) != tag) {
        r->failed = true;
    }
    len = tdsa_read_u8(r);
    if (len == 0x81) {
        len = tdsa_read_u8(r);
        r->failed = r->failed || len < 0x80;
    } else if (len == 0x82) {
        len = tdsa_read_u16(r);
        r->failed = r->failed || len < 0x100;
    } else if (len >= 0x80) {
        r->failed = true;
    }
    in = tdsa_reader_of(tdsa_read_bytes(r, len), len);
    in.failed = r->failed;
    return in;
}

static bool der_is_algorithm(tdsa_reader *r, tdsa_dh_kind kind)
{
    /* RFC 8410 3: id-X25519 1.3.101.110, id-X448 1.3.101.111; "the parameters MUST be absent". */
    const uint8_t oid[3] = {0x2b, 0x65, kind == TDSA_DH_X25519 ? 0x6e : 0x6f};
    tdsa_reader seq = der_next(r, DER_SEQUENCE);
    tdsa_reader id = der_next(&seq, DER_OID);

    return !seq.failed && tdsa_reader_left(&seq) == 0 && tdsa_reader_left(&id) == sizeof oid &&
           memcmp(id.data, oid, sizeof oid) == 0;
}

/* RFC 5958: version 0, or 1 with the public key; attributes and public key are not needed. */
static bool parse_pkcs8(tdsa_dh_kind kind, uint8_t *out, tdsa_reader *r)
{
    tdsa_reader seq = der_next(r, DER_SEQUENCE);
    tdsa_reader version = der_next(&seq, DER_INTEGER);
    const bool version_ok = tdsa_reader_left(&version) == 1 && tdsa_read_u8(&version) <= 1;
    const bool algorithm_ok = der_is_algorithm(&seq, kind);
    tdsa_reader outer = der_next(&seq, DER_OCTET_STRING);
    tdsa_reader inner = der_next(&outer, DER_OCTET_STRING);

    if (r->failed || tdsa_reader_left(r) != 0 || seq.failed || outer.failed || inner.failed ||
        tdsa_reader_left(&outer) != 0 || tdsa_reader_left(&inner) != tdsa_dh_len(kind) ||
        !version_ok || !algorithm_ok) {
        return false;
    }
    memcpy(out, inner.data, inner.len);
    return true;
}

static bool parse_spki(tdsa_dh_kind kind, uint8_t *out, tdsa_reader *r)
{
    tdsa_reader seq = der_next(r, DER_SEQUENCE);
    const bool algorithm_ok = der_is_algorithm(&seq, kind);
    tdsa_reader bits = der_next(&seq, DER_BIT_STRING);
    const uint8_t unused = tdsa_read_u8(&bits);

    if (r->failed || tdsa_reader_left(r) != 0 || seq.failed || tdsa_reader_left(&seq) != 0 ||
        bits.failed || unused != 0 || tdsa_reader_left(&bits) != tdsa_dh_len(kind) ||
        !algorithm_ok) {
        return false;
    }
    memcpy(out, bits.data + bits.pos, tdsa_dh_len(kind));
    return true;
}

static tdsa_status parse_key(tdsa_dh_kind kind, uint8_t *out, const char *text, bool is_private,
                             tdsa_err *err)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    const char *what = is_private ? "private" : "public";
    tdsa_reader r;
    bool ok = false;

    memset(out, 0, tdsa_dh_len(kind));
    if (strlen(text) > 2 * (size_t)KEY_DER_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s %s key: text too long", dh_name(kind), what);
    }
    if (tdsa_base64_decode(&bytes, text, strlen(text), NULL, err) != TDSA_OK) {
        /* Says nothing of the characters: they may be the key. */
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s %s key: not base64", dh_name(kind), what);
    }
    if (bytes.len == tdsa_dh_len(kind)) {
        memcpy(out, bytes.data, bytes.len);
        return TDSA_OK;
    }
    r = tdsa_reader_of(bytes.data, bytes.len);
    ok = is_private ? parse_pkcs8(kind, out, &r) : parse_spki(kind, out, &r);
    if (!ok) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%s %s key: neither %zu raw bytes nor %s DER of this curve (%zu bytes)",
                         dh_name(kind), what, tdsa_dh_len(kind),
                         is_private ? "PKCS#8" : "SubjectPublicKeyInfo", bytes.len);
    }
    return TDSA_OK;
}

tdsa_status tdsa_dh_parse_private(tdsa_dh_kind kind, uint8_t *out, const char *text, tdsa_err *err)
{
    return parse_key(kind, out, text, true, err);
}

tdsa_status tdsa_dh_parse_public(tdsa_dh_kind kind, uint8_t *out, const char *text, tdsa_err *err)
{
    return parse_key(kind, out, text, false, err);
}
