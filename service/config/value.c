#include "config/value.h"

#include <string.h>
#include <strings.h>

/* Digits at the start of `text`; gives the rest. False without a digit or above INT64_MAX. */
static bool read_digits(const char *text, int64_t *out, const char **rest)
{
    int64_t v = 0;

    if (*text < '0' || *text > '9') {
        return false;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(v, INT64_C(10), &v) ||
            __builtin_add_overflow(v, (int64_t)(*text - '0'), &v)) {
            return false;
        }
    }
    *out = v;
    *rest = text;
    return true;
}

bool cfg_value_int(const char *text, int64_t *out)
{
    const bool negative = *text == '-';
    const char *rest;
    int64_t v;

    if (*text == '-' || *text == '+') {
        text++;
    }
    if (!read_digits(text, &v, &rest) || *rest != '\0') {
        return false;
    }
    *out = negative ? -v : v;
    return true;
}

#define EXPONENT_MAX 300

static bool read_exponent(const char *text, int *out, const char **rest)
{
    const bool negative = *text == '-';
    int64_t v;

    if (*text == '-' || *text == '+') {
        text++;
    }
    if (!read_digits(text, &v, rest) || v > EXPONENT_MAX) {
        return false;
    }
    *out = negative ? -(int)v : (int)v;
    return true;
}

/* strtod reads what the host's locale says, so the module cannot use it. */
bool cfg_value_number(const char *text, double *out)
{
    const bool negative = *text == '-';
    int exponent = 0;
    double v = 0.0;
    bool digit = false;

    text += *text == '-' || *text == '+' ? 1 : 0;
    for (; *text >= '0' && *text <= '9'; text++, digit = true) {
        v = v * 10.0 + (*text - '0');
    }
    if (*text == '.') {
        double place = 0.1;
        for (text++; *text >= '0' && *text <= '9'; text++, digit = true) {
            v += place * (*text - '0');
            place /= 10.0;
        }
    }
    if (digit && (*text == 'e' || *text == 'E') && !read_exponent(text + 1, &exponent, &text)) {
        return false;
    }
    if (!digit || *text != '\0') {
        return false;
    }
    for (; exponent > 0; exponent--) {
        v *= 10.0;
    }
    for (; exponent < 0; exponent++) {
        v /= 10.0;
    }
    if (!__builtin_isfinite(v)) {
        return false;
    }
    *out = negative ? -v : v;
    return true;
}

bool cfg_value_bool(const char *text, bool *out)
{
    const bool yes = strcasecmp(text, "true") == 0;

    if (!yes && strcasecmp(text, "false") != 0) {
        return false;
    }
    *out = yes;
    return true;
}

bool cfg_value_duration(const char *text, int64_t *out_ms)
{
    static const struct {
        const char *word;
        int64_t ms;  /* milliseconds of one unit ... */
        int64_t per; /* ... or units of one millisecond */
    } units[] = {
        {"ns", 1, 1000000},   {"nanosecond", 1, 1000000}, {"nanoseconds", 1, 1000000},
        {"us", 1, 1000},      {"microsecond", 1, 1000},   {"microseconds", 1, 1000},
        {"ms", 1, 1},         {"millisecond", 1, 1},      {"milliseconds", 1, 1},
        {"s", 1000, 1},       {"second", 1000, 1},        {"seconds", 1000, 1},
        {"m", 60000, 1},      {"min", 60000, 1},          {"mins", 60000, 1},
        {"minute", 60000, 1}, {"minutes", 60000, 1},      {"h", 3600000, 1},
        {"hour", 3600000, 1}, {"hours", 3600000, 1},      {"d", 86400000, 1},
        {"day", 86400000, 1}, {"days", 86400000, 1},
    };
    const char *rest;
    int64_t v;

    if (!read_digits(text, &v, &rest)) {
        return false;
    }
    rest += strspn(rest, " \t");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(rest, units[i].word) == 0) {
            if (__builtin_mul_overflow(v, units[i].ms, &v)) {
                return false;
            }
            *out_ms = v / units[i].per + (v % units[i].per != 0 ? 1 : 0);
            return true;
        }
    }
    return false;
}

bool cfg_value_size(const char *text, int64_t *out_bytes)
{
    static const struct {
        const char *word;
        int64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"byte", 1},
        {"bytes", 1},
        {"K", 1000},
        {"KB", 1000},
        {"kilobyte", 1000},
        {"kilobytes", 1000},
        {"KiB", INT64_C(1) << 10},
        {"kibibyte", INT64_C(1) << 10},
        {"kibibytes", INT64_C(1) << 10},
        {"M", 1000000},
        {"MB", 1000000},
        {"megabyte", 1000000},
        {"megabytes", 1000000},
        {"MiB", INT64_C(1) << 20},
        {"mebibyte", INT64_C(1) << 20},
        {"mebibytes", INT64_C(1) << 20},
        {"G", 1000000000},
        {"GB", 1000000000},
        {"gigabyte", 1000000000},
        {"gigabytes", 1000000000},
        {"GiB", INT64_C(1) << 30},
        {"gibibyte", INT64_C(1) << 30},
        {"gibibytes", INT64_C(1) << 30},
        {"T", INT64_C(1000000000000)},
        {"TB", INT64_C(1000000000000)},
        {"terabyte", INT64_C(1000000000000)},
        {"terabytes", INT64_C(1000000000000)},
        {"TiB", INT64_C(1) << 40},
        {"tebibyte", INT64_C(1) << 40},
        {"tebibytes", INT64_C(1) << 40},
        {"P", INT64_C(1000000000000000)},
        {"PB", INT64_C(1000000000000000)},
        {"petabyte", INT64_C(1000000000000000)},
        {"petabytes", INT64_C(1000000000000000)},
        {"PiB", INT64_C(1) << 50},
        {"pebibyte", INT64_C(1) << 50},
        {"pebibytes", INT64_C(1) << 50},
    };
    const char *rest;
    int64_t v;

    if (!read_digits(text, &v, &rest)) {
        return false;
    }
    rest += strspn(rest, " \t");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(rest, units[i].word) == 0) {
            return !__builtin_mul_overflow(v, units[i].bytes, out_bytes);
        }
    }
    return false;
}

bool cfg_value_word(const char *text, const char *words, const char **out, size_t *out_len)
{
    const size_t text_len = strlen(text);

    for (const char *w = words; *w != '\0';) {
        const size_t len = strcspn(w, "|");
        if (len == text_len && strncasecmp(w, text, len) == 0) {
            *out = w;
            *out_len = len;
            return true;
        }
        w += len + (w[len] == '|' ? 1 : 0);
    }
    return false;
}

const char *cfg_value_level(const char *text)
{
    static const char *const levels[] = {"OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"};

    if (strcasecmp(text, "false") == 0) {
        return "OFF";
    }
    if (strcasecmp(text, "true") == 0) {
        return "ALL";
    }
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcasecmp(text, levels[i]) == 0) {
            return levels[i];
        }
    }
    return NULL;
}
