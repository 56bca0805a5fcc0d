#include "config/url.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 253u /* RFC 1035 2.3.4 */

/* An authority in parts, lent from the uri. */
typedef struct {
    const char *host;
    size_t host_len;
    const char *port; /* digits; NULL: none */
    size_t port_len;
} authority;

static bool is_printable(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s <= 0x20 || *s >= 0x7f || strchr("\"<>\\^`{|}", *s) != NULL) {
            return false;
        }
    }
    return true;
}

tdsa_status cfg_url_check_ipv6(const char *text, size_t len, tdsa_err *err)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (len < sizeof copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        if (inet_pton(AF_INET6, copy, &address) == 1) {
            return TDSA_OK;
        }
    }
    return TDSA_FAIL(err, TDSA_E_CONFIG, "no IPv6 address between the brackets");
}

tdsa_status cfg_url_check_host(const char *host, size_t len, tdsa_err *err)
{
    if (len == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "no host");
    }
    if (len > HOST_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "host longer than %u characters", HOST_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        const char c = host[i];
        const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
        if (!ok) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "character %zu of the host is not allowed", i + 1);
        }
    }
    return TDSA_OK;
}

static tdsa_status check_port(const authority *a, tdsa_err *err)
{
    unsigned port = 0;

    if (a->port == NULL) {
        return TDSA_OK;
    }
    for (size_t i = 0; i < a->port_len; i++) {
        if (a->port[i] < '0' || a->port[i] > '9' || i >= 5) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "the port is not a number from 1 to 65535");
        }
        port = port * 10 + (unsigned)(a->port[i] - '0');
    }
    if (port < 1 || port > 65535) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the port is not a number from 1 to 65535");
    }
    return TDSA_OK;
}

static tdsa_status parse_authority(const char *text, size_t len, tdsa_err *err)
{
    authority a = {text, len, NULL, 0};
    const char *colon;
    tdsa_status st;

    if (memchr(text, '@', len) != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "user information is not allowed");
    }
    if (len > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', len);
        if (end == NULL) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "no IPv6 address between the brackets");
        }
        st = cfg_url_check_ipv6(text + 1, (size_t)(end - text) - 1, err);
        a.host_len = (size_t)(end - text) + 1;
        colon = a.host_len < len ? end + 1 : NULL;
        if (st == TDSA_OK && colon != NULL && *colon != ':') {
            st = TDSA_FAIL(err, TDSA_E_CONFIG, "nothing but a port may follow the brackets");
        }
    } else {
        colon = memchr(text, ':', len);
        a.host_len = colon == NULL ? len : (size_t)(colon - text);
        st = cfg_url_check_host(a.host, a.host_len, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (colon != NULL) {
        a.port = colon + 1;
        a.port_len = len - a.host_len - 1;
    }
    return check_port(&a, err);
}

tdsa_status cfg_url_endpoint(char *out, size_t cap, const char *uri, tdsa_err *err)
{
    const bool https = strncasecmp(uri, "https://", 8) == 0;
    const char *rest;
    size_t authority_len;
    bool has_path;
    tdsa_status st;
    int n;

    out[0] = '\0';
    if (!https && strncasecmp(uri, "http://", 7) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the scheme must be http:// or https://");
    }
    if (!is_printable(uri)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "blanks, control or forbidden characters");
    }
    if (strchr(uri, '#') != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "a fragment is not allowed");
    }
    rest = uri + (https ? 8 : 7);
    authority_len = strcspn(rest, "/?");
    st = parse_authority(rest, authority_len, err);
    if (st != TDSA_OK) {
        return st;
    }
    has_path = rest[authority_len] == '/';
    n = snprintf(out, cap, "%s://%.*s%s%s", https ? "https" : "http", (int)authority_len, rest,
                 has_path ? "" : CFG_URL_DEFAULT_PATH, rest + authority_len);
    if (n < 0 || (size_t)n >= cap) {
        out[0] = '\0';
        return TDSA_FAIL(err, TDSA_E_CONFIG, "longer than %zu characters", cap - 1);
    }
    return TDSA_OK;
}
