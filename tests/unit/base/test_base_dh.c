#include "base_test.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/dh.h"

static const tdsa_dh_kind kinds[2] = {TDSA_DH_X25519, TDSA_DH_X448};

/* RFC 7748 5.2: "set k to be the result of calling the function and u to be the old value of k" */
static void iterate(tdsa_dh_kind kind, uint8_t *k, int count)
{
    const size_t len = tdsa_dh_len(kind);
    uint8_t u[TDSA_X448_LEN] = {0};
    tdsa_err err;

    memset(k, 0, len);
    k[0] = kind == TDSA_DH_X25519 ? 9 : 5;
    memcpy(u, k, len);
    for (int i = 0; i < count; i++) {
        uint8_t result[TDSA_X448_LEN];

        assert_int_equal(tdsa_dh_shared(kind, result, k, u, &err), TDSA_OK);
        memcpy(u, k, len);
        memcpy(k, result, len);
    }
}

static void results_are_those_of_rfc_7748(void **state)
{
    uint8_t k[TDSA_X448_LEN];

    (void)state;
    iterate(TDSA_DH_X25519, k, 1);
    assert_hex(k, 32, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    iterate(TDSA_DH_X25519, k, 1000);
    assert_hex(k, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
    iterate(TDSA_DH_X448, k, 1);
    assert_hex(
        k, 56,
        "3f482c8a9f19b01e6c46ee9711d9dc14fd4bf67af30765c2ae2b846a4d23a8cd0db897086239492caf350b"
        "51f833868b9bc2b3bca9cf4113");
    iterate(TDSA_DH_X448, k, 1000);
    assert_hex(
        k, 56,
        "aa3b4749d55b9daf1e5b00288826c467274ce3ebbdd5c17b975e09d4af6c67cf10d087202db88286e2b79f"
        "ceea3ec353ef54faa26e219f38");
}

static void both_sides_get_the_same_secret(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint8_t a[TDSA_X448_LEN];
        uint8_t b[TDSA_X448_LEN];
        uint8_t pub_a[TDSA_X448_LEN];
        uint8_t pub_b[TDSA_X448_LEN];
        uint8_t ab[TDSA_X448_LEN];
        uint8_t ba[TDSA_X448_LEN];
        tdsa_err err;

        memset(a, 0x11, sizeof a);
        memset(b, 0xa2, sizeof b);
        assert_int_equal(tdsa_dh_public(kinds[i], pub_a, a, &err), TDSA_OK);
        assert_int_equal(tdsa_dh_public(kinds[i], pub_b, b, &err), TDSA_OK);
        assert_int_equal(tdsa_dh_shared(kinds[i], ab, a, pub_b, &err), TDSA_OK);
        assert_int_equal(tdsa_dh_shared(kinds[i], ba, b, pub_a, &err), TDSA_OK);
        assert_memory_equal(ab, ba, tdsa_dh_len(kinds[i]));
    }
}

static void low_order_peer_keys_are_refused(void **state)
{
    uint8_t priv[TDSA_X448_LEN];
    uint8_t shared[TDSA_X448_LEN];
    uint8_t peer[TDSA_X448_LEN] = {0};
    static const uint8_t zero[TDSA_X448_LEN];
    tdsa_err err;

    (void)state;
    memset(priv, 0x42, sizeof priv);
    for (size_t i = 0; i < 2; i++) {
        for (uint8_t u = 0; u < 2; u++) { /* u = 0 and u = 1 have low order on both curves */
            peer[0] = u;
            assert_int_equal(tdsa_dh_shared(kinds[i], shared, priv, peer, &err), TDSA_E_PROTOCOL);
            assert_memory_equal(shared, zero, tdsa_dh_len(kinds[i]));
        }
    }
    from_hex(peer, 32, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    assert_int_equal(tdsa_dh_shared(TDSA_DH_X25519, shared, priv, peer, &err), TDSA_E_PROTOCOL);
    assert_int_equal(ERR_peek_error(), 0);
}

/* A pair as OpenSSL writes it. */
typedef struct {
    uint8_t priv[TDSA_X448_LEN], pub[TDSA_X448_LEN];
    tdsa_buf priv_text, pub_text; /* NUL-terminated */
} pair_texts;

static void append_base64(tdsa_buf *out, const uint8_t *bytes, size_t len)
{
    tdsa_base64url_encode(out, bytes, len);
    tdsa_buf_append_u8(out, 0);
}

static void make_pair(pair_texts *p, tdsa_dh_kind kind)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, kind == TDSA_DH_X25519 ? "X25519" : "X448");
    PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(key);
    uint8_t *der = NULL;
    size_t raw_len = tdsa_dh_len(kind);
    int len = i2d_PKCS8_PRIV_KEY_INFO(p8, &der);

    p->priv_text = TDSA_BUF_EMPTY;
    p->pub_text = TDSA_BUF_EMPTY;
    append_base64(&p->priv_text, der, (size_t)len);
    OPENSSL_free(der);
    der = NULL;
    len = i2d_PUBKEY(key, &der);
    append_base64(&p->pub_text, der, (size_t)len);
    OPENSSL_free(der);
    assert_int_equal(EVP_PKEY_get_raw_private_key(key, p->priv, &raw_len), 1);
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, p->pub, &raw_len), 1);
    PKCS8_PRIV_KEY_INFO_free(p8);
    EVP_PKEY_free(key);
}

