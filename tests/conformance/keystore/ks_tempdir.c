#define _GNU_SOURCE 1 /* nftw */
#include "ks_tempdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int ks_tempdir_make(char *out, size_t cap)
{
    const char *base = getenv("TMPDIR");
    /* in memory where there is such a place: thousands of commits, and no power is lost here */
    const char *usual = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    const int n = snprintf(out, cap, "%s/tdsa-keystore-XXXXXX", base != NULL ? base : usual);

    return n > 0 && (size_t)n < cap && mkdtemp(out) != NULL ? 0 : -1;
}

static int drop(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

void ks_tempdir_remove(const char *dir)
{
    (void)nftw(dir, drop, 16, FTW_DEPTH | FTW_PHYS);
}
