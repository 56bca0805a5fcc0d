#include "api/route.h"

#include "api/call.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const char *const curves[] = {"P-256", "secp256k1", "P-384", "P-521", "Ed25519", NULL};
static const char *const schemes[] = {"ecdsa", "eddsa", "bip340", NULL};
static const char *const purposes[] = {"digest", "message", NULL};
static const char *const derivations[] = {"bip32", "none", NULL};
static const char *const algorithms[] = {"SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", NULL};
static const char *const encodings[] = {"der", "rs", "raw", NULL};

#define CURVE_REQUIRED true
static const svc_field fields_key[SVC_KEY_FIELDS] = {
#include "api/key_fields.inc"
};
#undef CURVE_REQUIRED
#define CURVE_REQUIRED false /* the key has one */
static const svc_field fields_import[SVC_IMPORT_FIELDS] = {
#include "api/key_fields.inc"
    [SVC_IMPORT_PRIVATE_KEY] =
        {"privateKey", SVC_FIELD_TEXT, true, 1, 12000, NULL,
         "\"MDECAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoAoGCCqGSM49AwEH\"",
         "The key: PKCS#8 or SEC 1, not encrypted; PEM, or base64 of DER"},
    [SVC_IMPORT_PUBLIC_KEY] = {"publicKey", SVC_FIELD_TEXT, false, 1, 1000, NULL, NULL,
                               "What it must belong to: a point in hex, or PEM"},
    [SVC_IMPORT_CHAIN_CODE] = {"chainCode", SVC_FIELD_HEX, false, 32, 32, NULL, NULL,
                               "Chain code of a bip32 key; absent: a random one"},
};
static const svc_field fields_reshare[SVC_RESHARE_FIELDS] = {
    [SVC_RESHARE_MEMBERS] = {"members", SVC_FIELD_INTEGERS, false, 0, GRP_PARTIES_MAX - 1, NULL,
                             "[0, 1, 2]",
                             "Participants that have the key from now on; absent: the same"},
    [SVC_RESHARE_THRESHOLD] = {"threshold", SVC_FIELD_INTEGER, false, 1, GRP_THRESHOLD_MAX, NULL,
                               "1", "How many of them may be corrupt; absent: the same"},
};
static const svc_field fields_recovery[SVC_RECOVERY_FIELDS] = {
    [SVC_RECOVERY_AUX] = {"auxiliaryData", SVC_FIELD_BASE64, false, 0, MPC_RECOVERY_AUX_MAX, NULL,
                          "\"dmF1bHQgNw==\"", "Bound into the infos and readable in them"},
    [SVC_RECOVERY_LOCAL] = {"local", SVC_FIELD_BOOLEAN, false, 0, 0, NULL, "false",
                            "Only this participant's infos, also of a client's key; absent: a "
                            "verified package of all participants"},
};
/* Request fields that export and export-approvals share. */
#define WHAT_TO_EXPORT                                                                           \
    [SVC_EXPORT_CERTIFICATE] = {"certificate",                                                   \
                                SVC_FIELD_HEX,                                                   \
                                true,                                                            \
                                32,                                                              \
                                32,                                                              \
                                NULL,                                                            \
                                "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f0" \
                                "0a08\"",                                                        \
                                "SHA-256 of one of tdsaLibrary.exportCertificates"},             \
    [SVC_EXPORT_PATH] = {"path",                                                                 \
                         SVC_FIELD_TEXT,                                                         \
                         false,                                                                  \
                         1,                                                                      \
                         600,                                                                    \
                         NULL,                                                                   \
                         NULL,                                                                   \
                         "Path of a child of a bip32 key, m/44/0; "                              \
                         "absent: the key itself"},

