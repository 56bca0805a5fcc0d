#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/term.h"

/* Presignatures. */

#define PRESIGN_STEP 256 /* of one request, so that a bar moves and no request takes long */
#define COUNT_MAX    INT64_C(100000000)

static int64_t number_of(const json_t *doc, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(doc, name));
}

/* How many presignatures one request may ask for. */
static tdsa_status read_step(cli *c, int64_t *out, tdsa_err *err)
{
    const cli_request in = {"GET", "/v1/info", NULL};
    json_t *doc = NULL;
    const tdsa_status st = cli_ask(c, &in, &doc, err);
    const int64_t most = number_of(json_object_get(doc, "limits"), "presignaturesPerRequest");

    *out = most > 0 && most < PRESIGN_STEP ? most : PRESIGN_STEP;
    json_decref(doc);
    return st;
}

static tdsa_status presign_once(cli *c, int64_t count, json_t **doc, tdsa_err *err)
{
    json_t *body = json_pack("{s:I}", "count", (json_int_t)count);
    tdsa_status st;

    json_decref(*doc);
    *doc = NULL;
    st = cli_post_key(c, "/presignatures", body, doc, err);
    json_decref(body);
    return st;
}

tdsa_status cli_do_key_presign(cli *c, tdsa_err *err)
{
    const int64_t count = c->args.number[CLI_OPT_COUNT];
    int64_t made = 0, step = 0;
    json_t *doc = NULL;
    cli_progress bar;
    tdsa_status st;

    if (count < 1 || count > COUNT_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--count is 1 to %" PRId64, COUNT_MAX);
    }
    st = read_step(c, &step, err);
    if (st != TDSA_OK) {
        return st;
    }
    cli_progress_begin(&bar, c->quiet, "presignatures", (uint64_t)count);
    while (st == TDSA_OK && made < count) {
        const int64_t next = count - made < step ? count - made : step;

        st = presign_once(c, next, &doc, err);
        made += st == TDSA_OK ? next : 0;
        cli_progress_step(&bar, (uint64_t)made);
    }
    cli_progress_end(&bar);
    if (st == TDSA_OK) {
        (void)json_object_set_new(doc, "made", json_integer((json_int_t)made));
        cli_show(c, doc);
    } else if (made > 0) {
        st = tdsa_err_wrap(err, "after %" PRId64 " of %" PRId64 " were made", made, count);
    }
    json_decref(doc);
    return st;
}

tdsa_status cli_do_key_stock(cli *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
    const bool drop = cli_given(c, CLI_OPT_DROP);
    cli_request in = {drop ? "DELETE" : "GET", NULL, NULL};
    json_t *doc = NULL;
    tdsa_status st = TDSA_OK;

    if (drop && cli_given(c, CLI_OPT_RANGES)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--drop and --ranges: give one of them");
    }
    if (drop && !cli_given(c, CLI_OPT_YES)) {
        st = cli_confirm("Throw all presignatures of this key away?", err);
    }
    cli_target_key(&target, c->args.word[0], "/presignatures");
    cli_target_query(&target, "ranges", c->args.value[CLI_OPT_RANGES]);
    in.target = cli_target_text(&target);
    if (st == TDSA_OK) {
        st = cli_ask(c, &in, &doc, err);
    }
    if (st == TDSA_OK) {
        cli_show(c, doc);
    }
    json_decref(doc);
    return st;
}
