#ifndef KS_SHIM_H
#define KS_SHIM_H

#include "ks_fixture.h"
#include "support/softhsm_shim.h"

/** SoftHSM with faults between the store of a fixture and its token. */
typedef struct {
    void *module;
    softhsm_shim_set_fn *set;
    softhsm_shim_hang_fn *hang;
    softhsm_shim_logins_fn *logins;
    softhsm_shim_names_fn *names;
} ks_shim;

extern const ks_variant ks_shim_variant;

/** Closes the store and puts the shim into its URI; `rest` follows in the query. Free with ks_shim_drop. */
ks_shim ks_shim_put(ks_fixture *f, const char *rest);
void ks_shim_drop(ks_shim *s);
/** A test with the fixture of the token. */
struct CMUnitTest ks_shim_test(struct CMUnitTest test);

#define KS_SHIM_PIN "&pin-value=" KS_FIXTURE_PIN

#endif
