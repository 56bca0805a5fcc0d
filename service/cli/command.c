#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "config/suggest.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define O(name)     CLI_SET(name)

#define OPTIONS_OF_A_KEY                                                                          \
    (O(LABEL) | O(DERIVATION) | O(PURPOSE) | O(DIGESTS) | O(LOW_S) | O(RATE) | O(NO_RESHARE) |    \
     O(EXPORTABLE) | O(PREPARE) | O(MIN_PATH) | O(MIN_PATH_XPUB) | O(MAX_PATH) | O(PATH_PREFIX) | \
     O(STOCK_LIMIT))

const cli_command cli_commands[] = {
    {"info", "", 0, 0, CLI_ASKS, "show who answers: version, participants, limits", NULL,
     "tdsa info", cli_do_info},
    {"key list", "", O(ALL), 0, CLI_ASKS, "list the keys", NULL, "tdsa key list --all",
     cli_do_key_list},
    {"key show", "KEY", 0, 0, CLI_ASKS, "show a key: its state and what it may be used for", NULL,
     "tdsa key show invoices", cli_do_key_show},
    {"key create", "[KEY]", O(CURVE) | O(SCHEME) | O(REGISTER_ONLY) | OPTIONS_OF_A_KEY, O(CURVE),
     CLI_ASKS | CLI_PEERS | CLI_UNSEALS, "make a key",
     "All participants together make it; none of them ever has it whole. Its name, KEY, has 1 to "
     "64 "
     "characters of A-Z a-z 0-9 _ . - and is made at random when absent. What the key may be used "
     "for is fixed here. The same command again goes on where it failed, and makes the shares of a "
     "key that was registered only.",
     "tdsa key create invoices --curve P-256 --derivation none", cli_do_key_create},
    {"key import", "FILE [KEY]",
     O(CURVE) | O(SCHEME) | OPTIONS_OF_A_KEY | O(PUBLIC_KEY) | O(CHAIN_CODE), 0,
     CLI_ASKS | CLI_PEERS | CLI_UNSEALS | CLI_SECRETS,
     "share out a private key that exists already",
     "FILE is PKCS#8 or SEC 1, PEM or DER, not encrypted; \"-\" is standard input. Off by default: "
     "every "
     "participant needs importKeys and an audit log. Such a key was in one place once: wipe the "
     "file. "
     "The private key is not sent over http to another host.",
     "tdsa key import old.pem invoices --public-key old-public.pem", cli_do_key_import},
    {"key public-key", "KEY", O(PATH) | O(FORMAT) | O(OUT), 0, CLI_ASKS | CLI_UNSEALS,
     "write the public key", NULL, "tdsa key public-key invoices --out invoices.pem",
     cli_do_key_public_key},
    {"key xpub", "KEY", O(PATH), 0, CLI_ASKS | CLI_UNSEALS,
     "write an extended public key (BIP-32) of a derived key",
     "Whoever has it finds all public keys below it; with it and the private key of one of them, "
     "the private key at its depth.",
     "tdsa key xpub wallet --path m/44/0/0", cli_do_key_xpub},
    {"key presign", "KEY", O(COUNT), O(COUNT), CLI_ASKS | CLI_PEERS | CLI_UNSEALS,
     "make presignatures, so that signatures need one exchange only",
     "More than the participant makes at once are made in several requests.",
     "tdsa key presign invoices --count 1000", cli_do_key_presign},
    {"key stock", "KEY", O(RANGES) | O(DROP) | O(YES), 0, CLI_ASKS,
     "show the presignatures that who answers can use, or drop them", NULL,
     "tdsa key stock invoices", cli_do_key_stock},
    {"key limit", "KEY N", 0, 0, CLI_ASKS,
     "change how many presignatures may be in stock; -1: any number", NULL,
     "tdsa key limit invoices 5000", cli_do_key_limit},
    {"key sign", "KEY",
     O(IN) | O(DIGEST) | O(BATCH) | O(ALGORITHM) | O(PATH) | O(ENCODING) | O(LOW_S) | O(TAPROOT) |
         O(OUT),
     0, CLI_ASKS | CLI_PEERS | CLI_UNSEALS, "sign a file or a digest",
     "The digest of the file is taken here; a key that signs messages (all of eddsa and bip340) "
     "gets the file itself, of 64 KiB at most. The signature is verified before it is shown: in "
     "hex on standard output, as bytes with --out. A batch gives one line for each of its lines: "
     "the "
     "signature in hex, or what is wrong, and the rest of the line.",
     "tdsa key sign invoices --in invoice.pdf --out invoice.sig", cli_do_key_sign},
    {"key partial-sign", "KEY PRESIGNATURE",
     O(IN) | O(DIGEST) | O(ALGORITHM) | O(PATH) | O(LOW_S) | O(TAPROOT) | O(OUT), 0,
     CLI_ASKS | CLI_UNSEALS, "take the part of one participant in a signature",
     "Who answers uses up the presignature (as key stock --ranges names it) for this request, and "
     "gives "
     "its part. The parts of the whole committee, each from its own participant, make the "
     "signature.",
     "tdsa key partial-sign invoices $presignature --in invoice.pdf --out part1",
     cli_do_key_partial_sign},
    {"key combine", "KEY FILE...", O(ENCODING) | O(OUT), 0, CLI_ASKS | CLI_UNSEALS,
     "make a signature of the parts that key partial-sign wrote",
     "Who answers must have given one of the parts. The signature is verified before it is shown.",
     "tdsa key combine invoices part0 part1 part2 --out invoice.sig", cli_do_key_combine},
    {"key approve-export", "KEY", O(CERTIFICATE) | O(PATH) | O(VALID), O(CERTIFICATE),
     CLI_ASKS | CLI_UNSEALS, "let one export of the key happen, as the participant that answers",
     "The certificate must be one of its exportCertificates, and the key exportable. Every server "
     "approves for "
     "itself; the approval is for this epoch, certificate and path, and for one export.",
     "tdsa key approve-export invoices --certificate export.pem", cli_do_key_approve_export},
    {"key export", "KEY", O(CERTIFICATE) | O(PATH) | O(OUT), O(CERTIFICATE),
     CLI_ASKS | CLI_PEERS | CLI_UNSEALS, "take the key out of the participants, encrypted",
     "Every participant encrypts a share of a fresh sharing under the certificate, with a proof. "
     "tdsa "
     "recovery verify and recover read what comes out. With --path a derived key is exported. "
     "Without --out "
     "the package goes to standard output.",
     "tdsa key export invoices --certificate export.pem --out invoices.export", cli_do_key_export},
    {"key reshare", "KEY", O(MEMBERS) | O(THRESHOLD), 0, CLI_ASKS | CLI_PEERS | CLI_UNSEALS,
     "give the key new shares",
     "The public key stays; old shares, with every backup of them, and all presignatures become "
     "worthless.",
     "tdsa key reshare invoices", cli_do_key_reshare},
    {"key delete", "KEY", O(GRACE) | O(YES), 0, CLI_ASKS | CLI_PEERS | CLI_UNSEALS,
     "take the key out of use at every participant, and wipe it when the grace period is over",
     "Within the grace period tdsa key undelete brings it back. The answer names participants that "
     "did "
     "not hear of it; they are told when they are back. Asks on a terminal whether it is meant; "
     "elsewhere --yes must say so.",
     "tdsa key delete invoices --yes", cli_do_key_delete},
    {"key undelete", "KEY", 0, 0, CLI_ASKS | CLI_PEERS | CLI_UNSEALS,
     "bring back a key whose grace period is not over", NULL, "tdsa key undelete invoices",
     cli_do_key_undelete},
    {"recovery info", "KEY", O(OUT) | O(AUX_DATA) | O(LOCAL), 0, CLI_ASKS | CLI_PEERS | CLI_UNSEALS,
     "make a recovery package: the shares, encrypted under the recovery certificates",
     "Every participant makes an info under each of its ersCertificates: its share, encrypted, "
     "with a "
     "proof that the encryption holds it. Without --out the package goes to standard output. Of a "
     "key "
     "of a client the client makes the package (--config); a server gives its own info with "
     "--local. verify and recover take several files.",
     "tdsa recovery info invoices --out invoices.recovery", cli_do_recovery_info},
    {"recovery verify", "PACKAGE...", O(CERTIFICATE) | O(PUBLIC_KEY), O(CERTIFICATE), CLI_OFFLINE,
     "check a recovery package; no private key is needed",
     "Every info under the certificate is checked, and each corrupt one is named. The package is "
     "right "
     "when there is a good info of every participant, all of one key.",
     "tdsa recovery verify invoices.recovery --certificate recovery.pem --public-key invoices.pem",
     cli_do_recovery_verify},
    {"recovery recover", "PACKAGE...",
     O(KEY) | O(PASSPHRASE_FILE) | O(PKCS11_URI) | O(CERTIFICATE) | O(PUBLIC_KEY) | O(OUT) |
         O(CHAIN_CODE_OUT),
     O(OUT), CLI_OFFLINE, "get the whole private key back, offline",
     "threshold + 1 good infos suffice; corrupt ones are named. What comes out is checked against "
     "the "
     "public key. From then on the key is in one place: a key like any other.",
     "tdsa recovery recover invoices.recovery --key recovery.key --out invoices.key",
     cli_do_recovery_recover},
    {"backup", "KEY", O(OUT) | O(PASSPHRASE_FILE), O(OUT), CLI_ASKS | CLI_UNSEALS | CLI_SECRETS,
     "back up the share of the participant that answers",
     "The share is sealed under the passphrase. Presignatures and the secrets that make them are "
     "not in "
     "it. A reshare or refresh of the key makes the backup worthless: take a new one then.",
     "tdsa backup invoices --out invoices.backup", cli_do_backup},
    {"restore", "FILE", O(PASSPHRASE_FILE), 0, CLI_ASKS | CLI_UNSEALS | CLI_SECRETS,
     "take back a backup at the participant that wrote it",
     "The key is RESTORED until a refresh, which the participant asks for by itself; then it is "
     "ACTIVE "
     "again and the backup is worthless.",
     "tdsa restore invoices.backup", cli_do_restore},
    {"audit verify", "FILE...", O(NOTED), 0, CLI_OFFLINE,
     "check the chain of an audit log; FILEs that continue each other, oldest first",
     "What a crash leaves behind is told and harmless; records that were edited, removed, moved or "
     "added are evidence, and the exit code is 6. A whole new chain shows only against a record "
     "that "
     "was noted elsewhere (--noted).",
     "tdsa audit verify /var/log/tdsa/audit.log", cli_do_audit_verify},
    {"keystore status", "", 0, 0, CLI_OFFLINE,
     "show the data key of a participant's database, and what wraps it",
     "Like all keystore commands on the machine of the participant, with its configuration; needs "
     "no "
     "PIN. Not finished: tdsa keystore rotate-data-key goes on.",
     "tdsa keystore status --config /etc/tdsa/config.yml", cli_do_keystore_status},
    {"keystore rotate-data-key", "", O(FOLLOW), 0, CLI_OFFLINE,
     "seal every row of a participant's database under a new data key",
     "Its processes go on meanwhile, and follow without a restart and without a PIN; one that was "
     "idle for longer than --follow unwraps the new key, and wants a login where its configuration "
     "has no PIN. What was interrupted is ended by the same command. Copies of the database made "
     "before keep the old key.",
     "tdsa keystore rotate-data-key --config /etc/tdsa/config.yml",
     cli_do_keystore_rotate_data_key},
    {"keystore rotate-wrapping-key", "", O(DESTROY_OLD) | O(YES), 0, CLI_OFFLINE,
     "make a new wrapping key in the token, and wrap the data key with it",
     "The new key has the name of the old one; which of them is needed is told by its check value. "
     "The old one stays in the token for copies of the database made before, or is destroyed.",
     "tdsa keystore rotate-wrapping-key --config /etc/tdsa/config.yml",
     cli_do_keystore_rotate_wrapping_key},
    {"keystore change-encryptor", "", O(TO) | O(NEW_PIN_FILE) | O(FOLLOW), O(TO), CLI_OFFLINE,
     "wrap the data key with another encryptor, or encrypt a database that was not",
     "The file of --to becomes the configuration afterwards. Processes that run keep the data key "
     "that they have; restart them with the new configuration. A database without encryption is "
     "sealed row by row: stop its processes first. The same command again ends what was "
     "interrupted.",
     "tdsa keystore change-encryptor --config /etc/tdsa/config.yml --to /etc/tdsa/new.yml",
     cli_do_keystore_change_encryptor},
    {"help", "[COMMAND] [COMMAND]", 0, 0, CLI_OFFLINE, "say how a command is used", NULL,
     "tdsa help key sign", cli_do_help},
    {"completion", "SHELL", 0, 0, CLI_OFFLINE,
     "write the script that completes command lines; SHELL is bash", NULL,
     "tdsa completion bash > /etc/bash_completion.d/tdsa", cli_do_completion},
};
const size_t cli_command_count = COUNT_OF(cli_commands);

