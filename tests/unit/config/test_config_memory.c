#include "config/participant_cfg.h"

#include <stdlib.h>

#include "config_support.h"

/* Loads a document again and again, each time with another allocation of ours failing. */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static size_t calls;
static size_t fail_at; /* 0: never */

static bool fails(void)
{
    return ++calls == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static tdsa_status run(const cfg_source *source, tdsa_err *err)
{
    cfg_participant *p = NULL;
    cfg *c = NULL;
    tdsa_status st = cfg_load(&c, source, NULL, err);

    if (st == TDSA_OK) {
        st = cfg_participant_new(&p, c, NULL, err);
    }
    if (st != TDSA_OK) {
        assert_null(p);
    }
    cfg_participant_free(p);
    cfg_free(c);
    return st;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void **state)
{
    static const char text[] =
        MINIMAL "  clients:\n"
                "    - {primaryPublicKey: " A_X25519_PUB ", secondaryPublicKey: " A_X448_PUB "}\n"
                "server: {type: DEFAULT, allowedMethods: [GET]}\n"
                "database:\n"
                "  url: jdbc:postgresql://u@h/d?ApplicationName=till\n"
                "  properties: {charSet: UTF-8}\n";
    static const char *const defines[] = {"dw.server.allowedMethods=GET,POST",
                                          "dw.logging.level=warn", NULL};
    TDSA_SCOPED_BUF encoded = TDSA_BUF_EMPTY;
    cfg_source source = {.defines = defines};
    size_t total;
    tdsa_err err;

    (void)state;
    tdsa_base64url_encode(&encoded, text, strlen(text));
    tdsa_buf_append_u8(&encoded, 0);
    source.base64 = (const char *)encoded.data;
    fail_at = 0;
    calls = 0;
    assert_int_equal(run(&source, &err), TDSA_OK);
    total = calls;
    assert_true(total > 50);
    for (size_t i = 1; i <= total; i++) {
        tdsa_status st;
        calls = 0;
        fail_at = i;
        st = run(&source, &err);
        fail_at = 0;
        /* two places go on without: the copy that only tells the form of a key (OK), and
         * tdsa_dh_parse_*, which takes it for bad base64 */
        if (st != TDSA_E_NO_MEMORY && st != TDSA_OK && strstr(err.text, "not base64") == NULL) {
            fail_msg("allocation %zu: %s", i, err.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_reported_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
