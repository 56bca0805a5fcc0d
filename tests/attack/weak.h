#ifndef TESTS_ATTACK_WEAK_H
#define TESTS_ATTACK_WEAK_H

#include "group/prss.h"

/**
 * Weaknesses on purpose. An attack that cannot succeed proves nothing, so each attack on
 * confidentiality runs twice: against the code that ships, and against the same code with one rule
 * taken out by the linker (--wrap). The wrapped functions behave as always while no weakness is on.
 */
typedef enum {
    WEAK_NOTHING,
    WEAK_PADS_BY_KEY,   /* pads keyed by `key` in the place of T */
    WEAK_PADS_LINEAR,   /* pad = b + tau*f with tau from T: two constants per presignature */
    WEAK_PADS_OUTSIDER, /* b + tau*f, zero-sharings that vanish at an id outside the committee */
    WEAK_R_FROM_REQUEST /* R is `r` whatever the own record says */
} weakness;

typedef struct {
    weakness what;
    uint8_t key[64];      /* WEAK_PADS_BY_KEY */
    uint16_t outsider;    /* WEAK_PADS_OUTSIDER: index of the corrupt participant */
    grp_point r;          /* WEAK_R_FROM_REQUEST */
    bool delta_by_key;    /* delta = H2S('delta', key): not bound to the request */
    bool rho_by_key;      /* rho = H2S('bind', key): not bound to the request */
    bool coin_value_only; /* T has the value of the coins at 0 in the place of their list */
    bool any_list;        /* list digests of presignatures are not compared */
    bool short_values;    /* 48 bytes whatever the curve */
    /* what grp_scalar_reduce was asked since weak_off */
    size_t reductions, narrow; /* calls; of these with fewer bytes than L(q) */
    bool coordinate;           /* within grp_point_x_mod_q: x of a point is as long as it is */
    size_t high;               /* results of wide calls above (q-1)/2 */
} weak_state;

/** One test at a time: the state of this program. */
extern weak_state weak;
/** Everything as it ships. */
void weak_off(void);

#endif
