#include "base_test.h"

#include <openssl/err.h>

#include "base/cipher.h"

static const uint8_t zero[64];

static void gcm_gives_the_known_values(void **state)
{
    /* McGrew, Viega: The Galois/Counter Mode of Operation, test cases 13 and 14 */
    const tdsa_gcm p = {zero, zero, NULL, 0};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_gcm_seal(&out, &p, NULL, 0, &err), TDSA_OK);
    assert_hex(out.data, out.len, "530f8afbc74536b9a963b4f1c4cb738b");
    assert_int_equal(tdsa_gcm_open(&back, &p, out.data, out.len, &err), TDSA_OK);
    assert_int_equal(back.len, 0);
    tdsa_buf_reset(&out);
    assert_int_equal(tdsa_gcm_seal(&out, &p, zero, 16, &err), TDSA_OK);
    assert_hex(out.data, out.len,
               "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    assert_int_equal(tdsa_gcm_open(&back, &p, out.data, out.len, &err), TDSA_OK);
    assert_int_equal(back.len, 16);
    assert_memory_equal(back.data, zero, 16);
}

static void sealing_appends(void **state)
{
    const tdsa_gcm p = {zero, zero, "aad", 3};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    tdsa_buf_append_str(&out, "head");
    tdsa_buf_append_str(&back, "before ");
    assert_int_equal(tdsa_gcm_seal(&out, &p, "secret", 6, &err), TDSA_OK);
    assert_int_equal(out.len, 4 + 6 + 16);
    assert_memory_equal(out.data, "head", 4);
    assert_int_equal(tdsa_gcm_open(&back, &p, out.data + 4, out.len - 4, &err), TDSA_OK);
    assert_memory_equal(back.data, "before secret", 13);
}

static void any_changed_bit_is_refused_and_leaves_nothing(void **state)
{
    uint8_t key[32] = {1};
    uint8_t nonce[12] = {2};
    uint8_t aad[3] = {3, 4, 5};
    const tdsa_gcm p = {key, nonce, aad, sizeof aad};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_gcm_seal(&out, &p, "hello", 5, &err), TDSA_OK);
    for (size_t bit = 0; bit < 8 * out.len; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(tdsa_gcm_open(&back, &p, out.data, out.len, &err), TDSA_E_CRYPTO);
        assert_int_equal(back.len, 0);
        out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    aad[0] ^= 1;
    assert_int_equal(tdsa_gcm_open(&back, &p, out.data, out.len, &err), TDSA_E_CRYPTO);
    aad[0] ^= 1;
    nonce[11] ^= 1;
    assert_int_equal(tdsa_gcm_open(&back, &p, out.data, out.len, &err), TDSA_E_CRYPTO);
    nonce[11] ^= 1;
    key[31] ^= 1;
    assert_int_equal(tdsa_gcm_open(&back, &p, out.data, out.len, &err), TDSA_E_CRYPTO);
    key[31] ^= 1;
    for (size_t len = 0; len < out.len; len++) {
        assert_int_equal(tdsa_gcm_open(&back, &p, out.data, len, &err), TDSA_E_CRYPTO);
    }
    assert_int_equal(ERR_peek_error(), 0); /* a host's error queue stays clean */
    assert_int_equal(tdsa_gcm_open(&back, &p, out.data, out.len, &err), TDSA_OK);
}

static void gcm_refuses_what_no_buffer_holds(void **state)
{
    const tdsa_gcm p = {zero, zero, NULL, 0};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_gcm_seal(&out, &p, zero, TDSA_BUF_LEN_MAX, &err), TDSA_E_CRYPTO);
    assert_int_equal(tdsa_gcm_open(&out, &p, zero, TDSA_BUF_LEN_MAX + 1, &err), TDSA_E_CRYPTO);
    out.failed = true;
    assert_int_equal(tdsa_gcm_seal(&out, &p, zero, 1, &err), TDSA_E_NO_MEMORY);
    assert_int_equal(tdsa_gcm_open(&out, &p, zero, 17, &err), TDSA_E_NO_MEMORY);
}

static void the_ctr_stream_starts_at_block_0(void **state)
{
    uint8_t key[32];
    uint8_t out[48];
    tdsa_ctr_stream *s = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_ctr_new(&s, zero, &err), TDSA_OK);
    assert_int_equal(tdsa_ctr_read(s, 0, out, 16, &err), TDSA_OK);
    assert_hex(out, 16, "dc95c078a2408989ad48a21492842087"); /* AES-256(0, 0) */
    tdsa_ctr_free(s);
    memset(key, 0x33, sizeof key); /* bytes 240..287 as the reference model gives them */
    assert_int_equal(tdsa_ctr_new(&s, key, &err), TDSA_OK);
    assert_int_equal(tdsa_ctr_read(s, 240, out, 48, &err), TDSA_OK);
    assert_hex(
        out, 48,
        "3991a54d6f0ce5410877f1355d0eb9b96bd726302c7b2a16833007268f5a299c8e78693bdad96cd55db9a0"
        "1827a2d9ea");
    tdsa_ctr_free(s);
    tdsa_ctr_free(NULL);
}

static void the_ctr_stream_is_the_same_in_any_order(void **state)
{
    uint8_t all[1000];
    uint8_t part[1000];
    tdsa_ctr_stream *s = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_ctr_new(&s, zero, &err), TDSA_OK);
    assert_int_equal(tdsa_ctr_read(s, 0, all, sizeof all, &err), TDSA_OK);
    for (size_t i = 0; i < 400; i++) {
        const size_t offset = i * 7919 % sizeof all;
        const size_t len = i * 31 % (sizeof all - offset + 1);

        assert_int_equal(tdsa_ctr_read(s, offset, part, len, &err), TDSA_OK);
        assert_memory_equal(part, all + offset, len);
    }
    tdsa_ctr_free(s);
}

static void the_ctr_stream_carries_beyond_32_bits(void **state)
{
    /* Block 2^32 must not be block 0 again. */
    uint8_t first[16];
    uint8_t far[32];
    uint8_t seam[16];
    tdsa_ctr_stream *s = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_ctr_new(&s, zero, &err), TDSA_OK);
    assert_int_equal(tdsa_ctr_read(s, 0, first, 16, &err), TDSA_OK);
    assert_int_equal(tdsa_ctr_read(s, ((uint64_t)1 << 36) - 16, far, 32, &err), TDSA_OK);
    assert_memory_not_equal(far + 16, first, 16);
    assert_int_equal(tdsa_ctr_read(s, (uint64_t)1 << 36, seam, 16, &err), TDSA_OK);
    assert_memory_equal(far + 16, seam, 16);
    assert_int_equal(tdsa_ctr_read(s, UINT64_MAX - 3, seam, 16, &err), TDSA_E_BAD_INPUT);
    assert_memory_equal(seam, zero, 16);
    tdsa_ctr_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_gives_the_known_values),
        cmocka_unit_test(sealing_appends),
        cmocka_unit_test(any_changed_bit_is_refused_and_leaves_nothing),
        cmocka_unit_test(gcm_refuses_what_no_buffer_holds),
        cmocka_unit_test(the_ctr_stream_starts_at_block_0),
        cmocka_unit_test(the_ctr_stream_is_the_same_in_any_order),
        cmocka_unit_test(the_ctr_stream_carries_beyond_32_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
