#include "config/participant_cfg.h"

#include "participant_support.h"

/* The shape of the documented examples, all sections in one document, with values of our own: the key
 * pair of this participant does not match, and the encryptionKey has 22 letters. */
#define DOCUMENTED_TOP                                    \
    "tdsaLibrary:\n"                                      \
    "  remoteParticipants:\n"                             \
    "    -\n"                                             \
    "    - - id: first\n"                                 \
    "        uri: http://first:9080\n"                    \
    "        primaryPublicKey: " A_X25519_PUB "\n"        \
    "        secondaryPublicKey: " A_X448_PUB "\n"        \
    "    - - id: second\n"                                \
    "        uri: http://second:9080\n"                   \
    "        primaryPublicKey: " B_X25519_PUB "\n"        \
    "        secondaryPublicKey: " B_X448_PUB "\n"        \
    "  participantIds:\n"                                 \
    "    - \n"                                            \
    "    - first\n"                                       \
    "    - second\n"                                      \
    "  clientIndex: 0\n"                                  \
    "  participantIndex: 1\n"                             \
    "  participantPrimaryPrivateKey: " C_X25519_PRIV "\n" \
    "  participantSecondaryPrivateKey: " C_X448_PRIV "\n" \
    "  sessionTimeout: 60\n"                              \
    "  protocolExecutionThreads: 8\n"                     \
    "  protocolCommunicationThreads: 4\n"                 \
    "  storageConfiguration:\n"                           \
    "    skipCreateTables: false\n"                       \
    "    cacheSize: 100\n"                                \
    "    partialSignatureTimeout: 3600\n"                 \
    "    encryptionKey: wordsThatAreEasyToKeep\n"         \
    "tdsaServer:\n"                                       \
    "  serverGroupId: some_group_of_servers\n"            \
    "vault:\n"                                            \
    "  address: http://127.0.0.1:8200\n"                  \
    "  token: s.0123456789abcdefABCDEF\n"                 \
    "  unwrap: false\n"                                   \
    "  engineVersion: 2\n"
#define DOCUMENTED_HTTP                                             \
    "server:\n"                                                     \
    "  maxThreads: 100\n"                                           \
    "  minThreads: 10\n"                                            \
    "  maxQueuedRequests: 50\n"                                     \
    "  allowedMethods: [ HEAD, GET, PUT, POST, OPTIONS, DELETE ]\n" \
    "  requestLog:\n"                                               \
    "    appenders: []\n"                                           \
    "  applicationConnectors:\n"                                    \
    "    - type: http\n"                                            \
    "      port: 9080\n"                                            \
    "    - type: http\n"                                            \
    "      port: 8080\n"                                            \
    "  adminConnectors:\n"                                          \
    "    - type: http\n"                                            \
    "      port: 8081\n"
#define DOCUMENTED_REST                                    \
    "httpClient:\n"                                        \
    "  timeout: 30s\n"                                     \
    "  connectionTimeout: 10s\n"                           \
    "  timeToLive: 60s\n"                                  \
    "  cookiesEnabled: false\n"                            \
    "  maxConnections: 1024\n"                             \
    "  maxConnectionsPerRoute: 1024\n"                     \
    "  validateAfterInactivityPeriod: 30s\n"               \
    "  keepAlive: 30s\n"                                   \
    "  retries: 3\n"                                       \
    "logging:\n"                                           \
    "  level: INFO\n"                                      \
    "  appenders:\n"                                       \
    "    - type: console\n"                                \
    "      threshold: TRACE\n"                             \
    "      target: stdout\n"                               \
    "  loggers:\n"                                         \
    "    \"org.reflections\": ERROR\n"                     \
    "    \"org.apache\": WARN\n"                           \
    "    \"org.apache.axis2\": WARN\n"                     \
    "    \"com.sepior.tdsa\": INFO\n"                      \
    "    \"com.sepior.tdsaservice\": INFO\n"               \
    "database:\n"                                          \
    "  driverClass:\n"                                     \
    "    org.postgresql.Driver\n"                          \
    "  url:\n"                                             \
    "    jdbc:postgresql://127.0.0.1:5432/some_database\n" \
    "  user: some_user\n"                                  \
    "  password: some_password\n"                          \
    "  properties:\n"                                      \
    "    charSet: UTF-8\n"                                 \
    "health:\n"                                            \
    "  monitors:\n"                                        \
    "    - name: max_aborted_presiggen\n"                  \
    "      metric: com.sepior.tdsa.ABORTED.PRESIG\n"       \
    "      statistic: m5_rate\n"                           \
    "      max: 5.0\n"
