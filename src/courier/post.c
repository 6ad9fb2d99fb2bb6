/*
 * It is no job: it has no place among those, keeps no connection, and where its courier or core
 * ends meanwhile, core asks once more.
 */
#include "courier/post.h"

#include "role/https.h"

enum {
    ANSWER_MAX = 64 << 10,  /* octets; what is longer is no answer */
    ASKED_ARENA = 256 << 10 /* a packet's */
};

struct post {
    struct fiber_start start;
    struct courier *courier;
    const struct conf *conf;
    struct arena arena;
    struct msg asked;
    struct https_answer answer;
};

static void post_free(struct post *post)
{
    struct courier *courier = post->courier;
    conf_let_go(post->conf);
    arena_done(&post->arena);
    free(post);
    courier->questions--;
    if (courier->stopping && !courier_is_busy(courier))
        wait_over(courier->stopping);
}

static void answer(struct post *post, unsigned status, struct str why)
{
    struct msg msg = {.kind = MSG_posted, .posted = {.status = (uint16_t)status, .why = why}};
    msg_set_call(&msg, post->asked.post.call);
    (void)courier_tell(post->courier, &msg); /* else nobody waits for it */
}

static void ask(struct post *post)
{
    struct courier *courier = post->courier;
    const struct msg_post *asked = &post->asked.post;
    const struct https https = {.loop = courier->loop,
                                .streams = courier->streams,
                                .tls = courier->tls,
                                .dns = &courier->dns,
                                .allow = &post->conf->sending.allow_to,
                                .deny = &post->conf->sending.deny_to};
    struct https_order order;
    if (!https_url_parse(asked->url, &order)) {
        answer(post, 0, STR("that is no URL to send to"));
        return;
    }
    order.request.method = STR("POST");
    order.request.type = asked->type;
    order.request.body = asked->body;
    order.body_most = ANSWER_MAX;
    order.within = POST_WITHIN;
    if (https_call(&https, &order, &post->answer) == HTTPS_ANSWERED)
        answer(post, post->answer.response.status, STR(""));
    else
        answer(post, 0, str_from(post->answer.why));
    https_answer_done(&post->answer);
}

static void run(void *arg)
{
    ask(arg);
    post_free(arg);
}

struct err post_begin(struct courier *courier, const struct msg *asked)
{
    struct post *post = calloc(1, sizeof *post);
    if (!post)
        return err_make(ERR_NO_MEMORY);
    post->courier = courier;
    post->conf = conf_hold(courier->conf);
    courier->questions++;
    arena_init(&post->arena, ASKED_ARENA);
    if (err_is(msg_copy(asked, &post->arena, &post->asked))) {
        post_free(post);
        return err_make(ERR_NO_MEMORY);
    }
    post->start = (struct fiber_start){.run = run, .arg = post};
    fiber_run(courier->fibers, &post->start);
    return err_none();
}
