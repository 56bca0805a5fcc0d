#include "ct/ct.h"

#include "base/secret.h"
#include "support/protocol_run.h"

/*
 * Key generation, presignatures and replies of three participants with every random byte marked as
 * secret. Nothing may branch on one or use it as an address but where the code says that a value is
 * public (tdsa_declassify).
 */

static tdsa_err err;

/* The seeded generator, its output secret. */
static tdsa_status secret_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *e)
{
    tdsa_test_rng *seeded = ctx;
    const tdsa_rng rng = tdsa_test_rng_of(seeded);
    const tdsa_status st = tdsa_rng_fill(&rng, out, len, e);

    ct_secret(out, len);
    return st;
}

static void check_keygen(protocol_run *r)
{
    for (uint16_t i = 0; i < r->n; i++) {
        mpc_keygen_cfg cfg = run_keygen_cfg(r, i, "ConstantTimeKey0000000000000");

        cfg.rng = (tdsa_rng){secret_fill, &r->rng[i]};
        ct_require(mpc_keygen_new(&r->keygen[i], &cfg, &err) == TDSA_OK, "new keygen");
    }
    ct_require(run_keygen_drive(r) == r->n, "keygen");
    ct_leak(&r->key[0]->sec->share);
}

static void check_records(const protocol_run *r)
{
    TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET secret = NULL;
    mpc_key *back = NULL;

    mpc_key_encode_public(&pub, r->key[0]);
    ct_require(mpc_key_encode_secret(&secret, r->key[0], &err) == TDSA_OK, "encode");
    ct_require(mpc_key_decode(&back, r->g, pub.data, pub.len, secret, &err) == TDSA_OK, "decode");
    mpc_key_free(back);
}

static void check_presign(protocol_run *r)
{
    for (uint16_t i = 0; i < r->committee_count; i++) {
        mpc_presign_cfg cfg = run_presign_cfg(r, i, 1, 1);

        cfg.rng = (tdsa_rng){secret_fill, &r->rng[i]};
        ct_require(mpc_presign_new(&r->presign[i], &cfg, &err) == TDSA_OK, "new presign");
    }
    ct_require(run_presign_drive(r) == r->committee_count, "presign");
}

/* A reply is public: the masks hide what it is made of. */
static void publish_reply(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                          tdsa_buf *message)
{
    (void)ctx;
    (void)round;
    (void)from;
    (void)to;
    if (step == STEP_REPLY) {
        ct_public(message->data, message->len);
    }
}

static void check_sign(protocol_run *r)
{
    static const uint8_t digest[32] = {1};
    const mpc_request q = run_request(r, 1, digest, sizeof digest);
    mpc_signature sig;
    mpc_context ctx;

    r->hook = publish_reply;
    ct_require(run_sign(r, &q, &sig, &ctx, &err) == TDSA_OK, "sign");
}

int main(void)
{
    for (int curve = GRP_P256; curve <= GRP_SECP256K1; curve++) {
        protocol_run r;

        run_init(&r, (grp_curve)curve, 3, 1, "constant time");
        check_keygen(&r);
        check_records(&r);
        check_presign(&r);
        check_sign(&r);
        run_clear(&r);
    }
    return 0;
}
