#include "keystore/encryptor_plugin.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/statement.h"
#include "keystore/encryptor.h"
#include "keystore/kcv.h"
#include "keystore/plugin_find.h"

/*
 * The data key is wrapped by a shared object of somebody else:
 *   stmt("wrap-plugin", key check value, what the plugin gave)
 * Which plugin it was stands beside it, as the encryptor's name.
 */
typedef struct {
    ks_encryptor base;
    ks_plugin plugin;
    void *object; /* of the plugin */
    char name[TDSA_ENCRYPTOR_NAME_MAX + 1];
    uint8_t kcv[KS_KCV_LEN];
} plugin;

#define WRAP_LABEL "wrap-plugin"

_Static_assert(KS_PLUGIN_NAME_MAX == TDSA_ENCRYPTOR_NAME_MAX, "names that fit the database");

static plugin *self(ks_encryptor *e)
{
    return (plugin *)(void *)e;
}

static tdsa_status status_of(int rc)
{
    switch (rc) {
    case TDSA_ENCRYPTOR_OK:
        return TDSA_OK;
    case TDSA_ENCRYPTOR_ARGUMENTS:
        return TDSA_E_CONFIG;
    case TDSA_ENCRYPTOR_DENIED:
        return TDSA_E_LOGIN;
    default:
        return TDSA_E_WRAPPING;
    }
}

/* The text is another's: cut at its room, one line of printable characters. */
static tdsa_status failed(const plugin *e, int rc, const char *what, tdsa_encryptor_error *error,
                          tdsa_err *err)
{
    error->text[sizeof error->text - 1] = '\0';
    for (char *at = error->text; *at != '\0'; at++) {
        *at = (unsigned char)*at < 0x20 || *at == 0x7f ? '?' : *at;
    }
    return TDSA_FAIL(err, status_of(rc), "encryptor %.60s: %s: %s", e->name, what,
                     error->text[0] != '\0' ? error->text
                     : rc == TDSA_ENCRYPTOR_DAMAGED
                         ? "the wrapped key is damaged or of another wrapping key"
                         : "it does not say why");
}

static void plugin_close(ks_encryptor *base)
{
    plugin *e = self(base);

    if (e->object != NULL) {
        e->plugin.table->destroy(e->object);
    }
    ks_plugin_close(&e->plugin);
    free(e);
}

static tdsa_status make_object(plugin *e, const ks_cfg *cfg, tdsa_err *err)
{
    tdsa_encryptor_error error = {""};
    const int rc = e->plugin.table->create(&e->object, cfg->plugin_arguments,
                                           cfg->plugin_argument_count, &error);

    if (rc == TDSA_ENCRYPTOR_OK && e->object == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "encryptor %.60s: create gave nothing", e->name);
    }
    if (rc != TDSA_ENCRYPTOR_OK) {
        e->object = NULL;
        return failed(e, rc, "create", &error, err);
    }
    return TDSA_OK;
}

static tdsa_status read_check(plugin *e, tdsa_err *err)
{
    tdsa_encryptor_error error = {""};
    uint8_t bytes[TDSA_ENCRYPTOR_CHECK_MAX];
    tdsa_encryptor_bytes out = {bytes, sizeof bytes, 0};
    const int rc = e->plugin.table->check(e->object, &out, &error);

    if (rc != TDSA_ENCRYPTOR_OK) {
        return failed(e, rc, "check value", &error, err);
    }
    if (out.len == 0 || out.len > sizeof bytes) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "encryptor %.60s: a check value has 1 to %u bytes",
                         e->name, TDSA_ENCRYPTOR_CHECK_MAX);
    }
    return ks_kcv_of(e->kcv, bytes, out.len, err);
}

static tdsa_status plugin_open(ks_encryptor **out, const ks_cfg *cfg, tdsa_err *err)
{
    const ks_plugin_wish wish = {
        cfg->plugin_name, cfg->plugin_folder != NULL ? cfg->plugin_folder : KS_PLUGIN_FOLDER_USUAL,
        cfg->log};
    plugin *e = NULL;
    tdsa_status st;

    *out = NULL;
    if (wish.name == NULL || !ks_plugin_name_valid(wish.name)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "the name of an encryptor plugin is one such as com.example.Name");
    }
    e = calloc(1, sizeof *e);
    if (e == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an encryptor");
    }
    memcpy(e->name, wish.name, strlen(wish.name) + 1);
    e->base = (ks_encryptor){&ks_encryptor_plugin, e->name, e->kcv};
    st = ks_plugin_find(&e->plugin, &wish, err);
    if (st == TDSA_OK) {
        st = make_object(e, cfg, err);
    }
    if (st == TDSA_OK) {
        st = read_check(e, err);
    }
    if (st != TDSA_OK) {
        plugin_close(&e->base);
        return st;
    }
    *out = &e->base;
    return TDSA_OK;
}

