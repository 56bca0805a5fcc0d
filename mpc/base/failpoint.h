#ifndef TDSA_BASE_FAILPOINT_H
#define TDSA_BASE_FAILPOINT_H

/**
 * A place where a test may kill the process. Compiled only with -DTDSA_FAILPOINTS=ON (preset
 * "fault"); a lint proves that a release build has none.
 *
 * Only .c files include this: cmake compiles the failpoints into the files that do, and into no other.
 *
 * TDSA_FAILPOINT_KILL=name[:k] in the environment: SIGKILL at the k-th hit (default 1) of `name`.
 * TDSA_FAILPOINT_LIST=file: every hit appends its name, so that a first run learns the points.
 */
#ifdef TDSA_WITH_FAILPOINTS
void tdsa_failpoint_hit(const char *name);
#    define TDSA_FAILPOINT(name) tdsa_failpoint_hit(name)
#else
#    define TDSA_FAILPOINT(name) ((void)0)
#endif

#endif
