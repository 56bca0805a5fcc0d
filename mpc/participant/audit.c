#include "participant/internal.h"

/* The audit log as the participant uses it: the record first, then the act. */

tdsa_status part_audit(part *p, const char *event, const char *key_id, const char *detail,
                       tdsa_err *err)
{
    const tdsa_audit *log = &p->cfg.audit;
    const tdsa_audit_event e = {
        .participant = p->cfg.roster.me, .event = event, .key_id = key_id, .detail = detail};

    return log->record == NULL ? TDSA_OK : log->record(log->ctx, &e, err);
}

tdsa_status part_audit_needed(const part *p, const char *what, tdsa_err *err)
{
    if (p->cfg.audit.record == NULL) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "%s needs an audit log: tdsaLibrary.auditLog is not set here", what);
    }
    return TDSA_OK;
}
