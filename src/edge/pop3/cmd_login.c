/*
 * USER, PASS and AUTH (RFC 5034). USER says yes to everybody: whether a name exists is learnt, if
 * at all, only together with the right password, and both wrong answers are one.
 */
#include "edge/pop3/commands.h"

#include "base/must.h"

enum {
    LOGIN_ARENA = 256 * 1024
};

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

/* P1 -> P2: the user is known, and the mailbox opened. May yield. */
static void enter(struct pop3_session *s)
{
    struct err e = rows_read(s);
    if (err_is(e)) {
        pop3_error(s, e.code);
        pop3_close_after_reply(s, "mailbox");
        return;
    }
    s->state = POP3_TRANSACTION;
    pop3_ok(s, STR("Logged in"));
}

static void refuse(struct pop3_session *s, enum err_code error)
{
    pop3_error(s, error);
    if (err_row(error)->smtp == 421)
        pop3_close_after_reply(s, "login");
}

/* --- USER and PASS --- */

void pop3_user(struct pop3_session *s, const struct pop3_arguments *args)
{
    if (!edge_login_offers_passwords(&s->base)) {
        pop3_error(s, ERR_ENCRYPTION_NEEDED);
        return;
    }
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

void pop3_pass(struct pop3_session *s, const struct pop3_arguments *args)
{
    if (!edge_login_offers_passwords(&s->base)) {
        pop3_error(s, ERR_ENCRYPTION_NEEDED);
        return;
    }
    if (!s->user) {
        pop3_err(s, NULL, STR("USER comes first"));
        return;
    }
    struct err e = edge_login_password(&s->base, str_make(s->user, s->user_length), args->text);
    free(s->user);
    s->user = NULL;
    if (err_is(e))
        refuse(s, e.code);
    else
        enter(s);
}

/* --- AUTH --- */

/* May yield. */
static void answer(struct pop3_session *s, const struct edge_exchange_says *says)
{
    if (says->step == EDGE_EXCHANGE_CHALLENGE) {
        s->state = POP3_EXCHANGE; /* P1, P7 -> P7 */
        stream_put(&s->stream, STR("+ "));
        stream_put(&s->stream, says->challenge);
        stream_put(&s->stream, STR("\r\n"));
        return;
    }
    s->state = POP3_AUTHORIZATION; /* P7 -> P1 */
    if (says->step == EDGE_EXCHANGE_DONE)
        enter(s);
    else
        refuse(s, says->error);
}

void pop3_auth(struct pop3_session *s, const struct pop3_arguments *args)
{
    struct str initial = args->text, mechanism = str_cut(&initial, ' ');
    if (initial.p && (initial.n == 0 || str_index(initial, ' ') >= 0)) {
        pop3_err(s, NULL, STR("Syntax error in arguments"));
        return;
    }
    struct edge_exchange_says says =
        edge_exchange_begin(&s->base, mechanism, initial, &s->exchange);
    answer(s, &says);
}

void pop3_auth_line(struct pop3_session *s, struct str line)
{
    struct edge_exchange_says says = edge_exchange_line(&s->exchange, line);
    answer(s, &says);
}

void pop3_auth_too_long(struct pop3_session *s)
{
    edge_exchange_drop(&s->exchange);
    s->state = POP3_AUTHORIZATION; /* P7 -> P1 */
}
