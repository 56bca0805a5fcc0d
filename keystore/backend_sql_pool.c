#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "keystore/backend_sql.h"

/*
 * Connections of one store: the one that works, whose calls the store serialises, and a spare one for what
 * does not wait for them: ks_ping on a server, the counter of changes in a file. Each is a ks_sql of its own.
 * One that is lost is made again by the next call, so nothing has to be restarted when a server comes back.
 */

#define WAIT_MS  30000u /* when the configuration says nothing */
#define RETRY_MS 100u
#define QUIET_MS 5000u

static uint64_t now_ms(void)
{
    const tdsa_clock clock = tdsa_os_clock();

    return clock.mono_ms(clock.ctx);
}

void ks_sql_pause(uint32_t ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000u),
                            .tv_nsec = (long)(ms % 1000u) * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static const ks_pool *pool_of(const ks_sql *q)
{
    const ks_cfg *cfg = ks_sql_place_cfg(q->place);

    return cfg->server != NULL ? &cfg->server->pool : NULL;
}

void ks_sql_drop(ks_sql *q)
{
    if (q->conn != NULL) {
        q->driver->close(q->conn);
    }
    q->conn = NULL;
    q->key_changes_known = false;
}

/* Which database this is: after a lost connection it must still be the same one. */
static tdsa_status compare_identity(ks_sql *q, ks_sql_conn *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF now = TDSA_BUF_EMPTY;
    tdsa_status st = q->driver->identity(c, &now, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (now.len >= sizeof q->identity) {
        now.len = sizeof q->identity - 1;
    }
    if (q->identity[0] != '\0' &&
        (strlen(q->identity) != now.len || memcmp(q->identity, now.data, now.len) != 0)) {
        q->moved = true;
        tdsa_logf(q->log, TDSA_LOG_WARN, KS_LOGGER, "database %s: now %.*s, it was %s", c->name,
                  (int)now.len, (const char *)now.data, q->identity);
    }
    memcpy(q->identity, now.data, now.len);
    q->identity[now.len] = '\0';
    return TDSA_OK;
}

tdsa_status ks_sql_connect(ks_sql *q, const ks_cfg *cfg, tdsa_err *err)
{
    ks_sql_conn *c = NULL;
    tdsa_status st = q->driver->connect(&c, cfg, err);

    if (st == TDSA_OK) {
        st = ks_sql_migrate(q, c, cfg->create_tables, err);
    }
    if (st == TDSA_OK) {
        st = q->driver->prepare(c, err);
    }
    if (st == TDSA_OK && !q->is_spare) {
        st = compare_identity(q, c, err);
    }
    if (st != TDSA_OK) {
        if (c != NULL) {
            q->driver->close(c);
        }
        return st;
    }
    q->conn = c;
    q->born_ms = now_ms();
    return TDSA_OK;
}

static uint64_t wait_of(const ks_sql *q)
{
    const ks_pool *pool = pool_of(q);

    if (pool == NULL || q->is_spare) {
        return 0;
    }
    return pool->wait_ms != 0 ? pool->wait_ms : WAIT_MS;
}

/* One try. A server that is silent costs the time of connecting: for as long as a try took, calls fail at
 * once, so that they do not stand in line behind one another. */
static tdsa_status try_once(ks_sql *q, tdsa_err *err)
{
    const uint64_t from = now_ms();
    const tdsa_status st = ks_sql_connect(q, ks_sql_place_cfg(q->place), err);
    uint64_t took;

    if (st == TDSA_OK) {
        return st;
    }
    took = now_ms() - from;
    if (took < RETRY_MS) {
        took = RETRY_MS;
    }
    q->quiet_until_ms = now_ms() + (took < QUIET_MS ? took : QUIET_MS);
    q->down_because = *err;
    return st;
}

/* Waits from the beginning of an outage, not from that of the call: when the time is over, calls fail
 * after one try each instead of one after the other using it up. */
static tdsa_status reconnect(ks_sql *q, tdsa_err *err)
{
    const uint64_t wait = wait_of(q);
    const bool known = q->down;

    if (!q->down) {
        q->down = true;
        q->down_since_ms = now_ms();
    } else if (now_ms() - q->down_since_ms >= wait && now_ms() < q->quiet_until_ms) {
        *err = q->down_because;
        return err->status;
    }
    for (;;) {
        const tdsa_status st = try_once(q, err);

        if (st == TDSA_OK) {
            q->down = false;
            if (known) {
                tdsa_logf(q->log, TDSA_LOG_INFO, KS_LOGGER, "database %s answers again",
                          q->conn->name);
            }
            return TDSA_OK;
        }
        if (st != TDSA_E_STORE || now_ms() - q->down_since_ms >= wait) {
            return st;
        }
        ks_sql_pause(RETRY_MS);
    }
}

/* Whether the connection that is there may be used as it is. */
static bool fit(ks_sql *q, uint64_t now)
{
    const ks_pool *pool = pool_of(q);

    if (pool == NULL) {
        return true;
    }
    if (pool->max_age_ms != 0 && now - q->born_ms >= pool->max_age_ms) {
        return false;
    }
    return now - q->used_ms < pool->validation_ms ||
           q->driver->valid(q->conn,
                            pool->validation_query != NULL ? pool->validation_query : "SELECT 1");
}

/* Closes the spare one when nobody wanted it for long. */
static void let_go(ks_sql *q, uint64_t now)
{
    const ks_pool *pool = pool_of(q);

    if (q->spare == NULL || pool == NULL || pool->idle_ms == 0 ||
        pthread_mutex_trylock(&q->spare_mu) != 0) {
        return;
    }
    if (now - q->spare->used_ms >= pool->idle_ms) {
        ks_sql_drop(q->spare);
    }
    TDSA_ASSERT(pthread_mutex_unlock(&q->spare_mu) == 0);
}

tdsa_status ks_sql_ensure(ks_sql *q, tdsa_err *err)
{
    const uint64_t now = now_ms();
    tdsa_status st = TDSA_OK;

    let_go(q, now);
    if (q->conn != NULL && !fit(q, now)) {
        ks_sql_drop(q);
    }
    if (q->conn == NULL) {
        st = reconnect(q, err);
    }
    q->used_ms = now_ms();
    return st;
}

tdsa_status ks_sql_add_spare(ks_sql *q, tdsa_err *err)
{
    const ks_pool *pool = pool_of(q);
    const bool of_file = pool == NULL && q->driver->data_version != NULL;

    if (!of_file && (pool == NULL || pool->max == 1)) {
        return TDSA_OK;
    }
    q->spare = ks_sql_new(q->driver, q->place, err);
    if (q->spare == NULL) {
        return TDSA_E_NO_MEMORY;
    }
    q->spare->is_spare = true;
    q->spare->log = q->log;
    TDSA_ASSERT(pthread_mutex_init(&q->spare_mu, NULL) == 0);
    q->base.ping_apart = pool != NULL;
    q->base.counter_apart = of_file;
    if (pool != NULL && pool->initial >= 2 && ks_sql_ensure(q->spare, err) != TDSA_OK) {
        tdsa_logf(q->log, TDSA_LOG_WARN, KS_LOGGER, "the connection for health checks: %s",
                  err->text);
    }
    return TDSA_OK;
}

bool ks_sql_hold(ks_backend *b, bool wait)
{
    ks_sql *q = ks_sql_of(b);

    if (q->spare == NULL) {
        return true;
    }
    if (wait) {
        TDSA_ASSERT(pthread_mutex_lock(&q->spare_mu) == 0);
        return true;
    }
    return pthread_mutex_trylock(&q->spare_mu) == 0;
}

void ks_sql_release(ks_backend *b)
{
    ks_sql *q = ks_sql_of(b);

    if (q->spare != NULL) {
        TDSA_ASSERT(pthread_mutex_unlock(&q->spare_mu) == 0);
    }
}

static tdsa_status ping_on(ks_sql *q, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt ping = ks_stmt_use(q, KS_SQL_PING);

        /* a full disk takes the lock of a writer, but no commit */
        st = ks_stmt_run(&ping, NULL, "trying to write", err);
    }
    return st;
}

tdsa_status ks_sql_ping(ks_backend *b, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st;

    if (!b->ping_apart) {
        return ping_on(q, err);
    }
    TDSA_ASSERT(pthread_mutex_lock(&q->spare_mu) == 0);
    st = ping_on(q->spare, err);
    TDSA_ASSERT(pthread_mutex_unlock(&q->spare_mu) == 0);
    return st;
}
