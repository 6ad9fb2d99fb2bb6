/*
 * struct oracle: what the world outside knows, and so what the server must hold.
 *
 * A letter is a message with bytes of its own, from one host, to some addresses. It is named by its
 * reverse-path (<mNUMBER@sender.test>), which the server gives back as Return-Path. Each attempt
 * to send it ends in one of these ways, from which follows how many copies every account it leads
 * to must hold: as many as `least`, at most `most`, and the same number in each account that every
 * attempt was sure to reach.
 *
 *   accepted   a 250 was read: one copy more
 *   refused    a reply said no, or the client never said all of it: none
 *   unknown    all of it was said, and the connection ended without a reply: none or one
 *
 * A letter that is repeated after an unknown end is one letter still (RFC 1047): accepted then,
 * there is exactly one copy of all these attempts, unless the server could not know (`loose`): core
 * died in between and the edge of an attempt as well, the client came back before the server could
 * see that it had gone, or after its window was over, or it had said more behind its message. The
 * window runs from the server's end of the session, which a client whose connection was lost
 * without a word does not see: at the earliest when all was said, where the edge died since, else
 * when the edge gives a silent client up.
 *
 * What an accepted message owes does not get lost on the way: each recipient has its copy or, where
 * it is a list's member whose mailbox is full, the list's owner has the notice that says so.
 *
 * Every message of an account that was seen once is remembered by its unique-id: it stays, is the
 * same, and is there until its removal was asked for; when that was acknowledged it is gone.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "base/buf.h"
#include "people.h"
#include "sys/fake/fake.h"

enum {
    LETTER_ADDRESSES = 6,
    LETTER_ATTEMPTS = 8, /* before its host gives it up in bad weather */
    LETTER_SIZE_MAX = 420 * 1024,
    UNIQUE_ID_MAX = 20,
    ORACLE_TEXT_MAX = 1 << 20,
    ORACLE_HOSTS = 6, /* HOSTS of sim.h: those behind them are users' */
    ORACLE_BY_LEAST = 300,
    ORACLE_RELAYING = 2, /* the first of them may send to elsewhere, as house_conf.c configures */
};

/* Who knows of an attempt, as long as one of them lives: core, and the edge it was with. */
struct witness {
    uint64_t core_deaths; /* when the attempt began */
    int edge;             /* its slot in the house, or -1: it was dead before it could be asked */
    uint64_t edge_deaths; /* when it took the connection */
};

/* Whom an attempt reaches if it is accepted; bits as in people.h. */
struct reach {
    uint64_t sure;
    uint64_t perhaps;
    uint32_t taken; /* bit i: recipient i of the letter was */
};

/* What a letter asks for of its recipients (RFC 3461). */
enum letter_notify {
    NOTIFY_UNSAID,
    NOTIFY_NEVER,
    NOTIFY_FAILURE,
    NOTIFY_SUCCESS,
    NOTIFY_ALL,
    NOTIFIES
};

struct letter {
    uint64_t number; /* from 1 */
    int host;
    struct buf octets;
    bool eight_bit;
    bool chunked;   /* by BDAT; then its last line may lack a line end */
    bool binary;    /* BINARYMIME: any octets, served in base64 */
    bool utf8;      /* SMTPUTF8 */
    bool submitted; /* by a user: its header is whole, so that it stays as it is */
    bool is_false;  /* From is another's: it must not be accepted */
    size_t addresses[LETTER_ADDRESSES];
    size_t address_count;
    uint64_t accounts; /* that it may lead to; bits, as in people.h */
    uint64_t certain;  /* of these, those that nothing but trouble keeps it from */

    int attempts;
    uint64_t settled;           /* times it was accepted */
    uint64_t least[PEOPLE_ALL]; /* copies of what is over */
    uint64_t most[PEOPLE_ALL];  /* the same */
    uint64_t together;          /* accounts that every attempt reached for sure */
    uint64_t unknown;           /* attempts of unknown end since */
    struct reach unknown_reach; /* theirs: sure for all, perhaps for any */
    bool loose;                 /* they may be copies of their own */
    int64_t unknown_at;         /* the server may know since then that the first of them ended */
    bool was_unknown; /* an attempt once was: its bytes are not sent a second time on purpose */
    struct witness witnesses[LETTER_ATTEMPTS]; /* of attempts of unknown end; the sender's */
    size_t witness_count;
    int local_sender; /* the user whose address it comes from; below 0: <mNUMBER@sender.test> */
    bool relays;      /* its host may send to elsewhere */
    enum letter_notify notify;
    bool headers;      /* RET=HDRS, and an ENVID */
    int priority;      /* 0: not said */
    int hold;          /* seconds (HOLDFOR); 0: at once */
    int by;            /* seconds (BY=n;R); 0: whenever */
    bool tls_optional; /* "TLS-Required: No" (RFC 8689) */
    int64_t said_at;   /* mono, when it was begun first */
    int64_t said_last;
    uint64_t same; /* copies in each account of `together`; UINT64_MAX: not known */
};

