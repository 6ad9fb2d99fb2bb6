/*
 * The mailbox: what is there, reading it, and removing at QUIT.
 */
#include "edge/pop3/commands.h"

#include "base/must.h"
#include "edge/pop3/ahead.h"
#include "edge/pop3/reader.h"

enum {
    UIDS_A_PAGE = 8000,
    EXPUNGE_ARENA = 64 * 1024
};

/* Message `number` of the view, or NULL and an answer. */
static struct pop3_row *row_find(struct pop3_session *s, uint32_t number)
{
    if (number >= 1 && number <= s->row_count && !s->rows[number - 1].deleted)
        return &s->rows[number - 1];
    pop3_err(s, NULL, STR("No such message"));
    return NULL;
}

void pop3_stat(struct pop3_session *s, const struct pop3_arguments *args)
{
    (void)args;
    uint64_t octets = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->row_count; i++) {
        if (s->rows[i].deleted)
            continue;
        octets += s->rows[i].size;
        count++;
    }
    pop3_line(s, "+OK %u %llu", count, (unsigned long long)octets);
}

/* --- LIST and UIDL --- */

static void size_line(struct pop3_session *s, const char *front, uint32_t number)
{
    pop3_line(s, "%s%u %llu", front, number, (unsigned long long)s->rows[number - 1].size);
}

static void uid_line(struct pop3_session *s, const char *front, uint32_t number)
{
    pop3_line(s, "%s%u %08x%08x", front, number, s->uid_validity, s->rows[number - 1].uid);
}

/* May yield. */
static void rows_say(struct pop3_session *s, const struct pop3_arguments *args,
                     void (*line)(struct pop3_session *, const char *, uint32_t))
{
    if (args->count == 1) {
        if (row_find(s, args->number[0]))
            line(s, "+OK ", args->number[0]);
        return;
    }
    pop3_ok(s, STR("Listing follows"));
    for (uint32_t number = 1; number <= s->row_count; number++) {
        if (s->rows[number - 1].deleted)
            continue;
        line(s, "", number);
        if (s->stream.unsent >= STREAM_OUT_SOFT && !stream_drain(&s->stream, pop3_deadline(s))) {
            pop3_cut(s, "not-reading");
            return;
        }
    }
    stream_put(&s->stream, STR(".\r\n"));
}

void pop3_list(struct pop3_session *s, const struct pop3_arguments *args)
{
    rows_say(s, args, size_line);
}

void pop3_uidl(struct pop3_session *s, const struct pop3_arguments *args)
{
    rows_say(s, args, uid_line);
}

/* --- RETR and TOP --- */

static void message_say(struct pop3_session *s, struct pop3_row *row, uint64_t lines,
                        struct str before)
{
    if (!row || !pop3_core_is_ours(s))
        return;
    struct err e = reader_send(s, row, lines, before);
    if (e.code == ERR_NOT_FOUND)
        pop3_err(s, "SYS/PERM", STR("That message was removed in another session"));
    else if (err_is(e))
        pop3_error(s, e.code);
    else
        s->read++;
}

void pop3_retr(struct pop3_session *s, const struct pop3_arguments *args)
{
    struct pop3_row *row = row_find(s, args->number[0]);
    char room[64];
    struct buf before = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    if (row) {
        buf_printf(&before, "+OK %llu octets\r\n", (unsigned long long)row->size);
        ahead_follow(s, args->number[0]);
    }
    message_say(s, row, READER_ALL, buf_str(&before));
}

void pop3_top(struct pop3_session *s, const struct pop3_arguments *args)
{
    message_say(s, row_find(s, args->number[0]), args->number[1], STR("+OK\r\n"));
}

/* --- DELE, RSET, QUIT --- */

void pop3_dele(struct pop3_session *s, const struct pop3_arguments *args)
{
    struct pop3_row *row = row_find(s, args->number[0]);
    if (!row)
        return;
    if (s->marked == POP3_MARKED_MAX) {
        pop3_err(s, "SYS/TEMP", STR("Too many to remove in one session; QUIT first"));
        return;
    }
    row->deleted = true;
    s->marked++;
    pop3_ok(s, STR("Will be removed at QUIT"));
}

void pop3_rset(struct pop3_session *s, const struct pop3_arguments *args)
{
    (void)args;
    for (uint32_t i = 0; i < s->row_count; i++)
        s->rows[i].deleted = false;
    s->marked = 0;
    pop3_ok(s, str_null());
}

static struct err page_ask(struct pop3_session *s, const struct msg_uid *uids, size_t count,
                           bool more)
{
    struct arena arena;
    arena_init(&arena, EXPUNGE_ARENA);
    struct msg question = {
        .kind = MSG_expunge,
        .expunge = {.handle = s->base.login.handle, .uids_count = count, .more = more}};
    union {
        const struct msg_uid *from;
        struct msg_uid *to;
    } list = {.from = uids};
    question.expunge.uids = list.to;
    struct msg answer;
    struct err e = pop3_ask(s, &question, &arena, &answer);
    if (!err_is(e))
        e = err_make((enum err_code)answer.expunged.error);
    arena_done(&arena);
    return e;
}

/* P2 -> P3: all marks in pages; core removes at the last one, all or none. */
static struct err expunge(struct pop3_session *s)
{
    if (s->marked == 0)
        return err_none();
    struct msg_uid *page = calloc(UIDS_A_PAGE, sizeof(*page));
    if (!page)
        return err_make(ERR_NO_MEMORY);
    struct err e = err_none();
    size_t n = 0;
    for (uint32_t i = 0; i < s->row_count && !err_is(e); i++) {
        if (!s->rows[i].deleted)
            continue;
        if (n == UIDS_A_PAGE) {
            e = page_ask(s, page, n, true);
            n = 0;
        }
        page[n++].uid = s->rows[i].uid;
    }
    if (!err_is(e))
        e = page_ask(s, page, n, false);
    free(page);
    return e;
}

void pop3_quit(struct pop3_session *s, const struct pop3_arguments *args)
{
    (void)args;
    struct err e = expunge(s);
    if (e.code == ERR_BUS_BROKEN) {
        pop3_err(s, "SYS/TEMP", STR("It is not known whether the messages were removed"));
    } else if (err_is(e)) {
        pop3_err(s, "SYS/TEMP", STR("The messages were not removed"));
    } else {
        s->deleted = s->marked;
        pop3_ok(s, STR("Goodbye"));
    }
    pop3_close_after_reply(s, "quit"); /* P4 */
}
