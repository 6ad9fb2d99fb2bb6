/*
 * Messages of our own, and the first kind of them: notices to list owners. A member whose mailbox
 * is full refuses nobody else's copy; the owner of the list is told instead, in the same commit.
 * From the null path, so that no notice can cause another one.
 */
#include "core/delivery.h"

#include "base/must.h"
#include "format/date.h"
#include "format/header_print.h"
#include "format/message_id.h"
#include "format/summary.h"

enum {
    NOTICE_OCTETS = 64 * 1024,
    SUBJECT_MAX = 512,
    NOTICE_MEMBERS = 100, /* named in one notice; the others are counted */
};

static bool same_list(const struct copy *a, const struct copy *b)
{
    return str_eq(a->list, b->list);
}

void delivery_notice_begin(struct delivery *delivery, struct str to, struct str subject,
                           struct buf *text)
{
    char id[MESSAGE_ID_TEXT];
    struct str hostname = delivery->core->conf->server.hostname;
    message_id_print(delivery->message, id);
    buf_printf(text, "From: Mail Delivery System <postmaster@%.*s>\r\n", STR_FMT(hostname));
    buf_printf(text, "To: <%.*s>\r\n", STR_FMT(to));
    header_put_text(text, STR("Subject"), subject);
    buf_put(text, STR("Date: "));
    date_print(text, delivery->now / US_PER_SECOND, 0);
    buf_printf(text, "\r\nMessage-ID: <%.*s.notice%zu@%.*s>\r\n", MESSAGE_ID_TEXT, id,
               delivery->blob_count, STR_FMT(hostname));
    buf_put(text, STR("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                      "Content-Type: text/plain; charset=UTF-8\r\n"
                      "Content-Transfer-Encoding: 8bit\r\n\r\n"));
}

static void header_print(struct delivery *delivery, const struct copy *first, struct buf *to)
{
    struct buf subject = buf_in(delivery->arena, SUBJECT_MAX);
    buf_printf(&subject, "Your list %.*s: a member's mailbox is full", STR_FMT(first->list));
    delivery_notice_begin(delivery, first->list_owner, buf_built(&subject), to);
}

static void body_print(struct delivery *delivery, size_t from, struct buf *to)
{
    const struct copy *first = &delivery->left_out[from];
    buf_put(to, STR("A message to your mailing list "));
    buf_put(to, first->list);
    buf_put(to, STR(" was not delivered to these members,\r\nwhose mailboxes are full:\r\n\r\n"));
    size_t named = 0, others = 0;
    for (size_t i = from; i < delivery->left_out_count; i++) {
        const struct copy *copy = &delivery->left_out[i];
        if (!copy->over_quota || !same_list(copy, first))
            continue;
        if (named++ < NOTICE_MEMBERS)
            buf_printf(to, "  %.*s\r\n", STR_FMT(copy->address));
        else
            others++;
    }
    if (others)
        buf_printf(to, "  and %zu more\r\n", others);
    char id[MESSAGE_ID_TEXT];
    message_id_print(delivery->message, id);
    buf_printf(to, "\r\nAll other members got it. Its id, for the administrator: %.*s\r\n",
               MESSAGE_ID_TEXT, id);
}

static struct err summary_of(struct delivery *delivery, struct str message, struct str *record_r)
{
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    struct summary summary;
    struct buf record = BUF_INIT(ENGINE_HEAD_MAX / 2);
    summary_init(&summary, delivery->arena, &limits);
    summary_feed(&summary, message);
    struct err e = summary_end(&summary);
    if (!err_is(e)) {
        summary_print(&summary, &record);
        *record_r = buf_copy(&record, delivery->arena);
        e = record_r->p ? err_none() : err_make(ERR_NO_MEMORY);
    }
    buf_done(&record);
    return e;
}

struct err delivery_text_put(struct delivery *delivery, struct str message,
                             const struct copy *copies, size_t count)
{
    return delivery_own_put(delivery, str_make("", 0), str_make("", 0), message, copies, count);
}

