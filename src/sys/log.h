/*
 * The log: one line per event, `time word role event key=value ...`. The time is RFC 3339 in UTC
 * with microseconds. Text values are escaped (buf_put_escaped) and cut at 1 KiB, and quoted where
 * they hold more than plain letters; a field that would pass the line's limit is left out whole and
 * `cut=1` ends the line. So no stranger can forge a line or flood one. Words: info, warn, fail (the
 * environment's fault), panic (ours, see must.h). Libraries do not log; roles do.
 *
 * Each event name is limited to LOG_BURST lines a second; how many were left out stands in a line
 * `left-out` of its own, written before the next line of a later second.
 *
 * Not thread-safe: one log for one loop. Takes no memory, never fails, never yields.
 *
 *     log_event(log, LOG_INFO, "accepted", log_str("id", id), log_u64("size", n));
 */
#ifndef SYS_LOG_H
#define SYS_LOG_H

#include "base/err.h"
#include "sys/world.h"

enum log_word {
    LOG_INFO,
    LOG_WARN,
    LOG_FAIL
};

enum {
    LOG_BURST = 1000,
    LOG_VALUE_LIMIT = 1024,
    LOG_LINE_LIMIT = 8192, /* its newline included */
    LOG_EVENTS = 64,       /* names counted apart; what comes beyond them shares the last count */
};

struct log_count {
    const char *event;
    uint64_t lines, left_out;
};

struct log {
    struct world *world;
    const char *role;
    enum log_word least; /* quieter words are dropped */
    int64_t second;      /* (mono) of the counts below */
    struct log_count counts[LOG_EVENTS];
};

struct log_field {
    const char *key;
    enum {
        LOG_FIELD_STR,
        LOG_FIELD_U64
    } kind;
    struct str text;
    uint64_t number;
};

/* `role` is kept, not copied; `event` and `key` are literals of ours: lower case, '-' between
 * words. */
void log_init(struct log *log, struct world *world, const char *role);

static inline struct log_field log_str(const char *key, struct str text)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_STR, .text = text};
}

static inline struct log_field log_u64(const char *key, uint64_t number)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_U64, .number = number};
}

void log_fields(struct log *log, enum log_word word, const char *event,
                const struct log_field *fields, size_t count);

#define log_event(log, word, event, ...)                                                           \
    log_fields((log), (word), (event), (const struct log_field[]){__VA_ARGS__},                    \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* An err as a line, under its own log word: its name, errno and detail, as values of `error`, `os`
 * and `detail`. */
void log_err(struct log *log, const char *event, struct err e);

#endif
