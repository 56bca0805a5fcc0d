#ifndef KS_FIXTURE_H
#define KS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keystore/keystore.h"
#include "support/db_place.h"

/** One combination of backend and encryptor that the whole suite runs on. */
typedef struct {
    const char *name;
    const char *backend;
    ks_encryptor_kind encryptor;
} ks_variant;

/** A store in a folder of its own. */
typedef struct {
    const ks_variant *variant;
    ks_cfg cfg;
    ks *s;
    char dir[128], path[160], uri[512];
    db_place place; /* backends on servers */
    tdsa_err err;
} ks_fixture;

#define KS_VARIANTS_MAX 7u
/** PIN of the token of a pkcs11 variant. */
#define KS_FIXTURE_PIN "31415926"
/** All combinations; those on servers when there is one (db_place_offered). */
size_t ks_variants(const ks_variant *out[KS_VARIANTS_MAX]);

/** cmocka set-up: *state is a ks_variant, and becomes an opened ks_fixture. */
int ks_fixture_setup(void **state);
int ks_fixture_teardown(void **state);
/** Makes f->cfg use the key `object` of a token; `rest` follows in the query. */
void ks_fixture_uri(ks_fixture *f, const char *token, const char *object, const char *rest);
/** Closes the store and puts a copy of another database file in its place. */
void ks_fixture_copy_db(ks_fixture *f, const char *from);
/** Puts an empty database in the place of that of a store that is closed. */
void ks_fixture_empty_db(ks_fixture *f);
void ks_fixture_reopen(ks_fixture *f);
/** Runs every test on every variant, with ks_fixture_setup unless it has a set-up of its own; returns how many failed. */
int ks_fixture_run(const char *group, const struct CMUnitTest *tests, size_t count);

/** Fails the test with the error's text unless st is `want`. */
void ks_expect_at(ks_fixture *f, tdsa_status want, tdsa_status st, const char *where);
#define EXPECT(f, want, call) ks_expect_at((f), (want), (call), TDSA_WHERE)
#define OK(f, call)           ks_expect_at((f), TDSA_OK, (call), TDSA_WHERE)

/** A REGISTERED key, and a share stored for it. */
void ks_fixture_register(ks_fixture *f, const char *key_id);
void ks_fixture_store(ks_fixture *f, const char *key_id, const char *share);
/** A key in state ACTIVE. */
void ks_fixture_active(ks_fixture *f, const char *key_id, const char *share);
/** A batch of `count` presignatures whose beta is 32 times `tag`, data 100 times `tag`. */
void ks_fixture_batch(ks_fixture *f, const char *key_id, uint8_t tag, ks_batch_state state,
                      uint64_t lane, uint64_t seq, uint32_t count);
/** 32 times `tag`, in static storage. */
const uint8_t *ks_fixture_beta(uint8_t tag);

#endif