enum known_state {
    KNOWN_LIVES,
    KNOWN_DOOMED, /* its removal was asked for, and no answer came */
    KNOWN_GONE,
};

struct known {
    char id[UNIQUE_ID_MAX + 1];
    struct letter *letter; /* NULL: only listed so far */
    bool is_notice;        /* that a list's member is full */
    bool is_report;        /* what became of mail to elsewhere */
    uint64_t message;      /* the id it was accepted under */
    enum known_state state;
    uint64_t seen_in; /* number of the newest listing that had it */
    uint64_t gone_at; /* listings that had begun when its removal was acknowledged */
};

struct known_list {
    struct known *at;
    size_t count, room;
};

struct returns;

struct oracle {
    struct fake_world *fake; /* stopped by what is wrong */
    struct letter **letters; /* number - 1 */
    size_t letter_count;
    struct known_list accounts[PEOPLE_ACCOUNTS];
    uint64_t listings;
    uint64_t left_at;        /* listings that had begun when PEOPLE_LEAVER was gone the last time */
    struct returns *returns; /* who is told of reports */
    struct outcome *outcomes; /* of each message that was accepted, from the judgment on */
    size_t outcome_count;
    uint64_t accepted, refused, unknown, repeated, read, removed, notices, checked;
    bool violated;
    struct buf text; /* what was violated */
};

void oracle_open(struct oracle *oracle, struct fake_world *fake, size_t letters);
void oracle_close(struct oracle *oracle);
void oracle_wrong(struct oracle *oracle, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Who sends it, as it stands between < and >. */
void letter_sender(const struct letter *letter, struct buf *to);

struct letter *oracle_letter(struct oracle *oracle, int host, bool submitted,
                             struct fake_random *random, size_t size);

/* NULL: it is no letter's sender, or one that was rewritten. */
const struct letter *oracle_letter_from(struct oracle *oracle, struct str sender);

/* Before it was begun: to this address elsewhere (people.h) and to nobody else. */
void letter_goes_to(struct letter *letter, size_t address);

/* --- Attempts. `forgotten`: of an earlier one of unknown end no witness is left --------------- */

void letter_begun(struct oracle *oracle, struct letter *letter);
void letter_accepted(struct oracle *oracle, struct letter *letter, const struct reach *reach,
                     bool forgotten);
void letter_refused(struct oracle *oracle, struct letter *letter);
/* `since`: when the server may first have known that the session was over. */
void letter_unknown(struct oracle *oracle, struct letter *letter, const struct reach *reach,
                    int64_t since, bool forgotten);
uint64_t letter_least(const struct letter *letter, int account);
uint64_t letter_most(const struct letter *letter, int account);

/* --- What a reader saw ----------------------------------------------------------------------- */

/* A log-in is asked for now: the number of the listing it will see. */
uint64_t oracle_listing(struct oracle *oracle);
void oracle_listed(struct oracle *oracle, int account, struct str id, uint64_t listing);
void oracle_read(struct oracle *oracle, int account, struct str id, struct str text);
/* The state of these unique-ids when their removal is asked, acknowledged, or not known. */
void oracle_removal(struct oracle *oracle, int account, struct str id, enum known_state state);

/* What a message says of itself. */
struct found {
    struct letter *letter; /* NULL: a notice, or nothing that anybody sent, which is told */
    bool is_notice, is_report;
    uint64_t message; /* the id it was accepted under, or that the notice is about */
};

/* `text`: the message as served. */
struct found oracle_find(struct oracle *oracle, int account, struct str text);

/* An account's removal begins, and is acknowledged: its mail must not come back. */
void oracle_account_leaves(struct oracle *oracle, int account);
void oracle_account_left(struct oracle *oracle, int account);

/* What came of one message that was accepted. */
struct outcome {
    uint64_t message;
    const struct letter *letter;
    uint64_t accounts; /* that have or had a copy */
    uint64_t notices;
};

/* After a listing of every account in which each message was read: is everything there, once? */
void oracle_judge(struct oracle *oracle, uint64_t first_listing);
/* Copies that went, go or went not to people_outside[at]. */
void oracle_judge_outside(struct oracle *oracle, struct letter *letter, int at, uint64_t copies);
/* `content`: as a site took it, asked for that time or not. Its id; 0, and told: it is nothing that
 * anybody sent. */
uint64_t oracle_relayed(struct oracle *oracle, struct str content, bool by,
                        struct letter **letter_r);
uint64_t oracle_hash(const struct oracle *oracle, uint64_t hash);

#endif
