#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/backend_memory.h"
#include "sim/sim_internal.h"

/*
 * A disk per participant: the memory backend, which outlives the processes that open it, behind
 * faults. The keystore on top is the one that ships; the linker hands it this backend under the name
 * of the memory backend.
 *
 * Each changing call is one commit. What a call has acknowledged stays; a call that fails may have
 * happened or not; a process that dies before, in or after a commit hears no answer, and whoever
 * reads the disk afterwards sees all of the commit or nothing.
 */

extern const ks_backend_ops __real_ks_backend_memory; /* NOLINT: the linker's name */
#define REAL (&__real_ks_backend_memory)

typedef struct {
    ks_backend base;
    sim_disk *disk;
    sim_node *node; /* NULL: an inspector, without faults */
} disk_handle;

static disk_handle *of(ks_backend *b)
{
    return (disk_handle *)(void *)b;
}

static ks_backend *real(ks_backend *b)
{
    return of(b)->disk->durable;
}

typedef enum { FATE_GOOD, FATE_UNDONE, FATE_UNHEARD } fate;

static tdsa_status lost(tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_STORE, "simulated failure of the disk");
}

/* What becomes of a commit. */
static fate fate_of(const disk_handle *h)
{
    sim_node *n = h->node;

    if (n == NULL) {
        return FATE_GOOD;
    }
    if (n->doomed) {
        return FATE_UNDONE;
    }
    if (sim_chance(n->sim, n->sim->cfg.torn_permille)) {
        n->doomed = true; /* before, in or after the commit */
        return sim_random(n->sim, 2) == 0 ? FATE_UNDONE : FATE_UNHEARD;
    }
    if (sim_chance(n->sim, n->sim->cfg.store_permille)) {
        return sim_random(n->sim, 2) == 0 ? FATE_UNDONE : FATE_UNHEARD;
    }
    return FATE_GOOD;
}

/* Reading fails too, a little more seldom. */
static bool unreadable(const disk_handle *h)
{
    const sim_node *n = h->node;

    return n != NULL && (n->doomed || (sim_chance(n->sim, n->sim->cfg.store_permille) &&
                                       sim_random(n->sim, 4) == 0));
}

#define READ(call, b, err, ...) \
    (unreadable(of(b)) ? lost(err) : REAL->call(real(b), __VA_ARGS__, err))

/* st: the outcome of a commit that was tried. */
static tdsa_status heard(fate f, tdsa_status st, tdsa_err *err)
{
    return f == FATE_UNHEARD ? lost(err) : st;
}

#define CHANGE(st, f, call, b, err, ...) \
    const fate f = fate_of(of(b));       \
    if (f == FATE_UNDONE) {              \
        return lost(err);                \
    }                                    \
    const tdsa_status st = REAL->call(real(b), __VA_ARGS__, err)

/* ---- life ---- */

static const ks_backend_ops disk_ops;

static tdsa_status disk_open(ks_backend **out, const ks_cfg *cfg, tdsa_err *err)
{
    sim *s = sim_current();
    disk_handle *h = calloc(1, sizeof *h);

    (void)err;
    *out = NULL;
    if (h == NULL || cfg->path == NULL) {
        abort();
    }
    h->base.ops = &disk_ops;
    h->disk = &s->disk[strtoul(cfg->path, NULL, 10)];
    h->node = s->opening < SIM_NODES_MAX ? &s->node[s->opening] : NULL;
    *out = &h->base;
    return TDSA_OK;
}

static void disk_close(ks_backend *b)
{
    free(b); /* the disk stays */
}

static tdsa_status disk_ping(ks_backend *b, tdsa_err *err)
{
    return unreadable(of(b)) ? lost(err) : REAL->ping(real(b), err);
}

static tdsa_status change_counter(ks_backend *b, uint64_t *out, tdsa_err *err)
{
    return READ(change_counter, b, err, out);
}

/* ---- keys ---- */

static tdsa_status key_insert(ks_backend *b, const ks_key_row *row, tdsa_err *err)
{
    CHANGE(st, f, key_insert, b, err, row);
    return heard(f, st, err);
}

static tdsa_status key_update(ks_backend *b, const ks_key_row *row, ks_key_state from,
                              tdsa_err *err)
{
    CHANGE(st, f, key_update, b, err, row, from);
    of(b)->disk->sim->keys_touched = true;
    return heard(f, st, err);
}

static tdsa_status key_move(ks_backend *b, const char *key_id, uint32_t epoch, ks_key_state from,
                            ks_key_state to, tdsa_err *err)
{
    CHANGE(st, f, key_move, b, err, key_id, epoch, from, to);
    of(b)->disk->sim->keys_touched = true;
    return heard(f, st, err);
}

