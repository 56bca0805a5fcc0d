#ifndef TDSA_TESTS_SUPPORT_EXPORT_RUN_H
#define TDSA_TESTS_SUPPORT_EXPORT_RUN_H

#include "protocol/recovery.h"
#include "support/recovery_kit.h"

/** What all participants of a run are asked to export. */
typedef struct {
    uint16_t coordinator;
    const uint32_t *path; /* NULL: the key itself */
    size_t path_len;
    const tdsa_rsa_cert *cert;
} run_export_spec;

/** The key that participant i keeps, of the run's key generation. */
const mpc_key *run_export_key(const protocol_run *r, uint16_t i);
/** What participant i begins with. */
mpc_export_cfg run_export_cfg(const protocol_run *r, uint16_t i, const run_export_spec *spec);
/** Keys move to r->previous, where every export leaves them; runs of an earlier export are freed. */
void run_export_begin(protocol_run *r);
/** Makes the runs of participants 0..n-1. */
void run_export_make(protocol_run *r, const run_export_spec *spec);
/** Both, and drives them: returns how many finished. */
size_t run_export(protocol_run *r, const run_export_spec *spec);

/** The infos at the coordinator of an export that is over, decoded, by participant; lent. */
void run_export_infos(const protocol_run *r, uint16_t coordinator,
                      mpc_recovery_info out[GRP_PARTIES_MAX]);
/** Recovers from `count` infos. Clear with mpc_recovered_clear. */
tdsa_status run_export_recover(const protocol_run *r, const mpc_recovery_info *infos, size_t count,
                               const tdsa_rsa_key *key, mpc_recovered *out);

#endif
