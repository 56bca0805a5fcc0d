#include "audit_rig.h"

static void a_record_is_one_line_in_a_chain(void **state)
{
    static const char expected[] =
        "{\"seq\":1,\"time\":\"2026-01-31T12:00:00.123Z\",\"participant\":2,\"event\":\"key."
        "reshare\","
        "\"keyId\":\"k1\",\"detail\":\"epoch 1\",\"prev\":\""
        "0000000000000000000000000000000000000000000000000000000000000000\",\"hash\":\"";
    char text[4096];
    rig r;
    findings f;
    tdsa_audit_result result;

    (void)state;
    open_rig(&r);
    put_ok(&r, "epoch 1");
    put_ok(&r, NULL);
    (void)slurp(r.path, text, sizeof text);
    assert_memory_equal(text, expected, sizeof expected - 1);
    result = verify(&r, &f);
    assert_int_equal(result.first, 1);
    assert_int_equal(result.records, 2);
    assert_int_equal(result.last.seq, 2);
    assert_int_equal(f.count, 0);
    close_rig(&r);
}

static void quotes_controls_and_long_texts_cannot_forge_a_line(void **state)
{
    char text[8192], longer[600];
    rig r;
    findings f;

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    open_rig(&r);
    put_ok(&r, "\"},{\n\\\xff");
    put_ok(&r, longer);
    (void)slurp(r.path, text, sizeof text);
    assert_non_null(strstr(text, "\"detail\":\"'},{?'?\""));
    assert_int_equal(verify(&r, &f).records, 2);
    assert_int_equal(f.count, 0);
    close_rig(&r);
}

static void an_edited_line_is_named(void **state)
{
    char text[8192];
    size_t len, line_len;
    rig r;
    findings f;

    (void)state;
    open_rig(&r);
    for (unsigned i = 0; i < 5; i++) {
        put_ok(&r, "epoch 1");
    }
    len = slurp(r.path, text, sizeof text);
    strstr(line_at(text, 3, &line_len), "epoch 1")[6] = '7';
    spill(r.path, text, len, "we");
    assert_int_equal(verify(&r, &f).evidence, 1);
    assert_int_equal(f.at[0].flaw, TDSA_AUDIT_EDITED);
    assert_int_equal(f.at[0].line, 3);
    close_rig(&r);
}

/* Whoever edits a line and makes its hash anew breaks the line after it. */
static void a_line_made_anew_does_not_fit_the_next(void **state)
{
    char text[8192];
    TDSA_SCOPED_BUF forged = TDSA_BUF_EMPTY;
    tdsa_audit_point last = {.seq = 0};
    const tdsa_audit_event e = {.participant = 2, .event = "key.other"};
    size_t line_len;
    rig r;
    findings f;
    tdsa_err err;

    (void)state;
    open_rig(&r);
    for (unsigned i = 0; i < 3; i++) {
        put_ok(&r, "epoch 1");
    }
    (void)slurp(r.path, text, sizeof text);
    assert_int_equal(tdsa_audit_format(&forged, &last, 5, &e, &err), TDSA_OK);
    tdsa_buf_append_str(&forged, line_at(text, 2, &line_len));
    spill(r.path, (const char *)forged.data, forged.len, "we");
    assert_int_equal(verify(&r, &f).evidence, 1);
    assert_int_equal(f.at[0].flaw, TDSA_AUDIT_BROKEN);
    assert_int_equal(f.at[0].line, 2);
    close_rig(&r);
}

static void a_removed_line_is_named_by_its_number_and_place(void **state)
{
    char text[8192];
    char *line;
    size_t len, line_len;
    rig r;
    findings f;

    (void)state;
    open_rig(&r);
    for (unsigned i = 0; i < 5; i++) {
        put_ok(&r, "epoch 1");
    }
    len = slurp(r.path, text, sizeof text);
    line = line_at(text, 2, &line_len);
    memmove(line, line + line_len, len - (size_t)(line - text) - line_len + 1);
    spill(r.path, text, len - line_len, "we");
    assert_int_equal(verify(&r, &f).evidence, 1);
    assert_int_equal(f.at[0].flaw, TDSA_AUDIT_MISSING);
    assert_int_equal(f.at[0].line, 2);
    assert_non_null(strstr(f.at[0].text, "records 2 to 2 are missing"));
    close_rig(&r);
}

