/*
 * Everything that may be said without an answer is said in one go (RFC 2920), a small message by
 * BDAT with it. The answers are then read in order, each held against the command it is for. A peer
 * that answers less, more, or what no command of its kind may be answered is not talked with any
 * longer: who counts answers otherwise than we do would take one recipient's word for another's.
 *
 * With its envelope a message leaves only to a host that is known to count (manners.h). What it
 * says too much is looked for wherever nothing is asked; behind an answer that came too early it is
 * not known whether the message is there.
 *
 * On a connection that has served before, the content does not leave before the envelope was
 * answered: it may have gone away while it rested, and a message that was whole on the wire then
 * could be there or not.
 */
#include "courier/transaction.h"

#include "courier/content.h"
#include "courier/convert.h"
#include "courier/manners.h"
#include "courier/require.h"
#include "courier/result.h"
#include "format/date.h"
#include "format/mail_options.h"

enum {
    RECIPIENTS_MAX = 100,        /* of a job (messages.def) */
    AT_ONCE_MAX = CONTENT_PIECE, /* octets of a message that leave with its envelope */
    CLOSING = 421,
    GO_ON = 354,
    TOO_MANY = 452,
    TOO_MANY_OLD = 552,
    OF_MAILBOX = 2, /* subjects of a status (RFC 3463 3): one mailbox, */
    OF_SYSTEM = 3,  /* the host itself, */
    OF_NETWORK = 4, /* and its way to others */
    BODY_8BIT = 1,  /* of MSG_job */
    BODY_BINARY = 2,
};

struct transaction {
    struct job *job;
    struct connection *connection;
    struct talk *talk;
    struct mail_options asked;
    struct conversion *conversion; /* NULL: as it is stored */
    uint8_t body_type;             /* as it leaves */
    struct content content;
    size_t tried[RECIPIENTS_MAX], tried_count; /* recipients of this transaction, in order */
    bool accepted[RECIPIENTS_MAX];
    size_t accepted_count;
    size_t system_count; /* recipients who hear "later", and that it is the host's trouble */
    bool pipelines;
    bool enveloped; /* all answers to the envelope were heard */
    bool chunks;    /* BDAT */
    bool at_once;   /* the content leaves with the envelope */
    bool heard;     /* it has said something about this message */
    bool taken;     /* MAIL was */
    bool called;    /* DATA, or the last BDAT, was said */
    bool left_all;  /* the end of the content is on its way */
    bool too_many;  /* recipients are left for another transaction */
    bool closes;    /* 421 */
    bool gave_up;   /* core does not give the content */
    enum talk_end broke;
};

/* --- What it can do -------------------------------------------------------------------------- */

static bool can(const struct transaction *t, enum capability capability)
{
    return capabilities_have(&t->connection->can, capability);
}

static void asked_read(struct transaction *t)
{
    if (!mail_options_read(t->job->order->asked, &t->asked) || !mail_options_possible(&t->asked))
        t->asked = (struct mail_options){.ret = DSN_RETURN_UNSAID};
    t->asked.require_tls = require_tls(t->job); /* said by a way alone that keeps it */
}

/* RFC 2852 4.1.4.1: what is to come back where it cannot be there in time goes to nobody who does
 * not say that he keeps to that. LMTP is the delivery itself. */
static bool may_be_timed(const struct transaction *t)
{
    int64_t now = world_wall(t->job->courier->world) / US_PER_SECOND;
    int64_t left = t->asked.deliver_by - now;
    if (t->asked.deliver_by_mode != DELIVER_BY_RETURN || t->connection->lmtp)
        return true;
    return can(t, CAPABILITY_DELIVERBY) && (int64_t)t->connection->can.deliver_by_min <= left;
}

/* A command submits, so it is not the host that holds (RFC 4865 4.2). */
static bool is_held_there(const struct transaction *t)
{
    return t->job->order->submits &&
           t->asked.hold_until > world_wall(t->job->courier->world) / US_PER_SECOND;
}

/* RFC 8689 4.2.1: another host of the domain may. */
static bool promises(const struct transaction *t)
{
    bool misses = t->asked.require_tls && !can(t, CAPABILITY_REQUIRETLS);
    if (misses)
        require_miss(t->job, REQUIRE_NO_PROMISE,
                     STR("it promises no TLS all the way (REQUIRETLS)"));
    return !misses;
}

