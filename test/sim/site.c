/*
 * A connection to a site. What is to go wrong is drawn when it begins: at which phase, and how. So
 * a site that resets does so at every phase of some connection.
 */
#include "base/must.h"
#include "site_inside.h"

enum {
    REPLY_MAX = 600,
    CONTENT_MAX = 4 << 20,
    GARBAGE_MAX = 70000, /* octets of a line without an end */
};

static void call_end(struct site_call *call, enum dialog_end how)
{
    fake_event_clear(sim_of(call)->fake, &call->drip);
    site_tls_end(&call->tls);
    dialog_end(&call->dialog, how);
    LIST_REMOVE(call, link);
    buf_done(&call->content);
    free(call);
}

void site_calls_end(struct internet *internet)
{
    while (!LIST_EMPTY(&internet->calls))
        call_end(LIST_FIRST(&internet->calls), DIALOG_CLOSES);
}

/* --- Saying ---------------------------------------------------------------------------------- */

void site_put(struct site_call *call, struct str octets)
{
    if (call->tls.ssl)
        site_tls_say(&call->tls, &call->dialog, octets);
    else
        dialog_say(&call->dialog, octets);
}

void site_say(struct site_call *call, const char *format, ...)
{
    struct buf line = BUF_INIT(REPLY_MAX);
    va_list args;
    va_start(args, format);
    must(buf_vprintf(&line, format, args));
    va_end(args);
    sim_say(sim_of(call), "site %s: %.*s", call->site->row->name, STR_FMT(buf_str(&line)));
    buf_put(&line, STR("\r\n"));
    site_put(call, buf_str(&line));
    buf_done(&line);
}

static void garbage_say(struct site_call *call)
{
    static const char *const nonsense[] = {
        "hello, this is no reply", "999 what",         "25", "250-and then",
        "354 354\r\n354 354",      "\x01\x02\xff\xfe", "",
    };
    enum {
        COUNT = sizeof(nonsense) / sizeof(nonsense[0])
    };
    size_t which = below(call, COUNT + 1);
    if (which < COUNT) {
        site_say(call, "%s", nonsense[which]);
        return;
    }
    struct buf line = BUF_INIT(GARBAGE_MAX);
    for (size_t i = 0; i < GARBAGE_MAX; i++)
        buf_putc(&line, 'x');
    site_put(call, buf_str(&line));
    buf_done(&line);
}

bool site_fails(struct site_call *call, enum phase phase)
{
    if (call->fails_at != phase)
        return false;
    call->fails_at = PHASE_NEVER;
    sim_say(sim_of(call), "site %s: fails at phase %d", call->site->row->name, (int)phase);
    if (call->fails_how == QUIRK_CLOSES && phase != PHASE_CONTENT) {
        site_say(call, "421 4.3.2 %s closes", call->site->row->name);
        call->state = SITE_STUCK;
        call->ends = true;
    } else if (call->fails_how == QUIRK_DEAF) {
        call->state = SITE_STUCK;
    } else if (call->fails_how == QUIRK_GARBAGE) {
        garbage_say(call);
        call->state = SITE_STUCK;
    } else {
        call_end(call, below(call, 2) ? DIALOG_RESETS : DIALOG_CLOSES);
    }
    return true;
}

/* --- Hearing --------------------------------------------------------------------------------- */

/* One that says PIPELINING and has none: what stands behind a command is thrown away, or ends it,
 * or is answered once too often. (Not with 250: where the content is said behind the envelope at
 * once, that would be its word for it, too early though it is.) True: the call is gone. */
static bool lied(struct site_call *call)
{
    struct dialog *dialog = &call->dialog;
    if (!call->lies || call->state != SITE_COMMANDS || dialog->in_at == dialog->in.n)
        return false;
    uint64_t how = below(call, 3);
    if (how == 0) {
        call_end(call, DIALOG_RESETS);
        return true;
    }
    if (how == 1)
        dialog->in_at = dialog->in.n;
    else
        site_say(call, "500 5.5.2 what?");
    call->miscounts = true;
    return false;
}

static bool chunk_read(struct site_call *call)
{
    struct dialog *dialog = &call->dialog;
    struct str there = str_from_index(buf_str(&dialog->in), dialog->in_at);
    if (there.n > call->chunk_left)
        there = str_head(there, call->chunk_left);
    must(buf_put(&call->content, there));
    dialog->in_at += there.n;
    call->chunk_left -= there.n;
    return call->chunk_left == 0;
}

