/*
 * The simulator: core, four edges, two couriers, the resolver, their clients and the servers of
 * others, the weather, all made from one seed.
 *
 *     main.c      options; runs seeds and says what went wrong
 *     plan.c      how wild a run is; shrink.c: how little of it still fails
 *     run.c       one run: its beginning, its end, the final inspection
 *     house.c     the server
 *     weather.c   what goes wrong: kills, power cuts, disks, networks
 *     sender.c    hosts that send letters by SMTP and LMTP; reach.c: to whom
 *     mailer.c    those of users, who log in and submit; sent.c: how much they may
 *     stranger.c  those who send octets that no good client sends, or none, or read nothing
 *     reader.c    people who read and remove them by POP3
 *     oracle.c    what must hold, judged from outside
 *     internet.c  the servers of others; site.c: what one says; returns.c: reports that came back
 *     law.c     what must hold of mail to elsewhere; law_order.c: when nothing of it may leave
 *     routes.c  route blocks; law_routes.c: what must hold of them; law_fair.c: who waits for whom
 *     rush.c    many letters for one domain, while that is paused
 *     recorder.c  that no reply leaves before the sync it promises
 *     people.c    the directory
 *     clerk.c     who changes it, and reloads the configuration, meanwhile
 *     hand.c      an operator who holds, removes and reroutes what waits
 *     visitor.c   users and guessers who log in; auth.c: in which words
 *     access.c    what must hold of that; exam.c: in fair weather
 *     crowd.c     who wants more than the door gives
 *     locksmith.c who changes passwords and bans networks; keyring.c: what is valid when
 *
 * Hosts and readers work one session after the other, each in its own time; when all have done what
 * they were given and the weather has calmed down, the internet heals, what waits to be sent goes,
 * every mailbox is read, and the oracle judges.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "access.h"
#include "clerk.h"
#include "crowd.h"
#include "dialog.h"
#include "hand.h"
#include "house.h"
#include "internet.h"
#include "law_fair.h"
#include "locksmith.h"
#include "oracle.h"
#include "plan.h"
#include "recorder.h"
#include "sent.h"
#include "visitor.h"

enum {
    HOSTS = ORACLE_HOSTS,
    MAILERS = PEOPLE_USERS, /* hosts of users, behind the others */
    MAILER_HOST = 10,       /* 10.1.USER.10 */
    READERS = 3,
    STRANGERS = 2,
    SESSION_LETTERS = 3, /* most of one session */
    ASKED_MAX = 64,      /* commands whose replies are awaited */
};

struct sim;

/* --- SMTP ------------------------------------------------------------------------------------ */

enum asked_kind {
    ASKED_GREETING,
    ASKED_HELLO,
    ASKED_AUTH,
    ASKED_MAIL,
    ASKED_RCPT,
    ASKED_DATA,
    ASKED_CHUNK,
    ASKED_MESSAGE,
    ASKED_OTHER,
    ASKED_QUIT,
};

struct asked {
    enum asked_kind kind;
    size_t at; /* which recipient */
};

enum saying {
    SAY_NOTHING, /* not greeted, or over */
    SAY_HELLO,
    SAY_AUTH,
    SAY_MAIL,
    SAY_RCPT,
    SAY_DATA,
    SAY_BODY,
    SAY_CHUNK,
    SAY_BETWEEN, /* after a letter */
    SAY_QUIT,
};

enum dropping {
    DROP_NEVER,
    DROP_AFTER_OCTETS,
    DROP_AFTER_MESSAGE,  /* all of a letter was said */
    DROP_AFTER_ACCEPTED, /* and the 250 was read, but nothing said after it */
};

struct host {
    struct sim *sim;
    int number;
    int user; /* whose mail it submits; below 0: another server */
    char address[16];
    struct fake_event wake;
    bool idle; /* has nothing to do any more */
    struct letter_due *due;
    size_t due_count;

