#include <stdlib.h>
#include <string.h>

#include "keystore/counter_file.h"
#include "keystore/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A backend whose rows say whatever the input says. */
typedef struct {
    ks_backend base;
    tdsa_reader in;
    char key_id[300], label[600];
    uint8_t beta[KS_BETA_LEN], object[KS_OBJECT_ID_LEN];
} hostile;

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* A text of 0..cap-1 bytes, or none. */
static const char *any_text(tdsa_reader *r, char *out, size_t cap)
{
    const uint16_t len = tdsa_read_u16(r);
    const size_t have = tdsa_reader_left(r);
    size_t n = len % cap;

    if (len == UINT16_MAX) {
        return NULL;
    }
    n = n < have ? n : have;
    memset(out, 'k', cap);
    if (n > 0) {
        memcpy(out, tdsa_read_bytes(r, n), n);
    }
    out[n] = '\0';
    return out;
}

static const uint8_t *any_blob(tdsa_reader *r, size_t *len)
{
    const uint8_t kind = tdsa_read_u8(r);
    const size_t have = tdsa_reader_left(r);
    const size_t want = kind < have ? kind : have;

    if (kind == 255) {
        *len = SIZE_MAX; /* a length that is not true: nothing may look at it */
        return NULL;
    }
    *len = want;
    return want > 0 ? tdsa_read_bytes(r, want) : NULL;
}

static tdsa_status hostile_key(ks_backend *b, const char *key_id, ks_key_row_fn fn, void *ctx,
                               tdsa_err *err)
{
    hostile *h = (hostile *)(void *)b;
    ks_key_row row = {0};
    const uint8_t state = tdsa_read_u8(&h->in);

    (void)key_id;
    (void)err;
    row.key_id = any_text(&h->in, h->key_id, sizeof h->key_id);
    row.label = any_text(&h->in, h->label, sizeof h->label);
    row.epoch = tdsa_read_u8(&h->in);
    row.state = (ks_key_state)(state % 8);
    row.public_part = any_blob(&h->in, &row.public_len);
    row.attrs = any_blob(&h->in, &row.attrs_len);
    row.sealed = any_blob(&h->in, &row.sealed_len);
    (void)fn(ctx, &row);
    return TDSA_OK;
}

static tdsa_status hostile_keys(ks_backend *b, const char *key_id, ks_key_state state,
                                ks_key_row_fn fn, void *ctx, tdsa_err *err)
{
    (void)state;
    return hostile_key(b, key_id, fn, ctx, err);
}

static tdsa_status hostile_batch(ks_backend *b, const ks_batch_query *q, ks_batch_row_fn fn,
                                 void *ctx, tdsa_err *err)
{
    hostile *h = (hostile *)(void *)b;
    static const uint64_t burnt[KS_BATCH_COUNT_MAX / KS_BLOCK_SIZE] = {0x5555};
    ks_batch_row row = {.burnt = burnt};
    const uint8_t state = tdsa_read_u8(&h->in);

    (void)q;
    (void)err;
    row.beta = state < 200 ? h->beta : NULL;
    row.key_id = any_text(&h->in, h->key_id, sizeof h->key_id);
    row.state = (ks_batch_state)(state % 8);
    row.lane = tdsa_read_u64(&h->in);
    row.seq = tdsa_read_u64(&h->in);
    row.count = tdsa_read_u16(&h->in);
    row.next = tdsa_read_u16(&h->in);
    row.sealed = any_blob(&h->in, &row.sealed_len);
    (void)fn(ctx, &row);
    return TDSA_OK;
}

static tdsa_status hostile_move(ks_backend *b, const uint8_t *beta, ks_batch_state from,
                                ks_batch_state to, tdsa_err *err)
{
    (void)b;
    (void)beta;
    (void)from;
    (void)to;
    (void)err;
    return TDSA_OK;
}

static tdsa_status hostile_data_keys(ks_backend *b, ks_data_key_row_fn fn, void *ctx, tdsa_err *err)
{
    hostile *h = (hostile *)(void *)b;
    uint8_t rows = tdsa_read_u8(&h->in) % 4;
    bool more = true;

    (void)err;
    for (; more && rows > 0; rows--) {
        ks_data_key_row row = {.number = tdsa_read_u8(&h->in)};
        const uint8_t state = tdsa_read_u8(&h->in);

        row.state = (ks_data_key_state)(state % 4);
        row.wrapped = any_blob(&h->in, &row.wrapped_len);
        row.chained = any_blob(&h->in, &row.chained_len);
        row.wrapped_len = row.wrapped == NULL ? 0 : row.wrapped_len;
        row.chained_len = row.chained == NULL ? 0 : row.chained_len;
        more = fn(ctx, &row);
    }
    return TDSA_OK;
}

static tdsa_status hostile_has_share(ks_backend *b, bool *out, tdsa_err *err)
{
    hostile *h = (hostile *)(void *)b;

    (void)err;
    *out = (tdsa_read_u8(&h->in) & 1u) != 0;
    return TDSA_OK;
}

static tdsa_status hostile_add(ks_backend *b, const ks_data_key_row *row, tdsa_err *err)
{
    hostile *h = (hostile *)(void *)b;

    (void)row;
    return (tdsa_read_u8(&h->in) & 1u) != 0 ? TDSA_OK
                                            : TDSA_FAIL(err, TDSA_E_CONFLICT, "somebody was first");
}

