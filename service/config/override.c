#include "config/override.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/lookup.h"

#define OWN_PREFIX "com.sepior.tdsa."

static const struct {
    const char *property, *variable, *path;
} secrets[] = {
    {"com.sepior.tdsa.participant.primary_private_key", "PARTICIPANT_PRIMARY_PRIVATE_KEY",
     "tdsaLibrary.participantPrimaryPrivateKey"},
    {"com.sepior.tdsa.participant.secondary_private_key", "PARTICIPANT_SECONDARY_PRIVATE_KEY",
     "tdsaLibrary.participantSecondaryPrivateKey"},
    {"com.sepior.tdsa.database.encryptionkey", "DATABASE_ENCRYPTION_KEY",
     "tdsaLibrary.storageConfiguration.encryptionKey"},
};

/* The child that `step` names, made when it is not there. */
static tdsa_status descend(cfg_tree *t, cfg_node **at, const cfg_step *step, const char *path,
                           tdsa_err *err)
{
    cfg_node *n = *at;
    cfg_node *child;
    const bool by_index = step->is_index && n->kind != CFG_NODE_MAP;

    if (n->kind == CFG_NODE_NULL) {
        n->kind = step->is_index ? CFG_NODE_SEQ : CFG_NODE_MAP;
    }
    if (n->kind == CFG_NODE_SCALAR || (n->kind == CFG_NODE_SEQ) != step->is_index) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "override %s: the path does not fit the document",
                         path);
    }
    child = by_index ? cfg_node_at(n, step->index) : cfg_node_child(n, step->name);
    if (child == NULL && step->is_index && step->index != n->count) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "override %s: index %zu of %zu elements", path,
                         step->index, n->count);
    }
    if (child == NULL) {
        const tdsa_status st =
            cfg_tree_add(t, &child, n, CFG_NODE_NULL, step->is_index ? NULL : step->name, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    *at = child;
    return TDSA_OK;
}

static tdsa_status set_list(cfg_tree *t, cfg_node *n, char *value, tdsa_err *err)
{
    char *rest = NULL;
    tdsa_status st = cfg_node_set(n, NULL, true, err);

    n->kind = CFG_NODE_SEQ;
    for (char *item = strtok_r(value, ",", &rest); st == TDSA_OK && item != NULL;
         item = strtok_r(NULL, ",", &rest)) {
        cfg_node *element = NULL;
        item += strspn(item, " ");
        st = cfg_tree_add(t, &element, n, CFG_NODE_NULL, NULL, err);
        if (st == TDSA_OK) {
            st = cfg_node_set(element, item, true, err);
        }
    }
    return st;
}

static bool is_list(const char *path)
{
    const cfg_row *row = cfg_lookup_row(path);

    return row != NULL &&
           (row->type == CFG_STRINGS || row->type == CFG_INTS || row->type == CFG_ARRAY);
}

static tdsa_status set_path(cfg_tree *t, const char *path, const char *value, tdsa_err *err)
{
    const char *rest = path;
    cfg_node *n = t->root;
    cfg_step step;
    char *copy;
    tdsa_status st;

    while (cfg_path_step(&rest, &step)) {
        st = descend(t, &n, &step, path, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    if (*rest != '\0' || n == t->root) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "override %s: malformed path", path);
    }
    n->line = 0;
    if (!is_list(path)) {
        return cfg_node_set(n, value, true, err);
    }
    copy = strdup(value);
    if (copy == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an override");
    }
    st = set_list(t, n, copy, err);
    tdsa_wipe(copy, strlen(value));
    free(copy);
    return st;
}

static tdsa_status define(cfg_tree *t, const char *text, const tdsa_log *log, tdsa_err *err)
{
    const char *equals = strchr(text, '=');
    char name[CFG_PATH_MAX];
    size_t len;

    if (equals == NULL || equals == text) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "a -D option needs the form name=value");
    }
    len = (size_t)(equals - text);
    if (len >= sizeof name) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the name of a -D option is longer than %zu",
                         sizeof name - 1);
    }
    memcpy(name, text, len);
    name[len] = '\0';
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        if (strcmp(name, secrets[i].property) == 0) {
            return set_path(t, secrets[i].path, equals + 1, err);
        }
    }
    if (strncmp(name, "dw.", 3) == 0) {
        return set_path(t, name + 3, equals + 1, err);
    }
    if (strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0) { /* a misspelt key must not be lost */
        return TDSA_FAIL(err, TDSA_E_CONFIG, "there is no property %.100s; there are %s, %s and %s",
                         name, secrets[0].property, secrets[1].property, secrets[2].property);
    }
    tdsa_logf(log, TDSA_LOG_INFO, "config", "property %s is accepted and has no effect", name);
    return TDSA_OK;
}

tdsa_status cfg_override(cfg_tree *t, const char *const *defines, bool use_environment,
                         const tdsa_log *log, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (; st == TDSA_OK && defines != NULL && *defines != NULL; defines++) {
        st = define(t, *defines, log, err);
    }
    for (size_t i = 0; st == TDSA_OK && use_environment && i < sizeof secrets / sizeof secrets[0];
         i++) {
        const char *value = getenv(secrets[i].variable);
        if (value != NULL && *value != '\0') {
            st = set_path(t, secrets[i].path, value, err);
        }
    }
    return st;
}
