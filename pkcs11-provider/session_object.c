#include "pkcs11-provider/session_object.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/state.h"

#define TELL_MS 500u /* of one call, for all its keys; the rest hears of the orders later */

static uint64_t now_ms(void)
{
    const tdsa_clock clock = tdsa_os_clock();

    return clock.mono_ms(clock.ctx);
}

static void delete_key(p11_core *core, const char *key_id, uint64_t until_ms)
{
    const uint64_t grace_ms = cfg_participant_engine(core->participant)->deletion_grace_min_ms;
    const uint64_t now = now_ms();
    const uint32_t deadline_ms = now < until_ms ? (uint32_t)(until_ms - now) : PART_TELL_LATER;
    tdsa_err err;

    if (part_engine_delete(core->engine, key_id, grace_ms, deadline_ms, &err) != TDSA_OK) {
        tdsa_logf(&core->log->sink, TDSA_LOG_WARN, "objects", "session key %s stays for now: %s",
                  key_id, err.text);
    }
}

/* True when the session of an object is gone. */
static bool is_orphan(p11_sessions *sessions, CK_SESSION_HANDLE session)
{
    p11_session *s = session != 0 ? p11_session_get(sessions, session) : NULL;

    if (s != NULL) {
        p11_session_put(s);
    }
    return session != 0 && s == NULL;
}

/* Orphans, or the keys of every session. */
typedef enum { END_ORPHANS, END_KEYS } end_what;

/* Takes one of them out of the table; false: there is none from *at on. key_id: of a key to delete. */
static bool take_one(p11_core *core, end_what what, size_t *at, char key_id[KS_KEY_ID_MAX + 1])
{
    p11_objects *o = &core->objects;
    bool found = false;

    key_id[0] = '\0';
    pthread_mutex_lock(&o->lock);
    for (; !found && *at < o->count; *at += 1) {
        const p11_object *object = o->at[*at];

        if (object->state == P11_LIVE &&
            (what == END_KEYS ? object->owner.session != 0 && object->kind == P11_PAIR
                              : is_orphan(&core->sessions, object->owner.session))) {
            if (object->kind == P11_PAIR && !object->promoted) {
                memcpy(key_id, object->facts.key_id, KS_KEY_ID_MAX + 1);
            }
            p11_objects_drop(o, *at, P11_GONE);
            found = true;
        }
    }
    pthread_mutex_unlock(&o->lock);
    return found;
}

static void end(p11_core *core, end_what what, uint64_t until_ms)
{
    char key_id[KS_KEY_ID_MAX + 1];
    size_t at = 0;

    if (!atomic_load(&core->session_objects)) {
        return; /* nobody ever made one: the usual case */
    }
    while (take_one(core, what, &at, key_id)) {
        if (key_id[0] != '\0') {
            delete_key(core, key_id, until_ms);
        }
    }
}

void p11_session_objects_end(p11_core *core)
{
    const uint64_t until_ms = now_ms() + TELL_MS;
    char key_id[KS_KEY_ID_MAX + 1];

    end(core, END_ORPHANS, until_ms);
    while (p11_logged_in(core) && p11_objects_take_leftover(&core->objects, key_id)) {
        delete_key(core, key_id, until_ms);
    }
}

void p11_session_keys_end(p11_core *core)
{
    end(core, END_KEYS, now_ms() + TELL_MS);
}
