/* Signing, verifying and digesting, in one part, in many and by messages. */
#include "calls_run.h"

#include <string.h>

/* What signing and digesting must have answered: 0 and 1 Init, 2 Update, 3 Final, else all in one call.
 * nothing: no mechanism, or no place for the output. */
static void check_output(op_model *m, uint8_t what, CK_RV rv, bool nothing)
{
    if (what < 2) {
        check_init(m, rv, nothing);
    } else if (what == 2) {
        check_update(m, rv);
    } else {
        check_end(m, rv, what == 3 || !m->started, nothing);
    }
}

void call_sign(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const uint8_t what = take(r) % 6;
    op_model *m = &r->session[i].sign;
    CK_ULONG len = 0;
    CK_ULONG out_len = take(r) % 140;
    CK_BYTE *out = room(r, out_len > 135 ? 0 : out_len);
    const CK_BYTE *data = some_bytes(r, 70, &len);
    CK_MECHANISM *mech = what < 2 ? some_mechanism(r) : NULL;
    CK_RV rv = CKR_OK;

    if (what < 2) {
        rv = r->w->f->C_SignInit(s, mech, some_object(r));
    } else if (what == 2) {
        rv = r->w->f->C_SignUpdate(s, (CK_BYTE *)(uintptr_t)data, len);
    } else if (what == 3) {
        rv = r->w->f->C_SignFinal(s, out, &out_len);
    } else {
        rv = r->w->f->C_Sign(s, (CK_BYTE *)(uintptr_t)data, len, out, &out_len);
    }
    must(!r->alone || what < 3 || out == NULL || rv != CKR_OK || r->logged_in);
    if (check_session(r, i, known(rv))) {
        check_output(m, what, rv, what < 2 ? mech == NULL : out == NULL);
    }
}

void call_verify(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const uint8_t what = take(r) % 6;
    op_model *m = &r->session[i].verify;
    CK_ULONG len = 0;
    CK_ULONG sig_len = (take(r) & 7) == 0 ? 63 : 64;
    CK_BYTE *sig = memset(room(r, sig_len), 1, sig_len);
    CK_BYTE *data = some_bytes(r, 70, &len);
    CK_MECHANISM *mech = what < 2 ? some_mechanism(r) : NULL;
    const bool in_order = !m->started && !m->first;
    CK_RV rv = CKR_OK;

    if (what < 2) {
        rv = r->w->f->C_VerifyInit(s, mech, some_object(r));
    } else if (what == 2) {
        rv = r->w->f->C_VerifyUpdate(s, data, len);
    } else if (what == 3) {
        rv = r->w->f->C_VerifyFinal(s, sig, sig_len);
    } else {
        rv = r->w->f->C_Verify(s, data, len, sig, sig_len);
    }
    if (!check_session(r, i, known(rv))) {
        return;
    }
    if (what < 2) {
        check_init(m, rv, mech == NULL);
    } else if (what > 3) {
        check_end(m, rv, in_order, false);
    } else if (m->active && m->first) {
        must(rv == CKR_OPERATION_NOT_INITIALIZED); /* the other way to verify goes on */
    } else if (what == 2) {
        check_update(m, rv);
    } else {
        check_end(m, rv, true, false);
    }
}

void call_verify_signature(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const uint8_t what = take(r) % 6;
    op_model *m = &r->session[i].verify;
    CK_ULONG len = 0;
    CK_BYTE *sig = memset(room(r, 64), 1, 64);
    CK_BYTE *data = some_bytes(r, 70, &len);
    CK_MECHANISM *mech = what < 2 ? some_mechanism(r) : NULL;
    const bool started = m->started;
    CK_RV rv = CKR_OK;

    if (what < 2) {
        rv = r->w->f->C_VerifySignatureInit(s, mech, some_object(r), sig, 64);
    } else if (what == 2) {
        rv = r->w->f->C_VerifySignatureUpdate(s, data, len);
    } else if (what == 3) {
        rv = r->w->f->C_VerifySignatureFinal(s);
    } else {
        rv = r->w->f->C_VerifySignature(s, data, len);
    }
    if (!check_session(r, i, known(rv))) {
        return;
    }
    if (what < 2) {
        check_init(m, rv, mech == NULL);
        m->first = m->first || rv == CKR_OK;
    } else if (what > 3 && started && m->active) {
        must(rv == CKR_OPERATION_NOT_INITIALIZED);
        m->active = false;
    } else if (m->active && !m->first) {
        must(rv == CKR_OPERATION_NOT_INITIALIZED);
    } else if (what == 2) {
        check_update(m, rv);
    } else {
        check_end(m, rv, true, false);
    }
}

void call_digest(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const uint8_t what = take(r) % 6;
    op_model *m = &r->session[i].digest;
    CK_ULONG len = 0;
    CK_ULONG out_len = take(r) % 70;
    CK_BYTE *out = room(r, out_len > 66 ? 0 : out_len);
    CK_BYTE *data = some_bytes(r, 70, &len);
    CK_MECHANISM *mech = what < 2 ? some_mechanism(r) : NULL;
    CK_RV rv = CKR_OK;

    if (what < 2) {
        rv = r->w->f->C_DigestInit(s, mech);
    } else if (what == 2) {
        rv = r->w->f->C_DigestUpdate(s, data, len);
    } else if (what == 3) {
        rv = r->w->f->C_DigestFinal(s, out, &out_len);
    } else {
        rv = r->w->f->C_Digest(s, data, len, out, &out_len);
    }
    if (check_session(r, i, known(rv))) {
        check_output(m, what, rv, what < 2 ? mech == NULL : out == NULL);
    }
}

void call_message(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const uint8_t what = take(r) % 8;
    const bool signs = (what & 1) == 0;
    op_model *m = signs ? &r->session[i].message_sign : &r->session[i].message_verify;
    CK_ULONG len = 0;
    CK_ULONG sig_len = take(r) % 140;
    CK_BYTE *sig = room(r, sig_len > 135 ? 0 : sig_len);
    CK_BYTE *data = some_bytes(r, 70, &len);
    CK_MECHANISM *mech = what < 4 ? some_mechanism(r) : NULL;
    CK_RV rv = CKR_OK;

    if (sig != NULL) {
        memset(sig, 1, sig_len);
    }
    if (what < 4) {
        rv = signs ? r->w->f->C_MessageSignInit(s, mech, some_object(r))
                   : r->w->f->C_MessageVerifyInit(s, mech, some_object(r));
    } else if (what < 6) {
        rv = signs ? r->w->f->C_SignMessage(s, NULL, 0, data, len, sig, &sig_len)
                   : r->w->f->C_VerifyMessage(s, NULL, 0, data, len, sig, sig_len);
    } else {
        rv = signs ? r->w->f->C_MessageSignFinal(s) : r->w->f->C_MessageVerifyFinal(s);
    }
    if (!check_session(r, i, known(rv))) {
        return;
    }
    if (what < 4) {
        check_init(m, rv, mech == NULL);
    } else if (what < 6) {
        must(m->active == (rv != CKR_OPERATION_NOT_INITIALIZED)); /* and goes on */
    } else {
        check_end(m, rv, true, false);
    }
}
