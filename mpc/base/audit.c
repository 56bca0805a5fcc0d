#define _GNU_SOURCE 1 /* memmem */
#include "base/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"

#define EVENT_MAX  40u
#define KEY_MAX    64u
#define DETAIL_MAX 256u
#define HEX_LEN    64u
#define MS_A_DAY   86400000u

#define SEQ_KEY  "{\"seq\":"
#define PREV_KEY ",\"prev\":\""
#define HASH_KEY "\",\"hash\":\""
#define LINE_END "\"}"
/* prev, hash and what stands around them: the end of every line */
#define SUFFIX_LEN \
    (sizeof PREV_KEY - 1 + HEX_LEN + sizeof HASH_KEY - 1 + HEX_LEN + sizeof LINE_END - 1)

bool tdsa_audit_is_evidence(tdsa_audit_flaw flaw)
{
    return flaw != TDSA_AUDIT_TORN && flaw != TDSA_AUDIT_TAIL;
}

/* ---- one line ---- */

/* Days since 1970-01-01 as a date: the civil calendar has 146097 days in 400 years. */
static void put_time(tdsa_buf *out, uint64_t wall_ms)
{
    const uint64_t days = wall_ms / MS_A_DAY + 719468u; /* since 0000-03-01 */
    const uint64_t era = days / 146097u;
    const uint64_t of_era = days % 146097u;
    const uint64_t year = (of_era - of_era / 1460u + of_era / 36524u - of_era / 146096u) / 365u;
    const uint64_t of_year = of_era - (365u * year + year / 4u - year / 100u);
    const uint64_t shifted = (5u * of_year + 2u) / 153u; /* months since March */
    const uint64_t day = of_year - (153u * shifted + 2u) / 5u + 1u;
    const uint64_t month = shifted < 10u ? shifted + 3u : shifted - 9u;
    const uint64_t ms = wall_ms % MS_A_DAY;

    tdsa_buf_appendf(out, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                     (unsigned)(year + era * 400u + (month <= 2u ? 1u : 0u)), (unsigned)month,
                     (unsigned)day, (unsigned)(ms / 3600000u), (unsigned)(ms / 60000u % 60u),
                     (unsigned)(ms / 1000u % 60u), (unsigned)(ms % 1000u));
}

/* A member with a text: no quote, backslash or control character gets through. */
static void put_text(tdsa_buf *out, const char *name, const char *text, size_t max)
{
    if (text == NULL) {
        return;
    }
    tdsa_buf_appendf(out, ",\"%s\":\"", name);
    for (size_t i = 0; text[i] != '\0' && i < max; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\') {
            tdsa_buf_append_u8(out, '\'');
        } else {
            tdsa_buf_append_u8(out, c < 0x20 || c > 0x7e ? '?' : c);
        }
    }
    tdsa_buf_append_u8(out, '"');
}

