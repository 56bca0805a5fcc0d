#include "base/pkey.h"

#include "base/encode.h"

#define DER_INTEGER      0x02u
#define DER_BIT_STRING   0x03u
#define DER_OCTET_STRING 0x04u
#define DER_SEQUENCE     0x30u
#define DER_EXPLICIT_1   0xa1u
#define PEM_LINE         64u

/* OBJECT IDENTIFIER id-ecPublicKey (RFC 5480 2.1.1) */
static const uint8_t ec_public_key[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};

/* Tag and length; the longest key has fewer than 65536 bytes. */
static void put_header(tdsa_buf *out, uint8_t tag, size_t len)
{
    tdsa_buf_append_u8(out, tag);
    if (len >= 0x100u) {
        tdsa_buf_append_u8(out, 0x82);
        tdsa_buf_append_u8(out, (uint8_t)(len >> 8));
    } else if (len >= 0x80u) {
        tdsa_buf_append_u8(out, 0x81);
    }
    tdsa_buf_append_u8(out, (uint8_t)len);
}

static void put(tdsa_buf *out, uint8_t tag, const void *value, size_t len)
{
    put_header(out, tag, len);
    tdsa_buf_append(out, value, len);
}

/* BIT STRING of whole bytes, in [1]. */
static void put_public(tdsa_buf *out, const tdsa_pkey *key)
{
    TDSA_SCOPED_BUF bits = TDSA_BUF_EMPTY;

    put_header(&bits, DER_BIT_STRING, key->point_len + 1);
    tdsa_buf_append_u8(&bits, 0); /* unused bits */
    tdsa_buf_append(&bits, key->point, key->point_len);
    put(out, DER_EXPLICIT_1, bits.data, bits.len);
}

/* ECPrivateKey of RFC 5915, without the curve, which PKCS#8 names. */
static void put_ec_private(tdsa_buf *out, const tdsa_pkey *key)
{
    static const uint8_t version = 1;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;

    put(&body, DER_INTEGER, &version, 1);
    put(&body, DER_OCTET_STRING, key->scalar, key->scalar_len);
    put_public(&body, key);
    put(out, DER_SEQUENCE, body.data, body.len);
}

static void put_pkcs8(tdsa_buf *out, const tdsa_pkey *key)
{
    static const uint8_t version = 0;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF private = TDSA_BUF_EMPTY;

    put(&body, DER_INTEGER, &version, 1);
    put_header(&body, DER_SEQUENCE, sizeof ec_public_key + key->oid_len);
    tdsa_buf_append(&body, ec_public_key, sizeof ec_public_key);
    tdsa_buf_append(&body, key->oid, key->oid_len);
    put_ec_private(&private, key);
    put(&body, DER_OCTET_STRING, private.data, private.len);
    put(out, DER_SEQUENCE, body.data, body.len);
}

/* The letter of the standard alphabet for one of the url-safe one; without a branch. */
static uint8_t standard(uint8_t c)
{
    const unsigned minus = 0u - (((unsigned)(c ^ '-') - 1u) >> 31);
    const unsigned low = 0u - (((unsigned)(c ^ '_') - 1u) >> 31);

    return (uint8_t)(c ^ (minus & ('-' ^ '+')) ^ (low & ('_' ^ '/')));
}

static void put_pem(tdsa_buf *out, const tdsa_buf *der)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

    tdsa_base64url_encode(&text, der->data, der->len);
    for (size_t i = 0; i < text.len; i++) {
        text.data[i] = standard(text.data[i]);
    }
    while (text.len % 4 != 0 && !text.failed) {
        tdsa_buf_append_u8(&text, '=');
    }
    tdsa_buf_append_str(out, "-----BEGIN PRIVATE KEY-----\n");
    for (size_t at = 0; at < text.len; at += PEM_LINE) {
        tdsa_buf_append(out, text.data + at, text.len - at < PEM_LINE ? text.len - at : PEM_LINE);
        tdsa_buf_append_u8(out, '\n');
    }
    tdsa_buf_append_str(out, "-----END PRIVATE KEY-----\n");
}

tdsa_status tdsa_pkey_to_pem(tdsa_buf *out, const tdsa_pkey *key, tdsa_err *err)
{
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    const size_t before = out->len;
    tdsa_status st = TDSA_OK;

    if (key->scalar_len == 0 || key->scalar_len > TDSA_PKEY_SCALAR_MAX || key->point_len == 0 ||
        key->point_len > TDSA_PKEY_POINT_MAX || key->oid_len > TDSA_PKEY_OID_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "no key with a scalar of %zu and a point of %zu bytes", key->scalar_len,
                         key->point_len);
    }
    put_pkcs8(&der, key);
    put_pem(out, &der);
    st = der.failed ? tdsa_buf_check(&der, err) : tdsa_buf_check(out, err);
    if (st != TDSA_OK) {
        out->len = before;
    }
    return st;
}
