/*
 * Plays the transcripts of test/transcripts against an edge in the fake world (stage_test.h), each
 * three times: as it stands, octet by octet, and cut at random. The replies must be the same
 * (catalogue S03). Lines of a transcript:
 *
 *   # ...            a remark
 *   CONF: text       configuration, before anything else
 *   LMTP, SUBMISSION that listener; PEER: address
 *   DNS: text        what the DNS has, or how it behaves (dns_stage_test.h)
 *   WHOLE            what it shows is about what arrives together: played as it stands only
 *   C: text          the client sends a line; lines that follow one another are sent together
 *   C+ text          without CR LF at its end
 *   C* n text        the text n times, without CR LF
 *   S: text          the server says this line; * stands for anything
 *   S* n text        n times
 *   OPEN, CLOSED     is the connection open, or did the server end it?
 *   WAIT: seconds    time passes
 *   HANGUP, AGAIN    the client goes; a new one comes
 *   FINISH           it sends no more, but reads
 *   CORE: word       die, start, silent (the next commit has no answer), lost (nor an effect),
 *                    refuse NAME (the next commit is refused for this error)
 *   BODY: text       of the last message
 *   RECEIVED: text   its Received field, * as above
 *   FACTS: text      what the trace is told of it, * as above
 *   ASKED: text      what core was told to be asked (stage_test.h), * as above
 *   SHOWN: text      what terminals would be shown of the last message (stage_test.h), * as above
 *   EXPECT: what n   a number of stage_core: messages, resolves, commits, recipients, seen ...
 *
 * In texts \r \n \0 \t \\ and \xNN are octets.
 */
#include "edge/smtp/dns_stage_test.h"

#include "base/test.h"

enum {
    SENT_MAX = 4 << 20,
    REPLIES_MAX = 4 << 20,
    LINE_MOST = 8192,
    RANDOM_PIECE = 40,
};

enum cut {
    CUT_NOT,
    CUT_OCTETS,
    CUT_RANDOM
};

struct player {
    struct stage stage;
    struct dns_stage dns;
    bool on_stage;
    struct fake_client *client;
    struct buf conf, names, out, got;
    enum cut cut;
    struct fake_random random;
    const char *file;
    int line;
    const char *listener;
    enum bus_role role;
    bool whole_only;
    char peer[46];
};

static _Noreturn void wrong(const struct player *p, const char *what, struct str got)
{
    print_error("%s:%d: cut %d: %s\n  got: \"%.*s\"\n", p->file, p->line, p->cut, what,
                STR_FMT(got));
    _fail(p->file, p->line);
    abort();
}

static void unescape(struct str text, struct buf *to)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '\\' || i + 1 == text.n) {
            buf_putc(to, text.p[i]);
            continue;
        }
        char c = text.p[++i];
        const char *at = strchr("rn0t\\", c);
        if (at && c) {
            buf_putc(to, "\r\n\0\t\\"[at - "rn0t\\"]);
        } else if (c == 'x' && i + 2 < text.n) {
            char hex[3] = {text.p[i + 1], text.p[i + 2], '\0'};
            buf_putc(to, (char)strtoul(hex, NULL, 16));
            i += 2;
        }
    }
}

