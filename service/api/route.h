#ifndef API_ROUTE_H
#define API_ROUTE_H

#include "api/api.h"
#include "api/field.h"

/**
 * The one table of the API: method, path, who may, what comes in, what goes out. A row is made by
 * SVC_API_ROUTES alone, which names every column and the handler: an operation without a row has no
 * number, and a row without a column or handler does not compile.
 */

/** Checked by the dispatcher before the handler runs. */
typedef enum {
    SVC_RULE_NONE = 0,
    SVC_RULE_NO_CLIENT = 1 << 0, /* 409 CLIENT_PARTICIPATES where another, the client, must ask */
    SVC_RULE_KEY = 1 << 1,       /* the path names a key: 404 unknown, 410 deleted */
    SVC_RULE_ACTIVE = 1 << 2,    /* the key is ACTIVE, else 409 KEY_NOT_ACTIVE */
    SVC_RULE_RESTORED = 1 << 3   /* a RESTORED one will do: what signs refreshes it first */
} svc_rule;

#define SVC_KEY_RULES        (SVC_RULE_KEY)
#define SVC_SERVER_RULES     (SVC_RULE_KEY | SVC_RULE_NO_CLIENT)
#define SVC_SERVER_KEY_RULES (SVC_RULE_KEY | SVC_RULE_NO_CLIENT | SVC_RULE_ACTIVE)
#define SVC_PUBLIC_RULES     (SVC_RULE_KEY | SVC_RULE_ACTIVE | SVC_RULE_RESTORED)
#define SVC_REFRESH_RULES    (SVC_SERVER_KEY_RULES | SVC_RULE_RESTORED)

