#include "protocol/import.h"

#include <string.h>

#include "base/hash.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"

/* What an import does otherwise than a key generation: the record that is told in round 0, and
 * polynomials with a given constant. */

/* stmt("import", key id, curve, Y, chain code) */
static void put_record(const mpc_keygen *run, tdsa_buf *b, const grp_point *y, const uint8_t cc[32])
{
    tdsa_stmt_begin(b, "import");
    tdsa_stmt_text(b, run->key->pub.key_id);
    tdsa_stmt_text(b, grp_curve_name(run->key->pub.curve));
    mpc_put_point(b, run->g, y);
    tdsa_stmt_octets(b, cc, 32);
}

size_t import_record_len(const mpc_keygen *run)
{
    return MPC_TEXT("import") + MPC_ITEM(strlen(run->key->pub.key_id)) +
           MPC_ITEM(strlen(grp_curve_name(run->key->pub.curve))) +
           MPC_ITEM(grp_get_info(run->g)->point_len) + MPC_ITEM(32);
}

void import_put_inputs(const mpc_keygen *run, tdsa_buf *b)
{
    tdsa_stmt_uint(b, run->importer);
}

/* The record is known: it is what sid covers and every check is made against. */
static tdsa_status keep_record(mpc_keygen *run, uint16_t from, tdsa_err *err)
{
    keygen_old *told = &run->old;
    tdsa_status st = tdsa_buf_check(&told->record, err);

    if (st == TDSA_OK) {
        st = tdsa_hash_stmt(told->digest, &told->record, err);
    }
    memcpy(run->key->pub.cc, told->cc, sizeof told->cc);
    told->told_by = from;
    told->known = st == TDSA_OK;
    return st;
}

tdsa_status import_take_record(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    keygen_old *told = &run->old;
    tdsa_reader r = tdsa_reader_of(in, len);
    char key_id[MPC_KEY_ID_MAX + 1];
    char curve[16];
    tdsa_status st;

    tdsa_stmt_expect(&r, "import");
    tdsa_stmt_read_text(&r, key_id, sizeof key_id);
    tdsa_stmt_read_text(&r, curve, sizeof curve);
    if (r.failed || strcmp(key_id, run->key->pub.key_id) != 0 ||
        strcmp(curve, grp_curve_name(run->key->pub.curve)) != 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a record of another key");
    }
    st = mpc_get_point(&r, run->g, &told->y, err);
    tdsa_stmt_read_exact(&r, told->cc, sizeof told->cc);
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&r, "record of an import", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_buf_append(&told->record, in, len);
    return keep_record(run, from, err);
}

tdsa_status import_make_poly(mpc_keygen *run, tdsa_err *err)
{
    /* the dealer's is the key itself; both in locked memory */
    return keygen_deal_over(
        run, keygen_zero_constant(run, run->round.me) ? NULL : &run->sec->old_share, err);
}

/* ---- the key as it comes ---- */

#define RFC8032_LEN 32u

/* RFC 8032 5.1.5: "The lowest three bits of the first octet are cleared, the highest bit of the last
 * octet is cleared, and the second highest bit of the last octet is set." */
static tdsa_status ed25519_scalar(grp_scalar *x, const grp *g, const tdsa_secret *key,
                                  tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    uint8_t wide[RFC8032_LEN];
    tdsa_status st;

    if (tdsa_secret_len(key) != RFC8032_LEN) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a private key of Ed25519 has %u bytes, not %zu",
                         RFC8032_LEN, tdsa_secret_len(key));
    }
    st = tdsa_hash(digest, TDSA_HASH_SHA512, tdsa_secret_view(key), RFC8032_LEN, err);
    digest[0] &= 248;
    digest[31] = (uint8_t)((digest[31] & 127) | 64);
    for (size_t i = 0; i < sizeof wide; i++) {
        wide[i] = digest[sizeof wide - 1 - i];
    }
    grp_scalar_reduce(g, x, wide, sizeof wide);
    tdsa_wipe(digest, sizeof digest);
    tdsa_wipe(wide, sizeof wide);
    return st;
}

/* A number below q that may have leading zeros, as OpenSSL writes some, or lack them. */
static tdsa_status number_scalar(grp_scalar *x, const grp *g, const tdsa_secret *key, tdsa_err *err)
{
    const size_t width = grp_get_info(g)->scalar_len;
    const size_t len = tdsa_secret_len(key);
    const uint8_t *bytes = tdsa_secret_view(key);
    uint8_t fixed[GRP_SCALAR_LEN_MAX] = {0};
    uint8_t above = 0;
    tdsa_status st;

    for (size_t i = 0; i + width < len; i++) {
        above |= bytes[i];
    }
    tdsa_declassify(&above, sizeof above); /* whether it is in range at all */
    if (above != 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the key has %zu bytes: it is of another curve",
                         len);
    }
    if (len >= width) {
        memcpy(fixed, bytes + len - width, width);
    } else {
        memcpy(fixed + width - len, bytes, len);
    }
    st = grp_scalar_decode(g, x, fixed, width, err);
    tdsa_wipe(fixed, sizeof fixed);
    return st == TDSA_OK ? st
                         : TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the key is not below the order of %s",
                                     grp_get_info(g)->name);
}

