#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/kdf.h"

/* Python: hashlib.scrypt(b"correct horse", salt=bytes(range(16)), n=2**14, r=8, p=1, dklen=32) */
static void scrypt_gives_what_python_gives(void **state)
{
    static const uint8_t want[32] = {0x25, 0xb3, 0x76, 0x84, 0x03, 0x66, 0xf4, 0xd3,
                                     0xb0, 0xe2, 0x1e, 0x41, 0x44, 0x76, 0x67, 0x6e,
                                     0x3c, 0xd0, 0xe8, 0x9a, 0xf4, 0x43, 0x03, 0x56,
                                     0xa2, 0x34, 0xce, 0x0b, 0x65, 0xa0, 0x21, 0xb5};
    uint8_t salt[TDSA_SCRYPT_SALT_LEN];
    uint8_t got[32];
    tdsa_err err;

    (void)state;
    for (uint8_t i = 0; i < sizeof salt; i++) {
        salt[i] = i;
    }
    assert_int_equal(tdsa_scrypt(got, "correct horse", salt, 14, &err), TDSA_OK);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(tdsa_scrypt(got, "correct horsf", salt, 14, &err), TDSA_OK);
    assert_memory_not_equal(got, want, sizeof want);
}

static void a_cost_out_of_bounds_is_refused(void **state)
{
    const uint8_t salt[TDSA_SCRYPT_SALT_LEN] = {0};
    uint8_t got[32];
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_scrypt(got, "x", salt, TDSA_SCRYPT_LOG2_MIN - 1, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(tdsa_scrypt(got, "x", salt, TDSA_SCRYPT_LOG2_MAX + 1, &err), TDSA_E_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scrypt_gives_what_python_gives),
        cmocka_unit_test(a_cost_out_of_bounds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
