/*
 * Messages are built octet by octet: `put` functions below write what a server would, compressed or
 * not, and what none should.
 */
#include "format/dns.h"

#include "base/test.h"

enum {
    ARENA = 4 * 1024 * 1024,
    MESSAGE = 256 * 1024,
    ANSWER = 0x8180,
    IN = 1,
    HEADER = 12,
};

struct fixture {
    struct buf message;
    struct arena arena;
    struct dns_answer answer;
};

static int open_fixture(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.message = BUF_INIT(MESSAGE)};
    arena_init(&fixture.arena, ARENA);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    buf_done(&fixture->message);
    arena_done(&fixture->arena);
    return 0;
}

/* --- Building -------------------------------------------------------------------------------- */

static void put16(struct buf *to, unsigned value)
{
    buf_putc(to, (char)(value >> 8));
    buf_putc(to, (char)value);
}

static void put32(struct buf *to, uint32_t value)
{
    put16(to, value >> 16);
    put16(to, value & 0xffff);
}

/* "a.b" as labels, with the root behind them. */
static void put_name(struct buf *to, const char *text)
{
    struct str rest = str_from(text);
    while (rest.n) {
        struct str label = str_cut(&rest, '.');
        buf_putc(to, (char)label.n);
        buf_put(to, label);
    }
    buf_putc(to, '\0');
}

static void pointer(struct buf *to, size_t at)
{
    put16(to, 0xc000u | (unsigned)at);
}

static void header(struct fixture *f, unsigned flags, unsigned answers, unsigned authority)
{
    buf_clear(&f->message);
    put16(&f->message, 7);
    put16(&f->message, flags);
    put16(&f->message, 1);
    put16(&f->message, answers);
    put16(&f->message, authority);
    put16(&f->message, 0);
}

static void begin(struct fixture *f, const char *name, unsigned type, unsigned answers)
{
    header(f, ANSWER, answers, 0);
    put_name(&f->message, name);
    put16(&f->message, type);
    put16(&f->message, IN);
}

/* Behind its owner. */
static void fields(struct fixture *f, unsigned type, uint32_t ttl, size_t n)
{
    put16(&f->message, type);
    put16(&f->message, IN);
    put32(&f->message, ttl);
    put16(&f->message, (unsigned)n);
}

/* A record of the name that was asked, which the question has. */
static void own(struct fixture *f, unsigned type, uint32_t ttl, struct str rdata)
{
    pointer(&f->message, HEADER);
    fields(f, type, ttl, rdata.n);
    buf_put(&f->message, rdata);
}

static void cname(struct fixture *f, const char *owner, const char *target)
{
    struct buf rdata = BUF_INIT(MESSAGE);
    put_name(&rdata, target);
    put_name(&f->message, owner);
    fields(f, DNS_CNAME, 60, rdata.n);
    buf_put(&f->message, buf_str(&rdata));
    buf_done(&rdata);
}

static enum err_code parse(struct fixture *f, const char *name, uint16_t type)
{
    return dns_answer_parse(buf_str(&f->message), str_from(name), type, &f->arena, &f->answer).code;
}

static void refused(struct fixture *f, const char *name, uint16_t type)
{
    assert_int_equal(parse(f, name, type), ERR_DNS_FAILED);
}

/* --- Names ----------------------------------------------------------------------------------- */

