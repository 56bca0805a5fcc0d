#ifndef TDSA_BASE_AUDIT_H
#define TDSA_BASE_AUDIT_H

#include "base/env.h"
#include "base/hash.h"

/**
 * The audit log: what was done with keys, each act recorded durably before it happens. An act whose
 * record cannot be made is refused.
 *
 * A record is one line of JSON:
 *
 *   {"seq":2,"time":"2026-01-31T12:00:00.000Z","participant":1,"event":"key.reshare","keyId":"...",
 *    "detail":"...","prev":"<hash of the record before>","hash":"<hash of this one>"}
 *
 * `hash` is the SHA-256 of the line up to `,"hash":`; `prev` of record 1 is 64 zeros. So a record that
 * is edited, removed, added or moved breaks the chain. Whoever may write the file can make a whole new
 * chain: note the last hash elsewhere from time to time (docs/operations.md).
 */

/** Longest line, without its end. */
#define TDSA_AUDIT_LINE_MAX 1024u
/** A line that a crash left unfinished; its record says how long it is, and its hash. */
#define TDSA_AUDIT_EVENT_TORN "audit.torn"

/** One act. Nothing in it may be secret; characters beyond printable ASCII are written as '?'. */
typedef struct {
    uint16_t participant; /* who records it: participantIndex */
    const char *event;    /* "key.reshare": at most 40 characters */
    const char *key_id;   /* NULL: of no key; at most 64 characters */
    const char *detail;   /* for people; NULL: none; cut at 256 characters */
} tdsa_audit_event;

/** Where records go, handed in like clock and log. A table without a function records nothing. */
typedef struct {
    /** Durable when it returns. Errors: TDSA_E_STORE (cannot be written, or the chain is broken),
     * TDSA_E_BUSY (another process holds the log). Then nothing may be done. */
    tdsa_status (*record)(void *ctx, const tdsa_audit_event *event, tdsa_err *err);
    void *ctx;
} tdsa_audit;

/* ---- the chain ---- */

/** A record as the next one names it. */
typedef struct {
    uint64_t seq; /* from 1; 0: no record yet, then hash is zero */
    uint8_t hash[32];
} tdsa_audit_point;

/** Appends the line after `last` with its end, and moves `last` to it. Errors: TDSA_E_BAD_INPUT (too
 * long), TDSA_E_CRYPTO, TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status tdsa_audit_format(tdsa_buf *out, tdsa_audit_point *last, uint64_t wall_ms,
                                            const tdsa_audit_event *event, tdsa_err *err)
    TDSA_NONNULL;

typedef enum {
    TDSA_AUDIT_TORN,    /* a crash left it, and the next record says so */
    TDSA_AUDIT_TAIL,    /* unfinished bytes at the end: the next record will say so */
    TDSA_AUDIT_GARBAGE, /* no record */
    TDSA_AUDIT_EDITED,  /* its hash is another */
    TDSA_AUDIT_MISSING, /* records before it are not there */
    TDSA_AUDIT_ORDER,   /* its number was there already: moved or doubled */
    TDSA_AUDIT_BROKEN,  /* the right number, but it does not continue the record before it */
    TDSA_AUDIT_OTHER    /* not the record of this number that was noted elsewhere */
} tdsa_audit_flaw;

typedef struct {
    tdsa_audit_flaw flaw;
    uint64_t line; /* from 1, in its file */
    char text[160];
} tdsa_audit_finding;
/** False for what a crash leaves and nobody has to explain. */
bool tdsa_audit_is_evidence(tdsa_audit_flaw flaw);
typedef void (*tdsa_audit_finding_fn)(void *ctx, const tdsa_audit_finding *finding);

typedef struct {
    const tdsa_audit_point *from; /* the record before the first; NULL: whichever the first names */
    const tdsa_audit_point *noted; /* a record that must be this one if it is there; may be NULL */
    tdsa_audit_finding_fn fn;      /* may be NULL */
    void *ctx;
} tdsa_audit_check;

typedef struct {
    uint64_t first, records; /* number of the first record (0: none), and how many */
    tdsa_audit_point last;
    uint64_t flaws, evidence; /* findings; of them those that a crash does not explain */
    bool noted_seen;
    uint64_t good_len;     /* bytes of this file up to the end of the last record */
    uint64_t torn_len;     /* bytes after it that are no record, without a line end at their end */
    uint8_t torn_hash[32]; /* SHA-256 of them */
    bool line_open;        /* the file does not end in a line end */
} tdsa_audit_result;

/** Checks records in the order in which they were made, in pieces of any size. */
typedef struct tdsa_audit_verifier tdsa_audit_verifier;
/** Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status tdsa_audit_verifier_new(tdsa_audit_verifier **out,
                                                  const tdsa_audit_check *check, tdsa_err *err)
    TDSA_NONNULL;
/** Errors: TDSA_E_CRYPTO. What is wrong in the bytes is told to the function of findings. */
TDSA_MUST_USE tdsa_status tdsa_audit_verifier_take(tdsa_audit_verifier *v, const uint8_t *bytes,
                                                   size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
/** The file ends; another that continues it may follow. `out` tells of all so far. */
TDSA_MUST_USE tdsa_status tdsa_audit_verifier_end(tdsa_audit_verifier *v, tdsa_audit_result *out,
                                                  tdsa_err *err) TDSA_NONNULL;
void tdsa_audit_verifier_free(tdsa_audit_verifier *v);

/* ---- the file (os_audit.c) ---- */

/** A log file. It keeps nothing open between records; any thread, any number of processes. */
typedef struct tdsa_os_audit tdsa_os_audit;

/**
 * Makes the log usable: creates `path` and `path`.head, which holds the last record's number, hash and
 * place, and checks that they fit. A line that a crash left unfinished is closed by the next record.
 * `path` may be renamed at any time: the next record begins a new file and continues the chain.
 *
 * Errors: TDSA_E_CONFIG (no such folder, no right, not a file, path too long), TDSA_E_STORE (the file
 * does not continue what its head says: edited, shortened or exchanged), TDSA_E_BUSY, TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status tdsa_os_audit_new(tdsa_os_audit **out, const char *path, tdsa_clock clock,
                                            tdsa_err *err) TDSA_NONNULL;
void tdsa_os_audit_free(tdsa_os_audit *a);
/** As it is handed to others; lent from `a`. NULL: records nothing. */
tdsa_audit tdsa_os_audit_table(tdsa_os_audit *a);

/** Checks files, oldest first. Errors: TDSA_E_NOT_FOUND (cannot be read), TDSA_E_STORE, CRYPTO; what is
 * wrong with records is in the findings and in out->evidence. */
TDSA_MUST_USE tdsa_status tdsa_os_audit_verify(tdsa_audit_result *out, const char *const *paths,
                                               size_t count, const tdsa_audit_check *check,
                                               tdsa_err *err) TDSA_NONNULL;

#endif
