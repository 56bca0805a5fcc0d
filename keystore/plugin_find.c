#define _GNU_SOURCE 1 /* strerrordesc_np */
#include "keystore/plugin_find.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "keystore/internal.h"

/* A search through one folder. */
typedef struct {
    const ks_plugin_wish *wish;
    ks_plugin found;
    char found_file[256];
    tdsa_buf names; /* "com.example.A (a.so), b.so: why not" */
    tdsa_err *err;
} search;

bool ks_plugin_name_valid(const char *name)
{
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789_.-";
    const size_t len = strnlen(name, TDSA_ENCRYPTOR_NAME_MAX + 1);

    return len > 0 && len <= TDSA_ENCRYPTOR_NAME_MAX && strspn(name, legal) == len &&
           strchr(name, '.') != NULL;
}

/* Why nobody else can have put it there; NULL when that is so. */
static const char *distrust(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return strerrordesc_np(errno);
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        return "it belongs to another user: chown it to root";
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return "others may write to it: chmod go-w";
    }
    return NULL;
}

static void note(search *s, const char *file, const char *what)
{
    if (s->names.len > 0) {
        tdsa_buf_append_str(&s->names, ", ");
    }
    tdsa_buf_append_str(&s->names, file);
    tdsa_buf_append_str(&s->names, ": ");
    tdsa_buf_append_str(&s->names, what);
}

static void pass_over(search *s, const char *file, const char *why)
{
    tdsa_logf(s->wish->log, TDSA_LOG_WARN, KS_LOGGER,
              "encryptor plugin %s/%s is passed over: %.400s", s->wish->folder, file, why);
    note(s, file, why);
}

/* The table of a library that was loaded; NULL, and it is noted, when it is of no use to this program. */
static const tdsa_encryptor_plugin *table_of(search *s, void *library, const char *file,
                                             tdsa_status *st)
{
    const tdsa_encryptor_plugin *t = dlsym(library, TDSA_ENCRYPTOR_PLUGIN_SYMBOL);
    char why[160];

    if (t == NULL) {
        pass_over(s, file, "it does not export " TDSA_ENCRYPTOR_PLUGIN_SYMBOL);
        return NULL;
    }
    if (t->name == NULL || !ks_plugin_name_valid(t->name)) {
        pass_over(s, file, "it declares no name such as com.example.Name");
        return NULL;
    }
    if (t->version != TDSA_ENCRYPTOR_PLUGIN_VERSION) {
        (void)snprintf(why, sizeof why, "%.96s has version %u, this program needs %u", t->name,
                       t->version, TDSA_ENCRYPTOR_PLUGIN_VERSION);
        pass_over(s, file, why);
        if (strcmp(t->name, s->wish->name) == 0) {
            *st = TDSA_FAIL(s->err, TDSA_E_CONFIG, "encryptor plugin %.60s/%.40s: %s",
                            s->wish->folder, file, why);
        }
        return NULL;
    }
    if (t->create == NULL || t->destroy == NULL || t->check == NULL || t->wrap == NULL ||
        t->unwrap == NULL) {
        pass_over(s, file, "its table has functions missing");
        return NULL;
    }
    return t;
}

static tdsa_status keep(search *s, void *library, const tdsa_encryptor_plugin *t, const char *file)
{
    if (s->found.table != NULL) {
        (void)dlclose(library);
        return TDSA_FAIL(s->err, TDSA_E_CONFIG,
                         "two encryptor plugins of %.60s declare the name %.60s: %.40s and %.40s",
                         s->wish->folder, s->wish->name, s->found_file, file);
    }
    s->found = (ks_plugin){library, t};
    (void)snprintf(s->found_file, sizeof s->found_file, "%s", file);
    return TDSA_OK;
}

static tdsa_status look_at(search *s, const char *file)
{
    char path[1024];
    void *library = NULL;
    const tdsa_encryptor_plugin *t = NULL;
    const char *why = NULL;
    tdsa_status st = TDSA_OK;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", s->wish->folder, file) >= sizeof path) {
        pass_over(s, file, "its path is too long");
        return TDSA_OK;
    }
    why = distrust(path);
    if (why != NULL) {
        pass_over(s, file, why);
        return TDSA_OK;
    }
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        why = dlerror();
        pass_over(s, file, why != NULL ? why : "it does not load");
        return TDSA_OK;
    }
    t = table_of(s, library, file, &st);
    if (t != NULL && strcmp(t->name, s->wish->name) == 0) {
        return keep(s, library, t, file);
    }
    if (t != NULL) {
        note(s, file, t->name);
    }
    (void)dlclose(library);
    return st;
}

static int is_library(const struct dirent *e)
{
    const size_t len = strlen(e->d_name);

    return e->d_name[0] != '.' && len > 3 && strcmp(e->d_name + len - 3, ".so") == 0;
}

static tdsa_status missing(search *s)
{
    tdsa_buf_append_u8(&s->names, '\0');
    if (s->names.failed) {
        return TDSA_FAIL(s->err, TDSA_E_NO_MEMORY, "no memory for the search of a plugin");
    }
    return TDSA_FAIL(s->err, TDSA_E_CONFIG, "no encryptor plugin in %.60s declares %.60s; found %s",
                     s->wish->folder, s->wish->name,
                     s->names.len > 1 ? (const char *)s->names.data : "no *.so");
}

static tdsa_status look_at_all(search *s, struct dirent **entry, int count)
{
    tdsa_status st = TDSA_OK;

    if (count > (int)KS_PLUGIN_FILES_MAX) {
        return TDSA_FAIL(s->err, TDSA_E_CONFIG, "more than %u *.so in the plugin folder %.100s",
                         KS_PLUGIN_FILES_MAX, s->wish->folder);
    }
    for (int i = 0; st == TDSA_OK && i < count; i++) {
        st = look_at(s, entry[i]->d_name);
    }
    return st == TDSA_OK && s->found.table == NULL ? missing(s) : st;
}

tdsa_status ks_plugin_find(ks_plugin *out, const ks_plugin_wish *wish, tdsa_err *err)
{
    search s = {.wish = wish, .names = TDSA_BUF_EMPTY, .err = err};
    struct dirent **entry = NULL;
    const char *why = distrust(wish->folder);
    const int count = why == NULL ? scandir(wish->folder, &entry, is_library, alphasort) : -1;
    tdsa_status st;

    *out = (ks_plugin){NULL, NULL};
    if (count < 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "folder of encryptor plugins %.100s: %s", wish->folder,
                         why != NULL ? why : strerrordesc_np(errno));
    }
    st = look_at_all(&s, entry, count);
    if (st == TDSA_OK) {
        *out = s.found;
    } else {
        ks_plugin_close(&s.found);
    }
    for (int i = 0; i < count; i++) {
        free(entry[i]);
    }
    free(entry);
    tdsa_buf_clear(&s.names);
    return st;
}

void ks_plugin_close(ks_plugin *p)
{
    if (p->library != NULL) {
        (void)dlclose(p->library);
    }
    *p = (ks_plugin){NULL, NULL};
}
