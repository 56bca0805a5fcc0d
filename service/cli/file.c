#define _GNU_SOURCE 1 /* mkostemp */
#include "cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/interrupt.h"

#define PATH_BYTES  4096u
#define CHUNK_BYTES 65536u
#define SECRET_MAX  1024u /* bytes of a PIN or passphrase */

/* ---- writing ---- */

static tdsa_status write_failed(const char *path, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_STORE, "%.120s cannot be written: %s", path, strerror(errno));
}

static bool write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* Devices and pipes: there is no place beside them, and nothing to rename. */
static tdsa_status write_through(const char *path, const void *bytes, size_t len, tdsa_err *err)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    bool ok = fd >= 0 && write_all(fd, bytes, len);
    int why = errno;

    if (fd >= 0 && close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    errno = why;
    return ok ? TDSA_OK : write_failed(path, err);
}

static void sync_folder(const char *path)
{
    char copy[PATH_BYTES];
    int fd = -1;

    (void)snprintf(copy, sizeof copy, "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

/* A name beside the file, so that the rename stays inside one file system. */
static bool name_beside(char out[PATH_BYTES], const char *path)
{
    const char *slash = strrchr(path, '/');
    const int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    const int len = snprintf(out, PATH_BYTES, "%.*s.%.200s.XXXXXX", folder, path, path + folder);

    return len > 0 && (size_t)len < PATH_BYTES;
}

/* The last step: secrets never replace a file, link() sees to it without a race. */
static bool put_in_place(const char *beside, const char *path, cli_secrecy secrecy)
{
    if (secrecy == CLI_SECRET) {
        return link(beside, path) == 0 && unlink(beside) == 0;
    }
    return rename(beside, path) == 0;
}

typedef struct {
    const void *bytes;
    size_t len;
    cli_secrecy secrecy;
} content;

static tdsa_status write_beside(const char *path, const content *c, tdsa_err *err)
{
    char beside[PATH_BYTES];
    const mode_t mask = umask(077);
    tdsa_status st = TDSA_OK;
    int fd = -1;

    (void)umask(mask);
    if (!name_beside(beside, path)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the name of the file is too long");
    }
    fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        return write_failed(path, err);
    }
    cli_interrupt_remove(beside);
    if (!write_all(fd, c->bytes, c->len) ||
        (c->secrecy == CLI_PUBLIC && fchmod(fd, 0666 & ~mask) != 0) || fsync(fd) != 0) {
        st = write_failed(path, err);
    }
    if (close(fd) != 0 && st == TDSA_OK) {
        st = write_failed(path, err);
    }
    if (st == TDSA_OK && !put_in_place(beside, path, c->secrecy)) {
        st = errno == EEXIST ? TDSA_FAIL(err, TDSA_E_CONFLICT,
                                         "%.120s is there already, and is not replaced", path)
                             : write_failed(path, err);
    }
    if (st != TDSA_OK) {
        (void)unlink(beside);
    }
    cli_interrupt_remove(NULL);
    return st;
}

static tdsa_status write_stdout(const void *bytes, size_t len, tdsa_err *err)
{
    if ((len > 0 && fwrite(bytes, 1, len, stdout) != len) || fflush(stdout) != 0) {
        return write_failed("standard output", err);
    }
    return TDSA_OK;
}

tdsa_status cli_write_file(const char *path, const void *bytes, size_t len, cli_secrecy secrecy,
                           tdsa_err *err)
{
    const content c = {bytes, len, secrecy};
    char *target = NULL;
    struct stat is;
    tdsa_status st;

    if (strcmp(path, "-") == 0) {
        return write_stdout(bytes, len, err);
    }
    if (stat(path, &is) == 0 && !S_ISREG(is.st_mode)) {
        return S_ISDIR(is.st_mode) ? TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s is a folder", path)
                                   : write_through(path, bytes, len, err);
    }
    if (secrecy == CLI_SECRET && lstat(path, &is) == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "%.120s is there already, and is not replaced",
                         path);
    }
    target = realpath(path, NULL); /* the file that a link names is replaced, not the link */
    st = write_beside(target != NULL ? target : path, &c, err);
    if (st == TDSA_OK) {
        sync_folder(target != NULL ? target : path);
    }
    free(target);
    return st;
}

/* ---- reading ---- */

static tdsa_status read_failed(const char *path, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s cannot be read: %s",
                     strcmp(path, "-") == 0 ? "standard input" : path, strerror(errno));
}

