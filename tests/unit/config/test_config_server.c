#include "config/server_cfg.h"

#include "config/participant_cfg.h"
#include "participant_support.h"

/* PostgreSQL and MariaDB: what the section database asks of the keystore. */

static void tell(char *out, size_t cap, const ks_cfg *c)
{
    static const char *const modes[] = {"prefer", "disable", "require", "ca", "full"};
    const ks_server *s = c->server;
    size_t len = (size_t)snprintf(out, cap, "%s ", c->backend);

    for (size_t i = 0; i < s->hosts; i++) {
        len += (size_t)snprintf(out + len, cap - len, "%s%s:%u", i == 0 ? "" : ",", s->host[i].name,
                                s->host[i].port);
    }
    len += (size_t)snprintf(out + len, cap - len, "/%s %s:%s %s", s->database, s->user,
                            s->password ? s->password : "-", modes[s->tls]);
    if (s->tls_ca != NULL || s->tls_cert != NULL) {
        len += (size_t)snprintf(out + len, cap - len, " %s,%s,%s", s->tls_ca ? s->tls_ca : "-",
                                s->tls_cert ? s->tls_cert : "-", s->tls_key ? s->tls_key : "-");
    }
    if (s->connect_timeout_ms != 0 || s->statement_timeout_ms != 0) {
        len += (size_t)snprintf(out + len, cap - len, " %u/%u", s->connect_timeout_ms,
                                s->statement_timeout_ms);
    }
    if (s->pool.init_query != NULL) {
        len += (size_t)snprintf(out + len, cap - len, " [%s]", s->pool.init_query);
    }
    assert_true(len < cap);
}

typedef struct {
    const char *database; /* lines of the section */
    const char *is;
    const char *says; /* in the log; NULL: no warning at all */
} understood;

static void check(const understood *one)
{
    char text[4096], is[512];
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;

    (void)snprintf(text, sizeof text,
                   "%s  participantIds: [a, b, c]\ntdsaServer: {serverGroupId: "
                   "g}\ndatabase:\n%s",
                   MINIMAL "  encryptionKey: 0123456789abcdef0123456789abcdefXYZ\n", one->database);
    if (make(&p, &c, text, NULL, &record, &err) != TDSA_OK) {
        fail_msg("%s: %s", one->database, err.text);
    }
    tell(is, sizeof is, cfg_participant_keystore(p));
    assert_string_equal(is, one->is);
    if (one->says == NULL) {
        assert_string_equal(record.warnings == 0 ? "" : record.text, "");
    } else if (strstr(record.text, one->says) == NULL || strstr(record.text, "hush") != NULL) {
        fail_msg("%s: %s", one->database, record.text);
    }
    cfg_participant_free(p);
    cfg_free(c);
}

#define PG  "  url: jdbc:postgresql://h/d"
#define MA  "  url: jdbc:mariadb://h/d"
#define U   "\n  user: u\n"
#define UP  "\n  user: u\n  password: p\n"
#define PGH "postgres h:0/d u:- "
#define MAH "mariadb h:0/d u:- "

static void sections_are_understood(void **state)
{
    static const understood cases[] = {
        {"  driverClass: org.postgresql.Driver\n" PG UP "  properties: {charSet: UTF-8}\n",
         "postgres h:0/d u:p prefer", NULL},
        {"  driverClass: org.mariadb.jdbc.Driver\n" MA UP, "mariadb h:0/d u:p prefer", NULL},
        {"  url: postgresql://a:b%40@h1:1,[::1]/d?sslmode=require\n",
         "postgres h1:1,::1:0/d a:b@ require", NULL},
        {"  url: postgresql:///d?host=/run/postgresql&port=5433&user=a\n",
         "postgres /run/postgresql:5433/d a:- prefer", NULL},
        {"  url: mariadb:///d?localSocket=/run/m.sock&user=a\n",
         "mariadb /run/m.sock:0/d a:- prefer", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&cases[i]);
    }
}

