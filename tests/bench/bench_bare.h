#ifndef TESTS_BENCH_BARE_H
#define TESTS_BENCH_BARE_H

#include "group/group.h"

/**
 * CPU time in microseconds of one multiplication of the base point by a secret scalar, as the curve's
 * library offers it, with nothing of ours around it: the unit of the ratios. P-256: OpenSSL's
 * EC_POINT_mul alone, which leaves the point in projective form; secp256k1: libsecp256k1 with the
 * encoding; P-384 and P-521: nettle; Ed25519: libsodium. Negative when the library fails.
 */
double bench_bare_base_us(grp_curve curve);

#endif
