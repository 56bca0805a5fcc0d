#include "pkcs11-provider/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "pkcs11-provider/state.h"

#define MANUFACTURER    "TDSA"
#define MODEL           "threshold"
#define TOKEN_LABEL_LEN 32u
#define PIN_LEN_MIN     1u
#define PIN_LEN_MAX     255u
#define VERSION_MAJOR   0 /* of this library */
#define VERSION_MINOR   1

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

/* ---- the slots of the configuration ---- */

static tdsa_status take_slot(p11_slot *out, const p11_views *views, const cfg *c,
                             const char *label_path, const char *view_path, tdsa_err *err)
{
    const char *label = cfg_str(c, label_path);
    const char *view = view_path != NULL ? cfg_str(c, view_path) : "all";

    if (label == NULL || label[0] == '\0' || strlen(label) >= sizeof out->label) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: 1 to 32 bytes", label_path);
    }
    memcpy(out->label, label, strlen(label) + 1);
    out->view = p11_view_named(views, view);
    if (out->view == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: there is no view \"%s\"", view_path, view);
    }
    return TDSA_OK;
}

tdsa_status p11_slots_new(p11_slots *out, const p11_views *views, const cfg *c, tdsa_err *err)
{
    const size_t more = cfg_count(c, "pkcs11.slots");
    char label[64];
    char view[64];
    tdsa_status st = TDSA_OK;

    *out = (p11_slots){.at = calloc(more + 1, sizeof(p11_slot)),
                       .per_key = cfg_bool(c, "pkcs11.slotPerKey")};
    if (out->at == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the slots");
    }
    st = take_slot(&out->at[0], views, c, "pkcs11.tokenLabel", NULL, err);
    for (size_t i = 0; st == TDSA_OK && i < more; i++) {
        st = take_slot(&out->at[i + 1], views, c,
                       cfg_path(label, sizeof label, "pkcs11.slots[%zu].tokenLabel", i),
                       cfg_path(view, sizeof view, "pkcs11.slots[%zu].view", i), err);
    }
    out->count = more + 1;
    return st;
}

void p11_slots_clear(p11_slots *s)
{
    free(s->at);
    *s = (p11_slots){0};
}

const p11_view *p11_slot_view(const p11_core *core, CK_SLOT_ID slot)
{
    return core->slots.at[slot < core->slots.count ? slot : P11_SLOT_ID].view;
}

/* ---- slots with one key ---- */

/* The live key of a slot, with the table locked; NULL (and unlocked): there is no such slot. */
static p11_object *lock_key_of(p11_core *core, CK_SLOT_ID slot)
{
    p11_objects *objects = &core->objects;
    const size_t key = core->slots.per_key ? p11_slot_key(slot) : 0;
    p11_object *object = NULL;

    pthread_mutex_lock(&objects->lock);
    object = key > 0 && key <= objects->count ? objects->at[key - 1] : NULL;
    if (object == NULL || object->kind != P11_PAIR || object->state != P11_LIVE ||
        object->owner.session != 0 || !p11_view_shows(core->view, object)) {
        pthread_mutex_unlock(&objects->lock);
        return NULL;
    }
    return object;
}

/* Label and serial number of a token; false: no such slot. */
typedef struct {
    char label[33];
    char serial[17];
} token_names;

/* As many bytes of it as fit a token's label without a part of a character of UTF-8. */
static int whole_characters(const p11_bytes *label)
{
    size_t len = label->len < TOKEN_LABEL_LEN ? label->len : TOKEN_LABEL_LEN;
    size_t back = 0;

    while (len < label->len && back < 4 && (label->data[len - back] & 0xc0u) == 0x80u) {
        back++;
    }
    return (int)(back < 4 ? len - back : len); /* four in a row: it is no UTF-8 */
}

