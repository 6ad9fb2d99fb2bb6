#include "base/test.h"

#include "terminal/seats.h"

/* What terminals say of themselves: in their names, "pts/y30": it accepts, and was used at 30. */
static struct terminal_state look(const char *line)
{
    const char *says = strchr(line, '/');
    uint64_t heard = 0;
    str_to_u64(str_from(says + 2), &heard);
    return (struct terminal_state){.accepts = says[1] == 'y', .heard = (int64_t)heard};
}

static struct terminal_login login(const char *user, const char *line, int64_t since)
{
    struct terminal_login made = {.since = since};
    memcpy(made.user, user, strlen(user));
    memcpy(made.line, line, strlen(line));
    return made;
}

static void chooses_at(const struct terminal_login *logins, size_t count, const char *line, int at)
{
    const struct terminal_login *chosen = seat_choose(logins, count, STR("anna"), look);
    assert_str_at(str_from(chosen ? chosen->line : "none"), str_from(line), __FILE__, at);
}

#define chooses(line, ...)                                                                         \
    chooses_at((struct terminal_login[]){__VA_ARGS__},                                             \
               sizeof((struct terminal_login[]){__VA_ARGS__}) / sizeof(struct terminal_login),     \
               line, __LINE__)

static void the_one_used_last_of_those_that_accept(void **state)
{
    (void)state;
    assert_null(seat_choose(NULL, 0, STR("anna"), look));
    chooses("none", login("ann", "pts/y1", 0), login("annaa", "pts/y2", 0));
    chooses("pts/y2", login("anna", "pts/y1", 0), login("anna", "pts/y2", 0),
            login("anna", "pts/n3", 0), login("bob", "pts/y4", 0));
    chooses("none", login("anna", "pts/n3", 0), login("bob", "pts/y4", 0));
    /* At the same time: the first. */
    chooses("pts/y05", login("anna", "pts/y05", 0), login("anna", "pts/y5", 0));
}

static void who_came_later_has_the_terminal(void **state)
{
    (void)state;
    chooses("none", login("anna", "pts/y1", 10), login("bob", "pts/y1", 11));
    chooses("pts/y1", login("anna", "pts/y1", 11), login("bob", "pts/y1", 10));
    chooses("pts/y1", login("anna", "pts/y1", 10), login("anna", "pts/y1", 11));
    chooses("pts/y1", login("anna", "pts/y1", 10), login("bob", "pts/y1", 10));
}

static void names_that_lead_elsewhere_are_none(void **state)
{
    static const char *const bad[] = {"",        "/",       "/dev/null", "../etc/x", "pts/../x",
                                      "pts//y1", "pts/y1/", ":0",        "tty.1",    "a b"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(seat_is_named_well(bad[i]));
    assert_true(seat_is_named_well("pts/3"));
    assert_true(seat_is_named_well("tty1"));
    assert_true(seat_is_named_well("hvc_0"));
    chooses("none", login("anna", "../y1", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_used_last_of_those_that_accept),
        cmocka_unit_test(who_came_later_has_the_terminal),
        cmocka_unit_test(names_that_lead_elsewhere_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
