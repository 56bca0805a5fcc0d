#ifndef PEER_WAKEUP_H
#define PEER_WAKEUP_H

#include <curl/curl.h>

#include "base/attr.h"

/**
 * A multi handle holds a pair of connected sockets of its own (for curl_multi_wakeup), made without
 * the close-on-exec flag, and libcurl tells nobody their numbers: they would stay open in every
 * program that the host application starts.
 *
 * Makes a multi handle, finds the pair by what curl_multi_wakeup does to it, sets the flag, and
 * gives the descriptors, or -1 where they could not be found for sure.
 */
CURLM *peer_multi_init(int pair[2]) TDSA_NONNULL;

#endif
