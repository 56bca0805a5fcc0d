#ifndef PART_WIRE_H
#define PART_WIRE_H

#include "peer/channel.h"

/**
 * What travels on POST /protocol/round. A body is a frame:
 *
 *   request  01 | 01 | initiator u16 | responder u16 | purpose u8 | id length u8 | initiator id |
 *            id length u8 | responder id | first Noise message
 *   reply    01 | 01 | second Noise message
 *   request  01 | 02 | sender u16 | receiver u16 | seq u64 | sealed ask
 *   reply    01 | 02 | sender u16 | receiver u16 | seq u64 | sealed answer
 *
 * All numbers big-endian. The header of a sealed frame is its associated data; those of a handshake
 * are in the prologue. An ask is stmt("ask", op, run, round, octets marks or absent, octets body); an
 * answer is stmt("answer", status, text, octets marks or absent, octets body). The text of a refusal
 * travels sealed.
 */
#define PART_FRAME_VERSION   1u
#define PART_FRAME_HANDSHAKE 1u
#define PART_FRAME_SEALED    2u
#define PART_FRAME_HEAD_LEN  14u /* of a sealed frame */

typedef struct {
    uint8_t type;
    uint16_t from, to;
    peer_purpose purpose;          /* handshake */
    char from_id[PEER_ID_MAX + 1]; /* handshake */
    char to_id[PEER_ID_MAX + 1];   /* handshake */
    uint64_t seq;                  /* sealed */
    const uint8_t *head;           /* sealed: the associated data, lent */
    const uint8_t *rest;           /* the Noise message or the sealed part, lent */
    size_t rest_len;
} part_frame;

void part_frame_put_handshake(tdsa_buf *out, const part_frame *f) TDSA_NONNULL;
void part_frame_put_sealed_head(tdsa_buf *out, uint16_t from, uint16_t to, uint64_t seq)
    TDSA_NONNULL;
/** Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status part_frame_parse(part_frame *out, const uint8_t *in, size_t len,
                                           tdsa_err *err) TDSA_NONNULL;

/** Every question a participant can put to another. part_permission (permission.h) has one row for
 * each. */
typedef enum {
    PART_ASK_REGISTER = 1,
    PART_ASK_STATUS,
    PART_ASK_DELETE,
    PART_ASK_PING,
    PART_ASK_KEYGEN,
    PART_ASK_PRESIGN,
    PART_ASK_PREPARE, /* the lock and coin that come before SIGN in prepare mode */
    PART_ASK_SIGN,
    PART_ASK_RESHARE,
    PART_ASK_SIGN_BATCH, /* PREPARE or SIGN for many requests at once */
    PART_ASK_RECOVERY,
    PART_ASK_MARKS, /* nothing but what goes with every first question: the counters of rollback.c */
    PART_ASK_IMPORT,
    PART_ASK_UNDELETE,
    PART_ASK_EXPORT,
    PART_ASK_BURN, /* a range that SIGN will ask for */
    PART_ASK_END
} part_ask_kind;

/** What SIGN_BATCH asks for: stmt("batch-request", phase, [item]), each item the octets of what PREPARE
 * or SIGN would say behind its tag; the answer is stmt("batch-answer", [octets of an answer]). */
typedef enum { PART_BATCH_COINS = 1, PART_BATCH_REPLIES = 2 } part_batch_phase;

typedef struct {
    part_ask_kind kind;
    uint32_t
        run; /* of KEYGEN, PRESIGN, RESHARE, IMPORT, EXPORT: number of the run inside the session */
    uint32_t round;       /* the same */
    const uint8_t *marks; /* counters (participant/marks.h); marks_len 0: nothing new */
    size_t marks_len;
    const uint8_t *body;
    size_t body_len;
} part_ask;

typedef struct {
    tdsa_status status;
    char text[TDSA_ERR_TEXT_MAX];
    const uint8_t *marks; /* as of an ask */
    size_t marks_len;
    const uint8_t *body;
    size_t body_len;
} part_answer;

void part_ask_put(tdsa_buf *out, const part_ask *a) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_ask_parse(part_ask *out, const uint8_t *in, size_t len,
                                         tdsa_err *err) TDSA_NONNULL;
/** The text of an error, in printable characters, and no body. */
void part_answer_text(part_answer *a, const tdsa_err *err) TDSA_NONNULL;
void part_answer_put(tdsa_buf *out, const part_answer *a) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_answer_parse(part_answer *out, const uint8_t *in, size_t len,
                                            tdsa_err *err) TDSA_NONNULL;

#endif
