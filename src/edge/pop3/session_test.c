/*
 * POP3 sessions, with a core that answers by rule (stage_test.h).
 */
#include "edge/pop3/client_test.h"

#include "format/encodings.h"
#include "format/reencode.h"
#include "sys/stream_pool.h"

enum {
    IDLE_MAX = 2560, /* octets of an idle session without its rows */
};

static void three_messages(void)
{
    box_add(&stage, STR("R: p\r\nSubject: 1\r\n\r\none\r\n"), 6);
    box_add(&stage, STR("R: p\r\nSubject: 2\r\n\r\n.\r\n..x\r\ntwo\r\n"), 6);
    box_add(&stage, STR("R: p\r\nno end"), 6);
}

/* --- Commands --- */

struct line {
    const char *said, *expected;
};

static void converse(struct fake_client *client, const struct line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_str(say(client, lines[i].said), str_from(lines[i].expected));
}

#define CONVERSE(client, lines) converse((client), (lines), sizeof(lines) / sizeof((lines)[0]))
#define NO_PLACE "-ERR That command has no place here\r\n"
#define SYNTAX "-ERR Syntax error in arguments\r\n"
#define NO_MESSAGE "-ERR No such message\r\n"

static void before_the_log_in(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {"CAPA\r\n", "+OK Capability list follows\r\nTOP\r\nUIDL\r\nUSER\r\n"
                     "SASL PLAIN LOGIN SCRAM-SHA-1 "
                     "SCRAM-SHA-256\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE "
                     "NEVER\r\nUTF8 USER\r\nIMPLEMENTATION Veredus\r\n.\r\n"},
        {"STAT\r\n", NO_PLACE},
        {"RETR 1\r\n", NO_PLACE},
        {"NOOP\r\n", NO_PLACE},
        {"RSET\r\n", NO_PLACE},
        {"APOP bob c4c9334bac560ecc979e58001b3e22fb\r\n", "-ERR Command not recognised\r\n"},
        {"\r\n", "-ERR Command not recognised\r\n"},
        {"USER\r\n", SYNTAX},
        {"PASS secret\r\n", "-ERR USER comes first\r\n"},
        {"utf8\r\n", "+OK UTF-8 it is\r\n"},
        {"user nobody\r\n", "+OK Send PASS\r\n"},
        {"pass secret\r\n", "-ERR [AUTH] Authentication failed\r\n"},
        {"PASS secret\r\n", "-ERR USER comes first\r\n"},
        {"USER bob\r\nPASS wrong\r\n", "+OK Send PASS\r\n-ERR [AUTH] Authentication failed\r\n"},
        {"QUIT\r\n", "+OK Goodbye\r\n"},
    };
    struct fake_client *client = come();
    CONVERSE(client, lines);
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    leave(client);
    assert_int_equal(stage.core.access.logouts, 0);
}

static void log_ins_that_fail(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {"USER dave\r\nPASS secret\r\n", "+OK Send PASS\r\n-ERR [AUTH] Account disabled\r\n"},
        {"USER dave\r\nPASS wrong\r\n", "+OK Send PASS\r\n-ERR [AUTH] Authentication failed\r\n"},
        {"USER later\r\nPASS secret\r\n",
         "+OK Send PASS\r\n-ERR [SYS/TEMP] Too many log-ins at once; try again later\r\n"},
        {"USER *)(uid=*\r\nPASS secret\r\n",
         "+OK Send PASS\r\n-ERR [AUTH] Authentication failed\r\n"},
        {"USER a' OR 1=1--\r\nPASS secret\r\n",
         "+OK Send PASS\r\n-ERR [AUTH] Authentication failed\r\n"},
        {"USER ../bob\r\nPASS secret\r\n",
         "+OK Send PASS\r\n-ERR [AUTH] Authentication failed\r\n"},
        {"USER bob\r\nPASS  with  blanks \r\n",
         "+OK Send PASS\r\n-ERR [AUTH] Authentication failed\r\n"},
    };
    struct fake_client *client;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        client = come();
        assert_str(say(client, lines[i].said), str_from(lines[i].expected));
        leave(client);
    }
    client = come();
    assert_str(buf_str(&stage.core.access.password), STR(" with  blanks "));
    /* A name that is too long never reaches core. */
    char name[400];
    memset(name, 'x', sizeof(name));
    memcpy(name, "USER ", 5);
    memcpy(name + sizeof(name) - 3, "\r\n", 3);
    assert_str(say(client, name), STR("-ERR [AUTH] Authentication failed\r\n"));
    assert_int_equal(stage.core.access.logins, 7);
    leave(client);
}

