/*
 * Why text and not labels: everybody who asks has text and wants text; a name whose labels text
 * cannot hold is nobody's mail server.
 *
 * Why a compressed name ends: a pointer must lead to before the place where the part that it stands
 * in began, so each jump goes further back than all before it.
 */
#include "format/dns.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/network.h"

enum {
    WIRE_NAME_MAX = 255, /* RFC 1035 3.1 */
    POINTER = 0xc0,
    HEADER = 12,
    FLAG_ANSWER = 0x8000,
    FLAG_TRUNCATED = 0x0200,
    RCODE_MASK = 0x000f,
    CLASS_IN = 1,
    TTL_SIGN = 31,
    SOA_MINIMUM = 16, /* octets in front of the last field, behind the names */
    TYPE_SRV = 33,
    TYPE_DNAME = 39,
    TYPE_OPT = 41,
    TYPE_META_FIRST = 128,
    TYPE_META_LAST = 255,
};

/* --- Names ----------------------------------------------------------------------------------- */

static bool name_octet_ok(char c)
{
    return c > ' ' && c <= '~' && !strchr("()<>[]:;@\\,.\"", c);
}

static bool host_octet_ok(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_';
}

static bool labels_ok(struct str name, bool (*octet_ok)(char))
{
    size_t label = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '.' ? label == 0 : !octet_ok(name.p[i]) || label == DNS_LABEL_MAX)
            return false;
        label = name.p[i] == '.' ? 0 : label + 1;
    }
    return name.n <= DNS_NAME_MAX && (name.n == 0 || label > 0);
}

bool dns_name_ok(struct str name)
{
    return labels_ok(name, name_octet_ok);
}

bool dns_host_ok(struct str name)
{
    return name.n > 0 && labels_ok(name, host_octet_ok);
}

bool dns_type_ok(uint16_t type)
{
    return type > 0 && type != TYPE_OPT && (type < TYPE_META_FIRST || type > TYPE_META_LAST);
}

/* --- Asking backwards ------------------------------------------------------------------------ */

static void v4_put(const unsigned char octets[NETWORK_OCTETS], struct buf *to)
{
    for (size_t i = NETWORK_OCTETS; i > NETWORK_V4 / 8; i--)
        buf_printf(to, "%u.", octets[i - 1]);
}

static void v6_put(const unsigned char octets[NETWORK_OCTETS], struct buf *to)
{
    for (size_t i = NETWORK_OCTETS; i > 0; i--)
        buf_printf(to, "%x.%x.", octets[i - 1] & 15u, octets[i - 1] >> 4);
}

bool dns_reverse(struct str address, struct str zone, struct buf *to)
{
    struct network network;
    size_t before = to->n;
    if (!network_address(address, &network))
        return false;
    bool v4 = network_is_v4(&network);
    if (v4)
        v4_put(network.octets, to);
    else
        v6_put(network.octets, to);
    buf_put(to, zone.p ? zone : v4 ? STR("in-addr.arpa") : STR("ip6.arpa"));
    return !buf_over(to) && dns_name_ok(str_from_index(buf_str(to), before));
}

/* --- Octets of a message --------------------------------------------------------------------- */

struct reader {
    struct str octets;
    size_t at;
    bool bad;
};

static uint32_t number_get(struct reader *in, size_t octets)
{
    uint32_t value = 0;
    if (in->bad || in->octets.n - in->at < octets) {
        in->bad = true;
        return 0;
    }
    for (size_t i = 0; i < octets; i++)
        value = value << 8 | (unsigned char)in->octets.p[in->at++];
    return value;
}

struct wire_name {
    char octets[WIRE_NAME_MAX];
    size_t n;
};

static bool label_take(struct reader *in, struct wire_name *name, size_t length)
{
    if (in->octets.n - in->at < length || sizeof(name->octets) - name->n < length + 1) {
        in->bad = true;
        return false;
    }
    name->octets[name->n++] = (char)length;
    memcpy(name->octets + name->n, in->octets.p + in->at, length);
    name->n += length;
    in->at += length;
    return true;
}

