/* C_* functions about sessions and login. */
#include "pkcs11-provider/state.h"

CK_RV C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                    CK_SESSION_HANDLE *session)
{
    const p11_session_wish wish = {.slot = slot, .flags = flags};

    (void)application; /* no notifications are ever made */
    (void)notify;
    P11_ENTER("C_OpenSession");
    return p11_leave(&call, p11_session_open(&call, &wish, session));
}

CK_RV p11_open_session_v3(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *session)
{
    const p11_session_wish wish = {.slot = slot, .flags = flags, .v3 = true};

    (void)application;
    (void)notify;
    P11_ENTER("C_OpenSession");
    return p11_leave(&call, p11_session_open(&call, &wish, session));
}

/* Inside exit() these three answer OK and touch nothing: OpenSSL's own cleanup calls them. */

CK_RV C_CloseSession(CK_SESSION_HANDLE session)
{
    if (p11_exiting()) {
        return CKR_OK;
    }
    P11_ENTER("C_CloseSession");
    return p11_leave(&call, p11_session_close(&call, session));
}

CK_RV C_CloseAllSessions(CK_SLOT_ID slot)
{
    if (p11_exiting()) {
        return CKR_OK;
    }
    P11_ENTER("C_CloseAllSessions");
    return p11_leave(&call, p11_session_close_all(&call, slot));
}

CK_RV C_Logout(CK_SESSION_HANDLE session)
{
    if (p11_exiting()) {
        return CKR_OK;
    }
    P11_ENTER_SESSION("C_Logout", session);
    return p11_leave(&call, p11_session_logout(&call));
}

CK_RV C_GetSessionInfo(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    P11_ENTER_SESSION("C_GetSessionInfo", session);
    return p11_leave(&call, p11_session_info(&call, info));
}

CK_RV C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
    P11_ENTER_SESSION("C_Login", session);
    return p11_leave(&call, p11_session_login(&call, user, pin, pin_len));
}

CK_RV C_LoginUser(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len,
                  CK_UTF8CHAR *name, CK_ULONG name_len)
{
    P11_ENTER_SESSION("C_LoginUser", session);
    if (name != NULL && name_len > 0) { /* the token has one user, without a name */
        return p11_leave(&call, CKR_USER_TYPE_INVALID);
    }
    return p11_leave(&call, p11_session_login(&call, user, pin, pin_len));
}

CK_RV C_SessionCancel(CK_SESSION_HANDLE session, CK_FLAGS flags)
{
    P11_ENTER("C_SessionCancel");
    CK_RV rv = p11_session_may_cancel(&call, session, flags);

    if (rv == CKR_OK) {
        rv = p11_take_session(&call, session);
    }
    return p11_leave(&call, rv == CKR_OK ? p11_session_cancel(&call, flags) : rv);
}

CK_RV C_GetSessionValidationFlags(CK_SESSION_HANDLE session, CK_ULONG type, CK_FLAGS *flags)
{
    (void)type; /* the token keeps no validation of any type */
    P11_ENTER_SESSION("C_GetSessionValidationFlags", session);
    if (flags == NULL) {
        return p11_leave(&call, CKR_ARGUMENTS_BAD);
    }
    *flags = 0;
    return p11_leave(&call, CKR_OK);
}