tdsa_status tdsa_audit_format(tdsa_buf *out, tdsa_audit_point *last, uint64_t wall_ms,
                              const tdsa_audit_event *event, tdsa_err *err)
{
    TDSA_SCOPED_BUF line = TDSA_BUF_EMPTY;
    tdsa_audit_point next = {.seq = last->seq + 1};
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st;

    if (strlen(event->event) > EVENT_MAX ||
        (event->key_id != NULL && strlen(event->key_id) > KEY_MAX)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "audit record: name or key id too long");
    }
    tdsa_buf_appendf(&line, SEQ_KEY "%llu,\"time\":\"", (unsigned long long)next.seq);
    put_time(&line, wall_ms);
    tdsa_buf_appendf(&line, "\",\"participant\":%u", event->participant);
    put_text(&line, "event", event->event, EVENT_MAX);
    put_text(&line, "keyId", event->key_id, KEY_MAX);
    put_text(&line, "detail", event->detail, DETAIL_MAX);
    tdsa_buf_append_str(&line, PREV_KEY);
    tdsa_hex_encode(&line, last->hash, sizeof last->hash);
    tdsa_buf_append_u8(&line, '"');
    st = tdsa_buf_check(&line, err);
    if (st == TDSA_OK) {
        st = tdsa_hash(digest, TDSA_HASH_SHA256, line.data, line.len, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    memcpy(next.hash, digest, sizeof next.hash);
    tdsa_buf_append_str(&line, &HASH_KEY[1]);
    tdsa_hex_encode(&line, next.hash, sizeof next.hash);
    tdsa_buf_append_str(&line, LINE_END "\n");
    tdsa_buf_append(out, line.data, line.len);
    st = tdsa_buf_check(line.failed ? &line : out, err);
    if (st == TDSA_OK) {
        *last = next;
    }
    return st;
}

static bool read_hash(uint8_t out[32], const uint8_t *hex)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    char text[HEX_LEN + 1];
    tdsa_err err;

    memcpy(text, hex, HEX_LEN);
    text[HEX_LEN] = '\0';
    if (strspn(text, "0123456789abcdef") != HEX_LEN ||
        tdsa_hex_decode(&bytes, text, &err) != TDSA_OK) {
        return false;
    }
    memcpy(out, bytes.data, 32);
    return true;
}

typedef struct {
    tdsa_audit_point self;
    uint8_t prev[32];
    size_t hashed; /* bytes that its hash is of */
} parsed;

/* The frame of a line; what stands between is the matter of its hash. */
static bool parse(parsed *out, const uint8_t *line, size_t len)
{
    const size_t start = sizeof SEQ_KEY - 1;
    const uint8_t *suffix;
    size_t digits = 0;

    if (len < start + 2 + SUFFIX_LEN || memcmp(line, SEQ_KEY, start) != 0) {
        return false;
    }
    out->self.seq = 0;
    while (digits < 18 && line[start + digits] >= '0' && line[start + digits] <= '9') {
        out->self.seq = out->self.seq * 10 + (uint64_t)(line[start + digits] - '0');
        digits++;
    }
    suffix = line + len - SUFFIX_LEN;
    out->hashed = len - SUFFIX_LEN + sizeof PREV_KEY - 1 + HEX_LEN + 1;
    return digits > 0 && line[start + digits] == ',' && line[start] != '0' &&
           memcmp(suffix, PREV_KEY, sizeof PREV_KEY - 1) == 0 &&
           read_hash(out->prev, suffix + sizeof PREV_KEY - 1) &&
           memcmp(suffix + sizeof PREV_KEY - 1 + HEX_LEN, HASH_KEY, sizeof HASH_KEY - 1) == 0 &&
           read_hash(out->self.hash, suffix + SUFFIX_LEN - sizeof LINE_END + 1 - HEX_LEN) &&
           memcmp(line + len - (sizeof LINE_END - 1), LINE_END, sizeof LINE_END - 1) == 0;
}

/* ---- many ---- */

struct tdsa_audit_verifier {
    tdsa_audit_check check;
    tdsa_audit_point noted;
    bool have_last; /* the record before the next one is known */
    tdsa_audit_result r;
    uint64_t line;      /* the one that is read now, in its file */
    uint64_t taken;     /* bytes of its file before it */
    tdsa_buf open;      /* the line so far, at most LINE_MAX and one */
    bool cut;           /* it is longer than that */
    tdsa_buf torn;      /* what is no record since the last one */
    uint64_t torn_line; /* where that began; 0: nothing */
};

/* Longer than this a crash leaves nothing: two lines. */
#define TORN_MAX (2 * TDSA_AUDIT_LINE_MAX + 2)

tdsa_status tdsa_audit_verifier_new(tdsa_audit_verifier **out, const tdsa_audit_check *check,
                                    tdsa_err *err)
{
    tdsa_audit_verifier *v = calloc(1, sizeof *v);

    *out = v;
    if (v == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "check of an audit log");
    }
    v->check = *check;
    v->line = 1;
    if (check->from != NULL) {
        v->r.last = *check->from;
        v->have_last = true;
    }
    if (check->noted != NULL) {
        v->noted = *check->noted;
    }
    return TDSA_OK;
}

