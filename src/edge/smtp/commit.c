/*
 * A commit whose answer was lost with core is the one moment in which a wrong word loses mail or
 * doubles it. Its token names the try for ever: when core is back it is asked what became of it,
 * and only a clear "nothing" lets us send it again, in a new transaction, from the slabs that are
 * still ours. An upload was core's and went with it; then the client is told to come again.
 */
#include "edge/smtp/commit.h"

#include "edge/smtp/inquiry.h"
#include "edge/smtp/received.h"
#include "edge/smtp/resolve.h"
#include "edge/smtp/terminals.h"
#include "format/reencode.h"

enum {
    TRIES = 3,           /* of one message, across restarts of core */
    RECEIVED_MAX = 2048, /* octets */
    FACTS_MAX = 4096,
};

struct
try {
    unsigned char digest[SHA256_SIZE], signed_hash[DKIM_HASH];
    struct smtp_slab_list summary;
    uint64_t served_extra;
    struct msg_recipient *recipients; /* as core named them before, or ... */
    struct msg_address *addresses;    /* ... with an id that core gave ahead, where `by_address` */
    uint64_t message;
    bool by_address;
    struct str shown;
    bool again; /* a core was asked that gave no answer */
    char received[RECEIVED_MAX], facts[FACTS_MAX];
};

static const char *body_name(enum smtp_body_type type)
{
    switch (type) {
    case SMTP_8BITMIME:
        return "8BITMIME";
    case SMTP_BINARYMIME:
        return "BINARYMIME";
    case SMTP_7BIT:
        break;
    }
    return "7BIT";
}

static void describe(struct smtp_session *s, struct try *try, struct msg_commit *commit)
{
    struct smtp_mail *mail = s->mail;
    struct tls_facts tls;
    struct judgement judgement;
    smtp_inquiry_judge_now(s, mail->recipient_count > 0 ? mail->recipients[0].address : str_null(),
                           &judgement);
    struct received facts = {
        .hidden = smtp_is_submission(s) && !smtp_conf(s)->submission.show_client,
        .local = smtp_is_local(s),
        .helo = smtp_helo(s),
        .client = edge_session_client(&s->base),
        .name = smtp_inquiry_name(s),
        .found = str_from(judgement.words),
        .port = s->base.port,
        .host = smtp_hostname(s),
        .transmission = smtp_transmission(s),
        .tls = edge_session_is_encrypted(&s->base) ? &tls : NULL,
        .login = str_from(s->base.login.address),
        .message = mail->message,
        .only_one_for = mail->recipient_count == 1 ? mail->recipients[0].address : str_null(),
        .reverse_path = mail->reverse_path,
        .body_type = body_name(mail->body_type),
        .forwarded = str_from(s->forwarded),
        .time = world_wall(s->base.edge->world) / US_PER_SECOND,
    };
    if (facts.tls)
        stream_tls_facts(&s->stream, &tls);
    struct buf line = {.p = try->received, .cap = RECEIVED_MAX, .max = RECEIVED_MAX};
    struct buf words = {.p = try->facts, .cap = FACTS_MAX, .max = FACTS_MAX};
    received_print(&facts, &line);
    received_facts_print(&facts, &words);
    commit->received = buf_str(&line);
    commit->trace_facts = buf_str(&words);
}

static void name_tokens(const struct smtp_session *s, struct try *try, struct msg_commit *commit)
{
    const struct smtp_mail *mail = s->mail;
    for (size_t i = 0; i < mail->recipient_count; i++)
        try->recipients[i].token = mail->recipients[i].token;
    commit->recipients = try->recipients;
    commit->recipients_count = mail->recipient_count;
}

static void name_addresses(struct smtp_session *s, struct try *try, struct msg_commit *commit)
{
    struct smtp_mail *mail = s->mail;
    for (size_t i = 0; i < mail->recipient_count; i++)
        try->addresses[i] = (struct msg_address){.text = mail->recipients[i].address,
                                                 .asked = mail->recipients[i].asked};
    commit->addresses = try->addresses;
    commit->addresses_count = mail->recipient_count;
    commit->message = mail->message = try->message;
    commit->transmission = (uint8_t)smtp_transmission(s);
    commit->client = edge_session_client(&s->base);
    commit->server = str_from(s->base.server);
    commit->helo = smtp_helo(s);
    commit->reverse_path = mail->reverse_path;
    commit->asked = mail->asked;
}

