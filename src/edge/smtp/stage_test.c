#include "edge/smtp/stage_test.h"

#include <errno.h>

#include "base/must.h"
#include "format/mail_command.h"
#include "format/mail_options.h"

static struct stage_core *core_of(struct link *link)
{
    return link->arg;
}

static void answer(struct stage_core *core, struct msg *msg, uint32_t call)
{
    msg_set_call(msg, call);
    must(!err_is(link_send(&core->link, msg)));
}

/* --- resolve --------------------------------------------------------------------------------- */

static const struct rule {
    struct str local;
    enum err_code error;
    uint16_t reply;
    struct str text;
} rules[] = {
    {STR_INIT("nobody"), ERR_MAILBOX_UNKNOWN, 550, STR_INIT("")},
    {STR_INIT("moved"), ERR_MAILBOX_MOVED, 551, STR_INIT("m@elsewhere.example")},
    {STR_INIT("abroad"), ERR_MAILBOX_MOVED, 551, STR_INIT("用户@elsewhere.example")},
    {STR_INIT("forged"), ERR_MAILBOX_MOVED, 551, STR_INIT("m@x.example\r\n250 OK\x7f")},
    {STR_INIT("forward"), ERR_NONE, 251, STR_INIT("f@elsewhere.example")},
    {STR_INIT("full"), ERR_QUOTA_FULL_LATER, 452, STR_INIT("")},
    {STR_INIT("disabled"), ERR_MAILBOX_DISABLED, 550, STR_INIT("")},
    {STR_INIT("later"), ERR_TRY_LATER, 451, STR_INIT("")},
};

/* "[192.0.2.1]" of an IPv4 address. */
static bool is_literal_of(struct str domain, struct str server)
{
    return domain.n == server.n + 2 && domain.p[0] == '[' &&
           str_eq(str_make(domain.p + 1, server.n), server);
}

static struct msg_answer rule_for(struct str address, struct str server)
{
    ssize_t at = str_last_index(address, '@');
    struct str local = str_head(address, at < 0 ? address.n : (size_t)at);
    struct str domain = str_from_index(address, (size_t)(at + 1));
    bool ours = at < 0 || str_eq(domain, STR("example.test")) ||
                str_ends(domain, STR(".long.example.test"));
    if (local.n > 0 && local.p[0] == '"')
        local = str_from_index(local, 1);
    if (is_literal_of(domain, server) && str_eq_nocase(local, STR("postmaster")))
        return (struct msg_answer){.reply = 250};
    if (is_literal_of(domain, server))
        return (struct msg_answer){.error = ERR_MAILBOX_UNKNOWN, .reply = 550};
    if (!ours)
        return (struct msg_answer){.error = ERR_RELAY_DENIED, .reply = 550};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (str_starts(local, rules[i].local))
            return (struct msg_answer){
                .error = (uint16_t)rules[i].error, .reply = rules[i].reply, .text = rules[i].text};
    }
    return (struct msg_answer){.reply = 250};
}

static void resolve_answer(struct stage_core *core, struct msg *msg, uint32_t call)
{
    if (!core->holds) {
        answer(core, msg, call);
        return;
    }
    must(core->held_count < STAGE_HELD);
    msg_set_call(msg, call);
    core->held[core->held_count++] = *msg;
}

static struct msg_answer answer_for(const struct stage_core *core, struct str address,
                                    struct str server, size_t place)
{
    struct msg_answer answer = rule_for(address, server);
    if (core->refuses != ERR_NONE)
        answer = (struct msg_answer){.error = (uint16_t)core->refuses,
                                     .reply = (uint16_t)err_row(core->refuses)->smtp};
    /* The token tells commit whether this one is over quota. */
    bool quota = str_starts(address, STR("quota"));
    answer.lasts = answer.reply == 250 && !str_starts(address, STR("brief"));
    answer.token = (uint32_t)(2 * ((core->resolves + core->commits) * 1000 + place) + quota);
    return answer;
}

static struct stage *stage_of(struct stage_core *core)
{
    return (struct stage *)((char *)core - offsetof(struct stage, core));
}

