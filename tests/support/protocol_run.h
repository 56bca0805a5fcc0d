#ifndef TESTS_SUPPORT_PROTOCOL_RUN_H
#define TESTS_SUPPORT_PROTOCOL_RUN_H

#include "protocol/export.h"
#include "protocol/import.h"
#include "protocol/keygen.h"
#include "protocol/prepare.h"
#include "protocol/presign.h"
#include "protocol/reshare.h"
#include "protocol/sign.h"

/**
 * n participants of the protocols in one process, each with its own seeded generator (the one of
 * the reference model). Every message passes a hook that may read or change it.
 */
typedef enum {
    STEP_KEYGEN,
    STEP_PRESIGN,
    STEP_REPLY,
    STEP_RESHARE,
    STEP_PREPARE,
    STEP_IMPORT,
    STEP_EXPORT
} run_step;

typedef void (*run_hook)(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                         tdsa_buf *message);

typedef struct {
    grp *g;
    mpc_scheme scheme;
    uint16_t n, t;
    mpc_policy policy;
    uint32_t count; /* presignatures in the batch */
    bool compressed_wire;
    bool reverse; /* messages of a round arrive in the opposite order */
    uint16_t committee[GRP_PARTIES_MAX];
    uint16_t committee_count;
    run_hook hook; /* may be NULL */
    void *hook_ctx;

    tdsa_test_rng rng[GRP_PARTIES_MAX];
    mpc_member members[GRP_PARTIES_MAX];
    mpc_keygen *keygen[GRP_PARTIES_MAX];
    const mpc_key *key[GRP_PARTIES_MAX];   /* lent from keygen; set when it is done */
    mpc_keygen *previous[GRP_PARTIES_MAX]; /* after a reshare: what the old epoch is lent from */
    mpc_presign *presign[GRP_PARTIES_MAX];
    tdsa_buf data[GRP_PARTIES_MAX];
    mpc_batch *batch[GRP_PARTIES_MAX];
    tdsa_status status[GRP_PARTIES_MAX]; /* of the last step */
    tdsa_err err[GRP_PARTIES_MAX];
} protocol_run;

/** Policy of the tests: digests, no derivation, low-S off, sha256 to sha512. */
mpc_policy run_policy(void);
/** Generators and channel keys of all participants. Aborts the test on failure, as all here do. */
void run_init(protocol_run *r, grp_curve curve, uint16_t n, uint16_t t, const char *seed);
/** The same for keys of a scheme that is not the curve's first one; a Schnorr scheme comes with a
 * policy of messages without derivation. */
void run_init_scheme(protocol_run *r, grp_curve curve, mpc_scheme scheme, uint16_t n, uint16_t t,
                     const char *seed);
void run_clear(protocol_run *r);

/** What participant i would be configured with. */
mpc_keygen_cfg run_keygen_cfg(const protocol_run *r, uint16_t i, const char *key_id);
/** Makes the runs (cfg may be NULL: run_keygen_cfg) and drives them to the end or until nobody can
 * move; status and err of each are kept. Returns how many finished. */
size_t run_keygen(protocol_run *r, const char *key_id);
/** Drives runs that exist in r->keygen. */
size_t run_keygen_drive(protocol_run *r);

/** What participant i would begin an import with. */
mpc_import_cfg run_import_cfg(const protocol_run *r, uint16_t i, const char *key_id,
                              uint16_t dealer, const mpc_import_key *key);
/** Makes the runs of an import by `dealer` and drives them; as run_keygen. */
size_t run_import(protocol_run *r, const char *key_id, uint16_t dealer, const mpc_import_key *key);
/** Drives runs that exist in r->keygen. */
size_t run_import_drive(protocol_run *r);
/** One round of them. */
void run_import_round(protocol_run *r, unsigned round);

/** Who takes part in a reshare; index lists, ascending. */
typedef struct {
    uint16_t dealers[GRP_PARTIES_MAX], members[GRP_PARTIES_MAX];
    uint16_t dealer_count, n, t;
    /* members that have lost their key: they take part as if they had never had it; bits */
    uint16_t lost;
} run_reshare_spec;

typedef struct {
    mpc_reshare_cfg cfg;
    mpc_member dealers[GRP_PARTIES_MAX], members[GRP_PARTIES_MAX];
    uint16_t old_indices[GRP_PARTIES_MAX];
} run_reshare_setup;
/** What participant i would begin with; the setup is lent to mpc_reshare_new. */
void run_reshare_prepare(const protocol_run *r, uint16_t i, const run_reshare_spec *spec,
                         run_reshare_setup *out);
/** Reshares the key that the run has. Keys of the old epoch live on in r->previous; r->key is set for
 * those that finish (one that leaves has a key without secret half). Returns how many finished. */
size_t run_reshare(protocol_run *r, const run_reshare_spec *spec);
/** Moves the keys that there are to r->previous; then the caller makes r->keygen and drives. */
void run_reshare_begin(protocol_run *r);
size_t run_reshare_drive(protocol_run *r);
/** Rounds from..to-1 of runs that exist. */
void run_reshare_rounds(protocol_run *r, unsigned from, unsigned to);

/** Drives the runs of an export in r->keygen (support/export_run.h makes them). */
size_t run_export_drive(protocol_run *r);
/** Rounds from..to-1 of them. */
void run_export_rounds(protocol_run *r, unsigned from, unsigned to);

mpc_presign_cfg run_presign_cfg(const protocol_run *r, uint16_t i, uint64_t lane, uint64_t seq);
/** Presigns with r->committee; data and batches of the members that finished are made. Returns how
 * many finished. */
size_t run_presign(protocol_run *r, uint64_t lane, uint64_t seq);
size_t run_presign_drive(protocol_run *r);

/** A request of `index` for the finished batch of the first member. payload lent. */
mpc_request run_request(const protocol_run *r, uint32_t index, const uint8_t *payload, size_t len);
/** Every member answers q, the first combines; in prepare mode all give their coins first. On success sig is filled. */
tdsa_status run_sign(protocol_run *r, const mpc_request *q, mpc_signature *sig, mpc_context *ctx,
                     tdsa_err *err);
/** r and s of an ECDSA signature. */
void run_ecdsa_split(const grp *g, grp_scalar *r, grp_scalar *s, const mpc_signature *sig);
/** OpenSSL's verdict on (r, s) over a digest under a public point. */
bool run_openssl_verifies(const grp *g, const grp_point *y, const uint8_t *digest, size_t len,
                          const mpc_signature *sig);

#endif
