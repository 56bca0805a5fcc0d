#include "unit/participant/batch_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void make_key(fixture *f, const wish *w)
{
    part_key_spec spec = {.curve = GRP_P256,
                          .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                          .presignature_limit = w->limit == 0 ? -1 : w->limit};
    part *p = sim_part(f->s, 0);
    part_result none;
    tdsa_err err;

    spec.policy.prepare = w->prepare;
    spec.policy.rate = w->rate;
    spec.policy.derivation = MPC_DERIVE_BIP32;
    sim_must(f->s,
             sim_finish(f->s, 0, part_start_register(p, &spec, 0, f->key_id, &err), &none, &err),
             "register", &err);
    sim_must(f->s, sim_finish(f->s, 0, part_start_keygen(p, f->key_id, 0, &err), &none, &err),
             "keygen", &err);
}

fixture *set_up(const wish *w)
{
    const sim_cfg cfg = {.seed = 11,
                         .n = w->n,
                         .t = 1,
                         .delay_max_ms = 2,
                         .hang_permille = 1000,
                         .lie_permille = w->lie_permille};
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->s = sim_new(&cfg);
    make_key(f, w);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        memset(f->digest[i], (int)(i % 251) + 1, sizeof f->digest[i]);
        f->digest[i][0] = (uint8_t)(i >> 8);
        f->req[i] = (part_sign_request){.digest_alg = TDSA_HASH_SHA256,
                                        .payload = f->digest[i],
                                        .payload_len = sizeof f->digest[i]};
    }
    return f;
}

void tear_down(fixture *f)
{
    sim_free(f->s);
    free(f);
}

uint64_t begin(fixture *f, size_t count, tdsa_err *err)
{
    f->count = count;
    return part_start_sign_batch(sim_part(f->s, 0), f->key_id, f->req, count, 0, f->out, err);
}

tdsa_status run(fixture *f, size_t count, tdsa_err *err)
{
    part_result none;

    return sim_finish(f->s, 0, begin(f, count, err), &none, err);
}

void check_item(fixture *f, size_t i)
{
    part_sign_request req = f->req[i];

    if (f->out[i].err.status != TDSA_OK) {
        fail_msg("request %zu: %s", i, f->out[i].err.text);
    }
    req.key_id = f->key_id;
    sim_check_signature_at(f->s, 0, &req, &f->out[i].sign);
}

void check_all(fixture *f)
{
    for (size_t i = 0; i < f->count; i++) {
        check_item(f, i);
    }
}

void presign(fixture *f, uint32_t count)
{
    part_result none;
    tdsa_err err;

    sim_must(f->s,
             sim_finish(f->s, 0, part_start_presign(sim_part(f->s, 0), f->key_id, count, 0, &err),
                        &none, &err),
             "presign", &err);
}

uint64_t commits(const fixture *f, uint16_t who)
{
    ks_stats stats;

    ks_get_stats(f->s->node[who].store, &stats);
    return stats.commits;
}

void cut_off(fixture *f, uint16_t peer, bool cut)
{
    for (uint16_t i = 0; i < f->s->cfg.n; i++) {
        f->s->cut[i][peer] = cut && i != peer;
        f->s->cut[peer][i] = cut && i != peer;
    }
}

part_stats stats_of(const fixture *f)
{
    part_stats stats;

    part_get_stats(sim_part(f->s, 0), &stats);
    return stats;
}
