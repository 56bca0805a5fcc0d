#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/statement.h"
#include "protocol/bip32.h"
#include "support/protocol_run.h"

/* Records of keys and requests: there and back, and what is refused. */

#define KEY_ID "RecordKey0000000000000000000"

/* ---- key ---- */

static void make_key(protocol_run *r, uint16_t n, uint16_t t)
{
    run_init(r, GRP_P256, n, t, "records");
    assert_int_equal(run_keygen(r, KEY_ID), n);
}

static void a_key_comes_back_as_it_was(void **state)
{
    protocol_run r;

    (void)state;
    make_key(&r, 9, 4);
    for (uint16_t i = 0; i < 9; i += 4) {
        TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
        TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
        TDSA_SCOPED_SECRET secret = NULL;
        const mpc_key *k = r.key[i];
        tdsa_secret *none = NULL;
        mpc_key *back = NULL;
        grp_curve curve = GRP_SECP256K1;
        tdsa_err err;

        mpc_key_encode_public(&pub, k);
        assert_int_equal(mpc_key_encode_secret(&secret, k, &err), TDSA_OK);
        assert_int_equal(mpc_key_peek_curve(&curve, pub.data, pub.len, &err), TDSA_OK);
        assert_int_equal(curve, GRP_P256);
        assert_int_equal(mpc_key_decode(&back, r.g, pub.data, pub.len, secret, &err), TDSA_OK);
        mpc_key_encode_public(&again, back);
        assert_int_equal(pub.len, again.len);
        assert_memory_equal(pub.data, again.data, pub.len);
        assert_int_equal(back->sec->set_count, k->sec->set_count);
        assert_memory_equal(back->sec, k->sec, sizeof *k->sec);
        mpc_key_free(back);
        assert_int_equal(mpc_key_decode(&back, r.g, pub.data, pub.len, NULL, &err), TDSA_OK);
        assert_null(back->sec);
        assert_int_equal(mpc_key_encode_secret(&none, back, &err), TDSA_E_BAD_INPUT);
        assert_null(none);
        mpc_key_free(back);
    }
    mpc_key_free(NULL);
    run_clear(&r);
}

/* No byte of the record can change unnoticed into something that is half taken. */
static void a_damaged_key_record_is_refused_or_another_key(void **state)
{
    protocol_run r;
    TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
    size_t refused = 0;

    (void)state;
    make_key(&r, 3, 1);
    mpc_key_encode_public(&pub, r.key[0]);
    for (size_t i = 0; i < pub.len; i++) {
        mpc_key *back = NULL;
        tdsa_err err;

        pub.data[i] ^= 0x80;
        if (mpc_key_decode(&back, r.g, pub.data, pub.len, NULL, &err) == TDSA_OK) {
            TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;

            mpc_key_encode_public(&again, back);
            assert_int_equal(again.len, pub.len);
            assert_memory_equal(again.data, pub.data, pub.len);
        } else {
            assert_int_equal(err.status, TDSA_E_BAD_INPUT);
            assert_null(back);
            refused++;
        }
        mpc_key_free(back);
        pub.data[i] ^= 0x80;
    }
    assert_true(refused > 200);
    for (size_t len = 0; len < pub.len; len++) {
        mpc_key *back = NULL;
        tdsa_err err;

        assert_int_equal(mpc_key_decode(&back, r.g, pub.data, len, NULL, &err), TDSA_E_BAD_INPUT);
        assert_null(back);
    }
    run_clear(&r);
}

static void decode_fails(const protocol_run *r, const tdsa_buf *pub, const tdsa_secret *secret,
                         tdsa_status st)
{
    mpc_key *back = NULL;
    tdsa_err err;

    assert_int_equal(mpc_key_decode(&back, r->g, pub->data, pub->len, secret, &err), st);
    assert_null(back);
}

static void a_wrong_secret_half_is_refused(void **state)
{
    protocol_run r;
    TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET mine = NULL;
    TDSA_SCOPED_SECRET other = NULL;
    TDSA_SCOPED_SECRET cut = NULL;
    size_t share_at = 0;
    tdsa_err err;

    (void)state;
    make_key(&r, 3, 1);
    mpc_key_encode_public(&pub, r.key[0]);
    assert_int_equal(mpc_key_encode_secret(&mine, r.key[0], &err), TDSA_OK);
    assert_int_equal(mpc_key_encode_secret(&other, r.key[1], &err), TDSA_OK);
    decode_fails(&r, &pub, other, TDSA_E_BAD_INPUT);
    assert_int_equal(
        tdsa_secret_copy(&cut, tdsa_secret_view(mine), tdsa_secret_len(mine) - 1, &err), TDSA_OK);
    decode_fails(&r, &pub, cut, TDSA_E_BAD_INPUT);
    share_at = 5 + 10 + 37 + 13 + 5;
    tdsa_secret_bytes(mine)[share_at + 31] ^= 1; /* another share */
    decode_fails(&r, &pub, mine, TDSA_E_CRYPTO);
    memset(tdsa_secret_bytes(mine) + share_at, 0xff, 32);
    decode_fails(&r, &pub, mine, TDSA_E_BAD_INPUT);
    run_clear(&r);
}

