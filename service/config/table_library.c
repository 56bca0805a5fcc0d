#include "config/tables.h"

/* Sections tdsaLibrary, tdsaServer, vault, and the keys that only this implementation has. */

static const cfg_row library[] = {
    {.name = "remoteParticipants",
     .type = CFG_ARRAY,
     .required = true,
     .help = "One element per participant, in index order. Each is a list of the participants "
             "allowed at that index; it may be null for the client and for this participant."},
    {.name = "remoteParticipants[]",
     .type = CFG_ARRAY,
     .nullable = true,
     .help = "The alternatives at this index."},
    {.name = "remoteParticipants[][]", .type = CFG_OBJECT, .help = "One participant."},
    {.name = "participantIndex",
     .type = CFG_INT,
     .required = true,
     .min = 0,
     .max = 8,
     .help = "Index of this participant, from 0."},
    {.name = "clientIndex",
     .type = CFG_INT,
     .min = -1000000,
     .max = 8,
     .help = "Index of the client participant. Absent or negative: servers only."},
    {.name = "participantIds",
     .type = CFG_ARRAY,
     .help = "Per index, the id of the alternative that new keys use. Absent: this participant "
             "starts no key generation."},
    {.name = "participantIds[]", .type = CFG_STRING, .nullable = true, .help = "Id, or null."},
    {.name = "participantPrimaryPrivateKey",
     .type = CFG_SECRET,
     .required = true,
     .help = "X25519 private key of this participant: url-safe base64 of PKCS#8 DER or of the 32 "
             "bytes. Also from PARTICIPANT_PRIMARY_PRIVATE_KEY or "
             "-Dcom.sepior.tdsa.participant.primary_private_key."},
    {.name = "participantSecondaryPrivateKey",
     .type = CFG_SECRET,
     .required = true,
     .help = "X448 private key of this participant: url-safe base64 of PKCS#8 DER or of the 56 "
             "bytes. Also from PARTICIPANT_SECONDARY_PRIVATE_KEY or "
             "-Dcom.sepior.tdsa.participant.secondary_private_key."},
    {.name = "encryptionKey",
     .type = CFG_SECRET,
     .help = "Another place for storageConfiguration.encryptionKey."},
    {.name = "sessionTimeout",
     .type = CFG_SECONDS,
     .fallback = "60",
     .min = 1,
     .max = 86400,
     .help = "A session that is not finished by then is aborted."},
    {.name = "protocolExecutionThreads",
     .type = CFG_INT,
     .fallback = "2",
     .min = 1,
     .max = 1024,
     .help = "Threads that compute; once or twice the number of cores is sensible."},
    {.name = "protocolCommunicationThreads",
     .type = CFG_INT,
     .fallback = "2",
     .min = 1,
     .max = 1024,
     .help = "Threads that talk to other participants."},
    {.name = "ersCertificates",
     .type = CFG_STRINGS,
     .help = "X.509 certificates (url-safe base64 of DER) of the emergency recovery service, at "
             "most 4: "
             "RSA of 2048 to 4096 bits (below 3072 with a warning), keyUsage, if any, with "
             "keyEncipherment "
             "or dataEncipherment; the same at every participant. Absent: no recovery info."},
    {.name = "storageConfiguration", .type = CFG_OBJECT, .help = "How key material is kept."},
    {.name = "defaultPresignatureLimit",
     .type = CFG_INT,
     .fallback = "-1",
     .min = -1,
     .max = INT64_C(1000000000000),
     .help = "Limit on presignatures copied into every new key; -1: none."},
    {.name = "minChainPathLength",
     .type = CFG_INT,
     .fallback = "1",
     .min = 0,
     .max = 50,
     .help = "Shortest derivation path for signing and public keys; 0 allows the master key."},
    {.name = "minChainPathLengthXPub",
     .type = CFG_INT,
     .fallback = "3",
     .min = 0,
     .max = 50,
     .help = "Shortest derivation path for extended public keys."},
    {.name = "retries",
     .type = CFG_INT,
     .fallback = "2",
     .min = 0,
     .max = 100,
     .help = "How often a message is sent again after a communication error."},
    {.name = "retryDelay",
     .type = CFG_MILLIS,
     .fallback = "1000",
     .min = 0,
     .max = 600000,
     .help = "Pause before each retry."},
    {.name = "disableReshare",
     .type = CFG_BOOL,
     .fallback = "false",
     .help = "Refuses reshare on this participant, asked or asking."},
    {.name = "importKeys",
     .type = CFG_BOOL,
     .fallback = "false",
     .help =
         "Own key. Existing private keys may be imported; every participant of the key must allow "
         "it by itself, and needs auditLog."},
    {.name = "exportCertificates",
     .type = CFG_STRINGS,
     .help = "Own key. X.509 certificates, in the form of ersCertificates and at most 4, that "
             "exportable keys may be exported under; each participant allows its own, and needs "
             "auditLog. Absent: no export."},
    {.name = "auditLog",
     .type = CFG_STRING,
     .help = "Own key. File in which every act on keys is recorded before it happens; its head is "
             "kept beside it (.head). What cannot be recorded is refused. Absent: no audit log."},
    {.name = "threshold",
     .type = CFG_INT,
     .min = 1,
     .max = 4,
     .help = "Own key. Participants that may be corrupt, t; n must be at least 2t+1. Default: the "
             "largest t that n allows."},
    {.name = "clients",
     .type = CFG_ARRAY,
     .help = "Own key. Clients that may register keys; absent: any client that can reach the "
             "protocol port."},
    {.name = "clients[]", .type = CFG_OBJECT, .help = "One client."},
    {.name = "clients[].name", .type = CFG_STRING, .help = "For people."},
    {.name = "clients[].primaryPublicKey",
     .type = CFG_STRING,
     .required = true,
     .help = "X25519 public key of the client."},
    {.name = "clients[].secondaryPublicKey",
     .type = CFG_STRING,
     .required = true,
     .help = "X448 public key of the client."},
    {.name = "registeredKeysPerClient",
     .type = CFG_INT,
     .fallback = "100",
     .min = 0,
     .max = 1000000,
     .help = "Own key. Keys that one client may have registered here and not generated yet; 0: any "
             "number."},
    {.name = "registeredKeys",
     .type = CFG_INT,
     .fallback = "1000",
     .min = 0,
     .max = 1000000,
     .help = "Own key. The same over all clients; 0: any number."},
    {.name = "registrationLifetime",
     .type = CFG_DURATION,
     .fallback = "24h",
     .min = 0,
     .max = INT64_C(31536000000),
     .help = "Own key. A key that a client registered and did not generate is forgotten after this "
             "time, when another one is registered; 0s: never."},
    {.name = "deletionGracePeriod",
     .type = CFG_DURATION,
     .fallback = "7d",
     .min = 0,
     .max = INT64_C(31536000000),
     .help =
         "Own key. How long a key that is to be deleted can be brought back; then each participant "
         "wipes its share. Requests and other participants may ask for 1 day (or this time, if it "
         "is "
         "shorter) to 90 days (or this time, if it is longer). 0s: wiped at once."},
    {.name = "presignatureBatchMin",
     .type = CFG_INT,
     .fallback = "16",
     .min = 1,
     .max = 1024,
     .help = "Own key. Smallest batch of presignatures that the stock keeper makes."},
    {.name = "presignatureBatchMax",
     .type = CFG_INT,
     .fallback = "256",
     .min = 1,
     .max = 1024,
     .help = "Own key. Largest batch; batches grow with demand."},
    {.name = "presignatureLowWater",
     .type = CFG_INT,
     .fallback = "0",
     .min = 0,
     .max = 1000000000,
     .help = "Own key. The stock keeper makes presignatures when a key in use has fewer; 0: off. "
             "Servers only."},
    {.name = "presignatureHighWater",
     .type = CFG_INT,
     .fallback = "0",
     .min = 0,
     .max = 1000000000,
     .help =
         "Own key. Up to how many the stock keeper makes them, within the key's limit; 0: twice "
         "the low-water mark."},
    {.name = "presignatureRequestLimit",
     .type = CFG_INT,
     .fallback = "1000",
     .min = 0,
     .max = 1000000,
     .help = "Own key. Presignatures that one request may ask for; 0: no cap."},
    {.name = "presignatureGlobalLimit",
     .type = CFG_INT,
     .fallback = "0",
     .min = 0,
     .max = INT64_C(1000000000000),
     .help =
         "Own key. Presignatures in stock over all keys that this participant coordinates; 0: no "
         "cap."},
};

