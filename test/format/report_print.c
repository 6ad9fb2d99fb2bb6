/*
 * test_report_print: builds one delivery report from what it reads, for tests that read it with
 * other parsers (test_reports.py). Lines "key hexadecimal"; "recipient" begins another one. Prints
 * "eight_bit utf8" on a line of its own, then the report.
 */
#include "base/must.h"
#include "format/dsn.h"
#include "key_lines.h"

enum {
    ARENA = 256 << 20,
    RECIPIENTS_MOST = 5000,
};

struct reading {
    struct dsn dsn;
    struct dsn_recipient recipients[RECIPIENTS_MOST];
    struct arena arena;
};

static bool text_take(struct reading *reading, struct str key, struct str value)
{
    struct dsn *dsn = &reading->dsn;
    struct dsn_recipient *recipient =
        &reading->recipients[dsn->recipient_count ? dsn->recipient_count - 1 : 0];
    const struct {
        struct str key;
        struct str *to;
    } texts[] = {
        {STR("host"), &dsn->host},
        {STR("postmaster"), &dsn->postmaster},
        {STR("to"), &dsn->to},
        {STR("message_id"), &dsn->message_id},
        {STR("queue_id"), &dsn->queue_id},
        {STR("envid"), &dsn->envid},
        {STR("header"), &dsn->original.header},
        {STR("body"), &dsn->original.body},
        {STR("original"), &recipient->original},
        {STR("final"), &recipient->final},
        {STR("remote"), &recipient->remote},
        {STR("text"), &recipient->text},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!str_eq(texts[i].key, key))
            continue;
        *texts[i].to = value;
        return true;
    }
    return false;
}

static void number_take(struct reading *reading, struct str key, uint64_t n)
{
    struct dsn *dsn = &reading->dsn;
    struct dsn_recipient *recipient =
        &reading->recipients[dsn->recipient_count ? dsn->recipient_count - 1 : 0];
    if (str_eq(key, STR("language")))
        dsn->language = (enum language)n;
    else if (str_eq(key, STR("zone")))
        dsn->zone = (int)n;
    else if (str_eq(key, STR("arrival")))
        dsn->arrival = (int64_t)n;
    else if (str_eq(key, STR("utf8")))
        dsn->original.utf8 = n;
    else if (str_eq(key, STR("reads_utf8")))
        dsn->reads_utf8 = n;
    else if (str_eq(key, STR("double_bounce")))
        dsn->double_bounce = n;
    else if (str_eq(key, STR("action")))
        recipient->action = (enum dsn_action)n;
    else if (str_eq(key, STR("code")))
        recipient->code = (unsigned)n;
    else if (str_eq(key, STR("cause")))
        recipient->cause = (enum dsn_cause)n;
    else if (str_eq(key, STR("status")))
        recipient->status = (struct status_code){(uint8_t)(n / 1000000),
                                                 (uint16_t)(n / 1000 % 1000), (uint16_t)(n % 1000)};
    else if (str_eq(key, STR("last_attempt")))
        recipient->last_attempt = (int64_t)n;
    else if (str_eq(key, STR("retry_until")))
        recipient->retry_until = (int64_t)n;
    else
        must(key.n == 0);
}

static void line_take(struct reading *reading, struct str key, struct str value)
{
    if (str_eq(key, STR("recipient"))) {
        must(reading->dsn.recipient_count < RECIPIENTS_MOST);
        reading->dsn.recipient_count++;
    } else if (!text_take(reading, key, key_line_text(&reading->arena, value))) {
        number_take(reading, key, key_line_number(value));
    }
}

int main(void)
{
    static char line[KEY_LINE_MOST];
    static struct reading reading = {.dsn = {.time = 1795320000}};
    struct buf out = BUF_INIT(ARENA);
    struct dsn_made made;
    struct str key, value;
    reading.dsn.recipients = reading.recipients;
    arena_init(&reading.arena, ARENA);
    while (key_line_next(line, &key, &value))
        line_take(&reading, key, value);
    must(!err_is(dsn_print(&reading.dsn, &reading.arena, &out, &made)));
    printf("%d %d\n", made.eight_bit, made.utf8);
    must(fwrite(out.p, 1, out.n, stdout) == out.n);
    buf_done(&out);
    arena_done(&reading.arena);
    return 0;
}
