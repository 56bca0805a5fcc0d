#include "api/encode.h"

#include <string.h>

#include "base/assert.h"
#include "base/encode.h"

#define TAG_INTEGER  0x02u
#define TAG_SEQUENCE 0x30u

#define ED25519_KEY_LEN 32u /* SEC 1 forms have odd lengths */

static void append_integer(tdsa_buf *out, const uint8_t *v, size_t len)
{
    bool pad;

    while (len > 1 && v[0] == 0) {
        v++;
        len--;
    }
    pad = (v[0] & 0x80u) != 0;
    tdsa_buf_append_u8(out, TAG_INTEGER);
    tdsa_buf_append_u8(out, (uint8_t)(len + (pad ? 1u : 0u)));
    if (pad) {
        tdsa_buf_append_u8(out, 0);
    }
    tdsa_buf_append(out, v, len);
}

void svc_der_signature(tdsa_buf *out, const uint8_t *rs, size_t rs_len)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    size_t half = rs_len / 2;

    TDSA_ASSERT(half >= 1 && half <= GRP_SCALAR_LEN_MAX);
    append_integer(&body, rs, half);
    append_integer(&body, rs + half, half);
    tdsa_buf_append_u8(out, TAG_SEQUENCE);
    if (body.len >= 0x80) { /* P-521 */
        tdsa_buf_append_u8(out, 0x81);
    }
    tdsa_buf_append_u8(out, (uint8_t)body.len);
    tdsa_buf_append(out, body.data, body.len);
}

tdsa_status svc_point_compress(tdsa_buf *out, const uint8_t *raw, size_t len, tdsa_err *err)
{
    if (len == ED25519_KEY_LEN) {
        tdsa_buf_append(out, raw, len);
        return tdsa_buf_check(out, err);
    }
    if (len < 3 || len > GRP_POINT_RAW_MAX || len % 2 != 1 || raw[0] != 0x04) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not an uncompressed point: %zu bytes", len);
    }
    tdsa_buf_append_u8(out, (raw[len - 1] & 1u) != 0 ? 0x03 : 0x02);
    tdsa_buf_append(out, raw + 1, len / 2);
    return tdsa_buf_check(out, err);
}

/* SubjectPublicKeyInfo up to the point: SEQUENCE { SEQUENCE { OID ecPublicKey, OID curve }, BIT STRING },
 * for Ed25519 RFC 8410 */
static const struct {
    grp_curve curve;
    size_t point_len, head_len;
    uint8_t head[27];
} spki_heads[] = {
    {GRP_P256, 65, 26, {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                        0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00}},
    {GRP_SECP256K1, 65, 23, {0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
                             0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00}},
    {GRP_P384, 97, 23, {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
                        0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00}},
    {GRP_P521, 133, 25, {0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                         0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
                         0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00}},
    {GRP_ED25519, 32, 12, {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}},
};

tdsa_status svc_spki(tdsa_buf *out, grp_curve curve, const uint8_t *raw, size_t len, tdsa_err *err)
{
    for (size_t i = 0; i < sizeof spki_heads / sizeof spki_heads[0]; i++) {
        if (spki_heads[i].curve != curve || spki_heads[i].point_len != len ||
            (curve != GRP_ED25519 && raw[0] != 0x04)) {
            continue;
        }
        tdsa_buf_append(out, spki_heads[i].head, spki_heads[i].head_len);
        tdsa_buf_append(out, raw, len);
        return tdsa_buf_check(out, err);
    }
    return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not an uncompressed point of this curve: %zu bytes",
                     len);
}

void svc_base64(tdsa_buf *out, const uint8_t *bytes, size_t len)
{
    size_t begin = out->len;

    tdsa_base64url_encode(out, bytes, len);
    if (out->failed) {
        return;
    }
    for (size_t i = begin; i < out->len; i++) {
        if (out->data[i] == '-') {
            out->data[i] = (uint8_t)'+';
        } else if (out->data[i] == '_') {
            out->data[i] = (uint8_t)'/';
        }
    }
    while (!out->failed && (out->len - begin) % 4 != 0) {
        tdsa_buf_append_u8(out, (uint8_t)'=');
    }
}

void svc_pem(tdsa_buf *out, const uint8_t *spki, size_t len)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

    svc_base64(&text, spki, len);
    tdsa_buf_append_str(out, "-----BEGIN PUBLIC KEY-----\n");
    for (size_t at = 0; at < text.len; at += 64) {
        tdsa_buf_append(out, text.data + at, text.len - at < 64 ? text.len - at : 64);
        tdsa_buf_append_u8(out, (uint8_t)'\n');
    }
    tdsa_buf_append_str(out, "-----END PUBLIC KEY-----\n");
}

static bool read_step(const char **text, uint32_t *out)
{
    const char *p = *text;
    uint64_t v = 0;

    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9')) {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (uint64_t)(*p - '0');
        if (v > INT32_MAX) {
            return false;
        }
    }
    *text = p;
    *out = (uint32_t)v;
    return true;
}

tdsa_status svc_path_read(const char *text, uint32_t path[MPC_PATH_MAX], uint16_t *len,
                          tdsa_err *err)
{
    uint16_t n = 0;

    *len = 0;
    if (*text != 'm') {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "path must begin with m: m/44/0/0");
    }
    for (text++; *text == '/'; n++) {
        text++;
        if (n >= MPC_PATH_MAX) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "path has more than %u steps", MPC_PATH_MAX);
        }
        if (!read_step(&text, &path[n])) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                             "path step %u must be a number of 0..2147483647", (unsigned)n + 1);
        }
    }
    if (*text != '\0') {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "path must be numbers between slashes (no hardened steps): m/44/0/0");
    }
    *len = n;
    return TDSA_OK;
}
