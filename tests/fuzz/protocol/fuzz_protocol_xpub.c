#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base58.h"
#include "protocol/bip32.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) {
        __builtin_trap();
    }
}

/* A text that is taken comes back, and so do its children. */
static void check(const grp *g, const char *text, size_t len)
{
    static const uint32_t path[] = {0, 2147483647u};
    mpc_bip32_node n;
    char again[MPC_XPUB_TEXT_MAX];
    tdsa_err err;

    if (mpc_bip32_xpub_decode(&n, g, text, len, &err) != TDSA_OK) {
        return;
    }
    require(mpc_bip32_xpub(again, &n, g, &err) == TDSA_OK);
    require(strlen(again) == len && memcmp(again, text, len) == 0);
    if (mpc_bip32_walk_vartime(&n, g, path, 2, true, &err) == TDSA_OK) {
        require(mpc_bip32_xpub(again, &n, g, &err) == TDSA_OK);
        require(mpc_bip32_xpub_decode(&n, g, again, strlen(again), &err) == TDSA_OK);
    }
}

/* The input as text; and as the bytes of a text whose checksum is right (tdsa_base58check_decode
 * takes it back). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static grp *groups[2];
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    tdsa_err err;

    if (groups[0] == NULL) {
        require(grp_open(&groups[0], GRP_SECP256K1, &err) == TDSA_OK);
        require(grp_open(&groups[1], GRP_P256, &err) == TDSA_OK);
    }
    check(groups[0], (const char *)data, size);
    if (size == 0 || tdsa_base58check_encode(&text, data, size, &err) != TDSA_OK) {
        return 0;
    }
    require(tdsa_base58check_decode(&bytes, (const char *)text.data, text.len, &err) == TDSA_OK);
    require(bytes.len == size && memcmp(bytes.data, data, size) == 0);
    check(groups[0], (const char *)text.data, text.len);
    check(groups[1], (const char *)text.data, text.len);
    return 0;
}
