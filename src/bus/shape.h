/*
 * The rows of messages.def as tables that code can walk: what fields a message or a record has, of
 * which type, where in its struct. Encoding, decoding, printing, the tests' generated values and
 * the fuzz target all go over these; nothing about a single message is written twice.
 */
#ifndef BUS_SHAPE_H
#define BUS_SHAPE_H

#include "bus/messages.h"

enum field_type {
    FIELD_u8,
    FIELD_u16,
    FIELD_u32,
    FIELD_u64,
    FIELD_str,
    FIELD_secret,
    FIELD_list
};

struct shape;

struct field {
    const char *name; /* NULL: the end of the fields */
    enum field_type type;
    size_t offset; /* of the value, or of a list's pointer */
    /* Lists only. */
    size_t count_offset;
    size_t most;
    const struct shape *(*record)(void); /* records have no lists */
};

struct shape {
    const char *name;
    size_t size; /* of its struct */
    const struct field *fields;
};

const struct shape *shape_of(enum msg_kind kind);

/* Where the message's own struct is. */
static inline void *msg_body(struct msg *msg)
{
    return &msg->setup;
}

static inline const void *msg_body_const(const struct msg *msg)
{
    return &msg->setup;
}

#endif
