#define _GNU_SOURCE 1 /* strerrordesc_np */
#include "peer/client.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "peer/slot.h"
#include "peer/wakeup.h"

#define CANCEL_POLL_MS 50u
#define SOURCE_POLL_MS 20u
#define WAIT_MAX_MS    1000u
#define NO_ANSWER      "no answer in time"
#define NO_CONNECTION  "no connection in time"

struct peer_client {
    const peer_http_cfg *cfg;
    CURLM *multi;
    peer_slot *slots[PEER_REQUESTS_MAX];
    size_t slot_count;
    size_t active;
    peer_sockets sockets;
    int wakeup[2]; /* the multi handle's own */
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result = CURLE_FAILED_INIT;

/* libcurl starts libssh2, and that calls ENGINE_register_all_complete: an engine that the host
 * application has loaded becomes its default, and with libp11's no EVP_PKEY can be made of a public
 * key any more. We speak no SSH. Who starts libssh2 first decides, and flag 1 of libssh2_init(3) is
 * LIBSSH2_INIT_NO_CRYPTO. */
static void start_libssh2_without_crypto(void)
{
    enum { NO_CRYPTO = 1 };
    void *library = dlopen("libssh2.so.1", RTLD_NOW | RTLD_NOLOAD);
    int (*start)(int) = NULL;

    if (library != NULL) {
        *(void **)(&start) = dlsym(library, "libssh2_init");
        (void)dlclose(library); /* libcurl needs it, so it stays */
    }
    if (start != NULL) {
        (void)start(NO_CRYPTO);
    }
}

static void global_init(void)
{
    start_libssh2_without_crypto();
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

tdsa_status peer_client_global(tdsa_err *err)
{
    (void)pthread_once(&global_once, global_init);
    if (global_result != CURLE_OK) {
        return TDSA_FAIL(err, TDSA_E_INTERNAL, "libcurl does not start: %s",
                         curl_easy_strerror(global_result));
    }
    return TDSA_OK;
}

peer_client *peer_client_new(const peer_http_cfg *cfg)
{
    peer_client *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    c->cfg = cfg;
    peer_sockets_init(&c->sockets);
    c->multi = peer_multi_init(c->wakeup);
    if (c->multi == NULL) {
        free(c);
        return NULL;
    }
    (void)curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)PEER_REQUESTS_MAX);
    return c;
}

void peer_client_free(peer_client *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->slot_count; i++) {
        peer_slot_free(c->slots[i]);
    }
    (void)curl_multi_cleanup(c->multi); /* closes the connections through peer_sockets_close */
    free(c);
}

void peer_client_abandon(peer_client *c)
{
    peer_sockets_abandon(&c->sockets);
    for (size_t i = 0; i < 2; i++) {
        if (c->wakeup[i] >= 0) {
            (void)close(c->wakeup[i]);
            c->wakeup[i] = -1;
        }
    }
}

/* A slot for the URL: an idle one that has it, a new one, or an idle one of another URL replaced.
 * NULL: no memory. */
static peer_slot *slot_for(peer_client *c, const char *url, const peer_url *parts)
{
    size_t at = c->slot_count;
    peer_slot *s = NULL;

    for (size_t i = 0; i < c->slot_count; i++) {
        if (c->slots[i]->request == NULL && strcmp(c->slots[i]->url, url) == 0) {
            return c->slots[i];
        }
    }
    for (size_t i = 0; at == PEER_REQUESTS_MAX && i < c->slot_count; i++) {
        at = c->slots[i]->request == NULL ? i : at;
    }
    TDSA_ASSERT(at < PEER_REQUESTS_MAX); /* a run has at most that many requests */
    s = peer_slot_new(url, parts, c->cfg, &c->sockets);
    if (s == NULL) {
        return NULL;
    }
    if (at < c->slot_count) {
        peer_slot_free(c->slots[at]);
    } else {
        c->slot_count++;
    }
    c->slots[at] = s;
    return s;
}

void peer_request_end(peer_request *r, const peer_run *run, tdsa_status status, const char *detail)
{
    r->status = status;
    (void)snprintf(r->detail, sizeof r->detail, "%s", detail);
    if (status != TDSA_OK) {
        r->http_code = 0;
        tdsa_buf_reset(&r->reply);
    }
    r->done = true;
    if (run->done != NULL) {
        run->done(run->ctx, r);
    }
}

/* True when curl failed on a kept-alive connection before any byte of the answer: once more, on a
 * new connection. libcurl does so itself unless several kept connections are dead. */
static bool wants_resend(peer_slot *s, CURLcode rc)
{
    long connects = 1;
    long header_len = 1;

    if (s->resent ||
        (rc != CURLE_GOT_NOTHING && rc != CURLE_SEND_ERROR && rc != CURLE_RECV_ERROR)) {
        return false;
    }
    (void)curl_easy_getinfo(s->easy, CURLINFO_NUM_CONNECTS, &connects);
    (void)curl_easy_getinfo(s->easy, CURLINFO_HEADER_SIZE, &header_len);
    return connects == 0 && header_len == 0 && s->request->reply.len == 0;
}

