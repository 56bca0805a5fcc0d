#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attack/fields.h"
#include "sim/sim_internal.h"

/*
 * Every field of what one whole participant says to another: asks and answers with the messages of the
 * protocols inside, changed after they were made and before they are sealed. One message of a life
 * is changed in one field; the honest ones end what they do, blame nobody honest, give back what
 * they took (sim_free), and the next key and signatures are good.
 */

enum { CHANNELS_MAX = 64, TRIES = 40, LIVES = 100, LIVES_LONG = 5000 };

static struct {
    const sim *s;
    const grp *g;
    uint16_t liar;
    const peer_channel *mine[CHANNELS_MAX]; /* of the liar */
    size_t mine_count;
    uint64_t random;
    unsigned until; /* messages of the liar before the one that is changed */
    bool done;
    field_change change;
    size_t which;
    uint8_t kind; /* of the changed message: PEER_REQUEST or PEER_REPLY */
} lie;

static uint64_t draw(uint64_t below)
{
    lie.random = lie.random * 6364136223846793005ull + 1442695040888963407ull;
    return (lie.random >> 33) % below;
}

/* NOLINTBEGIN: the names are the linker's */
tdsa_status __real_peer_channel_start(peer_channel **out, const peer_identity *me,
                                      const peer_keys *peer, const peer_prologue *prologue,
                                      const tdsa_rng *rng, const uint8_t *extra, size_t extra_len,
                                      tdsa_buf *message, tdsa_err *err);
tdsa_status __wrap_peer_channel_start(peer_channel **out, const peer_identity *me,
                                      const peer_keys *peer, const peer_prologue *prologue,
                                      const tdsa_rng *rng, const uint8_t *extra, size_t extra_len,
                                      tdsa_buf *message, tdsa_err *err);
tdsa_status __real_peer_channel_accept(peer_channel **out, const peer_identity *me,
                                       const peer_prologue *prologue, const uint8_t *message,
                                       size_t len, peer_keys *peer, tdsa_buf *extra, tdsa_err *err);
tdsa_status __wrap_peer_channel_accept(peer_channel **out, const peer_identity *me,
                                       const peer_prologue *prologue, const uint8_t *message,
                                       size_t len, peer_keys *peer, tdsa_buf *extra, tdsa_err *err);
tdsa_status __real_peer_channel_seal(peer_channel *c, peer_direction direction, uint64_t seq,
                                     const tdsa_buf *aad, const uint8_t *plain, size_t len,
                                     tdsa_buf *out, tdsa_err *err);
tdsa_status __wrap_peer_channel_seal(peer_channel *c, peer_direction direction, uint64_t seq,
                                     const tdsa_buf *aad, const uint8_t *plain, size_t len,
                                     tdsa_buf *out, tdsa_err *err);
/* NOLINTEND */

/* Remembers a channel whose end is the liar's; an address may come back as another's. */
static void note_channel(const peer_channel *c, const peer_identity *me)
{
    size_t at = 0;

    if (lie.s == NULL) {
        return;
    }
    while (at < lie.mine_count && lie.mine[at] != c) {
        at++;
    }
    if (at < lie.mine_count) {
        lie.mine[at] = lie.mine[--lie.mine_count];
    }
    if (memcmp(me->x25519_private, lie.s->node[lie.liar].cfg.roster.my_x25519, 32) == 0 &&
        lie.mine_count < CHANNELS_MAX) {
        lie.mine[lie.mine_count++] = c;
    }
}

tdsa_status __wrap_peer_channel_start(peer_channel **out, const peer_identity *me,
                                      const peer_keys *peer, const peer_prologue *prologue,
                                      const tdsa_rng *rng, const uint8_t *extra, size_t extra_len,
                                      tdsa_buf *message, tdsa_err *err)
{
    const tdsa_status st =
        __real_peer_channel_start(out, me, peer, prologue, rng, extra, extra_len, message, err);

    if (st == TDSA_OK) {
        note_channel(*out, me);
    }
    return st;
}

