/*
 * One table, read from top to bottom: the first row that fits counts. So what is certain stands
 * above what is likely, and what only some servers mean by a code stands above what the code means.
 *
 * Words are looked for as whole words, in lower case, and never in an address or a URL: a user may
 * be called spam, and every second refusal links to a page about something else.
 */
#include "format/dsn.h"

enum {
    ANY = 0xffff
};

struct cause_rule {
    enum dsn_cause cause;
    uint16_t code;                            /* reply code; 0: any */
    uint16_t subject, detail_from, detail_to; /* of the enhanced code */
    const char *words;                        /* one of these, '|' between them; NULL: whatever */
};

#define STATUS(cause, subject, detail)                                                             \
    {                                                                                              \
        DSN_CAUSE_##cause, 0, subject, detail, detail, NULL                                        \
    }
#define STATUSES(cause, subject, from, to)                                                         \
    {                                                                                              \
        DSN_CAUSE_##cause, 0, subject, from, to, NULL                                              \
    }
#define STATUS_WORDS(cause, subject, detail, words)                                                \
    {                                                                                              \
        DSN_CAUSE_##cause, 0, subject, detail, detail, words                                       \
    }
#define WORDS(cause, words)                                                                        \
    {                                                                                              \
        DSN_CAUSE_##cause, 0, ANY, 0, ANY, words                                                   \
    }
#define CODE(cause, code)                                                                          \
    {                                                                                              \
        DSN_CAUSE_##cause, code, ANY, 0, ANY, NULL                                                 \
    }
#define CODE_WORDS(cause, code, words)                                                             \
    {                                                                                              \
        DSN_CAUSE_##cause, code, ANY, 0, ANY, words                                                \
    }