static void a_password_stays_in_no_buffer(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof(ENTER); piece++) {
        struct fake_client *client = come();
        box_send(&stage, client, STR(ENTER), piece, &replies);
        assert_int_equal(stage.core.access.logins, piece);
        char *buffers[2];
        for (size_t i = 0; i < 2; i++) {
            buffers[i] = stream_pool_take(stage.edge.streams);
            assert_true(str_find(str_make(buffers[i], STREAM_READ_SIZE), STR("secret")) < 0);
        }
        for (size_t i = 0; i < 2; i++)
            stream_pool_give(stage.edge.streams, buffers[i]);
        leave(client);
    }
}

static void no_plain_text_from_afar(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {"", "+OK Veredus ready\r\n"},
        {"USER bob\r\n", "-ERR [AUTH] Encryption required for this\r\n"},
        {"PASS secret\r\n", "-ERR [AUTH] Encryption required for this\r\n"},
    };
    struct fake_client *client = box_connect(&stage, "192.0.2.1");
    CONVERSE(client, lines);
    assert_int_equal(str_find(say(client, "CAPA\r\n"), STR("\r\nUSER\r\n")), -1);
    assert_int_equal(stage.core.access.logins, 0);
    leave(client);
}

static void behind_the_log_in(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {"STAT\r\n", "+OK 3 70\r\n"},
        {"LIST\r\n", "+OK Listing follows\r\n1 25\r\n2 33\r\n3 12\r\n.\r\n"},
        {"LIST 2\r\n", "+OK 2 33\r\n"},
        {"UIDL\r\n", "+OK Listing follows\r\n1 00000abc00000001\r\n2 00000abc00000002\r\n"
                     "3 00000abc00000003\r\n.\r\n"},
        {"UIDL 3\r\n", "+OK 3 00000abc00000003\r\n"},
        {"RETR 1\r\n", "+OK 25 octets\r\nR: p\r\nSubject: 1\r\n\r\none\r\n.\r\n"},
        {"RETR 2\r\n", "+OK 33 octets\r\nR: p\r\nSubject: 2\r\n\r\n..\r\n...x\r\ntwo\r\n.\r\n"},
        {"RETR 3\r\n", "+OK 12 octets\r\nR: p\r\nno end\r\n.\r\n"},
        {"TOP 2 0\r\n", "+OK\r\nR: p\r\nSubject: 2\r\n\r\n.\r\n"},
        {"TOP 2 1\r\n", "+OK\r\nR: p\r\nSubject: 2\r\n\r\n..\r\n.\r\n"},
        {"TOP 2 2\r\n", "+OK\r\nR: p\r\nSubject: 2\r\n\r\n..\r\n...x\r\n.\r\n"},
        {"TOP 2 4294967295\r\n", "+OK\r\nR: p\r\nSubject: 2\r\n\r\n..\r\n...x\r\ntwo\r\n.\r\n"},
        {"TOP 3 0\r\n", "+OK\r\nR: p\r\nno end\r\n.\r\n"},
        {"USER bob\r\n", NO_PLACE},
        {"UTF8\r\n", NO_PLACE},
        {"NOOP\r\n", "+OK\r\n"},
        /* catalogue I19 */
        {"TOP 1 99999999999\r\n", SYNTAX},
        {"RETR -1\r\n", SYNTAX},
        {"RETR\r\n", SYNTAX},
        {"RETR 1 2\r\n", SYNTAX},
        {"RETR 0\r\n", NO_MESSAGE},
        {"RETR 4\r\n", NO_MESSAGE},
        {"LIST 99\r\n", NO_MESSAGE},
        {"TOP 1\r\n", SYNTAX},
        {"STAT 1\r\n", SYNTAX},
        {"DELE 2\r\n", "+OK Will be removed at QUIT\r\n"},
        {"DELE 2\r\n", NO_MESSAGE},
        {"RETR 2\r\n", NO_MESSAGE},
        {"STAT\r\n", "+OK 2 37\r\n"},
        {"LIST\r\n", "+OK Listing follows\r\n1 25\r\n3 12\r\n.\r\n"},
        {"RSET\r\n", "+OK\r\n"},
        {"STAT\r\n", "+OK 3 70\r\n"},
        {"DELE 3\r\n", "+OK Will be removed at QUIT\r\n"},
        {"QUIT\r\n", "+OK Goodbye\r\n"},
    };
    three_messages();
    struct fake_client *client = enter();
    CONVERSE(client, lines);
    assert_true(stage.core.messages[2].gone);
    assert_false(stage.core.messages[0].gone || stage.core.messages[1].gone);
    leave(client);
    assert_int_equal(stage.core.access.logouts, 1);
}

