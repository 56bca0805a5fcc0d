/* Random sequences of all calls, valid and not, over the test doubles, from one to four threads that share
 * sessions and objects. Every answer must be a code that the module documents; a thread that is alone also
 * holds each against a model of the sessions: operations, login, handles. Buffers have the length that is
 * said, so that the address sanitizer sees what is beyond. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "calls_run.h"
#include "support/fake_engine.h"
#include "support/p11_calls.h"

#define THREADS_MAX 4u
#define KEYS_MAX    20u

static world shared;

/* ---- sessions ---- */

static void open_session(run *r, size_t i)
{
    const CK_FLAGS flags = CKF_SERIAL_SESSION | ((take(r) & 1) != 0 ? CKF_RW_SESSION : 0);
    CK_SESSION_HANDLE s = 0;
    CK_RV rv = r->w->f->C_CloseSession(atomic_load(&r->w->session[i]));

    (void)check_session(r, i, known(rv));
    model_closed(r, i);
    rv = known(take(r) < 0x80 ? r->w->f->C_OpenSession(0, flags, NULL, NULL, &s)
                              : C_OpenSession(0, flags, NULL, NULL, &s));
    if (rv == CKR_OK) {
        atomic_store(&r->w->session[i], s);
        r->session[i] = (session_model){.open = true, .rw = (flags & CKF_RW_SESSION) != 0};
    }
    must(!r->alone || rv == CKR_OK);
}

static void log_in(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const uint8_t b = take(r);
    const CK_USER_TYPE user = (b & 6) == 0 ? (CK_USER_TYPE)(b >> 3) % 4 : CKU_USER;
    CK_UTF8CHAR pin[] = FAKE_PIN;
    CK_RV rv = CKR_OK;

    pin[0] ^= (b & 1) == 0 ? 0 : 9;
    rv = known((b & 0x40) != 0 ? r->w->f->C_LoginUser(s, user, pin, 4, NULL, 0)
                               : r->w->f->C_Login(s, user, pin, 4));
    if (check_session(r, i, rv) && user == CKU_USER) {
        must(rv == (r->logged_in            ? CKR_USER_ALREADY_LOGGED_IN
                    : pin[0] == FAKE_PIN[0] ? CKR_OK
                                            : CKR_PIN_INCORRECT));
        r->logged_in = r->logged_in || rv == CKR_OK;
    }
}

static void log_out(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const CK_RV rv = known(r->w->f->C_Logout(s));

    if (check_session(r, i, rv)) {
        must(rv == (r->logged_in ? CKR_OK : CKR_USER_NOT_LOGGED_IN));
        model_logged_out(r);
    }
}

static void cancel(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const CK_FLAGS flags = take(r) | (CK_FLAGS)take(r) << 8;
    session_model *m = &r->session[i];

    if (check_session(r, i, known(r->w->f->C_SessionCancel(s, flags)))) {
        m->sign.active = m->sign.active && (flags & CKF_SIGN) == 0;
        m->verify.active = m->verify.active && (flags & CKF_VERIFY) == 0;
        m->digest.active = m->digest.active && (flags & CKF_DIGEST) == 0;
        m->find.active = m->find.active && (flags & CKF_FIND_OBJECTS) == 0;
        m->message_sign.active = m->message_sign.active && (flags & CKF_MESSAGE_SIGN) == 0;
        m->message_verify.active = m->message_verify.active && (flags & CKF_MESSAGE_VERIFY) == 0;
    }
}

static void look_at_session(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const session_model *m = &r->session[i];
    CK_SESSION_INFO info = {0};
    CK_STATE want = m->rw ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;

    if (r->logged_in) {
        want = m->rw ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
    }
    if (check_session(r, i, known(r->w->f->C_GetSessionInfo(s, &info)))) {
        must(info.state == want && info.slotID == 0);
    }
}

