#include <stdlib.h>
#include <string.h>

#include "base/dh.h"
#include "base/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

static void check_base64(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;
    tdsa_base64_form form;
    tdsa_err err;

    if (tdsa_base64_decode(&bytes, (const char *)data, size, &form, &err) != TDSA_OK) {
        require(bytes.len == 0);
        return;
    }
    if (bytes.len == 0) {
        return;
    }
    tdsa_base64url_encode(&text, bytes.data, bytes.len);
    require(tdsa_base64_decode(&back, (const char *)text.data, text.len, &form, &err) == TDSA_OK);
    require(back.len == bytes.len);
    require(back.len == 0 || memcmp(back.data, bytes.data, back.len) == 0);
    require(!form.padded && !form.standard_alphabet);
}

static void check_text(const char *text)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    uint8_t key[TDSA_X448_LEN];
    tdsa_err err;

    if (tdsa_hex_decode(&bytes, text, &err) == TDSA_OK) {
        require(bytes.len == strlen(text) / 2);
    }
    for (int kind = TDSA_DH_X25519; kind <= TDSA_DH_X448; kind++) {
        tdsa_status st = tdsa_dh_parse_private((tdsa_dh_kind)kind, key, text, &err);

        require(st == TDSA_OK || st == TDSA_E_CONFIG);
        st = tdsa_dh_parse_public((tdsa_dh_kind)kind, key, text, &err);
        require(st == TDSA_OK || st == TDSA_E_CONFIG);
    }
}

/* The input as base64, as hex, as a key, and as the DER of a key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

    check_base64(data, size);
    tdsa_buf_append(&text, data, size);
    tdsa_buf_append_u8(&text, 0);
    if (text.failed) {
        return 0;
    }
    check_text((const char *)text.data);
    tdsa_buf_reset(&text);
    tdsa_base64url_encode(&text, data, size);
    tdsa_buf_append_u8(&text, 0);
    if (!text.failed) {
        check_text((const char *)text.data);
    }
    return 0;
}