static const struct cause_rule rules[] = {
    /* Codes that a large provider uses in its own way. */
    STATUS_WORDS(NO_SUCH_USER, 1, 10, "recipientnotfound|recipient not found"),
    STATUS_WORDS(NO_SUCH_USER, 4, 1, "recipient address rejected"),
    STATUS_WORDS(RATE_LIMITED, 2, 1, "at a rate|too many|too quickly"),
    STATUS_WORDS(NO_SUCH_USER, 2, 1, "does not exist|user unknown|no such user"),
    STATUS_WORDS(SENDER_REJECTED, 1, 1, "sender address rejected|sender rejected"),
    STATUS_WORDS(SENDER_REJECTED, 1, 2, "sender address rejected|sender rejected"),
    STATUSES(REPUTATION, 7, 606, 649),
    STATUS(REPUTATION, 7, 511),
    STATUS(AUTHENTICATION, 7, 509),
    STATUS(AUTHENTICATION, 7, 515),
    STATUSES(RATE_LIMITED, 7, 703, 708),

    /* What a code says for certain (RFC 3463, 6531, 6710, 7372, 7504, 7505, 8689). */
    STATUS(NO_SUCH_USER, 1, 1),
    STATUS(NO_SUCH_DOMAIN, 1, 2),
    STATUS(ADDRESS_SYNTAX, 1, 3),
    STATUS(NO_SUCH_USER, 1, 6),
    STATUSES(SENDER_REJECTED, 1, 7, 8),
    STATUS(NULL_MX, 1, 10),
    STATUS(DISABLED, 2, 1),
    STATUS(MAILBOX_FULL, 2, 2),
    STATUS(TOO_LARGE, 2, 3),
    STATUS(TOO_LARGE, 3, 4),
    STATUS(DNS_FAULT, 4, 3),
    STATUS(LOOP, 4, 6),
    STATUS(LOOP, 4, 14),
    STATUS(EXPIRED, 4, 7),
    STATUSES(NEEDS_UTF8, 6, 7, 9),
    STATUSES(UNCONVERTIBLE, 6, 1, 3),
    STATUS(UNCONVERTIBLE, 6, 5),
    STATUS(TLS_REQUIRED, 7, 5),
    STATUSES(TLS_REQUIRED, 7, 10, 11),
    STATUSES(AUTHENTICATION, 7, 20, 24),
    STATUS(REVERSE_DNS, 7, 25),
    STATUS(AUTHENTICATION, 7, 26),
    STATUS(SENDER_REJECTED, 7, 27),
    STATUS(RATE_LIMITED, 7, 28),
    STATUS(AUTHENTICATION, 7, 29),
    STATUS(TLS_DEMANDED, 7, 30),
    CODE(NULL_MX, 521),
    CODE(NULL_MX, 556),

    /* Marks of single providers. */
    WORDS(REPUTATION, "s3140|s3150|hl:rep|hl:mep|hl:ihu|hl:ipb|dt:rbl|wm:bli"),
    WORDS(AUTHENTICATION, "mi:spf|mi:dma"),
    WORDS(RATE_LIMITED,
          "hl:icc|hl:ifc|mi:dmc|mi:ccl|mi:stc|rp:drc|rp:ccl|rp:qrc|rp:rcl|rp:trl|tss04"),
    WORDS(SPAM, "dt:spm"),

    /* Words, the narrow ones first. */
    WORDS(LOOP,
          "mail loop|routing loop|forwarding loop|loops back|too many hops|hop count exceeded"),
    WORDS(TLS_REQUIRED, "starttls|tls required|tls is required|requires tls|encryption required|"
                        "encryption is required|encryption needed"),
    WORDS(NEEDS_UTF8, "smtputf8"),
    WORDS(GREYLISTED,
          "greylisted|greylisting|greylist|graylisted|graylisting|graylist|grey listed"),
    WORDS(REVERSE_DNS, "ptr record|ptr records|reverse dns|rdns|reverse lookup|reverse hostname|"
                       "cannot find your hostname|helo command rejected"),
    WORDS(AUTHENTICATION, "dmarc|spf|dkim|unauthenticated|does not pass authentication"),
    WORDS(REPUTATION, "spamhaus|spamcop|barracudacentral|zen.spamhaus.org|bl.spamcop.net|"
                      "b.barracudacentral.org|block list|blocklist|blocklisted|black list|"
                      "blacklist|blacklisted|blocked using|dnsbl|rbl|reputation|banned sending|"
                      "user complaints|listed by|listed in|listed at|listed on"),
    WORDS(MALWARE, "virus|malware|infected|illegal attachment|attachment type|"
                   "attachments of this type"),
    WORDS(RATE_LIMITED, "rate limit|rate limited|ratelimit|ratelimited|at a rate|unusual rate|"
                        "frequency limited|unexpected volume|too fast|too many messages|"
                        "too many connections|too many concurrent|too many recipients|"
                        "sending limit|throttled|throttling"),
    WORDS(SPAM, "spam|unsolicited|content denied|content rejected|junk mail|junk"),
    WORDS(MAILBOX_FULL, "mailbox full|mailbox is full|inbox full|inbox is full|over quota|"
                        "overquota|out of quota|quota exceeded|exceeded quota|quota|"
                        "out of storage space|not enough space in mailbox"),
    WORDS(TOO_LARGE, "size exceeds|exceeds size|size limit|too large|too big|too long|"
                     "maximum message size|mailsize limit|message length exceeds"),
    WORDS(SENDER_REJECTED, "sender address rejected|sender rejected|sender verify failed|"
                           "invalid sender|bad sender|sender domain|null sender|"
                           "domain of sender address"),
    WORDS(RELAY_DENIED, "relay access denied|relaying denied|relay denied|relay not permitted|"
                        "relaying not allowed|unable to relay|not permitted to relay|"
                        "do not relay|not a relay|no relaying"),
    WORDS(DISABLED, "mailbox disabled|mailbox is disabled|account disabled|account is disabled|"
                    "user disabled|user suspended|account suspended|has been suspended|"
                    "account inactive|is inactive|mailbox inactive|has been disabled"),
    WORDS(NO_SUCH_USER, "user unknown|unknown user|no such user|no such recipient|no such mailbox|"
                        "no such address|mailbox not found|user not found|recipient not found|"
                        "unknown recipient|recipient unknown|unknown mailbox|unknown address|"
                        "invalid recipient|invalid mailbox|invalid user|no mailbox|"
                        "not a valid mailbox|not a valid user|undeliverable address|"
                        "unrouteable address|unroutable address|non-existent account|"
                        "nonexistent account|address does not exist|account does not exist|"
                        "to reach does not exist|user does not exist|mailbox does not exist|"
                        "recipient does not exist|user doesn't have|user doesn't exist|"
                        "local user only"),
    WORDS(NO_SUCH_DOMAIN, "domain not found|no such domain|unknown domain|host not found|"
                          "domain does not exist"),
    CODE_WORDS(NO_SUCH_USER, 550, "mailbox unavailable"),
    WORDS(UNREACHABLE, "connection refused|connection timed out|timed out|no route to host|"
                       "network is unreachable|connection reset|lost connection|unreachable"),

    /* What a code only hints at. */
    STATUSES(UNREACHABLE, 4, 1, 2),
    STATUS(DNS_FAULT, 4, 4),
    STATUSES(REMOTE_FAULT, 3, 0, 3),
    STATUS(REMOTE_FAULT, 3, 5),
    CODE(GREYLISTED, 450),
    CODE(GREYLISTED, 451),
    CODE(GREYLISTED, 421),
    STATUSES(POLICY, 7, 0, ANY),
};

