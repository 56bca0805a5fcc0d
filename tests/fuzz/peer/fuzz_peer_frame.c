#include <stdlib.h>
#include <string.h>

#include "base/dh.h"
#include "peer/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input: direction, seq (8 bytes), then a frame; or, with the top bit of the first byte set, bytes
 * that are laid over a good frame. */

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

static void make_channels(peer_channel **a, peer_channel **b)
{
    static const uint8_t x25519[2][32] = {{1}, {2}};
    static const uint8_t x448[2][56] = {{3}, {4}};
    const peer_prologue prologue = {"session-0123456789", 1,      2, "alice", "bob",
                                    PEER_FOR_SIGNING,     "group"};
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    peer_identity me[2];
    peer_keys keys[2], seen;
    tdsa_err err;

    for (int i = 0; i < 2; i++) {
        require(tdsa_dh_public(TDSA_DH_X25519, keys[i].x25519, x25519[i], &err) == TDSA_OK);
        require(tdsa_dh_public(TDSA_DH_X448, keys[i].x448, x448[i], &err) == TDSA_OK);
        me[i] = (peer_identity){x25519[i], x448[i], &keys[i], NULL};
    }
    require(peer_channel_start(a, &me[0], &keys[1], &prologue, &rng, NULL, 0, &first, &err) ==
            TDSA_OK);
    require(peer_channel_accept(b, &me[1], &prologue, first.data, first.len, &seen, &extra, &err) ==
            TDSA_OK);
    require(peer_channel_answer(*b, &rng, NULL, 0, &second, &err) == TDSA_OK);
    require(peer_channel_finish(*a, second.data, second.len, &extra, &err) == TDSA_OK);
}

/* XORs the input over a good frame; only an unchanged one may open. */
static void overlay(peer_channel *a, peer_channel *b, uint64_t seq, const uint8_t *data,
                    size_t size)
{
    static const uint8_t plain[64] = {9};
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    bool changed = false;
    tdsa_err err;

    require(peer_channel_seal(a, PEER_REQUEST, seq, NULL, plain, sizeof plain, &sealed, &err) ==
            TDSA_OK);
    for (size_t i = 0; i < size && i < sealed.len; i++) {
        sealed.data[i] ^= data[i];
        changed = changed || data[i] != 0;
    }
    require((peer_channel_open(b, PEER_REQUEST, seq, NULL, sealed.data, sealed.len, &out, &err) ==
             TDSA_OK) == !changed);
    require(changed || (out.len == sizeof plain && memcmp(out.data, plain, sizeof plain) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static peer_channel *a, *b;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    uint64_t seq = 0;
    tdsa_err err;

    if (a == NULL) {
        make_channels(&a, &b);
    }
    if (size < 9) {
        return 0;
    }
    for (size_t i = 1; i < 9; i++) {
        seq = seq << 8 | data[i];
    }
    if ((data[0] & 0x80) != 0) {
        overlay(a, b, seq & ((1u << PEER_REKEY_SHIFT) - 1), data + 9, size - 9);
        return 0;
    }
    require(peer_channel_open(b, (data[0] & 1) != 0 ? PEER_REPLY : PEER_REQUEST, seq, NULL,
                              data + 9, size - 9, &out, &err) != TDSA_OK);
    require(out.len == 0);
    return 0;
}
