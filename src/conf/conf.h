/*
 * The configuration: settings live in one file, people in the store. The parent reads and checks
 * the file and hands it to the roles as text (conf_print); every role reads it back with
 * conf_parse. See conf.def for the rows and veredus.conf(5) for the syntax:
 *
 *     hostname = mail.example.test        # or "mail.example.test"
 *     smtp {
 *         listen = { "*:25", "[::1]:2525" }
 *         message_size = 50M
 *     }
 *     list office { networks = { 192.0.2.0/24, @branches } }
 *
 * Nothing in the file names another file to include, a variable or a program. Lists of networks
 * may stand in files of their own, which whoever has the file reads for us (struct conf_reading).
 *
 * A conf is immutable; all it points to lives in the arena it was parsed into. Never yields.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/network.h"
#include "format/language.h"

enum listen_protocol {
    LISTEN_SMTP,
    LISTEN_LMTP,
    LISTEN_POP3,
    LISTEN_POP3S,       /* in TLS from its first octet (RFC 8314) */
    LISTEN_SUBMISSION,  /* RFC 6409 */
    LISTEN_SUBMISSIONS, /* in TLS from its first octet (RFC 8314) */
    LISTEN_HTTP,
    LISTEN_HTTPS, /* in TLS from its first octet (RFC 2818) */
    LISTEN_LOCAL, /* submission by programs of this host: a unix socket */
    LISTEN_PROTOCOLS
};

/* Is nothing said there before TLS? */
static inline bool listen_begins_in_tls(enum listen_protocol protocol)
{
    return protocol == LISTEN_POP3S || protocol == LISTEN_SUBMISSIONS || protocol == LISTEN_HTTPS;
}

enum conf_log {
    CONF_LOG_STDERR,
    CONF_LOG_SYSLOG,
    CONF_LOG_JOURNAL
};
enum conf_word {
    CONF_WORD_INFO,
    CONF_WORD_WARN,
    CONF_WORD_FAIL
};
enum conf_verify {
    CONF_VERIFY_AMBIGUOUS,
    CONF_VERIFY_OPEN,
    CONF_VERIFY_OFF
};

/* Before or behind other mail of the same destination. */
enum conf_rank {
    CONF_RANK_FIRST,
    CONF_RANK_EARLY,
    CONF_RANK_USUAL,
    CONF_RANK_LATE,
    CONF_RANK_LAST
};

/* What becomes of a report that cannot be delivered. */
enum conf_bounce {
    CONF_BOUNCE_POSTMASTER,
    CONF_BOUNCE_DROP
};

/* What follows where a check of a client does not hold. */
enum conf_check {
    CONF_CHECK_IGNORE,
    CONF_CHECK_SCORE,
    CONF_CHECK_REFUSE
};

enum conf_list_kind {
    CONF_LIST_BLOCK,
    CONF_LIST_ALLOW
};

/* What a list in the DNS is asked about. */
enum conf_subject {
    CONF_SUBJECT_ADDRESS,
    CONF_SUBJECT_NAME,
    CONF_SUBJECT_HELO,
    CONF_SUBJECT_SENDER,
    CONF_SUBJECTS
};

/* Of a certificate: who may show it. */
enum conf_listener {
    CONF_LISTENER_SMTP,
    CONF_LISTENER_SUBMISSION,
    CONF_LISTENER_POP3,
    CONF_LISTENER_HTTP
};

/* The MTA-STS policy that is served for a domain; off: none is. */
enum conf_mta_sts {
    CONF_MTA_STS_OFF,
    CONF_MTA_STS_NONE,
    CONF_MTA_STS_TESTING,
    CONF_MTA_STS_ENFORCE
};

/* In the order of enum sasl_mechanism (trust/sasl.h). */
enum conf_mechanism {
    CONF_MECHANISM_PLAIN,
    CONF_MECHANISM_LOGIN,
    CONF_MECHANISM_CRAM_MD5,
    CONF_MECHANISM_SCRAM_SHA_1,
    CONF_MECHANISM_SCRAM_SHA_256,
    CONF_MECHANISM_SCRAM_SHA_256_PLUS,
    CONF_MECHANISM_OAUTHBEARER,
    CONF_MECHANISM_XOAUTH2,
    CONF_MECHANISM_EXTERNAL
};

