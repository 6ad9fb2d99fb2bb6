/*
 * A reader logs in, lists, reads some, marks some and quits, or goes away in the middle. As an
 * inspector it reads everything, and nothing may be denied to it.
 */
#include "sim.h"

#include "base/must.h"

enum {
    LINE_MOST = 200,
    TEXT_MOST = 2 * LETTER_SIZE_MAX, /* in base64 */
};

#define PATIENCE (12 * 60 * NS_PER_SECOND)

enum {
    STEP_USER,
    STEP_PASS,
    STEP_STAT,
    STEP_UIDL,
    STEP_LIST,
    STEP_ROWS,
    STEP_QUIT,
    STEP_END,
};

static struct oracle *oracle_of(struct reader *reader)
{
    return &reader->sim->oracle;
}

static struct str password_of(const struct reader *reader)
{
    if (reader->account < PEOPLE_FIRST_USER)
        return STR(PEOPLE_PASSWORD);
    return locksmith_password(&reader->sim->locksmith, reader->account - PEOPLE_FIRST_USER);
}

static int reader_number(const struct reader *reader)
{
    return (int)(reader - reader->sim->readers);
}

/* --- The end of a session -------------------------------------------------------------------- */

static struct str row_id(const struct reader *reader, size_t row)
{
    return str_from(reader->rows[row].id);
}

/* What was marked is gone, may be gone, or is there still. */
static void removal(struct reader *reader, enum known_state state)
{
    for (size_t i = 0; i < reader->row_count; i++)
        if (reader->rows[i].marked)
            oracle_removal(oracle_of(reader), reader->account, row_id(reader, i), state);
}

static void session_over(struct reader *reader, enum dialog_end how)
{
    struct sim *sim = reader->sim;
    sim_say(sim, "reader %d: %s", reader_number(reader),
            reader->finished ? "is done" : "is cut off");
    fake_event_clear(sim->fake, &reader->limit);
    dialog_end(&reader->dialog, how);
    buf_done(&reader->text);
    free(reader->rows);
    reader->rows = NULL;
    reader->row_count = reader->row_room = 0;
    if (reader->inspects && !reader->finished) {
        reader_start(reader, sim_now(sim) + NS_PER_SECOND);
    } else if (--reader->sessions_left > 0) {
        reader_start(reader, sim_now(sim) + (int64_t)sim_below(sim, 50 * NS_PER_MS));
    } else {
        reader->idle = true;
        sim_look_done(sim);
    }
}

static void limit_reached(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    session_over(event->arg, DIALOG_VANISHES);
}

/* --- Saying ---------------------------------------------------------------------------------- */

static void say(struct reader *reader, enum reader_asked kind, size_t row, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct reader *reader, enum reader_asked kind, size_t row, const char *format, ...)
{
    struct buf line = BUF_INIT(LINE_MOST);
    va_list args;
    va_start(args, format);
    must(buf_vprintf(&line, format, args));
    va_end(args);
    sim_say(reader->sim, "reader %d: %.*s", reader_number(reader), STR_FMT(buf_str(&line)));
    buf_put(&line, STR("\r\n"));
    dialog_say(&reader->dialog, buf_str(&line));
    buf_done(&line);
    size_t at = (reader->asked_first + reader->asked_count++) % ASKED_MAX;
    reader->asked[at].kind = kind;
    reader->asked[at].row = row;
}

static void say_row(struct reader *reader)
{
    if (reader->row_at == reader->row_count) {
        reader->step = STEP_QUIT;
        return;
    }
    size_t row = reader->row_at++;
    struct reader_row *of = &reader->rows[row];
    if (!reader->inspects && sim_below(reader->sim, 3) == 0)
        return;
    say(reader, READ_RETR, row, "RETR %zu", row + 1);
    if (reader->removes && !reader->inspects && sim_below(reader->sim, 2)) {
        of->marked = true; /* until the answers say otherwise */
        say(reader, READ_DELE, row, "DELE %zu", row + 1);
    }
}

static void say_quit(struct reader *reader)
{
    reader->step = STEP_END;
    if (!reader->quits && !reader->inspects) {
        session_over(reader, reader->drop_how);
        return;
    }
    for (size_t i = 0; i < reader->row_count; i++)
        reader->rows[i].marked = reader->rows[i].marked && reader->rows[i].read;
    removal(reader, KNOWN_DOOMED);
    say(reader, READ_QUIT, 0, "QUIT");
}

static void say_next(struct reader *reader)
{
    switch (reader->step) {
    case STEP_USER:
        say(reader, READ_PLAIN, 0, "USER %.*s", STR_FMT(people_accounts[reader->account]));
        break;
    case STEP_PASS:
        if (!reader->inspects && sim_below(reader->sim, 20) == 0) {
            say(reader, READ_WRONG_LOGIN, 0, "PASS wrong");
            reader->step = STEP_END;
            return;
        }
        reader->listing = oracle_listing(oracle_of(reader));
        say(reader, READ_LOGIN, 0, "PASS %.*s", STR_FMT(password_of(reader)));
        break;
    case STEP_STAT:
        say(reader, READ_STAT, 0, "STAT");
        break;
    case STEP_UIDL:
        say(reader, READ_UIDL, 0, "UIDL");
        break;
    case STEP_LIST:
        say(reader, READ_LIST, 0, "LIST");
        break;
    case STEP_ROWS:
        say_row(reader);
        return;
    case STEP_QUIT:
        say_quit(reader);
        return;
    default:
        return;
    }
    reader->step++;
}

