#include "config/config.h"

#include <stdlib.h>
#include <unistd.h>

#include "config_support.h"

#define SECRET_WORD "hunter2-and-more"

/* Loads and expects a refusal; `problems` must hold `says`. */
static void refused(const char *text, const char *const *defines, const char *says)
{
    TDSA_SCOPED_BUF problems = TDSA_BUF_EMPTY;
    cfg *c = NULL;
    tdsa_err err;

    if (load_text(&c, text, defines, NULL, &problems, &err) != TDSA_E_CONFIG) {
        fail_msg("accepted: %s", text);
    }
    assert_null(c);
    assert_int_equal(strncmp(err.text, "TDSA_CONFIG has an error: ", 26), 0);
    tdsa_buf_append_u8(&problems, 0);
    if (strstr((const char *)problems.data, says) == NULL) {
        fail_msg("missing: %s in: %s", says, (const char *)problems.data);
    }
    assert_null(strstr((const char *)problems.data, SECRET_WORD));
    assert_null(strstr(err.text, SECRET_WORD));
}

static cfg *loaded(const char *text, const char *const *defines)
{
    cfg *c = NULL;
    tdsa_err err;

    if (load_text(&c, text, defines, NULL, NULL, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
    return c;
}

static void unknown_key_is_refused_as_dropwizard_does(void **state)
{
    static const char begins[] = "TDSA_CONFIG has an error:\n"
                                 "  * Unrecognized field at: server.adminConnectrs\n"
                                 "    Did you mean?:\n"
                                 "      - adminConnectors\n"
                                 "      - ";
    TDSA_SCOPED_BUF problems = TDSA_BUF_EMPTY;
    cfg *c = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(
        load_text(&c, MINIMAL "server:\n  adminConnectrs: []\n", NULL, NULL, &problems, &err),
        TDSA_E_CONFIG);
    tdsa_buf_append_u8(&problems, 0);
    assert_int_equal(strncmp((const char *)problems.data, begins, strlen(begins)), 0);
    assert_non_null(strstr((const char *)problems.data, " more]\n"));
    assert_string_equal(err.text, "TDSA_CONFIG has an error: Unrecognized field at: "
                                  "server.adminConnectrs. Did you mean adminConnectors?");
}

static void several_problems_are_listed_together(void **state)
{
    TDSA_SCOPED_BUF problems = TDSA_BUF_EMPTY;
    cfg *c = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(
        load_text(&c, MINIMAL "servr: {}\nhttpClient: {timeout: 5}\n", NULL, NULL, &problems, &err),
        TDSA_E_CONFIG);
    tdsa_buf_append_u8(&problems, 0);
    assert_non_null(strstr((const char *)problems.data, "has the following errors:\n"));
    assert_non_null(strstr((const char *)problems.data, "Unrecognized field at: servr"));
    assert_non_null(strstr((const char *)problems.data, "httpClient.timeout"));
}

static void the_list_of_problems_ends(void **state)
{
    char text[4096] = MINIMAL "server:\n";
    size_t len = strlen(text);
    char line[32];

    (void)state;
    for (int i = 0; i < 50; i++) {
        (void)snprintf(line, sizeof line, "  x%d: 1\n", i);
        assert_true(len + strlen(line) < sizeof text);
        memcpy(text + len, line, strlen(line) + 1);
        len += strlen(line);
    }
    refused(text, NULL, "  [30 more]\n");
}

static void wrong_types_are_named_with_both_types(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"server: {maxThreads: many}\n",
         "Incorrect type of value at: server.maxThreads; is of type: "
         "String, expected: int (line "},
        {"server: {maxThreads: 1.5}\n", "is of type: Double, expected: int"},
        {"server: {maxThreads: true}\n", "is of type: Boolean, expected: int"},
        {"server: {maxThreads: [1]}\n", "is of type: Array, expected: int"},
        {"server: {maxThreads: {a: 1}}\n", "is of type: Object, expected: int"},
        {"server: 5\n",
         "Incorrect type of value at: server; is of type: Integer, expected: Object"},
        {"server: {allowedMethods: GET}\n", "is of type: String, expected: Array of Strings"},
        {"server: {allowedMethods: [[GET]]}\n", "server.allowedMethods[0]; is of type: Array"},
        {"server: {applicationConnectors: {port: 1}}\n", "is of type: Object, expected: Array"},
        {"server: {applicationConnectors: [8080]}\n",
         "server.applicationConnectors[0]; is of type: Integer, expected: Object"},
        {"server: {applicationConnectors: [null]}\n",
         "server.applicationConnectors[0] must not be null"},
        {"server: {applicationConnectors: [{reuseAddress: 'maybe'}]}\n",
         "is of type: String, expected: boolean"},
        {"httpClient: {timeout: 30}\n", "is of type: Integer, expected: Duration"},
        {"httpClient: {timeout: 30 parsecs}\n", "is of type: String, expected: Duration"},
        {"server: {applicationConnectors: [{inputBufferSize: big}]}\n", "expected: DataSize"},
        {"health: {monitors: [{name: a, metric: b, statistic: count, max: high}]}\n",
         "expected: double"},
        {"server: {applicationConnectors: [{type: htp}]}\n",
         "server.applicationConnectors[0].type must be one of: http https h2 h2c unix-socket"},
        {"logging: {level: LOUD}\n", "logging.level must be one of: OFF ERROR"},
        {"logging: {loggers: {a.b: LOUD}}\n", "logging.loggers.a\\.b must be one of: OFF ERROR"},
        {"logging: {loggers: {a.b: {levl: INFO}}}\n", "logging.loggers.a\\.b.levl"},
        {"database: {url: 'jdbc:sqlite:x', properties: {a: [1]}}\n", "database.properties.a"},
        {"tdsaServer: {serverGroupId: [" SECRET_WORD "]}\n", "expected: String"},
    };
    char text[4096];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(text, sizeof text, "%s%s", MINIMAL, cases[i].text);
        refused(text, NULL, cases[i].says);
    }
}

