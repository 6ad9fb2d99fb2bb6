/*
 * A host's session follows what RFC 5321 asks of a client: it says the next thing when it may, and
 * reads replies in order. What it wants to send is decided before; what goes wrong, when it begins.
 *
 * The one moment that matters is the last octet of a message: once it is on the wire the outcome is
 * the server's, and without a reply it is unknown.
 */
#include "sim.h"

#include "base/must.h"

enum {
    CHUNK_MOST = 40000,
    LINE_MOST = 300,
    OPTIONS_MOST = 100,
    DRIP_OCTETS = 8000, /* of a session that drips, at most */
};

/* smtp.command_timeout: no edge gives up a client of a lost connection earlier. */
#define GIVES_UP (300 * NS_PER_SECOND)
#define PATIENCE (12 * 60 * NS_PER_SECOND)
/* The server sees every lost connection by then, and still remembers it (smtp.resent_window). */
#define RETURN_LEAST (120 * NS_PER_SECOND)
#define RETURN_SPAN (240 * NS_PER_SECOND)
#define USUAL_RETURN (20 * NS_PER_SECOND)
#define LIMITED_RETURN (3600 * NS_PER_SECOND) /* who sent too much */
#define SILENT_RETURN (420 * NS_PER_SECOND)   /* after a connection the server was not told about */

static void leave(struct host *host, enum dialog_end how);

static struct letter *letter_now(const struct host *host)
{
    return host->letter_at < host->letter_count ? host->letters[host->letter_at] : NULL;
}

/* --- What is due ----------------------------------------------------------------------------- */

void host_give(struct host *host, struct letter *letter, int64_t at)
{
    host->due = realloc(host->due, (host->due_count + 1) * sizeof(*host->due));
    must(host->due);
    host->due[host->due_count++] = (struct letter_due){letter, at};
    host->idle = false;
}

static void wake_later(struct host *host)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < host->due_count; i++)
        if (host->due[i].at < at)
            at = host->due[i].at;
    int64_t now = sim_now(host->sim);
    host->idle = host->due_count == 0;
    if (host->idle)
        sim_look_done(host->sim);
    else
        fake_event_set(host->sim->fake, &host->wake, at > now ? at : now + NS_PER_MS);
}

static void letters_take(struct host *host)
{
    size_t most = 1 + sim_below(host->sim, SESSION_LETTERS);
    int64_t now = sim_now(host->sim);
    host->letter_count = host->letter_at = 0;
    for (size_t i = 0; i < host->due_count && host->letter_count < most;) {
        if (host->due[i].at > now) {
            i++;
            continue;
        }
        host->letters[host->letter_count++] = host->due[i].letter;
        host->due[i] = host->due[--host->due_count];
    }
}

/* --- Attempts and their ends ----------------------------------------------------------------- */

static void again(struct host *host, struct letter *letter, int64_t after)
{
    if (letter->attempts < LETTER_ATTEMPTS || (host->sim->calm && !host->limited))
        host_give(host, letter, sim_now(host->sim) + after);
}

static void retry_unknown(struct host *host, struct letter *letter, bool silent)
{
    struct sim *sim = host->sim;
    if (letter->attempts >= LETTER_ATTEMPTS || sim_below(sim, 5) == 0)
        return; /* it gives up, and will never know */
    if (sim_below(sim, 3) == 0) {
        letter->loose = true;
        again(host, letter, (int64_t)sim_below(sim, NS_PER_SECOND));
    } else {
        again(host, letter,
              (silent ? SILENT_RETURN : RETURN_LEAST) + (int64_t)sim_below(sim, RETURN_SPAN));
    }
}

/* Since when the server may know that the session of the message in question is over: the client of
 * a connection that the network lost learns of it later. A user's may have ended at any time, by a
 * new password. */
static int64_t known_since(const struct host *host)
{
    int64_t now = sim_now(host->sim);
    if (host->user >= 0 || host_edge_died(host, &host->witness))
        return host->question_at;
    return now < host->question_at + GIVES_UP ? now : host->question_at + GIVES_UP;
}