#define DOCUMENTED_TLS                               \
    "server:\n"                                      \
    "  applicationConnectors:\n"                     \
    "    - type: http\n"                             \
    "      port: 9080\n"                             \
    "    - type: https\n"                            \
    "      port: 8443\n"                             \
    "      keyStorePath: out/keystore.host.pkcs12\n" \
    "      keyStorePassword: changeit\n"             \
    "      trustStorePath: out/truststore.pkcs12\n"  \
    "      trustStorePassword: changeit\n"           \
    "      needClientAuth: true\n"                   \
    "      maxCertPathLength: 1\n"                   \
    "      jceProvider: Conscrypt\n"                 \
    "      supportedProtocols: [ TLSv1.2 ]\n"        \
    "      supportedCipherSuites: [ TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 ]\n"

static const char *const to_sqlite[] = {"dw.database.driverClass=org.sqlite.JDBC",
                                        "dw.database.url=jdbc:sqlite::memory:", NULL};

static void documented_examples_load_with_exactly_two_warnings(void **state)
{
    log_record record;
    const tdsa_log log = log_to(&record);
    cfg_participant *p = NULL;
    cfg *c = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(
        load_text(&c, DOCUMENTED_TOP DOCUMENTED_HTTP DOCUMENTED_REST, to_sqlite, &log, NULL, &err),
        TDSA_OK);
    assert_int_equal(cfg_participant_new(&p, c, &log, &err), TDSA_OK);
    assert_int_equal(record.warnings, 2);
    assert_non_null(strstr(record.text, "does not belong to its private key"));
    assert_non_null(strstr(record.text, "weaker than 128 bits"));
    assert_null(strstr(record.text, "wordsThatAreEasyToKeep"));
    assert_int_equal(cfg_participant_engine(p)->roster.n, 3);
    assert_int_equal(cfg_participant_engine(p)->roster.me, 1);
    assert_int_equal(cfg_participant_engine(p)->roster.client_index, 0);
    assert_int_equal(cfg_participant_engine(p)->roster.at[0].count, 0);
    assert_string_equal(cfg_participant_engine(p)->roster.at[2].entry[0].url,
                        "http://second:9080/protocol/round");
    assert_string_equal(cfg_participant_engine(p)->roster.server_group_id, "some_group_of_servers");
    assert_int_equal(cfg_participant_engine(p)->session_timeout_ms, 60000);
    assert_true(cfg_participant_engine(p)->may_generate);
    assert_int_equal(cfg_participant_engine(p)->t, 1);
    assert_string_equal(cfg_participant_keystore(p)->backend, "memory");
    assert_int_equal(cfg_participant_keystore(p)->encryptor, KS_ENCRYPTOR_AESGCM);
    cfg_participant_free(p);
    cfg_free(c);
}

static void documented_tls_example_loads_without_warning(void **state)
{
    log_record record;
    const tdsa_log log = log_to(&record);
    cfg *c = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(
        load_text(&c, DOCUMENTED_TOP DOCUMENTED_TLS DOCUMENTED_REST, NULL, &log, NULL, &err),
        TDSA_OK);
    assert_int_equal(record.warnings, 0);
    assert_string_equal(cfg_str(c, "server.applicationConnectors[1].type"), "https");
    assert_true(cfg_bool(c, "server.applicationConnectors[1].needClientAuth"));
    assert_string_equal(cfg_str(c, "server.applicationConnectors[1].supportedProtocols[0]"),
                        "TLSv1.2");
    cfg_free(c);
}

