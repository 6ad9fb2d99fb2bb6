/*
 * The table of commands, and reading what was typed against it. Options may stand anywhere behind
 * the command's words; "--" ends them, for addresses that begin with dashes.
 */
#include "base/must.h"
#include "core/admin_command.h"
#include "store/directory_text.h"

/* Which entries are meant: the options of FILTER. */
/* clang-format off */
#define QUEUE_FILTER \
    {"--sender", true}, {"--recipient", true}, {"--domain", true}, {"--account", true}, \
    {"--older", true}, {"--younger", true}, {"--state", true}, {"--reason", true}, \
    {"--message", true}, {"--limit", true}
/* clang-format on */

static const struct admin_command COMMANDS[] = {
    {"domain", "add", "DOMAIN", "serve a domain", 1, 1, {{0}}, admin_domain_add},
    {"domain", "show", "DOMAIN", "one domain", 1, 1, {{0}}, admin_domain_show},
    {"domain", "list", "", "all domains", 0, 0, {{0}}, admin_domain_list},
    {"domain",
     "remove",
     "DOMAIN",
     "no longer serve a domain that is empty",
     1,
     1,
     {{0}},
     admin_domain_remove},
    {"account",
     "add",
     "ADDRESS [--name NAME] [--quota SIZE|none|default] [--disabled]\n"
     "    [--service smtp|pop3|imap=on|off[,...]] [--language en|zh|default]\n"
     "    [--password-stdin | --password-hash HASH | --no-password] [--cram-md5]",
     "a new account; without a password option one is made up and printed",
     1,
     1,
     {{"--name", true},
      {"--quota", true},
      {"--disabled", false},
      {"--service", true},
      {"--language", true},
      {"--password-stdin", false},
      {"--password-hash", true},
      {"--no-password", false},
      {"--cram-md5", false}},
     admin_account_add},
    {"account",
     "set",
     "ADDRESS [--name NAME] [--quota SIZE|none|default] [--enable | --disable]\n"
     "    [--service smtp|pop3|imap=on|off[,...]] [--language en|zh|default]\n"
     "    [--password-stdin | --password-hash HASH | --new-password | --no-password] [--cram-md5]",
     "change an account; what it is logged in with ends where its password or a switch changes",
     1,
     1,
     {{"--name", true},
      {"--quota", true},
      {"--enable", false},
      {"--disable", false},
      {"--service", true},
      {"--language", true},
      {"--password-stdin", false},
      {"--password-hash", true},
      {"--new-password", false},
      {"--no-password", false},
      {"--cram-md5", false}},
     admin_account_set},
    {"account",
     "password",
     "ADDRESS (--password-stdin | --new) [--cram-md5]",
     "change a password: to the one on the input, or to one that is made up and printed.\n"
     "        --cram-md5 keeps the password itself, which CRAM-MD5 needs: whoever reads the "
     "store,\n"
     "        a backup or an export has it",
     1,
     1,
     {{"--password-stdin", false}, {"--new", false}, {"--cram-md5", false}},
     admin_account_password},
    {"account",
     "app-password add",
     "ADDRESS NAME [--services smtp,pop3,imap]",
     "a password for one program, made up and printed this once; for all services if none is named",
     2,
     2,
     {{"--services", true}},
     admin_app_password_add},
    {"account",
     "app-password list",
     "ADDRESS",
     "its application passwords: what for, when made, when used last",
     1,
     1,
     {{0}},
     admin_app_password_list},
    {"account",
     "app-password remove",
     "ADDRESS NAME|ID",
     "take one back",
     2,
     2,
     {{0}},
     admin_app_password_remove},
    {"account",
     "certificate add",
     "ADDRESS (FILE | --fingerprint SHA256) [--name NAME]",
     "log-ins with this certificate (PEM or DER; - is the input) are the account's",
     1,
     2,
     {{"--fingerprint", true}, {"--name", true}},
     admin_certificate_add},
    {"account",
     "certificate list",
     "ADDRESS",
     "its certificates",
     1,
     1,
     {{0}},
     admin_certificate_list},
    {"account",
     "certificate remove",
     "ADDRESS NAME|SHA256",
     "it is no longer the account's",
     2,
     2,
     {{0}},
     admin_certificate_remove},
    {"account",
     "forward add",
     "ADDRESS TARGET [--keep | --no-keep]",
     "send its mail on to this address too, here or elsewhere; it keeps a copy unless it is to "
     "keep none",
     2,
     2,
     {{"--keep", false}, {"--no-keep", false}},
     admin_forward_add},
    {"account",
     "forward list",
     "ADDRESS",
     "where its mail goes on to",
     1,
     1,
     {{0}},
     admin_forward_list},
    {"account",
     "forward set",
     "ADDRESS (--keep | --no-keep)",
     "keep a copy of what goes on, or none",
     1,
     1,
     {{"--keep", false}, {"--no-keep", false}},
     admin_forward_set},
    {"account",
     "forward remove",
     "ADDRESS TARGET",
     "send its mail there no more; with the last it keeps its mail again",
     2,
     2,
     {{0}},
     admin_forward_remove},
    {"account",
     "grant add",
     "ADDRESS OTHER",
     "let it send as this address too, or as all of @DOMAIN",
     2,
     2,
     {{0}},
     admin_grant_add},
    {"account",
     "grant list",
     "ADDRESS",
     "what it may send as beside what leads to it alone",
     1,
     1,
     {{0}},
     admin_grant_list},
    {"account", "grant remove", "ADDRESS OTHER", "take that back", 2, 2, {{0}}, admin_grant_remove},
    {"account", "show", "ADDRESS", "one account", 1, 1, {{0}}, admin_account_show},
    {"account",
     "hold",
     "ADDRESS [--why TEXT]",
     "take no mail from this account until it is released",
     1,
     1,
     {{"--why", true}},
     admin_account_hold},
    {"account",
     "release",
     "ADDRESS",
     "let an account send that was held",
     1,
     1,
     {{0}},
     admin_account_release},
    {"account", "list", "[DOMAIN]", "accounts", 0, 1, {{0}}, admin_account_list},
    {"account",
     "remove",
     "ADDRESS",
     "remove an account with all its mail",
     1,
     1,
     {{0}},
     admin_account_remove},
    {"alias",
     "add",
     "ADDRESS TARGET ...",
     "an address that leads to others, here or elsewhere; @DOMAIN catches all",
     2,
     DIRECTORY_TARGETS_MAX + 1,
     {{0}},
     admin_alias_add},
    {"alias",
     "set",
     "ADDRESS TARGET ...",
     "let it lead to these instead",
     2,
     DIRECTORY_TARGETS_MAX + 1,
     {{0}},
     admin_alias_set},
    {"alias", "show", "ADDRESS", "one alias", 1, 1, {{0}}, admin_alias_show},
    {"alias", "list", "[DOMAIN]", "aliases", 0, 1, {{0}}, admin_alias_list},
    {"alias", "remove", "ADDRESS", "remove an alias", 1, 1, {{0}}, admin_alias_remove},
    {"list",
     "add",
     "ADDRESS --owner ADDRESS [--name NAME] [--expandable] [--member ADDRESS] ...",
     "a mailing list; its members are here or elsewhere, its owner here",
     1,
     1,
     {{"--owner", true}, {"--name", true}, {"--expandable", false}, {"--member", true}},
     admin_list_add},
    {"list",
     "set",
     "ADDRESS [--owner ADDRESS] [--name NAME] [--expandable yes|no]\n"
     "    [--member ADDRESS] ... [--drop ADDRESS] ... [--unsubscribe ADDRESS] ...\n"
     "    [--resubscribe ADDRESS] ...",
     "change a list; --member and --drop add and remove members. Who unsubscribed, by a\n"
     "        newsletter's link or --unsubscribe, is no member and comes back by --resubscribe "
     "alone",
     1,
     1,
     {{"--owner", true},
      {"--name", true},
      {"--expandable", true},
      {"--member", true},
      {"--drop", true},
      {"--unsubscribe", true},
      {"--resubscribe", true}},
     admin_list_set},
    {"list",
     "show",
     "ADDRESS",
     "one list, its members, and who left it",
     1,
     1,
     {{0}},
     admin_list_show},
    {"list", "list", "[DOMAIN]", "lists", 0, 1, {{0}}, admin_list_list},
    {"list", "remove", "ADDRESS", "remove a list", 1, 1, {{0}}, admin_list_remove},
    {"newsletter",
     "send",
     "LIST FILE",
     "one message to each member, with a link by which he leaves; FILE is the message with its\n"
     "        header, without To, and - is the input. See veredus send --newsletter",
     2,
     2,
     {{0}},
     admin_newsletter_send},
    {"moved",
     "add",
     "ADDRESS (--forward ADDRESS | --refer ADDRESS)",
     "somebody moved: forward (251), or tell the new address (551)",
     1,
     1,
     {{"--forward", true}, {"--refer", true}},
     admin_moved_add},
    {"moved",
     "set",
     "ADDRESS (--forward ADDRESS | --refer ADDRESS)",
     "change where to",
     1,
     1,
     {{"--forward", true}, {"--refer", true}},
     admin_moved_set},
    {"moved", "show", "ADDRESS", "one moved user", 1, 1, {{0}}, admin_moved_show},
    {"moved", "list", "[DOMAIN]", "moved users", 0, 1, {{0}}, admin_moved_list},
    {"moved", "remove", "ADDRESS", "forget that somebody moved", 1, 1, {{0}}, admin_moved_remove},
    {"mailbox", "list", "ADDRESS", "the mailboxes of an account", 1, 1, {{0}}, admin_mailbox_list},
    {"export",
     "",
     "",
     "domains and people as one text for apply, password hashes included",
     0,
     0,
     {{0}},
     admin_export},
    {"apply",
     "",
     "FILE [--dry-run]",
     "make domains and people what the text says; - is the input",
     0,
     1,
     {{"--dry-run", false}},
     admin_apply},
    {"trace",
     "",
     "ID | --to ADDRESS | --from ADDRESS [--since 1h] [--limit N]",
     "the story of a message, or of the newest to or from an address ('<>': the null sender)",
     0,
     1,
     {{"--to", true}, {"--from", true}, {"--since", true}, {"--limit", true}},
     admin_trace},
    {"queue",
     "list",
     "[ID ...] [--sender PATTERN] [--recipient PATTERN]\n"
     "    [--domain PATTERN] [--account ADDRESS] [--older 1h] [--younger 1d]\n"
     "    [--state waiting|due|under-way|held] [--reason WORD] [--limit N] [--mailq]",
     "what waits to be sent: why, what the other server said last, when it is tried next.\n"
     "        A PATTERN may have stars in it; --mailq prints what scripts expect of mailq",
     0,
     ADMIN_GIVEN_MAX,
     {QUEUE_FILTER, {"--mailq", false}},
     admin_queue_list},
    {"queue",
     "show",
     "ID [--message | --head | --body]",
     "all of an entry, or the message as it is kept",
     1,
     1,
     {{"--message", false}, {"--head", false}, {"--body", false}},
     admin_queue_show},
    {"queue",
     "top",
     "[--by destination|sender|account|domain|reason] [--limit N]",
     "where most entries wait, and how that destination fares",
     0,
     0,
     {{"--by", true}, {"--limit", true}},
     admin_queue_top},
    {"queue",
     "hold",
     "(ID ... | FILTER ... | --all) [--why TEXT]",
     "keep entries until they are released; FILTER as of queue list",
     0,
     ADMIN_GIVEN_MAX,
     {QUEUE_FILTER, {"--all", false}, {"--why", true}},
     admin_queue_hold},
    {"queue",
     "release",
     "(ID ... | FILTER ... | --all)",
     "let go what was held",
     0,
     ADMIN_GIVEN_MAX,
     {QUEUE_FILTER, {"--all", false}},
     admin_queue_release},
    {"queue",
     "retry",
     "(ID ... | FILTER ... | --all)",
     "try entries now, and their destinations",
     0,
     ADMIN_GIVEN_MAX,
     {QUEUE_FILTER, {"--all", false}},
     admin_queue_retry},
    {"queue",
     "remove",
     "(ID ... | FILTER ... | --all) [--why TEXT] [--report]",
     "never send them; with --report their senders are told",
     0,
     ADMIN_GIVEN_MAX,
     {QUEUE_FILTER, {"--all", false}, {"--why", true}, {"--report", false}},
     admin_queue_remove},
    {"queue",
     "reroute",
     "(ID ... | FILTER ... | --all)\n"
     "    --to HOST:PORT|lmtp:HOST:PORT|@ROUTE|mx|configured",
     "send entries another way",
     0,
     ADMIN_GIVEN_MAX,
     {QUEUE_FILTER, {"--all", false}, {"--to", true}},
     admin_queue_reroute},
    {"queue",
     "pause",
     "[DESTINATION] [--why TEXT]",
     "begin nothing new to a destination (a domain, host:port or @ROUTE), or to any, until it is "
     "resumed",
     0,
     1,
     {{"--why", true}},
     admin_queue_pause},
    {"queue", "resume", "[DESTINATION]", "go on", 0, 1, {{0}}, admin_queue_resume},
    {"ban", "list", "", "networks that may not log in for a while", 0, 0, {{0}}, admin_ban_list},
    {"ban",
     "lift",
     "NETWORK|all",
     "they may log in again; what they did before is forgotten",
     1,
     1,
     {{0}},
     admin_ban_lift},
    {"ban",
     "add",
     "NETWORK [--for TIME]",
     "turn away a network's log-ins, for an hour if not said otherwise",
     1,
     1,
     {{"--for", true}},
     admin_ban_add},
    {"audit",
     "verify",
     "[--head LINK]",
     "was anything of the audit changed or removed? LINK: one that was noted earlier",
     0,
     0,
     {{"--head", true}},
     admin_audit_verify},
    {"audit",
     "list",
     "[--since 1d] [--until 1h]",
     "log-ins, refusals, bans and commands, in words",
     0,
     0,
     {{"--since", true}, {"--until", true}},
     admin_audit_list},
    {"audit",
     "export",
     "[--since 7d] [--until 1h]",
     "all of them as lines of JSON, with their links",
     0,
     0,
     {{"--since", true}, {"--until", true}},
     admin_audit_export},
    {"dns",
     "query",
     "NAME [TYPE]",
     "what the server's resolver says: records, and whether they are signed rightly. TYPE: MX if\n"
     "        not said otherwise, PTR of an IP address",
     1,
     2,
     {{0}},
     admin_dns_query},
    {"check",
     "",
     "DOMAIN [--address IP]... [--no-connect]",
     "is all there that others want to see of a domain? Says what to publish. Own ports and the\n"
     "        MTA-STS policy are looked at, too, unless --no-connect is said",
     1,
     1,
     {{"--address", true}, {"--no-connect", false}},
     admin_check_domain},
    {"explain",
     "send",
     "FROM TO [--account ADDRESS | --client IP] [--size SIZE] [--requiretls]",
     "what would become of such a message and why: who may send it, whom it reaches, the route, "
     "the\n"
     "        hosts and what each has to prove. Nothing is sent. FROM '<>': a report",
     2,
     2,
     {{"--account", true}, {"--client", true}, {"--size", true}, {"--requiretls", false}},
     admin_explain_send},
    {"dkim",
     "add",
     "DOMAIN",
     "keys to sign a domain's mail with: an RSA and an Ed25519 one; prints the records to publish",
     1,
     1,
     {{0}},
     admin_dkim_add},
    {"dkim",
     "check",
     "DOMAIN",
     "what the DNS says of the records that must be there; a key whose record is seen signs from "
     "now on",
     1,
     1,
     {{0}},
     admin_dkim_check},
    {"dkim",
     "published",
     "DOMAIN [SELECTOR]",
     "the records of its new keys are in the DNS: sign with these from now on",
     1,
     2,
     {{0}},
     admin_dkim_published},
    {"dkim", "list", "[DOMAIN]", "signing keys, and how far each is", 0, 1, {{0}}, admin_dkim_list},
    {"dkim",
     "show",
     "DOMAIN",
     "the records that must be in the DNS, as a zone file and as a form want them",
     1,
     1,
     {{0}},
     admin_dkim_show},
    {"dkim",
     "rotate",
     "DOMAIN",
     "make the next keys; those of now sign until the new records are published",
     1,
     1,
     {{0}},
     admin_dkim_rotate},
    {"dkim",
     "remove",
     "DOMAIN [SELECTOR]",
     "forget a key, or all of the domain: what it signed cannot be checked once its record is gone",
     1,
     2,
     {{0}},
     admin_dkim_remove},
    {"tls",
     "policy",
     "DOMAIN [--fetch]",
     "what the servers of another domain have to prove, found as for a message (DANE, MTA-STS)",
     1,
     1,
     {{"--fetch", false}},
     admin_tls_policy},
    {"tls",
     "forget",
     "DOMAIN",
     "forget what is kept of a domain's MTA-STS policy; it is fetched again for the next message",
     1,
     1,
     {{0}},
     admin_tls_forget},
    {"tls",
     "report",
     "[DAY] [--domain DOMAIN [--send]]",
     "what was counted of TLS to other domains for the reports that they ask for (RFC 8460). DAY:\n"
     "        today, yesterday or 2026-11-22. With a domain its whole report; --send sends it now",
     0,
     1,
     {{"--domain", true}, {"--send", false}},
     admin_tls_report},
    {"route",
     "list",
     "",
     "the routes, and how much of their limits is used",
     0,
     0,
     {{0}},
     admin_route_list},
    {"route",
     "presets",
     "",
     "what is known of providers, and where it is from",
     0,
     0,
     {{0}},
     admin_route_presets},
    {"route",
     "show",
     "NAME",
     "one route, whom it is for, and when its limits have room",
     1,
     1,
     {{0}},
     admin_route_show},
    {"tls", "show", "", "the certificates that the server shows", 0, 0, {{0}}, admin_tls_show},
    {"status", "", "", "the store in figures", 0, 0, {{0}}, admin_status},
    {"fsck",
     "",
     "[--repair]",
     "read everything and say what is wrong; mend what can be",
     0,
     0,
     {{"--repair", false}},
     admin_fsck},
};

