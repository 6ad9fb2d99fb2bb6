/*
 * ETRN (RFC 1985). Whether it is served to this client is looked at here, so that strangers cost
 * core nothing; core looks again, and decides for which destinations.
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/extensions.h"
#include "edge/smtp/reply.h"

bool smtp_etrn_is_served(const struct smtp_session *s)
{
    const struct conf *conf = smtp_conf(s);
    return conf->sending.processes > 0 && conf->smtp.etrn_domains.count > 0 && !smtp_is_lmtp(s) &&
           (smtp_is_trusted(s) ||
            conf_networks_hold(&conf->smtp.etrn_from, edge_session_client(&s->base)));
}

/* A single label is no name of a node (RFC 1985 5), and below one is half the world (8). */
static bool is_node(struct str text, struct arena *arena, struct str *node_r)
{
    return !err_is(domain_parse(text, arena, node_r)) && str_index(*node_r, '.') > 0;
}

struct err smtp_etrn_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    struct str name = text.n > 0 ? str_from_index(text, 1) : text;
    (void)s;
    args->etrn.name = name;
    args->etrn.scope = ETRN_DOMAIN;
    if (str_starts(text, STR("#")))
        args->etrn.scope = ETRN_QUEUE;
    else if (str_starts(text, STR("@")))
        args->etrn.scope = ETRN_BELOW;
    else
        name = text;
    if (args->etrn.scope == ETRN_QUEUE ? conf_is_name(name)
                                       : is_node(name, args->arena, &args->etrn.name))
        return err_none();
    return err_detail(ERR_COMMAND_SYNTAX, STR("ETRN domain, ETRN @domain or ETRN #route"));
}

/* What stands in front of the node's name, and behind it. */
static const struct etrn_reply {
    int code;
    const char *enhanced, *before, *behind;
} replies[] = {
    {250, "2.0.0", "OK, queuing for node ", " started"},
    {251, "2.0.0", "OK, no messages waiting for node ", ""},
    {252, "2.0.0", "OK, pending messages for node ", " started"},
    {253, "2.0.0", " pending messages for node ", " started"},
    {459, "4.7.1", "Node ", " not allowed: "},
    {458, "4.3.0", "Unable to queue messages for node ", ": "},
};

static const struct etrn_reply *reply_row(int code)
{
    size_t i = 0;
    while (i + 1 < sizeof replies / sizeof *replies && replies[i].code != code)
        i++;
    return &replies[i];
}

static void reply(struct smtp_session *s, const struct msg_etrn_answer *answer, struct str node)
{
    const struct etrn_reply *row = reply_row(answer->reply);
    char room[SMTP_REPLY_MAX];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    if (row->code == 253)
        buf_printf(&line, "OK, %llu", (unsigned long long)answer->count);
    buf_put(&line, str_from(row->before));
    buf_put(&line, node);
    buf_put(&line, str_from(row->behind));
    if (row->code >= 400)
        buf_put(&line, answer->text);
    smtp_reply(s, row->code, row->enhanced, buf_str(&line));
}

/* May yield. */
void smtp_etrn_run(struct smtp_session *s, struct smtp_arguments *args)
{
    struct edge *edge = s->base.edge;
    struct arena *arena = edge_scratch_take(edge);
    struct msg answer, msg = {.kind = MSG_etrn,
                              .etrn = {.client = edge_session_client(&s->base),
                                       .login = s->base.login.handle,
                                       .scope = (uint8_t)args->etrn.scope}};
    struct msg_etrn_answer away = {.reply = 458, .text = STR("try again later")};
    if (arena)
        msg.etrn.name = arena_str(arena, args->etrn.name); /* the command's goes with a yield */
    bool asked = arena && msg.etrn.name.p && !err_is(edge_ask(edge, &msg, arena, &answer)) &&
                 answer.kind == MSG_etrn_answer;
    reply(s, asked ? &answer.etrn_answer : &away,
          arena && msg.etrn.name.p ? msg.etrn.name : STR(""));
    if (arena)
        edge_scratch_give(edge, arena);
}