static void minimal_document_gives_the_defaults(void **state)
{
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;
    const part_engine_cfg *e;
    const ks_cfg *s;

    (void)state;
    assert_int_equal(make(&p, &c, MINIMAL, NULL, &record, &err), TDSA_OK);
    e = cfg_participant_engine(p);
    s = cfg_participant_keystore(p);
    assert_int_equal(e->t, 1);
    assert_int_equal(e->roster.client_index, PEER_NO_CLIENT);
    assert_false(e->may_generate);
    assert_int_equal(e->session_timeout_ms, 60000);
    assert_int_equal(e->deadline_ms, 60000);
    assert_int_equal(e->retries, 2);
    assert_int_equal(e->retry_delay_ms, 1000);
    assert_int_equal(e->default_presignature_limit, -1);
    assert_int_equal(e->min_path, 1);
    assert_int_equal(e->min_path_xpub, 3);
    assert_int_equal(e->presign_batch_min, 16);
    assert_int_equal(e->presign_batch_max, 256);
    assert_int_equal(e->presign_low, 0);
    assert_int_equal(e->presign_high, 0);
    assert_int_equal(e->presign_request_max, 1000);
    assert_int_equal(e->presign_global_max, 0);
    assert_int_equal(e->registered_client_max, 100);
    assert_int_equal(e->registered_max, 1000);
    assert_int_equal(e->registered_life_ms, 86400000);
    assert_false(e->disable_reshare);
    assert_false(e->require_known_clients);
    assert_int_equal(e->http.connect_timeout_ms, 3000);
    assert_int_equal(e->http.request_timeout_ms, 30000);
    assert_int_equal(e->http.keep_alive_ms, 30000);
    assert_true(e->http.verify_hostname);
    assert_string_equal(e->roster.server_group_id, "TDSA_SERVER");
    assert_string_equal(s->backend, "sqlite");
    assert_string_equal(s->path, "/var/lib/tdsa/participant0.db");
    assert_true(s->create_tables);
    assert_int_equal(s->encryptor, KS_ENCRYPTOR_NONE);
    assert_int_equal(record.warnings, 3);
    assert_non_null(strstr(record.text, "the id of this participant is not known"));
    assert_non_null(strstr(record.text, "WITHOUT ENCRYPTION"));
    assert_non_null(strstr(record.text, "serverGroupId is not set"));
    cfg_participant_free(p);
    cfg_free(c);
}

static void what_spans_several_keys_is_checked(void **state)
{
    static const refusal cases[] = {
        {"dw.tdsaLibrary.participantIndex=3", "participantIndex is 3"},
        {"dw.tdsaLibrary.clientIndex=3", "clientIndex is 3"},
        {"dw.tdsaLibrary.participantIds=a,b", "participantIds has 2 elements"},
        {"dw.tdsaLibrary.participantIds=a,b,x", "participantIds[2] names a participant"},
        {"dw.tdsaLibrary.threshold=2", "tolerate 1 to 1"},
        {"dw.tdsaLibrary.presignatureBatchMin=300", "presignatureBatchMin"},
        {"dw.tdsaLibrary.remoteParticipants[2]=", "remoteParticipants[2]"},
        {"dw.tdsaLibrary.remoteParticipants[2][0].id=", "remoteParticipants[2][0].id"},
        {"dw.tdsaLibrary.remoteParticipants[2][0].id=a b", "without blanks"},
        {"dw.tdsaLibrary.remoteParticipants[1][0].uri=ftp://b", "remoteParticipants[1][0].uri"},
        {"dw.tdsaLibrary.remoteParticipants[1][0].uri=http://me:pw@b", "user information"},
        {"dw.tdsaLibrary.remoteParticipants[2][0].primaryPublicKey=" B_X25519_PUB,
         "one public key at index 1 and 2"},
        {"dw.tdsaLibrary.remoteParticipants[2][0].primaryPublicKey=" A_X25519_PUB,
         "one public key at index 0 and 2"},
        {"dw.tdsaLibrary.remoteParticipants[1][0].primaryPublicKey=" B_X448_PUB,
         "remoteParticipants[1][0].primaryPublicKey: X25519"},
        {"dw.tdsaLibrary.remoteParticipants[1][0].secondaryPublicKey=" B_X25519_PUB,
         "remoteParticipants[1][0].secondaryPublicKey: X448"},
        {"dw.tdsaLibrary.participantPrimaryPrivateKey=" A_X448_PRIV,
         "participantPrimaryPrivateKey: X25519"},
        {"dw.tdsaLibrary.participantSecondaryPrivateKey=" A_X25519_PRIV,
         "participantSecondaryPrivateKey: X448"},
        {"dw.tdsaLibrary.participantPrimaryPrivateKey=***", "not base64"},
        {"dw.tdsaServer.serverGroupId=", "tdsaServer.serverGroupId"},
    };

    static const refusal same_id[] = {
        {"dw.tdsaLibrary.remoteParticipants[2][0].id=b", "one id at index 1 and 2"},
    };

    (void)state;
    REFUSED(MINIMAL "  participantIds: [a, b, c]\n", cases);
    REFUSED(MINIMAL, same_id);
}