/* The message whose reply did not come. */
static void question_ended(struct host *host, bool silent)
{
    struct letter *letter = host->in_question;
    host->in_question = NULL;
    if (!letter)
        return;
    if (host->dialog.spoken < host->question_end) {
        letter_refused(&host->sim->oracle, letter);
        again(host, letter, (int64_t)sim_below(host->sim, 2 * NS_PER_SECOND));
        return;
    }
    sim_say(host->sim, "host %d: letter %llu unknown", host->number,
            (unsigned long long)letter->number);
    /* A message that some recipients were refused is not recognised (core/accept.c). */
    if (host->runs_ahead || (host->lmtp && host_names_full(host, letter)))
        letter->loose = true;
    struct reach reach = host_reach(host, letter, host->outcomes_good > 0);
    mailer_sent(host, letter, false);
    weather_at_drop(&host->sim->weather);
    if (host->outcomes_good) { /* it knows enough, and does not come back for the others */
        letter_accepted(&host->sim->oracle, letter, &reach, host_forgotten(host, letter));
        return;
    }
    host_witness_keep(host, letter);
    letter_unknown(&host->sim->oracle, letter, &reach, known_since(host),
                   host_forgotten(host, letter));
    retry_unknown(host, letter, silent);
}

/* The letter that was begun and not said to its end. */
static void attempt_ended(struct host *host)
{
    struct letter *letter = letter_now(host);
    if (!letter || host->saying < SAY_RCPT || host->saying > SAY_CHUNK)
        return;
    letter_refused(&host->sim->oracle, letter);
    again(host, letter, (int64_t)sim_below(host->sim, 2 * NS_PER_SECOND));
    host->letter_at++;
}

static void session_over(struct host *host, bool silent)
{
    mailer_over(host);
    fake_event_clear(host->sim->fake, &host->limit);
    fake_event_clear(host->sim->fake, &host->drip);
    question_ended(host, silent);
    attempt_ended(host);
    for (; host->letter_at < host->letter_count; host->letter_at++)
        host_give(host, host->letters[host->letter_at], sim_now(host->sim) + host->pause);
    host->saying = SAY_NOTHING;
    wake_later(host);
}

static void leave(struct host *host, enum dialog_end how)
{
    if (!host->dialog.client)
        return;
    sim_say(host->sim, "host %d: %s", host->number,
            how == DIALOG_CLOSES   ? "closes"
            : how == DIALOG_RESETS ? "resets"
                                   : "vanishes");
    bool silent = how == DIALOG_VANISHES || fake_client_is_vanished(host->dialog.client);
    dialog_end(&host->dialog, how);
    session_over(host, silent);
}

/* After so long a silence the server has given the connection up, too. */
static void limit_reached(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct host *host = event->arg;
    if (host->limit_is_drop) {
        leave(host, host->drop_how);
        return;
    }
    sim_say(host->sim, "host %d: waited enough", host->number);
    dialog_end(&host->dialog, DIALOG_VANISHES);
    session_over(host, false);
}

static void patience(struct host *host)
{
    if (!host->limit_is_drop)
        fake_event_set(host->sim->fake, &host->limit, sim_now(host->sim) + PATIENCE);
}

static void drop_soon(struct host *host)
{
    host->limit_is_drop = true;
    host->dropping = DROP_NEVER;
    fake_event_set(host->sim->fake, &host->limit,
                   sim_now(host->sim) + (int64_t)sim_below(host->sim, 30 * NS_PER_MS));
}

/* --- Saying ---------------------------------------------------------------------------------- */

void host_ask(struct host *host, enum asked_kind kind, size_t at)
{
    must(host->asked_count < ASKED_MAX);
    host->asked[(host->asked_first + host->asked_count++) % ASKED_MAX] = (struct asked){kind, at};
}

void host_say(struct host *host, const char *format, ...)
{
    struct buf line = BUF_INIT(LINE_MOST);
    va_list args;
    va_start(args, format);
    must(buf_vprintf(&line, format, args));
    va_end(args);
    sim_say(host->sim, "host %d: %.*s", host->number, STR_FMT(buf_str(&line)));
    buf_put(&line, STR("\r\n"));
    dialog_say(&host->dialog, buf_str(&line));
    buf_done(&line);
}

