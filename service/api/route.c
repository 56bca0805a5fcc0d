#include "api/route.h"

#include "api/call.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const char *const curves[] = {"P-256", "secp256k1", "P-384", "P-521", "Ed25519", NULL};
static const char *const schemes[] = {"ecdsa", "eddsa", "bip340", NULL};
static const char *const purposes[] = {"digest", "message", NULL};
static const char *const derivations[] = {"bip32", "none", NULL};
static const char *const algorithms[] = {"SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", NULL};
static const char *const encodings[] = {"der", "rs", "raw", NULL};

static const svc_field fields_key[SVC_KEY_FIELDS] = {
    [SVC_KEY_ID] = {"keyId", SVC_FIELD_ID, false, 1, KS_KEY_ID_MAX, NULL, "\"invoices-2026\"",
                    "Name of the key; made at random when absent"},
    [SVC_KEY_CURVE] = {"curve", SVC_FIELD_CHOICE, true, 0, 0, curves, "\"P-256\"", "Curve"},
    [SVC_KEY_SCHEME] = {"scheme", SVC_FIELD_CHOICE, false, 0, 0, schemes, "\"ecdsa\"",
                        "Kind of signature; absent: eddsa on Ed25519, else ecdsa"},
    [SVC_KEY_LABEL] = {"label", SVC_FIELD_TEXT, false, 0, KS_LABEL_MAX, NULL, "\"Invoices\"",
                       "Text for people"},
    [SVC_KEY_LIMIT] = {"presignatureLimit", SVC_FIELD_INTEGER, false, -1, SVC_LIMIT_MAX, NULL,
                       "1000",
                       "Most presignatures in stock; -1: no limit; absent: the configured default"},
    [SVC_KEY_PURPOSE] = {"purpose", SVC_FIELD_CHOICE, false, 0, 0, purposes, "\"digest\"",
                         "What is sent to be signed: its digest (default) or the message itself"},
    [SVC_KEY_DIGESTS] = {"digests", SVC_FIELD_CHOICES, false, 0, 0, algorithms,
                         "[\"SHA-256\", \"SHA-384\"]",
                         "Digests that an ecdsa key signs; absent: SHA-224 to SHA-512"},
    [SVC_KEY_LOW_S] = {"lowS", SVC_FIELD_BOOLEAN, false, 0, 0, NULL, "true",
                       "Make low-S signatures only (ecdsa); absent: on secp256k1"},
    [SVC_KEY_RATE] = {"signaturesPerMinute", SVC_FIELD_INTEGER, false, 0, MPC_RATE_MAX, NULL, "600",
                      "What every participant allows; 0 (default): no limit"},
    [SVC_KEY_RESHARE] = {"reshare", SVC_FIELD_BOOLEAN, false, 0, 0, NULL, "true",
                         "Whether the key may get new shares later (default)"},
    [SVC_KEY_PREPARE] = {"prepare", SVC_FIELD_BOOLEAN, false, 0, 0, NULL, "true",
                         "Prepare mode (ecdsa): one exchange more per signature, in which all "
                         "participants add to its nonce; absent: off"},
    [SVC_KEY_DERIVATION] = {"derivation", SVC_FIELD_CHOICE, false, 0, 0, derivations, "\"bip32\"",
                            "Whether keys are derived from it by a path: bip32 (default on P-256 "
                            "and secp256k1) or none"},
    [SVC_KEY_MIN_PATH] = {"minPathLength", SVC_FIELD_INTEGER, false, 0, MPC_PATH_MAX, NULL, "2",
                          "Shortest path that signs; absent: tdsaLibrary.minChainPathLength"},
    [SVC_KEY_MIN_PATH_XPUB] = {"minPathLengthXPub", SVC_FIELD_INTEGER, false, 0, MPC_PATH_MAX, NULL,
                               "3",
                               "Shortest path of extended public keys; absent: "
                               "tdsaLibrary.minChainPathLengthXPub"},
    [SVC_KEY_MAX_PATH] = {"maxPathLength", SVC_FIELD_INTEGER, false, 0, MPC_PATH_MAX, NULL, "5",
                          "Longest path that signs; 0 (default): 50"},
    [SVC_KEY_PREFIX] = {"pathPrefix", SVC_FIELD_TEXT, false, 1, 100, NULL, "\"m/44/0\"",
                        "What every path that signs begins with: up to 8 steps"},
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
static const svc_field fields_presign[SVC_PRESIGN_FIELDS] = {
    [SVC_PRESIGN_COUNT] = {"count", SVC_FIELD_INTEGER, true, 1, SVC_PRESIGN_COUNT_MAX, NULL, "64",
                           "How many to make"},
};
static const svc_field fields_limit[SVC_LIMIT_FIELDS] = {
    [SVC_LIMIT_LIMIT] = {"limit", SVC_FIELD_INTEGER, true, -1, SVC_LIMIT_MAX, NULL, "5000",
                         "Most presignatures in stock; -1: no limit"},
};
static const svc_field fields_sign[SVC_SIGN_FIELDS] = {
    [SVC_SIGN_HASH] = {"hash", SVC_FIELD_HEX, false, 20, 64, NULL,
                       "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
                       "The digest, for keys of purpose digest"},
    [SVC_SIGN_MESSAGE] = {"message", SVC_FIELD_BASE64, false, 0, SVC_MESSAGE_LEN_MAX, NULL, NULL,
                          "The message, for keys of purpose message (all eddsa and bip340 keys)"},
    [SVC_SIGN_ALGORITHM] = {"algorithm", SVC_FIELD_CHOICE, false, 0, 0, algorithms, "\"SHA-256\"",
                            "Digest algorithm; absent: the one whose digest is as long as hash, or "
                            "SHA-256 for a message"},
    [SVC_SIGN_PATH] = {"path", SVC_FIELD_TEXT, false, 1, 600, NULL, NULL,
                       "Derivation path m/44/0/0 of a bip32 key"},
    [SVC_SIGN_LOW_S] = {"lowS", SVC_FIELD_BOOLEAN, false, 0, 0, NULL, "true",
                        "Make the low-S form of this signature (ecdsa)"},
    [SVC_SIGN_TAPROOT] =
        {"taproot", SVC_FIELD_HEX, false, 0, MPC_MERKLE_ROOT_LEN, NULL, NULL,
         "BIP-340 keys: sign with the BIP-341 output key of a script tree with this "
         "Merkle root, or \"\" for none; absent: with the key itself"},
    [SVC_SIGN_ENCODING] = {"encoding", SVC_FIELD_CHOICE, false, 0, 0, encodings, "\"der\"",
                           "Form of signature: der (default of ecdsa), rs for r and s side by "
                           "side, raw (the 64 bytes of eddsa and bip340)"},
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

#define FIELDS_none     .fields = NULL, .field_count = 0
#define FIELDS_key      .fields = fields_key, .field_count = SVC_KEY_FIELDS
#define FIELDS_reshare  .fields = fields_reshare, .field_count = SVC_RESHARE_FIELDS
#define FIELDS_recovery .fields = fields_recovery, .field_count = SVC_RECOVERY_FIELDS
#define FIELDS_presign  .fields = fields_presign, .field_count = SVC_PRESIGN_FIELDS
#define FIELDS_limit    .fields = fields_limit, .field_count = SVC_LIMIT_FIELDS
#define FIELDS_sign     .fields = fields_sign, .field_count = SVC_SIGN_FIELDS
#define FIELDS_batch                                                               \
    .fields = fields_batch, .field_count = SVC_BATCH_FIELDS, .items = fields_sign, \
    .item_count = SVC_SIGN_FIELDS
#define QUERIES_none  .queries = NULL, .query_count = 0
#define QUERIES_list  .queries = queries_list, .query_count = COUNT_OF(queries_list)
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
_Static_assert((int)SVC_SIGN_FIELDS <= (int)SVC_FIELDS_MAX, "a body has too many fields");
