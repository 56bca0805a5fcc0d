#include "answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

json_t *answer_object(const test_answer *a)
{
    json_t *o = json_loads(a->body, 0, NULL);

    assert_true(json_is_object(o));
    return o;
}

const char *text_of(const json_t *o, const char *name)
{
    const char *t = json_string_value(json_object_get(o, name));

    assert_non_null(t);
    return t;
}

void expect_error(const test_answer *a, unsigned status, const char *code, const char *message)
{
    json_t *o = answer_object(a);

    if (a->status != status) {
        print_message("%s\n", a->body);
    }
    assert_int_equal(a->status, status);
    assert_int_equal(json_integer_value(json_object_get(o, "code")), status);
    assert_string_equal(text_of(o, "error"), code);
    assert_non_null(json_object_get(o, "requestId"));
    if (message != NULL) {
        assert_non_null(strstr(text_of(o, "message"), message));
    }
    json_decref(o);
}
