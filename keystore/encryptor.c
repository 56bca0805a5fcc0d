#include "keystore/encryptor.h"

tdsa_status ks_encryptor_open(ks_encryptor **out, const ks_cfg *cfg, tdsa_err *err)
{
    *out = NULL;
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
