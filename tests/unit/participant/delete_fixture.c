#include "unit/participant/delete_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t digest[32] = {1};

sim *start(bool with_client, char *key_id)
{
    const sim_cfg cfg = {.seed = 51,
                         .n = 3,
                         .t = 1,
                         .delay_max_ms = 1,
                         .grace_ms = GRACE_MS,
                         .clients = with_client ? 2 : 0,
                         .with_client = with_client,
                         .background = true};
    sim *s = sim_new(&cfg);
    tdsa_err err;

    sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
    return s;
}

tdsa_status delete_key(sim *s, uint16_t at, const char *key_id, tdsa_err *err)
{
    const uint64_t op = part_start_delete(sim_part(s, at), key_id, PART_GRACE_DEFAULT, 2000, err);
    part_result none;

    return sim_finish(s, at, op, &none, err);
}

tdsa_status undelete(sim *s, uint16_t at, const char *key_id, tdsa_err *err)
{
    part_result none;

    return sim_finish(s, at, part_start_undelete(sim_part(s, at), key_id, 2000, err), &none, err);
}

ks_key_state state_at(sim *s, uint16_t index, const char *key_id)
{
    ks_key *row = NULL;
    ks_key_state state;
    tdsa_err err;

    sim_must(s, ks_key_get(sim_store(s, index), key_id, &row, &err), "get", &err);
    state = row->state;
    ks_key_free(row);
    return state;
}

void all_are(sim *s, const char *key_id, ks_key_state state)
{
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        assert_int_equal(state_at(s, i, key_id), state);
    }
}

uint32_t pending_at(sim *s, uint16_t index, const char *key_id)
{
    part_deletion_info d;
    tdsa_err err;

    sim_must(s, part_deletion_describe(sim_part(s, index), key_id, &d, &err), "describe", &err);
    return d.pending;
}

void must_sign(sim *s, uint16_t at, const char *key_id)
{
    part_sign_result sig;
    tdsa_err err;

    sim_must(s, sim_sign(s, at, key_id, digest, &sig, &err), "sign", &err);
    sim_check_signature(s, at, key_id, digest, &sig);
}

void must_not_sign(sim *s, uint16_t at, const char *key_id, const char *text)
{
    part_sign_result sig;
    tdsa_err err;

    assert_int_not_equal(sim_sign(s, at, key_id, digest, &sig, &err), TDSA_OK);
    if (strstr(err.text, text) == NULL) {
        fail_msg("no '%s' in '%s'", text, err.text);
    }
}

void cut(sim *s, uint16_t index, bool off)
{
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        s->cut[i][index] = off;
        s->cut[index][i] = off;
    }
}
