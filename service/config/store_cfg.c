#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/secret.h"
#include "config/internal.h"
#include "config/jdbc.h"

/* From database and tdsaLibrary.storageConfiguration to a ks_cfg. */

#define STORAGE         "tdsaLibrary.storageConfiguration"
#define DEFAULT_DB      "/var/lib/tdsa/participant%u.db"
#define KEY_BITS_WANTED 128u

static tdsa_status use_file(cfg_participant *p, const char *path, const char *suffix, tdsa_err *err)
{
    const size_t cap = strlen(path) + strlen(suffix) + 1;

    p->db_path = malloc(cap);
    if (p->db_path == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database path");
    }
    (void)snprintf(p->db_path, cap, "%s%s", path, suffix);
    p->store.backend = "sqlite";
    p->store.path = p->db_path;
    return TDSA_OK;
}

/* H2 is a Java engine: its rows cannot be read, so a new SQLite file stands beside it. */
static tdsa_status use_h2(cfg_participant *p, const char *path, const tdsa_log *log, tdsa_err *err)
{
    static const char *const endings[] = {".mv.db", ".h2.db"};
    char other[CFG_JDBC_PATH_MAX + 16];

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        (void)snprintf(other, sizeof other, "%s%s", path, endings[i]);
        if (access(other, F_OK) == 0) {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "database.url: H2 data that cannot be read is in %s; move it away, or "
                             "use another path",
                             other);
        }
    }
    tdsa_logf(log, TDSA_LOG_WARN, "config",
              "database.url names H2, which is kept in the SQLite file %s.sqlite", path);
    return use_file(p, path, ".sqlite", err);
}

static tdsa_status not_built(const char *what, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_CONFIG,
                     "database.url: %s is not supported by this version; use "
                     "jdbc:sqlite:file:<path>",
                     what);
}

static tdsa_status use_jdbc(cfg_participant *p, const cfg_jdbc *db, const tdsa_log *log,
                            tdsa_err *err)
{
    if (db->options) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "database.url: what follows the file name is not used");
    }
    switch (db->kind) {
    case CFG_JDBC_SQLITE:
        return use_file(p, db->path, "", err);
    case CFG_JDBC_H2:
        return use_h2(p, db->path, log, err);
    case CFG_JDBC_H2_MEMORY:
    case CFG_JDBC_SQLITE_MEMORY:
        p->store.backend = "memory";
        tdsa_logf(log, TDSA_LOG_INFO, "config",
                  "database.url keeps everything in memory: keys are lost at the end");
        return TDSA_OK;
    case CFG_JDBC_POSTGRESQL:
        return not_built("PostgreSQL", err);
    case CFG_JDBC_MARIADB:
        return not_built("MariaDB", err);
    }
    return TDSA_FAIL(err, TDSA_E_INTERNAL, "unknown kind of database");
}

static tdsa_status fill_database(cfg_participant *p, const cfg *c, const tdsa_log *log,
                                 tdsa_err *err)
{
    const char *url = cfg_str(c, "database.url");
    char path[64];
    cfg_jdbc db;
    tdsa_status st = cfg_refuse_selector(c, "database.user", err);

    if (st == TDSA_OK) {
        st = cfg_refuse_selector(c, "database.password", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (cfg_bool(c, "database.readOnlyByDefault") || cfg_bool(c, "database.defaultReadOnly")) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "database.readOnlyByDefault, defaultReadOnly: every signature writes");
    }
    if (url == NULL) {
        (void)snprintf(path, sizeof path, DEFAULT_DB, (unsigned)p->engine.roster.me);
        return use_file(p, path, "", err);
    }
    if (cfg_jdbc_parse(&db, cfg_str(c, "database.driverClass"), url, err) != TDSA_OK) {
        return tdsa_err_wrap(err, "database");
    }
    return use_jdbc(p, &db, log, err);
}

/* Bits of a text whose characters are drawn evenly from the classes that occur in it. Which classes
 * occur is all that the time may tell. */
static size_t estimated_bits(const char *key)
{
    /* tenths of bits per character: none, digits, one case, one case + digits, both cases,
     * both cases + digits; anything else counts like base64 */
    static const size_t tenths[] = {0, 33, 47, 51, 57, 59};
    const size_t len = strlen(key);
    unsigned lower = 0;
    unsigned upper = 0;
    unsigned digit = 0;
    unsigned other = 0;

    for (size_t i = 0; i < len; i++) {
        const unsigned c = (unsigned char)key[i];
        const unsigned is_lower = (unsigned)(c - 'a' < 26u);
        const unsigned is_upper = (unsigned)(c - 'A' < 26u);
        const unsigned is_digit = (unsigned)(c - '0' < 10u);
        lower |= is_lower;
        upper |= is_upper;
        digit |= is_digit;
        other |= 1u ^ (is_lower | is_upper | is_digit);
    }
    return len * (other != 0 ? 60 : tenths[2 * (lower + upper) + digit]) / 10;
}

