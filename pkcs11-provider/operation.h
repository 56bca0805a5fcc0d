#ifndef P11_OPERATION_H
#define P11_OPERATION_H

#include "pkcs11-provider/call.h"
#include "pkcs11-provider/mechanism.h"
#include "pkcs11-provider/object.h"
#include "pkcs11-provider/sha3.h"

/**
 * One running operation of a session: signing, verifying or digesting, in one part or several.
 * Holds a copy of what it needs of the key, so that a key that goes away does no harm.
 */
typedef struct {
    bool active;
    bool started; /* an Update call was made */
    bool whole;   /* keep the message itself: the scheme, or a key of purpose `message`, needs it */
    bool always_auth; /* CKA_ALWAYS_AUTHENTICATE of the key */
    bool asks_pin;    /* because of it a C_Login of CKU_CONTEXT_SPECIFIC is due */
    const p11_mech *mech;
    p11_key_facts key;
    tdsa_hasher *hasher;                      /* HASHED and DIGEST; NULL until the first part */
    p11_sha3 *sha3;                           /* the same of CKM_SHA3_xxx */
    tdsa_buf data;                            /* RAW: the digest; whole: the message */
    uint8_t expected[2 * GRP_SCALAR_LEN_MAX]; /* C_VerifySignatureInit */
    size_t expected_len;
} p11_op;

/** What a finished operation hands over. */
typedef struct {
    tdsa_hash_alg hash;
    const uint8_t *data; /* digest or message; lent by the operation or `digest` */
    size_t len;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
} p11_payload;

/** Wipes; the operation is over. Touches no library when there is nothing to free. */
void p11_op_end(p11_op *op) TDSA_NONNULL;
/** Starts with a mechanism; only CKM_EDDSA may have a parameter, which must ask for nothing special. */
CK_RV p11_op_begin(p11_call *call, p11_op *op, const CK_MECHANISM *mech, unsigned kinds)
    TDSA_NONNULL;
#define P11_KIND_BIT(kind) (1u << (kind))
#define P11_SIGN_KINDS \
    (P11_KIND_BIT(P11_MECH_RAW) | P11_KIND_BIT(P11_MECH_HASHED) | P11_KIND_BIT(P11_MECH_MESSAGE))
/** Takes one part. Ends the operation on failure. */
CK_RV p11_op_update(p11_call *call, p11_op *op, const CK_BYTE *part, CK_ULONG len)
    __attribute__((nonnull(1, 2)));
/** Closes the input: what was given in parts becomes the payload. */
CK_RV p11_op_finish(p11_call *call, p11_op *op, p11_payload *out) TDSA_NONNULL;
/** The signing or verification key of a handle: visible, of the right class, of the mechanism's
 * scheme. */
CK_RV p11_op_take_key(p11_call *call, p11_op *op, CK_OBJECT_HANDLE handle, p11_class cls)
    TDSA_NONNULL;
/** Bytes of a digest. */
size_t p11_op_digest_len(const p11_op *op) TDSA_NONNULL;
/** Bytes of a signature, r | s. */
size_t p11_op_signature_len(const p11_call *call, const p11_op *op) TDSA_NONNULL;
/** The rule of every function that returns bytes. True: go on and write `need` bytes. False: *rv is
 * the answer (a size query, or a buffer that is too small), the operation goes on. */
bool p11_room_for(size_t need, const CK_BYTE *out, CK_ULONG *out_len, CK_RV *rv)
    __attribute__((nonnull(3, 4)));

#endif
