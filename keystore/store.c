#include "keystore/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "keystore/sql.h"

void ks_enter(ks *s)
{
    TDSA_ASSERT(pthread_mutex_lock(&s->mu) == 0);
    ks_key_expire(s);
    if (s->backend != NULL) {
        ks_identity_follow(s);
    }
}

void ks_leave(ks *s)
{
    ks_key_expire(s);
    if (s->backend != NULL) {
        s->backend->fencing = false;
    }
    TDSA_ASSERT(pthread_mutex_unlock(&s->mu) == 0);
}

tdsa_status ks_leave_commit(ks *s, tdsa_status st)
{
    if (st == TDSA_OK) {
        s->stats.commits++;
    }
    ks_leave(s);
    return st;
}

tdsa_status ks_check_key_id(const char *key_id, tdsa_err *err)
{
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789_.-";
    const size_t len = strnlen(key_id, KS_KEY_ID_MAX + 1);

    if (len == 0 || len > KS_KEY_ID_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a key id has 1 to %u characters", KS_KEY_ID_MAX);
    }
    if (strspn(key_id, legal) != len) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "a key id has letters, digits, '_', '.' and '-' only");
    }
    return TDSA_OK;
}

const ks_sql_driver *ks_driver_of_a_test;

/* The driver of a database that speaks SQL. */
static const ks_sql_driver *find_driver(const char *name)
{
    const ks_sql_driver *const all[] = {
        &ks_driver_sqlite,
        &ks_driver_postgres,
        &ks_driver_mariadb,
        ks_driver_of_a_test,
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] != NULL && strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    return NULL;
}

static tdsa_status open_backend(ks_backend **out, const ks_cfg *cfg, tdsa_err *err)
{
    const char *name = cfg->backend != NULL ? cfg->backend : "";
    const ks_sql_driver *driver = find_driver(name);

    if (driver != NULL) {
        return ks_sql_open(out, driver, cfg, err);
    }
    if (strcmp(name, ks_backend_memory.name) == 0) {
        return ks_backend_memory.open(out, cfg, err);
    }
    *out = NULL;
    return TDSA_FAIL(err, TDSA_E_CONFIG,
                     "no database backend '%.40s'; there are sqlite, postgres, mariadb, memory",
                     name);
}

static tdsa_status open_encryptor(ks *s, const ks_cfg *cfg, tdsa_err *err)
{
    tdsa_status st = ks_encryptor_open(&s->encryptor, cfg, err);

    s->rows_clear = st == TDSA_OK && s->encryptor == NULL;
    if (s->rows_clear) {
        tdsa_logf(s->log, TDSA_LOG_WARN, KS_LOGGER,
                  "NO ENCRYPTION KEY: key shares are stored in clear; set encryptionKey or a "
                  "wrapping key");
    }
    return st;
}

/* A random number made with the database: lanes of different databases differ too. */
static tdsa_status store_id(ks *s, uint64_t *out, tdsa_err *err)
{
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;
    const ks_backend_ops *ops = s->backend->ops;
    uint8_t fresh[sizeof *out];
    tdsa_reader r;
    tdsa_status st = ops->meta_get(s->backend, KS_META_STORE_ID, &value, err);

    if (st == TDSA_E_NOT_FOUND) {
        st = tdsa_rng_fill(&s->rng, fresh, sizeof fresh, err);
        if (st == TDSA_OK) {
            st = ops->meta_create(s->backend, KS_META_STORE_ID, fresh, sizeof fresh, err);
        }
        if (st == TDSA_OK || st == TDSA_E_CONFLICT) { /* or another process was first */
            st = ops->meta_get(s->backend, KS_META_STORE_ID, &value, err);
        }
    }
    if (st != TDSA_OK) {
        return st;
    }
    r = tdsa_reader_of(value.data, value.len);
    *out = tdsa_read_u64(&r);
    if (tdsa_reader_finish(&r, "store id", err) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_STORE, "the store id of the database is damaged");
    }
    return TDSA_OK;
}

