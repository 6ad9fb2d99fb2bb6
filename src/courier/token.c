/*
 * Why a courier and not core: what an endpoint answers is a stranger's, and core opens no
 * connections. Why not on a job's way: several jobs want the same token, and one has to ask.
 */
#include "courier/token.h"

#include "role/https.h"
#include "trust/oauth.h"

enum {
    ARENA = 256 << 10,
};

struct question {
    struct fiber_start start;
    struct courier *courier;
    const struct conf *conf; /* held */
    struct arena arena;      /* of secrets: wiped */
    struct msg asked;
};

static struct oauth_grant grant_of(const struct msg_token_ask *ask)
{
    return (struct oauth_grant){.endpoint = ask->endpoint,
                                .client_id = ask->client_id,
                                .client_secret = ask->client_secret,
                                .refresh_token = ask->refresh_token,
                                .scope = ask->scope};
}

/* What is no answer of a token endpoint says little by itself: with its status it does. */
static void answered(struct question *question, const struct oauth_grant *grant,
                     const struct http_reader *response, struct msg_token_told *told)
{
    struct oauth_answer answer;
    struct arena *arena = &question->arena;
    if (!oauth_answer_parse(response->status, buf_str(&response->body), grant, arena, &answer)) {
        told->error = STR("no memory");
        return;
    }
    told->access_token = answer.access_token.p ? answer.access_token : STR("");
    told->refresh_token = answer.refresh_token.p ? answer.refresh_token : STR("");
    told->lasts = answer.lasts;
    told->error = answer.error;
    told->why = answer.why;
    if (answer.error.n > 0 && answer.why.n == 0) {
        struct buf why = buf_in(arena, OAUTH_WHY_MAX);
        buf_printf(&why, "HTTP status %u", response->status);
        told->why = buf_built(&why);
    }
}

/* Its answer is too large for a fiber's stack. */
static void ask(struct question *question, const struct oauth_grant *grant, struct str body,
                struct msg_token_told *told)
{
    struct courier *courier = question->courier;
    const struct https https = {.loop = courier->loop,
                                .streams = courier->streams,
                                .tls = courier->tls,
                                .dns = &courier->dns,
                                .allow = &question->conf->sending.allow_to,
                                .deny = &question->conf->sending.deny_to};
    struct https_order order;
    struct https_answer *answer = malloc(sizeof *answer);
    if (!answer) {
        told->error = STR("no memory");
        return;
    }
    if (!https_url_parse(grant->endpoint, &order)) {
        told->error = STR("the token endpoint is no URL that can be asked");
        free(answer);
        return;
    }
    order.request.method = STR("POST");
    order.request.type = STR("application/x-www-form-urlencoded");
    order.request.body = body;
    order.body_most = OAUTH_ANSWER_MAX;
    order.within = TOKEN_WITHIN;
    order.secret = true;
    if (https_call(&https, &order, answer) == HTTPS_ANSWERED) {
        answered(question, grant, &answer->response, told);
    } else {
        told->error = STR("the token endpoint could not be asked");
        told->why = arena_str(&question->arena, str_from(answer->why));
    }
    https_answer_done(answer);
    free(answer);
}

static void run(void *arg)
{
    struct question *question = arg;
    struct courier *courier = question->courier;
    const struct oauth_grant grant = grant_of(&question->asked.token_ask);
    struct msg msg = {
        .kind = MSG_token_told,
        .token_told = {
            .access_token = STR(""), .refresh_token = STR(""), .error = STR(""), .why = STR("")}};
    struct buf body = buf_in(&question->arena, OAUTH_REQUEST_MAX);
    bool printed = oauth_request_print(&grant, &body);
    struct str text = buf_built(&body);
    if (printed && text.p)
        ask(question, &grant, text, &msg.token_told);
    else
        msg.token_told.error = STR("no memory");
    msg_set_call(&msg, question->asked.token_ask.call);
    (void)courier_tell(courier, &msg); /* else nobody waits for it */
    conf_let_go(question->conf);
    arena_wipe(&question->arena);
    free(question);
    courier->questions--;
    if (courier->stopping && !courier_is_busy(courier))
        wait_over(courier->stopping);
}

struct err token_get(struct courier *courier, const struct msg *asked)
{
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return err_make(ERR_NO_MEMORY);
    question->courier = courier;
    arena_init(&question->arena, ARENA);
    if (err_is(msg_copy(asked, &question->arena, &question->asked))) {
        arena_wipe(&question->arena);
        free(question);
        return err_make(ERR_NO_MEMORY);
    }
    courier->questions++;
    question->conf = conf_hold(courier->conf);
    question->start = (struct fiber_start){.run = run, .arg = question};
    fiber_run(courier->fibers, &question->start);
    return err_none();
}