static void note_asked(struct stage_core *core, struct str of_mail,
                       const struct msg_address *recipients, size_t count)
{
    static const struct capabilities everything = {.has = UINT32_MAX};
    int64_t now = world_wall(&stage_of(core)->fake->world) / US_PER_SECOND;
    struct mail_options mail;
    must(mail_options_read(of_mail, &mail));
    buf_clear(&core->asked);
    mail_options_print(&core->asked, &mail, &everything, now);
    if (mail.hold_until)
        buf_printf(&core->asked, " held %lld", (long long)(mail.hold_until - now));
    for (size_t i = 0; i < count; i++) {
        struct rcpt_options rcpt;
        must(rcpt_options_read(recipients[i].asked, &rcpt));
        buf_put(&core->asked, STR(" |"));
        rcpt_options_print(&core->asked, &rcpt, &everything, true);
    }
}

/* Whoever is called off is not on. */
static void answer_of_terminals(enum mail_command command, const struct msg_address *asked,
                                struct msg_answer *answer)
{
    answer->lasts = answer->lasts && command == MAIL_MAIL;
    if (command == MAIL_MAIL || !str_starts(asked->text, STR("off")))
        return;
    if (command == MAIL_SEND)
        *answer = (struct msg_answer){.error = ERR_USER_NOT_ON, .reply = 450};
    else
        answer->text = STR("User not active now, so will do mail");
}

static void resolve(struct stage_core *core, const struct msg_resolve *resolve)
{
    struct msg msg = {.kind = MSG_resolved};
    struct msg_resolved *resolved = &msg.resolved;
    struct arena *arena = core->holds ? &core->held_arena : &core->arena;
    arena_reset(&core->arena);
    note_asked(core, resolve->asked, resolve->recipients, resolve->recipients_count);
    if (++core->resolves == core->silent_resolve)
        return;
    resolved->message = core->next_message;
    resolved->answers_count = resolve->recipients_count;
    resolved->answers =
        arena_take_array(arena, resolve->recipients_count, sizeof *resolved->answers);
    must(resolved->answers);
    for (size_t i = 0; i < resolve->recipients_count; i++) {
        resolved->answers[i] = answer_for(core, resolve->recipients[i].text, resolve->server, i);
        answer_of_terminals((enum mail_command)resolve->command, &resolve->recipients[i],
                            &resolved->answers[i]);
    }
    resolve_answer(core, &msg, resolve->call);
}

static void sender(struct stage_core *core, const struct msg_sender *asked)
{
    struct msg msg = {.kind = MSG_sender_judged};
    core->senders++;
    core->login = asked->login;
    if (asked->reverse_path.n > 0 && !str_ends(asked->reverse_path, STR("@example.test"))) {
        msg.sender_judged.error = ERR_SENDER_NOT_OWNED;
        msg.sender_judged.text = STR("by rule");
    }
    answer(core, &msg, asked->call);
}

/* --- verify ---------------------------------------------------------------------------------- */

static void verify(struct stage_core *core, const struct msg_verify *verify)
{
    static const struct {
        struct str name;
        enum err_code error;
        uint16_t reply;
        size_t count;
        struct str lines[2];
    } known[] = {
        {STR_INIT("bob"), ERR_NONE, 250, 1, {STR_INIT("Bob Example <bob@example.test>")}},
        {STR_INIT("staff"),
         ERR_NONE,
         250,
         2,
         {STR_INIT("<alice@example.test>"), STR_INIT("<bob@example.test>")}},
        {STR_INIT("j"),
         ERR_MAILBOX_AMBIGUOUS,
         553,
         2,
         {STR_INIT("<jane@example.test>"), STR_INIT("<john@example.test>")}},
        {STR_INIT("moved"), ERR_MAILBOX_MOVED, 551, 1, {STR_INIT("<m@elsewhere.example>")}},
        {STR_INIT("zhang"), ERR_NONE, 250, 1, {STR_INIT("张 <zhang@example.test>")}},
    };
    struct msg_text_line lines[2];
    struct msg msg = {.kind = MSG_verified,
                      .verified = {.error = ERR_MAILBOX_UNKNOWN, .reply = 550, .lines = lines}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!str_eq(verify->text, known[i].name))
            continue;
        msg.verified.error = (uint16_t)known[i].error;
        msg.verified.reply = known[i].reply;
        msg.verified.lines_count = known[i].count;
        for (size_t j = 0; j < known[i].count; j++)
            lines[j].text = known[i].lines[j];
    }
    answer(core, &msg, verify->call);
}