/* The rows are known behind LIST; the marks, when all of their answers are there. */
static bool may_say(const struct reader *reader)
{
    if (reader->step == STEP_END || reader->asked_count > ASKED_MAX - 4)
        return false;
    if (reader->asked_count == 0)
        return true;
    if (!reader->pipelines || !reader->logged_in || reader->step == STEP_QUIT)
        return false;
    return reader->step < STEP_ROWS ||
           reader->asked[(reader->asked_first + reader->asked_count - 1) % ASKED_MAX].kind >=
               READ_RETR;
}

/* --- Hearing --------------------------------------------------------------------------------- */

static void wrong_reply(struct reader *reader, const char *to, struct str line)
{
    oracle_wrong(oracle_of(reader), "reader %d: the answer to %s is %.*s", reader_number(reader),
                 to, STR_FMT(line));
}

/* "3 12345" */
static bool row_parse(struct str line, uint64_t *number_r, struct str *rest_r)
{
    struct str number = str_cut(&line, ' ');
    *rest_r = line;
    return str_to_u64(number, number_r) && line.p;
}

static void uidl_line(struct reader *reader, struct str line)
{
    uint64_t number;
    struct str id;
    if (!row_parse(line, &number, &id) || number != reader->row_count + 1 || id.n > UNIQUE_ID_MAX) {
        wrong_reply(reader, "UIDL", line);
        return;
    }
    if (reader->row_count == reader->row_room) {
        reader->row_room = reader->row_room ? 2 * reader->row_room : 32;
        reader->rows = realloc(reader->rows, reader->row_room * sizeof(*reader->rows));
        must(reader->rows);
    }
    struct reader_row *row = &reader->rows[reader->row_count++];
    *row = (struct reader_row){.size = 0};
    memcpy(row->id, id.p, id.n);
    oracle_listed(oracle_of(reader), reader->account, id, reader->listing);
}

static void list_line(struct reader *reader, struct str line)
{
    uint64_t number, size;
    struct str text;
    if (!row_parse(line, &number, &text) || !str_to_u64(text, &size) || number < 1 ||
        number > reader->row_count) {
        wrong_reply(reader, "LIST", line);
        return;
    }
    reader->rows[number - 1].size = size;
    reader->stat_count--;
    reader->stat_octets -= size;
}

static void text_line(struct reader *reader, struct str line)
{
    if (line.n && line.p[0] == '.')
        line = str_from_index(line, 1);
    buf_put(&reader->text, line);
    buf_put(&reader->text, STR("\r\n"));
}

static void text_end(struct reader *reader, enum reader_asked kind, size_t row)
{
    if (kind == READ_LIST && (reader->stat_count || reader->stat_octets))
        oracle_wrong(oracle_of(reader), "reader %d: STAT and LIST differ", reader_number(reader));
    if (kind != READ_RETR)
        return;
    struct str text = buf_str(&reader->text);
    uint64_t size = reader->rows[row].size;
    /* A message that does not end its last line is served with an end. */
    if (text.n != size && text.n != size + 2)
        oracle_wrong(oracle_of(reader), "reader %d: %s has %zu octets, and was listed with %llu",
                     reader_number(reader), reader->rows[row].id, text.n, (unsigned long long)size);
    reader->rows[row].read = true;
    oracle_read(oracle_of(reader), reader->account, row_id(reader, row), text);
}

/* Of a command that may fail only because core is away, or the message was removed meanwhile. */
static void heard_no(struct reader *reader, enum reader_asked kind, struct str line)
{
    bool later = str_find(line, STR("[SYS/TEMP]")) >= 0;
    bool removed = kind == READ_RETR && str_find(line, STR("[SYS/PERM]")) >= 0;
    bool troubled = reader->sim->house.roles[HOUSE_CORE].deaths > 0 || reader->sim->plan.disk;
    if (reader->account == PEOPLE_LEAVER && !reader->inspects)
        return;
    if (kind == READ_WRONG_LOGIN || (removed && !reader->inspects) || (later && troubled))
        return;
    if (kind == READ_DELE || kind == READ_QUIT || reader->sim->house.roles[HOUSE_CORE].deaths)
        return;
    wrong_reply(reader, "a command", line);
}

static void heard_yes(struct reader *reader, enum reader_asked kind, struct str line)
{
    if (kind == READ_WRONG_LOGIN)
        wrong_reply(reader, "a wrong password", line);
    if (kind == READ_LOGIN)
        reader->logged_in = true;
    if (kind == READ_STAT) {
        struct str rest = str_from_index(line, STR("+OK ").n);
        if (!str_to_u64(str_cut(&rest, ' '), &reader->stat_count) ||
            !str_to_u64(rest, &reader->stat_octets))
            wrong_reply(reader, "STAT", line);
    }
    if (kind == READ_QUIT) {
        removal(reader, KNOWN_GONE);
        reader->finished = true;
    }
}