enum {
    COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]),
    USAGE_MAX = 2048,
};

/* --- Help --- */

static void usage_put(struct buf *to, const struct admin_command *command)
{
    buf_printf(to, "  %s%s%s%s%s\n", command->noun, command->verb[0] ? " " : "", command->verb,
               command->arguments[0] ? " " : "", command->arguments);
}

void admin_help(struct buf *to)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        usage_put(to, &COMMANDS[i]);
        buf_printf(to, "        %s\n", COMMANDS[i].help);
    }
}

bool admin_help_about(struct str noun, struct buf *to)
{
    bool known = false;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!str_eq(noun, str_from(COMMANDS[i].noun)))
            continue;
        known = true;
        usage_put(to, &COMMANDS[i]);
        buf_printf(to, "        %s\n", COMMANDS[i].help);
    }
    return known;
}

/* The usage of every command with this noun (or of one). */
static int usage_fail(struct admin *admin, const char *words, struct str about, struct str noun,
                      const struct admin_command *only)
{
    struct buf text = BUF_INIT(ADMIN_LINE_MAX);
    buf_printf(&text, "veredus: %s", words);
    if (about.n) {
        buf_put(&text, STR(" \""));
        buf_put_escaped(&text, about, USAGE_MAX);
        buf_putc(&text, '"');
    }
    buf_putc(&text, '\n');
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (only ? only == &COMMANDS[i] : str_eq(noun, str_from(COMMANDS[i].noun)))
            usage_put(&text, &COMMANDS[i]);
    admin->out(admin->arg, buf_str(&text), true);
    buf_done(&text);
    return ADMIN_USAGE;
}