/* Some guess, and some lie. */
static size_t size_said(struct host *host, const struct letter *letter)
{
    if (sim_below(host->sim, 8) == 0)
        return sim_below(host->sim, 2 * letter->octets.n + 100);
    return letter->octets.n;
}

/* What is to become of it on its way; to who offers that. */
static const char *asked_for(const struct host *host, const struct letter *letter,
                             char text[OPTIONS_MOST])
{
    struct buf to = {.p = text, .cap = OPTIONS_MOST, .max = OPTIONS_MOST - 1};
    memset(text, 0, OPTIONS_MOST);
    if (host->lmtp)
        return text;
    if (letter->headers)
        buf_printf(&to, " RET=HDRS ENVID=e%llu", (unsigned long long)letter->number);
    if (letter->priority)
        buf_printf(&to, " MT-PRIORITY=%d", letter->priority);
    if (letter->hold)
        buf_printf(&to, " HOLDFOR=%d", letter->hold);
    if (letter->by)
        buf_printf(&to, " BY=%d;R", letter->by);
    return text;
}

static void say_mail(struct host *host)
{
    struct letter *letter = letter_now(host);
    host->spoiled = host->mail_refused = host->limited = false;
    host->taken_count = 0;
    host->witness.core_deaths = host->sim->house.roles[HOUSE_CORE].deaths;
    struct buf sender = BUF_INIT(LINE_MOST);
    letter_begun(&host->sim->oracle, letter);
    char options[OPTIONS_MOST];
    letter_sender(letter, &sender);
    if (host->extended)
        host_say(host, "MAIL FROM:<%.*s>%s SIZE=%zu%s%s", STR_FMT(buf_str(&sender)),
                 asked_for(host, letter, options), size_said(host, letter),
                 letter->binary      ? " BODY=BINARYMIME"
                 : letter->eight_bit ? " BODY=8BITMIME"
                                     : "",
                 letter->utf8 ? " SMTPUTF8" : "");
    else
        host_say(host, "MAIL FROM:<%.*s>", STR_FMT(buf_str(&sender)));
    buf_done(&sender);
    host_ask(host, ASKED_MAIL, 0);
    host->saying = SAY_RCPT;
    host->saying_at = 0;
}

static const char *const notifies[NOTIFIES] = {
    [NOTIFY_UNSAID] = "",
    [NOTIFY_NEVER] = " NOTIFY=NEVER",
    [NOTIFY_FAILURE] = " NOTIFY=FAILURE",
    [NOTIFY_SUCCESS] = " NOTIFY=SUCCESS",
    [NOTIFY_ALL] = " NOTIFY=SUCCESS,FAILURE,DELAY",
};

static void say_rcpt(struct host *host)
{
    struct letter *letter = letter_now(host);
    size_t at = host->saying_at++;
    host->named[at] = host->sim->fake->steps;
    host_say(host, "RCPT TO:<%.*s>%s", STR_FMT(people_addresses[letter->addresses[at]].path),
             host->lmtp ? "" : notifies[letter->notify]);
    host_ask(host, ASKED_RCPT, at);
    if (host->saying_at < letter->address_count)
        return;
    host->saying = letter->chunked ? SAY_CHUNK : SAY_DATA;
    host->saying_at = 0;
}

/* From here on the outcome is the server's. */
static void said_all(struct host *host)
{
    host_ask(host, ASKED_MESSAGE, 0);
    host->in_question = letter_now(host);
    memcpy(host->question.taken, host->taken, sizeof(host->taken));
    memcpy(host->question.named, host->named, sizeof(host->named));
    host->question.taken_count = host->taken_count;
    host->outcomes = host->outcomes_good = 0;
    host->outcomes_taken = 0;
    host->question_end = host->dialog.said;
    host->question_at = sim_now(host->sim);
    host->letter_at++;
    host->saying = SAY_BETWEEN;
}

