/*
 * The password's hash is the cheapest argon2id there is: what a log-in costs is not what is tried
 * here.
 */
#include "people.h"

#include "command.h"

enum {
    APPLY_ARENA = 16 << 20
};

enum {
    ALICE = 1 << 0,
    BOB = 1 << 1,
    CAROL = 1 << 2,
    DAVE = 1 << 3,
    ERIN = 1 << 4,
    FRANK = 1 << 5,
    GRACE = 1 << 6,
    IVAN = 1 << PEOPLE_MEMBER,
    HENRY = 1 << PEOPLE_LEAVER,
    MONA = 1 << PEOPLE_FIRST_USER,
    NORA = 1 << (PEOPLE_FIRST_USER + 1),
    OLGA = 1 << (PEOPLE_FIRST_USER + 2),
    TEAM = ALICE | CAROL | DAVE,
};

/* The bit of people_outside[i]. */
#define OUT(i) PEOPLE_BIT(PEOPLE_ACCOUNTS + (i))

enum {
    AWAY = 1,  /* an alias leads there, */
    MOVED = 2, /* somebody who moved, */
};

const struct people_outside people_outside[PEOPLE_OUTSIDE] = {
    {STR_INIT("w1@good.test"), FATE_SENT},    {STR_INIT("w2@good.test"), FATE_SENT},
    {STR_INIT("a1@alias.test"), FATE_ANY},    {STR_INIT("l3@limit.test"), FATE_ANY},
    {STR_INIT("l1@limit.test"), FATE_ANY},    {STR_INIT("l2@limit.test"), FATE_ANY},
    {STR_INIT("g1@grey.test"), FATE_ANY},     {STR_INIT("d1@dead.test"), FATE_ANY},
    {STR_INIT("t1@tarpit.test"), FATE_ANY},   {STR_INIT("r1@reset.test"), FATE_ANY},
    {STR_INIT("c1@closing.test"), FATE_ANY},  {STR_INIT("m1@mixed.test"), FATE_ANY},
    {STR_INIT("x1@mixed.test"), FATE_FAILED}, {STR_INIT("p1@liar.test"), FATE_ANY},
    {STR_INIT("o1@old.test"), FATE_ANY},      {STR_INIT("s1@small.test"), FATE_ANY},
    {STR_INIT("n1@null.test"), FATE_FAILED},  {STR_INIT("b1@bogus.test"), FATE_ANY},
    {STR_INIT("z1@garbage.test"), FATE_ANY},  {STR_INIT("i1@inside.test"), FATE_FAILED},
    {STR_INIT("v1@dane.test"), FATE_SENT},    {STR_INIT("y1@wrong.test"), FATE_FAILED, true},
    {STR_INIT("f1@forged.test"), FATE_ANY},   {STR_INIT("k1@clumsy.test"), FATE_SENT},
    {STR_INIT("e1@sts.test"), FATE_SENT},     {STR_INIT("h1@strict.test"), FATE_ANY},
};

int people_outside_find(struct str address)
{
    for (int i = 0; i < PEOPLE_OUTSIDE; i++)
        if (str_eq(people_outside[i].address, address))
            return i;
    return -1;
}

const struct str people_accounts[PEOPLE_ACCOUNTS] = {
    STR_INIT("alice@example.test"), STR_INIT("bob@example.test"),  STR_INIT("carol@example.test"),
    STR_INIT("dave@example.test"),  STR_INIT("erin@example.test"), STR_INIT("frank@example.test"),
    STR_INIT("grace@else.test"),    STR_INIT("ivan@example.test"), STR_INIT("henry@example.test"),
    STR_INIT("mona@example.test"),  STR_INIT("nora@example.test"), STR_INIT("olga@else.test"),
};

const struct str people_names[PEOPLE_USERS][PEOPLE_NAMES] = {
    {STR_INIT("mona@example.test"), STR_INIT("mona"), STR_INIT("MONA@Example.Test"),
     STR_INIT("mo@else.test")},
    {STR_INIT("nora@example.test"), STR_INIT("nora"), STR_INIT("Nora"),
     STR_INIT("no@example.test")},
    {STR_INIT("olga@else.test"), STR_INIT("olga"), STR_INIT("olga@ELSE.test"),
     STR_INIT("ol@example.test")},
};

