#ifndef TESTS_CONFIG_PARTICIPANT_SUPPORT_H
#define TESTS_CONFIG_PARTICIPANT_SUPPORT_H

#include "config/participant_cfg.h"
#include "config_support.h"

/** Makes a participant of a document with overrides; the caller frees both when it succeeds. */
static inline tdsa_status make(cfg_participant **p, cfg **c, const char *text,
                               const char *const *defines, log_record *record, tdsa_err *err)
{
    const tdsa_log log = log_to(record);
    tdsa_status st = load_text(c, text, defines, NULL, NULL, err);

    *p = NULL;
    if (st == TDSA_OK) {
        st = cfg_participant_new(p, *c, &log, err);
    }
    if (st != TDSA_OK) {
        assert_null(*p);
        cfg_free(*c);
        *c = NULL;
    }
    return st;
}

/** One override that must be refused, and what the text must say. */
typedef struct {
    const char *define, *says;
} refusal;

static inline void each_is_refused(const char *text, const refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *const defines[] = {cases[i].define, NULL};
        log_record record;
        cfg_participant *p;
        cfg *c;
        tdsa_err err;

        if (make(&p, &c, text, defines, &record, &err) != TDSA_E_CONFIG) {
            fail_msg("accepted: %s", cases[i].define);
        }
        if (strstr(err.text, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].define, err.text);
        }
        assert_null(strstr(err.text, "hush")); /* what a case calls a value */
    }
}

#define REFUSED(text, cases) each_is_refused((text), (cases), sizeof(cases) / sizeof(cases)[0])

#endif
