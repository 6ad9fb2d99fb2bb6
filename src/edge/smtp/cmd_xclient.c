/*
 * XCLIENT and XFORWARD, as Postfix has them: a filter or proxy in smtp.xclient_from says for whom
 * it speaks.
 *
 * XCLIENT is believed once in a connection. Postfix believes it again and again, which is handy for
 * tests; but a proxy may pass on what its client says, and then the client would be whoever it
 * likes. So behind XCLIENT there is no trust left in this connection, also where the address that
 * was given is itself in smtp.xclient_from.
 *
 * Only where the client is, and where it connected to, counts. HELO and PROTO come anew with the
 * EHLO that has to follow, NAME waits for a resolver, and LOGIN is ignored: who logged in elsewhere
 * is nobody here, since port 25 has no users.
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/reply.h"

static struct err parse(struct str text, bool forward, struct smtp_arguments *args)
{
    args->xclient = arena_new(args->arena, struct xclient);
    return args->xclient ? xclient_parse(text, forward, args->arena, args->xclient)
                         : err_make(ERR_OVER_LIMIT);
}

struct err smtp_xclient_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    (void)s;
    struct err e = parse(text, false, args);
    /* Every rule is about an address. */
    if (!err_is(e) && args->xclient->given[XCLIENT_ADDR] && !args->xclient->value[XCLIENT_ADDR].p)
        return err_detail(ERR_PARAMETER_VALUE, STR("ADDR"));
    return e;
}

struct err smtp_xforward_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    (void)s;
    return parse(text, true, args);
}

static void put_address(char to[IP_TEXT], struct str address)
{
    memset(to, 0, IP_TEXT);
    memcpy(to, address.p, address.n);
}

static struct peer_address peer_of(const struct smtp_session *s, const struct xclient *told)
{
    struct peer_address peer = {.port = s->base.port, .uid = -1, .pid = -1};
    struct str port = told->value[XCLIENT_PORT];
    uint64_t number = 0;
    put_address(peer.text, edge_session_client(&s->base));
    put_address(peer.server, str_from(s->base.server));
    if (told->value[XCLIENT_ADDR].p) {
        put_address(peer.text, told->value[XCLIENT_ADDR]);
        peer.port = 0;
    }
    if (port.p && str_to_u64(port, &number))
        peer.port = (uint16_t)number;
    if (told->value[XCLIENT_DESTADDR].p)
        put_address(peer.server, told->value[XCLIENT_DESTADDR]);
    return peer;
}

static void turned_away(struct smtp_session *s, enum err_code why)
{
    smtp_tell_refused(s, "XCLIENT", why, str_null(), str_null());
    smtp_reply_error(s, why);
    smtp_close_after_reply(s, "turned-away");
}

/* S1 or S2 -> S1, or S8 */
void smtp_xclient_run(struct smtp_session *s, struct smtp_arguments *args)
{
    struct peer_address peer = peer_of(s, args->xclient);
    log_event(s->base.edge->log, LOG_INFO, "xclient", log_str("by", edge_session_client(&s->base)),
              log_str("client", str_from(peer.text)), log_u64("port", peer.port));
    s->stands_in = true;
    enum err_code why = edge_session_readdress(&s->base, &peer);
    if (why != ERR_NONE)
        turned_away(s, why);
    else
        smtp_session_anew(s);
}

/* Facts of the next transaction; several commands add up, since a line holds only so much. */
void smtp_xforward_run(struct smtp_session *s, struct smtp_arguments *args)
{
    char room[SMTP_FORWARDED_MAX];
    struct buf facts = {.p = room, .cap = sizeof room, .max = sizeof room};
    buf_put(&facts, str_from(s->forwarded));
    xclient_facts_print(args->xclient, &facts);
    char *kept = buf_over(&facts) ? NULL : str_to_cstring(buf_str(&facts));
    if (!kept) {
        smtp_reply_error(s, ERR_OVER_LIMIT);
        return;
    }
    free(s->forwarded);
    s->forwarded = kept;
    log_event(s->base.edge->log, LOG_INFO, "xforward",
              log_str("client", edge_session_client(&s->base)), log_str("facts", str_from(kept)));
    smtp_reply(s, 250, "2.0.0", STR("OK"));
}