/* Dots doubled, as RFC 5321 4.5.2 asks. */
static void say_body(struct host *host)
{
    struct str rest = buf_str(&letter_now(host)->octets);
    sim_say(host->sim, "host %d: %zu octets", host->number, rest.n);
    while (rest.n) {
        ssize_t lf = str_index(rest, '\n');
        struct str line = lf < 0 ? rest : str_head(rest, (size_t)lf + 1);
        if (line.p[0] == '.')
            dialog_say(&host->dialog, STR("."));
        dialog_say(&host->dialog, line);
        if (lf < 0)
            dialog_say(&host->dialog, STR("\r\n"));
        rest = str_from_index(rest, line.n);
    }
    dialog_say(&host->dialog, STR(".\r\n"));
    said_all(host);
}

static void say_chunk(struct host *host)
{
    struct str rest = str_from_index(buf_str(&letter_now(host)->octets), host->saying_at);
    size_t n =
        rest.n > 100 ? 1 + sim_below(host->sim, rest.n < CHUNK_MOST ? rest.n : CHUNK_MOST) : rest.n;
    bool last = n == rest.n;
    host_say(host, "BDAT %zu%s", n, last ? " LAST" : "");
    dialog_say(&host->dialog, str_head(rest, n));
    host->saying_at += n;
    if (last)
        said_all(host);
    else
        host_ask(host, ASKED_CHUNK, 0);
}

static void say_between(struct host *host)
{
    static const char *const words[] = {"RSET", "NOOP", "VRFY bob", "HELP"};
    if (sim_below(host->sim, 4) == 0) {
        host_say(host, "%s", words[sim_below(host->sim, 4)]);
        host_ask(host, ASKED_OTHER, 0);
    }
    host->saying = letter_now(host) ? SAY_MAIL : SAY_QUIT;
}

static void say_quit(struct host *host)
{
    host_say(host, "QUIT");
    host_ask(host, ASKED_QUIT, 0);
    host->saying = SAY_NOTHING;
}

static enum asked_kind last_asked(const struct host *host)
{
    return host->asked[(host->asked_first + host->asked_count - 1) % ASKED_MAX].kind;
}

/* The last chunk and the octets of DATA wait for every reply: with one refusal too many the letter
 * is not sent. */
static bool last_chunk_is_next(const struct host *host)
{
    return host->saying == SAY_CHUNK && letter_now(host)->octets.n - host->saying_at <= CHUNK_MOST;
}

static bool may_say(const struct host *host)
{
    if (host->saying == SAY_NOTHING)
        return false;
    if (host->asked_count == 0)
        return true;
    if (!host->pipelines || host->asked_count > ASKED_MAX - 4 || last_chunk_is_next(host))
        return false;
    switch (last_asked(host)) {
    case ASKED_MAIL:
    case ASKED_RCPT:
    case ASKED_CHUNK:
        return host->saying != SAY_BODY;
    case ASKED_MESSAGE:
        return host->runs_ahead;
    case ASKED_GREETING:
    case ASKED_HELLO:
    case ASKED_AUTH:
    case ASKED_DATA:
    case ASKED_OTHER:
    case ASKED_QUIT:
        break;
    }
    return false;
}

static bool needs_extensions(const struct host *host)
{
    for (size_t i = 0; i < host->letter_count; i++)
        if (host->letters[i]->chunked || host->letters[i]->utf8 || host->letters[i]->relays)
            return true;
    return host->lmtp || host->user >= 0;
}

static void say_next(struct host *host)
{
    switch (host->saying) {
    case SAY_HELLO:
        host->extended = needs_extensions(host) || sim_below(host->sim, 8) != 0;
        host->pipelines = host->extended && sim_below(host->sim, 2);
        host_say(host, "%s host%d.sender.test",
                 host->lmtp       ? "LHLO"
                 : host->extended ? "EHLO"
                                  : "HELO",
                 host->number);
        host_ask(host, ASKED_HELLO, 0);
        host->saying = !letter_now(host) ? SAY_QUIT : host->user >= 0 ? SAY_AUTH : SAY_MAIL;
        break;
    case SAY_AUTH:
        mailer_say(host);
        break;
    case SAY_MAIL:
        say_mail(host);
        break;
    case SAY_RCPT:
        say_rcpt(host);
        break;
    case SAY_DATA:
        host_say(host, "DATA");
        host_ask(host, ASKED_DATA, 0);
        host->saying = SAY_BODY;
        break;
    case SAY_BODY:
        say_body(host);
        break;
    case SAY_CHUNK:
        say_chunk(host);
        break;
    case SAY_BETWEEN:
        say_between(host);
        break;
    case SAY_QUIT:
        say_quit(host);
        break;
    case SAY_NOTHING:
        break;
    }
}

