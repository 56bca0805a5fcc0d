#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/encode.h"
#include "api/route.h"
#include "base/assert.h"

/* Request bodies of the API, paths and what a checked body may contain. The first byte chooses the
 * operation. */

static void check_value(const svc_field *f, const svc_value *v)
{
    if (!v->present) {
        TDSA_ASSERT(!f->required);
        return;
    }
    if (f->type == SVC_FIELD_BOOLEAN) {
        return;
    }
    if (svc_field_json_type(f)[0] == 'a') { /* array */
        TDSA_ASSERT(f->type == SVC_FIELD_OBJECTS || v->list_len <= SVC_LIST_MAX);
        return;
    }
    if (f->type == SVC_FIELD_INTEGER) {
        TDSA_ASSERT(v->number >= f->min);
        TDSA_ASSERT(v->number <= f->max);
        return;
    }
    TDSA_ASSERT(v->text != NULL);
    TDSA_ASSERT(strlen(v->text) == v->text_len);
}

/* The objects of a list are of the same shape when they are read again. */
static void check_items(const svc_shape *shape, const svc_value *v)
{
    svc_value item[SVC_FIELDS_MAX];

    for (size_t i = 0; i < v->list_len; i++) {
        svc_value_item(shape, v, i, item);
        for (size_t k = 0; k < shape->item_count; k++) {
            check_value(&shape->items[k], &item[k]);
        }
    }
}

static void try_path(const uint8_t *data, size_t size)
{
    uint32_t path[MPC_PATH_MAX];
    uint16_t len = 0;
    char *text = strndup((const char *)data, size);
    tdsa_err err;

    TDSA_ASSERT(text != NULL);
    if (svc_path_read(text, path, &len, &err) == TDSA_OK) {
        TDSA_ASSERT(len <= MPC_PATH_MAX);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const svc_row *row;
    svc_shape shape;
    svc_body body;
    svc_body_fault fault;
    tdsa_err err;

    if (size == 0) {
        return 0;
    }
    row = &svc_rows[data[0] % SVC_OP_COUNT];
    shape = svc_row_shape(row);
    if (svc_body_read(&body, &shape, data + 1, size - 1, &fault, &err) == TDSA_OK) {
        for (size_t i = 0; i < row->field_count; i++) {
            check_value(&row->fields[i], &body.values[i]);
            if (row->fields[i].type == SVC_FIELD_OBJECTS) {
                check_items(&shape, &body.values[i]);
            }
        }
    } else {
        TDSA_ASSERT(fault.http == 400 || fault.http == 422);
        TDSA_ASSERT(fault.code != NULL);
    }
    svc_body_clear(&body);
    try_path(data + 1, size - 1);
    return 0;
}
