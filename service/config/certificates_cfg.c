#include <string.h>
#include <time.h>

#include "base/encode.h"
#include "config/internal.h"
#include "config/node.h"

/* Lists of certificates that shares are encrypted under. */

static tdsa_status read_one(tdsa_rsa_cert **out, const cfg *c, const char *path,
                            const tdsa_log *log, tdsa_err *err)
{
    const char *text = cfg_str(c, path);
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    tdsa_status st = cfg_refuse_selector(c, path, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    if (text == NULL || *text == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: there is no certificate", path);
    }
    st = tdsa_base64_decode(&der, text, strlen(text), NULL, err);
    st = st != TDSA_OK ? st : tdsa_rsa_cert_new(out, der.data, der.len, err);
    if (st == TDSA_E_BAD_INPUT) {
        err->status = TDSA_E_CONFIG;
    }
    if (st != TDSA_OK) {
        return tdsa_err_wrap(err, "%s", path);
    }
    cfg_check_base64_form(text, path, log);
    return TDSA_OK;
}

static void warn(const tdsa_rsa_cert *cert, const char *path, const tdsa_log *log)
{
    const tdsa_rsa_facts *f = tdsa_rsa_cert_facts(cert);
    const int64_t now_s = (int64_t)time(NULL);

    if (f->short_key) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "%s: RSA of %u bits; %u are advised for what must stay secret for years", path,
                  f->bits, (unsigned)TDSA_RSA_BITS_ADVISED);
    }
    if (now_s < f->not_before_s || now_s > f->not_after_s) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "%s: the certificate (%s) is not valid today; it is used all the same", path,
                  f->subject);
    }
}

static tdsa_status refuse_twice(const cfg_certificates *list, size_t i, const char *path,
                                tdsa_err *err)
{
    for (size_t k = 0; k < i; k++) {
        if (memcmp(tdsa_rsa_cert_facts(list->all[k])->sha256,
                   tdsa_rsa_cert_facts(list->all[i])->sha256, 32) == 0) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: the same certificate as element %zu", path,
                             k);
        }
    }
    return TDSA_OK;
}

tdsa_status cfg_fill_certificates(cfg_certificates *out, const cfg *c, const char *path,
                                  const tdsa_log *log, tdsa_err *err)
{
    const size_t count = cfg_count(c, path);
    char element[CFG_PATH_MAX];
    tdsa_status st = TDSA_OK;

    if (count > CFG_CERTIFICATES_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s has %zu elements, at most %u", path, count,
                         CFG_CERTIFICATES_MAX);
    }
    for (size_t i = 0; i < count && st == TDSA_OK; i++) {
        (void)cfg_path(element, sizeof element, "%s[%zu]", path, i);
        st = read_one(&out->all[i], c, element, log, err);
        if (st == TDSA_OK) {
            out->count++;
            warn(out->all[i], element, log);
            st = refuse_twice(out, i, element, err);
        }
    }
    return st;
}

void cfg_certificates_clear(cfg_certificates *list)
{
    for (size_t i = 0; i < list->count; i++) {
        tdsa_rsa_cert_free(list->all[i]);
    }
    list->count = 0;
}
