#include "cli/exit.h"

#include <stdbool.h>
#include <string.h>

int cli_exit_code(tdsa_status status)
{
    switch (status) {
    case TDSA_OK:
        return CLI_EXIT_DONE;
    case TDSA_E_BAD_INPUT:
    case TDSA_E_CONFIG:
        return CLI_EXIT_USAGE;
    case TDSA_E_NOT_FOUND:
        return CLI_EXIT_NOT_FOUND;
    case TDSA_E_DENIED:
    case TDSA_E_CONFLICT:
    case TDSA_E_LIMIT:
        return CLI_EXIT_REFUSED;
    case TDSA_E_UNAVAILABLE:
    case TDSA_E_TIMEOUT:
    case TDSA_E_BUSY:
        return CLI_EXIT_UNAVAILABLE;
    case TDSA_E_VERIFY:
        return CLI_EXIT_VERIFY;
    case TDSA_E_LOGIN:
    case TDSA_E_PROTOCOL:
    case TDSA_E_CRYPTO:
    case TDSA_E_STORE:
    case TDSA_E_WRAPPING:
    case TDSA_E_NO_MEMORY:
    case TDSA_E_INTERNAL:
        return CLI_EXIT_FAILED;
    }
    return CLI_EXIT_FAILED;
}

const char *cli_hint(tdsa_status status)
{
    switch (status) {
    case TDSA_OK:
    case TDSA_E_BAD_INPUT: /* the text says what is wrong */
    case TDSA_E_CONFIG:
    case TDSA_E_DENIED:
    case TDSA_E_LIMIT:
    case TDSA_E_NO_MEMORY:
        return "";
    case TDSA_E_NOT_FOUND:
        return "tdsa key list shows what there is";
    case TDSA_E_CONFLICT:
        return "tdsa key show says what state the key is in";
    case TDSA_E_LOGIN:
        return "is the PIN right, and the token the one of the configuration?";
    case TDSA_E_UNAVAILABLE:
    case TDSA_E_TIMEOUT:
        return "is it running, and reachable? Its log says more; then try again";
    case TDSA_E_BUSY:
        return "try again";
    case TDSA_E_PROTOCOL:
    case TDSA_E_VERIFY:
        return "look at the logs of all participants";
    case TDSA_E_CRYPTO:
    case TDSA_E_STORE:
    case TDSA_E_WRAPPING:
    case TDSA_E_INTERNAL:
        return "the log of who answered says more";
    }
    return "";
}

static tdsa_status status_of_http(unsigned http)
{
    switch (http) {
    case 400:
    case 413:
    case 415:
    case 422:
    case 431:
        return TDSA_E_BAD_INPUT;
    case 403:
    case 405:
        return TDSA_E_DENIED;
    case 404:
    case 410:
        return TDSA_E_NOT_FOUND;
    case 409:
        return TDSA_E_CONFLICT;
    case 429:
        return TDSA_E_LIMIT;
    case 408:
    case 504:
        return TDSA_E_TIMEOUT;
    case 502:
        return TDSA_E_PROTOCOL;
    case 503:
        return TDSA_E_UNAVAILABLE;
    default:
        return TDSA_E_INTERNAL;
    }
}

tdsa_status cli_status_of(const json_t *doc, unsigned http)
{
    const char *name = json_string_value(json_object_get(doc, "error"));

    for (int st = TDSA_E_BAD_INPUT; name != NULL && st <= (int)TDSA_E_INTERNAL; st++) {
        if (strcmp(tdsa_status_name((tdsa_status)st), name) == 0) {
            const bool waits = st == TDSA_E_STORE || st == TDSA_E_WRAPPING;

            /* a daemon without its database or token is not available, and says when to ask again */
            return http == 503 && waits ? TDSA_E_UNAVAILABLE : (tdsa_status)st;
        }
    }
    return status_of_http(http);
}
