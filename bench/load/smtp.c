/*
 * A client as a mail server is one: it sends MAIL, RCPT and DATA in one piece where PIPELINING is
 * offered (RFC 2920), waits for the reply to the final dot, and goes on in the same session or says
 * QUIT. Behind QUIT it closes its half, so that a server that dawdles over 221 is not waited for.
 *
 * A paced sender begins message n at a time that was fixed before, whether or not the one before
 * was fast, so a server that falls behind cannot make its own figures look better.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "conn.h"
#include "load.h"
#include "message.h"

enum {
    LATE = 1000000, /* ns */
    SESSION_MAGIC = MAGIC('s', 'e', 's', 's'),
    REFUSALS_SHOWN = 3,
};

enum step {
    STEP_CLOSED,
    STEP_GREETING,
    STEP_HELLO,
    STEP_READY, /* no message under way; waits for its time if paced */
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_DOT,
    STEP_QUIT,
};

struct sender;

struct session {
    struct conn conn; /* first: `heard` gets the session by it */
    uint32_t magic;
    struct sender *sender;
    enum step step;
    bool pipelining;
    uint64_t number;  /* of the message under way */
    uint64_t replies; /* to RCPT, then in LMTP to the dot */
    uint64_t done;    /* messages on this connection */
    int64_t dot_at;   /* the dot has left; 0: not yet */
};

struct sender {
    const struct load *load;
    struct load_result *result;
    int epoll;
    uint64_t from, next, to; /* numbers; those before next were begun */
    uint64_t unfinished;     /* messages neither acknowledged nor refused */
    uint64_t index;          /* which process */
    int64_t begun;
    struct message_lines lines;
    struct session *sessions;
    uint64_t count;
    uint64_t looked; /* where the search for a ready session begins */
};

static void heard(struct conn *conn);

static bool is_lmtp(const struct session *session)
{
    return session->sender->load->mode == LOAD_LMTP;
}

static bool may_go_on(const struct load_result *result)
{
    return result->failed <= LOAD_FAILURES_MAX && result->refused <= LOAD_REFUSALS_MAX;
}

/* --- Connections ------------------------------------------------------------------------------ */

static void dial(struct session *session)
{
    struct sender *sender = session->sender;
    session->step = STEP_CLOSED;
    if (sender->next >= sender->to || !may_go_on(sender->result))
        return;
    session->done = 0;
    if (conn_open(&session->conn, sender->epoll, sender->load->port, 0))
        session->step = STEP_GREETING;
    else
        sender->result->failed++;
}

/* The connection is of no use any more; a message under way on it counts as refused. */
static void give_up(struct session *session)
{
    struct sender *sender = session->sender;
    if (session->step >= STEP_MAIL && session->step <= STEP_DOT) {
        sender->result->refused++;
        sender->unfinished--;
    } else if (session->step != STEP_QUIT) {
        sender->result->failed++;
    }
    conn_close(&session->conn);
    dial(session);
}

static void refused(struct session *session, struct str line)
{
    if (session->sender->result->refused < REFUSALS_SHOWN)
        fprintf(stderr, "load: refused: %.*s\n", STR_FMT(line));
    give_up(session);
}

static void quit(struct session *session)
{
    conn_say(&session->conn, STR("QUIT\r\n"));
    conn_end(&session->conn);
    session->step = STEP_QUIT;
}

/* --- One message ------------------------------------------------------------------------------ */

static void say_recipient(struct session *session, uint64_t copy)
{
    const struct load *load = session->sender->load;
    uint64_t account = load_account(load, session->number, copy);
    if (load->domains > 1)
        conn_sayf(&session->conn, "RCPT TO:<u%06llu@d%03llu.%s>\r\n", (unsigned long long)account,
                  (unsigned long long)(account % load->domains), load->domain);
    else
        conn_sayf(&session->conn, "RCPT TO:<u%06llu@%s>\r\n", (unsigned long long)account,
                  load->domain);
}

static void begin_message(struct session *session)
{
    struct sender *sender = session->sender;
    session->number = sender->next++;
    session->replies = 0;
    session->dot_at = 0;
    session->step = STEP_MAIL;
    conn_say(&session->conn, STR("MAIL FROM:<load@client.test>\r\n"));
    if (session->pipelining) {
        for (uint64_t copy = 0; copy < sender->load->recipients; copy++)
            say_recipient(session, copy);
        conn_say(&session->conn, STR("DATA\r\n"));
    }
}

/* When the next message is to begin. */
static int64_t due(const struct sender *sender)
{
    const struct load *load = sender->load;
    uint64_t nth = (sender->next - sender->from) * load->processes + sender->index;
    return sender->begun + (int64_t)(nth * 1000000000 / load->rate);
}

static void ready(struct session *session)
{
    struct sender *sender = session->sender;
    uint64_t each = sender->load->each;
    session->step = STEP_READY;
    if (sender->next >= sender->to || (each && session->done >= each))
        quit(session);
    else if (!sender->load->rate)
        begin_message(session);
}

static void say_message(struct session *session)
{
    struct sender *sender = session->sender;
    struct str body =
        message_make(&sender->lines, session->number, sender->load->size, &session->conn.out);
    conn_say_text(&session->conn, body, STR(".\r\n"));
    session->replies = 0;
    session->step = STEP_DOT;
}

