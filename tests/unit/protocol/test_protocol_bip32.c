#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base58.h"
#include "base/hash.h"
#include "protocol/bip32.h"

/* Extended public keys: the public steps and the invalid keys of the test vectors in the text of BIP32
 * (2-clause BSD licence), and what is refused on the way. */

static mpc_bip32_node read_xpub(const grp *g, const char *text)
{
    mpc_bip32_node n;
    tdsa_err err;

    if (mpc_bip32_xpub_decode(&n, g, text, strlen(text), &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
    return n;
}

static void public_steps_are_those_of_bip32(void **state)
{
    static const struct {
        const char *parent;
        uint32_t index;
        const char *child;
    } steps[] = {
        {"xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6"
         "LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw",
         1,
         "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHK"
         "kNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ"},
        {"xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqF"
         "JPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
         2,
         "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJA"
         "yiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV"},
        {"xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJA"
         "yiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
         1000000000,
         "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTE"
         "cYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy"},
        {"xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCG"
         "u8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB",
         0,
         "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmX"
         "UbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH"},
        {"xpub6ASAVgeehLbnwdqV6UKMHVzgqAG8Gr6riv3Fxxpj8ksbH9ebxaEyBLZ8"
         "5ySDhKiLDBrQSARLq1uNRts8RuJiHjaDMBU4Zn9h8LZNnBC5y4a",
         1,
         "xpub6DF8uhdarytz3FWdA8TvFSvvAh8dP3283MY7p2V4SeE2wyWmG5mg5EwV"
         "vmdMVCQcoNJxGoWaU9DCWh89LojfZ537wTfunKau47EL2dhHKon"},
        {"xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJb"
         "ZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL",
         2,
         "xpub6FnCn6nSzZAw5Tw7cgR9bi15UV96gLZhjDstkXXxvCLsUXBGXPdSnLFb"
         "dpq8p9HmGsApME5hQTZ3emM2rnY5agb9rXpVGyy3bdW6EEgAtqt"},
    };
    grp *g = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_SECP256K1, &err), TDSA_OK);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        mpc_bip32_node n = read_xpub(g, steps[i].parent);
        char text[MPC_XPUB_TEXT_MAX];

        assert_int_equal(mpc_bip32_xpub(text, &n, g, &err), TDSA_OK);
        assert_string_equal(text, steps[i].parent); /* there and back */
        assert_int_equal(mpc_bip32_walk_vartime(&n, g, &steps[i].index, 1, true, &err), TDSA_OK);
        assert_int_equal(mpc_bip32_xpub(text, &n, g, &err), TDSA_OK);
        assert_string_equal(text, steps[i].child);
    }
    grp_close(g);
}

