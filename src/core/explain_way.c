/*
 * An entry is made as a message's would be and never stored: the queue's own functions judge it.
 */
#include "core/explain.h"

#include "core/core.h"
#include "core/departing.h"
#include "core/forwarding.h"
#include "core/governor.h"
#include "core/queue.h"
#include "core/route.h"
#include "store/dkim.h"

/* One address elsewhere. */
struct way {
    struct explain *explain;
    struct queue_entry entry;
    struct queue_recipient recipient;
    bool ours; /* its sender's domain is */
    struct route_choice choice;
    const struct conf *conf; /* that the choice is of; held */
};

static void say(struct way *way, const char *step, enum explain_state state, struct str because,
                struct str text)
{
    (void)explain_say(way->explain, step, state, because, text);
}

static void unknown(struct way *way, const char *step, struct err e)
{
    say(way, step, EXPLAIN_UNKNOWN, STR(""), str_from(err_row(e.code)->text));
}

/* --- In whose name --------------------------------------------------------------------------- */

static void entry_make(struct way *way, const struct outside *outside, bool rewrites)
{
    struct explain *explain = way->explain;
    const struct transaction *transaction = explain->transaction;
    way->recipient = (struct queue_recipient){
        .address = outside->text, .given = outside->given, .asked = STR("")};
    way->entry = (struct queue_entry){
        .flags = outside->forward && rewrites ? QUEUE_FORWARDED : 0,
        .account = transaction->account,
        .size = explain->size,
        .sender = outside->list.p ? outside->list_owner : transaction->reverse_path,
        .domain = outside->addr.domain,
        .asked = explain->asked,
        .recipients = &way->recipient,
        .recipient_count = 1,
    };
}

static void name_tell(struct way *way, const struct outside *outside)
{
    struct explain *explain = way->explain;
    struct str sender = forwarding_sender(explain->core, &way->entry, explain->arena);
    struct str shown = explain_address(explain, sender);
    if (outside->list.p)
        say(way, "name", EXPLAIN_OK,
            explain_text(explain, "veredus list show %.*s", STR_FMT(outside->list)),
            explain_text(explain, "it leaves with the list's owner as sender, %.*s",
                         STR_FMT(shown)));
    else if (!str_eq(sender, way->entry.sender))
        say(way, "name", EXPLAIN_OK, STR(""),
            explain_text(explain,
                         "it is forwarded for a sender elsewhere, and leaves as %.*s (SRS)",
                         STR_FMT(shown)));
    else
        say(way, "name", EXPLAIN_OK, STR(""),
            explain_text(explain, "it leaves with its own sender, %.*s", STR_FMT(shown)));
}

/* --- Signatures ------------------------------------------------------------------------------ */

static struct err signer_add(void *arg, const struct dkim_kept *kept)
{
    struct buf *names = arg;
    if (kept->state != DKIM_ACTIVE)
        return err_none();
    buf_put(names, names->n > 0 ? STR(", ") : STR(""));
    buf_put(names, kept->selector);
    return err_none();
}

static void keys_tell(struct way *way, struct str domain)
{
    struct explain *explain = way->explain;
    struct buf list = buf_in(explain->arena, EXPLAIN_TEXT);
    struct err e = dkim_kept_each(explain->core->engine, domain, signer_add, &list);
    struct str names = buf_built(&list);
    if (err_is(e))
        unknown(way, "signature", e);
    else if (names.n > 0)
        say(way, "signature", EXPLAIN_OK,
            explain_text(explain, "veredus dkim list %.*s", STR_FMT(domain)),
            explain_text(explain, "signed by %.*s of %.*s, where its From is of that domain",
                         STR_FMT(names), STR_FMT(domain)));
    else
        say(way, "signature", EXPLAIN_NOTE,
            way->ours ? explain_text(explain, "veredus dkim add %.*s", STR_FMT(domain)) : STR(""),
            explain_text(explain, "not signed: %.*s has no key that signs", STR_FMT(domain)));
}

static void signature_tell(struct way *way)
{
    const struct explain *explain = way->explain;
    const struct transaction *transaction = explain->transaction;
    if (!explain->core->conf->dkim.sign)
        say(way, "signature", EXPLAIN_NOTE, STR("dkim { sign = no }"), STR("not signed"));
    else if (!departing_is_trusted(explain->core, transaction))
        say(way, "signature", EXPLAIN_NOTE, STR(""),
            STR("not signed: what strangers send never is"));
    else if (transaction->sender.kind == ADDR_DOMAIN)
        keys_tell(way, transaction->sender.domain);
}

