#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/internal.h"
#include "ks_db.h"
#include "ks_fixture.h"

/* What is in a token beside keys, on every backend and encryptor. */

static ks_object object(uint8_t tag, bool sealed, uint64_t created_ms, const char *text)
{
    return (ks_object){.id = {tag, 0, 7},
                       .sealed = sealed,
                       .created_ms = created_ms,
                       .bytes = (const uint8_t *)text,
                       .len = strlen(text)};
}

static void put(ks_fixture *f, uint8_t tag, bool sealed, uint64_t created_ms, const char *text)
{
    const ks_object o = object(tag, sealed, created_ms, text);

    OK(f, ks_object_put(f->s, &o, &f->err));
}

static bool note(void *ctx, const ks_object *o)
{
    if (o->bytes == NULL) {
        tdsa_buf_appendf(ctx, "%u%s locked;", o->id[0], o->sealed ? "*" : "");
    } else {
        tdsa_buf_appendf(ctx, "%u%s %.*s;", o->id[0], o->sealed ? "*" : "", (int)o->len,
                         (const char *)o->bytes);
    }
    return true;
}

/* The objects are these, in this order. */
static void there_is(ks_fixture *f, const char *want)
{
    TDSA_SCOPED_BUF seen = TDSA_BUF_EMPTY;

    OK(f, ks_object_each(f->s, note, &seen, &f->err));
    tdsa_buf_append_u8(&seen, 0);
    assert_string_equal((const char *)seen.data, want);
}

static uint64_t changes(ks_fixture *f)
{
    uint64_t out = 0;

    OK(f, ks_change_counter(f->s, &out, &f->err));
    return out;
}

static uint64_t refused(ks_fixture *f)
{
    ks_stats stats;

    ks_get_stats(f->s, &stats);
    return stats.rows_refused;
}

static bool on(const ks_fixture *f, const char *backend)
{
    return strcmp(f->variant->backend, backend) == 0;
}

static void objects_are_put_replaced_and_deleted(void **state)
{
    ks_fixture *f = *state;
    const uint8_t id[KS_OBJECT_ID_LEN] = {3, 0, 7};

    there_is(f, "");
    put(f, 3, true, 50, "private");
    put(f, 1, false, 60, "certificate");
    put(f, 2, false, 50, "");
    put(f, 9, true, 1, "");
    there_is(f, "9* ;2 ;3* private;1 certificate;");
    put(f, 3, false, 70, "now in clear");
    put(f, 1, true, 60, "now sealed");
    there_is(f, "9* ;2 ;1* now sealed;3 now in clear;");
    OK(f, ks_object_delete(f->s, id, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_object_delete(f->s, id, &f->err));
    there_is(f, "9* ;2 ;1* now sealed;");
    if (!on(f, "memory")) {
        ks_fixture_reopen(f);
        there_is(f, "9* ;2 ;1* now sealed;");
    }
}

static void each_change_moves_the_counter(void **state)
{
    ks_fixture *f = *state;
    const uint8_t id[KS_OBJECT_ID_LEN] = {1, 0, 7};
    const uint64_t start = changes(f);

    put(f, 1, false, 5, "a");
    assert_true(changes(f) > start);
    put(f, 1, true, 5, "a");
    assert_true(changes(f) > start + 1);
    OK(f, ks_object_delete(f->s, id, &f->err));
    assert_true(changes(f) > start + 2);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_object_delete(f->s, id, &f->err));
    assert_int_equal(changes(f), start + 3);
}

static bool note_length(void *ctx, const ks_object *o)
{
    size_t *len = ctx;

    for (size_t i = 0; i < o->len; i++) {
        assert_int_equal(o->bytes[i], 0xa5);
    }
    *len += o->len;
    return true;
}

static void an_object_has_64_kibibytes_at_most(void **state)
{
    ks_fixture *f = *state;
    uint8_t *bytes = malloc(KS_OBJECT_MAX + 1);
    ks_object o = {.bytes = bytes, .len = KS_OBJECT_MAX + 1};
    size_t len = 0;

    assert_non_null(bytes);
    memset(bytes, 0xa5, KS_OBJECT_MAX + 1);
    EXPECT(f, TDSA_E_BAD_INPUT, ks_object_put(f->s, &o, &f->err));
    o.len = KS_OBJECT_MAX;
    OK(f, ks_object_put(f->s, &o, &f->err));
    o.id[15] = 1;
    o.sealed = true;
    o.created_ms = KS_SEQ_MAX;
    OK(f, ks_object_put(f->s, &o, &f->err));
    OK(f, ks_object_each(f->s, note_length, &len, &f->err));
    assert_int_equal(len, 2 * KS_OBJECT_MAX);
    o.created_ms = KS_SEQ_MAX + 1;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_object_put(f->s, &o, &f->err));
    free(bytes);
}