/* Names are the client's text and nothing else: there is one mailbox (catalogue I10). */
static void no_name_is_a_path(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {"USER /etc/passwd\r\nPASS secret\r\n",
         "+OK Send PASS\r\n-ERR [AUTH] Authentication failed\r\n"},
        {"USER ~root\r\nPASS secret\r\n", "+OK Send PASS\r\n-ERR [AUTH] Authentication failed\r\n"},
        {ENTER, ENTERED},
        {"RETR ../1\r\n", SYNTAX},
        {"LIST ..\r\n", SYNTAX},
    };
    struct fake_client *client = come();
    CONVERSE(client, lines);
    leave(client);
}

/* The answers do not depend on how the network cuts the commands. */
static void every_cut_is_the_same(void **state)
{
    (void)state;
    static const char text[] = "CAPA\r\n" ENTER "STAT\r\nRETR 2\r\nTOP 1 1\r\nLIST\r\nDELE 1\r\n"
                               "BAD\r\nRSET\r\nQUIT\r\n";
    struct buf whole = BUF_INIT(REPLIES_MAX);
    three_messages();
    for (size_t piece = sizeof(text); piece > 0; piece = piece > 20 ? piece - 13 : piece - 1) {
        struct fake_client *client = come();
        buf_clear(&replies);
        box_send(&stage, client, str_make(text, sizeof(text) - 1), piece, &replies);
        if (whole.n == 0)
            buf_put(&whole, buf_str(&replies));
        assert_str(buf_str(&replies), buf_str(&whole));
        leave(client);
    }
    buf_done(&whole);
}

static void long_lines_are_one_error(void **state)
{
    (void)state;
    static char line[5000];
    struct fake_client *client = come();
    for (size_t n = POP3_LINE_MAX - 3; n < POP3_LINE_MAX + 3; n++) {
        memset(line, 'x', n);
        memcpy(line + n, "\r\n", 3);
        bool fits = n + 2 <= POP3_LINE_MAX;
        assert_str(say(client, line),
                   fits ? STR("-ERR Command not recognised\r\n") : STR("-ERR Line too long\r\n"));
    }
    memset(line, 'x', sizeof(line) - 1);
    assert_str(say(client, line), STR("-ERR Line too long\r\n"));
    assert_str(say(client, "xx\r"), str_make("", 0));
    assert_str(say(client, "\nQUIT\r\n"), STR("+OK Goodbye\r\n"));
    leave(client);
}

static void too_many_errors(void **state)
{
    (void)state;
    struct fake_client *client = come();
    for (int i = 1; i < 20; i++)
        assert_str(say(client, "X\r\n"), STR("-ERR Command not recognised\r\n"));
    assert_str(say(client, "X\r\n"),
               STR("-ERR Command not recognised\r\n-ERR Too many errors; closing\r\n"));
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    leave(client);
}

/* --- Octets --- */

/* The header and `lines` lines. */
static struct str top_of(struct str stored, size_t lines)
{
    ssize_t empty = str_find(stored, STR("\r\n\r\n"));
    if (empty < 0)
        return stored;
    size_t at = (size_t)empty + 4;
    for (size_t i = 0; i < lines; i++) {
        ssize_t end = str_find(str_from_index(stored, at), STR("\r\n"));
        if (end < 0)
            return stored;
        at += (size_t)end + 2;
    }
    return str_head(stored, at);
}

