#include "keystore/driver_mariadb.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Reads ?N, whose ? is at `in`; gives what is behind it. */
static const char *take_argument(ma_rewritten *out, const char *in)
{
    char *end = NULL;
    const unsigned long number = strtoul(in + 1, &end, 10);

    TDSA_ASSERT(end != in + 1 && number >= 1 && number <= KS_SQL_ARGS_MAX);
    TDSA_ASSERT(out->count < sizeof out->arg);
    out->arg[out->count] = (unsigned char)(number - 1);
    out->count++;
    return end;
}

bool ks_mariadb_rewrite(ma_rewritten *out, const char *text)
{
    char *to = NULL;
    bool quoted = false;

    memset(out, 0, sizeof *out);
    out->text = malloc(strlen(text) + 1); /* it gets shorter only */
    if (out->text == NULL) {
        return false;
    }
    to = out->text;
    for (const char *in = text; *in != '\0';) {
        if (*in == '\'') {
            quoted = !quoted;
        }
        *to++ = *in;
        in = *in == '?' && !quoted ? take_argument(out, in) : in + 1;
    }
    *to = '\0';
    return true;
}
