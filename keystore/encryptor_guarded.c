#include "keystore/encryptor_guarded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "keystore/guard.h"

/* A start and the first login may be slow; afterwards a request waits. */
#define FIRST_MS    10000u
#define LEAST_MS    1000u
#define PIN_LEN_MAX 1024u /* longer ones are cut: every token refuses them */

typedef struct {
    ks_encryptor base;
    ks_encryptor_ops ops;
    ks_encryptor *inner;
    ks_guard *guard;
    char what[128]; /* for errors */
} guarded;

typedef enum { WRAP, UNWRAP, RENEW, DESTROY, CHECK } call_kind;

typedef struct {
    const char *pin;
    size_t pin_len;
} login;

/* A call, with copies of all that it uses: it may go on when its caller has given it up. */
typedef struct {
    ks_encryptor *inner;
    call_kind what; /* WRAP: data_key is there; UNWRAP: it comes back */
    uint8_t kcv[KS_KCV_LEN];
    tdsa_secret *pin; /* with a NUL; NULL: none given */
    size_t pin_len;
    tdsa_buf wrapped;
    tdsa_secret *data_key;
} call;

static guarded *self(ks_encryptor *e)
{
    return (guarded *)(void *)e;
}

static void drop(void *ctx)
{
    call *c = ctx;

    tdsa_secret_free(c->pin);
    tdsa_secret_free(c->data_key);
    tdsa_buf_clear(&c->wrapped);
    free(c);
}

static tdsa_status run(void *ctx, tdsa_err *err)
{
    call *c = ctx;
    const char *pin = c->pin != NULL ? (const char *)tdsa_secret_view(c->pin) : NULL;

    switch (c->what) {
    case WRAP:
        return c->inner->ops->wrap(c->inner, pin, c->pin_len, c->data_key, &c->wrapped, err);
    case UNWRAP:
        return c->inner->ops->unwrap(c->inner, pin, c->pin_len, c->wrapped.data, c->wrapped.len,
                                     &c->data_key, err);
    case RENEW:
        return c->inner->ops->renew(c->inner, pin, c->pin_len, c->kcv, err);
    case DESTROY:
        return c->inner->ops->destroy(c->inner, pin, c->pin_len, c->kcv, err);
    case CHECK:
        return c->inner->ops->check_pin(c->inner, pin, c->pin_len, err);
    }
    return TDSA_FAIL(err, TDSA_E_INTERNAL, "no such call of an encryptor");
}

static tdsa_status new_call(call **out, ks_encryptor *inner, const char *pin, size_t pin_len,
                            tdsa_err *err)
{
    call *c = calloc(1, sizeof *c);
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (c == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an encryptor");
    }
    c->inner = inner;
    c->pin_len = pin_len < PIN_LEN_MAX ? pin_len : PIN_LEN_MAX;
    if (pin != NULL) {
        st = tdsa_secret_new(&c->pin, c->pin_len + 1, err);
    }
    if (st != TDSA_OK) {
        drop(c);
        return st;
    }
    if (pin != NULL) {
        memcpy(tdsa_secret_bytes(c->pin), pin, c->pin_len);
    }
    *out = c;
    return TDSA_OK;
}

/* Makes the call; true when it came back, and is the caller's to drop. */
static bool make(guarded *e, call *c, tdsa_status *st, tdsa_err *err)
{
    const ks_guard_job job = {run, drop, c};
    bool given_up = false;

    *st = ks_guard_call(e->guard, &job, &given_up, err);
    return !given_up;
}

static tdsa_status guarded_wrap(ks_encryptor *base, const char *pin, size_t pin_len,
                                const tdsa_secret *data_key, tdsa_buf *wrapped, tdsa_err *err)
{
    guarded *e = self(base);
    call *c = NULL;
    tdsa_status st = new_call(&c, e->inner, pin, pin_len, err);

    if (st != TDSA_OK) {
        return st;
    }
    c->what = WRAP;
    st = tdsa_secret_copy(&c->data_key, tdsa_secret_view(data_key), tdsa_secret_len(data_key), err);
    if (st == TDSA_OK && !make(e, c, &st, err)) {
        return st;
    }
    if (st == TDSA_OK) {
        tdsa_buf_append(wrapped, c->wrapped.data, c->wrapped.len);
        st = tdsa_buf_check(wrapped, err);
    }
    drop(c);
    return st;
}

