#include "config/participant_cfg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/internal.h"
#include "config/node.h"

#define PEM_START "-----BEGIN "
/* What requests may ask for, whatever deletionGracePeriod is. */
#define GRACE_MIN_MS UINT64_C(86400000)
#define GRACE_MAX_MS UINT64_C(7776000000)

/* The file must be PEM: libcurl's GnuTLS flavour is given nothing else. */
static tdsa_status use_pem(char *out, size_t cap, const cfg *c, const char *path, tdsa_err *err)
{
    const char *file = cfg_str(c, path);
    char start[sizeof PEM_START] = "";
    FILE *f;

    out[0] = '\0';
    if (file == NULL || *file == '\0') {
        return TDSA_OK;
    }
    if (strlen(file) >= cap) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s is longer than %zu characters", path, cap - 1);
    }
    f = fopen(file, "re");
    if (f == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: %s cannot be opened", path, file);
    }
    if (fgets(start, (int)sizeof start, f) == NULL) {
        start[0] = '\0';
    }
    (void)fclose(f);
    if (strcmp(start, PEM_START) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%s: %s is not PEM; convert it with `openssl pkcs12 -nodes`", path, file);
    }
    memcpy(out, file, strlen(file) + 1);
    return TDSA_OK;
}

tdsa_status cfg_fill_http(peer_http_cfg *out, const cfg *c, tdsa_err *err)
{
    const char *agent = cfg_str(c, "httpClient.userAgent");
    tdsa_status st;

    out->connect_timeout_ms = (uint32_t)cfg_duration_ms(c, "httpClient.connectionTimeout");
    out->request_timeout_ms = (uint32_t)cfg_duration_ms(c, "httpClient.timeout");
    out->keep_alive_ms = (uint32_t)cfg_duration_ms(c, "httpClient.keepAlive");
    out->connections_max = (uint32_t)cfg_int(c, "httpClient.maxConnectionsPerRoute");
    out->verify_hostname = cfg_bool(c, "httpClient.tls.verifyHostname");
    if (agent == NULL || strlen(agent) >= sizeof out->user_agent ||
        strpbrk(agent, "\r\n") != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "httpClient.userAgent must be one line of at most %zu "
                         "characters",
                         sizeof out->user_agent - 1);
    }
    memcpy(out->user_agent, agent, strlen(agent) + 1);
    if (cfg_is_set(c, "httpClient.proxy.host")) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "httpClient.proxy: proxies are not supported by this version");
    }
    st = use_pem(out->ca_file, sizeof out->ca_file, c, "httpClient.tls.trustStorePath", err);
    if (st == TDSA_OK) {
        st = use_pem(out->cert_file, sizeof out->cert_file, c, "httpClient.tls.keyStorePath", err);
    }
    memcpy(out->key_file, out->cert_file, sizeof out->key_file);
    return st;
}

static tdsa_status fill_threshold(part_engine_cfg *e, const cfg *c, tdsa_err *err)
{
    const int64_t largest = (e->roster.n - 1) / 2;
    const int64_t t =
        cfg_is_set(c, "tdsaLibrary.threshold") ? cfg_int(c, "tdsaLibrary.threshold") : largest;

    if (t < 1 || t > largest) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.threshold: %u participants tolerate 1 to %d corrupt ones",
                         (unsigned)e->roster.n, (int)largest);
    }
    e->t = (uint16_t)t;
    return TDSA_OK;
}

static tdsa_status fill_stock(part_engine_cfg *e, const cfg *c, tdsa_err *err)
{
    const int64_t low = cfg_int(c, "tdsaLibrary.presignatureLowWater");
    const int64_t high = cfg_int(c, "tdsaLibrary.presignatureHighWater");

    e->presign_low = (uint32_t)low;
    e->presign_high = (uint32_t)(high == 0 ? 2 * low : high);
    e->presign_request_max = (uint32_t)cfg_int(c, "tdsaLibrary.presignatureRequestLimit");
    e->presign_global_max = (uint64_t)cfg_int(c, "tdsaLibrary.presignatureGlobalLimit");
    if (e->presign_high < e->presign_low) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.presignatureLowWater is greater than presignatureHighWater");
    }
    return TDSA_OK;
}

