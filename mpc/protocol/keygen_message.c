#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"

#define DIGEST_LEN 64u

/* ---- exact lengths ---- */

/* What a dealer of a reshare says of the old epoch, the one of an import of the key; of others the item is
 * absent. */
static size_t record_len(const mpc_keygen *run, uint16_t from)
{
    if (!keygen_tells_record(run, from)) {
        return 0;
    }
    return run->kind == KEYGEN_IMPORT ? import_record_len(run) : reshare_record_len(run);
}

size_t keygen_complaint_len(void)
{
    return MPC_TEXT("report") + MPC_ITEM(DIGEST_LEN) + MPC_ITEM(2 * MPC_UINT) + MPC_ITEM(0);
}

static size_t deal_len(const mpc_keygen *run, uint16_t from)
{
    return MPC_TEXT("deal") + MPC_ITEM(keygen_open_len(run, from)) +
           MPC_ITEM(keygen_private_len(run, from, run->round.me));
}

size_t keygen_message_len(const mpc_keygen *run, unsigned round, uint16_t from)
{
    const size_t lens[MPC_RESHARE_ROUNDS] = {
        MPC_TEXT("random") + MPC_ITEM(DIGEST_LEN) + MPC_ITEM(KEYGEN_PART_LEN) +
            (run->kind == KEYGEN_NEW ? 0 : MPC_ITEM(record_len(run, from))),
        MPC_TEXT("commit") + 2 * MPC_ITEM(DIGEST_LEN),
        deal_len(run, from),
        MPC_TEXT("report") + MPC_ITEM(DIGEST_LEN) + MPC_ITEM(0) +
            MPC_ITEM(keygen_confirm_count(run, from) * MPC_ITEM(DIGEST_LEN)),
        run->kind == KEYGEN_EXPORT ? export_release_len(run)
                                   : MPC_TEXT("stored-echo") + MPC_ITEM(DIGEST_LEN),
        MPC_TEXT("active-echo") + MPC_ITEM(DIGEST_LEN),
    };

    TDSA_ASSERT(round < MPC_RESHARE_ROUNDS);
    return lens[round];
}

/* ---- messages that are one digest ---- */

static void put_digest(tdsa_buf *out, const char *tag, const uint8_t digest[DIGEST_LEN])
{
    tdsa_stmt_begin(out, tag);
    tdsa_stmt_octets(out, digest, DIGEST_LEN);
}

/* The first bytes of a digest as a number, for the log line. */
static unsigned long long head_of(const uint8_t digest[DIGEST_LEN])
{
    unsigned long long v = 0;

    for (size_t i = 0; i < 8; i++) {
        v = v << 8 | digest[i];
    }
    return v;
}

/* ---- round 0: random ---- */

tdsa_status keygen_send_random(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    (void)to;
    (void)err;
    put_digest(out, "random", run->inputs);
    tdsa_stmt_octets(out, run->random[run->round.me], KEYGEN_PART_LEN);
    if (keygen_tells_record(run, run->round.me)) {
        tdsa_stmt_octets(out, run->old.record.data, run->old.record.len);
    } else if (run->kind != KEYGEN_NEW) {
        tdsa_stmt_absent(out);
    }
    return TDSA_OK;
}

tdsa_status keygen_take_random(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    const size_t len_of_record = record_len(run, from);
    tdsa_reader r = tdsa_reader_of(in, len);
    const uint8_t *record = NULL;
    uint8_t inputs[DIGEST_LEN];
    tdsa_status st;

    tdsa_stmt_expect(&r, "random");
    tdsa_stmt_read_exact(&r, inputs, sizeof inputs);
    tdsa_stmt_read_exact(&r, run->random[from], KEYGEN_PART_LEN);
    if (len_of_record > 0) {
        record = tdsa_stmt_read_item(&r, TDSA_ITEM_OCTETS, len_of_record);
    } else if (run->kind != KEYGEN_NEW && !tdsa_stmt_read_absent(&r)) {
        r.failed = true;
    }
    st = tdsa_reader_finish(&r, "random", err);
    if (st != TDSA_OK) {
        return st;
    }
    if (memcmp(inputs, run->inputs, sizeof inputs) != 0) {
        return TDSA_BLAME(
            err, from,
            "participant %u has other inputs (%016llx, here %016llx): compare curve, "
            "members and their keys, n, t, key id, epoch and policy, of an export also "
            "coordinator, certificate and path",
            from, head_of(inputs), head_of(run->inputs));
    }
    if (record == NULL) {
        return TDSA_OK;
    }
    return run->kind == KEYGEN_IMPORT ? import_take_record(run, from, record, len_of_record, err)
                                      : reshare_take_record(run, from, record, len_of_record, err);
}

