/*
 * One row a parameter. What is absolute stays true while a message waits; what is decoded cannot be
 * encoded twice. Printing starts from the same values as parsing ends in, so that a parameter that
 * was taken can be said again, and nothing else can.
 */
#include "format/mail_options.h"

#include <unistr.h>

#include "format/date.h"

enum {
    MAIL_OPTIONS_VERSION = 1,
    RCPT_OPTIONS_VERSION = 1,
    /* The first octet of mail options: return 0-1, mode 2-3, and these. */
    HAS_TRACE = 1 << 4,
    HAS_REQUIRE_TLS = 1 << 5,
    HAS_ENVID = 1 << 6,
    HAS_TLS_OPTIONAL = 1 << 7,
    DIGITS_MAX = 9, /* of HOLDFOR and BY */
};

static struct err value_refused(struct str why)
{
    return err_detail(ERR_PARAMETER_VALUE, why);
}

/* --- MAIL: values --- */

struct taking {
    struct str value;
    int64_t now;
    bool utf8;
    struct arena *arena;
};

static int64_t time_behind(int64_t now, int64_t seconds)
{
    int64_t time = now + seconds;
    return time < 0 ? 0 : time > DATE_MAX ? DATE_MAX : time;
}

static struct err ret_take(struct mail_options *options, const struct taking *taking)
{
    if (str_eq_nocase(taking->value, STR("FULL")))
        options->ret = DSN_RETURN_FULL;
    else if (str_eq_nocase(taking->value, STR("HDRS")))
        options->ret = DSN_RETURN_HEADERS;
    else
        return value_refused(STR("RET is FULL or HDRS"));
    return err_none();
}

static struct err envid_take(struct mail_options *options, const struct taking *taking)
{
    if (taking->value.n == 0 || taking->value.n > ENVID_MAX)
        return value_refused(STR("ENVID has 1 to 100 characters"));
    return xtext_parse(taking->value, taking->arena, &options->envid);
}

/* 1 to 9 digits. */
static bool seconds_parse(struct str text, uint64_t *seconds_r)
{
    return text.n >= 1 && text.n <= DIGITS_MAX && str_to_u64(text, seconds_r);
}

static struct err hold_for_take(struct mail_options *options, const struct taking *taking)
{
    uint64_t seconds;
    if (options->hold_until)
        return value_refused(STR("HOLDFOR or HOLDUNTIL, not both"));
    if (!seconds_parse(taking->value, &seconds) || taking->value.p[0] == '0')
        return value_refused(STR("HOLDFOR is 1 to 999999999 seconds"));
    options->hold_for = (uint32_t)seconds;
    options->hold_until = time_behind(taking->now, (int64_t)seconds);
    return err_none();
}

static struct err hold_until_take(struct mail_options *options, const struct taking *taking)
{
    struct date date;
    if (options->hold_until)
        return value_refused(STR("HOLDFOR or HOLDUNTIL, not both"));
    if (!date_parse_rfc3339(taking->value, &date))
        return value_refused(STR("HOLDUNTIL is a date and time of RFC 3339"));
    options->hold_until = date.time ? date.time : 1;
    return err_none();
}

/* RFC 2852 4: by-time ";" by-mode [by-trace] */
static struct err by_take(struct mail_options *options, const struct taking *taking)
{
    struct str mode = taking->value;
    struct str time = str_cut(&mode, ';');
    bool late = str_starts(time, STR("-"));
    bool trace = mode.n == 2 && ascii_lower(mode.p[1]) == 't';
    uint64_t seconds;
    char letter = mode.n == 1 || trace ? ascii_lower(mode.p[0]) : '\0';
    if (late || str_starts(time, STR("+")))
        time = str_from_index(time, 1);
    if (!seconds_parse(time, &seconds) || (letter != 'n' && letter != 'r'))
        return value_refused(STR("BY is seconds;N or seconds;R, perhaps with T"));
    if (letter == 'r' && (late || seconds == 0))
        return value_refused(STR("BY with R needs a time that is still to come"));
    options->deliver_by_mode = letter == 'r' ? DELIVER_BY_RETURN : DELIVER_BY_NOTIFY;
    options->deliver_by_trace = trace;
    options->deliver_by = time_behind(taking->now, late ? -(int64_t)seconds : (int64_t)seconds);
    return err_none();
}