static bool matches(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++, t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

/* --- The client ------------------------------------------------------------------------------ */

static size_t piece(struct player *p)
{
    if (p->cut == CUT_NOT)
        return SIZE_MAX;
    return p->cut == CUT_OCTETS ? 1 : 1 + fake_random_below(&p->random, RANDOM_PIECE);
}

static void flush(struct player *p)
{
    struct str rest = buf_str(&p->out);
    while (rest.n > 0 && p->client && fake_client_state(p->client) == FAKE_CLIENT_OPEN) {
        struct str part = str_head(rest, piece(p));
        stage_send(&p->stage, p->client, part, part.n, &p->got);
        rest = str_from_index(rest, part.n);
    }
    buf_clear(&p->out);
    if (p->client)
        stage_receive(p->client, &p->got);
}

static void hang_up(struct player *p)
{
    flush(p);
    if (p->client)
        fake_client_done(p->client);
    p->client = NULL;
    stage_settle(&p->stage);
}

static void names_put(struct player *p)
{
    struct str lines = buf_str(&p->names);
    if (lines.n > 0 && !p->dns.zones)
        dns_stage_open(&p->dns, &p->stage);
    while (lines.n > 0)
        dns_stage_add(&p->dns, str_cut(&lines, '\n'));
    buf_clear(&p->names);
}

static void enter(struct player *p)
{
    if (!p->on_stage)
        stage_open_as(&p->stage, p->role, buf_str(&p->conf), NULL, 1, STAGE_SLABS);
    p->on_stage = true;
    names_put(p);
    if (!p->client)
        p->client = stage_connect_to(&p->stage, p->listener, p->peer);
}

/* --- The lines ------------------------------------------------------------------------------- */

static void server_says(struct player *p, struct str pattern)
{
    flush(p);
    struct str all = buf_str(&p->got);
    ssize_t end = str_find(all, STR("\r\n"));
    if (end < 0)
        wrong(p, "no reply", all);
    if (!matches(pattern, str_head(all, (size_t)end)))
        wrong(p, "another reply", str_head(all, (size_t)end));
    buf_drop_front(&p->got, (size_t)end + 2);
}

static void server_repeats(struct player *p, struct str text)
{
    struct str count = str_cut(&text, ' ');
    uint64_t n = 0;
    assert_true(str_to_u64(count, &n));
    for (uint64_t i = 0; i < n; i++)
        server_says(p, text);
}

static void client_repeats(struct player *p, struct str text)
{
    struct str count = str_cut(&text, ' ');
    uint64_t n = 0;
    assert_true(str_to_u64(count, &n));
    for (uint64_t i = 0; i < n; i++)
        unescape(text, &p->out);
}

static void core_does(struct player *p, struct str word)
{
    flush(p);
    struct stage_core *core = &p->stage.core;
    if (str_eq(word, STR("die"))) {
        stage_core_die(&p->stage);
    } else if (str_eq(word, STR("start"))) {
        stage_core_start(&p->stage);
    } else if (str_eq(word, STR("silent"))) {
        core->commit_silent = true;
    } else if (str_eq(word, STR("lost"))) {
        core->commit_silent = core->commit_lost = true;
    } else if (str_starts(word, STR("refuse "))) {
        for (int i = 0; i < ERR_COUNT; i++) {
            if (str_eq(str_from_index(word, 7), str_from(err_row((enum err_code)i)->name)))
                core->commit_error = (enum err_code)i;
        }
        assert_true(core->commit_error != ERR_NONE);
    } else {
        wrong(p, "no such thing for core to do", word);
    }
    if (p->client)
        stage_receive(p->client, &p->got);
}

static void expect(struct player *p, struct str text)
{
    flush(p);
    stage_settle(&p->stage);
    const struct stage_core *core = &p->stage.core;
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"dns", p->dns.zones ? fake_zones_asked(p->dns.zones) : 0},
        {"messages", core->messages},
        {"commits", core->commits},
        {"resolves", core->resolves},
        {"recipients", core->recipients},
        {"served-extra", core->served_extra},
        {"forgets", core->forgets},
        {"refusals", core->refusals},
        {"pieces", core->upload_pieces},
        {"seen", core->seen},
        {"unseen", core->unseen},
        {"logins", core->access.logins},
        {"logouts", core->access.logouts},
        {"drops", core->access.drops},
        {"sessions", p->stage.edge.session_count},
        {"slabs", p->stage.edge.slabs ? slabs_out(p->stage.edge.slabs) : 0},
        {"most-slabs", p->stage.edge.slabs ? slabs_most_out(p->stage.edge.slabs) : 0},
    };
    struct str name = str_cut(&text, ' ');
    uint64_t value;
    assert_true(str_to_u64(text, &value));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (!str_eq(name, str_from(numbers[i].name)))
            continue;
        if (numbers[i].value != value) {
            print_error("  %s is %lu\n", numbers[i].name, (unsigned long)numbers[i].value);
            wrong(p, "another number", name);
        }
        return;
    }
    wrong(p, "no such number", name);
}

static void body_is(struct player *p, struct str text)
{
    struct buf expected = BUF_INIT(SENT_MAX);
    flush(p);
    unescape(text, &expected);
    if (!str_eq(buf_str(&expected), buf_str(&p->stage.core.body)))
        wrong(p, "another body", buf_str(&p->stage.core.body));
    buf_done(&expected);
}

static void state_is(struct player *p, bool open)
{
    flush(p);
    if ((fake_client_state(p->client) == FAKE_CLIENT_OPEN) != open)
        wrong(p, open ? "the server ended it" : "the connection is open", buf_str(&p->got));
}

static bool setting(struct player *p, struct str line)
{
    if (str_starts(line, STR("CONF: "))) {
        buf_put(&p->conf, str_from_index(line, 6));
        buf_putc(&p->conf, '\n');
    } else if (str_starts(line, STR("DNS: "))) {
        buf_put(&p->names, str_from_index(line, 5));
        buf_putc(&p->names, '\n');
    } else if (str_eq(line, STR("LMTP"))) {
        p->listener = "lmtp";
    } else if (str_eq(line, STR("SUBMISSION"))) {
        p->listener = "submission";
        p->role = ROLE_SUB;
    } else if (str_eq(line, STR("WHOLE"))) {
        p->whole_only = true;
    } else if (str_starts(line, STR("PEER: "))) {
        struct str address = str_from_index(line, 6);
        memset(p->peer, 0, sizeof p->peer);
        memcpy(p->peer, address.p, address.n);
    } else {
        return false;
    }
    return true;
}

static void wait_for_it(struct player *p, struct str text)
{
    uint64_t seconds = 0;
    flush(p);
    assert_true(str_to_u64(text, &seconds));
    stage_pass(&p->stage, (int64_t)seconds * NS_PER_SECOND);
    if (p->client)
        stage_receive(p->client, &p->got);
}

