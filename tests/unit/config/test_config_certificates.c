#include "config/participant_cfg.h"

#include "participant_support.h"
#include "support/rsa_maker.h"

/* tdsaLibrary.ersCertificates and exportCertificates */

/* A document with these certificates, as base64. */
static void document(tdsa_buf *out, const rsa_pair *const *pairs, size_t count)
{
    tdsa_buf_append_str(out, MINIMAL "  ersCertificates:\n");
    for (size_t i = 0; i < count; i++) {
        tdsa_buf_append_str(out, "    - ");
        tdsa_base64url_encode(out, pairs[i]->der.data, pairs[i]->der.len);
        tdsa_buf_append_str(out, "\n");
    }
    tdsa_buf_append_u8(out, 0);
}

static tdsa_status load(const rsa_pair *const *pairs, size_t count, log_record *record,
                        tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    cfg_participant *p = NULL;
    cfg *c = NULL;
    tdsa_status st;

    document(&text, pairs, count);
    st = make(&p, &c, (const char *)text.data, NULL, record, err);
    if (st == TDSA_OK) {
        const part_engine_cfg *e = cfg_participant_engine(p);

        assert_int_equal(e->ers_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(tdsa_rsa_cert_facts(e->ers[i])->bits,
                             EVP_PKEY_get_bits(pairs[i]->key));
        }
        cfg_participant_free(p);
        cfg_free(c);
    }
    return st;
}

static void fit_certificates_are_taken_in_their_order(void **state)
{
    rsa_pair a;
    rsa_pair b;
    const rsa_pair *const both[] = {&a, &b};
    log_record record;
    tdsa_err err;

    (void)state;
    rsa_make_fit(&a, 3072);
    rsa_make_fit(&b, 3080);
    assert_int_equal(load(both, 2, &record, &err), TDSA_OK);
    assert_null(strstr(record.text, "ersCertificates"));
    assert_int_equal(load(both, 0, &record, &err), TDSA_OK);
    rsa_pair_clear(&a);
    rsa_pair_clear(&b);
}

static void the_two_lists_are_apart(void **state)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    cfg_participant *p = NULL;
    cfg *c = NULL;
    log_record record;
    rsa_pair a;
    rsa_pair b;
    tdsa_err err;

    (void)state;
    rsa_make_fit(&a, 3072);
    rsa_make_fit(&b, 3080);
    tdsa_buf_append_str(&text, MINIMAL "  exportCertificates: [");
    tdsa_base64url_encode(&text, a.der.data, a.der.len);
    tdsa_buf_append_str(&text, "]\n  ersCertificates: [");
    tdsa_base64url_encode(&text, b.der.data, b.der.len);
    tdsa_buf_append(&text, "]\n", sizeof "]\n");
    assert_int_equal(make(&p, &c, (const char *)text.data, NULL, &record, &err), TDSA_OK);
    assert_int_equal(cfg_participant_engine(p)->export_count, 1);
    assert_int_equal(tdsa_rsa_cert_facts(cfg_participant_engine(p)->exports[0])->bits, 3072);
    assert_int_equal(cfg_participant_engine(p)->ers_count, 1);
    assert_int_equal(tdsa_rsa_cert_facts(cfg_participant_engine(p)->ers[0])->bits, 3080);
    cfg_participant_free(p);
    cfg_free(c);
    assert_int_equal(make(&p, &c, MINIMAL "  exportCertificates: [ AAAA ]\n", NULL, &record, &err),
                     TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "tdsaLibrary.exportCertificates[0]"));
    rsa_pair_clear(&a);
    rsa_pair_clear(&b);
}

static void short_and_expired_ones_are_taken_with_a_warning(void **state)
{
    rsa_pair a;
    rsa_pair b;
    const rsa_pair *const both[] = {&a, &b};
    log_record record;
    tdsa_err err;

    (void)state;
    rsa_make_fit(&a, 2048);
    rsa_make(&b, &(rsa_wish){"RSA", 2048, 0, NULL, -99, -9, "old"});
    assert_int_equal(load(both, 2, &record, &err), TDSA_OK);
    assert_non_null(strstr(record.text, "tdsaLibrary.ersCertificates[0]: RSA of 2048 bits"));
    assert_non_null(strstr(record.text, "tdsaLibrary.ersCertificates[1]: the certificate (/CN=old) "
                                        "is not valid today"));
    rsa_pair_clear(&a);
    rsa_pair_clear(&b);
}

static void an_unfit_one_is_named_by_its_place(void **state)
{
    rsa_pair a;
    rsa_pair b;
    const rsa_pair *const both[] = {&a, &b};
    log_record record;
    tdsa_err err;

    (void)state;
    rsa_make_fit(&a, 2048);
    rsa_make(&b, &(rsa_wish){"EC", 0, 0, NULL, 0, 60, NULL});
    assert_int_equal(load(both, 2, &record, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "tdsaLibrary.ersCertificates[1]: the certificate cannot be "
                                     "used: its key is not an RSA key"));
    rsa_pair_clear(&b);
    rsa_make(&b, &(rsa_wish){"RSA", 2048, 0, "digitalSignature", 0, 60, NULL});
    assert_int_equal(load(both, 2, &record, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "[1]: the certificate cannot be used: its keyUsage"));
    rsa_pair_clear(&b);
    rsa_make(&b, &(rsa_wish){"RSA", 1024, 0, NULL, 0, 60, NULL});
    assert_int_equal(load(both, 2, &record, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "2048 to 4096 bits"));
    rsa_pair_clear(&a);
    rsa_pair_clear(&b);
}

static void too_many_and_the_same_twice_are_refused(void **state)
{
    rsa_pair a;
    const rsa_pair *const same[] = {&a, &a, &a, &a, &a};
    log_record record;
    tdsa_err err;

    (void)state;
    rsa_make_fit(&a, 2048);
    assert_int_equal(load(same, 2, &record, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "ersCertificates[1]: the same certificate as element 0"));
    assert_int_equal(load(same, 5, &record, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "ersCertificates has 5 elements, at most 4"));
    rsa_pair_clear(&a);
}

static void what_is_no_certificate_is_refused(void **state)
{
    static const char *const wrong[] = {"'!'", "AAAA", "''", "'vault:secret/x#y'"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[4096];
        log_record record;
        cfg_participant *p;
        cfg *c;
        tdsa_err err;

        (void)snprintf(text, sizeof text, MINIMAL "  ersCertificates: [ %s ]\n", wrong[i]);
        assert_int_equal(make(&p, &c, text, NULL, &record, &err), TDSA_E_CONFIG);
        assert_non_null(strstr(err.text, "tdsaLibrary.ersCertificates[0]"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit_certificates_are_taken_in_their_order),
        cmocka_unit_test(the_two_lists_are_apart),
        cmocka_unit_test(short_and_expired_ones_are_taken_with_a_warning),
        cmocka_unit_test(an_unfit_one_is_named_by_its_place),
        cmocka_unit_test(too_many_and_the_same_twice_are_refused),
        cmocka_unit_test(what_is_no_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