    /* The session. */
    struct dialog dialog;
    struct fake_event limit; /* patience, and drops */
    bool limit_is_drop;
    struct letter *letters[SESSION_LETTERS];
    size_t letter_count, letter_at;
    enum saying saying;
    size_t saying_at; /* recipient, or octets of chunks that were said */
    struct asked asked[ASKED_MAX];
    size_t asked_first, asked_count;
    bool pipelines, runs_ahead; /* runs_ahead: says the next thing behind a message at once */
    bool extended;
    bool mail_refused;
    bool lmtp;                      /* each recipient has a reply of its own */
    bool spoiled;                   /* a recipient that should be taken was not */
    size_t taken[LETTER_ADDRESSES]; /* recipients that were, in their order */
    size_t taken_count;
    uint64_t named[LETTER_ADDRESSES]; /* the step in which recipient i was */
    struct {
        size_t taken[LETTER_ADDRESSES];
        size_t taken_count;
        uint64_t named[LETTER_ADDRESSES];
    } question;                     /* of the message in question */
    size_t outcomes, outcomes_good; /* replies to it so far */
    uint32_t outcomes_taken;        /* bit i: taken[i] was told that it has it */
    struct fake_event drip;         /* more is said then */
    struct witness witness;         /* of this session, and of the letter that was begun last */
    struct letter *in_question;     /* all of it was said, and no reply came yet */
    uint64_t question_end;          /* its last octet, of those that were said */
    int64_t question_at;            /* when it was said */
    struct letter *accepted;        /* the last one, until another reply shows that we went on */
    enum dropping dropping;
    uint64_t drop_at;
    enum dialog_end drop_how;
    struct auth auth; /* a user's */
    struct access_attempt attempt;
    bool attempting; /* and not judged yet */
    bool has_logged_in;
    bool limited;  /* the letter would be too much */
    int64_t pause; /* before it comes again */
};

struct letter_due {
    struct letter *letter;
    int64_t at;
};

void host_open(struct host *host, struct sim *sim, int number);
void host_close(struct host *host);
/* The letter is to be sent at `at`. */
void host_give(struct host *host, struct letter *letter, int64_t at);

