#include "participant/share_backup.h"

#include <stdlib.h>
#include <string.h>

#include "base/cipher.h"
#include "base/kdf.h"
#include "base/statement.h"

#define BACKUP_VERSION 1u
#define SHARE_LEN_MAX  512u

void part_share_backup_clear(part_share_backup *b)
{
    free(b->attrs);
    free(b->public_part);
    tdsa_secret_free(b->share);
    memset(b, 0, sizeof *b);
}

tdsa_status part_passphrase_check(const char *passphrase, tdsa_err *err)
{
    const size_t len = strnlen(passphrase, PART_PASSPHRASE_LEN_MAX + 1);

    if (len < PART_PASSPHRASE_LEN_MIN || len > PART_PASSPHRASE_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a passphrase has %u to %u bytes",
                         PART_PASSPHRASE_LEN_MIN, PART_PASSPHRASE_LEN_MAX);
    }
    return TDSA_OK;
}

/* stmt("tdsa-key-backup", version, key-id, epoch, index, [[index, X25519, X448]], log2 N, salt, nonce) */
static void put_head(tdsa_buf *out, const part_share_backup *b)
{
    size_t list = 0;

    tdsa_stmt_begin(out, "tdsa-key-backup");
    tdsa_stmt_uint(out, BACKUP_VERSION);
    tdsa_stmt_text(out, b->key_id);
    tdsa_stmt_uint(out, b->epoch);
    tdsa_stmt_uint(out, b->me);
    list = tdsa_stmt_list_begin(out);
    for (size_t i = 0; i < b->member_count; i++) {
        const size_t one = tdsa_stmt_list_begin(out);
        tdsa_stmt_uint(out, b->members[i].index);
        tdsa_stmt_octets(out, b->members[i].x25519, sizeof b->members[i].x25519);
        tdsa_stmt_octets(out, b->members[i].x448, sizeof b->members[i].x448);
        tdsa_stmt_list_end(out, one);
    }
    tdsa_stmt_list_end(out, list);
    tdsa_stmt_uint(out, b->log2_n);
    tdsa_stmt_octets(out, b->salt, sizeof b->salt);
    tdsa_stmt_octets(out, b->nonce, sizeof b->nonce);
}

static void put_inside(tdsa_buf *out, const part_share_backup *b)
{
    tdsa_stmt_begin(out, "key-backup");
    tdsa_stmt_octets(out, b->label, strlen(b->label));
    tdsa_stmt_uint(out, b->created_ms);
    tdsa_stmt_uint(out, (uint64_t)(b->presignature_limit + 1));
    tdsa_stmt_octets(out, b->attrs, b->attrs_len);
    tdsa_stmt_octets(out, b->public_part, b->public_len);
    tdsa_stmt_octets(out, tdsa_secret_view(b->share), tdsa_secret_len(b->share));
}

tdsa_status part_share_backup_seal(tdsa_buf *out, const part_share_backup *b,
                                   const char *passphrase, tdsa_err *err)
{
    TDSA_SCOPED_BUF head = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF inside = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    uint8_t key[32];
    tdsa_gcm gcm = {.key = key, .nonce = b->nonce};
    tdsa_status st = tdsa_scrypt(key, passphrase, b->salt, b->log2_n, err);

    put_head(&head, b);
    put_inside(&inside, b);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&head, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&inside, err);
    }
    if (st == TDSA_OK) {
        gcm.aad = head.data;
        gcm.aad_len = head.len;
        st = tdsa_gcm_seal(&sealed, &gcm, inside.data, inside.len, err);
    }
    tdsa_wipe(key, sizeof key);
    if (st == TDSA_OK) {
        tdsa_buf_append(out, head.data, head.len);
        tdsa_stmt_octets(out, sealed.data, sealed.len);
        st = tdsa_buf_check(out, err);
    }
    return st;
}

/* ---- reading ---- */

static void read_members(tdsa_reader *r, part_share_backup *out)
{
    tdsa_reader list = tdsa_stmt_read_list(r);

    while (!list.failed && tdsa_reader_left(&list) > 0 && out->member_count < GRP_PARTIES_MAX) {
        mpc_member *m = &out->members[out->member_count++];
        tdsa_reader one = tdsa_stmt_read_list(&list);
        const uint64_t index = tdsa_stmt_read_uint(&one);

        tdsa_stmt_read_exact(&one, m->x25519, sizeof m->x25519);
        tdsa_stmt_read_exact(&one, m->x448, sizeof m->x448);
        if (one.failed || tdsa_reader_left(&one) > 0 || index >= GRP_PARTIES_MAX) {
            list.failed = true;
        }
        m->index = (uint16_t)index;
    }
    if (list.failed || tdsa_reader_left(&list) > 0) {
        r->failed = true;
    }
}

