#define _GNU_SOURCE 1 /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "cli/cli.h"
#include "cli/file.h"
#include "cli/package.h"
#include "cli/pubkey.h"
#include "cli/report.h"
#include "cli/term.h"
#include "cli/token.h"

/* tdsa recovery recover: offline, with the RSA key from a file or in a token. */

/* Who decrypts. */
typedef struct {
    tdsa_rsa_key *key;
    cli_token *token;
    cli_progress bar;
    uint64_t done;
} decrypter;

static tdsa_status open_one(void *ctx, tdsa_buf *out, const tdsa_rsa_sealed *s, tdsa_err *err)
{
    decrypter *d = (decrypter *)ctx;

    d->done++;
    d->bar.total = d->done > d->bar.total ? d->done : d->bar.total;
    cli_progress_step(&d->bar, d->done);
    return d->token != NULL ? cli_token_decrypt(d->token, out, s, err)
                            : tdsa_rsa_decrypt(out, d->key, s, err);
}

static bool is_encrypted(const tdsa_buf *file)
{
    return memmem(file->data, file->len, "ENCRYPTED", 9) != NULL;
}

/* The passphrase as the text that OpenSSL wants. */
static tdsa_status read_passphrase(const cli *c, tdsa_secret **out, tdsa_err *err)
{
    const cli_secret_source source = {"passphrase of the RSA key", "--passphrase-file",
                                      c->args.value[CLI_OPT_PASSPHRASE_FILE], false};
    TDSA_SCOPED_SECRET line = NULL;
    tdsa_status st = cli_read_secret(&line, &source, err);

    if (st == TDSA_OK) {
        st = tdsa_secret_new(out, tdsa_secret_len(line) + 1, err);
    }
    if (st == TDSA_OK) {
        memcpy(tdsa_secret_bytes(*out), tdsa_secret_view(line), tdsa_secret_len(line));
    }
    return st;
}

static tdsa_status open_file(const cli *c, decrypter *d, tdsa_err *err)
{
    TDSA_SCOPED_BUF file = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET passphrase = NULL;
    tdsa_status st = cli_read_file(&file, c->args.value[CLI_OPT_KEY], TDSA_RSA_KEY_LEN_MAX, err);

    if (st == TDSA_OK && file.len == 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the file of the RSA key is empty");
    }
    if (st == TDSA_OK && (cli_given(c, CLI_OPT_PASSPHRASE_FILE) || is_encrypted(&file))) {
        st = read_passphrase(c, &passphrase, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_rsa_key_new(
            &d->key, file.data, file.len,
            passphrase != NULL ? (const char *)tdsa_secret_view(passphrase) : NULL, err);
    }
    return st;
}

static tdsa_status open_decrypter(const cli *c, decrypter *d, tdsa_err *err)
{
    const char *uri = c->args.value[CLI_OPT_PKCS11_URI];

    if ((uri != NULL) == cli_given(c, CLI_OPT_KEY)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the RSA key is --key FILE or --pkcs11-uri URI");
    }
    return uri != NULL ? cli_token_open(&d->token, uri, c->args.value[CLI_OPT_PIN_FILE], err)
                       : open_file(c, d, err);
}

/* The infos of one certificate: the one named, or the only one there is. */
static tdsa_status choose(const cli *c, cli_package *p, size_t *others, tdsa_err *err)
{
    TDSA_SCOPED_BUF file = TDSA_BUF_EMPTY;
    const char *path = c->args.value[CLI_OPT_CERTIFICATE];
    tdsa_rsa_cert *cert = NULL;
    const cli_info *first = NULL;
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < p->count; i++) {
        const cli_info *info = &p->infos[i];

        if (info->readable && first == NULL) {
            first = info;
        }
        if (path == NULL && info->readable &&
            memcmp(info->info.certificate, first->info.certificate, 32) != 0) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                             "there are infos under several certificates: say with --certificate "
                             "which the key belongs to");
        }
    }
    if (path == NULL) {
        *others = first != NULL ? cli_package_keep(p, first->info.certificate) : 0;
        return TDSA_OK;
    }
    st = cli_read_file(&file, path, 2 * TDSA_RSA_CERT_LEN_MAX, err);
    if (st == TDSA_OK && file.len == 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the certificate is empty");
    }
    if (st == TDSA_OK) {
        st = tdsa_rsa_cert_read(&cert, file.data, file.len, err);
    }
    if (st == TDSA_OK) {
        *others = cli_package_keep(p, tdsa_rsa_cert_facts(cert)->sha256);
    }
    tdsa_rsa_cert_free(cert);
    return st;
}

