#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/export_run.h"

/*
 * Memory runs out at the k-th allocation of our own code, for k = 1, 2, 3 ...: an export of three
 * participants ends in TDSA_E_NO_MEMORY (or TDSA_E_CRYPTO), without a crash, a leak or half a package. (The
 * linker hands malloc and calloc of this program to the two functions below.)
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

static tdsa_status pass(protocol_run *r, uint16_t from, uint16_t to, tdsa_err *err)
{
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    const tdsa_status st = mpc_keygen_send(r->keygen[from], to, &m, err);

    return st != TDSA_OK ? st : mpc_keygen_take(r->keygen[to], from, m.data, m.len, err);
}

static tdsa_status export_all(protocol_run *r, const run_export_spec *spec, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
        const mpc_export_cfg cfg = run_export_cfg(r, i, spec);

        st = mpc_export_new(&r->keygen[i], &cfg, err);
        assert_true(st == TDSA_OK || r->keygen[i] == NULL);
    }
    for (unsigned round = 0; round < MPC_EXPORT_ROUNDS && st == TDSA_OK; round++) {
        for (uint16_t i = 0; i < 9 && st == TDSA_OK; i++) {
            st = i / 3 == i % 3 ? TDSA_OK : pass(r, i / 3, i % 3, err);
        }
        for (uint16_t i = 0; i < 3 && st == TDSA_OK; i++) {
            st = mpc_keygen_advance(r->keygen[i], err);
            if (st == TDSA_OK && mpc_keygen_round(r->keygen[i]) == MPC_KEYGEN_ROUND_STORED) {
                mpc_keygen_mark_stored(r->keygen[i]);
            }
        }
    }
    return st;
}

static void memory_may_run_out_anywhere_in_an_export(void **state)
{
    static const uint32_t path[] = {1};
    recovery_kit kit;
    protocol_run r;
    tdsa_status st = TDSA_E_NO_MEMORY;
    tdsa_err err;

    (void)state;
    recovery_kit_open(&kit);
    run_init(&r, GRP_P256, 3, 1, "export memory");
    r.policy.exportable = true;
    r.policy.derivation = MPC_DERIVE_BIP32;
    assert_int_equal(run_keygen(&r, "MemoryKey"), 3);
    {
        const run_export_spec spec = {
            .coordinator = 0, .path = path, .path_len = 1, .cert = kit.cert};

        for (size_t k = 1; st != TDSA_OK; k++) {
            assert_in_range(k, 1, 5000);
            run_export_begin(&r);
            seen = 0;
            fail_at = k;
            st = export_all(&r, &spec, &err);
            fail_at = 0;
            assert_true(st == TDSA_OK || st == TDSA_E_NO_MEMORY || st == TDSA_E_CRYPTO);
        }
    }
    assert_true(seen > 100);
    run_clear(&r);
    recovery_kit_close(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_may_run_out_anywhere_in_an_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
