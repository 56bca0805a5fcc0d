#include "ct/ct.h"

#include "base/secret.h"
#include "support/recovery_kit.h"

/*
 * A recovery info made of a secret share with secret random bytes: nothing may branch on them, and
 * nothing but what is opened and sent becomes public. Then the share again from secret halves.
 */

#define SCALAR_BYTES 32u
#define PEM_LINE     64u
#define PEM_HEAD     "-----BEGIN PRIVATE KEY-----\n"

static tdsa_err err;

/* Opens like a private key, and what it gives is secret. */
static tdsa_status open_secretly(void *ctx, tdsa_buf *out, const tdsa_rsa_sealed *s, tdsa_err *e)
{
    const tdsa_status st = tdsa_rsa_decrypt(out, ctx, s, e);

    if (st == TDSA_OK) {
        ct_secret(out->data, out->len);
    }
    return st;
}

static void make(tdsa_buf *out, protocol_run *r, const recovery_kit *kit, uint16_t i)
{
    mpc_key_secret *sec = r->key[i]->sec;

    ct_secret(&sec->share, SCALAR_BYTES);
    ct_secret(r->rng[i].key, sizeof r->rng[i].key);
    ct_secret(r->rng[i].block, sizeof r->rng[i].block);
    recovery_kit_make(out, r, i, kit->cert, "aux");
    ct_still_secret("x_j", &sec->share, SCALAR_BYTES);
    ct_still_public("an info", out->data, out->len);
}

static void check(grp_curve curve)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF other = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    mpc_recovery_info infos[2];
    mpc_recovery_verdict verdicts[2];
    recovery_kit kit;
    protocol_run r;
    mpc_recovered out;

    recovery_kit_open(&kit);
    run_init(&r, curve, 3, 1, "constant time");
    ct_require(run_keygen(&r, "ConstantTimeKey0000000000004") == r.n, "keygen");
    make(&bytes, &r, &kit, 0);
    make(&other, &r, &kit, 2);
    ct_require(mpc_recovery_decode(&infos[0], r.g, bytes.data, bytes.len, &err) == TDSA_OK, "info");
    ct_require(mpc_recovery_decode(&infos[1], r.g, other.data, other.len, &err) == TDSA_OK, "info");
    {
        const mpc_recovery_opener opener = {open_secretly, kit.key};
        const mpc_recovery_asked asked = {r.g, infos, 2, NULL};

        ct_require(mpc_recovery_recover(&out, verdicts, &asked, &opener, &err) == TDSA_OK, "key");
        ct_still_secret("x", tdsa_secret_view(out.x), tdsa_secret_len(out.x));
        ct_require(out.has_cc, "chain code");
        ct_still_secret("the chain code", out.cc, sizeof out.cc);
        ct_require(mpc_recovery_put_key(&text, r.g, out.x, &err) == TDSA_OK, "PEM");
        /* the second line begins within the scalar */
        ct_still_secret("a key as text", text.data + sizeof PEM_HEAD - 1 + PEM_LINE + 1, 20);
    }
    mpc_recovered_clear(&out);
    run_clear(&r);
    recovery_kit_close(&kit);
}

int main(void)
{
    check(GRP_P256);
    check(GRP_SECP256K1);
    return ct_end();
}
