/*
 * enum tls_result: why TLS to another host failed, as TLS reports count it (tls_result.def). Pure.
 */
#ifndef BASE_TLS_RESULT_H
#define BASE_TLS_RESULT_H

#include "base/str.h"

enum tls_result {
#define TLS_RESULT(name, word, text) TLS_RESULT_##name,
#include "base/tls_result.def"
#undef TLS_RESULT
    TLS_RESULTS
};

/* "certificate-expired"; empty for TLS_RESULT_OK. */
struct str tls_result_word(enum tls_result result);
struct str tls_result_text(enum tls_result result);

#endif