static tdsa_status guarded_unwrap(ks_encryptor *base, const char *pin, size_t pin_len,
                                  const uint8_t *wrapped, size_t wrapped_len,
                                  tdsa_secret **data_key, tdsa_err *err)
{
    guarded *e = self(base);
    call *c = NULL;
    tdsa_status st = new_call(&c, e->inner, pin, pin_len, err);

    *data_key = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    c->what = UNWRAP;
    tdsa_buf_append(&c->wrapped, wrapped, wrapped_len);
    st = tdsa_buf_check(&c->wrapped, err);
    if (st == TDSA_OK && !make(e, c, &st, err)) {
        return st;
    }
    if (st == TDSA_OK) {
        *data_key = c->data_key;
        c->data_key = NULL;
    }
    drop(c);
    return st;
}

/* Calls that are about a wrapping key or a PIN alone. */
static tdsa_status about_key_or_pin(ks_encryptor *base, call_kind kind, const login *with,
                                    uint8_t kcv[KS_KCV_LEN], tdsa_err *err)
{
    guarded *e = self(base);
    call *c = NULL;
    tdsa_status st = new_call(&c, e->inner, with->pin, with->pin_len, err);

    if (st != TDSA_OK) {
        return st;
    }
    c->what = kind;
    memcpy(c->kcv, kcv, KS_KCV_LEN);
    if (!make(e, c, &st, err)) {
        return st;
    }
    memcpy(kcv, c->kcv, KS_KCV_LEN);
    drop(c);
    return st;
}

static tdsa_status guarded_renew(ks_encryptor *base, const char *pin, size_t pin_len,
                                 uint8_t kcv[KS_KCV_LEN], tdsa_err *err)
{
    memset(kcv, 0, KS_KCV_LEN);
    return about_key_or_pin(base, RENEW, &(login){pin, pin_len}, kcv, err);
}

static tdsa_status guarded_destroy(ks_encryptor *base, const char *pin, size_t pin_len,
                                   const uint8_t kcv[KS_KCV_LEN], tdsa_err *err)
{
    uint8_t copy[KS_KCV_LEN];

    memcpy(copy, kcv, KS_KCV_LEN);
    return about_key_or_pin(base, DESTROY, &(login){pin, pin_len}, copy, err);
}

static tdsa_status guarded_check_pin(ks_encryptor *base, const char *pin, size_t pin_len,
                                     tdsa_err *err)
{
    uint8_t none[KS_KCV_LEN] = {0};

    return about_key_or_pin(base, CHECK, &(login){pin, pin_len}, none, err);
}

static void close_inner(void *ctx)
{
    guarded *e = ctx;

    e->inner->ops->close(e->inner);
    free(e);
}

static void guarded_close(ks_encryptor *base)
{
    ks_guard_free(self(base)->guard, close_inner, self(base));
}

tdsa_status ks_encryptor_guard(ks_encryptor **e, const ks_cfg *cfg, tdsa_err *err)
{
    const uint32_t limit = cfg->encryptor_limit_ms;
    guarded *g = calloc(1, sizeof *g);
    ks_guard_cfg guard = {NULL, limit != 0 ? limit : FIRST_MS, limit != 0 ? limit : LEAST_MS};
    tdsa_status st;

    if (g == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an encryptor");
    }
    (void)snprintf(g->what, sizeof g->what, "encryptor %s", (*e)->name);
    guard.what = g->what;
    st = ks_guard_new(&g->guard, &guard, err);
    if (st != TDSA_OK) {
        free(g);
        return st;
    }
    g->inner = *e;
    g->ops = *g->inner->ops;
    g->ops.wrap = guarded_wrap;
    g->ops.unwrap = guarded_unwrap;
    g->ops.renew = g->ops.renew != NULL ? guarded_renew : NULL;
    g->ops.destroy = g->ops.destroy != NULL ? guarded_destroy : NULL;
    g->ops.check_pin = g->ops.check_pin != NULL ? guarded_check_pin : NULL;
    g->ops.close = guarded_close;
    g->base = **e;
    g->base.ops = &g->ops;
    *e = &g->base;
    return TDSA_OK;
}