/* A bijection on 64 bits (the finaliser of splitmix64), so that lanes do not look like counters
 * and different starts never share one. */
static uint64_t mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static tdsa_status raise_start_counter(ks *s, tdsa_err *err)
{
    uint64_t id = 0;
    tdsa_status st = store_id(s, &id, err);

    s->marks.store_id = id;
    if (st == TDSA_OK) {
        st = ks_identity_at_open(s, err);
    }
    if (st == TDSA_OK) {
        st = ks_count_start(s, err);
    }
    if (st == TDSA_OK) {
        s->lane = mix64(id + s->stats.start_counter);
    }
    return st;
}

static tdsa_status check_cfg(const ks_cfg *cfg, tdsa_err *err)
{
    if (cfg->rng.fill == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the keystore was given no random numbers");
    }
    return TDSA_OK;
}

tdsa_status ks_open(ks **out, const ks_cfg *cfg, tdsa_err *err)
{
    ks *s = NULL;
    tdsa_status st = check_cfg(cfg, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the keystore");
    }
    TDSA_ASSERT(pthread_mutex_init(&s->mu, NULL) == 0);
    TDSA_ASSERT(pthread_mutex_init(&s->unlock_mu, NULL) == 0);
    TDSA_ASSERT(pthread_mutex_init(&s->marks_mu, NULL) == 0);
    s->rng = cfg->rng;
    s->clock = cfg->clock.mono_ms != NULL ? cfg->clock : tdsa_os_clock();
    s->log = cfg->log;
    s->ring.takes_clear = cfg->takes_clear;
    s->key_expires = cfg->data_key_expires && cfg->encryptor != KS_ENCRYPTOR_NONE;
    s->key_lifetime_ms = cfg->data_key_lifetime_ms;
    if (cfg->counter_file != NULL) {
        s->counter_file = calloc(1, strlen(cfg->counter_file) + 1);
        if (s->counter_file == NULL) {
            st = TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the keystore");
        } else {
            memcpy(s->counter_file, cfg->counter_file, strlen(cfg->counter_file));
        }
    }
    if (st == TDSA_OK) {
        st = open_encryptor(s, cfg, err);
    }
    if (st == TDSA_OK) {
        st = open_backend(&s->backend, cfg, err);
    }
    if (st == TDSA_OK) {
        st = ks_data_key_check(s, err);
    }
    if (st == TDSA_OK && (cfg->unlock_at_open || !ks_needs_login(s))) {
        st = ks_data_key_load(s, NULL, 0, err);
    }
    if (st == TDSA_OK) {
        st = raise_start_counter(s, err);
    }
    if (st != TDSA_OK) {
        ks_close(s);
        return st;
    }
    *out = s;
    return TDSA_OK;
}

tdsa_status ks_create_tables(const ks_cfg *cfg, tdsa_err *err)
{
    ks_backend *backend = NULL;
    tdsa_status st = open_backend(&backend, cfg, err);

    if (st == TDSA_OK) {
        backend->ops->close(backend);
    }
    return st;
}

static void forget(ks *s)
{
    ks_key_forget(s);
    if (s->encryptor != NULL) {
        s->encryptor->ops->close(s->encryptor);
    }
    (void)pthread_mutex_destroy(&s->marks_mu);
    (void)pthread_mutex_destroy(&s->unlock_mu);
    (void)pthread_mutex_destroy(&s->mu);
    free(s->counter_file);
    free(s);
}

void ks_close(ks *s)
{
    if (s == NULL) {
        return;
    }
    if (s->backend != NULL) {
        s->backend->ops->close(s->backend);
    }
    forget(s);
}

static bool hold_backend(ks *s, bool wait)
{
    return s->backend->ops->hold == NULL || s->backend->ops->hold(s->backend, wait);
}

