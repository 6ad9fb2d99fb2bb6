#include "base/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "sys/log.h"

/* A world that has a clock and keeps its last lines. */
struct paper {
    struct world world;
    int64_t mono, wall;
    struct buf text;
    int lines, last_word;
};

static int64_t paper_mono(struct world *world)
{
    return ((struct paper *)world)->mono;
}

static int64_t paper_wall(struct world *world)
{
    return ((struct paper *)world)->wall;
}

static void paper_log_line(struct world *world, int word, struct str line)
{
    struct paper *p = (struct paper *)world;
    p->lines++;
    p->last_word = word;
    buf_clear(&p->text);
    buf_put(&p->text, line);
}

static const struct world_ops paper_ops = {
    .mono = paper_mono, .wall = paper_wall, .log_line = paper_log_line};

static void paper_open(struct paper *p, struct log *log)
{
    *p = (struct paper){.world = {WORLD_MAGIC, &paper_ops}, .text = BUF_INIT(1 << 20)};
    log_init(log, &p->world, "edge");
}

static void a_line_has_time_word_role_event_and_values(void **state)
{
    (void)state;
    struct paper p;
    struct log log;
    paper_open(&p, &log);
    p.wall = INT64_C(1709210096000042);
    log_event(&log, LOG_INFO, "accepted", log_str("id", STR("7Q2")), log_u64("size", 12),
              log_str("from", STR("a b")), log_str("none", STR("")));
    assert_str(buf_str(&p.text),
               STR("2024-02-29T12:34:56.000042Z info edge accepted id=7Q2 size=12 "
                   "from=\"a b\" none=\"\"\n"));
    assert_int_equal(p.last_word, LOG_INFO);
    buf_done(&p.text);
}

static void dates_are_right_at_their_edges(void **state)
{
    (void)state;
    static const struct {
        int64_t second;
        struct str shown;
    } rows[] = {
        {0, STR_INIT("1970-01-01T00:00:00.000000Z")},
        {951782399, STR_INIT("2000-02-28T23:59:59.000000Z")},
        {951782400, STR_INIT("2000-02-29T00:00:00.000000Z")},
        {951868800, STR_INIT("2000-03-01T00:00:00.000000Z")},
        {978307199, STR_INIT("2000-12-31T23:59:59.000000Z")},
        {1735689600, STR_INIT("2025-01-01T00:00:00.000000Z")},
        {4107542400, STR_INIT("2100-03-01T00:00:00.000000Z")},
        {4107542399, STR_INIT("2100-02-28T23:59:59.000000Z")},
        {-1, STR_INIT("1970-01-01T00:00:00.000000Z")},
    };
    struct paper p;
    struct log log;
    paper_open(&p, &log);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        p.wall = rows[i].second * US_PER_SECOND;
        log_event(&log, LOG_INFO, "x", log_u64("i", i));
        assert_str(str_head(buf_str(&p.text), rows[i].shown.n), rows[i].shown);
    }
    buf_done(&p.text);
}

/* Every day of four centuries against the calendar's own rules. */
static void dates_count_like_a_calendar(void **state)
{
    (void)state;
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct paper p;
    struct log log;
    paper_open(&p, &log);
    int year = 1970, month = 1, day = 1;
    for (int64_t n = 0; n < 146097; n++) {
        char expected[40];
        snprintf(expected, sizeof(expected), "%04d-%02d-%02dT", year, month, day);
        p.wall = n * 86400 * US_PER_SECOND;
        p.mono += NS_PER_SECOND;
        log_fields(&log, LOG_INFO, "x", NULL, 0);
        assert_memory_equal(p.text.p, expected, 11);
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if (++day > days[month - 1] + (month == 2 && leap)) {
            day = 1;
            if (++month > 12) {
                month = 1;
                year++;
            }
        }
    }
    buf_done(&p.text);
}

/* Catalogue S28 */
static void one_event_is_one_line_whatever_the_text(void **state)
{
    (void)state;
    struct paper p;
    struct log log;
    paper_open(&p, &log);
    struct str evil =
        STR("x\"\r\n2026-01-01T00:00:00Z info core forged id=1\0\x1b[2J\xc2\x85\u2028");
    log_event(&log, LOG_WARN, "helo", log_str("name", evil), log_str("q", STR("a\"b")),
              log_str("s", STR("a\\b")), log_str("a", STR("b=c")));
    struct str line = buf_str(&p.text);
    assert_int_equal(str_index(line, '\n'), (ssize_t)line.n - 1);
    assert_int_equal(str_index(line, '\r'), -1);
    assert_int_equal(str_index(line, '\0'), -1);
    assert_int_equal(str_index(line, '\x1b'), -1);
    assert_true(str_find(line, STR("name=\"x\\\"\\x0d\\x0a2026")) > 0);
    assert_true(str_ends(line, STR(" q=\"a\\\"b\" s=\"a\\\\b\" a=\"b=c\"\n")));
    buf_done(&p.text);
}