tdsa_status __wrap_peer_channel_accept(peer_channel **out, const peer_identity *me,
                                       const peer_prologue *prologue, const uint8_t *message,
                                       size_t len, peer_keys *peer, tdsa_buf *extra, tdsa_err *err)
{
    const tdsa_status st =
        __real_peer_channel_accept(out, me, prologue, message, len, peer, extra, err);

    if (st == TDSA_OK) {
        note_channel(*out, me);
    }
    return st;
}

static bool is_mine(const peer_channel *c)
{
    for (size_t i = 0; i < lie.mine_count; i++) {
        if (lie.mine[i] == c) {
            return true;
        }
    }
    return false;
}

/* Some field, some change. */
static bool change_message(const uint8_t *plain, size_t len, tdsa_buf *out)
{
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    field all[FIELDS_MAX];
    size_t count = 0;

    tdsa_buf_append(&m, plain, len);
    count = fields_of(all, lie.g, &m);
    for (unsigned i = 0; i < TRIES; i++) {
        const uint64_t change = draw(CHANGE_END);

        lie.which = draw(count);
        lie.change = (field_change)change;
        if (field_apply(out, lie.g, &m, lie.which, lie.change, NULL, NULL)) {
            return true;
        }
    }
    return false;
}

tdsa_status __wrap_peer_channel_seal(peer_channel *c, peer_direction direction, uint64_t seq,
                                     const tdsa_buf *aad, const uint8_t *plain, size_t len,
                                     tdsa_buf *out, tdsa_err *err)
{
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;

    if (lie.s != NULL && !lie.done && is_mine(c) && lie.until-- == 0) {
        lie.done = true;
        lie.kind = (uint8_t)direction;
        if (change_message(plain, len, &changed)) {
            return __real_peer_channel_seal(c, direction, seq, aad, changed.data, changed.len, out,
                                            err);
        }
    }
    return __real_peer_channel_seal(c, direction, seq, aad, plain, len, out, err);
}

/* ---- lives ---- */

static void check_blame(uint64_t seed, const char *what, const tdsa_err *err)
{
    const bool kind = err->status != TDSA_E_INTERNAL && err->status != TDSA_E_CRYPTO &&
                      err->status != TDSA_E_NO_MEMORY && err->status != TDSA_E_STORE;
    const bool blames = err->status == TDSA_E_PROTOCOL && err->participant != TDSA_NOBODY &&
                        err->participant != lie.liar && lie.liar != 0;

    if (!kind || blames) {
        fail_msg("life %llu, %s, field %zu %s: %s %d: %s", (unsigned long long)seed, what,
                 lie.which, field_change_name(lie.change), tdsa_status_name(err->status),
                 err->participant, err->text);
    }
}

static void sign_some(sim *s, uint64_t seed, const char *key_id, unsigned count, bool must)
{
    for (unsigned i = 0; i < count; i++) {
        const uint8_t digest[32] = {(uint8_t)(must ? 1 : 2), (uint8_t)i};
        part_sign_result sig;
        tdsa_err err;

        if (sim_sign(s, 0, key_id, digest, &sig, &err) == TDSA_OK) {
            sim_check_signature(s, 0, key_id, digest, &sig);
            continue;
        }
        check_blame(seed, "sign", &err);
        if (must) {
            fail_msg("life %llu: an honest signature: %s", (unsigned long long)seed, err.text);
        }
    }
}

/* From now on the liar changes one of its next `within` messages. */
static void begin_lying(sim *s, uint64_t seed, unsigned within)
{
    memset(&lie, 0, sizeof lie);
    lie.random = seed * 0x9e3779b97f4a7c15ull;
    lie.g = s->groups[GRP_P256];
    lie.liar = (uint16_t)(seed % 3);
    lie.until = (unsigned)draw(within);
    lie.s = s;
    s->liars = 1u << lie.liar;
    s->dishonest = s->liars; /* a combiner may ask its members for different things */
    s->lied = true;
}