/* --- What was typed --- */

struct str admin_value(const struct admin_call *call, const char *option)
{
    for (size_t i = call->given_count; i > 0; i--)
        if (str_eq(call->given[i - 1].name, str_from(option)))
            return call->given[i - 1].value;
    return str_null();
}

bool admin_has(const struct admin_call *call, const char *option)
{
    return admin_value(call, option).p != NULL;
}

/* "why: "text"" */
static int name_refuse(struct admin_call *call, struct str why, struct str text)
{
    struct buf words = BUF_INIT(USAGE_MAX);
    buf_put(&words, why);
    buf_putc(&words, ':');
    buf_putc(&words, '\0');
    int code = admin_refuse(call, ADMIN_DATA, words.p, text);
    buf_done(&words);
    return code;
}

/* "example.test." is how tools of the DNS print a domain (RFC 1034 3.1); mail has no such form (RFC
 * 5321 4.1.2), so the dot is the operator's alone. */
static struct str root_drop(struct str text)
{
    return text.n > 1 && str_ends(text, STR(".")) ? str_head(text, text.n - 1) : text;
}

int admin_addr(struct admin_call *call, struct str text, struct addr *addr_r)
{
    struct err e = directory_name_parse(root_drop(text), call->admin->arena, addr_r);
    return e.code == ERR_ADDRESS_SYNTAX ? name_refuse(call, e.detail, text) : admin_fail(call, e);
}

