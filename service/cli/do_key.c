#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "cli/cli.h"
#include "cli/file.h"
#include "cli/table.h"
#include "cli/term.h"

/* Keys: listing, showing, making, resharing, deleting; their public keys. */

#define PAGE "500"

/* One request about the key that the command names; shows the answer. */
static tdsa_status ask_and_show(cli *c, const cli_request *in, tdsa_err *err)
{
    json_t *doc = NULL;
    const tdsa_status st = cli_ask(c, in, &doc, err);

    if (st == TDSA_OK) {
        cli_show(c, doc);
    }
    json_decref(doc);
    return st;
}

tdsa_status cli_do_info(cli *c, tdsa_err *err)
{
    const cli_request in = {"GET", "/v1/info", NULL};

    return ask_and_show(c, &in, err);
}

/* ---- list ---- */

/* All pages in one document. */
static tdsa_status read_pages(cli *c, json_t *keys, tdsa_err *err)
{
    char after[128] = "";

    for (;;) {
        TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
        cli_request in = {"GET", NULL, NULL};
        json_t *doc = NULL;
        tdsa_status st;
        bool more;

        tdsa_buf_append_str(&target, "/v1/keys");
        cli_target_query(&target, "limit", PAGE);
        cli_target_query(&target, "after", after[0] != '\0' ? after : NULL);
        cli_target_query(&target, "state", cli_given(c, CLI_OPT_ALL) ? "all" : NULL);
        in.target = cli_target_text(&target);
        st = cli_ask(c, &in, &doc, err);
        if (st != TDSA_OK) {
            return st;
        }
        (void)json_array_extend(keys, json_object_get(doc, "keys"));
        more = strcmp(cli_text(doc, "next"), after) > 0; /* cursors ascend: no answer loops */
        (void)snprintf(after, sizeof after, "%s", cli_text(doc, "next"));
        json_decref(doc);
        if (!more) {
            return TDSA_OK;
        }
    }
}

static void put_keys(cli *c, const json_t *keys)
{
    static const char *const titles[] = {"KEY", "CURVE", "SCHEME", "STATE", "OF", "LABEL"};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    cli_table t;

    cli_table_init(&t, sizeof titles / sizeof titles[0]);
    t.heading = true;
    for (size_t i = 0; i < t.columns; i++) {
        cli_table_cell(&t, titles[i]);
    }
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        char of[48];

        (void)snprintf(of, sizeof of, "(%lld,%lld)",
                       (long long)json_integer_value(json_object_get(k, "participants")),
                       (long long)json_integer_value(json_object_get(k, "threshold")));
        cli_table_cell(&t, cli_text(k, "keyId"));
        cli_table_cell(&t, cli_text(k, "curve"));
        cli_table_cell(&t, cli_text(k, "scheme"));
        cli_table_cell(&t, cli_text(k, "state"));
        cli_table_cell(&t, of);
        cli_table_cell(&t, cli_text(k, "label"));
    }
    cli_table_put(&t, &out, cli_colours(stdout));
    cli_print(c, out.data, out.len);
    cli_table_clear(&t);
}

tdsa_status cli_do_key_list(cli *c, tdsa_err *err)
{
    json_t *doc = json_object();
    json_t *keys = json_array();
    tdsa_status st = read_pages(c, keys, err);

    (void)json_object_set(doc, "keys", keys);
    if (st == TDSA_OK && c->json) {
        cli_show(c, doc);
    } else if (st == TDSA_OK) {
        put_keys(c, keys);
    }
    json_decref(keys);
    json_decref(doc);
    return st;
}

/* ---- one key ---- */

/* A request to "/v1/keys/<KEY><rest>"; body is taken. */
static tdsa_status about_key(cli *c, const char *method, const char *rest, json_t *body,
                             tdsa_err *err)
{
    TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
    cli_request in = {method, NULL, body};
    tdsa_status st;

    cli_target_key(&target, c->args.word[0], rest);
    in.target = cli_target_text(&target);
    st = ask_and_show(c, &in, err);
    json_decref(body);
    return st;
}

tdsa_status cli_do_key_show(cli *c, tdsa_err *err)
{
    return about_key(c, "GET", "", NULL, err);
}

tdsa_status cli_do_key_create(cli *c, tdsa_err *err)
{
    json_t *body = cli_body(c, ~UINT64_C(0));
    const bool only = cli_given(c, CLI_OPT_REGISTER_ONLY);
    const cli_request in = {"POST", only ? "/v1/keys" : "/v1/keys:generate", body};
    tdsa_status st;

    if (c->args.word_count > 0) {
        (void)json_object_set_new(body, "keyId", json_string(c->args.word[0]));
    }
    st = ask_and_show(c, &in, err);
    json_decref(body);
    return st;
}