/* A key, every third of them of prepare mode. */
static tdsa_status make_key(sim *s, uint64_t seed, char *key_id, tdsa_err *err)
{
    part_key_spec spec = {.curve = GRP_P256,
                          .label = "wire",
                          .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                          .presignature_limit = PART_LIMIT_DEFAULT};
    part_result none;
    tdsa_status st;

    spec.policy.prepare = seed / 2 % 3 == 0;
    st = sim_finish(s, 0, part_start_register(sim_part(s, 0), &spec, 0, key_id, err), &none, err);
    return st != TDSA_OK
               ? st
               : sim_finish(s, 0, part_start_keygen(sim_part(s, 0), key_id, 0, err), &none, err);
}

/* A key and signatures with one lie somewhere, then honestly. True when the lie was told. */
static bool live(uint64_t seed)
{
    const sim_cfg cfg = {
        .seed = seed, .n = 3, .t = 1, .with_client = seed % 2 == 0, .delay_max_ms = 1};
    char key_id[KS_KEY_ID_MAX + 1];
    char next_id[KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);
    tdsa_err err;
    bool told = false;

    begin_lying(s, seed, seed % 3 == 0 ? 40 : 16);
    if (make_key(s, seed, key_id, &err) == TDSA_OK) {
        sign_some(s, seed, key_id, 3, false);
    } else {
        check_blame(seed, "key generation", &err);
        key_id[0] = '\0';
    }
    told = lie.done;
    lie.s = NULL; /* honest from now on */
    sim_idle(s, 20000);
    if (key_id[0] != '\0') {
        sign_some(s, seed, key_id, 2, true);
    }
    if (make_key(s, seed, next_id, &err) != TDSA_OK) {
        fail_msg("life %llu: an honest key: %s", (unsigned long long)seed, err.text);
    }
    sign_some(s, seed, next_id, 1, true);
    sim_free(s);
    return told;
}

/* The same in a reshare of a key that signs: afterwards one epoch is in use everywhere, and signs. */
static bool live_through_a_reshare(uint64_t seed)
{
    static const part_reshare_spec specs[] = {{.member_count = 0},
                                              {.members = {0, 1, 2}, .member_count = 3}};
    const sim_cfg cfg = {
        .seed = seed, .n = 4, .t = 1, .with_client = seed % 2 == 0, .delay_max_ms = 1};
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);
    tdsa_err err;
    bool told = false;

    assert_int_equal(sim_keygen(s, 0, GRP_P256, key_id, &err), TDSA_OK);
    sign_some(s, seed, key_id, 1, true);
    begin_lying(s, seed, seed % 3 == 0 ? 40 : 20);
    if (sim_reshare(s, 0, key_id, &specs[seed / 3 % 2], &err) != TDSA_OK) {
        check_blame(seed, "reshare", &err);
    }
    sim_idle(s, 5000);
    told = lie.done;
    lie.s = NULL;
    sim_idle(s, 600000); /* what is half done settles */
    sign_some(s, seed, key_id, 2, true);
    if (sim_reshare(s, 0, key_id, &specs[0], &err) != TDSA_OK) {
        fail_msg("life %llu, field %zu %s: an honest refresh: %s", (unsigned long long)seed,
                 lie.which, field_change_name(lie.change), err.text);
    }
    sign_some(s, seed, key_id, 2, true);
    sim_free(s);
    return told;
}

static void many_lives(bool (*one)(uint64_t seed))
{
    const uint64_t lives = getenv("TDSA_TEST_LONG") != NULL ? LIVES_LONG : LIVES;
    uint64_t told = 0;

    for (uint64_t seed = 1; seed <= lives; seed++) {
        told += one(seed) ? 1 : 0;
    }
    print_message("%llu lives, %llu lies\n", (unsigned long long)lives, (unsigned long long)told);
    assert_true(told > lives / 2);
}

static void any_field_on_the_wire_may_be_wrong(void **state)
{
    (void)state;
    many_lives(live);
}

static void any_field_of_a_reshare_on_the_wire_may_be_wrong(void **state)
{
    (void)state;
    many_lives(live_through_a_reshare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_field_on_the_wire_may_be_wrong),
        cmocka_unit_test(any_field_of_a_reshare_on_the_wire_may_be_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
