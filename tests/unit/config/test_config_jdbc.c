#include "config/jdbc.h"

#include "config_support.h"

/* URLs of databases. */

static void databases_are_understood(void **state)
{
    static const struct {
        const char *driver, *url;
        cfg_jdbc_kind kind;
        const char *path;
        bool options;
    } cases[] = {
        {"org.sqlite.JDBC", "jdbc:sqlite:file:/var/x.db", CFG_JDBC_SQLITE, "/var/x.db", false},
        {NULL, "jdbc:sqlite:/var/x.db", CFG_JDBC_SQLITE, "/var/x.db", false},
        {"", "jdbc:sqlite:x.db?cache=shared", CFG_JDBC_SQLITE, "x.db", true},
        {NULL, "jdbc:sqlite::memory:", CFG_JDBC_SQLITE_MEMORY, "", false},
        {NULL, "jdbc:sqlite:file::memory:?cache=shared", CFG_JDBC_SQLITE_MEMORY, "", false},
        {"org.h2.Driver", "jdbc:h2:file:/data/tdsa;MODE=PostgreSQL", CFG_JDBC_H2, "/data/tdsa",
         true},
        {"org.h2.Driver", "jdbc:h2:./tdsa", CFG_JDBC_H2, "./tdsa", false},
        {NULL, "jdbc:h2:mem:test", CFG_JDBC_H2_MEMORY, "", false},
        {NULL, "sqlite:/var/x.db", CFG_JDBC_SQLITE, "/var/x.db", false},
        {"org.sqlite.JDBC", "sqlite:///var/x.db", CFG_JDBC_SQLITE, "/var/x.db", false},
        {NULL, "sqlite:x.db", CFG_JDBC_SQLITE, "x.db", false},
        {NULL, "sqlite::memory:", CFG_JDBC_SQLITE_MEMORY, "", false},
        {"org.postgresql.Driver", "jdbc:postgresql://h1:5432,h2:5432/d?sslmode=require",
         CFG_JDBC_POSTGRESQL, "", false},
        {"org.mariadb.jdbc.Driver", "jdbc:mariadb://h:3306/d", CFG_JDBC_MARIADB, "", false},
        {NULL, "jdbc:mysql://h:3306/d", CFG_JDBC_MARIADB, "", false},
        {"com.mysql.cj.jdbc.Driver", "jdbc:mysql://h/d", CFG_JDBC_MARIADB, "", false},
        {"org.postgresql.Driver", "postgres://h/d", CFG_JDBC_POSTGRESQL, "", false},
    };
    cfg_jdbc out;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(cfg_jdbc_parse(&out, cases[i].driver, cases[i].url, &err), TDSA_OK);
        assert_int_equal(out.kind, cases[i].kind);
        assert_string_equal(out.path, cases[i].path);
        assert_int_equal(out.options, cases[i].options);
        cfg_jdbc_clear(&out);
    }
}

static void bad_databases_are_refused(void **state)
{
    static const struct {
        const char *driver, *url, *says;
    } cases[] = {
        {"com.oracle.Driver", "jdbc:sqlite:x", "known: org.sqlite.JDBC"},
        {NULL, "jdbc:oracle:x", "unknown JDBC URL"},
        {NULL, "", "unknown JDBC URL"},
        {NULL, "sqlite://host/x", "another host"},
        {NULL, "file:x", "unknown JDBC URL"},
        {"org.mariadb.jdbc.Driver", "jdbc:postgresql://h/d", "another driver"},
        {"org.postgresql.Driver", "mysql://h/d", "another driver"},
        {"org.sqlite.JDBC", "jdbc:h2:file:x", "another driver"},
        {NULL, "jdbc:sqlite:", "names no file"},
        {NULL, "jdbc:sqlite:file:", "names no file"},
        {NULL, "jdbc:sqlite:?mode=memory", "names no file"},
        {NULL, "jdbc:sqlite::resource:x", "only files"},
        {NULL, "jdbc:h2:tcp://h/x", "only files"},
        {NULL, "jdbc:h2:~/x", "home directory"},
        {NULL, "jdbc:sqlite:~/x", "home directory"},
    };
    cfg_jdbc out;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(cfg_jdbc_parse(&out, cases[i].driver, cases[i].url, &err), TDSA_E_CONFIG);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_string_equal(out.path, "");
    }
}

