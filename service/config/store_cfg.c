#include "config/internal.h"

/* From tdsaLibrary.storageConfiguration to a ks_cfg. */

#define STORAGE "tdsaLibrary.storageConfiguration"

tdsa_status cfg_fill_store(cfg_participant *p, const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    tdsa_status st = cfg_fill_database(p, c, log, err);

    if (st == TDSA_OK) {
        st = cfg_fill_encryptor(p, c, log, err);
    }
    p->store.counter_file = cfg_str(c, STORAGE ".counterFile");
    if (p->store.counter_file != NULL && *p->store.counter_file == '\0') {
        p->store.counter_file = NULL;
    }
    p->store.data_key_expires = cfg_str(c, STORAGE ".dataKeyLifetime") != NULL;
    if (p->store.data_key_expires) {
        p->store.data_key_lifetime_ms = (uint64_t)cfg_duration_ms(c, STORAGE ".dataKeyLifetime");
    }
    p->store.create_tables = !cfg_bool(c, STORAGE ".skipCreateTables");
    p->store.unlock_at_open = true;
    return st;
}
