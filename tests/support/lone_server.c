#include "support/lone_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/statement.h"
#include "support/roster.h"

static void must(tdsa_status st, const tdsa_err *err)
{
    if (st != TDSA_OK) {
        (void)fprintf(stderr, "lone server: %s\n", err->text);
        abort();
    }
}

static uint64_t now(void *ctx)
{
    return ((const lone_server *)ctx)->now_ms;
}

void lone_server_start(lone_server *s)
{
    part_engine_cfg *c = &s->cfg;
    const tdsa_rng rng = tdsa_os_rng();
    peer_roster *rosters[3] = {NULL, &c->roster, NULL};
    const roster_spec spec = {.n = 3,
                              .with_client = true,
                              .group_id = "group",
                              .rng = rng,
                              .x25519 = s->x25519,
                              .x448 = s->x448,
                              .pub = s->pub};
    const ks_cfg store = {.backend = "memory",
                          .create_tables = true,
                          .encryptor = KS_ENCRYPTOR_AESGCM,
                          .encryption_key = "a secret of this test",
                          .unlock_at_open = true,
                          .rng = rng,
                          .clock = {now, now, s}};
    tdsa_err err;

    memset(s, 0, sizeof *s);
    s->now_ms = 1000000;
    roster_make(rosters, &spec);
    must(ks_open(&s->store, &store, &err), &err);
    c->t = 1;
    c->may_generate = true;
    c->session_timeout_ms = 10000;
    c->deadline_ms = 4000;
    c->default_presignature_limit = -1;
    c->presign_batch_min = 1;
    c->presign_batch_max = 8;
    c->store = s->store;
    c->clock = (tdsa_clock){now, now, s};
    c->rng = rng;
    must(part_new(&s->part, c, &err), &err);
}

void lone_server_stop(lone_server *s)
{
    part_free(s->part);
    ks_close(s->store);
    peer_roster_clear(&s->cfg.roster);
}

tdsa_status lone_post(lone_server *s, const char *session_id, const uint8_t *body, size_t len,
                      tdsa_buf *reply, tdsa_err *err)
{
    part_reply r;
    tdsa_status st;

    part_handle(s->part, session_id, body, len, s);
    if (!part_take_reply(s->part, &r)) {
        return TDSA_FAIL(err, TDSA_E_BUSY, "suspended");
    }
    *err = r.err;
    st = r.err.status;
    tdsa_buf_append(reply, r.body.data, r.body.len);
    tdsa_buf_clear(&r.body);
    return st;
}

tdsa_status lone_open(lone_server *s, lone_peer *p, uint16_t index, unsigned as,
                      const char *session_id, peer_purpose purpose, const char *group_id,
                      tdsa_err *err)
{
    const tdsa_rng rng = tdsa_os_rng();
    const peer_identity me = {
        .x25519_private = s->x25519[as], .x448_private = s->x448[as], .public_keys = &s->pub[as]};
    part_frame head = {.from = index, .to = 1, .purpose = purpose, .to_id = "participant1"};
    peer_prologue prologue = {.session_id = session_id,
                              .initiator = index,
                              .responder = 1,
                              .initiator_id = head.from_id,
                              .responder_id = "participant1",
                              .purpose = purpose,
                              .server_group_id = group_id};
    TDSA_SCOPED_BUF extra = TDSA_BUF_EMPTY;
    tdsa_status st;

    memset(p, 0, sizeof *p);
    p->server = s;
    p->index = index;
    (void)snprintf(p->session_id, sizeof p->session_id, "%s", session_id);
    if (index > 0) {
        (void)snprintf(head.from_id, sizeof head.from_id, "participant%u", index);
    }
    part_frame_put_handshake(&p->hello, &head);
    st = peer_channel_start(&p->channel, &me, &s->pub[1], &prologue, &rng, NULL, 0, &p->hello, err);
    if (st == TDSA_OK) {
        st = lone_post(s, session_id, p->hello.data, p->hello.len, &p->hello_reply, err);
    }
    if (st == TDSA_OK) {
        st = peer_channel_finish(p->channel, p->hello_reply.data + 2, p->hello_reply.len - 2,
                                 &extra, err);
    }
    return st;
}

void lone_close(lone_peer *p)
{
    peer_channel_free(p->channel);
    tdsa_buf_clear(&p->hello);
    tdsa_buf_clear(&p->hello_reply);
}

void lone_frame(lone_peer *p, uint64_t seq, const part_ask *ask, tdsa_buf *out)
{
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    tdsa_err err;

    part_ask_put(&plain, ask);
    part_frame_put_sealed_head(&aad, p->index, 1, seq);
    tdsa_buf_append(out, aad.data, aad.len);
    must(peer_channel_seal(p->channel, PEER_REQUEST, seq, &aad, plain.data, plain.len, out, &err),
         &err);
}

tdsa_status lone_ask(lone_peer *p, uint64_t seq, part_ask_kind kind, const tdsa_buf *body,
                     tdsa_err *err)
{
    const part_ask ask = {.kind = kind, .body = body->data, .body_len = body->len};
    TDSA_SCOPED_BUF frame = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    part_frame f;
    part_answer a;
    tdsa_status st;

    lone_frame(p, seq, &ask, &frame);
    st = lone_post(p->server, p->session_id, frame.data, frame.len, &reply, err);
    if (st != TDSA_OK) {
        return st;
    }
    must(part_frame_parse(&f, reply.data, reply.len, err), err);
    tdsa_buf_append(&aad, f.head, PART_FRAME_HEAD_LEN);
    must(peer_channel_open(p->channel, PEER_REPLY, seq, &aad, f.rest, f.rest_len, &plain, err),
         err);
    must(part_answer_parse(&a, plain.data, plain.len, err), err);
    err->status = a.status;
    (void)snprintf(err->text, sizeof err->text, "%s", a.text);
    return a.status;
}

void lone_registration(lone_server *s, const char *key_id, tdsa_buf *out)
{
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF policy = TDSA_BUF_EMPTY;
    const mpc_policy p = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA);
    size_t list = 0;

    mpc_policy_encode(&policy, &p);
    tdsa_stmt_begin(&record, "registration");
    tdsa_stmt_text(&record, key_id);
    tdsa_stmt_text(&record, "P-256");
    tdsa_stmt_text(&record, "ecdsa");
    tdsa_stmt_uint(&record, 3);
    tdsa_stmt_uint(&record, 1);
    tdsa_stmt_octets(&record, policy.data, policy.len);
    list = tdsa_stmt_list_begin(&record);
    for (unsigned i = 0; i < 3; i++) {
        tdsa_stmt_octets(&record, s->pub[i].x25519, 32);
        tdsa_stmt_octets(&record, s->pub[i].x448, 56);
    }
    tdsa_stmt_list_end(&record, list);
    tdsa_stmt_begin(out, "register");
    tdsa_stmt_octets(out, record.data, record.len);
    tdsa_stmt_octets(out, "label", 5);
}
