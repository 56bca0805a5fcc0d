#include "audit_rig.h"

/* Every length that a crash can leave of the last line, its end included. */
static void a_torn_last_line_is_found_and_the_log_goes_on(void **state)
{
    char text[8192];
    size_t len, line_len;

    (void)state;
    for (size_t cut = 1; cut < 330; cut += 7) {
        rig r;
        findings f;

        open_rig(&r);
        put_ok(&r, "epoch 1");
        put_ok(&r, "epoch 2");
        len = slurp(r.path, text, sizeof text);
        (void)line_at(text, 1, &line_len);
        spill(r.path, text, cut < len - line_len ? len - cut : line_len + 1, "we");
        spill(r.head, "", 0, "we"); /* the head is made from the log */
        (void)verify(&r, &f);
        assert_int_equal(f.count, cut == 1 ? 0 : 1); /* without its end a record is whole */
        if (cut > 1) {
            assert_int_equal(f.at[0].flaw, TDSA_AUDIT_TAIL);
            assert_int_equal(f.at[0].line, 2);
        }
        put_ok(&r, "epoch 3");
        put_ok(&r, "epoch 4");
        assert_int_equal(verify(&r, &f).evidence, 0);
        assert_int_equal(f.count, cut == 1 ? 0 : 1);
        assert_true(cut == 1 || f.at[0].flaw == TDSA_AUDIT_TORN);
        close_rig(&r);
    }
}

static void a_crash_while_a_torn_line_is_closed_is_closed_too(void **state)
{
    char text[8192];
    size_t len;
    rig r;
    findings f;

    (void)state;
    open_rig(&r);
    put_ok(&r, "epoch 1");
    spill(r.path, "{\"seq\":2,\"ti", 12, "ae");
    put_ok(&r, "epoch 2"); /* and audit.torn before it */
    len = slurp(r.path, text, sizeof text);
    spill(r.path, text, len - 500, "we"); /* in the middle of audit.torn */
    spill(r.head, "", 0, "we");
    put_ok(&r, "epoch 2");
    assert_int_equal(verify(&r, &f).evidence, 0);
    assert_int_equal(f.count, 1);
    close_rig(&r);
}

static void a_head_that_is_behind_catches_up(void **state)
{
    char head[512];
    size_t len;
    rig r;
    findings f;

    (void)state;
    open_rig(&r);
    put_ok(&r, "epoch 1");
    len = slurp(r.head, head, sizeof head);
    put_ok(&r, "epoch 2");
    put_ok(&r, "epoch 3");
    spill(r.head, head, len, "we");
    put_ok(&r, "epoch 4");
    assert_int_equal(verify(&r, &f).records, 4);
    assert_int_equal(f.count, 0);
    close_rig(&r);
}

static void one_torn_slot_of_the_head_does_no_harm(void **state)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        rig r;
        findings f;
        int fd;

        (void)state;
        open_rig(&r);
        put_ok(&r, "epoch 1");
        put_ok(&r, "epoch 2");
        fd = open(r.head, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "torn", 4, (off_t)slot * 128 + 40), 4);
        (void)close(fd);
        put_ok(&r, "epoch 3");
        assert_int_equal(verify(&r, &f).records, 3);
        assert_int_equal(f.count, 0);
        close_rig(&r);
    }
}

static void refuses_to_go_on_after(const rig *r, const char *why)
{
    tdsa_os_audit *again = NULL;
    tdsa_err err;

    assert_int_equal(put(r, "epoch 9", &err), TDSA_E_STORE);
    assert_non_null(strstr(err.text, why));
    assert_int_equal(tdsa_os_audit_new(&again, r->path, fixed, &err), TDSA_E_STORE);
    assert_null(again);
}

static void refuses_a_log_that_is_shorter_or_another(void **state)
{
    char text[8192];
    size_t len, line_len;
    rig r;

    (void)state;
    open_rig(&r);
    put_ok(&r, "epoch 1");
    put_ok(&r, "epoch 2");
    len = slurp(r.path, text, sizeof text);
    (void)line_at(text, 1, &line_len);
    spill(r.path, text, line_len, "we"); /* the last record removed */
    refuses_to_go_on_after(&r, "shorter");
    text[len - 10] = text[len - 10] == '0' ? '1' : '0';
    spill(r.path, text, len, "we"); /* the last record edited */
    refuses_to_go_on_after(&r, "does not hold");
    spill(r.head, "", 0, "we"); /* without a head the whole chain is read */
    refuses_to_go_on_after(&r, "not a whole chain");
    spill(r.path, "", 0, "we");
    spill(r.head, "x", 1, "we");
    refuses_to_go_on_after(&r, "head cannot be read");
    close_rig(&r);
}

static void a_renamed_log_goes_on_in_a_new_file(void **state)
{
    rig r;
    findings f;
    const char *both[2];
    tdsa_audit_result result;
    const tdsa_audit_check check = {.fn = note, .ctx = &f};
    tdsa_err err;

    (void)state;
    open_rig(&r);
    put_ok(&r, "epoch 1");
    put_ok(&r, "epoch 2");
    assert_int_equal(rename(r.path, r.old), 0);
    put_ok(&r, "epoch 3");
    put_ok(&r, "epoch 4");
    result = verify(&r, &f);
    assert_int_equal(result.first, 3);
    assert_int_equal(f.count, 0);
    both[0] = r.old;
    both[1] = r.path;
    assert_int_equal(tdsa_os_audit_verify(&result, both, 2, &check, &err), TDSA_OK);
    assert_int_equal(result.records, 4);
    assert_int_equal(f.count, 0);
    both[1] = r.old; /* the same file twice */
    assert_int_equal(tdsa_os_audit_verify(&result, both, 2, &check, &err), TDSA_OK);
    assert_int_equal(result.evidence, 1);
    assert_int_equal(f.at[0].flaw, TDSA_AUDIT_ORDER);
    close_rig(&r);
}