/* Of a route: what a connection has to have. */
enum conf_route_tls {
    CONF_ROUTE_TLS_AUTO,
    CONF_ROUTE_TLS_OPPORTUNISTIC,
    CONF_ROUTE_TLS_REQUIRED,
    CONF_ROUTE_TLS_VERIFIED,
    CONF_ROUTE_TLS_IMPLICIT,
    CONF_ROUTE_TLS_OFF,
    CONF_ROUTE_TLS_COUNT
};

enum conf_protocol {
    CONF_PROTOCOL_SMTP,
    CONF_PROTOCOL_LMTP
};

/* A provider (conf/presets.def). */
enum conf_preset {
    CONF_PRESET_NONE,
#define PRESET(name, ...) CONF_PRESET_##name,
#include "conf/presets.def"
    CONF_PRESETS
};

/* "ADDRESS:PORT" texts, checked. */
struct conf_listen {
    struct str *addresses;
    size_t count;
};

/* What was written, and all that stands in the lists it names. */
struct conf_networks {
    struct network *list; /* its own: ascending, none within another */
    size_t count;
    struct str *names; /* of lists, as written, without @ */
    size_t name_count;
    const struct conf_networks **lists; /* those, and what is in those, each once */
    size_t list_count;
    unsigned line; /* where it was written; 0: nowhere */
};

struct conf_files {
    struct str *paths;
    size_t count;
    struct conf_networks read; /* what is in them */
    unsigned line;
};

struct conf_texts {
    struct str *list;
    size_t count;
};

/* Of a limit: there is none, also where a preset has one. Printed as "none". */
#define CONF_NO_LIMIT UINT64_MAX

#define CONF_C_HOST struct str
#define CONF_C_PATH struct str
#define CONF_C_ADDRESS struct str
#define CONF_C_TEXT struct str
#define CONF_C_MARK struct str
#define CONF_C_FLAG bool
#define CONF_C_COUNT uint64_t
#define CONF_C_LIMIT uint64_t /* a count, or CONF_NO_LIMIT */
#define CONF_C_BYTES uint64_t
#define CONF_C_DURATION int64_t
#define CONF_C_LISTEN struct conf_listen
#define CONF_C_HOSTS struct conf_texts
#define CONF_C_SERVERS struct conf_texts
#define CONF_C_NETWORKS struct conf_networks
#define CONF_C_FILES struct conf_files
#define CONF_C_HOPS struct conf_texts
#define CONF_C_PEOPLE struct conf_texts
#define CONF_C_ADDRESSES struct conf_texts
#define CONF_C_CHOICE_log enum conf_log
#define CONF_C_CHOICE_word enum conf_word
#define CONF_C_CHOICE_verify enum conf_verify
#define CONF_C_CHOICE_bounce enum conf_bounce
#define CONF_C_CHOICE_rank enum conf_rank
#define CONF_C_CHOICE_language enum language
#define CONF_C_CHOICE_route_tls enum conf_route_tls
#define CONF_C_CHOICE_protocol enum conf_protocol
#define CONF_C_CHOICE_preset enum conf_preset
#define CONF_C_CHOICE_check enum conf_check
#define CONF_C_CHOICE_list_kind enum conf_list_kind
#define CONF_C_CHOICE_mta_sts enum conf_mta_sts
#define CONF_C_CHOICES_subject unsigned
#define CONF_C_CHOICES_listener unsigned
#define CONF_C_CHOICES_mechanism unsigned

/* struct conf_certificate { struct str name; struct str chain; ... }, one for each BLOCK; `line` is
 * where it began. */
#define BLOCK(kind, title, most, help)                                                             \
    struct conf_##kind {                                                                           \
        struct str name;                                                                           \
        unsigned line;
#define BLOCK_SETTING(kind, name, type, standard, least, most, help) CONF_C_##type name;
#define BLOCK_END(kind)                                                                            \
    }                                                                                              \
    ;
#include "conf/conf.def"

/* struct conf { struct { struct str hostname; ... } server; struct { ... } smtp; ...
 *               struct conf_certificate *certificates; size_t certificate_count; ... } */
struct conf_held;
struct conf {
    struct conf_held *held; /* conf/held.h; NULL: nobody counts who looks at it */
#define SECTION(name, help) struct {
#define SECTION_END(name)                                                                          \
    }                                                                                              \
    name;
#define SETTING(section, name, type, standard, least, most, reload, help) CONF_C_##type name;
#define BLOCK(kind, title, most, help)                                                             \
    struct conf_##kind *kind##s;                                                                   \
    size_t kind##_count;
#include "conf/conf.def"
};

