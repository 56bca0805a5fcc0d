#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "http/http_internal.h"

#define ALNUM_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define ID_CHARS    ALNUM_CHARS "._-"
#define TOKEN_CHARS ALNUM_CHARS "!#$%&'*+-.^_`|~" /* RFC 9110 5.6.2 */

http_request *http_request_new(http_server *s, http_connection *c, const char *uri)
{
    http_request *r = calloc(1, sizeof *r);

    if (r == NULL) {
        return NULL;
    }
    r->uri = strdup(uri);
    if (r->uri == NULL) {
        free(r);
        return NULL;
    }
    r->server = s;
    r->connection = c;
    r->mhd_owns = true;
    r->start_us = http_now_us();
    memcpy(r->peer, c->peer, sizeof r->peer);
    return r;
}

void http_request_free(http_request *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->answer_header_count; i++) {
        free(r->answer_headers[i].name);
        free(r->answer_headers[i].value);
    }
    if (r->response != NULL) {
        MHD_destroy_response(r->response);
    }
    tdsa_buf_clear(&r->text);
    tdsa_buf_clear(&r->query);
    tdsa_buf_clear(&r->headers);
    tdsa_buf_clear(&r->body);
    free(r->uri);
    free(r);
}

static void refuse(http_request *r, unsigned status, const char *why)
{
    if (r->refused == 0) {
        r->refused = status;
        r->refusal = why;
    }
}

/* Appends a copy with its NUL; the offset of the copy. */
static size_t keep(http_request *r, const char *text, size_t len)
{
    const size_t at = r->text.len;

    tdsa_buf_append(&r->text, text, len);
    tdsa_buf_append_u8(&r->text, 0);
    return at;
}

static const char *text_at(const http_request *r, size_t offset)
{
    return (const char *)r->text.data + offset;
}

/* What the walk over the headers gathers. */
typedef struct {
    http_request *r;
    size_t bytes;
    unsigned lengths, codings, hosts; /* how many headers of the name there are */
    bool bad_length, bad_coding, bad_header;
} header_walk;

/* Digits only: strtoull would take "-1" and " 5". */
static bool parse_length(size_t *out, const char *text)
{
    size_t value = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > (SIZE_MAX - 9) / 10) {
            return false;
        }
        value = value * 10 + (size_t)(*text - '0');
    }
    *out = value;
    return true;
}

/* RFC 9112 5.1: "A server MUST reject [...] any received request message that contains whitespace
 * between a header field name and colon": what stands before us may have read "Content-Length :". */
static bool is_token(const char *name)
{
    return *name != '\0' && name[strspn(name, TOKEN_CHARS)] == '\0';
}

void http_request_keep_header(http_request *r, const char *name, const char *value)
{
    http_pair pair = {0, 0};

    pair.name = keep(r, name, strlen(name));
    pair.value = keep(r, value, strlen(value));
    tdsa_buf_append(&r->headers, &pair, sizeof pair);
}

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    header_walk *w = ctx;
    http_request *r = w->r;
    const char *text = value == NULL ? "" : value;

    (void)kind;
    w->bytes += strlen(name) + strlen(text) + 4;
    w->bad_header = w->bad_header || !is_token(name);
    http_request_keep_header(r, name, text);
    if (strcasecmp(name, "Content-Length") == 0) {
        w->lengths++;
        w->bad_length = w->bad_length || !parse_length(&r->received, text);
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        w->codings++;
        w->bad_coding = w->bad_coding || strcasecmp(text, "chunked") != 0;
    } else if (strcasecmp(name, "Host") == 0) {
        w->hosts++;
    } else if (strcasecmp(name, "X-Request-Id") == 0 && text[0] != '\0' &&
               strlen(text) <= HTTP_REQUEST_ID && strspn(text, ID_CHARS) == strlen(text)) {
        (void)snprintf(r->id, sizeof r->id, "%s", text);
    }
    return MHD_YES;
}

