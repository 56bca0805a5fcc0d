#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/failpoint.h"

static atomic_ulong hit_count; /* of the point that TDSA_FAILPOINT_KILL names */

static void append_name(const char *path, const char *name)
{
    TDSA_SCOPED_BUF line = TDSA_BUF_EMPTY;
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ssize_t written = 0;

    if (fd < 0) {
        return; /* a test that reads the list will miss the name and say so */
    }
    tdsa_buf_append_str(&line, name);
    tdsa_buf_append_u8(&line, '\n');
    do {
        written = write(fd, line.data, line.len); /* one write: lines of processes do not mix */
    } while (written < 0 && errno == EINTR);
    (void)close(fd);
}

void tdsa_failpoint_hit(const char *name)
{
    const char *list = getenv("TDSA_FAILPOINT_LIST");
    const char *point = getenv("TDSA_FAILPOINT_KILL");
    const char *colon = NULL;
    size_t len = 0;
    unsigned long which = 1;

    if (list != NULL) {
        append_name(list, name);
    }
    if (point == NULL) {
        return;
    }
    colon = strrchr(point, ':');
    len = colon != NULL ? (size_t)(colon - point) : strlen(point);
    if (colon != NULL) {
        which = strtoul(colon + 1, NULL, 10);
    }
    if (strlen(name) != len || memcmp(name, point, len) != 0) {
        return;
    }
    if (atomic_fetch_add(&hit_count, 1) + 1 == which) {
        (void)kill(getpid(), SIGKILL);
    }
}
