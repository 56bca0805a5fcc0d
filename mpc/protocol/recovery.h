#ifndef MPC_PROTOCOL_RECOVERY_H
#define MPC_PROTOCOL_RECOVERY_H

#include "base/rsa.h"
#include "protocol/key.h"

/*
 * Emergency recovery (docs/protocol.md, "Recovery"): a share encrypted under an RSA certificate, with a
 * proof, which anybody can check without the private key, that the ciphertexts hold the share x_j of
 * X_j. Cut and choose: x_j is split 128 times into r + s, both halves are encrypted, and the halves that
 * the hash of everything picks are opened. t+1 infos and the RSA private key give the key.
 * Pure functions: no participant, no I/O. An exported key has the same form in another domain.
 */
#define MPC_RECOVERY_REPETITIONS 128u
#define MPC_RECOVERY_AUX_MAX     1024u
/** Longest info: P-521 under RSA-4096, with the longest context. Anything longer is not looked at. */
#define MPC_RECOVERY_INFO_MAX 90000u
/** Infos that are taken together at most: of all participants, under several certificates. */
#define MPC_RECOVERY_INFOS_MAX 128u
#define MPC_RECOVERY_LABEL_LEN 64u

typedef enum {
    MPC_RECOVERY_EMERGENCY = 1, /* shares of the key itself, "recovery" */
    MPC_RECOVERY_EXPORT = 2     /* a fresh sharing, made for the export only: "export" */
} mpc_recovery_use;

/** What an info is about, equal for all participants: it goes into each label and each proof. */
typedef struct {
    mpc_recovery_use use;
    char key_id[MPC_KEY_ID_MAX + 1];
    uint32_t epoch;
    uint8_t cluster_id[32]; /* sid of the run that made these shares */
    grp_curve curve;
    mpc_scheme scheme;
    uint16_t n, t;
    uint16_t members[GRP_PARTIES_MAX]; /* n participant indices, ascending */
    grp_point y;                       /* public key of what is recovered */
    grp_point x[GRP_PARTIES_MAX];      /* X_j, by participant index */
    uint32_t path[MPC_PATH_MAX];       /* of an exported child; else empty */
    size_t path_len;
    uint8_t policy_tag[32];
    uint8_t cc_hash[64]; /* H('cc', chain code) */
    uint8_t aux[MPC_RECOVERY_AUX_MAX];
    size_t aux_len; /* auxiliary data of the caller, public */
} mpc_recovery_context;

/** The context of a key for emergency recovery; zero on failure. aux may be NULL when aux_len is 0.
 * Errors: TDSA_E_BAD_INPUT (too much auxiliary data). */
TDSA_MUST_USE tdsa_status mpc_recovery_context_of(mpc_recovery_context *out, const mpc_key *key,
                                                  const uint8_t *aux, size_t aux_len, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5)));

/** What an info is made of; all lent. share and chain code are secret. */
typedef struct {
    const grp *g;
    const mpc_recovery_context *context;
    uint16_t index;          /* whose share it is */
    const grp_scalar *share; /* x_j */
    const uint8_t *cc;       /* chain code, 32 bytes */
    const tdsa_rsa_cert *cert;
} mpc_recovery_making;

/**
 * Makes an info: 256 RSA encryptions and 128 base multiplications.
 *
 * out  the info is appended; nothing on failure.
 *
 * Errors: TDSA_E_BAD_INPUT (the index is not of the context, the chain code is not that of the context),
 * TDSA_E_CRYPTO, TDSA_E_NO_MEMORY, those of rng.
 * Time: constant in the share.
 */
TDSA_MUST_USE tdsa_status mpc_recovery_make(tdsa_buf *out, const mpc_recovery_making *m,
                                            const tdsa_rng *rng, tdsa_err *err) TDSA_NONNULL;

/** An info taken apart. Pointers are lent from the bytes that were decoded. */
typedef struct {
    mpc_recovery_context context;
    const uint8_t *context_bytes; /* as encoded: what is compared between infos */
    size_t context_len;
    uint16_t index;          /* participant */
    uint8_t certificate[32]; /* SHA-256 */
    const uint8_t *challenge;
    const uint8_t *opened;    /* 128 times value | seed */
    const uint8_t *kept;      /* 128 ciphertexts */
    const uint8_t *cc_sealed; /* one ciphertext */
    size_t value_len;         /* of a scalar */
    size_t sealed_len;        /* of a ciphertext: the modulus in bytes */
} mpc_recovery_info;

/** The curve of an encoded info, so that the caller can hand in the right grp. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status mpc_recovery_peek_curve(grp_curve *out, const uint8_t *in, size_t len,
                                                  tdsa_err *err) TDSA_NONNULL;
/**
 * Takes an info apart and checks what needs no ciphertext: every length to the byte, that the X_j lie on
 * one polynomial of degree t and make Y, and that the participant is one of the key.
 *
 * Errors: TDSA_E_BAD_INPUT (the text says what), TDSA_E_CRYPTO.
 */
TDSA_MUST_USE tdsa_status mpc_recovery_decode(mpc_recovery_info *out, const grp *g,
                                              const uint8_t *in, size_t len, tdsa_err *err)
    TDSA_NONNULL;