static tdsa_status fill_engine(part_engine_cfg *e, const cfg *c, tdsa_err *err)
{
    const bool i_am_client = (int)e->roster.me == e->roster.client_index;

    e->session_timeout_ms = (uint32_t)cfg_duration_ms(c, "tdsaLibrary.sessionTimeout");
    e->retries = (uint32_t)cfg_int(c, "tdsaLibrary.retries");
    e->retry_delay_ms = (uint32_t)cfg_duration_ms(c, "tdsaLibrary.retryDelay");
    e->deadline_ms =
        i_am_client ? (uint32_t)cfg_duration_ms(c, "pkcs11.deadline") : e->session_timeout_ms;
    e->default_presignature_limit = cfg_int(c, "tdsaLibrary.defaultPresignatureLimit");
    e->keys_cached.set = true;
    e->keys_cached.max = (uint32_t)cfg_int(c, "tdsaLibrary.storageConfiguration.cacheSize");
    e->partial_timeout_ms =
        (uint64_t)cfg_duration_ms(c, "tdsaLibrary.storageConfiguration.partialSignatureTimeout");
    e->disable_reshare = cfg_bool(c, "tdsaLibrary.disableReshare");
    e->import_keys = cfg_bool(c, "tdsaLibrary.importKeys");
    e->min_path = (uint32_t)cfg_int(c, "tdsaLibrary.minChainPathLength");
    e->min_path_xpub = (uint32_t)cfg_int(c, "tdsaLibrary.minChainPathLengthXPub");
    e->presign_batch_min = (uint32_t)cfg_int(c, "tdsaLibrary.presignatureBatchMin");
    e->presign_batch_max = (uint32_t)cfg_int(c, "tdsaLibrary.presignatureBatchMax");
    if (e->presign_batch_min > e->presign_batch_max) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.presignatureBatchMin is greater than presignatureBatchMax");
    }
    e->registered_client_max = (uint32_t)cfg_int(c, "tdsaLibrary.registeredKeysPerClient");
    e->registered_max = (uint32_t)cfg_int(c, "tdsaLibrary.registeredKeys");
    e->deletion_grace_ms = (uint64_t)cfg_duration_ms(c, "tdsaLibrary.deletionGracePeriod");
    e->deletion_grace_min_ms =
        e->deletion_grace_ms < GRACE_MIN_MS ? e->deletion_grace_ms : GRACE_MIN_MS;
    e->deletion_grace_max_ms =
        e->deletion_grace_ms > GRACE_MAX_MS ? e->deletion_grace_ms : GRACE_MAX_MS;
    e->registered_life_ms = (uint64_t)cfg_duration_ms(c, "tdsaLibrary.registrationLifetime");
    e->disable_reshare = cfg_bool(c, "tdsaLibrary.disableReshare");
    if (fill_stock(e, c, err) != TDSA_OK) {
        return err->status;
    }
    return fill_threshold(e, c, err);
}

static tdsa_status fill_clients(cfg_participant *p, const cfg *c, const tdsa_log *log,
                                tdsa_err *err)
{
    const size_t count = cfg_count(c, "tdsaLibrary.clients");
    char path[CFG_PATH_MAX];
    tdsa_status st = TDSA_OK;

    p->engine.require_known_clients = cfg_is_set(c, "tdsaLibrary.clients");
    if (count == 0) {
        return TDSA_OK;
    }
    p->clients = calloc(count, sizeof *p->clients);
    if (p->clients == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the clients");
    }
    for (size_t i = 0; st == TDSA_OK && i < count; i++) {
        (void)cfg_path(path, sizeof path, "tdsaLibrary.clients[%zu].primaryPublicKey", i);
        st = cfg_read_key(c, path, TDSA_DH_X25519, false, p->clients[i].x25519, log, err);
        if (st == TDSA_OK) {
            (void)cfg_path(path, sizeof path, "tdsaLibrary.clients[%zu].secondaryPublicKey", i);
            st = cfg_read_key(c, path, TDSA_DH_X448, false, p->clients[i].x448, log, err);
        }
    }
    p->engine.clients = p->clients;
    p->engine.client_count = count;
    return st;
}

static tdsa_status fill(cfg_participant *p, const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    tdsa_status st = cfg_fill_roster(&p->engine.roster, &p->engine.may_generate, c, log, err);

    if (st == TDSA_OK) {
        st = fill_engine(&p->engine, c, err);
    }
    if (st == TDSA_OK) {
        st = fill_clients(p, c, log, err);
    }
    if (st == TDSA_OK) {
        st = cfg_fill_certificates(&p->ers, c, "tdsaLibrary.ersCertificates", log, err);
        p->engine.ers = (const tdsa_rsa_cert *const *)p->ers.all;
        p->engine.ers_count = p->ers.count;
    }
    if (st == TDSA_OK) {
        st = cfg_fill_certificates(&p->exports, c, "tdsaLibrary.exportCertificates", log, err);
        p->engine.exports = (const tdsa_rsa_cert *const *)p->exports.all;
        p->engine.export_count = p->exports.count;
    }
    if (st == TDSA_OK) {
        st = cfg_fill_http(&p->engine.http, c, err);
    }
    if (st == TDSA_OK) {
        st = cfg_fill_store(p, c, log, err);
    }
    return st;
}

tdsa_status cfg_participant_new(cfg_participant **out, const cfg *c, const tdsa_log *log,
                                tdsa_err *err)
{
    cfg_participant *p = NULL;
    tdsa_status st;

    *out = NULL;
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the participant's configuration");
    }
    st = fill(p, c, log, err);
    if (st != TDSA_OK) {
        cfg_participant_free(p);
        return st;
    }
    *out = p;
    return TDSA_OK;
}

void cfg_participant_free(cfg_participant *p)
{
    if (p != NULL) {
        free(p->clients);
        cfg_certificates_clear(&p->ers);
        cfg_certificates_clear(&p->exports);
        free(p->db_path);
        free(p->plugin_arguments);
        cfg_server_clear(&p->server);
        cfg_jdbc_clear(&p->db);
        tdsa_wipe(p, sizeof *p);
        free(p);
    }
}

const part_engine_cfg *cfg_participant_engine(const cfg_participant *p)
{
    return &p->engine;
}

const ks_cfg *cfg_participant_keystore(const cfg_participant *p)
{
    return &p->store;
}
