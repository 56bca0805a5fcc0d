#ifndef P11_LOG_H
#define P11_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/env.h"

/**
 * Where the module's log lines go. The module is a guest: it writes nothing on its own, never to
 * stdout. TDSA_PKCS11_LOG=error|warn|info|debug turns lines on; they go to stderr, or to the file
 * of TDSA_PKCS11_LOG_FILE (appended, made with mode 0600), or to the system's log: "syslog", or
 * "syslog:" and the path of its socket. Without either, only the reason of a failed C_Initialize goes to
 * stderr: nobody could find it otherwise.
 *
 * Threads: any; one line is one write. Not by syslog(3), whose lock a child may inherit.
 */
typedef struct {
    atomic_int fd;      /* -1: nothing is written */
    atomic_int level;   /* tdsa_log_level */
    atomic_int file_fd; /* the log file or socket, or -1; its number stays for the process's life */
    atomic_bool syslog; /* it is a socket */
    atomic_ulong device, inode; /* of the log file: a host may close our descriptor and use its
                                   number for a socket */
    tdsa_log sink;              /* for the engine and the keystore */
} p11_log;

/** Reads the environment; called by every C_Initialize. */
void p11_log_open(p11_log *log) TDSA_NONNULL;
/** Formats one line: "tdsa-pkcs11[pid] LEVEL text". Control characters become '?'. */
void p11_log_line(p11_log *log, tdsa_log_level level, const char *fmt, ...) TDSA_PRINTF(3, 4)
    TDSA_NONNULL;
/** The same to stderr when no log is configured; for reasons why C_Initialize failed. */
void p11_log_startup(p11_log *log, const char *fmt, ...) TDSA_PRINTF(2, 3) TDSA_NONNULL;
/** True when lines of this level are written. */
bool p11_log_wants(const p11_log *log, tdsa_log_level level) TDSA_NONNULL;

#endif
