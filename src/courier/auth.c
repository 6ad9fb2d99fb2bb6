/*
 * Why one mechanism and no second try: what a host does not take by the strongest it offers, it
 * would not take by a weaker one either, and each failure brings us nearer to being locked out.
 *
 * The key of a SCRAM password is computed on a thread: other servers' mail must not wait for it.
 */
#include "courier/auth.h"

#include "courier/log_ins.h"
#include "courier/result.h"
#include "format/encodings.h"
#include "trust/sasl_client.h"

enum {
    LINE_MOST = 500, /* octets of AUTH with its response (RFC 4954 4); longer ones follow alone */
    CHALLENGES_MOST = 4,   /* of one dialogue */
    RESPONSE_MOST = 12288, /* octets of base64 (RFC 4954 4) */
    LOG_IN_FIRST = 530,
    TOO_WEAK = 534,
    NOT_TAKEN = 535,
    NOT_IN_CLEAR = 538,
};

struct log_in {
    struct job *job;
    struct connection *connection;
    struct talk *talk;
    struct sasl_identity identity;
    struct sasl_client client;
    unsigned char binding[TLS_BINDING_MAX];
    /* Of a step on the thread. */
    struct str challenge, answer;
    struct err e;
};

/* --- What is said when it fails ----------------------------------------------------------------
 */

/* "the smart host refuses our log-in (PLAIN): 535 5.7.8 no" */
static bool refused(struct log_in *in, const struct reply *reply, struct str why)
{
    struct job *job = in->job;
    struct buf text = BUF_INIT(JOB_TEXT_MAX);
    bool said = reply && reply->class != REPLY_SUCCESS && reply->class != REPLY_INTERMEDIATE;
    job_note(job, JOB_TROUBLE_LOGIN, said ? reply : NULL, why);
    if (said) {
        buf_put(&text, STR("the smart host refuses our log-in"));
        if (in->client.mechanism < SASL_MECHANISMS)
            buf_printf(&text, " (%.*s)", STR_FMT(sasl_name(in->client.mechanism)));
        buf_printf(&text, ": %u ", reply->code);
        buf_put(&text, str_head(job->noted.text, JOB_TEXT_MAX - text.n));
        job->noted.text = arena_str(&job->arena, buf_str(&text));
        if (!job->noted.text.p)
            job->noted.text = STR("");
    }
    buf_done(&text);
    return false;
}

static bool broken(struct log_in *in, enum talk_end end)
{
    job_note(in->job, JOB_TROUBLE_GREETING, NULL, talk_end_text(end, in->talk));
    return false;
}

/* --- Lines -------------------------------------------------------------------------------------
 */

/* A response alone, wiped behind it. */
static void response_say(struct log_in *in, struct str response)
{
    struct buf line = BUF_INIT(2 * SASL_MESSAGE_MAX);
    base64_print(&line, response);
    buf_put(&line, STR("\r\n"));
    talk_put(in->talk, buf_str(&line));
    str_wipe(buf_str(&line));
    buf_done(&line);
}

/* "=" is a response that is empty (RFC 4954 4). *later_r: it did not fit, and is said when asked
 * for. */
static void auth_say(struct log_in *in, struct str first, bool *later_r)
{
    struct str name = sasl_name(in->client.mechanism);
    struct buf line = BUF_INIT(2 * SASL_MESSAGE_MAX);
    *later_r = first.p && base64_encoded_size(first.n, false) > LINE_MOST;
    buf_printf(&line, "AUTH %.*s", STR_FMT(name));
    if (first.p && !*later_r) {
        buf_putc(&line, ' ');
        if (first.n > 0)
            base64_print(&line, first);
        else
            buf_putc(&line, '=');
    }
    buf_put(&line, STR("\r\n"));
    talk_put(in->talk, buf_str(&line));
    str_wipe(buf_str(&line));
    buf_done(&line);
}