static void sizes_around_slabs(void **state)
{
    (void)state;
    static char text[5 * SLAB_SIZE + 8];
    static const size_t pieces[] = {1, 4, 5};
    char command[32];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "a.\r\n..\r\n"[(i * i + i / 3) % 8];
    memcpy(text, "P: x\r\n", 6);
    for (size_t i = 0; i < 3; i++)
        for (size_t more = 0; more < 7; more++)
            box_add(&stage, str_make(text, pieces[i] * SLAB_SIZE - 3 + more), 6);
    struct fake_client *client = enter();
    for (size_t i = 0; i < stage.core.count; i++) {
        (void)snprintf(command, sizeof(command), "RETR %zu\r\n", i + 1);
        expect_message(client, command, stage.core.messages[i].stored);
    }
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
    leave(client);
}

/* Every text of a few octets that can matter, behind a header, in pieces of every small size. */
static void every_text_in_every_split(void **state)
{
    (void)state;
    enum {
        LENGTH = 5,
        TEXTS = 4 * 4 * 4 * 4 * 4,
    };
    static char texts[TEXTS][2 + LENGTH];
    char command[32];
    for (size_t i = 0; i < TEXTS; i++) {
        memcpy(texts[i], "a\r", 2);
        for (size_t k = 0, left = i; k < LENGTH; k++, left /= 4)
            texts[i][2 + k] = "\r\n.x"[left % 4];
        box_add(&stage, str_make(texts[i], sizeof(texts[i])), 1);
    }
    struct fake_client *client = enter();
    for (stage.core.give = 1; stage.core.give < 2 + LENGTH; stage.core.give++)
        for (size_t i = 0; i < TEXTS; i++) {
            (void)snprintf(command, sizeof(command), "RETR %zu\r\n", i + 1);
            expect_message(client, command, stage.core.messages[i].stored);
        }
    leave(client);
}

static void tops_in_every_split(void **state)
{
    (void)state;
    static const struct str text =
        STR_INIT("P: x\r\nSubject: .\r\n .dot\r\n\r\n.one\r\n\r\n..\r\nfour\r\n.");
    char command[32];
    box_add(&stage, text, 6);
    struct fake_client *client = enter();
    for (stage.core.give = 1; stage.core.give <= text.n; stage.core.give++)
        for (size_t lines = 0; lines < 8; lines++) {
            (void)snprintf(command, sizeof(command), "TOP 1 %zu\r\n", lines);
            expect_message(client, command, top_of(text, lines));
        }
    leave(client);
}

/* TOP asks for no more than it needs. */
static void a_top_is_short(void **state)
{
    (void)state;
    static char text[100 * SLAB_SIZE];
    memset(text, 'x', sizeof(text));
    memcpy(text, "P: x\r\n\r\none\r\ntwo\r\n", 18);
    box_add(&stage, str_make(text, sizeof(text)), 6);
    struct fake_client *client = enter();
    expect_message(client, "TOP 1 1\r\n", STR("P: x\r\n\r\none\r\n"));
    assert_int_equal(stage.core.fetches, 1);
    expect_message(client, "RETR 1\r\n", str_make(text, sizeof(text)));
    assert_int_equal(stage.core.fetches, 1 + 100 / 4);
    leave(client);
}

static void served(struct str text, const struct reencode_plan *plan, struct buf *to)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct reencode_segment *segment = &plan->segments[i];
        struct str raw = str_head(str_from_index(text, segment->start), segment->length);
        size_t before = to->n;
        struct base64_encode encode;
        if (segment->kind == REENCODE_LITERAL)
            buf_put(to, segment->literal);
        if (segment->kind == REENCODE_RAW)
            buf_put(to, raw);
        if (segment->kind != REENCODE_BASE64)
            continue;
        base64_encode_init(&encode, true);
        base64_encode_feed(&encode, raw, to);
        base64_encode_end(&encode, to);
        if (to->n > before && str_ends(buf_str(to), STR("\r\n")))
            to->n -= 2;
    }
}