/* Decodes a=b&c into pairs. False: a broken escape. */
static bool keep_query(http_request *r, const char *query)
{
    while (*query != '\0') {
        const size_t len = strcspn(query, "&");
        const char *equals = memchr(query, '=', len);
        const size_t name_len = equals == NULL ? len : (size_t)(equals - query);
        http_pair pair = {r->text.len, 0};

        if (!http_decode(&r->text, query, name_len, true)) {
            return false;
        }
        pair.value = r->text.len;
        if (!http_decode(&r->text, equals == NULL ? "" : equals + 1,
                         equals == NULL ? 0 : len - name_len - 1, true)) {
            return false;
        }
        tdsa_buf_append(&r->query, &pair, sizeof pair);
        query += len + (query[len] == '&');
    }
    return true;
}

/* Body limits by the announced length; `received` held it and counts from zero afterwards. */
static void admit_body(http_request *r, const header_walk *w)
{
    const size_t announced = w->lengths > 0 ? r->received : 0;

    r->received = 0;
    if (w->bad_header || w->hosts > 1) {
        refuse(r, MHD_HTTP_BAD_REQUEST, "a malformed header, or more than one Host");
        r->body_max = SIZE_MAX;
        return;
    }
    if (w->bad_length || w->lengths + w->codings > 1) {
        refuse(r, MHD_HTTP_BAD_REQUEST, "contradictory or broken body length");
        r->body_max = SIZE_MAX; /* no telling where it ends: answered at once */
        return;
    }
    if (w->bad_coding) { /* libmicrohttpd would read until the connection ends */
        refuse(r, MHD_HTTP_NOT_IMPLEMENTED, "of transfer codings there is chunked only");
        r->body_max = SIZE_MAX;
        return;
    }
    r->body_max =
        r->route != NULL && r->route->body_max != 0 ? r->route->body_max : r->server->cfg.body_max;
    if (announced > r->body_max) {
        refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body is longer than the limit");
    }
    if (announced > r->body_max && announced - r->body_max > HTTP_DRAIN_MAX) {
        r->body_max = SIZE_MAX;
    }
}

/* RFC 9112 3.2.2: "a server MUST accept the absolute-form in requests": what follows the authority,
 * which may be nothing. */
static const char *origin_form(const char *uri)
{
    size_t scheme_len = 0;

    if (strncasecmp(uri, "http://", 7) == 0) {
        scheme_len = 7;
    } else if (strncasecmp(uri, "https://", 8) == 0) {
        scheme_len = 8;
    } else {
        return uri;
    }
    uri += scheme_len;
    uri += strcspn(uri, "/?");
    return *uri == '\0' ? "/" : uri;
}

void http_request_target(http_request *r, const char *method, const char *target)
{
    const char *query = strchr(target, '?');
    const size_t path_len = query == NULL ? strlen(target) : (size_t)(query - target);

    r->method = keep(r, method, strlen(method));
    r->path = keep(r, target, path_len);
    if (r->refused == 0 && r->text.data != NULL && !r->text.failed) {
        char *path = strndup(target, path_len); /* routing appends to r->text, which moves */

        r->route = path == NULL ? NULL : http_route_find(r, method, path);
        free(path);
    }
    if (r->refused == 0 && query != NULL && !keep_query(r, query + 1)) {
        refuse(r, MHD_HTTP_BAD_REQUEST, "broken percent-encoding in the query");
    }
}

void http_request_admit(http_request *r, const char *method, const char *version)
{
    header_walk walk = {
        r, strlen(method) + strlen(r->uri) + strlen(version) + 4, 0, 0, 0, false, false, false};

    r->seen = true;
    (void)MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, on_header, &walk);
    if (r->id[0] == '\0') {
        (void)pthread_mutex_lock(&r->server->lock);
        r->server->next_id++;
        (void)snprintf(r->id, sizeof r->id, "%016" PRIx64 "-%" PRIu64, r->server->id_prefix,
                       r->server->next_id);
        (void)pthread_mutex_unlock(&r->server->lock);
    }
    if (walk.bytes > r->server->cfg.header_max) {
        refuse(r, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
               "request line and headers are longer than the limit");
    }
    http_request_target(r, method, origin_form(r->uri));
    admit_body(r, &walk);
    if (r->text.failed || r->headers.failed || r->query.failed) {
        refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory");
    }
}

const char *http_request_method(const http_request *r)
{
    return text_at(r, r->method);
}

const char *http_request_path(const http_request *r)
{
    return text_at(r, r->path);
}

const char *http_request_param(const http_request *r, size_t i)
{
    return i < r->param_count ? text_at(r, r->params[i]) : "";
}