tdsa_status cli_do_key_reshare(cli *c, tdsa_err *err)
{
    return about_key(c, "POST", "/reshare", cli_body(c, ~UINT64_C(0)), err);
}

tdsa_status cli_do_key_delete(cli *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
    cli_request in = {"DELETE", NULL, NULL};
    char question[160];

    (void)snprintf(
        question, sizeof question, "Delete the key %.64s at every participant%s?", c->args.word[0],
        cli_given(c, CLI_OPT_GRACE) && c->args.number[CLI_OPT_GRACE] == 0 ? ", at once and for ever"
                                                                          : "");
    if (!cli_given(c, CLI_OPT_YES)) {
        const tdsa_status st = cli_confirm(question, err);

        if (st != TDSA_OK) {
            return st;
        }
    }
    cli_target_key(&target, c->args.word[0], "");
    cli_target_query(&target, "graceSeconds", c->args.value[CLI_OPT_GRACE]);
    in.target = cli_target_text(&target);
    return ask_and_show(c, &in, err);
}

tdsa_status cli_do_key_undelete(cli *c, tdsa_err *err)
{
    return about_key(c, "POST", "/undelete", NULL, err);
}

tdsa_status cli_do_key_limit(cli *c, tdsa_err *err)
{
    char *end = NULL;
    const char *text = c->args.word[1];
    const long long limit = strtoll(text, &end, 10);

    if (text[0] == '\0' || *end != '\0') {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.40s is no number", text);
    }
    return about_key(c, "PUT", "/presignature-limit",
                     json_pack("{s:I}", "limit", (json_int_t)limit), err);
}

/* ---- public keys ---- */

static tdsa_status ask_public(cli *c, const char *rest, json_t **doc, tdsa_err *err)
{
    TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
    cli_request in = {"GET", NULL, NULL};

    cli_target_key(&target, c->args.word[0], rest);
    cli_target_query(&target, "path", c->args.value[CLI_OPT_PATH]);
    in.target = cli_target_text(&target);
    return cli_ask(c, &in, doc, err);
}

/* spki is DER where a file is asked for. */
static tdsa_status form_of(tdsa_buf *out, const json_t *doc, const char *format, bool file,
                           tdsa_err *err)
{
    const char *text = cli_text(doc, format);

    if (text[0] == '\0') {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "keys of this curve have no form %s", format);
    }
    if (file && strcmp(format, "spki") == 0) {
        return tdsa_base64_decode(out, text, strlen(text), NULL, err);
    }
    tdsa_buf_append_str(out, text);
    if (strcmp(format, "pem") != 0) { /* which ends its line itself */
        tdsa_buf_append_u8(out, '\n');
    }
    return tdsa_buf_check(out, err);
}

static tdsa_status put_public_key(cli *c, json_t *doc, tdsa_err *err)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    const char *file = c->args.value[CLI_OPT_OUT];
    const char *format = c->args.value[CLI_OPT_FORMAT];
    tdsa_status st = TDSA_OK;

    if (file != NULL || !c->json) {
        st = form_of(&out, doc, format != NULL ? format : "pem", file != NULL, err);
    }
    if (st == TDSA_OK && file != NULL) {
        st = cli_write_file(file, out.data, out.len, CLI_PUBLIC, err);
    } else if (st == TDSA_OK) {
        cli_print(c, out.data, out.len);
    }
    if (st == TDSA_OK && c->json) {
        cli_show(c, doc);
    }
    return st;
}

tdsa_status cli_do_key_public_key(cli *c, tdsa_err *err)
{
    json_t *doc = NULL;
    tdsa_status st = ask_public(c, "/public-key", &doc, err);

    if (st == TDSA_OK) {
        st = put_public_key(c, doc, err);
    }
    json_decref(doc);
    return st;
}

tdsa_status cli_do_key_xpub(cli *c, tdsa_err *err)
{
    json_t *doc = NULL;
    const tdsa_status st = ask_public(c, "/xpub", &doc, err);

    if (st == TDSA_OK && c->json) {
        cli_show(c, doc);
    } else if (st == TDSA_OK) {
        cli_print_line(c, cli_text(doc, "xpub"));
    }
    json_decref(doc);
    return st;
}
