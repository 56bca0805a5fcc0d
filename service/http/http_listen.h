#ifndef HTTP_HTTP_LISTEN_H
#define HTTP_HTTP_LISTEN_H

#include "http/http.h"

/** Binds and listens as cfg says: not blocking, closed on exec. Errors: TDSA_E_CONFIG. */
TDSA_MUST_USE tdsa_status http_listen(int *out_fd, uint16_t *out_port, const http_cfg *cfg,
                                      tdsa_err *err) TDSA_NONNULL;

#endif