static void tls_is_understood(void **state)
{
    static const understood cases[] = {
        {PG "?sslmode=disable" U, PGH "disable", NULL},
        {PG "?sslmode=allow" U, PGH "prefer", NULL},
        {PG "?sslmode=verify-ca&sslrootcert=/c" U, PGH "ca /c,-,-", NULL},
        {PG "?sslmode=verify-full&sslcert=/a&sslkey=/b" U, PGH "full -,/a,/b", NULL},
        {PG "?ssl=true" U, PGH "full", NULL},
        {PG "?ssl" U, PGH "full", NULL},
        {PG "?ssl=false" U, PGH "disable", NULL},
        {PG "?ssl=true&sslmode=require" U, PGH "require", NULL},
        {PG "?ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory" U, PGH "require", NULL},
        {PG "?sslmode=require&sslfactory=x.Hush" U, PGH "require", "classes of Java"},
        {MA "?sslMode=trust" U, MAH "require", NULL},
        {MA "?sslMode=VERIFY_CA" U, MAH "ca", NULL},
        {MA "?sslMode=VERIFY_IDENTITY&serverSslCert=file:///c" U, MAH "full /c,-,-", NULL},
        {MA "?useSsl=true" U, MAH "full", NULL},
        {MA "?useSSL=1&trustServerCertificate=true" U, MAH "require", NULL},
        {MA "?useSSL=true&disableSslHostnameVerification=true" U, MAH "ca", NULL},
        {MA "?trustServerCertificate=true" U, MAH "prefer", NULL},
        {MA "?requireSSL=true" U, MAH "require", NULL},
        {MA "?requireSSL=true&verifyServerCertificate=true" U, MAH "full", NULL},
        {MA "?useSSL=false" U, MAH "disable", NULL},
        {PG U "  properties: {sslmode: verify-full, sslrootcert: /c}\n", PGH "full /c,-,-", NULL},
        {PG "?sslmode=require" U "  properties: {sslmode: verify-full}\n", PGH "require", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&cases[i]);
    }
}

static void other_parameters_are_understood(void **state)
{
    static const understood cases[] = {
        {PG "?connectTimeout=3&socketTimeout=20" U, PGH "prefer 3000/20000", NULL},
        {PG "?connectTimeout=7&loginTimeout=3" U, PGH "prefer 3000/0", NULL},
        {PG "?connectTimeout=3&loginTimeout=0" U, PGH "prefer 3000/0", NULL},
        {PG "?socketTimeout=0" U, PGH "prefer", NULL},
        {MA "?connectTimeout=300&socketTimeout=20" U, MAH "prefer 300/20", NULL},
        {MA "?connect_timeout=3" U, MAH "prefer 3000/0", NULL},
        {PG "?targetServerType=primary" U, PGH "prefer", NULL},
        {PG "?target_session_attrs=read-write" U, PGH "prefer", NULL},
        {PG "?targetServerType=preferSecondary" U, PGH "prefer", "the primary is used"},
        {PG "?readOnly=false&gssEncMode=prefer&options=" U, PGH "prefer", NULL},
        {MA "?useUnicode=true&characterEncoding=utf8&autoReconnect=true" U, MAH "prefer", NULL},
        {PG "?frobnicate=hush" U, PGH "prefer", "frobnicate is not known"},
        {PG "?user=u&password=a&frob=1\n", "postgres h:0/d u:a prefer",
         "parameter number 3 is not known"},
        {PG "?%48ush=1" U, PGH "prefer", "Hush is not known"},
        {PG "?hush1=1" U, PGH "prefer", "parameter number 1 is not known"},
        {PG U "  properties: {frobnicate: hush}\n", PGH "prefer",
         "database.properties: frobnicate is not known"},
        {PG "?ApplicationName=till%207" U, PGH "prefer [SET application_name TO 'till 7'; ]", NULL},
        {PG "?currentSchema=keys,public" U "  initializationQuery: SELECT 2\n",
         PGH "prefer [SET search_path TO keys,public; SELECT 2]", NULL},
        {MA "?ApplicationName=x" U "  initializationQuery: SELECT 2\n", MAH "prefer [SELECT 2]",
         NULL},
        {"  url: jdbc:mariadb:loadbalance://h/d" U, MAH "prefer", "tried in their order"},
        {"  url: jdbc:mariadb://h/" U "  defaultCatalog: d\n", MAH "prefer", NULL},
        {MA U "  defaultCatalog: other\n", MAH "prefer", "database.defaultCatalog has no effect"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&cases[i]);
    }
}

