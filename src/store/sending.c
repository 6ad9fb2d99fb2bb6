/*
 * One entry with all of it, and not an entry for each hour with OP_ADD: what is read at every
 * message is one look-up, nothing has to be cleaned up, and who writes knows all that is on its way
 * (core/sending.c), so a later entry holds what an earlier one said.
 */
#include "store/sending.h"

#include "base/must.h"
#include "base/wire.h"
#include "store/mailbox.h"
#include "store/queue.h"
#include "sys/world.h"

enum {
    FORMAT = 1,
    /* Octets of an entry: each number at most five as a varint. */
    ENTRY_MAX = 32 + 5 * (SENDING_HOURS + SENDING_DAYS + 4) + SENDING_WHY_MAX,
};

#define HOUR (3600 * INT64_C(1000000))
#define DAY (24 * HOUR)
#define SENDING_KEY STR("s")

static uint32_t periods(int64_t now, int64_t length)
{
    return now > 0 ? (uint32_t)(now / length) : 0;
}

/* --- Counting --- */

static void hours_move(struct sending *sending, uint32_t hour)
{
    uint32_t gone = hour - sending->hour;
    size_t kept = gone < SENDING_HOURS ? SENDING_HOURS - gone : 0;
    memmove(sending->hours + (SENDING_HOURS - kept), sending->hours, kept * sizeof(uint32_t));
    memset(sending->hours, 0, (SENDING_HOURS - kept) * sizeof(uint32_t));
    sending->hour = hour;
}

static void day_end(struct sending *sending)
{
    if (sending->today == 0)
        return;
    memmove(sending->days + 1, sending->days, (SENDING_DAYS - 1) * sizeof(uint32_t));
    sending->days[0] = sending->today;
    if (sending->day_count < SENDING_DAYS)
        sending->day_count++;
    sending->today = 0;
}

void sending_move(struct sending *sending, int64_t now)
{
    if (periods(now, HOUR) > sending->hour)
        hours_move(sending, periods(now, HOUR));
    if (periods(now, DAY) > sending->day) {
        day_end(sending);
        sending->day = periods(now, DAY);
    }
}

static uint32_t sum(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

void sending_add(struct sending *sending, uint32_t recipients)
{
    sending->hours[0] = sum(sending->hours[0], recipients);
    sending->today = sum(sending->today, recipients);
}

static void subtract(uint32_t *from, uint32_t recipients)
{
    *from -= recipients < *from ? recipients : *from;
}

void sending_take_back(struct sending *sending, int64_t then, uint32_t recipients)
{
    uint32_t hour = periods(then, HOUR);
    uint32_t ago = sending->hour > hour ? sending->hour - hour : 0;
    if (ago < SENDING_HOURS)
        subtract(&sending->hours[ago], recipients);
    if (sending->day <= periods(then, DAY))
        subtract(&sending->today, recipients);
    else if (sending->day_count > 0)
        subtract(&sending->days[0], recipients);
}

/* Of the hour that is partly out: as many as its part that is in. */
static uint64_t part(const struct sending *sending, size_t hour, int64_t now)
{
    int64_t begun = (int64_t)sending->hour * HOUR;
    int64_t since = now > begun ? now - begun : 0;
    uint64_t left = since < HOUR ? (uint64_t)(HOUR - since) / 1000 : 0;
    return sending->hours[hour] * left / ((uint64_t)HOUR / 1000);
}

uint64_t sending_last_hour(const struct sending *sending, int64_t now)
{
    return sending->hours[0] + part(sending, 1, now);
}

uint64_t sending_last_day(const struct sending *sending, int64_t now)
{
    uint64_t recipients = part(sending, SENDING_HOURS - 1, now);
    for (size_t i = 0; i < SENDING_HOURS - 1; i++)
        recipients += sending->hours[i];
    return recipients;
}

uint64_t sending_habit(const struct sending *sending)
{
    uint64_t recipients = 0;
    for (size_t i = 0; i < sending->day_count; i++)
        recipients += sending->days[i];
    return sending->day_count ? (recipients + sending->day_count - 1) / sending->day_count : 0;
}

void sending_hold(struct sending *sending, int64_t since, struct str why)
{
    why = str_head(why, SENDING_WHY_MAX);
    sending->held = since;
    sending->released = 0;
    sending->why_length = (uint32_t)why.n;
    if (why.n)
        memcpy(sending->why, why.p, why.n);
}

void sending_release(struct sending *sending, int64_t now)
{
    sending->held = 0;
    sending->why_length = 0;
    sending->released = now;
}

/* --- Kept --- */

static void numbers_put(struct buf *to, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wire_put_varint(to, numbers[i]);
}

static void numbers_get(struct wire_in *in, uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number = wire_get_varint(in);
        in->bad |= number > UINT32_MAX;
        numbers[i] = (uint32_t)number;
    }
}