/* Its text behind 334, or behind 235: base64, in one line; null: none. */
static bool text_read(struct log_in *in, struct str *text_r)
{
    struct str text = str_trim(talk_last(in->talk)->text);
    struct buf room = buf_in(&in->job->arena, RESPONSE_MOST + 3);
    bool good = text.n <= RESPONSE_MOST && base64_parse(text, &room);
    *text_r = buf_built(&room);
    return good && text_r->p;
}

/* --- The dialogue ------------------------------------------------------------------------------
 */

static void step_run(void *arg)
{
    struct log_in *in = arg;
    in->e = sasl_client_step(&in->client, in->challenge, &in->job->arena, &in->answer);
}

static void step(struct log_in *in)
{
    struct courier *courier = in->job->courier;
    if (!sasl_is_scram(in->client.mechanism)) { /* which takes long */
        step_run(in);
        return;
    }
    if (!courier->log_ins)
        courier->log_ins = log_ins_new(courier->loop);
    log_ins_call(courier->log_ins, step_run, in);
}

/* What it makes no sense to go on from (RFC 4954 4). */
static bool cancel(struct log_in *in, struct str why)
{
    talk_command(in->talk, "*");
    enum talk_end end = talk_reply(in->talk, WITHIN_AUTH);
    return end == TALK_REPLY ? refused(in, NULL, why) : broken(in, end);
}

static bool challenged(struct log_in *in, struct str kept, bool *later)
{
    if (*later) {
        response_say(in, kept);
        *later = false;
        return true;
    }
    if (!text_read(in, &in->challenge))
        return cancel(in, STR("the smart host's challenge is no base64"));
    step(in);
    if (err_is(in->e))
        return cancel(in, in->e.code == ERR_SASL_SYNTAX
                              ? STR("the smart host's challenge makes no sense")
                              : str_from(err_row(in->e.code)->text));
    response_say(in, in->answer);
    return true;
}

/* 235: it takes us. Does it know the password itself (RFC 5802 3)? */
static bool succeeded(struct log_in *in)
{
    struct str rest = talk_last(in->talk)->text, last = str_null();
    while (rest.n > 0)
        last = str_cut(&rest, ' ');
    struct buf room = buf_in(&in->job->arena, RESPONSE_MOST + 3);
    struct str text =
        last.n <= RESPONSE_MOST && base64_parse(last, &room) ? buf_built(&room) : str_null();
    if (sasl_client_end(&in->client, text))
        return true;
    return refused(in, NULL, STR("the smart host takes our log-in, and proves nothing itself"));
}

static bool dialogue(struct log_in *in, struct str first)
{
    bool later;
    auth_say(in, first, &later);
    for (size_t i = 0; i <= CHALLENGES_MOST; i++) {
        enum talk_end end = talk_reply(in->talk, WITHIN_AUTH);
        if (end != TALK_REPLY || talk_is_disturbed(in->talk))
            return broken(in, end);
        enum reply_class class = talk_last(in->talk)->class;
        if (class == REPLY_SUCCESS)
            return succeeded(in);
        if (class != REPLY_INTERMEDIATE)
            return refused(in, talk_last(in->talk), STR(""));
        if (!challenged(in, first, &later))
            return false;
    }
    return refused(in, NULL, STR("the smart host asks without an end"));
}

/* --- Which mechanism ---------------------------------------------------------------------------
 */

static unsigned offered_by(const struct connection *connection)
{
    struct str rest = capabilities_mechanisms(&connection->can);
    enum sasl_mechanism mechanism;
    unsigned all = 0;
    while (rest.n > 0)
        if (sasl_find(str_cut(&rest, ' '), &mechanism))
            all |= 1u << mechanism;
    return all;
}

static bool is_in_machine(const struct connection *connection)
{
    static const struct destination_rules none;
    return destination_judge(str_from(connection->ends.text), &none) == DESTINATION_LOOPBACK;
}

