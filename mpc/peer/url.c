#include "peer/url.h"

#include <arpa/inet.h>
#include <string.h>

#define HOST_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"

static bool printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

/* ":" and digits, or nothing, in the `len` characters at `text`. */
static bool parse_port(uint16_t *port, const char *text, size_t len)
{
    unsigned value = 0;

    if (len == 0) {
        return true;
    }
    if (len < 2 || len > 6 || text[0] != ':') {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return value >= 1 && value <= UINT16_MAX;
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static bool parse_authority(peer_url *u, const char *text, size_t len)
{
    unsigned char address[sizeof(struct in6_addr)];
    const char *start = text;
    const char *end = NULL;
    size_t host_len = 0;
    size_t used = 0;
    const bool v6 = len > 0 && text[0] == '[';

    if (v6) {
        start = text + 1;
        end = memchr(text, ']', len);
        if (end == NULL) {
            return false;
        }
        used = (size_t)(end - text) + 1;
    } else {
        end = memchr(text, ':', len);
        end = end == NULL ? text + len : end;
        used = (size_t)(end - text);
    }
    host_len = (size_t)(end - start);
    if (host_len == 0 || host_len > PEER_HOST_MAX) {
        return false;
    }
    memcpy(u->host, start, host_len);
    u->host[host_len] = '\0';
    u->literal = inet_pton(v6 ? AF_INET6 : AF_INET, u->host, address) == 1;
    /* A trailing dot: libcurl looks such a name up without it, so ours would not be found. */
    if (v6 ? !u->literal : strspn(u->host, HOST_CHARS) != host_len || end[-1] == '.') {
        return false;
    }
    return parse_port(&u->port, text + used, len - used);
}

tdsa_status peer_url_parse(peer_url *out, const char *url, tdsa_err *err)
{
    const size_t len = strnlen(url, PEER_URL_MAX + 1);
    const char *rest = NULL;
    size_t authority_len = 0;

    memset(out, 0, sizeof *out);
    if (len == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the URL is missing");
    }
    if (len > PEER_URL_MAX || !printable(url)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "the URL is not up to %u printable ASCII characters without blanks",
                         PEER_URL_MAX);
    }
    out->https = strncmp(url, "https://", 8) == 0;
    if (!out->https && strncmp(url, "http://", 7) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the URL does not begin with http:// or https://");
    }
    rest = url + (out->https ? 8 : 7);
    out->port = out->https ? 443 : 80;
    authority_len = strcspn(rest, "/?#\\");
    if (memchr(rest, '@', authority_len) != NULL) {
        memset(out, 0, sizeof *out);
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "the URL holds a user name or password; peers authenticate by their keys");
    }
    if (strpbrk(rest, "#\\") != NULL || !parse_authority(out, rest, authority_len)) {
        memset(out, 0, sizeof *out);
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the URL %.120s is not http[s]://host[:port][/path]",
                         url);
    }
    return TDSA_OK;
}