static void a_client_waits_for_its_own_deadline(void **state)
{
    static const char *const defines[] = {"dw.tdsaLibrary.clientIndex=0",
                                          "dw.pkcs11.deadline=2500ms", NULL};
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;

    (void)state;
    assert_int_equal(make(&p, &c, MINIMAL, defines, &record, &err), TDSA_OK);
    assert_int_equal(cfg_participant_engine(p)->deadline_ms, 2500);
    cfg_participant_free(p);
    cfg_free(c);
}

static void participant_ids_choose_among_alternatives(void **state)
{
    static const char text[] = MINIMAL_HEAD
        "  participantIds: [me, b, c2]\n"
        "  remoteParticipants:\n"
        "    -\n"
        "    - - {id: b, uri: 'http://b', primaryPublicKey: " B_X25519_PUB
        ", secondaryPublicKey: " B_X448_PUB "}\n"
        "    - - {id: c1, uri: 'http://c1', primaryPublicKey: " C_X25519_PUB
        ", secondaryPublicKey: " C_X448_PUB "}\n"
        "      - {id: c2, uri: 'https://c2/', primaryPublicKey: "
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8, secondaryPublicKey: "
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc}\n";
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;
    const peer_roster *r;

    (void)state;
    assert_int_equal(make(&p, &c, text, NULL, &record, &err), TDSA_OK);
    r = &cfg_participant_engine(p)->roster;
    assert_int_equal(r->at[2].count, 2);
    assert_int_equal(r->at[2].selected, 1);
    assert_string_equal(r->at[2].entry[1].url, "https://c2/");
    assert_int_equal(r->at[2].entry[1].keys.x448[55], 55);
    assert_int_equal(r->at[0].count, 1);
    assert_string_equal(r->at[0].entry[0].id, "me");
    assert_memory_equal(&r->at[0].entry[0].keys, &r->my_public, sizeof r->my_public);
    cfg_participant_free(p);
    cfg_free(c);
}

/* Participant 2 has two alternatives, c and d; MY_KEYS decides who reads it. */
#define TWO_ALTERNATIVES(priv25519, priv448, ids)                                    \
    "tdsaLibrary:\n"                                                                 \
    "  participantIndex: 2\n"                                                        \
    "  participantPrimaryPrivateKey: " priv25519 "\n"                                \
    "  participantSecondaryPrivateKey: " priv448 "\n"                                \
    "  participantIds: " ids "\n"                                                    \
    "  remoteParticipants:\n"                                                        \
    "    - - {id: a, uri: 'http://a', primaryPublicKey: "                            \
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8, secondaryPublicKey: "              \
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc}\n" \
    "    - - {id: b, uri: 'http://b', primaryPublicKey: " B_X25519_PUB               \
    ", secondaryPublicKey: " B_X448_PUB "}\n"                                        \
    "    - - {id: c, uri: 'http://c', primaryPublicKey: " C_X25519_PUB               \
    ", secondaryPublicKey: " C_X448_PUB "}\n"                                        \
    "      - {id: d, uri: 'http://d', primaryPublicKey: " A_X25519_PUB               \
    ", secondaryPublicKey: " A_X448_PUB "}\n"

static void alternatives_of_my_own_index_are_told_apart_by_my_keys(void **state)
{
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;

    (void)state;
    assert_int_equal(make(&p, &c, TWO_ALTERNATIVES(A_X25519_PRIV, A_X448_PRIV, "[a, b, d]"), NULL,
                          &record, &err),
                     TDSA_OK);
    assert_int_equal(cfg_participant_engine(p)->roster.at[2].count, 1);
    assert_string_equal(cfg_participant_engine(p)->roster.at[2].entry[0].id, "d");
    assert_true(cfg_participant_engine(p)->may_generate);
    cfg_participant_free(p);
    cfg_free(c);
    assert_int_equal(make(&p, &c, TWO_ALTERNATIVES(C_X25519_PRIV, C_X448_PRIV, "[a, b, d]"), NULL,
                          &record, &err),
                     TDSA_OK);
    assert_string_equal(cfg_participant_engine(p)->roster.at[2].entry[0].id, "c");
    assert_false(cfg_participant_engine(p)->may_generate);
    assert_non_null(strstr(record.text, "participantIds[2] names another participant"));
    cfg_participant_free(p);
    cfg_free(c);
    assert_int_equal(make(&p, &c, TWO_ALTERNATIVES(A_X25519_PRIV, C_X448_PRIV, "[a, b, d]"), NULL,
                          &record, &err),
                     TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "none with the public keys of this one"));
}