/* What the message needs and this host does not have ends it here: the other hosts of a domain are
 * seldom better, and its sender is to hear of it today. */
static bool fits(struct transaction *t)
{
    struct job *job = t->job;
    const struct msg_job *order = job->order;
    if (order->utf8 && !can(t, CAPABILITY_SMTPUTF8))
        results_say(job, JOB_FAILED, "5.6.7",
                    STR("it takes no addresses and headers beyond ASCII (SMTPUTF8)"));
    else if (t->connection->can.size > 0 && order->size > t->connection->can.size)
        results_say(job, JOB_FAILED, "5.3.4", STR("the message is larger than it takes (SIZE)"));
    else if (!may_be_timed(t))
        results_say(job, JOB_FAILED, "5.4.7",
                    STR("it does not promise to deliver in time or to return (DELIVERBY)"));
    else if (is_held_there(t) && !can(t, CAPABILITY_FUTURERELEASE))
        results_say(job, JOB_FAILED, "5.3.3", STR("it holds no messages (FUTURERELEASE)"));
    else
        return true;
    return false;
}

/* Of what was stored, or of what is made of it where it takes less. */
static bool body_fits(struct transaction *t)
{
    bool binary = t->job->order->body_type == BODY_BINARY, eight = can(t, CAPABILITY_8BITMIME);
    t->body_type = t->job->order->body_type;
    if (binary ? can(t, CAPABILITY_BINARYMIME) : t->body_type != BODY_8BIT || eight)
        return true;
    t->body_type = eight ? BODY_8BIT : 0;
    t->conversion = calloc(1, sizeof *t->conversion);
    if (!t->conversion) {
        results_say(t->job, JOB_LATER, "4.3.0", STR("this server is short of memory"));
        return false;
    }
    enum conversion_end end =
        conversion_look(t->conversion, t->job, eight ? DOWNCONVERT_TO_8BIT : DOWNCONVERT_TO_7BIT);
    if (end == CONVERSION_CAN)
        return true;
    conversion_done(t->conversion);
    free(t->conversion);
    t->conversion = NULL;
    return end == CONVERSION_NONE;
}

/* --- Answers --------------------------------------------------------------------------------- */

static bool lost(struct transaction *t, enum talk_end how)
{
    t->broke = how;
    return false;
}

/* The next answer. False: there is none, or none that an envelope can have. */
static bool answer(struct transaction *t, int64_t within)
{
    enum talk_end end = talk_reply(t->talk, within);
    if (end != TALK_REPLY)
        return lost(t, end);
    t->heard = true;
    t->closes = talk_last(t->talk)->code == CLOSING;
    return true;
}

static bool envelope_answer(struct transaction *t, int64_t within)
{
    if (!answer(t, within))
        return false;
    if (t->closes)
        return lost(t, TALK_CLOSED);
    return talk_last(t->talk)->class != REPLY_INTERMEDIATE || lost(t, TALK_BROKEN);
}

/* Nothing is asked at present. */
static bool is_in_step(struct transaction *t)
{
    return !talk_is_ahead(t->talk) || lost(t, TALK_BROKEN);
}

static void tried_decide(struct transaction *t, bool accepted_only)
{
    const struct reply *reply = talk_last(t->talk);
    for (size_t i = 0; i < t->tried_count; i++)
        if (!accepted_only || t->accepted[i])
            result_by_reply(t->job, t->tried[i], reply);
}

static bool is_about_itself(const struct reply *reply)
{
    return reply->class == REPLY_TRANSIENT &&
           (reply->status.subject == OF_SYSTEM || reply->status.subject == OF_NETWORK);
}

/* It says so about itself, not about a message. */
static void is_busy(struct transaction *t)
{
    t->job->trouble = JOB_TROUBLE_BUSY;
}

/* --- The envelope ---------------------------------------------------------------------------- */