static struct err priority_take(struct mail_options *options, const struct taking *taking)
{
    bool below = str_starts(taking->value, STR("-"));
    struct str digit = str_from_index(taking->value, below);
    if (digit.n != 1 || !ascii_is_digit(digit.p[0]) || (below && digit.p[0] == '0'))
        return value_refused(STR("MT-PRIORITY is -9 to 9"));
    int priority = digit.p[0] - '0';
    options->priority = (int8_t)(below ? -priority : priority);
    return err_none();
}

static struct err require_tls_take(struct mail_options *options, const struct taking *taking)
{
    if (taking->value.p)
        return value_refused(STR("REQUIRETLS has no value"));
    options->require_tls = true;
    return err_none();
}

static const struct {
    struct str key;
    struct err (*take)(struct mail_options *options, const struct taking *taking);
} mail_rows[] = {
    {STR_INIT("RET"), ret_take},
    {STR_INIT("ENVID"), envid_take},
    {STR_INIT("HOLDFOR"), hold_for_take},
    {STR_INIT("HOLDUNTIL"), hold_until_take},
    {STR_INIT("BY"), by_take},
    {STR_INIT("MT-PRIORITY"), priority_take},
    {STR_INIT("REQUIRETLS"), require_tls_take},
};

struct err mail_options_take(struct mail_options *options, const struct esmtp_param *param,
                             int64_t now, struct arena *arena)
{
    struct taking taking = {.value = param->value, .now = now, .arena = arena};
    for (size_t i = 0; i < sizeof(mail_rows) / sizeof(*mail_rows); i++)
        if (str_eq_nocase(param->key, mail_rows[i].key))
            return mail_rows[i].take(options, &taking);
    return err_make(ERR_PARAMETER_UNKNOWN);
}

struct err mail_options_check(const struct mail_options *options)
{
    if (options->deliver_by_mode && options->hold_until > options->deliver_by)
        return value_refused(STR("held longer than the time it is to be delivered by"));
    return err_none();
}

/* --- RCPT: values --- */

static const struct {
    struct str word;
    uint8_t notify; /* enum dsn_notify */
} notify_rows[] = {
    {STR_INIT("NEVER"), DSN_NOTIFY_NEVER},
    {STR_INIT("SUCCESS"), DSN_NOTIFY_SUCCESS},
    {STR_INIT("FAILURE"), DSN_NOTIFY_FAILURE},
    {STR_INIT("DELAY"), DSN_NOTIFY_DELAY},
};

enum {
    NOTIFY_ROWS = sizeof(notify_rows) / sizeof(*notify_rows)
};

static uint8_t notify_of(struct str word)
{
    for (size_t i = 0; i < NOTIFY_ROWS; i++)
        if (str_eq_nocase(word, notify_rows[i].word))
            return notify_rows[i].notify;
    return 0;
}

static bool notify_possible(uint8_t notify)
{
    return notify == DSN_NOTIFY_NEVER ||
           ((notify & DSN_NOTIFY_NEVER) == 0 && notify <= DSN_NOTIFY_ALL);
}

static struct err notify_take(struct rcpt_options *options, const struct taking *taking)
{
    struct str rest = taking->value;
    uint8_t notify = 0;
    do {
        uint8_t one = notify_of(str_cut(&rest, ','));
        if (!one)
            return value_refused(STR("NOTIFY is NEVER, or some of SUCCESS,FAILURE,DELAY"));
        notify |= one;
    } while (rest.p);
    if (!notify_possible(notify))
        return value_refused(STR("NOTIFY=NEVER stands alone"));
    options->notify = notify;
    return err_none();
}

/* RFC 5322 3.2.3. */
static bool is_atom(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool text = ascii_is_alpha(c) || ascii_is_digit(c);
        if (!text && (c == '\0' || str_index(STR("!#$%&'*+-/=?^_`{|}~"), c) < 0))
            return false;
    }
    return s.n > 0;
}

/* What ORCPT of type utf-8 must not hold as it is (RFC 6533 3). */
static bool is_special(char c)
{
    return c == ' ' || c == '\\' || c == '+' || c == '=';
}

