#include "config/server_url.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "config/url.h"

#define LOCAL        "localhost"
#define DATABASE_MAX 64u
#define SOCKET_MAX   100u /* a path of a socket has at most 107 characters */

static int hex_digit(char c)
{
    const char *const digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

    return at == NULL ? -1 : (int)(at - digits);
}

/* In place. */
static tdsa_status decode(char *text, const char *what, tdsa_err *err)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++, to++) {
        int high, low;

        if (*from != '%') {
            *to = *from;
            continue;
        }
        high = hex_digit(from[1]);
        low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0) {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "%s: a %% is followed by two hex digits (write %%25 for a %% itself)",
                             what);
        }
        if (high < 2 || (high == 7 && low == 15)) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "%s: a control character", what);
        }
        *to = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return TDSA_OK;
}

/* ---- hosts ---- */

static tdsa_status take_port(ks_host *h, const char *text, size_t number, tdsa_err *err)
{
    unsigned port = 0;
    size_t digits = strspn(text, "0123456789");

    for (size_t i = 0; i < digits && port <= 65535; i++) {
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (digits == 0 || text[digits] != '\0' || port < 1 || port > 65535) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "host %zu: the port is not a number from 1 to 65535",
                         number);
    }
    h->port = (uint16_t)port;
    return TDSA_OK;
}

static tdsa_status take_name(ks_host *h, char *text, size_t number, tdsa_err *err)
{
    tdsa_status st = decode(text, "a host", err);

    h->name = text;
    if (st == TDSA_OK && text[0] == '/') {
        return strlen(text) <= SOCKET_MAX
                   ? TDSA_OK
                   : TDSA_FAIL(err, TDSA_E_CONFIG,
                               "host %zu: the path is longer than %u characters", number,
                               SOCKET_MAX);
    }
    if (st == TDSA_OK) {
        st = cfg_url_check_host(text, strlen(text), err);
    }
    return st == TDSA_OK ? st : tdsa_err_wrap(err, "host %zu", number);
}

static tdsa_status take_ipv6(ks_host *h, char *text, size_t number, tdsa_err *err)
{
    char *end = strchr(text, ']');

    h->name = text + 1;
    if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "host %zu: [IPv6 address]:port is malformed", number);
    }
    *end = '\0';
    if (cfg_url_check_ipv6(h->name, strlen(h->name), err) != TDSA_OK) {
        return tdsa_err_wrap(err, "host %zu", number);
    }
    return end[1] == '\0' ? TDSA_OK : take_port(h, end + 2, number, err);
}

/* MariaDB Connector/J: address=(host=...)(port=...)(type=primary) */
static tdsa_status take_address(ks_host *h, char *text, size_t number, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (char *at = text; st == TDSA_OK && *at != '\0';) {
        char *end = strchr(at, ')');
        char *value = strchr(at, '=');

        if (*at != '(' || end == NULL || value == NULL || value > end) {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "host %zu: address=(host=...)(port=...) is malformed", number);
        }
        *value = *end = '\0';
        if (strcasecmp(at + 1, "host") == 0) {
            st = take_name(h, value + 1, number, err);
        } else if (strcasecmp(at + 1, "port") == 0) {
            st = take_port(h, value + 1, number, err);
        } /* (type=...): a server that takes no writes is passed over whatever it is called */
        at = end + 1;
    }
    if (st == TDSA_OK && h->name == NULL) {
        st = TDSA_FAIL(err, TDSA_E_CONFIG, "host %zu: the address has no (host=...)", number);
    }
    return st;
}

static tdsa_status take_host(cfg_server_url *out, char *text, tdsa_err *err)
{
    static const char address[] = "address=";
    const size_t number = out->hosts + 1;
    ks_host *h = &out->host[out->hosts];
    char *colon;
    tdsa_status st = TDSA_OK;

    if (out->hosts == KS_HOSTS_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "more than %u hosts", KS_HOSTS_MAX);
    }
    out->hosts++;
    if (text[0] == '[') {
        return take_ipv6(h, text, number, err);
    }
    if (strncasecmp(text, address, sizeof address - 1) == 0) {
        return take_address(h, text + sizeof address - 1, number, err);
    }
    colon = strchr(text, ':');
    if (colon != NULL) {
        *colon = '\0';
        st = take_port(h, colon + 1, number, err);
    }
    return st == TDSA_OK ? take_name(h, text, number, err) : st;
}

