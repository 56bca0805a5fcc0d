#include <string.h>

#include "base/assert.h"
#include "protocol/presign_internal.h"

static const struct {
    mpc_scheme scheme;
    const char *name;
    unsigned points;
    const char *stream[PRESIGN_STREAMS];
} facts[] = {
    {MPC_SCHEME_ECDSA, "ecdsa", 1, {"k", "a"}},
    {MPC_SCHEME_EDDSA, "eddsa", 2, {"d", "e"}},
    {MPC_SCHEME_BIP340, "bip340", 2, {"d", "e"}},
};
#define SCHEME_COUNT (sizeof facts / sizeof facts[0])

static size_t row_of(mpc_scheme scheme)
{
    const size_t row = (size_t)scheme - 1;

    TDSA_ASSERT(row < SCHEME_COUNT && facts[row].scheme == scheme);
    return row;
}

const char *mpc_scheme_name(mpc_scheme scheme)
{
    return facts[row_of(scheme)].name;
}

unsigned mpc_scheme_points(mpc_scheme scheme)
{
    return facts[row_of(scheme)].points;
}

const char *presign_stream_name(mpc_scheme scheme, size_t which)
{
    TDSA_ASSERT(which < PRESIGN_STREAMS);
    return facts[row_of(scheme)].stream[which];
}

size_t mpc_reply_values(mpc_scheme scheme)
{
    return scheme == MPC_SCHEME_ECDSA ? 2 : 1;
}

bool mpc_scheme_by_name(mpc_scheme *out, const char *name)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (strcmp(facts[i].name, name) == 0) {
            *out = facts[i].scheme;
            return true;
        }
    }
    return false;
}

bool mpc_scheme_fits(mpc_scheme scheme, grp_curve curve)
{
    switch (scheme) {
    case MPC_SCHEME_ECDSA:
        return curve != GRP_ED25519;
    case MPC_SCHEME_EDDSA:
        return curve == GRP_ED25519;
    case MPC_SCHEME_BIP340:
        return curve == GRP_SECP256K1;
    }
    return false;
}

mpc_scheme mpc_scheme_default(grp_curve curve)
{
    return curve == GRP_ED25519 ? MPC_SCHEME_EDDSA : MPC_SCHEME_ECDSA;
}