static void fill(struct smtp_session *s, struct try *try, struct msg_commit *commit)
{
    struct smtp_mail *mail = s->mail;
    struct smtp_body *body = &mail->body;
    *commit = (struct msg_commit){
        .transaction = mail->number,
        .token = str_make(mail->token, sizeof mail->token),
        .body_type = (uint8_t)mail->body_type,
        .upload = body->upload,
        .size = body->size,
        .served_extra = try->served_extra,
        .digest = str_make(try->digest, sizeof try->digest),
        .body = body->slabs.at,
        .body_count = body->slabs.count,
        .summary = try->summary.at,
        .summary_count = try->summary.count,
        .shown = try->shown,
        .again = try->again,
    };
    if (body->is_signed)
        commit->body_hash = str_make(try->signed_hash, sizeof try->signed_hash);
    if (body->submitted) {
        commit->login = s->base.login.handle;
        commit->authors = body->submitted->authors;
        commit->authors_count = body->submitted->author_count;
    }
    if (try->by_address)
        name_addresses(s, try, commit);
    else
        name_tokens(s, try, commit);
    describe(s, try, commit);
}

/* A reader gets CR LF behind an unended last line (edge/pop3/reader.h). Our own octets end in it.
 */
static uint64_t line_end_missing(const struct smtp_body *body, const struct reencode_plan *plan)
{
    bool ours = plan->count > 0 && plan->segments[plan->count - 1].kind == REENCODE_LITERAL;
    return ours || smtp_body_ends_line(body) ? 0 : sizeof("\r\n") - 1;
}

/* How much a reader without BINARYMIME gets more than is stored, or less: labels may shrink. */
static struct err served_extra(const struct smtp_body *body, struct str record, uint64_t *extra_r)
{
    struct arena *arena = edge_scratch_take(body->edge);
    struct summary_view view;
    struct reencode_plan plan = {.served = body->size};
    if (!arena)
        return err_make(ERR_NO_MEMORY);
    struct err e = err_none();
    if (body->binary)
        e = summary_parse(record, arena, &view);
    if (!err_is(e) && body->binary && reencode_needed(&view))
        e = reencode_plan(&view, arena, &plan);
    *extra_r = plan.served - body->size + line_end_missing(body, &plan);
    edge_scratch_give(body->edge, arena);
    return e;
}

/* May yield. */
static struct err summary_store(struct smtp_session *s, struct try *try)
{
    struct smtp_body *body = &s->mail->body;
    struct buf *record = &body->record;
    buf_clear(record);
    summary_print(&body->summary, record);
    struct err e = err_make(buf_over(record) ? ERR_NO_MEMORY : ERR_NONE);
    if (!err_is(e))
        e = served_extra(body, buf_str(record), &try->served_extra);
    if (!err_is(e))
        e = smtp_body_settle(body, buf_str(record), &try->summary);
    return e;
}

/* May yield. The core that is up now gets to know what an earlier one knew. */
static struct err renew(struct smtp_session *s, struct try *try)
{
    struct smtp_mail *mail = s->mail;
    struct edge *edge = s->base.edge;
    struct smtp_body *body = &mail->body;
    struct err e = edge_core_wait(edge, edge->loop->now + EDGE_CORE_WAIT);
    if (err_is(e))
        return e;
    if (body->upload && body->upload_since != edge->core_since)
        return err_make(ERR_TRY_LATER);
    uint64_t since = edge->core_since;
    try->message = smtp_may_name_addresses(s) ? smtp_known_id_take(edge) : 0;
    try->by_address = try->message != 0;
    if (!try->by_address && (mail->stale || mail->unnamed || mail->core_since != since))
        e = smtp_resolve_again(s);
    if (!err_is(e) && body->slabs.count > 0 && body->slabs.pool != edge->slabs)
        e = smtp_slabs_renew(edge, &body->slabs);
    if (!err_is(e) && (try->summary.pool != edge->slabs || body->parked.p)) {
        smtp_slabs_give(&try->summary);
        e = summary_store(s, try);
    }
    /* All of that took time, and core may have changed again. */
    uint64_t named_by = try->by_address ? since : mail->core_since;
    bool settled = named_by == edge->core_since && try->summary.pool == edge->slabs;
    return err_is(e) || settled ? e : err_make(ERR_NOT_FOUND);
}

