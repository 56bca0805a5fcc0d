#ifndef TESTS_UNIT_PROTOCOL_KEYGEN_FIXTURE_H
#define TESTS_UNIT_PROTOCOL_KEYGEN_FIXTURE_H

#include "protocol/keygen_internal.h"
#include "support/protocol_tamper.h"

/* Shared by the negative tests of key generation: (3,1) on P-256, one tampered value. */

#define KEY_ID "KeygenKey0000000000000000000"

enum { R_RANDOM, R_COMMIT, R_DEAL, R_REPORT, R_STORED };

/* Offsets in a deal of (3,1) on P-256: the opening begins after "deal" and one header. */
enum {
    OPEN_AT = 9 + 5,
    OPEN_SID = OPEN_AT + 9 + 5,
    OPEN_INDEX = OPEN_SID + 32 + 5 + 7,
    OPEN_LIST_LEN = OPEN_INDEX + 1 + 4,
    OPEN_C0 = OPEN_INDEX + 1 + 5 + 5,
    OPEN_C1 = OPEN_C0 + 33 + 5,
    OPEN_K = OPEN_C1 + 33 + 5 + 5,
    OPEN_Z = OPEN_K + 33 + 5,
    OPEN_CC = OPEN_Z + 32 + 5,
    OPEN_PART0 = OPEN_CC + 32 + 5 + 5
};
/* The same from the end: two contributions, chain code part, share, address. */
enum {
    PRIV_PAIR_END = 32,
    PRIV_SET_END = PRIV_PAIR_END + 37,
    PRIV_CC_END = PRIV_SET_END + 5 + 37,
    PRIV_SHARE_END = PRIV_CC_END + 37,
    PRIV_TO_END = PRIV_SHARE_END + 5 + 1,
    PRIV_FROM_END = PRIV_TO_END + 13,
    PRIV_SID_END = PRIV_FROM_END + 7 + 5 + 32,
    SALT_END = PRIV_SID_END + 5 + 9 + 5 + 32
};

typedef struct {
    protocol_run r;
    tamper t; /* from 1 to 0 unless the test says otherwise */
} fixture;

void set_up(fixture *f);
/** The run of `who` is dead: error as given, no secret left, nothing more to say. */
void assert_dead(const protocol_run *r, uint16_t who, tdsa_status st, int culprit,
                 const char *text);
/** One tampered message from 1 to 0: participant 0 blames 1 at once, nobody ends with a key. */
void blames_sender(fixture *f, const char *text);
/** One tampered deal from 1 to 0: 0 complains, so all abort; only 0 can name the culprit. */
void complains(fixture *f, const char *text);

#endif