/* --- Which way ------------------------------------------------------------------------------- */

static void condition_put(struct buf *to, const char *name, const struct conf_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        buf_printf(to, "%s%.*s", i == 0 ? name : ", ", STR_FMT(texts->list[i]));
}

/* "route smart { to = far.test }": as it could stand in the file. */
static struct str block_text(struct way *way)
{
    const struct conf_route *block = way->choice.block;
    struct buf text = buf_in(way->explain->arena, EXPLAIN_TEXT);
    buf_printf(&text, "route %.*s {", STR_FMT(block->name));
    condition_put(&text, " to = ", &block->to);
    condition_put(&text, " from = ", &block->from);
    condition_put(&text, " accounts = ", &block->accounts);
    buf_put(&text, STR(" }"));
    return buf_built(&text);
}

static struct str block_setting(struct way *way, const char *setting)
{
    return explain_text(way->explain, "route %.*s { %s }", STR_FMT(way->choice.block->name),
                        setting);
}

static void log_in_tell(struct way *way)
{
    struct explain *explain = way->explain;
    const struct conf_route *block = way->choice.block;
    if (block->user.n == 0)
        return;
    struct str why;
    bool ready = route_is_ready(explain->core, &way->choice, explain->arena, &why);
    const char *file = block->oauth_file.n > 0   ? "oauth_file"
                       : block->token_file.n > 0 ? "token_file"
                                                 : "password_file";
    say(way, "log-in", ready ? EXPLAIN_OK : EXPLAIN_WAITS, block_setting(way, file),
        ready ? explain_text(explain, "it logs in there as %.*s", STR_FMT(block->user)) : why);
}

static bool use_put(struct buf *to, uint64_t used, uint64_t most, const char *what)
{
    if (most > 0)
        buf_printf(to, "%s%llu of %llu %s", to->n > 0 ? ", " : "", (unsigned long long)used,
                   (unsigned long long)most, what);
    return most > 0 && used >= most;
}

static void limits_tell(struct way *way)
{
    struct explain *explain = way->explain;
    const struct route_limits *limits = &way->choice.way.limits;
    struct buf text = buf_in(explain->arena, EXPLAIN_TEXT);
    struct governor_row row;
    int64_t now = world_wall(explain->core->world);
    if (!route_has_rates(limits))
        return;
    struct err e = governor_row(explain->core, way->choice.block->name, &row);
    if (err_is(e)) {
        unknown(way, "limits", e);
        return;
    }
    const struct sending *messages = &row.use.messages, *recipients = &row.use.recipients;
    bool full = use_put(&text, sending_last_hour(messages, now), limits->messages_per_hour,
                        "messages of an hour");
    full |= use_put(&text, sending_last_day(messages, now), limits->messages_per_day,
                    "messages of a day");
    full |= use_put(&text, sending_last_hour(recipients, now), limits->recipients_per_hour,
                    "recipients of an hour");
    full |= use_put(&text, sending_last_day(recipients, now), limits->recipients_per_day,
                    "recipients of a day");
    bool waits = full || row.until > now;
    struct str used = buf_built(&text);
    say(way, "limits", waits ? EXPLAIN_WAITS : EXPLAIN_OK,
        explain_text(explain, "veredus route show %.*s", STR_FMT(way->choice.block->name)),
        explain_text(explain, "%.*s used%s", STR_FMT(used),
                     waits ? ": it waits until there is room" : ""));
}

static void block_tell(struct way *way)
{
    struct explain *explain = way->explain;
    const struct conf_way *to = &way->choice.way;
    const struct conf_texts *owners = &way->choice.block->collect;
    if (owners->count > 0) {
        say(way, "route", EXPLAIN_WAITS, block_text(way),
            explain_text(explain, "by the route %.*s: until %.*s collects it (ATRN)",
                         STR_FMT(way->choice.block->name),
                         STR_FMT(conf_texts_join(owners, explain->arena))));
        limits_tell(way);
        return;
    }
    struct str hosts =
        to->via.count > 0 ? conf_texts_join(&to->via, explain->arena) : STR("the domain's MX");
    say(way, "route", EXPLAIN_OK, block_text(way),
        explain_text(explain, "by the route %.*s: to %.*s", STR_FMT(way->choice.block->name),
                     STR_FMT(hosts)));
    log_in_tell(way);
    limits_tell(way);
}

/* --- When ------------------------------------------------------------------------------------ */

static struct str until_text(struct way *way, const struct destination *destination)
{
    const struct schedule *schedule = &way->explain->core->queue->schedule;
    int64_t seconds =
        (destination->quiet_until - schedule->mono + NS_PER_SECOND - 1) / NS_PER_SECOND;
    return explain_text(way->explain, "%lld seconds", (long long)seconds);
}