/* A name in full, from where it stands; `in` is behind it then. */
static void name_get(struct reader *in, struct wire_name *name_r)
{
    struct reader part = *in;
    size_t began = in->at;
    bool jumped = false, more = true;
    name_r->n = 0;
    while (more && !part.bad) {
        uint32_t length = number_get(&part, 1);
        if (length >= POINTER) {
            size_t to = (length & ~(uint32_t)POINTER) << 8 | number_get(&part, 1);
            if (!jumped)
                in->at = part.at;
            jumped = true;
            part.bad = part.bad || to >= began;
            part.at = began = to;
        } else {
            part.bad = part.bad || length > DNS_LABEL_MAX;
            more = !part.bad && label_take(&part, name_r, length) && length > 0;
        }
    }
    if (!jumped)
        in->at = part.at;
    in->bad = in->bad || part.bad;
}

/* A name as text, in lower case. */
struct name_text {
    char octets[WIRE_NAME_MAX];
    size_t n;
};

static bool name_to_text(const struct wire_name *name, struct name_text *text_r)
{
    text_r->n = 0;
    for (size_t at = 0; name->octets[at];) {
        size_t length = (unsigned char)name->octets[at++];
        if (text_r->n)
            text_r->octets[text_r->n++] = '.';
        for (size_t end = at + length; at < end; at++) {
            if (!name_octet_ok(name->octets[at]))
                return false;
            text_r->octets[text_r->n++] = ascii_lower(name->octets[at]);
        }
    }
    return true;
}

static struct str text_str(const struct name_text *text)
{
    return str_make(text->octets, text->n);
}

/* --- Records of a message -------------------------------------------------------------------- */

struct record {
    struct name_text owner;
    bool named; /* its owner can be told as text */
    uint16_t type, class;
    uint32_t ttl;
    size_t rdata, end; /* where it lies */
};

/* RFC 2181 8: what has the sign's bit is none. */
static uint32_t ttl_of(uint32_t ttl)
{
    if (ttl >> TTL_SIGN)
        return 0;
    return ttl < DNS_TTL_MAX ? ttl : DNS_TTL_MAX;
}

static bool record_get(struct reader *in, struct record *record_r)
{
    struct wire_name owner;
    name_get(in, &owner);
    record_r->named = !in->bad && name_to_text(&owner, &record_r->owner);
    record_r->type = (uint16_t)number_get(in, 2);
    record_r->class = (uint16_t)number_get(in, 2);
    record_r->ttl = ttl_of(number_get(in, 4));
    size_t length = number_get(in, 2);
    record_r->rdata = in->at;
    record_r->end = in->at + length;
    if (in->bad || in->octets.n - in->at < length) {
        in->bad = true;
        return false;
    }
    in->at += length;
    return true;
}

/* Types whose rdata has names that may be compressed (RFC 3597 4): octets, names, octets. */
static const struct shape {
    uint16_t type;
    uint8_t before, names, behind;
} shapes[] = {
    {DNS_NS, 0, 1, 0},   {DNS_CNAME, 0, 1, 0}, {DNS_PTR, 0, 1, 0},    {DNS_MX, 2, 1, 0},
    {DNS_SOA, 0, 2, 20}, {TYPE_SRV, 6, 1, 0},  {TYPE_DNAME, 0, 1, 0},
};

static const struct shape *shape_of(uint16_t type)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (shapes[i].type == type)
            return &shapes[i];
    return NULL;
}

static void octets_copy(struct reader *in, size_t n, struct buf *to)
{
    if (in->bad || in->octets.n - in->at < n) {
        in->bad = true;
        return;
    }
    buf_put(to, str_make(in->octets.p + in->at, n));
    in->at += n;
}

/* The rdata with its names in full. */
static void rdata_copy(struct reader *in, const struct record *record, struct buf *to)
{
    const struct shape *shape = shape_of(record->type);
    struct reader part = {.octets = str_head(in->octets, record->end), .at = record->rdata};
    octets_copy(&part, shape ? shape->before : record->end - record->rdata, to);
    for (unsigned i = 0; shape && i < shape->names; i++) {
        struct wire_name name;
        name_get(&part, &name);
        if (!part.bad)
            buf_put(to, str_make(name.octets, name.n));
    }
    if (shape)
        octets_copy(&part, shape->behind, to);
    in->bad = in->bad || part.bad || part.at != record->end;
}

/* --- The answer ------------------------------------------------------------------------------ */

struct reading {
    struct reader answers; /* at the first record of the answer */
    size_t answer_count, authority_count;
    uint16_t type;
    struct arena *arena;
    struct dns_answer *answer;
    struct name_text name; /* where we are on the chain */
    bool alias;            /* it is another's: `name` is whose, now */
    size_t octets;         /* of all rdata */
};

