#include "cli/option.h"

static const char *const cli_curves[] = {"P-256", "secp256k1", "P-384", "P-521", "Ed25519", NULL};
static const char *const cli_schemes[] = {"ecdsa", "eddsa", "bip340", NULL};
static const char *const cli_derivations[] = {"bip32", "none", NULL};
static const char *const cli_purposes[] = {"digest", "message", NULL};
static const char *const cli_algorithms[] = {"SHA-1",   "SHA-224", "SHA-256",
                                             "SHA-384", "SHA-512", NULL};
static const char *const cli_formats[] = {"pem", "spki", "compressed", "uncompressed", NULL};
static const char *const cli_encodings[] = {"der", "rs", "raw", NULL};

#define ROW(number, option, key, type, what, words, member, help) \
    [CLI_OPT_##number] = {.name = (option),                       \
                          .letter = (key),                        \
                          .kind = (type),                         \
                          .value = (what),                        \
                          .choices = (words),                     \
                          .field = (member),                      \
                          .text = (help)},
const cli_option cli_options[CLI_OPTS_END] = {CLI_OPTIONS(ROW)};
