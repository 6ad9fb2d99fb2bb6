/*
 * Why six characters of hash: a local part has 64 octets, and each one taken is one that the
 * original sender cannot have. Six are 30 bits: somebody who guesses needs 500 million RCPT
 * commands at our own door for one address that we would then send bounces to, for three weeks.
 *
 * A hash is compared as text in lower case: what it is over was folded already, so there is nothing
 * else of the address that a change of case could change.
 */
#include "trust/srs.h"

#include "base/must.h"
#include "trust/keyed_hash.h"

_Static_assert((int)SRS_KEY == (int)KEYED_HASH_KEY, "one size of keys");

enum {
    HASH = 6, /* characters */
    STAMP = 2,
    STAMPS = 1024, /* days until it comes around */
    STAMP_BITS = 5,
    KEYWORD = 4,
    LOCAL_MAX = 2 * ADDR_PATH_MAX, /* of a local part being built; what is too long is told so */
    DAY = 86400,
};

/* "SRS0=hash=stamp=domain=local" or "SRS1=hash=domain=opaque", cut up; all borrow. */
struct rewritten {
    bool twice; /* SRS1 */
    struct str hash, stamp, domain, rest;
};

bool srs_is(struct str local)
{
    return local.n > KEYWORD && memchr("=+-", local.p[KEYWORD], 3) &&
           (str_starts_nocase(local, STR("SRS0")) || str_starts_nocase(local, STR("SRS1")));
}

/* The part in front of a '='; false: there is none, or it is empty. */
static bool part_cut(struct str *rest, struct str *part_r)
{
    bool there = str_index(*rest, '=') > 0;
    *part_r = str_cut(rest, '=');
    return there;
}

/* Of anybody's: hashes and stamps may have another length than ours. */
static bool rewritten_parse(struct str local, struct arena *arena, struct rewritten *rewritten_r)
{
    struct str host;
    struct rewritten one = {.twice = srs_is(local) && local.p[KEYWORD - 1] == '1'};
    struct str rest = str_from_index(local, KEYWORD + 1);
    if (!srs_is(local) || !part_cut(&rest, &one.hash))
        return false;
    if (!one.twice && !part_cut(&rest, &one.stamp))
        return false;
    if (!part_cut(&rest, &one.domain) || rest.n == 0)
        return false;
    if ((one.twice && !memchr("=+-", rest.p[0], 3)) || err_is(host_parse(one.domain, arena, &host)))
        return false;
    one.rest = rest;
    *rewritten_r = one;
    return true;
}

static void hash_print(const unsigned char key[SRS_KEY], const struct rewritten *what,
                       struct buf *to)
{
    unsigned char octets[KEYED_HASH];
    struct keyed_hash hash;
    keyed_hash_begin(&hash, key);
    keyed_hash_feed(&hash, what->twice ? STR("srs1=") : STR("srs0="));
    keyed_hash_feed_lower(&hash, what->stamp);
    keyed_hash_feed(&hash, STR("="));
    keyed_hash_feed_lower(&hash, what->domain);
    keyed_hash_feed(&hash, STR("="));
    keyed_hash_feed_lower(&hash, what->rest);
    keyed_hash_end(&hash, octets);
    base32_print(octets, sizeof(octets), HASH, to);
}

/* --- Forward --------------------------------------------------------------------------------- */

static void stamp_print(int64_t now, struct buf *to)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned stamp = (unsigned)(now / DAY % STAMPS);
    buf_putc(to, letters[stamp >> STAMP_BITS]);
    buf_putc(to, letters[stamp & (STAMPS / (1 << STAMP_BITS) - 1)]);
}

/* What the sender becomes, but for the hash. */
static struct rewritten rewritten_of(const struct addr *sender, struct str stamp,
                                     struct arena *arena)
{
    struct rewritten one;
    if (!rewritten_parse(sender->local, arena, &one))
        return (struct rewritten){.stamp = stamp, .domain = sender->domain, .rest = sender->local};
    if (one.twice)
        return (struct rewritten){.twice = true, .domain = one.domain, .rest = one.rest};
    return (struct rewritten){
        .twice = true, .domain = sender->domain, .rest = str_from_index(sender->local, KEYWORD)};
}

static void local_print(const struct srs_keys *keys, const struct rewritten *one, struct buf *to)
{
    buf_put(to, one->twice ? STR("SRS1=") : STR("SRS0="));
    hash_print(keys->now, one, to);
    buf_putc(to, '=');
    buf_put(to, one->stamp);
    buf_put(to, one->twice ? STR("") : STR("="));
    buf_put(to, one->domain);
    buf_putc(to, '=');
    buf_put(to, one->rest);
}

