/*
 * The whole record at each change, and not a key for each recipient: nearly all entries have one
 * recipient, and whoever reads an entry wants all of it. What is equal in the words of many
 * recipients (a server that is away says the same of all) stands once, as the entry's.
 */
#include "store/queue.h"

#include "base/must.h"
#include "base/wire.h"

enum {
    FORMAT_1 = 1, /* flags in one octet */
    FORMAT_2 = 2, /* no job */
    FORMAT = 3,
    PAUSE_FORMAT = 2,
    NAME_OCTETS = 13, /* 'e', message id, number */
    ENTRY = 'e',
    PAUSE = 'p',
};

struct partition queue_partition(void)
{
    return (struct partition){.kind = PARTITION_QUEUE};
}

static struct err damaged(void)
{
    return err_detail(ERR_STORE_DAMAGED, STR("an entry of the queue is malformed"));
}

/* --- The record --- */

static void words_encode(const struct queue_words *words, struct buf *to)
{
    wire_put_u16(to, words->code);
    wire_put_short(to, words->status);
    wire_put_short(to, words->host);
    wire_put_short(to, str_head(words->text, QUEUE_WORDS_MAX));
    wire_put_varint(to, (uint64_t)words->when);
}

static struct queue_words words_decode(struct wire_in *in)
{
    struct queue_words words = {.code = wire_get_u16(in)};
    words.status = wire_get_short(in);
    words.host = wire_get_short(in);
    words.text = wire_get_short(in);
    words.when = (int64_t)wire_get_varint(in);
    return words;
}

static bool words_any(const struct queue_words *words)
{
    return words->when != 0;
}

static void recipient_encode(const struct queue_recipient *recipient, struct buf *to)
{
    wire_put_short(to, recipient->address);
    wire_put_short(to, recipient->given);
    wire_put_short(to, recipient->asked);
    wire_put_u8(to, words_any(&recipient->last));
    if (words_any(&recipient->last))
        words_encode(&recipient->last, to);
}

static void recipient_decode(struct wire_in *in, struct queue_recipient *recipient)
{
    recipient->address = wire_get_short(in);
    recipient->given = wire_get_short(in);
    recipient->asked = wire_get_short(in);
    if (wire_get_u8(in))
        recipient->last = words_decode(in);
}

void queue_entry_encode(const struct queue_entry *entry, struct buf *to)
{
    must(entry->recipient_count <= QUEUE_RECIPIENTS_MAX);
    wire_put_u8(to, FORMAT);
    wire_put_u64(to, (uint64_t)entry->accepted);
    wire_put_u64(to, (uint64_t)entry->next);
    wire_put_u64(to, (uint64_t)entry->expires);
    wire_put_u64(to, (uint64_t)entry->warn);
    wire_put_u8(to, (uint8_t)entry->wait);
    wire_put_u8(to, entry->holds);
    wire_put_u16(to, entry->flags);
    wire_put_u8(to, (uint8_t)entry->priority);
    wire_put_u8(to, entry->body_type);
    wire_put_varint(to, entry->tries);
    wire_put_varint(to, entry->account);
    wire_put_varint(to, entry->size);
    wire_put_u64(to, entry->job);
    wire_put_short(to, entry->sender);
    wire_put_short(to, entry->domain);
    wire_put_short(to, entry->route);
    wire_put_short(to, entry->fields);
    wire_put_short(to, entry->asked);
    wire_put_short(to, str_head(entry->why, QUEUE_WHY_MAX));
    words_encode(&entry->last, to);
    wire_put_varint(to, entry->recipient_count);
    for (size_t i = 0; i < entry->recipient_count; i++)
        recipient_encode(&entry->recipients[i], to);
}

static struct err recipients_decode(struct wire_in *in, struct arena *arena,
                                    struct queue_entry *entry)
{
    uint64_t count = wire_get_varint(in);
    if (in->bad || count == 0 || count > QUEUE_RECIPIENTS_MAX)
        return damaged();
    entry->recipients = arena_take_array(arena, count, sizeof(struct queue_recipient));
    if (!entry->recipients)
        return err_make(ERR_NO_MEMORY);
    entry->recipient_count = count;
    for (size_t i = 0; i < count; i++)
        recipient_decode(in, &entry->recipients[i]);
    return err_none();
}

