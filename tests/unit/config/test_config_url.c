#include "config/url.h"

#include "config/jdbc.h"
#include "config_support.h"

static void endpoint_of_a_uri(void **state)
{
    static const struct {
        const char *uri, *endpoint;
    } cases[] = {
        {"http://h:1", "http://h:1/protocol/round"},
        {"http://h", "http://h/protocol/round"},
        {"http://h:1/", "http://h:1/"},
        {"http://h:1/x/y", "http://h:1/x/y"},
        {"http://h:1/x/y?a=b&c=d", "http://h:1/x/y?a=b&c=d"},
        {"http://h:1?a=b", "http://h:1/protocol/round?a=b"},
        {"https://Host.Example:443/p", "https://Host.Example:443/p"},
        {"HTTPS://h", "https://h/protocol/round"},
        {"http://[::1]:9080", "http://[::1]:9080/protocol/round"},
        {"http://[2001:db8::1]/", "http://[2001:db8::1]/"},
        {"http://10.0.0.1:65535", "http://10.0.0.1:65535/protocol/round"},
        {"http://service_1:9080", "http://service_1:9080/protocol/round"},
        {"http://h/a@b", "http://h/a@b"},
    };
    char out[128];
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(cfg_url_endpoint(out, sizeof out, cases[i].uri, &err), TDSA_OK);
        assert_string_equal(out, cases[i].endpoint);
    }
}

static void bad_uris_are_refused_and_leave_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "h:1",
        "ftp://h",
        "file:///etc/passwd",
        "http:/h",
        "http://",
        "http://:80",
        "http:///x",
        "http://user@h",
        "http://user:secretword@h:1/x",
        "http://h:0",
        "http://h:65536",
        "http://h:99999999999",
        "http://h:",
        "http://h:8a",
        "http://h:-1",
        "http://[::1",
        "http://[::1]x",
        "http://[]",
        "http://[::1%25eth0]:80",
        "http://[1.2.3.4]",
        "http://h h",
        "http://h/\n",
        "http://h/x y",
        "http://h#frag",
        "http://h/x#frag",
        "http://h\\x",
        "http://b\xc3\xbc.example",
        "http://h%41",
    };
    char out[128];
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (cfg_url_endpoint(out, sizeof out, bad[i], &err) != TDSA_E_CONFIG) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_string_equal(out, "");
        assert_null(strstr(err.text, "secretword"));
    }
}

static void endpoint_that_does_not_fit_is_refused(void **state)
{
    char out[32];
    char host[300];
    tdsa_err err;

    (void)state;
    assert_int_equal(cfg_url_endpoint(out, sizeof out, "http://hosts:1", &err), TDSA_OK);
    assert_int_equal(cfg_url_endpoint(out, 30, "http://hosts:1", &err), TDSA_OK);
    assert_int_equal(cfg_url_endpoint(out, 29, "http://hosts:1", &err), TDSA_E_CONFIG);
    assert_string_equal(out, "");
    memset(host, 'a', sizeof host);
    memcpy(host, "http://", 7);
    host[sizeof host - 1] = '\0';
    assert_int_equal(cfg_url_endpoint(out, sizeof out, host, &err), TDSA_E_CONFIG);
}

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
        {"org.postgresql.Driver", "jdbc:postgresql://h1:5432,h2:5432/d?sslmode=require",
         CFG_JDBC_POSTGRESQL, "", false},
        {"org.mariadb.jdbc.Driver", "jdbc:mariadb://h:3306/d", CFG_JDBC_MARIADB, "", false},
        {NULL, "jdbc:mysql://h:3306/d", CFG_JDBC_MARIADB, "", false},
    };
    cfg_jdbc out;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(cfg_jdbc_parse(&out, cases[i].driver, cases[i].url, &err), TDSA_OK);
        assert_int_equal(out.kind, cases[i].kind);
        assert_string_equal(out.path, cases[i].path);
        assert_int_equal(out.options, cases[i].options);
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
        {NULL, "sqlite:x", "unknown JDBC URL"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoint_of_a_uri),
        cmocka_unit_test(bad_uris_are_refused_and_leave_nothing),
        cmocka_unit_test(endpoint_that_does_not_fit_is_refused),
        cmocka_unit_test(databases_are_understood),
        cmocka_unit_test(bad_databases_are_refused),
        cmocka_unit_test(overlong_database_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
