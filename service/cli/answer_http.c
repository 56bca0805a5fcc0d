#include "cli/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/secret.h"

/* The API of a server, over HTTP. The only file that knows libcurl. */

#define CONNECT_TIMEOUT_MS 10000L

typedef struct {
    CURL *easy;
    struct curl_slist *headers;
    char *url; /* without a slash at its end */
    tdsa_buf *body;
    char error[CURL_ERROR_SIZE];
} http_answerer;

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    tdsa_buf *body = ((http_answerer *)ctx)->body;

    tdsa_buf_append(body, bytes, size * count);
    return body->failed ? 0 : size * count;
}

static void close_http(void *ctx)
{
    http_answerer *a = (http_answerer *)ctx;

    if (a == NULL) {
        return;
    }
    curl_slist_free_all(a->headers);
    curl_easy_cleanup(a->easy);
    free(a->url);
    free(a);
    curl_global_cleanup();
}

static tdsa_status not_answered(const http_answerer *a, CURLcode code, tdsa_err *err)
{
    const char *why = a->error[0] != '\0' ? a->error : curl_easy_strerror(code);

    if (code == CURLE_OPERATION_TIMEDOUT) {
        return TDSA_FAIL(err, TDSA_E_TIMEOUT, "%.100s did not answer in time: %.100s", a->url, why);
    }
    if (code == CURLE_OUT_OF_MEMORY) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a request");
    }
    if (code == CURLE_WRITE_ERROR) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "the answer of %.100s is too long", a->url);
    }
    return TDSA_FAIL(err, TDSA_E_UNAVAILABLE, "%.100s does not answer: %.100s", a->url, why);
}

static tdsa_status ask_http(void *ctx, const cli_request *in, unsigned *http, tdsa_buf *body,
                            tdsa_err *err)
{
    http_answerer *a = (http_answerer *)ctx;
    TDSA_SCOPED_BUF url = TDSA_BUF_EMPTY;
    char *text = in->body != NULL ? json_dumps(in->body, JSON_COMPACT) : NULL;
    long status = 0;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    tdsa_buf_appendf(&url, "%s%s", a->url, in->target);
    tdsa_buf_append_u8(&url, 0);
    a->body = body;
    a->error[0] = '\0';
    if (!url.failed && (in->body == NULL || text != NULL)) {
        (void)curl_easy_setopt(a->easy, CURLOPT_URL, (const char *)url.data);
        (void)curl_easy_setopt(a->easy, CURLOPT_HTTPGET, 1L);
        if (text != NULL) {
            (void)curl_easy_setopt(a->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
            (void)curl_easy_setopt(a->easy, CURLOPT_POSTFIELDS, text);
        } else if (strcmp(in->method, "GET") != 0) {
            (void)curl_easy_setopt(a->easy, CURLOPT_POSTFIELDSIZE, 0L);
            (void)curl_easy_setopt(a->easy, CURLOPT_POSTFIELDS, "");
        }
        (void)curl_easy_setopt(a->easy, CURLOPT_HTTPHEADER, text != NULL ? a->headers : NULL);
        (void)curl_easy_setopt(a->easy, CURLOPT_CUSTOMREQUEST, in->method);
        code = curl_easy_perform(a->easy);
    }
    if (text != NULL) { /* it may hold a passphrase */
        tdsa_wipe(text, strlen(text));
        free(text);
    }
    if (code != CURLE_OK) {
        return not_answered(a, code, err);
    }
    (void)curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
    *http = (unsigned)status;
    return TDSA_OK;
}

static tdsa_status set_up(http_answerer *a, const cli_http_cfg *cfg, tdsa_err *err)
{
    const size_t len = strlen(cfg->url);
    const bool slash = len > 0 && cfg->url[len - 1] == '/';

    a->easy = curl_easy_init();
    a->headers = curl_slist_append(NULL, "Content-Type: application/json");
    a->url = strndup(cfg->url, slash ? len - 1 : len);
    if (a->easy == NULL || a->headers == NULL || a->url == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for HTTP");
    }
    (void)curl_easy_setopt(a->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(a->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(a->easy, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(a->easy, CURLOPT_ERRORBUFFER, a->error);
    (void)curl_easy_setopt(a->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(a->easy, CURLOPT_WRITEDATA, a);
    (void)curl_easy_setopt(a->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(a->easy, CURLOPT_TIMEOUT, (long)cfg->timeout_s);
    (void)curl_easy_setopt(a->easy, CURLOPT_USERAGENT, "tdsa/" TDSA_VERSION);
    if (cfg->ca_file != NULL) {
        (void)curl_easy_setopt(a->easy, CURLOPT_CAINFO, cfg->ca_file);
    }
    return TDSA_OK;
}

/* "http://127.0.0.1:8080", "http://[::1]", "http://localhost/x" */
static bool is_here(const char *url)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]", "localhost"};
    const char *host = url + sizeof "http://" - 1;

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        const size_t len = strlen(hosts[i]);

        if (strncmp(host, hosts[i], len) == 0 && strchr(":/", host[len]) != NULL) {
            return true; /* strchr finds the end of the text, too */
        }
    }
    return false;
}

tdsa_status cli_answer_http(cli_answerer *out, const cli_http_cfg *in, tdsa_err *err)
{
    http_answerer *a = NULL;
    tdsa_status st;

    *out = (cli_answerer){ask_http, close_http, NULL};
    if (strncmp(in->url, "http://", 7) != 0 && strncmp(in->url, "https://", 8) != 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%.100s is no address such as http://host:8080",
                         in->url);
    }
    if (strpbrk(in->url, "?#@ ") != NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "the address of the API has a host, a port and a path, no more");
    }
    if (in->secrets && strncmp(in->url, "https://", 8) != 0 && !is_here(in->url)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "secrets do not go over http to another host: use https, a tunnel, or "
                         "--config");
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return TDSA_FAIL(err, TDSA_E_INTERNAL, "libcurl does not start");
    }
    a = calloc(1, sizeof *a);
    st = a == NULL ? TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for HTTP") : set_up(a, in, err);
    if (st != TDSA_OK) {
        close_http(a);
        return st;
    }
    out->ctx = a;
    return TDSA_OK;
}