static const svc_field fields_export[SVC_EXPORT_FIELDS] = {WHAT_TO_EXPORT};
static const svc_field fields_approve_export[SVC_APPROVE_FIELDS] = {
    WHAT_TO_EXPORT[SVC_APPROVE_VALID] = {"validSeconds", SVC_FIELD_INTEGER, false, 1,
                                         PART_APPROVAL_MAX_MS / 1000, NULL, "900",
                                         "How long the approval can be used; absent: 900"},
};
static const svc_field fields_backup[SVC_BACKUP_FIELDS] = {
    [SVC_BACKUP_PASSPHRASE] = {"passphrase", SVC_FIELD_TEXT, true, PART_PASSPHRASE_LEN_MIN,
                               PART_PASSPHRASE_LEN_MAX, NULL, "\"a long passphrase\"",
                               "What the backup is sealed under"},
};
static const svc_field fields_restore[SVC_RESTORE_FIELDS] = {
    [SVC_RESTORE_BACKUP] = {"backup", SVC_FIELD_BASE64, true, 1, PART_BACKUP_LEN_MAX, NULL,
                            "\"dGRzYS1rZXktYmFja3Vw\"", "What the backup answered"},
    [SVC_RESTORE_PASSPHRASE] = {"passphrase", SVC_FIELD_TEXT, true, PART_PASSPHRASE_LEN_MIN,
                                PART_PASSPHRASE_LEN_MAX, NULL, "\"a long passphrase\"",
                                "What it was sealed under"},
};
static const svc_field fields_presign[SVC_PRESIGN_FIELDS] = {
    [SVC_PRESIGN_COUNT] = {"count", SVC_FIELD_INTEGER, true, 1, SVC_PRESIGN_COUNT_MAX, NULL, "64",
                           "How many to make"},
};
static const svc_field fields_limit[SVC_LIMIT_FIELDS] = {
    [SVC_LIMIT_LIMIT] = {"limit", SVC_FIELD_INTEGER, true, -1, SVC_LIMIT_MAX, NULL, "5000",
                         "Most presignatures in stock; -1: no limit"},
};
/* Request fields that sign and partial-signatures share. */
#define WHAT_TO_SIGN                                                                               \
    [SVC_SIGN_HASH] = {"hash",                                                                     \
                       SVC_FIELD_HEX,                                                              \
                       false,                                                                      \
                       20,                                                                         \
                       64,                                                                         \
                       NULL,                                                                       \
                       "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",     \
                       "The digest, for keys of purpose digest"},                                  \
    [SVC_SIGN_MESSAGE] = {"message",                                                               \
                          SVC_FIELD_BASE64,                                                        \
                          false,                                                                   \
                          0,                                                                       \
                          SVC_MESSAGE_LEN_MAX,                                                     \
                          NULL,                                                                    \
                          NULL,                                                                    \
                          "The message, for keys of purpose message (all eddsa and bip340 keys)"}, \
    [SVC_SIGN_ALGORITHM] =                                                                         \
        {"algorithm",                                                                              \
         SVC_FIELD_CHOICE,                                                                         \
         false,                                                                                    \
         0,                                                                                        \
         0,                                                                                        \
         algorithms,                                                                               \
         "\"SHA-256\"",                                                                            \
         "Digest algorithm; absent: the one whose digest is as long as hash, or "                  \
         "SHA-256 for a message"},                                                                 \
    [SVC_SIGN_PATH] = {"path", SVC_FIELD_TEXT, false, 1,                                           \
                       600,    NULL,           NULL,  "Derivation path m/44/0/0 of a bip32 key"},  \
    [SVC_SIGN_LOW_S] = {"lowS", SVC_FIELD_BOOLEAN,                                                 \
                        false,  0,                                                                 \
                        0,      NULL,                                                              \
                        "true", "Make the low-S form of this signature (ecdsa)"},                  \
    [SVC_SIGN_TAPROOT] = {                                                                         \
        "taproot",                                                                                 \
        SVC_FIELD_HEX,                                                                             \
        false,                                                                                     \
        0,                                                                                         \
        MPC_MERKLE_ROOT_LEN,                                                                       \
        NULL,                                                                                      \
        NULL,                                                                                      \
        "BIP-340 keys: sign with the BIP-341 output key of a script tree with this "               \
        "Merkle root, or \"\" for none; absent: with the key itself"},

static const svc_field fields_sign[SVC_SIGN_FIELDS] = {
    WHAT_TO_SIGN[SVC_SIGN_ENCODING] =
        {"encoding", SVC_FIELD_CHOICE, false, 0, 0, encodings, "\"der\"",
         "Form of signature: der (default of ecdsa), rs for r and s side by "
         "side, raw (the 64 bytes of eddsa and bip340)"},
};
static const svc_field fields_partial[SVC_PARTIAL_FIELDS] = {
    WHAT_TO_SIGN[SVC_PARTIAL_PRESIGNATURE] =
        {"presignatureId", SVC_FIELD_TEXT, true, 66, 69, NULL,
         "\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
         "-0\"",
         "The presignature to use; its committee has to answer"},
};
static const svc_field fields_combine[SVC_COMBINE_FIELDS] = {
    [SVC_COMBINE_PARTIALS] = {"partials", SVC_FIELD_BASE64S, true, 0, SVC_PARTIAL_LEN_MAX, NULL,
                              "[\"AQAAAAdwYXJ0aWFs\", \"AQAAAAdwYXJ0aWFs\"]",
                              "partialSignature of every member of the committee"},
    [SVC_COMBINE_ENCODING] = {"encoding", SVC_FIELD_CHOICE, false, 0, 0, encodings, "\"der\"",
                              "Form of signature, as in sign"},
};
static const svc_field fields_batch[SVC_BATCH_FIELDS] = {
    [SVC_BATCH_ITEMS] =
        {"items", SVC_FIELD_OBJECTS, true, 1, PART_BATCH_ITEMS_MAX, NULL,
         "[{\"hash\": \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f0"
         "0a08\"}]",
         "What to sign, each as the body of sign"},
};
static const svc_query queries_list[] = {
    {"limit", "Keys of one page: 1..1000; 100 when absent", "100"},
    {"after", "The cursor `next` of the page before", "invoices-2026"},
    {"state", "ACTIVE (default) or all", "all"},
    {"label", "Only keys with exactly this label", "Invoices"},
};
static const svc_query queries_grace[] = {
    {"graceSeconds", "Time for undoing it; absent: deletionGracePeriod", "86400"},
};
static const svc_query queries_path[] = {
    {"path", "Derivation path m/44/0/0 of a bip32 key", NULL},
};