static void a_key_of_another_curve_is_refused(void **state)
{
    protocol_run r;
    TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
    grp *other = NULL;
    mpc_key *back = NULL;
    grp_curve curve = GRP_P256;
    tdsa_err err;

    (void)state;
    make_key(&r, 3, 1);
    mpc_key_encode_public(&pub, r.key[0]);
    assert_int_equal(grp_open(&other, GRP_SECP256K1, &err), TDSA_OK);
    assert_int_equal(mpc_key_decode(&back, other, pub.data, pub.len, NULL, &err), TDSA_E_BAD_INPUT);
    assert_null(back);
    assert_int_equal(mpc_key_peek_curve(&curve, pub.data, 20, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_key_peek_curve(&curve, (const uint8_t *)"", 0, &err), TDSA_E_BAD_INPUT);
    grp_close(other);
    run_clear(&r);
}

/* ---- request ---- */

static mpc_request sample(void)
{
    static const uint8_t digest[32] = {1, 2, 3};
    mpc_request q = {.key_id = KEY_ID,
                     .epoch = 2,
                     .beta = {5},
                     .index = 9,
                     .committee = {0, 1, 3},
                     .committee_count = 3,
                     .scheme = MPC_SCHEME_ECDSA,
                     .digest_alg = TDSA_HASH_SHA256,
                     .payload = digest,
                     .payload_len = sizeof digest,
                     .path = {44, 0x7fffffff},
                     .path_len = 2,
                     .low_s = true,
                     .policy_tag = {7}};

    return q;
}

static void a_request_comes_back_as_it_was(void **state)
{
    const mpc_request q = sample();
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    mpc_request back;
    tdsa_err err;

    (void)state;
    mpc_request_encode(&b, &q);
    assert_int_equal(mpc_request_decode(&back, b.data, b.len, &err), TDSA_OK);
    assert_int_equal(back.index, 9);
    assert_int_equal(back.path[1], 0x7fffffff);
    assert_true(back.low_s);
    mpc_request_encode(&again, &back);
    assert_int_equal(again.len, b.len);
    assert_memory_equal(again.data, b.data, b.len);
}

static void request_refused(const mpc_request *q)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    mpc_request back;
    tdsa_err err;

    mpc_request_encode(&b, q);
    assert_int_equal(mpc_request_decode(&back, b.data, b.len, &err), TDSA_E_BAD_INPUT);
    assert_null(back.payload);
    assert_int_equal(back.committee_count, 0);
}

static void an_unlawful_request_is_refused(void **state)
{
    uint8_t *long_message = test_calloc(1, MPC_MESSAGE_MAX + 1);
    mpc_request q;

    (void)state;
    q = sample();
    q.key_id[0] = '\0';
    request_refused(&q);
    q = sample();
    q.key_id[0] = ' ';
    request_refused(&q);
    q = sample();
    q.committee_count = 2;
    request_refused(&q);
    q.committee_count = 1;
    request_refused(&q);
    q.committee_count = 0;
    request_refused(&q);
    q = sample();
    q.committee[1] = 0; /* twice */
    request_refused(&q);
    q = sample();
    q.committee[0] = 2; /* does not ascend */
    request_refused(&q);
    q = sample();
    q.committee[2] = GRP_PARTIES_MAX;
    request_refused(&q);
    q = sample();
    q.payload = long_message;
    q.payload_len = MPC_MESSAGE_MAX + 1;
    request_refused(&q);
    test_free(long_message);
}

