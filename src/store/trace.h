/*
 * The trace: what was decided about each message, as typed events committed together with the
 * change they explain. Rows of events and fields are in trace.def.
 *
 * Partition TRACE/(day << 8)
 *   'i' message id, number -> events (OP_APPEND); a value has one event or more
 *   't' address hash, time, message id -> ''     recipients
 *   'f' address hash, time, message id -> ''     senders, the null path among them
 * Partition TRACE/0
 *   'd' day -> {octets, entries} of that day (OP_ADD)
 *
 * A day is one of UTC. Events of one message may lie on several days; a message is looked for from
 * the day in its id (format/message_id.h) to today, or from today to that day, where the clock was
 * set back since. Times are microseconds since 1970.
 */
#ifndef STORE_TRACE_H
#define STORE_TRACE_H

#include "format/addr.h"
#include "store/engine.h"
#include "store/op_list.h"

enum trace_field {
#define TRACE_FIELD(name, type, doc) TRACE_##name,
#include "store/trace.def"
    TRACE_FIELD_COUNT
};

enum trace_kind {
#define TRACE_EVENT(name, sentence) TRACED_##name,
#include "store/trace.def"
    TRACE_KIND_COUNT
};

enum {
    TRACE_TEXT_MAX = 1024, /* octets of one text field; what is longer is cut when it is stored */
    TRACE_FIELDS_MAX = 12, /* of one event */
    TRACE_EVENTS_MAX = 20000, /* of one message, when reading */
    TRACE_SLICE = 1000,       /* entries removed in one commit of trace_expire */
};

struct trace_value {
    enum trace_field field;
    struct str text;
    uint64_t number;
};

struct trace_event {
    enum trace_kind kind;
    int64_t time;
    size_t value_count;
    struct trace_value values[TRACE_FIELDS_MAX];
};

/* trace_text(&event, TRACE_client, client): adds a field; beyond TRACE_FIELDS_MAX it is our bug.
 * A text is borrowed. */
struct trace_event trace_event(enum trace_kind kind, int64_t time);
void trace_text(struct trace_event *event, enum trace_field field, struct str text);
void trace_number(struct trace_event *event, enum trace_field field, uint64_t number);

/*
 * Adds to a commit: the events of one message (all on the day of the first), and for the addresses
 * given the entries by which it is found. sender may be NULL: there is none, which a
 * null path is not. At most trace_ops_count operations. Never yields.
 */
void trace_ops(uint64_t message, const struct trace_event *events, size_t count,
               const struct addr *sender, const struct addr *recipients, size_t recipient_count,
               struct arena *arena, struct op_list *ops);
/* An upper limit, for op_list_take. */
size_t trace_ops_count(size_t event_count, size_t recipient_count);

/* Events of many messages in one commit: trace_growth at the time of all of them, trace_add for
 * each event (one operation), and at the end trace_grown (one operation, if there was any). Never
 * yields. */
struct trace_growth {
    uint32_t day;
    uint64_t octets, entries;
};

struct trace_growth trace_growth(int64_t time);
void trace_add(struct trace_growth *growth, uint64_t message, const struct trace_event *event,
               struct arena *arena, struct op_list *ops);
void trace_grown(const struct trace_growth *growth, struct arena *arena, struct op_list *ops);

/* --- Reading (all may yield) ------------------------------------------------------------------ */

/* The events of a message, oldest first. ERR_NOT_FOUND: none (any more). */
struct err trace_by_message(struct engine *engine, uint64_t message, int64_t now,
                            struct arena *arena, struct trace_event **events_r, size_t *count_r);

enum trace_direction {
    TRACE_TO = 't',
    TRACE_FROM = 'f',
};

/* Ids of messages to (from) an address since a time, oldest first, at most `limit` (the newest). */
struct err trace_by_address(struct engine *engine, enum trace_direction direction,
                            const struct addr *address, int64_t since, int64_t now, size_t limit,
                            struct arena *arena, uint64_t **messages_r, size_t *count_r);

/* One event in words: "2026-11-21 05:44:19.123456 Delivered to ...", no line end. */
void trace_print(const struct trace_event *event, struct buf *to);
/* One event as a JSON object; its time is RFC 3339, "2026-11-21T05:44:19.123456Z". */
void trace_print_json(const struct trace_event *event, struct buf *to);

/* --- Expiry ----------------------------------------------------------------------------------- */

/* May yield. Removes up to TRACE_SLICE entries of the oldest day that is older than `days` or,
 * where all days together exceed `octets`, of the oldest day. *more_r: call again (later, in
 * slices). */
struct err trace_expire(struct engine *engine, int64_t now, uint64_t days, uint64_t octets,
                        bool *more_r);

/* --- The records ------------------------------------------------------------------------------ */

/* `before`: the event that was encoded before it into the same record; NULL: none. */
void trace_event_encode(const struct trace_event *event, const struct trace_event *before,
                        struct buf *to);
/* Unknown kinds and fields of a later version are left out. ERR_STORE_DAMAGED, ERR_OVER_LIMIT. */
struct err trace_events_decode(struct str record, struct arena *arena,
                               struct trace_event **events_r, size_t *count_r);

#endif