static void numbers_decode(struct wire_in *in, uint8_t format, struct queue_entry *entry)
{
    entry->accepted = (int64_t)wire_get_u64(in);
    entry->next = (int64_t)wire_get_u64(in);
    entry->expires = (int64_t)wire_get_u64(in);
    entry->warn = (int64_t)wire_get_u64(in);
    entry->wait = (enum queue_wait)wire_get_u8(in);
    entry->holds = wire_get_u8(in);
    entry->flags = format == FORMAT_1 ? wire_get_u8(in) : wire_get_u16(in);
    entry->priority = (int8_t)wire_get_u8(in);
    entry->body_type = wire_get_u8(in);
    uint64_t tries = wire_get_varint(in);
    in->bad |= tries > UINT32_MAX || entry->wait >= QUEUE_WAIT_COUNT;
    entry->tries = (uint32_t)tries;
    entry->account = wire_get_varint(in);
    entry->size = wire_get_varint(in);
    entry->job = format == FORMAT ? wire_get_u64(in) : 0;
}

struct err queue_entry_decode(struct str record, struct arena *arena, struct queue_entry *entry_r)
{
    struct wire_in in = wire_in(record);
    struct queue_entry entry = {.message = entry_r->message, .number = entry_r->number};
    entry.blob = entry_r->blob;
    uint8_t format = wire_get_u8(&in);
    if (format < FORMAT_1 || format > FORMAT)
        return damaged();
    numbers_decode(&in, format, &entry);
    entry.sender = wire_get_short(&in);
    entry.domain = wire_get_short(&in);
    entry.route = wire_get_short(&in);
    entry.fields = wire_get_short(&in);
    entry.asked = wire_get_short(&in);
    entry.why = wire_get_short(&in);
    entry.last = words_decode(&in);
    struct err e = recipients_decode(&in, arena, &entry);
    if (err_is(e))
        return e;
    if (!wire_end(&in))
        return damaged();
    *entry_r = entry;
    return err_none();
}

/* --- Keys --- */

static struct str entry_key(uint64_t message, uint32_t number, struct arena *arena)
{
    unsigned char *key = arena_take(arena, NAME_OCTETS);
    if (!key)
        return str_null();
    key[0] = ENTRY;
    key_put_u64(key + 1, message);
    key_put_u32(key + 9, number);
    return str_make((const char *)key, NAME_OCTETS);
}

static struct err entry_take(const struct entry *from, struct arena *arena,
                             struct queue_entry *entry_r)
{
    const unsigned char *key = (const unsigned char *)from->key.p;
    if (from->key.n != NAME_OCTETS || !from->blob)
        return damaged();
    *entry_r = (struct queue_entry){
        .message = key_get_u64(key + 1), .number = key_get_u32(key + 9), .blob = from->blob};
    return queue_entry_decode(from->value, arena, entry_r);
}

/* --- Changing --- */

static struct err entry_ops(const struct queue_entry *entry, bool fresh, struct arena *arena,
                            struct op_list *ops)
{
    struct str key = entry_key(entry->message, entry->number, arena);
    struct buf value = buf_in(arena, QUEUE_RECORD_MAX);
    queue_entry_encode(entry, &value);
    if (buf_over(&value) && !arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    struct str record = buf_built(&value);
    if (!key.p || !record.p)
        return err_make(ERR_NO_MEMORY);
    if (!fresh)
        op_list_add(ops, OP_NEED_PRESENT, queue_partition(), key, str_null());
    struct op *op = op_list_add(ops, OP_PUT, queue_partition(), key, record);
    if (op) {
        op->blob = entry->blob;
        op->fresh = fresh;
    }
    return err_make(op ? ERR_NONE : ERR_NO_MEMORY);
}

struct err queue_put_ops(const struct queue_entry *entry, struct arena *arena, struct op_list *ops)
{
    return entry_ops(entry, true, arena, ops);
}

struct err queue_change_ops(const struct queue_entry *entry, struct arena *arena,
                            struct op_list *ops)
{
    return entry_ops(entry, false, arena, ops);
}

void queue_remove_ops(const struct queue_entry *entry, struct arena *arena, struct op_list *ops)
{
    struct str key = entry_key(entry->message, entry->number, arena);
    ops->over |= !key.p;
    op_list_add(ops, OP_NEED_PRESENT, queue_partition(), key, str_null());
    op_list_add(ops, OP_REMOVE, queue_partition(), key, str_null());
}

/* --- Reading --- */

struct err queue_read(struct engine *engine, uint64_t message, uint32_t number, struct arena *arena,
                      struct queue_entry *entry_r)
{
    struct entry entry;
    struct str key = entry_key(message, number, arena);
    if (!key.p)
        return err_make(ERR_NO_MEMORY);
    struct err e = engine_get(engine, queue_partition(), key, arena, &entry);
    return err_is(e) ? e : entry_take(&entry, arena, entry_r);
}

/* The key behind that of an entry. */
static struct str key_behind(uint64_t message, uint32_t number, struct arena *arena)
{
    return number == UINT32_MAX ? entry_key(message + 1, 0, arena)
                                : entry_key(message, number + 1, arena);
}

static void page_fill(struct queue_page *page, const struct entry *entries, size_t count,
                      struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        if (err_is(entry_take(&entries[i], arena, &page->entries[page->count])))
            page->damaged++;
        else
            page->count++;
    }
}