void tdsa_audit_verifier_free(tdsa_audit_verifier *v)
{
    if (v != NULL) {
        tdsa_buf_clear(&v->open);
        tdsa_buf_clear(&v->torn);
        free(v);
    }
}

static void found(tdsa_audit_verifier *v, tdsa_audit_flaw flaw, uint64_t line, const char *fmt, ...)
    TDSA_PRINTF(4, 5);
static void found(tdsa_audit_verifier *v, tdsa_audit_flaw flaw, uint64_t line, const char *fmt, ...)
{
    tdsa_audit_finding f = {.flaw = flaw, .line = line};
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(f.text, sizeof f.text, fmt, args);
    va_end(args);
    v->r.flaws++;
    v->r.evidence += tdsa_audit_is_evidence(flaw) ? 1 : 0;
    if (v->check.fn != NULL) {
        v->check.fn(v->check.ctx, &f);
    }
}

static void torn_text(char *out, size_t cap, uint64_t len, const uint8_t hash[32])
{
    char hex[HEX_LEN + 1];

    tdsa_hex(hex, hash, 32);
    (void)snprintf(out, cap, "%llu bytes, sha256 %s", (unsigned long long)len, hex);
}

static tdsa_status hash_torn(const tdsa_audit_verifier *v, uint8_t out[32], tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st = tdsa_hash(digest, TDSA_HASH_SHA256, v->torn.data, v->torn.len, err);

    memcpy(out, digest, 32);
    return st;
}

/* What was no record ends here: the record after it may say why. */
static tdsa_status settle_torn(tdsa_audit_verifier *v, const uint8_t *line, size_t len,
                               tdsa_err *err)
{
    char text[128];
    char member[192];
    uint8_t hash[32];
    tdsa_status st;

    if (v->torn_line == 0) {
        return TDSA_OK;
    }
    st = hash_torn(v, hash, err);
    if (st != TDSA_OK) {
        return st;
    }
    torn_text(text, sizeof text, v->torn.len, hash);
    (void)snprintf(member, sizeof member,
                   ",\"event\":\"" TDSA_AUDIT_EVENT_TORN "\",\"detail\":\"%s\"", text);
    if (line != NULL && memmem(line, len, member, strlen(member)) != NULL) {
        found(v, TDSA_AUDIT_TORN, v->torn_line,
              "a crash left %zu unfinished bytes; the next record says so", v->torn.len);
    } else {
        found(v, TDSA_AUDIT_GARBAGE, v->torn_line, "this is no record");
    }
    tdsa_buf_reset(&v->torn);
    v->torn_line = 0;
    return TDSA_OK;
}

static void check_place(tdsa_audit_verifier *v, const parsed *p)
{
    static const uint8_t none[32];
    const tdsa_audit_point *last = &v->r.last;
    const unsigned long long seq = p->self.seq;

    if (!v->have_last && seq != 1) {
        return; /* a later file of a log: whoever has the earlier ones can check more */
    }
    if (seq > last->seq + 1) {
        found(v, TDSA_AUDIT_MISSING, v->line, "records %llu to %llu are missing before this one",
              (unsigned long long)last->seq + 1, seq - 1);
    } else if (seq <= last->seq) {
        found(v, TDSA_AUDIT_ORDER, v->line, "record %llu stands after record %llu", seq,
              (unsigned long long)last->seq);
    } else if (memcmp(p->prev, last->seq == 0 ? none : last->hash, sizeof p->prev) != 0) {
        found(v, TDSA_AUDIT_BROKEN, v->line, "record %llu does not continue the one before it",
              seq);
    }
}