static tdsa_status status_of(const peer_slot *s, CURLcode rc)
{
    if (rc == CURLE_OK) {
        return TDSA_OK;
    }
    if (s->no_memory || rc == CURLE_OUT_OF_MEMORY) {
        return TDSA_E_NO_MEMORY;
    }
    if (s->too_long || rc == CURLE_FILESIZE_EXCEEDED || rc == CURLE_WEIRD_SERVER_REPLY ||
        rc == CURLE_UNSUPPORTED_PROTOCOL) {
        return TDSA_E_BAD_INPUT;
    }
    if (rc == CURLE_OPERATION_TIMEDOUT) {
        return peer_slot_was_asked(s) ? TDSA_E_TIMEOUT : TDSA_E_UNAVAILABLE;
    }
    return TDSA_E_UNAVAILABLE;
}

/* Takes the request back from libcurl and ends it; `why` is NULL when all is well. */
static void end_slot(peer_client *c, peer_slot *s, const peer_run *run, tdsa_status status,
                     const char *why)
{
    peer_request *r = s->request;
    char detail[sizeof r->detail] = "";

    if (why != NULL) {
        (void)snprintf(detail, sizeof detail, "%.60s:%u: %.88s", s->parts.host, s->parts.port, why);
    }
    (void)curl_multi_remove_handle(c->multi, s->easy);
    s->request = NULL;
    c->active--;
    peer_request_end(r, run, status, detail);
}

/* libcurl keeps the first text, of the socket, and GnuTLS gives the code. */
static bool cut_in_handshake(const peer_slot *s, CURLcode rc)
{
    return rc == CURLE_SSL_CONNECT_ERROR &&
           (strstr(s->error, "Send failure") != NULL || strstr(s->error, "Recv failure") != NULL);
}

/* What libcurl and GnuTLS leave out: which setting to look at. NULL: nothing to add. */
static const char *tls_reason(const peer_slot *s, CURLcode rc)
{
    long header_len = 0;

    (void)curl_easy_getinfo(s->easy, CURLINFO_HEADER_SIZE, &header_len);
    if (rc == CURLE_PEER_FAILED_VERIFICATION && strstr(s->error, "does not match") == NULL) {
        return "certificate expired, or not of an authority in httpClient.tls.trustStorePath";
    }
    if (rc == CURLE_SSL_CONNECT_ERROR && (strstr(s->error, "unexpected TLS packet") != NULL ||
                                          strstr(s->error, "non-properly terminated") != NULL)) {
        /* what it said in plain HTTP, or that it hung up at once */
        return "no TLS is spoken there: is https right in its uri?";
    }
    if ((rc == CURLE_SEND_ERROR || rc == CURLE_RECV_ERROR || cut_in_handshake(s, rc)) &&
        header_len == 0) {
        return "cut off; is httpClient.tls.keyStorePath the client certificate it wants?";
    }
    return NULL;
}

/* One line for people. libcurl's own does not say why nobody took a connection. */
static const char *reason_of(const peer_slot *s, CURLcode rc)
{
    const char *better = NULL;
    long number = 0;

    if (s->too_long) {
        return "the reply is too long";
    }
    if (rc == CURLE_OPERATION_TIMEDOUT) {
        return peer_slot_was_asked(s) ? NO_ANSWER : NO_CONNECTION;
    }
    if (rc == CURLE_COULDNT_CONNECT) {
        (void)curl_easy_getinfo(s->easy, CURLINFO_OS_ERRNO, &number);
        better = number == 0 ? NULL : strerrordesc_np((int)number);
    } else if (s->parts.https) {
        better = tls_reason(s, rc);
    }
    if (better != NULL) {
        return better;
    }
    return s->error[0] != '\0' ? s->error : curl_easy_strerror(rc);
}

/* A participant answers 200, or 503 when it is busy. Anything else may come from what stands at its old
 * address: that connection is not used again. */
static void doubt_strange_answer(peer_client *c, peer_slot *s)
{
    const long code = s->request->http_code;
    long port = 0;

    if (code != 200 && code != 503 &&
        curl_easy_getinfo(s->easy, CURLINFO_LOCAL_PORT, &port) == CURLE_OK) {
        peer_sockets_retire(&c->sockets, (uint16_t)port);
        s->doubted = true;
    }
}

static void finish(peer_client *c, peer_slot *s, CURLcode rc, const peer_run *run)
{
    const tdsa_status status = status_of(s, rc);
    const char *why = NULL;

    s->doubted = status != TDSA_OK;
    if (status == TDSA_OK) {
        (void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &s->request->http_code);
        s->used_ms = peer_now_ms();
        s->ever_used = true;
        doubt_strange_answer(c, s);
    } else {
        why = reason_of(s, rc);
    }
    end_slot(c, s, run, status, why);
}