struct err srs_forward(const struct srs_keys *keys, const struct addr *sender, struct str domain,
                       int64_t now, struct arena *arena, struct addr *sender_r)
{
    char stamp[STAMP];
    struct buf at = {.p = stamp, .cap = STAMP, .max = STAMP};
    struct buf local = buf_in(arena, LOCAL_MAX);
    if (sender->kind == ADDR_NULL) {
        *sender_r = *sender;
        return err_none();
    }
    stamp_print(now < 0 ? 0 : now, &at);
    struct rewritten one = rewritten_of(sender, buf_str(&at), arena);
    local_print(keys, &one, &local);
    if (local.n > ADDR_LOCAL_MAX)
        return err_detail(ERR_SENDER_SYNTAX,
                          STR("a rewritten sender would have more than 64 octets before its @"));
    struct addr made = {.local = buf_built(&local),
                        .domain = arena_str(arena, domain),
                        .utf8 = sender->utf8,
                        .kind = ADDR_DOMAIN};
    if (!made.local.p || !made.domain.p)
        return err_make(ERR_OVER_LIMIT);
    *sender_r = made;
    return err_none();
}

/* --- Reverse --------------------------------------------------------------------------------- */

static struct err unknown(struct str why)
{
    return err_detail(ERR_MAILBOX_UNKNOWN, why);
}

static bool made_with(const unsigned char key[SRS_KEY], const struct rewritten *one)
{
    char expected[HASH], given[HASH];
    struct buf to = {.p = expected, .cap = HASH, .max = HASH};
    hash_print(key, one, &to);
    for (size_t i = 0; i < HASH; i++)
        given[i] = ascii_lower(one->hash.p[i]);
    return str_eq_secret(str_make(given, HASH), buf_str(&to));
}

static bool made_by_us(const struct srs_keys *keys, const struct rewritten *one)
{
    return one->hash.n == HASH &&
           (made_with(keys->now, one) || (keys->has_before && made_with(keys->before, one)));
}

static int stamp_digit(char c)
{
    c = ascii_lower(c);
    return ascii_is_alpha(c) ? c - 'a' : c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

/* Tomorrow is taken: clocks differ. */
static bool is_in_time(struct str stamp, int64_t now, unsigned days)
{
    if (stamp.n != STAMP || now < 0)
        return false;
    int high = stamp_digit(stamp.p[0]), low = stamp_digit(stamp.p[1]);
    if (high < 0 || low < 0)
        return false;
    unsigned then = (unsigned)high << STAMP_BITS | (unsigned)low;
    unsigned age = ((unsigned)(now / DAY % STAMPS) + STAMPS - then) % STAMPS;
    return age <= (days < SRS_DAYS_MAX ? days : SRS_DAYS_MAX) || age == STAMPS - 1;
}

/* Printed and parsed, so that it is an address whatever was done to its letters. */
static struct err original_make(const struct rewritten *one, struct arena *arena,
                                struct addr *original_r)
{
    struct buf local = buf_in(arena, LOCAL_MAX);
    if (one->twice)
        buf_put(&local, STR("SRS0"));
    buf_put(&local, one->rest);
    const struct addr parts = {
        .local = buf_built(&local), .domain = one->domain, .kind = ADDR_DOMAIN};
    struct buf text = buf_in(arena, 2 * LOCAL_MAX);
    addr_print(&text, &parts);
    struct str printed = buf_built(&text);
    if (!printed.p)
        return err_make(ERR_OVER_LIMIT);
    struct err e = addr_parse(printed, arena, original_r);
    return e.code == ERR_ADDRESS_SYNTAX ? unknown(STR("no sender comes out of it")) : e;
}

struct err srs_reverse(const struct srs_keys *keys, const struct addr *recipient, int64_t now,
                       unsigned days, struct arena *arena, struct addr *original_r)
{
    struct rewritten one;
    if (!rewritten_parse(recipient->local, arena, &one))
        return unknown(STR("not of the form of a rewritten sender"));
    if (!made_by_us(keys, &one))
        return unknown(STR("a rewritten sender that is not from here"));
    if (!one.twice && !is_in_time(one.stamp, now, days))
        return unknown(STR("a rewritten sender that is too old"));
    return original_make(&one, arena, original_r);
}