/* --- Hearing --------------------------------------------------------------------------------- */

static void wrong_reply(struct host *host, const char *to, struct str line)
{
    oracle_wrong(&host->sim->oracle, "host %d: the answer to %s is %.*s", host->number, to,
                 STR_FMT(line));
}

static void try_later(struct host *host, struct letter *letter)
{
    letter_refused(&host->sim->oracle, letter);
    again(host, letter,
          50 * NS_PER_MS +
              (int64_t)sim_below(host->sim, host->limited ? LIMITED_RETURN : USUAL_RETURN));
}

/* This letter cannot be sent now, or to nobody: the transaction is given up. */
static void give_up_letter(struct host *host)
{
    if (host->spoiled)
        try_later(host, letter_now(host));
    else
        letter_refused(&host->sim->oracle, letter_now(host));
    host->letter_at++;
    host_say(host, "RSET");
    host_ask(host, ASKED_OTHER, 0);
    host->saying = letter_now(host) ? SAY_MAIL : SAY_QUIT;
}

/* "452 4.2.2" or "552 5.2.2": the mailbox is full. */
static bool is_about_quota(int code, struct str line)
{
    return (code == 452 && str_find(line, STR("4.2.2")) >= 0) ||
           (code == 552 && str_find(line, STR("5.2.2")) >= 0);
}

static void heard_rcpt(struct host *host, size_t at, int code, struct str line)
{
    const struct people_address *address = &people_addresses[letter_now(host)->addresses[at]];
    mailer_minds_limits(host, host->taken_count + 1, line);
    bool fits = host_may_hear(host, address, host->named[at], code);
    if (fits && code / 100 == 2)
        host->taken[host->taken_count++] = at;
    else if (fits || (address->full && is_about_quota(code, line)))
        return;
    else if (code / 100 == 4 || (code == 503 && host->mail_refused))
        host->spoiled = true;
    else
        wrong_reply(host, "RCPT", line);
}

static void message_is_taken(struct host *host)
{
    struct letter *letter = host->in_question;
    struct reach reach = host_reach(host, letter, true);
    host->in_question = NULL;
    mailer_sent(host, letter, true);
    letter_accepted(&host->sim->oracle, letter, &reach, host_forgotten(host, letter));
    host->accepted = letter;
    if (host->dropping == DROP_AFTER_ACCEPTED)
        drop_soon(host);
}

/* The replies of LMTP come one behind the other; the last one decides what becomes of the letter.
 */
static void heard_message(struct host *host, int code, struct str line)
{
    struct letter *letter = host->in_question;
    bool quota =
        is_about_quota(code, line) && (host->lmtp ? host_taken(host, letter, host->outcomes)->full
                                                  : host_names_full(host, letter));
    if (code == 250) {
        host->outcomes_good++;
        host->outcomes_taken |= host->lmtp ? 1u << host->outcomes : UINT32_MAX;
    } else if (code / 100 != 4 && !quota && !(letter->is_false && code == 553)) {
        wrong_reply(host, "a message", line);
    }
    if (letter->is_false && code == 250)
        wrong_reply(host, "a message in another's name", line);
    mailer_minds_limits(host, host->question.taken_count, line);
    host->outcomes++;
    if (host->lmtp && host->outcomes < host->question.taken_count)
        return;
    if (host->outcomes_good) {
        message_is_taken(host);
        return;
    }
    host->in_question = NULL;
    if (quota || code == 553)
        letter_refused(&host->sim->oracle, letter);
    else
        try_later(host, letter);
}

/* The transaction is complete: the same bytes once more are another message. Not behind a 421: the
 * server may have heard nothing more before it went. */
