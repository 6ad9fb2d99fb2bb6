/*
 * A mailbox is its own partition, found by number: renaming it touches one entry of the account and
 * none of its messages, and no name ever reaches a file system.
 *
 * uid_validity is a counter that follows the clock: a mailbox made anew under an old name, or a
 * store made anew on a machine, has a larger one (RFC 9051 2.3.1.1), also where two are made in one
 * second.
 */
#include "store/mailbox.h"

#include "base/must.h"
#include "base/wire.h"

enum {
    FORMAT = 1,
    UID_OCTETS = 4,
    MODSEQ_OCTETS = 8,
    USAGE_OCTETS = 16,
    TRIES_MAX = 5,
    COUNTER_OCTETS = 12,
};

static const struct str USAGE_KEY = STR_INIT("u");
static const struct str HEADER_KEY = STR_INIT("h");
static const struct str COUNTER_KEY = STR_INIT("#mailbox");

static struct err damaged(void)
{
    return err_detail(ERR_STORE_DAMAGED, STR("a record of a mailbox is malformed"));
}

struct partition mailbox_account_partition(uint64_t account)
{
    return (struct partition){.kind = PARTITION_ACCOUNT, .id = account};
}

struct partition mailbox_partition(uint64_t mailbox)
{
    return (struct partition){.kind = PARTITION_MAILBOX, .id = mailbox};
}

/* --- Records --- */

struct str mailbox_name_key(struct str name, struct arena *arena)
{
    char *key = arena_take(arena, name.n + 1);
    if (!key)
        return str_null();
    key[0] = 'm';
    memcpy(key + 1, name.p, name.n);
    return str_make(key, name.n + 1);
}

struct str mailbox_name_value(const struct mailbox *mailbox, struct arena *arena)
{
    struct buf buf = buf_in(arena, ENGINE_VALUE_MAX);
    wire_put_u8(&buf, FORMAT);
    wire_put_u64(&buf, mailbox->id);
    wire_put_u32(&buf, mailbox->uid_validity);
    wire_put_u64(&buf, (uint64_t)mailbox->created);
    return buf_built(&buf);
}

struct str mailbox_header_key(void)
{
    return HEADER_KEY;
}

struct str mailbox_header_value(const struct mailbox *mailbox, struct arena *arena)
{
    struct buf buf = buf_in(arena, ENGINE_VALUE_MAX);
    wire_put_u8(&buf, FORMAT);
    wire_put_u64(&buf, mailbox->account);
    wire_put_str(&buf, mailbox->name);
    return buf_built(&buf);
}

struct err mailbox_name_decode(uint64_t account, struct str key, struct str value,
                               struct mailbox *mailbox_r)
{
    struct wire_in in = wire_in(value);
    uint8_t format = wire_get_u8(&in);
    struct mailbox mailbox = {.account = account, .name = str_from_index(key, 1)};
    mailbox.id = wire_get_u64(&in);
    mailbox.uid_validity = wire_get_u32(&in);
    mailbox.created = (int64_t)wire_get_u64(&in);
    if (!wire_end(&in) || format != FORMAT || key.n < 2)
        return damaged();
    *mailbox_r = mailbox;
    return err_none();
}

struct str mailbox_counter_key(void)
{
    return COUNTER_KEY;
}

struct err mailbox_counter_next(struct str value, int64_t now, struct arena *arena,
                                struct mailbox *mailbox, struct str *next_r)
{
    uint64_t id = 1;
    uint32_t last = 0;
    if (value.n) {
        struct wire_in in = wire_in(value);
        id = wire_get_u64(&in);
        last = wire_get_u32(&in);
        if (!wire_end(&in))
            return damaged();
    }
    uint64_t second = now > 0 ? (uint64_t)(now / US_PER_SECOND) : 0;
    if (last == UINT32_MAX || id == UINT64_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("no numbers are left for mailboxes"));
    mailbox->id = id;
    mailbox->uid_validity =
        second > last && second <= UINT32_MAX ? (uint32_t)second : (uint32_t)(last + 1);
    struct buf buf = buf_in(arena, COUNTER_OCTETS);
    wire_put_u64(&buf, id + 1);
    wire_put_u32(&buf, mailbox->uid_validity);
    *next_r = buf_built(&buf);
    return next_r->p ? err_none() : err_make(ERR_OVER_LIMIT);
}