static void what_is_missing_or_too_much_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {MINIMAL_HEAD "  remoteParticipants: [null, null]\n", "has 2 elements; 3 to 9"},
        {MINIMAL_HEAD "  remoteParticipants: [null, null, null]\n",
         "remoteParticipants[1] must list at least one"},
        {MINIMAL_HEAD "  remoteParticipants: [null, [{id: b, uri: 'http://b'}], [{id: c}]]\n",
         "remoteParticipants[1][0].primaryPublicKey must not be null"},
        {MINIMAL_HEAD "  remoteParticipants: [null, [{id: b}], [{id: c}]]\n",
         "remoteParticipants[1][0].uri must not be null"},
        {MINIMAL_HEAD "  remoteParticipants: [null, [{}, {}, {}, {}, {}, {}, {}, {}, {}], []]\n",
         "remoteParticipants[1] lists 9 participants; at most 8"},
        {MINIMAL "  participantIds: [a, null, c]\n", "participantIds[1] must not be null"},
        {MINIMAL "  storageConfiguration: {encryptor: aesgcm, encryptorClass: pkcs11}\n",
         "encryptorClass differ"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_record record;
        cfg_participant *p;
        cfg *c;
        tdsa_err err;

        assert_int_equal(make(&p, &c, cases[i].text, NULL, &record, &err), TDSA_E_CONFIG);
        if (strstr(err.text, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].says, err.text);
        }
    }
}

static void known_clients_are_read(void **state)
{
    static const char text[] = MINIMAL "  clients:\n"
                                       "    - {name: till, primaryPublicKey: " A_X25519_PUB
                                       ", secondaryPublicKey: " A_X448_PUB "}\n";
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;

    (void)state;
    assert_int_equal(make(&p, &c, text, NULL, &record, &err), TDSA_OK);
    assert_true(cfg_participant_engine(p)->require_known_clients);
    assert_int_equal(cfg_participant_engine(p)->client_count, 1);
    assert_memory_equal(cfg_participant_engine(p)->clients,
                        &cfg_participant_engine(p)->roster.my_public, sizeof(peer_keys));
    cfg_participant_free(p);
    cfg_free(c);
}

static void padded_keys_are_taken_with_a_warning(void **state)
{
    static const char *const defines[] = {
        "dw.tdsaServer.serverGroupId=group", "dw.tdsaLibrary.participantIds=a,b,c",
        "dw.tdsaLibrary.remoteParticipants[1][0].primaryPublicKey=" B_X25519_PUB "=",
        "dw.tdsaLibrary.storageConfiguration.encryptionKey="
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEF",
        NULL};
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;

    (void)state;
    assert_int_equal(make(&p, &c, MINIMAL, defines, &record, &err), TDSA_OK);
    assert_int_equal(record.warnings, 1);
    assert_non_null(strstr(record.text, "remoteParticipants[1][0].primaryPublicKey is padded"));
    cfg_participant_free(p);
    cfg_free(c);
}

static void entry_of_the_client_may_be_given_with_keys(void **state)
{
    log_record record;
    cfg_participant *p;
    cfg *c;
    tdsa_err err;

    (void)state;
    assert_int_equal(make(&p, &c,
                          MINIMAL "  participantIds: [a, b, null]\n"
                                  "  clientIndex: 2\n",
                          NULL, &record, &err),
                     TDSA_OK);
    assert_string_equal(cfg_participant_engine(p)->roster.at[2].entry[0].id, "");
    assert_string_equal(cfg_participant_engine(p)->roster.at[2].entry[0].url, "");
    assert_int_equal(cfg_participant_engine(p)->roster.at[2].count, 1);
    cfg_participant_free(p);
    cfg_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_examples_load_with_exactly_two_warnings),
        cmocka_unit_test(documented_tls_example_loads_without_warning),
        cmocka_unit_test(minimal_document_gives_the_defaults),
        cmocka_unit_test(what_spans_several_keys_is_checked),
        cmocka_unit_test(a_client_waits_for_its_own_deadline),
        cmocka_unit_test(participant_ids_choose_among_alternatives),
        cmocka_unit_test(alternatives_of_my_own_index_are_told_apart_by_my_keys),
        cmocka_unit_test(what_is_missing_or_too_much_is_refused),
        cmocka_unit_test(known_clients_are_read),
        cmocka_unit_test(padded_keys_are_taken_with_a_warning),
        cmocka_unit_test(entry_of_the_client_may_be_given_with_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
