#include <stdlib.h>
#include <string.h>

#include "http/http_internal.h"

/* Length of the well-formed UTF-8 character at `p` (RFC 3629 section 4), 0 when it is broken. */
static size_t utf8_len(const unsigned char *p)
{
    const size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    unsigned long c = p[0];

    if (len == 1) {
        return 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }
    c = p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3fu);
    }
    if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10ffff)) ||
        (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }
    return len;
}

/* A JSON string; broken UTF-8 becomes U+FFFD. */
static void append_json(tdsa_buf *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    tdsa_buf_append_u8(out, '"');
    while (*p != '\0') {
        const size_t len = utf8_len(p);

        if (len == 0) {
            tdsa_buf_append_str(out, "\\ufffd");
            p++;
        } else if (*p == '"' || *p == '\\') {
            tdsa_buf_appendf(out, "\\%c", *p);
            p++;
        } else if (*p < 0x20) {
            tdsa_buf_appendf(out, "\\u%04x", *p);
            p++;
        } else {
            tdsa_buf_append(out, p, len);
            p += len;
        }
    }
    tdsa_buf_append_u8(out, '"');
}

/* The body of an error, as Dropwizard's ErrorMessage. */
static void error_body(tdsa_buf *out, unsigned status, const char *message, const char *details)
{
    tdsa_buf_appendf(out, "{\"code\":%u,\"message\":", status);
    append_json(out, message != NULL ? message : MHD_get_reason_phrase_for(status));
    if (details != NULL) {
        tdsa_buf_append_str(out, ",\"details\":");
        append_json(out, details);
    }
    tdsa_buf_append_u8(out, '}');
}

struct MHD_Response *http_error_response(unsigned status, const char *message, const char *details)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    struct MHD_Response *response = NULL;

    error_body(&body, status, message, details);
    if (!body.failed) {
        response = MHD_create_response_from_buffer(body.len, body.data, MHD_RESPMEM_MUST_COPY);
    }
    if (response != NULL) {
        (void)MHD_add_response_header(response, "Content-Type", "application/json");
    }
    return response;
}

void http_reply_error(http_request *r, unsigned status, const char *message, const char *details)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;

    error_body(&body, status, message, details);
    http_reply(r, status, "application/json", body.data, body.failed ? 0 : body.len);
}
