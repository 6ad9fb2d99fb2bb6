/*
 * Reports are read as any mail program would (RFC 3464): the second part's fields, whoever they say
 * it of.
 */
#include "base/must.h"
#include "format/message_id.h"
#include "internet.h"
#include "sim.h"

void returns_open(struct returns *returns, struct sim *sim)
{
    *returns = (struct returns){.sim = sim};
    sim->oracle.returns = returns;
}

void returns_close(struct returns *returns)
{
    free(returns->rows);
}

/* --- Reading --------------------------------------------------------------------------------- */

bool returns_is_report(struct str text)
{
    ssize_t end = str_find(text, STR("\r\n\r\n"));
    return end >= 0 &&
           str_find(str_head(text, (size_t)end), STR("report-type=delivery-status")) >= 0;
}

static uint64_t id_at(struct str text, struct str words)
{
    uint64_t id = 0;
    ssize_t at = str_find(text, words);
    if (at >= 0)
        (void)message_id_parse(
            str_head(str_from_index(text, (size_t)at + words.n), MESSAGE_ID_TEXT), &id);
    return id;
}

uint64_t returns_id(struct str text)
{
    return id_at(text, STR("\r\nMessage-ID: <"));
}

static enum return_action action_of(struct str word)
{
    static const struct str words[RETURN_ACTIONS] = {
        [RETURN_FAILED] = STR_INIT("failed"),       [RETURN_DELAYED] = STR_INIT("delayed"),
        [RETURN_RELAYED] = STR_INIT("relayed"),     [RETURN_EXPANDED] = STR_INIT("expanded"),
        [RETURN_DELIVERED] = STR_INIT("delivered"),
    };
    enum return_action action = RETURN_FAILED;
    while (action < RETURN_ACTIONS && !str_eq(word, words[action]))
        action++;
    return action;
}

static void row_add(struct returns *returns, const struct returned *row)
{
    for (size_t i = 0; i < returns->count; i++) {
        const struct returned *other = &returns->rows[i];
        if (other->report == row->report && other->action == row->action &&
            str_eq(str_from(other->recipient), str_from(row->recipient)))
            return;
    }
    struct fake_memory *charged = fake_memory_charge(NULL); /* a role may be looking */
    if (returns->count == returns->room) {
        returns->room = returns->room ? 2 * returns->room : 64;
        returns->rows = realloc(returns->rows, returns->room * sizeof(returns->rows[0]));
        must(returns->rows);
    }
    returns->rows[returns->count++] = *row;
    fake_memory_charge(charged);
    sim_say(returns->sim, "report: action %d about %s", (int)row->action, row->recipient);
}

static void address_copy(char to[SITE_ADDRESS_MAX], struct str from)
{
    size_t n = from.n < SITE_ADDRESS_MAX ? from.n : SITE_ADDRESS_MAX - 1;
    memcpy(to, from.p, n);
    to[n] = '\0';
}

void returns_read(struct returns *returns, struct str text, int account)
{
    static const struct str final = STR_INIT("Final-Recipient: rfc822; "),
                            does = STR_INIT("Action: ");
    struct oracle *oracle = &returns->sim->oracle;
    struct returned row = {.report = returns_id(text), .account = account};
    ssize_t at = str_find(text, STR("\r\nReporting-MTA: "));
    struct str rest = at < 0 ? str_null() : str_from_index(text, (size_t)at + 2);
    size_t found = 0;
    row.about = id_at(rest, STR("\r\nX-Veredus-Queue-Id: "));
    while (rest.n) {
        struct str line = str_cut(&rest, '\n');
        if (str_ends(line, STR("\r")))
            line = str_head(line, line.n - 1);
        if (str_starts(line, STR("--")))
            break;
        if (str_starts(line, final))
            address_copy(row.recipient, str_from_index(line, final.n));
        if (!str_starts(line, does))
            continue;
        row.action = action_of(str_from_index(line, does.n));
        row_add(returns, &row);
        found++;
    }
    if (!found || !row.about || !row.report)
        oracle_wrong(oracle, "a strange report: %.*s", STR_FMT(str_head(text, 1500)));
}
