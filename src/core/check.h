/*
 * `veredus check DOMAIN`: does the world find, believe and accept this domain's mail? What is in
 * the DNS is held against what this server has: its name, its addresses, keys, certificates and
 * listeners. Each thing that is looked at is one item: ok, a warning (mail flows, worse), a failure
 * (mail is lost or refused), or unknown where the DNS did not say; with what is to be published or
 * typed.
 *
 * It is core that asks, through the resolver of all roles: an operator sees what the couriers see.
 * So the server must be up. Core connects to nobody: a courier does (look, sts_look of the bus), to
 * ports of our own names at our own addresses, and to the web server of the domain's policy. It
 * sees them from here; what a firewall in front does to others is not known, and not guessed at.
 *
 * Our addresses are those that the DNS has for our name (sending.helo, else hostname), and what
 * --address adds. Inside src/core only; all but check_say may yield. Texts live in the arena.
 */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include "core/admin_command.h"
#include "role/dns.h"

enum {
    CHECK_ADDRESSES = 32, /* of ours */
    CHECK_HOSTS = 20,     /* MX that are looked at */
    CHECK_KEYS = 40,      /* signing keys */
    CHECK_TEXT = 4096,
};

enum check_state {
    CHECK_OK,
    CHECK_NOTE, /* nothing is wrong, and it may be good to know */
    CHECK_WARN,
    CHECK_FAIL,
    CHECK_UNKNOWN,
};

struct check_host {
    struct str name;
    bool ours;    /* one of its addresses is ours, or it has our name */
    bool unknown; /* the DNS does not say which addresses it has */
};

struct check {
    struct admin_call *call;
    struct dns_client *dns;
    struct arena *arena;
    const struct conf *conf;
    struct str domain;
    struct str host; /* ours */
    struct network own[CHECK_ADDRESSES];
    size_t own_count;
    struct check_host mx[CHECK_HOSTS];
    size_t mx_count;
    bool null_mx;
    bool looks;     /* what is served is looked at, too */
    bool sts_there; /* a record says that there is an MTA-STS policy, and its host has an address */
    bool sts_enforced; /* the policy that is served is */
    json_t *items;
    bool any[CHECK_UNKNOWN + 1];
};

/* Text in the arena: as printf, its own octets alone (names and numbers). */
struct str check_text(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A stranger's text made safe, in quotes. */
struct str check_quoted(struct check *check, struct str text);
/* "address. IN PTR host." and the like: the name is completed with the dot of the root. Null where
 * the value is, or the text is too long: then nothing is told to be published. */
struct str check_record(struct check *check, struct str name, const char *type, struct str value);
/* The same for TXT: in strings of 255 octets at most. */
struct str check_txt_record(struct check *check, struct str name, struct str text);

/* One item; `publish`: what is to be in the DNS, or empty; `command`: to be typed, or empty. */
void check_say(struct check *check, const char *item, enum check_state state, struct str text,
               struct str publish, struct str command);

static inline bool check_is_absent(struct err e)
{
    return e.code == ERR_DNS_NO_NAME || e.code == ERR_DNS_NO_DATA;
}

/* The DNS did not say: an item of that kind; true where it is so. */
bool check_unknown(struct check *check, const char *item, struct str name, struct err e);
/* The TXT records of a name, as joined texts. */
struct err check_texts(struct check *check, struct str name, const struct str **texts_r,
                       size_t *count_r);
bool check_is_own(const struct check *check, const char *address);
/* Does the configuration listen there, at an address that others can reach? */
bool check_listens(const struct conf_listen *listen, const char *port);
/* What the domain's MTA-STS policy should be, and where; null where this server serves it. */
struct str check_sts_wanted(struct check *check);

void check_hosts(struct check *check);  /* check_hosts.c: our name, reverse DNS, MX, ports */
void check_spf(struct check *check);    /* check_spf.c */
void check_policy(struct check *check); /* check_policy.c: DKIM, DMARC, MTA-STS, TLS-RPT */
void check_tls(struct check *check);    /* check_tls.c: certificates, TLSA, CAA */
void check_look(struct check *check);   /* check_look.c: what is served */

#endif
