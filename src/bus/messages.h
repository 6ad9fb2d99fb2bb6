/*
 * The messages of messages.def as C: struct msg_NAME, MSG_NAME, encode and decode.
 *
 * Encoding is wire.h's; a decoded message borrows its strs from the packet and takes its lists from
 * the arena. A message that does not decode exactly, has a list above its limit or a sender who may
 * not send it is an error of the peer: the link is closed (ERR_BUS_BROKEN). Never yields.
 */
#ifndef BUS_MESSAGES_H
#define BUS_MESSAGES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/wire.h"

enum bus_role {
    ROLE_PARENT,
    ROLE_CORE,
    ROLE_MX,
    ROLE_SUB,
    ROLE_BOX,
    ROLE_CLI,
    ROLE_COURIER,
    ROLE_RESOLVER,
    ROLE_WEB,
    ROLE_TERMINAL,
    ROLE_COUNT
};

enum bus_sender {
    FROM_PARENT = 1 << ROLE_PARENT,
    FROM_CORE = 1 << ROLE_CORE,
    FROM_MX = 1 << ROLE_MX,
    FROM_SUB = 1 << ROLE_SUB,
    FROM_BOX = 1 << ROLE_BOX,
    FROM_CLI = 1 << ROLE_CLI,
    FROM_COURIER = 1 << ROLE_COURIER,
    FROM_RESOLVER = 1 << ROLE_RESOLVER,
    FROM_WEB = 1 << ROLE_WEB,
    FROM_TERMINAL = 1 << ROLE_TERMINAL,
};

/* What the client of a try did behind our 250. */
enum try_end {
    TRY_OPEN,   /* nothing yet, and its connection lives */
    TRY_SEEN,   /* it went on */
    TRY_UNSEEN, /* its connection ended before it said anything */
    TRY_ENDS
};

/* What a job brought for one recipient. */
enum job_verdict {
    JOB_NOT_TRIED, /* it did not come to him */
    JOB_SENT,      /* the other side has promised it */
    JOB_LATER,     /* 4yz, or what may be better next time */
    JOB_FAILED,    /* 5yz, or what will never be better */
    JOB_VERDICTS
};

/* What is known of a job's destination since core began. */
enum destination_standing {
    DESTINATION_PROVEN,  /* it took mail, or said no or later, and has no trouble */
    DESTINATION_UNTRIED, /* nothing */
    DESTINATION_DOUBTFUL /* in trouble; or what waits for it was tried in vain before the start */
};

enum {
    DESTINATION_STANDINGS = DESTINATION_DOUBTFUL + 1,
    COURIER_JOBS_MAX = 5000,   /* of one courier: what `jobs` can name */
    COURIER_JOBS_GIVEN = 4500, /* to one; what comes beside them needs room, too */
};

/* What a host has to prove before mail goes there (courier/policy.h). */
enum tls_need {
    TLS_NEED_NONE, /* it may be in clear */
    TLS_NEED_TLS,  /* never in clear; with anybody's certificate */
    TLS_NEED_PKIX, /* its certificate has to be good */
    TLS_NEED_DANE, /* or one of those that its TLSA records tell */
    TLS_NEEDS
};

/* What ETRN names (RFC 1985 5). */
enum etrn_scope {
    ETRN_DOMAIN,
    ETRN_BELOW, /* and all below it: "@domain" */
    ETRN_QUEUE, /* a route: "#name" */
    ETRN_SCOPES
};

/* Why others for the same destination need not be tried now either. */
enum job_trouble {
    JOB_NO_TROUBLE,
    JOB_TROUBLE_DNS,      /* no answer, or none that can be believed */
    JOB_TROUBLE_CONNECT,  /* no host could be connected */
    JOB_TROUBLE_GREETING, /* connected, and no service: 421, 554, silence */
    JOB_TROUBLE_TLS,      /* policy demands what it does not have */
    JOB_TROUBLE_LOGIN,    /* the smart host does not take our name and password */
    JOB_TROUBLE_BUSY,     /* it takes no more at present: 421, 450 to all, connection cut */
    JOB_TROUBLES
};

