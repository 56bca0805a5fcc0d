#ifndef TDSA_BASE_CRYPTO_H
#define TDSA_BASE_CRYPTO_H

#include "base/err.h"

/**
 * Prepares OpenSSL for this library: one private OSSL_LIB_CTX with the default provider and no
 * configuration file, so that a host application that made our PKCS#11 module its own provider is
 * never called back. Made once per process, on first use, never freed (nothing may run inside
 * exit()). Everything in base/ and group/ that uses OpenSSL goes through it, but for digests, which
 * need no context. OpenSSL 3.0 reads the host's configuration once, for the host's default context,
 * before the first cipher operation of a process; if that loads this module as an engine, its entry
 * points are called during this call, on this thread: call it before taking any lock.
 * Errors: TDSA_E_CRYPTO. Threads: any.
 */
TDSA_MUST_USE tdsa_status tdsa_crypto_init(tdsa_err *err) TDSA_NONNULL;

/** The context, as OSSL_LIB_CTX *; NULL before tdsa_crypto_init succeeded. */
struct ossl_lib_ctx_st;
struct ossl_lib_ctx_st *tdsa_crypto_libctx(void);

#endif