static bool name_token(p11_core *core, CK_SLOT_ID slot, token_names *out)
{
    p11_object *key = NULL;

    if (slot < core->slots.count) {
        memcpy(out->label, core->slots.at[slot].label, sizeof out->label);
        memcpy(out->serial, core->serial, sizeof out->serial);
        if (slot != P11_SLOT_ID) { /* another token of the same client */
            (void)snprintf(out->serial, sizeof out->serial, "%.11s-%04x", core->serial,
                           (unsigned)slot & 0xffffu);
        }
        return true;
    }
    key = lock_key_of(core, slot);
    if (key == NULL) {
        return false;
    }
    if (key->names.label.len > 0) {
        (void)snprintf(out->label, sizeof out->label, "%.*s", whole_characters(&key->names.label),
                       (const char *)key->names.label.data);
    } else {
        (void)snprintf(out->label, sizeof out->label, "%.32s", key->facts.key_id);
    }
    tdsa_hex(out->serial, key->facts.default_id, (sizeof out->serial - 1) / 2);
    p11_objects_unlock(&core->objects);
    return true;
}

bool p11_slot_from(p11_core *core, CK_SLOT_ID first, CK_SLOT_ID *out)
{
    const size_t keys = core->slots.per_key ? p11_objects_count(&core->objects) : 0;

    *out = first;
    if (first < core->slots.count) {
        return true;
    }
    for (*out = first < P11_SLOT_KEYS ? P11_SLOT_KEYS : first; *out < P11_SLOT_KEYS + keys;
         *out += 1) {
        if (lock_key_of(core, *out) != NULL) {
            p11_objects_unlock(&core->objects);
            return true;
        }
    }
    return false;
}

CK_RV p11_slot_check(p11_call *call, CK_SLOT_ID slot)
{
    token_names names;

    if (!name_token(call->core, slot, &names)) {
        return p11_fail(call, CKR_SLOT_ID_INVALID, "no slot %lu", slot);
    }
    return CKR_OK;
}

/* PKCS#11 2.40, C_GetSlotList: new slots appear when it is called without a list. */
static CK_RV find_new_keys(p11_call *call, const CK_SLOT_ID *list)
{
    p11_core *core = call->core;
    const p11_source from = p11_core_source(core);
    tdsa_err err;

    if (!core->slots.per_key || list != NULL) {
        return CKR_OK;
    }
    return p11_objects_refresh(&core->objects, &from, &err) == TDSA_OK ? CKR_OK
                                                                       : p11_fail_err(call, &err);
}

CK_RV p11_slot_list(p11_call *call, CK_SLOT_ID *list, CK_ULONG *count)
{
    p11_core *core = call->core;
    CK_ULONG n = 0;
    CK_ULONG room = 0;
    CK_SLOT_ID slot = 0;
    CK_RV rv = CKR_OK;

    if (count == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the number of slots");
    }
    room = list != NULL ? *count : 0;
    rv = find_new_keys(call, list);
    while (rv == CKR_OK && p11_slot_from(core, slot, &slot)) {
        if (n < room) {
            list[n] = slot;
        }
        n++;
        slot++;
    }
    if (rv == CKR_OK && list != NULL && n > room) {
        rv = p11_fail(call, CKR_BUFFER_TOO_SMALL, "there are %lu slots", n);
    }
    *count = n;
    return rv;
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
    token_names names;

    if (!name_token(call->core, slot, &names)) {
        return p11_fail(call, CKR_SLOT_ID_INVALID, "no slot %lu", slot);
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
    p11_sessions_count(&call->core->sessions, &slot, &out->ulSessionCount, &out->ulRwSessionCount);
    pad(out->label, sizeof out->label, names.label);
    pad(out->manufacturerID, sizeof out->manufacturerID, MANUFACTURER);
    pad(out->model, sizeof out->model, MODEL);
    pad(out->serialNumber, sizeof out->serialNumber, names.serial);
    memset(out->utcTime, ' ', sizeof out->utcTime);
    return CKR_OK;
}
