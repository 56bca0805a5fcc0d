#include "keystore/counter_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a: finds a torn or edited line; nobody's secret is at stake. */
static uint64_t checksum(const char *text, size_t len)
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (size_t i = 0; i < len; i++) {
        h = (h ^ (uint8_t)text[i]) * 0x100000001b3ull;
    }
    return h;
}

static void put_line(char out[KS_COUNTER_LINE_LEN + 1], const ks_marks *m)
{
    const int len = snprintf(out, KS_COUNTER_LINE_LEN,
                             "tdsa-counter-1 store=%016" PRIx64 " purges=%" PRIu64
                             " starts=%" PRIu64 " burns=%" PRIu64 " check=",
                             m->store_id, m->purges, m->starts, m->burns);
    const int all = len + snprintf(out + len, KS_COUNTER_LINE_LEN - (size_t)len, "%016" PRIx64,
                                   checksum(out, (size_t)len));

    memset(out + all, ' ', KS_COUNTER_LINE_LEN - (size_t)all);
    out[KS_COUNTER_LINE_LEN - 1] = '\n';
    out[KS_COUNTER_LINE_LEN] = '\0';
}

/* A number behind its name; what strtoull makes of odd spellings, the comparison with our own refuses. */
static bool read_number(const char **at, const char *name, int base, uint64_t *out)
{
    char *end = NULL;

    if (strncmp(*at, name, strlen(name)) != 0) {
        return false;
    }
    *at += strlen(name);
    *out = strtoull(*at, &end, base);
    if (end == *at) {
        return false;
    }
    *at = end;
    return true;
}

bool ks_counter_line_parse(ks_marks *out, const uint8_t *line, size_t len)
{
    char text[KS_COUNTER_LINE_LEN + 1];
    char again[KS_COUNTER_LINE_LEN + 1];
    const char *at = text;

    memset(out, 0, sizeof *out);
    if (len != KS_COUNTER_LINE_LEN || memchr(line, '\0', len) != NULL) {
        return false;
    }
    memcpy(text, line, len);
    text[len] = '\0';
    if (!read_number(&at, "tdsa-counter-1 store=", 16, &out->store_id) ||
        !read_number(&at, " purges=", 10, &out->purges) ||
        !read_number(&at, " starts=", 10, &out->starts) ||
        !read_number(&at, " burns=", 10, &out->burns) || out->purges >= INT64_MAX ||
        out->starts >= INT64_MAX || out->burns >= INT64_MAX) {
        return false;
    }
    put_line(again, out); /* exactly what we would write, checksum and all */
    return memcmp(again, text, sizeof text) == 0;
}

static tdsa_status fail(const char *path, const char *what, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_STORE, "counterFile %s: %s: %s", path, what, strerror(errno));
}

static tdsa_status read_slot(int fd, const char *path, unsigned slot, ks_marks *out, bool *valid,
                             tdsa_err *err)
{
    uint8_t line[KS_COUNTER_LINE_LEN];
    const ssize_t got = pread(fd, line, sizeof line, (off_t)(slot * KS_COUNTER_APART));

    if (got < 0) {
        return fail(path, "cannot be read", err);
    }
    *valid = ks_counter_line_parse(out, line, (size_t)got);
    return TDSA_OK;
}

/* Of two records of one file: no counter of the later one is lower. */
static bool is_later(const ks_marks *a, const ks_marks *b)
{
    return a->starts + a->burns + a->purges > b->starts + b->burns + b->purges;
}

/* The newer of the valid records, and where it stands; the lock is held. */
static tdsa_status read_all(int fd, const char *path, ks_file_state *state, ks_marks *out,
                            unsigned *slot, tdsa_err *err)
{
    struct stat st;

    *state = KS_FILE_EMPTY;
    *slot = 1;
    if (fstat(fd, &st) != 0) {
        return fail(path, "cannot be read", err);
    }
    for (unsigned i = 0; i < KS_COUNTER_SLOTS; i++) {
        ks_marks m;
        bool valid = false;
        const tdsa_status ok = read_slot(fd, path, i, &m, &valid, err);

        if (ok != TDSA_OK) {
            return ok;
        }
        if (valid && (*state == KS_FILE_EMPTY || is_later(&m, out))) {
            *state = KS_FILE_FILLED;
            *out = m;
            *slot = i;
        }
    }
    if (*state == KS_FILE_EMPTY && st.st_size > 0) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "counterFile %s is damaged; empty it to give up all presignatures and "
                         "begin it anew",
                         path);
    }
    return TDSA_OK;
}

tdsa_status ks_counter_file_read(const char *path, ks_file_state *state, ks_marks *out,
                                 tdsa_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned slot = 0;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    *state = KS_FILE_MISSING;
    if (fd < 0) {
        return errno == ENOENT ? TDSA_OK : fail(path, "cannot be opened", err);
    }
    st = flock(fd, LOCK_SH) != 0 ? fail(path, "cannot be locked", err)
                                 : read_all(fd, path, state, out, &slot, err);
    (void)close(fd);
    return st;
}

/* The name of a new file is durable too. */
static tdsa_status sync_folder(const char *path, tdsa_err *err)
{
    char *folder = strdup(path);
    char *slash = folder == NULL ? NULL : strrchr(folder, '/');
    const char *name = ".";
    tdsa_status st = TDSA_OK;
    int fd = -1;

    if (slash != NULL) {
        *slash = '\0';
        name = slash == folder ? "/" : folder;
    }
    fd = folder == NULL ? -1 : open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        st = fail(path, "its folder cannot be synced", err);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(folder);
    return st;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Another process of the same database may have written more. */
static tdsa_status raise_locked(int fd, const char *path, const ks_marks *m, tdsa_err *err)
{
    char line[KS_COUNTER_LINE_LEN + 1];
    ks_file_state state;
    ks_marks now = {0};
    unsigned slot = 0;
    tdsa_status st = read_all(fd, path, &state, &now, &slot, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (state == KS_FILE_FILLED && now.store_id != m->store_id) {
        return TDSA_FAIL(err, TDSA_E_STORE, "counterFile %s belongs to another database", path);
    }
    if (state == KS_FILE_FILLED && m->starts <= now.starts && m->burns <= now.burns &&
        m->purges <= now.purges) {
        return TDSA_OK;
    }
    now.store_id = m->store_id;
    now.purges = higher(now.purges, m->purges);
    now.starts = higher(now.starts, m->starts);
    now.burns = higher(now.burns, m->burns);
    put_line(line, &now);
    slot = (slot + 1) % KS_COUNTER_SLOTS;
    if (pwrite(fd, line, KS_COUNTER_LINE_LEN, (off_t)(slot * KS_COUNTER_APART)) !=
            (ssize_t)KS_COUNTER_LINE_LEN ||
        fsync(fd) != 0) {
        return fail(path, "cannot be written", err);
    }
    return TDSA_OK;
}

tdsa_status ks_counter_file_raise(const char *path, bool create, const ks_marks *m, tdsa_err *err)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    tdsa_status st;

    if (fd < 0) {
        return fail(path, "cannot be opened", err);
    }
    st = flock(fd, LOCK_EX) != 0 ? fail(path, "cannot be locked", err)
                                 : raise_locked(fd, path, m, err);
    if (close(fd) != 0 && st == TDSA_OK) {
        st = fail(path, "cannot be written", err);
    }
    return st == TDSA_OK && create ? sync_folder(path, err) : st;
}