/* False: nothing more to read now, or the call is gone. */
static bool read_one(struct site_call *call)
{
    struct str line;
    struct site_calls *calls = &call->site->internet->calls;
    if (call->state == SITE_STUCK)
        return false;
    if (call->state == SITE_CHUNK) {
        if (!chunk_read(call))
            return false;
        site_chunk_ended(call);
    } else if (!dialog_line(&call->dialog, &line)) {
        return false;
    } else if (call->state == SITE_DATA) {
        site_heard_line(call, line);
    } else {
        site_heard(call, line);
    }
    struct site_call *living;
    LIST_FOREACH (living, calls, link)
        if (living == call)
            return !lied(call);
    return false;
}

static bool lives(const struct internet *internet, const struct site_call *call)
{
    const struct site_call *living;
    LIST_FOREACH (living, &internet->calls, link)
        if (living == call)
            return true;
    return false;
}

static void push(struct site_call *call)
{
    struct sim *sim = sim_of(call);
    dialog_push(&call->dialog);
    if (!dialog_is_pushed(&call->dialog)) {
        if (call->dialog.drip && !call->drip.heap_place && !call->drip.ready_place)
            fake_event_set(sim->fake, &call->drip,
                           sim_now(sim) + (int64_t)below(call, 2 * NS_PER_SECOND));
        return;
    }
    if (call->ends)
        call_end(call, DIALOG_CLOSES);
}

/* False: the call is gone. */
static bool pull(struct site_call *call)
{
    if (!call->tls.ssl) {
        dialog_pull(&call->dialog);
        return true;
    }
    switch (site_tls_pull(&call->tls, &call->dialog)) {
    case SITE_TLS_GOES_ON:
        return true;
    case SITE_TLS_FAILED:
        call->state = SITE_STUCK;
        call->ends = true;
        return true;
    case SITE_TLS_RESET:
        break;
    }
    call_end(call, DIALOG_RESETS);
    return false;
}

static void changed(struct fake_client *client, void *arg)
{
    (void)client;
    struct site_call *call = arg;
    struct internet *internet = call->site->internet;
    if (!pull(call))
        return;
    while (call->greeted && read_one(call))
        continue;
    if (!lives(internet, call))
        return;
    if (dialog_is_over(&call->dialog))
        call_end(call, DIALOG_CLOSES);
    else
        push(call);
}

static void drip_falls(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct site_call *call = event->arg;
    struct internet *internet = call->site->internet;
    if (!call->greeted) {
        call->greeted = true;
        if (!site_fails(call, PHASE_BANNER))
            site_say(call, "220 %s here", call->site->row->name);
        if (!lives(internet, call))
            return;
    }
    push(call);
}

/* --- The beginning --------------------------------------------------------------------------- */

static void failure_plan(struct site_call *call)
{
    static const unsigned ways[] = {QUIRK_RESETS, QUIRK_CLOSES, QUIRK_DEAF, QUIRK_GARBAGE};
    enum {
        WAYS = sizeof(ways) / sizeof(ways[0])
    };
    unsigned any = QUIRK_RESETS | QUIRK_CLOSES | QUIRK_DEAF | QUIRK_GARBAGE;
    call->fails_at = PHASE_NEVER;
    if (!has(call, any) || below(call, 3) == 0)
        return;
    do
        call->fails_how = ways[below(call, WAYS)];
    while (!has(call, call->fails_how));
    call->fails_at = (enum phase)below(call, PHASES);
}

void site_called(struct fake_host *host, struct fake_client *client,
                 const struct peer_address *caller)
{
    (void)caller;
    struct site *site = host->arg;
    struct internet *internet = site->internet;
    struct site_call *call = calloc(1, sizeof(*call));
    must(call);
    call->site = site;
    buf_init(&call->content, CONTENT_MAX);
    LIST_INSERT_HEAD(&internet->calls, call, link);
    internet->calls_made++;
    call->drip = (struct fake_event){.run = drip_falls, .arg = call};
    dialog_take(&call->dialog, client, changed, call);
    sim_say(internet->sim, "site %s: is called at %s", site->row->name, host->address);
    if (has(call, QUIRK_FORBIDDEN))
        oracle_wrong(&internet->sim->oracle, "%s is connected, which nobody may", host->address);
    failure_plan(call);
    call->tls = site_tls_plan(site);
    call->announces = below(call, 2);
    call->lies = has(call, QUIRK_LIES) && below(call, 3) > 0;
    call->dialog.drip = has(call, QUIRK_DRIPS) ? 1 + below(call, 8) : 0;
    fake_event_set(internet->sim->fake, &call->drip,
                   sim_now(internet->sim) + (int64_t)below(call, 20 * NS_PER_MS));
}
