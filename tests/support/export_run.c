#include "support/export_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(tdsa_status st, const tdsa_err *err)
{
    if (st != TDSA_OK) {
        (void)fprintf(stderr, "export run: %s\n", err->text);
        abort();
    }
}

const mpc_key *run_export_key(const protocol_run *r, uint16_t i)
{
    return mpc_keygen_key(r->previous[i]);
}

mpc_export_cfg run_export_cfg(const protocol_run *r, uint16_t i, const run_export_spec *spec)
{
    protocol_run *mine = (protocol_run *)(uintptr_t)r; /* the generator moves on */

    return (mpc_export_cfg){.key = run_export_key(r, i),
                            .coordinator = spec->coordinator,
                            .path = spec->path,
                            .path_len = spec->path_len,
                            .cert = spec->cert,
                            .rng = tdsa_test_rng_of(&mine->rng[i])};
}

void run_export_begin(protocol_run *r)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if (r->previous[i] == NULL) {
            r->previous[i] = r->keygen[i];
        } else {
            mpc_keygen_free(r->keygen[i]);
        }
        r->keygen[i] = NULL;
        r->key[i] = NULL;
        r->status[i] = TDSA_OK;
    }
}

void run_export_make(protocol_run *r, const run_export_spec *spec)
{
    for (uint16_t i = 0; i < r->n; i++) {
        const mpc_export_cfg cfg = run_export_cfg(r, i, spec);

        require(mpc_export_new(&r->keygen[i], &cfg, &r->err[i]), &r->err[i]);
    }
}

size_t run_export(protocol_run *r, const run_export_spec *spec)
{
    run_export_begin(r);
    run_export_make(r, spec);
    return run_export_drive(r);
}

void run_export_infos(const protocol_run *r, uint16_t coordinator,
                      mpc_recovery_info out[GRP_PARTIES_MAX])
{
    tdsa_err err;

    for (uint16_t i = 0; i < r->n; i++) {
        const uint8_t *bytes = NULL;
        size_t len = 0;

        mpc_export_info(r->keygen[coordinator], i, &bytes, &len);
        require(mpc_recovery_decode(&out[i], r->g, bytes, len, &err), &err);
    }
}

tdsa_status run_export_recover(const protocol_run *r, const mpc_recovery_info *infos, size_t count,
                               const tdsa_rsa_key *key, mpc_recovered *out)
{
    const mpc_recovery_opener opener = mpc_recovery_opener_of(key);
    const mpc_recovery_asked asked = {.g = r->g, .infos = infos, .count = count};
    mpc_recovery_verdict verdicts[GRP_PARTIES_MAX];
    tdsa_err err;

    return mpc_recovery_recover(out, verdicts, &asked, &opener, &err);
}
