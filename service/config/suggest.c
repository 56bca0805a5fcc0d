#include "config/suggest.h"

#include <string.h>

#include "config/node.h"
#include "config/row.h"

size_t cfg_suggest_distance(const char *a, const char *b)
{
    const size_t a_len = strnlen(a, CFG_KEY_MAX);
    const size_t b_len = strnlen(b, CFG_KEY_MAX);
    size_t row[CFG_KEY_MAX + 1];

    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            const size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = changed < shorter ? changed : shorter;
        }
    }
    return row[b_len];
}

typedef struct {
    const char *name;
    const char **best;
    size_t distance[CFG_SUGGESTIONS_MAX];
    size_t kept, seen;
} search;

static void consider(void *ctx, const char *name, const cfg_row *row)
{
    search *s = ctx;
    const size_t d = cfg_suggest_distance(s->name, name);
    size_t at;

    (void)row;
    s->seen++;
    for (at = s->kept; at > 0 && s->distance[at - 1] > d; at--) {
        if (at < CFG_SUGGESTIONS_MAX) {
            s->distance[at] = s->distance[at - 1];
            s->best[at] = s->best[at - 1];
        }
    }
    if (at < CFG_SUGGESTIONS_MAX) {
        s->distance[at] = d;
        s->best[at] = name;
        s->kept += s->kept < CFG_SUGGESTIONS_MAX ? 1 : 0;
    }
}

size_t cfg_suggest(const char *pattern, const char *name, const char *out[CFG_SUGGESTIONS_MAX])
{
    search s = {.name = name, .best = out};

    for (size_t i = 0; i < CFG_SUGGESTIONS_MAX; i++) {
        out[i] = NULL;
    }
    cfg_row_each_child(pattern, consider, &s);
    return s.seen;
}
