#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/dh.h"
#include "base/encode.h"
#include "base/secret.h"
#include "peer/noise.h"

/* The decoded value of a hex string; `v` is an object or the string itself. */
static tdsa_buf bytes_of(const json_t *v, const char *name)
{
    tdsa_buf out = TDSA_BUF_EMPTY;
    const char *text = json_string_value(name == NULL ? v : json_object_get(v, name));
    tdsa_err err;

    assert_non_null(text);
    assert_int_equal(tdsa_hex_decode(&out, text, &err), TDSA_OK);
    tdsa_buf_append_u8(&out, 0); /* never NULL */
    out.len--;
    return out;
}

static void copy_key(uint8_t out[32], const json_t *v, const char *name)
{
    TDSA_SCOPED_BUF b = bytes_of(v, name);

    assert_int_equal(b.len, 32);
    memcpy(out, b.data, 32);
}

static void assert_bytes(const tdsa_buf *got, const tdsa_buf *expected)
{
    assert_int_equal(got->len, expected->len);
    if (got->len > 0) {
        assert_memory_equal(got->data, expected->data, got->len);
    }
}

typedef struct {
    uint8_t s[32], s_public[32];
} keys;

static void start(peer_noise *n, const json_t *v, bool initiator, keys *k)
{
    TDSA_SCOPED_BUF prologue = bytes_of(v, initiator ? "init_prologue" : "resp_prologue");
    uint8_t rs[32];
    tdsa_err err;
    peer_noise_setup setup = {k->s, k->s_public, prologue.data, prologue.len};

    copy_key(k->s, v, initiator ? "init_static" : "resp_static");
    assert_int_equal(tdsa_dh_public(TDSA_DH_X25519, k->s_public, k->s, &err), TDSA_OK);
    copy_key(rs, v, "init_remote_static");
    assert_int_equal(peer_noise_init(n, &setup, initiator ? rs : NULL, &err), TDSA_OK);
    copy_key(n->e, v, initiator ? "init_ephemeral" : "resp_ephemeral");
}

/* Both handshake messages, written and read; the states are finished afterwards. */
static void handshake(peer_noise *a, peer_noise *b, const json_t *v, const uint8_t psk[32])
{
    const json_t *messages = json_object_get(v, "messages");
    TDSA_SCOPED_BUF payload0 = bytes_of(json_array_get(messages, 0), "payload");
    TDSA_SCOPED_BUF payload1 = bytes_of(json_array_get(messages, 1), "payload");
    TDSA_SCOPED_BUF expected0 = bytes_of(json_array_get(messages, 0), "ciphertext");
    TDSA_SCOPED_BUF expected1 = bytes_of(json_array_get(messages, 1), "ciphertext");
    TDSA_SCOPED_BUF first = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF second = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF read0 = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF read1 = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(peer_noise_write_first(a, payload0.data, payload0.len, &first, &err), TDSA_OK);
    assert_bytes(&first, &expected0);
    assert_int_equal(peer_noise_read_first(b, first.data, first.len, &read0, &err), TDSA_OK);
    assert_bytes(&read0, &payload0);
    assert_memory_equal(b->rs, a->s_public, 32);
    assert_int_equal(peer_noise_write_second(b, psk, payload1.data, payload1.len, &second, &err),
                     TDSA_OK);
    assert_bytes(&second, &expected1);
    assert_int_equal(peer_noise_read_second(a, psk, second.data, second.len, &read1, &err),
                     TDSA_OK);
    assert_bytes(&read1, &payload1);
}

/* Transport messages alternate, the initiator first. */
static void transport(const peer_noise *n, const json_t *v)
{
    const json_t *messages = json_object_get(v, "messages");
    uint8_t key[2][32];
    tdsa_err err;

    assert_int_equal(peer_noise_split(n, key[0], key[1], &err), TDSA_OK);
    for (size_t i = 2; i < json_array_size(messages); i++) {
        TDSA_SCOPED_BUF payload = bytes_of(json_array_get(messages, i), "payload");
        TDSA_SCOPED_BUF expected = bytes_of(json_array_get(messages, i), "ciphertext");
        TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
        TDSA_SCOPED_BUF opened = TDSA_BUF_EMPTY;
        const uint64_t seq = (i - 2) / 2;

        assert_int_equal(
            peer_noise_seal(&sealed, key[i % 2], seq, NULL, payload.data, payload.len, &err),
            TDSA_OK);
        assert_bytes(&sealed, &expected);
        assert_int_equal(
            peer_noise_open(&opened, key[i % 2], seq, NULL, sealed.data, sealed.len, &err),
            TDSA_OK);
        assert_bytes(&opened, &payload);
    }
}

static void run_file(const char *path)
{
    json_error_t error;
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    size_t i = 0;
    json_t *v = NULL;

    if (all == NULL) {
        fail_msg("%s: %s", path, error.text);
    }
    assert_true(json_array_size(all) > 0);
    json_array_foreach(all, i, v)
    {
        TDSA_SCOPED_BUF psk = bytes_of(json_array_get(json_object_get(v, "init_psks"), 0), NULL);
        TDSA_SCOPED_BUF hash = bytes_of(v, "handshake_hash");
        peer_noise a, b;
        keys ka, kb;

        assert_string_equal(json_string_value(json_object_get(v, "protocol_name")),
                            "Noise_IKpsk2_25519_AESGCM_SHA256");
        assert_int_equal(psk.len, 32);
        start(&a, v, true, &ka);
        start(&b, v, false, &kb);
        handshake(&a, &b, v, psk.data);
        assert_memory_equal(a.h, hash.data, 32);
        assert_memory_equal(b.h, hash.data, 32);
        transport(&a, v);
        transport(&b, v);
    }
    json_decref(all);
}

static void our_vectors_agree(void **state)
{
    (void)state;
    run_file(TDSA_TESTS_DIR "/vectors/peer/noise.json");
}

static void public_vectors_agree(void **state)
{
    (void)state;
    if (strlen(TDSA_VECTORS_DIR) == 0) {
        skip(); /* the public files are not here */
    }
    run_file(TDSA_VECTORS_DIR "/noise-ikpsk2.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_vectors_agree),
        cmocka_unit_test(public_vectors_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
