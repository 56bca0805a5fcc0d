#include "cli/pubkey.h"

#include <string.h>

#include "api/encode.h"
#include "base/encode.h"
#include "cli/file.h"

#define FILE_MAX  8192u
#define PEM_BEGIN "-----BEGIN PUBLIC KEY-----"
#define PEM_END   "-----END PUBLIC KEY-----"

static tdsa_status no_key(const char *path, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s is no public key in PEM, DER or hex", path);
}

/* A SEQUENCE of bytes, which is no text: '0' and a digit after it would be hex. */
static bool is_der(const tdsa_buf *b)
{
    return b->len > 2 && b->data[0] == 0x30 && strchr("0123456789abcdefABCDEF", b->data[1]) == NULL;
}

/* PEM and hex become bytes; DER stays. */
static tdsa_status read_key(tdsa_buf *out, const char *path, tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    const char *begin = NULL;
    const char *end = NULL;
    tdsa_status st = cli_read_file(&text, path, FILE_MAX, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (is_der(&text)) {
        tdsa_buf_append(out, text.data, text.len);
        return tdsa_buf_check(out, err);
    }
    while (text.len > 0 && strchr(" \r\n\t", text.data[text.len - 1]) != NULL) {
        text.len--;
    }
    tdsa_buf_append_u8(&text, 0);
    if (text.failed || strlen((const char *)text.data) + 1 != text.len) {
        return no_key(path, err);
    }
    begin = strstr((const char *)text.data, PEM_BEGIN);
    end = begin != NULL ? strstr(begin, PEM_END) : NULL;
    if (end != NULL) {
        begin += sizeof PEM_BEGIN - 1;
        st = tdsa_base64_decode(out, begin, (size_t)(end - begin), NULL, err);
    } else {
        st = tdsa_hex_decode(out, (const char *)text.data, err);
    }
    return st == TDSA_OK && out->len > 0 ? tdsa_buf_check(out, err) : no_key(path, err);
}

static bool same(const tdsa_buf *a, const void *bytes, size_t len)
{
    return a->len == len && memcmp(a->data, bytes, len) == 0;
}

tdsa_status cli_pubkey_is(bool *out, const cli_pubkey *key, const char *path, tdsa_err *err)
{
    TDSA_SCOPED_BUF given = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF spki = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF point = TDSA_BUF_EMPTY;
    const grp_info *info = grp_get_info(key->g);
    uint8_t raw[GRP_POINT_RAW_MAX];
    tdsa_status st = read_key(&given, path, err);

    *out = false;
    grp_point_encode_raw(key->g, raw, key->y);
    if (st == TDSA_OK) {
        st = svc_spki(&spki, info->curve, raw, info->point_raw_len, err);
    }
    if (st == TDSA_OK) {
        st = svc_point_compress(&point, raw, info->point_raw_len, err);
    }
    if (st == TDSA_OK) {
        *out = same(&given, spki.data, spki.len) || same(&given, point.data, point.len) ||
               same(&given, raw, info->point_raw_len);
    }
    return st;
}

tdsa_status cli_pubkey_hex(tdsa_buf *out, const cli_pubkey *key, tdsa_err *err)
{
    TDSA_SCOPED_BUF point = TDSA_BUF_EMPTY;
    uint8_t raw[GRP_POINT_RAW_MAX];
    tdsa_status st;

    grp_point_encode_raw(key->g, raw, key->y);
    st = svc_point_compress(&point, raw, grp_get_info(key->g)->point_raw_len, err);
    if (st == TDSA_OK) {
        tdsa_hex_encode(out, point.data, point.len);
        st = tdsa_buf_check(out, err);
    }
    return st;
}