static void encode(const struct sending *sending, struct buf *to)
{
    wire_put_u8(to, FORMAT);
    wire_put_u32(to, sending->hour);
    numbers_put(to, sending->hours, SENDING_HOURS);
    wire_put_u32(to, sending->day);
    numbers_put(to, &sending->today, 1);
    numbers_put(to, &sending->day_count, 1);
    numbers_put(to, sending->days, sending->day_count);
    wire_put_u64(to, (uint64_t)sending->held);
    wire_put_u64(to, (uint64_t)sending->released);
    wire_put_str(to, sending_why(sending));
}

static struct err decode_one(struct wire_in *from, struct sending *sending_r)
{
    struct wire_in in = *from;
    struct sending sending = {.hour = 0};
    bool known = wire_get_u8(&in) == FORMAT;
    sending.hour = wire_get_u32(&in);
    numbers_get(&in, sending.hours, SENDING_HOURS);
    sending.day = wire_get_u32(&in);
    numbers_get(&in, &sending.today, 1);
    numbers_get(&in, &sending.day_count, 1);
    known &= sending.day_count <= SENDING_DAYS;
    if (known)
        numbers_get(&in, sending.days, sending.day_count);
    sending.held = (int64_t)wire_get_u64(&in);
    sending.released = (int64_t)wire_get_u64(&in);
    struct str why = wire_get_str(&in);
    if (!known || in.bad || why.n > SENDING_WHY_MAX)
        return err_detail(ERR_STORE_DAMAGED, STR("what an account sent is malformed"));
    sending.why_length = (uint32_t)why.n;
    if (why.n)
        memcpy(sending.why, why.p, why.n);
    *sending_r = sending;
    *from = in;
    return err_none();
}

static struct err decode(struct str value, struct sending *sending_r)
{
    struct wire_in in = wire_in(value);
    struct err e = decode_one(&in, sending_r);
    if (!err_is(e) && !wire_end(&in))
        e = err_detail(ERR_STORE_DAMAGED, STR("what an account sent is malformed"));
    return e;
}

struct err sending_read(struct engine *engine, uint64_t account, struct arena *arena,
                        struct sending *sending_r)
{
    struct entry entry;
    struct err e =
        engine_get(engine, mailbox_account_partition(account), SENDING_KEY, arena, &entry);
    if (e.code == ERR_NOT_FOUND) {
        *sending_r = (struct sending){.hour = 0};
        return err_none();
    }
    return err_is(e) ? e : decode(entry.value, sending_r);
}

void sending_ops(uint64_t account, const struct sending *sending, struct arena *arena,
                 struct op_list *ops)
{
    struct partition partition = mailbox_account_partition(account);
    struct str inbox = mailbox_name_key(STR("INBOX"), arena);
    struct buf value = buf_in(arena, ENTRY_MAX);
    encode(sending, &value);
    struct str record = buf_built(&value);
    ops->over |= !inbox.p || !record.p;
    op_list_add(ops, OP_NEED_PRESENT, partition, inbox, str_null());
    op_list_add(ops, OP_PUT, partition, SENDING_KEY, record);
}

/* --- Of routes --- */

static struct str route_key(struct str name, struct arena *arena)
{
    struct buf key = buf_in(arena, name.n + 1);
    buf_putc(&key, 'r');
    buf_put(&key, name);
    return buf_built(&key);
}

struct err route_use_read(struct engine *engine, struct str name, struct arena *arena,
                          struct route_use *use_r)
{
    struct entry entry;
    struct str key = route_key(name, arena);
    *use_r = (struct route_use){.messages = {.hour = 0}};
    if (!key.p)
        return err_make(ERR_NO_MEMORY);
    struct err e = engine_get(engine, queue_partition(), key, arena, &entry);
    if (err_is(e))
        return e.code == ERR_NOT_FOUND ? err_none() : e;
    struct wire_in in = wire_in(entry.value);
    e = decode_one(&in, &use_r->messages);
    if (!err_is(e))
        e = decode_one(&in, &use_r->recipients);
    return err_is(e) || wire_end(&in)
               ? e
               : err_detail(ERR_STORE_DAMAGED, STR("what went by a route is malformed"));
}

void route_use_ops(struct str name, const struct route_use *use, struct arena *arena,
                   struct op_list *ops)
{
    struct buf value = buf_in(arena, 2 * ENTRY_MAX);
    encode(&use->messages, &value);
    encode(&use->recipients, &value);
    struct str key = route_key(name, arena), record = buf_built(&value);
    ops->over |= !key.p || !record.p;
    op_list_add(ops, OP_PUT, queue_partition(), key, record);
}