/* --- etrn ------------------------------------------------------------------------------------ */

static void etrn(struct stage_core *core, const struct msg_etrn *asked)
{
    struct msg msg = {.kind = MSG_etrn_answer,
                      .etrn_answer = {.reply = 250, .count = 14, .text = STR("by rule")}};
    uint64_t reply;
    if (str_starts(asked->name, STR("n")) &&
        str_to_u64(str_head(str_from_index(asked->name, 1), 3), &reply))
        msg.etrn_answer.reply = (uint16_t)reply;
    buf_clear(&core->asked);
    buf_printf(&core->asked, "etrn %u %.*s of %.*s, login %u", asked->scope, STR_FMT(asked->name),
               STR_FMT(asked->client), (unsigned)asked->login);
    answer(core, &msg, asked->call);
}

/* --- collect --------------------------------------------------------------------------------- */

static void line_say(struct stage_core *core, struct str octets)
{
    struct world *world = &stage_of(core)->fake->world;
    struct iovec part = {.iov_len = octets.n};
    memcpy(&part.iov_base, &octets.p, sizeof octets.p);
    (void)world->ops->send(world, core->line.handle, &part, 1);
}

static void line_done(struct stage_core *core)
{
    if (!core->line_open)
        return;
    core->line_open = false;
    watch_end(core->line_loop, &core->line);
    stage_of(core)->fake->world.ops->close(&stage_of(core)->fake->world, core->line.handle);
}

/* A courier that has nothing: EHLO behind the greeting, QUIT behind its answer, and gone. */
static void line_heard(struct watch *watch, unsigned ready)
{
    struct stage_core *core = watch->arg;
    struct world *world = &stage_of(core)->fake->world;
    char octets[256];
    (void)ready;
    ssize_t n = world->ops->recv(world, watch->handle, octets, sizeof octets);
    if (n <= 0 && n != -EAGAIN)
        line_done(core);
    for (ssize_t i = 0; i < n; i++) {
        if (octets[i] != '\n')
            continue;
        line_say(core, core->line_count == 0 ? STR("EHLO stage.test\r\n") : STR("QUIT\r\n"));
        if (core->line_count++ > 0)
            (void)world->ops->finish(world, watch->handle);
    }
}

static void line_give(struct stage_core *core)
{
    struct world *world = &stage_of(core)->fake->world;
    const struct msg msg = {.kind = MSG_line, .line = {.line = 7}};
    int pair[2];
    line_done(core);
    must(world->ops->stream_pair(world, pair) == 0);
    must(!err_is(link_send_handle(&core->link, &msg, pair[1])));
    world->ops->close(world, pair[1]);
    core->line_count = 0;
    core->line_loop = &stage_of(core)->core_loop;
    core->line =
        (struct watch){.handle = pair[0], .want = READY_READ, .ready = line_heard, .arg = core};
    must(watch_begin(core->line_loop, &core->line) == 0);
    core->line_open = true;
}

static void collect(struct stage_core *core, const struct msg_collect *asked)
{
    struct msg msg = {.kind = MSG_collect_answer,
                      .collect_answer = {.reply = 250, .line = 7, .text = STR("by rule")}};
    uint64_t reply;
    buf_clear(&core->asked);
    buf_printf(&core->asked, "collect as %.*s from %.*s, login %u:", STR_FMT(asked->helo),
               STR_FMT(asked->client), (unsigned)asked->login);
    for (size_t i = 0; i < asked->domains_count; i++) {
        struct str domain = asked->domains[i].text;
        buf_printf(&core->asked, " %.*s", STR_FMT(domain));
        if (str_starts(domain, STR("n")) &&
            str_to_u64(str_head(str_from_index(domain, 1), 3), &reply))
            msg.collect_answer.reply = (uint16_t)reply;
    }
    if (msg.collect_answer.reply == 250)
        line_give(core);
    answer(core, &msg, asked->call);
}