static struct str message_value(const struct mailbox_message *message, struct arena *arena)
{
    struct buf buf = buf_in(arena, MAILBOX_RECORD_MAX);
    wire_put_u64(&buf, 0); /* the modseq, stamped by the engine */
    wire_put_u8(&buf, FORMAT);
    wire_put_varint(&buf, message->recipient);
    wire_put_varint(&buf, message->flags);
    wire_put_varint(&buf, message->size);
    wire_put_u64(&buf, (uint64_t)message->internal_date);
    wire_put_u64(&buf, message->message);
    return buf_built(&buf);
}

static struct str message_key(uint32_t uid, struct arena *arena)
{
    unsigned char *key = arena_take(arena, 1 + UID_OCTETS);
    if (!key)
        return str_null();
    key[0] = 'e';
    key_put_u32(key + 1, uid);
    return str_make(key, 1 + UID_OCTETS);
}

static struct err message_decode(const struct entry *entry, struct mailbox_message *message_r)
{
    struct wire_in in = wire_in(entry->value);
    struct mailbox_message message = {.blob = entry->blob};
    message.modseq = wire_get_u64(&in);
    uint8_t format = wire_get_u8(&in);
    uint64_t recipient = wire_get_varint(&in), flags = wire_get_varint(&in);
    message.recipient = (uint32_t)recipient;
    message.flags = (uint32_t)flags;
    message.size = wire_get_varint(&in);
    message.internal_date = (int64_t)wire_get_u64(&in);
    message.message = wire_get_u64(&in);
    if (!wire_end(&in) || format != FORMAT || entry->key.n != 1 + UID_OCTETS ||
        recipient > UINT32_MAX || flags > UINT32_MAX)
        return damaged();
    message.uid = key_get_u32((const unsigned char *)entry->key.p + 1);
    *message_r = message;
    return err_none();
}

/* --- Mailboxes of an account --- */

struct err mailbox_find(struct engine *engine, uint64_t account, struct str name,
                        struct arena *arena, struct mailbox *mailbox_r)
{
    struct str key = mailbox_name_key(name, arena);
    if (!key.p)
        return err_make(ERR_OVER_LIMIT);
    struct entry entry;
    struct err e = engine_get(engine, mailbox_account_partition(account), key, arena, &entry);
    if (err_is(e))
        return e;
    return mailbox_name_decode(account, entry.key, entry.value, mailbox_r);
}

struct err mailbox_name(struct engine *engine, uint64_t mailbox, struct arena *arena,
                        struct str *name_r)
{
    struct entry entry;
    struct err e = engine_get(engine, mailbox_partition(mailbox), HEADER_KEY, arena, &entry);
    if (err_is(e))
        return e;
    struct wire_in in = wire_in(entry.value);
    uint8_t format = wire_get_u8(&in);
    wire_get_u64(&in); /* the account */
    struct str name = wire_get_str(&in);
    if (!wire_end(&in) || format != FORMAT)
        return damaged();
    *name_r = name;
    return err_none();
}

struct err mailbox_list(struct engine *engine, uint64_t account, struct arena *arena,
                        struct mailbox **mailboxes_r, size_t *count_r)
{
    struct entry *entries;
    size_t count;
    struct err e = engine_scan(engine, mailbox_account_partition(account), STR("m"), STR("n"),
                               MAILBOXES_MAX, arena, &entries, &count);
    if (err_is(e))
        return e;
    struct mailbox *mailboxes = arena_take_array(arena, count, sizeof(*mailboxes));
    if (!mailboxes)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < count && !err_is(e); i++)
        e = mailbox_name_decode(account, entries[i].key, entries[i].value, &mailboxes[i]);
    if (err_is(e))
        return e;
    *mailboxes_r = mailboxes;
    *count_r = count;
    return err_none();
}

