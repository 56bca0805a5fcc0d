#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/failpoint.h"
#include "base/hash.h"
#include "base/statement.h"
#include "participant/export.h"

/*
 * Approvals of exports: for one export of one key and epoch under one certificate, and until a time.
 * An approval is a sealed value with a number of its own; it is used up by a row that names this number
 * and can be made once, so two processes on one store cannot both use it.
 */

#define NUMBER_LEN   16u
#define NAME_MAX_LEN 48u /* "approval." and 32 hex digits */

typedef struct {
    uint64_t expires_ms; /* wall clock */
    uint8_t number[NUMBER_LEN];
} approval;

static uint64_t wall(const part *p)
{
    return p->cfg.clock.wall_ms(p->cfg.clock.ctx);
}

static void put_subject(tdsa_buf *out, const char *tag, const char *key_id,
                        const part_export_plan *plan)
{
    tdsa_stmt_begin(out, tag);
    tdsa_stmt_text(out, key_id);
    tdsa_stmt_uint(out, plan->epoch);
    tdsa_stmt_octets(out, plan->certificate, sizeof plan->certificate);
    part_export_put_path(out, plan->path, plan->path_len);
}

static tdsa_status name_of(char out[NAME_MAX_LEN], const char *key_id, const part_export_plan *plan,
                           tdsa_err *err)
{
    TDSA_SCOPED_BUF stmt = TDSA_BUF_EMPTY;
    uint8_t hash[32];
    char hex[2 * NUMBER_LEN + 1];
    tdsa_status st;

    put_subject(&stmt, "export-approval-name", key_id, plan);
    st = tdsa_buf_check(&stmt, err);
    st = st != TDSA_OK ? st : tdsa_hash32_stmt(hash, &stmt, err);
    if (st == TDSA_OK) {
        tdsa_hex(hex, hash, NUMBER_LEN);
        (void)snprintf(out, NAME_MAX_LEN, "approval.%s", hex);
    }
    return st;
}

static void used_name(char out[NAME_MAX_LEN], const approval *a)
{
    char hex[2 * NUMBER_LEN + 1];

    tdsa_hex(hex, a->number, NUMBER_LEN);
    (void)snprintf(out, NAME_MAX_LEN, "approved.%s", hex);
}

static tdsa_status not_approved(const part *p, const char *key_id, const char *why, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_DENIED,
                     PART_NOT_APPROVED ": participant %u has not approved this export of key %s "
                                       "(epoch, certificate, path)%s",
                     p->cfg.roster.me, key_id, why);
}

/* ---- stored ---- */

static tdsa_status store(part *p, const char *key_id, const part_export_plan *plan,
                         const approval *a, tdsa_err *err)
{
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;
    char name[NAME_MAX_LEN];
    tdsa_status st = name_of(name, key_id, plan, err);

    put_subject(&value, "export-approval", key_id, plan);
    tdsa_stmt_uint(&value, a->expires_ms);
    tdsa_stmt_octets(&value, a->number, NUMBER_LEN);
    st = st != TDSA_OK ? st : tdsa_buf_check(&value, err);
    return st != TDSA_OK ? st : ks_meta_put(p->cfg.store, name, true, value.data, value.len, err);
}

static tdsa_status load(part *p, const char *key_id, const part_export_plan *plan, approval *out,
                        tdsa_err *err)
{
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF subject = TDSA_BUF_EMPTY;
    char name[NAME_MAX_LEN];
    tdsa_reader r;
    tdsa_status st = name_of(name, key_id, plan, err);

    st = st != TDSA_OK ? st : ks_meta_get(p->cfg.store, name, true, &value, err);
    if (st == TDSA_E_NOT_FOUND) {
        return not_approved(p, key_id, "", err);
    }
    put_subject(&subject, "export-approval", key_id, plan);
    st = st != TDSA_OK ? st : tdsa_buf_check(&subject, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (value.len < subject.len || memcmp(value.data, subject.data, subject.len) != 0) {
        return TDSA_FAIL(err, TDSA_E_STORE, "%s is of another export", name);
    }
    r = tdsa_reader_of(value.data + subject.len, value.len - subject.len);
    out->expires_ms = tdsa_stmt_read_uint(&r);
    tdsa_stmt_read_exact(&r, out->number, NUMBER_LEN);
    st = tdsa_reader_finish(&r, name, err);
    return st == TDSA_E_BAD_INPUT ? TDSA_FAIL(err, TDSA_E_STORE, "%s is damaged", name) : st;
}

/* ---- used ---- */

static tdsa_status load_valid(part *p, const char *key_id, const part_export_plan *plan,
                              approval *out, tdsa_err *err)
{
    const tdsa_status st = load(p, key_id, plan, out, err);

    if (st == TDSA_OK && wall(p) >= out->expires_ms) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         PART_APPROVAL_EXPIRED
                         ": the approval of participant %u of this export of key %s has expired",
                         p->cfg.roster.me, key_id);
    }
    return st;
}

