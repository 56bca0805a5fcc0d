#ifndef SUPPORT_FAKE_INTERNAL_H
#define SUPPORT_FAKE_INTERNAL_H

#include "support/fake_engine.h"

/* What the parts of the test doubles share. */

struct ks {
    atomic_bool unlocked;
};

/** TDSA_OK, or the failure that a test asked for. */
tdsa_status fake_fail_as(atomic_int *what, tdsa_err *err);
/** The change counter moves. */
void fake_changed(void);
void fake_objects_reset(void);

#endif
