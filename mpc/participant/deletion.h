#ifndef PART_DELETION_H
#define PART_DELETION_H

#include "participant/internal.h"

/**
 * Orders to delete a key and to undo that (docs/protocol.md section 3). A part of internal.h.
 *
 * An order has a serial, which rises with every order about a key: odd ones delete, even ones undo. The
 * higher serial wins, so orders may arrive late, twice and in any order. Participants compare what they
 * have ("words"): each question carries the asker's, each answer the other's after it took that.
 */

/** What a participant has about a key, as it travels:
 * stmt("deletion", key-id, serial, state, remaining-ms). */
typedef struct {
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t serial;         /* 0: it knows of no order, or does not say */
    ks_deletion_state state; /* 0 with serial 0 */
    uint64_t remaining_ms;   /* SCHEDULED: until its own clock says that the time has come */
} part_word;

/** A word of participant `from`. */
typedef struct {
    const part_word *word;
    uint16_t from;
} part_heard;

void part_word_put(tdsa_buf *out, const part_word *w);
TDSA_MUST_USE tdsa_status part_word_parse(part_word *out, const uint8_t *in, size_t len,
                                          tdsa_err *err);
/** What is stored here; serial 0 without an order. Errors: TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status part_deletion_load(part *p, const char *key_id, ks_deletion *out,
                                             tdsa_err *err);
/** Whether the key is out of use because of an order: SCHEDULED or UNDOING. Also when that cannot be read. */
bool part_deletion_is_open(part *p, const char *key_id);
part_word part_word_of(const part *p, const ks_deletion *d);

/** Peers that this participant may order about: all servers, but none for a server in the group of a
 * client, which alone gives orders there. */
uint32_t part_deletion_tellable(const part *p);
/** Whether orders of `from` are followed: of any member, in the group of a client of the client only. */
bool part_deletion_obeys(const part *p, uint16_t from);

/** Stores an order in place of `was` and lets memory follow. Errors: as ks_deletion_put. */
TDSA_MUST_USE tdsa_status part_deletion_store(part *p, const ks_deletion *d, const ks_deletion *was,
                                              tdsa_err *err);
/** Follows, or notes, what a peer says. Errors: TDSA_E_DENIED (a serial out of reach), TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status part_deletion_hear(part *p, const part_heard *h, tdsa_err *err);

/** A peer's question, DELETE or UNDELETE; `out`: the answer. */
TDSA_MUST_USE tdsa_status part_ask_deletion(part *p, part_session *s, uint16_t from,
                                            const part_ask *a, tdsa_buf *out, tdsa_err *err);
/** Takes the answer of `from` to a question about a key; false when it says nothing. */
bool part_deletion_read_answer(part *p, const char *key_id, uint16_t from, const part_answer *a);
/** The answer to one of an operation's questions was taken, or will not come. */
void part_deletion_op_answered(part *p, part_op *op, uint16_t from, const part_answer *a);
/** Nobody is waited for any more. */
void part_deletion_op_go_on(part *p, part_op *op);

/* ---- deletion_due.c: what is left to do, in memory ---- */

typedef struct part_deletion {
    struct part_deletion *next;
    uint32_t id; /* the `run` of its questions: refusals name no key */
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t next_ms; /* monotonic */
    unsigned rounds;  /* times the peers were asked */
    uint32_t agreed;  /* members whose clock says too that it is to be wiped */
    uint64_t agreed_serial;
    uint64_t
        due_since_ms; /* monotonic, when this process began to ask whether it is due; 0: it did not */
    uint32_t claims; /* servers that say to a client that it is to be deleted */
    bool inquire;    /* a peer refused, because it knows of an order */
} part_deletion;

part_deletion *part_deletion_find(part *p, const char *key_id);
/** The same, made when there is none; NULL without memory (asked at the next start). */
part_deletion *part_deletion_open(part *p, const char *key_id);
/** There is something to do about this key: at once. */
part_deletion *part_deletion_note(part *p, const char *key_id);
/** Wipes the key when its time has come. */
void part_deletion_try_wipe(part *p, const char *key_id);
void part_deletions_load(part *p);
void part_deletions_free(part *p);
void part_deletions_due(part *p);
uint64_t part_deletions_next_due(const part *p);
/** A question of part_deletions_due, of this number, was answered. */
void part_deletion_answered(part *p, uint32_t id, uint16_t from, const part_answer *a);
/** Whether a refusal says that the key is, or was, being deleted. */
bool part_deletion_is_refusal(const part_answer *a);
/** A peer refused to use a key; nothing unless it says that this is because of an order. */
void part_deletion_refused(part *p, const char *key_id, const part_answer *a);
/** True while orders were not told, or times not compared, since this process knows of them. */
bool part_deletions_unasked(const part *p);

#endif
