#include <stdlib.h>
#include <string.h>

#include "base/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *ctx, const tdsa_audit_finding *f)
{
    unsigned *counts = ctx;

    if (f->line == 0 || memchr(f->text, '\0', sizeof f->text) == NULL) {
        abort();
    }
    counts[tdsa_audit_is_evidence(f->flaw) ? 1 : 0]++;
}

/* The input as a log, in pieces of different sizes: the same is found in it. */
static tdsa_audit_result check(const uint8_t *data, size_t size, size_t piece)
{
    unsigned counts[2] = {0, 0};
    const tdsa_audit_check how = {.fn = count, .ctx = counts};
    tdsa_audit_verifier *v = NULL;
    tdsa_audit_result r;
    tdsa_err err;

    if (tdsa_audit_verifier_new(&v, &how, &err) != TDSA_OK) {
        abort();
    }
    for (size_t at = 0; at < size; at += piece) {
        if (tdsa_audit_verifier_take(v, data + at, size - at < piece ? size - at : piece, &err) !=
            TDSA_OK) {
            abort();
        }
    }
    if (tdsa_audit_verifier_end(v, &r, &err) != TDSA_OK || r.good_len > size ||
        counts[0] + counts[1] != r.flaws || counts[1] != r.evidence) {
        abort();
    }
    tdsa_audit_verifier_free(v);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const tdsa_audit_result whole = check(data, size, size + 1);
    const tdsa_audit_result parts = check(data, size, 7);

    if (whole.records != parts.records || whole.evidence != parts.evidence ||
        memcmp(whole.last.hash, parts.last.hash, sizeof whole.last.hash) != 0) {
        abort();
    }
    return 0;
}
