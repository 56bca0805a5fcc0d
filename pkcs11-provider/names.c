#include "pkcs11-provider/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/statement.h"

#define NAMES_TAG     "pkcs11-names"
#define NAMES_VERSION 1u

_Static_assert(P11_LABEL_MAX <= KS_LABEL_MAX, "a label fits the keystore");
_Static_assert(P11_ID_MAX + P11_LABEL_MAX + P11_SUBJECT_MAX + 128u <= KS_ATTRS_MAX,
               "names fit the keystore");

void p11_bytes_clear(p11_bytes *b)
{
    free(b->data);
    *b = (p11_bytes){NULL, 0};
}

bool p11_bytes_set(p11_bytes *b, const void *data, size_t len)
{
    uint8_t *copy = NULL;

    if (len > 0) {
        copy = malloc(len);
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, data, len);
    }
    p11_bytes_clear(b);
    *b = (p11_bytes){copy, len};
    return true;
}

void p11_names_clear(p11_names *n)
{
    p11_bytes_clear(&n->id);
    p11_bytes_clear(&n->label);
    p11_bytes_clear(&n->subject);
    n->public_hidden = false;
}

tdsa_status p11_names_copy(p11_names *out, const p11_names *in, tdsa_err *err)
{
    *out = (p11_names){.public_hidden = in->public_hidden};
    if (!p11_bytes_set(&out->id, in->id.data, in->id.len) ||
        !p11_bytes_set(&out->label, in->label.data, in->label.len) ||
        !p11_bytes_set(&out->subject, in->subject.data, in->subject.len)) {
        p11_names_clear(out);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the names of a key");
    }
    return TDSA_OK;
}

void p11_names_encode(tdsa_buf *out, const p11_names *n)
{
    tdsa_stmt_begin(out, NAMES_TAG);
    tdsa_stmt_uint(out, NAMES_VERSION);
    tdsa_stmt_octets(out, n->id.data, n->id.len);
    tdsa_stmt_octets(out, n->label.data, n->label.len);
    tdsa_stmt_octets(out, n->subject.data, n->subject.len);
    tdsa_stmt_uint(out, n->public_hidden ? 1 : 0);
}

tdsa_status p11_names_decode(p11_names *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    p11_names view = {0}; /* lends from `in` */
    const uint8_t *part[3] = {NULL, NULL, NULL};
    uint64_t version = 0;
    uint64_t hidden = 0;
    tdsa_status st = TDSA_OK;

    *out = (p11_names){0};
    tdsa_stmt_expect(&r, NAMES_TAG);
    version = tdsa_stmt_read_uint(&r);
    part[0] = tdsa_stmt_read_octets(&r, &view.id.len, P11_ID_MAX);
    part[1] = tdsa_stmt_read_octets(&r, &view.label.len, P11_LABEL_MAX);
    part[2] = tdsa_stmt_read_octets(&r, &view.subject.len, P11_SUBJECT_MAX);
    hidden = tdsa_stmt_read_uint(&r);
    st = tdsa_reader_finish(&r, "PKCS#11 names", err);
    if (st != TDSA_OK) {
        return st;
    }
    if (version != NAMES_VERSION || hidden > 1) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "PKCS#11 names of another version");
    }
    if (!p11_bytes_set(&out->id, part[0], view.id.len) ||
        !p11_bytes_set(&out->label, part[1], view.label.len) ||
        !p11_bytes_set(&out->subject, part[2], view.subject.len)) {
        p11_names_clear(out);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the names of a key");
    }
    out->public_hidden = hidden == 1;
    return TDSA_OK;
}

void p11_names_label_text(const p11_names *n, char *out)
{
    size_t len = n->label.len;

    if (len > 0 && memchr(n->label.data, 0, len) != NULL) {
        len = 0;
    }
    if (len > 0) {
        memcpy(out, n->label.data, len);
    }
    out[len] = '\0';
}
