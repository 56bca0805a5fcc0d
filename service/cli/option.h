#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/**
 * The options of all commands, one row each. The parser, --help, the man page, the completion and
 * the request bodies all come from this table.
 */
typedef enum {
    CLI_FLAG,    /* no value */
    CLI_TEXT,    /* any value */
    CLI_FILE,    /* a path; "-" is standard input or output */
    CLI_INTEGER, /* decimal, may be negative */
    CLI_CHOICE,  /* one of `choices` */
    CLI_CHOICES, /* some of `choices`, separated by commas */
    CLI_INTEGERS /* numbers, separated by commas */
} cli_value_kind;

/*  name, option, letter, kind, value, choices, field, text
 *  field: the member of a request body that carries the value; a flag gives true, with '!' false */
#define CLI_OPTIONS(X)                                                                             \
    X(URL, "url", 0, CLI_TEXT, "URL", NULL, NULL, "ask the API at this address")                   \
    X(CONFIG, "config", 0, CLI_FILE, "FILE", NULL, NULL,                                           \
      "act as the participant of this configuration")                                              \
    X(CA_FILE, "ca-file", 0, CLI_FILE, "FILE", NULL, NULL,                                         \
      "certificates (PEM) that an https address is checked against; the system's when absent")     \
    X(PIN_FILE, "pin-file", 0, CLI_FILE, "FILE", NULL, NULL,                                       \
      "first line: the PIN of the token; asked for on a terminal when absent")                     \
    X(TIMEOUT, "timeout", 0, CLI_INTEGER, "SECONDS", NULL, NULL,                                   \
      "give an answer up after so many seconds (75)")                                              \
    X(JSON, "json", 0, CLI_FLAG, NULL, NULL, NULL,                                                 \
      "answer with a JSON document on standard output, fail with one on standard error")           \
    X(QUIET, "quiet", 'q', CLI_FLAG, NULL, NULL, NULL, "no progress, no warnings")                 \
    X(HELP, "help", 'h', CLI_FLAG, NULL, NULL, NULL, "say how the command is used")                \
    X(VERSION, "version", 0, CLI_FLAG, NULL, NULL, NULL, "say which version this is")              \
    X(CURVE, "curve", 0, CLI_CHOICE, "CURVE", cli_curves, "curve", "the curve")                    \
    X(SCHEME, "scheme", 0, CLI_CHOICE, "SCHEME", cli_schemes, "scheme",                            \
      "kind of signature; eddsa on Ed25519, else ecdsa when absent")                               \
    X(LABEL, "label", 0, CLI_TEXT, "TEXT", NULL, "label", "text for people")                       \
    X(DERIVATION, "derivation", 0, CLI_CHOICE, "KIND", cli_derivations, "derivation",              \
      "whether keys are derived from it; bip32 on P-256 and secp256k1 when absent")                \
    X(PURPOSE, "purpose", 0, CLI_CHOICE, "WHAT", cli_purposes, "purpose",                          \
      "what is sent to be signed: its digest, or the message itself")                              \
    X(DIGESTS, "digests", 0, CLI_CHOICES, "LIST", cli_algorithms, "digests",                       \
      "the digests that the key signs; SHA-224 to SHA-512 when absent")                            \
    X(RATE, "rate", 0, CLI_INTEGER, "N", NULL, "signaturesPerMinute",                              \
      "signatures per minute that every participant allows; 0: no limit")                          \
    X(NO_RESHARE, "no-reshare", 0, CLI_FLAG, NULL, NULL, "!reshare",                               \
      "never give the key new shares")                                                             \
    X(EXPORTABLE, "exportable", 0, CLI_FLAG, NULL, NULL, "exportable",                             \
      "the key may be exported, when every participant approves")                                  \
    X(PREPARE, "prepare", 0, CLI_FLAG, NULL, NULL, "prepare",                                      \
      "prepare mode: one exchange more per signature")                                             \
    X(MIN_PATH, "min-path", 0, CLI_INTEGER, "N", NULL, "minPathLength",                            \
      "shortest path that signs")                                                                  \
    X(MIN_PATH_XPUB, "min-path-xpub", 0, CLI_INTEGER, "N", NULL, "minPathLengthXPub",              \
      "shortest path of extended public keys")                                                     \
    X(MAX_PATH, "max-path", 0, CLI_INTEGER, "N", NULL, "maxPathLength", "longest path that signs") \
    X(PATH_PREFIX, "path-prefix", 0, CLI_TEXT, "PATH", NULL, "pathPrefix",                         \
      "what every path that signs begins with")                                                    \
    X(STOCK_LIMIT, "presignature-limit", 0, CLI_INTEGER, "N", NULL, "presignatureLimit",           \
      "most presignatures in stock; -1: no limit")                                                 \
    X(REGISTER_ONLY, "register-only", 0, CLI_FLAG, NULL, NULL, NULL,                               \
      "register the key, make no shares yet")                                                      \
    X(ALL, "all", 0, CLI_FLAG, NULL, NULL, NULL, "keys without shares, too")                       \
    X(PATH, "path", 0, CLI_TEXT, "PATH", NULL, "path", "the path of a derived key, m/44/0/7")      \
    X(FORMAT, "format", 0, CLI_CHOICE, "FORM", cli_formats, NULL,                                  \
      "form of the key: pem (default), spki (DER; in base64 on standard output), compressed or "   \
      "uncompressed (hex)")                                                                        \
    X(IN, "in", 0, CLI_FILE, "FILE", NULL, NULL, "what to sign")                                   \
    X(DIGEST, "digest", 0, CLI_TEXT, "HEX", NULL, NULL, "the digest of what to sign")              \
    X(BATCH, "batch", 0, CLI_FILE, "FILE", NULL, NULL,                                             \
      "sign many digests: one in hex at the beginning of each line, as sha256sum writes them")     \
    X(ALGORITHM, "algorithm", 0, CLI_CHOICE, "NAME", cli_algorithms, "algorithm",                  \
      "digest of FILE, or of which HEX is one; the first that the key signs, from SHA-256 on, "    \
      "or the one of HEX's length")                                                                \
    X(ENCODING, "encoding", 0, CLI_CHOICE, "FORM", cli_encodings, "encoding",                      \
      "form of the signature: der (default of ecdsa), rs, or raw (of eddsa and bip340)")           \
    X(LOW_S, "low-s", 0, CLI_FLAG, NULL, NULL, "lowS", "low-S signatures only")                    \
    X(TAPROOT, "taproot", 0, CLI_TEXT, "HEX", NULL, "taproot",                                     \
      "bip340: sign with the output key of the script tree with this Merkle root; \"\": no tree")  \
    X(COUNT, "count", 0, CLI_INTEGER, "N", NULL, NULL, "how many to make")                         \
    X(RANGES, "ranges", 0, CLI_INTEGER, "N", NULL, NULL,                                           \
      "list so many ranges of available presignatures")                                            \
    X(DROP, "drop", 0, CLI_FLAG, NULL, NULL, NULL, "throw the stock away")                         \
    X(MEMBERS, "members", 0, CLI_INTEGERS, "LIST", NULL, "members",                                \
      "participants that have the key from now on; the same when absent")                          \
    X(THRESHOLD, "threshold", 0, CLI_INTEGER, "T", NULL, "threshold",                              \
      "how many of them may be corrupt; the same when absent")                                     \
    X(AUX_DATA, "aux-data", 0, CLI_FILE, "FILE", NULL, NULL,                                       \
      "data that is bound into the infos, of 1024 bytes at most; everybody can read it")           \
    X(LOCAL, "local", 0, CLI_FLAG, NULL, NULL, "local", "only the info of who answers")            \
    X(CERTIFICATE, "certificate", 0, CLI_FILE, "FILE", NULL, NULL,                                 \
      "the RSA certificate (PEM or DER) that the infos are for")                                   \
    X(PUBLIC_KEY, "public-key", 0, CLI_FILE, "FILE", NULL, NULL,                                   \
      "the public key that it must be: PEM, DER, or the point in hex")                             \
    X(KEY, "key", 0, CLI_FILE, "FILE", NULL, NULL,                                                 \
      "the RSA private key: PKCS#8, encrypted or not, or PKCS#1")                                  \
    X(PKCS11_URI, "pkcs11-uri", 0, CLI_TEXT, "URI", NULL, NULL,                                    \
      "the RSA private key in a token: pkcs11:token=T;object=O?module-path=/path/of/module.so")    \
    X(PASSPHRASE_FILE, "passphrase-file", 0, CLI_FILE, "FILE", NULL, NULL,                         \
      "first line: the passphrase; asked for on a terminal when absent")                           \
    X(CHAIN_CODE_OUT, "chain-code-out", 0, CLI_FILE, "FILE", NULL, NULL,                           \
      "write the chain code there, in hex")                                                        \
    X(CHAIN_CODE, "chain-code", 0, CLI_FILE, "FILE", NULL, NULL,                                   \
      "the chain code of a bip32 key, in hex; a random one when absent")                           \
    X(NOTED, "noted", 0, CLI_TEXT, "N:HASH", NULL, NULL,                                           \
      "number and hash of a record, as they were noted elsewhere")                                 \
    X(GRACE, "grace", 0, CLI_INTEGER, "SECONDS", NULL, NULL,                                       \
      "time for undoing it, within the bounds of the configuration; its deletionGracePeriod when " \
      "absent")                                                                                    \
    X(VALID, "valid", 0, CLI_INTEGER, "SECONDS", NULL, "validSeconds",                             \
      "how long the approval holds; 900 when absent")                                              \
    X(TO, "to", 0, CLI_FILE, "FILE", NULL, NULL,                                                   \
      "the configuration whose storageConfiguration names the new encryptor")                      \
    X(NEW_PIN_FILE, "new-pin-file", 0, CLI_FILE, "FILE", NULL, NULL,                               \
      "first line: the PIN of the new token; that of its configuration, or asked for, when "       \
      "absent")                                                                                    \
    X(DESTROY_OLD, "destroy-old", 0, CLI_FLAG, NULL, NULL, NULL,                                   \
      "destroy the old wrapping key in the token; copies of the database made before are lost")    \
    X(FOLLOW, "follow", 0, CLI_INTEGER, "SECONDS", NULL, NULL,                                     \
      "time for processes that run to follow to the new data key; 10 when absent")                 \
    X(YES, "yes", 0, CLI_FLAG, NULL, NULL, NULL, "do not ask whether it is meant")                 \
    X(OUT, "out", 0, CLI_FILE, "FILE", NULL, NULL, "write it there, whole or not at all")

