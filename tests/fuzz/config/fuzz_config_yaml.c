#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/encode.h"
#include "config/participant_cfg.h"

/* A document from anywhere, with a -D option in its first line when that starts with "-D": it loads and every value can be asked for, or it is refused with a text. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const cfg *c)
{
    char path[128];

    for (size_t i = 0; i < cfg_count(c, "server.applicationConnectors"); i++) {
        (void)cfg_int(c, cfg_path(path, sizeof path, "server.applicationConnectors[%zu].port", i));
    }
    for (size_t i = 0; i < cfg_count(c, "logging.loggers"); i++) {
        TDSA_ASSERT(cfg_map_key(c, "logging.loggers", i) != NULL);
        (void)cfg_str(c, cfg_path(path, sizeof path, "logging.loggers[%zu]", i));
    }
    (void)cfg_duration_ms(c, "httpClient.timeout");
    (void)cfg_number(c, "health.monitors[0].max");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF problems = TDSA_BUF_EMPTY;
    cfg_source source = {0};
    char define[256] = "";
    const char *const defines[] = {define, NULL};
    cfg_participant *p = NULL;
    cfg *c = NULL;
    tdsa_err err = {.status = TDSA_OK};

    if (size > 2 && memcmp(data, "-D", 2) == 0) {
        const uint8_t *end = memchr(data, '\n', size);
        const size_t line = end == NULL ? size : (size_t)(end - data);

        memcpy(define, data + 2, line - 2 < sizeof define ? line - 2 : sizeof define - 1);
        source.defines = defines;
        data += line;
        size -= line;
    }
    tdsa_base64url_encode(&text, data, size);
    tdsa_buf_append_u8(&text, 0);
    if (text.failed || size == 0) {
        return 0;
    }
    source.base64 = (const char *)text.data;
    if (cfg_load(&c, &source, &problems, &err) != TDSA_OK) {
        TDSA_ASSERT(c == NULL && err.status == TDSA_E_CONFIG && err.text[0] != '\0');
        TDSA_ASSERT(problems.len > 0);
        return 0;
    }
    ask(c);
    if (cfg_participant_new(&p, c, NULL, &err) != TDSA_OK) {
        TDSA_ASSERT(p == NULL && err.text[0] != '\0');
    }
    cfg_participant_free(p);
    cfg_free(c);
    return 0;
}