/* copytruncate: what came between the copy and the cut is lost, and the gap shows. */
static void a_record_lost_between_two_files_shows(void **state)
{
    char text[8192];
    size_t len;
    rig r;
    findings f;
    const char *both[2] = {r.old, r.path};
    tdsa_audit_result result;
    const tdsa_audit_check check = {.fn = note, .ctx = &f};
    tdsa_err err;

    (void)state;
    open_rig(&r);
    memset(&f, 0, sizeof f);
    put_ok(&r, "epoch 1");
    len = slurp(r.path, text, sizeof text);
    put_ok(&r, "epoch 2");
    spill(r.old, text, len, "we");
    spill(r.path, "", 0, "we");
    put_ok(&r, "epoch 3");
    assert_int_equal(tdsa_os_audit_verify(&result, both, 2, &check, &err), TDSA_OK);
    assert_int_equal(result.evidence, 1);
    assert_int_equal(f.at[0].flaw, TDSA_AUDIT_MISSING);
    close_rig(&r);
}

/* A limit of file sizes is a full disk: first nothing fits, then a part of a line. */
static void a_full_disk_refuses_and_leaves_a_log_that_goes_on(void **state)
{
    struct rlimit old;
    struct stat at;
    rig r;
    findings f;
    tdsa_err err;

    (void)state;
    open_rig(&r);
    put_ok(&r, "epoch 1");
    assert_int_equal(stat(r.path, &at), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (unsigned more = 0; more < 2; more++) {
        const struct rlimit tight = {(rlim_t)at.st_size + more * 40u, old.rlim_max};

        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        assert_int_equal(put(&r, "epoch 2", &err), TDSA_E_STORE);
        assert_non_null(strstr(err.text, "File too large"));
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    }
    put_ok(&r, "epoch 2");
    assert_int_equal(verify(&r, &f).evidence, 0);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.at[0].flaw, TDSA_AUDIT_TORN);
    close_rig(&r);
}

static void refuses_paths_that_cannot_hold_a_log(void **state)
{
    static const char *const paths[] = {"", "/nowhere/audit.log"};
    char longest[4200];
    tdsa_os_audit *a = NULL;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(tdsa_os_audit_new(&a, paths[i], fixed, &err), TDSA_E_CONFIG);
        assert_null(a);
    }
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(tdsa_os_audit_new(&a, longest, fixed, &err), TDSA_E_CONFIG);
}

static void refuses_a_pipe_and_a_link(void **state)
{
    tdsa_os_audit *a = NULL;
    rig r;
    tdsa_err err;

    (void)state;
    open_rig(&r);
    assert_int_equal(unlink(r.path), 0);
    assert_int_equal(mkfifo(r.path, 0600), 0);
    assert_int_equal(tdsa_os_audit_new(&a, r.path, fixed, &err), TDSA_E_CONFIG);
    assert_int_equal(unlink(r.path), 0);
    assert_int_equal(symlink("/tmp/elsewhere", r.path), 0);
    assert_int_equal(tdsa_os_audit_new(&a, r.path, fixed, &err), TDSA_E_CONFIG);
    close_rig(&r);
}

static void processes_take_turns(void **state)
{
    enum { PROCESSES = 4, EACH = 25 };
    pid_t children[PROCESSES];
    rig r;
    findings f;

    (void)state;
    open_rig(&r);
    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            tdsa_err err;
            bool ok = true;

            for (unsigned k = 0; ok && k < EACH; k++) {
                ok = put(&r, "epoch 1", &err) == TDSA_OK;
            }
            _exit(ok ? 0 : 1);
        }
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = 1;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(verify(&r, &f).records, PROCESSES * EACH);
    assert_int_equal(f.count, 0);
    close_rig(&r);
}

static void a_log_that_another_holds_is_busy(void **state)
{
    int fd;
    rig r;
    tdsa_err err;

    (void)state;
    open_rig(&r);
    fd = open(r.head, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(put(&r, "epoch 1", &err), TDSA_E_BUSY);
    (void)close(fd);
    put_ok(&r, "epoch 1");
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torn_last_line_is_found_and_the_log_goes_on),
        cmocka_unit_test(a_crash_while_a_torn_line_is_closed_is_closed_too),
        cmocka_unit_test(a_head_that_is_behind_catches_up),
        cmocka_unit_test(one_torn_slot_of_the_head_does_no_harm),
        cmocka_unit_test(refuses_a_log_that_is_shorter_or_another),
        cmocka_unit_test(a_renamed_log_goes_on_in_a_new_file),
        cmocka_unit_test(a_record_lost_between_two_files_shows),
        cmocka_unit_test(a_full_disk_refuses_and_leaves_a_log_that_goes_on),
        cmocka_unit_test(refuses_paths_that_cannot_hold_a_log),
        cmocka_unit_test(refuses_a_pipe_and_a_link),
        cmocka_unit_test(processes_take_turns),
        cmocka_unit_test(a_log_that_another_holds_is_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