/* --- bodies ---------------------------------------------------------------------------------- */

static void slabs_read(const struct stage_core *core, const struct msg_slab *slabs, size_t count,
                       struct buf *to)
{
    for (size_t i = 0; i < count; i++) {
        must(slabs[i].index < core->slab_count && slabs[i].length <= SLAB_SIZE);
        buf_put(to, str_make(core->slabs + (size_t)slabs[i].index * SLAB_SIZE, slabs[i].length));
    }
}

static struct stage_upload *upload_of(struct stage_core *core, uint64_t id)
{
    for (size_t i = 0; i < STAGE_UPLOADS; i++) {
        if (core->uploads[i].id == id)
            return &core->uploads[i];
    }
    return NULL;
}

static void upload_end(struct stage_upload *upload)
{
    if (upload) {
        upload->id = 0;
        buf_done(&upload->body);
    }
}

static void upload_data(struct stage_core *core, const struct msg_upload_data *data)
{
    struct stage_upload *upload = upload_of(core, data->upload);
    struct msg msg = {.kind = MSG_upload_taken};
    must(upload);
    core->upload_pieces++;
    slabs_read(core, data->slabs, data->slabs_count, &upload->body);
    answer(core, &msg, data->call);
}

/* --- commit ---------------------------------------------------------------------------------- */

static void check_digest(struct str body, struct str digest)
{
    unsigned char own[SHA256_SIZE];
    struct sha256 sha256;
    sha256_init(&sha256);
    sha256_feed(&sha256, body);
    sha256_end(&sha256, own);
    must(str_eq(digest, str_make(own, sizeof own)));
}

static void check_summary(struct stage_core *core, const struct msg_commit *commit)
{
    struct buf record = BUF_INIT(1 << 20);
    struct summary_view view;
    slabs_read(core, commit->summary, commit->summary_count, &record);
    must(!err_is(summary_parse(buf_str(&record), &core->arena, &view)));
    must(view.size == commit->size);
    buf_done(&record);
}

static void authors_keep(struct stage_core *core, const struct msg_commit *commit)
{
    core->login = commit->login;
    buf_clear(&core->authors);
    for (size_t i = 0; i < commit->authors_count; i++) {
        buf_put(&core->authors, commit->authors[i].text);
        buf_putc(&core->authors, '\n');
    }
}

static void keep(struct stage_core *core, const struct msg_commit *commit)
{
    struct stage_upload *upload = commit->upload ? upload_of(core, commit->upload) : NULL;
    buf_clear(&core->body);
    if (upload)
        buf_put(&core->body, buf_str(&upload->body));
    must(!commit->upload || (upload && commit->body_count == 0));
    upload_end(upload);
    slabs_read(core, commit->body, commit->body_count, &core->body);
    must(core->body.n == commit->size);
    if (!commit->login) /* else the digest is that of what came */
        check_digest(buf_str(&core->body), commit->digest);
    check_summary(core, commit);
    buf_clear(&core->received);
    buf_put(&core->received, commit->received);
    buf_clear(&core->facts);
    buf_put(&core->facts, commit->trace_facts);
    buf_clear(&core->shown);
    buf_put(&core->shown, commit->again ? STR("again: ") : STR(""));
    for (struct str left = commit->shown; left.n;) {
        buf_put(&core->shown, str_cut(&left, '\n'));
        buf_putc(&core->shown, '/');
    }
    must(commit->token.n == EDGE_TRY_TOKEN);
    struct stage_try *try = &core->tries[core->next_message % STAGE_TOKENS];
    memcpy(try->token, commit->token.p, EDGE_TRY_TOKEN);
    try->message = core->next_message++;
    core->recipients = commit->recipients_count;
    authors_keep(core, commit);
    core->served_extra = commit->served_extra;
    core->messages++;
}