/* ---- round 1: commit ---- */

/* The commitment is salted and made under my sid: it may travel with the comparison of sids. */
tdsa_status keygen_send_commit(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    (void)to;
    (void)err;
    put_digest(out, "commit", run->sid);
    tdsa_stmt_octets(out, run->com[run->round.me], DIGEST_LEN);
    return TDSA_OK;
}

tdsa_status keygen_take_commit(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    uint8_t sid[DIGEST_LEN];
    tdsa_status st;

    tdsa_stmt_expect(&r, "commit");
    tdsa_stmt_read_exact(&r, sid, sizeof sid);
    tdsa_stmt_read_exact(&r, run->com[from], DIGEST_LEN);
    st = tdsa_reader_finish(&r, "commit", err);
    if (st != TDSA_OK) {
        return st;
    }
    if (memcmp(sid, run->sid, sizeof sid) != 0) { /* the liar may be a third participant */
        return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                         "sid differs between participants %u (%016llx) and %u (%016llx)", from,
                         head_of(sid), run->round.me, head_of(run->sid));
    }
    return TDSA_OK;
}

/* ---- round 2: deal ---- */

tdsa_status keygen_send_deal(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    const tdsa_buf *open = &run->open[run->round.me];
    TDSA_SCOPED_BUF priv = TDSA_BUF_EMPTY;
    tdsa_status st;

    keygen_deal_private(run, to, &priv);
    st = tdsa_buf_check(&priv, err);
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_begin(out, "deal");
    tdsa_stmt_octets(out, open->data, open->len);
    tdsa_stmt_octets(out, priv.data, priv.len);
    return TDSA_OK;
}