struct err delivery_own_put(struct delivery *delivery, struct str sender, struct str front,
                            struct str message, const struct copy *copies, size_t count)
{
    struct iovec *body = arena_new(delivery->arena, struct iovec);
    if (!body)
        return err_make(ERR_NO_MEMORY);
    union {
        const char *from;
        char *to;
    } octets = {.from = message.p};
    *body = (struct iovec){.iov_base = octets.to, .iov_len = message.n};
    struct message_head head = {
        .body_type = BODY_8BITMIME, .return_path = sender, .received = front};
    struct err e = summary_of(delivery, message, &head.summary);
    if (err_is(e))
        return e;
    struct blob_put put = {
        .blob = engine_blob_new(delivery->core->engine), .body = body, .body_parts = 1};
    return delivery_put(delivery, &head, message.n, put, copies, count);
}

static struct err notice_put(struct delivery *delivery, size_t from, const struct copy *copies,
                             size_t count)
{
    const struct copy *first = &delivery->left_out[from];
    struct buf text = BUF_INIT(NOTICE_OCTETS);
    header_print(delivery, first, &text);
    body_print(delivery, from, &text);
    struct str message = buf_copy(&text, delivery->arena);
    buf_done(&text);
    if (!message.p)
        return err_make(ERR_NO_MEMORY);
    struct trace_event *event = delivery_event(delivery, TRACED_quota_notice);
    trace_text(event, TRACE_owner, first->list_owner);
    trace_text(event, TRACE_address, first->address);
    trace_text(event, TRACE_list, first->list);
    trace_number(event, TRACE_quota, first->quota);
    return delivery_text_put(delivery, message, copies, count);
}

struct err delivery_notice_copies(struct delivery *delivery, const struct addr *addr,
                                  struct copy **copies_r, size_t *count_r)
{
    struct resolved resolved;
    *count_r = 0;
    struct err e = directory_resolve(&delivery->core->directory, addr, NOTICE_OCTETS, str_null(),
                                     delivery->arena, &resolved);
    if (err_is(e))
        return e;
    *copies_r = resolved.copies;
    for (size_t i = 0; i < resolved.count && *count_r < DELIVERY_OWNERS_MAX; i++)
        if (!resolved.copies[i].disabled && !resolved.copies[i].over_quota)
            resolved.copies[(*count_r)++] = resolved.copies[i];
    return err_none();
}

/* A full owner is not told, the trace has it anyway. */
static struct err owner_copies(struct delivery *delivery, struct str owner, struct copy **copies_r,
                               size_t *count_r)
{
    struct addr addr;
    struct err e = addr_parse(owner, delivery->arena, &addr);
    return err_is(e) ? e : delivery_notice_copies(delivery, &addr, copies_r, count_r);
}

static bool told_already(const struct delivery *delivery, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (delivery->left_out[i].over_quota &&
            same_list(&delivery->left_out[i], &delivery->left_out[at]))
            return true;
    return false;
}

struct err delivery_notices(struct delivery *delivery)
{
    size_t told = 0, most = delivery->left_out_count;
    if (most > DELIVERY_NOTICES_MAX)
        most = DELIVERY_NOTICES_MAX;
    struct err room = most ? delivery_room_for_notices(delivery, most) : err_none();
    if (err_is(room))
        return room;
    for (size_t i = 0; i < delivery->left_out_count && told < most; i++) {
        const struct copy *copy = &delivery->left_out[i];
        if (!copy->over_quota || !copy->list.n || told_already(delivery, i))
            continue;
        struct copy *copies;
        size_t count;
        struct err e = owner_copies(delivery, copy->list_owner, &copies, &count);
        if (err_is(e) || count == 0)
            continue; /* The owner is gone or full; nobody is left to tell. */
        e = notice_put(delivery, i, copies, count);
        if (err_is(e))
            return e;
        told++;
    }
    return err_none();
}
