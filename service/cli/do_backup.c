#include "cli/cli.h"
#include "cli/file.h"

/* tdsa backup, tdsa restore: the share of the participant that answers. */

#define BACKUP_FILE_MAX (256u * 1024u)

static tdsa_status put_passphrase(const cli *c, json_t *body, bool twice, tdsa_err *err)
{
    const cli_secret_source source = {"passphrase of the backup", "--passphrase-file",
                                      c->args.value[CLI_OPT_PASSPHRASE_FILE], twice};
    TDSA_SCOPED_SECRET line = NULL;
    tdsa_status st = cli_read_secret(&line, &source, err);

    if (st == TDSA_OK && json_object_set_new(body, "passphrase",
                                             json_stringn((const char *)tdsa_secret_view(line),
                                                          tdsa_secret_len(line))) != 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the passphrase is no text in UTF-8");
    }
    return st;
}

tdsa_status cli_do_backup(cli *c, tdsa_err *err)
{
    json_t *body = json_object();
    json_t *doc = NULL;
    tdsa_status st = put_passphrase(c, body, true, err);

    if (st == TDSA_OK) {
        st = cli_post_key(c, "/backup", body, &doc, err);
    }
    if (st == TDSA_OK) {
        st = cli_write_document(c, doc, err);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}

tdsa_status cli_do_restore(cli *c, tdsa_err *err)
{
    json_t *body = json_object();
    const cli_request in = {"POST", "/v1/keys:restore", body};
    json_t *doc = NULL;
    json_t *backup = NULL;
    tdsa_status st = cli_read_member(&backup, c->args.word[0], BACKUP_FILE_MAX, "backup", err);

    if (st == TDSA_OK) {
        (void)json_object_set_new(body, "backup", backup);
        st = put_passphrase(c, body, false, err);
    }
    if (st == TDSA_OK) {
        st = cli_ask(c, &in, &doc, err);
    }
    if (st == TDSA_OK) {
        cli_show(c, doc);
    }
    json_decref(body);
    json_decref(doc);
    return st;
}
