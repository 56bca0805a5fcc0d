#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keystore/wrap_module.h"
#include "keystore/wrap_uri.h"

static ks_wrap_uri *parse(const char *text)
{
    ks_wrap_uri *u = NULL;
    tdsa_err err = {.text = ""};

    if (ks_wrap_uri_parse(&u, text, &err) != TDSA_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    return u;
}

static void all_parts_of_a_uri_are_taken(void **state)
{
    ks_wrap_uri *u = parse("pkcs11:token=My%20keys;object=wrap%3Bkey;id=%01%ff;type=secret-key"
                           "?module-path=/opt/x.so&pin-value=12%2034");
    TDSA_SCOPED_SECRET pin = NULL;
    tdsa_err err;

    (void)state;
    assert_string_equal(u->module_path, "/opt/x.so");
    assert_string_equal(u->token_name, "My keys");
    assert_string_equal(u->key_name, "object=wrap;key");
    assert_int_equal(u->object_len, 8);
    assert_memory_equal(u->object, "wrap;key", 8);
    assert_int_equal(u->id_len, 2);
    assert_memory_equal(u->id, "\x01\xff", 2);
    assert_int_equal(ks_wrap_uri_pin(u, &pin, &err), TDSA_OK);
    assert_int_equal(tdsa_secret_len(pin), 5);
    assert_memory_equal(tdsa_secret_view(pin), "12 34", 5);
    assert_null(p11_kit_uri_get_pin_value(u->uri)); /* no second copy stays */
    ks_wrap_uri_free(u);
}

static void what_is_left_out_has_a_default(void **state)
{
    ks_wrap_uri *u = parse("pkcs11:id=%aa");
    tdsa_secret *pin = NULL;
    tdsa_err err;

    (void)state;
    assert_string_equal(u->module_path, KS_WRAP_MODULE_USUAL);
    assert_string_equal(u->key_name, "id=aa");
    assert_string_equal(u->token_name, "(any)");
    assert_int_equal(ks_wrap_uri_pin(u, &pin, &err), TDSA_E_LOGIN);
    assert_null(pin);
    ks_wrap_uri_free(u);
    u = parse("pkcs11:slot-id=77;object=x");
    assert_string_equal(u->token_name, "in slot 77");
    ks_wrap_uri_free(u);
    u = parse("pkcs11:serial=0815;object=x");
    assert_string_equal(u->token_name, "serial 0815");
    ks_wrap_uri_free(u);
}

static void pin_files_are_named_in_both_ways(void **state)
{
    static const char *const forms[] = {"/etc/pin", "file:/etc/pin", "file:///etc/pin"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char text[100];
        ks_wrap_uri *u = NULL;

        (void)snprintf(text, sizeof text, "pkcs11:object=x?pin-source=%s", forms[i]);
        u = parse(text);
        assert_string_equal(u->pin_file, "/etc/pin");
        ks_wrap_uri_free(u);
    }
}

static void a_pin_may_come_from_a_variable_or_a_credential(void **state)
{
    ks_wrap_uri *u = parse("pkcs11:object=x?pin-source=env:MY_PIN");

    (void)state;
    assert_string_equal(u->pin_env, "MY_PIN");
    assert_null(u->pin_file);
    ks_wrap_uri_free(u);
    u = parse("pkcs11:object=x?pin-source=credential:my.pin");
    assert_string_equal(u->pin_credential, "my.pin");
    assert_true(ks_wrap_uri_has_source(u));
    ks_wrap_uri_free(u);
}

static void wrong_uris_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "pkcs11",
        "http://x",
        "pkcs11:token=x",                                       /* which key? */
        "pkcs11:",                                              /* the same */
        "pkcs11:object=x;type=private",                         /* no secret key */
        "pkcs11:object=x;nonsense=1",                           /* unknown attribute */
        "pkcs11:object=x?module-path=x.so",                     /* not absolute */
        "pkcs11:object=x?pin-source=pin.txt",                   /* not absolute */
        "pkcs11:object=x?pin-source=%7Ccat%20/etc/pin",         /* a command */
        "pkcs11:object=x?pin-source=/etc/pin&pin-value=314159", /* both */
        "pkcs11:object=x?pin-source=env:",
        "pkcs11:object=x?pin-source=credential:../pin",
        "pkcs11:object=x?pin-source=credential:..",
        "pkcs11:object=x?pin-value=",
        "pkcs11:object=%zz?pin-value=314159",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ks_wrap_uri *u = NULL;
        tdsa_err err = {.text = ""};

        if (ks_wrap_uri_parse(&u, bad[i], &err) != TDSA_E_CONFIG) {
            fail_msg("'%s' is taken", bad[i]);
        }
        assert_null(u);
        assert_null(strstr(err.text, "314159"));
    }
}

static void a_private_key_has_its_own_type(void **state)
{
    ks_wrap_uri *u = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(ks_wrap_uri_parse_private(&u, "pkcs11:object=x;type=private", &err), TDSA_OK);
    ks_wrap_uri_free(u);
    assert_int_equal(ks_wrap_uri_parse_private(&u, "pkcs11:object=x", &err), TDSA_OK);
    ks_wrap_uri_free(u);
    assert_int_equal(ks_wrap_uri_parse_private(&u, "pkcs11:object=x;type=secret-key", &err),
                     TDSA_E_CONFIG);
    assert_null(u);
    assert_int_equal(ks_wrap_uri_parse(&u, "pkcs11:object=x;type=private", &err), TDSA_E_CONFIG);
}

static void long_parts_are_refused(void **state)
{
    ks_wrap_uri *u = NULL;
    tdsa_err err;
    char text[600];

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "pkcs11:object=", 14);
    text[sizeof text - 1] = '\0';
    assert_int_equal(ks_wrap_uri_parse(&u, text, &err), TDSA_E_CONFIG);
    memcpy(text, "pkcs11:object=x?pin-value=", 26);
    assert_int_equal(ks_wrap_uri_parse(&u, text, &err), TDSA_E_CONFIG);
}

static void codes_have_names(void **state)
{
    char number[32];

    (void)state;
    assert_string_equal(ks_ckr_name(CKR_PIN_INCORRECT, number), "CKR_PIN_INCORRECT");
    assert_string_equal(ks_ckr_name(CKR_OK, number), "CKR_OK");
    assert_string_equal(ks_ckr_name(0x80000001, number), "CKR 0x80000001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts_of_a_uri_are_taken),
        cmocka_unit_test(what_is_left_out_has_a_default),
        cmocka_unit_test(pin_files_are_named_in_both_ways),
        cmocka_unit_test(a_pin_may_come_from_a_variable_or_a_credential),
        cmocka_unit_test(wrong_uris_are_refused),
        cmocka_unit_test(a_private_key_has_its_own_type),
        cmocka_unit_test(long_parts_are_refused),
        cmocka_unit_test(codes_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
