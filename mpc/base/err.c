#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Texts may quote bytes from outside: an error stays one line whatever they hold. */
static void one_line(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

static void fill(tdsa_err *err, tdsa_status status, const char *where, const char *fmt,
                 va_list args) __attribute__((format(printf, 4, 0)));

static void fill(tdsa_err *err, tdsa_status status, const char *where, const char *fmt,
                 va_list args)
{
    err->status = status;
    err->participant = TDSA_NOBODY;
    err->where = where;
    if (vsnprintf(err->text, sizeof err->text, fmt, args) < 0) {
        err->text[0] = '\0';
    }
    one_line(err->text);
}

tdsa_status tdsa_err_set(tdsa_err *err, tdsa_status status, const char *where, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fill(err, status, where, fmt, args);
    va_end(args);
    return status;
}

tdsa_status tdsa_err_blame(tdsa_err *err, tdsa_status status, unsigned participant,
                           const char *where, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fill(err, status, where, fmt, args);
    va_end(args);
    err->participant = (int)participant;
    return status;
}

tdsa_status tdsa_err_wrap(tdsa_err *err, const char *fmt, ...)
{
    char context[TDSA_ERR_TEXT_MAX / 2]; /* leaves room for the cause, which is worth more */
    char cause[TDSA_ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    if (vsnprintf(context, sizeof context, fmt, args) < 0) {
        context[0] = '\0';
    }
    va_end(args);
    memcpy(cause, err->text, sizeof cause);
    cause[sizeof cause - 1] = '\0';
    err->text[0] = '\0';
    (void)strncat(err->text, context, sizeof err->text - 1);
    (void)strncat(err->text, ": ", sizeof err->text - 1 - strlen(err->text));
    (void)strncat(err->text, cause, sizeof err->text - 1 - strlen(err->text));
    one_line(err->text);
    return err->status;
}

const char *tdsa_status_name(tdsa_status status)
{
    switch (status) {
    case TDSA_OK:
        return "OK";
    case TDSA_E_BAD_INPUT:
        return "BAD_INPUT";
    case TDSA_E_NOT_FOUND:
        return "NOT_FOUND";
    case TDSA_E_DENIED:
        return "DENIED";
    case TDSA_E_LOGIN:
        return "LOGIN";
    case TDSA_E_CONFLICT:
        return "CONFLICT";
    case TDSA_E_LIMIT:
        return "LIMIT";
    case TDSA_E_BUSY:
        return "BUSY";
    case TDSA_E_UNAVAILABLE:
        return "UNAVAILABLE";
    case TDSA_E_TIMEOUT:
        return "TIMEOUT";
    case TDSA_E_PROTOCOL:
        return "PROTOCOL";
    case TDSA_E_VERIFY:
        return "VERIFY";
    case TDSA_E_CRYPTO:
        return "CRYPTO";
    case TDSA_E_STORE:
        return "STORE";
    case TDSA_E_WRAPPING:
        return "WRAPPING";
    case TDSA_E_CONFIG:
        return "CONFIG";
    case TDSA_E_NO_MEMORY:
        return "NO_MEMORY";
    case TDSA_E_INTERNAL:
        return "INTERNAL";
    }
    return "UNKNOWN";
}
