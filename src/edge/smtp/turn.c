/*
 * The dispatcher, kept to what it is: pick the next unit by the state, run it, stop at the end. A
 * turn is bounded, so that a client with much to say does not keep the others waiting.
 */
#include "edge/smtp/turn.h"

#include "edge/line.h"
#include "edge/smtp/commands.h"
#include "edge/smtp/message.h"
#include "edge/smtp/reply.h"

enum {
    UNITS_A_TURN = 2000,                   /* commands or pieces */
    READS_A_TURN = 16,                     /* more than the loop brought */
    READ_WAS_LARGE = STREAM_READ_SIZE / 2, /* so there may be more to read at once */
};

/* Of a line that may be an answer in an exchange, or begins one. */
static bool may_be_login(const struct smtp_session *s)
{
    return s->state == SMTP_EXCHANGE ||
           (smtp_is_submission(s) && str_starts_nocase(stream_pending(&s->stream), STR("AUTH ")));
}

static size_t line_most(const struct smtp_session *s)
{
    return may_be_login(s) ? EDGE_LOGIN_LINE_MAX : SMTP_LINE_MAX;
}

bool smtp_turn_wanted(const struct smtp_session *s)
{
    struct str pending = stream_pending(&s->stream), line;
    size_t used = 0;
    if (s->state & SMTP_READING || s->state == SMTP_EARLY)
        return pending.n > 0;
    /* A lone CR may stay, and must not run turn after turn. */
    if (s->swallowing)
        return line_skip(pending, s->normalise, &used) != LINE_MORE || used > 0;
    /* A line that is whole, or one that never can be. */
    return s->state & SMTP_LINES &&
           line_find(pending, line_most(s), s->normalise, &line, &used) != LINE_MORE;
}

static void bare_newline(struct smtp_session *s)
{
    smtp_tell_refused(s, "", ERR_BARE_NEWLINE, str_null(), str_null());
    smtp_reply_error(s, ERR_BARE_NEWLINE);
    smtp_close_after_reply(s, "bare-newline");
}

/* False: more has to come. */
static bool swallow(struct smtp_session *s)
{
    size_t used = 0;
    enum line_found found = line_skip(stream_pending(&s->stream), s->normalise, &used);
    stream_take(&s->stream, used);
    s->swallowing = found == LINE_MORE;
    if (found == LINE_BARE)
        bare_newline(s);
    return found != LINE_MORE;
}

/* May yield. The line may hold a password, and the command may look further ahead. */
static __attribute__((noinline)) void run_login(struct smtp_session *s, struct str line,
                                                size_t used)
{
    char copy[EDGE_LOGIN_LINE_MAX];
    memcpy(copy, line.p, line.n);
    stream_take(&s->stream, used);
    if (s->state == SMTP_EXCHANGE)
        smtp_auth_line(s, str_make(copy, line.n));
    else
        smtp_command_line(s, str_make(copy, line.n));
    explicit_bzero(copy, line.n);
}

static void line_too_long(struct smtp_session *s)
{
    if (may_be_login(s))
        smtp_auth_too_long(s);
    else
        smtp_reply_error(s, ERR_LINE_TOO_LONG);
    s->swallowing = true;
}

/* May yield. False: no whole line is there. */
static bool command(struct smtp_session *s)
{
    char copy[SMTP_LINE_MAX];
    struct str line = str_null();
    size_t used = 0;
    if (s->swallowing)
        return swallow(s);
    switch (line_find(stream_pending(&s->stream), line_most(s), s->normalise, &line, &used)) {
    case LINE_MORE:
        return false;
    case LINE_BARE:
        bare_newline(s);
        return true;
    case LINE_LONG:
        line_too_long(s);
        return true;
    case LINE_WHOLE:
        break;
    }
    if (may_be_login(s)) {
        run_login(s, line, used);
        return true;
    }
    /* The command may look further ahead, which moves the stream's buffer. */
    memcpy(copy, line.p, line.n);
    stream_take(&s->stream, used);
    smtp_command_line(s, str_make(copy, line.n));
    return true;
}

/* May yield. False: nothing whole is there. */
static bool unit(struct smtp_session *s)
{
    bool some = stream_pending(&s->stream).n > 0;
    smtp_note_seen(s);
    if (s->state & SMTP_LINES)
        return command(s);
    if (some && s->state == SMTP_DATA)
        smtp_data_octets(s);
    else if (some && s->state == SMTP_CHUNK)
        smtp_chunk_octets(s);
    return some;
}

void smtp_end_if_due(struct smtp_session *s)
{
    if (!(s->state & (SMTP_LINES | SMTP_READING)))
        return;
    if (s->base.login.handle && !edge_login_is_valid(&s->base)) {
        smtp_reply_error_text(s, ERR_LOGIN_NEEDED, 421, STR("come again"));
        smtp_close_after_reply(s, "login-over");
    } else if (s->errors >= smtp_conf(s)->smtp.errors) {
        smtp_reply_error(s, ERR_TOO_MANY_ERRORS);
        smtp_close_after_reply(s, "errors");
    } else if (s->stopping) {
        smtp_reply_error(s, ERR_SHUTTING_DOWN);
        smtp_close_after_reply(s, "shutdown");
    }
}

/* May yield: a client that does not read its replies gets no more of them. */
static void mind_the_reader(struct smtp_session *s)
{
    int64_t deadline = s->base.edge->loop->now + smtp_conf(s)->smtp.command_timeout;
    if (s->stream.unsent >= STREAM_OUT_SOFT && !stream_drain(&s->stream, deadline))
        smtp_cut(s, "not-reading");
}

/* May yield: one unit and what follows from it. */
static bool step(struct smtp_session *s, int *reads)
{
    size_t had = stream_pending(&s->stream).n;
    bool some = unit(s);
    smtp_end_if_due(s);
    mind_the_reader(s);
    if (s->state & SMTP_READING && had >= READ_WAS_LARGE && ++*reads <= READS_A_TURN)
        stream_read_more(&s->stream);
    return some;
}

void smtp_early_word(struct smtp_session *s)
{
    smtp_tell_refused(s, "", ERR_EARLY_TALKER, str_null(), str_null());
    smtp_reply(s, 554, NULL, str_from(err_row(ERR_EARLY_TALKER)->text));
    smtp_close_after_reply(s, "early");
}

void smtp_note_seen(struct smtp_session *s)
{
    if (s->answered.message && stream_pending(&s->stream).n > 0)
        edge_try_seen(s->base.edge, &s->answered);
}

void smtp_turn(struct smtp_session *s)
{
    int reads = 0;
    if (s->state == SMTP_EARLY)
        smtp_early_word(s);
    smtp_end_if_due(s);
    for (int i = 0; i < UNITS_A_TURN && s->state & (SMTP_LINES | SMTP_READING); i++) {
        if (!step(s, &reads) || s->slow_until > 0)
            break;
    }
}
