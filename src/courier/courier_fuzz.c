/*
 * A remote server that says anything in any order, to a courier in the fake world. The first octet
 * says which jobs; what is behind it is cut at \x01 into what the server says, a piece whenever it
 * has heard something; \x02 closes the connection, \x03 resets it. Properties: each job ends within
 * its times, with one verdict for each recipient; nobody is sent to without a dot; what core is
 * told is clean; the wire has whole lines only; nothing is held when it is over.
 */
#include "base/must.h"
#include "courier/stage_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    INPUT_MAX = 8192,
    JOBS = 2,
    LARGE = 3000, /* lines */
    HEARD_MAX = 8 << 20,
    HOURS_4 = 4 * 3600, /* more than all limits of two jobs together */
};

struct server {
    struct fake_host host;
    struct stage *stage;
    struct str script;
    struct visit *visits;
};

struct visit {
    struct visit *next;
    struct server *server;
    struct fake_client *client;
    struct buf heard;
    size_t answered; /* octets that were heard then */
};

static void visit_end(struct visit *visit)
{
    fake_client_done(visit->client);
    visit->client = NULL;
}

static void say(struct visit *visit)
{
    struct server *server = visit->server;
    visit->answered = visit->heard.n;
    struct str piece = str_cut(&server->script, '\x01');
    if (str_starts(piece, STR("\x02"))) {
        visit_end(visit);
    } else if (str_starts(piece, STR("\x03"))) {
        fake_client_reset(visit->client);
        visit_end(visit);
    } else if (piece.n > 0) {
        fake_client_send(visit->client, piece);
    }
}

static void changed(struct fake_client *client, void *arg)
{
    struct visit *visit = arg;
    char octets[4096];
    size_t n;
    while ((n = fake_client_recv(client, octets, sizeof octets)) > 0)
        buf_put(&visit->heard, str_make(octets, n));
    if (fake_client_state(client) != FAKE_CLIENT_OPEN)
        visit_end(visit);
    else if (visit->heard.n > visit->answered)
        say(visit);
}

static void called(struct fake_host *host, struct fake_client *client,
                   const struct peer_address *caller)
{
    struct server *server = host->arg;
    struct visit *visit = calloc(1, sizeof *visit);
    must(visit);
    (void)caller;
    *visit = (struct visit){.next = server->visits, .server = server, .client = client};
    buf_init(&visit->heard, HEARD_MAX);
    server->visits = visit;
    fake_client_watch(client, changed, visit);
    say(visit);
}

/* Until it begins to speak TLS. */
static void check_heard(struct str heard)
{
    for (size_t i = 0; i < heard.n; i++) {
        bool record = heard.p[i] == 0x16 && i + 1 < heard.n && heard.p[i + 1] == 3;
        if (record)
            return;
        must(heard.p[i] != '\n' || (i > 0 && heard.p[i - 1] == '\r'));
        must(heard.p[i] != '\r' || i + 1 == heard.n || heard.p[i + 1] == '\n');
    }
}

static void server_end(struct server *server)
{
    while (server->visits) {
        struct visit *visit = server->visits;
        server->visits = visit->next;
        if (visit->client)
            visit_end(visit);
        check_heard(buf_str(&visit->heard));
        buf_done(&visit->heard);
        free(visit);
    }
}

static void order(struct stage *stage, uint64_t number, unsigned bits)
{
    struct msg_job_recipient recipients[] = {
        {.number = 1, .address = STR("x@d.example")},
        {.number = 2, .address = STR("y@d.example")},
        {.number = 3, .address = STR("z@d.example")},
    };
    struct msg_job job = {.job = number,
                          .sender = STR("a@b.example"),
                          .domain = STR("d.example"),
                          .route = bits & 1 ? STR("lmtp:192.0.2.1:25") : STR("192.0.2.1:25"),
                          .body_type = (uint8_t)(bits >> 4 & 3) % 3,
                          .recipients = recipients,
                          .recipients_count = 1 + (bits >> 2 & 1) * 2};
    stage_order(stage, &job);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1 || n > INPUT_MAX)
        return 0;
    unsigned bits = data[0];
    struct stage stage;
    struct server server = {.stage = &stage, .script = str_make(data + 1, n - 1)};
    server.host =
        (struct fake_host){.address = "192.0.2.1", .port = 25, .called = called, .arg = &server};
    stage_open(&stage, STR("hostname = us.example\n"), NULL, 1);
    fake_host_add(stage.fake, &server.host);
    for (size_t i = 0; i < (bits & 2 ? LARGE : 1); i++)
        buf_put(&stage.core.body, STR(".line\n.\r.\r\n\x80"));
    for (uint64_t i = 1; i <= JOBS; i++)
        order(&stage, i, bits);
    stage_pass(&stage, HOURS_4 * NS_PER_SECOND);
    must(stage.core.overs == JOBS && stage.courier.job_count == 0);
    must(stage.core.dots > 0 || (stage.core.sent == 0 && stage.core.dotted == 0));
    must(slabs_out(stage.courier.slabs) == 0);
    server_end(&server);
    stage_settle(&stage);
    fake_host_remove(&server.host);
    stage_close(&stage);
    return 0;
}