/* Is there room for one more, and is INBOX, which the account was made with, still there? */
static struct err room_check(struct engine *engine, uint64_t account, struct arena *arena)
{
    struct mailbox *mailboxes;
    size_t count;
    struct err e = mailbox_list(engine, account, arena, &mailboxes, &count);
    if (err_is(e))
        return e;
    if (count == 0)
        return err_detail(ERR_NOT_FOUND, STR("no such account"));
    if (count >= MAILBOXES_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("the account has too many mailboxes"));
    return err_none();
}

static struct err create_once(struct engine *engine, struct arena *arena, int64_t now,
                              struct mailbox *mailbox)
{
    static const struct partition directory = {.kind = PARTITION_DIRECTORY};
    struct partition account = mailbox_account_partition(mailbox->account);
    struct entry counter = {.value = STR_INIT("")};
    struct str next;
    struct err e = engine_get(engine, directory, COUNTER_KEY, arena, &counter);
    bool fresh = e.code == ERR_NOT_FOUND;
    if (err_is(e) && !fresh)
        return e;
    e = mailbox_counter_next(counter.value, now, arena, mailbox, &next);
    if (err_is(e))
        return e;
    struct op_list ops = op_list_take(arena, 6);
    struct str name_key = mailbox_name_key(mailbox->name, arena);
    struct str inbox_key = mailbox_name_key(STR("INBOX"), arena);
    op_list_add(&ops, fresh ? OP_NEED_ABSENT : OP_NEED_VALUE, directory, COUNTER_KEY,
                counter.value);
    op_list_add(&ops, OP_NEED_PRESENT, account, inbox_key, str_null());
    op_list_add(&ops, OP_NEED_ABSENT, account, name_key, str_null());
    op_list_add(&ops, OP_PUT, directory, COUNTER_KEY, next);
    op_list_add(&ops, OP_PUT, account, name_key, mailbox_name_value(mailbox, arena));
    op_list_add(&ops, OP_PUT, mailbox_partition(mailbox->id), HEADER_KEY,
                mailbox_header_value(mailbox, arena));
    if (ops.over || arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    return engine_commit_wait(engine, &commit);
}

struct err mailbox_create(struct engine *engine, struct world *world, uint64_t account,
                          struct str name, struct arena *arena, struct mailbox *mailbox_r)
{
    struct mailbox mailbox = {.account = account, .name = name}, there;
    struct err e = err_make(ERR_CONFLICT);
    for (int tries = 0; tries < TRIES_MAX && e.code == ERR_CONFLICT; tries++) {
        e = room_check(engine, account, arena);
        if (err_is(e))
            return e;
        e = mailbox_find(engine, account, name, arena, &there);
        if (!err_is(e))
            return err_detail(ERR_EXISTS, STR("there is a mailbox of that name"));
        if (e.code != ERR_NOT_FOUND)
            return e;
        mailbox.created = world_wall(world);
        e = create_once(engine, arena, mailbox.created, &mailbox);
    }
    if (!err_is(e))
        *mailbox_r = mailbox;
    return e;
}

/* --- Delivering and removing --- */

static struct str usage_value(int64_t octets, int64_t messages, struct arena *arena)
{
    struct buf buf = buf_in(arena, USAGE_OCTETS);
    wire_put_u64(&buf, (uint64_t)octets);
    wire_put_u64(&buf, (uint64_t)messages);
    return buf_built(&buf);
}

static void usage_op(uint64_t account, int64_t octets, int64_t messages, struct arena *arena,
                     struct op_list *ops)
{
    struct str value = usage_value(octets, messages, arena);
    ops->over |= value.p == NULL;
    op_list_add(ops, OP_ADD, mailbox_account_partition(account), USAGE_KEY, value);
}

void mailbox_delivery_ops(uint64_t account, uint64_t mailbox, const struct mailbox_message *message,
                          struct arena *arena, struct op_list *ops, struct op **append_r)
{
    struct partition partition = mailbox_partition(mailbox);
    struct str value = message_value(message, arena);
    ops->over |= value.p == NULL;
    op_list_add(ops, OP_NEED_PRESENT, partition, HEADER_KEY, str_null());
    struct op *append = op_list_add(ops, OP_APPEND, partition, STR("e"), value);
    if (append) {
        append->blob = message->blob;
        append->stamp = true;
    }
    usage_op(account, (int64_t)message->size, 1, arena, ops);
    if (append_r)
        *append_r = append;
}

struct err mailbox_message(struct engine *engine, uint64_t mailbox, uint32_t uid,
                           struct arena *arena, struct mailbox_message *message_r)
{
    struct str key = message_key(uid, arena);
    if (!key.p)
        return err_make(ERR_OVER_LIMIT);
    struct entry entry;
    struct err e = engine_get(engine, mailbox_partition(mailbox), key, arena, &entry);
    if (err_is(e))
        return e;
    return message_decode(&entry, message_r);
}

struct err mailbox_expunge_ops(struct engine *engine, uint64_t account, uint64_t mailbox,
                               const uint32_t *uids, size_t count, struct arena *arena,
                               struct op_list *ops, struct mailbox_removed **removed_r,
                               size_t *removed_count_r)
{
    must(count <= MAILBOX_EXPUNGE_MAX);
    struct partition partition = mailbox_partition(mailbox);
    struct mailbox_removed *removed = arena_take_array(arena, count, sizeof(*removed));
    size_t removed_count = 0;
    int64_t octets = 0;
    if (!removed)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < count; i++) {
        struct mailbox_message message;
        struct err e = mailbox_message(engine, mailbox, uids[i], arena, &message);
        if (e.code == ERR_NOT_FOUND)
            continue;
        if (err_is(e))
            return e;
        struct str key = message_key(uids[i], arena);
        op_list_add(ops, OP_NEED_PRESENT, partition, key, str_null());
        op_list_add(ops, OP_REMOVE, partition, key, str_null());
        octets += (int64_t)message.size;
        removed[removed_count++] =
            (struct mailbox_removed){.uid = uids[i], .message = message.message};
    }
    if (removed_count) {
        op_list_add(ops, OP_NEED_PRESENT, partition, HEADER_KEY, str_null());
        usage_op(account, -octets, -(int64_t)removed_count, arena, ops);
    }
    *removed_r = removed;
    *removed_count_r = removed_count;
    return ops->over ? err_make(ERR_OVER_LIMIT) : err_none();
}