struct err queue_scan(struct engine *engine, uint64_t after_message, uint32_t after_number,
                      size_t limit, struct arena *arena, struct queue_page *page_r)
{
    static const char end[] = {ENTRY + 1};
    bool begins = after_message == 0 && after_number == 0;
    struct str from =
        begins ? entry_key(0, 0, arena) : key_behind(after_message, after_number, arena);
    struct entry *entries;
    size_t count;
    struct queue_page page = {.last_message = after_message, .last_number = after_number};
    if (!from.p)
        return err_make(ERR_NO_MEMORY);
    struct err e = engine_scan(engine, queue_partition(), from, str_make(end, sizeof(end)), limit,
                               arena, &entries, &count);
    if (err_is(e))
        return e;
    page.entries = arena_take_array(arena, count, sizeof(struct queue_entry));
    if (!page.entries)
        return err_make(ERR_NO_MEMORY);
    page_fill(&page, entries, count, arena);
    if (count > 0 && entries[count - 1].key.n == NAME_OCTETS) {
        const unsigned char *last = (const unsigned char *)entries[count - 1].key.p;
        page.last_message = key_get_u64(last + 1);
        page.last_number = key_get_u32(last + 9);
    }
    page.more = count == limit;
    *page_r = page;
    return arena_over(arena) ? err_make(ERR_NO_MEMORY) : err_none();
}

/* --- Pauses --- */

static struct str pause_key(struct str domain, struct arena *arena)
{
    char *key = arena_take(arena, domain.n + 1);
    if (!key)
        return str_null();
    key[0] = PAUSE;
    if (domain.n)
        memcpy(key + 1, domain.p, domain.n);
    return str_make(key, domain.n + 1);
}

void queue_pause_ops(const struct queue_pause *pause, struct arena *arena, struct op_list *ops)
{
    struct str key = pause_key(pause->domain, arena);
    struct buf value = buf_in(arena, 64 + QUEUE_WHY_MAX);
    wire_put_u8(&value, PAUSE_FORMAT);
    wire_put_u64(&value, (uint64_t)pause->since);
    wire_put_short(&value, str_head(pause->why, QUEUE_WHY_MAX));
    struct str record = buf_built(&value);
    ops->over |= !key.p || !record.p;
    op_list_add(ops, OP_PUT, queue_partition(), key, record);
}

void queue_resume_ops(struct str domain, struct arena *arena, struct op_list *ops)
{
    struct str key = pause_key(domain, arena);
    ops->over |= !key.p;
    op_list_add(ops, OP_NEED_PRESENT, queue_partition(), key, str_null());
    op_list_add(ops, OP_REMOVE, queue_partition(), key, str_null());
}

static struct err pause_take(const struct entry *entry, struct queue_pause *pause_r)
{
    struct wire_in in = wire_in(entry->value);
    if (wire_get_u8(&in) != PAUSE_FORMAT)
        return damaged();
    pause_r->domain = str_from_index(entry->key, 1);
    pause_r->since = (int64_t)wire_get_u64(&in);
    pause_r->why = wire_get_short(&in);
    return wire_end(&in) ? err_none() : damaged();
}

struct err queue_pauses(struct engine *engine, struct arena *arena, struct queue_pause **pauses_r,
                        size_t *count_r)
{
    static const char from[] = {PAUSE}, until[] = {PAUSE + 1};
    struct entry *entries;
    size_t count;
    struct err e = engine_scan(engine, queue_partition(), str_make(from, 1), str_make(until, 1),
                               QUEUE_PAUSES_MAX, arena, &entries, &count);
    if (err_is(e))
        return e;
    struct queue_pause *pauses = arena_take_array(arena, count, sizeof(*pauses));
    if (!pauses)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count && !err_is(e); i++)
        e = pause_take(&entries[i], &pauses[i]);
    *pauses_r = pauses;
    *count_r = count;
    return e;
}
