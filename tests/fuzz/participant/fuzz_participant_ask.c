#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/lone_server.h"

/*
 * Bytes as the protocol port gets them: bit 0 of the first byte chooses between a raw body and the
 * body of a properly sealed ask (kind in the second byte, run and round in the next two), which gets
 * past the channel (part_inbound_take) to every handler and parser behind it: registration, status,
 * delete, begin of a run.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char session[] = "session-0123456789abcdef";

static void ask(lone_server *s, const uint8_t *data, size_t size)
{
    const peer_purpose purpose[] = {PEER_FOR_SECRETS, PEER_FOR_SIGNING, PEER_FOR_CONTROL};
    TDSA_SCOPED_BUF frame = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    const part_ask a = {.kind = (part_ask_kind)(1 + data[1] % (PART_ASK_END - 1)),
                        .run = data[2],
                        .round = data[3] % 8,
                        .body = data + 4,
                        .body_len = size - 4};
    lone_peer p;
    tdsa_err err;

    if (lone_open(s, &p, 0, 0, session, purpose[(data[0] >> 1) % 3], NULL, &err) == TDSA_OK) {
        lone_frame(&p, 0, &a, &frame);
        if (lone_post(s, session, frame.data, frame.len, &reply, &err) == TDSA_OK &&
            reply.len == 0) {
            abort();
        }
    }
    lone_close(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    lone_server *s = NULL;
    tdsa_err err;

    if (size < 4) {
        return 0;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return 0;
    }
    lone_server_start(s);
    if ((data[0] & 1) == 0) {
        (void)!lone_post(s, session, data + 1, size - 1, &reply, &err);
    } else {
        ask(s, data, size);
    }
    s->now_ms += 10000000;
    part_due(s->part);
    lone_server_stop(s);
    free(s);
    return 0;
}
