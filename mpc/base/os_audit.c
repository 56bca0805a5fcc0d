#define _GNU_SOURCE 1 /* O_CLOEXEC with flock */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/audit.h"
#include "base/encode.h"
#include "base/failpoint.h"

/*
 * The audit log as a file. Nothing stays open between records, so a process that forks has nothing to
 * inherit, and a renamed file is simply not found any more. The head beside it is locked while a
 * record is made; it holds the number, hash and end of the last record in two slots that are written in
 * turn, so that a torn write leaves the other. It may be behind the log, never ahead of it: records
 * after the place that it names are read again.
 */

#define AUDIT_PATH_MAX 4000u
#define HEAD_SUFFIX    ".head"
/* a slot: number | hash | place | sum, each followed by a blank, padded */
#define NUMBER_LEN   20u
#define HEX_LEN      64u
#define SUM_LEN      16u
#define HASH_AT      (NUMBER_LEN + 1)
#define END_AT       (HASH_AT + HEX_LEN + 1)
#define SUM_AT       (END_AT + NUMBER_LEN + 1)
#define SLOT_LEN     128u
#define LOCK_WAIT_MS 2000u
#define TAIL_MAX     (4u << 20) /* bytes that a head may be behind */
#define PIECE_LEN    65536u

struct tdsa_os_audit {
    char path[AUDIT_PATH_MAX + 1];
    char head[AUDIT_PATH_MAX + sizeof HEAD_SUFFIX];
    tdsa_clock clock;
};

/* One record under way. */
typedef struct {
    tdsa_os_audit *a;
    int head, log; /* descriptors; -1: not open */
    uint64_t log_len;
    tdsa_audit_point last;
    uint64_t end;   /* of the last record in the log */
    bool have_head; /* the head said so, not the log itself */
} job;

static tdsa_status failed(const char *what, const char *path, tdsa_err *err)
{
    const int e = errno;

    return TDSA_FAIL(err, TDSA_E_STORE, "audit log: %.120s cannot be %s: %s", path, what,
                     strerrordesc_np(e) != NULL ? strerrordesc_np(e) : "?");
}

/* ---- the head ---- */

static tdsa_status lock_head(const job *j, tdsa_err *err)
{
    const struct timespec pause = {0, 2000000};

    for (unsigned waited = 0; flock(j->head, LOCK_EX | LOCK_NB) != 0; waited += 2) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return failed("locked", j->a->head, err);
        }
        if (waited >= LOCK_WAIT_MS) {
            return TDSA_FAIL(err, TDSA_E_BUSY, "audit log: another process holds %.120s",
                             j->a->head);
        }
        (void)nanosleep(&pause, NULL);
    }
    return TDSA_OK;
}

static tdsa_status slot_sum(char out[17], const char *text, size_t len, tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st = tdsa_hash(digest, TDSA_HASH_SHA256, text, len, err);

    tdsa_hex(out, digest, 8);
    return st;
}

/* seq hash end sum, padded; the sum is over what stands before it. */
static tdsa_status write_head(const job *j, tdsa_err *err)
{
    char slot[SLOT_LEN + 1];
    char hex[65];
    char sum[17];
    int len;
    tdsa_status st;

    tdsa_hex(hex, j->last.hash, sizeof j->last.hash);
    len = snprintf(slot, sizeof slot, "%020llu %s %020llu ", (unsigned long long)j->last.seq, hex,
                   (unsigned long long)j->end);
    st = slot_sum(sum, slot, (size_t)len, err);
    if (st != TDSA_OK) {
        return st;
    }
    (void)snprintf(slot + len, sizeof slot - (size_t)len, "%-*s\n", (int)SLOT_LEN - len - 1, sum);
    if (pwrite(j->head, slot, SLOT_LEN, (off_t)(j->last.seq % 2 * SLOT_LEN)) != SLOT_LEN) {
        return failed("written", j->a->head, err);
    }
    return TDSA_OK;
}

