#ifndef CFG_SERVER_URL_H
#define CFG_SERVER_URL_H

#include "base/err.h"
#include "base/secret.h"
#include "keystore/server.h"

/**
 * The parts of a database server's URL behind "jdbc:postgresql:" and the like:
 *
 *   //[user[:password]@]host[:port][,host[:port]...]/database[?name=value&name=value...]
 *
 * A host is a name, an IPv4 address, an IPv6 address in brackets, the folder of a socket with its
 * slashes as %2F, or (MariaDB) address=(host=...)(port=...). Every part is percent-decoded; '+' stays
 * what it is.
 */

#define CFG_SERVER_URL_MAX    4096u /* bytes */
#define CFG_SERVER_PARAMS_MAX 32u

typedef struct {
    const char *name, *value;
} cfg_server_param;

typedef struct {
    ks_host host[KS_HOSTS_MAX]; /* port 0: not given */
    size_t hosts;
    const char *database, *user, *password; /* NULL: not given */
    cfg_server_param param[CFG_SERVER_PARAMS_MAX];
    size_t params;
    tdsa_secret *text; /* owned: what all of the above point into */
} cfg_server_url;

/**
 * out  to be cleared when this succeeds; all zero on failure.
 * Errors: TDSA_E_CONFIG: what is wrong with which host or part; TDSA_E_NO_MEMORY. The text repeats
 * nothing of the URL.
 */
TDSA_MUST_USE tdsa_status cfg_server_url_parse(cfg_server_url *out, const char *rest, tdsa_err *err)
    TDSA_NONNULL;
/** Wipes. */
void cfg_server_url_clear(cfg_server_url *u) TDSA_NONNULL;

#endif
