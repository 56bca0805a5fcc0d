#include "pkcs11-provider/builtin.h"

#include "pkcs11-provider/certificate.h"
#include "pkcs11-provider/state.h"

static tdsa_status set_common(p11_item *item, CK_OBJECT_CLASS cls, tdsa_err *err)
{
    tdsa_status st = p11_item_set_number(item, CKA_CLASS, cls, err);

    if (st == TDSA_OK) {
        st = p11_item_set_bool(item, CKA_PRIVATE, false, err);
    }
    if (st == TDSA_OK) {
        st = p11_item_set_bool(item, CKA_MODIFIABLE, false, err);
    }
    if (st == TDSA_OK) {
        st = p11_item_set_bool(item, CKA_DESTROYABLE, false, err);
    }
    return st == TDSA_OK ? p11_item_set_bool(item, CKA_COPYABLE, false, err) : st;
}

/* Into the table, under session 0 and no store: it stays as long as the module. */
static tdsa_status add(p11_core *core, const p11_item *item, tdsa_err *err)
{
    const p11_origin nowhere = {0};
    size_t index = 0;

    return p11_objects_put_item(&core->objects, item, &nowhere, &index, err);
}

static tdsa_status add_profile(p11_core *core, CK_ULONG profile, tdsa_err *err)
{
    p11_item item = {0};
    tdsa_status st = set_common(&item, CKO_PROFILE, err);

    if (st == TDSA_OK) {
        st = p11_item_set_number(&item, CKA_PROFILE_ID, profile, err);
    }
    if (st == TDSA_OK) {
        st = add(core, &item, err);
    }
    p11_item_clear(&item);
    return st;
}

static tdsa_status add_certificate(void *ctx, const uint8_t *der, size_t len, tdsa_err *err)
{
    p11_core *core = ctx;
    p11_item item = {0};
    tdsa_status st = set_common(&item, CKO_CERTIFICATE, err);

    if (st == TDSA_OK) {
        st = p11_item_set_number(&item, CKA_CERTIFICATE_TYPE, CKC_X_509, err);
    }
    if (st == TDSA_OK) {
        st = p11_item_set(&item, CKA_VALUE, der, len, err);
    }
    if (st == TDSA_OK) {
        st = p11_certificate_complete(&item, err);
    }
    if (st == TDSA_OK) {
        st = add(core, &item, err);
    }
    p11_item_clear(&item);
    return st;
}

tdsa_status p11_builtin_objects(p11_core *core, tdsa_err *err)
{
    static const CK_ULONG profiles[] = {CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER,
                                        CKP_AUTHENTICATION_TOKEN, CKP_PUBLIC_CERTIFICATES_TOKEN};
    const size_t files = cfg_count(core->config, "pkcs11.certificates");
    char path[64];
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; st == TDSA_OK && i < sizeof profiles / sizeof profiles[0]; i++) {
        st = add_profile(core, profiles[i], err);
    }
    for (size_t i = 0; st == TDSA_OK && i < files; i++) {
        st = p11_certificates_read(
            cfg_str(core->config, cfg_path(path, sizeof path, "pkcs11.certificates[%zu]", i)),
            add_certificate, core, err);
    }
    core->objects.builtin_count = core->objects.count;
    return st;
}
