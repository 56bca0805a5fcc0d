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

#endif
