#ifndef TESTS_ATTACK_LATTICE_H
#define TESTS_ATTACK_LATTICE_H

#include "group/group.h"

#define LATTICE_SIGNATURES 5u

/**
 * The hidden number problem: k_i = u_i + t_i*x mod q, where each k_i is believed to be below 2^bits.
 * Reduces the lattice of the k_i (Lenstra, Lenstra and Lovasz, in integers) and tries every short
 * vector. True when one gives the x of y = xG.
 */
bool lattice_finds_key(const grp *g, const grp_scalar t[LATTICE_SIGNATURES],
                       const grp_scalar u[LATTICE_SIGNATURES], unsigned bits, const grp_point *y);

#endif