const cli_note cli_exit_notes[] = {
    {"0", "done"},
    {"1", "failed for another reason than those below"},
    {"2", "wrong command line, input or configuration"},
    {"3", "there is no such key, or it was deleted"},
    {"4", "refused: a policy, the state of the key or a limit forbids it"},
    {"5", "a participant is not available (its database or wrapping token may be away), or did not "
          "answer in time"},
    {"6",
     "verification failed: a signature, a recovery info or an audit log is not what it should be"},
};
const size_t cli_exit_note_count = COUNT_OF(cli_exit_notes);

const cli_note cli_environment_notes[] = {
    {"TDSA_API_URL", "the address of --url when neither --url nor --config is given; without it, "
                     "http://127.0.0.1:8080"},
    {"TDSA_CONFIG_FILE", "the file of --config when neither --url nor --config is given; it goes "
                         "before TDSA_API_URL"},
    {"NO_COLOR", "when set and not empty: no colours on a terminal"},
};
const size_t cli_environment_note_count = COUNT_OF(cli_environment_notes);

const cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        if (strcmp(cli_commands[i].name, name) == 0) {
            return &cli_commands[i];
        }
    }
    return NULL;
}

bool cli_is_group(const char *word)
{
    const size_t len = strlen(word);

    for (size_t i = 0; i < cli_command_count; i++) {
        if (strncmp(cli_commands[i].name, word, len) == 0 && cli_commands[i].name[len] == ' ') {
            return true;
        }
    }
    return false;
}

/* "key sgn" is near "key sign"; so is "sign", whose group was left out. */
static size_t distance(const char *name, const cli_command *c)
{
    const char *second = strchr(c->name, ' ');
    const size_t first = strcspn(name, " ");
    size_t least = cfg_suggest_distance(name, c->name);

    if (second != NULL) {
        char word[64];
        size_t d;

        (void)snprintf(word, sizeof word, "%.*s", (int)first, name);
        d = cfg_suggest_distance(word, second + 1);
        least = d < least ? d : least;
    }
    return least;
}

const char *cli_command_suggest(const char *name)
{
    const size_t limit = strlen(name) <= 3 ? 1 : 2;
    const char *best = NULL;
    size_t least = limit + 1;

    for (size_t i = 0; i < cli_command_count; i++) {
        const size_t d = distance(name, &cli_commands[i]);

        if (d < least) {
            least = d;
            best = cli_commands[i].name;
        }
    }
    return best;
}
