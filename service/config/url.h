#ifndef CFG_URL_H
#define CFG_URL_H

#include <stddef.h>

#include "base/err.h"

/** Path that is used when a participant's uri has none. */
#define CFG_URL_DEFAULT_PATH "/protocol/round"

/**
 * The protocol endpoint of a participant from its `uri`. "http://h:1" -> "http://h:1/protocol/round";
 * a path is kept, "/" too; the query is kept; the scheme is written in small letters.
 *
 * out   cap bytes; "" on failure.
 * Errors: TDSA_E_CONFIG: not http or https, no or bad host, bad port, user information, fragment,
 * blanks or control characters, longer than cap. The text never repeats user information.
 */
TDSA_MUST_USE tdsa_status cfg_url_endpoint(char *out, size_t cap, const char *uri, tdsa_err *err)
    TDSA_NONNULL;

/** A host name or IPv4 address; an IPv6 address without brackets. Errors: TDSA_E_CONFIG. */
TDSA_MUST_USE tdsa_status cfg_url_check_host(const char *host, size_t len, tdsa_err *err)
    TDSA_NONNULL;
TDSA_MUST_USE tdsa_status cfg_url_check_ipv6(const char *text, size_t len, tdsa_err *err)
    TDSA_NONNULL;

#endif
