#define _GNU_SOURCE 1 /* strerrordesc_np */
#include "keystore/wrap_uri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"

static tdsa_status no_memory(tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the URI of the wrapping key");
}

/* The value of an attribute in memory of its own; NULL with length 0 when it is not there. */
static tdsa_status take_attribute(const ks_wrap_uri *u, CK_ATTRIBUTE_TYPE type, uint8_t **out,
                                  size_t *len, tdsa_err *err)
{
    const CK_ATTRIBUTE *a = p11_kit_uri_get_attribute(u->uri, type);

    *out = NULL;
    *len = 0;
    if (a == NULL || a->ulValueLen == 0) {
        return TDSA_OK;
    }
    if (a->ulValueLen > KS_WRAP_NAME_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "object and id of a wrapping key have at most %u bytes", KS_WRAP_NAME_MAX);
    }
    *out = malloc(a->ulValueLen);
    if (*out == NULL) {
        return no_memory(err);
    }
    memcpy(*out, a->pValue, a->ulValueLen);
    *len = a->ulValueLen;
    return TDSA_OK;
}

static tdsa_status take_key(ks_wrap_uri *u, CK_OBJECT_CLASS wanted, tdsa_err *err)
{
    const CK_ATTRIBUTE *type = p11_kit_uri_get_attribute(u->uri, CKA_CLASS);
    CK_OBJECT_CLASS class = wanted;
    tdsa_status st = take_attribute(u, CKA_LABEL, &u->object, &u->object_len, err);

    if (st == TDSA_OK) {
        st = take_attribute(u, CKA_ID, &u->id, &u->id_len, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (u->object == NULL && u->id == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "the URI of the wrapping key needs object= or id= to name the key");
    }
    if (type != NULL && type->ulValueLen == sizeof class) {
        memcpy(&class, type->pValue, sizeof class);
    }
    if (class != wanted) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s",
                         wanted == CKO_SECRET_KEY ? "a wrapping key has type=secret-key"
                                                  : "a private key has type=private");
    }
    if (u->object != NULL) {
        (void)snprintf(u->key_name, sizeof u->key_name, "object=%.*s", (int)u->object_len,
                       (const char *)u->object);
    } else {
        char hex[2 * 16 + 1];

        tdsa_hex(hex, u->id, u->id_len < 16 ? u->id_len : 16);
        (void)snprintf(u->key_name, sizeof u->key_name, "id=%s", hex);
    }
    return TDSA_OK;
}

/* A field of CK_TOKEN_INFO, which is padded with blanks, or empty in a URI without it. */
static bool take_name(ks_wrap_uri *u, const char *what, const CK_UTF8CHAR *field, size_t len)
{
    while (len > 0 && (field[len - 1] == ' ' || field[len - 1] == '\0')) {
        len--;
    }
    if (len == 0) {
        return false;
    }
    (void)snprintf(u->token_name, sizeof u->token_name, "%s%.*s", what, (int)len,
                   (const char *)field);
    return true;
}

static void name_token(ks_wrap_uri *u)
{
    const CK_TOKEN_INFO *info = p11_kit_uri_get_token_info(u->uri);
    const CK_SLOT_ID slot = p11_kit_uri_get_slot_id(u->uri);

    if (take_name(u, "", info->label, sizeof info->label) ||
        take_name(u, "serial ", info->serialNumber, sizeof info->serialNumber)) {
        return;
    }
    if (slot != (CK_SLOT_ID)-1) {
        (void)snprintf(u->token_name, sizeof u->token_name, "in slot %lu", slot);
    } else {
        (void)snprintf(u->token_name, sizeof u->token_name, "(any)");
    }
}

static tdsa_status take_module(ks_wrap_uri *u, tdsa_err *err)
{
    const char *path = p11_kit_uri_get_module_path(u->uri);

    if (path != NULL && path[0] != '/') {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "module-path of the wrapping key must be an absolute path");
    }
    u->module_path = strdup(path != NULL ? path : KS_WRAP_MODULE_USUAL);
    return u->module_path != NULL ? TDSA_OK : no_memory(err);
}

