/*
 * A connection to a site. What is to go wrong is drawn when it begins: at which phase, and how. So
 * a site that resets does so at every phase of some connection.
 */
#include "base/must.h"
#include "internet.h"
#include "sim.h"
#include "site_tls.h"

enum {
    REPLY_MAX = 600,
    CONTENT_MAX = 4 << 20,
    GARBAGE_MAX = 70000, /* octets of a line without an end */
};

enum phase {
    PHASE_BANNER,
    PHASE_EHLO,
    PHASE_MAIL,
    PHASE_RCPT,
    PHASE_DATA,
    PHASE_CONTENT,
    PHASE_END,    /* the message is there, and not taken */
    PHASE_REPLY,  /* it was taken, and the reply does not leave */
    PHASE_HALF,   /* half of the reply leaves */
    PHASE_BEHIND, /* the reply leaves, and then */
    PHASES,
    PHASE_NEVER = PHASES,
};

enum site_state {
    SITE_COMMANDS,
    SITE_DATA,
    SITE_CHUNK,
    SITE_STUCK, /* says nothing any more */
};

struct site_call {
    LIST_ENTRY(site_call) link;
    struct site *site;
    struct dialog dialog;
    struct fake_event drip; /* the greeting, and what is dripped */
    enum phase fails_at;
    unsigned fails_how; /* one of QUIRK_RESETS, CLOSES, DEAF, GARBAGE */
    enum site_state state;
    struct site_tls tls;
    bool greeted, helloed, mail, chunks_bad;
    bool by;              /* the message is to be there by a time */
    bool announces;       /* its limits */
    bool lies, miscounts; /* miscounts: an answer of its is for another command, or missing */
    bool ends;            /* when all was said */
    size_t chunk_left;
    bool chunk_last;
    char from[SITE_ADDRESS_MAX];
    char to[SITE_RECIPIENTS][SITE_ADDRESS_MAX];
    size_t to_count;
    struct buf content;
    struct ledger_row *row; /* whose reply may not have been read yet */
};

static struct sim *sim_of(const struct site_call *call)
{
    return call->site->internet->sim;
}

static bool has(const struct site_call *call, unsigned quirk)
{
    return (call->site->quirks & quirk) != 0;
}

static uint64_t below(struct site_call *call, uint64_t n)
{
    return fake_random_below(&call->site->internet->random, n);
}

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

static void put(struct site_call *call, struct str octets)
{
    if (call->tls.ssl)
        site_tls_say(&call->tls, &call->dialog, octets);
    else
        dialog_say(&call->dialog, octets);
}

static void say(struct site_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct site_call *call, const char *format, ...)
{
    struct buf line = BUF_INIT(REPLY_MAX);
    va_list args;
    va_start(args, format);
    must(buf_vprintf(&line, format, args));
    va_end(args);
    sim_say(sim_of(call), "site %s: %.*s", call->site->row->name, STR_FMT(buf_str(&line)));
    buf_put(&line, STR("\r\n"));
    put(call, buf_str(&line));
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
        say(call, "%s", nonsense[which]);
        return;
    }
    struct buf line = BUF_INIT(GARBAGE_MAX);
    for (size_t i = 0; i < GARBAGE_MAX; i++)
        buf_putc(&line, 'x');
    put(call, buf_str(&line));
    buf_done(&line);
}

