/*
 * What a site says to the commands of a call, and what it takes.
 */
#include "base/must.h"
#include "site_inside.h"

/* --- Commands -------------------------------------------------------------------------------- */

static bool announces(struct site_call *call)
{
    return !has(call, QUIRK_VARIES) || below(call, 3) > 0;
}

static void say_extensions(struct site_call *call)
{
    static const char *const names[] = {"8BITMIME",     "SMTPUTF8",    "DSN",
                                        "DELIVERBY 60", "MT-PRIORITY", "ENHANCEDSTATUSCODES"};
    site_say(call, "250-%s", call->site->row->name);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (announces(call))
            site_say(call, "250-%s", names[i]);
    if (announces(call))
        site_say(call, "250-CHUNKING\r\n250-BINARYMIME");
    if (announces(call) || call->lies)
        site_say(call, "250-PIPELINING");
    if (site_tls_is_announced(call->site, &call->tls))
        site_say(call, "250-STARTTLS");
    if (has(call, QUIRK_LIMITS) && call->announces)
        site_say(call, "250-LIMITS RCPTMAX=%d MAILMAX=3", SITE_LIMIT);
    if (!has(call, QUIRK_SMALL))
        site_say(call, "250 SIZE 10000000");
    else if (call->announces)
        site_say(call, "250 SIZE %d", SITE_SMALL);
    else
        site_say(call, "250 SIZE");
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
    if (site_fails(call, PHASE_EHLO))
        return;
    if (extended && has(call, QUIRK_OLD))
        site_say(call, "502 what is that?");
    else if (extended)
        say_extensions(call);
    else
        site_say(call, "250 %s", call->site->row->name);
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
        site_say(call, "454 4.7.0 not now");
        return;
    }
    site_say(call, "220 2.0.0 go on");
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
    if (site_fails(call, PHASE_MAIL))
        return;
    if (call->mail && call->miscounts) { /* it threw the RSET away, and one answer too many was
                                            taken for its own */
        site_say(call, "503 5.5.1 there is one already");
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
        site_say(call, "552 5.3.4 too large");
        return;
    }
    call->mail = true;
    call->by = str_find(options, STR(" BY=")) >= 0;
    site_say(call, "250 2.1.0 ok");
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
    if (site_fails(call, PHASE_RCPT))
        return;
    if (!call->mail) {
        site_say(call, "503 5.5.1 no MAIL");
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
    site_say(call, "%s", refusal ? refusal : "250 2.1.5 ok");
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
    if (site_fails(call, PHASE_REPLY))
        return;
    if (call->fails_at == PHASE_HALF) {
        site_put(call, STR("250 2.0."));
        (void)site_fails(call, PHASE_HALF);
        return;
    }
    site_say(call, "250 2.0.0 taken");
    (void)site_fails(call, PHASE_BEHIND);
}

static void message_ended(struct site_call *call)
{
    call->state = SITE_COMMANDS;
    if (call->fails_at == PHASE_REPLY && call->fails_how == QUIRK_CLOSES)
        call->fails_at = PHASE_END; /* 421 says that it was not taken */
    if (site_fails(call, PHASE_END))
        return;
    const char *refusal = message_refusal(call);
    if (!refusal) {
        message_take(call);
        return;
    }
    transaction_end(call);
    site_say(call, "%s", refusal);
}

static void heard_data(struct site_call *call)
{
    if (site_fails(call, PHASE_DATA))
        return;
    if (call->to_count == 0) {
        site_say(call, "554 5.5.1 no recipients");
        return;
    }
    site_say(call, "354 go on");
    call->state = SITE_DATA;
}

void site_heard_line(struct site_call *call, struct str line)
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
        (void)site_fails(call, PHASE_CONTENT);
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

void site_chunk_ended(struct site_call *call)
{
    call->state = SITE_COMMANDS;
    if (call->chunks_bad) {
        transaction_end(call);
        site_say(call, "503 5.5.1 no recipients");
    } else if (call->chunk_last)
        message_ended(call);
    else if (!site_fails(call, PHASE_CONTENT))
        site_say(call, "250 2.0.0 more");
}

/* --- Hearing --------------------------------------------------------------------------------- */

void site_heard(struct site_call *call, struct str line)
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
        site_say(call, "250 2.0.0 ok");
    } else if (str_eq(line, STR("QUIT"))) {
        site_say(call, "221 2.0.0 bye");
        call->state = SITE_STUCK;
        call->ends = true;
    } else {
        site_say(call, "502 5.5.1 what?");
    }
}