static void die(struct stage_core *core)
{
    struct stage *stage = stage_of(core);
    core->up = core->holds = false;
    core->held_count = 0;
    line_done(core);
    link_done(&core->link);
    stage->fake->world.ops->close(&stage->fake->world, core->pool);
    for (size_t i = 0; i < STAGE_UPLOADS; i++)
        upload_end(&core->uploads[i]);
}

/* Tokens instead of the addresses. */
static enum err_code addresses_resolve(const struct stage_core *core, struct msg_commit *commit,
                                       struct msg_recipient *recipients,
                                       struct msg_outcome *outcomes)
{
    enum err_code refused = ERR_NONE;
    must(commit->recipients_count == 0 && commit->client.n > 0);
    if (commit->message != core->next_message)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < commit->addresses_count; i++) {
        struct msg_answer answer = answer_for(core, commit->addresses[i].text, commit->server, i);
        recipients[i].token = answer.token;
        outcomes[i] = (struct msg_outcome){.token = answer.token, .error = answer.error};
        if (answer.error != ERR_NONE)
            refused = ERR_TRY_LATER;
    }
    commit->recipients = recipients;
    commit->recipients_count = commit->addresses_count;
    return refused;
}

static void outcomes_of(const struct msg_commit *commit, struct msg_outcome *outcomes)
{
    for (size_t i = 0; i < commit->recipients_count; i++)
        outcomes[i] = (struct msg_outcome){
            .token = commit->recipients[i].token,
            .error = commit->recipients[i].token & 1 ? ERR_QUOTA_FULL : ERR_NONE,
        };
}

static void commit(struct stage_core *core, const struct msg_commit *asked)
{
    struct msg_outcome outcomes[1000];
    struct msg_recipient recipients[1000];
    struct msg_commit commit = *asked;
    struct msg msg = {.kind = MSG_committed, .committed = {.outcomes = outcomes}};
    enum err_code error = core->commit_error;
    arena_reset(&core->arena);
    core->commits++;
    core->by_address += commit.addresses_count > 0;
    if (commit.addresses_count > 0)
        note_asked(core, commit.asked, commit.addresses, commit.addresses_count);
    if (error == ERR_NONE && commit.addresses_count > 0)
        error = addresses_resolve(core, &commit, recipients, outcomes);
    if (error == ERR_NONE)
        outcomes_of(&commit, outcomes);
    if (error == ERR_NONE && !core->commit_lost)
        keep(core, &commit);
    core->commit_lost = false;
    core->commit_error = ERR_NONE;
    msg.committed.error = (uint16_t)error;
    msg.committed.outcomes_count = commit.recipients_count;
    msg.committed.message = core->next_message - 1;
    msg.committed.next = error != ERR_NONE || core->gives_no_ids ? 0 : core->next_message;
    if (!core->commit_silent)
        answer(core, &msg, commit.call);
}

static void ask_commit(struct stage_core *core, const struct msg_ask_commit *ask)
{
    struct msg msg = {.kind = MSG_committed, .committed = {.error = ERR_NOT_FOUND}};
    for (size_t i = 0; i < STAGE_TOKENS; i++) {
        const struct stage_try *try = &core->tries[i];
        if (!try->message || !str_eq(ask->token, str_make(try->token, sizeof try->token)))
            continue;
        msg.committed.error = ERR_NONE;
        msg.committed.message = try->message;
        msg.committed.repeated = 1;
    }
    answer(core, &msg, ask->call);
}

/* --- The link -------------------------------------------------------------------------------- */

static void welcome(struct stage_core *core)
{
    struct msg msg = {.kind = MSG_welcome, .welcome = {.slabs = core->slab_count}};
    must(!err_is(link_send_handle(&core->link, &msg, core->pool)));
    tls_core_tell(&core->tls, &core->link);
}

static void try_end(struct stage_core *core, const struct msg_try_end *try)
{
    must(try->token.n == EDGE_TRY_TOKEN && try->message);
    if (try->end == TRY_OPEN)
        core->still_open++;
    else if (try->end == TRY_SEEN)
        core->seen++;
    else
        core->unseen++;
    if (try->end == TRY_UNSEEN)
        core->last_unseen = try->message;
}

