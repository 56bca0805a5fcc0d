#include "peer/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peer/resolve.h"

#define RESOLVED_MS 60000u /* how long an address is used before it is looked up again */
/* On a kept connection, which a firewall may have forgotten without a word, this much silence of the
 * peer's kernel is enough to try another one. A long body may have to wait for room in the peer. */
#define UNACKED_MS     800u
#define SHORT_BODY_MAX 16384u

uint64_t peer_now_ms(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

uint32_t peer_left_ms(uint64_t ends_ms)
{
    const uint64_t now = peer_now_ms();

    return now >= ends_ms ? 0 : (uint32_t)(ends_ms - now);
}

/* The signature is libcurl's; `size` is always 1. */
static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    peer_slot *s = ctx;
    tdsa_buf *reply = &s->request->reply;
    const size_t len = size * count;

    if (len > TDSA_BUF_LEN_MAX - reply->len) {
        s->too_long = true;
        return 0;
    }
    tdsa_buf_append(reply, bytes, len);
    s->no_memory = reply->failed;
    return reply->failed ? 0 : len;
}

/* Called when a connection was made or found, before anything is sent on it. */
static int on_connected(void *ctx, char *peer, char *local, int peer_port, int local_port)
{
    peer_slot *s = ctx;
    const uint32_t half = peer_left_ms(s->ends_ms) / 2;
    const uint32_t patience =
        s->request->body_len > SHORT_BODY_MAX && half > UNACKED_MS ? half : UNACKED_MS;
    long connects = 1;

    (void)peer;
    (void)local;
    (void)peer_port;
    (void)curl_easy_getinfo(s->easy, CURLINFO_NUM_CONNECTS, &connects);
    peer_sockets_limit(s->sockets, (uint16_t)local_port, connects == 0 ? patience : 0);
    return CURL_PREREQFUNC_OK;
}

/* Nothing of the host application's surroundings may reach us: no proxy, no netrc, no redirects, no
 * signals, no threads. */
static CURLcode set_behaviour(CURL *e, peer_sockets *sockets)
{
    CURLcode rc = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);

    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROXY, "");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    rc = rc != CURLE_OK ? rc
                        : curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, -1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, peer_sockets_open);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, sockets);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, peer_sockets_close);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, sockets);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    rc = rc != CURLE_OK
             ? rc
             : curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)TDSA_BUF_LEN_MAX);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_POST, 1L);
    return rc;
}

static CURLcode set_tls(CURL *e, const peer_http_cfg *cfg)
{
    CURLcode rc = curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);

    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    rc = rc != CURLE_OK
             ? rc
             : curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, cfg->verify_hostname ? 2L : 0L);
    if (rc == CURLE_OK && cfg->ca_file[0] != '\0') {
        rc = curl_easy_setopt(e, CURLOPT_CAINFO, cfg->ca_file);
    }
    if (rc == CURLE_OK && cfg->cert_file[0] != '\0') {
        rc = curl_easy_setopt(e, CURLOPT_SSLCERT, cfg->cert_file);
    }
    if (rc == CURLE_OK && cfg->key_file[0] != '\0') {
        rc = curl_easy_setopt(e, CURLOPT_SSLKEY, cfg->key_file);
    }
    return rc;
}

static CURLcode set_all(peer_slot *s)
{
    const peer_http_cfg *cfg = s->cfg;
    CURLcode rc = set_behaviour(s->easy, s->sockets);

    rc = rc != CURLE_OK || !s->parts.https ? rc : set_tls(s->easy, cfg);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_URL, s->url);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_PREREQFUNCTION, on_connected);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_PREREQDATA, s);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->error);
    rc = rc != CURLE_OK
             ? rc
             : curl_easy_setopt(s->easy, CURLOPT_FORBID_REUSE, cfg->keep_alive_ms == 0 ? 1L : 0L);
    rc = rc != CURLE_OK ? rc
                        : curl_easy_setopt(s->easy, CURLOPT_MAXAGE_CONN,
                                           (long)(cfg->keep_alive_ms / 1000u + 1u));
    if (rc == CURLE_OK && cfg->user_agent[0] != '\0') {
        rc = curl_easy_setopt(s->easy, CURLOPT_USERAGENT, cfg->user_agent);
    }
    return rc;
}

peer_slot *peer_slot_new(const char *url, const peer_url *parts, const peer_http_cfg *cfg,
                         peer_sockets *sockets)
{
    peer_slot *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return NULL;
    }
    s->easy = curl_easy_init();
    s->cfg = cfg;
    s->sockets = sockets;
    s->parts = *parts;
    (void)snprintf(s->url, sizeof s->url, "%s", url);
    if (s->easy == NULL || set_all(s) != CURLE_OK) {
        peer_slot_free(s);
        return NULL;
    }
    return s;
}

