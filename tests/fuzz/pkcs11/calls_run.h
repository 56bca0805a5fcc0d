#ifndef FUZZ_PKCS11_CALLS_RUN_H
#define FUZZ_PKCS11_CALLS_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkcs11-provider/cryptoki.h"

#define SESSIONS 4u
#define OBJECTS  8u

/** What all threads share. */
typedef struct {
    const p11_table_3_2 *f;
    _Atomic CK_SESSION_HANDLE session[SESSIONS];
    _Atomic CK_OBJECT_HANDLE object[OBJECTS];
    CK_BYTE cert[1024]; /* a certificate, */
    CK_ULONG cert_len;
    CK_BYTE point[67]; /* and a public key of nobody's: DER; raw from 2 on */
} world;

/** What the standard says of an operation of a session. */
typedef struct {
    bool active;
    bool started; /* an Update was made */
    bool first;   /* C_VerifySignatureInit: the signature came first */
} op_model;

typedef struct {
    bool open, rw;
    op_model sign, verify, digest, find, message_sign, message_verify;
} session_model;

#define KEPT 32u

/** One thread: its part of the input, and, when it is alone, the model of all sessions. */
typedef struct {
    world *w;
    const uint8_t *data;
    size_t len, pos;
    bool alone;
    session_model session[SESSIONS];
    bool logged_in;
    CK_OBJECT_HANDLE private_seen, private_before; /* since the last logout; before it: dead */
    void *kept[KEPT]; /* buffers of this step, each of its exact length */
    size_t kept_count;
} run;

/** Aborts unless it is so: the finding. */
void must(bool ok);
/** A code that the module documents, and never an internal error. */
CK_RV known(CK_RV rv);
/** The next byte of the input; 0 at its end. */
uint8_t take(run *r);
/** A buffer of exactly this length until the step ends; NULL for none. */
CK_BYTE *room(run *r, CK_ULONG len);
/** Some bytes of the input, in such a buffer. */
CK_BYTE *some_bytes(run *r, CK_ULONG max, CK_ULONG *len);
void forget_buffers(run *r);
CK_OBJECT_HANDLE some_object(run *r);
void remember_object(run *r, CK_OBJECT_HANDLE h);
/** NULL now and then; its parameter may be odd. */
CK_MECHANISM *some_mechanism(run *r);
/** Mostly attributes that fit each other; up to 6. */
CK_ATTRIBUTE *some_template(run *r, CK_ULONG *count);

/* What a call must have answered, when the thread is alone; each keeps the model up to date. */

/** Of any call with a session: true when the session is open and there is more to check. */
bool check_session(run *r, size_t i, CK_RV rv);
void check_init(op_model *m, CK_RV rv, bool cancels);
void check_update(op_model *m, CK_RV rv);
/** Of a call that may end the operation; in_order: not the wrong function for what went before. */
void check_end(op_model *m, CK_RV rv, bool in_order, bool query);
void model_closed(run *r, size_t i);
void model_logged_out(run *r);

/* Calls in session i, whose handle is s. */
void call_sign(run *r, size_t i, CK_SESSION_HANDLE s);
void call_verify(run *r, size_t i, CK_SESSION_HANDLE s);
void call_verify_signature(run *r, size_t i, CK_SESSION_HANDLE s);
void call_digest(run *r, size_t i, CK_SESSION_HANDLE s);
void call_message(run *r, size_t i, CK_SESSION_HANDLE s);
/** A call of a function that the token does not have. */
void call_absent(run *r, CK_SESSION_HANDLE s);

#endif
