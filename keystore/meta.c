#include "keystore/internal.h"

#include <string.h>

#define META_TABLE     "meta"
#define META_VALUE_MAX (64u * 1024u)

static tdsa_status check_name(const char *name, tdsa_err *err)
{
    const size_t len = strnlen(name, KS_META_NAME_MAX + 1);

    if (len == 0 || len > KS_META_NAME_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the name of a stored value has 1 to %u characters",
                         KS_META_NAME_MAX);
    }
    if (strncmp(name, KS_META_OWN, strlen(KS_META_OWN)) == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "names that start with " KS_META_OWN " belong to the keystore");
    }
    return TDSA_OK;
}

ks_seal_place ks_meta_place(const char *name)
{
    return (ks_seal_place){META_TABLE, name, strlen(name), 0, NULL, 0};
}

typedef struct {
    const char *name;
    const uint8_t *value;
    size_t len;
    bool sealed;
} named_value;

static tdsa_status check_value(const named_value *v, tdsa_err *err)
{
    if (v->len > META_VALUE_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a stored value has at most %u bytes",
                         META_VALUE_MAX);
    }
    return check_name(v->name, err);
}

/* The row of a value; inside. */
static tdsa_status make_record(ks *s, tdsa_buf *out, const named_value *v, tdsa_err *err)
{
    const ks_seal_place place = ks_meta_place(v->name);

    tdsa_buf_clear(out);
    if (v->sealed) {
        return ks_seal_row(s, out, &place, v->value, v->len, err);
    }
    tdsa_buf_append(out, v->value, v->len);
    return tdsa_buf_check(out, err);
}

static tdsa_status open_record(ks *s, tdsa_buf *out, const named_value *v, tdsa_err *err)
{
    const ks_seal_place place = ks_meta_place(v->name);

    if (v->sealed) {
        return ks_unseal_row(s, out, &place, v->value, v->len, err);
    }
    tdsa_buf_append(out, v->value, v->len);
    return tdsa_buf_check(out, err);
}

tdsa_status ks_meta_put(ks *s, const char *name, bool sealed, const uint8_t *value, size_t len,
                        tdsa_err *err)
{
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    const named_value v = {name, value, len, sealed};
    tdsa_status st = check_value(&v, err);

    if (st != TDSA_OK) {
        return st;
    }
    for (ks_keyed k = ks_keyed_of(s); ks_keyed_next_when(&k, sealed, &st, err);) {
        st = make_record(s, &record, &v, err);
        if (st == TDSA_OK) {
            st = s->backend->ops->meta_put(s->backend, name, record.data, record.len, err);
        }
    }
    return ks_leave_commit(s, st);
}

tdsa_status ks_meta_create(ks *s, const char *name, bool sealed, const uint8_t *value, size_t len,
                           tdsa_err *err)
{
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    const named_value v = {name, value, len, sealed};
    tdsa_status st = check_value(&v, err);

    if (st != TDSA_OK) {
        return st;
    }
    for (ks_keyed k = ks_keyed_of(s); ks_keyed_next_when(&k, sealed, &st, err);) {
        st = make_record(s, &record, &v, err);
        if (st == TDSA_OK) {
            st = s->backend->ops->meta_create(s->backend, name, record.data, record.len, err);
        }
    }
    return ks_leave_commit(s, st);
}

tdsa_status ks_meta_get(ks *s, const char *name, bool sealed, tdsa_buf *out, tdsa_err *err)
{
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    tdsa_status st = check_name(name, err);

    if (st != TDSA_OK) {
        return st;
    }
    for (ks_keyed k = ks_keyed_of(s); ks_keyed_next_when(&k, sealed, &st, err);) {
        tdsa_buf_clear(&record);
        st = s->backend->ops->meta_get(s->backend, name, &record, err);
        if (st == TDSA_OK) {
            st = open_record(s, out, &(named_value){name, record.data, record.len, sealed}, err);
        }
    }
    ks_leave(s);
    return st;
}
