#include "keystore/internal.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

/*
 * How long the data key is in memory. Where it has a lifetime it is wiped when that is over, and whoever
 * needs it next asks the encryptor again. unlock_mu is held while the encryptor is asked, and mu is not:
 * a token may take long, and what needs no data key goes on meanwhile.
 */

static uint64_t now_of(const ks *s)
{
    return s->clock.mono_ms(s->clock.ctx);
}

void ks_key_expire(ks *s)
{
    if (s->key_expires && s->ring.current.secret != NULL && now_of(s) >= s->key_until_ms) {
        ks_ring_clear(&s->ring);
    }
}

static void forget_pin(ks *s)
{
    tdsa_secret_free(s->pin);
    s->pin = NULL;
}

void ks_key_forget(ks *s)
{
    ks_ring_clear(&s->ring);
    s->stale = false;
    s->unlocked = false;
    forget_pin(s);
}

static tdsa_status mark_of(uint8_t out[TDSA_DIGEST_LEN_MAX], const tdsa_secret *key, tdsa_err *err)
{
    return tdsa_hash(out, TDSA_HASH_SHA512, tdsa_secret_view(key), tdsa_secret_len(key), err);
}

tdsa_status ks_key_keep(ks *s, ks_ring *ring, tdsa_err *err)
{
    const ks_data_key *key = &ring->current;
    uint8_t mark[TDSA_DIGEST_LEN_MAX] = {0};
    tdsa_status st = key->secret == NULL ? TDSA_OK : mark_of(mark, key->secret, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (s->key_marked && s->key_mark_number == key->number &&
        !tdsa_ct_equal(s->key_mark, mark, sizeof mark)) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING,
                         "the data key of the database changed while it was open; restart");
    }
    memcpy(s->key_mark, mark, sizeof mark);
    s->key_marked = true;
    s->key_mark_number = key->number;
    ks_ring_clear(&s->ring);
    s->ring = *ring;
    *ring = (ks_ring){.takes_clear = false};
    s->unlocked = true;
    s->stale = false;
    if (s->key_expires) {
        s->key_until_ms = now_of(s) + s->key_lifetime_ms;
    }
    return TDSA_OK;
}

tdsa_status ks_key_keep_pin(ks *s, const char *pin, size_t len, tdsa_err *err)
{
    forget_pin(s);
    if (!s->key_expires || pin == NULL || len == 0 || !ks_needs_login(s)) {
        return TDSA_OK;
    }
    return tdsa_secret_copy(&s->pin, (const uint8_t *)pin, len, err);
}

/* Says once that the key is not to be had, and once that it is again; inside. */
static void tell(ks *s, tdsa_status st, const tdsa_err *err)
{
    if (st != TDSA_OK && !s->key_down) {
        tdsa_logf(s->log, TDSA_LOG_ERROR, KS_LOGGER,
                  "the data key cannot be unwrapped, and nothing that needs it works until it can "
                  "(this is said once): %s: %s",
                  tdsa_status_name(st), err->text);
    }
    if (st == TDSA_OK && s->key_down) {
        tdsa_logf(s->log, TDSA_LOG_WARN, KS_LOGGER, "the data key can be unwrapped again");
    }
    s->key_down = st != TDSA_OK;
}

void ks_key_note(ks *s, tdsa_status st, const tdsa_err *err)
{
    s->key_tries++;
    s->key_tried_ms = now_of(s);
    if (st == TDSA_OK) {
        s->stats.unwraps++;
        s->key_error = (tdsa_err){0};
    } else {
        s->stats.unwraps_failed++;
        s->key_error = *err;
    }
}

static bool wanted(const ks *s)
{
    return s->unlocked && (s->stale || (!s->rows_clear && s->ring.current.secret == NULL));
}

/* Asks the encryptor; unlock_mu is held, and mu at the end. */
static void unwrap_again(ks *s)
{
    TDSA_SCOPED_SECRET pin = NULL;
    ks_ring ring = {.takes_clear = false};
    tdsa_err err = {0};
    tdsa_status st = TDSA_OK;

    if (s->pin != NULL) { /* ks_lock may wipe it meanwhile */
        st = tdsa_secret_copy(&pin, tdsa_secret_view(s->pin), tdsa_secret_len(s->pin), &err);
    }
    ks_leave(s);
    if (st == TDSA_OK) {
        st = ks_data_key_get(s, pin != NULL ? (const char *)tdsa_secret_view(pin) : NULL,
                             pin != NULL ? tdsa_secret_len(pin) : 0, &ring, &err);
    }
    ks_enter(s);
    if (st == TDSA_OK && s->unlocked) { /* nobody locked it meanwhile */
        st = ks_key_keep(s, &ring, &err);
    }
    ks_ring_clear(&ring);
    ks_key_note(s, st, &err);
    tell(s, st, &err);
    if (st == TDSA_E_LOGIN && s->pin != NULL) {
        ks_key_forget(s); /* the token refuses the PIN of the login: it gets no second try */
    }
}

/* As ks_enter. Who waited while another's try failed takes its answer instead of a try of his own. */
static void enter_and_unwrap(ks *s, uint64_t tries)
{
    TDSA_ASSERT(pthread_mutex_lock(&s->unlock_mu) == 0);
    ks_enter(s);
    if (wanted(s) && (s->key_tries == tries || s->key_error.status == TDSA_OK)) {
        if (!ks_ring_follow(s)) {
            unwrap_again(s);
        }
    }
    TDSA_ASSERT(pthread_mutex_unlock(&s->unlock_mu) == 0);
}

void ks_enter_keyed(ks *s)
{
    uint64_t tries = 0;

    ks_enter(s);
    tries = s->key_tries;
    if (wanted(s)) {
        ks_leave(s);
        enter_and_unwrap(s, tries);
    }
}

tdsa_status ks_need_key(const ks *s, tdsa_err *err)
{
    if (!s->unlocked) {
        return TDSA_FAIL(err, TDSA_E_LOGIN, "the keystore is locked: log in first");
    }
    if ((s->ring.current.secret == NULL && !s->rows_clear) ||
        (s->stale && s->key_error.status != TDSA_OK)) {
        TDSA_ASSERT(s->key_error.status != TDSA_OK);
        *err = s->key_error;
        return err->status;
    }
    return TDSA_OK;
}

tdsa_status ks_key_check(ks *s, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;
    bool fresh = false;

    ks_enter(s);
    fresh = wanted(s) && s->key_tries > 0 && now_of(s) < s->key_tried_ms + KS_KEY_CHECK_MS;
    if (fresh && s->key_error.status != TDSA_OK) {
        *err = s->key_error;
        st = err->status;
    }
    ks_leave(s);
    if (fresh) {
        return st;
    }
    ks_enter_keyed(s);
    st = ks_need_key(s, err);
    ks_leave(s);
    return st;
}
