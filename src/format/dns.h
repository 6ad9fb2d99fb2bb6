/*
 * DNS as octets and as text (RFC 1034, 1035): the answer to one question, its records as typed
 * values, names for asking backwards, and all of it printed for people. Pure; nothing yields.
 *
 * Names are text without the dot of the root, in lower case; the root itself is the empty str. A
 * label is of printable ASCII without space, backslash and what is special in a header (RFC 5322
 * 3.2.3). A name with any other octet in it is no name here: no answer can put such octets into a
 * header, a log or a command (catalogue S28). Everything parsed lives in the arena.
 *
 * A message is a stranger's: each step is bounded (catalogue N01), and what breaks a rule of the
 * format makes the whole of it ERR_DNS_FAILED, never a part of an answer.
 */
#ifndef FORMAT_DNS_H
#define FORMAT_DNS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_TLSA = 52,
};

/* RFC 1035 4.1.1 and 2136: of these two a caller knows more than that the question failed. */
enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
};

enum {
    DNS_NAME_MAX = 253,      /* octets of a name as text */
    DNS_LABEL_MAX = 63,      /* of one label */
    DNS_CHAIN_MAX = 12,      /* CNAMEs from the name that was asked to the records */
    DNS_RECORDS_MAX = 512,   /* of one answer; what is beyond is left out */
    DNS_OCTETS_MAX = 65536,  /* of their rdata, names in full; the same */
    DNS_TTL_MAX = 86400,     /* seconds; longer ones are cut to it */
    DNS_ADDRESS_TEXT = 46,   /* octets of an address as text, with its NUL */
    DNS_MESSAGE_MAX = 65535, /* octets of a message */
};

/* --- Names ----------------------------------------------------------------------------------- */

/* Is it a name as above, in any case? */
bool dns_name_ok(struct str name);
/* Is it one of letters, digits, '-' and '_' alone, and not the root: a host's, also a bad one's? */
bool dns_host_ok(struct str name);

/*
 * Where to ask about an address, in zone: "1.2.0.192.in-addr.arpa" for 192.0.2.1, 32 nibbles and
 * "ip6.arpa" for IPv6 (RFC 3596 2.5), "1.2.0.192.list.example" for a list (RFC 5782). `zone`
 * null: the one of the address's family. An IPv4 address mapped into IPv6 is IPv4. False: it is
 * no address, or the name would be too long.
 */
bool dns_reverse(struct str address, struct str zone, struct buf *to);

/* Is there a record of this type to be asked for? The others mean a transfer, or many types. */
bool dns_type_ok(uint16_t type);

/* --- An answer ------------------------------------------------------------------------------- */

struct dns_record {
    struct str rdata; /* as in RFC 1035 3.3, names in full, never compressed */
};

struct dns_answer {
    unsigned rcode;
    struct str canonical; /* where the CNAMEs lead; the name that was asked where there are none */
    uint32_t ttl;         /* seconds: of the shortest-lived record on the way; of an absence what
                           * its SOA says (RFC 2308 5), 0 where there is none */
    struct dns_record *records; /* of the type that was asked, in the order they came */
    size_t count;
    bool cut; /* there were more */
};

/* Reads the answer to (name, type) out of a message. A CNAME is followed inside the message, unless
 * it was asked for. `name`: as dns_name_ok, in any case. ERR_DNS_FAILED: the message is malformed
 * or answers another question; ERR_OVER_LIMIT: the arena is full. */
struct err dns_answer_parse(struct str message, struct str name, uint16_t type, struct arena *arena,
                            struct dns_answer *answer_r);

/* --- Records --------------------------------------------------------------------------------- */

struct dns_mx {
    uint16_t preference;
    struct str host; /* empty: no mail here (RFC 7505) */
};

struct dns_tlsa {
    uint8_t usage, selector, matching; /* RFC 6698 2.1, RFC 7671 */
    struct str data;
};

struct dns_txt {
    struct str joined; /* the strings one behind the other, as SPF and DKIM want them */
    struct str *parts; /* the strings */
    size_t count;
};

/* Of the rdata of one record. False: it is none of its type, or holds a name that is none (an MX's
 * and a PTR's must be dns_host_ok); where the arena is full, arena_over says so. */
bool dns_mx_parse(struct str rdata, struct arena *arena, struct dns_mx *mx_r);
bool dns_name_parse(struct str rdata, struct arena *arena, struct str *name_r); /* CNAME, NS */
bool dns_ptr_parse(struct str rdata, struct arena *arena, struct str *host_r);
bool dns_txt_parse(struct str rdata, struct arena *arena, struct dns_txt *txt_r);
bool dns_tlsa_parse(struct str rdata, struct dns_tlsa *tlsa_r); /* borrows from rdata */
/* A or AAAA, by its length, as peer_address has it: an IPv4 address mapped into IPv6 is IPv4. */
bool dns_address_parse(struct str rdata, char text_r[DNS_ADDRESS_TEXT]);

/* --- For people ------------------------------------------------------------------------------ */

/* "MX"; "TYPE65" for one without a name here (RFC 3597). */
void dns_type_print(uint16_t type, struct buf *to);
/* In any case; also "TYPE65". */
bool dns_type_parse(struct str text, uint16_t *type_r);
/* "NXDOMAIN"; "RCODE9" for one without a name here. */
void dns_rcode_print(unsigned rcode, struct buf *to);
/* As in a zone file: `10 mx.example.`, `"v=spf1 -all"`; what is not of its type, and types unknown
 * here, as `\# 4 c0000201` (RFC 3597 5). Printable ASCII only. The arena is for scratch. */
void dns_rdata_print(uint16_t type, struct str rdata, struct arena *arena, struct buf *to);

#endif
