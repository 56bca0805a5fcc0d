#include <stdlib.h>
#include <string.h>

#include "base/dh.h"
#include "base/statement.h"
#include "peer/channel.h"
#include "peer/noise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Both handshake messages, raw and as what an authentic peer could put inside: byte 0 chooses. */

static const peer_prologue prologue = {"session-0123456789", 1,      2, "alice", "bob",
                                       PEER_FOR_SIGNING,     "group"};

typedef struct {
    uint8_t x25519[32], x448[56];
    peer_keys keys;
    peer_identity me;
} party;

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

static void make_party(party *p, uint8_t seed)
{
    tdsa_err err;

    memset(p->x25519, seed, 32);
    memset(p->x448, seed + 1, 56);
    require(tdsa_dh_public(TDSA_DH_X25519, p->keys.x25519, p->x25519, &err) == TDSA_OK);
    require(tdsa_dh_public(TDSA_DH_X448, p->keys.x448, p->x448, &err) == TDSA_OK);
    p->me = (peer_identity){p->x25519, p->x448, &p->keys, NULL};
}

static void accept_bytes(const party *bob, const uint8_t *data, size_t size)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF answer = TDSA_BUF_EMPTY;
    peer_channel *c = NULL;
    peer_keys seen;
    tdsa_err err;
    const tdsa_status st =
        peer_channel_accept(&c, &bob->me, &prologue, data, size, &seen, &extra, &err);

    require((st == TDSA_OK) == (c != NULL));
    require(st == TDSA_OK || extra.len == 0);
    require(st == TDSA_OK || st == TDSA_E_PROTOCOL);
    if (c != NULL) {
        (void)peer_channel_answer(c, &rng, extra.data, extra.len, &answer, &err);
    }
    peer_channel_free(c);
}

/* A payload of the fuzzer's in an authentic first message: the reader of "hello" sees it. */
static void accept_payload(const party *alice, const party *bob, const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF stmt = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    peer_noise_setup setup = {alice->x25519, alice->keys.x25519, NULL, 0};
    peer_noise n;
    tdsa_err err;

    tdsa_stmt_begin(&stmt, "prologue");
    tdsa_stmt_uint(&stmt, PEER_PROTOCOL_VERSION);
    tdsa_stmt_text(&stmt, prologue.session_id);
    tdsa_stmt_uint(&stmt, prologue.initiator);
    tdsa_stmt_text(&stmt, prologue.initiator_id);
    tdsa_stmt_uint(&stmt, prologue.responder);
    tdsa_stmt_text(&stmt, prologue.responder_id);
    tdsa_stmt_uint(&stmt, (uint64_t)prologue.purpose);
    tdsa_stmt_octets(&stmt, prologue.server_group_id, strlen(prologue.server_group_id));
    setup.prologue = stmt.data;
    setup.prologue_len = stmt.len;
    require(peer_noise_init(&n, &setup, bob->keys.x25519, &err) == TDSA_OK);
    memset(n.e, 7, sizeof n.e);
    if (peer_noise_write_first(&n, data, size, &first, &err) == TDSA_OK) {
        accept_bytes(bob, first.data, first.len);
    }
}

static void finish_bytes(const party *alice, const party *bob, const uint8_t *data, size_t size)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    peer_channel *c = NULL;
    tdsa_err err;

    require(peer_channel_start(&c, &alice->me, &bob->keys, &prologue, &rng, NULL, 0, &first,
                               &err) == TDSA_OK);
    require(peer_channel_finish(c, data, size, &extra, &err) == TDSA_E_PROTOCOL);
    require(extra.len == 0);
    peer_channel_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static party alice, bob;
    static int made;

    if (!made) {
        make_party(&alice, 1);
        make_party(&bob, 11);
        made = 1;
    }
    if (size == 0) {
        return 0;
    }
    switch (data[0] % 3) {
    case 0:
        accept_bytes(&bob, data + 1, size - 1);
        break;
    case 1:
        accept_payload(&alice, &bob, data + 1, size - 1);
        break;
    default:
        finish_bytes(&alice, &bob, data + 1, size - 1);
        break;
    }
    return 0;
}