/* The public key of an info that is the wanted one. */
static tdsa_status find_wanted(const cli *c, const cli_package *p, const grp_point **out,
                               tdsa_err *err)
{
    const char *path = c->args.value[CLI_OPT_PUBLIC_KEY];
    tdsa_status st = TDSA_OK;
    bool is = false;

    *out = NULL;
    for (size_t i = 0; path != NULL && st == TDSA_OK && !is && i < p->count; i++) {
        const cli_pubkey key = {p->g, &p->infos[i].info.context.y};

        if (p->infos[i].readable) {
            st = cli_pubkey_is(&is, &key, path, err);
            *out = is ? key.y : NULL;
        }
    }
    return st == TDSA_OK && path != NULL && !is
               ? TDSA_FAIL(err, TDSA_E_VERIFY, "no info is of the key in %.100s", path)
               : st;
}

static tdsa_status write_keys(const cli *c, const cli_package *p, const mpc_recovered *r,
                              tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    const char *cc_path = c->args.value[CLI_OPT_CHAIN_CODE_OUT];
    tdsa_status st = mpc_recovery_put_key(&text, p->g, r->x, err);

    if (st == TDSA_OK) {
        st = cli_write_file(c->args.value[CLI_OPT_OUT], text.data, text.len, CLI_SECRET, err);
    }
    if (st != TDSA_OK || cc_path == NULL) {
        return st;
    }
    if (!r->has_cc) {
        return TDSA_FAIL(err, TDSA_E_VERIFY, "the key is written, but no info has its chain code");
    }
    tdsa_buf_reset(&text);
    tdsa_hex_encode(&text, r->cc, sizeof r->cc);
    tdsa_buf_append_u8(&text, '\n');
    st = tdsa_buf_check(&text, err);
    return st == TDSA_OK ? cli_write_file(cc_path, text.data, text.len, CLI_SECRET, err) : st;
}

/* Infos that can be read go to the front, as mpc_recovery_recover wants them side by side. */
static size_t gather(cli_package *p, mpc_recovery_info *out)
{
    size_t count = 0;

    for (size_t i = 0; i < p->count; i++) {
        if (p->infos[i].readable) {
            const cli_info swap = p->infos[count];

            p->infos[count] = p->infos[i];
            p->infos[i] = swap;
            out[count] = p->infos[count].info;
            count++;
        }
    }
    return count;
}

static tdsa_status recover(cli *c, cli_package *p, decrypter *d, tdsa_err *err)
{
    mpc_recovery_verdict *verdicts = calloc(p->count + 1, sizeof *verdicts);
    mpc_recovery_info *infos = calloc(p->count + 1, sizeof *infos);
    mpc_recovery_asked asked = {.g = p->g, .infos = infos};
    const mpc_recovery_opener opener = {open_one, d};
    mpc_recovered r = {.x = NULL};
    size_t others = 0;
    tdsa_status st = verdicts == NULL || infos == NULL
                         ? TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the package")
                         : choose(c, p, &others, err);

    if (st == TDSA_OK) {
        asked.count = gather(p, infos);
        st = asked.count == 0 ? cli_report_blame(p, err) : find_wanted(c, p, &asked.y, err);
    }
    if (st == TDSA_OK) {
        cli_progress_begin(&d->bar, c->quiet, "decryptions", infos[0].context.t + 2u);
        st = mpc_recovery_recover(&r, verdicts, &asked, &opener, err);
        cli_progress_end(&d->bar);
        for (size_t i = 0; i < asked.count; i++) {
            if (verdicts[i].why[0] != '\0') {
                cli_info_blame(&p->infos[i], verdicts[i].why);
            }
        }
        if (st == TDSA_E_LIMIT || st == TDSA_E_NOT_FOUND) { /* too few that are good */
            err->status = TDSA_E_VERIFY;
            st = TDSA_E_VERIFY;
        }
        if (st == TDSA_OK) {
            st = write_keys(c, p, &r, err);
        }
        if (st == TDSA_OK || st == TDSA_E_VERIFY) {
            cli_report(c, p, &(cli_report_facts){false, others, verdicts});
        }
    }
    mpc_recovered_clear(&r);
    free(verdicts);
    free(infos);
    return st;
}

tdsa_status cli_do_recovery_recover(cli *c, tdsa_err *err)
{
    decrypter d = {NULL, NULL, {false, "", 0, 0}, 0};
    cli_package p = {NULL, NULL, 0};
    tdsa_status st = cli_package_read(&p, c->args.word, c->args.word_count, err);

    if (st == TDSA_OK) {
        st = open_decrypter(c, &d, err);
    }
    if (st == TDSA_OK) {
        c->hint = "";
        st = recover(c, &p, &d, err);
    }
    cli_token_close(d.token);
    tdsa_rsa_key_free(d.key);
    cli_package_clear(&p);
    return st;
}