/* A message with a binary part of `octets` octets, as stored and as served. */
static void binary_message(size_t octets, struct buf *stored, struct buf *as_served,
                           struct buf *record, struct arena *arena)
{
    static const struct str prefix = STR_INIT("P: x\r\n");
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    struct summary summary;
    struct summary_view view;
    struct reencode_plan plan;
    buf_put(stored, prefix);
    buf_put(stored, STR("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                        "--b\r\nContent-Type: application/octet-stream\r\n"
                        "Content-Transfer-Encoding: binary\r\n\r\n"));
    for (size_t i = 0; i < octets; i++)
        buf_put(stored, str_make(&"\0\n.\r\xff\r\n.."[i % 9], 1));
    buf_put(stored, STR("\r\n--b\r\n\r\n.dot\r\n--b--\r\n"));
    struct str body = str_from_index(buf_str(stored), prefix.n);
    summary_init(&summary, arena, &limits);
    summary_feed(&summary, body);
    assert_false(err_is(summary_end(&summary)));
    summary_print(&summary, record);
    assert_false(err_is(summary_parse(buf_str(record), arena, &view)));
    assert_true(reencode_needed(&view));
    assert_false(err_is(reencode_plan(&view, arena, &plan)));
    buf_put(as_served, prefix);
    served(body, &plan, as_served);
    assert_int_equal(as_served->n, prefix.n + plan.served);
}

static void binary_parts_are_served_in_base64(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 56, 57, 58, 114, SLAB_SIZE, 5 * SLAB_SIZE + 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf stored = BUF_INIT(1 << 20), as_served = BUF_INIT(1 << 20);
        struct buf record = BUF_INIT(1 << 20);
        struct arena arena;
        arena_init(&arena, 4 << 20);
        binary_message(sizes[i], &stored, &as_served, &record, &arena);
        stage.core.count = 0;
        box_add(&stage, buf_str(&stored), 6);
        stage.core.messages[0].summary = buf_str(&record);
        stage.core.messages[0].binary = true;
        stage.core.messages[0].size = as_served.n;
        for (stage.core.give = 0; stage.core.give < 9000; stage.core.give += 4111) {
            struct fake_client *client = enter();
            expect_message(client, "RETR 1\r\n", buf_str(&as_served));
            expect_message(client, "TOP 1 0\r\n", top_of(buf_str(&as_served), 0));
            leave(client);
        }
        buf_done(&stored);
        buf_done(&as_served);
        buf_done(&record);
        arena_done(&arena);
    }
}

/* --- Views and removal --- */

static void a_view_is_frozen(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {"STAT\r\n", "+OK 3 70\r\n"},
        {"RETR 2\r\n", "-ERR [SYS/PERM] That message was removed in another session\r\n"},
        {"LIST 2\r\n", "+OK 2 33\r\n"},
        {"DELE 2\r\n", "+OK Will be removed at QUIT\r\n"},
        {"QUIT\r\n", "+OK Goodbye\r\n"},
    };
    three_messages();
    struct fake_client *one = enter(), *other = enter();
    assert_str(say(one, "DELE 2\r\nQUIT\r\n"),
               STR("+OK Will be removed at QUIT\r\n+OK Goodbye\r\n"));
    box_add(&stage, STR("new\r\n"), 0);
    CONVERSE(other, lines);
    fake_client_done(one);
    leave(other);
    other = enter();
    assert_str(say(other, "STAT\r\n"), STR("+OK 3 42\r\n"));
    leave(other);
}

static void who_does_not_quit_removes_nothing(void **state)
{
    (void)state;
    three_messages();
    struct fake_client *client = enter();
    assert_str(say(client, "DELE 1\r\nQUI"), STR("+OK Will be removed at QUIT\r\n"));
    leave(client);
    client = enter();
    say(client, "DELE 1\r\n");
    fake_client_reset(client);
    box_settle(&stage);
    leave(client);
    client = enter();
    say(client, "DELE 1\r\n");
    box_pass(&stage, 601 * NS_PER_SECOND);
    assert_str(say(client, ""), str_make("", 0));
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    leave(client);
    assert_int_equal(stage.core.expunges, 0);
}

static void many_messages(size_t count)
{
    for (size_t i = 0; i < count; i++)
        box_add(&stage, STR("P: x\r\n\r\ntext\r\n"), 6);
}

