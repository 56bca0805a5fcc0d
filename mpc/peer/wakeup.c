#include "peer/wakeup.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#define TRIES_MAX 4

/* The two lowest free descriptors, which a socketpair will get unless another thread is faster. */
static bool guess(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        pair[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    }
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0) {
            (void)close(pair[i]);
        }
    }
    return pair[0] >= 0 && pair[1] >= 0;
}

static bool is_unix_socket(int fd)
{
    int domain = 0;
    socklen_t len = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* Bytes that wait in one socket to be read, and in the other for the first to read them. */
static bool has_bytes(const int pair[2], bool some)
{
    int in = -1;
    int out = -1;

    return ioctl(pair[0], SIOCINQ, &in) == 0 && ioctl(pair[1], SIOCOUTQ, &out) == 0 &&
           (in > 0) == some && (out > 0) == some;
}

/* A wake-up fills exactly this pair, a poll empties it. */
static bool is_pair_of(CURLM *multi, const int pair[2])
{
    return is_unix_socket(pair[0]) && is_unix_socket(pair[1]) && has_bytes(pair, false) &&
           curl_multi_wakeup(multi) == CURLM_OK && has_bytes(pair, true) &&
           curl_multi_poll(multi, NULL, 0, 0, NULL) == CURLM_OK && has_bytes(pair, false);
}

CURLM *peer_multi_init(int pair[2])
{
    CURLM *multi = NULL;

    for (int i = 0; i < TRIES_MAX; i++) {
        const bool guessed = guess(pair);

        multi = curl_multi_init();
        if (multi == NULL || !guessed) {
            break;
        }
        if (is_pair_of(multi, pair)) {
            (void)fcntl(pair[0], F_SETFD, FD_CLOEXEC);
            (void)fcntl(pair[1], F_SETFD, FD_CLOEXEC);
            return multi;
        }
        if (i + 1 < TRIES_MAX) {
            (void)curl_multi_cleanup(multi);
        }
    }
    pair[0] = -1;
    pair[1] = -1;
    return multi;
}
