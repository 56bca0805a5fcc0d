#include "pkcs11-provider/view.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/program.h"

#define BIT(curve)   (1u << (curve))
#define NIST_CURVES  (BIT(GRP_P256) | BIT(GRP_P384) | BIT(GRP_P521))
#define ECDSA_CURVES (NIST_CURVES | BIT(GRP_SECP256K1))
#define ALL_CURVES   (ECDSA_CURVES | BIT(GRP_ED25519))

static const p11_view built_in[] = {
    {.name = "all", .curves = ALL_CURVES, .bip340 = true},
    {.name = "ssh", .curves = NIST_CURVES},
    {.name = "openssl", .curves = ECDSA_CURVES, .bip340 = true},
};
#define BUILT_IN_COUNT (sizeof built_in / sizeof built_in[0])

/* Programs of OpenSSH that load PKCS#11 modules. */
static const char *const ssh_programs[] = {"ssh", "ssh-add", "ssh-agent", "ssh-keygen",
                                           "ssh-pkcs11-helper"};

/* An array of texts of the configuration. */
static tdsa_status take_texts(const char ***out, size_t *count, const cfg *c, const char *path,
                              tdsa_err *err)
{
    char entry[256];

    *count = cfg_count(c, path);
    *out = NULL;
    if (*count == 0) {
        return TDSA_OK;
    }
    *out = calloc(*count, sizeof **out);
    if (*out == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a view");
    }
    for (size_t i = 0; i < *count; i++) {
        (*out)[i] = cfg_str(c, cfg_path(entry, sizeof entry, "%s[%zu]", path, i));
    }
    return TDSA_OK;
}

static tdsa_status take_curves(p11_view *v, const cfg *c, const char *path, tdsa_err *err)
{
    const size_t count = cfg_count(c, path);
    char entry[256];

    if (count == 0) {
        v->curves = ALL_CURVES;
        v->bip340 = true;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = cfg_str(c, cfg_path(entry, sizeof entry, "%s[%zu]", path, i));
        grp_curve curve = GRP_P256;

        if (strcmp(name, "BIP-340") == 0) {
            v->bip340 = true;
        } else if (grp_curve_by_name(&curve, name)) {
            v->curves |= BIT(curve);
        } else {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "%s: no curve \"%s\" (P-256, P-384, P-521, secp256k1, Ed25519, "
                             "BIP-340)",
                             entry, name);
        }
    }
    return TDSA_OK;
}

static tdsa_status take_view(p11_views *all, const cfg *c, size_t i, tdsa_err *err)
{
    p11_view *v = &all->at[all->count];
    char path[256];
    tdsa_status st = TDSA_OK;

    v->name = cfg_str(c, cfg_path(path, sizeof path, "pkcs11.views[%zu].name", i));
    if (p11_view_named(all, v->name) != NULL || strcmp(v->name, "auto") == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: there is a view \"%s\" already", path, v->name);
    }
    all->count++;
    st = take_curves(v, c, cfg_path(path, sizeof path, "pkcs11.views[%zu].curves", i), err);
    if (st == TDSA_OK) {
        st = take_texts(&v->keys, &v->key_count, c,
                        cfg_path(path, sizeof path, "pkcs11.views[%zu].keys", i), err);
    }
    if (st == TDSA_OK) {
        st = take_texts(&v->programs, &v->program_count, c,
                        cfg_path(path, sizeof path, "pkcs11.views[%zu].programs", i), err);
    }
    return st;
}

tdsa_status p11_views_new(p11_views *out, const cfg *c, tdsa_err *err)
{
    const size_t given = cfg_count(c, "pkcs11.views");
    tdsa_status st = TDSA_OK;

    *out = (p11_views){.at = calloc(BUILT_IN_COUNT + given, sizeof(p11_view))};
    if (out->at == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the views");
    }
    memcpy(out->at, built_in, sizeof built_in);
    out->count = BUILT_IN_COUNT;
    for (size_t i = 0; st == TDSA_OK && i < given; i++) {
        st = take_view(out, c, i, err);
    }
    return st;
}

void p11_views_clear(p11_views *v)
{
    for (size_t i = 0; i < v->count; i++) {
        free(v->at[i].keys);
        free(v->at[i].programs);
    }
    free(v->at);
    *v = (p11_views){0};
}

const p11_view *p11_view_named(const p11_views *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->at[i].name, name) == 0) {
            return &v->at[i];
        }
    }
    return NULL;
}

static bool names_one_of(const char *const *texts, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(texts[i], text) == 0) {
            return true;
        }
    }
    return false;
}

const p11_view *p11_view_of_process(const p11_views *v, const char *wanted)
{
    /* the engine of OpenSSL has libp11 inside */
    static const char *const libp11[] = {"/libp11.so", "/engines-3/pkcs11.so",
                                         "/engines-3/libpkcs11.so"};
    char program[P11_PROGRAM_NAME_MAX];

    if (strcmp(wanted, "auto") != 0) {
        return p11_view_named(v, wanted);
    }
    p11_program_name(program);
    for (size_t i = BUILT_IN_COUNT; i < v->count; i++) {
        if (names_one_of(v->at[i].programs, v->at[i].program_count, program)) {
            return &v->at[i];
        }
    }
    if (names_one_of(ssh_programs, sizeof ssh_programs / sizeof ssh_programs[0], program)) {
        return p11_view_named(v, "ssh");
    }
    return p11_view_named(v, p11_program_has(libp11, sizeof libp11 / sizeof libp11[0]) ? "openssl"
                                                                                       : "all");
}

static bool has_name(const p11_view *v, const p11_bytes *label, const char *key_id)
{
    for (size_t i = 0; i < v->key_count; i++) {
        const size_t len = strlen(v->keys[i]);

        if (strcmp(v->keys[i], key_id) == 0 ||
            (label->len == len && memcmp(label->data, v->keys[i], len) == 0)) {
            return true;
        }
    }
    return false;
}

bool p11_view_shows(const p11_view *v, p11_object *object)
{
    const p11_bytes label = p11_object_label(object);
    const bool schnorr = object->facts.scheme == MPC_SCHEME_BIP340;

    if (v->keys != NULL && !has_name(v, &label, object->facts.key_id)) {
        return false;
    }
    if (object->facts.curve ==
        GRP_CURVE_END) { /* no key, or a certificate of another kind of key */
        return true;
    }
    return schnorr ? v->bip340 : (v->curves & BIT(object->facts.curve)) != 0;
}
