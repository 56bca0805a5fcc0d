#ifndef CLI_FILE_H
#define CLI_FILE_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/secret.h"

/** Files, and secrets that come from files or from a terminal. "-" is standard input or output. */

typedef enum {
    CLI_PUBLIC, /* mode 0666 less the umask; replaces what is there */
    CLI_SECRET  /* mode 0600; never replaces a file */
} cli_secrecy;

/**
 * Writes a file whole or not at all: beside its place, synced, renamed. What is no regular file (a
 * device, a pipe) is written to as it is. Errors: TDSA_E_STORE, TDSA_E_CONFLICT (a secret would
 * replace a file).
 */
TDSA_MUST_USE tdsa_status cli_write_file(const char *path, const void *bytes, size_t len,
                                         cli_secrecy secrecy, tdsa_err *err)
    __attribute__((nonnull(1, 5)));
/** Appends a file of at most `max` bytes. Errors: TDSA_E_BAD_INPUT (cannot be read, too long). */
TDSA_MUST_USE tdsa_status cli_read_file(tdsa_buf *out, const char *path, size_t max, tdsa_err *err)
    TDSA_NONNULL;
/** digest: room for TDSA_DIGEST_LEN_MAX. Errors: TDSA_E_BAD_INPUT (cannot be read). */
TDSA_MUST_USE tdsa_status cli_hash_file(uint8_t *digest, tdsa_hash_alg alg, const char *path,
                                        tdsa_err *err) TDSA_NONNULL;
/**
 * A PIN or passphrase: the first line of the file, or, when path is NULL, what is typed on the
 * terminal without echo. twice: it is asked for again and must be the same.
 * Errors: TDSA_E_BAD_INPUT (there is no terminal; empty; too long; cannot be read; not the same).
 */
typedef struct {
    const char *what;   /* "passphrase of the backup" */
    const char *option; /* "--passphrase-file": what to give where nobody can type */
    const char *path;   /* NULL: ask */
    bool twice;
} cli_secret_source;
TDSA_MUST_USE tdsa_status cli_read_secret(tdsa_secret **out, const cli_secret_source *source,
                                          tdsa_err *err) TDSA_NONNULL;

#endif
