/* The function tables, and the C_* functions that hand them out. They work before C_Initialize. */
#include <string.h>

#include "pkcs11-provider/session.h"
#include "pkcs11-provider/slot.h"

/* Each table has a C_GetInfo of its own, which tells that table's version, and those of version 3 a
 * C_OpenSession that remembers it, and a C_GetMechanismInfo that knows of messages. */

static CK_RV get_info_3_0(CK_INFO *info)
{
    P11_ENTER("C_GetInfo");
    return p11_leave(&call, p11_module_info(info, 3, 0));
}

static CK_RV get_info_3_2(CK_INFO *info)
{
    P11_ENTER("C_GetInfo");
    return p11_leave(&call, p11_module_info(info, 3, 2));
}

static CK_RV get_mechanism_info_v3(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    const CK_RV rv = C_GetMechanismInfo(slot, type, info);

    if (rv == CKR_OK && (info->flags & CKF_SIGN) != 0) {
        info->flags |= CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY;
    }
    return rv;
}

#define ENTRY(name) .name = name,
/* clang-format off */
static CK_FUNCTION_LIST table_2_40 = {
    .version = {2, 40},
    P11_FUNCTIONS_2_40(ENTRY)
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* these three */
static p11_table_3_0 table_3_0 = {
    .version = {3, 0},
    P11_FUNCTIONS_2_40(ENTRY)
    P11_FUNCTIONS_3_0(ENTRY)
    .C_GetInfo = get_info_3_0,
    .C_GetMechanismInfo = get_mechanism_info_v3,
    .C_OpenSession = p11_open_session_v3,
};

static p11_table_3_2 table_3_2 = {
    .version = {3, 2},
    P11_FUNCTIONS_2_40(ENTRY)
    P11_FUNCTIONS_3_0(ENTRY)
    P11_FUNCTIONS_3_2(ENTRY)
    .C_GetInfo = get_info_3_2,
    .C_GetMechanismInfo = get_mechanism_info_v3,
    .C_OpenSession = p11_open_session_v3,
};
#pragma GCC diagnostic pop
/* clang-format on */

static CK_UTF8CHAR interface_name[] = "PKCS 11";
static CK_INTERFACE interfaces[] = {
    {interface_name, &table_3_2, CKF_INTERFACE_FORK_SAFE},
    {interface_name, &table_3_0, CKF_INTERFACE_FORK_SAFE},
    {interface_name, &table_2_40, CKF_INTERFACE_FORK_SAFE},
};
#define INTERFACE_COUNT   (sizeof interfaces / sizeof interfaces[0])
#define INTERFACE_DEFAULT 1u /* 3.0: what clients of today know */

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    if (list == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    *list = &table_2_40;
    return CKR_OK;
}

CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count)
{
    if (count == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    if (list == NULL || *count < INTERFACE_COUNT) {
        *count = INTERFACE_COUNT;
        return list == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
    }
    memcpy(list, interfaces, sizeof interfaces);
    *count = INTERFACE_COUNT;
    return CKR_OK;
}

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **out, CK_FLAGS flags)
{
    if (out == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    *out = NULL;
    if ((flags & ~CKF_INTERFACE_FORK_SAFE) != 0 ||
        (name != NULL && strcmp((const char *)name, (const char *)interface_name) != 0)) {
        return CKR_ARGUMENTS_BAD;
    }
    if (version == NULL) {
        *out = &interfaces[INTERFACE_DEFAULT];
        return CKR_OK;
    }
    for (size_t i = 0; i < INTERFACE_COUNT; i++) {
        const CK_VERSION *have = interfaces[i].pFunctionList; /* every table begins with it */

        if (have->major == version->major && have->minor == version->minor) {
            *out = &interfaces[i];
            return CKR_OK;
        }
    }
    return CKR_ARGUMENTS_BAD;
}
