#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "cli/cli.h"
#include "cli/file.h"
#include "cli/sign.h"

/* tdsa key sign */

#define MESSAGE_MAX 65536u

static const struct {
    const char *name;
    tdsa_hash_alg alg;
} algorithms[] = {{"SHA-256", TDSA_HASH_SHA256},
                  {"SHA-384", TDSA_HASH_SHA384},
                  {"SHA-512", TDSA_HASH_SHA512},
                  {"SHA-224", TDSA_HASH_SHA224},
                  {"SHA-1", TDSA_HASH_SHA1}};

static bool has_text(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));

        if (one != NULL && strcmp(one, text) == 0) {
            return true;
        }
    }
    return false;
}

/* The algorithm asked for, else the first that the key signs. */
static size_t choose_algorithm(const cli *c, const json_t *key)
{
    const json_t *allowed = json_object_get(key, "digests");
    const char *asked = c->args.value[CLI_OPT_ALGORITHM];

    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (asked != NULL ? strcmp(asked, algorithms[i].name) == 0
                          : has_text(allowed, algorithms[i].name)) {
            return i;
        }
    }
    return 0;
}

static tdsa_status put_digest_of_file(const cli *c, const json_t *key, json_t *body, tdsa_err *err)
{
    const size_t i = choose_algorithm(c, key);
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    char hex[2 * TDSA_DIGEST_LEN_MAX + 1];
    const tdsa_status st = cli_hash_file(digest, algorithms[i].alg, c->args.value[CLI_OPT_IN], err);

    if (st == TDSA_OK) {
        tdsa_hex(hex, digest, tdsa_hash_len(algorithms[i].alg));
        (void)json_object_set_new(body, "hash", json_string(hex));
        (void)json_object_set_new(body, "algorithm", json_string(algorithms[i].name));
    }
    return st;
}

static tdsa_status put_message(const cli *c, json_t *body, tdsa_err *err)
{
    TDSA_SCOPED_BUF message = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    tdsa_status st = cli_read_file(&message, c->args.value[CLI_OPT_IN], MESSAGE_MAX, err);

    if (st == TDSA_OK) {
        tdsa_base64url_encode(&text, message.data, message.len);
        st = tdsa_buf_check(&text, err);
    }
    if (st == TDSA_OK) {
        (void)json_object_set_new(
            body, "message", json_stringn(text.len > 0 ? (const char *)text.data : "", text.len));
    }
    return st;
}

static tdsa_status ask_key(cli *c, json_t **out, tdsa_err *err)
{
    TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
    cli_request in = {"GET", NULL, NULL};

    cli_target_key(&target, c->args.word[0], "");
    in.target = cli_target_text(&target);
    return cli_ask(c, &in, out, err);
}

/* The digest, the digest of the file, or the file itself: as the key wants it. */
tdsa_status cli_put_payload(cli *c, json_t *body, tdsa_err *err)
{
    const char *digest = c->args.value[CLI_OPT_DIGEST];
    json_t *key = NULL;
    tdsa_status st;

    if ((digest != NULL) == (c->args.value[CLI_OPT_IN] != NULL)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "what to sign is --in FILE, --digest HEX or --batch FILE");
    }
    if (digest != NULL) {
        (void)json_object_set_new(body, "hash", json_string(digest));
        return TDSA_OK;
    }
    st = ask_key(c, &key, err);
    if (st == TDSA_OK) {
        st = strcmp(cli_text(key, "purpose"), "message") == 0
                 ? put_message(c, body, err)
                 : put_digest_of_file(c, key, body, err);
    }
    json_decref(key);
    return st;
}

/* Hex for people, bytes for files. */
tdsa_status cli_put_signature(cli *c, json_t *doc, tdsa_err *err)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    const char *file = c->args.value[CLI_OPT_OUT];
    const char *hex = cli_text(doc, "signature");
    tdsa_status st = TDSA_OK;

    if (file != NULL) {
        st = tdsa_hex_decode(&bytes, hex, err);
        if (st == TDSA_OK) {
            st = cli_write_file(file, bytes.data, bytes.len, CLI_PUBLIC, err);
        }
    }
    if (st == TDSA_OK && c->json) {
        cli_show(c, doc);
    } else if (st == TDSA_OK && file == NULL) {
        cli_print_line(c, hex);
    }
    return st;
}

static tdsa_status sign_one(cli *c, tdsa_err *err)
{
    json_t *body = cli_body(c, ~UINT64_C(0));
    json_t *doc = NULL;
    tdsa_status st = cli_put_payload(c, body, err);

    if (st == TDSA_OK) {
        st = cli_post_key(c, "/sign", body, &doc, err);
    }
    if (st == TDSA_OK) {
        st = cli_put_signature(c, doc, err);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}

tdsa_status cli_do_key_sign(cli *c, tdsa_err *err)
{
    const bool one = cli_given(c, CLI_OPT_IN) || cli_given(c, CLI_OPT_DIGEST);

    if (one && cli_given(c, CLI_OPT_BATCH)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--batch stands alone, without --in and --digest");
    }
    return cli_given(c, CLI_OPT_BATCH) ? cli_sign_batch(c, err) : sign_one(c, err);
}