static void went_on(struct host *host, int code)
{
    struct letter *letter = host->accepted;
    host->accepted = NULL;
    if (code != 421 && !letter->was_unknown && letter->attempts < LETTER_ATTEMPTS / 2 &&
        sim_below(host->sim, 8) == 0)
        host_give(host, letter, sim_now(host->sim));
}

static void heard_data(struct host *host, int code, struct str line)
{
    bool willing = host->taken_count > 0 && !host->spoiled;
    if (code == 354 && willing)
        return;
    if (code == 354) {
        leave(host, DIALOG_RESETS);
        return;
    }
    host->spoiled = host->spoiled || code / 100 == 4;
    if (!host->spoiled && (host->taken_count > 0 || (code != 554 && code != 503)))
        wrong_reply(host, "DATA", line);
    give_up_letter(host);
}

static void heard_chunk(struct host *host, int code, struct str line)
{
    if (code != 250 && code / 100 != 4 && host->taken_count > 0 && !host->spoiled)
        wrong_reply(host, "BDAT", line);
    if (code / 100 == 4)
        host->spoiled = true;
}

static void heard(struct host *host, struct asked asked, int code, struct str line)
{
    if (host->accepted)
        went_on(host, code);
    switch (asked.kind) {
    case ASKED_GREETING:
        if (code != 220 && code / 100 != 4)
            wrong_reply(host, "connecting", line);
        mailer_greeted(host, line);
        host_witness_greeted(host);
        host->saying = code == 220 ? SAY_HELLO : SAY_NOTHING;
        break;
    case ASKED_HELLO:
        if (code != 250 && code != 421)
            wrong_reply(host, "EHLO", line);
        break;
    case ASKED_AUTH:
        mailer_heard(host, line);
        break;
    case ASKED_MAIL:
        if (code != 250 && code / 100 != 4)
            wrong_reply(host, "MAIL", line);
        mailer_minds_limits(host, 0, line);
        host->mail_refused = code != 250;
        host->spoiled = host->spoiled || code != 250;
        break;
    case ASKED_RCPT:
        heard_rcpt(host, asked.at, code, line);
        break;
    case ASKED_DATA:
        heard_data(host, code, line);
        break;
    case ASKED_CHUNK:
        heard_chunk(host, code, line);
        break;
    case ASKED_MESSAGE:
        heard_message(host, code, line);
        break;
    case ASKED_OTHER:
        break;
    case ASKED_QUIT:
        if (code != 221 && code != 421)
            wrong_reply(host, "QUIT", line);
        break;
    }
}

/* Before anything that would commit the letter: is it to go to whom it should? */
static bool is_hopeless(const struct host *host)
{
    bool commits = host->saying == SAY_DATA || host->saying == SAY_CHUNK;
    return commits && host->asked_count == 0 && (host->spoiled || host->taken_count == 0);
}

/* By LMTP, and others follow. */
static bool is_one_of_several(const struct host *host, struct asked asked)
{
    return asked.kind == ASKED_MESSAGE && host->lmtp &&
           host->outcomes + 1 < host->question.taken_count;
}

static void replies_read(struct host *host)
{
    struct str line;
    while (host->dialog.client && dialog_line(&host->dialog, &line)) {
        uint64_t code;
        sim_say(host->sim, "host %d:     %.*s", host->number, STR_FMT(line));
        if (line.n < 3 || !str_to_u64(str_head(line, 3), &code)) {
            wrong_reply(host, "something", line);
            return;
        }
        if (line.n > 3 && line.p[3] == '-')
            continue;
        if (host->asked_count == 0) {
            if (code != 421)
                wrong_reply(host, "nothing", line);
            return;
        }
        struct asked asked = host->asked[host->asked_first];
        if (!is_one_of_several(host, asked)) {
            host->asked_first = (host->asked_first + 1) % ASKED_MAX;
            host->asked_count--;
        }
        heard(host, asked, (int)code, line);
    }
}

static void drop_if_due(struct host *host)
{
    if (host->dropping == DROP_AFTER_OCTETS && host->dialog.spoken >= host->drop_at)
        leave(host, host->drop_how);
    else if (host->dropping == DROP_AFTER_MESSAGE && host->in_question &&
             dialog_is_pushed(&host->dialog))
        drop_soon(host);
}

