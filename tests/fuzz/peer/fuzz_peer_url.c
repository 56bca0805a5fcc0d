#include <stdlib.h>
#include <string.h>

#include "peer/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    peer_url url;
    tdsa_err err;

    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (peer_url_parse(&url, text, &err) == TDSA_OK) {
        require(url.port != 0);
        require(url.host[0] != '\0');
        require(strlen(url.host) <= PEER_HOST_MAX);
        require(strpbrk(url.host, "@/?#\\[] \r\n") == NULL);
        require(strlen(text) <= PEER_URL_MAX);
        require(strpbrk(text, "\r\n ") == NULL);
    } else {
        require(err.status == TDSA_E_CONFIG);
        require(url.host[0] == '\0');
    }
    free(text);
    return 0;
}