static int hex_value(char c)
{
    c = ascii_lower(c);
    return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\x{HEXPOINT}" at the start of *rest: a character beyond ASCII and the controls, or one of the
 * specials. Its UTF-8 in `to`; how many octets, 0: none. */
static int embedded_take(struct str *rest, uint8_t to[6])
{
    ucs4_t c = 0;
    size_t n = 0;
    if (!str_starts_nocase(*rest, STR("\\x{")))
        return 0;
    struct str digits = str_from_index(*rest, 3);
    while (n < digits.n && n < 6 && hex_value(digits.p[n]) >= 0)
        c = c * 16 + (ucs4_t)hex_value(digits.p[n++]);
    if (n < 2 || n == digits.n || digits.p[n] != '}')
        return 0;
    *rest = str_from_index(digits, n + 1);
    if (c < 0xa0 && !(c < 0x80 && is_special((char)c)))
        return 0;
    int octets = u8_uctomb(to, c, 6);
    return octets < 0 ? 0 : octets;
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool c1 = c == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || c1)
            return true;
    }
    return false;
}

static bool unitext_parse(struct str text, bool utf8, struct buf *to)
{
    if (!str_is_utf8(text) || has_control(text) || (!utf8 && !str_is_ascii(text)))
        return false;
    while (text.n) {
        uint8_t octets[6];
        int n = 1;
        if (text.p[0] == '\\') {
            n = embedded_take(&text, octets);
        } else {
            octets[0] = (uint8_t)text.p[0];
            n = !is_special(text.p[0]);
            text = str_from_index(text, 1);
        }
        if (n == 0)
            return false;
        buf_put(to, str_make(octets, (size_t)n));
    }
    return true;
}

/* An address of type rfc822 that turns out to be beyond ASCII is one of type utf-8: Postfix says
 * ORCPT=rfc822;+E7+94+A8@example.org of such a recipient, and would give the mail up for a 501. */
static struct err xtext_address(struct str type, struct str address, struct arena *arena,
                                struct buf *to)
{
    struct str plain = str_null();
    bool may_be_utf8 = str_eq_nocase(type, STR("rfc822"));
    struct err e = may_be_utf8 ? xtext_parse_utf8(address, arena, &plain)
                               : xtext_parse(address, arena, &plain);
    if (err_is(e))
        return e;
    buf_put(to, str_is_ascii(plain) ? type : STR("utf-8"));
    buf_putc(to, ';');
    buf_put(to, plain);
    return e;
}

static struct err orcpt_take(struct rcpt_options *options, const struct taking *taking)
{
    char room[ORCPT_MAX];
    struct buf orcpt = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    struct str address = taking->value;
    struct str type = str_cut(&address, ';');
    if (taking->value.n > ORCPT_MAX || !is_atom(type) || address.n == 0)
        return value_refused(STR("ORCPT is type;address in at most 500 characters"));
    if (!str_eq_nocase(type, STR("utf-8"))) {
        struct err e = xtext_address(type, address, taking->arena, &orcpt);
        if (err_is(e))
            return e;
    } else {
        buf_put(&orcpt, type);
        buf_putc(&orcpt, ';');
        if (!unitext_parse(address, taking->utf8, &orcpt))
            return value_refused(STR("ORCPT is no address of type utf-8"));
    }
    options->orcpt = buf_copy(&orcpt, taking->arena);
    return options->orcpt.p ? err_none() : err_make(ERR_OVER_LIMIT);
}

struct err rcpt_options_take(struct rcpt_options *options, const struct esmtp_param *param,
                             bool utf8, struct arena *arena)
{
    struct taking taking = {.value = param->value, .utf8 = utf8, .arena = arena};
    if (str_eq_nocase(param->key, STR("NOTIFY")))
        return notify_take(options, &taking);
    if (str_eq_nocase(param->key, STR("ORCPT")))
        return orcpt_take(options, &taking);
    return err_make(ERR_PARAMETER_UNKNOWN);
}

/* --- Out, to a peer --- */

static void by_print(struct buf *buf, const struct mail_options *options, int64_t now)
{
    bool returns = options->deliver_by_mode == DELIVER_BY_RETURN;
    int64_t least = returns ? 1 : -DELIVER_BY_MAX;
    int64_t seconds = options->deliver_by - now;
    if (seconds < least)
        seconds = least;
    if (seconds > DELIVER_BY_MAX)
        seconds = DELIVER_BY_MAX;
    buf_printf(buf, " BY=%lld;%c%s", (long long)seconds, returns ? 'R' : 'N',
               options->deliver_by_trace ? "T" : "");
}