static void go_on(struct host *host)
{
    while (host->dialog.client && dialog_is_pushed(&host->dialog) && may_say(host) &&
           !host->limit_is_drop) {
        if (is_hopeless(host))
            give_up_letter(host);
        else
            say_next(host);
        dialog_push(&host->dialog);
    }
    if (host->dialog.client && !dialog_is_pushed(&host->dialog) && host->dialog.drip)
        fake_event_set(host->sim->fake, &host->drip,
                       sim_now(host->sim) + (int64_t)sim_below(host->sim, 4 * NS_PER_MS));
    if (host->dialog.client)
        drop_if_due(host);
}

static void drip_falls(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct host *host = event->arg;
    dialog_push(&host->dialog);
    go_on(host);
}

static void changed(struct fake_client *client, void *arg)
{
    (void)client;
    struct host *host = arg;
    patience(host);
    dialog_pull(&host->dialog);
    dialog_push(&host->dialog);
    replies_read(host);
    if (!host->dialog.client)
        return;
    go_on(host);
    if (host->dialog.client && dialog_is_over(&host->dialog))
        leave(host, DIALOG_CLOSES);
}

/* --- Sessions -------------------------------------------------------------------------------- */

static void drops_plan(struct host *host)
{
    struct sim *sim = host->sim;
    host->dropping = DROP_NEVER;
    host->limit_is_drop = false;
    if (!sim->plan.drops || sim->calm || sim_below(sim, 3))
        return;
    host->dropping = DROP_AFTER_OCTETS + (enum dropping)sim_below(sim, 3);
    host->drop_how = (enum dialog_end)sim_below(sim, 3);
    uint64_t octets = 200;
    for (size_t i = 0; i < host->letter_count; i++)
        octets += host->letters[i]->octets.n + 100;
    host->drop_at = sim_below(sim, octets);
}

static void drip_plan(struct host *host)
{
    size_t octets = 0;
    for (size_t i = 0; i < host->letter_count; i++)
        octets += host->letters[i]->octets.n;
    if (octets < DRIP_OCTETS && sim_below(host->sim, 8) == 0)
        host->dialog.drip = 1 + sim_below(host->sim, 100);
}

static void wake(struct fake_world *fake, struct fake_event *event)
{
    struct host *host = event->arg;
    letters_take(host);
    if (host->letter_count == 0) {
        wake_later(host);
        return;
    }
    host->asked_first = host->asked_count = 0;
    host->saying = SAY_NOTHING;
    host->in_question = host->accepted = NULL;
    host->runs_ahead = sim_below(host->sim, 8) == 0;
    drops_plan(host);
    bool lmtp = sim_below(host->sim, 4) == 0;
    host->lmtp = lmtp && host->user < 0 && host->number >= ORACLE_RELAYING;
    host->pause = 0;
    if (!dialog_open(&host->dialog, fake,
                     host->user >= 0 ? "submission"
                     : host->lmtp    ? "lmtp"
                                     : "smtp",
                     host->address, changed, host)) {
        session_over(host, false);
        return;
    }
    host->sim->sessions++;
    sim_say(host->sim, "host %d: connects", host->number);
    host_ask(host, ASKED_GREETING, 0);
    drip_plan(host);
    patience(host);
}

void host_open(struct host *host, struct sim *sim, int number)
{
    *host = (struct host){.sim = sim, .number = number, .idle = true, .user = number - HOSTS};
    struct buf text = {.p = host->address, .cap = sizeof(host->address), .max = 15};
    if (host->user < 0)
        buf_printf(&text, "192.0.2.%d", number + 1);
    else
        buf_printf(&text, "10.1.%d.%d", host->user, MAILER_HOST);
    host->wake = (struct fake_event){.run = wake, .arg = host};
    host->limit = (struct fake_event){.run = limit_reached, .arg = host};
    host->drip = (struct fake_event){.run = drip_falls, .arg = host};
}

void host_close(struct host *host)
{
    dialog_end(&host->dialog, DIALOG_CLOSES);
    free(host->due);
}
