#ifndef CFG_ROW_H
#define CFG_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/**
 * The table of keys. One row per key drives the reader, the checks, the defaults, the error texts and
 * docs/configuration.md. Rows stand in sections; a section is mounted at one or more places
 * (the same connector rows serve applicationConnectors[], adminConnectors[] and connector).
 *
 * The pattern of a key is its path with "[]" for every array index and "*" for a free name:
 * "server.applicationConnectors[].port", "logging.loggers.*.level".
 */

typedef enum {
    CFG_STRING,
    CFG_SECRET, /* a string that appears in no message */
    CFG_INT,
    CFG_NUMBER, /* decimal fraction */
    CFG_BOOL,
    CFG_DURATION,        /* "30s"; a bare number is refused */
    CFG_SECONDS,         /* a whole number of seconds, or a duration */
    CFG_MILLIS,          /* a whole number of milliseconds, or a duration */
    CFG_SIZE,            /* "8KiB" or bytes */
    CFG_ENUM,            /* one of `words` */
    CFG_LEVEL,           /* log level; YAML false and true mean OFF and ALL */
    CFG_LEVEL_OR_OBJECT, /* entry of logging.loggers */
    CFG_OBJECT,
    CFG_OBJECT_MAP, /* free names; rows below it say "*" */
    CFG_STRING_MAP, /* free names, text values */
    CFG_ARRAY,      /* elements have rows of their own, "name[]" */
    CFG_STRINGS,    /* array of text */
    CFG_INTS,       /* array of whole numbers */
    CFG_ANY         /* not looked into */
} cfg_type;

typedef enum {
    CFG_HONOURED,
    CFG_MAPPED,  /* to the nearest thing we have */
    CFG_IGNORED, /* accepted; one INFO line */
    CFG_WARNED,  /* accepted; one WARN line */
    CFG_LATER,   /* accepted; this version does not act on it; one INFO line */
    CFG_REFUSED  /* read; who uses it refuses anything but the default */
} cfg_handling;

typedef struct {
    const char *name; /* pattern below the section's mount */
    cfg_type type;
    cfg_handling handling;
    bool required; /* wherever the object that holds it is present */
    bool nullable; /* an array element that may be null */
    /* Default as text, as it would stand in the file; CFG_STRINGS: each ends in NUL, twice at the end.
     * NULL: none. */
    const char *fallback;
    int64_t min, max;  /* in the key's unit (durations: ms, sizes: bytes); both 0: no range */
    const char *words; /* CFG_ENUM: "http|https" */
    const char *help;
} cfg_row;

typedef struct {
    const char *title;
    const char
        *mounts; /* patterns, "" is the document itself; each ends in NUL, twice at the end */
    const cfg_row *rows;
    size_t count;
} cfg_section;

#define CFG_SECTIONS_MAX 24u
#define CFG_PATH_MAX     256u

/** All sections; the first is the document itself. Static. */
const cfg_section *const *cfg_sections(size_t *count) TDSA_NONNULL;
/** The row of a pattern; NULL when there is none. Elements of CFG_STRINGS, CFG_INTS and values of
 * CFG_STRING_MAP have no row of their own. */
const cfg_row *cfg_row_find(const char *pattern) TDSA_NONNULL;

/** Calls `fn` with the name of every key directly below `pattern` ("" for the document). */
typedef void (*cfg_name_fn)(void *ctx, const char *name, const cfg_row *row);
void cfg_row_each_child(const char *pattern, cfg_name_fn fn, void *ctx)
    __attribute__((nonnull(1, 2)));

/** Name of a type as the errors use it: "int", "String", "Duration". Static. */
const char *cfg_type_name(cfg_type type);

#endif
