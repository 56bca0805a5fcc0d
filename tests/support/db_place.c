#include "support/db_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *facts_file(const char *kind)
{
    return getenv(strcmp(kind, "postgres") == 0 ? "TDSA_TEST_POSTGRES" : "TDSA_TEST_MARIADB");
}

bool db_place_offered(const char *kind)
{
    return facts_file(kind) != NULL;
}

static void take(const char *line, const char *name, char *out, size_t size)
{
    const size_t len = strlen(name);

    if (strncmp(line, name, len) == 0 && line[len] == '=') {
        (void)snprintf(out, size, "%.*s", (int)strcspn(line + len + 1, "\n"), line + len + 1);
    }
}

bool db_place_facts(db_place *p)
{
    const char *path = facts_file(p->kind);
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    char line[256], port[16] = "0", pid[16] = "0";

    if (file == NULL) {
        (void)fprintf(stderr, "no %s server runs: tests/support/db_server.py run %s -- PROGRAM\n",
                      p->kind, p->kind);
        return false;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        take(line, "folder", p->folder, sizeof p->folder);
        take(line, "socket", p->socket, sizeof p->socket);
        take(line, "user", p->admin, sizeof p->admin);
        take(line, "password", p->admin_password, sizeof p->admin_password);
        take(line, "ca", p->ca, sizeof p->ca);
        take(line, "port", port, sizeof port);
        take(line, "pid", pid, sizeof pid);
    }
    (void)fclose(file);
    p->port = (unsigned)strtoul(port, NULL, 10);
    p->pid = (int)strtol(pid, NULL, 10);
    return true;
}

static bool is_mariadb(const db_place *p)
{
    return strcmp(p->kind, "mariadb") == 0;
}

static db_place kept; /* given back; no kind: none */

bool db_place_make(db_place *p, const char *kind)
{
    static unsigned number;

    if (strcmp(kept.kind, kind) == 0) {
        *p = kept;
        p->server.host[0].name = p->socket; /* lent by the place itself */
        p->server.database = p->database;
        p->server.user = p->user;
        p->server.password = p->password;
        kept.kind[0] = '\0';
        return db_place_facts(p);
    }
    *p = (db_place){.port = 0};
    (void)snprintf(p->kind, sizeof p->kind, "%s", kind);
    (void)snprintf(p->user, sizeof p->user, "t%ld_%u", (long)getpid(), number++);
    (void)snprintf(p->password, sizeof p->password, "password of %s", p->user);
    return db_place_facts(p) &&
           (is_mariadb(p) ? db_place_mariadb_make(p) : db_place_postgres_make(p));
}

void db_place_back(const db_place *p)
{
    if (is_mariadb(p) && db_place_mariadb_empty(p)) {
        kept = *p;
    }
}

bool db_place_sql(const db_place *p, const char *sql, char *first, size_t size)
{
    return is_mariadb(p) ? db_place_mariadb_sql(p, sql, first, size)
                         : db_place_postgres_sql(p, sql, first, size);
}
