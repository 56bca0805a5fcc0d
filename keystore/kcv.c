#include "keystore/kcv.h"

#include <string.h>

#include "base/encode.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/statement.h"

tdsa_status ks_kcv_of(uint8_t out[KS_KCV_LEN], const uint8_t *derived, size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF stmt = TDSA_BUF_EMPTY;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st;

    memset(out, 0, KS_KCV_LEN);
    tdsa_stmt_begin(&stmt, "key-check-value");
    tdsa_stmt_octets(&stmt, derived, len);
    st = tdsa_buf_check(&stmt, err);
    if (st == TDSA_OK) {
        st = tdsa_hash(digest, TDSA_HASH_SHA256, stmt.data, stmt.len, err);
    }
    if (st == TDSA_OK) {
        memcpy(out, digest, KS_KCV_LEN);
        tdsa_declassify(out, KS_KCV_LEN); /* check values are for people to read */
    }
    tdsa_wipe(digest, sizeof digest);
    return st;
}

tdsa_status ks_kcv_compare(const uint8_t stored[KS_KCV_LEN], const uint8_t found[KS_KCV_LEN],
                           const char *what, tdsa_err *err)
{
    char stored_hex[2 * KS_KCV_LEN + 1];
    char found_hex[2 * KS_KCV_LEN + 1];

    if (tdsa_ct_equal(stored, found, KS_KCV_LEN)) {
        return TDSA_OK;
    }
    tdsa_hex(stored_hex, stored, KS_KCV_LEN);
    tdsa_hex(found_hex, found, KS_KCV_LEN);
    return TDSA_FAIL(err, TDSA_E_WRAPPING,
                     "the rows are sealed under the %s with check value %s, but the configured "
                     "one has %s: use the old one",
                     what, stored_hex, found_hex);
}