enum {
    CONF_TEXT_MAX = 8 * 1024 * 1024,      /* octets of a configuration file */
    CONF_LIST_FILE_MAX = 8 * 1024 * 1024, /* octets of a list's file */
    CONF_ARENA = 64 * 1024 * 1024,        /* enough for any of them; taken as it is used */
    CONF_LISTEN_MOST = 64,                /* addresses of a listener */
    CONF_NETWORKS_MOST = 250000,          /* networks of a value, and of a list's files */
    CONF_LISTS_MOST = 256,                /* lists, and names of them in a value */
    CONF_TEXTS_MOST = 100,                /* host names, servers or files of a value */
    CONF_FREE_TEXT_MOST = 200,
    CONF_ROUTES_MOST = 200,
    CONF_NAME_MOST = 64,     /* octets of a block's name */
    CONF_TROUBLE_MOST = 100, /* mistakes that are told one by one */
    CONF_TROUBLE_SIZE = 65536
};

/* What is wrong with a file, for a person, a line each:
 * "FILE:LINE: KEY: what is wrong; expected ...; did you mean NEAREST?" */
struct conf_trouble {
    struct buf text;
};

/* How a file is read. */
struct conf_reading {
    struct str file;   /* its name, for messages */
    struct str folder; /* relative paths are joined to it; empty: they are left alone */
    /* Reads a list's file, of up to CONF_LIST_FILE_MAX octets. NULL: there are none; in the place
     * of their paths stands what is in them, as conf_print_whole wrote it. */
    struct err (*read)(void *arg, struct str path, struct buf *to);
    void *arg;
};

/*
 * Parses and checks the text of a configuration file. On ERR_CONFIG, trouble->text holds one line
 * for every mistake (not only the first). conf_read opens trouble->text, the caller ends it with
 * buf_done. ERR_OVER_LIMIT: the arena is full.
 */
struct err conf_read(struct str text, const struct conf_reading *how, struct arena *arena,
                     struct conf *conf_r, struct conf_trouble *trouble);
/* The same, where nothing can be read: what the parent tells the roles. */
struct err conf_parse(struct str text, struct str file, struct str folder, struct arena *arena,
                      struct conf *conf_r, struct conf_trouble *trouble);

/* The settings that differ from their defaults (all: every one), as a file conf_read reads. */
void conf_print(const struct conf *conf, bool all, struct buf *to);
/* As conf_parse reads it: with what is in the lists' files instead of their paths. */
void conf_print_whole(const struct conf *conf, struct buf *to);

/* Names of settings with reload START that differ, comma-separated; empty: a reload is enough. */
void conf_needs_restart(const struct conf *old, const struct conf *new_conf, struct buf *names);

/*
 * What took effect, for the record: "smtp.hops = 30, list.office.networks, domain.a.example is
 * gone, and 2 more". A value stands there where it is short; no setting holds a secret. NULL: old
 * is what a file that says nothing gives. At most `most` octets; empty: nothing changed.
 */
void conf_changes(const struct conf *old, const struct conf *new_conf, size_t most, struct buf *to);

/* Those settings of new_conf become old's again; what they point to stays in old's arena. */
void conf_keep(const struct conf *old, struct conf *new_conf);

/* veredus.conf(5), in mdoc(7), from the rows. */
void conf_manual(struct buf *to);

/* Is it one of login.mechanisms? The SCRAM ones are none where no keys are kept (login.scram). */
static inline bool conf_mechanism_is_on(const struct conf *conf, enum conf_mechanism mechanism)
{
    bool scram = mechanism == CONF_MECHANISM_SCRAM_SHA_1 ||
                 mechanism == CONF_MECHANISM_SCRAM_SHA_256 ||
                 mechanism == CONF_MECHANISM_SCRAM_SHA_256_PLUS;
    return conf->login.mechanisms & 1u << mechanism && (!scram || conf->login.scram);
}

/* Where programs of this host submit: submission.local_socket, or beside the control socket. */
void conf_local_socket(const struct conf *conf, struct buf *to);

/* As a block may be called: letters, digits, . _ and -, up to CONF_NAME_MOST. */
bool conf_is_name(struct str text);

/* Is there nothing in it, and no list named? */
static inline bool conf_networks_empty(const struct conf_networks *networks)
{
    return networks->count == 0 && networks->name_count == 0;
}

/* Is the address (peer_address text) in one of the networks? An address that is none is not. IPv4
 * is the same mapped into IPv6. Takes the logarithm of the number of networks, for each list. */
bool conf_networks_hold(const struct conf_networks *networks, struct str address);

#endif