/* Digits of a fixed width. */
static bool read_number(uint64_t *out, const char *text, size_t len)
{
    *out = 0;
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];

        if (c < '0' || c > '9' || *out > (UINT64_MAX - 9) / 10) {
            return false;
        }
        *out = *out * 10 + (uint64_t)(c - '0');
    }
    return true;
}

static bool read_slot(tdsa_audit_point *last, uint64_t *end, const char *slot)
{
    TDSA_SCOPED_BUF hash = TDSA_BUF_EMPTY;
    char hex[HEX_LEN + 1];
    char sum[SUM_LEN + 1];
    tdsa_err err;

    memcpy(hex, slot + HASH_AT, HEX_LEN);
    hex[HEX_LEN] = '\0';
    if (!read_number(&last->seq, slot, NUMBER_LEN) ||
        !read_number(end, slot + END_AT, NUMBER_LEN) ||
        slot_sum(sum, slot, SUM_AT, &err) != TDSA_OK || memcmp(sum, slot + SUM_AT, SUM_LEN) != 0 ||
        tdsa_hex_decode(&hash, hex, &err) != TDSA_OK) {
        return false;
    }
    memcpy(last->hash, hash.data, sizeof last->hash);
    return true;
}

static tdsa_status read_head(job *j, tdsa_err *err)
{
    char slots[2][SLOT_LEN + 1] = {"", ""};
    tdsa_audit_point last;
    uint64_t end = 0;

    for (unsigned i = 0; i < 2; i++) {
        const ssize_t got = pread(j->head, slots[i], SLOT_LEN, (off_t)(i * SLOT_LEN));

        if (got < 0) {
            return failed("read", j->a->head, err);
        }
        if (got == SLOT_LEN && read_slot(&last, &end, slots[i]) &&
            (!j->have_head || last.seq > j->last.seq)) {
            j->last = last;
            j->end = end;
            j->have_head = true;
        }
    }
    return TDSA_OK;
}

/* ---- the log ---- */

static tdsa_status broken(const job *j, const char *what, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_STORE,
                     "audit log: %.100s %s: it was edited, shortened or exchanged; nothing is done "
                     "until somebody has looked",
                     j->a->path, what);
}

/* The record that the head names ends where it says. */
static tdsa_status check_end(const job *j, tdsa_err *err)
{
    char hex[65];
    char expected[72];
    char there[72] = "";
    const size_t len = 64 + 3;

    tdsa_hex(hex, j->last.hash, sizeof j->last.hash);
    (void)snprintf(expected, sizeof expected, "%s\"}\n", hex);
    if (j->end > j->log_len) {
        return broken(j, "is shorter than its head says", err);
    }
    if (j->end < len || pread(j->log, there, len, (off_t)(j->end - len)) != (ssize_t)len ||
        memcmp(there, expected, len) != 0) {
        return broken(j, "does not hold the record that its head names", err);
    }
    return TDSA_OK;
}

static tdsa_status read_all(tdsa_audit_verifier *v, int fd, uint64_t from, const char *path,
                            tdsa_err *err)
{
    uint8_t *piece = malloc(PIECE_LEN);
    ssize_t got = 1;
    tdsa_status st = TDSA_OK;

    if (piece == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "audit log");
    }
    while (st == TDSA_OK && got > 0) {
        got = pread(fd, piece, PIECE_LEN, (off_t)from);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        if (got < 0) {
            st = failed("read", path, err);
        } else if (got > 0) {
            st = tdsa_audit_verifier_take(v, piece, (size_t)got, err);
            from += (uint64_t)got;
        }
    }
    free(piece);
    return st;
}

/* Records after the place that the head names (a crash came before it was moved), and what a crash left
 * of one. */