int admin_domain_name(struct admin_call *call, struct str text, struct str *domain_r)
{
    struct err e = host_parse(root_drop(text), call->admin->arena, domain_r);
    return e.code == ERR_ADDRESS_SYNTAX ? name_refuse(call, e.detail, text) : admin_fail(call, e);
}

int admin_quota(struct admin_call *call, struct str text, uint64_t *quota_r)
{
    return text_to_quota(text, quota_r)
               ? 0
               : admin_refuse(call, ADMIN_USAGE, "expected a size like 500M, none or default, not",
                              text);
}

bool admin_span(struct str text, int64_t *span_r)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint64_t number;
    for (size_t i = 0; text.n && i < sizeof(units) / sizeof(units[0]); i++)
        if (text.p[text.n - 1] == units[i].unit)
            return str_to_u64(str_head(text, text.n - 1), &number) && number <= INT32_MAX &&
                   !__builtin_mul_overflow((int64_t)number, units[i].seconds * US_PER_SECOND,
                                           span_r);
    return false;
}

static const struct admin_option *option_find(const struct admin_command *command, struct str word)
{
    for (size_t i = 0; i < ADMIN_OPTIONS_MAX && command->options[i].name; i++)
        if (str_eq(word, str_from(command->options[i].name)))
            return &command->options[i];
    return NULL;
}

