/*
 * One client on the stage (stage_test.h), for test programs: what it says and what it must hear.
 */
#ifndef EDGE_POP3_CLIENT_TEST_H
#define EDGE_POP3_CLIENT_TEST_H

#include "base/must.h"
#include "base/test.h"
#include "edge/pop3/stage_test.h"

enum {
    REPLIES_MAX = 64 << 20,
};

#define LOCAL "127.0.0.1"
#define ENTER "USER bob\r\nPASS secret\r\n"
#define ENTERED "+OK Send PASS\r\n+OK Logged in\r\n"

static struct box_stage stage;
static struct buf replies;

static inline int on_stage(void **state)
{
    (void)state;
    box_open(&stage, "", NULL, 1);
    buf_init(&replies, REPLIES_MAX);
    return 0;
}

static inline int off_stage(void **state)
{
    (void)state;
    box_close(&stage);
    buf_done(&replies);
    return 0;
}

static inline struct str say(struct fake_client *client, const char *text)
{
    buf_clear(&replies);
    box_send(&stage, client, str_from(text), SIZE_MAX, &replies);
    return buf_str(&replies);
}

/* Connected, and past the greeting. */
static inline struct fake_client *come(void)
{
    struct fake_client *client = box_connect(&stage, LOCAL);
    assert_str(say(client, ""), STR("+OK Veredus ready\r\n"));
    return client;
}

static inline struct fake_client *enter(void)
{
    struct fake_client *client = come();
    assert_str(say(client, ENTER), STR(ENTERED));
    return client;
}

static inline void leave(struct fake_client *client)
{
    fake_client_done(client);
    box_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
}

/* What RETR must say, told in the plainest way. */
static inline void stuffed(struct str stored, struct buf *to)
{
    bool line_begins = true;
    for (size_t i = 0; i < stored.n; i++) {
        if (line_begins && stored.p[i] == '.')
            buf_put(to, STR("."));
        buf_put(to, str_make(stored.p + i, 1));
        line_begins = i > 0 && stored.p[i] == '\n' && stored.p[i - 1] == '\r';
    }
    if (!line_begins)
        buf_put(to, STR("\r\n"));
    buf_put(to, STR(".\r\n"));
}

/* What follows the first line of the answer. */
static inline struct str body_of(struct str answer)
{
    ssize_t end = str_find(answer, STR("\r\n"));
    assert_true(str_starts(answer, STR("+OK")) && end > 0);
    return str_from_index(answer, (size_t)end + 2);
}

static inline void expect_message(struct fake_client *client, const char *command,
                                  struct str stored)
{
    struct buf expected = BUF_INIT(REPLIES_MAX);
    stuffed(stored, &expected);
    struct str got = body_of(say(client, command));
    assert_int_equal(got.n, expected.n);
    assert_true(str_eq(got, buf_str(&expected)));
    buf_done(&expected);
}

static inline struct pop3_session *first_session(void)
{
    struct edge_session *session = TAILQ_FIRST(&stage.edge.sessions);
    return (struct pop3_session *)((char *)session - offsetof(struct pop3_session, base));
}

#endif