const cfg_section cfg_table_library = {"tdsaLibrary", "tdsaLibrary\0", CFG_ROWS(library)};

static const cfg_row participant[] = {
    {.name = "id",
     .type = CFG_STRING,
     .help = "Identifier, the same at all participants; 1 to 64 characters. The client has none."},
    {.name = "uri",
     .type = CFG_STRING,
     .help = "URL of the protocol port. Without a path /protocol/round is used; \"/\" is a path."},
    {.name = "primaryPublicKey",
     .type = CFG_STRING,
     .help = "X25519 public key: url-safe base64 of SubjectPublicKeyInfo DER or of the 32 bytes. "
             "May be absent for this participant."},
    {.name = "secondaryPublicKey",
     .type = CFG_STRING,
     .help = "X448 public key, 56 bytes or DER. May be absent for this participant."},
};

const cfg_section cfg_table_participant = {
    "Remote participant", "tdsaLibrary.remoteParticipants[][]\0", CFG_ROWS(participant)};

static const cfg_row storage[] = {
    {.name = "skipCreateTables",
     .type = CFG_BOOL,
     .fallback = "false",
     .help = "Do not try to create missing tables at start."},
    {.name = "cacheSize",
     .type = CFG_INT,
     .fallback = "100",
     .min = 0,
     .max = 100000000,
     .help = "Keys kept in memory with their shares while nobody uses them; more than 4096 count "
             "as 4096. "
             "The least recently used is wiped first. 0: each is wiped after its use."},
    {.name = "partialSignatureTimeout",
     .type = CFG_SECONDS,
     .fallback = "3600",
     .min = 1,
     .max = 31536000,
     .help = "How long a partial signature may wait for the final one. After that it cannot be "
             "combined "
             "any more; its presignature is used up in any case."},
    {.name = "encryptionKey",
     .type = CFG_SECRET,
     .fallback = "",
     .help = "Secret text that the data key is derived from; it must never change. Empty: rows are "
             "not encrypted. Also from DATABASE_ENCRYPTION_KEY or "
             "-Dcom.sepior.tdsa.database.encryptionkey."},
    {.name = "encryptor",
     .type = CFG_STRING,
     .fallback = "",
     .help =
         "Empty or aesgcm: AES-256-GCM under encryptionKey. pkcs11: the data key is wrapped by "
         "a key in a token. A name with a dot (com.example.Name): by the plugin of encryptorPath "
         "that declares it; names with AesGcm in them are aesgcm."},
    {.name = "encryptorClass", .type = CFG_STRING, .help = "Another name for encryptor."},
    {.name = "encryptorArguments",
     .type = CFG_STRINGS,
     .help =
         "For pkcs11: one RFC 7512 URI of the wrapping key, whose PIN comes from pin-source "
         "(file:/path, env:NAME, credential:NAME) or pin-value. For a plugin: what it is given, "
         "in order; DATABASE_ENCRYPTION_KEY stands for the encryptionKey."},
    {.name = "encryptorPath",
     .type = CFG_STRING,
     .fallback = "/tdsa/lib",
     .help = "Own key. Folder of encryptor plugins (*.so), to which only root or the user of the "
             "process may write."},
    {.name = "createWrappingKey",
     .type = CFG_BOOL,
     .fallback = "false",
     .help = "Own key. Make the AES-256 wrapping key when the token has none."},
    {.name = "dataKeyLifetime",
     .type = CFG_DURATION,
     .min = 0,
     .max = INT64_C(31536000000),
     .help = "Own key. How long the data key that opens the rows stays in memory before the "
             "encryptor is "
             "asked for it again; 0s: asked at each use. Absent: for the life of the process. See "
             "operations.md, Wrapping key."},
    {.name = "counterFile",
     .type = CFG_STRING,
     .help =
         "Own key. File on another volume that keeps a second copy of the database's counters; a "
         "database that is behind it gives up its presignatures. See operations.md, Rollback."},
};

