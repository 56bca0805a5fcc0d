#ifndef TDSA_BASE_ATTR_H
#define TDSA_BASE_ATTR_H

#define TDSA_MUST_USE     __attribute__((warn_unused_result))
#define TDSA_NONNULL      __attribute__((nonnull))
#define TDSA_PRINTF(f, a) __attribute__((format(printf, f, a)))
/** Everything is built with hidden symbols; only C_* and the plugin tables are exported. */
#define TDSA_EXPORT __attribute__((visibility("default")))

#define TDSA_STR_(x) #x
#define TDSA_STR(x)  TDSA_STR_(x)
/** "file.c:123" of the line it stands on. */
#define TDSA_WHERE __FILE__ ":" TDSA_STR(__LINE__)

#endif