/* Up to a page of rows, as if behind any row that the last page ended with. */
static tdsa_status hostile_objects(ks_backend *b, const ks_object_query *q, ks_object_row_fn fn,
                                   void *ctx, tdsa_err *err)
{
    hostile *h = (hostile *)(void *)b;
    const size_t rows = tdsa_read_u8(&h->in) % (q->limit + 1);
    bool more = true;

    (void)err;
    require(q->limit > 0);
    for (size_t i = 0; more && i < rows; i++) {
        const uint8_t kind = tdsa_read_u8(&h->in);
        ks_object_row row = {.created_ms = (uint64_t)(int64_t)(int8_t)tdsa_read_u8(&h->in)};

        memset(h->object, kind / 4, sizeof h->object);
        row.id = kind != 255 ? h->object : NULL;
        row.is_sealed = (kind & 1) != 0;
        row.value = any_blob(&h->in, &row.value_len);
        row.sealed = any_blob(&h->in, &row.sealed_len);
        more = fn(ctx, &row);
    }
    return TDSA_OK;
}

static const ks_backend_ops ops = {.name = "hostile",
                                   .key_has_share = hostile_has_share,
                                   .data_key_add = hostile_add,
                                   .data_key_each = hostile_data_keys,
                                   .object_each = hostile_objects,
                                   .key_get = hostile_key,
                                   .key_rows = hostile_keys,
                                   .batch_each = hostile_batch,
                                   .batch_move = hostile_move};

/* Each is behind the one before it, and has the bytes that it says. */
static bool next_object(void *ctx, const ks_object *o)
{
    ks_object *last = ctx;

    require(o->bytes != NULL && o->len <= KS_OBJECT_MAX && o->created_ms <= INT64_MAX);
    require(last->bytes == NULL || o->created_ms > last->created_ms ||
            (o->created_ms == last->created_ms && memcmp(o->id, last->id, sizeof o->id) > 0));
    *last = *o;
    last->bytes = (const uint8_t *)"";
    return true;
}

static void use_store(ks *s, tdsa_err *err)
{
    ks_object last = {.bytes = NULL};
    const uint8_t beta[KS_BETA_LEN] = {0};
    tdsa_secret *share = NULL;
    ks_key *key = NULL;
    ks_batch *batch = NULL;
    uint64_t count = 0;
    tdsa_status st = ks_object_each(s, next_object, &last, err);

    require(st == TDSA_OK || err->text[0] != '\0');
    st = ks_key_get(s, "k", &key, err);
    require(st == TDSA_OK ? key != NULL : key == NULL);
    ks_key_free(key);
    st = ks_key_open(s, "k", 0, &share, err);
    require(st == TDSA_OK ? share != NULL : share == NULL);
    tdsa_secret_free(share);
    st = ks_batch_get(s, beta, &batch, err);
    require(st == TDSA_OK ? batch != NULL : batch == NULL);
    ks_batch_free(batch);
    st = ks_batch_find(s, "k", 0, NULL, &batch, err);
    require(st == TDSA_OK ? batch != NULL : batch == NULL);
    ks_batch_free(batch);
    st = ks_batch_available(s, "k", NULL, &count, err);
    require(st == TDSA_OK && count <= KS_BATCH_COUNT_MAX);
}

/* A wrapped data key, and the check value at its head. */
static void wrapped_key(const uint8_t *data, size_t size)
{
    uint8_t kcv[KS_KCV_LEN];
    ks_wrapped_key k;
    tdsa_err err;

    if (ks_wrapped_key_parse(&k, data, size, &err) == TDSA_OK) {
        require(k.wrapped_len <= size && strlen(k.encryptor) <= KS_PLUGIN_NAME_MAX);
        (void)ks_wrapped_key_kcv(kcv, &k);
    }
}

/* A chained data key that nobody sealed never opens. */
static void chained_key(const uint8_t *data, size_t size)
{
    ks_stored_key stored = {1, KS_DATA_KEY_CURRENT, TDSA_BUF_EMPTY, TDSA_BUF_EMPTY};
    ks_data_key before = {1, NULL};
    ks_data_key out;
    tdsa_err err;

    require(tdsa_secret_new(&before.secret, 32, &err) == TDSA_OK);
    tdsa_buf_append(&stored.chained, data, size);
    require(ks_chain_take(&out, &before, &stored, &err) != TDSA_OK && out.secret == NULL);
    tdsa_buf_clear(&stored.chained);
    tdsa_secret_free(before.secret);
}

/* A line of the counter file has one spelling: any change of a byte makes it none. */
static void counter_line(const uint8_t *data, size_t size)
{
    uint8_t *line = malloc(size + 1);
    ks_marks m;
    ks_marks other;

    require(line != NULL);
    if (size > 0) {
        memcpy(line, data, size);
    }
    if (ks_counter_line_parse(&m, line, size)) {
        line[m.burns % size] ^= 1;
        require(!ks_counter_line_parse(&other, line, size));
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hostile h = {.base = {.ops = &ops}, .in = tdsa_reader_of(data, size)};
    ks s = {.backend = &h.base, .unlocked = true, .rng = tdsa_os_rng(), .clock = tdsa_os_clock()};
    tdsa_err err;

    counter_line(data, size);
    wrapped_key(data, size);
    chained_key(data, size);
    require(pthread_mutex_init(&s.mu, NULL) == 0);
    require(pthread_mutex_init(&s.unlock_mu, NULL) == 0);
    s.rows_clear = true;
    use_store(&s, &err);
    s.rows_clear = false;
    s.ring.current.number = 1;
    require(tdsa_secret_new(&s.ring.current.secret, 32, &err) == TDSA_OK);
    use_store(&s, &err);
    ks_ring_clear(&s.ring);
    (void)pthread_mutex_destroy(&s.unlock_mu);
    (void)pthread_mutex_destroy(&s.mu);
    return 0;
}
