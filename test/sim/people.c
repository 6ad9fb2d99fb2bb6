/*
 * The password's hash is the cheapest argon2id there is: what a log-in costs is not what is tried
 * here.
 */
#include "people.h"

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
    TEAM = ALICE | CAROL | DAVE,
};

const struct str people_accounts[PEOPLE_ACCOUNTS] = {
    STR_INIT("alice@example.test"), STR_INIT("bob@example.test"),  STR_INIT("carol@example.test"),
    STR_INIT("dave@example.test"),  STR_INIT("erin@example.test"), STR_INIT("frank@example.test"),
    STR_INIT("grace@else.test"),
};

const struct people_address people_addresses[PEOPLE_ADDRESSES] = {
    {STR_INIT("alice@example.test"), 250, ALICE},
    {STR_INIT("Bob+tag@Example.Test"), 250, BOB},
    {STR_INIT("carol@example.test"), 250, CAROL},
    {STR_INIT("\"dave\"@example.test"), 250, DAVE},
    {STR_INIT("erin@example.test"), 250, ERIN},
    {STR_INIT("@relay.test:frank@example.test"), 250, FRANK},
    {STR_INIT("grace@else.test"), 250, GRACE},
    {STR_INIT("Postmaster"), 250, ALICE},
    {STR_INIT("sales@example.test"), 250, TEAM | BOB},
    {STR_INIT("team@example.test"), 250, TEAM},
    {STR_INIT("all@example.test"), 250, TEAM | ERIN | FRANK},
    {STR_INIT("old@example.test"), 251, ALICE},
    {STR_INIT("whoever@catch.test"), 250, ERIN},
    {STR_INIT("gone@example.test"), 551, 0},
    {STR_INIT("nobody@example.test"), 550, 0},
    {STR_INIT("somebody@elsewhere.test"), 550, 0},
};

#define ACCOUNT(address)                                                                           \
    "account \"" address                                                                           \
    "\" { password = \"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$+H4vXYFWoXb2B34RuwJIpQ\"" \
    " }\n"

static const struct str directory_text = STR_INIT(
    "domain \"example.test\" { }\n"
    "domain \"else.test\" { }\n"
    "domain \"catch.test\" { }\n" ACCOUNT("alice@example.test") ACCOUNT("bob@example.test") ACCOUNT(
        "carol@example.test") ACCOUNT("dave@example.test") ACCOUNT("erin@example.test")
        ACCOUNT("frank@example.test") ACCOUNT(
            "grace@else.test") "account \"heidi@example.test\" { disabled = yes }\n"
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
                               "list \"all@example.test\" {\n"
                               "    owner = \"bob@example.test\"\n"
                               "    member = \"team@example.test\"\n"
                               "    member = \"erin@example.test\"\n"
                               "    member = \"frank@example.test\"\n"
                               "}\n"
                               "moved \"old@example.test\" { forward = \"alice@example.test\" }\n"
                               "moved \"gone@example.test\" { refer = \"gone@elsewhere.test\" }\n");

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
}
