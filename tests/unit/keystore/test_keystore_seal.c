#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystore/kcv.h"
#include "keystore/seal.h"

static const uint8_t plain[] = "what is sealed";

static const ks_seal_place place = {"key", "id", 2, 3, "public", 6};

static tdsa_secret *key_of(uint8_t fill)
{
    tdsa_secret *key = NULL;
    tdsa_err err;

    assert_int_equal(tdsa_secret_new(&key, 32, &err), TDSA_OK);
    memset(tdsa_secret_bytes(key), fill, 32);
    return key;
}

static tdsa_buf sealed_with(const tdsa_secret *key)
{
    const tdsa_rng rng = tdsa_os_rng();
    tdsa_buf out = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(ks_seal(&out, key, &rng, &place, plain, sizeof plain, &err), TDSA_OK);
    return out;
}

static void a_record_opens_in_its_place(void **state)
{
    TDSA_SCOPED_SECRET key = key_of(1);

    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        const tdsa_secret *k = encrypted != 0 ? key : NULL;
        TDSA_SCOPED_BUF record = sealed_with(k);
        TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
        tdsa_err err;

        tdsa_buf_append_str(&out, "before ");
        assert_int_equal(ks_unseal(&out, k, &place, record.data, record.len, &err), TDSA_OK);
        assert_int_equal(out.len, 7 + sizeof plain);
        assert_memory_equal(out.data + 7, plain, sizeof plain);
    }
}

static void two_records_of_one_text_differ(void **state)
{
    TDSA_SCOPED_SECRET key = key_of(1);
    TDSA_SCOPED_BUF a = sealed_with(key);
    TDSA_SCOPED_BUF b = sealed_with(key);

    (void)state;
    assert_int_equal(a.len, sizeof plain + KS_SEAL_OVERHEAD);
    assert_int_equal(a.len, b.len);
    assert_memory_not_equal(a.data, b.data, a.len);
}

static void refuse(const tdsa_secret *key, const ks_seal_place *where, const uint8_t *record,
                   size_t len)
{
    tdsa_buf out = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(ks_unseal(&out, key, where, record, len, &err), TDSA_E_STORE);
    assert_int_equal(out.len, 0);
    tdsa_buf_clear(&out);
}

static void a_record_opens_nowhere_else(void **state)
{
    const ks_seal_place elsewhere[] = {
        {"batch", "id", 2, 3, "public", 6}, {"key", "ie", 2, 3, "public", 6},
        {"key", "id", 1, 3, "public", 6},   {"key", "id", 2, 4, "public", 6},
        {"key", "id", 2, 3, "publik", 6},   {"key", "id", 2, 3, "public", 5},
        {"key", "id", 2, 3, NULL, 0},
    };
    TDSA_SCOPED_SECRET key = key_of(1);

    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        const tdsa_secret *k = encrypted != 0 ? key : NULL;
        TDSA_SCOPED_BUF record = sealed_with(k);

        for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
            refuse(k, &elsewhere[i], record.data, record.len);
        }
    }
}

static void every_changed_bit_is_noticed(void **state)
{
    TDSA_SCOPED_SECRET key = key_of(1);

    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        const tdsa_secret *k = encrypted != 0 ? key : NULL;
        TDSA_SCOPED_BUF record = sealed_with(k);

        for (size_t bit = 0; bit < 8 * record.len; bit++) {
            record.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            refuse(k, &place, record.data, record.len);
            record.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        for (size_t len = 0; len < record.len; len++) {
            refuse(k, &place, record.data, len);
        }
        refuse(k, &place, NULL, 0);
    }
}

static void another_key_or_kind_of_store_does_not_open_it(void **state)
{
    TDSA_SCOPED_SECRET key = key_of(1);
    TDSA_SCOPED_SECRET other = key_of(2);
    TDSA_SCOPED_BUF record = sealed_with(key);
    TDSA_SCOPED_BUF clear = sealed_with(NULL);

    (void)state;
    refuse(other, &place, record.data, record.len);
    refuse(NULL, &place, record.data, record.len);
    refuse(key, &place, clear.data, clear.len);
}

static tdsa_status no_random(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    (void)ctx;
    (void)out;
    (void)len;
    return TDSA_FAIL(err, TDSA_E_CRYPTO, "no random numbers today");
}

static void without_randomness_nothing_is_sealed(void **state)
{
    const tdsa_rng rng = {no_random, NULL};
    TDSA_SCOPED_SECRET key = key_of(1);
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    tdsa_buf_append_str(&out, "before");
    assert_int_equal(ks_seal(&out, key, &rng, &place, plain, sizeof plain, &err), TDSA_E_CRYPTO);
    assert_int_equal(out.len, 6);
}

static void check_values_tell_keys_apart(void **state)
{
    const uint8_t a[32] = {1};
    const uint8_t b[32] = {2};
    uint8_t kcv_a[KS_KCV_LEN];
    uint8_t kcv_b[KS_KCV_LEN];
    tdsa_err err;

    (void)state;
    assert_int_equal(ks_kcv_of(kcv_a, a, 32, &err), TDSA_OK);
    assert_int_equal(ks_kcv_of(kcv_b, b, 32, &err), TDSA_OK);
    assert_int_equal(ks_kcv_compare(kcv_a, kcv_a, "key", &err), TDSA_OK);
    assert_int_equal(ks_kcv_compare(kcv_a, kcv_b, "key", &err), TDSA_E_WRAPPING);
    assert_non_null(strstr(err.text, "check value"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_opens_in_its_place),
        cmocka_unit_test(two_records_of_one_text_differ),
        cmocka_unit_test(a_record_opens_nowhere_else),
        cmocka_unit_test(every_changed_bit_is_noticed),
        cmocka_unit_test(another_key_or_kind_of_store_does_not_open_it),
        cmocka_unit_test(without_randomness_nothing_is_sealed),
        cmocka_unit_test(check_values_tell_keys_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
