/* What core asks of a courier beside jobs, and the connections that it hands on. */
#include "courier/stage_test.h"

#include "base/tls_result.h"

void stage_ask(struct stage *stage, const struct msg *question)
{
    struct stage_core *core = &stage->core;
    must(!core->asks);
    core->asks = true;
    arena_init(&core->arena, 1 << 20);
    must(!err_is(msg_copy(question, &core->arena, &core->question)));
    fake_role_enter(stage->fake, core->role);
    link_ask_begin(&core->link, &core->call, &core->question, &core->arena, &core->answer);
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}

void stage_post(struct stage *stage, struct str url)
{
    const struct msg question = {.kind = MSG_post,
                                 .post = {.url = url,
                                          .type = STR("application/tlsrpt+gzip"),
                                          .body = buf_str(&stage->core.body)}};
    stage_ask(stage, &question);
}

static void lines_put(struct str lines, struct buf *to)
{
    while (lines.n > 0) {
        struct str line = str_cut(&lines, '\n');
        buf_printf(to, " %.*s;", STR_FMT(line));
    }
}

static void looked_note(const struct msg_looked *looked, struct buf *said)
{
    static const char *const ends[LOOK_ENDS] = {[LOOK_NOT_CONNECTED] = "not_connected",
                                                [LOOK_NOT_GREETED] = "not_greeted",
                                                [LOOK_NO_TLS] = "no_tls",
                                                [LOOK_TLS_FAILED] = "tls_failed",
                                                [LOOK_WELL] = "well"};
    must(looked->end < LOOK_ENDS && looked->pkix < TLS_RESULTS && looked->dane < TLS_RESULTS);
    buf_printf(said, "looked %s pkix=%.*s dane=%.*s said=", ends[looked->end],
               STR_FMT(tls_result_word(looked->pkix)), STR_FMT(tls_result_word(looked->dane)));
    buf_put_escaped(said, looked->said, 1000); /* a stranger's: core escapes it, too */
    buf_printf(said, " tls=%.*s why=", STR_FMT(looked->tls));
    buf_put_escaped(said, looked->why, 1000);
    buf_putc(said, '\n');
}

static void answer_put(const struct msg *answer, struct buf *said)
{
    const struct msg_sts_looked *sts = &answer->sts_looked;
    if (answer->kind == MSG_posted) {
        buf_printf(said, "posted %u %.*s\n", answer->posted.status, STR_FMT(answer->posted.why));
    } else if (answer->kind == MSG_looked) {
        looked_note(&answer->looked, said);
    } else {
        must(answer->kind == MSG_sts_looked && sts->result < TLS_RESULTS);
        buf_printf(said, "sts_looked %.*s ", STR_FMT(tls_result_word(sts->result)));
        buf_put_escaped(said, sts->why, 1000);
        buf_put(said, STR(" |"));
        lines_put(sts->policy, said);
        buf_putc(said, '\n');
    }
}

void stage_answer_note(struct stage_core *core)
{
    if (!core->asks || !link_ask_answered(&core->call))
        return;
    core->asks = false;
    if (!err_is(link_ask_end(&core->call)))
        answer_put(&core->answer, &core->said);
    arena_done(&core->arena);
}

void stage_collect(struct stage *stage, uint64_t collection, struct str host,
                   const struct connect_to *from)
{
    struct world *world = &stage->fake->world;
    struct peer_address ends;
    const struct msg msg = {
        .kind = MSG_collection,
        .collection = {
            .collection = collection, .host = host, .address = from->address, .port = 40025}};
    fake_role_enter(stage->fake, stage->core.role);
    int handle = world->ops->connect(world, from);
    fake_role_enter(stage->fake, 0);
    must(handle >= 0);
    stage_pass(stage, NS_PER_SECOND);
    fake_role_enter(stage->fake, stage->core.role);
    must(world->ops->connected(world, handle, &ends) == 0);
    must(!err_is(link_send_handle(&stage->core.link, &msg, handle)));
    world->ops->close(world, handle);
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}
