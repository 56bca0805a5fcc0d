#include "config/participant_cfg.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/dh.h"
#include "config_support.h"

#define EXAMPLES TDSA_TESTS_DIR "/../examples/"

/* Loads an example; everything in it must be understood without a warning. */
static cfg_participant *example(const char *name, cfg **c, log_record *record)
{
    const tdsa_log log = log_to(record);
    char path[1024];
    const cfg_source source = {.file = path, .log = &log};
    cfg_participant *p = NULL;
    tdsa_err err;

    (void)snprintf(path, sizeof path, "%s%s", EXAMPLES "configurations/", name);
    if (cfg_load(c, &source, NULL, &err) != TDSA_OK ||
        cfg_participant_new(&p, *c, &log, &err) != TDSA_OK) {
        fail_msg("%s: %s", name, err.text);
    }
    assert_int_equal(record->warnings, 0);
    return p;
}

static void server_with_a_client(void **state)
{
    log_record record;
    cfg *c;
    cfg_participant *p = example("tdsa.yml", &c, &record);

    (void)state;
    assert_int_equal(cfg_participant_engine(p)->roster.me, 1);
    assert_int_equal(cfg_participant_engine(p)->roster.client_index, 0);
    assert_int_equal(cfg_participant_keystore(p)->encryptor, KS_ENCRYPTOR_PKCS11);
    assert_string_equal(cfg_participant_keystore(p)->path, "/var/lib/tdsa/participant1.db");
    assert_int_equal(cfg_count(c, "server.applicationConnectors"), 2);
    assert_int_equal(cfg_count(c, "server.adminConnectors"), 1);
    cfg_participant_free(p);
    cfg_free(c);
}

static void the_client_of_that_server(void **state)
{
    log_record record;
    cfg *c;
    cfg_participant *p = example("client.yml", &c, &record);
    cfg *server_cfg;
    cfg_participant *server = example("tdsa.yml", &server_cfg, &record);
    const peer_roster *mine = &cfg_participant_engine(p)->roster;
    const peer_roster *theirs = &cfg_participant_engine(server)->roster;

    (void)state;
    assert_int_equal(mine->me, 0);
    assert_int_equal(mine->client_index, 0);
    assert_int_equal(cfg_participant_engine(p)->deadline_ms, 4000);
    assert_true(cfg_participant_keystore(p)->create_wrapping_key);
    assert_string_equal(mine->at[1].entry[0].id, theirs->at[1].entry[0].id);
    assert_memory_equal(&mine->at[1].entry[0].keys, &theirs->my_public, sizeof(peer_keys));
    cfg_participant_free(server);
    cfg_free(server_cfg);
    cfg_participant_free(p);
    cfg_free(c);
}

static void servers_without_a_client(void **state)
{
    log_record record;
    cfg *c;
    cfg_participant *p = example("servers-only.yml", &c, &record);

    (void)state;
    assert_int_equal(cfg_participant_engine(p)->roster.client_index, PEER_NO_CLIENT);
    assert_string_equal(cfg_participant_engine(p)->roster.at[0].entry[0].id, "north");
    assert_string_equal(cfg_participant_engine(p)->roster.at[1].entry[0].url,
                        "http://[2001:db8::1]:9080/protocol/round");
    assert_string_equal(cfg_participant_engine(p)->roster.at[2].entry[0].url,
                        "https://west.example.org/tdsa/round");
    assert_int_equal(cfg_participant_keystore(p)->encryptor, KS_ENCRYPTOR_AESGCM);
    cfg_participant_free(p);
    cfg_free(c);
}

/* The next line of the script, "<name>: <base64url>"; the value in `out`. */
static void next_key(FILE *script, const char *name, char out[256])
{
    char line[512];
    const char *value;

    assert_non_null(fgets(line, sizeof line, script));
    assert_int_equal(strncmp(line, name, strlen(name)), 0);
    value = line + strlen(name) + strspn(line + strlen(name), " ");
    assert_true(strlen(value) < 256);
    (void)snprintf(out, 256, "%.*s", (int)strcspn(value, "\n"), value);
    assert_null(strpbrk(out, "+/= "));
}

static void generated_keys_have_the_documented_form(void **state)
{
    FILE *script = popen(EXAMPLES "generate-keys.sh", "r");
    char public_text[256];
    char private_text[256];
    uint8_t pub[TDSA_X448_LEN];
    uint8_t priv[TDSA_X448_LEN];
    uint8_t derived[TDSA_X448_LEN];
    char rest[8];
    tdsa_err err;

    (void)state;
    assert_non_null(script);
    next_key(script, "Primary Public key:", public_text);
    next_key(script, "Primary Private key:", private_text);
    assert_int_equal(tdsa_dh_parse_public(TDSA_DH_X25519, pub, public_text, &err), TDSA_OK);
    assert_int_equal(tdsa_dh_parse_private(TDSA_DH_X25519, priv, private_text, &err), TDSA_OK);
    assert_int_equal(tdsa_dh_public(TDSA_DH_X25519, derived, priv, &err), TDSA_OK);
    assert_memory_equal(pub, derived, TDSA_X25519_LEN);
    next_key(script, "Secondary Public key:", public_text);
    next_key(script, "Secondary Private key:", private_text);
    assert_int_equal(tdsa_dh_parse_public(TDSA_DH_X448, pub, public_text, &err), TDSA_OK);
    assert_int_equal(tdsa_dh_parse_private(TDSA_DH_X448, priv, private_text, &err), TDSA_OK);
    assert_int_equal(tdsa_dh_public(TDSA_DH_X448, derived, priv, &err), TDSA_OK);
    assert_memory_equal(pub, derived, TDSA_X448_LEN);
    assert_null(fgets(rest, sizeof rest, script));
    assert_int_equal(pclose(script), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_with_a_client),
        cmocka_unit_test(the_client_of_that_server),
        cmocka_unit_test(servers_without_a_client),
        cmocka_unit_test(generated_keys_have_the_documented_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
