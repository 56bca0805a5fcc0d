#ifndef TDSA_TESTS_SUPPORT_RECOVERY_KIT_H
#define TDSA_TESTS_SUPPORT_RECOVERY_KIT_H

#include "protocol/recovery.h"
#include "support/protocol_run.h"

/** The certificate of tests/support/rsa_fixed.h with its key; the process ends when it cannot be read. */
typedef struct {
    tdsa_rsa_cert *cert;
    tdsa_rsa_key *key;
} recovery_kit;
void recovery_kit_open(recovery_kit *kit);
void recovery_kit_close(recovery_kit *kit);

/** Appends the info of participant i of a run, made with its generator. aux may be NULL. */
void recovery_kit_make(tdsa_buf *out, protocol_run *r, uint16_t i, const tdsa_rsa_cert *cert,
                       const char *aux);

#endif