/* --- Reading --- */

struct err mailbox_rows(struct engine *engine, uint64_t mailbox, uint32_t from_uid, size_t limit,
                        struct arena *arena, struct mailbox_row **rows_r, size_t *count_r,
                        bool *more_r)
{
    struct entry *entries;
    size_t count;
    struct str from = message_key(from_uid, arena);
    if (!from.p)
        return err_make(ERR_OVER_LIMIT);
    struct err e = engine_scan(engine, mailbox_partition(mailbox), from, STR("f"), limit, arena,
                               &entries, &count);
    if (err_is(e))
        return e;
    struct mailbox_row *rows = arena_take_array(arena, count, sizeof(*rows));
    if (!rows)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < count; i++) {
        struct mailbox_message message;
        e = message_decode(&entries[i], &message);
        if (err_is(e))
            return e;
        rows[i] = (struct mailbox_row){.uid = message.uid, .size = message.size};
    }
    *rows_r = rows;
    *count_r = count;
    *more_r = count == limit;
    return err_none();
}

struct err mailbox_usage(struct engine *engine, uint64_t account, struct arena *arena,
                         struct usage *usage_r)
{
    struct entry entry;
    struct err e = engine_get(engine, mailbox_account_partition(account), USAGE_KEY, arena, &entry);
    if (e.code == ERR_NOT_FOUND) {
        *usage_r = (struct usage){0};
        return err_none();
    }
    if (err_is(e))
        return e;
    struct wire_in in = wire_in(entry.value);
    struct usage usage = {.octets = wire_get_u64(&in)};
    usage.messages = wire_get_u64(&in);
    if (!wire_end(&in))
        return damaged();
    *usage_r = usage;
    return err_none();
}
