#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/backend_memory.h"
#include "keystore/counter_file.h"
#include "participant/marks.h"
#include "sim/sim_internal.h"
#include "sim/sim_wrap.h"

/*
 * Disks that are put back: a copy is taken, and some time later stands in the place of the disk (I7).
 * Whoever told more than its disk knows then must notice, give up its presignatures, and be believed
 * by all others. Only rows of keys must be the same in both: lost keys are not what is tested here.
 */

static ks_memory *disk_of(const sim_disk *d)
{
    return ks_memory_of(d->durable);
}

/* ---- copies ---- */

static void *copy_of(const void *from, size_t size)
{
    void *to = malloc(size);

    if (to == NULL) {
        abort();
    }
    memcpy(to, from, size);
    return to;
}

static void copy_bytes(uint8_t **bytes, size_t len)
{
    *bytes = *bytes == NULL ? NULL : copy_of(*bytes, len);
}

static memory_key *copy_keys(const memory_key *from)
{
    memory_key *first = NULL;
    memory_key **last = &first;

    for (; from != NULL; from = from->next) {
        memory_key *k = copy_of(from, sizeof *k);
        copy_bytes(&k->public_part, k->public_len);
        copy_bytes(&k->attrs, k->attrs_len);
        copy_bytes(&k->sealed, k->sealed_len);
        k->next = NULL;
        *last = k;
        last = &k->next;
    }
    return first;
}

static memory_batch *copy_batches(const memory_batch *from)
{
    memory_batch *first = NULL;
    memory_batch **last = &first;

    for (; from != NULL; from = from->next) {
        memory_batch *b = copy_of(from, sizeof *b);
        copy_bytes(&b->sealed, b->sealed_len);
        b->next = NULL;
        *last = b;
        last = &b->next;
    }
    return first;
}

static memory_lane *copy_lanes(const memory_lane *from)
{
    memory_lane *first = NULL;
    memory_lane **last = &first;

    for (; from != NULL; from = from->next) {
        memory_lane *l = copy_of(from, sizeof *l);
        l->next = NULL;
        *last = l;
        last = &l->next;
    }
    return first;
}

static memory_deletion *copy_deletions(const memory_deletion *from)
{
    memory_deletion *first = NULL;
    memory_deletion **last = &first;

    for (; from != NULL; from = from->next) {
        memory_deletion *d = copy_of(from, sizeof *d);
        d->next = NULL;
        *last = d;
        last = &d->next;
    }
    return first;
}

static memory_meta *copy_metas(const memory_meta *from)
{
    memory_meta *first = NULL;
    memory_meta **last = &first;

    for (; from != NULL; from = from->next) {
        memory_meta *m = copy_of(from, sizeof *m);
        copy_bytes(&m->value, m->len);
        m->next = NULL;
        *last = m;
        last = &m->next;
    }
    return first;
}

void sim_disk_save(sim *s, uint16_t participant)
{
    sim_disk *d = &s->disk[participant];
    ks_memory *m = copy_of(disk_of(d), sizeof *m);

    sim_disk_drop_copy(s, participant);
    m->keys = copy_keys(m->keys);
    m->batches = copy_batches(m->batches);
    m->lanes = copy_lanes(m->lanes);
    m->deletions = copy_deletions(m->deletions);
    m->metas = copy_metas(m->metas);
    m->changes = NULL; /* whoever asks for changes reads all keys */
    m->changes_from = m->key_changes;
    for (size_t i = 0; i < m->data_key_count; i++) {
        copy_bytes(&m->data_keys[i].wrapped, m->data_keys[i].wrapped_len);
        copy_bytes(&m->data_keys[i].chained, m->data_keys[i].chained_len);
    }
    d->copy = m;
}

void sim_disk_drop_copy(sim *s, uint16_t participant)
{
    sim_disk *d = &s->disk[participant];

    if (d->copy != NULL) {
        ks_memory *m = d->copy;
        m->base.ops->close(&m->base);
        d->copy = NULL;
    }
}

/* ---- what others know ---- */

static ks_marks marks_of(const sim_disk *d)
{
    const ks_memory *m = disk_of(d);
    ks_marks out;

    ks_marks_known(d->inspector, &out); /* for the name of the store */
    out.starts = m->starts;
    out.burns = m->burns;
    out.purges = m->purges;
    return out;
}

/* What a disk says about the marks of another participant; false when it says nothing. */
static bool seen_by(const sim_disk *d, uint16_t of, uint64_t store_id, ks_marks *out)
{
    char prefix[16];
    part_marks m;
    tdsa_err err;

    (void)snprintf(prefix, sizeof prefix, "mark.%u.", of);
    for (const memory_meta *v = disk_of(d)->metas; v != NULL; v = v->next) {
        if (strncmp(v->name, prefix, strlen(prefix)) != 0 ||
            part_marks_parse(&m, v->value, v->len, &err) != TDSA_OK) {
            continue;
        }
        for (size_t i = 0; i < m.seen_count; i++) {
            if (m.seen[i].m.store_id == store_id) {
                *out = m.seen[i].m;
                return true;
            }
        }
    }
    return false;
}

