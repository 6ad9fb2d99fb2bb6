/*
 * Input: a type (2 octets), then a message of the DNS. The name that is asked is the one in its
 * question, where there is one that can be read, so that the fuzzer gets behind it.
 *
 * What was read, written down anew without compression, reads the same; the typed records hold what
 * their rdata does; what is printed is printable and no longer than it may be.
 */
#include "format/dns.h"

#include "base/must.h"

enum {
    ARENA = 8 * 1024 * 1024,
    TEXT = 1024 * 1024,
    HEADER = 12,
    IN = 1,
};

static void put16(struct buf *to, unsigned value)
{
    buf_putc(to, (char)(value >> 8));
    buf_putc(to, (char)value);
}

static void put_name(struct buf *to, struct str text)
{
    while (text.n) {
        struct str label = str_cut(&text, '.');
        buf_putc(to, (char)label.n);
        buf_put(to, label);
    }
    buf_putc(to, '\0');
}

static void put_record(struct buf *to, struct str owner, uint16_t type, uint32_t ttl,
                       struct str rdata)
{
    put_name(to, owner);
    put16(to, type);
    put16(to, IN);
    put16(to, ttl >> 16);
    put16(to, ttl & 0xffff);
    put16(to, (unsigned)rdata.n);
    buf_put(to, rdata);
}

/* The name in the question, as far as it is one without compression. */
static struct str question(struct str message, struct buf *to)
{
    for (size_t at = HEADER; at < message.n && message.p[at];) {
        size_t n = (unsigned char)message.p[at++];
        if (n > DNS_LABEL_MAX || message.n - at < n)
            break;
        buf_put(to, to->n ? STR(".") : STR(""));
        buf_put(to, str_make(message.p + at, n));
        at += n;
    }
    return buf_str(to);
}

/* Its canonical name asked for directly: one message without a chain. */
static void rewrite(const struct dns_answer *answer, uint16_t type, struct buf *to)
{
    put16(to, 7);
    put16(to, 0x8180u | answer->rcode);
    put16(to, 1);
    put16(to, (unsigned)answer->count);
    put16(to, 0);
    put16(to, 0);
    put_name(to, answer->canonical);
    put16(to, type);
    put16(to, IN);
    for (size_t i = 0; i < answer->count; i++)
        put_record(to, answer->canonical, type, answer->ttl, answer->records[i].rdata);
}

static void read_the_same(const struct dns_answer *answer, uint16_t type, struct arena *arena)
{
    struct buf message = BUF_INIT(TEXT);
    struct dns_answer again;
    rewrite(answer, type, &message);
    must(!buf_over(&message));
    must(dns_answer_parse(buf_str(&message), answer->canonical, type, arena, &again).code ==
         ERR_NONE);
    must(again.count == answer->count && again.rcode == answer->rcode && !again.cut);
    must(again.count == 0 || again.ttl == answer->ttl);
    must(str_eq(again.canonical, answer->canonical));
    for (size_t i = 0; i < again.count; i++)
        must(str_eq(again.records[i].rdata, answer->records[i].rdata));
    buf_done(&message);
}

/* What comes of one is all there was in it. */
static void typed_check(uint16_t type, struct str rdata, struct arena *arena)
{
    struct dns_mx mx;
    struct dns_txt txt;
    struct dns_tlsa tlsa;
    struct str name;
    struct buf built = BUF_INIT(TEXT);
    char address[DNS_ADDRESS_TEXT];
    if (type == DNS_MX && dns_mx_parse(rdata, arena, &mx)) {
        must(mx.host.n == 0 || dns_host_ok(mx.host));
        put16(&built, mx.preference);
        put_name(&built, mx.host);
        must(str_eq_nocase(buf_str(&built), rdata));
    }
    if (type == DNS_PTR && dns_ptr_parse(rdata, arena, &name)) {
        must(dns_host_ok(name));
        put_name(&built, name);
        must(str_eq_nocase(buf_str(&built), rdata));
    }
    if (type == DNS_TXT && dns_txt_parse(rdata, arena, &txt)) {
        must(txt.joined.n + txt.count == rdata.n);
    }
    if (type == DNS_TLSA && dns_tlsa_parse(rdata, &tlsa))
        must(tlsa.data.n == rdata.n - 3);
    if (dns_address_parse(rdata, address))
        must(dns_reverse(str_from(address), str_null(), &built));
    buf_done(&built);
}

static void print_check(uint16_t type, struct str rdata, struct arena *arena)
{
    struct buf text = BUF_INIT(TEXT);
    dns_rdata_print(type, rdata, arena, &text);
    must(!buf_over(&text) && text.n > 0 && str_is_printable_ascii(buf_str(&text)));
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct dns_answer answer;
    struct buf name = BUF_INIT(TEXT);
    if (size < 2 || size > DNS_MESSAGE_MAX)
        return 0;
    uint16_t type = (uint16_t)(data[0] << 8 | data[1]);
    struct str message = str_make(data + 2, size - 2);
    arena_init(&arena, ARENA);
    if (dns_name_ok(question(message, &name)) &&
        !err_is(dns_answer_parse(message, buf_str(&name), type, &arena, &answer))) {
        must(dns_name_ok(answer.canonical) && answer.count <= DNS_RECORDS_MAX);
        must(answer.ttl <= DNS_TTL_MAX);
        read_the_same(&answer, type, &arena);
        for (size_t i = 0; i < answer.count; i++) {
            typed_check(type, answer.records[i].rdata, &arena);
            print_check(type, answer.records[i].rdata, &arena);
        }
    }
    typed_check(type, message, &arena); /* octets that no message had */
    print_check(type, message, &arena);
    buf_done(&name);
    arena_done(&arena);
    return 0;
}
