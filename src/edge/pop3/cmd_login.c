/*
 * USER and PASS. USER says yes to everybody: whether a name exists is learnt, if at all, only
 * together with the right password, and both wrong answers are one.
 */
#include "edge/pop3/commands.h"

#include "base/must.h"

enum {
    LOGIN_ARENA = 256 * 1024
};

static bool may_log_in(struct pop3_session *s)
{
    if (pop3_plain_text_allowed(s))
        return true;
    pop3_error(s, ERR_ENCRYPTION_NEEDED);
    return false;
}

void pop3_user(struct pop3_session *s, const struct pop3_arguments *args)
{
    if (!may_log_in(s))
        return;
    if (args->text.n > POP3_USER_MAX) {
        pop3_error(s, ERR_LOGIN_FAILED);
        return;
    }
    char *user = realloc(s->user, args->text.n);
    if (!user) {
        pop3_error(s, ERR_NO_MEMORY);
        return;
    }
    memcpy(user, args->text.p, args->text.n);
    s->user = user;
    s->user_length = (uint16_t)args->text.n;
    pop3_ok(s, STR("Send PASS"));
}

/* --- The rows of the view --- */

static struct err rows_add(struct pop3_session *s, const struct msg_mailbox_rows *page)
{
    size_t most = s->base.conf->pop3.messages;
    size_t add = page->rows_count;
    if (add > most - s->row_count)
        add = most - s->row_count;
    if (add == 0)
        return err_none();
    struct pop3_row *rows = realloc(s->rows, (s->row_count + add) * sizeof(*rows));
    if (!rows)
        return err_make(ERR_NO_MEMORY);
    s->rows = rows;
    for (size_t i = 0; i < add; i++)
        rows[s->row_count++] = (struct pop3_row){.size = page->rows[i].size & (UINT64_MAX >> 1),
                                                 .uid = page->rows[i].uid};
    return err_none();
}

/* May yield. */
static struct err rows_read(struct pop3_session *s)
{
    struct arena arena;
    arena_init(&arena, LOGIN_ARENA);
    uint32_t from = 0;
    bool more = true;
    struct err e = err_none();
    while (more && !err_is(e) && s->row_count < s->base.conf->pop3.messages) {
        struct msg question = {.kind = MSG_mailbox_open,
                               .mailbox_open = {.handle = s->base.login.handle,
                                                .mailbox = STR("INBOX"),
                                                .from_uid = from}};
        struct msg answer;
        arena_reset(&arena);
        e = pop3_ask(s, &question, &arena, &answer);
        if (err_is(e))
            break;
        const struct msg_mailbox_rows *page = &answer.mailbox_rows;
        e = err_make((enum err_code)page->error);
        if (!err_is(e))
            e = rows_add(s, page);
        s->uid_validity = page->uid_validity;
        from = page->rows_count ? page->rows[page->rows_count - 1].uid + 1 : 0;
        more = page->more && from > 0;
    }
    arena_done(&arena);
    return e;
}

/* --- PASS --- */

/* May yield. */
static struct err login_ask(struct pop3_session *s, struct str password)
{
    struct edge *edge = s->base.edge;
    struct arena arena;
    arena_init(&arena, LOGIN_ARENA);
    struct msg question = {.kind = MSG_login,
                           .login = {.protocol = LISTEN_POP3,
                                     .client = edge_session_client(&s->base),
                                     .user = str_make(s->user, s->user_length),
                                     .password = password}};
    struct msg answer;
    struct err e = edge_ask(edge, &question, &arena, &answer);
    if (!err_is(e))
        e = err_make((enum err_code)answer.logged_in.error);
    if (!err_is(e)) {
        s->base.login.handle = answer.logged_in.handle;
        s->base.login.core_since = edge->core_since;
    }
    arena_done(&arena);
    return e;
}

void pop3_pass(struct pop3_session *s, const struct pop3_arguments *args)
{
    if (!may_log_in(s))
        return;
    if (!s->user) {
        pop3_err(s, NULL, STR("USER comes first"));
        return;
    }
    struct err e = login_ask(s, args->text);
    if (!err_is(e))
        e = rows_read(s);
    free(s->user);
    s->user = NULL;
    if (err_is(e)) {
        pop3_error(s, e.code);
        if (s->base.login.handle)
            pop3_close_after_reply(s, "mailbox");
        return;
    }
    s->state = POP3_TRANSACTION; /* P1 -> P2 */
    pop3_ok(s, STR("Logged in"));
}