/** X(OP, method, path, rules, body fields, query, success status, operation name, summary) */
#define SVC_API_ROUTES(X)                                                                         \
    X(INFO, SVC_GET, "/v1/info", SVC_RULE_NONE, none, none, 200, "info",                          \
      "Who this participant is and what it can do")                                               \
    X(REGISTER, SVC_POST, "/v1/keys", SVC_RULE_NO_CLIENT, key, none, 201, "register",             \
      "Registers a key at every participant; the same again changes nothing")                     \
    X(GENERATE, SVC_POST, "/v1/keys:generate", SVC_RULE_NO_CLIENT, key, none, 201, "generate",    \
      "Registers a key and generates its shares")                                                 \
    X(IMPORT, SVC_POST, "/v1/keys:import", SVC_RULE_NO_CLIENT, import, none, 201, "import",       \
      "Registers a key and shares out an existing private key for it")                            \
    X(LIST, SVC_GET, "/v1/keys", SVC_RULE_NONE, none, list, 200, "list",                          \
      "Lists keys in the order of their ids, page by page")                                       \
    X(KEY, SVC_GET, "/v1/keys/{}", SVC_KEY_RULES, none, none, 200, "key", "Shows one key")        \
    X(DELETE, SVC_DELETE, "/v1/keys/{}", SVC_SERVER_RULES, none, grace, 202, "delete",            \
      "Takes a key out of use at every participant, and wipes it when its grace period is over")  \
    X(UNDELETE, SVC_POST, "/v1/keys/{}/undelete", SVC_SERVER_RULES, none, none, 200, "undelete",  \
      "Brings back a key whose grace period is not over")                                         \
    X(SHARE, SVC_POST, "/v1/keys/{}/share", SVC_SERVER_RULES, none, none, 200, "share",           \
      "Generates the shares of a registered key")                                                 \
    X(RESHARE, SVC_POST, "/v1/keys/{}/reshare", SVC_REFRESH_RULES, reshare, none, 200, "reshare", \
      "Gives the key new shares; the old ones and all presignatures become worthless")            \
    X(RECOVERY_INFO, SVC_POST, "/v1/keys/{}/recovery-info", SVC_KEY_RULES | SVC_RULE_ACTIVE,      \
      recovery, none, 200, "recoveryInfo",                                                        \
      "The shares of all participants, encrypted under the recovery certificates, with proofs")   \
    X(APPROVE_EXPORT, SVC_POST, "/v1/keys/{}/export-approvals", SVC_KEY_RULES | SVC_RULE_ACTIVE,  \
      approve_export, none, 201, "approveExport",                                                 \
      "This participant's approval of one export of the key")                                     \
    X(EXPORT, SVC_POST, "/v1/keys/{}/export", SVC_SERVER_KEY_RULES, export, none, 200, "export",  \
      "The key for the holder of a certificate, where every participant has approved that")       \
    X(BACKUP, SVC_POST, "/v1/keys/{}/backup", SVC_KEY_RULES | SVC_RULE_ACTIVE, backup, none, 200, \
      "backup", "This participant's share, sealed under a passphrase")                            \
    X(RESTORE, SVC_POST, "/v1/keys:restore", SVC_RULE_NONE, restore, none, 201, "restore",        \
      "Takes back a backup of this participant's share; it signs after a refresh")                \
    X(PUBLIC_KEY, SVC_GET, "/v1/keys/{}/public-key", SVC_PUBLIC_RULES, none, path, 200,           \
      "publicKey", "The public key in all its forms")                                             \
    X(XPUB, SVC_GET, "/v1/keys/{}/xpub", SVC_PUBLIC_RULES, none, xpub, 200, "xpub",               \
      "The extended public key of a bip32 key")                                                   \
    X(PRESIGN, SVC_POST, "/v1/keys/{}/presignatures", SVC_REFRESH_RULES, presign, none, 200,      \
      "presign", "Makes presignatures: all or none")                                              \
    X(STOCK, SVC_GET, "/v1/keys/{}/presignatures", SVC_KEY_RULES, none, stock, 200, "stock",      \
      "Counts the presignatures that are coordinated here")                                       \
    X(PURGE, SVC_DELETE, "/v1/keys/{}/presignatures", SVC_KEY_RULES, none, none, 200, "purge",    \
      "Drops the stock of a key here: before a backup, after a restore")                          \
    X(PURGE_ONE, SVC_DELETE, "/v1/keys/{}/presignatures/{}", SVC_KEY_RULES, none, none, 204,      \
      "purgeOne", "Deletes one presignature here")                                                \
    X(PURGE_ALL, SVC_DELETE, "/v1/presignatures", SVC_RULE_NONE, none, none, 200, "purgeAll",     \
      "Drops the stock of every key here")                                                        \
    X(LIMIT, SVC_PUT, "/v1/keys/{}/presignature-limit", SVC_KEY_RULES, limit, none, 200, "limit", \
      "Changes how many presignatures of a key may be in stock here")                             \
    X(SIGN, SVC_POST, "/v1/keys/{}/sign", SVC_REFRESH_RULES, sign, none, 200, "sign",             \
      "Signs a digest (or a message, for keys made so) and verifies the signature")               \
    X(SIGN_BATCH, SVC_POST, "/v1/keys/{}/sign-batch", SVC_REFRESH_RULES, batch, none, 200,        \
      "signBatch", "Signs up to 1000 digests or messages at once; each is answered on its own")   \
    X(PARTIAL, SVC_POST, "/v1/keys/{}/partial-signatures", SVC_SERVER_KEY_RULES, partial, none,   \
      200, "partialSign", "This participant's part of a signature, for callers that combine")     \
    X(COMBINE, SVC_POST, "/v1/keys/{}/combine", SVC_SERVER_KEY_RULES, combine, none, 200,         \
      "combine", "Combines the partial signatures of a whole committee and verifies")             \
    X(OPENAPI, SVC_GET, "/openapi.json", SVC_RULE_NONE, none, none, 200, "openapi",               \
      "This API as an OpenAPI document")                                                          \
    X(DOCS, SVC_GET, "/docs", SVC_RULE_NONE, none, none, 200, "docs", "This API as a page")

#define SVC_API_OP(op, ...) SVC_OP_##op,
typedef enum { SVC_API_ROUTES(SVC_API_OP) SVC_OP_COUNT } svc_op;
#undef SVC_API_OP

struct svc_call;
typedef tdsa_status (*svc_api_handler)(struct svc_call *c, tdsa_err *err);

typedef struct {
    const char *name, *text, *example;
} svc_query;

