#define _GNU_SOURCE 1 /* secure_getenv */
#include "pkcs11-provider/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/encode.h"
#include "base/secret.h"
#include "pkcs11-provider/builtin.h"
#include "pkcs11-provider/program.h"

#define SYSTEM_FILE     "/etc/tdsa/pkcs11.yml"
#define USER_FILE       "tdsa/pkcs11.yml"
#define CONFIG_PATH_MAX 4096u

/* TDSA_PKCS11_CONFIG, else the user's file if there is one, else the system's. */
static tdsa_status find_config(char *out, size_t cap, tdsa_err *err)
{
    const char *given = secure_getenv("TDSA_PKCS11_CONFIG");
    const char *xdg = secure_getenv("XDG_CONFIG_HOME");
    const char *home = secure_getenv("HOME");
    int len = 0;

    if (given != NULL && given[0] != '\0') {
        len = snprintf(out, cap, "%s", given);
    } else if (xdg != NULL && xdg[0] == '/') {
        len = snprintf(out, cap, "%s/" USER_FILE, xdg);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(out, cap, "%s/.config/" USER_FILE, home);
    } else {
        len = snprintf(out, cap, "%s", SYSTEM_FILE);
    }
    if (len < 0 || (size_t)len >= cap) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the path of the configuration file is too long");
    }
    if ((given == NULL || given[0] == '\0') && access(out, F_OK) != 0) {
        (void)snprintf(out, cap, "%s", SYSTEM_FILE);
    }
    return TDSA_OK;
}

static p11_edwards_point edwards_point_of(const char *word)
{
    if (strcmp(word, "der") == 0) {
        return P11_EDWARDS_DER;
    }
    if (strcmp(word, "raw") == 0) {
        return P11_EDWARDS_RAW;
    }
    return p11_program_is_old_pkcs11_tool() ? P11_EDWARDS_DER : P11_EDWARDS_AUTO;
}

static void read_settings(p11_settings *s, const cfg *c)
{
    s->sha1 = cfg_bool(c, "pkcs11.ecdsaSha1");
    s->generate = cfg_bool(c, "pkcs11.generateKeys");
    s->destroy = cfg_bool(c, "pkcs11.destroyKeys");
    s->login_never = strcmp(cfg_str(c, "pkcs11.login"), "never") == 0;
    s->edwards_point = edwards_point_of(cfg_str(c, "pkcs11.edwardsPoint"));
}

/* TDSA_PKCS11_VIEW, else pkcs11.view, chooses among the views. */
static tdsa_status open_views(p11_core *core, tdsa_err *err)
{
    const char *given = secure_getenv("TDSA_PKCS11_VIEW");
    const char *wanted =
        given != NULL && given[0] != '\0' ? given : cfg_str(core->config, "pkcs11.view");
    const tdsa_status st = p11_views_new(&core->views, core->config, err);

    if (st != TDSA_OK) {
        return st;
    }
    core->view = p11_view_of_process(&core->views, wanted);
    if (core->view == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "there is no view \"%s\" (TDSA_PKCS11_VIEW, pkcs11.view): auto, all, ssh, "
                         "openssl or one of pkcs11.views",
                         wanted);
    }
    tdsa_logf(&core->log->sink, TDSA_LOG_DEBUG, "view", "this program gets the view \"%s\"",
              core->view->name);
    return p11_slots_new(&core->slots, &core->views, core->config, err);
}

/* Equal for all processes and hosts that are the same client: a hash of our public keys. */
static tdsa_status make_serial(p11_core *core, tdsa_err *err)
{
    const peer_keys *keys = &cfg_participant_engine(core->participant)->roster.my_public;
    uint8_t both[sizeof keys->x25519 + sizeof keys->x448];
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st = TDSA_OK;

    memcpy(both, keys->x25519, sizeof keys->x25519);
    memcpy(both + sizeof keys->x25519, keys->x448, sizeof keys->x448);
    st = tdsa_hash(digest, TDSA_HASH_SHA256, both, sizeof both, err);
    if (st == TDSA_OK) {
        tdsa_hex(core->serial, digest, (sizeof core->serial - 1) / 2);
    }
    return st;
}

static tdsa_status open_store(p11_core *core, tdsa_err *err)
{
    ks_cfg c = *cfg_participant_keystore(core->participant);
    tdsa_status st = TDSA_OK;

    c.unlock_at_open = false; /* C_Login does it */
    c.no_threads = true;      /* CKF_LIBRARY_CANT_CREATE_OS_THREADS */
    c.rng = tdsa_os_rng();
    c.clock = tdsa_os_clock();
    c.log = &core->log->sink;
    st = ks_open(&core->store, &c, err);
    if (st == TDSA_OK && core->settings.login_never) {
        st = ks_unlock(core->store, NULL, 0, err);
        atomic_store(&core->logged_in, st == TDSA_OK);
    }
    return st;
}

