#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/protocol/fuzz_change.h"
#include "support/partial_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Partial signatures that the caller changed (part_partial_parse, part_combine): what is not what the
 * member gave must not combine, and whatever it is must be parsed to the last byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static partial_run *f;
    static unsigned inputs;
    TDSA_SCOPED_BUF kept = TDSA_BUF_EMPTY;
    part_partial_view view;
    fuzz_change change;
    uint16_t who = 0;
    bool same = false;
    tdsa_err err;

    if (!fuzz_change_read(&change, 3, data, size)) {
        return 0;
    }
    if (f == NULL || ++inputs % 64 == 0) { /* each failure to verify takes a presignature */
        if (f != NULL) {
            partial_run_free(f);
        }
        f = partial_run_new(&(partial_wish){.stock = 256});
        f->s->lied = true;
        partial_run_ask_all(f);
    }
    who = (uint16_t)change.round;
    tdsa_buf_append(&kept, f->partial[who].data, f->partial[who].len);
    fuzz_change_apply(&change, &f->partial[who]);
    same =
        f->partial[who].len == kept.len && memcmp(f->partial[who].data, kept.data, kept.len) == 0;
    (void)!part_partial_parse(&view, f->partial[who].data, f->partial[who].len, &err);
    if (f->partial[who].len > 0 && !same) {
        fuzz_require(partial_run_combine(f, 0, &err) != TDSA_OK);
        if (err.status == TDSA_E_VERIFY) { /* its presignature is gone: another */
            f->digest[0]++;
            partial_run_choose(f);
            partial_run_ask_all(f);
            return 0;
        }
    }
    tdsa_buf_reset(&f->partial[who]);
    tdsa_buf_append(&f->partial[who], kept.data, kept.len);
    return 0;
}