static void drop_pair(pair_texts *p)
{
    tdsa_buf_clear(&p->priv_text);
    tdsa_buf_clear(&p->pub_text);
}

static void keys_are_read_from_der_and_raw_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const size_t len = tdsa_dh_len(kinds[i]);
        TDSA_SCOPED_BUF raw = TDSA_BUF_EMPTY;
        pair_texts p;
        uint8_t out[TDSA_X448_LEN];
        tdsa_err err;

        make_pair(&p, kinds[i]);
        assert_int_equal(tdsa_dh_parse_private(kinds[i], out, (const char *)p.priv_text.data, &err),
                         TDSA_OK);
        assert_memory_equal(out, p.priv, len);
        assert_int_equal(tdsa_dh_parse_public(kinds[i], out, (const char *)p.pub_text.data, &err),
                         TDSA_OK);
        assert_memory_equal(out, p.pub, len);
        assert_int_equal(tdsa_dh_public(kinds[i], out, p.priv, &err), TDSA_OK);
        assert_memory_equal(out, p.pub, len);
        append_base64(&raw, p.priv, len);
        assert_int_equal(tdsa_dh_parse_private(kinds[i], out, (const char *)raw.data, &err),
                         TDSA_OK);
        assert_memory_equal(out, p.priv, len);
        drop_pair(&p);
    }
}

static void a_key_of_the_other_curve_or_kind_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pair_texts p;
        uint8_t out[TDSA_X448_LEN];
        static const uint8_t zero[TDSA_X448_LEN];
        tdsa_err err;

        make_pair(&p, kinds[i]);
        assert_int_equal(
            tdsa_dh_parse_private(kinds[1 - i], out, (const char *)p.priv_text.data, &err),
            TDSA_E_CONFIG);
        assert_memory_equal(out, zero, tdsa_dh_len(kinds[1 - i]));
        assert_int_equal(
            tdsa_dh_parse_public(kinds[1 - i], out, (const char *)p.pub_text.data, &err),
            TDSA_E_CONFIG);
        assert_int_equal(tdsa_dh_parse_private(kinds[i], out, (const char *)p.pub_text.data, &err),
                         TDSA_E_CONFIG);
        assert_int_equal(tdsa_dh_parse_public(kinds[i], out, (const char *)p.priv_text.data, &err),
                         TDSA_E_CONFIG);
        drop_pair(&p);
    }
}

static void der_with_the_public_key_inside_is_read(void **state)
{
    /* RFC 5958 version 1 with [1] publicKey, as some Java libraries write it */
    static const char head[] = "3051020101300506032b656e04220420";
    uint8_t der[83];
    uint8_t out[32];
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    from_hex(der, 16, head);
    memset(der + 16, 0x6b, 32);
    der[48] = 0x81;
    der[49] = 0x21;
    der[50] = 0;
    memset(der + 51, 0x70, 32);
    append_base64(&text, der, sizeof der);
    assert_int_equal(tdsa_dh_parse_private(TDSA_DH_X25519, out, (const char *)text.data, &err),
                     TDSA_OK);
    assert_memory_equal(out, der + 16, 32);
}

static void every_cut_or_changed_der_is_refused_or_harmless(void **state)
{
    pair_texts p;
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    uint8_t out[TDSA_X25519_LEN];
    tdsa_err err;

    (void)state;
    make_pair(&p, TDSA_DH_X25519);
    assert_int_equal(
        tdsa_base64_decode(&der, (const char *)p.priv_text.data, p.priv_text.len - 1, NULL, &err),
        TDSA_OK);
    for (size_t len = 0; len < der.len; len++) {
        TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

        append_base64(&text, der.data, len);
        if (len != TDSA_X25519_LEN) { /* that length is a raw key */
            assert_int_equal(
                tdsa_dh_parse_private(TDSA_DH_X25519, out, (const char *)text.data, &err),
                TDSA_E_CONFIG);
        }
    }
    for (size_t i = 0; i < 16; i++) { /* all bytes before the key are fixed */
        TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

        der.data[i] ^= 0x40;
        append_base64(&text, der.data, der.len);
        assert_int_equal(tdsa_dh_parse_private(TDSA_DH_X25519, out, (const char *)text.data, &err),
                         TDSA_E_CONFIG);
        der.data[i] ^= 0x40;
    }
    drop_pair(&p);
}

static void text_that_is_no_key_is_refused_without_being_shown(void **state)
{
    char big[3000];
    uint8_t out[TDSA_X25519_LEN];
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_dh_parse_private(TDSA_DH_X25519, out, "hunter2!", &err), TDSA_E_CONFIG);
    assert_null(strstr(err.text, "hunter2"));
    assert_int_equal(tdsa_dh_parse_private(TDSA_DH_X25519, out, "", &err), TDSA_E_CONFIG);
    memset(big, 'A', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_int_equal(tdsa_dh_parse_public(TDSA_DH_X25519, out, big, &err), TDSA_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_those_of_rfc_7748),
        cmocka_unit_test(both_sides_get_the_same_secret),
        cmocka_unit_test(low_order_peer_keys_are_refused),
        cmocka_unit_test(keys_are_read_from_der_and_raw_text),
        cmocka_unit_test(a_key_of_the_other_curve_or_kind_is_refused),
        cmocka_unit_test(der_with_the_public_key_inside_is_read),
        cmocka_unit_test(every_cut_or_changed_der_is_refused_or_harmless),
        cmocka_unit_test(text_that_is_no_key_is_refused_without_being_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
