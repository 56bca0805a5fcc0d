#include "cli/package.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "cli/file.h"

#define FILE_MAX TDSA_BUF_LEN_MAX

void cli_info_blame(cli_info *info, const char *why)
{
    if (info->why[0] == '\0') {
        (void)snprintf(info->why, sizeof info->why, "%s", why);
    }
}

void cli_info_certificate(char out[65], const cli_info *info)
{
    if (info->readable) {
        tdsa_hex(out, info->info.certificate, sizeof info->info.certificate);
    } else {
        memcpy(out, info->certificate, sizeof info->certificate);
    }
}

/* The bytes of an info; whatever is wrong with its text is kept as the reason why it is corrupt. */
static void read_bytes(cli_info *i, const char *base64)
{
    tdsa_err err;

    if (base64 == NULL || strlen(base64) > 2 * (size_t)MPC_RECOVERY_INFO_MAX) {
        cli_info_blame(i, base64 == NULL ? "it is not there" : "it is too long");
    } else if (tdsa_base64_decode(&i->bytes, base64, strlen(base64), NULL, &err) != TDSA_OK ||
               tdsa_buf_check(&i->bytes, &err) != TDSA_OK) {
        cli_info_blame(i, err.text);
    } else if (i->bytes.len == 0) {
        cli_info_blame(i, "it is empty");
    }
}

static bool was_there(const cli_package *p, const cli_info *i)
{
    for (size_t k = 0; i->bytes.len > 0 && k < p->count; k++) {
        if (p->infos[k].bytes.len == i->bytes.len && p->infos[k].said == i->said &&
            memcmp(p->infos[k].bytes.data, i->bytes.data, i->bytes.len) == 0) {
            return true; /* the same file twice */
        }
    }
    return false;
}

static tdsa_status add_info(cli_package *p, int said, const json_t *info, tdsa_err *err)
{
    const char *certificate = json_string_value(json_object_get(info, "certificate"));
    cli_info *i = &p->infos[p->count];

    if (p->count == MPC_RECOVERY_INFOS_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "more than %u recovery infos",
                         MPC_RECOVERY_INFOS_MAX);
    }
    i->said = said;
    if (certificate != NULL && strlen(certificate) == 64) {
        memcpy(i->certificate, certificate, 65);
    }
    read_bytes(i, json_string_value(json_object_get(info, "recoveryInfo")));
    if (was_there(p, i)) {
        tdsa_buf_clear(&i->bytes);
        memset(i, 0, sizeof *i);
    } else {
        p->count++;
    }
    return TDSA_OK;
}

/* The curve that most infos name: one corrupt info does not decide for all. */
static tdsa_status open_curve(cli_package *p, tdsa_err *err)
{
    size_t votes[GRP_CURVE_END] = {0};
    unsigned best = 0;

    for (size_t i = 0; i < p->count; i++) {
        cli_info *info = &p->infos[i];
        grp_curve curve;
        tdsa_err why;

        if (info->why[0] == '\0' &&
            mpc_recovery_peek_curve(&curve, info->bytes.data, info->bytes.len, &why) == TDSA_OK) {
            votes[curve]++;
        }
    }
    for (unsigned c = 1; c < GRP_CURVE_END; c++) {
        best = votes[c] > votes[best] ? c : best;
    }
    return best == 0 ? TDSA_OK : grp_open(&p->g, (grp_curve)best, err);
}

static void decode(const cli_package *p, cli_info *i)
{
    char name[65];
    tdsa_err err;

    if (i->why[0] != '\0') {
        return;
    }
    if (p->g == NULL) {
        cli_info_blame(i, "it names no curve");
        return;
    }
    if (mpc_recovery_decode(&i->info, p->g, i->bytes.data, i->bytes.len, &err) != TDSA_OK) {
        cli_info_blame(i, err.text);
        return;
    }
    tdsa_hex(name, i->info.certificate, sizeof i->info.certificate);
    if ((i->said >= 0 && i->said != (int)i->info.index) ||
        (i->certificate[0] != '\0' && strcmp(i->certificate, name) != 0)) {
        cli_info_blame(i, "it is of another participant or certificate than the file says");
        return;
    }
    i->readable = true;
}

static tdsa_status add_participants(cli_package *p, const json_t *list, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; st == TDSA_OK && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const json_t *index = json_object_get(one, "participantIndex");
        const json_t *infos = json_object_get(one, "infos");
        const json_int_t said = json_is_integer(index) ? json_integer_value(index) : -1;

        for (size_t k = 0; st == TDSA_OK && k < json_array_size(infos); k++) {
            st = add_info(p, said >= 0 && said < (json_int_t)GRP_PARTIES_MAX ? (int)said : -1,
                          json_array_get(infos, k), err);
        }
    }
    return st;
}

static tdsa_status add_file(cli_package *p, const char *path, tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    json_t *doc = NULL;
    tdsa_status st = cli_read_file(&text, path, FILE_MAX, err);

    if (st != TDSA_OK) {
        return st;
    }
    doc = json_loadb(text.len > 0 ? (const char *)text.data : "", text.len, JSON_REJECT_DUPLICATES,
                     NULL);
    if (!json_is_array(json_object_get(doc, "participants"))) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.120s is no recovery package", path);
    } else {
        st = add_participants(p, json_object_get(doc, "participants"), err);
    }
    json_decref(doc);
    return st;
}

tdsa_status cli_package_read(cli_package *out, const char *const *files, size_t file_count,
                             tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    *out = (cli_package){NULL, calloc(MPC_RECOVERY_INFOS_MAX + 1, sizeof(cli_info)), 0};
    if (out->infos == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a recovery package");
    }
    for (size_t i = 0; st == TDSA_OK && i < file_count; i++) {
        st = add_file(out, files[i], err);
    }
    if (st == TDSA_OK && out->count == 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "there is no recovery info in it");
    }
    if (st == TDSA_OK) {
        st = open_curve(out, err);
    }
    for (size_t i = 0; st == TDSA_OK && i < out->count; i++) {
        decode(out, &out->infos[i]);
    }
    if (st != TDSA_OK) {
        cli_package_clear(out);
    }
    return st;
}

void cli_package_clear(cli_package *p)
{
    for (size_t i = 0; p->infos != NULL && i < p->count; i++) {
        tdsa_buf_clear(&p->infos[i].bytes);
    }
    free(p->infos);
    grp_close(p->g);
    *p = (cli_package){NULL, NULL, 0};
}