void mail_options_print(struct buf *buf, const struct mail_options *options,
                        const struct capabilities *peer, int64_t now)
{
    bool dsn = capabilities_have(peer, CAPABILITY_DSN);
    if (dsn && options->ret)
        buf_put(buf, options->ret == DSN_RETURN_FULL ? STR(" RET=FULL") : STR(" RET=HDRS"));
    if (dsn && options->envid.p) {
        buf_put(buf, STR(" ENVID="));
        xtext_print(buf, options->envid);
    }
    if (options->deliver_by_mode && capabilities_have(peer, CAPABILITY_DELIVERBY))
        by_print(buf, options, now);
    if (options->priority && capabilities_have(peer, CAPABILITY_MT_PRIORITY))
        buf_printf(buf, " MT-PRIORITY=%d", options->priority);
    if (options->require_tls && capabilities_have(peer, CAPABILITY_REQUIRETLS))
        buf_put(buf, STR(" REQUIRETLS"));
}

void dsn_notify_print(struct buf *buf, uint8_t notify)
{
    bool more = false;
    for (size_t i = 0; i < NOTIFY_ROWS; i++) {
        if (!(notify & notify_rows[i].notify))
            continue;
        if (more)
            buf_putc(buf, ',');
        buf_put(buf, notify_rows[i].word);
        more = true;
    }
}

static void unitext_print(struct buf *buf, struct str text, bool utf8)
{
    while (text.n) {
        ucs4_t c;
        int n = u8_mbtoucr(&c, (const uint8_t *)text.p, text.n);
        if (n <= 0)
            return;
        if (c < 0x80 ? is_special((char)c) : !utf8)
            buf_printf(buf, "\\x{%02X}", (unsigned)c);
        else
            buf_put(buf, str_head(text, (size_t)n));
        text = str_from_index(text, (size_t)n);
    }
}

/* Left out where it grows too long: the peer would refuse the recipient for it. */
static void orcpt_print(struct buf *buf, struct str orcpt, bool utf8)
{
    char room[ORCPT_MAX];
    struct buf value = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    struct str address = orcpt;
    struct str type = str_cut(&address, ';');
    buf_put(&value, type);
    buf_putc(&value, ';');
    if (str_eq_nocase(type, STR("utf-8")))
        unitext_print(&value, address, utf8);
    else
        xtext_print(&value, address);
    if (buf_over(&value))
        return;
    buf_put(buf, STR(" ORCPT="));
    buf_put(buf, buf_str(&value));
}

void rcpt_options_print(struct buf *buf, const struct rcpt_options *options,
                        const struct capabilities *peer, bool utf8)
{
    if (!capabilities_have(peer, CAPABILITY_DSN))
        return;
    if (options->notify) {
        buf_put(buf, STR(" NOTIFY="));
        dsn_notify_print(buf, options->notify);
    }
    if (options->orcpt.p)
        orcpt_print(buf, options->orcpt, utf8);
}

/* --- Records --- */

static bool is_time(int64_t time)
{
    return time >= 0 && time <= DATE_MAX;
}

bool mail_options_possible(const struct mail_options *options)
{
    bool envid = !options->envid.p || (options->envid.n > 0 && options->envid.n <= ENVID_MAX &&
                                       str_is_printable_ascii(options->envid));
    bool hold = is_time(options->hold_until) && options->hold_for <= HOLD_MAX &&
                (options->hold_until || !options->hold_for);
    bool by = is_time(options->deliver_by) && options->deliver_by_mode <= DELIVER_BY_RETURN &&
              (options->deliver_by_mode || (!options->deliver_by && !options->deliver_by_trace));
    bool tls = !options->require_tls || !options->tls_optional;
    return envid && hold && by && tls && options->ret <= DSN_RETURN_HEADERS &&
           options->priority >= -PRIORITY_MAX && options->priority <= PRIORITY_MAX;
}

bool rcpt_options_possible(const struct rcpt_options *options)
{
    struct str address = options->orcpt;
    if (!notify_possible(options->notify))
        return false;
    if (!options->orcpt.p)
        return true;
    struct str type = str_cut(&address, ';');
    bool clean = str_eq_nocase(type, STR("utf-8")) ? str_is_utf8(address) && !has_control(address)
                                                   : str_is_printable_ascii(address);
    return clean && is_atom(type) && address.n > 0 && options->orcpt.n <= ORCPT_MAX;
}

