#include "pkcs11-provider/slot.h"

#include <string.h>

#include "pkcs11-provider/state.h"

#define MANUFACTURER  "TDSA"
#define MODEL         "threshold"
#define PIN_LEN_MIN   1u
#define PIN_LEN_MAX   255u
#define VERSION_MAJOR 0 /* of this library */
#define VERSION_MINOR 1

/* PKCS#11: text is padded with blanks and has no NUL. */
static void pad(CK_UTF8CHAR *out, size_t cap, const char *text)
{
    const size_t len = strlen(text);

    memset(out, ' ', cap);
    memcpy(out, text, len > cap ? cap : len);
}

CK_RV p11_module_info(CK_INFO *out, CK_BYTE major, CK_BYTE minor)
{
    if (out == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    *out = (CK_INFO){.cryptokiVersion = {major, minor}};
    out->libraryVersion = (CK_VERSION){VERSION_MAJOR, VERSION_MINOR};
    pad(out->manufacturerID, sizeof out->manufacturerID, MANUFACTURER);
    pad(out->libraryDescription, sizeof out->libraryDescription, "Threshold signing token");
    return CKR_OK;
}

CK_RV p11_slot_check(p11_call *call, CK_SLOT_ID slot)
{
    if (slot != P11_SLOT_ID) {
        return p11_fail(call, CKR_SLOT_ID_INVALID, "no slot %lu", slot);
    }
    return CKR_OK;
}

CK_RV p11_slot_list(p11_call *call, CK_SLOT_ID *list, CK_ULONG *count)
{
    if (count == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the number of slots");
    }
    if (list != NULL && *count < 1) {
        *count = 1;
        return p11_fail(call, CKR_BUFFER_TOO_SMALL, "there is one slot");
    }
    if (list != NULL) {
        list[0] = P11_SLOT_ID;
    }
    *count = 1;
    return CKR_OK;
}

CK_RV p11_slot_info(p11_call *call, CK_SLOT_ID slot, CK_SLOT_INFO *out)
{
    const CK_RV rv = p11_slot_check(call, slot);

    if (rv != CKR_OK) {
        return rv;
    }
    if (out == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the information");
    }
    *out = (CK_SLOT_INFO){.flags = CKF_TOKEN_PRESENT,
                          .firmwareVersion = {VERSION_MAJOR, VERSION_MINOR}};
    pad(out->slotDescription, sizeof out->slotDescription, "Threshold signing slot");
    pad(out->manufacturerID, sizeof out->manufacturerID, MANUFACTURER);
    return CKR_OK;
}

CK_RV p11_token_info(p11_call *call, CK_SLOT_ID slot, CK_TOKEN_INFO *out)
{
    const CK_RV rv = p11_slot_check(call, slot);

    if (rv != CKR_OK) {
        return rv;
    }
    if (out == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the information");
    }
    *out = (CK_TOKEN_INFO){
        .flags = CKF_RNG | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED,
        .ulMaxSessionCount = P11_SESSIONS_MAX,
        .ulMaxRwSessionCount = P11_SESSIONS_MAX,
        .ulMaxPinLen = PIN_LEN_MAX,
        .ulMinPinLen = PIN_LEN_MIN,
        .ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION,
        .ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION,
        .ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION,
        .ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION,
        .firmwareVersion = {VERSION_MAJOR, VERSION_MINOR},
    };
    out->flags |= call->core->settings.login_never ? 0 : CKF_LOGIN_REQUIRED;
    p11_sessions_count(&call->core->sessions, &out->ulSessionCount, &out->ulRwSessionCount);
    pad(out->label, sizeof out->label, call->core->settings.token_label);
    pad(out->manufacturerID, sizeof out->manufacturerID, MANUFACTURER);
    pad(out->model, sizeof out->model, MODEL);
    pad(out->serialNumber, sizeof out->serialNumber, call->core->serial);
    memset(out->utcTime, ' ', sizeof out->utcTime);
    return CKR_OK;
}

CK_RV p11_slot_event(p11_call *call, CK_FLAGS flags, const void *reserved)
{
    if (reserved != NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "pReserved is not NULL");
    }
    if ((flags & CKF_DONT_BLOCK) == 0) { /* nothing ever happens: it would wait for ever */
        return p11_fail(call, CKR_FUNCTION_NOT_SUPPORTED, "only with CKF_DONT_BLOCK");
    }
    return CKR_NO_EVENT;
}