static void mail_say(struct transaction *t, struct buf *line)
{
    static const char *const bodies[] = {"", " BODY=8BITMIME", " BODY=BINARYMIME"};
    const struct msg_job *order = t->job->order;
    buf_printf(line, "MAIL FROM:<%.*s>", STR_FMT(order->sender));
    if (can(t, CAPABILITY_SIZE))
        buf_printf(line, " SIZE=%llu", (unsigned long long)order->size);
    if (t->body_type < sizeof bodies / sizeof *bodies)
        buf_put(line, str_from(bodies[t->body_type]));
    if (order->utf8)
        buf_put(line, STR(" SMTPUTF8"));
    if (t->connection->logged_in && can(t, CAPABILITY_AUTH))
        buf_put(line, STR(" AUTH=<>")); /* RFC 4954 5: we do not say who gave it to us */
    int64_t now = world_wall(t->job->courier->world) / US_PER_SECOND;
    mail_options_print(line, &t->asked, &t->connection->can, now);
    if (is_held_there(t)) {
        buf_put(line, STR(" HOLDUNTIL="));
        date_print_rfc3339(line, t->asked.hold_until);
    }
    talk_line(t->talk, line);
}

static void rcpt_say(struct transaction *t, size_t recipient, struct buf *line)
{
    const struct msg_job_recipient *to = &t->job->order->recipients[recipient];
    struct rcpt_options asked;
    if (!rcpt_options_read(to->asked, &asked) || !rcpt_options_possible(&asked))
        asked = (struct rcpt_options){.notify = 0};
    buf_printf(line, "RCPT TO:<%.*s>", STR_FMT(to->address));
    rcpt_options_print(line, &asked, &t->connection->can, t->job->order->utf8);
    talk_line(t->talk, line);
}

static bool mail_heard(struct transaction *t)
{
    if (!envelope_answer(t, WITHIN_MAIL))
        return false;
    t->taken = talk_last(t->talk)->class == REPLY_SUCCESS;
    if (!t->taken)
        tried_decide(t, false);
    /* A status tells who is meant: a sender who is not known yet, say. */
    const struct reply *reply = talk_last(t->talk);
    if (reply->class == REPLY_TRANSIENT && (!reply->status.class || is_about_itself(reply)))
        is_busy(t);
    return true;
}

/* 552 was what servers said before 452 (RFC 5321 4.5.3.1.10); of one mailbox it is full. */
static bool is_too_many(const struct reply *reply)
{
    return (reply->code == TOO_MANY || reply->code == TOO_MANY_OLD) &&
           reply->status.subject != OF_MAILBOX;
}

static bool rcpt_heard(struct transaction *t, size_t place)
{
    if (!envelope_answer(t, WITHIN_RCPT))
        return false;
    const struct reply *reply = talk_last(t->talk);
    if (!t->taken)
        return true; /* what it says to a recipient of nothing means nothing */
    t->accepted[place] = reply->class == REPLY_SUCCESS;
    t->accepted_count += t->accepted[place];
    t->system_count += is_about_itself(reply);
    if (is_too_many(reply) && t->accepted_count > 0)
        t->too_many = true; /* stays undecided: for the next transaction */
    else if (is_too_many(reply))
        result_later(t->job, t->tried[place], reply);
    else if (!t->accepted[place])
        result_by_reply(t->job, t->tried[place], reply);
    return true;
}

static void chunk_put(struct transaction *t);

/* Behind the recipients, where no answer is waited for. */
static void content_call(struct transaction *t)
{
    t->called = t->at_once || !t->chunks;
    if (t->at_once)
        chunk_put(t);
    else if (!t->chunks)
        talk_command(t->talk, "DATA");
}

static bool envelope_in_one(struct transaction *t, struct buf *line)
{
    mail_say(t, line);
    for (size_t i = 0; i < t->tried_count; i++)
        rcpt_say(t, t->tried[i], line);
    content_call(t);
    if (!mail_heard(t))
        return false;
    for (size_t i = 0; i < t->tried_count; i++)
        if (!rcpt_heard(t, i))
            return false;
    return true;
}

static bool envelope_in_turn(struct transaction *t, struct buf *line)
{
    mail_say(t, line);
    if (!mail_heard(t))
        return false;
    for (size_t i = 0; t->taken && i < t->tried_count; i++) {
        if (!is_in_step(t))
            return false;
        rcpt_say(t, t->tried[i], line);
        if (!rcpt_heard(t, i))
            return false;
    }
    return is_in_step(t);
}