static int open_to_read(const char *path)
{
    return strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

static ssize_t read_some(int fd, void *out, size_t len)
{
    ssize_t n;

    do {
        n = read(fd, out, len);
    } while (n < 0 && errno == EINTR);
    return n;
}

tdsa_status cli_read_file(tdsa_buf *out, const char *path, size_t max, tdsa_err *err)
{
    const int fd = open_to_read(path);
    uint8_t chunk[4096];
    tdsa_status st = TDSA_OK;
    size_t total = 0;
    ssize_t n = 1;

    if (fd < 0) {
        return read_failed(path, err);
    }
    while (st == TDSA_OK && n > 0) {
        n = read_some(fd, chunk, sizeof chunk);
        if (n < 0) {
            st = read_failed(path, err);
        } else if ((size_t)n > max - total) {
            st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s is longer than %zu bytes", path, max);
        } else {
            total += (size_t)n;
            tdsa_buf_append(out, chunk, (size_t)n);
        }
    }
    tdsa_wipe(chunk, sizeof chunk); /* it may be a key or a PIN */
    (void)close(fd);
    return st == TDSA_OK ? tdsa_buf_check(out, err) : st;
}

tdsa_status cli_hash_file(uint8_t *digest, tdsa_hash_alg alg, const char *path, tdsa_err *err)
{
    tdsa_hasher *h = NULL;
    uint8_t *chunk = malloc(CHUNK_BYTES);
    const int fd = open_to_read(path);
    ssize_t n = 1;
    tdsa_status st = fd < 0 ? read_failed(path, err) : TDSA_OK;

    if (st == TDSA_OK && chunk == NULL) {
        st = TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory to read %.120s", path);
    }
    if (st == TDSA_OK) {
        st = tdsa_hasher_new(&h, alg, err);
    }
    while (st == TDSA_OK && n > 0) {
        n = read_some(fd, chunk, CHUNK_BYTES);
        st = n < 0 ? read_failed(path, err) : tdsa_hasher_update(h, chunk, (size_t)n, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_hasher_final(h, digest, err);
    }
    tdsa_hasher_free(h);
    free(chunk);
    if (fd >= 0) {
        (void)close(fd);
    }
    return st;
}

/* ---- secrets ---- */

static tdsa_status keep_line(tdsa_secret **out, const uint8_t *text, size_t len, const char *what,
                             tdsa_err *err)
{
    const uint8_t *end = len > 0 ? memchr(text, '\n', len) : NULL;
    size_t line = end != NULL ? (size_t)(end - text) : len;

    if (line > 0 && text[line - 1] == '\r') {
        line--;
    }
    if (line == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the %s is empty", what);
    }
    return tdsa_secret_copy(out, text, line, err);
}

static tdsa_status ask_once(tdsa_secret **out, const char *what, const char *again, int tty,
                            tdsa_err *err)
{
    uint8_t text[SECRET_MAX];
    size_t len = 0;
    tdsa_status st = TDSA_OK;

    (void)dprintf(tty, "%s%s: ", what, again);
    cli_interrupt_echo_off(tty);
    while (len < sizeof text && read_some(tty, text + len, 1) == 1 && text[len] != '\n') {
        len++;
    }
    cli_interrupt_echo_on();
    (void)dprintf(tty, "\n");
    st = len == sizeof text ? TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the %s is too long", what)
                            : keep_line(out, text, len, what, err);
    tdsa_wipe(text, sizeof text);
    return st;
}

static tdsa_status ask(tdsa_secret **out, const cli_secret_source *source, tdsa_err *err)
{
    TDSA_SCOPED_SECRET second = NULL;
    const int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    tdsa_status st;

    if (tty < 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "the %s is needed, and there is no terminal to ask: give %s FILE",
                         source->what, source->option);
    }
    st = ask_once(out, source->what, "", tty, err);
    if (st == TDSA_OK && source->twice) {
        st = ask_once(&second, source->what, " once more", tty, err);
    }
    if (st == TDSA_OK && source->twice && !tdsa_secret_equal(*out, second)) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "these were two different texts");
    }
    (void)close(tty);
    return st;
}

tdsa_status cli_read_secret(tdsa_secret **out, const cli_secret_source *source, tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    tdsa_status st;

    *out = NULL;
    if (source->path == NULL) {
        st = ask(out, source, err);
    } else {
        st = cli_read_file(&text, source->path, SECRET_MAX, err);
        if (st == TDSA_OK) {
            st = keep_line(out, text.data, text.len, source->what, err);
        }
    }
    if (st != TDSA_OK) {
        tdsa_secret_free(*out);
        *out = NULL;
    }
    return st;
}
