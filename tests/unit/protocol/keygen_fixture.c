#include "keygen_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void set_up(fixture *f)
{
    run_init(&f->r, GRP_P256, 3, 1, "keygen negative");
    f->t = (tamper){.step = STEP_KEYGEN, .from = 1, .to = 0};
    f->r.hook = tamper_hook;
    f->r.hook_ctx = &f->t;
}

static bool is_zero(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

void assert_dead(const protocol_run *r, uint16_t who, tdsa_status st, int culprit, const char *text)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(r->status[who], st);
    assert_int_equal(r->err[who].participant, culprit);
    if (strstr(r->err[who].text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, r->err[who].text);
    }
    assert_null(r->key[who]);
    assert_true(is_zero(r->keygen[who]->sec, sizeof *r->keygen[who]->sec));
    assert_true(is_zero(r->keygen[who]->key->sec, sizeof *r->keygen[who]->key->sec));
    assert_int_equal(mpc_keygen_send(r->keygen[who], who == 0 ? 1 : 0, &out, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(out.len, 0);
}

void blames_sender(fixture *f, const char *text)
{
    f->t.hits = 0;
    assert_int_equal(run_keygen(&f->r, KEY_ID), f->t.round == R_STORED ? 2 : 0);
    assert_int_equal(f->t.hits, 1);
    assert_dead(&f->r, 0, TDSA_E_PROTOCOL, 1, text);
}

void complains(fixture *f, const char *text)
{
    f->t.round = R_DEAL;
    f->t.hits = 0;
    assert_int_equal(run_keygen(&f->r, KEY_ID), 0);
    assert_int_equal(f->t.hits, 1);
    assert_dead(&f->r, 0, TDSA_E_PROTOCOL, 1, text);
    assert_dead(&f->r, 1, TDSA_E_PROTOCOL, TDSA_NOBODY,
                "participant 0 complains about participant 1");
    assert_dead(&f->r, 2, TDSA_E_PROTOCOL, TDSA_NOBODY, text);
}
