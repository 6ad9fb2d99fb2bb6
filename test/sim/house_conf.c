/* The configurations of the simulated house, as texts. Routes come behind each (routes.h). */
#include "base/must.h"
#include "house_inside.h"
#include "routes.h"

enum {
    CONF_TEXT = 4096,
};

#define CONFIGURATION(postmaster, limits)                                                          \
    "hostname = mx.example.test\n"                                                                 \
    "postmaster = " postmaster "\n"                                                                \
    "smtp {\n"                                                                                     \
    "    message_size = 1M\n"                                                                      \
    "    relay_from = { \"192.0.2.1\" \"192.0.2.2\" }\n"                                           \
    "    messages_per_minute = 40\n" limits "}\n"                                                  \
    "login {\n"                                                                                    \
    "    plain_text_from = { \"192.0.2.0/24\" \"10.0.0.0/8\" }\n"                                  \
    "    unlimited_from = { \"192.0.2.0/24\" }\n"                                                  \
    "    scram_rounds = 4096\n"                                                                    \
    "    failures_per_network = 12\n"                                                              \
    "    failures_per_account = 8\n"                                                               \
    "    back_off = 2m\n"                                                                          \
    "    back_off_most = 8m\n"                                                                     \
    "    ban_after = 12\n"                                                                         \
    "    ban = 5m\n"                                                                               \
    "    ban_most = 20m\n"                                                                         \
    "}\n"                                                                                          \
    "sending {\n"                                                                                  \
    "    processes = 2\n"                                                                          \
    "    connections = 6\n"                                                                        \
    "    connections_per_destination = 3\n"                                                        \
    "    messages_per_connection = 4\n"                                                            \
    "    retry_first = 1m\n"                                                                       \
    "    retry_most = 15m\n"                                                                       \
    "    expire = 3h\n"                                                                            \
    "    expire_bounce = 1h\n"                                                                     \
    "    warn_after = 30m\n"                                                                       \
    "}\n"                                                                                          \
    "submission {\n"                                                                               \
    "    recipients_per_hour = 12\n"                                                               \
    "    recipients_per_day = 20\n"                                                                \
    "    brake_least = 0\n"                                                                        \
    "    sessions_per_address = 6\n"                                                               \
    "}\n"                                                                                          \
    "pop3 {\n"                                                                                     \
    "    sessions_per_address = 6\n"                                                               \
    "    unlimited_from = { \"192.0.2.0/24\" }\n"                                                  \
    "}\n"

/* As people_changes has them; a reload goes from one to the other. */
static const struct str configurations[PEOPLE_STATES] = {
    STR_INIT(CONFIGURATION("alice@example.test", "")),
    STR_INIT(CONFIGURATION("bob@example.test", "    messages = 7\n    recipients = 100\n")),
    STR_INIT(CONFIGURATION("alice@example.test", "    messages = 5\n")),
};

size_t house_routes(const struct house *house, size_t which)
{
    return (house->routes_first + which) % ROUTE_SETS;
}

void house_conf_open(struct house *house)
{
    struct conf_trouble trouble = {.text = BUF_INIT(CONF_TEXT)};
    arena_init(&house->conf_arena, CONF_ARENA);
    for (size_t i = 0; i < PEOPLE_STATES; i++) {
        struct buf text = buf_in(&house->conf_arena, CONF_TEXT);
        buf_put(&text, configurations[i]);
        routes_print(house_routes(house, i), &text);
        struct str whole = buf_built(&text);
        must(whole.p && !err_is(conf_parse(whole, STR("simulator"), STR("/"), &house->conf_arena,
                                           &house->confs[i], &trouble)));
    }
    house->conf = &house->confs[0];
    buf_done(&trouble.text);
}