static void tries(struct stage_core *core, const struct msg_tries *tries)
{
    struct msg_try_name names[EDGE_TRIES_MOST];
    struct msg msg = {.kind = MSG_tries_kept, .tries_kept = {.tries = names}};
    must(tries->tries_count <= EDGE_TRIES_MOST);
    for (size_t i = 0; i < tries->tries_count; i++) {
        try_end(core, &tries->tries[i]);
        if (tries->tries[i].end != TRY_OPEN)
            names[msg.tries_kept.tries_count++].token = tries->tries[i].token;
    }
    if (!core->keeps_nothing)
        must(!err_is(link_send(&core->link, &msg)));
}

/* False: that is about neither log-ins nor TLS. */
static bool access(struct stage_core *core, const struct msg *asked)
{
    struct msg msg;
    uint32_t call;
    if (!login_core_answer(&core->access, asked, &msg) && !tls_core_answer(&core->tls, asked, &msg))
        return false;
    if (msg_asks(asked, &call))
        answer(core, &msg, call);
    return true;
}

static void got(struct link *link, const struct msg *msg, int passed)
{
    struct stage_core *core = core_of(link);
    must(passed < 0);
    if (msg->kind == MSG_hello)
        welcome(core);
    else if (msg->kind == MSG_resolve)
        resolve(core, &msg->resolve);
    else if (msg->kind == MSG_sender)
        sender(core, &msg->sender);
    else if (msg->kind == MSG_verify)
        verify(core, &msg->verify);
    else if (msg->kind == MSG_etrn)
        etrn(core, &msg->etrn);
    else if (msg->kind == MSG_collect)
        collect(core, &msg->collect);
    else if (msg->kind == MSG_upload_open)
        upload_of(core, 0)->id = msg->upload_open.upload;
    else if (msg->kind == MSG_upload_data)
        upload_data(core, &msg->upload_data);
    else if (msg->kind == MSG_upload_drop)
        upload_end(upload_of(core, msg->upload_drop.upload));
    else if (msg->kind == MSG_commit)
        commit(core, &msg->commit);
    else if (msg->kind == MSG_ask_commit)
        ask_commit(core, &msg->ask_commit);
    else if (msg->kind == MSG_seen)
        core->seen += msg->seen.messages_count;
    else if (msg->kind == MSG_forget)
        core->forgets++;
    else if (msg->kind == MSG_refused)
        core->refusals++;
    else if (!access(core, msg))
        tries(core, &msg->tries);
}

static void ended(struct link *link, struct err why)
{
    (void)why;
    die(core_of(link));
}

static const struct link_owner owner = {.got = got, .ended = ended};

void stage_core_start(struct stage *stage)
{
    struct stage_core *core = &stage->core;
    struct world *world = &stage->fake->world;
    int pair[2];
    fake_packet_pair(stage->fake, stage->core_role, stage->edge_role, pair);
    fake_role_enter(stage->fake, stage->core_role);
    core->pool = world->ops->shm_create(world, (size_t)core->slab_count * SLAB_SIZE);
    core->slabs = world->ops->shm_map(world, core->pool, (size_t)core->slab_count * SLAB_SIZE);
    must(core->pool >= 0 && core->slabs);
    must(link_init(&core->link, &stage->core_loop, pair[0], ROLE_CORE, stage->role, &owner, core) ==
         0);
    core->up = true;
    core->commit_silent = false;
    login_core_forget(&core->access);
    fake_role_enter(stage->fake, stage->edge_role);
    must(!err_is(edge_core_attach(&stage->edge, pair[1])));
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}

void stage_core_release(struct stage *stage)
{
    struct stage_core *core = &stage->core;
    fake_role_enter(stage->fake, stage->core_role);
    for (size_t i = 0; i < core->held_count; i++)
        must(!err_is(link_send(&core->link, &core->held[i])));
    if (core->changes_behind)
        must(!err_is(link_send(&core->link, &(struct msg){.kind = MSG_directory_changed})));
    core->changes_behind = false;
    fake_role_enter(stage->fake, 0);
    core->holds = false;
    core->held_count = 0;
    arena_reset(&core->held_arena);
    stage_settle(stage);
}

