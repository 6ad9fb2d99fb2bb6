/*
 * A round trip to core per RCPT would bound the rate of a pipelining client by core's turns, so the
 * first RCPT looks ahead in what has already arrived. What is read ahead changes nothing: each
 * command is parsed and judged again when its turn comes, and takes an answer only if it asks the
 * very question that was answered. A RCPT that does not parse is left out; it fails by itself.
 *
 * Where all of a question's recipients are known (known.h) core is not asked at all: they get a 250
 * and no token, and the commit sees to it that core resolves them.
 *
 * A packet does not hold the longest 1,000 addresses: what is too much for one message is asked in
 * pieces, in the same transaction. Between two of them core may change; then no answer counts.
 */
#include "edge/smtp/resolve.h"

#include "edge/line.h"
#include "edge/smtp/commands.h"
#include "edge/smtp/reply.h"

enum {
    SHORTEST_RCPT = 13, /* RCPT TO:<a@b>, without CR LF */
    /* Octets of the addresses in one message: the other half of a packet is room for the envelope
     * and for what an address takes beside its octets. */
    PIECE_OCTETS = BUS_PACKET_MAX / 2,
};

struct question {
    struct msg_address *at;
    size_t count, room;
};

static bool expected_take(struct smtp_session *s, const struct msg_address *asked,
                          struct msg_answer *answer_r)
{
    struct smtp_mail *mail = s->mail;
    if (mail->expected_next >= mail->expected_count ||
        mail->expected_since != s->base.edge->core_since ||
        !str_eq(mail->expected[mail->expected_next].address, asked->text) ||
        !str_eq(mail->expected[mail->expected_next].asked, asked->asked))
        return false;
    *answer_r = mail->expected[mail->expected_next++].answer;
    return true;
}

/* What a pipelined RCPT names. False: the line is none that core would be asked. */
static bool asked_of(struct smtp_session *s, struct str text, struct msg_address *asked_r)
{
    struct smtp_arguments args = {.arena = &s->mail->arena};
    char room[ADDR_PATH_MAX];
    struct buf printed = {.p = room, .cap = sizeof room, .max = sizeof room};
    if (err_is(smtp_rcpt_parse(s, str_trim(text), &args)))
        return false;
    addr_print(&printed, &args.recipient);
    asked_r->text = buf_copy(&printed, args.arena);
    asked_r->asked = rcpt_options_keep(&args.options, args.arena);
    return asked_r->text.n > 0 && asked_r->asked.p;
}

static void look_ahead(struct smtp_session *s, struct str pending, struct question *question)
{
    struct str line;
    size_t used;
    while (question->count < question->room &&
           line_find(pending, SMTP_LINE_MAX, s->normalise, &line, &used) == LINE_WHOLE &&
           str_starts_nocase(line, STR("RCPT "))) {
        if (asked_of(s, str_from_index(line, 5), &question->at[question->count]))
            question->count++;
        pending = str_from_index(pending, used);
    }
}

static struct err question_make(struct smtp_session *s, const struct msg_address *asked,
                                struct question *question)
{
    struct str pending = stream_pending(&s->stream);
    if (str_starts_nocase(pending, STR("RCPT "))) {
        stream_read_more(&s->stream);
        pending = stream_pending(&s->stream);
    }
    uint64_t left = smtp_recipients_most(s) - s->mail->recipient_count;
    question->room = 1 + pending.n / SHORTEST_RCPT;
    if (question->room > left)
        question->room = left;
    if (question->room > SMTP_LOOK_AHEAD_MAX)
        question->room = SMTP_LOOK_AHEAD_MAX;
    question->at = arena_take_array(&s->mail->arena, question->room, sizeof *question->at);
    if (!question->at)
        return err_make(ERR_OVER_LIMIT);
    question->at[0] = *asked;
    question->count = 1;
    look_ahead(s, pending, question);
    return err_none();
}

static size_t octets_of(const struct msg_address *asked)
{
    return asked->text.n + asked->asked.n;
}