static void the_invalid_keys_of_bip32_are_refused(void **state)
{
    static const struct {
        const char *key, *why;
    } cases[] = {
        {"xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU"
         "6LBpB85b3D2yc8sfvZU521AAwdZafEz7mnzBBsz4wKY5fTtTQBm",
         ""},
        {"xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZz"
         "FGTQQD3dC4H2D5GBj7vWvSQaaBv5cxi9gafk7NF3pnBju6dwKvH",
         "version"},
        {"xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU"
         "6Txnt3siSujt9RCVYsx4qHZGc62TG4McvMGcAUjeuwZdduYEvFn",
         ""},
        {"xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZz"
         "FGpWnsj83BHtEy5Zt8CcDr1UiRXuWCmTQLxEK9vbz5gPstX92JQ",
         "version"},
        {"xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU"
         "6N8ZMMXctdiCjxTNq964yKkwrkBJJwpzZS4HS2fxvyYUA4q2Xe4",
         ""},
        {"xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZz"
         "FAzHGBP2UuGCqWLTAPLcMtD9y5gkZ6Eq3Rjuahrv17fEQ3Qen6J",
         "version"},
        {"xprv9s2SPatNQ9Vc6GTbVMFPFo7jsaZySyzk7L8n2uqKXJen3KUmvQNTuLh3"
         "fhZMBoG3G4ZW1N2kZuHEPY53qmbZzCHshoQnNf4GvELZfqTUrcv",
         "version"},
        {"xpub661no6RGEX3uJkY4bNnPcw4URcQTrSibUZ4NqJEw5eBkv7ovTwgiT91X"
         "X27VbEXGENhYRCf7hyEbWrR3FewATdCEebj6znwMfQkhRYHRLpJ",
         "no parent"},
        {"xprv9s21ZrQH4r4TsiLvyLXqM9P7k1K3EYhA1kkD6xuquB5i39AU8KF42acD"
         "yL3qsDbU9NmZn6MsGSUYZEsuoePmjzsB3eFKSUEh3Gu1N3cqVUN",
         "version"},
        {"xpub661MyMwAuDcm6CRQ5N4qiHKrJ39Xe1R1NyfouMKTTWcguwVcfrZJaNvh"
         "pebzGerh7gucBvzEQWRugZDuDXjNDRmXzSZe4c7mnTK97pTvGS8",
         "no parent"},
        {"xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZz"
         "F93Y5wvzdUayhgkkFoicQZcP3y52uPPxFnfoLZB21Teqt1VvEHx",
         "version"},
        {"xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZz"
         "FAzHGBP2UuGCqWLTAPLcMtD5SDKr24z3aiUvKr9bJpdrcLg1y3G",
         "version"},
        {"xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU"
         "6Q5JXayek4PRsn35jii4veMimro1xefsM58PgBMrvdYre8QyULY",
         ""},
        {"xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiC"
         "hkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHL",
         "checksum"},
    };
    grp *g = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_SECP256K1, &err), TDSA_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mpc_bip32_node n;
        const mpc_bip32_node zero = {.depth = 0};

        assert_int_equal(mpc_bip32_xpub_decode(&n, g, cases[i].key, strlen(cases[i].key), &err),
                         TDSA_E_BAD_INPUT);
        if (strstr(err.text, cases[i].why) == NULL) {
            fail_msg("%zu: %s", i, err.text);
        }
        assert_memory_equal(n.cc, zero.cc, sizeof n.cc);
    }
    grp_close(g);
}

/* A node with y = s*G and this chain code. */
static mpc_bip32_node node_of(const grp *g, uint64_t s, uint8_t cc)
{
    mpc_bip32_node n;
    grp_scalar x;
    tdsa_err err;

    memset(&n, 0, sizeof n);
    memset(n.cc, cc, sizeof n.cc);
    grp_scalar_set_u64(g, &n.epsilon, 0);
    grp_scalar_set_u64(g, &x, s);
    assert_int_equal(grp_mul_base(g, &n.y, &x, &err), TDSA_OK);
    return n;
}

static void refused(const grp *g, mpc_bip32_node n, const uint32_t *path, size_t len,
                    const char *why)
{
    tdsa_err err;

    assert_int_equal(mpc_bip32_walk_vartime(&n, g, path, len, true, &err), TDSA_E_BAD_INPUT);
    if (strstr(err.text, why) == NULL) {
        fail_msg("%s", err.text);
    }
    assert_true(grp_point_is_identity(&n.y));
    assert_true(grp_scalar_is_zero(g, &n.epsilon));
}

static void hardened_and_too_long_paths_are_refused(void **state)
{
    const uint32_t hardened[] = {0, 1, MPC_HARDENED};
    const uint32_t last[] = {UINT32_MAX};
    const uint32_t deep[MPC_PATH_MAX + 1] = {0};
    mpc_bip32_node n;
    grp *g = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_P256, &err), TDSA_OK);
    n = node_of(g, 5, 1);
    refused(g, n, hardened, 3, "hardened");
    refused(g, n, last, 1, "hardened");
    refused(g, n, deep, MPC_PATH_MAX + 1, "more than 50");
    assert_int_equal(mpc_bip32_walk_vartime(&n, g, deep, MPC_PATH_MAX, false, &err), TDSA_OK);
    assert_int_equal(n.depth, MPC_PATH_MAX);
    refused(g, n, deep, 1, "more than 50"); /* in steps as well */
    grp_close(g);
}

/* Nobody finds a key whose child is the identity: the tweak is made by hand, the HMAC is wrapped. */
static uint8_t forced[TDSA_DIGEST_LEN_MAX];
static bool force;
tdsa_status __real_tdsa_hmac(uint8_t *out, tdsa_hash_alg alg, const uint8_t *key, size_t key_len,
                             const void *in, size_t len, tdsa_err *err);