static tdsa_status check_head(const part_share_backup *b, uint64_t version, uint64_t log2_n,
                              tdsa_err *err)
{
    if (version != BACKUP_VERSION) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a backup of version %llu; this one reads %u",
                         (unsigned long long)version, BACKUP_VERSION);
    }
    if (log2_n < TDSA_SCRYPT_LOG2_MIN || log2_n > TDSA_SCRYPT_LOG2_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "backup: scrypt with 2^%llu is not accepted",
                         (unsigned long long)log2_n);
    }
    return b->key_id[0] == '\0' ? TDSA_FAIL(err, TDSA_E_BAD_INPUT, "backup without a key id")
                                : TDSA_OK;
}

tdsa_status part_share_backup_parse(part_share_backup *out, const uint8_t *in, size_t len,
                                    size_t *head_len, const uint8_t **sealed, size_t *sealed_len,
                                    tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len > PART_BACKUP_LEN_MAX ? 0 : len);
    uint64_t number[4];
    tdsa_status st;

    memset(out, 0, sizeof *out);
    tdsa_stmt_expect(&r, "tdsa-key-backup");
    number[0] = tdsa_stmt_read_uint(&r);
    tdsa_stmt_read_text(&r, out->key_id, sizeof out->key_id);
    number[1] = tdsa_stmt_read_uint(&r);
    number[2] = tdsa_stmt_read_uint(&r);
    read_members(&r, out);
    number[3] = tdsa_stmt_read_uint(&r);
    tdsa_stmt_read_exact(&r, out->salt, sizeof out->salt);
    tdsa_stmt_read_exact(&r, out->nonce, sizeof out->nonce);
    *head_len = r.pos;
    *sealed = tdsa_stmt_read_octets(&r, sealed_len, PART_BACKUP_LEN_MAX);
    r.failed = r.failed || number[1] > UINT32_MAX || number[2] >= GRP_PARTIES_MAX;
    st = tdsa_reader_finish(&r, "backup of a share", err);
    if (st == TDSA_OK) {
        out->epoch = (uint32_t)number[1];
        out->me = (uint16_t)number[2];
        out->log2_n = (unsigned)number[3];
        st = check_head(out, number[0], number[3], err);
    }
    return st;
}

static tdsa_status copy_octets(tdsa_reader *r, size_t max, uint8_t **out, size_t *out_len,
                               tdsa_err *err)
{
    size_t len = 0;
    const uint8_t *bytes = tdsa_stmt_read_octets(r, &len, max);

    if (bytes == NULL || len == 0) {
        return TDSA_OK; /* empty, or the reader has failed */
    }
    *out = malloc(len);
    if (*out == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "backup of a share");
    }
    memcpy(*out, bytes, len);
    *out_len = len;
    return TDSA_OK;
}

static tdsa_status read_inside(part_share_backup *out, const tdsa_buf *plain, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(plain->data, plain->len);
    size_t len = 0;
    const uint8_t *bytes = NULL;
    uint64_t limit = 0;
    tdsa_status st;

    tdsa_stmt_expect(&r, "key-backup");
    bytes = tdsa_stmt_read_octets(&r, &len, KS_LABEL_MAX);
    if (bytes != NULL && len > 0) {
        memcpy(out->label, bytes, len);
    }
    out->created_ms = tdsa_stmt_read_uint(&r);
    limit = tdsa_stmt_read_uint(&r);
    out->presignature_limit = (int64_t)limit - 1;
    r.failed = r.failed || limit > (uint64_t)INT64_MAX;
    st = copy_octets(&r, KS_ATTRS_MAX, &out->attrs, &out->attrs_len, err);
    if (st == TDSA_OK) {
        st = copy_octets(&r, KS_PUBLIC_MAX, &out->public_part, &out->public_len, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    bytes = tdsa_stmt_read_octets(&r, &len, SHARE_LEN_MAX);
    st = tdsa_reader_finish(&r, "backup of a share", err);
    if (st == TDSA_OK && out->public_len == 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "backup without a public half");
    }
    return st == TDSA_OK ? tdsa_secret_copy(&out->share, bytes, len, err) : st;
}

tdsa_status part_share_backup_open(part_share_backup *out, const uint8_t *in, size_t len,
                                   const char *passphrase, tdsa_err *err)
{
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    const uint8_t *sealed = NULL;
    size_t sealed_len = 0;
    size_t head_len = 0;
    uint8_t key[32];
    tdsa_gcm gcm = {.key = key, .nonce = out->nonce, .aad = in};
    tdsa_status st = part_share_backup_parse(out, in, len, &head_len, &sealed, &sealed_len, err);

    if (st == TDSA_OK) {
        st = tdsa_scrypt(key, passphrase, out->salt, out->log2_n, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    gcm.aad_len = head_len;
    st = tdsa_gcm_open(&plain, &gcm, sealed, sealed_len, err);
    tdsa_wipe(key, sizeof key);
    if (st != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "the passphrase is wrong, or the backup of key %s was edited",
                         out->key_id);
    }
    st = read_inside(out, &plain, err);
    if (st != TDSA_OK) {
        part_share_backup_clear(out);
    }
    return st;
}