/* What is said first at a port that is looked at. */
enum look_kind {
    LOOK_SMTP, /* SMTP, and STARTTLS in it */
    LOOK_TLS,  /* TLS */
    LOOK_KINDS
};

/* How far a look came. */
enum look_end {
    LOOK_NOT_CONNECTED,
    LOOK_NOT_GREETED,
    LOOK_NO_TLS, /* it is not offered, or refused */
    LOOK_TLS_FAILED,
    LOOK_WELL,
    LOOK_ENDS
};

enum {
    SLAB_SIZE = 16 * 1024,
    BUS_PACKET_MAX = 128 * 1024, /* octets of one packet; a packet holds several messages */
    CONFIGURATION_PART = 64 * 1024,
    ADMIN_INPUT_PIECE = 32 * 1024,
    TRUST_ANCHORS_MAX = 64 * 1024,      /* octets of `trust_anchors` */
    ADMIN_INPUT_MAX = 64 * 1024 * 1024, /* octets of all pieces for one command */
};

/* Structs. `FIELD(u32, x, "")` is `uint32_t x`; `LIST(slab, s, 16, "")` is `struct msg_slab *s` and
 * `size_t s_count`. */
#define BUS_C_u8 uint8_t
#define BUS_C_u16 uint16_t
#define BUS_C_u32 uint32_t
#define BUS_C_u64 uint64_t
#define BUS_C_str struct str
#define BUS_C_secret struct str
#define RECORD(name, doc) struct msg_##name {
#define RECORD_END(name)                                                                           \
    }                                                                                              \
    ;
#define MESSAGE(name, senders, doc)                                                                \
    struct msg_##name {                                                                            \
        char empty_[0];
#define MESSAGE_END(name)                                                                          \
    }                                                                                              \
    ;
#define FIELD(type, name, doc) BUS_C_##type name;
#define LIST(record, name, most, doc)                                                              \
    struct msg_##record *name;                                                                     \
    size_t name##_count;
#include "bus/messages.def"

enum msg_kind {
#define MESSAGE(name, senders, doc) MSG_##name,
#include "bus/messages.def"
    MSG_COUNT
};

/* One decoded message of any kind. */
struct msg {
    enum msg_kind kind;
    union {
#define MESSAGE(name, senders, doc) struct msg_##name name;
#include "bus/messages.def"
    };
};

/* Appends the message to a packet: u32 octets that follow, u16 kind, fields in the order of their
 * rows, a list as u32 count and its records. A list above its limit is our own bug. */
void msg_encode(struct buf *to, const struct msg *msg);

/* Reads the next message off a packet. ERR_BUS_BROKEN when it is malformed or `sender` may not send
 * it; ERR_OVER_LIMIT when the arena is full. */
struct err msg_decode(struct wire_in *from, enum bus_role sender, struct arena *arena,
                      struct msg *msg_r);

/* "commit", for the log. */
const char *msg_name(enum msg_kind kind);
/* A bit for each role that may send it. */
unsigned msg_senders(enum msg_kind kind);
/* The kind that answers this question; MSG_COUNT where it is no question. */
enum msg_kind msg_answer_kind(enum msg_kind question);
/* Is it a question, and which call will its answer repeat? */
bool msg_asks(const struct msg *msg, uint32_t *call_r);
/* A copy that borrows from nothing but the arena. ERR_OVER_LIMIT when that is full. */
struct err msg_copy(const struct msg *msg, struct arena *arena, struct msg *copy_r);
/* Zeroes the secrets of a copy, where nobody reads it any more. */
void msg_wipe(struct msg *copy);
/* Is it an answer, and to which call? False for messages that are none; a piece that comes before
 * an answer (admin_text) is none. */
bool msg_answers(const struct msg *msg, uint32_t *call_r);
/* The same of an encoded message, of which only the head is looked at. */
bool msg_answers_peek(struct wire_in from, uint32_t *call_r);
/* Does it come with a handle? */
bool msg_carries(enum msg_kind kind);
/* Sets the call of a message that has one. */
void msg_set_call(struct msg *msg, uint32_t call);
/* All of it in words, for traces of the bus and failing tests; secrets are left out. */
void msg_print(struct buf *to, const struct msg *msg);

#endif
