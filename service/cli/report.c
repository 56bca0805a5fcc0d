#include "cli/report.h"

#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "cli/pubkey.h"

static int index_of(const cli_info *i)
{
    return i->readable ? (int)i->info.index : i->said;
}

tdsa_status cli_report_blame(const cli_package *p, tdsa_err *err)
{
    const cli_info *first = NULL;
    size_t corrupt = 0;

    for (size_t i = 0; i < p->count; i++) {
        if (p->infos[i].why[0] != '\0') {
            first = first == NULL ? &p->infos[i] : first;
            corrupt++;
        }
    }
    if (first == NULL) {
        return TDSA_OK;
    }
    (void)TDSA_FAIL(err, TDSA_E_VERIFY,
                    "%zu of %zu infos %s corrupt: that of participant %d: %.120s", corrupt,
                    p->count, corrupt == 1 ? "is" : "are", index_of(first), first->why);
    err->participant = index_of(first) >= 0 ? index_of(first) : TDSA_NOBODY;
    return TDSA_E_VERIFY;
}

size_t cli_package_keep(cli_package *p, const uint8_t certificate[32])
{
    const size_t before = p->count;
    char wanted[65], name[65];
    size_t kept = 0;

    tdsa_hex(wanted, certificate, 32);
    for (size_t i = 0; i < before; i++) {
        cli_info_certificate(name, &p->infos[i]);
        if (name[0] == '\0' ||
            strcmp(name, wanted) == 0) { /* who knows whose it is, is looked at */
            const cli_info keep = p->infos[i];

            p->infos[i] = p->infos[kept];
            p->infos[kept++] = keep;
        }
    }
    for (size_t i = kept; i < before; i++) {
        tdsa_buf_clear(&p->infos[i].bytes);
    }
    p->count = kept;
    return before - kept;
}

/* The key, from the first info that can be read. */
static void put_key(json_t *doc, const cli_package *p)
{
    TDSA_SCOPED_BUF hex = TDSA_BUF_EMPTY;
    const cli_info *i = p->infos;
    const mpc_recovery_context *x = NULL;
    tdsa_err err;

    while (i < p->infos + p->count && !i->readable) {
        i++;
    }
    if (i == p->infos + p->count) {
        return;
    }
    x = &i->info.context;
    (void)json_object_set_new(doc, "keyId", json_string(x->key_id));
    (void)json_object_set_new(doc, "epoch", json_integer((json_int_t)x->epoch));
    (void)json_object_set_new(doc, "curve", json_string(grp_curve_name(x->curve)));
    (void)json_object_set_new(doc, "export", json_boolean(x->use == MPC_RECOVERY_EXPORT));
    (void)json_object_set_new(doc, "threshold", json_integer(x->t));
    if (cli_pubkey_hex(&hex, &(cli_pubkey){p->g, &x->y}, &err) == TDSA_OK) {
        (void)json_object_set_new(doc, "publicKey", json_stringn((const char *)hex.data, hex.len));
    }
    tdsa_buf_reset(&hex);
    tdsa_base64url_encode(&hex, x->aux, x->aux_len);
    if (x->aux_len > 0 && !hex.failed) {
        (void)json_object_set_new(doc, "auxiliaryData",
                                  json_stringn((const char *)hex.data, hex.len));
    }
}

static json_t *info_json(const cli_info *i, const mpc_recovery_verdict *v)
{
    json_t *o = json_object();
    const bool corrupt = i->why[0] != '\0';
    const char *good = v == NULL || v->good ? "good" : "not needed";

    (void)json_object_set_new(o, "participantIndex",
                              index_of(i) >= 0 ? json_integer(index_of(i)) : json_null());
    (void)json_object_set_new(o, "verdict", json_string(corrupt ? "corrupt" : good));
    (void)json_object_set_new(o, "message", json_string(corrupt ? i->why : ""));
    return o;
}

void cli_report(cli *c, const cli_package *p, const cli_report_facts *facts)
{
    json_t *doc = json_object();
    json_t *list = json_array();

    put_key(doc, p);
    if (facts->verdicts == NULL) {
        (void)json_object_set_new(doc, "complete", json_boolean(facts->complete));
    }
    (void)json_object_set_new(doc, "otherCertificates", json_integer((json_int_t)facts->others));
    for (size_t i = 0; i < p->count; i++) {
        (void)json_array_append_new(
            list, info_json(&p->infos[i], facts->verdicts != NULL ? &facts->verdicts[i] : NULL));
    }
    (void)json_object_set_new(doc, "participants", list);
    cli_show(c, doc);
    json_decref(doc);
}