/* The pairs were appended one by one, so they are read the same way. */
static const char *find_pair(const http_request *r, const tdsa_buf *pairs, const char *name,
                             int (*compare)(const char *, const char *))
{
    http_pair pair;

    for (size_t at = 0; at + sizeof pair <= pairs->len; at += sizeof pair) {
        memcpy(&pair, pairs->data + at, sizeof pair);
        if (compare(text_at(r, pair.name), name) == 0) {
            return text_at(r, pair.value);
        }
    }
    return NULL;
}

const char *http_request_query(const http_request *r, const char *name)
{
    return find_pair(r, &r->query, name, strcmp);
}

const char *http_request_header(const http_request *r, const char *name)
{
    return find_pair(r, &r->headers, name, strcasecmp);
}

const uint8_t *http_request_body(const http_request *r, size_t *len)
{
    *len = r->body.len;
    return r->body.len == 0 ? (const uint8_t *)"" : r->body.data;
}

const char *http_request_peer(const http_request *r)
{
    return r->peer;
}

const char *http_request_id(const http_request *r)
{
    return r->id;
}

const void *http_request_tag(const http_request *r)
{
    return r->route == NULL ? NULL : r->route->tag;
}

const volatile bool *http_request_stopping(const http_request *r)
{
    return &r->stopping;
}

void http_set_header(http_request *r, const char *name, const char *value)
{
    const size_t at = r->answer_header_count;

    if (at == HTTP_HEADERS_MAX || strpbrk(name, "\r\n\t :") != NULL || name[0] == '\0' ||
        strpbrk(value, "\r\n") != NULL) {
        return;
    }
    r->answer_headers[at].name = strdup(name);
    r->answer_headers[at].value = strdup(value);
    if (r->answer_headers[at].name == NULL || r->answer_headers[at].value == NULL) {
        free(r->answer_headers[at].name);
        free(r->answer_headers[at].value);
        return;
    }
    r->answer_header_count++;
}

void http_request_unlock(http_request *r)
{
    http_server *s = r->server;
    const bool last = !r->mhd_owns && !r->app_owns;
    bool free_server = false;

    if (last) {
        s->requests--;
        free_server = s->freed && s->requests == 0;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (last) {
        http_request_free(r);
    }
    if (free_server) {
        (void)pthread_cond_destroy(&s->changed);
        (void)pthread_cond_destroy(&s->tick);
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
    }
}

/* Gives the answer over: to the handler's own thread, to a resumed connection, or to nobody. */
static void answer(http_request *r, unsigned status, struct MHD_Response *response, size_t len)
{
    for (size_t i = 0; response != NULL && i < r->answer_header_count; i++) {
        (void)MHD_add_response_header(response, r->answer_headers[i].name,
                                      r->answer_headers[i].value);
    }
    (void)pthread_mutex_lock(&r->server->lock);
    TDSA_ASSERT(r->app_owns); /* answered once */
    r->app_owns = false;
    if (!r->mhd_owns || r->stopping) {
        if (response != NULL) {
            MHD_destroy_response(response);
        }
    } else {
        r->response = response;
        r->status = status;
        r->reply_len = len;
        if (r->suspended) {
            r->suspended = false;
            MHD_resume_connection(r->mhd);
        } else if (r->waiting) {
            (void)pthread_cond_broadcast(&r->server->changed);
        }
    }
    http_request_unlock(r);
}

void http_reply(http_request *r, unsigned status, const char *content_type, const void *body,
                size_t len)
{
    /* libmicrohttpd takes a plain pointer, and only reads it in this mode. */
    union {
        const void *in;
        void *out;
    } bytes = {.in = len == 0 ? "" : body};
    struct MHD_Response *response = NULL;

    if (r->local != NULL) {
        TDSA_ASSERT(r->app_owns); /* answered once */
        r->app_owns = false;
        r->local->status = status;
        tdsa_buf_append(&r->local->body, bytes.in, len);
        return;
    }
    response = MHD_create_response_from_buffer(len, bytes.out, MHD_RESPMEM_MUST_COPY);
    if (response != NULL && content_type != NULL) {
        (void)MHD_add_response_header(response, "Content-Type", content_type);
    }
    answer(r, status, response, len);
}