/* Hands a request to libcurl. TDSA_OK: it will end in harvest or give_up. */
static tdsa_status begin(peer_client *c, peer_request *r, uint64_t ends_ms, tdsa_err *err)
{
    peer_url parts;
    peer_slot *s = NULL;

    if (r->session_id == NULL || !peer_session_id_ok(r->session_id)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "malformed Session-Id");
    }
    if (peer_url_parse(&parts, r->url, err) != TDSA_OK) {
        return err->status;
    }
    s = slot_for(c, r->url, &parts);
    if (s == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an HTTP request");
    }
    if (peer_slot_give(s, r, ends_ms, err) != TDSA_OK) {
        return err->status;
    }
    if (curl_multi_add_handle(c->multi, s->easy) != CURLM_OK) {
        s->request = NULL;
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "libcurl takes no request");
    }
    c->active++;
    return TDSA_OK;
}

static bool resend(peer_client *c, peer_slot *s)
{
    tdsa_err err;

    (void)curl_multi_remove_handle(c->multi, s->easy);
    return peer_slot_again(s, &err) == TDSA_OK &&
           curl_multi_add_handle(c->multi, s->easy) == CURLM_OK;
}

static void harvest(peer_client *c, const peer_run *run)
{
    int left = 0;
    CURLMsg *m = curl_multi_info_read(c->multi, &left);

    for (; m != NULL; m = curl_multi_info_read(c->multi, &left)) {
        const CURLcode rc = m->data.result; /* the message dies with the next call */
        char *own = NULL;
        peer_slot *s = NULL;

        if (m->msg != CURLMSG_DONE) {
            continue;
        }
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &own);
        s = (void *)own;
        if (!wants_resend(s, rc) || !resend(c, s)) {
            finish(c, s, rc, run);
        }
    }
}

static bool cancelled(const peer_run *run)
{
    return run->cancel != NULL && __atomic_load_n(run->cancel, __ATOMIC_ACQUIRE);
}

/* Ends what is still under way; libcurl closes those connections. */
static void give_up(peer_client *c, const peer_run *run, bool late)
{
    const char *why = cancelled(run) ? "given up" : NO_ANSWER;

    for (size_t i = 0; i < c->slot_count; i++) {
        peer_slot *s = c->slots[i];

        s->doubted = s->doubted || (s->request != NULL && late);
        if (s->request != NULL && late && !peer_slot_was_asked(s)) {
            end_slot(c, s, run, TDSA_E_UNAVAILABLE, NO_CONNECTION);
        } else if (s->request != NULL) {
            end_slot(c, s, run, TDSA_E_TIMEOUT, why);
        }
    }
}

static void wait_for_sockets(peer_client *c, const peer_run *run, uint32_t left_ms)
{
    const uint32_t often = run->source->more != NULL ? SOURCE_POLL_MS : CANCEL_POLL_MS;
    const uint32_t most = run->cancel != NULL ? often : WAIT_MAX_MS;

    (void)curl_multi_poll(c->multi, NULL, 0, (int)(left_ms < most ? left_ms : most), NULL);
}

static void start(peer_client *c, const peer_run *run, peer_request *r, uint64_t deadline_ms)
{
    const uint64_t own_ms = peer_now_ms() + r->timeout_ms;
    const uint64_t ends_ms = r->timeout_ms == 0 || own_ms > deadline_ms ? deadline_ms : own_ms;
    tdsa_err err;

    r->done = false;
    if (peer_left_ms(ends_ms) == 0) { /* which says nothing of the peer */
        peer_request_end(r, run, TDSA_E_TIMEOUT, "no time to ask");
    } else if (begin(c, r, ends_ms, &err) != TDSA_OK) {
        peer_request_end(r, run, err.status, err.text);
    }
}

/* What has come up meanwhile; a later deadline makes the run longer. */
static void take_more(peer_client *c, const peer_run *run, uint64_t *deadline_ms)
{
    while (run->source->more != NULL && c->active < (int)PEER_REQUESTS_MAX) {
        peer_request *r = run->source->more(run->ctx);
        const uint64_t until = r == NULL ? 0 : peer_now_ms() + r->timeout_ms;

        if (r == NULL) {
            break;
        }
        *deadline_ms = until > *deadline_ms ? until : *deadline_ms;
        start(c, run, r, *deadline_ms);
    }
}

void peer_client_run(peer_client *c, const peer_run *run)
{
    uint64_t deadline_ms = peer_now_ms() + run->timeout_ms;
    bool late = false;
    int running = 0;

    TDSA_ASSERT(c->active == 0);
    for (size_t i = 0; i < run->count; i++) {
        start(c, run, run->requests[i], deadline_ms);
    }
    while (c->active > 0) {
        if (curl_multi_perform(c->multi, &running) != CURLM_OK) {
            break;
        }
        harvest(c, run);
        if (cancelled(run) || (run->source->enough != NULL && run->source->enough(run->ctx))) {
            break;
        }
        late = peer_left_ms(deadline_ms) == 0;
        if (late) {
            break;
        }
        take_more(c, run, &deadline_ms);
        if (c->active > 0) {
            wait_for_sockets(c, run, peer_left_ms(deadline_ms));
        }
    }
    give_up(c, run, late);
}