const struct people_address people_addresses[PEOPLE_ADDRESSES] = {
    {.path = STR_INIT("alice@example.test"), .reply = 250, .accounts = ALICE},
    {.path = STR_INIT("Bob+tag@Example.Test"), .reply = 250, .accounts = BOB},
    {.path = STR_INIT("carol@example.test"), .reply = 250, .accounts = CAROL},
    {.path = STR_INIT("\"dave\"@example.test"), .reply = 250, .accounts = DAVE},
    {.path = STR_INIT("erin@example.test"), .reply = 250, .accounts = ERIN},
    {.path = STR_INIT("@relay.test:frank@example.test"), .reply = 250, .accounts = FRANK},
    {.path = STR_INIT("grace@else.test"), .reply = 250, .accounts = GRACE},
    {.path = STR_INIT("Postmaster"), .change = 1},
    {.path = STR_INIT("turn@example.test"), .change = 2},
    {.path = STR_INIT("ring@example.test"), .change = 3},
    {.path = STR_INIT("henry@example.test"), .change = 4},
    {.path = STR_INIT("sales@example.test"), .reply = 250, .accounts = TEAM | BOB},
    {.path = STR_INIT("team@example.test"), .reply = 250, .accounts = TEAM},
    {.path = STR_INIT("all@example.test"), .reply = 250, .accounts = TEAM | ERIN | FRANK},
    {.path = STR_INIT("old@example.test"), .reply = 251, .accounts = ALICE},
    {.path = STR_INIT("whoever@catch.test"), .reply = 250, .accounts = ERIN},
    {.path = STR_INIT("ivan@example.test"), .reply = 250, .accounts = IVAN, .full = true},
    {.path = STR_INIT(PEOPLE_FULL_LIST), .reply = 250, .accounts = CAROL, .perhaps = IVAN},
    {.path = STR_INIT("jürgen@example.test"), .reply = 250, .accounts = FRANK, .utf8 = true},
    {.path = STR_INIT("mona@example.test"), .reply = 250, .accounts = MONA},
    {.path = STR_INIT("nora@example.test"), .reply = 250, .accounts = NORA},
    {.path = STR_INIT("ol@example.test"), .reply = 250, .accounts = OLGA},
    {.path = STR_INIT("heidi@example.test"), .reply = 550},
    {.path = STR_INIT("gone@example.test"), .reply = 551},
    {.path = STR_INIT("nobody@example.test"), .reply = 550},
    {.path = STR_INIT("away@example.test"), .reply = 250, .accounts = OUT(AWAY)},
    {.path = STR_INIT("left@example.test"), .reply = 251, .accounts = OUT(MOVED)},
    {.path = STR_INIT("circle@example.test"), .reply = 250, .accounts = CAROL | OUT(PEOPLE_GUEST)},
#define DIRECT(address, place)                                                                     \
    {                                                                                              \
        .path = STR_INIT(address), .reply = 250, .accounts = OUT(place), .direct = true            \
    }
    DIRECT("w1@good.test", 0),
    DIRECT("w2@good.test", 1),
    DIRECT("a1@alias.test", 2),
    DIRECT("l3@limit.test", 3),
    DIRECT("l1@limit.test", 4),
    DIRECT("l2@limit.test", 5),
    DIRECT("g1@grey.test", 6),
    DIRECT("d1@dead.test", 7),
    DIRECT("t1@tarpit.test", 8),
    DIRECT("r1@reset.test", 9),
    DIRECT("c1@closing.test", 10),
    DIRECT("m1@mixed.test", 11),
    DIRECT("x1@mixed.test", 12),
    DIRECT("p1@liar.test", 13),
    DIRECT("o1@old.test", 14),
    DIRECT("s1@small.test", 15),
    DIRECT("n1@null.test", 16),
    DIRECT("b1@bogus.test", 17),
    DIRECT("z1@garbage.test", 18),
    DIRECT("i1@inside.test", 19),
    DIRECT("v1@dane.test", 20),
    DIRECT("y1@wrong.test", 21),
    DIRECT("f1@forged.test", 22),
    DIRECT("k1@clumsy.test", 23),
    DIRECT("e1@sts.test", 24),
    DIRECT("h1@strict.test", 25),
#undef DIRECT
};

#define ACCOUNT(address) "account \"" address "\" { password = \"" HASH "\" }\n"

#define HASH "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$+H4vXYFWoXb2B34RuwJIpQ"

const struct people_change people_changes[PEOPLE_CHANGES] = {
    {STR_INIT("Postmaster"),
     3,
     NULL,
     {{.reply = 250, .accounts = ALICE},
      {.reply = 250, .accounts = BOB},
      {.reply = 250, .accounts = ALICE}}},
    {STR_INIT("turn@example.test"),
     3,
     NULL,
     {{.reply = 250,
       .accounts = BOB,
       .commands = {"alias add turn@example.test bob@example.test",
                    "alias set turn@example.test bob@example.test"}},
      {.reply = 250,
       .accounts = CAROL | DAVE,
       .commands = {"alias add turn@example.test carol@example.test dave@example.test",
                    "alias set turn@example.test carol@example.test dave@example.test"}},
      {.reply = 550, .commands = {"alias remove turn@example.test"}}}},
    {STR_INIT("ring@example.test"),
     3,
     "list remove ring@example.test",
     {{.reply = 250,
       .accounts = DAVE | ERIN,
       .commands = {"list add ring@example.test --owner alice@example.test "
                    "--member dave@example.test --member erin@example.test",
                    "list set ring@example.test --member erin@example.test"}},
      {.reply = 250,
       .accounts = DAVE,
       .commands = {"list set ring@example.test --drop erin@example.test",
                    "list add ring@example.test --owner alice@example.test "
                    "--member dave@example.test"}},
      {.reply = 550, .commands = {"list remove ring@example.test"}}}},
    {STR_INIT("henry@example.test"),
     3,
     NULL,
     {{.reply = 250,
       .accounts = HENRY,
       .commands = {"account add henry@example.test --password-hash " HASH,
                    "account set henry@example.test --enable"}},
      {.reply = 550,
       .commands = {"account set henry@example.test --disable",
                    "account add henry@example.test --disabled --password-hash " HASH}},
      {.reply = 550, .removes = true, .commands = {"account remove henry@example.test"}}}},
};