/* How many recipients from `first` on go into one message; one at least. */
static size_t piece_count(const struct question *question, size_t first)
{
    size_t octets = octets_of(&question->at[first]), count = 1;
    while (first + count < question->count &&
           octets + octets_of(&question->at[first + count]) <= PIECE_OCTETS)
        octets += octets_of(&question->at[first + count++]);
    return count;
}

/* May yield. */
static struct err ask_piece(struct smtp_session *s, struct msg_address *at, size_t count,
                            struct msg_resolved *resolved_r)
{
    struct smtp_mail *mail = s->mail;
    struct msg answer, msg = {.kind = MSG_resolve,
                              .resolve = {
                                  .transaction = mail->number,
                                  .transmission = (uint8_t)smtp_transmission(s),
                                  .command = (uint8_t)mail->command,
                                  .client = edge_session_client(&s->base),
                                  .server = str_from(s->base.server),
                                  .helo = smtp_helo(s),
                                  .reverse_path = mail->reverse_path,
                                  .size = mail->size,
                                  .login = smtp_is_submission(s) ? s->base.login.handle : 0,
                                  .asked = mail->asked,
                                  .recipients = at,
                                  .recipients_count = count,
                              }};
    struct err e = edge_ask(s->base.edge, &msg, &mail->arena, &answer);
    if (err_is(e))
        return e;
    if (answer.kind != MSG_resolved || answer.resolved.answers_count != count)
        return err_make(ERR_TRY_LATER);
    *resolved_r = answer.resolved;
    return err_none();
}

/* May yield. All recipients of a question, by one core, in one transaction. */
static struct err ask_pieces(struct smtp_session *s, const struct question *question,
                             struct msg_resolved *resolved_r)
{
    struct err e = err_none();
    struct msg_answer *answers =
        arena_take_array(&s->mail->arena, question->count, sizeof *answers);
    if (!answers)
        return err_make(ERR_OVER_LIMIT);
    uint64_t core = 0;
    for (size_t at = 0; at < question->count;) {
        size_t count = piece_count(question, at);
        e = ask_piece(s, question->at + at, count, resolved_r);
        if (at == 0)
            core = s->base.edge->core_since;
        if (!err_is(e) && s->base.edge->core_since != core)
            e = err_make(ERR_TRY_LATER);
        if (err_is(e))
            return e;
        memcpy(answers + at, resolved_r->answers, count * sizeof *answers);
        at += count;
    }
    resolved_r->answers = answers;
    resolved_r->answers_count = question->count;
    return e;
}

/* May yield. */
static struct err ask(struct smtp_session *s, const struct question *question,
                      struct msg_resolved *resolved_r)
{
    if (piece_count(question, 0) == question->count)
        return ask_piece(s, question->at, question->count, resolved_r);
    return ask_pieces(s, question, resolved_r);
}

static struct err answers_keep(struct smtp_session *s, const struct question *question,
                               const struct msg_answer *answers)
{
    struct smtp_mail *mail = s->mail;
    mail->expected = arena_take_array(&mail->arena, question->count, sizeof *mail->expected);
    mail->expected_count = mail->expected_next = 0;
    mail->expected_since = s->base.edge->core_since;
    if (!mail->expected)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < question->count; i++)
        mail->expected[i] = (struct smtp_expected){
            .address = question->at[i].text, .asked = question->at[i].asked, .answer = answers[i]};
    mail->expected_count = question->count;
    return err_none();
}

/* --- Answered without core --- */

/* Core's word counts for a while; what it said before a change that it told counts no more. */
static void known_learn(struct smtp_session *s, const struct question *question,
                        const struct msg_answer *answers)
{
    struct str server = str_from(s->base.server);
    for (size_t i = 0; i < question->count; i++) {
        if (answers[i].error == ERR_NONE && answers[i].lasts)
            smtp_known_add(s->base.edge, question->at[i].text, server);
    }
}

static bool are_known(struct smtp_session *s, const struct question *question)
{
    struct edge *edge = s->base.edge;
    /* What an account sends is counted, and who is on changes: core is always asked. */
    if (smtp_is_submission(s) || s->mail->command != MAIL_MAIL || !edge->core_up ||
        s->mail->size > SMTP_KNOWN_SIZE)
        return false;
    for (size_t i = 0; i < question->count; i++)
        if (!smtp_known_has(edge, question->at[i].text, str_from(s->base.server)))
            return false;
    return true;
}

