#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/recovery_kit.h"

/*
 * Memory runs out at the k-th allocation of our own code, for k = 1, 2, 3 ...: making, verifying and
 * recovering end in TDSA_E_NO_MEMORY (or TDSA_E_CRYPTO) and leave nothing behind. (The linker hands malloc
 * and calloc of this program to the two functions below.)
 */

void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);

static size_t seen;
static size_t fail_at; /* 0: never */

void *__wrap_malloc(size_t len)
{
    seen++;
    return seen == fail_at ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t count, size_t len)
{
    seen++;
    return seen == fail_at ? NULL : __real_calloc(count, len);
}

static recovery_kit kit;
static protocol_run run;

static tdsa_status make_and_use(tdsa_buf bytes[2], mpc_recovered *out, tdsa_err *err)
{
    mpc_recovery_info infos[2];
    mpc_recovery_verdict verdicts[2];
    const mpc_recovery_opener opener = mpc_recovery_opener_of(kit.key);
    const mpc_recovery_asked asked = {run.g, infos, 2, NULL};
    tdsa_status st = TDSA_OK;

    for (uint16_t i = 0; i < 2 && st == TDSA_OK; i++) {
        const tdsa_rng rng = tdsa_test_rng_of(&run.rng[i]);
        mpc_recovery_context context;
        const mpc_recovery_making m = {
            run.g, &context, i, &run.key[i]->sec->share, run.key[i]->pub.cc, kit.cert};

        st = mpc_recovery_context_of(&context, run.key[i], NULL, 0, err);
        st = st != TDSA_OK ? st : mpc_recovery_make(&bytes[i], &m, &rng, err);
        assert_true(st == TDSA_OK || bytes[i].len == 0);
        st = st != TDSA_OK
                 ? st
                 : mpc_recovery_decode(&infos[i], run.g, bytes[i].data, bytes[i].len, err);
    }
    st = st != TDSA_OK ? st : mpc_recovery_verify_vartime(&infos[0], run.g, kit.cert, err);
    return st != TDSA_OK ? st : mpc_recovery_recover(out, verdicts, &asked, &opener, err);
}

static void memory_may_run_out_anywhere(void **state)
{
    tdsa_status st = TDSA_E_NO_MEMORY;
    tdsa_err err;

    (void)state;
    recovery_kit_open(&kit);
    run_init(&run, GRP_P256, 3, 1, "recovery memory");
    assert_int_equal(run_keygen(&run, "MemoryKey"), 3);
    for (size_t k = 1; st != TDSA_OK; k++) {
        tdsa_buf bytes[2] = {TDSA_BUF_EMPTY, TDSA_BUF_EMPTY};
        mpc_recovered out = {.x = NULL};

        assert_in_range(k, 1, 5000);
        seen = 0;
        fail_at = k;
        st = make_and_use(bytes, &out, &err);
        fail_at = 0;
        if (st != TDSA_OK) {
            assert_true(st == TDSA_E_NO_MEMORY || st == TDSA_E_CRYPTO);
            assert_null(out.x);
        }
        mpc_recovered_clear(&out);
        tdsa_buf_clear(&bytes[0]);
        tdsa_buf_clear(&bytes[1]);
    }
    run_clear(&run);
    recovery_kit_close(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