static tdsa_status take_pin_value(ks_wrap_uri *u, const char *value, tdsa_err *err)
{
    const size_t len = strlen(value);
    tdsa_status st;

    if (len == 0 || len > KS_WRAP_PIN_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "pin-value has 1 to %u bytes", KS_WRAP_PIN_MAX);
    }
    st = tdsa_secret_copy(&u->pin, (const uint8_t *)value, len, err);
    if (st == TDSA_OK) {
        tdsa_wipe((void *)(uintptr_t)value, len); /* p11-kit's copy, which it would only free */
        p11_kit_uri_set_pin_value(u->uri, NULL);
    }
    return st;
}

/* A name of a variable or credential: nothing that leads out of a folder. */
static tdsa_status take_pin_name(char **out, const char *name, tdsa_err *err)
{
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    const size_t len = strnlen(name, KS_WRAP_NAME_MAX + 1);

    if (len == 0 || len > KS_WRAP_NAME_MAX || name[0] == '.' || strspn(name, legal) != len) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "pin-source env: and credential: want a name of letters, digits, '_', '.' "
                         "and '-'");
    }
    *out = strdup(name);
    return *out != NULL ? TDSA_OK : no_memory(err);
}

static tdsa_status take_pin_source(ks_wrap_uri *u, const char *source, tdsa_err *err)
{
    if (strncmp(source, "env:", 4) == 0) {
        return take_pin_name(&u->pin_env, source + 4, err);
    }
    if (strncmp(source, "credential:", 11) == 0) {
        return take_pin_name(&u->pin_credential, source + 11, err);
    }
    if (strncmp(source, "file:", 5) == 0) {
        source += strncmp(source, "file:///", 8) == 0 ? 7 : 5;
    }
    if (source[0] != '/') {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "pin-source must be file:/path, /path, env:NAME or credential:NAME");
    }
    u->pin_file = strdup(source);
    return u->pin_file != NULL ? TDSA_OK : no_memory(err);
}

static tdsa_status take_pin(ks_wrap_uri *u, tdsa_err *err)
{
    const char *value = p11_kit_uri_get_pin_value(u->uri);
    const char *source = p11_kit_uri_get_pin_source(u->uri);

    if (value != NULL && source != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "the URI of the wrapping key has both pin-value and pin-source");
    }
    if (value != NULL) {
        return take_pin_value(u, value, err);
    }
    if (source == NULL) {
        return TDSA_OK;
    }
    return take_pin_source(u, source, err);
}

static tdsa_status parse(ks_wrap_uri **out, const char *text, CK_OBJECT_CLASS wanted, tdsa_err *err)
{
    ks_wrap_uri *u = calloc(1, sizeof *u);
    tdsa_status st = TDSA_OK;
    int rc;

    *out = NULL;
    if (u == NULL) {
        return no_memory(err);
    }
    u->uri = p11_kit_uri_new();
    rc = u->uri == NULL ? P11_KIT_URI_UNEXPECTED
                        : p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, u->uri);
    if (rc != P11_KIT_URI_OK) {
        st = TDSA_FAIL(err, TDSA_E_CONFIG, "the URI of the wrapping key is wrong: %s",
                       p11_kit_uri_message(rc) != NULL ? p11_kit_uri_message(rc) : "");
    } else if (p11_kit_uri_any_unrecognized(u->uri)) {
        st = TDSA_FAIL(err, TDSA_E_CONFIG,
                       "the URI of the wrapping key has an attribute that nobody knows");
    }
    if (st == TDSA_OK) {
        st = take_pin(u, err);
    }
    if (st == TDSA_OK) {
        st = take_key(u, wanted, err);
    }
    if (st == TDSA_OK) {
        st = take_module(u, err);
    }
    if (st != TDSA_OK) {
        ks_wrap_uri_free(u);
        return st;
    }
    name_token(u);
    *out = u;
    return TDSA_OK;
}

tdsa_status ks_wrap_uri_parse(ks_wrap_uri **out, const char *text, tdsa_err *err)
{
    return parse(out, text, CKO_SECRET_KEY, err);
}

tdsa_status ks_wrap_uri_parse_private(ks_wrap_uri **out, const char *text, tdsa_err *err)
{
    return parse(out, text, CKO_PRIVATE_KEY, err);
}

void ks_wrap_uri_free(ks_wrap_uri *u)
{
    if (u == NULL) {
        return;
    }
    p11_kit_uri_free(u->uri);
    tdsa_secret_free(u->pin);
    free(u->module_path);
    free(u->pin_file);
    free(u->pin_env);
    free(u->pin_credential);
    free(u->object);
    free(u->id);
    free(u);
}

