#include "unit/peer/peer_fixture.h"

#include <stdio.h>

#include "peer/roster.h"
#include "peer/url.h"

/* A good roster of three: 0 is the client, I am 1. */
static void make_roster(peer_roster *r)
{
    party p[3];

    memset(r, 0, sizeof *r);
    r->n = 3;
    r->me = 1;
    r->client_index = 0;
    for (uint16_t i = 0; i < 3; i++) {
        party_make(&p[i]);
        if (i > 0) {
            r->at[i].count = 1;
            r->at[i].entry[0].keys = p[i].keys;
            (void)snprintf(r->at[i].entry[0].id, sizeof r->at[i].entry[0].id, "participant%u", i);
            (void)snprintf(r->at[i].entry[0].url, sizeof r->at[i].entry[0].url,
                           "http://127.0.0.1:%u/protocol/round", 9000u + i);
        }
    }
    memcpy(r->my_x25519, p[1].x25519, 32);
    memcpy(r->my_x448, p[1].x448, 56);
    (void)snprintf(r->server_group_id, sizeof r->server_group_id, "group");
}

static void check_fails(peer_roster *r, const char *text)
{
    tdsa_err err;

    assert_int_equal(peer_roster_check(r, &err), TDSA_E_CONFIG);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, text);
    }
}

static void a_good_roster_passes_and_learns_my_public_keys(void **state)
{
    peer_roster r;
    tdsa_err err;

    (void)state;
    make_roster(&r);
    assert_int_equal(peer_roster_check(&r, &err), TDSA_OK);
    assert_memory_equal(r.my_public.x25519, r.at[1].entry[0].keys.x25519, 32);
    assert_memory_equal(r.my_public.x448, r.at[1].entry[0].keys.x448, 56);
    assert_ptr_equal(peer_roster_find(&r, 2, &r.at[2].entry[0].keys), &r.at[2].entry[0]);
    assert_null(peer_roster_find(&r, 1, &r.at[2].entry[0].keys));
    assert_null(peer_roster_find(&r, 3, &r.at[2].entry[0].keys));
    assert_ptr_equal(peer_roster_selected(&r, 2), &r.at[2].entry[0]);
    assert_null(peer_roster_selected(&r, 0)); /* the client */
    assert_null(peer_roster_selected(&r, 9));
    r.at[1].count = 0; /* my own entry may be left out */
    r.client_index = PEER_NO_CLIENT;
    r.at[0] = r.at[2];
    r.at[0].entry[0].keys.x25519[0] ^= 1;
    r.at[0].entry[0].keys.x448[0] ^= 1;
    assert_int_equal(peer_roster_check(&r, &err), TDSA_OK);
    peer_roster_clear(&r);
    assert_int_equal(r.my_x25519[0], 0);
    assert_int_equal(r.client_index, PEER_NO_CLIENT);
}

static void alternatives_are_found_by_their_keys(void **state)
{
    peer_roster r;
    party other;
    tdsa_err err;

    (void)state;
    make_roster(&r);
    party_make(&other);
    r.at[2].count = 2;
    r.at[2].selected = 1;
    r.at[2].entry[1] = r.at[2].entry[0];
    r.at[2].entry[1].keys = other.keys;
    check_fails(&r, "same id or keys"); /* the ids are equal */
    (void)snprintf(r.at[2].entry[1].id, sizeof r.at[2].entry[1].id, "another");
    assert_int_equal(peer_roster_check(&r, &err), TDSA_OK);
    assert_ptr_equal(peer_roster_find(&r, 2, &other.keys), &r.at[2].entry[1]);
    assert_ptr_equal(peer_roster_selected(&r, 2), &r.at[2].entry[1]);
    memcpy(other.keys.x448, r.at[2].entry[0].keys.x448, 56); /* one key of each is nobody */
    assert_null(peer_roster_find(&r, 2, &other.keys));
}

static void each_wrong_value_is_named(void **state)
{
    peer_roster good, r;

    (void)state;
    make_roster(&good);
    r = good;
    r.n = 1;
    check_fails(&r, "1 participants");
    r.n = PEER_PARTICIPANTS_MAX + 1;
    check_fails(&r, "10 participants");
    r = good;
    r.me = 3;
    check_fails(&r, "participantIndex 3");
    r = good;
    r.client_index = 3;
    check_fails(&r, "clientIndex 3");
    r.client_index = -2;
    check_fails(&r, "clientIndex -2");
    r = good;
    r.at[2].count = 0;
    check_fails(&r, "participant 2: remoteParticipants has no entry");
    r = good;
    r.at[2].count = PEER_ALTERNATIVES_MAX + 1;
    check_fails(&r, "participant 2: 9 alternatives");
    r = good;
    r.at[2].selected = 1;
    check_fails(&r, "participant 2: participantIds");
    r = good;
    r.at[2].entry[0].id[0] = '\0';
    check_fails(&r, "participant 2: no participantId");
    memset(r.at[2].entry[0].id, 'x', sizeof r.at[2].entry[0].id);
    check_fails(&r, "participant 2: the id");
    (void)snprintf(r.at[2].entry[0].id, sizeof r.at[2].entry[0].id, "a\nb");
    check_fails(&r, "participant 2: the id");
    r = good;
    r.at[0] = r.at[2];
    check_fails(&r, "participant 0: the client has no id");
    r = good;
    memset(r.at[2].entry[0].keys.x448, 0, 56);
    check_fails(&r, "participant 2: the secondary (X448) public key");
    memset(r.at[2].entry[0].keys.x25519, 0, 32);
    check_fails(&r, "participant 2: the primary (X25519) public key");
    r = good;
    r.at[2].entry[0].url[0] = '\0';
    check_fails(&r, "participant 2: the URL is missing");
    peer_roster_clear(&good);
}