void peer_slot_free(peer_slot *s)
{
    if (s != NULL) {
        curl_easy_cleanup(s->easy);
        curl_slist_free_all(s->headers);
        curl_slist_free_all(s->resolve);
        free(s);
    }
}

/* The header list, made again only when the session changes. */
static bool set_headers(peer_slot *s, const char *session_id)
{
    struct curl_slist *list = NULL;
    char line[sizeof "Session-Id: " + PEER_SESSION_ID_MAX];
    const char *const lines[] = {"Content-Type: application/octet-stream",
                                 "Accept:", "Expect:", line};

    if (s->headers != NULL && strcmp(s->session, session_id) == 0) {
        return true;
    }
    (void)snprintf(line, sizeof line, "Session-Id: %s", session_id);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct curl_slist *longer = curl_slist_append(list, lines[i]);

        if (longer == NULL) {
            curl_slist_free_all(list);
            return false;
        }
        list = longer;
    }
    if (curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, list) != CURLE_OK) {
        curl_slist_free_all(list);
        return false;
    }
    curl_slist_free_all(s->headers);
    s->headers = list;
    (void)snprintf(s->session, sizeof s->session, "%s", session_id);
    return true;
}

/* Looks the host up when that is due; a failed look-up keeps the address known before. */
static tdsa_status set_address(peer_slot *s, tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    struct curl_slist *list = NULL;
    const uint64_t now = peer_now_ms();

    if (s->parts.literal ||
        (s->resolve != NULL && !s->doubted && now - s->resolved_ms < RESOLVED_MS)) {
        return TDSA_OK;
    }
    s->doubted = false;
    s->resolved_ms = now;
    if (peer_resolve(&text, &s->parts, peer_left_ms(s->ends_ms), err) != TDSA_OK) {
        return s->resolve != NULL ? TDSA_OK : err->status;
    }
    list = curl_slist_append(NULL, (const char *)text.data);
    if (list == NULL || curl_easy_setopt(s->easy, CURLOPT_RESOLVE, list) != CURLE_OK) {
        curl_slist_free_all(list);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an address");
    }
    curl_slist_free_all(s->resolve);
    s->resolve = list;
    return TDSA_OK;
}

static long capped(uint32_t limit_ms, uint32_t left_ms)
{
    return limit_ms == 0 || limit_ms > left_ms ? (long)left_ms : (long)limit_ms;
}

/* The address, and the time that is left; one ms more than we wait ourselves, so that the verdict is
 * ours, and because 0 would mean "never". */
static tdsa_status set_limits(peer_slot *s, bool fresh, tdsa_err *err)
{
    uint32_t left_ms = 0;

    if (set_address(s, err) != TDSA_OK) {
        return err->status;
    }
    left_ms = peer_left_ms(s->ends_ms) + 1u;
    if (curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS,
                         capped(s->cfg->request_timeout_ms, left_ms)) != CURLE_OK ||
        curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS,
                         capped(s->cfg->connect_timeout_ms, left_ms)) != CURLE_OK ||
        curl_easy_setopt(s->easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L) != CURLE_OK) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an HTTP request");
    }
    return TDSA_OK;
}

static bool set_body(peer_slot *s, const peer_request *r)
{
    return curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS,
                            r->body_len == 0 ? "" : (const char *)r->body) == CURLE_OK &&
           curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len) ==
               CURLE_OK;
}

tdsa_status peer_slot_give(peer_slot *s, peer_request *r, uint64_t ends_ms, tdsa_err *err)
{
    const bool old = s->ever_used && peer_now_ms() - s->used_ms >= s->cfg->keep_alive_ms;

    if (!set_headers(s, r->session_id) || !set_body(s, r)) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an HTTP request");
    }
    s->ends_ms = ends_ms;
    s->error[0] = '\0';
    s->resent = false;
    s->too_long = false;
    s->no_memory = false;
    if (set_limits(s, old, err) != TDSA_OK) {
        return err->status;
    }
    s->request = r;
    return TDSA_OK;
}

tdsa_status peer_slot_again(peer_slot *s, tdsa_err *err)
{
    s->resent = true;
    s->doubted = true;
    if (set_limits(s, true, err) != TDSA_OK) {
        return err->status;
    }
    s->error[0] = '\0';
    return TDSA_OK;
}

bool peer_slot_was_asked(const peer_slot *s)
{
    /* the time of connecting would not tell: it is 0 on a connection that was kept */
    long asked_len = 0;

    (void)curl_easy_getinfo(s->easy, CURLINFO_REQUEST_SIZE, &asked_len);
    return asked_len > 0;
}
