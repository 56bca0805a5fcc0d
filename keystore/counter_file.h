#ifndef KS_COUNTER_FILE_H
#define KS_COUNTER_FILE_H

#include "keystore/keystore.h"

/**
 * A second copy of the counters of a database, in a file on another volume. It is written after the
 * database has committed and before anything of that commit is answered, so the database is never
 * behind it unless an old copy was put in its place. Two records of one line each, written in turn: a
 * write that is cut off leaves the other one. Threads and processes: any; the file is locked.
 */
typedef enum {
    KS_FILE_MISSING,
    KS_FILE_EMPTY, /* made by hand: the counters of the database are taken over */
    KS_FILE_FILLED
} ks_file_state;

/** Bytes of one record, and how far apart they begin. */
#define KS_COUNTER_LINE_LEN 160u
#define KS_COUNTER_SLOTS    2u
#define KS_COUNTER_APART    4096u

/** `out` is set when the state is FILLED. Errors: TDSA_E_STORE (unreadable, or damaged). */
TDSA_MUST_USE tdsa_status ks_counter_file_read(const char *path, ks_file_state *state,
                                               ks_marks *out, tdsa_err *err) TDSA_NONNULL;
/** Makes the counters in the file at least `m`, durably; `create` makes the file. Errors:
 * TDSA_E_STORE (missing, of another database, disk full). */
TDSA_MUST_USE tdsa_status ks_counter_file_raise(const char *path, bool create, const ks_marks *m,
                                                tdsa_err *err) TDSA_NONNULL;

/** One record from its line; false when it is none. Part of reading, apart for tests. */
bool ks_counter_line_parse(ks_marks *out, const uint8_t *line, size_t len) TDSA_NONNULL;

#endif
