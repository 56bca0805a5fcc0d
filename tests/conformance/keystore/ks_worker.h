#ifndef KS_WORKER_H
#define KS_WORKER_H

#include "keystore/keystore.h"

/** The batches of key "k" that workers use: beta is 32 times this byte. */
#define KS_WORKER_LEASED 1
#define KS_WORKER_BURNT  2
/** Presignatures in each; a power of two. */
#define KS_WORKER_COUNT 512u

#endif
