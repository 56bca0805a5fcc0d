#include "ks_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ks_tempdir.h"
#include "support/softhsm.h"

static const ks_variant memory_clear = {"memory+none", "memory", KS_ENCRYPTOR_NONE};
static const ks_variant memory_gcm = {"memory+aesgcm", "memory", KS_ENCRYPTOR_AESGCM};
static const ks_variant sqlite_clear = {"sqlite+none", "sqlite", KS_ENCRYPTOR_NONE};
static const ks_variant sqlite_gcm = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};
static const ks_variant sqlite_token = {"sqlite+pkcs11", "sqlite", KS_ENCRYPTOR_PKCS11};
static const ks_variant postgres_gcm = {"postgres+aesgcm", "postgres", KS_ENCRYPTOR_AESGCM};
static const ks_variant mariadb_gcm = {"mariadb+aesgcm", "mariadb", KS_ENCRYPTOR_AESGCM};

size_t ks_variants(const ks_variant *out[KS_VARIANTS_MAX])
{
    size_t n = 0;

    out[n++] = &memory_clear;
    out[n++] = &memory_gcm;
    out[n++] = &sqlite_clear;
    out[n++] = &sqlite_gcm;
    out[n++] = &sqlite_token;
    if (db_place_offered("postgres")) {
        out[n++] = &postgres_gcm;
    }
    if (db_place_offered("mariadb")) {
        out[n++] = &mariadb_gcm;
    }
    return n;
}

void ks_expect_at(ks_fixture *f, tdsa_status want, tdsa_status st, const char *where)
{
    if (st != want) {
        fail_msg("%s (%s): %s instead of %s: %s", where, f->variant->name, tdsa_status_name(st),
                 tdsa_status_name(want), st == TDSA_OK ? "" : f->err.text);
    }
    if (st != TDSA_OK && (f->err.status != st || f->err.text[0] == '\0')) {
        fail_msg("%s: the error is not filled in", where);
    }
}

static bool on_a_server(const ks_fixture *f)
{
    return strcmp(f->variant->backend, "postgres") == 0 ||
           strcmp(f->variant->backend, "mariadb") == 0;
}

int ks_fixture_setup(void **state)
{
    ks_fixture *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -1;
    }
    f->variant = *state;
    if (ks_tempdir_make(f->dir, sizeof f->dir) != 0) {
        free(f);
        return -1;
    }
    (void)snprintf(f->path, sizeof f->path, "%s/keystore.db", f->dir);
    f->cfg = (ks_cfg){
        .backend = f->variant->backend,
        .path = f->path,
        .create_tables = true,
        .encryptor = f->variant->encryptor,
        .encryption_key = "correct horse battery staple",
        .unlock_at_open = true,
        .rng = tdsa_os_rng(),
        .clock = tdsa_os_clock(),
    };
    *state = f;
    if (on_a_server(f)) {
        f->cfg.server = &f->place.server;
        if (!db_place_make(&f->place, f->variant->backend)) {
            return -1;
        }
    }
    if (f->variant->encryptor == KS_ENCRYPTOR_PKCS11) {
        if (softhsm_make(f->dir, "tok", KS_FIXTURE_PIN, "tdsa-wrap") != 0) {
            return -1;
        }
        ks_fixture_uri(f, "tok", "tdsa-wrap", "&pin-value=" KS_FIXTURE_PIN);
    }
    if (ks_open(&f->s, &f->cfg, &f->err) != TDSA_OK) {
        print_error("ks_open (%s): %s\n", f->variant->name, f->err.text);
        return -1;
    }
    return 0;
}

int ks_fixture_teardown(void **state)
{
    ks_fixture *f = *state;

    ks_close(f->s);
    if (on_a_server(f)) {
        db_place_back(&f->place);
    }
    ks_tempdir_remove(f->dir);
    free(f);
    return 0;
}

void ks_fixture_uri(ks_fixture *f, const char *token, const char *object, const char *rest)
{
    (void)snprintf(f->uri, sizeof f->uri, "pkcs11:token=%s;object=%s?module-path=%s%s", token,
                   object, softhsm_module(), rest);
    f->cfg.wrapping_uri = f->uri;
}