static tdsa_status key_add(ks_backend *b, const ks_key_row *row, tdsa_err *err)
{
    CHANGE(st, f, key_add, b, err, row);
    of(b)->disk->sim->keys_touched = true;
    return heard(f, st, err);
}

static tdsa_status key_restore(ks_backend *b, const ks_key_row *row, tdsa_err *err)
{
    CHANGE(st, f, key_restore, b, err, row);
    of(b)->disk->sim->keys_touched = true;
    return heard(f, st, err);
}

static tdsa_status key_rows(ks_backend *b, const char *key_id, ks_key_state state, ks_key_row_fn fn,
                            void *ctx, tdsa_err *err)
{
    return READ(key_rows, b, err, key_id, state, fn, ctx);
}

static tdsa_status key_drop(ks_backend *b, const char *key_id, uint32_t epoch, tdsa_err *err)
{
    CHANGE(st, f, key_drop, b, err, key_id, epoch);
    of(b)->disk->sim->keys_touched = true;
    return heard(f, st, err);
}

static tdsa_status key_set_attrs(ks_backend *b, const char *key_id, const char *label,
                                 const uint8_t *attrs, size_t attrs_len, tdsa_err *err)
{
    CHANGE(st, f, key_set_attrs, b, err, key_id, label, attrs, attrs_len);
    return heard(f, st, err);
}

static tdsa_status key_set_limit(ks_backend *b, const char *key_id, int64_t limit, tdsa_err *err)
{
    CHANGE(st, f, key_set_limit, b, err, key_id, limit);
    return heard(f, st, err);
}

static tdsa_status key_get(ks_backend *b, const char *key_id, ks_key_row_fn fn, void *ctx,
                           tdsa_err *err)
{
    return READ(key_get, b, err, key_id, fn, ctx);
}

static tdsa_status key_each(ks_backend *b, const char *after, size_t limit, ks_key_row_fn fn,
                            void *ctx, tdsa_err *err)
{
    return READ(key_each, b, err, after, limit, fn, ctx);
}

static tdsa_status key_labelled(ks_backend *b, const char *label, const ks_key_page *page,
                                ks_key_row_fn fn, void *ctx, tdsa_err *err)
{
    return READ(key_labelled, b, err, label, page, fn, ctx);
}

static tdsa_status key_changed(ks_backend *b, const ks_key_changes *which, ks_key_row_fn fn,
                               void *ctx, tdsa_err *err)
{
    return READ(key_changed, b, err, which, fn, ctx);
}

static tdsa_status key_has_share(ks_backend *b, bool *out, tdsa_err *err)
{
    return READ(key_has_share, b, err, out);
}

static tdsa_status key_delete(ks_backend *b, const char *key_id, bool tombstone, tdsa_err *err)
{
    CHANGE(st, f, key_delete, b, err, key_id, tombstone);
    of(b)->disk->sim->keys_touched = true;
    return heard(f, st, err);
}

static tdsa_status deletion_put(ks_backend *b, const ks_deletion *d, const ks_deletion *was,
                                tdsa_err *err)
{
    CHANGE(st, f, deletion_put, b, err, d, was);
    of(b)->disk->sim->keys_touched = true;
    return heard(f, st, err);
}

static tdsa_status deletion_told(ks_backend *b, const ks_deletion *d, uint32_t told, tdsa_err *err)
{
    CHANGE(st, f, deletion_told, b, err, d, told);
    return heard(f, st, err);
}

static tdsa_status deletion_each(ks_backend *b, const char *key_id, ks_deletion_fn fn, void *ctx,
                                 tdsa_err *err)
{
    return READ(deletion_each, b, err, key_id, fn, ctx);
}

/* ---- presignatures ---- */

static tdsa_status batch_insert(ks_backend *b, const ks_batch_row *row, tdsa_err *err)
{
    CHANGE(st, f, batch_insert, b, err, row);
    return heard(f, st, err);
}

static tdsa_status batch_each(ks_backend *b, const ks_batch_query *q, ks_batch_row_fn fn, void *ctx,
                              tdsa_err *err)
{
    return READ(batch_each, b, err, q, fn, ctx);
}

static tdsa_status batch_purge(ks_backend *b, const char *key_id, bool only_spent,
                               uint64_t *dropped, tdsa_err *err)
{
    CHANGE(st, f, batch_purge, b, err, key_id, only_spent, dropped);
    return heard(f, st, err);
}

static tdsa_status batch_void_made(ks_backend *b, uint64_t seq_below, tdsa_err *err)
{
    CHANGE(st, f, batch_void_made, b, err, seq_below);
    return heard(f, st, err);
}

static tdsa_status burnt(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t *mask,
                         tdsa_err *err)
{
    return READ(burnt, b, err, beta, block, mask);
}

