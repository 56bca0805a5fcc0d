#ifndef KS_TEMPDIR_H
#define KS_TEMPDIR_H

#include <stddef.h>

/** Makes a folder of its own under $TMPDIR or /tmp; 0 when it worked. */
int ks_tempdir_make(char *out, size_t cap);
/** Removes a folder and the files in it, folders below it too. */
void ks_tempdir_remove(const char *dir);

#endif