/* sender.c's, for mailer.c */
void host_ask(struct host *host, enum asked_kind kind, size_t at);
void host_say(struct host *host, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* reach.c: who knows of an attempt */
void host_witness_greeted(struct host *host);
bool host_edge_died(const struct host *host, const struct witness *witness);
bool host_forgotten(const struct host *host, const struct letter *letter);
void host_witness_keep(const struct host *host, struct letter *letter);
/* and whom it reaches: recipient `at` of those that were taken; any that may be full; all of it */
const struct people_address *host_taken(const struct host *host, const struct letter *letter,
                                        size_t at);
bool host_names_full(const struct host *host, const struct letter *letter);
struct reach host_reach(const struct host *host, const struct letter *letter, bool is_known);
/* May this be the reply to RCPT? */
bool host_may_hear(const struct host *host, const struct people_address *address, uint64_t named,
                   int code);

/* mailer.c: what a host of a user does beside that. All but the first two do nothing for others. */
void mailer_say(struct host *host);
void mailer_heard(struct host *host, struct str line);
void mailer_greeted(struct host *host, struct str line);
void mailer_over(struct host *host);
/* A reply while so many recipients were named, or would be: is it about the account's limits? */
void mailer_minds_limits(struct host *host, size_t recipients, struct str line);
/* The message in question was accepted, or nobody knows. */
void mailer_sent(struct host *host, const struct letter *letter, bool accepted);

/* --- Strangers ------------------------------------------------------------------------------- */

struct stranger_row;

struct stranger {
    struct sim *sim;
    struct fake_event wake, drip, limit;
    uint32_t sessions_left;
    bool idle;
    char address[16];

    /* The session. */
    struct dialog dialog;
    const struct stranger_row *row;
    bool first;      /* the first part was said, behind the greeting */
    bool second;     /* the second part was said */
    bool answered;   /* the row's code was heard, or that the server has troubles */
    bool deaf;       /* reads nothing */
    uint64_t deaths; /* of roles, when it began */
};

void stranger_open(struct stranger *stranger, struct sim *sim, int number, uint32_t sessions);
void stranger_close(struct stranger *stranger);

/* --- POP3 ------------------------------------------------------------------------------------ */

enum reader_asked {
    READ_GREETING,
    READ_PLAIN,
    READ_LOGIN,
    READ_WRONG_LOGIN,
    READ_STAT,
    READ_UIDL,
    READ_LIST,
    READ_RETR,
    READ_DELE,
    READ_QUIT,
};

struct reader_row {
    char id[UNIQUE_ID_MAX + 1];
    uint64_t size;
    bool read, marked;
};

struct reader {
    struct sim *sim;
    struct fake_event wake, limit;
    int sessions_left;
    bool idle;
    bool inspects; /* reads every message, removes none, and must get all it asks for */
    int account;

    /* The session. */
    struct dialog dialog;
    struct {
        enum reader_asked kind;
        size_t row;
    } asked[ASKED_MAX];
    size_t asked_first, asked_count;
    struct reader_row *rows;
    size_t row_count, row_room, row_at;
    int step;
    uint64_t listing;
    uint64_t stat_count, stat_octets;
    bool pipelines, removes, logged_in, quits, finished, drops;
    bool freezes;     /* reads nothing more once it said drop_at octets */
    uint64_t drop_at; /* octets said */
    enum dialog_end drop_how;
    struct buf text; /* of the message that is read */
    bool in_text;    /* lines of a listing or message follow */
};

void reader_open(struct reader *reader, struct sim *sim);
void reader_close(struct reader *reader);
void reader_start(struct reader *reader, int64_t at);

/* --- Weather --------------------------------------------------------------------------------- */

struct weather {
    struct sim *sim;
    struct fake_random random;
    struct fake_event next;
    struct fake_event strike, strike_behind, disk_mended;
    uint32_t troubles; /* that came */
    struct fake_fault fault;
    bool fault_is_set;
};

void weather_open(struct weather *weather, struct sim *sim);
/* A client ends its connection at the worst moment. */
void weather_at_drop(struct weather *weather);
/* A site takes a message. */
void weather_at_taken(struct weather *weather);
/* All is well from now on. */
void weather_calm(struct weather *weather);

/* --- A run ----------------------------------------------------------------------------------- */

struct sim {
    uint64_t seed;
    bool verbose;
    struct sim_plan plan;
    struct fake_world *fake;
    struct fake_disk *disk;
    struct fake_random random;
    struct house house;
    struct oracle oracle;
    struct internet internet;
    struct returns returns;
    struct law_totals judged;
    struct recorder recorder;
    struct weather weather;
    struct clerk clerk;
    struct hand hand;
    struct locksmith locksmith;
    struct access access;
    struct sent sent;
    struct visitor visitors[VISITORS];
    struct crowd crowd;
    struct host hosts[HOSTS + MAILERS];
    struct reader readers[READERS];
    struct stranger strangers[STRANGERS];
    uint64_t sessions;
    uint64_t inspection; /* its first listing */
    bool calm;
    int64_t calm_at; /* mono: nobody holds anything, and what died unnoticed was given up */
    struct fair fair;
};

struct sim_result {
    uint64_t in, wrong, back_off, banned; /* log-ins */
    struct law_totals out;                /* to elsewhere */
    uint64_t in_tls;                      /* of what sites took */
    uint64_t submitted, limited, turned_away, slowed;
    uint64_t hash, sessions, accepted, unknown, repeated, read, removed;
    uint64_t troubles, deaths, power_cuts;
    bool violated;
};

struct sim_result sim_run(uint64_t seed, const struct sim_plan *plan, bool verbose,
                          struct buf *report);

/* A line of the readable log. */
void sim_say(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t sim_now(const struct sim *sim);
uint64_t sim_below(struct sim *sim, uint64_t n);
/* An actor has nothing to do any more: the run may be over. */
void sim_look_done(struct sim *sim);

#endif
