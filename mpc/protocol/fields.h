#ifndef MPC_PROTOCOL_FIELDS_H
#define MPC_PROTOCOL_FIELDS_H

#include "base/statement.h"
#include "group/group.h"

/*
 * Scalars and points as items of statements, and the exact lengths of items. Only for the files of
 * mpc/protocol.
 */

/** Bytes of an item whose value has `len` bytes. */
#define MPC_ITEM(len) ((size_t)5 + (len))
#define MPC_UINT      MPC_ITEM(8u)
/** Bytes of a text item; `text` is a literal. */
#define MPC_TEXT(text) MPC_ITEM(sizeof(text) - 1)

void mpc_put_scalar(tdsa_buf *b, const grp *g, const grp_scalar *a) TDSA_NONNULL;
/** Compressed, as in every hash. p must not be the identity. */
void mpc_put_point(tdsa_buf *b, const grp *g, const grp_point *p) TDSA_NONNULL;
/** A list of points. */
void mpc_put_points(tdsa_buf *b, const grp *g, const grp_point *p, size_t count) TDSA_NONNULL;

/** A canonical scalar item. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status mpc_get_scalar(tdsa_reader *r, const grp *g, grp_scalar *out,
                                         tdsa_err *err) TDSA_NONNULL;
/** A compressed point item; grp_point_decode does the checks. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status mpc_get_point(tdsa_reader *r, const grp *g, grp_point *out, tdsa_err *err)
    TDSA_NONNULL;

#endif