static bool envelope(struct transaction *t)
{
    char room[TALK_COMMAND_MAX];
    struct buf line = talk_line_in(room);
    int64_t since = t->job->courier->loop->now;
    talk_limit(t->talk, since + LIMIT_ENVELOPE);
    bool heard = t->pipelines ? envelope_in_one(t, &line) : envelope_in_turn(t, &line);
    t->enveloped = heard;
    job_spends(t->job, PHASE_ENVELOPE, since);
    /* "Later" to all is greylisting, mostly: it is about them, unless it says that it is not. */
    if (heard && t->tried_count > 0 && t->system_count == t->tried_count)
        is_busy(t);
    return heard;
}

/* --- The content ----------------------------------------------------------------------------- */

/* Core hears of it before the other side does: what it is told in this turn leaves first (talk.h).
 */
static void dot_say(struct transaction *t)
{
    struct msg msg = {.kind = MSG_job_dot, .job_dot = {.job = t->job->order->job}};
    (void)courier_tell(t->job->courier, &msg); /* else the next core hears it in `jobs` */
    t->left_all = true;
    job_moves(t->job, JOB_DOTTED); /* J3 -> J4: the end is about to leave */
}

/* By BDAT (RFC 3030 2): the size is that of what leaves. */
static void chunk_put(struct transaction *t)
{
    const struct content *content = &t->content;
    if (content->ended)
        dot_say(t);
    talk_command(t->talk, "BDAT %zu%s", content->piece.n, content->ended ? " LAST" : "");
    talk_put(t->talk, buf_str(&content->piece));
}

static void piece_put(struct transaction *t)
{
    if (t->content.ended)
        dot_say(t);
    talk_put(t->talk, buf_str(&t->content.piece));
}

static bool piece_fetch(struct transaction *t)
{
    struct err e = content_next(&t->content);
    if (!err_is(e))
        return true;
    t->gave_up = true; /* the connection ends in front of the dot: nothing was sent */
    if (!t->job->unknown)
        log_err(t->job->courier->log, "content_lost", e);
    return lost(t, TALK_CLOSED);
}

/* Until the other side has taken most of a piece, or speaks though it has not got all. */
static bool piece_taken(struct transaction *t)
{
    int64_t deadline = t->job->courier->loop->now + WITHIN_PIECE;
    if (t->talk->limit < deadline)
        deadline = t->talk->limit;
    if (t->chunks)
        return answer(t, WITHIN_PIECE);
    return stream_drain(&t->talk->stream, deadline) || talk_is_disturbed(t->talk) ||
           lost(t, TALK_LATE);
}

/* A chunk was refused, or it speaks too early: it has seen enough. */
static bool is_interrupted(struct transaction *t)
{
    if (t->chunks)
        return t->closes || (t->heard && talk_last(t->talk)->class != REPLY_SUCCESS);
    return talk_is_disturbed(t->talk);
}

/* False: it was lost. True and not left_all: it spoke before the end. */
static bool content_send(struct transaction *t)
{
    bool interrupted = false;
    while (!t->left_all && !interrupted) {
        if (!piece_fetch(t))
            return false;
        if (!t->chunks && talk_is_disturbed(t->talk))
            return true;
        if (t->chunks && !is_in_step(t))
            return false;
        if (t->chunks)
            chunk_put(t);
        else
            piece_put(t);
        if (!t->left_all && !piece_taken(t))
            return false;
        interrupted = !t->left_all && is_interrupted(t);
    }
    return true;
}

/* One answer for all who were accepted; LMTP: one for each (RFC 2033 4.2). */
static bool end_heard(struct transaction *t)
{
    bool each = t->connection->lmtp;
    for (size_t i = 0; i < t->tried_count; i++) {
        if (!t->accepted[i])
            continue;
        if (!answer(t, WITHIN_DOT))
            return false;
        if (talk_last(t->talk)->class == REPLY_INTERMEDIATE)
            return lost(t, TALK_BROKEN);
        if (t->closes)
            is_busy(t);
        if (!each && t->at_once && !is_in_step(t))
            return false; /* which of them is the message's? */
        if (!each) {
            tried_decide(t, true);
            return true;
        }
        result_by_reply(t->job, t->tried[i], talk_last(t->talk));
    }
    return true;
}

