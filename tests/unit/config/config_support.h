#ifndef TESTS_CONFIG_SUPPORT_H
#define TESTS_CONFIG_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "config/config.h"

/** What the tests of the configuration share: loading from text, and a log that can be asked. */

typedef struct {
    char text[16384];
    size_t len, warnings, infos;
} log_record;

static inline void log_keep(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    log_record *r = ctx;
    const int n = snprintf(r->text + r->len, sizeof r->text - r->len, "%s %s\n", logger, text);

    if (n > 0 && (size_t)n < sizeof r->text - r->len) {
        r->len += (size_t)n;
    }
    r->warnings += level == TDSA_LOG_WARN ? 1 : 0;
    r->infos += level == TDSA_LOG_INFO ? 1 : 0;
}

static inline tdsa_log log_to(log_record *r)
{
    memset(r, 0, sizeof *r);
    return (tdsa_log){log_keep, r};
}

/** Loads a document from memory, as TDSA_CONFIG would give it. All but text and err may be NULL. */
static inline tdsa_status load_text(cfg **out, const char *text, const char *const *defines,
                                    const tdsa_log *log, tdsa_buf *problems, tdsa_err *err)
{
    TDSA_SCOPED_BUF encoded = TDSA_BUF_EMPTY;
    cfg_source source = {.defines = defines, .log = log};

    tdsa_base64url_encode(&encoded, text, strlen(text));
    tdsa_buf_append_u8(&encoded, 0);
    assert_false(encoded.failed);
    source.base64 = (const char *)encoded.data;
    return cfg_load(out, &source, problems, err);
}

/** Two key pairs and a private key that belongs to neither; made for these tests only. */
#define A_X25519_PUB  "MCowBQYDK2VuAyEAYz7N6pR6HsCW7OGB7dm-_E-f9awooQtYXVys5IT1614"
#define A_X25519_PRIV "MC4CAQAwBQYDK2VuBCIEIHgKaJJYx0jmh6Z8SkHxbYwSCx_E7r_q6q9tCXSH9mVp"
#define A_X448_PUB \
    "MEIwBQYDK2VvAzkAt28GR2Nr8KEe7mP2qOccnWyXYeqLLaJ5dNOT1EaecLsDrdT42SC3mP_2k4nZzvHMjIbyKHWRCMI"
#define A_X448_PRIV                                            \
    "MEYCAQAwBQYDK2VvBDoEOABsgf7uDbTfbA3JYO22yEjx_MQMR7YQMA8_" \
    "6V8lbkSxV40kUlhIWHG13beYiJ5ePOEPcKivNGqq"

#define B_X25519_PUB  "MCowBQYDK2VuAyEAZrLUkD2dsdk2bcn5P_fkLvEBlmCZqz3qIPl3yFnhPE0"
#define B_X25519_PRIV "MC4CAQAwBQYDK2VuBCIEIBCjqcI0eQdAppvqcJmDc97Z-fz8u9l7-82s_rB6dm1k"
#define B_X448_PUB \
    "MEIwBQYDK2VvAzkAKYyq40zNetozDnJDT3iTMHzvuql-GMMq4IuanxYJ_vADe4epcFhtY3U_igQvDvKzELj4-RBVxo0"
#define B_X448_PRIV                                      \
    "MEYCAQAwBQYDK2VvBDoEOIQDGS7S4a8L93eR4BAi8BJwLw9U9-" \
    "nRAsBEZSUzpHQXmJeoFOh5bATZxwqjnR6REyj1VSZTm4PA"

#define C_X25519_PUB  "MCowBQYDK2VuAyEAwI0AACSf3fF-Ne9nIlTTeLglO9elP0rpxXdu-rxzcHo"
#define C_X25519_PRIV "MC4CAQAwBQYDK2VuBCIEIMjv1wbwijOCyZsvTJuYBKyq-rLBEt9BQzgBaMgg7W9l"
#define C_X448_PUB \
    "MEIwBQYDK2VvAzkA2MWD8WszBFqrahPqyMbac1t34NV924rNcglXWWtFKb8DTkbiW3Jg9Y1sbub-SiYWOb6sCmBujtQ"
#define C_X448_PRIV                                                           \
    "MEYCAQAwBQYDK2VvBDoEOCCYdlTysJgBXyq_ZZL4RQxhsQIQE-ZVNCjc5DpZPQhCWHHt7p-" \
    "nk7W9LBtEJUubsuJtvaLC6JfW"

/* The smallest document that loads: three servers, me = 0. */
#define MINIMAL_HEAD                                      \
    "tdsaLibrary:\n"                                      \
    "  participantIndex: 0\n"                             \
    "  participantPrimaryPrivateKey: " A_X25519_PRIV "\n" \
    "  participantSecondaryPrivateKey: " A_X448_PRIV "\n"
#define MINIMAL_PEERS                                                       \
    "  remoteParticipants:\n"                                               \
    "    -\n"                                                               \
    "    - - {id: b, uri: 'http://b:9080', primaryPublicKey: " B_X25519_PUB \
    ", secondaryPublicKey: " B_X448_PUB "}\n"                               \
    "    - - {id: c, uri: 'http://c:9080', primaryPublicKey: " C_X25519_PUB \
    ", secondaryPublicKey: " C_X448_PUB "}\n"
#define MINIMAL MINIMAL_HEAD MINIMAL_PEERS

#endif
