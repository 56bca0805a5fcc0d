#include <stdlib.h>
#include <string.h>

#include "keystore/seal.h"
#include "keystore/wrap_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Any bytes as a sealed record, in both kinds of store; and as the URI of a wrapping key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ks_seal_place place = {"key", "id", 2, 0, "public", 6};
    TDSA_SCOPED_SECRET key = NULL;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    ks_data_key numbered;
    ks_wrap_uri *uri = NULL;
    tdsa_err err;
    tdsa_status st;

    require(tdsa_secret_new(&key, 32, &err) == TDSA_OK);
    numbered = (ks_data_key){ks_seal_number(data, size), key};
    numbered.number = numbered.number == KS_SEAL_CLEAR ? 1 : numbered.number;
    st = ks_unseal(&out, &numbered, &place, data, size, &err);
    require(st == TDSA_E_STORE && out.len == 0); /* a forgery */
    st = ks_unseal(&out, NULL, &place, data, size, &err);
    require(st == TDSA_E_STORE && out.len == 0);

    tdsa_buf_append_str(&text, "pkcs11:");
    tdsa_buf_append(&text, data, size);
    tdsa_buf_append_u8(&text, 0);
    require(tdsa_buf_check(&text, &err) == TDSA_OK);
    st = ks_wrap_uri_parse(&uri, (const char *)text.data, &err);
    require(st == TDSA_OK ? uri != NULL : uri == NULL && st == TDSA_E_CONFIG);
    ks_wrap_uri_free(uri);
    return 0;
}
