#include "config/participant_cfg.h"

#include <stdlib.h>
#include <unistd.h>

#include "participant_support.h"

/* Database, encryptor and HTTP client of a participant. */

static void encryptor_names_are_understood(void **state)
{
    static const struct {
        const char *define;
        ks_encryptor_kind kind;
    } cases[] = {
        {"dw.tdsaLibrary.storageConfiguration.encryptor=", KS_ENCRYPTOR_AESGCM},
        {"dw.tdsaLibrary.storageConfiguration.encryptor=aesgcm", KS_ENCRYPTOR_AESGCM},
        {"dw.tdsaLibrary.storageConfiguration.encryptor=com.sepior.tdsa.AesGcmEncryptor",
         KS_ENCRYPTOR_AESGCM},
        {"dw.tdsaLibrary.storageConfiguration.encryptorClass=AESGCM", KS_ENCRYPTOR_AESGCM},
        {"dw.tdsaLibrary.storageConfiguration.encryptorClass=pkcs11", KS_ENCRYPTOR_PKCS11},
        {"dw.tdsaLibrary.storageConfiguration.encryptor=PKCS11", KS_ENCRYPTOR_PKCS11},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const defines[] = {
            cases[i].define,
            "dw.tdsaLibrary.storageConfiguration.encryptorArguments=pkcs11:token=t;object=o",
            "com.sepior.tdsa.database.encryptionkey=0123456789abcdef0123456789abcdefXYZ",
            "dw.tdsaServer.serverGroupId=group",
            "dw.tdsaLibrary.participantIds=a,b,c",
            NULL};
        log_record record;
        cfg_participant *p;
        cfg *c;
        tdsa_err err;

        assert_int_equal(make(&p, &c, MINIMAL, defines, &record, &err), TDSA_OK);
        assert_int_equal(cfg_participant_keystore(p)->encryptor, cases[i].kind);
        assert_int_equal(record.warnings, 0);
        if (cases[i].kind == KS_ENCRYPTOR_PKCS11) {
            assert_string_equal(cfg_participant_keystore(p)->wrapping_uri,
                                "pkcs11:token=t;object=o");
            assert_null(cfg_participant_keystore(p)->encryption_key);
        }
        cfg_participant_free(p);
        cfg_free(c);
    }
}

static void a_plugin_gets_its_arguments_in_order(void **state)
{
    static const char text[] = MINIMAL
        "  storageConfiguration:\n    encryptor: com.example.Mine\n"
        "    encryptorArguments: [first, DATABASE_ENCRYPTION_KEY, 'DATABASE_ENCRYPTION_KEY2', '']\n"
        "    encryptionKey: 0123456789abcdef0123456789abcdefXYZ\n";
    const char *const none[] = {NULL};
    const char *const path[] = {"dw.tdsaLibrary.storageConfiguration.encryptorPath=/opt/plugins",
                                NULL};
    const char *const no_key[] = {"dw.tdsaLibrary.storageConfiguration.encryptionKey=", NULL};
    log_record record;
    const ks_cfg *s = NULL;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;

    (void)state;
    assert_int_equal(make(&p, &c, text, none, &record, &err), TDSA_OK);
    s = cfg_participant_keystore(p);
    assert_int_equal(s->encryptor, KS_ENCRYPTOR_PLUGIN);
    assert_string_equal(s->plugin_name, "com.example.Mine");
    assert_string_equal(s->plugin_folder, "/tdsa/lib");
    assert_int_equal(s->plugin_argument_count, 4);
    assert_string_equal(s->plugin_arguments[0], "first");
    assert_string_equal(s->plugin_arguments[1], "0123456789abcdef0123456789abcdefXYZ");
    assert_string_equal(s->plugin_arguments[2], "DATABASE_ENCRYPTION_KEY2");
    assert_string_equal(s->plugin_arguments[3], "");
    cfg_participant_free(p);
    cfg_free(c);
    assert_int_equal(make(&p, &c, text, path, &record, &err), TDSA_OK);
    assert_string_equal(cfg_participant_keystore(p)->plugin_folder, "/opt/plugins");
    cfg_participant_free(p);
    cfg_free(c);
    assert_int_equal(make(&p, &c, text, no_key, &record, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "encryptorArguments[1] is DATABASE_ENCRYPTION_KEY"));
    cfg_free(c);
}

