#include <stdlib.h>

#include "base/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A private key in PEM or DER: whatever it is, it is read whole or refused whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tdsa_keyfile key;
    tdsa_err err;
    const tdsa_status st = tdsa_keyfile_read(&key, data, size, &err);

    if ((st == TDSA_OK) != (key.key != NULL) || (st == TDSA_OK && key.curve == NULL) ||
        key.public_key_len > sizeof key.public_key) {
        abort();
    }
    tdsa_keyfile_clear(&key);
    return 0;
}