#define CLI_OPTION_NUMBER(name, ...) CLI_OPT_##name,
typedef enum { CLI_OPTIONS(CLI_OPTION_NUMBER) CLI_OPTS_END } cli_opt;
#undef CLI_OPTION_NUMBER

_Static_assert((int)CLI_OPTS_END <= 64, "sets of options are bits of one number");

/** A set of options. */
typedef uint64_t cli_opts;
#define CLI_SET(name) (UINT64_C(1) << CLI_OPT_##name)
#define CLI_COMMON                                                                              \
    (CLI_SET(URL) | CLI_SET(CONFIG) | CLI_SET(CA_FILE) | CLI_SET(PIN_FILE) | CLI_SET(TIMEOUT) | \
     CLI_SET(JSON) | CLI_SET(QUIET) | CLI_SET(HELP) | CLI_SET(VERSION))
static inline bool cli_has(cli_opts set, cli_opt o)
{
    return (set >> (unsigned)o & 1u) != 0;
}

typedef struct {
    const char *name; /* without the hyphens */
    char letter;      /* 0: none */
    cli_value_kind kind;
    const char *value;          /* what it is called; NULL: a flag */
    const char *const *choices; /* NULL-terminated */
    const char *field;
    const char *text;
} cli_option;

extern const cli_option cli_options[CLI_OPTS_END];

#endif