/* Which participant the disk belongs to. */
static uint16_t owner(ks_backend *b)
{
    const sim_disk *d = of(b)->disk;

    return (uint16_t)(d - d->sim->disk);
}

static tdsa_status batch_move(ks_backend *b, const uint8_t *beta, ks_batch_state from,
                              ks_batch_state to, tdsa_err *err)
{
    CHANGE(st, f, batch_move, b, err, beta, from, to);
    if (st == TDSA_OK && to == KS_BATCH_FREE) {
        sim_ledger_free_batch(owner(b), beta);
    }
    return heard(f, st, err);
}

/* Each lease and burn counts one more, in its own commit (I7). */
static void counted(ks_backend *b, uint64_t before, uint64_t *burns)
{
    sim_disk *d = of(b)->disk;
    ks_memory *m = ks_memory_of(d->durable);

    if (d->sim->plant == SIM_PLANT_UNCOUNTED) {
        m->burns = before;
        *burns = before;
    }
    if (m->burns != before + 1 || *burns != m->burns) {
        sim_fail(d->sim, "I7", "a lease or burn is not counted");
    }
}

static uint64_t burns_of(ks_backend *b)
{
    return ks_memory_of(of(b)->disk->durable)->burns;
}

static tdsa_status lease(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                         uint64_t *burns, tdsa_err *err)
{
    const uint64_t before = burns_of(b);
    CHANGE(st, f, lease, b, err, beta, from, to, burns);
    if (st == TDSA_OK) {
        counted(b, before, burns);
        sim_ledger_durable(owner(b), beta, from, to);
    }
    return heard(f, st, err);
}

static tdsa_status burn(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t bits,
                        uint64_t *burns, tdsa_err *err)
{
    const uint64_t before = burns_of(b);
    CHANGE(st, f, burn, b, err, beta, block, bits, burns);
    if (st == TDSA_OK) {
        counted(b, before, burns);
    }
    for (uint32_t i = 0; st == TDSA_OK && i < KS_BLOCK_SIZE; i++) {
        if ((bits >> i & 1) != 0) {
            const uint32_t index = block * KS_BLOCK_SIZE + i;
            sim_ledger_durable(owner(b), beta, index, index + 1);
        }
    }
    return heard(f, st, err);
}

static tdsa_status burn_range(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                              uint64_t *burns, tdsa_err *err)
{
    const uint64_t before = burns_of(b);
    CHANGE(st, f, burn_range, b, err, beta, from, to, burns);
    if (st == TDSA_OK) {
        counted(b, before, burns);
        sim_ledger_durable(owner(b), beta, from, to);
    }
    return heard(f, st, err);
}

static tdsa_status batch_void_with(ks_backend *b, const char *key_id, uint32_t members,
                                   tdsa_err *err)
{
    CHANGE(st, f, batch_void_with, b, err, key_id, members);
    return heard(f, st, err);
}

static tdsa_status purge_all(ks_backend *b, const ks_marks *at_least, uint64_t *dropped,
                             tdsa_err *err)
{
    CHANGE(st, f, purge_all, b, err, at_least, dropped);
    return heard(f, st, err);
}

static tdsa_status seq_raise(ks_backend *b, const char *key_id, uint32_t epoch, uint64_t lane,
                             uint64_t seq, tdsa_err *err)
{
    CHANGE(st, f, seq_raise, b, err, key_id, epoch, lane, seq);
    return heard(f, st, err);
}

/* ---- partial signatures ---- */

static tdsa_status partial_burn(ks_backend *b, const ks_partial *row, uint64_t *burns,
                                tdsa_err *err)
{
    const uint64_t before = burns_of(b);
    CHANGE(st, f, partial_burn, b, err, row, burns);
    if (st == TDSA_OK) {
        counted(b, before, burns);
        sim_ledger_durable(owner(b), row->beta, row->index, row->index + 1);
    }
    return heard(f, st, err);
}

static tdsa_status partial_get(ks_backend *b, const uint8_t *beta, uint32_t index, ks_partial *out,
                               tdsa_err *err)
{
    return READ(partial_get, b, err, beta, index, out);
}

static tdsa_status partial_fail(ks_backend *b, const uint8_t *beta, uint32_t index, tdsa_err *err)
{
    CHANGE(st, f, partial_fail, b, err, beta, index);
    return heard(f, st, err);
}

static tdsa_status partial_collect(ks_backend *b, uint64_t before_ms, uint64_t *left, tdsa_err *err)
{
    CHANGE(st, f, partial_collect, b, err, before_ms, left);
    return heard(f, st, err);
}

/* ---- small values ---- */