typedef struct {
    ks_fixture *f;
    unsigned next, until;
} walk;

/* The function may call the store. */
static bool see(void *ctx, const ks_object *o)
{
    walk *w = ctx;
    char text[16];

    (void)snprintf(text, sizeof text, "%u", w->next);
    assert_int_equal(o->id[0], w->next);
    assert_int_equal(o->len, strlen(text));
    assert_memory_equal(o->bytes, text, o->len);
    w->next++;
    if (w->next % 10 == 0) {
        OK(w->f, ks_object_put(w->f->s, o, &w->f->err));
    }
    return w->next != w->until;
}

static void many_are_listed_once_each_and_as_far_as_the_caller_wants(void **state)
{
    ks_fixture *f = *state;
    walk w = {f, 0, 0};
    char text[16];

    for (unsigned i = 0; i < 40; i++) { /* of one time, and of several */
        (void)snprintf(text, sizeof text, "%u", i);
        put(f, (uint8_t)i, i % 3 == 0, i < 25 ? 5 : i, text);
    }
    OK(f, ks_object_each(f->s, see, &w, &f->err));
    assert_int_equal(w.next, 40);
    w = (walk){f, 0, 20};
    OK(f, ks_object_each(f->s, see, &w, &f->err));
    assert_int_equal(w.next, 20);
}

static void a_locked_store_gives_what_is_in_clear(void **state)
{
    ks_fixture *f = *state;
    const ks_object secret = object(4, true, 4, "secret");
    const uint8_t id[KS_OBJECT_ID_LEN] = {1, 0, 7};

    put(f, 1, true, 1, "private");
    put(f, 2, false, 2, "public");
    ks_lock(f->s);
    there_is(f, "1* locked;2 public;");
    EXPECT(f, TDSA_E_LOGIN, ks_object_put(f->s, &secret, &f->err));
    put(f, 3, false, 3, "more");
    OK(f, ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    there_is(f, "1* private;2 public;3 more;");
    ks_lock(f->s);
    OK(f, ks_object_delete(f->s, id, &f->err));
    there_is(f, "2 public;3 more;");
}

static void the_data_key_is_wanted_for_sealed_ones_alone(void **state)
{
    ks_fixture *f = *state;
    ks_stats before;
    ks_stats after;

    if (on(f, "memory") || f->variant->encryptor == KS_ENCRYPTOR_NONE) {
        return;
    }
    f->cfg.data_key_expires = true; /* after each use */
    ks_fixture_reopen(f);
    ks_get_stats(f->s, &before);
    put(f, 1, false, 1, "public");
    there_is(f, "1 public;");
    ks_get_stats(f->s, &after);
    assert_int_equal(before.unwraps, after.unwraps);
    put(f, 2, true, 2, "private");
    there_is(f, "1 public;2* private;");
    ks_get_stats(f->s, &after);
    assert_int_equal(before.unwraps + 2, after.unwraps);
}

static void another_process_sees_them(void **state)
{
    ks_fixture *f = *state;
    ks *mine = f->s;
    ks *other = NULL;
    uint64_t seen = 0;

    if (on(f, "memory")) {
        return;
    }
    OK(f, ks_open(&other, &f->cfg, &f->err));
    f->s = other;
    there_is(f, "");
    seen = changes(f);
    f->s = mine;
    put(f, 1, true, 1, "private");
    f->s = other;
    assert_true(changes(f) > seen);
    there_is(f, "1* private;");
    f->s = mine;
    ks_close(other);
}

static void what_is_sealed_is_nowhere_in_clear(void **state)
{
    ks_fixture *f = *state;
    static const char marker[] = "a text that is found when it is in clear";
    char command[600];

    if (!on(f, "sqlite") || f->variant->encryptor == KS_ENCRYPTOR_NONE) {
        return;
    }
    put(f, 1, true, 1, marker);
    (void)snprintf(command, sizeof command, "grep -rqa '%s' %s", marker, f->dir);
    assert_int_not_equal(system(command), 0);
    put(f, 2, false, 1, marker);
    assert_int_equal(system(command), 0);
}

/* ---- rows that somebody edited ---- */

static void an_edited_row_hides_none_of_the_others(void **state)
{
    static const char *const edits[] = {
        "UPDATE object SET sealed = (SELECT sealed FROM object WHERE created_ms = 30)",
        "UPDATE object SET created_ms = 11",
        "UPDATE object SET sealed = zeroblob(50)",
        "UPDATE object SET sealed = x'02'",
        "UPDATE object SET sealed = zeroblob(70000)",
        "UPDATE object SET sealed = 'text'",
        "UPDATE object SET value = x'00'",
        "UPDATE object SET value = zeroblob(65537), sealed = NULL",
        "UPDATE object SET created_ms = 'text'",
        "UPDATE object SET id = replace(hex(zeroblob(8)), '0', char(228))",
        "UPDATE object SET sealed = (SELECT value FROM meta WHERE name = 'x')",
    };
    ks_fixture *f = *state;
    char sql[200];

    if (!on(f, "sqlite") || f->variant->encryptor == KS_ENCRYPTOR_NONE) {
        return;
    }
    OK(f, ks_meta_put(f->s, "x", true, (const uint8_t *)"x", 1, &f->err));
    put(f, 1, false, 5, "public");
    put(f, 3, true, 30, "private");
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        const uint64_t before = refused(f);

        put(f, 2, true, 10, "edited");
        there_is(f, "1 public;2* edited;3* private;");
        (void)snprintf(sql, sizeof sql, "%s WHERE created_ms = 10", edits[i]);
        ks_db_edit(f, sql);
        there_is(f, "1 public;3* private;");
        assert_int_equal(refused(f), before + 1);
        ks_db_edit(f, "DELETE FROM object WHERE created_ms NOT IN (5, 30)");
    }
    put(f, 2, true, 10, "edited");
    ks_db_edit(f, "UPDATE object SET id = x'0102' WHERE created_ms = 10");
    there_is(f, "1 public;3* private;"); /* as if it were not there */
    ks_db_edit(f, "UPDATE object SET value = x'62', sealed = NULL WHERE created_ms = 30");
    there_is(f, "1 public;3 b;"); /* in clear, and nobody vouches for it */
}

