#ifndef KS_DB_H
#define KS_DB_H

#include "ks_fixture.h"

/** The fixture's SQLite file, past the keystore: the first column of the first row, and a change. */
int64_t ks_db_number(const ks_fixture *f, const char *sql);
void ks_db_edit(const ks_fixture *f, const char *sql);

#endif