static tdsa_status take_hosts(cfg_server_url *out, char *text, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    if (*text == '\0') {
        out->host[0].name = LOCAL;
        out->hosts = 1;
        return TDSA_OK;
    }
    for (char *next = text; st == TDSA_OK && next != NULL;) {
        char *at = next;

        next = strchr(at, ',');
        if (next != NULL) {
            *next++ = '\0';
        }
        st = take_host(out, at, err);
    }
    return st;
}

/* ---- the rest ---- */

static tdsa_status take_user(cfg_server_url *out, char *text, tdsa_err *err)
{
    char *colon = strchr(text, ':');
    tdsa_status st;

    out->user = text;
    if (colon != NULL) {
        *colon = '\0';
        out->password = colon + 1;
    }
    st = decode(text, "the user name", err);
    if (st == TDSA_OK && colon != NULL) {
        st = decode(colon + 1, "the password", err);
    }
    return st;
}

static tdsa_status take_authority(cfg_server_url *out, char *text, tdsa_err *err)
{
    char *at = strrchr(text, '@');
    tdsa_status st = TDSA_OK;

    if (at != NULL) {
        *at = '\0';
        st = take_user(out, text, err);
    }
    return st == TDSA_OK ? take_hosts(out, at == NULL ? text : at + 1, err) : st;
}

static tdsa_status take_database(cfg_server_url *out, char *text, tdsa_err *err)
{
    tdsa_status st;

    if (strpbrk(text, "/@") != NULL) { /* or the password has a slash */
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "a '/' or '@' behind the host's '/' must be written as "
                         "%%2F or %%40, also in a user name or password");
    }
    st = decode(text, "the database name", err);
    if (st == TDSA_OK && strlen(text) > DATABASE_MAX) {
        st = TDSA_FAIL(err, TDSA_E_CONFIG, "the database name is longer than %u characters",
                       DATABASE_MAX);
    }
    out->database = *text == '\0' ? NULL : text;
    return st;
}

static tdsa_status take_params(cfg_server_url *out, char *text, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (char *next = text; st == TDSA_OK && next != NULL;) {
        cfg_server_param *p = &out->param[out->params];
        char *name = next;
        char *value;

        next = strchr(name, '&');
        if (next != NULL) {
            *next++ = '\0';
        }
        if (*name == '\0') {
            continue;
        }
        if (out->params == CFG_SERVER_PARAMS_MAX) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "more than %u parameters", CFG_SERVER_PARAMS_MAX);
        }
        value = strchr(name, '=');
        p->name = name;
        p->value = value == NULL ? "" : value + 1;
        out->params++;
        if (value != NULL) {
            *value = '\0';
            st = decode(value + 1, "a parameter", err);
        }
        if (st == TDSA_OK) {
            st = decode(name, "the name of a parameter", err);
        }
    }
    return st;
}

static tdsa_status split(cfg_server_url *out, char *text, tdsa_err *err)
{
    char *query = strchr(text, '?');
    char *slash;
    tdsa_status st = TDSA_OK;

    if (query != NULL) {
        *query = '\0';
        st = take_params(out, query + 1, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (strncmp(text, "//", 2) != 0) { /* jdbc:postgresql:name, jdbc:postgresql:/ */
        out->host[0].name = LOCAL;
        out->hosts = 1;
        return take_database(out, text[0] == '/' ? text + 1 : text, err);
    }
    text += 2;
    slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
        st = take_database(out, slash + 1, err);
    }
    return st == TDSA_OK ? take_authority(out, text, err) : st;
}

tdsa_status cfg_server_url_parse(cfg_server_url *out, const char *rest, tdsa_err *err)
{
    const size_t len = strlen(rest);
    tdsa_status st;

    memset(out, 0, sizeof *out);
    if (len > CFG_SERVER_URL_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the URL is longer than %u bytes", CFG_SERVER_URL_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)rest[i] < 0x20 || rest[i] == 0x7f) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "a control character in the URL");
        }
    }
    st = tdsa_secret_copy(&out->text, (const uint8_t *)rest, len + 1, err);
    if (st == TDSA_OK) {
        st = split(out, (char *)tdsa_secret_bytes(out->text), err);
    }
    if (st != TDSA_OK) {
        cfg_server_url_clear(out);
    }
    return st;
}

void cfg_server_url_clear(cfg_server_url *u)
{
    tdsa_secret_free(u->text);
    memset(u, 0, sizeof *u);
}