static const struct str directory_text = STR_INIT(
    "domain \"example.test\" { }\n"
    "domain \"else.test\" { }\n"
    "domain \"catch.test\" { }\n"
    "account \"mona@example.test\" { }\n"
    "account \"nora@example.test\" { }\n"
    "account \"olga@else.test\" { }\n"
    "alias \"mo@else.test\" { to = \"mona@example.test\" }\n"
    "alias \"no@example.test\" { to = \"nora@example.test\" }\n"
    "alias \"ol@example.test\" { to = \"olga@else.test\" }\n" ACCOUNT("alice@example.test") ACCOUNT(
        "bob@example.test") ACCOUNT("carol@example.test") ACCOUNT("dave@example.test")
        ACCOUNT("erin@example.test") ACCOUNT("frank@example.test") ACCOUNT("henry@example.test")
            ACCOUNT(
                "grace@else.test") "account \"heidi@example.test\" { disabled = yes }\n"
                                   "account \"ivan@example.test\" {\n"
                                   "    quota = 30K\n"
                                   "    password = \"" HASH "\"\n"
                                   "}\n"
                                   "alias \"jürgen@example.test\" { to = \"frank@example.test\" }\n"
                                   "list \"" PEOPLE_FULL_LIST "\" {\n"
                                   "    owner = \"bob@example.test\"\n"
                                   "    member = \"carol@example.test\"\n"
                                   "    member = \"ivan@example.test\"\n"
                                   "}\n"
                                   "alias \"sales@example.test\" {\n"
                                   "    to = \"team@example.test\"\n"
                                   "    to = \"bob@example.test\"\n"
                                   "    to = \"carol@example.test\"\n"
                                   "}\n"
                                   "alias \"@catch.test\" { to = \"erin@example.test\" }\n"
                                   "list \"team@example.test\" {\n"
                                   "    owner = \"alice@example.test\"\n"
                                   "    member = \"alice@example.test\"\n"
                                   "    member = \"carol@example.test\"\n"
                                   "    member = \"dave@example.test\"\n"
                                   "    member = \"heidi@example.test\"\n"
                                   "}\n"
                                   "alias \"turn@example.test\" { to = \"bob@example.test\" }\n"
                                   "list \"ring@example.test\" {\n"
                                   "    owner = \"alice@example.test\"\n"
                                   "    member = \"dave@example.test\"\n"
                                   "    member = \"erin@example.test\"\n"
                                   "}\n"
                                   "list \"all@example.test\" {\n"
                                   "    owner = \"bob@example.test\"\n"
                                   "    member = \"team@example.test\"\n"
                                   "    member = \"erin@example.test\"\n"
                                   "    member = \"frank@example.test\"\n"
                                   "}\n"
                                   "moved \"old@example.test\" { forward = \"alice@example.test\" "
                                   "}\n"
                                   "alias \"away@example.test\" { to = \"w2@good.test\" }\n"
                                   "moved \"left@example.test\" { forward = \"a1@alias.test\" }\n"
                                   "list \"circle@example.test\" {\n"
                                   "    owner = \"alice@example.test\"\n"
                                   "    member = \"carol@example.test\"\n"
                                   "    member = \"l3@limit.test\"\n"
                                   "}\n"
                                   "moved \"gone@example.test\" { refer = \"gone@elsewhere.test\" "
                                   "}\n");

static void nothing_to_tell(void *arg, struct str line)
{
    (void)arg;
    (void)line;
}

void people_move_in(struct core *core, void *arg)
{
    struct err *result = arg;
    struct arena arena;
    struct directory_applied applied;
    arena_init(&arena, APPLY_ARENA);
    *result = directory_apply(&core->directory, directory_text, false, nothing_to_tell, NULL,
                              &arena, &applied);
    if (err_is(*result) && result->detail.n)
        fprintf(stderr, "directory: %.*s\n", STR_FMT(result->detail));
    arena_done(&arena);
    for (int user = 0; !err_is(*result) && user < PEOPLE_USERS; user++) {
        char text[100];
        snprintf(text, sizeof(text), "account grant add %.*s @sender.test",
                 STR_FMT(people_accounts[PEOPLE_FIRST_USER + user]));
        if (command_run(core, text, str_null(), NULL) != 0)
            *result = err_make(ERR_USAGE);
    }
}
