/*
 * One table, so that the log, a trace and a report cannot differ.
 */
#include "base/tls_result.h"

#include "base/must.h"

static const struct {
    struct str word, text;
} rows[] = {
#define TLS_RESULT(name, word, text) {STR_INIT(word), STR_INIT(text)},
#include "base/tls_result.def"
#undef TLS_RESULT
};

struct str tls_result_word(enum tls_result result)
{
    must(result < TLS_RESULTS);
    return rows[result].word;
}

struct str tls_result_text(enum tls_result result)
{
    must(result < TLS_RESULTS);
    return rows[result].text;
}