static bool is_at(const struct reading *reading, const struct record *record)
{
    return record->named && record->class == CLASS_IN &&
           str_eq(text_str(&record->owner), text_str(&reading->name));
}

static bool record_keep(struct reading *reading, struct reader *in, const struct record *record)
{
    struct dns_answer *answer = reading->answer;
    struct buf rdata = buf_in(reading->arena, DNS_OCTETS_MAX);
    if (answer->count == DNS_RECORDS_MAX) {
        answer->cut = true;
        return true;
    }
    rdata_copy(in, record, &rdata);
    struct str built = buf_built(&rdata);
    if (in->bad || !built.p)
        return !in->bad;
    answer->cut = answer->cut || reading->octets + built.n > DNS_OCTETS_MAX;
    if (answer->cut)
        return true;
    reading->octets += built.n;
    answer->records[answer->count++].rdata = built;
    return true;
}

static void ttl_lower(struct dns_answer *answer, uint32_t ttl)
{
    if (ttl < answer->ttl)
        answer->ttl = ttl;
}

/* One record of the answer, which may be ours or lead on. False: malformed. */
static bool answer_take(struct reading *reading, struct reader *in, struct name_text *next)
{
    struct record record;
    struct wire_name target;
    if (!record_get(in, &record))
        return false;
    if (!is_at(reading, &record))
        return true;
    if (record.type == reading->type) {
        ttl_lower(reading->answer, record.ttl);
        return record_keep(reading, in, &record);
    }
    if (record.type != DNS_CNAME || reading->alias)
        return true;
    struct reader rdata = {.octets = str_head(in->octets, record.end), .at = record.rdata};
    name_get(&rdata, &target);
    reading->alias = true;
    ttl_lower(reading->answer, record.ttl);
    return !rdata.bad && rdata.at == record.end && name_to_text(&target, next);
}

/* All of the answer's records once, for the name where we are. */
static bool answer_walk(struct reading *reading, struct reader *end_r)
{
    struct reader in = reading->answers;
    struct name_text next;
    reading->alias = false;
    for (size_t i = 0; i < reading->answer_count; i++)
        if (!answer_take(reading, &in, &next))
            return false;
    if (reading->alias)
        reading->name = next;
    *end_r = in;
    return true;
}

/* How long an absence holds: RFC 2308 5. */
static bool absence_take(struct reading *reading, struct reader in)
{
    struct record record;
    uint32_t ttl = 0;
    for (size_t i = 0; i < reading->authority_count; i++) {
        if (!record_get(&in, &record))
            return false;
        if (record.type != DNS_SOA || record.end - record.rdata < SOA_MINIMUM + 4)
            continue;
        struct reader last = {.octets = in.octets, .at = record.end - 4};
        uint32_t minimum = ttl_of(number_get(&last, 4));
        ttl = minimum < record.ttl ? minimum : record.ttl;
    }
    ttl_lower(reading->answer, ttl);
    return true;
}

static bool answers_take(struct reading *reading)
{
    struct reader end;
    struct dns_answer *answer = reading->answer;
    for (unsigned links = 0; links <= DNS_CHAIN_MAX; links++) {
        if (!answer_walk(reading, &end))
            return false;
        if (answer->count || !reading->alias)
            return answer->count || absence_take(reading, end);
    }
    return false;
}

/* Header and question: is it an answer, and to this question? */
static bool question_take(struct reading *reading, struct reader *in, struct str name)
{
    struct wire_name asked;
    number_get(in, 2);
    uint32_t flags = number_get(in, 2), questions = number_get(in, 2);
    reading->answer_count = number_get(in, 2);
    reading->authority_count = number_get(in, 2);
    number_get(in, 2);
    name_get(in, &asked);
    uint32_t type = number_get(in, 2), class = number_get(in, 2);
    reading->answer->rcode = flags & RCODE_MASK;
    return !in->bad && flags & FLAG_ANSWER && !(flags & FLAG_TRUNCATED) && questions == 1 &&
           name_to_text(&asked, &reading->name) && str_eq_nocase(text_str(&reading->name), name) &&
           type == reading->type && class == CLASS_IN;
}

