#include "participant/permission.h"

#include "base/assert.h"

/* clang-format off */
static const part_permission table[] = {
    /* kind               name        client server server+client purpose */
    {PART_ASK_REGISTER, "register", true,  true,  false, PEER_FOR_CONTROL},
    {PART_ASK_STATUS,   "status",   true,  true,  true,  PEER_FOR_CONTROL},
    {PART_ASK_DELETE,   "delete",   true,  true,  true,  PEER_FOR_CONTROL},
    {PART_ASK_PING,     "ping",     true,  true,  true,  PEER_FOR_CONTROL},
    {PART_ASK_KEYGEN,   "keygen",   true,  true,  true,  PEER_FOR_SECRETS},
    {PART_ASK_PRESIGN,  "presign",  true,  true,  true,  PEER_FOR_SIGNING},
    {PART_ASK_PREPARE,  "prepare",  true,  true,  false, PEER_FOR_SIGNING},
    {PART_ASK_SIGN,     "sign",     true,  true,  false, PEER_FOR_SIGNING},
    {PART_ASK_RESHARE,  "reshare",  true,  true,  true,  PEER_FOR_SECRETS},
    {PART_ASK_SIGN_BATCH, "sign-batch", true, true, false, PEER_FOR_SIGNING},
    {PART_ASK_RECOVERY, "recovery", true,  true,  false, PEER_FOR_CONTROL},
    {PART_ASK_MARKS,    "marks",    true,  true,  true,  PEER_FOR_CONTROL},
    {PART_ASK_IMPORT,   "import",   true,  true,  true,  PEER_FOR_SECRETS},
    {PART_ASK_UNDELETE, "undelete", true,  true,  false, PEER_FOR_CONTROL},
    {PART_ASK_EXPORT,   "export",   true,  true,  true,  PEER_FOR_SECRETS},
    {PART_ASK_BURN,     "burn",     true,  true,  false, PEER_FOR_SIGNING},
};
/* clang-format on */
_Static_assert(sizeof table / sizeof table[0] == PART_ASK_END - 1,
               "every question has a row in the permission table");

const part_permission *part_permission_of(part_ask_kind kind)
{
    const part_permission *row = NULL;

    TDSA_ASSERT(kind >= PART_ASK_REGISTER);
    TDSA_ASSERT(kind < PART_ASK_END);
    row = &table[(unsigned)kind - 1];
    TDSA_ASSERT(row->kind == kind);
    return row;
}

tdsa_status part_permit(part_ask_kind kind, part_asker by, bool has_client, peer_purpose purpose,
                        tdsa_err *err)
{
    const part_permission *row = part_permission_of(kind);
    bool allowed = false;

    switch (by) {
    case PART_BY_CLIENT:
        allowed = row->by_client;
        break;
    case PART_BY_SERVER:
        allowed = row->by_server && (!has_client || row->server_in_client_group);
        break;
    }
    if (!allowed) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "'%s' is not for a %s of this group to ask", row->name,
                         by == PART_BY_CLIENT ? "client" : "server");
    }
    if (purpose != row->purpose) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "'%s' does not belong in a session of this purpose",
                         row->name);
    }
    return TDSA_OK;
}