/* Reads up to `cap` bytes of a file that nobody else may read; -1 and errno (EPERM: others may). */
static ssize_t read_file(const char *path, uint8_t *out, size_t cap)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    size_t len = 0;
    ssize_t n = fd < 0 ? -1 : 1;
    int saved = 0;

    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
        (info.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
        n = -1;
        errno = EPERM;
    }
    while (n > 0 && len < cap) {
        n = read(fd, out + len, cap - len);
        if (n < 0 && errno == EINTR) {
            n = 1;
        } else if (n > 0) {
            len += (size_t)n;
        }
    }
    saved = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = saved;
    return n < 0 ? -1 : (ssize_t)len;
}

/* The first line of what a source holds. */
static tdsa_status pin_of_line(const ks_wrap_uri *u, const char *source, const uint8_t *text,
                               size_t len, tdsa_secret **out, tdsa_err *err)
{
    const uint8_t *end = len > 0 ? memchr(text, '\n', len) : NULL;

    len = end != NULL ? (size_t)(end - text) : len;
    if (len > 0 && text[len - 1] == '\r') {
        len--;
    }
    if (len == 0 || len > KS_WRAP_PIN_MAX) {
        return TDSA_FAIL(err, TDSA_E_LOGIN, "PIN %.140s of token %s must hold 1 to %u bytes",
                         source, u->token_name, KS_WRAP_PIN_MAX);
    }
    return tdsa_secret_copy(out, text, len, err);
}

static tdsa_status pin_of_file(const ks_wrap_uri *u, const char *path, tdsa_secret **out,
                               tdsa_err *err)
{
    uint8_t text[KS_WRAP_PIN_MAX + 3]; /* a line end and one byte too many */
    char source[160];
    const ssize_t got = read_file(path, text, sizeof text);
    tdsa_status st;

    if (got < 0) {
        return TDSA_FAIL(err, TDSA_E_LOGIN, "PIN file %.120s of token %s: %s", path, u->token_name,
                         errno == EPERM ? "others may read or write it: chmod o-rwx,g-w"
                                        : strerrordesc_np(errno));
    }
    (void)snprintf(source, sizeof source, "file %.120s", path);
    st = pin_of_line(u, source, text, (size_t)got, out, err);
    tdsa_wipe(text, sizeof text);
    return st;
}

static tdsa_status pin_of_environment(const ks_wrap_uri *u, tdsa_secret **out, tdsa_err *err)
{
    const char *value = getenv(u->pin_env);
    char source[160];

    if (value == NULL) {
        return TDSA_FAIL(err, TDSA_E_LOGIN,
                         "the variable %.120s with the PIN of token %s is not set", u->pin_env,
                         u->token_name);
    }
    (void)snprintf(source, sizeof source, "variable %.120s", u->pin_env);
    return pin_of_line(u, source, (const uint8_t *)value, strlen(value), out, err);
}

static tdsa_status pin_of_credential(const ks_wrap_uri *u, tdsa_secret **out, tdsa_err *err)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[1024];

    if (folder == NULL) {
        return TDSA_FAIL(
            err, TDSA_E_LOGIN,
            "PIN of token %s: pin-source is credential:%.80s, but CREDENTIALS_DIRECTORY "
            "is not set: start it by systemd with LoadCredential=",
            u->token_name, u->pin_credential);
    }
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, u->pin_credential) >= sizeof path) {
        return TDSA_FAIL(err, TDSA_E_LOGIN, "the path of credential %.80s is too long",
                         u->pin_credential);
    }
    return pin_of_file(u, path, out, err);
}

tdsa_status ks_wrap_uri_pin(const ks_wrap_uri *u, tdsa_secret **out, tdsa_err *err)
{
    *out = NULL;
    if (u->pin != NULL) {
        return tdsa_secret_copy(out, tdsa_secret_view(u->pin), tdsa_secret_len(u->pin), err);
    }
    if (u->pin_file != NULL) {
        return pin_of_file(u, u->pin_file, out, err);
    }
    if (u->pin_env != NULL) {
        return pin_of_environment(u, out, err);
    }
    if (u->pin_credential != NULL) {
        return pin_of_credential(u, out, err);
    }
    return TDSA_FAIL(err, TDSA_E_LOGIN,
                     "token %s needs a PIN: log in, or give pin-source in the URI of the wrapping "
                     "key",
                     u->token_name);
}
