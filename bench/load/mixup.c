/*
 * Who logs in and out all day: each session takes one of the accounts by chance, logs in, reads all
 * of its mail, and goes; some say another user's name first, some go without a word, some before
 * they hear that they are in. All octets that name anybody of this domain must name the account:
 * the mail of u000007 is made of lines that begin with u000007@bench.test.
 *
 * Each account's password is `password` and its name, so that no log-in is right for another one.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "conn.h"
#include "load.h"

enum {
    SESSION_MAGIC = MAGIC('l', 'o', 'g', 'i'),
    COMPLAINTS_SHOWN = 3,
    NAME_SIZE = 64,
};

static const uint64_t CHANCE_STEP = 6364136223846793005;

enum step {
    STEP_CLOSED,
    STEP_GREETING,
    STEP_OTHER, /* another user's name was said */
    STEP_USER,
    STEP_PASS,
    STEP_READ,
    STEP_QUIT,
};

/* How one goes about it. */
enum manner {
    MANNER_PLAIN,
    MANNER_OTHER_FIRST,
    MANNER_SILENT, /* without QUIT */
    MANNER_EARLY,  /* behind PASS, before its reply */
    MANNERS
};

struct crowd;

struct session {
    struct conn conn; /* first: `heard` gets the session by it */
    uint32_t magic;
    struct crowd *crowd;
    enum step step;
    enum manner manner;
    uint64_t account;
    char name[NAME_SIZE];
    bool in_text;
};

struct crowd {
    const struct load_share *share;
    int epoll;
    uint64_t next; /* log-in */
    uint64_t open; /* sessions */
};

static void heard(struct conn *conn);

/* The same for the same number, and no order to be seen. */
static uint64_t scattered(uint64_t number)
{
    number = (number + 1) * CHANCE_STEP;
    return (number ^ number >> 33) * CHANCE_STEP >> 33;
}

static void dial(struct session *session)
{
    struct crowd *crowd = session->crowd;
    const struct load *load = crowd->share->load;
    if (session->step != STEP_CLOSED)
        crowd->open--;
    session->step = STEP_CLOSED;
    session->in_text = false;
    if (crowd->next >= crowd->share->to || crowd->share->result->failed > LOAD_FAILURES_MAX)
        return;
    uint64_t chance = scattered(crowd->next++);
    session->account = chance % load->accounts;
    session->manner = (enum manner)(chance / load->accounts % MANNERS);
    snprintf(session->name, sizeof(session->name), LOAD_ADDRESS,
             (unsigned long long)session->account);
    if (conn_open(&session->conn, crowd->epoll, load->port,
                  1 + (unsigned)(chance % CONN_SOURCES))) {
        session->step = STEP_GREETING;
        crowd->open++;
    } else {
        crowd->share->result->failed++;
    }
}

static void leave(struct session *session)
{
    conn_close(&session->conn);
    dial(session);
}

static void complain(struct session *session, struct str line)
{
    const struct load_result *result = session->crowd->share->result;
    if (result->failed + result->damaged < COMPLAINTS_SHOWN)
        fprintf(stderr, "load: %s: %.*s\n", session->name, STR_FMT(line));
}

static void fail(struct session *session, struct str line)
{
    complain(session, line);
    session->crowd->share->result->failed++;
    leave(session);
}

static void logged_in(struct session *session)
{
    struct load_result *result = session->crowd->share->result;
    result->done++;
    result->ended = load_now();
    if (!result->begun)
        result->begun = result->ended;
}

/* Of the domain that all are of, only this one is named, and that at least once. */
static bool names_only(struct str text, struct str name)
{
    ssize_t at;
    struct str domain = str_from_index(name, (size_t)str_index(name, '@'));
    size_t local = name.n - domain.n, named = 0;
    while ((at = str_find(text, domain)) >= 0) {
        if ((size_t)at < local || !str_eq(str_head(str_from_index(text, (size_t)at - local), local),
                                          str_head(name, local)))
            return false;
        named++;
        text = str_from_index(text, (size_t)at + domain.n);
    }
    return named > 0;
}

static void was_read(struct session *session, struct str text)
{
    struct load_result *result = session->crowd->share->result;
    session->in_text = false;
    result->octets += text.n;
    if (!names_only(text, str_from(session->name))) {
        complain(session, text);
        result->damaged++;
    }
    if (session->manner == MANNER_SILENT) {
        leave(session);
        return;
    }
    conn_say(&session->conn, STR("QUIT\r\n"));
    session->step = STEP_QUIT;
}

static void user_say(struct session *session)
{
    conn_sayf(&session->conn, "USER %s\r\n", session->name);
    session->step = STEP_USER;
}

static void pass_say(struct session *session)
{
    conn_sayf(&session->conn, "PASS %s%s\r\n", session->crowd->share->load->password,
              session->name);
    session->step = STEP_PASS;
    if (session->manner != MANNER_EARLY)
        return;
    conn_push(&session->conn);
    logged_in(session);
    leave(session);
}

static void reply(struct session *session, struct str line)
{
    const struct load *load = session->crowd->share->load;
    if (!str_starts(line, STR("+OK"))) {
        fail(session, line);
        return;
    }
    switch (session->step) {
    case STEP_GREETING:
        if (session->manner == MANNER_OTHER_FIRST) {
            conn_sayf(&session->conn, "USER " LOAD_ADDRESS "\r\n",
                      (unsigned long long)((session->account + 1) % load->accounts));
            session->step = STEP_OTHER;
            break;
        }
        user_say(session);
        break;
    case STEP_OTHER:
        user_say(session);
        break;
    case STEP_USER:
        pass_say(session);
        break;
    case STEP_PASS:
        logged_in(session);
        conn_say(&session->conn, STR("RETR 1\r\n"));
        session->step = STEP_READ;
        break;
    case STEP_READ:
        session->in_text = true;
        break;
    case STEP_QUIT:
    case STEP_CLOSED:
        leave(session);
        break;
    }
}

static void heard(struct conn *conn)
{
    struct session *session = (struct session *)conn;
    must_be(session, SESSION_MAGIC);
    int fd = conn->fd;
    struct str piece;
    while (conn->fd == fd && session->step != STEP_CLOSED) {
        if (session->in_text && conn_text(conn, &piece))
            was_read(session, piece);
        else if (!session->in_text && conn_line(conn, &piece))
            reply(session, piece);
        else
            break;
    }
    if (conn->fd == fd && conn->over && session->step != STEP_CLOSED)
        fail(session, STR("the connection broke"));
    conn_push(conn);
}

bool load_mix_up(const struct load_share *share)
{
    struct crowd crowd = {
        .share = share, .epoll = epoll_create1(EPOLL_CLOEXEC), .next = share->from};
    struct session *sessions = calloc(share->sessions, sizeof(*sessions));
    must(crowd.epoll >= 0 && sessions);
    for (uint64_t i = 0; i < share->sessions; i++) {
        sessions[i] = (struct session){
            .conn = {.fd = -1, .heard = heard}, .magic = SESSION_MAGIC, .crowd = &crowd};
        dial(&sessions[i]);
    }
    while (crowd.open > 0)
        conn_turn(crowd.epoll, -1);
    for (uint64_t i = 0; i < share->sessions; i++)
        conn_done(&sessions[i].conn);
    free(sessions);
    close(crowd.epoll);
    return share->result->failed == 0;
}