static void h2_is_kept_in_sqlite_unless_there_is_h2_data(void **state)
{
    char dir[] = "/tmp/tdsa-config-XXXXXX";
    char define[128];
    char path[64];
    const char *const defines[] = {define, "dw.database.driverClass=org.h2.Driver", NULL};
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(define, sizeof define, "dw.database.url=jdbc:h2:file:%s/keys;MODE=MySQL", dir);
    assert_int_equal(make(&p, &c, MINIMAL, defines, &record, &err), TDSA_OK);
    (void)snprintf(path, sizeof path, "%s/keys.sqlite", dir);
    assert_string_equal(cfg_participant_keystore(p)->backend, "sqlite");
    assert_string_equal(cfg_participant_keystore(p)->path, path);
    assert_non_null(strstr(record.text, "names H2, which is kept in the SQLite file"));
    assert_non_null(strstr(record.text, "what follows the file name is not used"));
    cfg_participant_free(p);
    cfg_free(c);
    (void)snprintf(path, sizeof path, "%s/keys.mv.db", dir);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(make(&p, &c, MINIMAL, defines, &record, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "H2 data that cannot be read"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void http_client_is_handed_on(void **state)
{
    char dir[] = "/tmp/tdsa-config-XXXXXX";
    char path[64];
    char define[96];
    const char *const defines[] = {"dw.httpClient.timeout=5s",
                                   "dw.httpClient.connectionTimeout=250ms",
                                   "dw.httpClient.keepAlive=0s",
                                   "dw.httpClient.maxConnectionsPerRoute=7",
                                   "dw.httpClient.userAgent=till 7",
                                   "dw.httpClient.tls.verifyHostname=false",
                                   define,
                                   NULL};
    const peer_http_cfg *http;
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/client.pem", dir);
    (void)snprintf(define, sizeof define, "dw.httpClient.tls.keyStorePath=%s", path);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs("-----BEGIN CERTIFICATE-----\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(make(&p, &c, MINIMAL, defines, &record, &err), TDSA_OK);
    http = &cfg_participant_engine(p)->http;
    assert_int_equal(http->request_timeout_ms, 5000);
    assert_int_equal(http->connect_timeout_ms, 250);
    assert_int_equal(http->keep_alive_ms, 0);
    assert_int_equal(http->connections_max, 7);
    assert_string_equal(http->user_agent, "till 7");
    assert_false(http->verify_hostname);
    assert_string_equal(http->cert_file, path);
    assert_string_equal(http->key_file, path);
    assert_string_equal(http->ca_file, "");
    cfg_participant_free(p);
    cfg_free(c);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void encryption_key_has_two_places(void **state)
{
    static const char *const one[] = {"dw.tdsaLibrary.encryptionKey=abcdefghijABCDEFGHIJ0123456789",
                                      NULL};
    static const char *const both[] = {
        "dw.tdsaLibrary.encryptionKey=abcdefghijABCDEFGHIJ0123456789",
        "dw.tdsaLibrary.storageConfiguration.encryptionKey=abcdefghijABCDEFGHIJ0123456780", NULL};
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;

    (void)state;
    assert_int_equal(make(&p, &c, MINIMAL, one, &record, &err), TDSA_OK);
    assert_string_equal(cfg_participant_keystore(p)->encryption_key,
                        "abcdefghijABCDEFGHIJ0123456789");
    cfg_participant_free(p);
    cfg_free(c);
    assert_int_equal(make(&p, &c, MINIMAL, both, &record, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "differ"));
    assert_null(strstr(err.text, "abcdefghij"));
}

static void what_is_not_built_is_refused_by_name(void **state)
{
    static const refusal cases[] = {
        {"dw.tdsaLibrary.participantPrimaryPrivateKey=vault:kv:secret/x@y",
         "participantPrimaryPrivateKey: vault selectors are not supported"},
        {"dw.tdsaLibrary.participantSecondaryPrivateKey=vault:kv:secret/x@y", "vault selectors"},
        {"dw.tdsaLibrary.storageConfiguration.encryptionKey=vault:kv:secret/x@y",
         "vault selectors"},
        {"dw.tdsaLibrary.encryptionKey=vault:kv:secret/x@y", "vault selectors"},
        {"dw.tdsaServer.serverGroupId=vault:kv:secret/x@y", "vault selectors"},
        {"dw.database.user=vault:database:database@role@username", "database.user: vault"},
        {"dw.database.password=vault:database:database@role@password", "database.password: vault"},
        {"dw.database.url=jdbc:postgresql://h:5432/d", "database.user is missing"},
        {"dw.database.url=jdbc:oracle:thin:@h", "unknown JDBC URL"},
        {"dw.database.driverClass=org.postgresql.Driver", "another driver"},
        {"dw.database.readOnlyByDefault=true", "every signature writes"},
        {"dw.database.defaultReadOnly=true", "every signature writes"},
        {"dw.httpClient.proxy.host=proxy", "proxies are not supported"},
        {"dw.tdsaLibrary.storageConfiguration.encryptor=aesgmc", "unknown encryptor"},
        {"dw.tdsaLibrary.storageConfiguration.encryptor=aesgcm", "there is no encryptionKey"},
        {"dw.tdsaLibrary.storageConfiguration.encryptorClass=AESGCM", "there is no encryptionKey"},
        {"dw.tdsaLibrary.storageConfiguration.encryptorArguments=pkcs11:token=t;object=o",
         "encryptor: pkcs11"},
        {"dw.tdsaLibrary.storageConfiguration.encryptor=pkcs11", "one PKCS #11 URI"},
        {"dw.httpClient.userAgent=0123456789012345678901234567890123456789012345678901234567890123",
         "httpClient.userAgent"},
        {"dw.httpClient.tls.trustStorePath=/nonexistent/ca.pem", "cannot be opened"},
        {"dw.httpClient.tls.trustStorePath=/bin/true", "is not PEM"},
    };

    (void)state;
    REFUSED(MINIMAL "database:\n  url: 'jdbc:sqlite::memory:'\n", cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encryptor_names_are_understood),
        cmocka_unit_test(a_plugin_gets_its_arguments_in_order),
        cmocka_unit_test(h2_is_kept_in_sqlite_unless_there_is_h2_data),
        cmocka_unit_test(http_client_is_handed_on),
        cmocka_unit_test(encryption_key_has_two_places),
        cmocka_unit_test(what_is_not_built_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