static tdsa_status check_public(const grp *g, const grp_scalar *x, const uint8_t *public_key,
                                size_t len, tdsa_err *err)
{
    grp_point mine;
    grp_point given;
    tdsa_status st = grp_mul_base(g, &mine, x, err);

    tdsa_declassify(&mine, sizeof mine); /* the public key */
    if (st != TDSA_OK || public_key == NULL) {
        return st;
    }
    st = grp_point_decode(g, &given, public_key, len, err);
    if (st != TDSA_OK || !grp_point_equal(g, &mine, &given)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the public key is not that of the private key");
    }
    return TDSA_OK;
}

tdsa_status mpc_import_scalar(tdsa_secret **out, const grp *g, const tdsa_secret *private_key,
                              const uint8_t *public_key, size_t public_key_len, tdsa_err *err)
{
    const bool edwards = grp_get_info(g)->curve == GRP_ED25519;
    grp_scalar x = {0};
    bool zero = false;
    tdsa_status st =
        edwards ? ed25519_scalar(&x, g, private_key, err) : number_scalar(&x, g, private_key, err);

    *out = NULL;
    if (st == TDSA_OK) {
        zero = grp_scalar_is_zero(g, &x);
        tdsa_declassify(&zero, sizeof zero); /* whether it is a key at all */
    }
    if (zero) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the key is 0");
    }
    if (st == TDSA_OK) {
        st = check_public(g, &x, public_key, public_key_len, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_secret_new(out, grp_get_info(g)->scalar_len, err);
    }
    if (st == TDSA_OK) {
        grp_scalar_encode(g, tdsa_secret_bytes(*out), &x);
    }
    grp_scalar_clear(&x);
    return st;
}

/* ---- birth ---- */

static tdsa_status check_cfg(const mpc_import_cfg *cfg, tdsa_err *err)
{
    const uint16_t members = keygen_member_bits(cfg->keygen.members, cfg->keygen.n);
    const bool mine = cfg->dealer == cfg->keygen.me;

    if (cfg->keygen.epoch != 0 || (members >> cfg->keygen.me & 1u) == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "an import makes keys of epoch 0, and participant %u is to be a member",
                         cfg->keygen.me);
    }
    if (cfg->dealer >= GRP_PARTIES_MAX || (members >> cfg->dealer & 1u) == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "participant %u, who deals, is no member",
                         cfg->dealer);
    }
    if (mine != (cfg->key != NULL)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the dealer has the key, and nobody else");
    }
    return TDSA_OK;
}

/* The dealer's key, and what it tells of it. */
static tdsa_status take_key(mpc_keygen *run, const mpc_import_key *key, tdsa_err *err)
{
    grp_scalar *x = &run->sec->old_share;
    bool zero = false;
    tdsa_status st =
        grp_scalar_decode(run->g, x, tdsa_secret_view(key->x), tdsa_secret_len(key->x), err);

    if (st == TDSA_OK) {
        zero = grp_scalar_is_zero(run->g, x);
        tdsa_declassify(&zero, sizeof zero); /* whether it is a key at all */
    }
    if (st != TDSA_OK || zero) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the key is not a number of 1 to q-1");
    }
    st = grp_mul_base(run->g, &run->old.y, x, err);
    tdsa_declassify(&run->old.y, sizeof run->old.y); /* the public key */
    if (st != TDSA_OK) {
        return st;
    }
    memcpy(run->old.cc, key->cc, sizeof run->old.cc);
    put_record(run, &run->old.record, &run->old.y, run->old.cc);
    return keep_record(run, run->round.me, err);
}

tdsa_status mpc_import_new(mpc_keygen **out, const mpc_import_cfg *cfg, tdsa_err *err)
{
    mpc_keygen *run = NULL;
    tdsa_status st = keygen_check_cfg(&cfg->keygen, err);

    *out = NULL;
    if (st == TDSA_OK) {
        st = check_cfg(cfg, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    st = keygen_alloc(&run, &cfg->keygen, KEYGEN_IMPORT,
                      keygen_member_bits(cfg->keygen.members, cfg->keygen.n), err);
    if (st == TDSA_OK) {
        run->importer = cfg->dealer;
        st = cfg->key != NULL ? take_key(run, cfg->key, err) : TDSA_OK;
    }
    if (st == TDSA_OK) {
        st = keygen_begin(run, err);
    }
    if (st != TDSA_OK) {
        mpc_keygen_free(run);
        return st;
    }
    *out = run;
    return TDSA_OK;
}