static void acknowledged(struct session *session)
{
    struct sender *sender = session->sender;
    struct load_result *result = sender->result;
    result->ended = load_now();
    latency_add(&result->answer, result->ended - session->dot_at);
    result->done++;
    result->octets += sender->load->size;
    sender->unfinished--;
    session->done++;
    ready(session);
}

/* --- Replies ---------------------------------------------------------------------------------- */

static void reply_to_greeting(struct session *session)
{
    conn_say(&session->conn,
             is_lmtp(session) ? STR("LHLO client.test\r\n") : STR("EHLO client.test\r\n"));
    session->pipelining = false;
    session->step = STEP_HELLO;
}

static void reply_to_mail(struct session *session)
{
    session->step = STEP_RCPT;
    if (!session->pipelining)
        say_recipient(session, 0);
}

static void reply_to_rcpt(struct session *session)
{
    if (++session->replies == session->sender->load->recipients) {
        session->step = STEP_DATA;
        if (!session->pipelining)
            conn_say(&session->conn, STR("DATA\r\n"));
    } else if (!session->pipelining) {
        say_recipient(session, session->replies);
    }
}

static void reply_to_dot(struct session *session)
{
    uint64_t wanted = is_lmtp(session) ? session->sender->load->recipients : 1;
    if (++session->replies == wanted)
        acknowledged(session);
}

/* What is expected in each step, and what follows. */
static const struct {
    const char *code;
    void (*then)(struct session *session);
} replies[] = {
    [STEP_GREETING] = {"220", reply_to_greeting}, [STEP_HELLO] = {"250", ready},
    [STEP_MAIL] = {"250", reply_to_mail},         [STEP_RCPT] = {"250", reply_to_rcpt},
    [STEP_DATA] = {"354", say_message},           [STEP_DOT] = {"250", reply_to_dot},
};

static void reply(struct session *session, struct str line)
{
    bool last = line.n <= 3 || line.p[3] != '-';
    if (session->step == STEP_HELLO && str_eq_nocase(str_from_index(line, 4), STR("PIPELINING")))
        session->pipelining = !session->sender->load->one_by_one;
    if (!last)
        return;
    if (session->step == STEP_QUIT || session->step == STEP_READY)
        give_up(session);
    else if (!str_starts(line, str_from(replies[session->step].code)))
        refused(session, line);
    else
        replies[session->step].then(session);
}

static void heard(struct conn *conn)
{
    struct session *session = (struct session *)conn;
    must_be(session, SESSION_MAGIC);
    int fd = conn->fd;
    struct str line;
    while (conn->fd == fd && session->step != STEP_CLOSED && conn_line(conn, &line))
        reply(session, line);
    if (conn->fd == fd && conn->over)
        give_up(session);
    conn_push(conn);
    if (session->step == STEP_DOT && !session->dot_at && conn_is_pushed(conn))
        session->dot_at = load_now();
}

/* --- All sessions ----------------------------------------------------------------------------- */

static struct session *find_ready(struct sender *sender)
{
    for (uint64_t i = 0; i < sender->count; i++) {
        struct session *session = &sender->sessions[sender->looked];
        sender->looked = (sender->looked + 1) % sender->count;
        if (session->step == STEP_READY)
            return session;
    }
    return NULL;
}

/* Begins what is due; how long the loop may wait then, in ns. */
static int64_t begin_due(struct sender *sender)
{
    while (sender->load->rate && sender->next < sender->to) {
        int64_t left = due(sender) - load_now();
        if (left > 0)
            return left;
        struct session *session = find_ready(sender);
        if (!session)
            break;
        sender->result->late += left < -LATE;
        begin_message(session);
        conn_push(&session->conn);
    }
    return -1;
}

static void open_all(struct sender *sender)
{
    for (uint64_t i = 0; i < sender->count; i++) {
        struct session *session = &sender->sessions[i];
        *session = (struct session){
            .conn = {.fd = -1, .heard = heard}, .magic = SESSION_MAGIC, .sender = sender};
        dial(session);
    }
}

static void close_all(struct sender *sender)
{
    for (uint64_t i = 0; i < sender->count; i++) {
        struct session *session = &sender->sessions[i];
        if (session->step == STEP_READY) {
            quit(session);
            conn_push(&session->conn);
        }
        conn_done(&session->conn);
    }
    free(sender->sessions);
}

bool load_send(const struct load_share *share)
{
    struct sender sender = {.load = share->load,
                            .result = share->result,
                            .epoll = epoll_create1(EPOLL_CLOEXEC),
                            .from = share->from,
                            .next = share->from,
                            .to = share->to,
                            .unfinished = share->to - share->from,
                            .index = share->index,
                            .begun = load_now(),
                            .sessions = calloc(share->sessions, sizeof(struct session)),
                            .count = share->sessions};
    must(sender.epoll >= 0 && sender.sessions);
    message_lines_init(&sender.lines, share->load->size);
    share->result->begun = sender.begun;
    open_all(&sender);
    while (sender.unfinished > 0 && may_go_on(share->result))
        conn_turn(sender.epoll, begin_due(&sender));
    close_all(&sender);
    message_lines_done(&sender.lines);
    close(sender.epoll);
    return may_go_on(share->result);
}
