#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/err.h"
#include "cli/option.h"

struct cli;
typedef tdsa_status (*cli_handler)(struct cli *c, tdsa_err *err);

/** What a command needs besides its arguments. */
typedef enum {
    CLI_OFFLINE = 0,      /* asks nobody */
    CLI_ASKS = 1 << 0,    /* the API, or an engine of its own */
    CLI_PEERS = 1 << 1,   /* the other participants, too: --config works for the client only */
    CLI_UNSEALS = 1 << 2, /* the keystore's secrets: with --config the token's PIN */
    CLI_SECRETS = 1 << 3  /* secrets go to who answers: not over http to another host */
} cli_need;

/** One row per command; everything that people and shells see of it comes from here. */
typedef struct {
    const char *name;      /* "key sign" */
    const char *arguments; /* "KEY [N]": required ones first; "FILE...": one or more */
    cli_opts options;      /* beside CLI_COMMON */
    cli_opts needed;       /* of these, those that must be given */
    unsigned needs;        /* cli_need */
    const char *summary;   /* one line, no full stop */
    const char *text;      /* more; may be NULL */
    const char *example;   /* a command line */
    cli_handler handler;
} cli_command;

extern const cli_command cli_commands[];
extern const size_t cli_command_count;

/** NULL: there is none of that name. */
const cli_command *cli_command_find(const char *name) TDSA_NONNULL;
/** True when commands begin with this word ("key"). */
bool cli_is_group(const char *word) TDSA_NONNULL;
/** The nearest name of a command, or of one that begins with the words; NULL: none is near. */
const char *cli_command_suggest(const char *name) TDSA_NONNULL;

/** A line of a list for people. */
typedef struct {
    const char *name, *text;
} cli_note;
extern const cli_note cli_exit_notes[];
extern const cli_note cli_environment_notes[];
extern const size_t cli_exit_note_count, cli_environment_note_count;
#define CLI_TITLE "keys that no single machine has: make them, use them, look after them"

#endif