static tdsa_status unwrap_bytes(plugin *e, const uint8_t *wrapped, size_t len,
                                tdsa_secret **data_key, tdsa_err *err)
{
    tdsa_encryptor_error error = {""};
    TDSA_SCOPED_SECRET room = NULL;
    tdsa_encryptor_bytes out;
    tdsa_status st = tdsa_secret_new(&room, TDSA_KEY_LEN, err);
    int rc;

    if (st != TDSA_OK) {
        return st;
    }
    out = (tdsa_encryptor_bytes){tdsa_secret_bytes(room), TDSA_KEY_LEN, 0};
    rc = e->plugin.table->unwrap(e->object, wrapped, len, &out, &error);
    if (rc != TDSA_ENCRYPTOR_OK) {
        return failed(e, rc, "unwrapping the data key", &error, err);
    }
    if (out.len != TDSA_KEY_LEN) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "encryptor %.60s: unwrap gave no %u bytes", e->name,
                         TDSA_KEY_LEN);
    }
    *data_key = room;
    room = NULL;
    return TDSA_OK;
}

static tdsa_status plugin_wrap(ks_encryptor *base, const char *pin, size_t pin_len,
                               const tdsa_secret *data_key, tdsa_buf *wrapped, tdsa_err *err)
{
    plugin *e = self(base);
    tdsa_encryptor_error error = {""};
    TDSA_SCOPED_SECRET again = NULL;
    uint8_t bytes[TDSA_ENCRYPTOR_WRAPPED_MAX];
    tdsa_encryptor_bytes out = {bytes, sizeof bytes, 0};
    tdsa_status st;
    const int rc =
        e->plugin.table->wrap(e->object, tdsa_secret_view(data_key), TDSA_KEY_LEN, &out, &error);

    (void)pin;
    (void)pin_len;
    if (rc != TDSA_ENCRYPTOR_OK) {
        return failed(e, rc, "wrapping the data key", &error, err);
    }
    if (out.len == 0 || out.len > sizeof bytes) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "encryptor %.60s: a wrapped key has 1 to %u bytes",
                         e->name, TDSA_ENCRYPTOR_WRAPPED_MAX);
    }
    st = unwrap_bytes(e, bytes, out.len, &again, err);
    if (st == TDSA_OK && !tdsa_secret_equal(again, data_key)) {
        st = TDSA_FAIL(err, TDSA_E_WRAPPING, "encryptor %.60s does not give back what it wrapped",
                       e->name);
    }
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_begin(wrapped, WRAP_LABEL);
    tdsa_stmt_octets(wrapped, e->kcv, KS_KCV_LEN);
    tdsa_stmt_octets(wrapped, bytes, out.len);
    return tdsa_buf_check(wrapped, err);
}

static tdsa_status plugin_unwrap(ks_encryptor *base, const char *pin, size_t pin_len,
                                 const uint8_t *wrapped, size_t wrapped_len, tdsa_secret **data_key,
                                 tdsa_err *err)
{
    plugin *e = self(base);
    tdsa_reader r = tdsa_reader_of(wrapped, wrapped_len);
    uint8_t kcv[KS_KCV_LEN];
    const uint8_t *bytes = NULL;
    size_t len = 0;
    tdsa_status st;

    (void)pin;
    (void)pin_len;
    *data_key = NULL;
    tdsa_stmt_expect(&r, WRAP_LABEL);
    tdsa_stmt_read_exact(&r, kcv, sizeof kcv);
    bytes = tdsa_stmt_read_octets(&r, &len, TDSA_ENCRYPTOR_WRAPPED_MAX);
    if (tdsa_reader_finish(&r, "wrapped data key", err) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "the wrapped data key is damaged");
    }
    st = ks_kcv_compare(kcv, e->kcv, "wrapping key", err);
    return st == TDSA_OK ? unwrap_bytes(e, bytes, len, data_key, err) : st;
}

const ks_encryptor_ops ks_encryptor_plugin = {
    .needs_login = false,
    .open = plugin_open,
    .close = plugin_close,
    .wrap = plugin_wrap,
    .unwrap = plugin_unwrap,
};