static void overlong_database_file_is_refused(void **state)
{
    char url[CFG_JDBC_PATH_MAX + 64];
    cfg_jdbc out;
    tdsa_err err;

    (void)state;
    memset(url, 'x', sizeof url);
    memcpy(url, "jdbc:sqlite:", 12);
    url[12 + CFG_JDBC_PATH_MAX] = '\0';
    assert_int_equal(cfg_jdbc_parse(&out, NULL, url, &err), TDSA_OK);
    url[12 + CFG_JDBC_PATH_MAX] = 'x';
    url[12 + CFG_JDBC_PATH_MAX + 1] = '\0';
    assert_int_equal(cfg_jdbc_parse(&out, NULL, url, &err), TDSA_E_CONFIG);
}

/* What was understood, in one line: hosts, database, user, password, parameters. */
static void tell(char *out, size_t cap, const cfg_server_url *u)
{
    size_t len = 0;

    for (size_t i = 0; i < u->hosts; i++) {
        len += (size_t)snprintf(out + len, cap - len, "%s%s:%u", i == 0 ? "" : ",", u->host[i].name,
                                u->host[i].port);
    }
    len += (size_t)snprintf(out + len, cap - len, " %s %s %s", u->database ? u->database : "-",
                            u->user ? u->user : "-", u->password ? u->password : "-");
    for (size_t i = 0; i < u->params; i++) {
        len +=
            (size_t)snprintf(out + len, cap - len, " %s=%s", u->param[i].name, u->param[i].value);
    }
    assert_true(len < cap);
}

static void servers_are_understood(void **state)
{
    static const struct {
        const char *url, *is;
    } cases[] = {
        {"jdbc:postgresql://postgres.example.com:5432/mydb", "postgres.example.com:5432 mydb - -"},
        {"jdbc:postgresql://h/d", "h:0 d - -"},
        {"jdbc:postgresql://h1:5432,h2:5433,h3/d", "h1:5432,h2:5433,h3:0 d - -"},
        {"jdbc:postgresql://[::1]:5740/accounting", "::1:5740 accounting - -"},
        {"jdbc:postgresql://[2001:db8::1],10.0.0.1:1/d", "2001:db8::1:0,10.0.0.1:1 d - -"},
        {"jdbc:postgresql:d", "localhost:0 d - -"},
        {"jdbc:postgresql:/", "localhost:0 - - -"},
        {"jdbc:postgresql:///d", "localhost:0 d - -"},
        {"jdbc:postgresql://h/", "h:0 - - -"},
        {"jdbc:postgresql://h", "h:0 - - -"},
        {"jdbc:postgresql://h/my%20db%2F1", "h:0 my db/1 - -"},
        {"jdbc:postgresql://h/d?user=a&password=p%26%3d%25+x?y&ssl&&sslmode=require",
         "h:0 d - - user=a password=p&=%+x?y ssl= sslmode=require"},
        {"postgresql://u:p%40w%3A%2f@h:1/d?a=b", "h:1 d u p@w:/ a=b"},
        {"postgresql://u@h/d", "h:0 d u -"},
        {"postgresql://u:@h/d", "h:0 d u "},
        {"postgresql://u:p@w@h/d", "h:0 d u p@w"},
        {"postgresql://%2Frun%2Fpostgresql:5433/d", "/run/postgresql:5433 d - -"},
        {"postgresql:///d?host=/run/postgresql", "localhost:0 d - - host=/run/postgresql"},
        {"jdbc:mariadb://h:3306/d", "h:3306 d - -"},
        {"jdbc:mariadb:sequential://h1:3306,h2/d", "h1:3306,h2:0 d - -"},
        {"jdbc:mariadb:replication://address=(host=p)(port=1)(type=primary),address=(type=replica)"
         "(host=s)/d",
         "p:1,s:0 d - -"},
        {"jdbc:mysql:loadbalance://h1,h2/d?useSSL=true", "h1:0,h2:0 d - - useSSL=true"},
        {"mariadb://u:p@[::1]:3307/d", "::1:3307 d u p"},
    };
    char is[512];
    cfg_jdbc db;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cfg_jdbc_parse(&db, NULL, cases[i].url, &err) != TDSA_OK) {
            fail_msg("%s: %s", cases[i].url, err.text);
        }
        tell(is, sizeof is, &db.server);
        assert_string_equal(is, cases[i].is);
        assert_int_equal(db.any_order, strstr(cases[i].url, "loadbalance") != NULL);
        cfg_jdbc_clear(&db);
        assert_null(db.server.text);
    }
}

