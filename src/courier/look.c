/*
 * Why not as a job: a job asks for what its message demands, and is content with less where it may
 * be; here the least that is wrong is what is looked for.
 */
#include "courier/look.h"

#include <errno.h>

#include "courier/sts.h"
#include "courier/talk.h"
#include "format/capabilities.h"

enum {
    LOOK_ARENA = 1024 * 1024,
    SAID_MAX = 200, /* octets of a greeting */
    TLS_TEXT = 96,
    OWN_MAX = 32,
};

struct look {
    struct fiber_start start;
    struct courier *courier;
    const struct conf *conf; /* held */
    struct msg asked;
    struct arena arena;
    struct talk talk;
};

/* --- Life ------------------------------------------------------------------------------------ */

static void look_free(struct look *look)
{
    struct courier *courier = look->courier;
    conf_let_go(look->conf);
    arena_done(&look->arena);
    free(look);
    courier->questions--;
    if (courier->stopping && !courier_is_busy(courier))
        wait_over(courier->stopping);
}

static struct err begin(struct courier *courier, const struct msg *asked, void (*run)(void *))
{
    struct look *look = calloc(1, sizeof *look);
    if (!look)
        return err_make(ERR_NO_MEMORY);
    courier->questions++;
    look->courier = courier;
    look->conf = conf_hold(courier->conf);
    arena_init(&look->arena, LOOK_ARENA);
    if (err_is(msg_copy(asked, &look->arena, &look->asked))) {
        look_free(look);
        return err_make(ERR_NO_MEMORY);
    }
    look->start = (struct fiber_start){.run = run, .arg = look};
    fiber_run(courier->fibers, &look->start);
    return err_none();
}

/* --- A port ---------------------------------------------------------------------------------- */

static struct str kept(struct look *look, struct str text)
{
    struct str copy = arena_str(&look->arena, text);
    return copy.p ? copy : STR("");
}

static bool ended(struct look *look, struct msg_looked *seen, enum look_end end, struct str why)
{
    seen->end = (uint8_t)end;
    seen->why = kept(look, why);
    return false;
}

/* Nobody reads but the fiber. */
static void input(struct stream *stream)
{
    (void)stream;
}

static bool connect_to(struct look *look, struct msg_looked *seen)
{
    const struct msg_look *asked = &look->asked.look;
    struct courier *courier = look->courier;
    struct network address;
    struct peer_address ends;
    const struct connect_to to = {.address = asked->address, .port = asked->port};
    const struct destination_rules rules = {
        .allowed = &address, .allowed_count = network_address(asked->address, &address)};
    const struct stream_call call = {.loop = courier->loop,
                                     .pool = courier->streams,
                                     .to = &to,
                                     .count = 1,
                                     .rules = &rules,
                                     .apart = LOOK_CONNECT,
                                     .each = LOOK_CONNECT,
                                     .deadline = courier->loop->now + LOOK_WITHIN};
    int failed = stream_connect(&look->talk.stream, &call, input, NULL, &ends, NULL);
    if (failed)
        return ended(look, seen, LOOK_NOT_CONNECTED, str_from(strerrordesc_np(-failed)));
    return true;
}

static struct str own_name(const struct look *look)
{
    const struct conf *conf = look->conf;
    return conf->sending.helo.n > 0 ? conf->sending.helo : conf->server.hostname;
}

/* The answer to the last command, which is to be a good one. */
static bool heard(struct look *look, enum look_end otherwise, struct msg_looked *seen)
{
    struct talk *talk = &look->talk;
    enum talk_end end = talk_reply(talk, LOOK_WITHIN);
    const struct reply *reply = talk_last(talk);
    if (end != TALK_REPLY)
        return ended(look, seen, otherwise, talk_end_text(end, talk));
    if (reply->class == REPLY_SUCCESS)
        return true;
    struct buf text = buf_in(&look->arena, SAID_MAX + 8);
    buf_printf(&text, "%u ", reply->code);
    buf_put(&text, str_head(reply->text, SAID_MAX));
    return ended(look, seen, otherwise, buf_built(&text));
}

static bool greeted(struct look *look, struct msg_looked *seen)
{
    struct talk *talk = &look->talk;
    struct capabilities can = {.has = 0};
    if (!heard(look, LOOK_NOT_GREETED, seen))
        return false;
    seen->said = kept(look, str_head(talk_last(talk)->text, SAID_MAX));
    talk_command(talk, "EHLO %.*s", STR_FMT(own_name(look)));
    if (!heard(look, LOOK_NOT_GREETED, seen))
        return false;
    capabilities_parse(talk_last(talk)->text, &can);
    if (!capabilities_have(&can, CAPABILITY_STARTTLS))
        return ended(look, seen, LOOK_NO_TLS, STR("it is not offered"));
    talk_command(talk, "STARTTLS");
    return heard(look, LOOK_NO_TLS, seen);
}