static void rows_without_an_order_end_the_list(void **state)
{
    ks_fixture *f = *state;
    TDSA_SCOPED_BUF seen = TDSA_BUF_EMPTY;

    if (!on(f, "sqlite")) {
        return;
    }
    put(f, 1, false, 5, "public");
    ks_db_edit(f, "WITH RECURSIVE n (i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 100)"
                  " INSERT INTO object (id, created_ms, value)"
                  " SELECT randomblob(16), 'late', x'00' FROM n");
    EXPECT(f, TDSA_E_STORE, ks_object_each(f->s, note, &seen, &f->err));
    assert_memory_equal(seen.data, "1 public;", seen.len);
}

static void sealed_objects_do_not_outlive_the_row_of_their_data_key(void **state)
{
    ks_fixture *f = *state;
    ks *again = NULL;

    if (!on(f, "sqlite") || f->variant->encryptor == KS_ENCRYPTOR_NONE) {
        return;
    }
    put(f, 1, true, 1, "private");
    ks_db_edit(f, "DELETE FROM data_key");
    EXPECT(f, TDSA_E_STORE, ks_open(&again, &f->cfg, &f->err));
    assert_non_null(strstr(f->err.text, "data key row"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_put_replaced_and_deleted),
        cmocka_unit_test(each_change_moves_the_counter),
        cmocka_unit_test(an_object_has_64_kibibytes_at_most),
        cmocka_unit_test(many_are_listed_once_each_and_as_far_as_the_caller_wants),
        cmocka_unit_test(a_locked_store_gives_what_is_in_clear),
        cmocka_unit_test(the_data_key_is_wanted_for_sealed_ones_alone),
        cmocka_unit_test(another_process_sees_them),
        cmocka_unit_test(what_is_sealed_is_nowhere_in_clear),
        cmocka_unit_test(an_edited_row_hides_none_of_the_others),
        cmocka_unit_test(rows_without_an_order_end_the_list),
        cmocka_unit_test(sealed_objects_do_not_outlive_the_row_of_their_data_key),
    };

    return ks_fixture_run("objects", tests, sizeof tests / sizeof tests[0]);
}