/* The one that its version has without a doubt (RFC 9266 1). */
static void binding_take(struct log_in *in)
{
    const struct stream *stream = &in->talk->stream;
    struct tls_facts facts;
    size_t length;
    stream_tls_facts(stream, &facts);
    bool newest = str_eq(facts.version, STR("TLSv1.3"));
    if (!stream_tls_binding(stream, newest ? TLS_BINDING_EXPORTER : TLS_BINDING_END_POINT,
                            in->binding, &length))
        return;
    in->identity.binding = str_make(in->binding, length);
    in->identity.binding_type = newest ? STR("tls-exporter") : STR("tls-server-end-point");
}

static struct sasl_identity identity_of(const struct job *job, const struct connection *connection)
{
    const struct msg_job *order = job->order;
    bool off = order->tls == CONF_ROUTE_TLS_OFF;
    return (struct sasl_identity){
        .user = order->user,
        .secret = order->password,
        .is_token = order->token != 0,
        .host = str_from(connection->host),
        .port = connection->ends.port,
        .encrypted = stream_tls_state(&connection->talk.stream) == STREAM_TLS_ON,
        .in_machine = off && is_in_machine(connection),
    };
}

static bool none_fits(struct log_in *in)
{
    struct buf text = BUF_INIT(JOB_TEXT_MAX);
    struct str names = capabilities_mechanisms(&in->connection->can);
    buf_printf(&text, "the smart host offers no way to log in that can be used here%s: ",
               in->identity.encrypted ? "" : " without encryption");
    buf_put(&text, names.n > 0 ? names : STR("none at all"));
    refused(in, NULL, buf_str(&text));
    buf_done(&text);
    return false;
}

/* RFC 5802 6: one that knows of no binding is told that we do, so that nobody has struck it out. */
static bool would_bind(const struct log_in *in, unsigned offered)
{
    unsigned plus = 1u << SASL_SCRAM_SHA_256_PLUS, allowed = in->job->order->mechanisms;
    return in->client.mechanism == SASL_SCRAM_SHA_256 && in->identity.binding_type.n > 0 &&
           !(offered & plus) && (!allowed || allowed & plus);
}

bool auth_log_in(struct job *job, struct connection *connection)
{
    struct log_in in = {.job = job, .connection = connection, .talk = &connection->talk};
    unsigned char random[SASL_CLIENT_NONCE];
    struct str first;
    if (job->order->user.n == 0)
        return true;
    unsigned offered = offered_by(connection);
    in.identity = identity_of(job, connection);
    if (in.identity.encrypted)
        binding_take(&in);
    in.client.mechanism = sasl_client_choose(&in.identity, offered, job->order->mechanisms);
    if (in.client.mechanism == SASL_MECHANISMS)
        return none_fits(&in);
    bool would = would_bind(&in, offered);
    world_random(job->courier->world, random, sizeof random);
    struct err e = sasl_client_begin(&in.client, in.client.mechanism, &in.identity, would, random,
                                     &job->arena, &first);
    if (err_is(e))
        return refused(&in, NULL, STR("our name or password cannot be said by the mechanism"));
    connection->logged_in = dialogue(&in, first);
    if (first.p)
        str_wipe(first);
    return connection->logged_in;
}

bool auth_is_meant(const struct job *job, const struct reply *reply)
{
    const struct status_code *status = &reply->status;
    if (job->order->via.n == 0)
        return false;
    if (reply->code == LOG_IN_FIRST || reply->code == TOO_WEAK || reply->code == NOT_TAKEN ||
        reply->code == NOT_IN_CLEAR)
        return true;
    /* RFC 4954 6; and how large providers say that today's limit is reached (5.4.5). */
    return status->class == 5 &&
           ((status->subject == 7 && (status->detail == 8 || status->detail == 9)) ||
            (status->subject == 4 && status->detail == 5));
}
