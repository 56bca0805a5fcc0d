#ifndef CFG_INTERNAL_H
#define CFG_INTERNAL_H

#include "base/dh.h"
#include "config/participant_cfg.h"
#include "config/server_cfg.h"

/** The parts of cfg_participant_new; each fills its own piece. Errors: TDSA_E_CONFIG with the path. */

#define CFG_CERTIFICATES_MAX PART_ERS_CERTIFICATES_MAX

/** Certificates of one list; owned. */
typedef struct {
    tdsa_rsa_cert *all[CFG_CERTIFICATES_MAX];
    size_t count;
} cfg_certificates;

struct cfg_participant {
    part_engine_cfg engine; /* roster holds the private keys */
    ks_cfg store;
    peer_keys *clients;
    cfg_certificates ers, exports;
    char *db_path;
    const char **plugin_arguments; /* the array is owned, what it holds is lent */
    cfg_jdbc db;                   /* what the server below is lent from, beside the cfg */
    cfg_server server;
};

/** The certificates of a list, each fit for encryption. Warns of short keys and of those that are not
 * valid today. `out` is to be cleared on failure too. */
TDSA_MUST_USE tdsa_status cfg_fill_certificates(cfg_certificates *out, const cfg *c,
                                                const char *path, const tdsa_log *log,
                                                tdsa_err *err) __attribute__((nonnull(1, 2, 3, 5)));
void cfg_certificates_clear(cfg_certificates *list) TDSA_NONNULL;
/** Says so when the text has another form of base64 than the documented one. */
void cfg_check_base64_form(const char *text, const char *path, const tdsa_log *log)
    __attribute__((nonnull(1, 2)));
/** Fails when the value at `path` is a vault selector. */
TDSA_MUST_USE tdsa_status cfg_refuse_selector(const cfg *c, const char *path, tdsa_err *err)
    TDSA_NONNULL;
/** Reads one private or public key; says so when its base64 has another form than documented. */
TDSA_MUST_USE tdsa_status cfg_read_key(const cfg *c, const char *path, tdsa_dh_kind kind,
                                       bool is_private, uint8_t *out, const tdsa_log *log,
                                       tdsa_err *err) __attribute__((nonnull(1, 2, 5, 7)));
/** may_generate: participantIds is set and names this participant. */
TDSA_MUST_USE tdsa_status cfg_fill_roster(peer_roster *out, bool *may_generate, const cfg *c,
                                          const tdsa_log *log, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 5)));
/** Where the rows are. */
TDSA_MUST_USE tdsa_status cfg_fill_database(cfg_participant *p, const cfg *c, const tdsa_log *log,
                                            tdsa_err *err) __attribute__((nonnull(1, 2, 4)));
/** The database, and how rows are sealed. */
TDSA_MUST_USE tdsa_status cfg_fill_store(cfg_participant *p, const cfg *c, const tdsa_log *log,
                                         tdsa_err *err) __attribute__((nonnull(1, 2, 4)));
TDSA_MUST_USE tdsa_status cfg_fill_encryptor(cfg_participant *p, const cfg *c, const tdsa_log *log,
                                             tdsa_err *err) __attribute__((nonnull(1, 2, 4)));
TDSA_MUST_USE tdsa_status cfg_fill_http(peer_http_cfg *out, const cfg *c, tdsa_err *err)
    TDSA_NONNULL;

#endif
