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

/* Data key 7, whose bytes are all `fill`. */
static const ks_data_key *key_of(uint8_t fill)
{
    static ks_data_key keys[256];
    ks_data_key *key = &keys[fill];
    tdsa_err err;

    if (key->secret == NULL) {
        *key = (ks_data_key){7, NULL};
        assert_int_equal(tdsa_secret_new(&key->secret, 32, &err), TDSA_OK);
        memset(tdsa_secret_bytes(key->secret), fill, 32);
    }
    return key;
}

static int free_keys(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 2; i++) {
        const ks_data_key *key = key_of((uint8_t)i);

        tdsa_secret_free(key->secret);
    }
    return 0;
}

static tdsa_buf sealed_with(const ks_data_key *key)
{
    const tdsa_rng rng = tdsa_os_rng();
    tdsa_buf out = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(ks_seal(&out, key, &rng, &place, plain, sizeof plain, &err), TDSA_OK);
    return out;
}

static void a_record_opens_in_its_place(void **state)
{
    const ks_data_key *key = key_of(1);

    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        const ks_data_key *k = encrypted != 0 ? key : NULL;
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
    const ks_data_key *key = key_of(1);
    TDSA_SCOPED_BUF a = sealed_with(key);
    TDSA_SCOPED_BUF b = sealed_with(key);

    (void)state;
    assert_int_equal(a.len, sizeof plain + KS_SEAL_OVERHEAD);
    assert_int_equal(a.len, b.len);
    assert_memory_not_equal(a.data, b.data, a.len);
}

static void refuse(const ks_data_key *key, const ks_seal_place *where, const uint8_t *record,
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
    const ks_data_key *key = key_of(1);

    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        const ks_data_key *k = encrypted != 0 ? key : NULL;
        TDSA_SCOPED_BUF record = sealed_with(k);

        for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
            refuse(k, &elsewhere[i], record.data, record.len);
        }
    }
}

static void every_changed_bit_is_noticed(void **state)
{
    const ks_data_key *key = key_of(1);

    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        const ks_data_key *k = encrypted != 0 ? key : NULL;
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
    const ks_data_key *key = key_of(1);
    const ks_data_key *other = key_of(2);
    TDSA_SCOPED_BUF record = sealed_with(key);
    TDSA_SCOPED_BUF clear = sealed_with(NULL);

    (void)state;
    refuse(other, &place, record.data, record.len);
    refuse(NULL, &place, record.data, record.len);
    refuse(key, &place, clear.data, clear.len);
}

static void a_record_says_the_number_of_its_key(void **state)
{
    const ks_data_key *key = key_of(1);
    const ks_data_key renamed = {8, key->secret};
    TDSA_SCOPED_BUF record = sealed_with(key);
    TDSA_SCOPED_BUF clear = sealed_with(NULL);
    const uint8_t huge[] = {2, 0xff, 0xff, 0xff, 0xfe, 0};
    uint8_t head[KS_SEAL_HEAD_LEN];

    (void)state;
    assert_int_equal(ks_seal_number(record.data, record.len), 7);
    ks_seal_head(head, 7);
    assert_memory_equal(record.data, head, sizeof head);
    refuse(&renamed, &place, record.data, record.len);
    record.data[4] = 8; /* bound: not by editing the number either */
    assert_int_equal(ks_seal_number(record.data, record.len), 8);
    refuse(&renamed, &place, record.data, record.len);
    assert_int_equal(ks_seal_number(clear.data, clear.len), KS_SEAL_CLEAR);
    assert_int_equal(ks_seal_number(huge, sizeof huge), 0xfffffffe);
    assert_int_equal(ks_seal_number(huge, 4), KS_SEAL_CLEAR);
    assert_int_equal(ks_seal_number(NULL, 0), KS_SEAL_CLEAR);
}

/* Record version 1, as programs before wrote it: the key of 32 times 1, "what is sealed" with its NUL. */
static void a_record_of_version_1_opens_under_key_1(void **state)
{
    static const uint8_t old[] = {0x01, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
                                  0x0a, 0x0b, 0xcc, 0xce, 0xf4, 0x52, 0x00, 0x97, 0x75, 0x59, 0x8d,
                                  0x0f, 0x86, 0xa8, 0x45, 0x0d, 0xc8, 0xa4, 0x21, 0xbf, 0x02, 0xfd,
                                  0x06, 0xfb, 0x33, 0x7e, 0xb8, 0x98, 0x80, 0xd6, 0x4d, 0xef, 0x86};
    const ks_data_key first = {1, key_of(1)->secret};
    const ks_data_key second = {2, key_of(1)->secret};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    assert_int_equal(ks_seal_number(old, sizeof old), 1);
    assert_int_equal(ks_unseal(&out, &first, &place, old, sizeof old, &err), TDSA_OK);
    assert_int_equal(out.len, sizeof plain);
    assert_memory_equal(out.data, plain, sizeof plain);
    refuse(&second, &place, old, sizeof old);
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
    const ks_data_key *key = key_of(1);
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
        cmocka_unit_test(a_record_says_the_number_of_its_key),
        cmocka_unit_test(a_record_of_version_1_opens_under_key_1),
        cmocka_unit_test(another_key_or_kind_of_store_does_not_open_it),
        cmocka_unit_test(without_randomness_nothing_is_sealed),
        cmocka_unit_test(check_values_tell_keys_apart),
    };

    return cmocka_run_group_tests(tests, NULL, free_keys);
}
