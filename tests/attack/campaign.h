#ifndef TESTS_ATTACK_CAMPAIGN_H
#define TESTS_ATTACK_CAMPAIGN_H

#include "support/protocol_run.h"

/**
 * Every field of every message, replaced by everything that it must not be (attack/fields.h), told to
 * one participant and then to all. Whoever receives it refuses and blames the sender or nobody, never
 * an honest participant; no two honest ones end with different keys or lists; nobody crashes; the next
 * honest run works. Participant 1 is the liar. All abort the test when one of this does not hold.
 */
void keygen_campaign(grp_curve curve, mpc_scheme scheme, uint16_t n, uint16_t t);
/** (3,1). compressed: the wire form of points. */
void presign_campaign(grp_curve curve, mpc_scheme scheme, bool compressed);
/** The campaign finds a check that is missing: list digests are not compared. */
void planted_campaign(void);
/** Of a P-256 key of (3,1); who deals the key: 1, the liar, or another. */
void import_campaign(uint16_t dealer);
/** Of a P-256 key of (3,1); 0, to whom the liar lies, coordinates. */
void export_campaign(void);
/** Of a P-256 key of (3,1). */
void reshare_campaign(const run_reshare_spec *spec);

#endif