void ks_fork_prepare(ks *s)
{
    TDSA_ASSERT(pthread_mutex_lock(&s->unlock_mu) == 0);
    ks_enter(s);
    TDSA_ASSERT(hold_backend(s, true));
    s->forking = true;
}

static void leave_all(ks *s)
{
    s->forking = false;
    ks_leave(s);
    TDSA_ASSERT(pthread_mutex_unlock(&s->unlock_mu) == 0);
}

void ks_fork_parent(ks *s)
{
    if (s->backend->ops->release != NULL) {
        s->backend->ops->release(s->backend);
    }
    leave_all(s);
}

void ks_abandon(ks *s)
{
    if (s == NULL) {
        return;
    }
    if (!s->forking) {
        /* A thread of the parent may have been inside a call when the process forked. It does not
         * exist here, so the lock stays taken and the object may be half changed: leave it all. */
        if (pthread_mutex_trylock(&s->unlock_mu) != 0) {
            return;
        }
        if (pthread_mutex_trylock(&s->mu) != 0) {
            TDSA_ASSERT(pthread_mutex_unlock(&s->unlock_mu) == 0);
            return;
        }
        if (!hold_backend(s, false)) {
            leave_all(s);
            return;
        }
    }
    s->backend->ops->abandon(s->backend);
    s->backend = NULL;
    leave_all(s);
    forget(s); /* memory of this process alone: the parent's copy stays */
}

tdsa_status ks_unlock(ks *s, const char *pin, size_t pin_len, tdsa_err *err)
{
    return ks_data_key_load(s, pin, pin_len, err);
}

tdsa_status ks_check_pin(ks *s, const char *pin, size_t pin_len, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    TDSA_ASSERT(pthread_mutex_lock(&s->unlock_mu) == 0);
    if (s->encryptor != NULL && s->encryptor->ops->check_pin != NULL) {
        st = pin == NULL || pin_len == 0 /* not that of the configuration */
                 ? TDSA_FAIL(err, TDSA_E_LOGIN, "no PIN was given")
                 : s->encryptor->ops->check_pin(s->encryptor, pin, pin_len, err);
    }
    TDSA_ASSERT(pthread_mutex_unlock(&s->unlock_mu) == 0);
    return st;
}

void ks_lock(ks *s)
{
    ks_enter(s);
    ks_key_forget(s);
    ks_leave(s);
}

bool ks_is_unlocked(ks *s)
{
    return s->unlocked;
}

bool ks_needs_login(const ks *s)
{
    return s->encryptor != NULL && s->encryptor->ops->needs_login;
}

tdsa_status ks_ping(ks *s, tdsa_err *err)
{
    tdsa_status st;

    if (s->backend->ping_apart) { /* not behind a call that waits for the database */
        st = s->backend->ops->ping(s->backend, err);
        if (st == TDSA_OK && pthread_mutex_trylock(&s->mu) == 0) {
            ks_ring_watch(s);
            ks_leave(s);
        }
        return st;
    }
    ks_enter(s);
    st = s->backend->ops->ping(s->backend, err);
    if (st == TDSA_OK) {
        ks_ring_watch(s);
    }
    ks_leave(s);
    return st;
}

tdsa_status ks_change_counter(ks *s, uint64_t *out, tdsa_err *err)
{
    const bool apart = s->backend->counter_apart; /* not behind a commit that waits for the disk */
    tdsa_status st;

    *out = 0;
    if (!apart) {
        ks_enter(s);
    }
    st = s->backend->ops->change_counter(s->backend, out, err);
    if (st == TDSA_OK) {
        *out += s->change_shift;
        s->change_last = *out;
    }
    if (!apart) {
        ks_leave(s);
    }
    return st;
}

uint64_t ks_lane(const ks *s)
{
    return s->lane;
}

void ks_get_stats(ks *s, ks_stats *out)
{
    ks_enter(s);
    *out = s->stats;
    ks_leave(s);
}
