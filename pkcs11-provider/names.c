#include "pkcs11-provider/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/statement.h"

#define NAMES_TAG     "pkcs11-names"
#define NAMES_VERSION 2u

_Static_assert(P11_LABEL_MAX <= KS_LABEL_MAX, "a label fits the keystore");
_Static_assert(P11_ID_MAX + P11_LABEL_MAX + P11_SUBJECT_MAX + 192u <= KS_ATTRS_MAX,
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

/* The texts of the names in the order of their record. */
#define NAME_COUNT 5u

static p11_bytes *name_at(p11_names *n, size_t i)
{
    p11_bytes *const all[NAME_COUNT] = {&n->id, &n->label, &n->subject, &n->start_date,
                                        &n->end_date};

    return all[i];
}

static const size_t name_max[NAME_COUNT] = {P11_ID_MAX, P11_LABEL_MAX, P11_SUBJECT_MAX,
                                            P11_DATE_LEN, P11_DATE_LEN};

void p11_names_clear(p11_names *n)
{
    for (size_t i = 0; i < NAME_COUNT; i++) {
        p11_bytes_clear(name_at(n, i));
    }
    n->flags = 0;
    n->session_until_ms = 0;
}

tdsa_status p11_names_copy(p11_names *out, const p11_names *in, tdsa_err *err)
{
    p11_names from = *in;

    *out = (p11_names){.flags = in->flags, .session_until_ms = in->session_until_ms};
    for (size_t i = 0; i < NAME_COUNT; i++) {
        const p11_bytes *b = name_at(&from, i);

        if (!p11_bytes_set(name_at(out, i), b->data, b->len)) {
            p11_names_clear(out);
            return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the names of a key");
        }
    }
    return TDSA_OK;
}

void p11_names_encode(tdsa_buf *out, const p11_names *n)
{
    p11_names from = *n;

    tdsa_stmt_begin(out, NAMES_TAG);
    tdsa_stmt_uint(out, NAMES_VERSION);
    for (size_t i = 0; i < NAME_COUNT; i++) {
        tdsa_stmt_octets(out, name_at(&from, i)->data, name_at(&from, i)->len);
    }
    tdsa_stmt_uint(out, n->flags);
    tdsa_stmt_uint(out, n->session_until_ms);
}

/* Version 1 had the first three texts, and of the flags only P11_PUBLIC_HIDDEN. */
#define NAME_COUNT_1 3u

/* What was read must be of a version we know. */
static tdsa_status check_read(const p11_names *n, uint64_t version, uint64_t flags, tdsa_err *err)
{
    if ((version != 1 && version != NAMES_VERSION) || flags > P11_NAMES_FLAGS ||
        n->start_date.len % P11_DATE_LEN != 0 || n->end_date.len % P11_DATE_LEN != 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "PKCS#11 names of another version");
    }
    return TDSA_OK;
}

tdsa_status p11_names_decode(p11_names *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    uint64_t version = 0;
    uint64_t flags = 0;
    bool memory = true;
    tdsa_status st = TDSA_OK;

    *out = (p11_names){0};
    tdsa_stmt_expect(&r, NAMES_TAG);
    version = tdsa_stmt_read_uint(&r);
    for (size_t i = 0; i < (version == 1 ? NAME_COUNT_1 : NAME_COUNT); i++) {
        size_t count = 0;
        const uint8_t *bytes = tdsa_stmt_read_octets(&r, &count, name_max[i]);

        memory = memory && p11_bytes_set(name_at(out, i), bytes, bytes == NULL ? 0 : count);
    }
    flags = tdsa_stmt_read_uint(&r);
    out->session_until_ms = version == 1 ? 0 : tdsa_stmt_read_uint(&r);
    st = tdsa_reader_finish(&r, "PKCS#11 names", err);
    if (st == TDSA_OK) {
        st = memory ? check_read(out, version, flags, err)
                    : TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the names of a key");
    }
    out->flags = (unsigned)flags;
    if (st != TDSA_OK) {
        p11_names_clear(out);
    }
    return st;
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