const cfg_section cfg_table_storage = {"Storage", "tdsaLibrary.storageConfiguration\0",
                                       CFG_ROWS(storage)};

static const cfg_row own[] = {
    {.name = "tdsaServer.serverGroupId",
     .type = CFG_SECRET,
     .fallback = "TDSA_SERVER",
     .help = "Secret shared by the servers of one group, at most 128 characters; it is mixed into "
             "their channel and never sent."},
    {.name = "pkcs11.tokenLabel",
     .type = CFG_STRING,
     .fallback = "TDSA",
     .help = "Label of the token, at most 32 bytes."},
    {.name = "pkcs11.deadline",
     .type = CFG_DURATION,
     .fallback = "4s",
     .min = 100,
     .max = 600000,
     .help = "Total time one call may take, connects and retries included."},
    {.name = "pkcs11.login",
     .type = CFG_ENUM,
     .fallback = "required",
     .words = "required|never",
     .help = "required: C_Login with the PIN of the wrapping token opens the keystore. never: it "
             "opens without a PIN of the caller."},
    {.name = "pkcs11.edwardsPoint",
     .type = CFG_ENUM,
     .fallback = "auto",
     .words = "auto|der|raw",
     .help =
         "How CKA_EC_POINT of Edwards keys is written: der, a DER OCTET STRING as PKCS#11 2.40 has "
         "it; raw, as it is (3.0); auto, as the interface that the caller asked for has it, and "
         "der for "
         "pkcs11-tool up to 0.23."},
    {.name = "pkcs11.view",
     .type = CFG_STRING,
     .fallback = "auto",
     .help =
         "Which objects programs see: auto, all, ssh (NIST curves), openssl (no Edwards keys) or a "
         "view of pkcs11.views. auto: the view that names the program, else ssh for OpenSSH, "
         "openssl "
         "where libp11 is loaded, else all. TDSA_PKCS11_VIEW comes first."},
    {.name = "pkcs11.views", .type = CFG_ARRAY, .help = "Views of your own."},
    {.name = "pkcs11.views[]", .type = CFG_OBJECT, .help = "One view."},
    {.name = "pkcs11.views[].name", .type = CFG_STRING, .required = true, .help = "Its name."},
    {.name = "pkcs11.views[].curves",
     .type = CFG_STRINGS,
     .help = "Keys on these curves only: P-256, P-384, P-521, secp256k1, Ed25519, BIP-340."},
    {.name = "pkcs11.views[].keys",
     .type = CFG_STRINGS,
     .help = "Objects with these labels or key ids only."},
    {.name = "pkcs11.views[].programs",
     .type = CFG_STRINGS,
     .help = "Names of programs that get this view when the view is auto."},
    {.name = "pkcs11.slots",
     .type = CFG_ARRAY,
     .help = "Further slots, after the first; each shows the token through a view."},
    {.name = "pkcs11.slots[]", .type = CFG_OBJECT, .help = "One slot."},
    {.name = "pkcs11.slots[].tokenLabel",
     .type = CFG_STRING,
     .required = true,
     .help = "Label of its token, at most 32 bytes."},
    {.name = "pkcs11.slots[].view",
     .type = CFG_STRING,
     .required = true,
     .help = "all, ssh, openssl or a view of pkcs11.views."},
    {.name = "pkcs11.slotPerKey",
     .type = CFG_BOOL,
     .fallback = "false",
     .help = "One more slot for each key, whose token has the key's label and shows it alone."},
    {.name = "pkcs11.certificates",
     .type = CFG_STRINGS,
     .help = "PEM files whose certificates are shown as objects of the token."},
    {.name = "pkcs11.generateKeys",
     .type = CFG_BOOL,
     .fallback = "true",
     .help = "Applications may make keys of the token (session keys always)."},
    {.name = "pkcs11.destroyKeys",
     .type = CFG_BOOL,
     .fallback = "true",
     .help = "Applications may order keys of the token to be deleted (session keys always)."},
    {.name = "pkcs11.ecdsaSha1",
     .type = CFG_BOOL,
     .fallback = "false",
     .help = "Offer CKM_ECDSA_SHA1."},
};

const cfg_section cfg_table_own = {"tdsaServer and pkcs11", "\0", CFG_ROWS(own)};

static const cfg_row vault[] = {
    {.name = "address",
     .type = CFG_STRING,
     .handling = CFG_LATER,
     .required = true,
     .help = "URL of the vault. Selectors (vault:...) are refused by this version."},
    {.name = "token",
     .type = CFG_SECRET,
     .handling = CFG_LATER,
     .required = true,
     .help = "Client token, or a single-use wrapping token."},
    {.name = "unwrap",
     .type = CFG_BOOL,
     .handling = CFG_LATER,
     .fallback = "false",
     .help = "Exchange the wrapping token for the real one at start."},
    {.name = "engineVersion",
     .type = CFG_INT,
     .handling = CFG_LATER,
     .fallback = "2",
     .min = 1,
     .max = 2,
     .help = "Version of the K/V engine."},
};

const cfg_section cfg_table_vault = {"vault", "vault\0", CFG_ROWS(vault)};
