#ifndef TDSA_BASE_ERR_H
#define TDSA_BASE_ERR_H

#include "base/attr.h"

/** Outcome of any call that can fail. Zero is success; the rest say what the caller can do. */
typedef enum {
    TDSA_OK = 0,
    TDSA_E_BAD_INPUT,   /* the caller or the peer sent something wrong */
    TDSA_E_NOT_FOUND,   /* no such key, session, presignature or record */
    TDSA_E_DENIED,      /* policy, binding or the permission table refuses it */
    TDSA_E_LOGIN,       /* the wrapping token needs a PIN, or the PIN is wrong */
    TDSA_E_CONFLICT,    /* somebody else changed it first, or the state forbids it; read again */
    TDSA_E_LIMIT,       /* a configured limit is reached */
    TDSA_E_BUSY,        /* try again later */
    TDSA_E_UNAVAILABLE, /* a peer does not answer; err->participant says which */
    TDSA_E_TIMEOUT,     /* the deadline passed; err->participant says who was waited for */
    TDSA_E_PROTOCOL, /* a peer broke the protocol; err->participant says who, if it can be known */
    TDSA_E_VERIFY,   /* the finished signature does not verify: presignature burnt, alarm */
    TDSA_E_CRYPTO,   /* a crypto library call failed */
    TDSA_E_STORE,    /* the database failed */
    TDSA_E_WRAPPING, /* the wrapping key or its token is missing, wrong or broken */
    TDSA_E_CONFIG,   /* the configuration is wrong */
    TDSA_E_NO_MEMORY,
    TDSA_E_INTERNAL /* our own bug */
} tdsa_status;

/** No single participant is to blame. */
#define TDSA_NOBODY (-1)
/** Longest error text, with its NUL. */
#define TDSA_ERR_TEXT_MAX 256

/** Why a call failed. Lives on the caller's stack; never holds secret bytes. */
typedef struct {
    tdsa_status status;
    int participant;              /* participantIndex 0..n-1, or TDSA_NOBODY */
    const char *where;            /* "file.c:123", static storage */
    char text[TDSA_ERR_TEXT_MAX]; /* one line for people, NUL-terminated */
} tdsa_err;

/** Fills `err` and returns `status`, so a failing function can end in one line. */
tdsa_status tdsa_err_set(tdsa_err *err, tdsa_status status, const char *where, const char *fmt, ...)
    TDSA_PRINTF(4, 5) TDSA_NONNULL;

/** The same with the participant at fault. */
tdsa_status tdsa_err_blame(tdsa_err *err, tdsa_status status, unsigned participant,
                           const char *where, const char *fmt, ...) TDSA_PRINTF(5, 6) TDSA_NONNULL;

/** Puts "<context>: " before the text; keeps status, participant and place. Returns err->status. */
tdsa_status tdsa_err_wrap(tdsa_err *err, const char *fmt, ...) TDSA_PRINTF(2, 3) TDSA_NONNULL;

/** Short stable name of a status for logs, metrics and JSON, such as "BAD_INPUT". */
const char *tdsa_status_name(tdsa_status status);

/** Records the cause here and now, and gives back `status`. */
#define TDSA_FAIL(err, status, ...) tdsa_err_set((err), (status), TDSA_WHERE, __VA_ARGS__)

/** Sets TDSA_E_PROTOCOL and the participant to blame (participantIndex). */
#define TDSA_BLAME(err, who, ...) \
    tdsa_err_blame((err), TDSA_E_PROTOCOL, (unsigned)(who), TDSA_WHERE, __VA_ARGS__)

#endif
