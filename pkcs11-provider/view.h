#ifndef P11_VIEW_H
#define P11_VIEW_H

#include "config/config.h"
#include "pkcs11-provider/object.h"

/**
 * Views: which objects a program gets to see, by curve and by key. One key that a client does not know
 * can make it blind to the whole token (libp11 0.4.12 with Edwards keys, ssh-agent with secp256k1).
 * A view hides, it does not protect: who may sign is decided by the login and by the key's policy.
 */
typedef struct {
    const char *name;  /* lent by the configuration, or static */
    unsigned curves;   /* bit per grp_curve */
    bool bip340;       /* secp256k1 keys of the Schnorr scheme too */
    const char **keys; /* labels or key ids; owned array of lent texts; NULL: any */
    size_t key_count;
    const char **programs; /* views that are chosen by program: their names; the same */
    size_t program_count;
} p11_view;

typedef struct {
    p11_view *at; /* the built-in ones first */
    size_t count;
} p11_views;

/** The built-in views (all, ssh, openssl) and those of pkcs11.views. Errors: TDSA_E_CONFIG (unknown
 * curve, a name twice), TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status p11_views_new(p11_views *out, const cfg *c, tdsa_err *err) TDSA_NONNULL;
void p11_views_clear(p11_views *v) TDSA_NONNULL;
/** By name; NULL: unknown. */
const p11_view *p11_view_named(const p11_views *v, const char *name) TDSA_NONNULL;
/** The view of this process: `wanted` by name, or "auto": the first of pkcs11.views that names the
 * program, else ssh for the programs of OpenSSH, openssl where libp11 is loaded, else all. NULL: there
 * is no view of that name. */
const p11_view *p11_view_of_process(const p11_views *v, const char *wanted) TDSA_NONNULL;
/** True when the object may be shown. */
bool p11_view_shows(const p11_view *v, p11_object *object) TDSA_NONNULL;

#endif
