#ifndef TESTS_PEER_FIXTURE_H
#define TESTS_PEER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/dh.h"
#include "base/rng.h"
#include "peer/channel.h"

/** One participant's key pairs, made from the OS generator. */
typedef struct {
    uint8_t x25519[32], x448[56];
    peer_keys keys;
    peer_identity me;
} party;

static inline void party_make(party *p)
{
    const tdsa_rng rng = tdsa_os_rng();
    tdsa_err err;

    assert_int_equal(tdsa_rng_fill(&rng, p->x25519, sizeof p->x25519, &err), TDSA_OK);
    assert_int_equal(tdsa_rng_fill(&rng, p->x448, sizeof p->x448, &err), TDSA_OK);
    assert_int_equal(tdsa_dh_public(TDSA_DH_X25519, p->keys.x25519, p->x25519, &err), TDSA_OK);
    assert_int_equal(tdsa_dh_public(TDSA_DH_X448, p->keys.x448, p->x448, &err), TDSA_OK);
    p->me = (peer_identity){p->x25519, p->x448, &p->keys, NULL};
}

static const peer_prologue fixture_prologue = {
    .session_id = "session-0123456789",
    .initiator = 1,
    .responder = 2,
    .initiator_id = "alice",
    .responder_id = "bob",
    .purpose = PEER_FOR_SIGNING,
    .server_group_id = "group-secret",
};

/** A finished handshake between two parties. */
static inline void channels_make(peer_channel **a, peer_channel **b, const party *alice,
                                 const party *bob)
{
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    peer_keys seen;
    tdsa_err err;

    assert_int_equal(peer_channel_start(a, &alice->me, &bob->keys, &fixture_prologue, &rng, NULL, 0,
                                        &first, &err),
                     TDSA_OK);
    assert_int_equal(peer_channel_accept(b, &bob->me, &fixture_prologue, first.data, first.len,
                                         &seen, &extra, &err),
                     TDSA_OK);
    assert_int_equal(peer_channel_answer(*b, &rng, NULL, 0, &second, &err), TDSA_OK);
    assert_int_equal(peer_channel_finish(*a, second.data, second.len, &extra, &err), TDSA_OK);
}

#endif