void stage_core_certifies(struct stage *stage)
{
    tls_core_open(&stage->core.tls);
    fake_role_enter(stage->fake, stage->core_role);
    tls_core_tell(&stage->core.tls, &stage->core.link);
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}

void stage_core_ends_login(struct stage *stage, uint64_t handle)
{
    struct msg msg = {.kind = MSG_login_ended, .login_ended = {.handle = handle}};
    fake_role_enter(stage->fake, stage->core_role);
    must(!err_is(link_send(&stage->core.link, &msg)));
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}

void stage_core_changes(struct stage *stage)
{
    fake_role_enter(stage->fake, stage->core_role);
    must(!err_is(link_send(&stage->core.link, &(struct msg){.kind = MSG_directory_changed})));
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}

void stage_core_die(struct stage *stage)
{
    fake_role_enter(stage->fake, stage->core_role);
    if (stage->core.up)
        die(&stage->core);
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}

/* --- The stage ------------------------------------------------------------------------------- */

static void conf_open(struct stage *stage, struct str text)
{
    struct conf_trouble trouble = {.text = BUF_INIT(4096)};
    arena_init(&stage->conf_arena, 4 << 20);
    struct err e =
        conf_parse(text, STR("stage"), STR("/"), &stage->conf_arena, &stage->conf, &trouble);
    if (err_is(e))
        fprintf(stderr, "%.*s\n", STR_FMT(buf_str(&trouble.text)));
    must(!err_is(e));
    buf_done(&trouble.text);
}

static void edge_begin(struct stage *stage)
{
    must(loop_init(&stage->edge_loop, &stage->fake->world) == 0);
    stage->fibers = fiber_pool_open(&stage->edge_loop, 64);
    log_init(&stage->log, &stage->fake->world, "mx");
    must(!err_is(edge_open(&stage->edge, &stage->edge_loop, stage->fibers, &stage->log, stage->role,
                           1, &stage->conf)));
    must(smtp_open(&stage->edge));
}

static void listen_on(struct stage *stage, enum listen_protocol protocol, const char *name)
{
    int handle = fake_listen(stage->fake, stage->edge_role, name);
    fake_role_enter(stage->fake, stage->edge_role);
    must(!err_is(edge_listen(&stage->edge, protocol, handle, str_from(name))));
    fake_role_enter(stage->fake, 0);
}

void stage_open(struct stage *stage, struct str conf_text, const struct fake_settings *settings,
                uint64_t seed, uint32_t slabs)
{
    stage_open_as(stage, ROLE_MX, conf_text, settings, seed, slabs);
}

void stage_open_as(struct stage *stage, enum bus_role role, struct str conf_text,
                   const struct fake_settings *settings, uint64_t seed, uint32_t slabs)
{
    *stage = (struct stage){.role = role,
                            .core = {.next_message = 1,
                                     .slab_count = slabs,
                                     .body = BUF_INIT(STAGE_BODY_MAX),
                                     .received = BUF_INIT(4096),
                                     .facts = BUF_INIT(4096),
                                     .shown = BUF_INIT(8192),
                                     .asked = BUF_INIT(1 << 20),
                                     .authors = BUF_INIT(1 << 16),
                                     .reverse_path = BUF_INIT(4096)}};
    for (size_t i = 0; i < STAGE_UPLOADS; i++)
        buf_init(&stage->core.uploads[i].body, STAGE_BODY_MAX);
    arena_init(&stage->core.arena, 4 << 20);
    arena_init(&stage->core.held_arena, 4 << 20);
    login_core_open(&stage->core.access);
    conf_open(stage, conf_text);
    stage->fake = fake_world_open(seed, settings);
    stage->edge_role = fake_role_open(stage->fake, "edge");
    stage->core_role = fake_role_open(stage->fake, "core");
    fake_role_enter(stage->fake, stage->core_role);
    must(loop_init(&stage->core_loop, &stage->fake->world) == 0);
    fake_role_enter(stage->fake, stage->edge_role);
    edge_begin(stage);
    fake_role_enter(stage->fake, 0);
    listen_on(stage, LISTEN_SMTP, "smtp");
    listen_on(stage, LISTEN_LMTP, "lmtp");
    listen_on(stage, LISTEN_SUBMISSION, "submission");
    listen_on(stage, LISTEN_SUBMISSIONS, "submissions");
    stage_core_start(stage);
}

