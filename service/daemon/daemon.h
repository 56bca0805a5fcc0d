#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "config/config.h"
#include "daemon/log.h"

/**
 * The running service: keystore, engine, listeners and threads, put together from a configuration.
 *
 * Threads: start, stop and free from one thread, with the signals that end the service blocked in
 * it (its threads inherit that).
 */
typedef struct svc_daemon svc_daemon;

/**
 * Opens the audit log and the keystore, starts the engine, the communication threads and the listeners.
 *
 * c    lent: must outlive the daemon.
 * log  lent: must outlive the daemon.
 *
 * Errors: TDSA_E_CONFIG (names the path), those of tdsa_os_audit_new, ks_open and part_engine_new, TDSA_E_UNAVAILABLE
 * (a port cannot be had), TDSA_E_NO_MEMORY. Nothing is left running.
 */
TDSA_MUST_USE tdsa_status svc_daemon_start(svc_daemon **out, const cfg *c, const svc_log *log,
                                           tdsa_err *err) TDSA_NONNULL;
/** Writes the ports to the file that TDSA_PORTS_FILE names and the line "ready" to the log; from
 * here on a signal is for svc_daemon_stop.
 * Errors: TDSA_E_CONFIG (the file cannot be written). */
TDSA_MUST_USE tdsa_status svc_daemon_announce(const svc_daemon *d, tdsa_err *err) TDSA_NONNULL;
/**
 * Readiness goes 503, the API port stops, runs under way finish, the protocol port stops, the engine
 * stops; all within shutdownGracePeriod and a second.
 */
void svc_daemon_stop(svc_daemon *d) TDSA_NONNULL;
/** Stops without grace if still running, closes the keystore and frees. NULL is allowed. */
void svc_daemon_free(svc_daemon *d);

/** Checks the configuration as far as that goes without opening anything (`check`). */
TDSA_MUST_USE tdsa_status svc_daemon_check(const cfg *c, const svc_log *log, tdsa_err *err)
    TDSA_NONNULL;

#endif
