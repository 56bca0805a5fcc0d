#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/exit.h"
#include "cli/file.h"
#include "cli/sign.h"
#include "cli/table.h"
#include "cli/term.h"

/* tdsa key sign --batch */

#define STEP           250u /* items of one request, of 1,000 that the API takes: so that a bar moves */
#define FILE_MAX       TDSA_BUF_LEN_MAX
#define DIGEST_HEX_MIN 40u /* SHA-1 */
#define DIGEST_HEX_MAX 128u

/* The batch file, and what became of it. */
typedef struct {
    tdsa_buf text;
    char **lines; /* lent from text */
    size_t count;
    json_t *results;
    size_t failed;
    tdsa_err first; /* of the first item that failed */
} batch;

/* The digest at the beginning of a line; sha256sum puts a backslash before names that it escapes. */
static const char *digest_of(const char *line, size_t *len)
{
    const char *digest = line + (line[0] == '\\' ? 1 : 0);

    *len = strcspn(digest, " \t\r");
    return digest;
}

static bool has_digest(const char *line)
{
    size_t len = 0;
    const char *digest = digest_of(line, &len);

    return len >= DIGEST_HEX_MIN && len <= DIGEST_HEX_MAX && len % 2 == 0 &&
           strspn(digest, "0123456789abcdefABCDEF") >= len;
}

static tdsa_status split(batch *b, tdsa_err *err)
{
    char *at = NULL;
    size_t number = 0;

    tdsa_buf_append_u8(&b->text, 0);
    b->lines = calloc(b->text.len + 1, sizeof *b->lines);
    if (b->lines == NULL || b->text.failed) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the batch");
    }
    at = (char *)b->text.data;
    while (*at != '\0') {
        const size_t len = strcspn(at, "\n");
        const bool more = at[len] != '\0';

        at[len] = '\0';
        number++;
        if (at[strspn(at, " \t\r")] != '\0') { /* blank lines are none */
            b->lines[b->count++] = at;
            if (!has_digest(at)) {
                return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                                 "line %zu of the batch does not begin with a digest in hex",
                                 number);
            }
        }
        at += len + (more ? 1 : 0);
    }
    return b->count > 0 ? TDSA_OK : TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the batch is empty");
}

static json_t *item_of(const json_t *options, const char *line)
{
    json_t *item = json_deep_copy(options);
    size_t len = 0;
    const char *digest = digest_of(line, &len);

    (void)json_object_set_new(item, "hash", json_stringn(digest, len));
    return item;
}

static void note_failure(batch *b, const json_t *error)
{
    const json_t *http = json_object_get(error, "code");

    if (b->failed++ == 0) {
        (void)TDSA_FAIL(&b->first, cli_status_of(error, (unsigned)json_integer_value(http)), "%s",
                        cli_text(error, "message"));
    }
}

static tdsa_status ask_step(cli *c, batch *b, const json_t *options, size_t from, tdsa_err *err)
{
    const size_t to = b->count - from < STEP ? b->count : from + STEP;
    json_t *items = json_array();
    json_t *body = json_pack("{s:o}", "items", items);
    json_t *doc = NULL;
    json_t *results = NULL;
    tdsa_status st;

    for (size_t i = from; i < to; i++) {
        (void)json_array_append_new(items, item_of(options, b->lines[i]));
    }
    st = cli_post_key(c, "/sign-batch", body, &doc, err);
    results = json_object_get(doc, "results");
    if (st == TDSA_OK && json_array_size(results) != to - from) {
        st = TDSA_FAIL(err, TDSA_E_PROTOCOL, "the answer has %zu results of %zu",
                       json_array_size(results), to - from);
    }
    for (size_t i = 0; st == TDSA_OK && i < to - from; i++) {
        const json_t *error = json_object_get(json_array_get(results, i), "error");

        if (error != NULL) {
            note_failure(b, error);
        }
    }
    if (st == TDSA_OK) {
        (void)json_array_extend(b->results, results);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}

/* A request failed as a whole: what others signed is shown, and its lines and those after it say why not. */
static void fail_the_rest(cli *c, batch *b, const tdsa_err *err)
{
    const size_t done = json_array_size(b->results);
    json_t *why =
        c->refusal != NULL
            ? json_incref(c->refusal)
            : json_pack("{s:s, s:s}", "error", tdsa_status_name(err->status), "message", err->text);

    for (size_t i = done; i < b->count; i++) {
        (void)json_array_append_new(b->results, json_pack("{s:O}", "error", why));
    }
    b->failed += b->count - done;
    b->first = *err;
    json_decref(why);
}

static tdsa_status ask_all(cli *c, batch *b, tdsa_err *err)
{
    json_t *options = cli_body(c, ~UINT64_C(0));
    cli_progress bar;
    tdsa_status st = TDSA_OK;

    cli_progress_begin(&bar, c->quiet, "signatures", b->count);
    for (size_t i = 0; st == TDSA_OK && i < b->count; i += STEP) {
        st = ask_step(c, b, options, i, err);
        cli_progress_step(&bar, b->count - i < STEP ? b->count : i + STEP);
    }
    cli_progress_end(&bar);
    json_decref(options);
    if (st != TDSA_OK && json_array_size(b->results) > 0) {
        fail_the_rest(c, b, err);
        st = TDSA_OK;
    }
    return st;
}

/* One line a line: the signature or the name of the error, and what stood after the digest. */
static void put_lines(tdsa_buf *out, const batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        const json_t *result = json_array_get(b->results, i);
        const json_t *error = json_object_get(result, "error");
        size_t len = 0;
        const char *digest = digest_of(b->lines[i], &len);

        if (error != NULL) {
            tdsa_buf_append_str(out, "error ");
            (void)cli_clean_put(out, cli_text(error, "error"));
        } else {
            tdsa_buf_append_str(out, cli_text(result, "signature"));
        }
        (void)cli_clean_put(out, digest + len);
        tdsa_buf_append_u8(out, '\n');
    }
}

static tdsa_status show(cli *c, const batch *b, tdsa_err *err)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    const char *file = c->args.value[CLI_OPT_OUT];
    json_t *doc = NULL;
    tdsa_status st = TDSA_OK;

    if (file != NULL || !c->json) {
        put_lines(&out, b);
        st = tdsa_buf_check(&out, err);
    }
    if (st == TDSA_OK && file != NULL) {
        st = cli_write_file(file, out.data, out.len, CLI_PUBLIC, err);
    } else if (st == TDSA_OK) {
        cli_print(c, out.data, out.len);
    }
    if (st == TDSA_OK && c->json) {
        doc = json_pack("{s:s, s:O}", "keyId", c->args.word[0], "results", b->results);
        cli_show(c, doc);
        json_decref(doc);
    }
    return st;
}

tdsa_status cli_sign_batch(cli *c, tdsa_err *err)
{
    batch b = {.text = TDSA_BUF_EMPTY, .results = json_array()};
    tdsa_status st = cli_read_file(&b.text, c->args.value[CLI_OPT_BATCH], FILE_MAX, err);

    if (st == TDSA_OK) {
        st = split(&b, err);
    }
    if (st == TDSA_OK) {
        st = ask_all(c, &b, err);
    }
    if (st == TDSA_OK) {
        st = show(c, &b, err);
    }
    if (st == TDSA_OK && b.failed > 0) {
        c->hint = "";
        st = TDSA_FAIL(err, b.first.status, "%zu of %zu were not signed; the first: %.150s",
                       b.failed, b.count, b.first.text);
    }
    json_decref(b.results);
    free(b.lines);
    tdsa_buf_clear(&b.text);
    return st;
}
