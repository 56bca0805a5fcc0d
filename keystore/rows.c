#include "keystore/internal.h"

#include <string.h>

/* Rows come from a file that others may have edited: nothing in them is believed before it was
 * looked at, and nothing is copied before its length was. */

static bool text_ok(const char *text, size_t max)
{
    return text != NULL && strnlen(text, max + 1) <= max;
}

static bool blob_ok(const uint8_t *bytes, size_t len, size_t max)
{
    return len <= max && (bytes != NULL || len == 0);
}

tdsa_status ks_check_key_row(const ks_key_row *row, tdsa_err *err)
{
    if (!text_ok(row->key_id, KS_KEY_ID_MAX) || ks_check_key_id(row->key_id, err) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_STORE, "a row of table key has a damaged key id");
    }
    if (!text_ok(row->label, KS_LABEL_MAX) ||
        !blob_ok(row->public_part, row->public_len, KS_PUBLIC_MAX) ||
        !blob_ok(row->attrs, row->attrs_len, KS_ATTRS_MAX) ||
        !blob_ok(row->sealed, row->sealed_len, TDSA_SECRET_LEN_MAX + KS_SEAL_OVERHEAD) ||
        row->state < KS_KEY_REGISTERED || row->state > KS_KEY_RESTORED) {
        return TDSA_FAIL(err, TDSA_E_STORE, "the row of key %s is damaged", row->key_id);
    }
    return TDSA_OK;
}

tdsa_status ks_check_batch_row(const ks_batch_row *row, tdsa_err *err)
{
    if (!text_ok(row->key_id, KS_KEY_ID_MAX) || ks_check_key_id(row->key_id, err) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_STORE, "a row of table batch has a damaged key id");
    }
    if (row->beta == NULL || row->count == 0 || row->count > KS_BATCH_COUNT_MAX ||
        row->next > row->count || row->state < KS_BATCH_MADE || row->state > KS_BATCH_VOID ||
        !blob_ok(row->sealed, row->sealed_len, KS_BATCH_DATA_MAX + KS_SEAL_OVERHEAD)) {
        return TDSA_FAIL(err, TDSA_E_STORE, "a batch of key %s is damaged", row->key_id);
    }
    return TDSA_OK;
}

tdsa_status ks_check_object_row(const ks_object_row *row, tdsa_err *err)
{
    if (row->id == NULL || row->created_ms > KS_SEQ_MAX ||
        !blob_ok(row->value, row->value_len, KS_OBJECT_MAX) ||
        !blob_ok(row->sealed, row->sealed_len, KS_OBJECT_MAX + KS_SEAL_OVERHEAD) ||
        (row->is_sealed ? row->value_len : row->sealed_len) > 0) {
        return TDSA_FAIL(err, TDSA_E_STORE, "a row of table object is damaged");
    }
    return TDSA_OK;
}

const char *ks_key_state_name(ks_key_state state)
{
    switch (state) {
    case KS_KEY_REGISTERED:
        return "REGISTERED";
    case KS_KEY_PENDING:
        return "PENDING";
    case KS_KEY_ACTIVE:
        return "ACTIVE";
    case KS_KEY_DELETED:
        return "DELETED";
    case KS_KEY_OLD:
        return "OLD";
    case KS_KEY_DELETING:
        return "DELETING";
    case KS_KEY_RESTORED:
        return "RESTORED";
    }
    return "?";
}

tdsa_status ks_check_deletion(const ks_deletion *d, tdsa_err *err)
{
    const bool odd = (d->serial & 1) != 0;
    const bool deletes = d->state == KS_DELETION_SCHEDULED || d->state == KS_DELETION_WIPED;

    if (ks_check_key_id(d->key_id, err) != TDSA_OK) {
        return err->status;
    }
    if (d->serial == 0 || d->serial > KS_SEQ_MAX || d->due_ms > KS_SEQ_MAX ||
        d->grace_ms > KS_SEQ_MAX || d->state < KS_DELETION_SCHEDULED ||
        d->state > KS_DELETION_WIPED || odd != deletes) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "order %llu about key %s is in no state (%d)",
                         (unsigned long long)d->serial, d->key_id, (int)d->state);
    }
    return TDSA_OK;
}

tdsa_status ks_refused(ks *s, tdsa_status st, const tdsa_err *err)
{
    if (st == TDSA_E_STORE) {
        s->stats.rows_refused++;
        tdsa_logf(s->log, TDSA_LOG_ERROR, KS_LOGGER, "%s", err->text);
    }
    return st;
}