static tdsa_status catch_up(job *j, tdsa_audit_result *r, tdsa_err *err)
{
    const tdsa_audit_check check = {.from = j->have_head ? &j->last : NULL};
    tdsa_audit_verifier *v = NULL;
    tdsa_status st = TDSA_OK;

    if (j->have_head && j->log_len - j->end > TAIL_MAX) {
        return broken(j, "has grown without its head", err);
    }
    st = tdsa_audit_verifier_new(&v, &check, err);
    if (st == TDSA_OK) {
        st = read_all(v, j->log, j->end, j->a->path, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_audit_verifier_end(v, r, err);
    }
    tdsa_audit_verifier_free(v);
    if (st == TDSA_OK && r->evidence > 0) {
        return broken(j, "is not a whole chain", err);
    }
    if (st == TDSA_OK) {
        j->last = r->last;
        j->end += r->good_len;
    }
    return st;
}

/* Makes the name of a new file durable. */
static tdsa_status sync_folder(const tdsa_os_audit *a, tdsa_err *err)
{
    char folder[AUDIT_PATH_MAX + 1];
    char *slash;
    int fd;
    bool ok;

    memcpy(folder, a->path, sizeof folder);
    slash = strrchr(folder, '/');
    if (slash == NULL) {
        memcpy(folder, ".", 2);
    } else {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok ? TDSA_OK : failed("made durable", folder, err);
}

static tdsa_status open_file(int *out, uint64_t *len, const char *path, int flags, tdsa_err *err)
{
    struct stat at;

    *out = open(path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (*out < 0 || fstat(*out, &at) != 0) {
        return failed("opened", path, err);
    }
    if (!S_ISREG(at.st_mode)) {
        (void)close(*out);
        *out = -1;
        return TDSA_FAIL(err, TDSA_E_STORE, "audit log: %.120s is not a file", path);
    }
    *len = (uint64_t)at.st_size;
    return TDSA_OK;
}

static void close_all(const job *j)
{
    if (j->log >= 0) {
        (void)close(j->log);
    }
    if (j->head >= 0) {
        (void)close(j->head); /* ends the lock */
    }
}

/* Opens, locks and learns the last record; r: what is behind it. */
static tdsa_status begin(job *j, tdsa_audit_result *r, tdsa_err *err)
{
    uint64_t head_len = 0;
    tdsa_status st = open_file(&j->head, &head_len, j->a->head, O_RDWR, err);

    if (st == TDSA_OK) {
        st = lock_head(j, err);
    }
    if (st == TDSA_OK) {
        st = open_file(&j->log, &j->log_len, j->a->path, O_RDWR | O_APPEND, err);
    }
    if (st == TDSA_OK) {
        st = read_head(j, err);
    }
    if (st == TDSA_OK && head_len > 0 && !j->have_head && j->log_len == 0) {
        return broken(j, "is empty and its head cannot be read", err);
    }
    if (st == TDSA_OK && j->log_len == 0 && (!j->have_head || j->end > 0)) {
        /* a new file: the first one, or the one before was renamed */
        j->end = 0;
        st = sync_folder(j->a, err);
        if (st == TDSA_OK) {
            st = write_head(j, err);
        }
        if (st == TDSA_OK && fsync(j->head) != 0) {
            st = failed("made durable", j->a->head, err);
        }
        j->have_head = true;
    } else if (st == TDSA_OK && j->end > 0) {
        st = check_end(j, err);
    }
    return st == TDSA_OK ? catch_up(j, r, err) : st;
}

/* ---- one record ---- */

static tdsa_status append(const job *j, const tdsa_buf *bytes, tdsa_err *err)
{
    size_t done = 0;

    while (done < bytes->len) {
        const ssize_t got = write(j->log, bytes->data + done, bytes->len - done);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return failed("written", j->a->path, err);
        }
        done += (size_t)got;
    }
    TDSA_FAILPOINT("audit.after_write");
    return fsync(j->log) == 0 ? TDSA_OK : failed("made durable", j->a->path, err);
}

/* First the line that closes what a crash left, so that it is part of the chain. */
static tdsa_status put_torn(job *j, const tdsa_audit_result *r, const tdsa_audit_event *event,
                            tdsa_buf *out, tdsa_err *err)
{
    char hex[65];
    char detail[128];
    const tdsa_audit_event torn = {
        .participant = event->participant, .event = TDSA_AUDIT_EVENT_TORN, .detail = detail};

    if (r->line_open) {
        tdsa_buf_append_u8(out, '\n');
    }
    if (r->torn_len == 0) {
        return TDSA_OK;
    }
    tdsa_hex(hex, r->torn_hash, sizeof r->torn_hash);
    (void)snprintf(detail, sizeof detail, "%llu bytes, sha256 %s", (unsigned long long)r->torn_len,
                   hex);
    return tdsa_audit_format(out, &j->last, j->a->clock.wall_ms(j->a->clock.ctx), &torn, err);
}

static tdsa_status record(void *ctx, const tdsa_audit_event *event, tdsa_err *err)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    job j = {.a = (tdsa_os_audit *)ctx, .head = -1, .log = -1};
    tdsa_audit_result r;
    tdsa_status st = begin(&j, &r, err);

    if (st == TDSA_OK) {
        st = put_torn(&j, &r, event, &out, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_audit_format(&out, &j.last, j.a->clock.wall_ms(j.a->clock.ctx), event, err);
    }
    TDSA_FAILPOINT("audit.before_write");
    if (st == TDSA_OK) {
        st = append(&j, &out, err);
    }
    TDSA_FAILPOINT("audit.before_head");
    if (st == TDSA_OK) {
        j.end = j.log_len + out.len;
        st = write_head(&j, err);
    }
    close_all(&j);
    return st;
}

tdsa_audit tdsa_os_audit_table(tdsa_os_audit *a)
{
    return (tdsa_audit){.record = a != NULL ? record : NULL, .ctx = a};
}

tdsa_status tdsa_os_audit_new(tdsa_os_audit **out, const char *path, tdsa_clock clock,
                              tdsa_err *err)
{
    tdsa_audit_result r;
    job j = {.head = -1, .log = -1};
    tdsa_os_audit *a = NULL;
    tdsa_status st;

    *out = NULL;
    if (strlen(path) > AUDIT_PATH_MAX || path[0] == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "audit log: a path has 1 to %u bytes", AUDIT_PATH_MAX);
    }
    a = calloc(1, sizeof *a);
    if (a == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "audit log");
    }
    (void)snprintf(a->path, sizeof a->path, "%s", path);
    (void)snprintf(a->head, sizeof a->head, "%s" HEAD_SUFFIX, path);
    a->clock = clock;
    j.a = a;
    st = begin(&j, &r, err);
    if (st == TDSA_E_STORE && j.log < 0) { /* nothing was read yet: the path is wrong */
        err->status = st = TDSA_E_CONFIG;
    }
    close_all(&j);
    if (st != TDSA_OK) {
        free(a);
        return st;
    }
    *out = a;
    return TDSA_OK;
}

void tdsa_os_audit_free(tdsa_os_audit *a)
{
    free(a);
}

tdsa_status tdsa_os_audit_verify(tdsa_audit_result *out, const char *const *paths, size_t count,
                                 const tdsa_audit_check *check, tdsa_err *err)
{
    tdsa_audit_verifier *v = NULL;
    tdsa_status st = tdsa_audit_verifier_new(&v, check, err);

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < count && st == TDSA_OK; i++) {
        const int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

        if (fd < 0) {
            (void)failed("opened", paths[i], err);
            err->status = st = TDSA_E_NOT_FOUND;
            break;
        }
        st = read_all(v, fd, 0, paths[i], err);
        (void)close(fd);
        if (st == TDSA_OK) {
            st = tdsa_audit_verifier_end(v, out, err);
        }
    }
    tdsa_audit_verifier_free(v);
    return st;
}
