#ifndef TEST_HTTP_CLIENT_H
#define TEST_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

/** One HTTP/1.1 request over a fresh loopback connection, the answer read to its end. */
typedef struct {
    unsigned status;
    char head[4096];
    char body[262144]; /* NUL-terminated */
    size_t body_len;
} test_answer;

/** headers: lines with CRLF each, or "". */
void test_http(test_answer *out, uint16_t port, const char *method, const char *target,
               const char *headers, const void *body, size_t body_len);
/** The same with a JSON body (NULL: none). */
void test_json(test_answer *out, uint16_t port, const char *method, const char *target,
               const char *body);

#endif
