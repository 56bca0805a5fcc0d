#include "ct/ct.h"

#include <string.h>

#include "base/secret.h"
#include "protocol/key_internal.h"
#include "protocol/keygen_internal.h"
#include "support/protocol_run.h"

/*
 * An import with the key and every random byte marked as secret: nothing may branch on them, and the
 * shares are still marked at the end.
 */

#define SCALAR_BYTES 32u

static tdsa_secret *private_key(void)
{
    uint8_t bytes[SCALAR_BYTES];
    tdsa_secret *key = NULL;
    tdsa_err err;

    memset(bytes, 0x5a, sizeof bytes);
    ct_require(tdsa_secret_copy(&key, bytes, sizeof bytes, &err) == TDSA_OK, "a key");
    ct_secret(tdsa_secret_bytes(key), SCALAR_BYTES);
    return key;
}

static void check_import(grp_curve curve)
{
    TDSA_SCOPED_SECRET key = private_key();
    TDSA_SCOPED_SECRET x = NULL;
    mpc_import_key dealt = {.cc = {1}};
    protocol_run r;
    tdsa_err err;

    run_init(&r, curve, 3, 1, "constant time");
    ct_require(mpc_import_scalar(&x, r.g, key, NULL, 0, &err) == TDSA_OK, "the scalar");
    ct_still_secret("the scalar", tdsa_secret_view(x), tdsa_secret_len(x));
    dealt.x = x;
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        ct_secret(r.rng[i].key, sizeof r.rng[i].key);
        ct_secret(r.rng[i].block, sizeof r.rng[i].block);
    }
    ct_require(run_import(&r, "ConstantTimeKey0000000000004", 1, &dealt) == r.n, "import");
    for (uint16_t i = 0; i < r.n; i++) {
        const mpc_key *k = r.key[i];

        ct_still_public("the public half", &k->pub, sizeof k->pub);
        ct_still_secret("x_j", &k->sec->share, SCALAR_BYTES);
        for (size_t s = 0; s < k->sec->set_count; s++) {
            ct_still_secret("kappa of a set", k->sec->sets[s].key, 32);
        }
    }
    run_clear(&r);
}

int main(void)
{
    check_import(GRP_P256);
    check_import(GRP_ED25519);
    return ct_end();
}
