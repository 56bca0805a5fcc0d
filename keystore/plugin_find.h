#ifndef KS_PLUGIN_FIND_H
#define KS_PLUGIN_FIND_H

#include <stdbool.h>

#include "base/env.h"
#include "base/err.h"
#include "keystore/encryptor_plugin.h"

/** A plugin that is loaded. */
typedef struct {
    void *library; /* dlclose */
    const tdsa_encryptor_plugin *table;
} ks_plugin;

/** One that is looked for. */
typedef struct {
    const char *name, *folder;
    const tdsa_log *log; /* may be NULL; told of each file that cannot be used */
} ks_plugin_wish;

/**
 * Loads the one plugin of the folder that declares the name.
 * Errors: TDSA_E_CONFIG (the folder cannot be read or others may write to it; none declares the name: says
 * which names there are and which files were passed over; two do; it has another version).
 */
TDSA_MUST_USE tdsa_status ks_plugin_find(ks_plugin *out, const ks_plugin_wish *wish, tdsa_err *err)
    TDSA_NONNULL;
void ks_plugin_close(ks_plugin *p) TDSA_NONNULL;
/** True when it may be a declared name. */
bool ks_plugin_name_valid(const char *name) TDSA_NONNULL;

#endif