/* It spoke before it had all: a refusal is one, 421 is its end, whatever else it says is nonsense.
 */
static bool early_heard(struct transaction *t)
{
    if (!t->chunks && !answer(t, WITHIN_DATA))
        return false;
    if (t->closes)
        return lost(t, TALK_CLOSED);
    if (talk_last(t->talk)->class < REPLY_TRANSIENT)
        return lost(t, TALK_BROKEN);
    tried_decide(t, true);
    return true;
}

/* DATA's own answer. False: no content is to follow, whatever the reason. */
static bool data_allowed(struct transaction *t, bool *alive_r)
{
    if (!t->called)
        talk_command(t->talk, "DATA");
    t->called = true;
    *alive_r = answer(t, WITHIN_DATA);
    if (!*alive_r)
        return false;
    const struct reply *reply = talk_last(t->talk);
    if (reply->code == GO_ON)
        return true;
    if (t->closes)
        *alive_r = lost(t, TALK_CLOSED);
    else if (reply->class < REPLY_TRANSIENT)
        *alive_r = lost(t, TALK_BROKEN);
    else
        tried_decide(t, true);
    return false;
}

/* Nobody was accepted, and yet it says 354: the dot alone, which it has to refuse (RFC 2920 3.1).
 * Should it not, an empty message has no recipients. */
static bool nobody(struct transaction *t)
{
    if (!t->called)
        return true;
    if (!answer(t, WITHIN_DATA))
        return false;
    if (t->chunks || talk_last(t->talk)->code != GO_ON)
        return !t->closes || lost(t, TALK_CLOSED);
    talk_put(t->talk, STR(".\r\n"));
    return answer(t, WITHIN_DOT);
}

/* From the envelope to the last answer. False: lost. */
static bool content_deliver(struct transaction *t)
{
    struct loop *loop = t->job->courier->loop;
    int64_t since = loop->now;
    bool alive = true;
    if (!t->chunks && !data_allowed(t, &alive))
        return alive;
    talk_limit(t->talk, since + LIMIT_CONTENT);
    alive = t->at_once || content_send(t);
    job_spends(t->job, PHASE_CONTENT, since);
    if (!alive)
        return false;
    since = loop->now;
    talk_limit(t->talk, since + LIMIT_END);
    alive = t->left_all ? end_heard(t) : early_heard(t);
    job_spends(t->job, PHASE_DOT, since);
    return alive;
}

/* --- One after the other --------------------------------------------------------------------- */

/* Those that are undecided, as many as it takes at a time. */
static void recipients_choose(struct transaction *t)
{
    size_t most = t->connection->can.rcpt_max;
    if (most == 0 || most > RECIPIENTS_MAX)
        most = RECIPIENTS_MAX;
    t->tried_count = t->accepted_count = t->system_count = 0;
    for (size_t i = 0; i < t->job->order->recipients_count && t->tried_count < most; i++)
        if (result_is_open(t->job, i))
            t->tried[t->tried_count++] = i;
    memset(t->accepted, 0, sizeof t->accepted);
}

static void round_begin(struct transaction *t)
{
    const struct msg_job *order = t->job->order;
    bool binary = t->body_type == BODY_BINARY;
    recipients_choose(t);
    enum manner manner = manners_of(t->job->courier->manners, str_from(t->connection->host),
                                    t->job->courier->loop->now);
    t->taken = t->called = t->left_all = t->closes = t->enveloped = false;
    t->pipelines = can(t, CAPABILITY_PIPELINING) && manner != MANNER_ALONE;
    t->chunks =
        can(t, CAPABILITY_CHUNKING) && !t->conversion && (binary || order->size <= AT_ONCE_MAX);
    t->at_once = t->chunks && t->pipelines && order->size <= AT_ONCE_MAX && !t->connection->used &&
                 manner == MANNER_COUNTS;
    enum content_form form = t->chunks ? CONTENT_CHUNKS : CONTENT_DOTS;
    content_begin(&t->content, t->job, binary ? CONTENT_AS_IS : form,
                  t->conversion ? &t->conversion->downconvert : NULL);
    t->connection->messages++;
}