static void stop_run(void *arg)
{
    struct stage *stage = arg;
    edge_stop(&stage->edge);
    smtp_close(&stage->edge);
    edge_close(&stage->edge);
    loop_stop(&stage->edge_loop);
}

void stage_close(struct stage *stage)
{
    stage_close_with(stage, 0, NULL, NULL);
}

void stage_close_with(struct stage *stage, int role, void (*close)(void *arg), void *arg)
{
    struct fiber_start start = {.run = stop_run, .arg = stage};
    fake_role_enter(stage->fake, stage->edge_role);
    fiber_run(stage->fibers, &start);
    fake_role_enter(stage->fake, 0);
    stage_pass(stage, EDGE_STOP_WAIT);
    must(stage->edge.magic == 0);
    stage_core_die(stage);
    fake_role_enter(stage->fake, role);
    if (close)
        close(arg);
    fake_role_enter(stage->fake, stage->edge_role);
    fiber_pool_close(stage->fibers);
    loop_done(&stage->edge_loop);
    fake_role_enter(stage->fake, stage->core_role);
    loop_done(&stage->core_loop);
    fake_role_enter(stage->fake, 0);
    must(fake_role_handles(stage->fake, stage->edge_role) == 0);
    fake_world_close(stage->fake);
    arena_done(&stage->core.arena);
    arena_done(&stage->core.held_arena);
    arena_done(&stage->conf_arena);
    login_core_close(&stage->core.access);
    tls_core_close(&stage->core.tls);
    buf_done(&stage->core.body);
    buf_done(&stage->core.received);
    buf_done(&stage->core.facts);
    buf_done(&stage->core.shown);
    buf_done(&stage->core.asked);
    buf_done(&stage->core.authors);
    buf_done(&stage->core.reverse_path);
}

void stage_settle(struct stage *stage)
{
    stage_pass(stage, 0);
}

void stage_pass(struct stage *stage, int64_t ns)
{
    (void)fake_run(stage->fake, world_mono(&stage->fake->world) + ns);
}

struct fake_client *stage_connect(struct stage *stage, bool lmtp, const char *address)
{
    return stage_connect_to(stage, lmtp ? "lmtp" : "smtp", address);
}

struct fake_client *stage_connect_to(struct stage *stage, const char *name, const char *address)
{
    struct peer_address peer = {.port = 4711, .uid = -1, .pid = -1};
    memcpy(peer.text, address, strnlen(address, sizeof peer.text - 1));
    memcpy(peer.server, STAGE_ADDRESS, sizeof STAGE_ADDRESS);
    struct fake_client *client = fake_connect(stage->fake, name, &peer);
    must(client);
    stage_settle(stage);
    return client;
}

void stage_log_in(struct stage *stage, uint64_t handle, const char *address)
{
    struct edge_session *session = TAILQ_LAST(&stage->edge.sessions, edge_sessions);
    session->login = (struct edge_login){
        .handle = handle, .core_since = stage->edge.core_since, .address = strdup(address)};
    must(session->login.address);
}

void stage_receive(struct fake_client *client, struct buf *replies)
{
    char bytes[4096];
    size_t n;
    while ((n = fake_client_recv(client, bytes, sizeof bytes)) > 0)
        buf_put(replies, str_make(bytes, n));
}

void stage_send(struct stage *stage, struct fake_client *client, struct str bytes, size_t piece,
                struct buf *replies)
{
    while (bytes.n > 0) {
        size_t sent = fake_client_send(client, str_head(bytes, piece));
        stage_settle(stage);
        stage_receive(client, replies);
        if (sent == 0 && fake_client_state(client) != FAKE_CLIENT_OPEN)
            break;
        bytes = str_from_index(bytes, sent);
    }
    stage_receive(client, replies);
}
