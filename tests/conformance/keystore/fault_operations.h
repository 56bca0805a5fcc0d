#ifndef FAULT_OPERATIONS_H
#define FAULT_OPERATIONS_H

#include "keystore/backend.h"

/** Every operation of ks_backend once, on the rows that fault_rows makes. */
typedef struct {
    const char *name;
    /* appends what the call gave; a listing appends each row */
    tdsa_status (*run)(ks_backend *b, tdsa_buf *out, tdsa_err *err);
    bool lists; /* may have given rows before it failed */
} fault_operation;

extern const fault_operation fault_operations[];
extern const size_t fault_operation_count;

tdsa_status fault_rows(ks_backend *b, tdsa_err *err);

/* The same about data keys, what is sealed, and objects; fault_rows makes their rows too. */
extern const fault_operation fault_sealed_operations[];
extern const size_t fault_sealed_operation_count;
tdsa_status fault_sealed_rows(ks_backend *b, tdsa_err *err);

/* For those who write operations. */
#define FAULT_BYTES 100u
extern const uint8_t fault_bytes[FAULT_BYTES];

#define BETA(tag)       ((const uint8_t[KS_BETA_LEN]){tag})
#define OPERATION(name) static tdsa_status name(ks_backend *b, tdsa_buf *out, tdsa_err *err)
#define NOTHING_GIVEN   (void)out
#define ONE(name)          \
    {                      \
#        name, name, false \
    }
#define LISTS(name)       \
    {                     \
#        name, name, true \
    }

static inline void fault_number(tdsa_buf *out, uint64_t number)
{
    tdsa_buf_appendf(out, "%llu;", (unsigned long long)number);
}

#endif