/* Each byte of a request is either refused or part of what comes back. */
static void no_byte_of_a_request_is_ignored(void **state)
{
    const mpc_request q = sample();
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    (void)state;
    mpc_request_encode(&b, &q);
    for (size_t i = 0; i < b.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
            mpc_request back;
            tdsa_err err;

            b.data[i] ^= (uint8_t)(1u << bit);
            if (mpc_request_decode(&back, b.data, b.len, &err) == TDSA_OK) {
                mpc_request_encode(&again, &back);
                assert_int_equal(again.len, b.len);
                assert_memory_equal(again.data, b.data, b.len);
            }
            b.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    for (size_t len = 0; len < b.len; len++) {
        mpc_request back;
        tdsa_err err;

        assert_int_equal(mpc_request_decode(&back, b.data, len, &err), TDSA_E_BAD_INPUT);
    }
    tdsa_buf_append_u8(&b, 0);
    {
        mpc_request back;
        tdsa_err err;

        assert_int_equal(mpc_request_decode(&back, b.data, b.len, &err), TDSA_E_BAD_INPUT);
    }
}

/* Options, path and version as somebody else could write them. */
static void put_request(tdsa_buf *b, uint64_t version, const char *scheme, const char *digest,
                        size_t path_len, uint64_t element, size_t option_count, uint64_t option)
{
    static const uint8_t zero[32] = {0};
    static const uint16_t committee[] = {0, 1, 2};
    size_t list = 0;

    tdsa_stmt_begin(b, "request");
    tdsa_stmt_uint(b, version);
    tdsa_stmt_text(b, KEY_ID);
    tdsa_stmt_uint(b, 0);
    list = tdsa_stmt_list_begin(b);
    tdsa_stmt_octets(b, zero, sizeof zero);
    tdsa_stmt_uint(b, 0);
    tdsa_stmt_list_end(b, list);
    tdsa_stmt_uint_list(b, committee, 3);
    tdsa_stmt_text(b, scheme);
    tdsa_stmt_text(b, digest);
    tdsa_stmt_octets(b, zero, sizeof zero);
    list = tdsa_stmt_list_begin(b);
    for (size_t i = 0; i < path_len; i++) {
        tdsa_stmt_uint(b, element);
    }
    tdsa_stmt_list_end(b, list);
    list = tdsa_stmt_list_begin(b);
    for (size_t i = 0; i < option_count; i++) {
        tdsa_stmt_uint(b, option);
    }
    tdsa_stmt_list_end(b, list);
    tdsa_stmt_octets(b, zero, sizeof zero);
}

static void unknown_words_and_options_are_refused(void **state)
{
    static const struct {
        uint64_t version;
        const char *scheme, *digest;
        size_t path_len;
        uint64_t element;
        size_t option_count;
        uint64_t option;
        tdsa_status st;
    } cases[] = {{1, "ecdsa", "sha256", 50, UINT32_MAX, 1, 1, TDSA_OK},
                 {2, "ecdsa", "sha256", 0, 0, 1, 1, TDSA_E_BAD_INPUT},
                 {1, "bip340", "sha256", 0, 0, 1, 1, TDSA_E_BAD_INPUT},
                 {1, "ecdsa", "sha3", 0, 0, 1, 1, TDSA_E_BAD_INPUT},
                 {1, "ecdsa", "", 0, 0, 1, 1, TDSA_E_BAD_INPUT},
                 {1, "ecdsa", "sha256", 51, 0, 1, 1, TDSA_E_BAD_INPUT},
                 {1, "ecdsa", "sha256", 1, (uint64_t)1 << 32, 1, 1, TDSA_E_BAD_INPUT},
                 {1, "ecdsa", "sha256", 0, 0, 0, 0, TDSA_E_BAD_INPUT},
                 {1, "ecdsa", "sha256", 0, 0, 2, 0, TDSA_E_BAD_INPUT},
                 {1, "ecdsa", "sha256", 0, 0, 1, 2, TDSA_E_BAD_INPUT}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
        mpc_request q;
        tdsa_err err;

        put_request(&b, cases[i].version, cases[i].scheme, cases[i].digest, cases[i].path_len,
                    cases[i].element, cases[i].option_count, cases[i].option);
        assert_int_equal(mpc_request_decode(&q, b.data, b.len, &err), cases[i].st);
    }
}

/* ---- derivation ---- */

static void derivation_moves_key_and_tweak_together(void **state)
{
    static const uint32_t path[] = {0, 1, 0x7fffffff};
    protocol_run r;
    grp_scalar epsilon;
    grp_point y;
    grp_point want;
    tdsa_err err;

    (void)state;
    make_key(&r, 3, 1);
    assert_int_equal(mpc_bip32_path_vartime(&epsilon, &y, r.key[0], path, 3, &err), TDSA_OK);
    assert_int_equal(grp_mul_base(r.g, &want, &epsilon, &err), TDSA_OK);
    assert_int_equal(grp_point_add_vartime(r.g, &want, &want, &r.key[0]->pub.y, &err), TDSA_OK);
    assert_true(grp_point_equal(r.g, &want, &y));
    assert_int_equal(mpc_bip32_path_vartime(&epsilon, &y, r.key[0], path, 0, &err), TDSA_OK);
    assert_true(grp_scalar_is_zero(r.g, &epsilon));
    assert_true(grp_point_equal(r.g, &r.key[0]->pub.y, &y));
    assert_int_equal(
        mpc_bip32_path_vartime(&epsilon, &y, r.key[0], (const uint32_t[]){0, 0x80000000u}, 2, &err),
        TDSA_E_BAD_INPUT);
    assert_true(grp_point_is_identity(&y));
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_comes_back_as_it_was),
        cmocka_unit_test(a_damaged_key_record_is_refused_or_another_key),
        cmocka_unit_test(a_wrong_secret_half_is_refused),
        cmocka_unit_test(a_key_of_another_curve_is_refused),
        cmocka_unit_test(a_request_comes_back_as_it_was),
        cmocka_unit_test(an_unlawful_request_is_refused),
        cmocka_unit_test(no_byte_of_a_request_is_ignored),
        cmocka_unit_test(unknown_words_and_options_are_refused),
        cmocka_unit_test(derivation_moves_key_and_tweak_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