/* COMMIT names them, or they are asked for before it. */
static struct err accept_known(struct smtp_session *s, const struct question *question)
{
    struct msg_answer *answers =
        arena_take_array(&s->mail->arena, question->count, sizeof *answers);
    if (!answers)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < question->count; i++)
        answers[i] = (struct msg_answer){.reply = 250};
    s->mail->unnamed = true;
    return answers_keep(s, question, answers);
}

/* --- Answered by core --- */

/* May yield. */
static struct err ask_core(struct smtp_session *s, const struct question *question)
{
    struct smtp_mail *mail = s->mail;
    struct edge *edge = s->base.edge;
    struct msg_resolved resolved;
    uint64_t changes = edge->directory_changes;
    struct err e = ask(s, question, &resolved);
    if (err_is(e))
        return e;
    /* Recipients that an earlier core accepted must be named again before the commit. */
    if (mail->recipient_count > 0 && mail->core_since != edge->core_since)
        mail->stale = true;
    mail->core_since = edge->core_since;
    mail->message = resolved.message;
    if (changes == edge->directory_changes && !smtp_is_submission(s))
        known_learn(s, question, resolved.answers);
    return answers_keep(s, question, resolved.answers);
}

struct err smtp_resolve(struct smtp_session *s, const struct msg_address *asked,
                        struct msg_answer *answer_r)
{
    struct question question;
    if (expected_take(s, asked, answer_r))
        return err_none();
    struct err e = question_make(s, asked, &question);
    if (!err_is(e))
        e = are_known(s, &question) ? accept_known(s, &question) : ask_core(s, &question);
    if (err_is(e))
        return e;
    return expected_take(s, asked, answer_r) ? err_none() : err_make(ERR_TRY_LATER);
}

/* Some of its recipients may be known by the old number to the core that is there now. */
static void number_renew(struct smtp_session *s)
{
    struct edge *edge = s->base.edge;
    struct msg msg = {.kind = MSG_forget, .forget = {.transaction = s->mail->number}};
    if (s->mail->core_since == edge->core_since)
        edge_tell(edge, &msg);
    s->mail->number = ++edge->transactions;
}

void smtp_refused_after_all(struct smtp_session *s, size_t recipient, enum err_code error,
                            struct str text)
{
    struct str address = s->mail->recipients[recipient].address;
    smtp_known_drop(s->base.edge, address, str_from(s->base.server));
    smtp_tell_refused(s, "RCPT", error, address, text);
}

bool smtp_may_name_addresses(const struct smtp_session *s)
{
    const struct smtp_mail *mail = s->mail;
    size_t octets = 0;
    for (size_t i = 0; i < mail->recipient_count; i++)
        octets += mail->recipients[i].address.n + mail->recipients[i].asked.n;
    return mail->unnamed && !mail->stale && mail->core_since == 0 && octets <= PIECE_OCTETS;
}

struct err smtp_resolve_again(struct smtp_session *s)
{
    struct smtp_mail *mail = s->mail;
    struct msg_resolved resolved;
    struct question question = {.count = mail->recipient_count};
    question.at = arena_take_array(&mail->arena, question.count, sizeof *question.at);
    if (!question.at)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < question.count; i++)
        question.at[i] = (struct msg_address){.text = mail->recipients[i].address,
                                              .asked = mail->recipients[i].asked};
    number_renew(s);
    struct err e = ask(s, &question, &resolved);
    if (err_is(e))
        return e;
    mail->core_since = s->base.edge->core_since;
    for (size_t i = 0; i < question.count; i++) {
        const struct msg_answer *answer = &resolved.answers[i];
        mail->recipients[i].token = answer->token;
        if (answer->error == ERR_NONE)
            continue;
        smtp_refused_after_all(s, i, (enum err_code)answer->error, answer->text);
        e = err_make(ERR_TRY_LATER); /* and then RCPT is answered with the reason */
    }
    if (err_is(e))
        return e;
    mail->message = resolved.message;
    mail->stale = mail->unnamed = false;
    return err_none();
}
