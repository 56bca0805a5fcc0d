#ifndef AUDIT_RIG_H
#define AUDIT_RIG_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/audit.h"
#include "base_test.h"

#define LINES_MAX 64u

typedef struct {
    char folder[64];
    char path[128], head[160], old[160];
    tdsa_os_audit *log;
} rig;

static inline uint64_t fixed_ms(void *ctx)
{
    (void)ctx;
    return UINT64_C(1769860800123); /* 2026-01-31T12:00:00.123Z */
}

static const tdsa_clock fixed = {.mono_ms = fixed_ms, .wall_ms = fixed_ms};

static inline void open_rig(rig *r)
{
    tdsa_err err;

    memset(r, 0, sizeof *r);
    (void)snprintf(r->folder, sizeof r->folder, "/tmp/tdsa-audit-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    (void)snprintf(r->path, sizeof r->path, "%s/audit.log", r->folder);
    (void)snprintf(r->head, sizeof r->head, "%s.head", r->path);
    (void)snprintf(r->old, sizeof r->old, "%s.1", r->path);
    assert_int_equal(tdsa_os_audit_new(&r->log, r->path, fixed, &err), TDSA_OK);
}

static inline void close_rig(rig *r)
{
    tdsa_os_audit_free(r->log);
    (void)unlink(r->path);
    (void)unlink(r->head);
    (void)unlink(r->old);
    assert_int_equal(rmdir(r->folder), 0);
}

static inline tdsa_status put(const rig *r, const char *detail, tdsa_err *err)
{
    const tdsa_audit table = tdsa_os_audit_table(r->log);
    const tdsa_audit_event e = {
        .participant = 2, .event = "key.reshare", .key_id = "k1", .detail = detail};

    return table.record(table.ctx, &e, err);
}

static inline void put_ok(const rig *r, const char *detail)
{
    tdsa_err err = {.text = ""};

    if (put(r, detail, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
}

typedef struct {
    size_t count;
    tdsa_audit_finding at[LINES_MAX];
} findings;

static inline void note(void *ctx, const tdsa_audit_finding *f)
{
    findings *all = ctx;

    assert_true(all->count < LINES_MAX);
    all->at[all->count++] = *f;
}

static inline tdsa_audit_result verify(const rig *r, findings *f)
{
    const char *paths[] = {r->path};
    const tdsa_audit_check check = {.fn = note, .ctx = f};
    tdsa_audit_result out;
    tdsa_err err;

    memset(f, 0, sizeof *f);
    assert_int_equal(tdsa_os_audit_verify(&out, paths, 1, &check, &err), TDSA_OK);
    return out;
}

static inline size_t slurp(const char *path, char *out, size_t cap)
{
    FILE *f = fopen(path, "re");
    size_t len;

    assert_non_null(f);
    len = fread(out, 1, cap - 1, f);
    out[len] = '\0';
    (void)fclose(f);
    return len;
}

static inline void spill(const char *path, const char *bytes, size_t len, const char *mode)
{
    FILE *f = fopen(path, mode);

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* Start and length of line `n`, from 1, with its end. */
static inline char *line_at(char *text, unsigned n, size_t *len)
{
    while (--n > 0) {
        text = strchr(text, '\n') + 1;
    }
    *len = (size_t)(strchr(text, '\n') + 1 - text);
    return text;
}

#endif