static void names_have_bounds_and_no_odd_octets(void **state)
{
    char label[DNS_LABEL_MAX + 2], name[DNS_NAME_MAX + 2];
    (void)state;
    memset(label, 'a', sizeof(label));
    assert_true(dns_name_ok(str_make(label, DNS_LABEL_MAX)));
    assert_false(dns_name_ok(str_make(label, DNS_LABEL_MAX + 1)));
    memset(name, 'b', sizeof(name));
    for (size_t i = 1; i < sizeof(name); i += 2)
        name[i] = '.';
    assert_true(dns_name_ok(str_make(name, DNS_NAME_MAX)));
    name[DNS_NAME_MAX + 1] = 'b';
    assert_false(dns_name_ok(str_make(name, DNS_NAME_MAX + 2)));
    static const char *const good[] = {"",
                                       "a",
                                       "Mx.Example.Test",
                                       "_25._tcp.mx",
                                       "0/25.2.0.192.in-addr.arpa",
                                       "xn--fsqu00a.xn--0zwm56d"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(dns_name_ok(str_from(good[i])));
    static const struct str bad[] = {STR_INIT("."),        STR_INIT(".a"),    STR_INIT("a."),
                                     STR_INIT("a..b"),     STR_INIT("a b"),   STR_INIT("a\r\nb"),
                                     STR_INIT("a\0b"),     STR_INIT("a\x7f"), STR_INIT("a\\032b"),
                                     STR_INIT("\xc3\xa4"), STR_INIT("a\"b"),  STR_INIT("a(b)"),
                                     STR_INIT("a@b"),      STR_INIT("<a>"),   STR_INIT("a;b")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(dns_name_ok(bad[i]));
    assert_true(dns_host_ok(STR("mx_1-a.example")));
    assert_false(dns_host_ok(STR("0/25.example")));
    assert_false(dns_host_ok(STR("")));
}

static struct str reversed(struct buf *to, const char *address, struct str zone)
{
    buf_clear(to);
    return dns_reverse(str_from(address), zone, to) ? buf_str(to) : STR("none");
}

static void addresses_are_asked_backwards(void **state)
{
    struct buf to = BUF_INIT(MESSAGE);
    (void)state;
    assert_str(reversed(&to, "192.0.2.1", str_null()), STR("1.2.0.192.in-addr.arpa"));
    assert_str(reversed(&to, "::ffff:192.0.2.1", str_null()), STR("1.2.0.192.in-addr.arpa"));
    assert_str(reversed(&to, "2001:db8::567:89ab", str_null()),
               STR("b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"));
    assert_str(reversed(&to, "127.0.0.2", STR("list.example")), STR("2.0.0.127.list.example"));
    assert_str(reversed(&to, "example", str_null()), STR("none"));
    assert_str(reversed(&to, "192.0.2.0/24", str_null()), STR("none"));
    assert_str(reversed(&to, "192.0.2.1", STR("a b")), STR("none"));
    buf_done(&to);
}

/* --- Answers --------------------------------------------------------------------------------- */

static void records_of_the_type_are_given_in_their_order(void **state)
{
    struct fixture *f = *state;
    begin(f, "example.test", DNS_A, 3);
    own(f, DNS_A, 300, STR("\xc0\0\2\1"));
    own(f, DNS_TXT, 5, STR("\1x"));
    own(f, DNS_A, 200, STR("\xc0\0\2\2"));
    assert_int_equal(parse(f, "Example.Test", DNS_A), ERR_NONE);
    assert_int_equal(f->answer.rcode, DNS_NOERROR);
    assert_int_equal(f->answer.count, 2);
    assert_str(f->answer.records[0].rdata, STR("\xc0\0\2\1"));
    assert_str(f->answer.records[1].rdata, STR("\xc0\0\2\2"));
    assert_int_equal(f->answer.ttl, 200);
    assert_str(f->answer.canonical, STR("example.test"));
}

/* Of others, of another class, behind an owner that cannot be told. */
static void what_is_not_of_the_name_is_passed_over(void **state)
{
    struct fixture *f = *state;
    begin(f, "example.test", DNS_A, 3);
    put_name(&f->message, "other.test");
    fields(f, DNS_A, 300, 4);
    buf_put(&f->message, STR("\xc0\0\2\1"));
    pointer(&f->message, HEADER);
    put16(&f->message, DNS_A);
    put16(&f->message, 3);
    put32(&f->message, 300);
    put16(&f->message, 4);
    buf_put(&f->message, STR("\xc0\0\2\2"));
    put_name(&f->message, "a b");
    fields(f, DNS_A, 300, 4);
    buf_put(&f->message, STR("\xc0\0\2\3"));
    assert_int_equal(parse(f, "example.test", DNS_A), ERR_NONE);
    assert_int_equal(f->answer.count, 0);
}

static void names_in_rdata_are_given_in_full(void **state)
{
    struct fixture *f = *state;
    struct dns_mx mx;
    begin(f, "example.test", DNS_MX, 1);
    pointer(&f->message, HEADER);
    fields(f, DNS_MX, 300, 7);
    put16(&f->message, 10);
    buf_put(&f->message, STR("\2MX"));
    pointer(&f->message, HEADER);
    assert_int_equal(parse(f, "example.test", DNS_MX), ERR_NONE);
    assert_str(f->answer.records[0].rdata, STR("\0\x0a\2MX\7example\4test\0"));
    assert_true(dns_mx_parse(f->answer.records[0].rdata, &f->arena, &mx));
    assert_int_equal(mx.preference, 10);
    assert_str(mx.host, STR("mx.example.test"));
}

static void a_chain_is_followed_in_whatever_order_it_comes(void **state)
{
    struct fixture *f = *state;
    begin(f, "a.test", DNS_A, 3);
    cname(f, "b.test", "C.test");
    put_name(&f->message, "c.test");
    fields(f, DNS_A, 300, 4);
    buf_put(&f->message, STR("\xc0\0\2\1"));
    cname(f, "a.test", "b.test");
    assert_int_equal(parse(f, "a.test", DNS_A), ERR_NONE);
    assert_int_equal(f->answer.count, 1);
    assert_str(f->answer.canonical, STR("c.test"));
    assert_int_equal(f->answer.ttl, 60);
    assert_int_equal(parse(f, "b.test", DNS_A), ERR_DNS_FAILED); /* another question */
}

static void a_cname_is_not_followed_where_it_was_asked_for(void **state)
{
    struct fixture *f = *state;
    struct str name;
    begin(f, "a.test", DNS_CNAME, 1);
    cname(f, "a.test", "b.test");
    assert_int_equal(parse(f, "a.test", DNS_CNAME), ERR_NONE);
    assert_int_equal(f->answer.count, 1);
    assert_str(f->answer.canonical, STR("a.test"));
    assert_true(dns_name_parse(f->answer.records[0].rdata, &f->arena, &name));
    assert_str(name, STR("b.test"));
}

static void chain_of(struct fixture *f, unsigned links)
{
    char from[32], to[32];
    begin(f, "n0.test", DNS_A, links + 1);
    for (unsigned i = 0; i < links; i++) {
        snprintf(from, sizeof(from), "n%u.test", i);
        snprintf(to, sizeof(to), "n%u.test", i + 1);
        cname(f, from, to);
    }
    put_name(&f->message, to);
    fields(f, DNS_A, 300, 4);
    buf_put(&f->message, STR("\xc0\0\2\1"));
}

static void a_chain_has_an_end(void **state)
{
    struct fixture *f = *state;
    chain_of(f, DNS_CHAIN_MAX);
    assert_int_equal(parse(f, "n0.test", DNS_A), ERR_NONE);
    assert_int_equal(f->answer.count, 1);
    chain_of(f, DNS_CHAIN_MAX + 1);
    refused(f, "n0.test", DNS_A);
    chain_of(f, 50);
    refused(f, "n0.test", DNS_A);
    begin(f, "a.test", DNS_A, 2);
    cname(f, "a.test", "b.test");
    cname(f, "b.test", "a.test");
    refused(f, "a.test", DNS_A);
    begin(f, "a.test", DNS_A, 1);
    cname(f, "a.test", "b\r\n.test");
    refused(f, "a.test", DNS_A);
}

static void an_absence_has_the_time_of_its_soa(void **state)
{
    struct fixture *f = *state;
    header(f, ANSWER | DNS_NXDOMAIN, 0, 1);
    put_name(&f->message, "no.example.test");
    put16(&f->message, DNS_A);
    put16(&f->message, IN);
    pointer(&f->message, HEADER + 3);
    fields(f, DNS_SOA, 900, 24);
    pointer(&f->message, HEADER);
    pointer(&f->message, HEADER);
    for (uint32_t i = 0; i < 4; i++)
        put32(&f->message, i);
    put32(&f->message, 120);
    assert_int_equal(parse(f, "no.example.test", DNS_A), ERR_NONE);
    assert_int_equal(f->answer.rcode, DNS_NXDOMAIN);
    assert_int_equal(f->answer.count, 0);
    assert_int_equal(f->answer.ttl, 120);
    begin(f, "example.test", DNS_A, 0);
    assert_int_equal(parse(f, "example.test", DNS_A), ERR_NONE);
    assert_int_equal(f->answer.ttl, 0);
}

static void times_are_bounded(void **state)
{
    static const struct {
        uint32_t said, is;
    } rows[] = {{DNS_TTL_MAX - 1, DNS_TTL_MAX - 1},
                {DNS_TTL_MAX, DNS_TTL_MAX},
                {DNS_TTL_MAX + 1, DNS_TTL_MAX},
                {0x7fffffff, DNS_TTL_MAX},
                {0x80000000, 0},
                {0xffffffff, 0}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(f, "a.test", DNS_A, 1);
        own(f, DNS_A, rows[i].said, STR("\xc0\0\2\1"));
        assert_int_equal(parse(f, "a.test", DNS_A), ERR_NONE);
        assert_int_equal(f->answer.ttl, rows[i].is);
    }
}

static void many(struct fixture *f, unsigned count, size_t octets)
{
    struct buf rdata = BUF_INIT(MESSAGE);
    begin(f, "a.test", DNS_TXT, count);
    for (size_t i = 0; i < octets; i++)
        buf_putc(&rdata, 'x');
    for (unsigned i = 0; i < count; i++)
        own(f, DNS_TXT, 300, buf_str(&rdata));
    assert_int_equal(parse(f, "a.test", DNS_TXT), ERR_NONE);
    buf_done(&rdata);
}

static void records_beyond_the_bounds_are_left_out(void **state)
{
    struct fixture *f = *state;
    many(f, DNS_RECORDS_MAX, 1);
    assert_int_equal(f->answer.count, DNS_RECORDS_MAX);
    assert_false(f->answer.cut);
    many(f, DNS_RECORDS_MAX + 1, 1);
    assert_int_equal(f->answer.count, DNS_RECORDS_MAX);
    assert_true(f->answer.cut);
    many(f, 64, DNS_OCTETS_MAX / 64);
    assert_int_equal(f->answer.count, 64);
    assert_false(f->answer.cut);
    many(f, 65, DNS_OCTETS_MAX / 64);
    assert_int_equal(f->answer.count, 64);
    assert_true(f->answer.cut);
}

static void malformed_messages_are_refused_whole(void **state)
{
    struct fixture *f = *state;
    begin(f, "a.test", DNS_A, 1);
    own(f, DNS_A, 300, STR("\xc0\0\2\1"));
    size_t whole = f->message.n;
    assert_int_equal(parse(f, "a.test", DNS_A), ERR_NONE);
    for (size_t n = 0; n < whole; n++) { /* cut off anywhere */
        struct err e = dns_answer_parse(str_make(f->message.p, n), STR("a.test"), DNS_A, &f->arena,
                                        &f->answer);
        assert_int_equal(e.code, ERR_DNS_FAILED);
    }
    refused(f, "b.test", DNS_A);
    refused(f, "a.test", DNS_MX);
    f->message.p[2] = 0x01; /* a question */
    refused(f, "a.test", DNS_A);
    f->message.p[2] = (char)0x83; /* truncated */
    refused(f, "a.test", DNS_A);
    f->message.p[2] = (char)0x81;
    f->message.p[5] = 2; /* two questions */
    refused(f, "a.test", DNS_A);
}

/* An owner that begins at `at` of the message, made of these octets. */
static void with_owner(struct fixture *f, struct str owner)
{
    begin(f, "a.test", DNS_A, 1);
    buf_put(&f->message, owner);
    fields(f, DNS_A, 300, 4);
    buf_put(&f->message, STR("\xc0\0\2\1"));
}

static void compression_cannot_loop_or_lead_on(void **state)
{
    struct fixture *f = *state;
    /* The owner stands at 24: behind the header, "a.test" and its type and class. */
    static const struct str bad[] = {
        STR_INIT("\xc0\x18"),    /* to itself */
        STR_INIT("\1x\xc0\x18"), /* to its own beginning */
        STR_INIT("\xc0\x19"),    /* into itself */
        STR_INIT("\xc0\x30"),    /* onward */
        STR_INIT("\xff\xff"),    /* outside */
        STR_INIT("\x40zzzz"),    /* RFC 6891 5: labels of other kinds are no more */
        STR_INIT("\x80zzzz"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        with_owner(f, bad[i]);
        refused(f, "a.test", DNS_A);
    }
    with_owner(f, STR("\1a\xc0\x0e")); /* "a" and what stands behind the first label */
    assert_int_equal(parse(f, "a.test", DNS_A), ERR_NONE);
    assert_int_equal(f->answer.count, 1);
}

/* 255 octets on the wire, and one more, by way of a pointer. */
static void a_name_is_never_longer_than_255_octets(void **state)
{
    struct fixture *f = *state;
    for (unsigned more = 0; more < 2; more++) {
        struct buf name = BUF_INIT(MESSAGE);
        for (unsigned i = 0; i < 4; i++) {
            size_t length = i < 3 ? 63 : 62 - 8 + more; /* "a.test" and the root are 8 */
            buf_putc(&name, (char)length);
            for (size_t n = 0; n < length; n++)
                buf_putc(&name, 'x');
        }
        pointer(&name, HEADER);
        begin(f, "a.test", DNS_PTR, 1);
        own(f, DNS_PTR, 300, buf_str(&name));
        assert_int_equal(parse(f, "a.test", DNS_PTR), more ? ERR_DNS_FAILED : ERR_NONE);
        buf_done(&name);
    }
}

static void rdata_ends_where_it_says(void **state)
{
    struct fixture *f = *state;
    struct buf rdata = BUF_INIT(MESSAGE);
    put16(&rdata, 10);
    put_name(&rdata, "mx.test");
    begin(f, "a.test", DNS_MX, 1);
    own(f, DNS_MX, 300, buf_str(&rdata));
    assert_int_equal(parse(f, "a.test", DNS_MX), ERR_NONE);
    buf_putc(&rdata, 'x');
    begin(f, "a.test", DNS_MX, 1);
    own(f, DNS_MX, 300, buf_str(&rdata));
    refused(f, "a.test", DNS_MX);
    begin(f, "a.test", DNS_MX, 1);
    own(f, DNS_MX, 300, str_head(buf_str(&rdata), rdata.n - 2));
    refused(f, "a.test", DNS_MX);
    begin(f, "a.test", DNS_MX, 1);
    own(f, DNS_MX, 300, STR("\0"));
    refused(f, "a.test", DNS_MX);
    buf_done(&rdata);
}

static void a_full_arena_is_told(void **state)
{
    struct fixture *f = *state;
    struct arena small;
    arena_init(&small, 64);
    begin(f, "a.test", DNS_A, 1);
    own(f, DNS_A, 300, STR("\xc0\0\2\1"));
    assert_int_equal(
        dns_answer_parse(buf_str(&f->message), STR("a.test"), DNS_A, &small, &f->answer).code,
        ERR_OVER_LIMIT);
    arena_done(&small);
}

/* --- Records --------------------------------------------------------------------------------- */

static void an_mx_names_a_host_or_none(void **state)
{
    struct fixture *f = *state;
    struct dns_mx mx;
    assert_true(dns_mx_parse(STR("\0\0\0"), &f->arena, &mx));
    assert_int_equal(mx.preference, 0);
    assert_int_equal(mx.host.n, 0);
    assert_true(dns_mx_parse(STR("\xff\xfe\2Mx\4test\0"), &f->arena, &mx));
    assert_int_equal(mx.preference, 65534);
    assert_str(mx.host, STR("mx.test"));
    static const struct str bad[] = {STR_INIT(""),
                                     STR_INIT("\0"),
                                     STR_INIT("\0\0"),
                                     STR_INIT("\0\0\2mx"),
                                     STR_INIT("\0\0\0\0"),
                                     STR_INIT("\0\0\3m x\0"),
                                     STR_INIT("\0\0\4m\r\nx\0"),
                                     STR_INIT("\0\0\2m/\0"),
                                     STR_INIT("\0\0\xc0\0")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(dns_mx_parse(bad[i], &f->arena, &mx));
}

/* Catalogue S28: what a PTR says goes into Received. */
static void a_ptr_with_odd_octets_is_none(void **state)
{
    struct fixture *f = *state;
    struct str host;
    static const struct str bad[] = {STR_INIT("\4a\r\nb\0"),   STR_INIT("\3a\0b\0"),
                                     STR_INIT("\3a.b\0"),      STR_INIT("\5a\x1b[1m\0"),
                                     STR_INIT("\3a\"b\0"),     STR_INIT("\3a b\0"),
                                     STR_INIT("\2\xc3\xa4\0"), STR_INIT("\0")};
    assert_true(dns_ptr_parse(STR("\2MX\4test\0"), &f->arena, &host));
    assert_str(host, STR("mx.test"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(dns_ptr_parse(bad[i], &f->arena, &host));
}

static void a_txt_has_strings_joined_and_apart(void **state)
{
    struct fixture *f = *state;
    struct dns_txt txt;
    assert_true(dns_txt_parse(STR("\3abc\0\2de"), &f->arena, &txt));
    assert_str(txt.joined, STR("abcde"));
    assert_int_equal(txt.count, 3);
    assert_str(txt.parts[0], STR("abc"));
    assert_str(txt.parts[1], STR(""));
    assert_str(txt.parts[2], STR("de"));
    assert_true(dns_txt_parse(STR("\0"), &f->arena, &txt));
    assert_int_equal(txt.joined.n, 0);
    assert_false(dns_txt_parse(STR(""), &f->arena, &txt));
    assert_false(dns_txt_parse(STR("\4abc"), &f->arena, &txt));
    assert_false(dns_txt_parse(STR("\2abc"), &f->arena, &txt));
}

static void tlsa_and_addresses(void **state)
{
    struct dns_tlsa tlsa;
    char text[DNS_ADDRESS_TEXT];
    (void)state;
    assert_true(dns_tlsa_parse(STR("\3\1\2xyz"), &tlsa));
    assert_int_equal(tlsa.usage, 3);
    assert_int_equal(tlsa.selector, 1);
    assert_int_equal(tlsa.matching, 2);
    assert_str(tlsa.data, STR("xyz"));
    assert_false(dns_tlsa_parse(STR("\3\1\2"), &tlsa));
    assert_true(dns_address_parse(STR("\xc0\0\2\1"), text));
    assert_string_equal(text, "192.0.2.1");
    assert_true(dns_address_parse(STR("\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), text));
    assert_string_equal(text, "2001:db8::1");
    assert_true(dns_address_parse(STR("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1"), text));
    assert_string_equal(text, "127.0.0.1");
    assert_false(dns_address_parse(STR("\xc0\0\2"), text));
    assert_false(dns_address_parse(STR(""), text));
}

/* --- For people ------------------------------------------------------------------------------ */

static void records_are_printed_as_in_a_zone_file(void **state)
{
    static const struct {
        uint16_t type;
        struct str rdata, text;
    } rows[] = {
        {DNS_A, STR_INIT("\xc0\0\2\1"), STR_INIT("192.0.2.1")},
        {DNS_A, STR_INIT("\xc0\0\2"), STR_INIT("\\# 3 c00002")},
        {DNS_AAAA, STR_INIT("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1"),
         STR_INIT("::ffff:127.0.0.1")},
        {DNS_MX, STR_INIT("\0\x0a\2mx\4test\0"), STR_INIT("10 mx.test.")},
        {DNS_MX, STR_INIT("\0\0\0"), STR_INIT("0 .")},
        {DNS_MX, STR_INIT("\0\0\3m\nx\0"),
         STR_INIT("\\# 7 000003"
                  "6d0a7800")},
        {DNS_TXT, STR_INIT("\6a\"b\\c\n\1z"), STR_INIT("\"a\\\"b\\\\c\\010\" \"z\"")},
        {DNS_TLSA, STR_INIT("\3\1\1\xab\xcd"), STR_INIT("3 1 1 abcd")},
        {DNS_CNAME, STR_INIT("\1a\0"), STR_INIT("a.")},
        {4711, STR_INIT(""), STR_INIT("\\# 0")},
        {4711, STR_INIT("\1\2"), STR_INIT("\\# 2 0102")},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&f->message);
        dns_rdata_print(rows[i].type, rows[i].rdata, &f->arena, &f->message);
        assert_str(buf_str(&f->message), rows[i].text);
    }
}

static void types_have_names(void **state)
{
    struct buf text = BUF_INIT(64);
    uint16_t type = 0;
    (void)state;
    dns_type_print(DNS_TLSA, &text);
    buf_putc(&text, ' ');
    dns_type_print(4711, &text);
    buf_putc(&text, ' ');
    dns_rcode_print(DNS_NXDOMAIN, &text);
    buf_putc(&text, ' ');
    dns_rcode_print(15, &text);
    assert_str(buf_str(&text), STR("TLSA TYPE4711 NXDOMAIN RCODE15"));
    assert_true(dns_type_parse(STR("aaaa"), &type));
    assert_int_equal(type, DNS_AAAA);
    assert_true(dns_type_parse(STR("type65535"), &type));
    assert_int_equal(type, 65535);
    assert_false(dns_type_parse(STR("TYPE65536"), &type));
    assert_false(dns_type_parse(STR("TYPE"), &type));
    assert_false(dns_type_parse(STR("MXX"), &type));
    static const uint16_t none[] = {0, 41, 128, 251, 252, 253, 254, 255};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(dns_type_ok(none[i]));
    assert_true(dns_type_ok(1) && dns_type_ok(127) && dns_type_ok(256));
    buf_done(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_have_bounds_and_no_odd_octets),
        TEST(addresses_are_asked_backwards),
        TEST(records_of_the_type_are_given_in_their_order),
        TEST(what_is_not_of_the_name_is_passed_over),
        TEST(names_in_rdata_are_given_in_full),
        TEST(a_chain_is_followed_in_whatever_order_it_comes),
        TEST(a_cname_is_not_followed_where_it_was_asked_for),
        TEST(a_chain_has_an_end),
        TEST(an_absence_has_the_time_of_its_soa),
        TEST(times_are_bounded),
        TEST(records_beyond_the_bounds_are_left_out),
        TEST(malformed_messages_are_refused_whole),
        TEST(compression_cannot_loop_or_lead_on),
        TEST(a_name_is_never_longer_than_255_octets),
        TEST(rdata_ends_where_it_says),
        TEST(a_full_arena_is_told),
        TEST(an_mx_names_a_host_or_none),
        TEST(a_ptr_with_odd_octets_is_none),
        TEST(a_txt_has_strings_joined_and_apart),
        TEST(tlsa_and_addresses),
        TEST(records_are_printed_as_in_a_zone_file),
        TEST(types_have_names),
    };
    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
