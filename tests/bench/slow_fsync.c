/* A disk that is slow, for tests/bench/bench_databases.py: LD_PRELOAD makes fsync and fdatasync of a process wait
 * SLOW_FSYNC_MS milliseconds more. */
#define _GNU_SOURCE 1 /* RTLD_NEXT */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int fsync(int fd);
int fdatasync(int fd);

static void wait_as_told(void)
{
    const char *text = getenv("SLOW_FSYNC_MS");
    const long ms = text != NULL ? strtol(text, NULL, 10) : 0;
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};

    while (nanosleep(&left, &left) != 0) {
    }
}

static int slowly(const char *name, int fd)
{
    int (*real)(int) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, name);
    wait_as_told();
    return real != NULL ? real(fd) : -1;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    return slowly("fsync", fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    return slowly("fdatasync", fd);
}
