/*
 * Hosts are sites that take what is anybody's (internet.c). One set has a user's own smart host,
 * one with limits that are met in most runs, and hosts in order, of which the first is dead for the
 * most part. The other one changes each of them, or leaves it out.
 */
#include "routes.h"

#include "base/must.h"

static const struct route_row sets[ROUTE_SETS][ROUTES_MOST + 1] = {
    {{.name = NULL}},
    {{.name = "olga", .account = "olga@else.test", .hosts = {"relay.smart.test"}},
     {.name = "tight",
      .to = {"limit.test", "old.test"},
      .hosts = {"relay.tight.test"},
      .per_message = 2,
      .recipients_per_hour = 3},
     {.name = "order", .to = {"closing.test"}, .hosts = {"first.smart.test", "second.smart.test"}}},
    {{.name = "reports", .from = "<>", .hosts = {"relay.smart.test"}},
     {.name = "olga", .from = "else.test", .hosts = {"second.smart.test"}},
     {.name = "tight",
      .to = {"limit.test", "grey.test"},
      .hosts = {"relay.tight.test"},
      .per_message = 1,
      .recipients_per_hour = 4,
      .messages_per_hour = 4}},
};

/* --- As a configuration ---------------------------------------------------------------------- */

static void list_print(struct buf *to, const char *setting, const char *const *texts,
                       const char *port)
{
    if (!texts[0])
        return;
    buf_printf(to, "    %s = {", setting);
    for (size_t i = 0; i < ROUTE_PLACES && texts[i]; i++)
        buf_printf(to, " \"%s%s\"", texts[i], port);
    buf_printf(to, " }\n");
}

static void number_print(struct buf *to, const char *setting, uint64_t number)
{
    if (number)
        buf_printf(to, "    %s = %llu\n", setting, (unsigned long long)number);
}

static void row_print(struct buf *to, const struct route_row *row)
{
    buf_printf(to, "route \"%s\" {\n", row->name);
    if (row->account)
        buf_printf(to, "    accounts = \"%s\"\n", row->account);
    if (row->from)
        buf_printf(to, "    from = \"%s\"\n", row->from);
    list_print(to, "to", row->to, "");
    list_print(to, "via", row->hosts, ":25");
    number_print(to, "recipients_per_message", row->per_message);
    number_print(to, "recipients_per_hour", row->recipients_per_hour);
    number_print(to, "messages_per_hour", row->messages_per_hour);
    buf_printf(to, "}\n");
}

void routes_print(size_t set, struct buf *to)
{
    must(set < ROUTE_SETS);
    for (const struct route_row *row = sets[set]; row->name; row++)
        row_print(to, row);
}

/* --- Which one ------------------------------------------------------------------------------- */

static bool is_among(const char *const *texts, struct str text)
{
    for (size_t i = 0; i < ROUTE_PLACES && texts[i]; i++)
        if (str_eq(str_from(texts[i]), text))
            return true;
    return false;
}

static bool is_from(const char *from, struct str sender)
{
    if (str_eq(str_from(from), STR("<>")) || sender.n == 0)
        return str_eq(str_from(from), STR("<>")) && sender.n == 0;
    return str_eq(str_from_index(sender, (size_t)(str_index(sender, '@') + 1)), str_from(from));
}

static bool holds(const struct route_row *row, const struct route_mail *mail)
{
    return (!row->account || str_eq(str_from(row->account), mail->account)) &&
           (!row->from || is_from(row->from, mail->from)) &&
           (!row->to[0] || is_among(row->to, mail->domain));
}

const struct route_row *route_of(size_t set, const struct route_mail *mail)
{
    for (const struct route_row *row = sets[set]; row->name; row++)
        if (holds(row, mail))
            return row;
    return NULL;
}

bool route_leads_to(const struct route_row *row, struct str host)
{
    return is_among(row->hosts, host);
}

const struct route_row *route_to(size_t set, struct str host)
{
    for (const struct route_row *row = sets[set]; row->name; row++)
        if (route_leads_to(row, host))
            return row;
    return NULL;
}

bool routes_name(struct str domain)
{
    for (size_t set = 0; set < ROUTE_SETS; set++)
        for (const struct route_row *row = sets[set]; row->name; row++)
            if (is_among(row->to, domain))
                return true;
    return false;
}
