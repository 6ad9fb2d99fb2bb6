/*
 * ATRN (RFC 2645) and TURN (RFC 821): mail is collected on the connection of who asks for it. On
 * submission listeners only, as AUTH is; whose the domains are is core's to say.
 *
 * The client waits for our 250 before it greets. What came already is somebody's who does not know
 * what he asked for, or was put in front of another's words, as in STARTTLS (catalogue S07).
 */
#include "conf/routes.h"
#include "edge/smtp/commands.h"
#include "edge/smtp/extensions.h"
#include "edge/smtp/reply.h"
#include "edge/smtp/reversed.h"

bool smtp_atrn_is_served(const struct smtp_session *s)
{
    return smtp_is_submission(s) && !smtp_is_local(s) && smtp_conf(s)->sending.processes > 0 &&
           conf_routes_collect(smtp_conf(s));
}

bool smtp_turn_is_served(const struct smtp_session *s)
{
    return smtp_atrn_is_served(s) && smtp_conf(s)->submission.turn;
}

/* domain *("," domain) */
struct err smtp_atrn_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    (void)s;
    args->collect.domains =
        arena_take_array(args->arena, SMTP_COLLECT_MAX, sizeof *args->collect.domains);
    if (!args->collect.domains)
        return err_make(ERR_NO_MEMORY);
    while (text.p && text.n > 0) {
        struct str one = str_trim(str_cut(&text, ','));
        struct str *domain = &args->collect.domains[args->collect.count].text;
        if (args->collect.count == SMTP_COLLECT_MAX || (text.p && text.n == 0) ||
            err_is(domain_parse(one, args->arena, domain)))
            return err_detail(ERR_COMMAND_SYNTAX, STR("ATRN [domain[,domain...]]"));
        args->collect.count++;
    }
    return err_none();
}

static bool sent_ahead(struct smtp_session *s, const char *verb)
{
    stream_read_more(&s->stream);
    if (stream_pending(&s->stream).n == 0)
        return false;
    smtp_tell_refused(s, verb, ERR_TALKS_OUT_OF_TURN, str_null(), str_null());
    smtp_reply_error_text(s, ERR_TALKS_OUT_OF_TURN, 503, str_null());
    smtp_close_after_reply(s, "sent-ahead");
    return true;
}

static void refuse(struct smtp_session *s, const struct msg_collect_answer *answer, bool turn)
{
    char room[SMTP_REPLY_MAX];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    int code = answer->reply == 450 || answer->reply == 453 ? answer->reply : 451;
    buf_put(&line, code == 453   ? STR("You have no mail")
                   : code == 450 ? STR("Request refused")
                                 : STR("Unable to process this now"));
    if (answer->text.n > 0)
        buf_put(&line, STR("; "));
    buf_put(&line, answer->text);
    if (turn) /* RFC 821 4.3 knows nothing else */
        smtp_reply(s, 502, "5.5.1", buf_str(&line));
    else
        smtp_reply(s, code,
                   code == 450   ? "4.7.1"
                   : code == 453 ? "4.2.0"
                                 : "4.3.0",
                   buf_str(&line));
}

/* May yield. What it says is in the arena. */
static struct msg_collect_answer ask(struct smtp_session *s, const struct smtp_arguments *args,
                                     struct arena *arena)
{
    struct msg answer, msg = {.kind = MSG_collect,
                              .collect = {.login = s->base.login.handle,
                                          .client = edge_session_client(&s->base),
                                          .port = s->base.port,
                                          .helo = smtp_helo(s)}};
    struct msg_collect *asked = &msg.collect;
    const struct msg_collect_answer away = {.reply = 451, .text = STR("try again later")};
    asked->domains = arena_take_array(arena, args->collect.count + 1, sizeof *asked->domains);
    for (size_t i = 0; asked->domains && i < args->collect.count; i++)
        asked->domains[asked->domains_count++].text =
            arena_str(arena, args->collect.domains[i].text);
    if (!asked->domains || arena_over(arena) ||
        err_is(edge_ask(s->base.edge, &msg, arena, &answer)))
        return away;
    return answer.kind == MSG_collect_answer ? answer.collect_answer : away;
}

/* May yield, until it is over. */
static void collect(struct smtp_session *s, uint64_t line)
{
    int handle = edge_line_take(s->base.edge, line);
    int64_t deadline = s->base.edge->loop->now + smtp_conf(s)->smtp.command_timeout;
    if (handle < 0) {
        smtp_cut(s, "collecting");
        return;
    }
    smtp_reply(s, 250, "2.0.0", STR("OK now reversing the connection"));
    if (stream_flush(&s->stream, deadline)) {
        smtp_reverse(s, handle);
        return;
    }
    s->base.edge->world->ops->close(s->base.edge->world, handle);
    smtp_cut(s, "collecting");
}

/* May yield. */
static void run(struct smtp_session *s, const struct smtp_arguments *args, bool turn)
{
    struct edge *edge = s->base.edge;
    if (sent_ahead(s, turn ? "TURN" : "ATRN"))
        return;
    struct arena *arena = edge_scratch_take(edge);
    struct msg_collect_answer answer = {.reply = 451, .text = STR("try again later")};
    if (arena)
        answer = ask(s, args, arena);
    if (answer.reply != 250)
        refuse(s, &answer, turn);
    if (arena)
        edge_scratch_give(edge, arena);
    if (answer.reply == 250)
        collect(s, answer.line);
}

void smtp_atrn_run(struct smtp_session *s, struct smtp_arguments *args)
{
    run(s, args, false);
}

void smtp_turn_run(struct smtp_session *s, struct smtp_arguments *args)
{
    run(s, args, true);
}