static void mark(struct fake_client *client, size_t from, size_t until)
{
    char command[32];
    for (size_t i = from; i <= until; i++) {
        (void)snprintf(command, sizeof(command), "DELE %zu\r\n", i);
        assert_true(str_starts(say(client, command), STR("+OK")));
    }
}

static void all_or_none(void **state)
{
    (void)state;
    many_messages(20100);
    struct fake_client *client = enter();
    mark(client, 1, 20000);
    stage.core.expunge_error = ERR_DISK_FULL;
    assert_str(say(client, "QUIT\r\n"), STR("-ERR [SYS/TEMP] The messages were not removed\r\n"));
    assert_false(stage.core.messages[0].gone);
    leave(client);
    client = enter();
    mark(client, 1, 20000);
    stage.core.expunge_error = ERR_NONE;
    assert_str(say(client, "QUIT\r\n"), STR("+OK Goodbye\r\n"));
    assert_int_equal(stage.core.expunges, 6);
    assert_true(stage.core.messages[19999].gone);
    assert_false(stage.core.messages[20000].gone);
    leave(client);
}

static void marks_have_a_limit(void **state)
{
    (void)state;
    many_messages(POP3_MARKED_MAX + 1);
    struct fake_client *client = enter();
    mark(client, 1, POP3_MARKED_MAX);
    assert_str(say(client, "DELE 20001\r\n"),
               STR("-ERR [SYS/TEMP] Too many to remove in one session; QUIT first\r\n"));
    assert_str(say(client, "RSET\r\nDELE 20001\r\n"),
               STR("+OK\r\n+OK Will be removed at QUIT\r\n"));
    leave(client);
}

/* --- Clients that do not read, cores that go --- */

static void a_client_that_does_not_read(void **state)
{
    (void)state;
    many_messages(100000);
    static char text[100 * SLAB_SIZE];
    memset(text, 'x', sizeof(text));
    stage.core.messages[0] = (struct box_message){
        .stored = str_make(text, sizeof(text)), .prefix = 6, .size = sizeof(text)};
    static const char *const commands[] = {"LIST\r\n", "UIDL\r\n", "RETR 1\r\n"};
    for (size_t i = 0; i < 3; i++) {
        struct fake_client *client = enter();
        fake_client_send(client, str_from(commands[i]));
        box_pass(&stage, 599 * NS_PER_SECOND);
        assert_int_equal(stage.edge.session_count, 1);
        assert_true(first_session()->stream.unsent < 3 * STREAM_OUT_SOFT);
        assert_int_equal(slabs_out(stage.edge.slabs), 0);
        /* What the kernel took counts as read. */
        box_pass(&stage, (2 + 65536 / POP3_READ_RATE) * NS_PER_SECOND);
        assert_int_equal(stage.edge.session_count, 0);
        leave(client);
    }
}

/* An octet now and then is not enough. */
static void a_client_that_drips(void **state)
{
    (void)state;
    static char text[100 * SLAB_SIZE];
    char some[16];
    memset(text, 'x', sizeof(text));
    box_add(&stage, str_make(text, sizeof(text)), 6);
    struct fake_client *client = enter();
    fake_client_send(client, STR("RETR 1\r\n"));
    int seconds = 0;
    while (stage.edge.session_count && seconds < 10000) {
        box_pass(&stage, 9 * NS_PER_SECOND);
        seconds += 9;
        (void)fake_client_recv(client, some, 1);
    }
    /* What lies in the kernel counts as taken. */
    assert_true(seconds < 600 + 2 * 65536 / POP3_READ_RATE + 60);
    leave(client);
}

/* No false end: the client sees that it did not get all. */
static void core_goes_in_the_middle(void **state)
{
    (void)state;
    static char text[40 * SLAB_SIZE];
    memset(text, 'x', sizeof(text));
    box_add(&stage, str_make(text, sizeof(text)), 6);
    for (int damaged = 0; damaged < 2; damaged++) {
        struct fake_client *client = enter();
        stage.core.dies_at = damaged ? 0 : stage.core.fetches + 3;
        stage.core.damaged_at = damaged ? stage.core.fetches + 3 : 0;
        struct str got = say(client, "RETR 1\r\n");
        assert_true(str_starts(got, STR("+OK 655360 octets\r\n")));
        assert_true(got.n < sizeof(text) && !str_ends(got, STR("\r\n.\r\n")));
        assert_true(fake_client_state(client) != FAKE_CLIENT_OPEN);
        leave(client);
        if (!damaged)
            box_core_start(&stage);
    }
}

