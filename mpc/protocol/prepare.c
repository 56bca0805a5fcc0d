#include "protocol/prepare.h"

#include <string.h>

#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/presign_internal.h"

#define T0_LEN 64u

static uint16_t coin_count(const mpc_key *key)
{
    return (uint16_t)(2u * key->pub.t + 1u);
}

/* My share of the coin; secret until it is sent. */
static tdsa_status own_coin(grp_scalar *out, const mpc_key *key, mpc_batch *batch, uint32_t index,
                            tdsa_err *err)
{
    if (batch->coin == NULL || batch->key != key || index >= batch->count) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "key %s, its secret half and the batch do not match", key->pub.key_id);
    }
    return grp_prss_shares(batch->coin, out, index, 1, err);
}

tdsa_status mpc_prepare_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch, uint32_t index,
                              const uint8_t t0[64], tdsa_err *err)
{
    grp_scalar coin;
    size_t list = 0;
    tdsa_status st = own_coin(&coin, key, batch, index, err);

    if (st == TDSA_OK) {
        tdsa_declassify(&coin, sizeof coin); /* goes to every member */
        tdsa_stmt_begin(out, "coin");
        tdsa_stmt_uint(out, key->pub.me);
        tdsa_stmt_octets(out, t0, T0_LEN);
        tdsa_stmt_uint_list(out, batch->committee, coin_count(key));
        list = tdsa_stmt_list_begin(out);
        mpc_put_scalar(out, key->g, &coin);
        tdsa_stmt_list_end(out, list);
        st = tdsa_buf_check(out, err);
    }
    grp_scalar_clear(&coin);
    return st;
}

/* A whole coin message of `from`; the scalar comes out. */
static tdsa_status read_coin(grp_scalar *out, const mpc_key *key, const mpc_batch *batch,
                             const uint8_t t0[64], uint16_t from, tdsa_reader *r, tdsa_err *err)
{
    uint16_t committee[GRP_PARTIES_MAX];
    const uint8_t *about = NULL;
    uint64_t sender = 0;
    size_t count = 0;
    tdsa_reader list;
    tdsa_err why;

    tdsa_stmt_expect(r, "coin");
    sender = tdsa_stmt_read_uint(r);
    about = tdsa_stmt_read_item(r, TDSA_ITEM_OCTETS, T0_LEN);
    count = tdsa_stmt_read_uint_list(r, committee, GRP_PARTIES_MAX);
    list = tdsa_stmt_read_list(r);
    if (mpc_get_scalar(&list, key->g, out, &why) != TDSA_OK || tdsa_reader_left(&list) > 0 ||
        r->failed || tdsa_reader_left(r) > 0 || about == NULL) {
        return TDSA_BLAME(err, from, "participant %u sent a malformed coin", from);
    }
    if (sender != from || memcmp(about, t0, T0_LEN) != 0) {
        return TDSA_BLAME(err, from, "participant %u prepares another request", from);
    }
    if (count != coin_count(key) ||
        memcmp(committee, batch->committee, count * sizeof committee[0]) != 0) {
        return TDSA_BLAME(err, from, "participant %u prepares for another committee", from);
    }
    return TDSA_OK;
}

tdsa_status mpc_prepare_take(mpc_coins *coins, const mpc_key *key, const mpc_batch *batch,
                             const uint8_t t0[64], uint16_t from, const uint8_t *in, size_t len,
                             tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    grp_scalar coin;
    uint16_t at = 0;
    tdsa_status st;

    while (at < coin_count(key) && batch->committee[at] != from) {
        at++;
    }
    if (at == coin_count(key) || ((unsigned)coins->seen >> at & 1u) != 0) {
        return TDSA_BLAME(err, from, "participant %u is not asked for a coin", from);
    }
    st = read_coin(&coin, key, batch, t0, from, &r, err);
    if (st == TDSA_OK) {
        coins->count = coin_count(key);
        coins->seen = (uint16_t)(coins->seen | 1u << at);
        coins->c[at] = coin;
    }
    return st;
}

bool mpc_prepare_complete(const mpc_coins *coins, const mpc_key *key)
{
    return coins->count == coin_count(key) && coins->seen == (1u << coins->count) - 1u;
}

tdsa_status mpc_prepare_check(const mpc_coins *coins, const mpc_key *key, mpc_batch *batch,
                              uint32_t index, tdsa_err *err)
{
    grp_scalar mine;
    uint16_t at = 0;
    bool in_place = false;
    tdsa_status st = TDSA_OK;

    if (!mpc_prepare_complete(coins, key)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "coins are missing");
    }
    st = own_coin(&mine, key, batch, index, err);
    if (st != TDSA_OK) {
        return st;
    }
    while (batch->committee[at] != key->pub.me) {
        at++;
    }
    in_place = grp_scalar_equal(key->g, &mine, &coins->c[at]);
    tdsa_declassify(&in_place, sizeof in_place); /* the verdict is the answer */
    grp_scalar_clear(&mine);
    if (!in_place) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                         "the list of coins has another value in the place of participant %u",
                         key->pub.me);
    }
    if (!grp_shares_consist_vartime(key->g, coins->c, batch->committee, coins->count, key->pub.t)) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "the coins do not lie on one polynomial");
    }
    return TDSA_OK;
}

void mpc_coins_put(tdsa_buf *out, const grp *g, const mpc_coins *coins)
{
    const size_t list = tdsa_stmt_list_begin(out);

    for (uint16_t i = 0; i < coins->count; i++) {
        mpc_put_scalar(out, g, &coins->c[i]);
    }
    tdsa_stmt_list_end(out, list);
}

tdsa_status mpc_coins_get(tdsa_reader *r, const grp *g, uint16_t count, mpc_coins *out,
                          tdsa_err *err)
{
    tdsa_reader list = tdsa_stmt_read_list(r);
    mpc_coins coins = {.count = count, .seen = (uint16_t)((1u << count) - 1u)};
    tdsa_status st = TDSA_OK;

    memset(out, 0, sizeof *out);
    for (uint16_t i = 0; i < count && st == TDSA_OK; i++) {
        st = mpc_get_scalar(&list, g, &coins.c[i], err);
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&list, "list of coins", err);
    }
    if (st == TDSA_OK) {
        *out = coins;
    }
    return st;
}
