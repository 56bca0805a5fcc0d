#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/encode.h"

/* The bytes of a hex text of exactly `len` bytes. */
static inline void from_hex(uint8_t *out, size_t len, const char *hex)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&b, hex, &err), TDSA_OK);
    assert_int_equal(b.len, len);
    if (len > 0) {
        memcpy(out, b.data, len);
    }
}

static inline void assert_hex(const void *bytes, size_t len, const char *hex)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&b, hex, &err), TDSA_OK);
    assert_int_equal(b.len, len);
    assert_memory_equal(bytes, b.data, len);
}

#endif
