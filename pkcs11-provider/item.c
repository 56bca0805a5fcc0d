#include "pkcs11-provider/item.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/statement.h"

#define ITEM_TAG     "pkcs11-object"
#define ITEM_VERSION 1u

_Static_assert(KS_OBJECT_MAX >= P11_ITEM_VALUE_MAX + 16384u, "a certificate fits the keystore");

/* How a value is written down. */
typedef enum { FORM_BYTES, FORM_BOOL, FORM_NUMBER } value_form;

static value_form form_of(CK_ATTRIBUTE_TYPE type)
{
    switch (type) {
    case CKA_CLASS:
    case CKA_KEY_TYPE:
    case CKA_CERTIFICATE_TYPE:
    case CKA_CERTIFICATE_CATEGORY:
    case CKA_JAVA_MIDP_SECURITY_DOMAIN:
    case CKA_PROFILE_ID:
        return FORM_NUMBER;
    case CKA_TOKEN:
    case CKA_PRIVATE:
    case CKA_TRUSTED:
    case CKA_MODIFIABLE:
    case CKA_COPYABLE:
    case CKA_DESTROYABLE:
        return FORM_BOOL;
    default:
        return FORM_BYTES;
    }
}

void p11_item_clear(p11_item *item)
{
    for (size_t i = 0; i < item->count; i++) {
        p11_bytes *b = &item->at[i].value;

        if (b->len > 0) { /* a private data object */
            OPENSSL_cleanse(b->data, b->len);
        }
        p11_bytes_clear(b);
    }
    item->count = 0;
}

static size_t place_of(const p11_item *item, CK_ATTRIBUTE_TYPE type)
{
    size_t i = 0;

    while (i < item->count && item->at[i].type != type) {
        i++;
    }
    return i;
}

const p11_bytes *p11_item_get(const p11_item *item, CK_ATTRIBUTE_TYPE type)
{
    const size_t i = place_of(item, type);

    return i < item->count ? &item->at[i].value : NULL;
}

tdsa_status p11_item_set(p11_item *item, CK_ATTRIBUTE_TYPE type, const void *value, size_t len,
                         tdsa_err *err)
{
    const size_t i = place_of(item, type);

    if (i == P11_ITEM_ATTRS_MAX || len > P11_ITEM_VALUE_MAX) {
        return TDSA_FAIL(err, TDSA_E_LIMIT, "attribute 0x%lx: at most %u bytes of %u attributes",
                         type, P11_ITEM_VALUE_MAX, P11_ITEM_ATTRS_MAX);
    }
    if (i == item->count) {
        item->at[i].type = type;
        item->at[i].value = (p11_bytes){NULL, 0};
    }
    if (!p11_bytes_set(&item->at[i].value, value, len)) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an attribute");
    }
    item->count += i == item->count ? 1 : 0;
    return TDSA_OK;
}

tdsa_status p11_item_set_bool(p11_item *item, CK_ATTRIBUTE_TYPE type, bool value, tdsa_err *err)
{
    const CK_BBOOL b = value ? CK_TRUE : CK_FALSE;

    return p11_item_set(item, type, &b, sizeof b, err);
}

tdsa_status p11_item_set_number(p11_item *item, CK_ATTRIBUTE_TYPE type, CK_ULONG value,
                                tdsa_err *err)
{
    return p11_item_set(item, type, &value, sizeof value, err);
}

CK_ULONG p11_item_number(const p11_item *item, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise)
{
    const p11_bytes *b = p11_item_get(item, type);

    if (b != NULL && b->len == sizeof otherwise) {
        memcpy(&otherwise, b->data, sizeof otherwise);
    }
    return otherwise;
}

bool p11_item_bool(const p11_item *item, CK_ATTRIBUTE_TYPE type, bool otherwise)
{
    const p11_bytes *b = p11_item_get(item, type);

    return b != NULL && b->len == sizeof(CK_BBOOL) ? b->data[0] != CK_FALSE : otherwise;
}

tdsa_status p11_item_copy(p11_item *out, const p11_item *in, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    *out = (p11_item){0};
    for (size_t i = 0; st == TDSA_OK && i < in->count; i++) {
        st = p11_item_set(out, in->at[i].type, in->at[i].value.data, in->at[i].value.len, err);
    }
    if (st != TDSA_OK) {
        p11_item_clear(out);
    }
    return st;
}

void p11_item_encode(tdsa_buf *out, const p11_item *item)
{
    size_t list = 0;

    tdsa_stmt_begin(out, ITEM_TAG);
    tdsa_stmt_uint(out, ITEM_VERSION);
    list = tdsa_stmt_list_begin(out);
    for (size_t i = 0; i < item->count; i++) {
        const p11_bytes *b = &item->at[i].value;
        const CK_ATTRIBUTE_TYPE type = item->at[i].type;

        tdsa_stmt_uint(out, type);
        switch (form_of(type)) {
        case FORM_NUMBER:
            tdsa_stmt_uint(out, p11_item_number(item, type, 0));
            break;
        case FORM_BOOL:
            tdsa_stmt_uint(out, p11_item_bool(item, type, false) ? 1 : 0);
            break;
        case FORM_BYTES:
            tdsa_stmt_octets(out, b->data, b->len);
            break;
        }
    }
    tdsa_stmt_list_end(out, list);
}

static tdsa_status read_one(p11_item *out, tdsa_reader *list, tdsa_err *err)
{
    const CK_ATTRIBUTE_TYPE type = tdsa_stmt_read_uint(list);
    const uint8_t *bytes = NULL;
    size_t len = 0;

    switch (form_of(type)) {
    case FORM_NUMBER:
        return p11_item_set_number(out, type, tdsa_stmt_read_uint(list), err);
    case FORM_BOOL:
        return p11_item_set_bool(out, type, tdsa_stmt_read_uint(list) != 0, err);
    case FORM_BYTES:
        bytes = tdsa_stmt_read_octets(list, &len, P11_ITEM_VALUE_MAX);
        return p11_item_set(out, type, bytes, bytes == NULL ? 0 : len, err);
    }
    return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "attribute 0x%lx", type);
}

tdsa_status p11_item_decode(p11_item *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_reader list;
    uint64_t version = 0;
    tdsa_status st = TDSA_OK;

    *out = (p11_item){0};
    tdsa_stmt_expect(&r, ITEM_TAG);
    version = tdsa_stmt_read_uint(&r);
    list = tdsa_stmt_read_list(&r);
    while (st == TDSA_OK && !list.failed && tdsa_reader_left(&list) > 0) {
        st = read_one(out, &list, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&list, "attributes of an object", err);
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&r, "an object", err);
    }
    if (st == TDSA_OK && version != ITEM_VERSION) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "an object of another version");
    }
    if (st != TDSA_OK) {
        p11_item_clear(out);
    }
    return st;
}