void mail_options_encode(struct buf *buf, const struct mail_options *options)
{
    wire_put_u8(buf, MAIL_OPTIONS_VERSION);
    wire_put_u8(buf, (uint8_t)(options->ret | options->deliver_by_mode << 2 |
                               (options->deliver_by_trace ? HAS_TRACE : 0) |
                               (options->require_tls ? HAS_REQUIRE_TLS : 0) |
                               (options->tls_optional ? HAS_TLS_OPTIONAL : 0) |
                               (options->envid.p ? HAS_ENVID : 0)));
    wire_put_u8(buf, (uint8_t)options->priority);
    wire_put_varint(buf, (uint64_t)options->hold_until);
    wire_put_varint(buf, options->hold_for);
    wire_put_varint(buf, (uint64_t)options->deliver_by);
    if (options->envid.p)
        wire_put_short(buf, options->envid);
}

void mail_options_decode(struct wire_in *in, struct mail_options *options_r)
{
    struct mail_options options = {0};
    uint8_t version = wire_get_u8(in), flags = wire_get_u8(in);
    options.ret = flags & 3;
    options.deliver_by_mode = flags >> 2 & 3;
    options.deliver_by_trace = flags & HAS_TRACE;
    options.require_tls = flags & HAS_REQUIRE_TLS;
    options.tls_optional = flags & HAS_TLS_OPTIONAL;
    options.priority = (int8_t)wire_get_u8(in);
    options.hold_until = (int64_t)wire_get_varint(in);
    uint64_t hold_for = wire_get_varint(in);
    options.hold_for = (uint32_t)hold_for;
    options.deliver_by = (int64_t)wire_get_varint(in);
    if (flags & HAS_ENVID)
        options.envid = wire_get_short(in);
    in->bad |=
        version != MAIL_OPTIONS_VERSION || hold_for > HOLD_MAX || !mail_options_possible(&options);
    *options_r = in->bad ? (struct mail_options){0} : options;
}

void rcpt_options_encode(struct buf *buf, const struct rcpt_options *options)
{
    wire_put_u8(buf, RCPT_OPTIONS_VERSION);
    wire_put_u8(buf, options->notify);
    wire_put_short(buf, options->orcpt);
}

void rcpt_options_decode(struct wire_in *in, struct rcpt_options *options_r)
{
    struct rcpt_options options = {0};
    uint8_t version = wire_get_u8(in);
    options.notify = wire_get_u8(in);
    struct str orcpt = wire_get_short(in);
    if (orcpt.n > 0)
        options.orcpt = orcpt;
    in->bad |= version != RCPT_OPTIONS_VERSION || !rcpt_options_possible(&options);
    *options_r = in->bad ? (struct rcpt_options){0} : options;
}

static bool is_nothing(const struct mail_options *options)
{
    return !options->ret && !options->envid.p && !options->hold_until &&
           !options->deliver_by_mode && !options->priority && !options->require_tls &&
           !options->tls_optional;
}

struct str mail_options_keep(const struct mail_options *options, struct arena *arena)
{
    char room[MAIL_OPTIONS_KEPT_MAX];
    struct buf kept = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    if (is_nothing(options))
        return STR("");
    mail_options_encode(&kept, options);
    return buf_copy(&kept, arena);
}

struct str rcpt_options_keep(const struct rcpt_options *options, struct arena *arena)
{
    char room[RCPT_OPTIONS_KEPT_MAX];
    struct buf kept = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    if (!options->notify && !options->orcpt.p)
        return STR("");
    rcpt_options_encode(&kept, options);
    return buf_copy(&kept, arena);
}

bool mail_options_read(struct str kept, struct mail_options *options_r)
{
    struct wire_in in = wire_in(kept);
    *options_r = (struct mail_options){0};
    if (kept.n == 0)
        return true;
    mail_options_decode(&in, options_r);
    if (!wire_end(&in))
        *options_r = (struct mail_options){0};
    return wire_end(&in);
}

bool rcpt_options_read(struct str kept, struct rcpt_options *options_r)
{
    struct wire_in in = wire_in(kept);
    *options_r = (struct rcpt_options){0};
    if (kept.n == 0)
        return true;
    rcpt_options_decode(&in, options_r);
    if (!wire_end(&in))
        *options_r = (struct rcpt_options){0};
    return wire_end(&in);
}