tdsa_status keygen_take_deal(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                             tdsa_err *err)
{
    keygen_complaint *mine = &run->complaint[run->round.me];
    keygen_reason reason = KEYGEN_FINE;
    tdsa_status st = TDSA_OK;

    if (len != deal_len(run, from)) {
        reason = KEYGEN_BAD_LENGTH;
    } else {
        st = keygen_deal_take(run, from, in, len, &reason, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (reason != KEYGEN_FINE && !mine->made) { /* the first one travels in the next round */
        *mine = (keygen_complaint){.made = true, .dealer = from, .reason = reason};
    }
    return TDSA_OK;
}

/* ---- round 3: report ---- */

static tdsa_status put_confirms(const mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    uint8_t confirm[GRP_MY_SETS_MAX + 1][64];
    const size_t count = keygen_confirm_count(run, to);
    const size_t list = tdsa_stmt_list_begin(out);
    const tdsa_status st = keygen_confirms(run, to, run->round.me, confirm, err);

    if (st != TDSA_OK) {
        return st;
    }
    for (size_t i = 0; i < count; i++) {
        tdsa_stmt_octets(out, confirm[i], sizeof confirm[i]);
    }
    tdsa_stmt_list_end(out, list);
    return TDSA_OK;
}

tdsa_status keygen_send_report(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    const keygen_complaint *mine = &run->complaint[run->round.me];
    size_t list = 0;

    put_digest(out, "report", run->view[run->round.me]);
    if (!mine->made) {
        tdsa_stmt_absent(out);
        return put_confirms(run, to, out, err);
    }
    list = tdsa_stmt_list_begin(out);
    tdsa_stmt_uint(out, mine->dealer);
    tdsa_stmt_uint(out, mine->reason);
    tdsa_stmt_list_end(out, list);
    list = tdsa_stmt_list_begin(out);
    tdsa_stmt_list_end(out, list);
    return TDSA_OK;
}

static tdsa_status take_complaint(mpc_keygen *run, uint16_t from, tdsa_reader *r, tdsa_err *err)
{
    tdsa_reader what = tdsa_stmt_read_list(r);
    const uint64_t dealer = tdsa_stmt_read_uint(&what);
    const uint64_t reason = tdsa_stmt_read_uint(&what);
    const tdsa_reader none = tdsa_stmt_read_list(r);

    if (what.failed || tdsa_reader_left(&what) > 0 || none.failed || none.len > 0) {
        r->failed = true;
    }
    if (r->failed || dealer >= GRP_PARTIES_MAX || !keygen_takes_part(run, (uint16_t)dealer) ||
        reason == 0 || reason > KEYGEN_REASON_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a complaint that names no dealer or reason");
    }
    run->complaint[from] = (keygen_complaint){
        .made = true, .dealer = (uint16_t)dealer, .reason = (keygen_reason)reason};
    return tdsa_reader_finish(r, "complaint", err);
}

static tdsa_status take_confirms(mpc_keygen *run, uint16_t from, tdsa_reader *r, tdsa_err *err)
{
    uint8_t want[GRP_MY_SETS_MAX + 1][64];
    uint8_t got[64];
    const size_t count = keygen_confirm_count(run, from);
    tdsa_reader list = tdsa_stmt_read_list(r);
    const bool have_keys = !run->complaint[run->round.me].made;
    bool same = true;
    tdsa_status st = TDSA_OK;

    if (have_keys) {
        st = keygen_confirms(run, from, from, want, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    for (size_t i = 0; i < count; i++) {
        bool equal = true;

        tdsa_stmt_read_exact(&list, got, sizeof got);
        if (have_keys) {
            equal = tdsa_ct_equal(got, want[i], sizeof got);
            tdsa_declassify(&equal, sizeof equal); /* the verdict is the output */
        }
        same = same && equal;
    }
    if (!same) {
        run->confirm_bad = (uint16_t)(run->confirm_bad | 1u << from);
    }
    st = tdsa_reader_finish(&list, "confirms", err);
    return st == TDSA_OK ? tdsa_reader_finish(r, "report", err) : st;
}

tdsa_status keygen_take_report(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);

    tdsa_stmt_expect(&r, "report");
    tdsa_stmt_read_exact(&r, run->view[from], DIGEST_LEN);
    if (len == keygen_complaint_len()) {
        return take_complaint(run, from, &r, err);
    }
    if (!tdsa_stmt_read_absent(&r)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "neither OK nor a complaint");
    }
    return take_confirms(run, from, &r, err);
}

/* ---- round 4: stored ---- */

tdsa_status keygen_send_stored(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    (void)to;
    if (!run->stored) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the key is not marked as stored yet");
    }
    put_digest(out, "stored-echo", run->key->pub.stored);
    return TDSA_OK;
}

static tdsa_status take_stored(const mpc_keygen *run, uint16_t from, const char *tag,
                               const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    uint8_t stored[DIGEST_LEN];
    tdsa_status st;

    tdsa_stmt_expect(&r, tag);
    tdsa_stmt_read_exact(&r, stored, sizeof stored);
    st = tdsa_reader_finish(&r, tag, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (memcmp(stored, run->key->pub.stored, sizeof stored) != 0) {
        return TDSA_BLAME(err, from, "participant %u stored another key (%016llx, here %016llx)",
                          from, head_of(stored), head_of(run->key->pub.stored));
    }
    return TDSA_OK;
}

tdsa_status keygen_take_stored(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    return take_stored(run, from, "stored-echo", in, len, err);
}

/* ---- round 5 of a reshare: active ---- */

tdsa_status keygen_send_active(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    (void)to;
    if (!run->active) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the new epoch is not marked as active yet");
    }
    put_digest(out, "active-echo", run->key->pub.stored);
    return TDSA_OK;
}

tdsa_status keygen_take_active(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    return take_stored(run, from, "active-echo", in, len, err);
}
