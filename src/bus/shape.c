/*
 * Why tables and not a generated function for each message: one loop for each verb can be read,
 * tested and fuzzed; forty functions out of a macro cannot. A row of messages.def does not repeat
 * the name of its struct, so each table stands in a function of its own where that name is `it`.
 */
#include "bus/shape.h"

#include "base/must.h"

#define SHAPE_BEGIN(name)                                                                          \
    static const struct shape *shape_##name(void)                                                  \
    {                                                                                              \
        typedef struct msg_##name it;                                                              \
        static const struct field fields[] = {
#define SHAPE_END(its_name)                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }                                                                                              \
    }                                                                                              \
    ;                                                                                              \
    static const struct shape shape = {.name = #its_name, .size = sizeof(it), .fields = fields};   \
    return &shape;                                                                                 \
    }
#define RECORD(name, doc) SHAPE_BEGIN(name)
#define RECORD_END(name) SHAPE_END(name)
#define MESSAGE(name, senders, doc) SHAPE_BEGIN(name)
#define MESSAGE_END(name) SHAPE_END(name)
#define FIELD(its_type, its_name, doc)                                                             \
    {.name = #its_name, .type = FIELD_##its_type, .offset = offsetof(it, its_name)},
#define LIST(its_record, its_name, at_most, doc)                                                   \
    {.name = #its_name,                                                                            \
     .type = FIELD_list,                                                                           \
     .offset = offsetof(it, its_name),                                                             \
     .count_offset = offsetof(it, its_name##_count),                                               \
     .most = (at_most),                                                                            \
     .record = shape_##its_record},
#include "bus/messages.def"

const struct shape *shape_of(enum msg_kind kind)
{
    static const struct shape *(*const shapes[MSG_COUNT])(void) = {
#define MESSAGE(name, senders, doc) [MSG_##name] = shape_##name,
#include "bus/messages.def"
    };
    must((unsigned)kind < MSG_COUNT);
    return shapes[kind]();
}