tdsa_status __wrap_tdsa_hmac(uint8_t *out, tdsa_hash_alg alg, const uint8_t *key, size_t key_len,
                             const void *in, size_t len, tdsa_err *err);
tdsa_status __wrap_tdsa_hmac(uint8_t *out, tdsa_hash_alg alg, const uint8_t *key, size_t key_len,
                             const void *in, size_t len, tdsa_err *err)
{
    if (!force) {
        return __real_tdsa_hmac(out, alg, key, key_len, in, len, err);
    }
    memcpy(out, forced, sizeof forced);
    return TDSA_OK;
}

static void tweaks_that_give_no_child_are_refused(void **state)
{
    static const grp_curve curves[] = {GRP_SECP256K1, GRP_P256};
    const uint32_t path[] = {7};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        mpc_bip32_node n;
        grp_scalar a;
        grp *g = NULL;
        tdsa_err err;

        assert_int_equal(grp_open(&g, curves[i], &err), TDSA_OK);
        force = true;
        memset(forced, 0xff, sizeof forced); /* over q on both curves */
        refused(g, node_of(g, 5, 1), path, 1, "no child");
        grp_scalar_set_u64(g, &a, 5);
        grp_scalar_neg(g, &a, &a);
        grp_scalar_encode(g, forced, &a); /* -5: y = 5G goes to the identity */
        refused(g, node_of(g, 5, 1), path, 1, "identity");
        memset(forced, 0, 32); /* 0 is lawful: the child has the parent's key */
        n = node_of(g, 5, 1);
        assert_int_equal(mpc_bip32_walk_vartime(&n, g, path, 1, true, &err), TDSA_OK);
        force = false;
        grp_close(g);
    }
}

static void extended_keys_are_for_two_curves(void **state)
{
    mpc_bip32_node n;
    char text[MPC_XPUB_TEXT_MAX];
    grp *g = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_P256, &err), TDSA_OK);
    n = node_of(g, 9, 3);
    assert_int_equal(mpc_bip32_xpub(text, &n, g, &err), TDSA_OK);
    assert_int_equal(strncmp(text, "xpub661MyMwAqRbc", 16), 0);
    n = read_xpub(g, text);
    assert_int_equal(n.depth, 0);
    assert_int_equal(n.cc[31], 3);
    grp_close(g);
    if (grp_open(&g, GRP_P384, &err) == TDSA_OK) {
        assert_int_equal(mpc_bip32_xpub(text, &n, g, &err), TDSA_E_BAD_INPUT);
        assert_int_equal(mpc_bip32_xpub_decode(&n, g, "x", 1, &err), TDSA_E_BAD_INPUT);
        grp_close(g);
    }
}

static void every_changed_character_of_an_xpub_is_noticed(void **state)
{
    mpc_bip32_node n;
    char text[MPC_XPUB_TEXT_MAX + 1];
    grp *g = NULL;
    size_t len;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_SECP256K1, &err), TDSA_OK);
    n = node_of(g, 9, 3);
    assert_int_equal(mpc_bip32_xpub(text, &n, g, &err), TDSA_OK);
    len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        const char was = text[i];

        for (const char *c = "1zP0l\x80"; *c != '\0'; c++) {
            text[i] = *c;
            assert_int_equal(mpc_bip32_xpub_decode(&n, g, text, len, &err),
                             *c == was ? TDSA_OK : TDSA_E_BAD_INPUT);
        }
        text[i] = was;
        assert_int_equal(mpc_bip32_xpub_decode(&n, g, text, i, &err), TDSA_E_BAD_INPUT);
    }
    text[len] = '1';
    assert_int_equal(mpc_bip32_xpub_decode(&n, g, text, len + 1, &err), TDSA_E_BAD_INPUT);
    grp_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_steps_are_those_of_bip32),
        cmocka_unit_test(the_invalid_keys_of_bip32_are_refused),
        cmocka_unit_test(hardened_and_too_long_paths_are_refused),
        cmocka_unit_test(tweaks_that_give_no_child_are_refused),
        cmocka_unit_test(extended_keys_are_for_two_curves),
        cmocka_unit_test(every_changed_character_of_an_xpub_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