/* --- Words --- */

/* In lower case, one blank between words and at both ends; addresses and URLs left out. */
static void words_make(struct str text, struct buf *words)
{
    buf_putc(words, ' ');
    text = str_head(text, DSN_TEXT_MAX);
    while (text.n) {
        size_t n = 0;
        while (n < text.n && (unsigned char)text.p[n] > ' ')
            n++;
        struct str word = str_head(text, n);
        text = str_from_index(text, n + 1);
        if (n == 0 || str_index(word, '@') >= 0 || str_find(word, STR("://")) >= 0)
            continue;
        for (size_t i = 0; i < n; i++)
            buf_putc(words, ascii_lower(word.p[i]));
        buf_putc(words, ' ');
    }
}

static bool is_part(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || (unsigned char)c > 0x7f;
}

/* Both begin and end with a blank, so there is an octet around what is found. */
static bool has_phrase(struct str words, struct str phrase)
{
    ssize_t at;
    while ((at = str_find(words, phrase)) >= 0) {
        size_t end = (size_t)at + phrase.n;
        if (!is_part(words.p[at - 1]) && !is_part(words.p[end]))
            return true;
        words = str_from_index(words, (size_t)at + 1);
    }
    return false;
}

static bool has_one(struct str words, const char *phrases)
{
    struct str rest = str_from(phrases);
    while (rest.p)
        if (has_phrase(words, str_cut(&rest, '|')))
            return true;
    return false;
}

static bool rule_fits(const struct cause_rule *rule, unsigned code, struct status_code status,
                      struct str words)
{
    if (rule->code && rule->code != code)
        return false;
    if (rule->subject != ANY &&
        (status.class == 0 || status.subject != rule->subject ||
         status.detail < rule->detail_from || status.detail > rule->detail_to))
        return false;
    return !rule->words || has_one(words, rule->words);
}

enum dsn_cause dsn_cause(unsigned code, struct status_code status, struct str text)
{
    char room[DSN_TEXT_MAX + 2];
    struct buf words = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    words_make(text, &words);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rule_fits(&rules[i], code, status, buf_str(&words)))
            return rules[i].cause;
    return DSN_CAUSE_UNKNOWN;
}

/* --- Texts --- */

static const struct {
    struct str word;
    struct str text[LANGUAGES], advice[LANGUAGES];
} causes[DSN_CAUSES] = {
#define DSN_CAUSE(name, word, english, chinese, english_advice, chinese_advice)                    \
    [DSN_CAUSE_##                                                                                  \
        name] = {STR_INIT(word),                                                                   \
                 {[LANGUAGE_ENGLISH] = STR_INIT(english), [LANGUAGE_CHINESE] = STR_INIT(chinese)}, \
                 {[LANGUAGE_ENGLISH] = STR_INIT(english_advice),                                   \
                  [LANGUAGE_CHINESE] = STR_INIT(chinese_advice)}},
#include "format/dsn_texts.def"
};

struct str dsn_cause_word(enum dsn_cause cause)
{
    return causes[cause < DSN_CAUSES ? cause : DSN_CAUSE_UNKNOWN].word;
}

bool dsn_cause_parse(struct str word, enum dsn_cause *cause_r)
{
    for (size_t i = 0; i < DSN_CAUSES; i++) {
        if (str_eq(causes[i].word, word)) {
            *cause_r = (enum dsn_cause)i;
            return true;
        }
    }
    return false;
}

struct str dsn_cause_text(enum dsn_cause cause, enum language language)
{
    return causes[cause < DSN_CAUSES ? cause : DSN_CAUSE_UNKNOWN].text[language];
}

struct str dsn_cause_advice(enum dsn_cause cause, enum language language)
{
    return causes[cause < DSN_CAUSES ? cause : DSN_CAUSE_UNKNOWN].advice[language];
}