tdsa_status part_approval_check(part *p, const char *key_id, const part_export_plan *plan,
                                tdsa_err *err)
{
    TDSA_SCOPED_BUF used = TDSA_BUF_EMPTY;
    char name[NAME_MAX_LEN];
    approval a;
    tdsa_status st = load_valid(p, key_id, plan, &a, err);

    if (st != TDSA_OK) {
        return st;
    }
    used_name(name, &a);
    st = ks_meta_get(p->cfg.store, name, true, &used, err);
    if (st == TDSA_OK) {
        return not_approved(p, key_id, " once more", err);
    }
    return st == TDSA_E_NOT_FOUND ? TDSA_OK : st;
}

tdsa_status part_approval_use(part *p, const char *key_id, const part_export_plan *plan,
                              tdsa_err *err)
{
    char name[NAME_MAX_LEN];
    approval a;
    tdsa_status st = load_valid(p, key_id, plan, &a, err);

    if (st != TDSA_OK) {
        return st;
    }
    used_name(name, &a);
    TDSA_FAILPOINT("export.before_used");
    st = ks_meta_create(p->cfg.store, name, true, (const uint8_t *)key_id, strlen(key_id), err);
    TDSA_FAILPOINT("export.after_used");
    return st == TDSA_E_CONFLICT ? not_approved(p, key_id, " once more", err) : st;
}

/* ---- given ---- */

static tdsa_status give(part *p, const part_key *k, const part_export_plan *plan, uint64_t valid_ms,
                        uint64_t *expires_ms, tdsa_err *err)
{
    char what[PART_EXPORT_TEXT_MAX];
    char detail[PART_EXPORT_TEXT_MAX + 64];
    const tdsa_rsa_cert *cert = NULL;
    approval a = {.expires_ms = wall(p) + valid_ms};
    tdsa_status st = part_export_allowed(p, &k->key->pub, plan, &cert, err);

    st = st != TDSA_OK ? st : tdsa_rng_fill(&p->cfg.rng, a.number, NUMBER_LEN, err);
    if (st != TDSA_OK) {
        return st;
    }
    part_export_text(what, plan);
    (void)snprintf(detail, sizeof detail, "for %llu s, %s", (unsigned long long)(valid_ms / 1000),
                   what);
    st = part_audit(p, "key.export.approve", k->key->pub.key_id, detail, err);
    st = st != TDSA_OK ? st : store(p, k->key->pub.key_id, plan, &a, err);
    *expires_ms = st == TDSA_OK ? a.expires_ms : 0;
    return st;
}

tdsa_status part_approve_export(part *p, const part_export_spec *spec, uint64_t valid_ms,
                                uint64_t *expires_ms, tdsa_err *err)
{
    part_export_plan plan;
    part_key *k = NULL;
    tdsa_status st = TDSA_OK;

    *expires_ms = 0;
    if (valid_ms == 0 || valid_ms > PART_APPROVAL_MAX_MS) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "an approval is valid for 1 ms to %llu ms",
                         (unsigned long long)PART_APPROVAL_MAX_MS);
    }
    if (!part_key_id_ok(spec->key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    st = part_key_hold(p, spec->key_id, &k, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = part_export_plan_of(&plan, spec, k->key->pub.epoch, err);
    st = st != TDSA_OK ? st : give(p, k, &plan, valid_ms, expires_ms, err);
    part_key_release(p, k);
    return st;
}