static void values_and_lines_are_cut_at_their_limits(void **state)
{
    (void)state;
    struct paper p;
    struct log log;
    paper_open(&p, &log);
    static char text[LOG_VALUE_LIMIT + 1];
    memset(text, 'a', sizeof(text));
    log_event(&log, LOG_INFO, "x", log_str("v", str_make(text, LOG_VALUE_LIMIT)));
    assert_true(str_find(buf_str(&p.text), STR("...")) < 0);
    log_event(&log, LOG_INFO, "x", log_str("v", str_make(text, LOG_VALUE_LIMIT + 1)));
    assert_true(str_ends(buf_str(&p.text), STR("aaa...\"\n")));

    memset(text, '\x01', sizeof(text)); /* four characters each when escaped */
    struct str wide = str_make(text, LOG_VALUE_LIMIT);
    log_event(&log, LOG_INFO, "x", log_str("a", wide), log_str("b", wide), log_u64("c", 3));
    assert_true(p.text.n <= LOG_LINE_LIMIT);
    assert_true(str_find(buf_str(&p.text), STR(" b=")) < 0);
    assert_true(str_ends(buf_str(&p.text), STR("\" c=3 cut=1\n")));
    buf_done(&p.text);
}

static void quieter_words_are_dropped(void **state)
{
    (void)state;
    struct paper p;
    struct log log;
    paper_open(&p, &log);
    log.least = LOG_WARN;
    log_event(&log, LOG_INFO, "x", log_u64("i", 1));
    assert_int_equal(p.lines, 0);
    log_event(&log, LOG_WARN, "x", log_u64("i", 1));
    log_event(&log, LOG_FAIL, "x", log_u64("i", 1));
    assert_int_equal(p.lines, 2);
    buf_done(&p.text);
}

static void a_noisy_event_is_counted_and_silences_no_other(void **state)
{
    (void)state;
    struct paper p;
    struct log log;
    paper_open(&p, &log);
    for (int i = 0; i < LOG_BURST + 7; i++)
        log_event(&log, LOG_INFO, "noisy", log_u64("i", 1));
    assert_int_equal(p.lines, LOG_BURST);
    log_event(&log, LOG_INFO, "quiet", log_u64("i", 1));
    assert_int_equal(p.lines, LOG_BURST + 1);
    p.mono += NS_PER_SECOND;
    log_fields(&log, LOG_INFO, "noisy", NULL, 0);
    assert_int_equal(p.lines, LOG_BURST + 3);
    assert_true(str_ends(buf_str(&p.text), STR("edge noisy\n")));
    p.lines = 0;
    for (int i = 0; i < LOG_BURST; i++)
        log_event(&log, LOG_INFO, "noisy", log_u64("i", 1));
    p.mono += NS_PER_SECOND;
    buf_clear(&p.text);
    log.least = LOG_WARN;
    log_event(&log, LOG_WARN, "quiet", log_u64("i", 1));
    assert_int_equal(p.lines, LOG_BURST - 1 + 2);
    buf_done(&p.text);
}

static void more_event_names_than_counts_share_the_last(void **state)
{
    (void)state;
    struct paper p;
    struct log log;
    paper_open(&p, &log);
    static char names[LOG_EVENTS + 10][8];
    for (int i = 0; i < LOG_EVENTS + 10; i++) {
        snprintf(names[i], sizeof(names[i]), "e%d", i);
        log_fields(&log, LOG_INFO, names[i], NULL, 0);
    }
    assert_int_equal(p.lines, LOG_EVENTS + 10);
    buf_done(&p.text);
}

static void an_error_tells_its_name_cause_and_detail(void **state)
{
    (void)state;
    struct paper p;
    struct log log;
    paper_open(&p, &log);
    log_err(&log, "segment", err_os(28, STR("log/7")));
    assert_true(
        str_ends(buf_str(&p.text), STR(" fail edge segment error=DISK_FULL os=\"No space left "
                                       "on device\" detail=log/7\n")));
    log_err(&log, "rcpt", err_make(ERR_MAILBOX_UNKNOWN));
    assert_true(str_ends(buf_str(&p.text), STR(" info edge rcpt error=MAILBOX_UNKNOWN\n")));
    buf_done(&p.text);
}

/* What reaches standard error, which is a pipe here. */
static struct str through_stderr(const char *journal, char *to, size_t cap)
{
    int ends[2], kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    struct stat st;
    fstat(STDERR_FILENO, &st);
    char here[64];
    snprintf(here, sizeof(here), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", journal ? journal : here, 1);
    int failed = world_real_log_to(world_real(), LOG_TO_STANDARD_ERROR);
    world_real()->ops->log_line(world_real(), LOG_WARN, STR("a line\n"));
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[1]);
    ssize_t n = read(ends[0], to, cap);
    close(ends[0]);
    unsetenv("JOURNAL_STREAM");
    world_real_log_to(world_real(), LOG_TO_STANDARD_ERROR);
    assert_true(failed == 0 && n >= 0);
    return str_make(to, (size_t)n);
}

static void the_journal_learns_the_priority(void **state)
{
    (void)state;
    char got[64];
    assert_str(through_stderr(NULL, got, sizeof(got)), STR("<4>a line\n"));
    assert_str(through_stderr("1:2", got, sizeof(got)), STR("a line\n"));
    assert_str(through_stderr("nonsense", got, sizeof(got)), STR("a line\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_word_role_event_and_values),
        cmocka_unit_test(dates_are_right_at_their_edges),
        cmocka_unit_test(dates_count_like_a_calendar),
        cmocka_unit_test(one_event_is_one_line_whatever_the_text),
        cmocka_unit_test(values_and_lines_are_cut_at_their_limits),
        cmocka_unit_test(quieter_words_are_dropped),
        cmocka_unit_test(a_noisy_event_is_counted_and_silences_no_other),
        cmocka_unit_test(more_event_names_than_counts_share_the_last),
        cmocka_unit_test(an_error_tells_its_name_cause_and_detail),
        cmocka_unit_test(the_journal_learns_the_priority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
