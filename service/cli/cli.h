#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/args.h"

/**
 * One run of the command `tdsa`. It speaks the language of the API (docs/api.md): a command makes
 * requests and shows what comes back. Who answers is a cli_answerer: a server (answer_http.c), or
 * an engine in this process (answer_engine.c), through the same routes and handlers.
 */
typedef struct cli cli;

/** A request of the API; lent. */
typedef struct {
    const char *method, *target; /* "/v1/keys?limit=3" */
    const json_t *body;          /* NULL: none */
} cli_request;

/** Where requests go. */
typedef struct {
    /** body: the raw answer, appended. Errors: TDSA_E_UNAVAILABLE, TDSA_E_TIMEOUT: nobody answered. */
    tdsa_status (*ask)(void *ctx, const cli_request *in, unsigned *http, tdsa_buf *body,
                       tdsa_err *err);
    void (*close)(void *ctx);
    void *ctx; /* NULL: not open */
} cli_answerer;

struct cli {
    cli_args args;
    bool json, quiet;
    cli_answerer answerer;
    json_t *refusal;  /* owned: the API's document of the failure that err tells of; NULL: none */
    int out_errno;    /* of the first write to standard output that failed; 0: none */
    const char *hint; /* what to do about a failure, where the handler knows better; may be NULL */
};

/** Runs a command line; gives the exit code (CLI_EXIT_*). */
int cli_main(int argc, char *const *argv);

/* ---- what handlers use ---- */

/**
 * Asks, and gives the document of the answer ({} when it has none).
 * out     owned by the caller; NULL on failure.
 * Errors: of the answer, as the API's error says; the document is kept in c->refusal.
 */
TDSA_MUST_USE tdsa_status cli_ask(cli *c, const cli_request *in, json_t **out, tdsa_err *err)
    TDSA_NONNULL;
/** POST to "/v1/keys/<id>" and `rest`, of the key that is the command's first word; as cli_ask. */
TDSA_MUST_USE tdsa_status cli_post_key(cli *c, const char *rest, const json_t *body, json_t **out,
                                       tdsa_err *err) TDSA_NONNULL;
/** Appends "/v1/keys/<id>" and `rest`; the id is escaped. */
void cli_target_key(tdsa_buf *out, const char *key_id, const char *rest) TDSA_NONNULL;
/** Appends "?name=value" or "&name=value", escaped; nothing when value is NULL. */
void cli_target_query(tdsa_buf *out, const char *name, const char *value)
    __attribute__((nonnull(1, 2)));
/** The text of a target, or "" when it has failed. */
const char *cli_target_text(tdsa_buf *target) TDSA_NONNULL;

/** A body of the options given that have a field. NULL: no memory. */
json_t *cli_body(const cli *c, cli_opts which) TDSA_NONNULL;
static inline bool cli_given(const cli *c, cli_opt o)
{
    return cli_has(c->args.given, o);
}

/** Shows a document: as JSON, or for people. */
void cli_show(cli *c, json_t *doc) TDSA_NONNULL;
/** To standard output; an error shows when the command ends. */
void cli_print(cli *c, const void *bytes, size_t len) __attribute__((nonnull(1)));
void cli_print_line(cli *c, const char *text) TDSA_NONNULL;
/** Writes a document to --out, else to standard output. */
TDSA_MUST_USE tdsa_status cli_write_document(cli *c, json_t *doc, tdsa_err *err) TDSA_NONNULL;
/**
 * The text of a member of a document that stands in a file.
 * out     a reference of the caller's; NULL on failure.
 * Errors: TDSA_E_BAD_INPUT (cannot be read, longer than max, no document, or it has no such text).
 */
TDSA_MUST_USE tdsa_status cli_read_member(json_t **out, const char *path, size_t max,
                                          const char *member, tdsa_err *err) TDSA_NONNULL;
/** A member's text; "" when there is none. */
const char *cli_text(const json_t *doc, const char *name) TDSA_NONNULL;

/* ---- the handlers, do_*.c ---- */
#define CLI_HANDLER(name) tdsa_status cli_do_##name(cli *c, tdsa_err *err) TDSA_NONNULL
CLI_HANDLER(info);
CLI_HANDLER(key_list);
CLI_HANDLER(key_show);
CLI_HANDLER(key_create);
CLI_HANDLER(key_import);
CLI_HANDLER(key_public_key);
CLI_HANDLER(key_xpub);
CLI_HANDLER(key_presign);
CLI_HANDLER(key_stock);
CLI_HANDLER(key_limit);
CLI_HANDLER(key_sign);
CLI_HANDLER(key_partial_sign);
CLI_HANDLER(key_combine);
CLI_HANDLER(key_approve_export);
CLI_HANDLER(key_export);
CLI_HANDLER(key_reshare);
CLI_HANDLER(key_delete);
CLI_HANDLER(key_undelete);
CLI_HANDLER(recovery_info);
CLI_HANDLER(recovery_verify);
CLI_HANDLER(recovery_recover);
CLI_HANDLER(backup);
CLI_HANDLER(restore);
CLI_HANDLER(audit_verify);
CLI_HANDLER(keystore_status);
CLI_HANDLER(keystore_rotate_data_key);
CLI_HANDLER(keystore_rotate_wrapping_key);
CLI_HANDLER(keystore_change_encryptor);
CLI_HANDLER(help);
CLI_HANDLER(completion);

#endif
