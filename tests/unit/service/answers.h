#ifndef TEST_ANSWERS_H
#define TEST_ANSWERS_H

#include <jansson.h>

#include "http_client.h"

/** Looking into what the API answered. Failures fail the test. */

/** The body as an object; decref it. */
json_t *answer_object(const test_answer *a);
/** A string member; it must be there. */
const char *text_of(const json_t *o, const char *name);
/** The answer is an error of this status and code; message may be part of the text, or NULL. */
void expect_error(const test_answer *a, unsigned status, const char *code, const char *message);

#endif
