#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/audit.h"
#include "base/encode.h"
#include "cli/cli.h"

/* tdsa audit verify */

static const char *flaw_name(tdsa_audit_flaw flaw)
{
    switch (flaw) {
    case TDSA_AUDIT_TORN:
        return "torn";
    case TDSA_AUDIT_TAIL:
        return "unfinished";
    case TDSA_AUDIT_GARBAGE:
        return "no record";
    case TDSA_AUDIT_EDITED:
        return "edited";
    case TDSA_AUDIT_MISSING:
        return "missing";
    case TDSA_AUDIT_ORDER:
        return "moved";
    case TDSA_AUDIT_BROKEN:
        return "broken";
    case TDSA_AUDIT_OTHER:
        return "other";
    }
    return "?";
}

typedef struct {
    json_t *list;
    tdsa_audit_finding first; /* evidence; line 0: none */
} findings;

static void on_finding(void *ctx, const tdsa_audit_finding *f)
{
    findings *all = (findings *)ctx;
    const bool evidence = tdsa_audit_is_evidence(f->flaw);
    json_t *o = json_object();

    (void)json_object_set_new(o, "line", json_integer((json_int_t)f->line));
    (void)json_object_set_new(o, "flaw", json_string(flaw_name(f->flaw)));
    (void)json_object_set_new(o, "evidence", json_boolean(evidence));
    (void)json_object_set_new(o, "message", json_string(f->text));
    (void)json_array_append_new(all->list, o);
    if (evidence && all->first.line == 0) {
        all->first = *f;
    }
}

/* "17:<64 hex digits>" */
static tdsa_status read_noted(tdsa_audit_point *out, const char *text, tdsa_err *err)
{
    TDSA_SCOPED_BUF hash = TDSA_BUF_EMPTY;
    char *end = NULL;
    const bool digits = text[0] >= '1' && text[0] <= '9';
    unsigned long long seq;

    errno = 0;
    seq = strtoull(text, &end, 10);
    if (!digits || errno != 0 || *end != ':' || strlen(end + 1) != 64 ||
        tdsa_hex_decode(&hash, end + 1, err) != TDSA_OK || hash.len != sizeof out->hash) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "--noted is the number of a record, a colon and its hash in hex");
    }
    out->seq = (uint64_t)seq;
    memcpy(out->hash, hash.data, sizeof out->hash);
    return TDSA_OK;
}

static void show(cli *c, const tdsa_audit_result *r, json_t *list)
{
    json_t *doc = json_object();
    char hash[65];

    tdsa_hex(hash, r->last.hash, sizeof r->last.hash);
    (void)json_object_set_new(doc, "records", json_integer((json_int_t)r->records));
    (void)json_object_set_new(doc, "first", json_integer((json_int_t)r->first));
    (void)json_object_set_new(doc, "last", json_integer((json_int_t)r->last.seq));
    (void)json_object_set_new(doc, "lastHash", json_string(hash));
    (void)json_object_set_new(doc, "evidence", json_integer((json_int_t)r->evidence));
    (void)json_object_set(doc, "findings", list);
    cli_show(c, doc);
    json_decref(doc);
}

static tdsa_status judge(const tdsa_audit_result *r, const findings *all, const char *noted,
                         tdsa_err *err)
{
    if (r->evidence > 0) {
        return TDSA_FAIL(err, TDSA_E_VERIFY, "the log was changed: line %llu: %s",
                         (unsigned long long)all->first.line, all->first.text);
    }
    if (noted != NULL && !r->noted_seen) {
        return TDSA_FAIL(err, TDSA_E_VERIFY, "the record that was noted is not there: %.90s",
                         noted);
    }
    return TDSA_OK;
}

tdsa_status cli_do_audit_verify(cli *c, tdsa_err *err)
{
    const char *noted = c->args.value[CLI_OPT_NOTED];
    findings all = {json_array(), {.line = 0}};
    tdsa_audit_point point = {0, {0}};
    tdsa_audit_check check = {
        .noted = noted != NULL ? &point : NULL, .fn = on_finding, .ctx = &all};
    tdsa_audit_result result;
    tdsa_status st = noted != NULL ? read_noted(&point, noted, err) : TDSA_OK;

    c->hint = "";
    if (st == TDSA_OK) {
        st = tdsa_os_audit_verify(&result, c->args.word, c->args.word_count, &check, err);
        if (st == TDSA_E_NOT_FOUND) { /* of a file, not of a key */
            err->status = TDSA_E_BAD_INPUT;
            st = TDSA_E_BAD_INPUT;
        }
    }
    if (st == TDSA_OK) {
        show(c, &result, all.list);
        st = judge(&result, &all, noted, err);
    }
    json_decref(all.list);
    return st;
}