static const svc_query queries_xpub[] = {
    {"path", "Derivation path m/44/0/0 of a bip32 key, as long as its minPathLengthXPub", NULL},
};
static const svc_query queries_stock[] = {
    {"ranges", "List up to so many ranges of available presignatures: 1..1000", "10"},
};

#define FIELDS_none           .fields = NULL, .field_count = 0
#define FIELDS_key            .fields = fields_key, .field_count = SVC_KEY_FIELDS
#define FIELDS_import         .fields = fields_import, .field_count = SVC_IMPORT_FIELDS
#define FIELDS_reshare        .fields = fields_reshare, .field_count = SVC_RESHARE_FIELDS
#define FIELDS_recovery       .fields = fields_recovery, .field_count = SVC_RECOVERY_FIELDS
#define FIELDS_export         .fields = fields_export, .field_count = SVC_EXPORT_FIELDS
#define FIELDS_approve_export .fields = fields_approve_export, .field_count = SVC_APPROVE_FIELDS
#define FIELDS_backup         .fields = fields_backup, .field_count = SVC_BACKUP_FIELDS
#define FIELDS_restore        .fields = fields_restore, .field_count = SVC_RESTORE_FIELDS
#define FIELDS_presign        .fields = fields_presign, .field_count = SVC_PRESIGN_FIELDS
#define FIELDS_limit          .fields = fields_limit, .field_count = SVC_LIMIT_FIELDS
#define FIELDS_sign           .fields = fields_sign, .field_count = SVC_SIGN_FIELDS
#define FIELDS_partial        .fields = fields_partial, .field_count = SVC_PARTIAL_FIELDS
#define FIELDS_combine        .fields = fields_combine, .field_count = SVC_COMBINE_FIELDS
#define FIELDS_batch                                                               \
    .fields = fields_batch, .field_count = SVC_BATCH_FIELDS, .items = fields_sign, \
    .item_count = SVC_SIGN_FIELDS
#define QUERIES_none  .queries = NULL, .query_count = 0
#define QUERIES_list  .queries = queries_list, .query_count = COUNT_OF(queries_list)
#define QUERIES_grace .queries = queries_grace, .query_count = COUNT_OF(queries_grace)
#define QUERIES_path  .queries = queries_path, .query_count = COUNT_OF(queries_path)
#define QUERIES_xpub  .queries = queries_xpub, .query_count = COUNT_OF(queries_xpub)
#define QUERIES_stock .queries = queries_stock, .query_count = COUNT_OF(queries_stock)

#define ROW(number, how, where, who, in, query, ok, title, text) \
    [SVC_OP_##number] = {.op = SVC_OP_##number,                  \
                         .method = (how),                        \
                         .path = (where),                        \
                         .rules = (unsigned)(who),               \
                         FIELDS_##in,                            \
                         QUERIES_##query,                        \
                         .success = (ok),                        \
                         .name = (title),                        \
                         .summary = (text),                      \
                         .handler = svc_api_do_##number},
const svc_row svc_rows[SVC_OP_COUNT] = {SVC_API_ROUTES(ROW)};

svc_shape svc_row_shape(const svc_row *row)
{
    return (svc_shape){.fields = row->fields,
                       .count = row->field_count,
                       .items = row->items,
                       .item_count = row->item_count};
}

_Static_assert((int)SVC_KEY_FIELDS <= (int)SVC_FIELDS_MAX, "a body has too many fields");
_Static_assert((int)SVC_IMPORT_FIELDS <= (int)SVC_FIELDS_MAX, "a body has too many fields");
_Static_assert((int)SVC_SIGN_FIELDS <= (int)SVC_FIELDS_MAX, "a body has too many fields");
