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
 *
 * Nothing in the file names another file to include, a variable or a program.
 *
 * A conf is immutable; all it points to lives in the arena it was parsed into. Never yields.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum listen_protocol {
    LISTEN_SMTP,
    LISTEN_LMTP,
    LISTEN_POP3,
    LISTEN_POP3S,       /* in TLS from its first octet (RFC 8314) */
    LISTEN_SUBMISSION,  /* RFC 6409 */
    LISTEN_SUBMISSIONS, /* in TLS from its first octet (RFC 8314) */
    LISTEN_PROTOCOLS
};

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

/* "ADDRESS:PORT" texts, checked. */
struct conf_listen {
    struct str *addresses;
    size_t count;
};

struct conf_network {
    unsigned char octets[16]; /* IPv4 as IPv4-mapped IPv6 */
    unsigned bits;            /* of the 128 */
};

struct conf_networks {
    struct conf_network *list;
    size_t count;
};

#define CONF_C_HOST struct str
#define CONF_C_PATH struct str
#define CONF_C_ADDRESS struct str
#define CONF_C_MARK struct str
#define CONF_C_FLAG bool
#define CONF_C_COUNT uint64_t
#define CONF_C_BYTES uint64_t
#define CONF_C_DURATION int64_t
#define CONF_C_LISTEN struct conf_listen
#define CONF_C_NETWORKS struct conf_networks
#define CONF_C_CHOICE_log enum conf_log
#define CONF_C_CHOICE_word enum conf_word
#define CONF_C_CHOICE_verify enum conf_verify

/* struct conf { struct { struct str hostname; ... } server; struct { ... } smtp; ... } */
struct conf {
#define SECTION(name, help) struct {
#define SECTION_END(name)                                                                          \
    }                                                                                              \
    name;
#define SETTING(section, name, type, standard, least, most, reload, help) CONF_C_##type name;
#include "conf/conf.def"
#undef SECTION
#undef SECTION_END
#undef SETTING
};

enum {
    CONF_TEXT_MAX = 64 * 1024,    /* octets of a configuration file */
    CONF_ARENA = 4 * 1024 * 1024, /* enough for any of them */
    CONF_LISTEN_MOST = 64,        /* addresses of a listener */
    CONF_NETWORKS_MOST = 256,     /* networks of a list */
    CONF_TROUBLE_MOST = 100,      /* mistakes that are told one by one */
    CONF_TROUBLE_SIZE = 65536
};

/* What is wrong with a file, for a person, a line each:
 * "FILE:LINE: KEY: what is wrong; expected ...; did you mean NEAREST?" */
struct conf_trouble {
    struct buf text;
};

/*
 * Parses and checks the text of a configuration file. `file` is its name for messages. Relative
 * paths are joined to `folder`; an empty folder leaves them alone. On ERR_CONFIG, trouble->text
 * holds one line for every mistake (not only the first). conf_parse opens trouble->text, the caller
 * ends it with buf_done. ERR_OVER_LIMIT: the arena is full.
 */
struct err conf_parse(struct str text, struct str file, struct str folder, struct arena *arena,
                      struct conf *conf_r, struct conf_trouble *trouble);

/* The settings that differ from their defaults (all: every one), as a file conf_parse reads. */
void conf_print(const struct conf *conf, bool all, struct buf *to);

/* Names of settings with reload START that differ, comma-separated; empty: a reload is enough. */
void conf_needs_restart(const struct conf *old, const struct conf *new_conf, struct buf *names);

/* Those settings of new_conf become old's again; what they point to stays in old's arena. */
void conf_keep(const struct conf *old, struct conf *new_conf);

/* veredus.conf(5), in mdoc(7), from the rows. */
void conf_manual(struct buf *to);

/* Is the address (peer_address text) in one of the networks? An address that is none is not. */
bool conf_networks_hold(const struct conf_networks *networks, struct str address);

#endif
