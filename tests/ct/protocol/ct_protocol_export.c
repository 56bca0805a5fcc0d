#include "ct/ct.h"

#include "protocol/keygen_internal.h"
#include "support/export_run.h"

/*
 * An export with the stored shares and every random byte marked as secret: nothing may branch on
 * them, and nothing but the infos and the public half becomes public.
 */

#define SCALAR_BYTES 32u

static void mark(protocol_run *r)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        ct_secret(r->rng[i].key, sizeof r->rng[i].key);
        ct_secret(r->rng[i].block, sizeof r->rng[i].block);
    }
    for (uint16_t i = 0; i < r->n; i++) {
        ct_secret(&r->key[i]->sec->share, SCALAR_BYTES);
    }
}

/* Before a dealing and before a release is sent. */
static void watch(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                  tdsa_buf *message)
{
    const protocol_run *r = ctx;
    const mpc_keygen *run = r->keygen[from];

    (void)to;
    if (step == STEP_EXPORT && round == 1) {
        ct_still_secret("x_j", &run->sec->old_share, SCALAR_BYTES);
        for (size_t m = 1; m <= run->sec->f.degree; m++) {
            ct_still_secret("a coefficient", &run->sec->f.coeff[m], SCALAR_BYTES);
        }
        ct_still_public("the commitments", run->c[from], sizeof run->c[from]);
    }
    if (step == STEP_EXPORT && round == MPC_KEYGEN_ROUND_STORED) {
        ct_still_public("a release", message->data, message->len);
    }
}

static void check(grp_curve curve, const uint32_t *path, size_t path_len)
{
    recovery_kit kit;
    protocol_run r;

    recovery_kit_open(&kit);
    run_init(&r, curve, 3, 1, "constant time");
    r.policy.exportable = true;
    r.policy.derivation = path_len > 0 ? MPC_DERIVE_BIP32 : MPC_DERIVE_NONE;
    ct_require(run_keygen(&r, "ConstantTimeKey0000000000005") == r.n, "keygen");
    mark(&r);
    r.hook = watch;
    r.hook_ctx = &r;
    {
        const run_export_spec spec = {
            .coordinator = 0, .path = path, .path_len = path_len, .cert = kit.cert};

        ct_require(run_export(&r, &spec) == r.n, "export");
    }
    for (uint16_t i = 0; i < r.n; i++) {
        ct_still_public("the public half", &r.key[i]->pub, sizeof r.key[i]->pub);
        ct_still_secret("the share that is kept", &run_export_key(&r, i)->sec->share, SCALAR_BYTES);
    }
    run_clear(&r);
    recovery_kit_close(&kit);
}

int main(void)
{
    static const uint32_t child[] = {44, 7};

    check(GRP_P256, NULL, 0);
    check(GRP_SECP256K1, child, 2);
    return ct_end();
}
