#ifndef TESTS_EXCHANGE_FIXTURE_H
#define TESTS_EXCHANGE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "peer/exchange.h"

#define SESSION "session-0123456789"

static const peer_http_cfg default_cfg = {.connect_timeout_ms = 10000,
                                          .request_timeout_ms = 30000,
                                          .keep_alive_ms = 30000,
                                          .connections_max = 4,
                                          .user_agent = "tdsa-test"};

static inline peer_http *client(void)
{
    peer_http *h = NULL;
    tdsa_err err;

    assert_int_equal(peer_http_new(&h, &default_cfg, &err), TDSA_OK);
    return h;
}

static inline void url_of(char url[64], const char *host, unsigned port, const char *path)
{
    (void)snprintf(url, 64, "http://%s:%u%s", host, port, path);
}

static inline peer_request request(const char *url, const void *body, size_t len)
{
    return (peer_request){
        .url = url, .session_id = SESSION, .body = body, .body_len = len, .reply = TDSA_BUF_EMPTY};
}

static inline void run_one(peer_http *h, peer_request *r, uint32_t timeout_ms)
{
    peer_http_run(h, &r, 1, timeout_ms, NULL, NULL, NULL);
    assert_true(r->done);
}

#endif
