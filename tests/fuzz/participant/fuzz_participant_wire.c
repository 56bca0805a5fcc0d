#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "participant/engine.h"
#include "participant/export.h"
#include "participant/internal.h"
#include "participant/run_internal.h"
#include "participant/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) {
        __builtin_trap();
    }
}

static void same(const tdsa_buf *b, const uint8_t *data, size_t size)
{
    require(!b->failed && b->len == size && memcmp(b->data, data, size) == 0);
}

static void frame(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    part_frame f;
    tdsa_err err;

    if (part_frame_parse(&f, data, size, &err) != TDSA_OK) {
        return;
    }
    if (f.type == PART_FRAME_HANDSHAKE) {
        part_frame_put_handshake(&again, &f);
    } else {
        part_frame_put_sealed_head(&again, f.from, f.to, f.seq);
    }
    tdsa_buf_append(&again, f.rest, f.rest_len);
    same(&again, data, size);
}

static void ask_and_answer(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    part_ask a;
    part_answer r;
    tdsa_err err;

    if (part_ask_parse(&a, data, size, &err) == TDSA_OK) {
        require(a.kind >= PART_ASK_REGISTER && a.kind < PART_ASK_END);
        part_ask_put(&again, &a);
        same(&again, data, size);
    }
    if (part_answer_parse(&r, data, size, &err) == TDSA_OK) {
        require(strnlen(r.text, sizeof r.text) < sizeof r.text);
        tdsa_buf_reset(&again);
        part_answer_put(&again, &r);
        same(&again, data, size);
    }
}

static void marks(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    part_marks m;
    tdsa_err err;

    if (part_marks_parse(&m, data, size, &err) == TDSA_OK) {
        require(m.seen_count <= PART_STORES_MAX);
        part_marks_put(&again, &m);
        same(&again, data, size);
    }
}

/* The header of a backup, which nobody has authenticated yet. */
static void backup(const uint8_t *data, size_t size)
{
    part_share_backup b;
    const uint8_t *sealed = NULL;
    size_t sealed_len = 0;
    size_t head_len = 0;
    tdsa_err err;

    if (part_share_backup_parse(&b, data, size, &head_len, &sealed, &sealed_len, &err) == TDSA_OK) {
        require(head_len + 5 + sealed_len == size && b.member_count <= GRP_PARTIES_MAX);
        require(b.log2_n <= 18 && strnlen(b.key_id, sizeof b.key_id) < sizeof b.key_id);
    }
}

static void begin(const uint8_t *data, size_t size)
{
    for (unsigned kind = PART_ASK_REGISTER; kind < PART_ASK_END; kind++) {
        part_begin *b = calloc(1, sizeof *b);
        tdsa_err err;

        require(b != NULL);
        (void)!part_begin_parse(b, (part_ask_kind)kind, data, size, &err);
        free(b);
    }
}

static void plan(const uint8_t *data, size_t size)
{
    part_reshare_plan *p = calloc(1, sizeof *p);
    tdsa_buf again = TDSA_BUF_EMPTY;
    tdsa_err err;

    require(p != NULL);
    if (part_reshare_parse_plan(p, data, size, &err) == TDSA_OK) {
        part_reshare_put_plan(&again, p);
        same(&again, data, size);
    }
    tdsa_buf_clear(&again);
    free(p);
}

static void export_plan(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    part_export_plan p;
    tdsa_err err;

    if (part_export_parse_plan(&p, data, size, &err) == TDSA_OK) {
        require(p.path_len <= MPC_PATH_MAX);
        part_export_put_plan(&again, &p);
        same(&again, data, size);
    }
}

static void word(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
    part_word w;
    tdsa_err err;

    if (part_word_parse(&w, data, size, &err) == TDSA_OK) {
        require((w.serial == 0) == (w.state == 0));
        part_word_put(&again, &w);
        same(&again, data, size);
    }
}

static void presignature_name(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    char again[PART_PRESIG_ID_MAX];
    part_presig_id id;

    require(text != NULL);
    if (part_presig_id_parse(&id, text)) {
        part_presig_id_put(again, &id);
        require(strcmp(again, text) == 0);
    }
    free(text);
}

/* Every parser of what participants send each other: what is taken comes back byte by byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    frame(data, size);
    ask_and_answer(data, size);
    marks(data, size);
    backup(data, size);
    begin(data, size);
    plan(data, size);
    export_plan(data, size);
    word(data, size);
    presignature_name(data, size);
    return 0;
}