/* May yield. What became of a commit that had no answer? ERR_NOT_FOUND: nothing. */
static struct err ask_what_became(struct smtp_session *s, struct msg_committed *committed_r)
{
    struct edge *edge = s->base.edge;
    const struct smtp_mail *mail = s->mail;
    struct msg answer, msg = {.kind = MSG_ask_commit,
                              .ask_commit = {.token = str_make(mail->token, sizeof mail->token),
                                             .message = mail->message}};
    int64_t deadline = edge->loop->now + EDGE_COMMIT_WAIT;
    struct err e;
    do {
        e = edge_core_wait(edge, deadline);
        if (!err_is(e))
            e = edge_ask(edge, &msg, &s->mail->arena, &answer);
    } while (e.code == ERR_BUS_BROKEN && edge->loop->now < deadline);
    if (err_is(e))
        return err_make(ERR_BUS_BROKEN);
    if (answer.kind != MSG_committed)
        return err_make(ERR_BUS_BROKEN);
    *committed_r = answer.committed;
    return answer.committed.error == ERR_NOT_FOUND ? err_make(ERR_NOT_FOUND) : err_none();
}

/* What core says of recipients that it was not asked for before. */
static struct err resolved_late(struct smtp_session *s, const struct msg_committed *committed)
{
    struct smtp_mail *mail = s->mail;
    if (committed->error == ERR_NOT_FOUND) {
        mail->stale = true; /* Core has forgotten the id: it is asked for the recipients. */
        return err_make(ERR_NOT_FOUND);
    }
    for (size_t i = 0; i < committed->outcomes_count && i < mail->recipient_count; i++) {
        const struct msg_outcome *outcome = &committed->outcomes[i];
        mail->recipients[i].token = outcome->token;
        if (committed->error != ERR_NONE && outcome->error != ERR_NONE &&
            outcome->error != committed->error)
            smtp_refused_after_all(s, i, (enum err_code)outcome->error, str_null());
    }
    return err_none();
}

/* May yield. One try; ERR_NOT_FOUND: lost with core and without effect. */
static struct err commit_once(struct smtp_session *s, struct try *try,
                              struct msg_committed *committed_r)
{
    struct edge *edge = s->base.edge;
    struct msg answer, msg = {.kind = MSG_commit};
    struct err e = renew(s, try);
    if (e.code == ERR_BUS_BROKEN) /* nothing was sent yet */
        return err_make(ERR_TRY_LATER);
    if (err_is(e))
        return e;
    fill(s, try, &msg.commit);
    try->again = true;
    e = edge_ask(edge, &msg, &s->mail->arena, &answer);
    if (e.code == ERR_BUS_BROKEN)
        return ask_what_became(s, committed_r);
    if (err_is(e))
        return e;
    if (answer.kind != MSG_committed)
        return err_make(ERR_BUS_BROKEN);
    *committed_r = answer.committed;
    s->mail->core_since = 0; /* over with this message */
    if (answer.committed.next)
        smtp_known_id_add(edge, answer.committed.next);
    return try->by_address ? resolved_late(s, &answer.committed) : err_none();
}

struct err smtp_commit(struct smtp_session *s, struct msg_committed *committed_r)
{
    struct smtp_mail *mail = s->mail;
    struct try *try = arena_new(&mail->arena, struct try);
    if (!try)
        return err_make(ERR_OVER_LIMIT);
    try->recipients =
        arena_take_array(&mail->arena, mail->recipient_count, sizeof *try->recipients);
    try->addresses = arena_take_array(&mail->arena, mail->recipient_count, sizeof *try->addresses);
    if (!try->recipients || !try->addresses)
        return err_make(ERR_OVER_LIMIT);
    world_random(s->base.edge->world, mail->token, sizeof mail->token);
    sha256_end(&mail->body.digest, try->digest);
    if (mail->body.is_signed)
        dkim_hash_end(&mail->body.signed_hash, try->signed_hash);
    try->shown = str_null();
    struct err shown = mail->head ? smtp_screen_make(s, &try->shown) : err_none();
    if (err_is(shown))
        return shown;
    struct err e = err_make(ERR_NOT_FOUND);
    for (int i = 0; i < TRIES && e.code == ERR_NOT_FOUND; i++)
        e = commit_once(s, try, committed_r);
    smtp_slabs_give(&try->summary);
    return e.code == ERR_NOT_FOUND ? err_make(ERR_TRY_LATER) : e;
}