static tdsa_status take_record(tdsa_audit_verifier *v, const parsed *p, tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st = tdsa_hash(digest, TDSA_HASH_SHA256, v->open.data, p->hashed, err);

    if (st == TDSA_OK) {
        st = settle_torn(v, v->open.data, v->open.len, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (memcmp(digest, p->self.hash, sizeof p->self.hash) != 0) {
        found(v, TDSA_AUDIT_EDITED, v->line, "record %llu was edited: its hash is another",
              (unsigned long long)p->self.seq);
    }
    check_place(v, p);
    if (v->check.noted != NULL && v->noted.seq == p->self.seq) {
        v->r.noted_seen = true;
        if (memcmp(v->noted.hash, p->self.hash, sizeof v->noted.hash) != 0) {
            found(v, TDSA_AUDIT_OTHER, v->line, "record %llu is not the one that was noted",
                  (unsigned long long)p->self.seq);
        }
    }
    v->r.first = v->r.records == 0 ? p->self.seq : v->r.first;
    v->r.records++;
    v->r.last = p->self;
    v->have_last = true;
    return TDSA_OK;
}

static tdsa_status end_line(tdsa_audit_verifier *v, bool closed, tdsa_err *err)
{
    const size_t len = v->open.len;
    parsed p;
    tdsa_status st = tdsa_buf_check(&v->open, err);

    if (st == TDSA_OK && !v->cut && parse(&p, v->open.data, len)) {
        st = take_record(v, &p, err);
        v->taken += len + (closed ? 1 : 0);
        v->r.good_len = v->taken;
    } else if (st == TDSA_OK) {
        if (v->torn_line != 0 && v->torn.len < TORN_MAX) {
            tdsa_buf_append_u8(&v->torn, '\n');
        }
        v->torn_line = v->torn_line == 0 ? v->line : v->torn_line;
        if (v->torn.len + len <= TORN_MAX) {
            tdsa_buf_append(&v->torn, v->open.data, len);
        }
        v->taken += len + (closed ? 1 : 0);
        st = tdsa_buf_check(&v->torn, err);
    }
    tdsa_buf_reset(&v->open);
    v->cut = false;
    v->line++;
    return st;
}

tdsa_status tdsa_audit_verifier_take(tdsa_audit_verifier *v, const uint8_t *bytes, size_t len,
                                     tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (size_t at = 0; at < len && st == TDSA_OK;) {
        const uint8_t *end = memchr(bytes + at, '\n', len - at);
        const size_t part = end != NULL ? (size_t)(end - bytes) - at : len - at;
        const size_t room = TDSA_AUDIT_LINE_MAX + 1 - v->open.len;

        tdsa_buf_append(&v->open, bytes + at, part < room ? part : room);
        v->cut = v->cut || part > room || v->open.len > TDSA_AUDIT_LINE_MAX;
        at += part;
        if (end != NULL) {
            st = end_line(v, true, err);
            at++;
        }
    }
    return st;
}

tdsa_status tdsa_audit_verifier_end(tdsa_audit_verifier *v, tdsa_audit_result *out, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    v->r.line_open = v->open.len > 0;
    if (v->open.len > 0) {
        st = end_line(v, false, err);
    }
    v->r.torn_len = v->torn.len;
    if (st == TDSA_OK) {
        st = hash_torn(v, v->r.torn_hash, err);
    }
    if (st == TDSA_OK && v->torn_line != 0 && v->torn.len < TORN_MAX) {
        found(v, TDSA_AUDIT_TAIL, v->torn_line, "%zu unfinished bytes at the end", v->torn.len);
    } else if (st == TDSA_OK && v->torn_line != 0) {
        found(v, TDSA_AUDIT_GARBAGE, v->torn_line, "this is no record, nor is anything after it");
    }
    *out = v->r;
    tdsa_buf_reset(&v->torn);
    v->torn_line = 0;
    v->line = 1;
    v->taken = 0;
    v->r.good_len = 0;
    return st;
}
