#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include "base/attr.h"

/**
 * Signals that end the command: what it has half done goes away with it. Then the signal ends the
 * process, as if nobody had caught it, so that shells and scripts see it.
 * One thread: the command's own.
 */
void cli_interrupt_init(void);
/** This file is removed when a signal comes; NULL: none any more. Lent; at most 4095 bytes. */
void cli_interrupt_remove(const char *path);
/** The terminal of `fd` echoes again when a signal comes; it is as tcgetattr gave it now. */
void cli_interrupt_echo_off(int fd);
/** Echoes again, now. */
void cli_interrupt_echo_on(void);

#endif
