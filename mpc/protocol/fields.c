#include "protocol/fields.h"

#include "base/secret.h"

void mpc_put_scalar(tdsa_buf *b, const grp *g, const grp_scalar *a)
{
    uint8_t bytes[GRP_SCALAR_LEN_MAX];

    grp_scalar_encode(g, bytes, a);
    tdsa_stmt_item(b, TDSA_ITEM_SCALAR, bytes, grp_get_info(g)->scalar_len);
    tdsa_wipe(bytes, sizeof bytes);
}

void mpc_put_point(tdsa_buf *b, const grp *g, const grp_point *p)
{
    uint8_t bytes[GRP_POINT_LEN_MAX];

    grp_point_encode(g, bytes, p);
    tdsa_stmt_item(b, TDSA_ITEM_POINT, bytes, grp_get_info(g)->point_len);
}

void mpc_put_points(tdsa_buf *b, const grp *g, const grp_point *p, size_t count)
{
    const size_t mark = tdsa_stmt_list_begin(b);

    for (size_t i = 0; i < count; i++) {
        mpc_put_point(b, g, &p[i]);
    }
    tdsa_stmt_list_end(b, mark);
}

tdsa_status mpc_get_scalar(tdsa_reader *r, const grp *g, grp_scalar *out, tdsa_err *err)
{
    const size_t len = grp_get_info(g)->scalar_len;
    const uint8_t *p = tdsa_stmt_read_item(r, TDSA_ITEM_SCALAR, len);

    *out = (grp_scalar){0};
    if (p == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no scalar of %zu bytes in its place", len);
    }
    return grp_scalar_decode(g, out, p, len, err);
}

tdsa_status mpc_get_point(tdsa_reader *r, const grp *g, grp_point *out, tdsa_err *err)
{
    const size_t len = grp_get_info(g)->point_len;
    const uint8_t *p = tdsa_stmt_read_item(r, TDSA_ITEM_POINT, len);

    grp_point_set_identity(out);
    if (p == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no point of %zu bytes in its place", len);
    }
    return grp_point_decode(g, out, p, len, err);
}
