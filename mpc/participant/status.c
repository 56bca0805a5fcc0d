#include <string.h>

#include "base/statement.h"
#include "participant/internal.h"

/* A peer asks what there is of an epoch here, and says what it has. */

/* The row of an epoch, and whether `from` may ask about it: a member of it or of the epoch in use, or a
 * server that can only have its digest from the run that made it (one that leaves asks so). */
static tdsa_status row_for(part *p, const part_session *s, uint16_t from, const char *key_id,
                           uint32_t epoch, const uint8_t stored[64], ks_key **out, tdsa_err *err)
{
    ks_key_state state = KS_KEY_DELETED;
    const peer_keys *keys = &s->link[from]->keys;
    mpc_key *key = NULL;
    tdsa_status st;

    *out = NULL;
    if (!part_key_id_ok(key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    st = ks_key_get_epoch(p->cfg.store, key_id, epoch, out, err);
    if (st == TDSA_OK && ((*out)->state == KS_KEY_PENDING || ks_key_in_use((*out)->state) ||
                          (*out)->state == KS_KEY_OLD)) {
        st = part_key_public(p, *out, &key, err);
        if (st == TDSA_OK && (part_members_have(key->pub.members, key->pub.n, from, keys) ||
                              (part_asker_of(p, from) == PART_BY_SERVER &&
                               tdsa_ct_equal(key->pub.stored, stored, sizeof key->pub.stored)))) {
            mpc_key_free(key);
            return TDSA_OK;
        }
        mpc_key_free(key);
    }
    if (st == TDSA_OK) {
        st = part_check_bound(p, s, from, key_id, &state, err);
    }
    if (st != TDSA_OK) {
        ks_key_free(*out);
        *out = NULL;
    }
    return st;
}

tdsa_status part_ask_status(part *p, part_session *s, uint16_t from, const part_ask *a,
                            tdsa_buf *out, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    char key_id[KS_KEY_ID_MAX + 1];
    ks_key *row = NULL;
    uint8_t stored[64];
    uint64_t epoch = 0;
    uint64_t state = 0;
    tdsa_status st;

    tdsa_stmt_expect(&r, "status");
    tdsa_stmt_read_text(&r, key_id, sizeof key_id);
    epoch = tdsa_stmt_read_uint(&r);
    state = tdsa_stmt_read_uint(&r);
    tdsa_stmt_read_exact(&r, stored, sizeof stored);
    st = tdsa_reader_finish(&r, "status", err);
    if (st == TDSA_OK &&
        (epoch > UINT32_MAX || (state != KS_KEY_PENDING && state != KS_KEY_ACTIVE &&
                                state != KS_KEY_OLD && state != KS_KEY_RESTORED))) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "status %llu", (unsigned long long)state);
    }
    if (st == TDSA_OK) {
        st = row_for(p, s, from, key_id, (uint32_t)epoch, stored, &row, err);
    }
    if (st == TDSA_OK && state != KS_KEY_RESTORED) { /* it says nothing about what it had */
        st = part_doubt_reported(p, row, from, (ks_key_state)state, stored, err);
    }
    ks_key_free(row);
    return st == TDSA_OK ? part_status_put(p, key_id, (uint32_t)epoch, out, err) : st;
}

/* ---- epochs that coordinators name ---- */

tdsa_status part_epoch_check(part *p, part_key *k, uint64_t epoch, tdsa_err *err)
{
    const mpc_key_public *pub = &k->key->pub;

    if (epoch == pub->epoch) {
        return TDSA_OK;
    }
    if (epoch > pub->epoch) {
        k->look_again = true; /* not here: the caller holds the key */
        part_doubt_hurry(p, pub->key_id);
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "EPOCH: key %s is at epoch %u here, not %llu",
                     pub->key_id, pub->epoch, (unsigned long long)epoch);
}

bool part_epoch_refused(const part_answer *a)
{
    return (a->status == TDSA_E_CONFLICT && strncmp(a->text, "EPOCH:", 6) == 0) ||
           (a->status == TDSA_E_NOT_FOUND && strncmp(a->text, "there is no key", 15) == 0);
}

static part_key *to_look_again(const part *p)
{
    part_key *k = p->keys;

    while (k != NULL && (!k->look_again || k->gone)) {
        k = k->next;
    }
    return k;
}

void part_epochs_due(part *p)
{
    part_key *k = NULL;

    while ((k = to_look_again(p)) != NULL) {
        k->look_again = false;
        (void)part_key_refresh(p, k->key->pub.key_id);
    }
}

uint64_t part_epochs_next_due(const part *p)
{
    return to_look_again(p) == NULL ? UINT64_MAX : part_now(p);
}
