/*
 * The log: one line per event, `time word role event key=value ...`. Values are escaped
 * (buf_put_escaped) and cut at 1 KiB, so that no stranger can forge a line or flood one. Words:
 * info, warn, fail (the environment's fault), panic (ours, see must.h). Libraries do not log; roles
 * do. Each event name is limited to LOG_BURST lines a second; what was left out is counted in a
 * line of its own.
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
    LOG_LINE_LIMIT = 8192
};

struct log {
    struct world *world;
    const char *role;
    enum log_word least; /* quieter words are dropped */
    int64_t second;      /* of the counting below */
    uint64_t lines_this_second;
    uint64_t left_out;
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

/* An err as a line: its log word, name, errno text and detail, and what was being done. */
void log_err(struct log *log, const char *event, struct err e);

#endif