static void close_all(run *r)
{
    const CK_SLOT_ID slot = take(r) & 1; /* the other one does not exist */

    must(known(r->w->f->C_CloseAllSessions(slot)) == CKR_OK || slot != 0 || !r->alone);
    for (size_t j = 0; slot == 0 && j < SESSIONS; j++) {
        model_closed(r, j);
    }
}

static void do_session(run *r, size_t i, CK_SESSION_HANDLE s)
{
    switch (take(r) % 11) {
    case 0:
    case 1:
        open_session(r, i);
        break;
    case 2:
        (void)check_session(r, i, known(r->w->f->C_CloseSession(s)));
        model_closed(r, i);
        break;
    case 3:
    case 4:
        log_in(r, i, s);
        break;
    case 5:
        log_out(r, i, s);
        break;
    case 6:
        cancel(r, i, s);
        break;
    case 7:
        look_at_session(r, i, s);
        break;
    case 8:
        close_all(r);
        break;
    case 9: {
        CK_FLAGS flags = 0;

        (void)check_session(r, i, known(r->w->f->C_GetSessionValidationFlags(s, 1, &flags)));
        break;
    }
    default:
        (void)known(C_Finalize(NULL));
        (void)known(C_Initialize(NULL));
        for (size_t j = 0; j < SESSIONS; j++) { /* handles begin anew */
            model_closed(r, j);
            atomic_store(&r->w->session[j], CK_INVALID_HANDLE);
        }
        r->private_before = 0;
    }
}

/* ---- objects ---- */

static void make_objects(run *r, size_t i, CK_SESSION_HANDLE s)
{
    CK_OBJECT_HANDLE made[2] = {0, 0};
    CK_ULONG count = 0;
    CK_ULONG more = 0;
    CK_ATTRIBUTE *templ = some_template(r, &count);
    CK_ATTRIBUTE *second = NULL;
    CK_RV rv = CKR_OK;
    const uint8_t what = take(r) % 4;

    if (what == 0) {
        second = some_template(r, &more);
        if (fake_key_count() >= KEYS_MAX) {
            return;
        }
        rv = r->w->f->C_GenerateKeyPair(s, some_mechanism(r), templ, count, second, more, &made[0],
                                        &made[1]);
    } else if (what == 1) {
        rv = r->w->f->C_CopyObject(s, some_object(r), templ, count, &made[0]);
    } else {
        rv = r->w->f->C_CreateObject(s, templ, count, &made[0]);
    }
    (void)check_session(r, i, known(rv));
    must(rv != CKR_OK || made[0] != 0);
    must(rv != CKR_OK || what != 0 || !r->alone || r->logged_in);
    for (size_t j = 0; j < 2 && rv == CKR_OK && made[j] != 0; j++) {
        remember_object(r, made[j]);
    }
}

static void read_attributes(run *r, size_t i, CK_SESSION_HANDLE s)
{
    CK_OBJECT_HANDLE o = some_object(r);
    CK_ULONG count = 0;
    CK_ATTRIBUTE *templ = some_template(r, &count);
    CK_BBOOL hidden = CK_FALSE;
    CK_ATTRIBUTE is_private = {CKA_PRIVATE, &hidden, sizeof hidden};
    CK_ULONG size = 0;
    CK_RV rv = known(r->w->f->C_GetAttributeValue(s, o, templ, count));

    (void)check_session(r, i, rv);
    rv = known(r->w->f->C_GetAttributeValue(s, o, &is_private, 1));
    must(!r->alone || rv != CKR_OK || hidden == CK_FALSE || r->logged_in);
    must(!r->alone || rv != CKR_OK || o != r->private_before);
    r->private_seen = rv == CKR_OK && hidden != CK_FALSE ? o : r->private_seen;
    (void)check_session(r, i, known(r->w->f->C_GetObjectSize(s, o, &size)));
}