static struct str where(struct way *way)
{
    return explain_text(way->explain, "veredus queue list --domain %.*s",
                        STR_FMT(way->entry.domain));
}

static void destination_tell(struct way *way, const struct destination *destination)
{
    static const char *const troubles[JOB_TROUBLES] = {
        [JOB_NO_TROUBLE] = "it told us to come back later",
        [JOB_TROUBLE_DNS] = "the DNS did not answer",
        [JOB_TROUBLE_CONNECT] = "it could not be connected",
        [JOB_TROUBLE_GREETING] = "it did not greet",
        [JOB_TROUBLE_TLS] = "it had no TLS as policy demands",
        [JOB_TROUBLE_LOGIN] = "our log-in was refused",
        [JOB_TROUBLE_BUSY] = "it took no more",
    };
    struct explain *explain = way->explain;
    const struct schedule *schedule = &explain->core->queue->schedule;
    bool quiet = (destination->troubles > 0 || destination->sleeps) &&
                 destination->quiet_until > schedule->mono;
    if (quiet)
        say(way, "queue", EXPLAIN_WAITS, where(way),
            explain_text(explain, "%s; it is tried again in %.*s",
                         destination->sleeps                   ? "a limit of its route is reached"
                         : destination->trouble < JOB_TROUBLES ? troubles[destination->trouble]
                                                               : troubles[JOB_NO_TROUBLE],
                         STR_FMT(until_text(way, destination))));
    else
        say(way, "queue", EXPLAIN_OK, where(way),
            explain_text(explain, "%zu wait for %.*s, %zu are under way of %u at a time",
                         destination->entries - destination->under_way,
                         STR_FMT(destination_name(destination)), destination->under_way,
                         destination->troubles > 0 ? 1 : destination->window));
}

static void queue_tell(struct way *way)
{
    struct explain *explain = way->explain;
    struct queue *queue = explain->core->queue;
    struct str name = way->choice.destination.name;
    const struct destination *destination = schedule_destination(&queue->schedule, name);
    if (queue->schedule.paused)
        say(way, "queue", EXPLAIN_WAITS, STR("veredus queue resume --all"),
            STR("the queue is paused"));
    else if (destination && destination->paused)
        say(way, "queue", EXPLAIN_WAITS,
            explain_text(explain, "veredus queue resume %.*s", STR_FMT(name)),
            STR("its destination is paused"));
    else if (destination)
        destination_tell(way, destination);
    else
        say(way, "queue", EXPLAIN_OK, where(way), STR("nothing waits for it"));
    if (queue->couriers == 0)
        say(way, "queue", EXPLAIN_WAITS, STR("veredus status"), STR("no courier is up"));
}

/* --- All ------------------------------------------------------------------------------------- */

static void hosts_tell(struct way *way)
{
    struct explain *explain = way->explain;
    struct msg_job job = {.domain = way->entry.domain, .asked = explain->asked};
    if (route_tell(explain->core, &way->choice, explain->arena, &job))
        explain_hosts(explain, &job);
    else
        unknown(way, "hosts", err_make(ERR_NO_MEMORY));
}

static void route_tell_all(struct way *way)
{
    route_choose(way->explain->core, &way->entry, way->explain->arena, &way->choice);
    way->conf = conf_hold(way->explain->core->conf);
    if (way->choice.denied) /* a reload came between */
        say(way, "route", EXPLAIN_REFUSES, block_text(way), way->choice.block->deny);
    else if (way->choice.block)
        block_tell(way);
    else
        say(way, "route", EXPLAIN_OK, STR("veredus route list"),
            explain_text(way->explain, "no route holds: by the MX of %.*s",
                         STR_FMT(way->entry.domain)));
    queue_tell(way);
    if (!way->choice.block || way->choice.block->collect.count == 0)
        hosts_tell(way);
    conf_let_go(way->conf);
}

void explain_way(struct explain *explain, const struct outside *outside)
{
    struct way *way = arena_new(explain->arena, struct way);
    bool rewrites = false;
    struct err e = forwarding_rewrites(explain->core, &explain->transaction->sender, explain->arena,
                                       &rewrites);
    if (!way)
        return; /* the arena tells */
    *way = (struct way){.explain = explain, .ours = !rewrites};
    if (err_is(e)) {
        unknown(way, "name", e);
        return;
    }
    entry_make(way, outside, rewrites);
    name_tell(way, outside);
    signature_tell(way);
    route_tell_all(way);
}
