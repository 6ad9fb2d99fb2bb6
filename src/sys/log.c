/*
 * A line is built on the stack and handed over whole, so a crash never leaves half of one and a
 * full heap can still be logged. Bare words where they suffice: `id=7Q2 size=12` is read and
 * grepped more often than it is parsed, and both logfmt parsers and people take either form.
 *
 * The burst limit counts by event name: one noisy event (a scanner's refused log-ins) must not
 * silence the others.
 */
#include "sys/log.h"

#include "base/buf.h"

static const char *const words[] = {[LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_FAIL] = "fail"};

void log_init(struct log *log, struct world *world, const char *role)
{
    must_be(world, WORLD_MAGIC);
    *log = (struct log){.world = world, .role = role, .second = INT64_MIN};
}

struct date {
    int64_t year;
    int64_t month, day; /* from 1 */
};

/* Proleptic Gregorian. Years begin in March here, so that the leap day is a year's last. */
static struct date date_of_day(int64_t day_since_1970)
{
    enum {
        DAYS_TO_1970 = 719468, /* from 1 March of year 0 */
        DAYS_4Y = 1461,
        DAYS_100Y = 36524,
        DAYS_400Y = 146097
    };
    int64_t day = day_since_1970 + DAYS_TO_1970;
    int64_t eras = day / DAYS_400Y;
    day %= DAYS_400Y;
    int64_t centuries = day / DAYS_100Y < 3 ? day / DAYS_100Y : 3;
    day -= centuries * DAYS_100Y;
    int64_t fours = day / DAYS_4Y;
    day %= DAYS_4Y;
    int64_t years = day / 365 < 3 ? day / 365 : 3;
    day -= years * 365;
    /* March to January have 31, 30, 31, 30, 31 days and again: 153 in five months. */
    int64_t month = (5 * day + 2) / 153;
    struct date date = {.year = eras * 400 + centuries * 100 + fours * 4 + years,
                        .month = month + 3,
                        .day = day - (153 * month + 2) / 5 + 1};
    if (date.month > 12) {
        date.month -= 12;
        date.year++;
    }
    return date;
}

/* A clock before 1970 is shown as 1970: it says the same. */
static void put_time(struct buf *line, int64_t wall)
{
    if (wall < 0)
        wall = 0;
    int64_t second = wall / US_PER_SECOND;
    int64_t of_day = second % 86400;
    struct date date = date_of_day(second / 86400);
    buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (int)date.year, (int)date.month,
               (int)date.day, (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60),
               (int)(wall % US_PER_SECOND));
}

static bool is_bare(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=')
            return false;
    }
    return text.n > 0 && text.n <= LOG_VALUE_LIMIT;
}

static void put_text(struct buf *line, struct str text)
{
    if (is_bare(text)) {
        buf_put(line, text);
        return;
    }
    buf_putc(line, '"');
    buf_put_escaped(line, text, LOG_VALUE_LIMIT);
    buf_putc(line, '"');
}

static bool put_field(struct buf *line, const struct log_field *field)
{
    size_t before = line->n;
    buf_putc(line, ' ');
    buf_put(line, str_from(field->key));
    buf_putc(line, '=');
    if (field->kind == LOG_FIELD_U64)
        buf_put_u64(line, field->number);
    else
        put_text(line, field->text);
    if (!buf_over(line))
        return true;
    buf_cut(line, before);
    line->over = false;
    return false;
}

static void write_line(struct log *log, enum log_word word, const char *event,
                       const struct log_field *fields, size_t count)
{
    static const struct str end = STR_INIT("\n"), cut_end = STR_INIT(" cut=1\n");
    char text[LOG_LINE_LIMIT];
    /* A full buf over our own bytes: it never grows, so it never asks for memory. */
    struct buf line = {.p = text, .cap = sizeof(text), .max = sizeof(text) - cut_end.n};
    put_time(&line, world_wall(log->world));
    buf_printf(&line, " %s %s %s", words[word], log->role, event);
    bool cut = false;
    for (size_t i = 0; i < count; i++)
        if (!put_field(&line, &fields[i]))
            cut = true;
    line.max = sizeof(text);
    buf_put(&line, cut ? cut_end : end);
    log->world->ops->log_line(log->world, word, buf_str(&line));
}

static struct log_count *count_of(struct log *log, const char *event)
{
    size_t i = 0;
    while (i < LOG_EVENTS - 1 && log->counts[i].event && strcmp(log->counts[i].event, event) != 0)
        i++;
    if (!log->counts[i].event)
        log->counts[i].event = i < LOG_EVENTS - 1 ? event : "others";
    return &log->counts[i];
}

static void new_second(struct log *log, int64_t second)
{
    for (size_t i = 0; i < LOG_EVENTS; i++) {
        struct log_count *c = &log->counts[i];
        if (c->left_out > 0) {
            struct log_field fields[] = {log_str("event", str_from(c->event)),
                                         log_u64("lines", c->left_out)};
            write_line(log, LOG_WARN, "left-out", fields, 2);
        }
        *c = (struct log_count){.event = NULL};
    }
    log->second = second;
}

void log_fields(struct log *log, enum log_word word, const char *event,
                const struct log_field *fields, size_t count)
{
    must(word >= LOG_INFO && word <= LOG_FAIL);
    if (word < log->least)
        return;
    int64_t second = world_mono(log->world) / NS_PER_SECOND;
    if (second != log->second)
        new_second(log, second);
    struct log_count *c = count_of(log, event);
    if (c->lines == LOG_BURST) {
        c->left_out++;
        return;
    }
    c->lines++;
    write_line(log, word, event, fields, count);
}

static enum log_word word_named(const char *name)
{
    for (enum log_word word = LOG_INFO; word < LOG_FAIL; word++)
        if (strcmp(words[word], name) == 0)
            return word;
    return LOG_FAIL;
}

void log_err(struct log *log, const char *event, struct err e)
{
    const struct err_row *row = err_row(e.code);
    struct log_field fields[3];
    size_t count = 0;
    fields[count++] = log_str("error", str_from(row->name));
    const char *os = e.os ? strerrordesc_np(e.os) : NULL;
    if (os)
        fields[count++] = log_str("os", str_from(os));
    if (e.detail.n > 0)
        fields[count++] = log_str("detail", e.detail);
    log_fields(log, word_named(row->word), event, fields, count);
}