struct err dns_answer_parse(struct str message, struct str name, uint16_t type, struct arena *arena,
                            struct dns_answer *answer_r)
{
    struct reader in = {.octets = message};
    struct reading reading = {.type = type, .arena = arena, .answer = answer_r};
    *answer_r = (struct dns_answer){.ttl = DNS_TTL_MAX};
    if (!question_take(&reading, &in, name))
        return err_detail(ERR_DNS_FAILED, STR("a message that does not answer the question"));
    reading.answers = in;
    size_t room = reading.answer_count < DNS_RECORDS_MAX ? reading.answer_count : DNS_RECORDS_MAX;
    answer_r->records = arena_take_array(arena, room, sizeof(answer_r->records[0]));
    bool taken = answer_r->records && answers_take(&reading);
    answer_r->canonical = arena_str(arena, text_str(&reading.name));
    if (arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    return taken ? err_none() : err_detail(ERR_DNS_FAILED, STR("a malformed message"));
}

/* --- What records hold ----------------------------------------------------------------------- */

/* A name at the end of rdata, not compressed. */
static bool last_name(struct str rdata, struct name_text *text_r)
{
    struct reader in = {.octets = rdata};
    struct wire_name name;
    name_get(&in, &name);
    return !in.bad && in.at == rdata.n && name_to_text(&name, text_r);
}

static bool name_take(struct str rdata, bool host, struct arena *arena, struct str *name_r)
{
    struct name_text text;
    if (!last_name(rdata, &text) || (host && !dns_host_ok(text_str(&text))))
        return false;
    *name_r = arena_str(arena, text_str(&text));
    return name_r->p != NULL;
}

bool dns_name_parse(struct str rdata, struct arena *arena, struct str *name_r)
{
    return name_take(rdata, false, arena, name_r);
}

bool dns_ptr_parse(struct str rdata, struct arena *arena, struct str *host_r)
{
    return name_take(rdata, true, arena, host_r);
}

bool dns_mx_parse(struct str rdata, struct arena *arena, struct dns_mx *mx_r)
{
    struct reader in = {.octets = rdata};
    mx_r->preference = (uint16_t)number_get(&in, 2);
    struct str host = str_from_index(rdata, in.at);
    bool none = str_eq(host, str_make("", 1)); /* the root: RFC 7505 3 */
    return !in.bad && name_take(host, !none, arena, &mx_r->host);
}

bool dns_tlsa_parse(struct str rdata, struct dns_tlsa *tlsa_r)
{
    struct reader in = {.octets = rdata};
    tlsa_r->usage = (uint8_t)number_get(&in, 1);
    tlsa_r->selector = (uint8_t)number_get(&in, 1);
    tlsa_r->matching = (uint8_t)number_get(&in, 1);
    tlsa_r->data = str_from_index(rdata, in.at);
    return !in.bad && tlsa_r->data.n > 0;
}

static bool txt_count(struct str rdata, size_t *count_r)
{
    size_t at = 0;
    *count_r = 0;
    for (; at < rdata.n; (*count_r)++)
        at += 1 + (size_t)(unsigned char)rdata.p[at];
    return at == rdata.n && *count_r > 0;
}

bool dns_txt_parse(struct str rdata, struct arena *arena, struct dns_txt *txt_r)
{
    struct buf joined = buf_in(arena, DNS_MESSAGE_MAX);
    if (!txt_count(rdata, &txt_r->count))
        return false;
    txt_r->parts = arena_take_array(arena, txt_r->count, sizeof(txt_r->parts[0]));
    struct str whole = arena_str(arena, rdata);
    if (!txt_r->parts || !whole.p)
        return false;
    for (size_t i = 0, at = 0; i < txt_r->count; i++) {
        size_t length = (unsigned char)whole.p[at];
        txt_r->parts[i] = str_make(whole.p + at + 1, length);
        buf_put(&joined, txt_r->parts[i]);
        at += 1 + length;
    }
    txt_r->joined = buf_built(&joined);
    return txt_r->joined.p != NULL;
}

bool dns_address_parse(struct str rdata, char text_r[DNS_ADDRESS_TEXT])
{
    static const unsigned char mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool v4 = rdata.n == 4;
    const char *from = rdata.p;
    if (!v4 && rdata.n != NETWORK_OCTETS)
        return false;
    if (!v4 && memcmp(from, mapped, sizeof(mapped)) == 0) {
        v4 = true;
        from += sizeof(mapped);
    }
    return inet_ntop(v4 ? AF_INET : AF_INET6, from, text_r, DNS_ADDRESS_TEXT) != NULL;
}
