#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "config/jdbc.h"
#include "config/url.h"
#include "config/value.h"

/* Addresses and scalars from anywhere. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scalars(const char *text)
{
    int64_t v;
    double d;
    bool b;

    if (cfg_value_duration(text, &v)) {
        TDSA_ASSERT(v >= 0);
    }
    if (cfg_value_size(text, &v)) {
        TDSA_ASSERT(v >= 0);
    }
    (void)cfg_value_level(text);
    if (!cfg_value_int(text, &v) && !cfg_value_number(text, &d) && !cfg_value_bool(text, &b)) {
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2048];
    char out[600];
    char again[600];
    cfg_jdbc db;
    tdsa_err err;

    if (size >= sizeof text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (cfg_url_endpoint(out, sizeof out, text, &err) == TDSA_OK) {
        /* an endpoint is its own endpoint */
        TDSA_ASSERT(cfg_url_endpoint(again, sizeof again, out, &err) == TDSA_OK);
        TDSA_ASSERT(strcmp(out, again) == 0);
    } else {
        TDSA_ASSERT(out[0] == '\0');
    }
    if (cfg_jdbc_parse(&db, NULL, text, &err) == TDSA_OK) {
        TDSA_ASSERT(strlen(db.path) <= size);
    }
    scalars(text);
    return 0;
}