typedef struct {
    svc_op op;
    svc_method method;
    const char *path;
    unsigned rules;
    const svc_field *fields;
    size_t field_count;
    const svc_field *items; /* of the objects in its list of them */
    size_t item_count;
    const svc_query *queries;
    size_t query_count;
    unsigned success;
    const char *name, *summary;
    svc_api_handler handler;
} svc_row;

extern const svc_row svc_rows[SVC_OP_COUNT];
/** What the body of a row may hold. */
svc_shape svc_row_shape(const svc_row *row) TDSA_NONNULL;

/** Order of the values in a body. */
enum {
    SVC_KEY_ID,
    SVC_KEY_CURVE,
    SVC_KEY_SCHEME,
    SVC_KEY_LABEL,
    SVC_KEY_LIMIT,
    SVC_KEY_PURPOSE,
    SVC_KEY_DIGESTS,
    SVC_KEY_LOW_S,
    SVC_KEY_RATE,
    SVC_KEY_RESHARE,
    SVC_KEY_PREPARE,
    SVC_KEY_EXPORTABLE,
    SVC_KEY_DERIVATION,
    SVC_KEY_MIN_PATH,
    SVC_KEY_MIN_PATH_XPUB,
    SVC_KEY_MAX_PATH,
    SVC_KEY_PREFIX,
    SVC_KEY_FIELDS
};
/** Of an import: those of a key, then these. */
enum {
    SVC_IMPORT_PRIVATE_KEY = SVC_KEY_FIELDS,
    SVC_IMPORT_PUBLIC_KEY,
    SVC_IMPORT_CHAIN_CODE,
    SVC_IMPORT_FIELDS
};
enum { SVC_RESHARE_MEMBERS, SVC_RESHARE_THRESHOLD, SVC_RESHARE_FIELDS };
enum { SVC_RECOVERY_AUX, SVC_RECOVERY_LOCAL, SVC_RECOVERY_FIELDS };
enum { SVC_EXPORT_CERTIFICATE, SVC_EXPORT_PATH, SVC_EXPORT_FIELDS };
enum { SVC_APPROVE_VALID = SVC_EXPORT_FIELDS, SVC_APPROVE_FIELDS }; /* the first as above */
enum { SVC_BACKUP_PASSPHRASE, SVC_BACKUP_FIELDS };
enum { SVC_RESTORE_BACKUP, SVC_RESTORE_PASSPHRASE, SVC_RESTORE_FIELDS };
enum { SVC_PRESIGN_COUNT, SVC_PRESIGN_FIELDS };
enum { SVC_LIMIT_LIMIT, SVC_LIMIT_FIELDS };
enum {
    SVC_SIGN_HASH,
    SVC_SIGN_MESSAGE,
    SVC_SIGN_ALGORITHM,
    SVC_SIGN_PATH,
    SVC_SIGN_LOW_S,
    SVC_SIGN_TAPROOT,
    SVC_SIGN_ENCODING,
    SVC_SIGN_FIELDS
};
/* the first as in SVC_SIGN_* */
enum { SVC_PARTIAL_PRESIGNATURE = SVC_SIGN_ENCODING, SVC_PARTIAL_FIELDS };
enum { SVC_COMBINE_PARTIALS, SVC_COMBINE_ENCODING, SVC_COMBINE_FIELDS };
enum { SVC_BATCH_ITEMS, SVC_BATCH_FIELDS };

#define SVC_PRESIGN_COUNT_MAX 1000000 /* tdsaLibrary.presignatureRequestLimit says less */
#define SVC_LIMIT_MAX         INT64_C(1000000000000)
#define SVC_MESSAGE_LEN_MAX   65536
#define SVC_BODY_MAX          (16u * 1024u)
#define SVC_SIGN_BODY_MAX     (128u * 1024u)               /* a message of 64 KiB in base64 */
#define SVC_PARTIAL_LEN_MAX   (SVC_MESSAGE_LEN_MAX + 2048) /* bytes of a partial signature */
#define SVC_BATCH_BODY_MAX    (4u * 1024u * 1024u) /* PART_BATCH_BYTES_MAX in base64, and paths */

#endif