static void find(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const uint8_t what = take(r) % 4;
    const CK_ULONG max = take(r) % 5;
    CK_OBJECT_HANDLE *out = (CK_OBJECT_HANDLE *)(void *)room(r, max * sizeof *out);
    op_model *m = &r->session[i].find;
    CK_ULONG count = 0;
    CK_RV rv = CKR_OK;

    if (what < 2) {
        CK_ATTRIBUTE *templ = some_template(r, &count);

        rv = known(r->w->f->C_FindObjectsInit(s, templ, count));
        if (check_session(r, i, rv)) {
            check_init(m, rv, false);
        }
    } else if (what == 2) {
        rv = known(r->w->f->C_FindObjects(s, out, max, &count));
        if (check_session(r, i, rv)) {
            must(rv == (m->active ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED));
        }
        must(rv != CKR_OK || count <= max);
        for (CK_ULONG j = 0; rv == CKR_OK && j < count; j++) {
            remember_object(r, out[j]);
        }
    } else {
        rv = known(r->w->f->C_FindObjectsFinal(s));
        if (check_session(r, i, rv)) {
            check_end(m, rv, true, false);
        }
    }
}

static void do_object(run *r, size_t i, CK_SESSION_HANDLE s)
{
    const uint8_t what = take(r) % 8;
    CK_ULONG count = 0;
    CK_ATTRIBUTE *templ = NULL;

    if (what < 3) {
        make_objects(r, i, s);
    } else if (what == 3) {
        (void)check_session(r, i, known(r->w->f->C_DestroyObject(s, some_object(r))));
    } else if (what == 4) {
        read_attributes(r, i, s);
    } else if (what == 5) {
        templ = some_template(r, &count);
        (void)check_session(r, i,
                            known(r->w->f->C_SetAttributeValue(s, some_object(r), templ, count)));
    } else {
        find(r, i, s);
    }
}

/* ---- the module and its slot ---- */

static void do_general(run *r, CK_SESSION_HANDLE s)
{
    const uint8_t b = take(r);
    const CK_SLOT_ID slot = (b & 0x70) == 0 ? b >> 7 : 0;
    CK_ULONG count = take(r) % 20;
    CK_MECHANISM_TYPE *mechs = (CK_MECHANISM_TYPE *)(void *)room(r, count * sizeof *mechs);
    CK_INFO info;
    CK_SLOT_INFO slot_info;
    CK_TOKEN_INFO token;
    CK_MECHANISM_INFO mech;
    CK_SLOT_ID some_slot = 0;

    switch (b % 8) {
    case 0:
        (void)known(r->w->f->C_GetInfo(&info));
        (void)known(C_GetInfo(&info));
        break;
    case 1:
        (void)known(r->w->f->C_GetSlotList(b >> 7, mechs, &count)); /* ids are as long */
        break;
    case 2:
        (void)known(r->w->f->C_GetSlotInfo(slot, &slot_info));
        (void)known(r->w->f->C_GetTokenInfo(slot, &token));
        break;
    case 3:
        (void)known(r->w->f->C_GetMechanismList(slot, mechs, &count));
        break;
    case 4:
        (void)known(r->w->f->C_GetMechanismInfo(slot, CKM_EC_KEY_PAIR_GEN + count - 4, &mech));
        break;
    case 5:
        (void)known(r->w->f->C_GenerateRandom(s, room(r, count), count));
        (void)known(r->w->f->C_SeedRandom(s, room(r, count), count));
        break;
    case 6:
        (void)known(
            r->w->f->C_WaitForSlotEvent(CKF_DONT_BLOCK, b >> 7 == 0 ? &some_slot : NULL, NULL));
        break;
    default:
        call_absent(r, s);
    }
}

