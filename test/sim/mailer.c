/*
 * A user's program: what it knows is the newest password, or its own. Where that is refused it
 * waits, for a good program does not hammer, and the home's count of failures stays low.
 */
#include "sim.h"

#include "base/must.h"

enum {
    LINE_MOST = 1200
};

#define PAUSE_LEAST (30 * NS_PER_SECOND)
#define PAUSE_SPAN (120 * NS_PER_SECOND)
#define HOME(user) (10u << 24 | 1u << 16 | (uint32_t)(user) << 8 | MAILER_HOST)

/* --- Logging in ------------------------------------------------------------------------------- */

/* What was acknowledged, mostly. */
static struct str secret_of(struct host *host)
{
    struct keyring *keyring = &host->sim->locksmith.keyring;
    const struct key *app = keyring_newest(keyring, host->user, true);
    const struct key *key = keyring_newest(keyring, host->user, false);
    const struct key *older = keyring_older(keyring, host->user, KEYRING_MOST);
    if (app && app->life.is_from != NEVER_STEP && app->services & KEY_SMTP &&
        sim_below(host->sim, 2))
        return str_from(app->secret);
    if (key->life.is_from == NEVER_STEP && older && !older->app && sim_below(host->sim, 4))
        key = older;
    return str_from(key->secret);
}

static void line_say(struct host *host, struct buf *line)
{
    bool proves = host->auth.proves;
    host_say(host, "%.*s", STR_FMT(buf_str(line)));
    host_ask(host, ASKED_AUTH, 0);
    if (proves)
        access_said(&host->sim->access, &host->attempt);
    dialog_push(&host->dialog);
    buf_done(line);
}

void mailer_say(struct host *host)
{
    static const enum auth_way ways[] = {AUTH_PLAIN, AUTH_LOGIN, AUTH_SCRAM};
    struct sim *sim = host->sim;
    struct buf line = BUF_INIT(LINE_MOST);
    struct str name = people_names[host->user][sim_below(sim, PEOPLE_NAMES)];
    /* All of them by SCRAM at first: who asks first has what it needs made. */
    enum auth_way way = host->has_logged_in ? ways[sim_below(sim, 3)] : AUTH_SCRAM;
    host->auth = auth_make(way, true, name, secret_of(host), &sim->random);
    host->attempt = access_begin(&sim->access, &host->auth, host->user, HOME(host->user));
    host->attempting = true;
    auth_begin(&host->auth, &line);
    line_say(host, &line);
}

static void wait_a_while(struct host *host)
{
    host->pause = PAUSE_LEAST + (int64_t)sim_below(host->sim, PAUSE_SPAN);
}

void mailer_greeted(struct host *host, struct str line)
{
    if (host->user < 0 || str_starts(line, STR("220")))
        return;
    access_turned_away(&host->sim->access, HOME(host->user), line);
    wait_a_while(host);
}

void mailer_heard(struct host *host, struct str line)
{
    struct buf next = BUF_INIT(LINE_MOST);
    if (auth_next(&host->auth, line, &next)) {
        line_say(host, &next);
        return;
    }
    buf_done(&next);
    host->attempting = false;
    if (access_judge(&host->sim->access, &host->attempt, line) == ACCESS_IN) {
        host->saying = SAY_MAIL;
        host->has_logged_in = true;
        return;
    }
    host->saying = SAY_QUIT;
    wait_a_while(host);
}

void mailer_over(struct host *host)
{
    if (host->attempting)
        (void)access_judge(&host->sim->access, &host->attempt, str_null());
    host->attempting = false;
}

/* --- Limits ----------------------------------------------------------------------------------- */

void mailer_minds_limits(struct host *host, size_t recipients, struct str line)
{
    bool limited = str_eq(line, STR("450 4.7.1 Too much mail from this account; try again later"));
    if (!limited)
        return;
    if (host->user < 0) {
        oracle_wrong(&host->sim->oracle, "host %d is told an account's limit", host->number);
        return;
    }
    if (!host->limited) /* once for each letter, when the least was named */
        sent_refused(&host->sim->sent, host->user, recipients ? recipients : 1);
    host->limited = true;
}

void mailer_sent(struct host *host, const struct letter *letter, bool accepted)
{
    if (host->user >= 0)
        sent_message(&host->sim->sent, host->user, host->question.taken_count, host->question_at,
                     accepted && letter->unknown == 0 && !letter->was_unknown);
}
