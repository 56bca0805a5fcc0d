#include "ct/ct.h"

#include "base/secret.h"
#include "protocol/key_internal.h"
#include "protocol/keygen_internal.h"
#include "support/protocol_run.h"

/*
 * A reshare and a refresh with the old shares and every random byte marked as secret: nothing may
 * branch on them, and the new shares and keys for randomness are still marked at the end.
 */

#define SCALAR_BYTES 32u

/* What a generator gives from now on depends on its key, which is secret. */
static void mark_generators(protocol_run *r)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        ct_secret(r->rng[i].key, sizeof r->rng[i].key);
        ct_secret(r->rng[i].block, sizeof r->rng[i].block);
    }
}

static void mark_keys(const protocol_run *r)
{
    for (uint16_t i = 0; i < r->n; i++) {
        mpc_key_secret *sec = r->key[i]->sec;

        ct_secret(&sec->share, SCALAR_BYTES);
        for (size_t s = 0; s < sec->set_count; s++) {
            ct_secret(sec->sets[s].key, sizeof sec->sets[s].key);
        }
        for (size_t p = 0; p < GRP_PARTIES_MAX; p++) {
            ct_secret(sec->pairs[p], sizeof sec->pairs[p]);
        }
    }
}

static void expect_secret_epoch(const protocol_run *r, const run_reshare_spec *spec)
{
    for (size_t k = 0; k < spec->n; k++) {
        const mpc_key *key = r->key[spec->members[k]];

        ct_require(key != NULL, "a key of the new epoch");
        ct_still_public("the public half", &key->pub, sizeof key->pub);
        ct_still_secret("x'_j", &key->sec->share, SCALAR_BYTES);
        for (size_t s = 0; s < key->sec->set_count; s++) {
            ct_still_secret("kappa of a set", key->sec->sets[s].key, 32);
        }
        for (size_t m = 0; m < spec->n; m++) {
            if (spec->members[m] != key->pub.me) {
                ct_still_secret("kappa of a pair", key->sec->pairs[spec->members[m]], 32);
            }
        }
    }
}

/* Before a dealing is made: the old share, where one deals it. */
static void watch_dealers(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                          tdsa_buf *message)
{
    const protocol_run *r = ctx;
    const mpc_keygen *run = r->keygen[from];

    (void)to;
    (void)message;
    if (step == STEP_RESHARE && round == 1 && keygen_deals(run, from)) {
        for (size_t m = run->kind == KEYGEN_REFRESH ? 1 : 0; m <= run->sec->f.degree; m++) {
            ct_still_secret("a coefficient", &run->sec->f.coeff[m], SCALAR_BYTES);
        }
        ct_still_public("the commitments", run->c[from], sizeof run->c[from]);
    }
}

static void check_reshare(const run_reshare_spec *spec, size_t takes_part)
{
    protocol_run r;

    run_init(&r, GRP_P256, 3, 1, "constant time");
    r.policy.reshare = true;
    ct_require(run_keygen(&r, "ConstantTimeKey0000000000003") == r.n, "keygen");
    mark_keys(&r);
    mark_generators(&r);
    r.hook = watch_dealers;
    r.hook_ctx = &r;
    ct_require(run_reshare(&r, spec) == takes_part, "reshare");
    expect_secret_epoch(&r, spec);
    run_clear(&r);
}

int main(void)
{
    /* 0 has lost its key, 1 deals and stays, 2 deals and leaves, 3 is new */
    const run_reshare_spec moved = {.dealers = {1, 2},
                                    .dealer_count = 2,
                                    .members = {0, 1, 3},
                                    .n = 3,
                                    .t = 1,
                                    .lost = 1u << 0};
    const run_reshare_spec refreshed = {
        .dealers = {0, 1, 2}, .dealer_count = 3, .members = {0, 1, 2}, .n = 3, .t = 1};

    check_reshare(&moved, 4);
    check_reshare(&refreshed, 3);
    return ct_end();
}
