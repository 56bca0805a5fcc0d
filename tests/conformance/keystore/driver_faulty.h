#ifndef DRIVER_FAULTY_H
#define DRIVER_FAULTY_H

#include "keystore/sql.h"

/** The driver of SQLite, of which one call fails: backend "faulty", once driver_faulty_install was called. */

typedef enum {
    FAULT_NONE,
    FAULT_FAIL,       /* the statement fails, the transaction is undone */
    FAULT_BUSY,       /* somebody holds the lock */
    FAULT_AGAIN,      /* a deadlock */
    FAULT_LOST,       /* the connection is gone before the server has seen the call */
    FAULT_LOST_AFTER, /* the server did it, but its answer is lost */
    FAULT_KINDS
} fault_kind;

void driver_faulty_install(void);
/** The k-th call (1 is the next one) fails, and none after it. */
void driver_faulty_arm(fault_kind kind, unsigned k);
/** Whether it has failed since; `at_commit` (may be NULL): the call was a commit. */
bool driver_faulty_struck(bool *at_commit);
/** Connections that are open; that were ever made; and how often one was asked whether it answers. */
unsigned driver_faulty_connections(void);
unsigned driver_faulty_made(void);
unsigned driver_faulty_asked(void);
/** The next `n` connections are refused. */
void driver_faulty_refuse(unsigned n);
/** How many were; and how long each takes for that. */
unsigned driver_faulty_refused(void);
void driver_faulty_silence(unsigned ms);
/** The connections that are there are lost at their next call. */
void driver_faulty_lose(void);
/** What the database says that it is; NULL: what SQLite says. */
void driver_faulty_identity(const char *text);

#endif
