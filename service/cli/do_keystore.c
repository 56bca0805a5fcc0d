#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/file.h"
#include "cli/own.h"
#include "cli/term.h"

/* tdsa keystore ...: the keys of the rows of a participant's database, on its machine. */

#define FOLLOW_USUAL_S 10
#define FOLLOW_MAX_S   3600

static void put(json_t *doc, const char *name, json_t *value)
{
    (void)json_object_set_new(doc, name, value);
}

/* Opens the store of --config. */
static tdsa_status open_own(cli *c, cli_own *o, bool unlock, tdsa_err *err)
{
    const char *file = NULL;
    ks_cfg store;
    tdsa_status st = cli_own_file(&file, c, err);

    c->hint = "";
    if (st == TDSA_OK) {
        st = cli_own_load(o, c, file, err);
    }
    if (st == TDSA_OK) {
        store = cli_own_cfg(o);
        st = cli_own_open(o, &store, err);
    }
    return st == TDSA_OK && unlock ? cli_own_unlock(o, c->args.value[CLI_OPT_PIN_FILE], err) : st;
}

static tdsa_status put_status(cli_own *o, json_t *doc, tdsa_err *err)
{
    ks_data_key_info info;
    tdsa_status st = ks_data_key_status(o->store, &info, err);

    if (st != TDSA_OK) {
        return st;
    }
    put(doc, "dataKey", json_integer((json_int_t)info.number));
    put(doc, "encryptor", json_string(info.encryptor));
    put(doc, "checkValue",
        info.check_value[0] != '\0' ? json_string(info.check_value) : json_null());
    put(doc, "rotating", json_boolean(info.rotating));
    if (info.rotating) {
        put(doc, "oldDataKey", json_integer((json_int_t)info.old_number));
        put(doc, "rowsLeft", json_integer((json_int_t)info.rows_left));
    }
    put(doc, "finished", json_boolean(!info.rotating && !info.chained));
    return TDSA_OK;
}

/* Shows the status together with what the document says already. */
static tdsa_status show(cli *c, cli_own *o, json_t *doc, tdsa_err *err)
{
    tdsa_status st = put_status(o, doc, err);

    if (st == TDSA_OK) {
        cli_show(c, doc);
    }
    return st;
}

tdsa_status cli_do_keystore_status(cli *c, tdsa_err *err)
{
    cli_own o = {.store = NULL};
    json_t *doc = json_object();
    tdsa_status st = open_own(c, &o, false, err);

    if (st == TDSA_OK) {
        st = show(c, &o, doc, err);
    }
    json_decref(doc);
    cli_own_close(&o);
    return st;
}

/* ---- a new data key ---- */

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    cli_progress *bar = ctx;

    bar->total = total > 0 ? total : 1;
    cli_progress_step(bar, done);
}

static tdsa_status read_follow(const cli *c, uint32_t *ms, tdsa_err *err)
{
    const int64_t seconds =
        cli_given(c, CLI_OPT_FOLLOW) ? c->args.number[CLI_OPT_FOLLOW] : FOLLOW_USUAL_S;

    *ms = 0;
    if (seconds < 0 || seconds > FOLLOW_MAX_S) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--follow is 0 to %d seconds", FOLLOW_MAX_S);
    }
    *ms = (uint32_t)seconds * 1000u;
    return TDSA_OK;
}

static void put_rotation(json_t *doc, const ks_rotation *r)
{
    put(doc, "rows", json_integer((json_int_t)r->rows));
    put(doc, "damagedBatches", json_integer((json_int_t)r->damaged));
    put(doc, "resumed", json_boolean(r->resumed));
}