static tdsa_status open_audit(p11_core *core, tdsa_err *err)
{
    const char *path = cfg_str(core->config, "tdsaLibrary.auditLog");
    tdsa_status st = TDSA_OK;

    if (path != NULL) {
        st = tdsa_os_audit_new(&core->audit, path, tdsa_os_clock(), err);
    }
    return st == TDSA_OK ? st : tdsa_err_wrap(err, "tdsaLibrary.auditLog");
}

static tdsa_status open_engine(p11_core *core, tdsa_err *err)
{
    /* 50 KB, and the threads that applications call from may have 64 KB of stack in all (stunnel) */
    part_engine_cfg *c = malloc(sizeof *c);
    tdsa_status st;

    if (c == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "configuration of the engine");
    }
    *c = *cfg_participant_engine(core->participant);
    c->store = core->store;
    c->rng = tdsa_os_rng();
    c->clock = tdsa_os_clock();
    c->log = &core->log->sink;
    c->audit = tdsa_os_audit_table(core->audit);
    core->settings.deadline_ms = c->deadline_ms;
    st = part_engine_new(&core->engine, c, err);
    tdsa_wipe(c, sizeof *c);
    free(c);
    return st;
}

static tdsa_status open_parts(p11_core *core, tdsa_err *err)
{
    char path[CONFIG_PATH_MAX];
    const cfg_source source = {.file = path, .log = &core->log->sink};
    tdsa_status st = find_config(path, sizeof path, err);

    if (st == TDSA_OK) {
        st = cfg_load(&core->config, &source, NULL, err);
    }
    if (st == TDSA_OK) {
        read_settings(&core->settings, core->config);
        st = open_views(core, err);
    }
    if (st == TDSA_OK) {
        st = cfg_participant_new(&core->participant, core->config, &core->log->sink, err);
    }
    if (st == TDSA_OK) {
        st = make_serial(core, err);
    }
    for (unsigned i = GRP_P256; st == TDSA_OK && i < GRP_CURVE_END; i++) {
        st = grp_open(&core->curves[i], (grp_curve)i, err);
    }
    if (st == TDSA_OK) {
        st = open_audit(core, err);
    }
    if (st == TDSA_OK) {
        st = open_store(core, err);
    }
    if (st == TDSA_OK) {
        st = open_engine(core, err);
    }
    return st == TDSA_OK ? p11_builtin_objects(core, err) : st;
}

tdsa_status p11_core_open(p11_core **out, p11_log *log, tdsa_err *err)
{
    p11_core *core = calloc(1, sizeof *core);
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (core == NULL || pthread_mutex_init(&core->login_lock, NULL) != 0) {
        free(core);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the module");
    }
    core->log = log;
    st = p11_quorum_init(&core->quorum, err);
    if (st == TDSA_OK) {
        st = p11_sessions_init(&core->sessions, err);
    }
    if (st == TDSA_OK) {
        st = p11_objects_init(&core->objects, core->curves, err);
    }
    if (st == TDSA_OK) {
        st = open_parts(core, err);
    }
    if (st != TDSA_OK) {
        p11_core_close(core);
        return st;
    }
    *out = core;
    return TDSA_OK;
}

void p11_core_close(p11_core *core)
{
    p11_sessions_clear(&core->sessions);
    p11_objects_clear(&core->objects);
    part_engine_free(core->engine);
    tdsa_os_audit_free(core->audit);
    ks_close(core->store);
    for (unsigned i = GRP_P256; i < GRP_CURVE_END; i++) {
        grp_close(core->curves[i]);
    }
    cfg_participant_free(core->participant);
    p11_slots_clear(&core->slots);
    p11_views_clear(&core->views);
    cfg_free(core->config);
    p11_quorum_clear(&core->quorum);
    (void)pthread_mutex_destroy(&core->login_lock);
    free(core);
}

void p11_core_abandon(p11_core *core)
{
    part_engine_abandon(core->engine);
    ks_abandon(core->store);
    /* The rest stays: another thread of the parent may have been changing it. The private keys of
     * the configuration are wiped by the process's end. */
}

void p11_core_logout(p11_core *core)
{
    atomic_store(&core->logged_in, false);
    ks_lock(core->store);
    part_engine_forget(core->engine);
    p11_objects_forget(&core->objects);
}

CK_RV p11_core_random(p11_call *call, CK_BYTE *out, CK_ULONG len)
{
    const tdsa_rng rng = tdsa_os_rng();
    tdsa_err err;

    if (out == NULL && len > 0) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the bytes");
    }
    if (len > 0 && tdsa_rng_fill(&rng, out, len, &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    return CKR_OK;
}

const grp *p11_core_curve(const p11_core *core, grp_curve curve)
{
    TDSA_ASSERT((unsigned)curve < GRP_CURVE_END);
    TDSA_ASSERT(core->curves[curve] != NULL);
    return core->curves[curve];
}

p11_source p11_core_source(const p11_core *core)
{
    return (p11_source){core->store, core->engine, &core->log->sink};
}
