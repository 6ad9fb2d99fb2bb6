/*
 * Connections that cost a server something without bringing it work. Idle ones say EHLO and then
 * nothing. Dripping ones begin a message and send an octet of it every `window` seconds, each at
 * its own moment, so that the server is woken evenly.
 *
 * They are opened a few at a time: a flood of connections is another case than many of them.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "conn.h"
#include "load.h"

enum {
    SESSION_MAGIC = MAGIC('h', 'o', 'l', 'd'),
    OPENING_MAX = 64, /* connections that do not stand yet */
    TICK = 10000000,  /* ns between two rounds of drips */
};

enum step {
    STEP_CLOSED,
    STEP_GREETING,
    STEP_HELLO,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_HELD,
};

struct holder;

struct session {
    struct conn conn; /* first: `heard` gets the session by it */
    uint32_t magic;
    struct holder *holder;
    enum step step;
};

struct holder {
    const struct load_share *share;
    int epoll;
    struct session *sessions;
    uint64_t opened, opening;
    uint64_t drop; /* the next session that sends an octet */
    int64_t dripped_at;
};

static void heard(struct conn *conn);

static void end(struct session *session)
{
    struct holder *holder = session->holder;
    if (session->step == STEP_HELD)
        holder->share->result->held--;
    else
        holder->opening--;
    holder->share->result->failed++;
    conn_close(&session->conn);
    session->step = STEP_CLOSED;
}

static void held(struct session *session)
{
    session->step = STEP_HELD;
    session->holder->opening--;
    session->holder->share->result->held++;
}

/* Each step: what is expected, and what is said then. */
static const struct {
    const char *code;
    const char *say;
} dialog[] = {
    [STEP_GREETING] = {"220", "EHLO client.test\r\n"},
    [STEP_HELLO] = {"250", "MAIL FROM:<drip@client.test>\r\n"},
    [STEP_MAIL] = {"250", "RCPT TO:<u000000@bench.test>\r\n"},
    [STEP_RCPT] = {"250", "DATA\r\n"},
    [STEP_DATA] = {"354", "X-Drip: "},
};

static void reply(struct session *session, struct str line)
{
    if (line.n > 3 && line.p[3] == '-')
        return;
    if (session->step == STEP_HELD || !str_starts(line, str_from(dialog[session->step].code))) {
        end(session);
        return;
    }
    if (session->step == STEP_HELLO && session->holder->share->load->mode == LOAD_IDLE) {
        held(session);
        return;
    }
    conn_say(&session->conn, str_from(dialog[session->step].say));
    if (session->step == STEP_DATA)
        held(session);
    else
        session->step++;
}

static void heard(struct conn *conn)
{
    struct session *session = (struct session *)conn;
    must_be(session, SESSION_MAGIC);
    struct str line;
    while (session->step != STEP_CLOSED && conn_line(conn, &line))
        reply(session, line);
    if (session->step != STEP_CLOSED && conn->over)
        end(session);
    conn_push(conn);
}

static void open_some(struct holder *holder)
{
    const struct load_share *share = holder->share;
    while (holder->opened < share->sessions && holder->opening < OPENING_MAX) {
        struct session *session = &holder->sessions[holder->opened];
        unsigned source = share->load->spread ? 1 + (unsigned)holder->opened % CONN_SOURCES : 0;
        *session = (struct session){.conn = {.fd = -1, .heard = heard},
                                    .magic = SESSION_MAGIC,
                                    .holder = holder,
                                    .step = STEP_GREETING};
        holder->opened++;
        holder->opening++;
        if (!conn_open(&session->conn, holder->epoll, share->load->port, source))
            end(session);
    }
}

static void drip(struct holder *holder)
{
    int64_t now = load_now(), passed = now - holder->dripped_at;
    int64_t each = (int64_t)holder->share->load->window * 1000000000;
    uint64_t octets = holder->opened * (uint64_t)passed / (uint64_t)each;
    if (octets == 0)
        return;
    for (; octets > 0; octets--) {
        struct session *session = &holder->sessions[holder->drop++ % holder->opened];
        if (session->step != STEP_HELD)
            continue;
        conn_say(&session->conn, STR("x"));
        conn_push(&session->conn);
    }
    holder->dripped_at = now;
}

bool load_hold(const struct load_share *share)
{
    struct holder holder = {.share = share,
                            .epoll = epoll_create1(EPOLL_CLOEXEC),
                            .sessions = calloc(share->sessions, sizeof(struct session)),
                            .dripped_at = load_now()};
    must(holder.epoll >= 0 && holder.sessions);
    for (;;) {
        open_some(&holder);
        conn_turn(holder.epoll, TICK);
        if (share->load->mode == LOAD_DRIP)
            drip(&holder);
    }
}