/* The handle of a core that is gone may be somebody else's with the next one. */
static void another_core_is_not_asked(void **state)
{
    (void)state;
    three_messages();
    static const char *const commands[] = {"RETR 1\r\n", "TOP 1 0\r\n", "STAT\r\n",  "LIST\r\n",
                                           "UIDL 1\r\n", "NOOP\r\n",    "DELE 1\r\n"};
    struct fake_client *client;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        client = enter();
        box_core_die(&stage);
        box_core_start(&stage);
        assert_str(say(client, commands[i]),
                   STR("-ERR [SYS/TEMP] Internal connection lost; try again later\r\n"));
        assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
        leave(client);
    }
    client = enter();
    say(client, "DELE 1\r\n");
    box_core_die(&stage);
    box_core_start(&stage);
    assert_str(say(client, "QUIT\r\n"),
               STR("-ERR [SYS/TEMP] It is not known whether the messages were removed\r\n"));
    assert_int_equal(stage.core.fetches, 0);
    assert_int_equal(stage.core.expunges, 0);
    leave(client);
}

/* 40 readers want 160 slabs, and there are 64; some wait, none for ever. */
static void many_readers_share_the_slabs(void **state)
{
    (void)state;
    static char text[40 * SLAB_SIZE];
    struct fake_client *clients[40];
    memset(text, 'x', sizeof(text));
    box_add(&stage, str_make(text, sizeof(text)), 6);
    for (int i = 0; i < 40; i++)
        clients[i] = enter();
    for (int i = 0; i < 40; i++)
        fake_client_send(clients[i], STR("RETR 1\r\n"));
    for (int i = 0; i < 40; i++) {
        box_settle(&stage);
        buf_clear(&replies);
        box_receive(&stage, clients[i], &replies);
        assert_true(str_starts(buf_str(&replies), STR("+OK 655360 octets\r\nx")));
        assert_true(str_ends(buf_str(&replies), STR("x\r\n.\r\n")));
        assert_int_equal(replies.n, sizeof(text) + 19 + 5);
    }
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
    for (int i = 0; i < 40; i++)
        fake_client_done(clients[i]);
    box_settle(&stage);
}

static void an_idle_session_is_its_struct(void **state)
{
    (void)state;
    many_messages(10);
    struct fake_client *client = enter();
    const struct pop3_session *s = first_session();
    say(client, "RETR 1\r\n");
    assert_true(sizeof(*s) + sizeof(*s->base.client) <= IDLE_MAX);
    assert_null(s->stream.in);
    assert_true(TAILQ_EMPTY(&s->stream.out));
    assert_null(s->user);
    assert_int_equal(sizeof(*s->rows), 12);
    assert_int_equal(fiber_pool_running(stage.fibers), 0);
    leave(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, on_stage, off_stage)
    const struct CMUnitTest tests[] = {
        TEST(before_the_log_in),
        TEST(log_ins_that_fail),
        TEST(no_plain_text_from_afar),
        TEST(a_password_stays_in_no_buffer),
        TEST(behind_the_log_in),
        TEST(no_name_is_a_path),
        TEST(every_cut_is_the_same),
        TEST(long_lines_are_one_error),
        TEST(too_many_errors),
        TEST(sizes_around_slabs),
        TEST(every_text_in_every_split),
        TEST(tops_in_every_split),
        TEST(a_top_is_short),
        TEST(binary_parts_are_served_in_base64),
        TEST(a_view_is_frozen),
        TEST(who_does_not_quit_removes_nothing),
        TEST(all_or_none),
        TEST(marks_have_a_limit),
        TEST(a_client_that_does_not_read),
        TEST(a_client_that_drips),
        TEST(core_goes_in_the_middle),
        TEST(another_core_is_not_asked),
        TEST(many_readers_share_the_slabs),
        TEST(an_idle_session_is_its_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