static void heard(struct reader *reader, struct str line)
{
    enum reader_asked kind = reader->asked[reader->asked_first].kind;
    size_t row = reader->asked[reader->asked_first].row;
    if (reader->in_text) {
        reader->in_text = !str_eq(line, STR("."));
        if (!reader->in_text)
            text_end(reader, kind, row);
        else if (kind == READ_UIDL)
            uidl_line(reader, line);
        else if (kind == READ_LIST)
            list_line(reader, line);
        else
            text_line(reader, line);
    } else {
        bool yes = str_starts(line, STR("+OK"));
        sim_say(reader->sim, "reader %d:     %.*s", reader_number(reader), STR_FMT(line));
        if (!yes && !str_starts(line, STR("-ERR")))
            wrong_reply(reader, "something", line);
        reader->in_text = yes && (kind == READ_UIDL || kind == READ_LIST || kind == READ_RETR);
        buf_clear(&reader->text);
        if (yes)
            heard_yes(reader, kind, line);
        else
            heard_no(reader, kind, line);
        if (!yes && kind < READ_RETR)
            reader->step = STEP_END;
    }
    if (!reader->in_text) {
        reader->asked_first = (reader->asked_first + 1) % ASKED_MAX;
        reader->asked_count--;
    }
}

static void changed(struct fake_client *client, void *arg)
{
    (void)client;
    struct reader *reader = arg;
    struct str line;
    if (reader->freezes && reader->dialog.spoken >= reader->drop_at)
        return; /* a window of zero, until the server or the reader has enough */
    fake_event_set(reader->sim->fake, &reader->limit, sim_now(reader->sim) + PATIENCE);
    dialog_pull(&reader->dialog);
    dialog_push(&reader->dialog);
    while (dialog_line(&reader->dialog, &line)) {
        if (reader->asked_count == 0) {
            /* Who comes and goes may be put out between two commands. */
            if (reader->account != PEOPLE_LEAVER || str_find(line, STR("log-in is over")) < 0)
                wrong_reply(reader, "nothing", line);
            session_over(reader, DIALOG_RESETS);
            return;
        }
        heard(reader, line);
    }
    while (reader->dialog.client && may_say(reader)) {
        say_next(reader);
        if (reader->dialog.client)
            dialog_push(&reader->dialog);
    }
    if (!reader->dialog.client)
        return;
    if (reader->drops && !reader->freezes && reader->dialog.spoken >= reader->drop_at)
        session_over(reader, reader->drop_how);
    else if (dialog_is_over(&reader->dialog) ||
             (reader->step == STEP_END && reader->asked_count == 0))
        session_over(reader, DIALOG_CLOSES);
}

/* --- Sessions -------------------------------------------------------------------------------- */

static void session_plan(struct reader *reader)
{
    struct sim *sim = reader->sim;
    reader->asked_first = reader->asked_count = 0;
    reader->row_at = 0;
    reader->step = STEP_USER;
    reader->in_text = reader->logged_in = reader->finished = false;
    reader->drops = reader->freezes = false;
    reader->pipelines = sim_below(sim, 2);
    buf_init(&reader->text, TEXT_MOST);
    if (reader->inspects)
        return;
    reader->account = (int)sim_below(sim, PEOPLE_FIRST_USER);
    reader->removes = sim_below(sim, 3) == 0;
    reader->quits = sim_below(sim, 5) != 0;
    reader->drop_how = (enum dialog_end)sim_below(sim, 3);
    reader->drops = sim->plan.drops && sim_below(sim, 4) == 0;
    reader->freezes = reader->drops && sim_below(sim, 4) == 0;
    reader->drop_at = sim_below(sim, 300);
}

static void wake(struct fake_world *fake, struct fake_event *event)
{
    struct reader *reader = event->arg;
    session_plan(reader);
    if (!dialog_open(&reader->dialog, fake, "pop3", "192.0.2.100", changed, reader)) {
        session_over(reader, DIALOG_CLOSES);
        return;
    }
    reader->sim->sessions++;
    sim_say(reader->sim, "reader %d: connects", reader_number(reader));
    reader->asked[0].kind = READ_GREETING;
    reader->asked_count = 1;
    fake_event_set(fake, &reader->limit, sim_now(reader->sim) + PATIENCE);
}

void reader_start(struct reader *reader, int64_t at)
{
    reader->idle = false;
    fake_event_set(reader->sim->fake, &reader->wake, at);
}

void reader_open(struct reader *reader, struct sim *sim)
{
    *reader = (struct reader){.sim = sim, .idle = true};
    reader->wake = (struct fake_event){.run = wake, .arg = reader};
    reader->limit = (struct fake_event){.run = limit_reached, .arg = reader};
}

void reader_close(struct reader *reader)
{
    dialog_end(&reader->dialog, DIALOG_CLOSES);
    buf_done(&reader->text);
    free(reader->rows);
}