static tdsa_status rotate(cli *c, cli_own *o, json_t *doc, tdsa_err *err)
{
    cli_progress bar;
    ks_rotation r = {.progress = on_progress, .ctx = &bar};
    char detail[96];
    tdsa_status st = read_follow(c, &r.follow_ms, err);

    r.pin = cli_own_pin(o, &r.pin_len);
    if (st == TDSA_OK) {
        st = cli_own_record(o, "keystore.rotate-data-key", "begins", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    cli_progress_begin(&bar, c->quiet, "rows", 1);
    st = ks_rotate_data_key(o->store, &r, err);
    cli_progress_end(&bar);
    if (st == TDSA_OK) {
        (void)snprintf(detail, sizeof detail, "data key %u, %llu rows%s", r.number,
                       (unsigned long long)r.rows, r.resumed ? ", resumed" : "");
        put_rotation(doc, &r);
        st = cli_own_record(o, "keystore.rotate-data-key", detail, err);
    }
    return st;
}

tdsa_status cli_do_keystore_rotate_data_key(cli *c, tdsa_err *err)
{
    cli_own o = {.store = NULL};
    json_t *doc = json_object();
    tdsa_status st = open_own(c, &o, true, err);

    if (st == TDSA_OK) {
        st = rotate(c, &o, doc, err);
    }
    if (st == TDSA_OK) {
        st = show(c, &o, doc, err);
    }
    json_decref(doc);
    cli_own_close(&o);
    return st;
}

/* ---- a new wrapping key ---- */

static tdsa_status renew(cli *c, cli_own *o, json_t *doc, tdsa_err *err)
{
    ks_new_wrapping_key w = {.destroy_old = cli_given(c, CLI_OPT_DESTROY_OLD)};
    char detail[96];
    tdsa_status st = TDSA_OK;

    if (w.destroy_old && !cli_given(c, CLI_OPT_YES)) {
        st =
            cli_confirm("Destroy the old wrapping key? Copies of the database made before now will "
                        "never open again.",
                        err);
    }
    if (st == TDSA_OK) {
        st = cli_own_record(o, "keystore.rotate-wrapping-key",
                            w.destroy_old ? "begins, and will destroy the old key" : "begins", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    w.pin = cli_own_pin(o, &w.pin_len);
    st = ks_rotate_wrapping_key(o->store, &w, err);
    if (st == TDSA_OK) {
        (void)snprintf(detail, sizeof detail, "check value %s after %s", w.check_value,
                       w.old_check_value);
        put(doc, "oldCheckValue", json_string(w.old_check_value));
        put(doc, "oldKey", json_string(w.destroy_old ? "destroyed" : "kept"));
        st = cli_own_record(o, "keystore.rotate-wrapping-key", detail, err);
    }
    return st;
}

tdsa_status cli_do_keystore_rotate_wrapping_key(cli *c, tdsa_err *err)
{
    cli_own o = {.store = NULL};
    json_t *doc = json_object();
    tdsa_status st = open_own(c, &o, true, err);

    if (st == TDSA_OK) {
        st = renew(c, &o, doc, err);
    }
    if (st == TDSA_OK) {
        st = show(c, &o, doc, err);
    }
    json_decref(doc);
    cli_own_close(&o);
    return st;
}

/* ---- another encryptor ---- */

typedef struct {
    cli *c;
    cli_own old, next;
    ks_rotation rotation;
    ks_cfg cfg; /* the database of the old, the encryptor of the new */
    cli_progress bar;
    json_t *doc;
} changing;

/* The encryptor of the second file for the database of the first. */
static void join(changing *w)
{
    const ks_cfg next = cli_own_cfg(&w->next);

    w->cfg = cli_own_cfg(&w->old);
    w->cfg.encryptor = next.encryptor;
    w->cfg.encryption_key = next.encryption_key;
    w->cfg.wrapping_uri = next.wrapping_uri;
    w->cfg.create_wrapping_key = next.create_wrapping_key;
    w->cfg.plugin_name = next.plugin_name;
    w->cfg.plugin_folder = next.plugin_folder;
    w->cfg.plugin_arguments = next.plugin_arguments;
    w->cfg.plugin_argument_count = next.plugin_argument_count;
}

static tdsa_status load_both(changing *w, tdsa_err *err)
{
    const char *file = NULL;
    tdsa_status st = cli_own_file(&file, w->c, err);

    w->c->hint = "";
    if (st == TDSA_OK) {
        st = cli_own_load(&w->old, w->c, file, err);
    }
    if (st == TDSA_OK) {
        st = cli_own_load(&w->next, w->c, w->c->args.value[CLI_OPT_TO], err);
        if (st != TDSA_OK) {
            st = tdsa_err_wrap(err, "--to");
        }
    }
    if (st == TDSA_OK) {
        st = read_follow(w->c, &w->rotation.follow_ms, err);
    }
    if (st == TDSA_OK) {
        join(w);
    }
    return st;
}

static tdsa_status open_old(changing *w, tdsa_err *err)
{
    const ks_cfg store = cli_own_cfg(&w->old);
    tdsa_status st = cli_own_open(&w->old, &store, err);

    return st == TDSA_OK ? cli_own_unlock(&w->old, w->c->args.value[CLI_OPT_PIN_FILE], err) : st;
}

/* The first file does not fit any more: the change was made before, perhaps not to its end. */
static tdsa_status open_changed(changing *w, tdsa_err *err)
{
    const tdsa_err first = *err;
    tdsa_err second;
    tdsa_status st;

    w->cfg.takes_clear = true;
    st = cli_own_open(&w->next, &w->cfg, &second);
    if (st == TDSA_OK) {
        st = cli_own_unlock(&w->next, w->c->args.value[CLI_OPT_NEW_PIN_FILE], &second);
    }
    if (st != TDSA_OK) { /* neither: what is wrong with the first says more */
        *err = first;
        st = first.status;
    }
    return st;
}

/* Seals what an earlier change left in clear. */
static tdsa_status go_on(changing *w, tdsa_err *err)
{
    ks_data_key_info info;
    tdsa_status st = ks_data_key_status(w->next.store, &info, err);

    put(w->doc, "changed", json_false());
    if (st != TDSA_OK || !(info.rotating || info.chained)) {
        return st;
    }
    st = cli_own_record(&w->next, "keystore.change-encryptor", "goes on", err);
    w->rotation.pin = cli_own_pin(&w->next, &w->rotation.pin_len);
    if (st == TDSA_OK) {
        cli_progress_begin(&w->bar, w->c->quiet, "rows", 1);
        st = ks_rotate_data_key(w->next.store, &w->rotation, err);
        cli_progress_end(&w->bar);
    }
    if (st == TDSA_OK) {
        put_rotation(w->doc, &w->rotation);
    }
    return st;
}

/* Asks for the PIN of the new token when neither its URI nor a file has it; nothing is changed then. */
static tdsa_status rewrap(changing *w, tdsa_err *err)
{
    const char *file = w->c->args.value[CLI_OPT_NEW_PIN_FILE];
    const cli_secret_source source = {"PIN of the new token", "--new-pin-file", file, false};
    ks_rewrapping how = {.cfg = &w->cfg, .rotation = &w->rotation};
    tdsa_status st = TDSA_E_LOGIN;

    how.old_pin = cli_own_pin(&w->old, &how.old_pin_len);
    if (file == NULL) {
        st = ks_rewrap(w->old.store, &how, err);
    }
    if (st == TDSA_E_LOGIN && w->cfg.encryptor == KS_ENCRYPTOR_PKCS11) {
        st = cli_read_secret(&w->next.pin, &source, err);
        how.pin = cli_own_pin(&w->next, &how.pin_len);
        st = st == TDSA_OK ? ks_rewrap(w->old.store, &how, err) : st;
    }
    return st;
}

static tdsa_status change(changing *w, tdsa_err *err)
{
    char detail[160];
    ks_data_key_info info;
    tdsa_status st = ks_data_key_status(w->old.store, &info, err);

    if (st == TDSA_OK) {
        (void)snprintf(detail, sizeof detail, "begins, from %.60s", info.encryptor);
        st = cli_own_record(&w->old, "keystore.change-encryptor", detail, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    cli_progress_begin(&w->bar, w->c->quiet, "rows", 1);
    st = rewrap(w, err);
    cli_progress_end(&w->bar);
    if (st != TDSA_OK) {
        return st;
    }
    put(w->doc, "changed", json_true());
    put(w->doc, "oldEncryptor", json_string(info.encryptor));
    put(w->doc, "rows", json_integer((json_int_t)w->rotation.rows));
    st = ks_data_key_status(w->old.store, &info, err);
    if (st == TDSA_OK) {
        (void)snprintf(detail, sizeof detail, "to %.60s, check value %s", info.encryptor,
                       info.check_value);
        st = cli_own_record(&w->old, "keystore.change-encryptor", detail, err);
    }
    return st;
}

tdsa_status cli_do_keystore_change_encryptor(cli *c, tdsa_err *err)
{
    changing w = {.c = c, .doc = json_object()};
    cli_own *shown = &w.old;
    tdsa_status st;

    w.rotation.progress = on_progress;
    w.rotation.ctx = &w.bar;
    st = load_both(&w, err);
    if (st == TDSA_OK) {
        st = open_old(&w, err);
        if (st == TDSA_E_WRAPPING) {
            st = open_changed(&w, err);
            shown = &w.next;
        }
        if (st == TDSA_OK) {
            st = shown == &w.next ? go_on(&w, err) : change(&w, err);
        }
    }
    if (st == TDSA_OK) {
        st = show(c, shown, w.doc, err);
    }
    json_decref(w.doc);
    cli_own_close(&w.old);
    cli_own_close(&w.next);
    return st;
}