/* Is this where it fails? Then it does; the call may be gone. */
static bool fails(struct site_call *call, enum phase phase)
{
    if (call->fails_at != phase)
        return false;
    call->fails_at = PHASE_NEVER;
    sim_say(sim_of(call), "site %s: fails at phase %d", call->site->row->name, (int)phase);
    if (call->fails_how == QUIRK_CLOSES && phase != PHASE_CONTENT) {
        say(call, "421 4.3.2 %s closes", call->site->row->name);
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

/* --- Commands -------------------------------------------------------------------------------- */

static bool announces(struct site_call *call)
{
    return !has(call, QUIRK_VARIES) || below(call, 3) > 0;
}

static void say_extensions(struct site_call *call)
{
    static const char *const names[] = {"8BITMIME",     "SMTPUTF8",    "DSN",
                                        "DELIVERBY 60", "MT-PRIORITY", "ENHANCEDSTATUSCODES"};
    say(call, "250-%s", call->site->row->name);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (announces(call))
            say(call, "250-%s", names[i]);
    if (announces(call))
        say(call, "250-CHUNKING\r\n250-BINARYMIME");
    if (announces(call) || call->lies)
        say(call, "250-PIPELINING");
    if (site_tls_is_announced(call->site, &call->tls))
        say(call, "250-STARTTLS");
    if (has(call, QUIRK_LIMITS) && call->announces)
        say(call, "250-LIMITS RCPTMAX=%d MAILMAX=3", SITE_LIMIT);
    if (!has(call, QUIRK_SMALL))
        say(call, "250 SIZE 10000000");
    else if (call->announces)
        say(call, "250 SIZE %d", SITE_SMALL);
    else
        say(call, "250 SIZE");
}

static void transaction_end(struct site_call *call)
{
    call->mail = false;
    call->to_count = 0;
    call->chunks_bad = false;
    buf_clear(&call->content);
}

static void heard_hello(struct site_call *call, bool extended)
{
    transaction_end(call);
    if (fails(call, PHASE_EHLO))
        return;
    if (extended && has(call, QUIRK_OLD))
        say(call, "502 what is that?");
    else if (extended)
        say_extensions(call);
    else
        say(call, "250 %s", call->site->row->name);
    call->helloed = true;
}

static void heard_starttls(struct site_call *call)
{
    if (!site_tls_is_announced(call->site, &call->tls) || call->dialog.in_at < call->dialog.in.n)
        oracle_wrong(&sim_of(call)->oracle,
                     "site %s hears STARTTLS, and more behind it, or "
                     "announced none",
                     call->site->row->name);
    call->tls.asked = true;
    if (call->tls.trouble == TLS_UNWILLING) {
        say(call, "454 4.7.0 not now");
        return;
    }
    say(call, "220 2.0.0 go on");
    site_tls_begin(&call->tls, call->site, &call->dialog);
    call->helloed = false;
    transaction_end(call);
}

/* What stands between < and >; the rest behind. */
static bool path_take(struct str line, char to[SITE_ADDRESS_MAX], struct str *rest_r)
{
    ssize_t begin = str_index(line, '<'), end = str_index(line, '>');
    if (begin < 0 || end < begin || end - begin > SITE_ADDRESS_MAX)
        return false;
    size_t n = (size_t)(end - begin) - 1;
    memcpy(to, line.p + begin + 1, n);
    to[n] = '\0';
    *rest_r = str_from_index(line, (size_t)end + 1);
    return true;
}

static uint64_t size_said(struct str options)
{
    ssize_t at = str_find(options, STR(" SIZE="));
    uint64_t size = 0;
    if (at < 0)
        return 0;
    struct str rest = str_from_index(options, (size_t)at + STR(" SIZE=").n);
    (void)str_to_u64(str_cut(&rest, ' '), &size);
    return size;
}

static void heard_mail(struct site_call *call, struct str line)
{
    struct str options;
    if (fails(call, PHASE_MAIL))
        return;
    if (call->mail && call->miscounts) { /* it threw the RSET away, and one answer too many was
                                            taken for its own */
        say(call, "503 5.5.1 there is one already");
        return;
    }
    if (call->mail || !call->helloed || !path_take(line, call->from, &options)) {
        oracle_wrong(&sim_of(call)->oracle, "site %s hears %.*s", call->site->row->name,
                     STR_FMT(line));
        return;
    }
    site_tls_judge(call->site, &call->tls, str_from(call->from));
    if (has(call, QUIRK_OLD) && options.n)
        oracle_wrong(&sim_of(call)->oracle, "what was not announced is asked for: %.*s",
                     STR_FMT(line));
    if (has(call, QUIRK_SMALL) && size_said(options) > SITE_SMALL) {
        say(call, "552 5.3.4 too large");
        return;
    }
    call->mail = true;
    call->by = str_find(options, STR(" BY=")) >= 0;
    say(call, "250 2.1.0 ok");
}

static bool is_ours(const struct site_call *call, struct str to)
{
    ssize_t at = str_index(to, '@');
    struct str domain = str_from(call->site->row->domain);
    return at > 0 &&
           (str_eq(domain, STR("*")) || str_eq_nocase(str_from_index(to, (size_t)at + 1), domain));
}

/* Reports to every fifth letter's sender are refused. */
static bool is_fifth(struct str to)
{
    uint64_t number = 0;
    struct str rest = str_from_index(to, 1);
    (void)str_to_u64(str_cut(&rest, '@'), &number);
    return number % 5 == 0;
}

/* NULL: it is taken. */
static const char *rcpt_refusal(struct site_call *call, struct str to)
{
    struct internet *internet = call->site->internet;
    if (has(call, QUIRK_GREY) && internet_greys(internet, call->site, str_from(call->from), to))
        return "450 4.7.1 come again later";
    if (has(call, QUIRK_MIXED) && str_starts(to, STR("x")))
        return "550 5.1.1 no such user";
    if (has(call, QUIRK_MIXED) && !internet->healed && below(call, 2))
        return "451 4.3.0 not now";
    if (has(call, QUIRK_LIMITS) && call->to_count >= SITE_LIMIT)
        return "452 4.5.3 too many";
    if (has(call, QUIRK_LIMITS) && str_starts(to, STR("l2")) && !internet->healed && below(call, 2))
        return "451 4.2.1 busy";
    if (has(call, QUIRK_RETURNS) && is_fifth(to))
        return "550 5.7.1 no reports, please";
    return NULL;
}

static void heard_rcpt(struct site_call *call, struct str line)
{
    struct str options;
    char *to = call->to[call->to_count];
    if (fails(call, PHASE_RCPT))
        return;
    if (!call->mail) {
        say(call, "503 5.5.1 no MAIL");
        return;
    }
    if (call->to_count == SITE_RECIPIENTS - 1 || !path_take(line, to, &options) ||
        !is_ours(call, str_from(to))) {
        oracle_wrong(&sim_of(call)->oracle, "site %s hears %.*s", call->site->row->name,
                     STR_FMT(line));
        return;
    }
    const char *refusal = rcpt_refusal(call, str_from(to));
    if (!refusal)
        call->to_count++;
    say(call, "%s", refusal ? refusal : "250 2.1.5 ok");
}

/* --- The message ----------------------------------------------------------------------------- */

static const char *message_refusal(struct site_call *call)
{
    if (has(call, QUIRK_SMALL) && call->content.n > SITE_SMALL)
        return "552 5.3.4 too large";
    if (has(call, QUIRK_MIXED) && !call->site->internet->healed && below(call, 4) == 0)
        return below(call, 2) ? "451 4.3.0 out of order" : "554 5.7.1 not that";
    return NULL;
}

/* Taken: the reply may get lost, what was taken does not. */
static void message_take(struct site_call *call)
{
    struct internet *internet = call->site->internet;
    call->row =
        ledger_add(internet, call->site, str_from(call->from), call->to, call->to_count,
                   buf_str(&call->content), call->by, fake_client_role(call->dialog.client));
    call->row->doubtful = call->miscounts;
    call->row->in_tls = call->tls.ssl != NULL;
    internet->taken_in_tls += call->row->in_tls;
    transaction_end(call);
    if (fails(call, PHASE_REPLY))
        return;
    if (call->fails_at == PHASE_HALF) {
        put(call, STR("250 2.0."));
        (void)fails(call, PHASE_HALF);
        return;
    }
    say(call, "250 2.0.0 taken");
    (void)fails(call, PHASE_BEHIND);
}

static void message_ended(struct site_call *call)
{
    call->state = SITE_COMMANDS;
    if (call->fails_at == PHASE_REPLY && call->fails_how == QUIRK_CLOSES)
        call->fails_at = PHASE_END; /* 421 says that it was not taken */
    if (fails(call, PHASE_END))
        return;
    const char *refusal = message_refusal(call);
    if (!refusal) {
        message_take(call);
        return;
    }
    transaction_end(call);
    say(call, "%s", refusal);
}

static void heard_data(struct site_call *call)
{
    if (fails(call, PHASE_DATA))
        return;
    if (call->to_count == 0) {
        say(call, "554 5.5.1 no recipients");
        return;
    }
    say(call, "354 go on");
    call->state = SITE_DATA;
}

static void heard_line(struct site_call *call, struct str line)
{
    if (line.p[line.n] != '\r')
        oracle_wrong(&sim_of(call)->oracle, "site %s: a line feed alone", call->site->row->name);
    if (str_eq(line, STR("."))) {
        message_ended(call);
        return;
    }
    must(buf_put(&call->content, line.n && line.p[0] == '.' ? str_from_index(line, 1) : line));
    must(buf_put(&call->content, STR("\r\n")));
    if (call->content.n > 100)
        (void)fails(call, PHASE_CONTENT);
}

static void heard_chunk(struct site_call *call, struct str line)
{
    struct str rest = str_from_index(line, STR("BDAT ").n);
    uint64_t size = 0;
    bool known = str_to_u64(str_cut(&rest, ' '), &size);
    if (!known)
        oracle_wrong(&sim_of(call)->oracle, "site %s hears %.*s", call->site->row->name,
                     STR_FMT(line));
    call->chunk_left = size;
    call->chunk_last = str_eq(rest, STR("LAST"));
    call->chunks_bad = call->chunks_bad || call->to_count == 0;
    call->state = SITE_CHUNK;
}

static void chunk_ended(struct site_call *call)
{
    call->state = SITE_COMMANDS;
    if (call->chunks_bad) {
        transaction_end(call);
        say(call, "503 5.5.1 no recipients");
    } else if (call->chunk_last)
        message_ended(call);
    else if (!fails(call, PHASE_CONTENT))
        say(call, "250 2.0.0 more");
}

/* --- Hearing --------------------------------------------------------------------------------- */

static void heard(struct site_call *call, struct str line)
{
    sim_say(sim_of(call), "site %s:     %.*s", call->site->row->name, STR_FMT(line));
    if (call->row && !call->miscounts)
        call->row->heard = true;
    call->row = NULL;
    if (str_starts(line, STR("EHLO ")) || str_starts(line, STR("HELO "))) {
        heard_hello(call, line.p[0] == 'E');
    } else if (str_eq(line, STR("STARTTLS"))) {
        heard_starttls(call);
    } else if (str_starts(line, STR("MAIL FROM:"))) {
        heard_mail(call, line);
    } else if (str_starts(line, STR("RCPT TO:"))) {
        heard_rcpt(call, line);
    } else if (str_eq(line, STR("DATA"))) {
        heard_data(call);
    } else if (str_starts(line, STR("BDAT "))) {
        heard_chunk(call, line);
    } else if (str_eq(line, STR("RSET"))) {
        transaction_end(call);
        say(call, "250 2.0.0 ok");
    } else if (str_eq(line, STR("QUIT"))) {
        say(call, "221 2.0.0 bye");
        call->state = SITE_STUCK;
        call->ends = true;
    } else {
        say(call, "502 5.5.1 what?");
    }
}

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
        say(call, "500 5.5.2 what?");
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
        chunk_ended(call);
    } else if (!dialog_line(&call->dialog, &line)) {
        return false;
    } else if (call->state == SITE_DATA) {
        heard_line(call, line);
    } else {
        heard(call, line);
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
        if (!fails(call, PHASE_BANNER))
            say(call, "220 %s here", call->site->row->name);
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
