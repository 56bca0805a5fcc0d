#include <stdio.h>
#include <stdlib.h>

#include "base/audit.h"

/* Writes so many records into an audit log. usage: audit_log FILE COUNT */

int main(int argc, char **argv)
{
    const tdsa_audit_event event = {1, "key.reshare", "invoices", "by a test"};
    tdsa_os_audit *log = NULL;
    tdsa_err err;

    if (argc != 3) {
        return 2;
    }
    if (tdsa_os_audit_new(&log, argv[1], tdsa_os_clock(), &err) != TDSA_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (unsigned long i = 0; i < strtoul(argv[2], NULL, 10); i++) {
        const tdsa_audit table = tdsa_os_audit_table(log);

        if (table.record(table.ctx, &event, &err) != TDSA_OK) {
            (void)fprintf(stderr, "%s\n", err.text);
            return 1;
        }
    }
    tdsa_os_audit_free(log);
    return 0;
}
