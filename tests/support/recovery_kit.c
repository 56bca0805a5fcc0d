#include "support/recovery_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "support/rsa_fixed.h"

static void require(tdsa_status st, const tdsa_err *err)
{
    if (st != TDSA_OK) {
        (void)fprintf(stderr, "recovery kit: %s\n", err->text);
        abort();
    }
}

void recovery_kit_open(recovery_kit *kit)
{
    TDSA_SCOPED_BUF cert = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF key = TDSA_BUF_EMPTY;
    tdsa_err err;

    require(tdsa_hex_decode(&cert, rsa_fixed_cert, &err), &err);
    require(tdsa_hex_decode(&key, rsa_fixed_key, &err), &err);
    require(tdsa_rsa_cert_new(&kit->cert, cert.data, cert.len, &err), &err);
    require(tdsa_rsa_key_new(&kit->key, key.data, key.len, NULL, &err), &err);
}

void recovery_kit_close(recovery_kit *kit)
{
    tdsa_rsa_cert_free(kit->cert);
    tdsa_rsa_key_free(kit->key);
    *kit = (recovery_kit){NULL, NULL};
}

void recovery_kit_make(tdsa_buf *out, protocol_run *r, uint16_t i, const tdsa_rsa_cert *cert,
                       const char *aux)
{
    const mpc_key *key = r->key[i];
    const tdsa_rng rng = tdsa_test_rng_of(&r->rng[i]);
    const size_t aux_len = aux != NULL ? strlen(aux) : 0;
    mpc_recovery_context context;
    const mpc_recovery_making m = {r->g, &context, i, &key->sec->share, key->pub.cc, cert};
    tdsa_err err;

    require(mpc_recovery_context_of(&context, key, (const uint8_t *)aux, aux_len, &err), &err);
    require(mpc_recovery_make(out, &m, &rng, &err), &err);
}
