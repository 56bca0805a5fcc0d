#include "config/url.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoint_of_a_uri),
        cmocka_unit_test(bad_uris_are_refused_and_leave_nothing),
        cmocka_unit_test(endpoint_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