/* A session is never resumed: its certificate is to be seen. */
static bool shake_hands(struct look *look, const struct tls_peer *peer, struct msg_looked *seen)
{
    struct stream *stream = &look->talk.stream;
    struct tls_facts facts;
    struct tls_verdict verdict;
    int64_t deadline = look->courier->loop->now + LOOK_WITHIN;
    if (!look->courier->tls)
        return ended(look, seen, LOOK_TLS_FAILED, STR("this courier has no TLS"));
    int failed = stream_tls_connect(stream, look->courier->tls, peer, deadline);
    stream_tls_verdict(stream, &verdict);
    if (peer->verify == TLS_VERIFY_DANE)
        seen->dane = (uint8_t)verdict.result;
    else
        seen->pkix = (uint8_t)verdict.result;
    if (failed)
        return ended(look, seen, LOOK_TLS_FAILED,
                     verdict.words.n > 0 ? verdict.words : tls_result_text(verdict.result));
    struct buf text = buf_in(&look->arena, TLS_TEXT);
    stream_tls_facts(stream, &facts);
    buf_printf(&text, "%.*s %.*s", STR_FMT(facts.version), STR_FMT(facts.cipher));
    seen->tls = buf_built(&text);
    seen->end = LOOK_WELL;
    return true;
}

/* One connection from its begin to its end. */
static void visit(struct look *look, const struct tls_peer *peer, struct msg_looked *seen)
{
    struct talk *talk = &look->talk;
    bool smtp = look->asked.look.kind == LOOK_SMTP;
    talk_init(talk, look->courier);
    talk_limit(talk, look->courier->loop->now + LOOK_WITHIN);
    if (connect_to(look, seen)) {
        bool well = (!smtp || greeted(look, seen)) && shake_hands(look, peer, seen);
        if (smtp && (well || seen->end == LOOK_NO_TLS)) {
            talk_command(talk, "QUIT");
            (void)talk_reply(talk, NS_PER_SECOND); /* it goes, whatever is said to that */
        }
        stream_done(&talk->stream);
    }
    talk_done(talk);
}

/* Those that can be used; the others say nothing about a certificate (RFC 7672 3.1). */
static size_t records_read(const struct msg_look *asked, struct arena *arena,
                           struct tls_tlsa **records_r)
{
    size_t count = 0;
    struct tls_tlsa *records = arena_take_array(arena, asked->tlsa_count, sizeof *records);
    for (size_t i = 0; records && i < asked->tlsa_count; i++) {
        struct str rdata = asked->tlsa[i].rdata;
        if (rdata.n < 3)
            continue;
        records[count] = (struct tls_tlsa){.usage = (uint8_t)rdata.p[0],
                                           .selector = (uint8_t)rdata.p[1],
                                           .matching = (uint8_t)rdata.p[2],
                                           .data = str_from_index(rdata, 3)};
        count += tls_tlsa_is_usable(&records[count]);
    }
    *records_r = records;
    return count;
}

static void look_at(struct look *look, struct msg_looked *seen)
{
    const struct msg_look *asked = &look->asked.look;
    struct tls_peer peer = {
        .verify = TLS_VERIFY_NONE, .name = asked->host, .names = &asked->host, .name_count = 1};
    struct tls_tlsa *records;
    struct msg_looked again = {.end = LOOK_NOT_CONNECTED};
    visit(look, &peer, seen);
    peer.tlsa_count = records_read(asked, &look->arena, &records);
    if (seen->end != LOOK_WELL || peer.tlsa_count == 0)
        return;
    peer.verify = TLS_VERIFY_DANE;
    peer.tlsa = records;
    visit(look, &peer, &again);
    seen->dane = again.dane;
}

static void look_run(void *arg)
{
    struct look *look = arg;
    struct msg msg = {.kind = MSG_looked};
    look_at(look, &msg.looked);
    msg_set_call(&msg, look->asked.look.call);
    (void)courier_tell(look->courier, &msg); /* else nobody waits for it */
    look_free(look);
}

struct err look_begin(struct courier *courier, const struct msg *asked)
{
    if (asked->look.kind >= LOOK_KINDS || asked->look.port == 0)
        return err_detail(ERR_BUS_BROKEN, STR("a look at nothing"));
    return begin(courier, asked, look_run);
}

/* --- A policy -------------------------------------------------------------------------------- */

static size_t own_read(const struct msg_sts_look *asked, struct network own[OWN_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < asked->own_count && count < OWN_MAX; i++)
        count += network_address(asked->own[i].text, &own[count]);
    return count;
}

static void sts_run(void *arg)
{
    struct look *look = arg;
    const struct msg_sts_look *asked = &look->asked.sts_look;
    struct network own[OWN_MAX];
    const struct sts_order order = {.courier = look->courier,
                                    .conf = look->conf,
                                    .domain = asked->domain,
                                    .own = own,
                                    .own_count = own_read(asked, own)};
    struct sts_served *served = arena_new(&look->arena, struct sts_served);
    if (served) {
        sts_fetch(&order, &look->arena, served);
        struct msg msg = {.kind = MSG_sts_looked,
                          .sts_looked = {.result = (uint8_t)served->result,
                                         .why = str_from(served->why),
                                         .policy = served->text}};
        msg_set_call(&msg, asked->call);
        (void)courier_tell(look->courier, &msg); /* else nobody waits for it */
    }
    look_free(look);
}

struct err look_sts_begin(struct courier *courier, const struct msg *asked)
{
    return begin(courier, asked, sts_run);
}
