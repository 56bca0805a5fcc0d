#include "pkcs11-provider/errors.h"

#include "participant/engine.h"

CK_RV p11_rv_of(tdsa_status status)
{
    switch (status) {
    case TDSA_OK:
        return CKR_OK;
    case TDSA_E_BAD_INPUT:
        return CKR_ARGUMENTS_BAD;
    case TDSA_E_NOT_FOUND:
        return CKR_OBJECT_HANDLE_INVALID;
    case TDSA_E_DENIED:
        return CKR_ACTION_PROHIBITED;
    case TDSA_E_LOGIN:
        return CKR_USER_NOT_LOGGED_IN;
    case TDSA_E_CONFLICT:
        return CKR_FUNCTION_FAILED;
    case TDSA_E_LIMIT:
        return CKR_DEVICE_MEMORY;
    case TDSA_E_BUSY:
        return CKR_FUNCTION_CANCELED;
    case TDSA_E_UNAVAILABLE:
        return CKR_DEVICE_REMOVED;
    case TDSA_E_TIMEOUT:
    case TDSA_E_PROTOCOL:
    case TDSA_E_VERIFY:
    case TDSA_E_STORE:
    case TDSA_E_WRAPPING:
        return CKR_DEVICE_ERROR;
    case TDSA_E_NO_MEMORY:
        return CKR_HOST_MEMORY;
    case TDSA_E_CRYPTO:
    case TDSA_E_CONFIG:
    case TDSA_E_INTERNAL:
        return CKR_GENERAL_ERROR;
    }
    return CKR_GENERAL_ERROR;
}

CK_RV p11_rv_of_err(const tdsa_err *err, bool v3)
{
    const bool callers_fault = err->status == TDSA_E_NOT_FOUND || err->status == TDSA_E_BAD_INPUT ||
                               err->status == TDSA_E_LOGIN || err->status == TDSA_E_BUSY;

    if (part_is_rate_limited(err)) {
        return v3 ? CKR_TOKEN_RESOURCE_EXCEEDED : CKR_DEVICE_MEMORY;
    }
    if (err->participant != TDSA_NOBODY && callers_fault) {
        return CKR_DEVICE_ERROR;
    }
    return p11_rv_of(err->status);
}

#define P11_NAME(rv) \
    case rv:         \
        return #rv

const char *p11_rv_name(CK_RV rv)
{
    switch (rv) {
        P11_NAME(CKR_OK);
        P11_NAME(CKR_HOST_MEMORY);
        P11_NAME(CKR_SLOT_ID_INVALID);
        P11_NAME(CKR_GENERAL_ERROR);
        P11_NAME(CKR_FUNCTION_FAILED);
        P11_NAME(CKR_ARGUMENTS_BAD);
        P11_NAME(CKR_NO_EVENT);
        P11_NAME(CKR_CANT_LOCK);
        P11_NAME(CKR_ATTRIBUTE_READ_ONLY);
        P11_NAME(CKR_ATTRIBUTE_SENSITIVE);
        P11_NAME(CKR_ATTRIBUTE_TYPE_INVALID);
        P11_NAME(CKR_ATTRIBUTE_VALUE_INVALID);
        P11_NAME(CKR_ACTION_PROHIBITED);
        P11_NAME(CKR_DATA_LEN_RANGE);
        P11_NAME(CKR_DEVICE_ERROR);
        P11_NAME(CKR_DEVICE_MEMORY);
        P11_NAME(CKR_DEVICE_REMOVED);
        P11_NAME(CKR_FUNCTION_CANCELED);
        P11_NAME(CKR_FUNCTION_NOT_PARALLEL);
        P11_NAME(CKR_FUNCTION_NOT_SUPPORTED);
        P11_NAME(CKR_KEY_HANDLE_INVALID);
        P11_NAME(CKR_KEY_TYPE_INCONSISTENT);
        P11_NAME(CKR_KEY_FUNCTION_NOT_PERMITTED);
        P11_NAME(CKR_KEY_UNEXTRACTABLE);
        P11_NAME(CKR_MECHANISM_INVALID);
        P11_NAME(CKR_MECHANISM_PARAM_INVALID);
        P11_NAME(CKR_OBJECT_HANDLE_INVALID);
        P11_NAME(CKR_OPERATION_ACTIVE);
        P11_NAME(CKR_OPERATION_CANCEL_FAILED);
        P11_NAME(CKR_OPERATION_NOT_INITIALIZED);
        P11_NAME(CKR_PIN_INCORRECT);
        P11_NAME(CKR_PIN_LEN_RANGE);
        P11_NAME(CKR_SESSION_COUNT);
        P11_NAME(CKR_SESSION_HANDLE_INVALID);
        P11_NAME(CKR_SESSION_PARALLEL_NOT_SUPPORTED);
        P11_NAME(CKR_SESSION_READ_ONLY);
        P11_NAME(CKR_SESSION_ASYNC_NOT_SUPPORTED);
        P11_NAME(CKR_SIGNATURE_INVALID);
        P11_NAME(CKR_SIGNATURE_LEN_RANGE);
        P11_NAME(CKR_TEMPLATE_INCOMPLETE);
        P11_NAME(CKR_TOKEN_RESOURCE_EXCEEDED);
        P11_NAME(CKR_TEMPLATE_INCONSISTENT);
        P11_NAME(CKR_USER_ALREADY_LOGGED_IN);
        P11_NAME(CKR_USER_NOT_LOGGED_IN);
        P11_NAME(CKR_USER_TYPE_INVALID);
        P11_NAME(CKR_CURVE_NOT_SUPPORTED);
        P11_NAME(CKR_BUFFER_TOO_SMALL);
        P11_NAME(CKR_CRYPTOKI_NOT_INITIALIZED);
        P11_NAME(CKR_CRYPTOKI_ALREADY_INITIALIZED);
    default: /* not one of our enums: any number */
        return "CKR_?";
    }
}
