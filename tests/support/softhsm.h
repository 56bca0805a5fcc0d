#ifndef TESTS_SUPPORT_SOFTHSM_H
#define TESTS_SUPPORT_SOFTHSM_H

/** The SoftHSM library: $TDSA_SOFTHSM_MODULE or where Debian puts it. */
const char *softhsm_module(void);
/** Makes a token and in it a wrapping key (softhsm-conf/setup-token.sh), and lets this process and
 * its children use it (SOFTHSM2_CONF). Tokens of one process with the same label, PIN and key are copies of the
 * first. `dir`: its absolute path. 0 when it worked. */
int softhsm_make(const char *dir, const char *label, const char *pin, const char *key);
/** One more AES-256 key in that token, whether or not one of that name is there. */
int softhsm_add_key(const char *label, const char *pin, const char *key);
/** Runs a program and waits; its exit status, or -1. What it prints goes to /dev/null. */
int softhsm_run(char *const argv[]);

#endif
