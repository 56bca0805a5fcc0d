#include "base/secret.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/crypto.h>

#if __has_include(<valgrind/memcheck.h>)
#    include <valgrind/memcheck.h>
#else
#    define VALGRIND_MAKE_MEM_DEFINED(p, len) ((void)(p), (void)(len))
#endif

struct tdsa_secret {
    size_t len;
    uint8_t *bytes; /* its own pages */
};

static atomic_ulong unlocked_count;

tdsa_status tdsa_secret_new(tdsa_secret **out, size_t len, tdsa_err *err)
{
    tdsa_secret *s = NULL;
    void *pages = NULL;

    *out = NULL;
    if (len == 0 || len > TDSA_SECRET_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "secret of %zu bytes, limit %u", len,
                         TDSA_SECRET_LEN_MAX);
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a secret");
    }
    pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        free(s);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no pages for a secret of %zu bytes", len);
    }
    if (madvise(pages, len, MADV_DONTDUMP) != 0) {
        (void)munmap(pages, len);
        free(s);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "cannot keep a secret out of core dumps");
    }
    if (mlock(pages, len) != 0) {
        (void)atomic_fetch_add(&unlocked_count, 1);
    }
    s->len = len;
    s->bytes = pages;
    *out = s;
    return TDSA_OK;
}

tdsa_status tdsa_secret_copy(tdsa_secret **out, const uint8_t *bytes, size_t len, tdsa_err *err)
{
    tdsa_status st = tdsa_secret_new(out, len, err);

    if (st == TDSA_OK) {
        memcpy((*out)->bytes, bytes, len);
    }
    return st;
}

void tdsa_secret_free(tdsa_secret *s)
{
    if (s == NULL) {
        return;
    }
    tdsa_wipe(s->bytes, s->len);
    (void)munmap(s->bytes, s->len);
    free(s);
}

uint8_t *tdsa_secret_bytes(tdsa_secret *s)
{
    return s->bytes;
}

const uint8_t *tdsa_secret_view(const tdsa_secret *s)
{
    return s->bytes;
}

size_t tdsa_secret_len(const tdsa_secret *s)
{
    return s->len;
}

bool tdsa_secret_equal(const tdsa_secret *a, const tdsa_secret *b)
{
    return a->len == b->len && tdsa_ct_equal(a->bytes, b->bytes, a->len);
}

unsigned long tdsa_secret_unlocked_count(void)
{
    return atomic_load(&unlocked_count);
}

void tdsa_wipe(void *p, size_t len)
{
    if (len > 0) {
        explicit_bzero(p, len);
    }
}

bool tdsa_ct_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void tdsa_declassify(const void *p, size_t len)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(p, len);
}
