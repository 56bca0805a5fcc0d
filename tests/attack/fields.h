#ifndef TESTS_ATTACK_FIELDS_H
#define TESTS_ATTACK_FIELDS_H

#include "base/buf.h"
#include "group/group.h"

/**
 * Every field of every message, told by parsing it: items of statements, of lists, of statements inside
 * octets, and points packed into octets. New messages are covered by themselves.
 */
#define FIELDS_MAX      400u
#define FIELD_DEPTH_MAX 8u

typedef struct {
    size_t at;                      /* of the type byte; of the first byte of a packed point */
    size_t value, len;              /* where the value is, and its bytes */
    uint8_t type;                   /* as in the item; FIELD_PACKED_POINT has no header */
    size_t parent[FIELD_DEPTH_MAX]; /* offsets of the headers that hold it, outermost first */
    size_t depth;
} field;

#define FIELD_PACKED_POINT 0xff

/** How a field is changed. */
typedef enum {
    CHANGE_ABSENT,
    CHANGE_REMOVED,
    CHANGE_EMPTY,
    CHANGE_TYPE,
    CHANGE_UNKNOWN_TYPE,
    CHANGE_SHORTER,
    CHANGE_LONGER,
    CHANGE_TWICE,
    CHANGE_LENGTH_LIES,
    CHANGE_LENGTH_HUGE,
    CHANGE_ZERO,
    CHANGE_ONES,
    CHANGE_LAST_BIT,
    CHANGE_FIRST_BIT,
    CHANGE_PLUS_ORDER, /* the same scalar, not canonical; or q itself where that does not fit */
    CHANGE_NEGATED,    /* scalar or point with the other sign */
    CHANGE_ONE,        /* scalar 1, point G */
    CHANGE_HYBRID,     /* SEC 1 forms 06 and 07 */
    CHANGE_OFF_CURVE,
    CHANGE_SMALL_ORDER,   /* Ed25519: of order 8; elsewhere the all-zero encoding */
    CHANGE_TORSION,       /* Ed25519: the point plus one of order 2 */
    CHANGE_OTHER_SENDER,  /* what another participant sent in this field */
    CHANGE_OTHER_SESSION, /* what it sent itself in another run */
    CHANGE_END
} field_change;

/** Finds the fields of a message; returns how many. Aborts when they do not fit. */
size_t fields_of(field *out, const grp *g, const tdsa_buf *message);
/** Appends the changed message to out. False when the change does not apply here or changes nothing.
 * other: the message of another sender; earlier: of another session; either may be empty. */
bool field_apply(tdsa_buf *out, const grp *g, const tdsa_buf *message, size_t which,
                 field_change change, const tdsa_buf *other, const tdsa_buf *earlier);
const char *field_change_name(field_change change);

#endif