void ks_fixture_reopen(ks_fixture *f)
{
    ks_close(f->s);
    f->s = NULL;
    OK(f, ks_open(&f->s, &f->cfg, &f->err));
}

void ks_fixture_empty_db(ks_fixture *f)
{
    if (on_a_server(f)) {
        assert_true(db_place_make(&f->place, f->variant->backend));
    } else if (strcmp(f->variant->backend, "sqlite") == 0) {
        assert_int_equal(unlink(f->path), 0);
    }
}

void ks_fixture_copy_db(ks_fixture *f, const char *from)
{
    uint8_t bytes[4096];
    FILE *in = NULL;
    FILE *out = NULL;
    size_t n = 0;

    ks_close(f->s);
    f->s = NULL;
    in = fopen(from, "rb");
    out = fopen(f->path, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0) {
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    }
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

#define TESTS_MAX 64u

int ks_fixture_run(const char *group, const struct CMUnitTest *tests, size_t count)
{
    const ks_variant *variants[KS_VARIANTS_MAX];
    const size_t n = ks_variants(variants);
    int failed = 0;

    assert_true(count <= TESTS_MAX);
    for (size_t v = 0; v < n; v++) {
        struct CMUnitTest all[TESTS_MAX];
        char names[TESTS_MAX][160];

        for (size_t i = 0; i < count; i++) {
            (void)snprintf(names[i], sizeof names[i], "%s: %s", variants[v]->name, tests[i].name);
            all[i] = tests[i];
            all[i].name = names[i];
            all[i].setup_func =
                tests[i].setup_func != NULL ? tests[i].setup_func : ks_fixture_setup;
            all[i].teardown_func = ks_fixture_teardown;
            all[i].initial_state = (void *)(uintptr_t)variants[v];
        }
        failed += _cmocka_run_group_tests(group, all, count, NULL, NULL);
    }
    return failed;
}

void ks_fixture_register(ks_fixture *f, const char *key_id)
{
    static uint8_t attrs[] = {1, 2, 3};
    ks_key k = {.epoch = 0, .created_ms = 1700000000000, .presignature_limit = -1};

    (void)snprintf(k.key_id, sizeof k.key_id, "%s", key_id);
    (void)snprintf(k.label, sizeof k.label, "label of %s", key_id);
    k.attrs = attrs;
    k.attrs_len = sizeof attrs;
    OK(f, ks_key_register(f->s, &k, &f->err));
}

void ks_fixture_store(ks_fixture *f, const char *key_id, const char *share)
{
    const uint8_t public_part[] = "public part";
    tdsa_secret *secret = NULL;

    OK(f, tdsa_secret_copy(&secret, (const uint8_t *)share, strlen(share), &f->err));
    OK(f, ks_key_store(f->s, key_id, 0, public_part, sizeof public_part, secret, &f->err));
    tdsa_secret_free(secret);
}

void ks_fixture_active(ks_fixture *f, const char *key_id, const char *share)
{
    ks_fixture_register(f, key_id);
    ks_fixture_store(f, key_id, share);
    OK(f, ks_key_move(f->s, key_id, 0, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
}

const uint8_t *ks_fixture_beta(uint8_t tag)
{
    static uint8_t beta[256][KS_BETA_LEN];

    memset(beta[tag], tag, KS_BETA_LEN);
    return beta[tag];
}

void ks_fixture_batch(ks_fixture *f, const char *key_id, uint8_t tag, ks_batch_state state,
                      uint64_t lane, uint64_t seq, uint32_t count)
{
    uint8_t data[100];
    ks_batch b = {
        .epoch = 0, .state = state, .lane = lane, .seq = seq, .count = count, .members = 7};

    memset(data, tag, sizeof data);
    memcpy(b.beta, ks_fixture_beta(tag), KS_BETA_LEN);
    (void)snprintf(b.key_id, sizeof b.key_id, "%s", key_id);
    b.data = data;
    b.data_len = sizeof data;
    OK(f, ks_batch_insert(f->s, &b, &f->err));
}
