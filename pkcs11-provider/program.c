#define _GNU_SOURCE 1 /* dl_iterate_phdr */
#include "pkcs11-provider/program.h"

#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_LEN_MAX 4096u

void p11_program_name(char out[P11_PROGRAM_NAME_MAX])
{
    char path[PATH_LEN_MAX];
    const ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    const char *name = path;

    path[len > 0 ? len : 0] = '\0';
    name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    (void)snprintf(out, P11_PROGRAM_NAME_MAX, "%.255s", name);
}

typedef struct {
    const char *const *libraries;
    size_t count;
    bool found;
} library_search;

static int look(struct dl_phdr_info *info, size_t size, void *ctx)
{
    const char *name = info->dlpi_name != NULL ? info->dlpi_name : "";
    library_search *s = ctx;

    (void)size;
    for (size_t i = 0; i < s->count; i++) {
        const char *at = strstr(name, s->libraries[i]);
        const char end = at != NULL ? at[strlen(s->libraries[i])] : 'x';

        s->found = s->found || end == '\0' || end == '.';
    }
    return s->found ? 1 : 0;
}

bool p11_program_has(const char *const *libraries, size_t count)
{
    library_search s = {.libraries = libraries, .count = count};

    (void)dl_iterate_phdr(look, &s);
    return s.found;
}

bool p11_program_is_old_pkcs11_tool(void)
{
    static const char *const opensc_023[] = {"/libopensc.so.8"};
    char name[P11_PROGRAM_NAME_MAX];

    p11_program_name(name);
    return strcmp(name, "pkcs11-tool") == 0 && p11_program_has(opensc_023, 1);
}