static void act(struct player *p, struct str line)
{
    if (str_starts(line, STR("C:"))) {
        unescape(str_from_index(line, 3), &p->out);
        buf_put(&p->out, STR("\r\n"));
    } else if (str_starts(line, STR("C+ "))) {
        unescape(str_from_index(line, 3), &p->out);
    } else if (str_starts(line, STR("C* "))) {
        client_repeats(p, str_from_index(line, 3));
    } else if (str_starts(line, STR("S: "))) {
        server_says(p, str_from_index(line, 3));
    } else if (str_starts(line, STR("S* "))) {
        server_repeats(p, str_from_index(line, 3));
    } else if (str_starts(line, STR("WAIT: "))) {
        wait_for_it(p, str_from_index(line, 6));
    } else if (str_starts(line, STR("CORE: "))) {
        core_does(p, str_from_index(line, 6));
    } else if (str_starts(line, STR("BODY:"))) {
        body_is(p, str_from_index(line, 6));
    } else if (str_starts(line, STR("ASKED: "))) {
        if (!matches(str_from_index(line, 7), buf_str(&p->stage.core.asked)))
            wrong(p, "something else was asked", buf_str(&p->stage.core.asked));
    } else if (str_starts(line, STR("RECEIVED: "))) {
        if (!matches(str_from_index(line, 10), buf_str(&p->stage.core.received)))
            wrong(p, "another Received", buf_str(&p->stage.core.received));
    } else if (str_starts(line, STR("FACTS: "))) {
        if (!matches(str_from_index(line, 7), buf_str(&p->stage.core.facts)))
            wrong(p, "other facts", buf_str(&p->stage.core.facts));
    } else if (str_starts(line, STR("SHOWN: "))) {
        if (!matches(str_from_index(line, 7), buf_str(&p->stage.core.shown)))
            wrong(p, "something else is shown", buf_str(&p->stage.core.shown));
    } else if (str_starts(line, STR("EXPECT: "))) {
        expect(p, str_from_index(line, 8));
    } else if (str_eq(line, STR("OPEN")) || str_eq(line, STR("CLOSED"))) {
        state_is(p, line.p[0] == 'O');
    } else if (str_eq(line, STR("HANGUP"))) {
        hang_up(p);
    } else if (str_eq(line, STR("FINISH"))) {
        flush(p);
        fake_client_finish(p->client);
        stage_settle(&p->stage);
        stage_receive(p->client, &p->got);
    } else if (!str_eq(line, STR("AGAIN"))) {
        wrong(p, "what is this?", line);
    }
}

/* --- A transcript ---------------------------------------------------------------------------- */

static void play_line(struct player *p, struct str line)
{
    if (line.n == 0 || line.p[0] == '#' || setting(p, line))
        return;
    if (p->whole_only && p->cut != CUT_NOT)
        return;
    if (!str_eq(line, STR("HANGUP")) && !str_starts(line, STR("EXPECT")) &&
        !str_starts(line, STR("BODY")) && !str_starts(line, STR("WAIT")))
        enter(p);
    act(p, line);
}

static void play(const char *file, enum cut cut)
{
    struct player p = {.conf = BUF_INIT(65536),
                       .names = BUF_INIT(65536),
                       .out = BUF_INIT(SENT_MAX),
                       .got = BUF_INIT(REPLIES_MAX),
                       .cut = cut,
                       .file = file,
                       .listener = "smtp",
                       .role = ROLE_MX,
                       .peer = "192.0.2.1"};
    char line[LINE_MOST];
    FILE *in = fopen(file, "r");
    assert_non_null(in);
    fake_random_init(&p.random, 7, "cuts");
    buf_put(&p.conf, STR("hostname = mx.example.test\n"));
    while (fgets(line, sizeof line, in)) {
        p.line++;
        play_line(&p, str_make(line, strcspn(line, "\n")));
    }
    fclose(in);
    if (p.on_stage) {
        flush(&p);
        if (p.got.n > 0)
            wrong(&p, "more than was expected", buf_str(&p.got));
        hang_up(&p);
        if (p.dns.zones)
            dns_stage_close(&p.dns, &p.stage);
        else
            stage_close(&p.stage);
    }
    buf_done(&p.conf);
    buf_done(&p.names);
    buf_done(&p.out);
    buf_done(&p.got);
}

static void plays_the_same_however_cut(void **state)
{
    const char *file = *state;
    play(file, CUT_NOT);
    play(file, CUT_OCTETS);
    play(file, CUT_RANDOM);
}

int main(int argc, char **argv)
{
    enum {
        FILES_MOST = 200
    };
    struct CMUnitTest tests[FILES_MOST];
    int count = 0;
    for (int i = 1; i < argc && count < FILES_MOST; i++)
        tests[count++] = (struct CMUnitTest){
            .name = argv[i], .test_func = plays_the_same_however_cut, .initial_state = argv[i]};
    return _cmocka_run_group_tests("transcripts", tests, (size_t)count, NULL, NULL);
}
