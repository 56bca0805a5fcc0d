#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/file.h"
#include "cli/package.h"
#include "cli/pubkey.h"
#include "cli/report.h"
#include "cli/term.h"

/* tdsa recovery verify */

static tdsa_status read_certificate(const cli *c, tdsa_rsa_cert **out, tdsa_err *err)
{
    TDSA_SCOPED_BUF file = TDSA_BUF_EMPTY;
    tdsa_status st =
        cli_read_file(&file, c->args.value[CLI_OPT_CERTIFICATE], 2 * TDSA_RSA_CERT_LEN_MAX, err);

    *out = NULL;
    if (st == TDSA_OK && file.len == 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the certificate is empty");
    }
    if (st == TDSA_OK) {
        st = tdsa_rsa_cert_read(out, file.data, file.len, err);
    }
    if (st == TDSA_OK && tdsa_rsa_cert_facts(*out)->short_key && !c->quiet) {
        (void)fprintf(stderr, "tdsa: warning: the certificate has %u bits; %d are advised\n",
                      tdsa_rsa_cert_facts(*out)->bits, TDSA_RSA_BITS_ADVISED);
    }
    return st;
}

/* The proof of every info. */
static tdsa_status check_proofs(const cli *c, const cli_package *p, const tdsa_rsa_cert *cert,
                                tdsa_err *err)
{
    tdsa_status st = TDSA_OK;
    cli_progress bar;

    cli_progress_begin(&bar, c->quiet, "recovery infos", p->count);
    for (size_t i = 0; st == TDSA_OK && i < p->count; i++) {
        cli_info *info = &p->infos[i];

        if (info->readable) {
            st = mpc_recovery_verify_vartime(&info->info, p->g, cert, err);
        }
        if (st == TDSA_E_PROTOCOL || st == TDSA_E_BAD_INPUT) {
            cli_info_blame(info, err->text);
            st = TDSA_OK;
        }
        cli_progress_step(&bar, i + 1);
    }
    cli_progress_end(&bar);
    return st;
}

/* What no single info shows: all of one key, and every participant there. */
static tdsa_status check_whole(const cli_package *p, const tdsa_rsa_cert *cert, tdsa_err *err)
{
    mpc_recovery_info *all = calloc(p->count, sizeof *all);
    tdsa_status st;

    if (all == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the package");
    }
    for (size_t i = 0; i < p->count; i++) {
        all[i] = p->infos[i].info;
    }
    st = mpc_recovery_verify_package_vartime(all, p->count, p->g, cert, err);
    free(all);
    if (st == TDSA_E_PROTOCOL || st == TDSA_E_BAD_INPUT) {
        err->status = TDSA_E_VERIFY;
        st = TDSA_E_VERIFY;
    }
    return st;
}

static tdsa_status check_key(const cli *c, const cli_package *p, tdsa_err *err)
{
    const cli_pubkey key = {p->g, &p->infos[0].info.context.y};
    const char *path = c->args.value[CLI_OPT_PUBLIC_KEY];
    bool is = true;
    tdsa_status st = path != NULL ? cli_pubkey_is(&is, &key, path, err) : TDSA_OK;

    return st == TDSA_OK && !is
               ? TDSA_FAIL(err, TDSA_E_VERIFY, "the package is of another key than %.100s", path)
               : st;
}

static tdsa_status verify(cli *c, cli_package *p, tdsa_rsa_cert *cert, tdsa_err *err)
{
    size_t others = 0;
    tdsa_err why;
    tdsa_status st;

    others = cli_package_keep(p, tdsa_rsa_cert_facts(cert)->sha256);
    if (p->count == 0) {
        return TDSA_FAIL(err, TDSA_E_VERIFY, "no recovery info is for this certificate");
    }
    st = check_proofs(c, p, cert, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = cli_report_blame(p, &why);
    if (st == TDSA_OK) {
        st = check_whole(p, cert, &why);
    }
    if (st == TDSA_OK) {
        st = check_key(c, p, &why);
    }
    if (st != TDSA_OK && st != TDSA_E_VERIFY) {
        *err = why;
        return st;
    }
    cli_report(c, p, &(cli_report_facts){st == TDSA_OK, others, NULL});
    if (st != TDSA_OK) {
        *err = why;
    }
    return st;
}

tdsa_status cli_do_recovery_verify(cli *c, tdsa_err *err)
{
    cli_package p;
    tdsa_rsa_cert *cert = NULL;
    tdsa_status st = cli_package_read(&p, c->args.word, c->args.word_count, err);

    if (st != TDSA_OK) {
        return st;
    }
    c->hint = "";
    st = read_certificate(c, &cert, err);
    if (st == TDSA_OK) {
        st = verify(c, &p, cert, err);
    }
    tdsa_rsa_cert_free(cert);
    cli_package_clear(&p);
    return st;
}