static void lines_in_another_order_are_named(void **state)
{
    char text[8192];
    TDSA_SCOPED_BUF other = TDSA_BUF_EMPTY;
    static const unsigned order[] = {1, 3, 2, 4};
    size_t len;
    rig r;
    findings f;

    (void)state;
    open_rig(&r);
    for (unsigned i = 0; i < 4; i++) {
        put_ok(&r, "epoch 1");
    }
    (void)slurp(r.path, text, sizeof text);
    for (size_t i = 0; i < 4; i++) {
        const char *line = line_at(text, order[i], &len);

        tdsa_buf_append(&other, line, len);
    }
    spill(r.path, (const char *)other.data, other.len, "we");
    assert_int_equal(verify(&r, &f).evidence, 3); /* gap before 3, 2 after 3, gap before 4 */
    assert_int_equal(f.at[0].flaw, TDSA_AUDIT_MISSING);
    assert_int_equal(f.at[0].line, 2);
    assert_int_equal(f.at[1].flaw, TDSA_AUDIT_ORDER);
    assert_int_equal(f.at[1].line, 3);
    close_rig(&r);
}

static void a_line_that_is_no_record_is_named(void **state)
{
    char text[8192];
    TDSA_SCOPED_BUF other = TDSA_BUF_EMPTY;
    size_t len, all;
    rig r;
    findings f;

    (void)state;
    open_rig(&r);
    put_ok(&r, "epoch 1");
    put_ok(&r, "epoch 2");
    all = slurp(r.path, text, sizeof text);
    (void)line_at(text, 1, &len);
    tdsa_buf_append(&other, text, len);
    tdsa_buf_append_str(&other, "nothing\n");
    tdsa_buf_append(&other, text + len, all - len);
    spill(r.path, (const char *)other.data, other.len, "we");
    assert_int_equal(verify(&r, &f).evidence, 1);
    assert_int_equal(f.at[0].flaw, TDSA_AUDIT_GARBAGE);
    assert_int_equal(f.at[0].line, 2);
    close_rig(&r);
}

/* A chain that was made anew as a whole is in itself right; the hash that somebody noted is not. */
static void a_noted_hash_finds_a_chain_that_was_made_anew(void **state)
{
    rig r;
    findings f;
    tdsa_audit_point noted;
    const char *paths[] = {r.path};
    const tdsa_audit_check check = {.noted = &noted, .fn = note, .ctx = &f};
    tdsa_audit_result result;
    tdsa_err err;

    (void)state;
    open_rig(&r);
    put_ok(&r, "epoch 1");
    noted = verify(&r, &f).last;
    put_ok(&r, "epoch 2");
    assert_int_equal(tdsa_os_audit_verify(&result, paths, 1, &check, &err), TDSA_OK);
    assert_true(result.noted_seen);
    assert_int_equal(f.count, 0);
    noted.hash[0] ^= 1;
    assert_int_equal(tdsa_os_audit_verify(&result, paths, 1, &check, &err), TDSA_OK);
    assert_int_equal(f.at[0].flaw, TDSA_AUDIT_OTHER);
    assert_int_equal(result.evidence, 1);
    close_rig(&r);
}

static void an_event_with_too_long_a_name_is_refused(void **state)
{
    char name[80];
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_audit_point last = {.seq = 0};
    tdsa_audit_event e = {.event = name};
    tdsa_err err;

    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(tdsa_audit_format(&out, &last, 0, &e, &err), TDSA_E_BAD_INPUT);
    e.event = "key.delete";
    e.key_id = name;
    assert_int_equal(tdsa_audit_format(&out, &last, 0, &e, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(last.seq, 0);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_one_line_in_a_chain),
        cmocka_unit_test(quotes_controls_and_long_texts_cannot_forge_a_line),
        cmocka_unit_test(an_edited_line_is_named),
        cmocka_unit_test(a_line_made_anew_does_not_fit_the_next),
        cmocka_unit_test(a_removed_line_is_named_by_its_number_and_place),
        cmocka_unit_test(lines_in_another_order_are_named),
        cmocka_unit_test(a_line_that_is_no_record_is_named),
        cmocka_unit_test(a_noted_hash_finds_a_chain_that_was_made_anew),
        cmocka_unit_test(an_event_with_too_long_a_name_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