/**
 * The proof: the ciphertexts under this certificate hold the share of X_j, but for a probability of
 * 2^-128 per hash that a liar computed. Says nothing of the chain code (mpc_recovery_verify_cc does).
 *
 * Errors: TDSA_E_PROTOCOL (err->participant says whose info; the text says what is wrong),
 * TDSA_E_BAD_INPUT (the info is for another certificate), TDSA_E_CRYPTO, TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status mpc_recovery_verify_vartime(const mpc_recovery_info *info, const grp *g,
                                                      const tdsa_rsa_cert *cert, tdsa_err *err)
    TDSA_NONNULL;
/** For those who know the chain code: its ciphertext is the one that everybody would make, and the
 * context names it. Errors as above. */
TDSA_MUST_USE tdsa_status mpc_recovery_verify_cc(const mpc_recovery_info *info,
                                                 const tdsa_rsa_cert *cert, const uint8_t cc[32],
                                                 tdsa_err *err) TDSA_NONNULL;
/**
 * A whole package under one certificate: each proof, the same context everywhere, and every participant
 * of the key once. Then the package holds x of Y.
 *
 * Errors: TDSA_E_PROTOCOL (err->participant says whose info is wrong, another's context, twice or
 * missing), and those of mpc_recovery_verify_vartime.
 */
TDSA_MUST_USE tdsa_status mpc_recovery_verify_package_vartime(const mpc_recovery_info *infos,
                                                              size_t count, const grp *g,
                                                              const tdsa_rsa_cert *cert,
                                                              tdsa_err *err) TDSA_NONNULL;

/** Decrypts one ciphertext: by tdsa_rsa_decrypt, or a token's raw operation and tdsa_oaep_decode. The
 * message is appended to out. TDSA_E_CRYPTO means that this ciphertext is bad, another one may be
 * good; any other error ends the recovery. */
typedef struct {
    tdsa_status (*open)(void *ctx, tdsa_buf *out, const tdsa_rsa_sealed *s, tdsa_err *err);
    void *ctx;
} mpc_recovery_opener;
/** An opener for a private key in memory (lent). */
mpc_recovery_opener mpc_recovery_opener_of(const tdsa_rsa_key *key) TDSA_NONNULL;

/** What became of an info in a recovery. */
typedef struct {
    bool good;                   /* its share is right: x_j G = X_j */
    char why[TDSA_ERR_TEXT_MAX]; /* when it is not; empty when it was not needed */
} mpc_recovery_verdict;

typedef struct {
    tdsa_secret *x; /* the private key, encoded as a scalar of the curve; free it */
    bool has_cc;    /* the chain code was found and is the one of the context */
    uint8_t cc[32]; /* wipe it */
    size_t of;      /* an info whose context says what was recovered */
} mpc_recovered;

/** What is recovered; all lent. */
typedef struct {
    const grp *g;
    const mpc_recovery_info *infos; /* under the certificate of the opener's key */
    size_t count;
    const grp_point
        *y; /* the public key that is wanted, or NULL: the context that most infos have */
} mpc_recovery_asked;

/**
 * Recovers a key. Infos of one context are taken together: those of the wanted public key, and where
 * there are several contexts the one with most participants. Of each info halves are decrypted until
 * one makes the share of X_j, which needs no proof; t+1 shares make x, and xG = Y is checked.
 *
 * out       empty on failure; clear with mpc_recovered_clear.
 * verdicts  `count` of them, filled on success and on failure.
 *
 * Errors: TDSA_E_NOT_FOUND (no info, or none of the wanted key), TDSA_E_LIMIT (fewer than t+1 good
 * infos; the text counts them), TDSA_E_BAD_INPUT (count), those of the opener, TDSA_E_CRYPTO.
 */
TDSA_MUST_USE tdsa_status mpc_recovery_recover(mpc_recovered *out, mpc_recovery_verdict *verdicts,
                                               const mpc_recovery_asked *asked,
                                               const mpc_recovery_opener *opener, tdsa_err *err)
    TDSA_NONNULL;
void mpc_recovered_clear(mpc_recovered *r) TDSA_NONNULL;

/**
 * Appends a recovered private key as text that ends in a line break: PKCS#8 in PEM for the curves that
 * OpenSSL can sign on with a scalar (BIP-340 keys as secp256k1 keys). An Ed25519 key of RFC 8032 is a
 * seed that the scalar is hashed from, and a scalar that was born as shares has none: there it is
 * "ed25519-scalar " and the 64 hex digits of the scalar, little-endian, for tools that sign with one.
 *
 * x   mpc_recovered.x, or any scalar of the curve that is not 0.
 *
 * Errors: TDSA_E_BAD_INPUT (no such scalar), TDSA_E_CRYPTO, TDSA_E_NO_MEMORY. Nothing is appended then.
 * Time: constant in x.
 */
TDSA_MUST_USE tdsa_status mpc_recovery_put_key(tdsa_buf *out, const grp *g, const tdsa_secret *x,
                                               tdsa_err *err) TDSA_NONNULL;

#endif
