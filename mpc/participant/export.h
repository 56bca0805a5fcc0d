#ifndef PART_EXPORT_H
#define PART_EXPORT_H

#include "participant/internal.h"

/* Export of a key: its run, and what every server has to have approved. */

/** What an export is about, as its coordinator proposes it; everybody checks it. */
typedef struct part_export_plan {
    uint32_t epoch;
    uint8_t certificate[32]; /* SHA-256 */
    uint32_t path[MPC_PATH_MAX];
    uint16_t path_len;
} part_export_plan;

/* export.c */
/** stmt("export-plan", epoch, certificate, [path]), as it travels. */
void part_export_put_plan(tdsa_buf *out, const part_export_plan *plan) TDSA_NONNULL;
/** Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status part_export_parse_plan(part_export_plan *out, const uint8_t *in,
                                                 size_t len, tdsa_err *err) TDSA_NONNULL;
/** The path as the last items of a statement. */
void part_export_put_path(tdsa_buf *out, const uint32_t *path, size_t len)
    __attribute__((nonnull(1)));
/** r fails when it is malformed. */
void part_export_read_path(tdsa_reader *r, uint32_t path[MPC_PATH_MAX], uint16_t *len) TDSA_NONNULL;
/** Errors: TDSA_E_BAD_INPUT (the path). */
TDSA_MUST_USE tdsa_status part_export_plan_of(part_export_plan *out, const part_export_spec *spec,
                                              uint32_t epoch, tdsa_err *err) TDSA_NONNULL;
/** What this participant alone decides: its certificates, its audit log, the key's policy.
 * *cert: the certificate, lent. Errors: TDSA_E_DENIED, TDSA_E_BAD_INPUT (the path). */
TDSA_MUST_USE tdsa_status part_export_allowed(const part *p, const mpc_key_public *key,
                                              const part_export_plan *plan,
                                              const tdsa_rsa_cert **cert, tdsa_err *err)
    TDSA_NONNULL;
/** "epoch 0 under certificate <hex>, path m/1" */
#define PART_EXPORT_TEXT_MAX 256u
void part_export_text(char out[PART_EXPORT_TEXT_MAX], const part_export_plan *plan) TDSA_NONNULL;
/** The run of a plan (r->export_plan), mine or a peer's. */
TDSA_MUST_USE tdsa_status part_export_begin(part *p, part_run *r, tdsa_err *err) TDSA_NONNULL;
/** What is durable before the infos leave; and the package, when all are there. */
TDSA_MUST_USE tdsa_status part_export_after(part *p, part_run *r, tdsa_err *err) TDSA_NONNULL;

/* approvals.c */
/** Whether there is an approval that can be used. Errors: TDSA_E_DENIED (PART_NOT_APPROVED,
 * PART_APPROVAL_EXPIRED), TDSA_E_LOGIN, TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status part_approval_check(part *p, const char *key_id,
                                              const part_export_plan *plan, tdsa_err *err)
    TDSA_NONNULL;
/** Uses it up, durably: of two who try, in any process, one succeeds. Errors: as above. */
TDSA_MUST_USE tdsa_status part_approval_use(part *p, const char *key_id,
                                            const part_export_plan *plan, tdsa_err *err)
    TDSA_NONNULL;

#endif