/* A transaction that was begun and has no end. */
static bool reset(struct transaction *t)
{
    talk_command(t->talk, "RSET");
    return answer(t, WITHIN_RSET) && talk_last(t->talk)->class == REPLY_SUCCESS;
}

/* False: lost; what it said before stays. */
static bool round_run(struct transaction *t)
{
    if (t->at_once && !piece_fetch(t))
        return false;
    if (!envelope(t))
        return false;
    return t->accepted_count > 0 ? content_deliver(t) : nobody(t);
}

static void manner_learn(struct transaction *t, enum manner manner)
{
    struct courier *courier = t->job->courier;
    manners_learn(courier->manners, str_from(t->connection->host), manner, courier->loop->now);
}

/* It ended, fell silent or lost count while there was more than one command to answer. A connection
 * that had gone while it rested says nothing. */
static void lost_learn(struct transaction *t)
{
    bool rested = t->connection->used && !t->heard;
    if (t->pipelines && !t->closes && !t->gave_up && !rested &&
        (!t->enveloped || t->broke == TALK_BROKEN))
        manner_learn(t, MANNER_ALONE);
}

static enum transaction_end lost_end(struct transaction *t)
{
    struct job *job = t->job;
    lost_learn(t);
    if (t->left_all && results_open(job) > 0) {
        job->dotted = true; /* it may be there, or not */
        job->trouble = JOB_TROUBLE_BUSY;
        results_say(
            job, JOB_LATER, "4.4.2",
            STR("the connection was lost behind the end of the message, before an answer came"));
    }
    job->given_up |= t->gave_up;
    if (t->gave_up)
        return TRANSACTION_LOST;
    job_note(job, JOB_TROUBLE_BUSY, t->closes ? talk_last(t->talk) : NULL,
             talk_end_text(t->broke, t->talk));
    return TRANSACTION_LOST;
}

/* The message is over here; is the connection good for another one? */
static enum transaction_end round_end(struct transaction *t)
{
    bool open = t->taken && !(t->left_all && t->accepted_count > 0);
    if (t->pipelines && t->taken && !talk_is_ahead(t->talk))
        manner_learn(t, MANNER_COUNTS);
    if (t->job->state == JOB_DOTTED)
        t->job->state = JOB_IN_TRANSACTION; /* J4 -> J3: it was answered */
    if (t->closes || talk_is_disturbed(t->talk))
        return TRANSACTION_LAST;
    if (open && t->accepted_count > 0 && !t->chunks && t->content.at > 0)
        return TRANSACTION_LAST; /* it spoke in the middle of the content */
    talk_limit(t->talk, INT64_MAX);
    return !open || reset(t) ? TRANSACTION_OVER : TRANSACTION_LAST;
}

static enum transaction_end round_of(struct transaction *t)
{
    round_begin(t);
    enum transaction_end end = round_run(t) ? round_end(t) : lost_end(t);
    content_done(&t->content);
    return end;
}

enum transaction_end transaction_run(struct job *job, struct connection *connection)
{
    struct transaction t = {.job = job, .connection = connection, .talk = &connection->talk};
    enum transaction_end end = TRANSACTION_OVER;
    asked_read(&t);
    job_moves(job, JOB_IN_TRANSACTION); /* J2 -> J3 */
    if (!promises(&t))
        return TRANSACTION_MISSED;
    if (!fits(&t) || !body_fits(&t))
        return end;
    job->reports = can(&t, CAPABILITY_DSN);
    while (end == TRANSACTION_OVER && results_open(job) > 0) {
        size_t before = results_open(job);
        if (!connection_has_room(connection, job->conf))
            results_say(job, JOB_LATER, "4.5.3",
                        STR("it takes no more messages by one connection"));
        else
            end = round_of(&t);
        if (results_open(job) == before) /* as if each answer had been "too many" */
            break;
    }
    if (t.conversion)
        conversion_done(t.conversion);
    free(t.conversion);
    return end;
}