/* Takes an option and its value; how many words that were, or 0 where it is wrong (and said). */
static size_t option_take(struct admin_call *call, const struct str *words, size_t count)
{
    const struct admin_option *option = option_find(call->command, words[0]);
    const char *wrong = !option                                ? "there is no such option:"
                        : option->has_value && count < 2       ? "a value is missing behind"
                        : call->given_count == ADMIN_GIVEN_MAX ? "too many options:"
                                                               : NULL;
    if (wrong) {
        usage_fail(call->admin, wrong, words[0], str_null(), call->command);
        return 0;
    }
    call->given[call->given_count++] =
        (struct admin_given){.name = words[0], .value = option->has_value ? words[1] : STR("yes")};
    return option->has_value ? 2 : 1;
}

static int words_take(struct admin_call *call, const struct str *words, size_t count)
{
    struct str *plain = arena_take_array(call->admin->arena, count, sizeof(*plain));
    bool options_over = false;
    if (!plain)
        return ADMIN_LATER;
    call->words = plain;
    for (size_t i = 0; i < count;) {
        size_t taken = 1;
        if (!options_over && str_eq(words[i], STR("--")))
            options_over = true;
        else if (!options_over && str_starts(words[i], STR("--")))
            taken = option_take(call, words + i, count - i);
        else
            plain[call->count++] = words[i];
        if (!taken)
            return ADMIN_USAGE;
        i += taken;
    }
    if (call->count < call->command->least)
        return usage_fail(call->admin, "something is missing in", words[-1], str_null(),
                          call->command);
    if (call->count > call->command->most)
        return usage_fail(call->admin, "this is too much:", plain[call->command->most], str_null(),
                          call->command);
    return 0;
}