static void values_out_of_range_are_refused(void **state)
{
    static const struct {
        const char *define, *says;
    } cases[] = {
        {"dw.server.maxThreads=0", "server.maxThreads must be between 1 and 65536"},
        {"dw.server.applicationConnectors[0].port=65536", "must be between 0 and 65535"},
        {"dw.tdsaLibrary.sessionTimeout=0", "must be between 1 and 86400 seconds"},
        {"dw.tdsaLibrary.sessionTimeout=500ms", "must be between 1 and 86400 seconds"},
        {"dw.tdsaLibrary.sessionTimeout=99999999999999999", "tdsaLibrary.sessionTimeout"},
        {"dw.tdsaLibrary.retryDelay=11m", "must be between 0 and 600000 milliseconds"},
        {"dw.pkcs11.deadline=1ms", "must be between 100 and 600000 milliseconds"},
        {"dw.server.applicationConnectors[0].maxRequestHeaderSize=1B",
         "must be between 256 and 1048576 bytes"},
        {"dw.vault.engineVersion=3", "must be between 1 and 2"},
        {"dw.tdsaLibrary.defaultPresignatureLimit=-2", "must be between -1 and"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const defines[] = {cases[i].define, NULL};
        refused(MINIMAL, defines, cases[i].says);
    }
}

static void missing_required_values_are_named(void **state)
{
    (void)state;
    refused("\n", NULL, "tdsaLibrary must not be null");
    refused("server: {}\n", NULL, "tdsaLibrary must not be null");
    refused(MINIMAL_HEAD, NULL, "tdsaLibrary.remoteParticipants must not be null");
    refused("tdsaLibrary: {remoteParticipants: [], participantIndex: 1}\n", NULL,
            "tdsaLibrary.participantPrimaryPrivateKey must not be null");
    refused(MINIMAL "vault: {address: 'http://v'}\n", NULL, "vault.token must not be null");
    refused(MINIMAL "database: {user: u}\n", NULL, "database.url must not be null");
    refused(MINIMAL "health: {monitors: [{name: a, metric: b}]}\n", NULL,
            "health.monitors[0].statistic must not be null");
}

static void keys_with_dots_do_not_pass_for_paths(void **state)
{
    (void)state;
    refused(MINIMAL "tdsaLibrary.sessionTimeout: 5\n", NULL,
            "Unrecognized field at: tdsaLibrary\\.sessionTimeout");
    refused(MINIMAL "logging: {\"appenders[]\": 5}\n", NULL, "logging.appenders\\[\\]");
    refused(MINIMAL "logging: {\"loggers.*\": INFO}\n", NULL, "logging.loggers\\.\\*");
}

static void values_are_found_by_path(void **state)
{
    static const char text[] =
        MINIMAL "  sessionTimeout: 90s\n"
                "  retryDelay: 2s\n"
                "  participantIds: [x, null, z]\n"
                "server:\n"
                "  maxThreads: '32'\n"
                "  applicationConnectors:\n"
                "    - {type: HTTP, port: 9080, idleTimeout: 1m, maxRequestHeaderSize: 16KiB}\n"
                "    - {}\n"
                "logging:\n"
                "  level: off\n"
                "  loggers:\n"
                "    \"com.sepior.tdsa\": debug\n"
                "    x: {level: warn, appenders: [{type: console}]}\n"
                "database: {url: 'jdbc:sqlite:x', properties: {charSet: UTF-8, n: 5}}\n"
                "health: {monitors: [{name: a, metric: b, statistic: m5_rate, max: 5.5}]}\n"
                "adm"
                "in:\n";
    cfg *c = loaded(text, NULL);
    char path[64];

    (void)state;
    assert_int_equal(cfg_int(c, "tdsaLibrary.sessionTimeout"), 90);
    assert_int_equal(cfg_duration_ms(c, "tdsaLibrary.sessionTimeout"), 90000);
    assert_int_equal(cfg_int(c, "tdsaLibrary.retryDelay"), 2000);
    assert_int_equal(cfg_count(c, "tdsaLibrary.participantIds"), 3);
    assert_null(cfg_str(c, "tdsaLibrary.participantIds[1]"));
    assert_false(cfg_is_set(c, "tdsaLibrary.participantIds[1]"));
    assert_null(cfg_str(c, "tdsaLibrary.participantIds[7]"));
    assert_string_equal(cfg_str(c, "tdsaLibrary.remoteParticipants[2][0].id"), "c");
    assert_int_equal(cfg_count(c, "tdsaLibrary.remoteParticipants[2]"), 1);
    assert_int_equal(cfg_int(c, "server.maxThreads"), 32);
    assert_string_equal(cfg_str(c, "server.applicationConnectors[0].type"), "http");
    assert_int_equal(cfg_duration_ms(c, "server.applicationConnectors[0].idleTimeout"), 60000);
    assert_int_equal(cfg_size(c, "server.applicationConnectors[0].maxRequestHeaderSize"), 16384);
    assert_int_equal(cfg_int(c, cfg_path(path, sizeof path,
                                         "server.applicationConnectors[%zu].port", (size_t)1)),
                     8080);
    assert_string_equal(cfg_str(c, "logging.level"), "OFF");
    assert_int_equal(cfg_count(c, "logging.loggers"), 2);
    assert_string_equal(cfg_map_key(c, "logging.loggers", 0), "com.sepior.tdsa");
    assert_string_equal(cfg_str(c, "logging.loggers[0]"), "DEBUG");
    assert_string_equal(cfg_str(c, "logging.loggers.com\\.sepior\\.tdsa"), "DEBUG");
    assert_string_equal(cfg_str(c, "logging.loggers[1].level"), "WARN");
    assert_null(cfg_map_key(c, "logging.loggers", 2));
    assert_string_equal(cfg_map_key(c, "database.properties", 1), "n");
    assert_string_equal(cfg_str(c, "database.properties[1]"), "5");
    assert_true(cfg_number(c, "health.monitors[0].max") > 5.4);
    assert_false(cfg_is_set(c, "health.monitors[0].min"));
    assert_false(cfg_is_set(c, "admin"));
    cfg_free(c);
}

static void defaults_are_those_of_the_table(void **state)
{
    cfg *c = loaded(MINIMAL, NULL);

    (void)state;
    assert_int_equal(cfg_int(c, "server.maxThreads"), 1024);
    assert_int_equal(cfg_count(c, "server.applicationConnectors"), 0);
    assert_int_equal(cfg_count(c, "server.allowedMethods"), 7);
    assert_string_equal(cfg_str(c, "server.allowedMethods[0]"), "GET");
    assert_string_equal(cfg_str(c, "server.allowedMethods[6]"), "PATCH");
    assert_null(cfg_str(c, "server.allowedMethods[7]"));
    assert_false(cfg_is_set(c, "server.allowedMethods"));
    assert_int_equal(cfg_int(c, "server.applicationConnectors[0].port"), 8080);
    assert_int_equal(cfg_size(c, "server.applicationConnectors[0].outputBufferSize"), 32768);
    assert_int_equal(cfg_duration_ms(c, "pkcs11.deadline"), 4000);
    assert_string_equal(cfg_str(c, "pkcs11.tokenLabel"), "TDSA");
    assert_string_equal(cfg_str(c, "pkcs11.login"), "required");
    assert_false(cfg_bool(c, "pkcs11.ecdsaSha1"));
    assert_int_equal(cfg_duration_ms(c, "httpClient.timeout"), 30000);
    assert_null(cfg_str(c, "server.user"));
    assert_int_equal(cfg_int(c, "server.uid"), 0);
    assert_null(cfg_map_key(c, "logging.loggers", 0));
    cfg_free(c);
}

static void a_list_in_the_document_replaces_the_default(void **state)
{
    cfg *c = loaded(MINIMAL "server: {allowedMethods: []}\n", NULL);

    (void)state;
    assert_int_equal(cfg_count(c, "server.allowedMethods"), 0);
    assert_null(cfg_str(c, "server.allowedMethods[0]"));
    assert_true(cfg_is_set(c, "server.allowedMethods"));
    cfg_free(c);
}

static void defines_set_any_key(void **state)
{
    static const char *const defines[] = {
        "dw.server.applicationConnectors[0].port=9000",
        "dw.server.applicationConnectors[1].port=9001", /* one past the end: added */
        "dw.server.allowedMethods=GET, POST",
        "dw.logging.loggers.org\\.apache=WARN",
        "dw.pkcs11.tokenLabel=a=b",
        "java.io.tmpdir=/tmp",
        NULL,
    };
    cfg *c = loaded(MINIMAL "server: {applicationConnectors: [{port: 1}]}\n", defines);

    (void)state;
    assert_int_equal(cfg_int(c, "server.applicationConnectors[0].port"), 9000);
    assert_int_equal(cfg_int(c, "server.applicationConnectors[1].port"), 9001);
    assert_int_equal(cfg_count(c, "server.allowedMethods"), 2);
    assert_string_equal(cfg_str(c, "server.allowedMethods[1]"), "POST");
    assert_string_equal(cfg_map_key(c, "logging.loggers", 0), "org.apache");
    assert_string_equal(cfg_str(c, "pkcs11.tokenLabel"), "a=b");
    cfg_free(c);
}

static void bad_defines_are_refused_without_their_values(void **state)
{
    static const struct {
        const char *define, *says;
    } cases[] = {
        {SECRET_WORD, "needs the form name=value"},
        {"=" SECRET_WORD, "needs the form name=value"},
        {"dw.=" SECRET_WORD, "malformed path"},
        {"dw.server..x=" SECRET_WORD, "malformed path"},
        {"dw.server.applicationConnectors[x].port=" SECRET_WORD, "malformed path"},
        {"dw.server.applicationConnectors[5].port=" SECRET_WORD, "index 5 of 0"},
        {"dw.server[0]=" SECRET_WORD, "does not fit"},
        {"dw.server.type.x=" SECRET_WORD, "does not fit"},
        {"dw.server.adminConnectrs=" SECRET_WORD, "- adminConnectors"},
        {"dw.server.maxThreads=" SECRET_WORD, "expected: int"},
        {"dw.pkcs11.login=" SECRET_WORD, "must be one of: required never"},
        {"dw.logging.level=" SECRET_WORD, "must be one of"},
        {"dw.httpClient.timeout=" SECRET_WORD, "expected: Duration"},
        {"com.sepior.tdsa.database.encryptionKey=" SECRET_WORD,
         "there is no property com.sepior.tdsa.database.encryptionKey"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const defines[] = {cases[i].define, NULL};
        refused(MINIMAL "server: {type: default}\n", defines, cases[i].says);
    }
}

static void environment_goes_before_defines_before_the_file(void **state)
{
    static const char *const defines[] = {
        "com.sepior.tdsa.participant.primary_private_key=primary-of-define",
        "com.sepior.tdsa.participant.secondary_private_key=secondary-of-define",
        "com.sepior.tdsa.database.encryptionkey=encryption-of-define", NULL};
    TDSA_SCOPED_BUF encoded = TDSA_BUF_EMPTY;
    cfg_source source = {.defines = defines, .use_environment = true};
    cfg *c = NULL;
    tdsa_err err;

    (void)state;
    tdsa_base64url_encode(&encoded, MINIMAL, strlen(MINIMAL));
    tdsa_buf_append_u8(&encoded, 0);
    source.base64 = (const char *)encoded.data;
    assert_int_equal(setenv("PARTICIPANT_PRIMARY_PRIVATE_KEY", "primary-of-environment", 1), 0);
    assert_int_equal(setenv("PARTICIPANT_SECONDARY_PRIVATE_KEY", "", 1), 0); /* as if unset */
    assert_int_equal(unsetenv("DATABASE_ENCRYPTION_KEY"), 0);
    assert_int_equal(cfg_load(&c, &source, NULL, &err), TDSA_OK);
    assert_string_equal(cfg_str(c, "tdsaLibrary.participantPrimaryPrivateKey"),
                        "primary-of-environment");
    assert_string_equal(cfg_str(c, "tdsaLibrary.participantSecondaryPrivateKey"),
                        "secondary-of-define");
    assert_string_equal(cfg_str(c, "tdsaLibrary.storageConfiguration.encryptionKey"),
                        "encryption-of-define");
    cfg_free(c);
    source.use_environment = false;
    assert_int_equal(cfg_load(&c, &source, NULL, &err), TDSA_OK);
    assert_string_equal(cfg_str(c, "tdsaLibrary.participantPrimaryPrivateKey"),
                        "primary-of-define");
    cfg_free(c);
    assert_int_equal(unsetenv("PARTICIPANT_PRIMARY_PRIVATE_KEY"), 0);
    assert_int_equal(unsetenv("PARTICIPANT_SECONDARY_PRIVATE_KEY"), 0);
}

/* ">>>???" in comments makes both special characters of base64 appear. */
static void every_form_of_base64_is_read(void **state)
{
    TDSA_SCOPED_BUF url_safe = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    char standard[8192];
    char broken[8192];
    size_t n = 0;
    const char *const forms[] = {standard, broken};
    tdsa_err err;

    (void)state;
    tdsa_buf_append_str(&text, "# >>>???\n# ~~~\xc3\xbf\n" MINIMAL);
    tdsa_base64url_encode(&url_safe, text.data, text.len);
    for (size_t i = 0; i < url_safe.len; i++) {
        const uint8_t c = url_safe.data[i];
        standard[i] = (char)(c == '-' ? '+' : (c == '_' ? '/' : c));
        broken[n++] = standard[i];
        if (i % 64 == 63) {
            broken[n++] = '\n';
        }
    }
    for (size_t i = url_safe.len; i % 4 != 0; i++) {
        broken[n++] = '=';
    }
    standard[url_safe.len] = '\0';
    broken[n] = '\0';
    assert_non_null(strpbrk(standard, "+/"));
    for (size_t i = 0; i < 2; i++) {
        const cfg_source source = {.base64 = forms[i], .file = "/nonexistent"};
        cfg *c = NULL;
        assert_int_equal(cfg_load(&c, &source, NULL, &err), TDSA_OK);
        cfg_free(c);
    }
}

static void undecodable_base64_never_falls_through_to_the_file(void **state)
{
    static const char *const bad[] = {"!!!!", "QUJD*", "A", "QR"};
    cfg *c = NULL;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const cfg_source source = {.base64 = bad[i], .file = "/etc/hostname"};
        assert_int_equal(cfg_load(&c, &source, NULL, &err), TDSA_E_CONFIG);
        assert_int_equal(strncmp(err.text, "TDSA_CONFIG has an error", 24), 0);
    }
}

static void files_are_read_and_named_in_errors(void **state)
{
    char dir[] = "/tmp/tdsa-config-XXXXXX";
    char path[64];
    cfg_source source = {.file = path, .base64 = ""};
    TDSA_SCOPED_BUF problems = TDSA_BUF_EMPTY;
    cfg *c = NULL;
    tdsa_err err;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/tdsa.yml", dir);
    assert_int_equal(cfg_load(&c, &source, &problems, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "cannot open /tmp/"));
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(MINIMAL, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(cfg_load(&c, &source, NULL, &err), TDSA_OK);
    cfg_free(c);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs("a: [", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(cfg_load(&c, &source, NULL, &err), TDSA_E_CONFIG);
    assert_int_equal(strncmp(err.text, path, strlen(path)), 0);
    assert_non_null(strstr(err.text, "has an error: Malformed YAML at line"));
    assert_int_equal(truncate(path, 2 << 20), 0);
    assert_int_equal(cfg_load(&c, &source, NULL, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "longer than"));
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s", dir);
    assert_int_equal(cfg_load(&c, &source, NULL, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "is not a file"));
    assert_int_equal(rmdir(dir), 0);
    source.file = NULL;
    assert_int_equal(cfg_load(&c, &source, NULL, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "neither a file nor TDSA_CONFIG"));
}

static void keys_without_effect_are_told(void **state)
{
    log_record record;
    const tdsa_log log = log_to(&record);
    cfg *c = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(load_text(&c,
                               MINIMAL "server:\n"
                                       "  idleThreadTimeout: 5m\n"
                                       "  dumpAfterStart: false\n" /* the default: nothing to say */
                                       "  applicationConnectors:\n"
                                       "    - {enableOCSP: true, enableCRLDP: false}\n"
                                       "vault: {address: 'http://v', token: " SECRET_WORD "}\n",
                               NULL, &log, NULL, &err),
                     TDSA_OK);
    assert_int_equal(record.infos, 2);
    assert_int_equal(record.warnings, 1);
    assert_non_null(strstr(record.text, "server.idleThreadTimeout is accepted and has no effect"));
    assert_non_null(strstr(record.text, "vault is accepted, but this version does not act on it"));
    assert_non_null(strstr(record.text, "server.applicationConnectors[0].enableOCSP is accepted"));
    assert_null(strstr(record.text, SECRET_WORD));
    cfg_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_key_is_refused_as_dropwizard_does),
        cmocka_unit_test(several_problems_are_listed_together),
        cmocka_unit_test(the_list_of_problems_ends),
        cmocka_unit_test(wrong_types_are_named_with_both_types),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(missing_required_values_are_named),
        cmocka_unit_test(keys_with_dots_do_not_pass_for_paths),
        cmocka_unit_test(values_are_found_by_path),
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(a_list_in_the_document_replaces_the_default),
        cmocka_unit_test(defines_set_any_key),
        cmocka_unit_test(bad_defines_are_refused_without_their_values),
        cmocka_unit_test(environment_goes_before_defines_before_the_file),
        cmocka_unit_test(every_form_of_base64_is_read),
        cmocka_unit_test(undecodable_base64_never_falls_through_to_the_file),
        cmocka_unit_test(files_are_read_and_named_in_errors),
        cmocka_unit_test(keys_without_effect_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