static void bad_servers_are_refused_and_nothing_is_repeated(void **state)
{
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"jdbc:postgresql://h:0/d?password=hush", "host 1: the port"},
        {"jdbc:postgresql://h1,h2:65536/d", "host 2: the port"},
        {"jdbc:postgresql://h1:99999999999999999999/d", "host 1: the port"},
        {"jdbc:postgresql://h1:/d", "host 1: the port"},
        {"jdbc:postgresql://h1:80x/d", "host 1: the port"},
        {"jdbc:postgresql://h1,,h3/d", "host 2: no host"},
        {"jdbc:postgresql://h_1!/d", "host 1: character 4"},
        {"jdbc:postgresql://[::1/d", "host 1: [IPv6"},
        {"jdbc:postgresql://[::1]x/d", "host 1: [IPv6"},
        {"jdbc:postgresql://[hush]:1/d", "host 1: no IPv6"},
        {"jdbc:postgresql://a,b,c,d,e,f,g,h,i/d", "more than 8 hosts"},
        {"jdbc:postgresql://h/a/b", "%2F"},
        {"postgresql://u:hush/hush@h/d", "%2F"},
        {"postgresql://u:hush%@h/d", "the password: a % is followed"},
        {"postgresql://u:hush%4@h/d", "the password: a % is followed"},
        {"postgresql://hush%zz:p@h/d", "the user name: a % is followed"},
        {"postgresql://u:hush%00@h/d", "the password: a control character"},
        {"postgresql://u:hush%0a@h/d", "the password: a control character"},
        {"postgresql://u:hush\x01@h/d", "control character"},
        {"jdbc:postgresql://h/%7f", "the database name: a control character"},
        {"jdbc:postgresql://h/d?password=hush%G0", "a parameter: a %"},
        {"jdbc:postgresql://h/d?%=hush", "the name of a parameter: a %"},
        {"jdbc:mariadb:d", "no host"},
        {"jdbc:mariadb:hush://h/d", "no host"},
        {"jdbc:mariadb://address=(port=1)/d", "host 1: the address has no"},
        {"jdbc:mariadb://address=(host=h/d", "host 1: address="},
        {"jdbc:mariadb://address=hush/d", "host 1: address="},
    };
    cfg_jdbc db;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cfg_jdbc_parse(&db, NULL, cases[i].url, &err) != TDSA_E_CONFIG) {
            fail_msg("accepted: %s", cases[i].url);
        }
        if (strstr(err.text, cases[i].says) == NULL || strstr(err.text, "hush") != NULL) {
            fail_msg("%s: %s", cases[i].url, err.text);
        }
        assert_null(db.server.text);
        assert_int_equal(db.server.hosts, 0);
    }
}

static tdsa_status parse_long(const char *start, const char *piece, size_t times)
{
    char url[3 * CFG_SERVER_URL_MAX];
    size_t len = (size_t)snprintf(url, sizeof url, "%s", start);
    cfg_jdbc db;
    tdsa_err err;
    tdsa_status st;

    for (size_t i = 0; i < times; i++) {
        len += (size_t)snprintf(url + len, sizeof url - len, "%s", piece);
        assert_true(len < sizeof url);
    }
    st = cfg_jdbc_parse(&db, NULL, url, &err);
    if (st == TDSA_OK) {
        cfg_jdbc_clear(&db);
    }
    return st;
}

static void what_is_too_much_is_refused(void **state)
{
    const size_t head = strlen("//h/d?a=");

    (void)state;
    assert_int_equal(parse_long("postgresql://h/d?a=", "x", CFG_SERVER_URL_MAX - head), TDSA_OK);
    assert_int_equal(parse_long("postgresql://h/d?a=", "x", CFG_SERVER_URL_MAX - head + 1),
                     TDSA_E_CONFIG);
    assert_int_equal(parse_long("postgresql://h/d?", "a=b&", CFG_SERVER_PARAMS_MAX), TDSA_OK);
    assert_int_equal(parse_long("postgresql://h/d?", "a=b&", CFG_SERVER_PARAMS_MAX + 1),
                     TDSA_E_CONFIG);
    assert_int_equal(parse_long("postgresql://h/", "x", 64), TDSA_OK);
    assert_int_equal(parse_long("postgresql://h/", "x", 65), TDSA_E_CONFIG);
    assert_int_equal(parse_long("postgresql://", "h", 253), TDSA_OK);
    assert_int_equal(parse_long("postgresql://", "h", 254), TDSA_E_CONFIG);
    assert_int_equal(parse_long("postgresql://%2F", "h", 99), TDSA_OK);
    assert_int_equal(parse_long("postgresql://%2F", "h", 100), TDSA_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(databases_are_understood),
        cmocka_unit_test(bad_databases_are_refused),
        cmocka_unit_test(overlong_database_file_is_refused),
        cmocka_unit_test(servers_are_understood),
        cmocka_unit_test(bad_servers_are_refused_and_nothing_is_repeated),
        cmocka_unit_test(what_is_too_much_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