static void keys_belong_to_one_participant(void **state)
{
    peer_roster good, r;

    (void)state;
    make_roster(&good);
    r = good;
    memcpy(r.at[2].entry[0].keys.x448, r.at[1].entry[0].keys.x448, 56);
    check_fails(&r, "participants 1 and 2 have the same key");
    r.at[1].count = 0; /* my own entry left out: still found by my private keys */
    check_fails(&r, "participant 2 has a public key of participant 1");
    r = good;
    r.my_x25519[5] ^= 1;
    check_fails(&r, "do not belong to the public keys");
    memset(r.my_x448, 0, sizeof r.my_x448);
    check_fails(&r, "no private key");
    r = good;
    memset(r.server_group_id, 'x', sizeof r.server_group_id);
    check_fails(&r, "serverGroupId");
}

static void urls_are_taken_apart(void **state)
{
    peer_url u;
    tdsa_err err;

    (void)state;
    assert_int_equal(peer_url_parse(&u, "http://host.example:9080/protocol/round", &err), TDSA_OK);
    assert_string_equal(u.host, "host.example");
    assert_int_equal(u.port, 9080);
    assert_false(u.https);
    assert_false(u.literal);
    assert_int_equal(peer_url_parse(&u, "https://[2001:db8::1]/x?y=1", &err), TDSA_OK);
    assert_string_equal(u.host, "2001:db8::1");
    assert_int_equal(u.port, 443);
    assert_true(u.https);
    assert_true(u.literal);
    assert_int_equal(peer_url_parse(&u, "http://127.0.0.1", &err), TDSA_OK);
    assert_int_equal(u.port, 80);
    assert_true(u.literal);
    assert_int_equal(peer_url_parse(&u, "http://h:65535?x", &err), TDSA_OK);
}

static void wrong_urls_are_refused(void **state)
{
    const char *bad[] = {"",
                         "http://",
                         "http:///path",
                         "ftp://host/",
                         "HTTP://host/",
                         "host:80",
                         "http://host:0/",
                         "http://host:65536/",
                         "http://host:99999999999/",
                         "http://host:/",
                         "http://host:-1/",
                         "http://host: 80/",
                         "http://ho st/",
                         "http://host/\r\nX: 1",
                         "http://user@host/",
                         "http://user:password@host/",
                         "http://host#x",
                         "http://host\\x/",
                         "http://host/\\x",
                         "http://[::1/",
                         "http://[127.0.0.1]/",
                         "http://[::1]x/",
                         "http://::1/",
                         "http://h\xc3\xb6st/",
                         "http://h%41/",
                         "http://host./"};
    char longest[PEER_URL_MAX + 2];
    peer_url u;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (peer_url_parse(&u, bad[i], &err) != TDSA_E_CONFIG) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_null(strstr(err.text, "password@"));
        assert_int_equal(u.host[0], 0);
    }
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "http://h/", 9);
    longest[PEER_URL_MAX] = '\0';
    assert_int_equal(peer_url_parse(&u, longest, &err), TDSA_OK);
    longest[PEER_URL_MAX] = 'x';
    longest[PEER_URL_MAX + 1] = '\0';
    assert_int_equal(peer_url_parse(&u, longest, &err), TDSA_E_CONFIG);
    longest[9 + PEER_HOST_MAX] = '\0'; /* a host that is one too long */
    memset(longest + 7, 'h', PEER_HOST_MAX + 1);
    longest[7 + PEER_HOST_MAX + 1] = '\0';
    assert_int_equal(peer_url_parse(&u, longest, &err), TDSA_E_CONFIG);
    longest[7 + PEER_HOST_MAX] = '\0';
    assert_int_equal(peer_url_parse(&u, longest, &err), TDSA_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_roster_passes_and_learns_my_public_keys),
        cmocka_unit_test(alternatives_are_found_by_their_keys),
        cmocka_unit_test(each_wrong_value_is_named),
        cmocka_unit_test(keys_belong_to_one_participant),
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(wrong_urls_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