static bool same_text(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && tdsa_ct_equal(a, b, strlen(a));
}

static tdsa_status read_encryption_key(cfg_participant *p, const cfg *c, tdsa_err *err)
{
    const char *key = cfg_str(c, STORAGE ".encryptionKey");
    const char *other = cfg_str(c, "tdsaLibrary.encryptionKey");
    tdsa_status st = cfg_refuse_selector(c, STORAGE ".encryptionKey", err);

    if (st == TDSA_OK) {
        st = cfg_refuse_selector(c, "tdsaLibrary.encryptionKey", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (other != NULL && key != NULL && *key != '\0' && *other != '\0' && !same_text(other, key)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "tdsaLibrary.encryptionKey and " STORAGE ".encryptionKey differ");
    }
    p->store.encryption_key = key != NULL && *key != '\0' ? key : other;
    return TDSA_OK;
}

/* `named`: somebody asked for encryption, so its key is not left out by intention. */
static tdsa_status use_aesgcm(cfg_participant *p, bool named, const tdsa_log *log, tdsa_err *err)
{
    const char *key = p->store.encryption_key;

    if (named && (key == NULL || *key == '\0')) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         STORAGE ".encryptor or encryptorArguments ask for encryption, but there "
                                 "is no encryptionKey (a wrapping key needs encryptor: pkcs11)");
    }
    if (key == NULL || *key == '\0') {
        p->store.encryptor = KS_ENCRYPTOR_NONE;
        p->store.encryption_key = NULL;
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "KEY SHARES ARE STORED WITHOUT ENCRYPTION: " STORAGE ".encryptionKey is empty");
        return TDSA_OK;
    }
    p->store.encryptor = KS_ENCRYPTOR_AESGCM;
    if (estimated_bits(key) < KEY_BITS_WANTED) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  STORAGE ".encryptionKey is weaker than %u bits; for a new database use "
                          "`openssl rand -base64 32`",
                  KEY_BITS_WANTED);
    }
    return TDSA_OK;
}

static tdsa_status use_pkcs11(cfg_participant *p, const cfg *c, tdsa_err *err)
{
    const char *uri = cfg_str(c, STORAGE ".encryptorArguments[0]");

    if (cfg_count(c, STORAGE ".encryptorArguments") != 1 || uri == NULL ||
        strncmp(uri, "pkcs11:", 7) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         STORAGE ".encryptorArguments must hold one PKCS #11 URI of the wrapping "
                                 "key (pkcs11:token=...;object=...?module-path=...)");
    }
    p->store.encryptor = KS_ENCRYPTOR_PKCS11;
    p->store.encryption_key = NULL;
    p->store.wrapping_uri = uri;
    p->store.create_wrapping_key = cfg_bool(c, STORAGE ".createWrappingKey");
    return TDSA_OK;
}

/* Empty, aesgcm, or a class name with AES-GCM in it. */
static bool is_aesgcm(const char *name)
{
    return name == NULL || *name == '\0' || strcasecmp(name, "aesgcm") == 0 ||
           strcasecmp(name, "aes-gcm") == 0 || strstr(name, "AesGcm") != NULL ||
           strstr(name, "AESGCM") != NULL;
}

static tdsa_status fill_encryptor(cfg_participant *p, const cfg *c, const tdsa_log *log,
                                  tdsa_err *err)
{
    const char *name = cfg_str(c, STORAGE ".encryptor");
    const char *by_class = cfg_str(c, STORAGE ".encryptorClass");
    tdsa_status st = read_encryption_key(p, c, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (by_class != NULL && name != NULL && *name != '\0' && strcmp(name, by_class) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         STORAGE ".encryptor and " STORAGE ".encryptorClass differ");
    }
    name = name == NULL || *name == '\0' ? by_class : name;
    if (is_aesgcm(name)) {
        const bool named =
            (name != NULL && *name != '\0') || cfg_count(c, STORAGE ".encryptorArguments") > 0;

        return use_aesgcm(p, named, log, err);
    }
    if (strcasecmp(name, "pkcs11") == 0) {
        return use_pkcs11(p, c, err);
    }
    return TDSA_FAIL(err, TDSA_E_CONFIG,
                     STORAGE ".encryptor: unknown encryptor; known: aesgcm, pkcs11 (classes of "
                             "jar files cannot be loaded)");
}

tdsa_status cfg_fill_store(cfg_participant *p, const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    tdsa_status st = fill_database(p, c, log, err);

    if (st == TDSA_OK) {
        st = fill_encryptor(p, c, log, err);
    }
    p->store.counter_file = cfg_str(c, STORAGE ".counterFile");
    if (p->store.counter_file != NULL && *p->store.counter_file == '\0') {
        p->store.counter_file = NULL;
    }
    p->store.create_tables = !cfg_bool(c, STORAGE ".skipCreateTables");
    p->store.unlock_at_open = true;
    return st;
}