static int command_read(struct admin *admin, const struct admin_command *command,
                        const struct str *words, size_t count, struct admin_call **call_r)
{
    struct admin_call *call = arena_new(admin->arena, struct admin_call);
    if (!call)
        return ADMIN_LATER;
    call->admin = admin;
    call->command = command;
    *call_r = call;
    return words_take(call, words, count);
}

/* How many of these words are the command's verb, of one word or two; SIZE_MAX: it is another. */
static size_t verb_words(const struct admin_command *command, const struct str *words, size_t count)
{
    struct str rest = str_from(command->verb);
    size_t n = 0;
    if (!rest.n)
        return 0;
    while (rest.p) {
        struct str word = str_cut(&rest, ' ');
        if (n == count || !str_eq(word, words[n++]))
            return SIZE_MAX;
    }
    return n;
}

/* Does a command's verb of two words begin with this one? */
static bool is_topic(struct str noun, struct str word)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        struct str verb = str_from(COMMANDS[i].verb);
        if (str_eq(noun, str_from(COMMANDS[i].noun)) && str_index(verb, ' ') > 0 &&
            str_eq(str_cut(&verb, ' '), word))
            return true;
    }
    return false;
}

static int call_read(struct admin *admin, const struct str *words, size_t count,
                     struct admin_call **call_r)
{
    struct str noun = count ? words[0] : STR("");
    bool known = false;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct admin_command *command = &COMMANDS[i];
        if (!str_eq(noun, str_from(command->noun)))
            continue;
        known = true;
        size_t verb = verb_words(command, words + 1, count - 1);
        if (verb != SIZE_MAX)
            return command_read(admin, command, words + 1 + verb, count - 1 - verb, call_r);
    }
    if (!known)
        return usage_fail(admin, "there is no such command; see veredus help:", noun, noun, NULL);
    size_t at = count > 1 && is_topic(noun, words[1]) ? 2 : 1;
    if (at >= count || !words[at].n)
        return usage_fail(admin, "expected what to do behind", words[at - 1], noun, NULL);
    return usage_fail(admin, "expected what to do, not", words[at], noun, NULL);
}

int admin_check(struct admin *admin, const struct str *words, size_t count)
{
    struct admin_call *call;
    return call_read(admin, words, count, &call);
}

int admin_run(struct admin *admin, const struct str *words, size_t count)
{
    struct admin_call *call;
    int code = call_read(admin, words, count, &call);
    if (code)
        return code;
    code = call->command->run(call);
    admin_record(admin, call->command, words, count, code);
    return code;
}
