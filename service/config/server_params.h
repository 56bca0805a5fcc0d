#ifndef CFG_SERVER_PARAMS_H
#define CFG_SERVER_PARAMS_H

#include <stdbool.h>

#include "base/env.h"
#include "config/server_url.h"

/** The parameters of a server's URL, by name. */

/** What parameters have asked for so far; strings are lent from them. */
typedef struct {
    bool postgres; /* which units and defaults hold; set by the caller */
    ks_server server;
    const char *schema, *application;
    struct {
        bool named; /* by its mode */
        ks_tls_mode mode;
        bool set, on; /* ssl, useSsl */
        bool required, checked, trust, any_host;
    } tls;
    const char *host;
    uint32_t port;
} cfg_server_wish;

/**
 * where  how messages call a parameter: "database.url: parameter"
 * Errors: TDSA_E_CONFIG, naming the parameter. What server_cfg.h says holds.
 */
TDSA_MUST_USE tdsa_status cfg_server_params(cfg_server_wish *w, const char *where,
                                            const cfg_server_param *all, size_t count,
                                            const tdsa_log *log, tdsa_err *err)
    __attribute__((nonnull(1, 2, 6)));

#endif
