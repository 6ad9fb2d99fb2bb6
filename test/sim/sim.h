/*
 * The simulator: core, three edges, their clients, the weather, all made from one seed.
 *
 *     main.c      options; runs seeds and says what went wrong
 *     plan.c      how wild a run is; shrink.c: how little of it still fails
 *     run.c       one run: its beginning, its end, the final inspection
 *     house.c     the server
 *     weather.c   what goes wrong: kills, power cuts, disks, networks
 *     sender.c    hosts that send letters by SMTP and LMTP
 *     stranger.c  those who send octets that no good client sends, or none, or read nothing
 *     reader.c    people who read and remove them by POP3
 *     oracle.c    what must hold, judged from outside
 *     recorder.c  that no reply leaves before the sync it promises
 *     people.c    the directory
 *     clerk.c     who changes it, and reloads the configuration, meanwhile
 *
 * Hosts and readers work one session after the other, each in its own time; when all have done what
 * they were given and the weather has calmed down, every mailbox is read, and the oracle judges.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "clerk.h"
#include "dialog.h"
#include "house.h"
#include "oracle.h"
#include "plan.h"
#include "recorder.h"

enum {
    HOSTS = 6,
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
};

struct letter_due {
    struct letter *letter;
    int64_t at;
};

void host_open(struct host *host, struct sim *sim, int number);
void host_close(struct host *host);
/* The letter is to be sent at `at`. */
void host_give(struct host *host, struct letter *letter, int64_t at);

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
    struct fake_event strike, disk_mended;
    uint32_t troubles; /* that came */
    struct fake_fault fault;
    bool fault_is_set;
};

void weather_open(struct weather *weather, struct sim *sim);
/* A client ends its connection at the worst moment. */
void weather_at_drop(struct weather *weather);
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
    struct recorder recorder;
    struct weather weather;
    struct clerk clerk;
    struct host hosts[HOSTS];
    struct reader readers[READERS];
    struct stranger strangers[STRANGERS];
    uint64_t sessions;
    uint64_t inspection; /* its first listing */
    bool calm;
};

struct sim_result {
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
