#ifndef SIM_SIM_WRAP_H
#define SIM_SIM_WRAP_H

#include "base/dh.h"
#include "keystore/counter_file.h"
#include "protocol/keygen.h"
#include "protocol/prepare.h"
#include "protocol/sign.h"
#include "sim/sim_internal.h"

/*
 * Functions of the shipped code that the linker (--wrap) replaces in the simulator: __wrap_x is called
 * instead of x and calls __real_x. sim_ledger.c observes, sim_plant.c lies and makes mistakes.
 */

/* NOLINTBEGIN: the names are the linker's */
#define SIM_WRAPPED(type, name, ...) \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

SIM_WRAPPED(tdsa_status, mpc_sign_reply, tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
            const mpc_request *q, const mpc_context *ctx, tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_prepare_reply, tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
            uint32_t index, const uint8_t t0[64], tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_context_new, mpc_context *out, const mpc_key *key,
            const mpc_batch *batch, const mpc_request *q, const uint8_t *q_bytes, size_t q_len,
            tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_combine_new, mpc_combine **out, const mpc_key *key,
            const mpc_batch *batch, const mpc_context *ctx, tdsa_err *err);
SIM_WRAPPED(void, mpc_combine_free, mpc_combine *c);
SIM_WRAPPED(tdsa_status, mpc_combine_finish, mpc_combine *c, mpc_signature *out, tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_combine_take, mpc_combine *c, uint16_t from, const uint8_t *in,
            size_t len, tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_presign_take, mpc_presign *run, uint16_t from, const uint8_t *in,
            size_t len, tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_presign_advance, mpc_presign *run, tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_keygen_take, mpc_keygen *run, uint16_t from, const uint8_t *in,
            size_t len, tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_keygen_advance, mpc_keygen *run, tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_presign_send, mpc_presign *run, uint16_t to, tdsa_buf *out,
            tdsa_err *err);
SIM_WRAPPED(tdsa_status, mpc_keygen_send, mpc_keygen *run, uint16_t to, tdsa_buf *out,
            tdsa_err *err);
SIM_WRAPPED(tdsa_status, presign_take_list, mpc_presign *run, uint16_t from, const uint8_t *in,
            size_t len, tdsa_err *err);
SIM_WRAPPED(tdsa_status, grp_consist_vartime, const grp *g, const grp_point *points,
            const uint16_t *members, size_t count, size_t t, tdsa_err *err);
SIM_WRAPPED(tdsa_status, part_ask_sign, part *p, part_session *s, uint16_t from, const part_ask *a,
            tdsa_buf *out, tdsa_err *err);
SIM_WRAPPED(void, part_inbound_take, part *p, part_session *s, const part_frame *f,
            part_ticket ticket);
SIM_WRAPPED(uint64_t, part_start_delete, part *p, const char *key_id, uint64_t grace_ms,
            uint32_t deadline_ms, tdsa_err *err);
SIM_WRAPPED(void, part_doubts_load, part *p);
SIM_WRAPPED(tdsa_status, ks_burn, ks *store, const uint8_t *beta, uint32_t block, uint64_t bits,
            tdsa_err *err);
SIM_WRAPPED(tdsa_status, ks_lease, ks *store, const uint8_t *beta, uint32_t from, uint32_t to,
            tdsa_err *err);
SIM_WRAPPED(tdsa_status, ks_batch_insert, ks *store, const ks_batch *b, tdsa_err *err);
SIM_WRAPPED(tdsa_status, ks_key_store, ks *store, const char *key_id, uint32_t epoch,
            const uint8_t *public_part, size_t public_len, const tdsa_secret *share, tdsa_err *err);
SIM_WRAPPED(tdsa_status, ks_counter_file_read, const char *path, ks_file_state *state,
            ks_marks *out, tdsa_err *err);
SIM_WRAPPED(tdsa_status, ks_counter_file_raise, const char *path, bool create, const ks_marks *m,
            tdsa_err *err);
SIM_WRAPPED(tdsa_status, part_rolled_back, part *p, const ks_marks *seen, tdsa_err *err);
SIM_WRAPPED(tdsa_status, part_void_with, part *p, uint16_t peer, const peer_keys *keys,
            tdsa_err *err);
SIM_WRAPPED(tdsa_status, tdsa_dh_public, tdsa_dh_kind kind, uint8_t *pub, const uint8_t *priv,
            tdsa_err *err);
SIM_WRAPPED(tdsa_status, tdsa_dh_shared, tdsa_dh_kind kind, uint8_t *shared, const uint8_t *priv,
            const uint8_t *peer_pub, tdsa_err *err);
/* NOLINTEND */

#endif