static void the_pool_is_handed_on(void **state)
{
    static const struct {
        const char *define;
        uint32_t initial, max, wait, validation, age, idle;
    } cases[] = {
        {"dw.database.user=u", 2, 2, 1000, 30000, 0, 60000},
        {"dw.database.maxSize=1", 1, 1, 1000, 30000, 0, 60000},
        {"dw.database.initialSize=0", 0, 2, 1000, 30000, 0, 60000},
        {"dw.database.maxWaitForConnection=5s", 2, 2, 5000, 30000, 0, 60000},
        {"dw.database.maxConnectionAge=1h", 2, 2, 1000, 30000, 3600000, 60000},
        {"dw.database.minIdleTime=2s", 2, 2, 1000, 30000, 0, 2000},
        {"dw.database.validationInterval=1s", 2, 2, 1000, 1000, 0, 60000},
        {"dw.database.checkConnectionWhileIdle=false", 2, 2, 1000, UINT32_MAX, 0, 60000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const defines[] = {cases[i].define, NULL};
        const ks_pool *pool;
        log_record record;
        cfg_participant *p;
        cfg *c;
        tdsa_err err;

        assert_int_equal(make(&p, &c, MINIMAL "database:\n" PG U, defines, &record, &err), TDSA_OK);
        pool = &cfg_participant_keystore(p)->server->pool;
        assert_int_equal(pool->initial, cases[i].initial);
        assert_int_equal(pool->max, cases[i].max);
        assert_int_equal(pool->wait_ms, cases[i].wait);
        assert_int_equal(pool->validation_ms, cases[i].validation);
        assert_int_equal(pool->max_age_ms, cases[i].age);
        assert_int_equal(pool->idle_ms, cases[i].idle);
        assert_string_equal(pool->validation_query, "/* Health Check */ SELECT 1");
        assert_null(pool->init_query);
        cfg_participant_free(p);
        cfg_free(c);
    }
}

static void what_cannot_be_done_is_refused_without_a_value(void **state)
{
    static const refusal cases[] = {
        {"dw.database.url=jdbc:postgresql://h/d?sslmode=hush",
         "parameter sslmode: must be disable"},
        {"dw.database.url=jdbc:postgresql://h/d?ssl=hush", "parameter ssl: must be true"},
        {"dw.database.url=jdbc:postgresql://h/d?connectTimeout=hush", "connectTimeout: must be"},
        {"dw.database.url=jdbc:postgresql://h/d?connectTimeout=86401", "seconds up to a day"},
        {"dw.database.url=jdbc:mariadb://h/d?socketTimeout=86400001", "milliseconds up to a day"},
        {"dw.database.url=jdbc:mariadb://h/d?socketTimeout=-1", "milliseconds up to a day"},
        {"dw.database.url=jdbc:postgresql://h/d?targetServerType=secondary", "every signature"},
        {"dw.database.url=jdbc:postgresql://h/d?target_session_attrs=read-only", "every signature"},
        {"dw.database.url=jdbc:postgresql://h/d?readOnly=true", "every signature"},
        {"dw.database.url=jdbc:postgresql://h/d?charSet=LATIN1", "charSet: must be UTF-8"},
        {"dw.database.url=jdbc:mariadb://h/d?characterEncoding=cp1252", "must be UTF-8"},
        {"dw.database.url=jdbc:postgresql://h/d?sslcert=/a", "sslcert and sslkey belong together"},
        {"dw.database.url=jdbc:postgresql://h/d?sslrootcert=classpath:a", "path of a PEM file"},
        {"dw.database.url=jdbc:mariadb://h/d?serverSslCert=-----BEGIN", "path of a PEM file"},
        {"dw.database.url=jdbc:mariadb://h/d?trustStore=/a.jks", "stores of Java"},
        {"dw.database.url=jdbc:postgresql://h/d?sslpassword=hush", "key file with a password"},
        {"dw.database.url=jdbc:postgresql://h/d?options=-chush", "database.initializationQuery"},
        {"dw.database.url=jdbc:mariadb://h/d?sessionVariables=hush", "initializationQuery"},
        {"dw.database.url=jdbc:postgresql://h/d?gssEncMode=require", "use TLS"},
        {"dw.database.url=jdbc:postgresql://h/d?port=0", "port: must be a number"},
        {"dw.database.url=jdbc:postgresql://h/d?currentSchema=a;b", "currentSchema"},
        {"dw.database.url=jdbc:postgresql://h/d?ApplicationName=it's", "ApplicationName"},
        {"dw.database.url=jdbc:postgresql://h/d?user=v", "database.user and database.url"},
        {"dw.database.url=postgresql://u:hush@h/d", "database.password and database.url"},
        {"dw.database.url=jdbc:postgresql://h/", "names no database"},
        {"dw.database.url=jdbc:postgresql://h:x/d", "database.url: host 1"},
        {"dw.database.user=", "database.user is missing"},
        {"dw.database.minSize=200", "initialSize must be"},
        {"dw.database.initialSize=101", "initialSize must be"},
        {"dw.database.driverClass=org.mariadb.jdbc.Driver", "another driver"},
        {"dw.database.driverClass=oracle.jdbc.Driver", "org.mariadb.jdbc.Driver"},
    };

    (void)state;
    REFUSED(MINIMAL "database:\n" PG UP, cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_are_understood),
        cmocka_unit_test(tls_is_understood),
        cmocka_unit_test(other_parameters_are_understood),
        cmocka_unit_test(the_pool_is_handed_on),
        cmocka_unit_test(what_cannot_be_done_is_refused_without_a_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
