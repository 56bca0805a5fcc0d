#include "keystore/encryptor.h"

#include "keystore/encryptor_guarded.h"

static tdsa_status open_kind(ks_encryptor **out, const ks_cfg *cfg, tdsa_err *err)
{
    switch (cfg->encryptor) {
    case KS_ENCRYPTOR_NONE:
        return TDSA_OK;
    case KS_ENCRYPTOR_AESGCM:
        return ks_encryptor_aesgcm.open(out, cfg, err);
    case KS_ENCRYPTOR_PKCS11:
        return ks_encryptor_pkcs11.open(out, cfg, err);
    case KS_ENCRYPTOR_PLUGIN:
        return ks_encryptor_plugin.open(out, cfg, err);
    }
    return TDSA_FAIL(err, TDSA_E_CONFIG, "unknown encryptor %d", (int)cfg->encryptor);
}

tdsa_status ks_encryptor_open(ks_encryptor **out, const ks_cfg *cfg, tdsa_err *err)
{
    tdsa_status st;

    *out = NULL;
    st = open_kind(out, cfg, err);
    if (st == TDSA_OK && !cfg->no_threads &&
        (cfg->encryptor == KS_ENCRYPTOR_PKCS11 || cfg->encryptor == KS_ENCRYPTOR_PLUGIN)) {
        st = ks_encryptor_guard(out, cfg, err);
    }
    if (st != TDSA_OK && *out != NULL) {
        (*out)->ops->close(*out);
        *out = NULL;
    }
    return st;
}
