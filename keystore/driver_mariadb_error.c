#include "keystore/driver_mariadb.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

/* Numbers of newer servers, and of MySQL, that the header may lack. */
#define ERR_SNAPSHOT_CHANGED 1020
#define ERR_IDLE_TOO_LONG    4031 /* MySQL alone: wait_timeout */

bool ks_mariadb_is_lost(unsigned number)
{
    return number == CR_SERVER_GONE_ERROR || number == CR_SERVER_LOST ||
           number == CR_CONNECTION_ERROR || number == CR_CONN_HOST_ERROR ||
           number == CR_COMMANDS_OUT_OF_SYNC || number == CR_MALFORMED_PACKET ||
           number == CR_SSL_CONNECTION_ERROR || number == ER_SERVER_SHUTDOWN ||
           number == ER_NORMAL_SHUTDOWN || number == ER_CONNECTION_KILLED ||
           number == ERR_IDLE_TOO_LONG || number == ER_QUERY_INTERRUPTED;
}

static ks_sql_step step_of(unsigned number)
{
    if (number == ER_LOCK_DEADLOCK || number == ERR_SNAPSHOT_CHANGED) {
        return KS_SQL_AGAIN;
    }
    if (number == ER_LOCK_WAIT_TIMEOUT) {
        return KS_SQL_BUSY;
    }
    return ks_mariadb_is_lost(number) ? KS_SQL_LOST : KS_SQL_FAIL;
}

typedef struct {
    unsigned number;
    bool quote; /* what the server says follows */
    const char *text;
} meaning;

static const meaning meanings[] = {
    {ER_LOCK_WAIT_TIMEOUT, false, "another process holds it for longer than the statement timeout"},
    {CR_CONN_HOST_ERROR, true, "no server answers: start it, or correct host and port"},
    {CR_CONNECTION_ERROR, true, "no server answers: start it, or correct host, port or socket"},
    {CR_UNKNOWN_HOST, true, "the host is not known: correct its name, or the DNS"},
    {CR_SSL_CONNECTION_ERROR, true,
     "TLS failed: check the CA, the host name and the server's certificate"},
    {CR_SERVER_LOST, true, "the connection broke, or the server does not answer in time"},
    {CR_SERVER_GONE_ERROR, true, "the connection is gone"},
    {ER_ACCESS_DENIED_ERROR, true, "wrong user or password, or not from this host"},
    {ER_DBACCESS_DENIED_ERROR, true, "the user may not use the database: GRANT it"},
    {ER_TABLEACCESS_DENIED_ERROR, true,
     "the user lacks a right: GRANT it, or run create-tables with an owner of the database"},
    {ER_BAD_DB_ERROR, true, "the database does not exist: CREATE DATABASE it"},
    {ER_CON_COUNT_ERROR, true, "too many connections: raise max_connections, or lower maxSize"},
    {ER_TOO_MANY_USER_CONNECTIONS, true, "too many connections of this user: raise its limit"},
    {ER_USER_LIMIT_REACHED, true, "a limit of this user is reached: raise it"},
    {ER_OPTION_PREVENTS_STATEMENT, true,
     "the server takes no writes (a replica?): use the primary"},
    {ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, false,
     "the server takes no writes: use the primary"},
    {ER_RECORD_FILE_FULL, false, "the disk or the tablespace of the server is full: make room"},
    {ER_DISK_FULL, false, "the disk of the server is full: make room"},
    {ER_NET_PACKET_TOO_LARGE, false, "a row is larger than max_allowed_packet: raise it to 16M"},
    {ER_HOST_IS_BLOCKED, true, "the server blocks this host: FLUSH HOSTS there"},
    {ER_BINLOG_STMT_MODE_AND_ROW_ENGINE, false,
     "binlog_format is STATEMENT: set it to ROW or MIXED"},
    {ER_NO_SUCH_TABLE, true, "the database is damaged, a table is gone: restore a backup"},
    {ER_BAD_FIELD_ERROR, true, "the database is damaged, a column is gone: restore a backup"},
    {ER_MAX_PREPARED_STMT_COUNT_REACHED, true, "raise max_prepared_stmt_count"},
    /* these would quote a value */
    {ER_DUP_ENTRY, false, "such a row exists already"},
    {ER_DATA_TOO_LONG, false, "a value is too long for its column"},
    {ER_TRUNCATED_WRONG_VALUE, false, "a value does not fit its column"},
    {ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, false, "a text is not UTF-8"},
    {ER_WARN_DATA_OUT_OF_RANGE, false, "a number does not fit its column"},
};

void ks_mariadb_explain(char *out, size_t room, unsigned number, const char *message)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (meanings[i].number == number) {
            (void)snprintf(out, room, meanings[i].quote ? "%s (%u: %.100s)" : "%s (%u)",
                           meanings[i].text, number, message);
            return;
        }
    }
    (void)snprintf(out, room, "error %u: %.160s", number, message);
}

ks_sql_step ks_mariadb_failed(ma_conn *m, unsigned number, const char *message)
{
    MA_QUIET(m->tls);
    const ks_sql_step step = step_of(number);

    m->number = number;
    /* TLS that worked until now has nothing wrong with it: the connection broke */
    ks_mariadb_explain(m->base.error, sizeof m->base.error,
                       number == CR_SSL_CONNECTION_ERROR ? CR_SERVER_LOST : number, message);
    if (step == KS_SQL_LOST) {
        m->lost = true;
        m->undone = m->undone || m->in_transaction;
        m->in_transaction = false;
    } else if (m->in_transaction) {
        /* a wait that was too long undoes its statement only */
        m->in_transaction = false;
        m->undone = true;
        if (m->f->mysql_real_query(m->db, "ROLLBACK", 8) != 0) {
            m->lost = true;
        }
    }
    return step;
}