static tdsa_status meta_put(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                            tdsa_err *err)
{
    CHANGE(st, f, meta_put, b, err, name, value, len);
    return heard(f, st, err);
}

static tdsa_status meta_create(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                               tdsa_err *err)
{
    CHANGE(st, f, meta_create, b, err, name, value, len);
    return heard(f, st, err);
}

static tdsa_status meta_get(ks_backend *b, const char *name, tdsa_buf *out, tdsa_err *err)
{
    return READ(meta_get, b, err, name, out);
}

static tdsa_status counter_next(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err)
{
    CHANGE(st, f, counter_next, b, err, name, out);
    return heard(f, st, err);
}

static tdsa_status counter_get(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err)
{
    return READ(counter_get, b, err, name, out);
}

static tdsa_status data_key_each(ks_backend *b, ks_data_key_row_fn fn, void *ctx, tdsa_err *err)
{
    return READ(data_key_each, b, err, fn, ctx);
}

static tdsa_status data_key_add(ks_backend *b, const ks_data_key_row *row, tdsa_err *err)
{
    CHANGE(st, f, data_key_add, b, err, row);
    return heard(f, st, err);
}

static const ks_backend_ops disk_ops = {
    .name = "memory",
    .open = disk_open,
    .close = disk_close,
    .abandon = disk_close,
    .ping = disk_ping,
    .change_counter = change_counter,
    .key_insert = key_insert,
    .key_update = key_update,
    .key_move = key_move,
    .key_add = key_add,
    .key_restore = key_restore,
    .key_rows = key_rows,
    .key_drop = key_drop,
    .key_set_attrs = key_set_attrs,
    .key_set_limit = key_set_limit,
    .key_get = key_get,
    .key_each = key_each,
    .key_labelled = key_labelled,
    .key_changed = key_changed,
    .key_has_share = key_has_share,
    .key_delete = key_delete,
    .deletion_put = deletion_put,
    .deletion_told = deletion_told,
    .deletion_each = deletion_each,
    .batch_insert = batch_insert,
    .batch_move = batch_move,
    .batch_each = batch_each,
    .batch_purge = batch_purge,
    .batch_void_made = batch_void_made,
    .lease = lease,
    .burn = burn,
    .burn_range = burn_range,
    .burnt = burnt,
    .seq_raise = seq_raise,
    .partial_burn = partial_burn,
    .partial_get = partial_get,
    .partial_fail = partial_fail,
    .partial_collect = partial_collect,
    .meta_put = meta_put,
    .meta_create = meta_create,
    .meta_get = meta_get,
    .counter_next = counter_next,
    .counter_get = counter_get,
    .data_key_each = data_key_each,
    .data_key_add = data_key_add,
    .batch_void_with = batch_void_with,
    .purge_all = purge_all,
};

/* NOLINTBEGIN: the names are the linker's */
extern const ks_backend_ops __wrap_ks_backend_memory;
const ks_backend_ops __wrap_ks_backend_memory = {.name = "memory", .open = disk_open};
/* NOLINTEND */

/* ---- the simulator's side ---- */

void sim_disk_new(sim *s, uint16_t participant)
{
    sim_disk *d = &s->disk[participant];
    char path[8];
    const part_engine_cfg *c = &s->node[participant].cfg;
    const ks_cfg cfg = {.backend = "memory",
                        .path = path,
                        .create_tables = true,
                        .encryptor = KS_ENCRYPTOR_AESGCM,
                        .encryption_key = "simulated",
                        .unlock_at_open = true,
                        .counter_file = s->cfg.counter_files ? path : NULL,
                        .rng = c->rng,
                        .clock = c->clock};
    tdsa_err err;

    d->sim = s;
    s->opening = SIM_NODES_MAX;
    (void)snprintf(path, sizeof path, "%u", participant);
    sim_must(s, REAL->open(&d->durable, &cfg, &err), "disk", &err);
    sim_must(s, ks_open(&d->inspector, &cfg, &err), "disk", &err);
}

void sim_disk_free(sim *s, uint16_t participant)
{
    sim_disk_drop_copy(s, participant);
    ks_close(s->disk[participant].inspector);
    REAL->close(s->disk[participant].durable);
}

bool sim_disk_key(sim *s, uint16_t participant, const char *key_id, ks_key_row_fn fn, void *ctx)
{
    tdsa_err err;

    return REAL->key_rows(s->disk[participant].durable, key_id, (ks_key_state)0, fn, ctx, &err) ==
           TDSA_OK;
}

bool sim_disk_keys(sim *s, uint16_t participant, ks_key_row_fn fn, void *ctx)
{
    tdsa_err err;

    return REAL->key_each(s->disk[participant].durable, NULL, SIZE_MAX, fn, ctx, &err) == TDSA_OK;
}
