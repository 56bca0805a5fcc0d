#include "protocol/key.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "protocol/key_internal.h"

_Static_assert(sizeof(mpc_key_secret) <= TDSA_SECRET_LEN_MAX, "the secret half fits a tdsa_secret");

tdsa_status mpc_key_alloc(mpc_key **out, const grp *g, bool with_secret, tdsa_err *err)
{
    mpc_key *k = calloc(1, sizeof *k);

    *out = NULL;
    if (k == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a key");
    }
    k->g = g;
    k->pub.curve = grp_get_info(g)->curve;
    k->pub.scheme = MPC_SCHEME_ECDSA;
    if (with_secret) {
        const tdsa_status st = tdsa_secret_new(&k->sec_mem, sizeof *k->sec, err);
        void *bytes = NULL;

        if (st != TDSA_OK) {
            free(k);
            return st;
        }
        bytes = tdsa_secret_bytes(k->sec_mem); /* starts a page: aligned for anything */
        k->sec = bytes;
    }
    *out = k;
    return TDSA_OK;
}

void mpc_key_free(mpc_key *k)
{
    if (k == NULL) {
        return;
    }
    tdsa_secret_free(k->sec_mem);
    tdsa_wipe(k, sizeof *k);
    free(k);
}

bool mpc_key_id_valid(const char *id)
{
    size_t len = 0;

    while (id[len] != '\0') {
        if (id[len] < '!' || id[len] > '~' || len >= MPC_KEY_ID_MAX) {
            return false;
        }
        len++;
    }
    return len > 0;
}

bool mpc_key_sizes_valid(unsigned n, unsigned t)
{
    return t >= 1 && t <= GRP_THRESHOLD_MAX && n <= GRP_PARTIES_MAX && n >= 2 * t + 1;
}

bool mpc_members_valid(const mpc_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].index >= GRP_PARTIES_MAX ||
            (i > 0 && members[i].index <= members[i - 1].index)) {
            return false;
        }
    }
    return true;
}

const mpc_member *mpc_key_member(const mpc_key_public *pub, uint16_t index)
{
    for (size_t i = 0; i < pub->n; i++) {
        if (pub->members[i].index == index) {
            return &pub->members[i];
        }
    }
    return NULL;
}

bool mpc_key_is_member(const mpc_key_public *pub, uint16_t index)
{
    return mpc_key_member(pub, index) != NULL;
}

size_t mpc_key_indices(uint16_t out[GRP_PARTIES_MAX], const mpc_key_public *pub)
{
    for (size_t i = 0; i < pub->n; i++) {
        out[i] = pub->members[i].index;
    }
    return pub->n;
}

size_t mpc_key_sets_with(grp_set out[GRP_MY_SETS_MAX], const mpc_key_public *pub, uint16_t who)
{
    grp_set all[GRP_ALL_SETS_MAX];
    uint16_t members[GRP_PARTIES_MAX];
    size_t all_count = 0;
    size_t count = 0;

    TDSA_ASSERT(mpc_key_sizes_valid(pub->n, pub->t));
    (void)mpc_key_indices(members, pub);
    all_count = grp_sets_of(all, members, pub->n, pub->t);
    for (size_t i = 0; i < all_count; i++) {
        if (grp_set_has(&all[i], who)) {
            TDSA_ASSERT(count < GRP_MY_SETS_MAX);
            out[count++] = all[i];
        }
    }
    return count;
}

void mpc_put_members(tdsa_buf *b, const mpc_member *members, size_t count)
{
    const size_t list = tdsa_stmt_list_begin(b);

    for (size_t i = 0; i < count; i++) {
        const size_t one = tdsa_stmt_list_begin(b);

        tdsa_stmt_uint(b, members[i].index);
        tdsa_stmt_uint(b, members[i].index + 1u);
        tdsa_stmt_octets(b, members[i].x25519, sizeof members[i].x25519);
        tdsa_stmt_octets(b, members[i].x448, sizeof members[i].x448);
        tdsa_stmt_list_end(b, one);
    }
    tdsa_stmt_list_end(b, list);
}

bool mpc_committee_valid(const mpc_key *key, const uint16_t *committee, size_t count)
{
    bool has_me = false;

    if (count != 2u * key->pub.t + 1u) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!mpc_key_is_member(&key->pub, committee[i]) ||
            (i > 0 && committee[i] <= committee[i - 1])) {
            return false;
        }
        has_me = has_me || committee[i] == key->pub.me;
    }
    return has_me;
}
