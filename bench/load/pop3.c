/*
 * A reader: logs in to one account after the other, asks STAT, retrieves all messages `each` times
 * with up to `window` RETR under way, deletes them if told to, and says QUIT. Verifying, it
 * compares every octet with what the sender sent and counts how often each message turned up.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "conn.h"
#include "load.h"
#include "message.h"

enum {
    SESSION_MAGIC = MAGIC('p', 'o', 'p', '3'),
    COMPLAINTS_SHOWN = 3,
};

enum step {
    STEP_CLOSED,
    STEP_GREETING,
    STEP_USER,
    STEP_PASS,
    STEP_STAT,
    STEP_READ,
    STEP_REMOVE,
    STEP_QUIT,
};

struct reader;

struct session {
    struct conn conn; /* first: `heard` gets the session by it */
    uint32_t magic;
    struct reader *reader;
    enum step step;
    uint64_t account;
    uint64_t messages;    /* in this mailbox */
    uint64_t passes;      /* over all of them */
    uint64_t asked, read; /* of them */
    bool in_text;         /* the reply to RETR was good, its text comes */
    int64_t asked_at;     /* the last RETR was sent; known with a window of 1 */
};

struct reader {
    const struct load_share *share;
    int epoll;
    uint64_t next; /* account */
    uint64_t open; /* sessions */
    struct message_lines lines;
};

static void heard(struct conn *conn);

/* --- Sessions --------------------------------------------------------------------------------- */

static void dial(struct session *session)
{
    struct reader *reader = session->reader;
    const struct load_share *share = reader->share;
    if (session->step != STEP_CLOSED)
        reader->open--;
    session->step = STEP_CLOSED;
    if (reader->next >= share->to || share->result->failed > LOAD_FAILURES_MAX)
        return;
    session->account = reader->next++;
    if (conn_open(&session->conn, reader->epoll, share->load->port, 0)) {
        session->step = STEP_GREETING;
        reader->open++;
    } else {
        share->result->failed++;
    }
}

static void leave(struct session *session)
{
    conn_close(&session->conn);
    dial(session);
}

static void fail(struct session *session, struct str line)
{
    struct load_result *result = session->reader->share->result;
    if (result->failed++ < COMPLAINTS_SHOWN)
        fprintf(stderr, "load: u%06llu: %.*s\n", (unsigned long long)session->account,
                STR_FMT(line));
    leave(session);
}

/* --- Messages --------------------------------------------------------------------------------- */

static void ask(struct session *session)
{
    uint64_t window = session->reader->share->load->window;
    session->asked_at = load_now();
    while (session->asked < session->messages && session->asked - session->read < window)
        conn_sayf(&session->conn, "RETR %llu\r\n", (unsigned long long)++session->asked);
}

static void verify(struct session *session, struct str text)
{
    struct reader *reader = session->reader;
    const struct load *load = reader->share->load;
    uint64_t number, size;
    if (message_check(&reader->lines, text, &number, &size) && number >= load->first &&
        number - load->first < load->messages)
        __atomic_fetch_add(&reader->share->copies[number - load->first], 1, __ATOMIC_RELAXED);
    else
        reader->share->result->damaged++;
}

static void remove_all(struct session *session)
{
    session->step = STEP_REMOVE;
    session->read = 0;
    for (uint64_t i = 1; i <= session->messages; i++)
        conn_sayf(&session->conn, "DELE %llu\r\n", (unsigned long long)i);
}

static void quit(struct session *session)
{
    conn_say(&session->conn, STR("QUIT\r\n"));
    session->step = STEP_QUIT;
}

static void was_read(struct session *session, struct str text)
{
    const struct load_share *share = session->reader->share;
    share->result->ended = load_now();
    share->result->done++;
    share->result->octets += text.n;
    if (share->load->window == 1)
        latency_add(&share->result->answer, share->result->ended - session->asked_at);
    if (share->load->verify)
        verify(session, text);
    session->in_text = false;
    session->read++;
    if (session->read == session->messages && ++session->passes < share->load->each)
        session->asked = session->read = 0;
    if (session->read < session->messages)
        ask(session);
    else if (share->load->remove)
        remove_all(session);
    else
        quit(session);
}

/* --- Replies ---------------------------------------------------------------------------------- */

static void begin_reading(struct session *session, struct str line)
{
    struct load_result *result = session->reader->share->result;
    struct str rest = str_from_index(line, STR("+OK ").n);
    session->asked = session->read = session->passes = 0;
    if (!str_to_u64(str_cut(&rest, ' '), &session->messages)) {
        fail(session, line);
        return;
    }
    if (!result->begun)
        result->begun = load_now();
    session->step = STEP_READ;
    if (session->messages)
        ask(session);
    else
        quit(session);
}

static void reply(struct session *session, struct str line)
{
    const char *password = session->reader->share->load->password;
    if (!str_starts(line, STR("+OK"))) {
        fail(session, line);
        return;
    }
    switch (session->step) {
    case STEP_GREETING:
        conn_sayf(&session->conn, "USER " LOAD_ADDRESS "\r\n",
                  (unsigned long long)session->account);
        session->step = STEP_USER;
        break;
    case STEP_USER:
        conn_sayf(&session->conn, "PASS %s\r\n", password);
        session->step = STEP_PASS;
        break;
    case STEP_PASS:
        conn_say(&session->conn, STR("STAT\r\n"));
        session->step = STEP_STAT;
        break;
    case STEP_STAT:
        begin_reading(session, line);
        break;
    case STEP_READ:
        session->in_text = true;
        break;
    case STEP_REMOVE:
        if (++session->read == session->messages)
            quit(session);
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

bool load_read(const struct load_share *share)
{
    struct reader reader = {
        .share = share, .epoll = epoll_create1(EPOLL_CLOEXEC), .next = share->from};
    struct session *sessions = calloc(share->sessions, sizeof(*sessions));
    must(reader.epoll >= 0 && sessions);
    message_lines_init(&reader.lines, share->load->size);
    for (uint64_t i = 0; i < share->sessions; i++) {
        sessions[i] = (struct session){
            .conn = {.fd = -1, .heard = heard}, .magic = SESSION_MAGIC, .reader = &reader};
        dial(&sessions[i]);
    }
    while (reader.open > 0)
        conn_turn(reader.epoll, -1);
    for (uint64_t i = 0; i < share->sessions; i++)
        conn_done(&sessions[i].conn);
    free(sessions);
    message_lines_done(&reader.lines);
    close(reader.epoll);
    return share->result->failed == 0;
}