static void do_other_process(run *r)
{
    const char name[8] = {'k', (char)('a' + take(r) % 4), 0};
    static const grp_curve curves[] = {GRP_P256, GRP_ED25519, GRP_SECP256K1, GRP_P256};

    if (!r->alone) {
        return; /* it would need a lock over looking and doing */
    }
    if (fake_has_key(name)) {
        fake_other_process_deletes(name);
    } else if (fake_key_count() < KEYS_MAX) {
        fake_other_process_adds(name, curves[name[1] - 'a'], name);
    }
}

/* ---- runs ---- */

static void step(run *r)
{
    const uint8_t op = take(r);
    const size_t i = op % SESSIONS;
    const CK_SESSION_HANDLE s = atomic_load(&r->w->session[i]);

    switch ((op / SESSIONS) % 11) {
    case 0:
        do_session(r, i, s);
        break;
    case 1:
    case 2:
    case 3:
        do_object(r, i, s);
        break;
    case 4:
    case 5:
        call_sign(r, i, s);
        break;
    case 6:
        call_verify(r, i, s);
        break;
    case 7:
        call_verify_signature(r, i, s);
        break;
    case 8:
        call_digest(r, i, s);
        break;
    case 9:
        call_message(r, i, s);
        break;
    default:
        if (take(r) < 0xc0) {
            do_general(r, s);
        } else {
            do_other_process(r);
        }
    }
    forget_buffers(r);
}

static void *all_steps(void *arg)
{
    run *r = arg;

    while (r->pos < r->len) {
        step(r);
    }
    return NULL;
}

/* Begin in the middle of things: sessions, a login, a key pair. */
static void prepare(void)
{
    static unsigned runs;
    CK_OBJECT_HANDLE key[2];
    CK_SESSION_HANDLE s = 0;

    fake_reset();
    if (runs++ % 64 == 0) { /* starting costs most; handles of dead keys pile up */
        (void)C_Finalize(NULL);
    }
    (void)C_Initialize(NULL); /* a run may end without it */
    must(C_CloseAllSessions(0) == CKR_OK);
    for (size_t i = 0; i < SESSIONS; i++) {
        must(shared.f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s) ==
             CKR_OK);
        atomic_store(&shared.session[i], s);
    }
    must(p11_login(s, FAKE_PIN) == CKR_OK);
    p11_make_pair(s, "a", &key[0], &key[1]);
    for (size_t i = 0; i < OBJECTS; i++) {
        atomic_store(&shared.object[i], key[i % 2]);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    static p11_test_cert cert;
    size_t len = 0;

    (void)argc;
    (void)argv;
    shared.f = p11_table_v3();
    p11_make_cert(&cert, key, "fuzz");
    must(cert.len <= sizeof shared.cert);
    memcpy(shared.cert, cert.der, cert.len);
    shared.cert_len = cert.len;
    memcpy(shared.point, (const CK_BYTE[]){4, 65}, 2);
    must(EVP_PKEY_get_octet_string_param(key, "pub", shared.point + 2, 65, &len) == 1);
    EVP_PKEY_free(key);
    p11_write_config("");
    must(atexit(p11_remove_config) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static run part[THREADS_MAX];
    pthread_t thread[THREADS_MAX];
    const size_t threads = size > 0 ? data[0] % THREADS_MAX + 1 : 1;
    const size_t each = size > 0 ? (size - 1) / threads : 0;

    prepare();
    for (size_t i = 0; i < threads; i++) {
        part[i] = (run){.w = &shared, .data = data + 1 + i * each, .len = each};
        part[i].alone = threads == 1;
        part[i].logged_in = true;
        for (size_t j = 0; j < SESSIONS; j++) {
            part[i].session[j] = (session_model){.open = true, .rw = true};
        }
    }
    for (size_t i = 1; i < threads; i++) {
        must(pthread_create(&thread[i], NULL, all_steps, &part[i]) == 0);
    }
    (void)all_steps(&part[0]);
    for (size_t i = 1; i < threads; i++) {
        must(pthread_join(thread[i], NULL) == 0);
    }
    return 0;
}
