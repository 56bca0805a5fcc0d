#ifndef PART_MARKS_H
#define PART_MARKS_H

#include "participant/participant.h"
#include "peer/channel.h"

/*
 * Rollback defence between participants (docs/protocol.md "Rollback"). Each tells its peers the
 * counters of its store and keeps the highest that each peer told it, with the peer's own proof that
 * it said so. When a link opens both sides tell what they have and what they saw of the other. Who sees
 * that it once had more was put back: it gives up all presignatures and tells everybody. A part of
 * internal.h.
 */

typedef struct part_link part_link;

#define PART_MARK_TAG_LEN   16u
#define PART_STORES_MAX     4u    /* databases remembered of one pair of keys */
#define PART_MARKS_LEN_MAX  1024u /* bytes that tell them */
#define PART_IDENTITIES_MAX 256u  /* pairs of keys whose marks are in memory */

/** What a participant says of its store; the tag proves to itself that it said so. */
typedef struct {
    ks_marks m;
    uint8_t tag[PART_MARK_TAG_LEN];
} part_mark;

typedef struct {
    bool mine_set;
    part_mark mine; /* the sender's own */
    size_t seen_count;
    part_mark seen[PART_STORES_MAX]; /* what the sender saw of the receiver */
} part_marks;

/** stmt("marks", mark or absent, [marks]); mark = [store id, starts, burns, purges, octets tag]. */
void part_marks_put(tdsa_buf *out, const part_marks *m) TDSA_NONNULL;
/** Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status part_marks_parse(part_marks *out, const uint8_t *in, size_t len,
                                           tdsa_err *err) TDSA_NONNULL;

/** What was seen of one pair of keys. */
typedef struct part_identity {
    struct part_identity *next; /* latest used first */
    uint16_t index;
    uint8_t name[8]; /* of the keys */
    bool dirty;      /* not stored yet */
    size_t count;
    part_mark at[PART_STORES_MAX]; /* latest first */
} part_identity;

/** Derives the key of my tags. */
tdsa_status part_marks_begin(part *p, tdsa_err *err);
void part_marks_end(part *p);

/** A handshake begins: from what is known of the peer now on, it may not fall behind. */
tdsa_status part_marks_hello(part *p, part_link *l, tdsa_err *err);
/** What goes with the second handshake message. */
tdsa_status part_marks_welcome(part *p, part_link *l, tdsa_buf *out, tdsa_err *err);
/** What goes with the next ask or answer over the link; nothing is appended when nothing is new. */
tdsa_status part_marks_tell(part *p, part_link *l, tdsa_buf *out, tdsa_err *err);
/** What came with a handshake, ask or answer; len 0: nothing. Errors: TDSA_E_BAD_INPUT, TDSA_E_STORE
 * (whether this participant was put back cannot be said: nothing may be answered). */
tdsa_status part_marks_heard(part *p, part_link *l, const uint8_t *in, size_t len, tdsa_err *err);
/** The peer of a link proved to share a key here: its marks are worth a row. */
void part_marks_keep(part *p, part_link *l);
/** A peer took a MARKS question. */
void part_marks_told(part *p, uint16_t peer);
/** Tells every server soon. */
void part_marks_announce(part *p);
void part_marks_due(part *p);
uint64_t part_marks_next_due(const part *p);

/* rollback.c */
/** Says what ks_open found. */
void part_rollback_at_start(part *p);
/** Says what a reconnect found, and forgets what is in memory of the presignatures that went. */
void part_moved_due(part *p);
uint64_t part_moved_next_due(const part *p);
/** The store was put back behind `seen`: gives up every presignature here. Errors: TDSA_E_STORE. */
tdsa_status part_rolled_back(part *p, const ks_marks *seen, tdsa_err *err);
/** Gives up every presignature here, and tells the peers, which do the same with this participant. */
tdsa_status part_give_up_stock(part *p, tdsa_err *err);
/** Another process gave them up: what this one holds in memory goes too. */
void part_purged_elsewhere(part *p);
/** Batches of the peer's keys that it is a member of become VOID. */
tdsa_status part_void_with(part *p, uint16_t peer, const peer_keys *keys, tdsa_err *err);

#endif