/* Somebody whose disk stays knows better than the one that was put back. */
static bool is_known_better(const sim *s, uint16_t who, const ks_marks *mine)
{
    ks_marks seen;

    if (s->cfg.counter_files) {
        return ks_marks_behind(mine, &s->disk[who].file);
    }
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        if (i != who && seen_by(&s->disk[i], who, mine->store_id, &seen) &&
            ks_marks_behind(mine, &seen)) {
            return true;
        }
    }
    return false;
}

/* ---- putting back ---- */

bool sim_disk_put_back(sim *s, uint16_t participant)
{
    sim_disk *d = &s->disk[participant];
    ks_memory *m = disk_of(d);
    ks_memory *copy = d->copy;
    ks_memory old;

    if (copy == NULL || copy->key_changes != m->key_changes) {
        return false;
    }
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        if (s->node[i].index == participant) {
            sim_crash(s, i);
        }
    }
    old = *m;
    *m = *copy; /* and the other way round, so that the copy is freed as one */
    *copy = old;
    copy->base = m->base;
    sim_disk_drop_copy(s, participant);
    d->back_ms = s->now_ms;
    d->back_purges = m->purges;
    sim_ledger_put_back(participant);
    sim_note(s, 0xbac00000u + participant);
    s->put_back++;
    return true;
}

void sim_disk_lose(sim *s, uint16_t participant)
{
    ks_memory *m = disk_of(&s->disk[participant]);
    ks_memory *lost = copy_of(m, sizeof *m);

    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        if (s->node[i].index == participant) {
            sim_crash(s, i);
        }
    }
    *lost = *m;
    lost->base.ops->close(&lost->base);
    *m = (ks_memory){.base = m->base};
}

void sim_disks_judge(sim *s, uint32_t mask)
{
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        const ks_marks mine = marks_of(&s->disk[i]);
        /* who was put back earlier and has not noticed yet: who knew better may not any more */
        const bool open = s->disk[i].must_purge && mine.purges == s->disk[i].back_purges;
        if ((mask >> i & 1u) != 0 || open) {
            s->disk[i].must_purge = is_known_better(s, i, &mine);
        }
    }
}

/* ---- the second copy of the counters ---- */

static sim_disk *of_path(const char *path)
{
    return &sim_current()->disk[strtoul(path, NULL, 10)];
}

tdsa_status __wrap_ks_counter_file_read(const char *path, ks_file_state *state, ks_marks *out,
                                        tdsa_err *err)
{
    const sim_disk *d = of_path(path);

    (void)err;
    *state = d->file.starts == 0 ? KS_FILE_MISSING : KS_FILE_FILLED;
    *out = d->file;
    return TDSA_OK;
}

tdsa_status __wrap_ks_counter_file_raise(const char *path, bool create, const ks_marks *m,
                                         tdsa_err *err)
{
    sim_disk *d = of_path(path);

    (void)create;
    (void)err;
    d->file.store_id = m->store_id;
    d->file.starts = m->starts > d->file.starts ? m->starts : d->file.starts;
    d->file.burns = m->burns > d->file.burns ? m->burns : d->file.burns;
    d->file.purges = m->purges > d->file.purges ? m->purges : d->file.purges;
    return TDSA_OK;
}

/* ---- I7 ---- */

static void check_stock(sim *s, uint16_t who)
{
    const uint64_t back_ms = s->disk[who].back_ms;

    for (uint16_t i = 0; i < s->cfg.n; i++) {
        for (const memory_batch *b = disk_of(&s->disk[i])->batches; b != NULL; b = b->next) {
            if (b->state == KS_BATCH_FREE && (i == who || (b->members >> who & 1u) != 0) &&
                sim_ledger_made_ms(i, b->beta) < back_ms) {
                char what[128];
                (void)snprintf(what, sizeof what, "participant %u of a batch at participant %u",
                               who, i);
                sim_fail(s, "I7: presignatures outlive the disk that was put back", what);
            }
        }
    }
}

static void check_one(sim *s, uint16_t who)
{
    const ks_marks mine = marks_of(&s->disk[who]);
    ks_marks seen;
    char what[64];

    (void)snprintf(what, sizeof what, "participant %u", who);
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        if (i != who && seen_by(&s->disk[i], who, mine.store_id, &seen) &&
            ks_marks_behind(&mine, &seen)) {
            sim_fail(s, "I7: counters are behind what a peer saw", what);
        }
    }
    if (s->disk[who].must_purge && mine.purges == s->disk[who].back_purges) {
        sim_fail(s, "I7: a disk that was put back is not noticed", what);
    }
    if (s->disk[who].must_purge) {
        check_stock(s, who);
    }
}

void sim_check_rollback(sim *s)
{
    for (uint16_t i = 0; i < sim_nodes(s);
         i++) { /* everybody talks with everybody who can be called */
        part_marks_announce(sim_part(s, i));
    }
    sim_idle(s, 30000);
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        check_one(s, i);
    }
}

/* ---- mistakes ---- */

tdsa_status __wrap_part_rolled_back(part *p, const ks_marks *seen, tdsa_err *err)
{
    return sim_current()->plant == SIM_PLANT_IGNORED ? TDSA_OK
                                                     : __real_part_rolled_back(p, seen, err);
}

tdsa_status __wrap_part_void_with(part *p, uint16_t peer, const peer_keys *keys, tdsa_err *err)
{
    return sim_current()->plant == SIM_PLANT_UNTOLD ? TDSA_OK
                                                    : __real_part_void_with(p, peer, keys, err);
}
