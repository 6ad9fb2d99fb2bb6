/*
 * The operator's commands as they are typed, on a store in the fake world.
 */
#include "base/test.h"

#include "core/admin_command.h"
#include "format/message_id.h"
#include "store/local/engine_rig_test.h"
#include "store/trace.h"
#include "trust/certificate.h"
#include "trust/password.h"

enum {
    WORDS_MAX = 64,
    OUTPUT_MAX = 4 << 20,
};

struct given {
    bool serving;
    struct rig rig;
    struct directory directory;
    struct lane hashes;
    struct conf conf;
    struct buf out, err;
    struct str input;
    bool json;
    const char *line; /* what is typed, words divided by spaces */
    int code;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.out = BUF_INIT(OUTPUT_MAX), .err = BUF_INIT(OUTPUT_MAX)};
    rig_init(&given.rig, 1);
    assert_true(rig_open(&given.rig));
    const struct directory_settings settings = {.plus = '+'};
    fake_role_enter(given.rig.fake, given.rig.role);
    directory_init(&given.directory, given.rig.engine, given.rig.loop->world, &settings);
    given.directory.loop = given.rig.loop;
    assert_int_equal(lane_init(&given.hashes, given.rig.loop, "hashes", 1), 0);
    fake_role_enter(given.rig.fake, 0);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    fake_role_enter(given->rig.fake, given->rig.role);
    lane_done(&given->hashes);
    fake_role_enter(given->rig.fake, 0);
    rig_close(&given->rig);
    rig_done(&given->rig);
    buf_done(&given->out);
    buf_done(&given->err);
    return 0;
}

static void take(void *arg, struct str text, bool to_stderr)
{
    struct given *given = arg;
    buf_put(to_stderr ? &given->err : &given->out, text);
}

static void type(struct rig *rig, void *arg)
{
    struct given *given = arg;
    struct arena arena;
    struct str words[WORDS_MAX], rest = str_from(given->line);
    size_t count = 0;
    arena_init(&arena, ADMIN_ARENA);
    while (rest.n && count < WORDS_MAX)
        words[count++] = str_cut(&rest, ' ');
    struct admin admin = {.loop = rig->loop,
                          .engine = rig->engine,
                          .directory = &given->directory,
                          .hashes = &given->hashes,
                          .conf = &given->conf,
                          .arena = &arena,
                          .input = given->input,
                          .json = given->json,
                          .serving = given->serving,
                          .out = take,
                          .arg = given};
    given->code = admin_run(&admin, words, count);
    arena_done(&arena);
}

/* The exit code; the output stays in given->out and given->err. */
static int typed(struct given *given, const char *line)
{
    buf_clear(&given->out);
    buf_clear(&given->err);
    given->line = line;
    assert_true(rig_do(&given->rig, type, given));
    return given->code;
}

/* The whole answer on standard output, where the command succeeded. */
static struct str answer(struct given *given, const char *line)
{
    int code = typed(given, line);
    return code ? STR("(failed)") : buf_str(&given->out);
}

static struct str complaint(struct given *given, const char *line)
{
    return typed(given, line) ? buf_str(&given->err) : STR("(did not fail)");
}

static void village(struct given *given)
{
    assert_str(answer(given, "domain add Example.Test"), STR("added domain example.test\n"));
    given->input = STR("secret\n");
    assert_str(answer(given, "account add bob@example.test --name Bob --password-stdin"),
               STR("added account bob@example.test\n"));
    assert_str(answer(given, "account add alice@example.test --no-password --quota 2G"),
               STR("added account alice@example.test\n"));
    given->input = str_null();
}

static void sending_is_held_and_released(void **state)
{
    struct given *given = *state;
    village(given);
    assert_true(str_find(answer(given, "account show bob@example.test"), STR("held")) < 0);
    assert_str(answer(given, "account hold bob@example.test --why odd"),
               STR("held account bob@example.test\n"));
    assert_true(str_find(answer(given, "account show bob@example.test"),
                         STR("\nheld_why         odd\n")) > 0);
    assert_true(str_find(answer(given, "account show alice@example.test"), STR("held")) < 0);
    assert_str(answer(given, "account release bob@example.test"),
               STR("released account bob@example.test\n"));
    assert_true(str_find(answer(given, "account show bob@example.test"), STR("held")) < 0);
    assert_int_equal(typed(given, "account hold eve@example.test"), 67);
}

static void accounts_come_and_go(void **state)
{
    struct given *given = *state;
    village(given);
    assert_str(answer(given, "account list"),
               STR("alice@example.test  quota: 2147483648, no_password\n"
                   "bob@example.test  name: Bob\n"));
    assert_str(answer(given, "account set bob@example.test --name Robert --disable --quota 1K"),
               STR("changed account bob@example.test\n"));
    assert_str(answer(given, "account list example.test"),
               STR("alice@example.test  quota: 2147483648, no_password\n"
                   "bob@example.test  name: Robert, quota: 1024, disabled\n"));
    assert_true(str_find(answer(given, "account show alice@example.test"),
                         STR("limit            2147483648\n")) > 0);
    answer(given, "account set alice@example.test --quota none");
    assert_true(str_find(answer(given, "account show alice@example.test"),
                         STR("quota            none\nno_password      yes\n"
                             "limit            none\n")) > 0);
    answer(given, "account set alice@example.test --quota default");
    assert_true(str_starts(answer(given, "account list"), STR("alice@example.test  no_pass")));
    assert_true(str_starts(answer(given, "account show bob@example.test"),
                           STR("account          bob@example.test\nname             Robert\n")));
    assert_true(str_starts(answer(given, "mailbox list bob@example.test"),
                           STR("INBOX  id: 1, uid_validity: ")));
    assert_str(answer(given, "account remove bob@example.test"),
               STR("removed account bob@example.test\n"));
    assert_int_equal(typed(given, "account show bob@example.test"), ADMIN_NO_USER);
    assert_str(buf_str(&given->err), STR("veredus: no such account: bob@example.test\n"));
    assert_int_equal(typed(given, "account add alice@example.test"), ADMIN_CANNOT_CREATE);
    assert_int_equal(typed(given, "domain remove example.test"), ADMIN_CANNOT_CREATE);
    assert_int_equal(typed(given, "domain show else.test"), ADMIN_NO_HOST);
    assert_int_equal(typed(given, "account list else.test"), ADMIN_NO_HOST);
    assert_int_equal(typed(given, "account add x@else.test"), ADMIN_NO_HOST);
    assert_int_equal(typed(given, "domain remove else.test"), ADMIN_NO_HOST);
}

/* As dig and host print it. */
static void a_domain_may_end_in_the_dot_of_the_root(void **state)
{
    struct given *given = *state;
    assert_str(answer(given, "domain add example.test."), STR("added domain example.test\n"));
    assert_str(answer(given, "account add bob@example.test. --no-password"),
               STR("added account bob@example.test\n"));
    assert_str(answer(given, "alias add @example.test. bob@example.test."),
               STR("added alias @example.test\n"));
    assert_int_equal(typed(given, "account list example.test."), ADMIN_OK);
    assert_int_equal(typed(given, "domain add other.test.."), ADMIN_DATA);
    assert_str(buf_str(&given->err), STR("veredus: the domain is malformed: \"other.test..\"\n"));
    assert_int_equal(typed(given, "domain add ."), ADMIN_DATA);
    assert_int_equal(typed(given, "account add bob@."), ADMIN_DATA);
}

/* A password is never among the words, and never in the answer unless it was made up. */
static void passwords_are_kept_or_made_up(void **state)
{
    struct given *given = *state;
    village(given);
    assert_true(str_find(answer(given, "export"), STR("password = \"$y$")) > 0);
    assert_int_equal(typed(given, "account add carol@example.test"), 0);
    struct str made = buf_str(&given->out);
    assert_true(str_find(made, STR("password         ")) > 0);
    assert_int_equal(typed(given, "account set carol@example.test --new-password"), 0);
    assert_int_equal(typed(given, "account set carol@example.test --no-password --new-password"),
                     ADMIN_USAGE);
    given->input = STR("");
    assert_int_equal(typed(given, "account set carol@example.test --password-stdin"), ADMIN_USAGE);
    assert_int_equal(typed(given, "account set carol@example.test --password-hash plain"),
                     ADMIN_USAGE);
    assert_int_equal(typed(given, "account set carol@example.test"), ADMIN_USAGE);
}

static void groups_are_changed_and_shown(void **state)
{
    struct given *given = *state;
    village(given);
    assert_str(answer(given, "alias add two@example.test bob@example.test alice@example.test"),
               STR("added alias two@example.test\n"));
    assert_str(answer(given, "alias list"),
               STR("two@example.test  to: bob@example.test alice@example.test\n"));
    assert_str(answer(given, "alias set two@example.test bob@example.test"),
               STR("changed alias two@example.test\n"));
    assert_str(complaint(given, "alias set two@example.test two@example.test"),
               STR("veredus: the address would lead back to itself\n"));
    assert_int_equal(given->code, ADMIN_DATA);
    assert_str(answer(given, "alias set two@example.test bob@example.test bob@else.test"),
               STR("changed alias two@example.test\n"));
    assert_str(complaint(given, "list add l@example.test --owner bob@else.test"),
               STR("veredus: the owner of a list has an address here: bob@else.test\n"));
    assert_int_equal(given->code, ADMIN_NOT_ALLOWED);
    assert_str(answer(given, "list add l@example.test --owner bob@example.test --expandable "
                             "--member bob@example.test --member two@example.test"),
               STR("added list l@example.test\n"));
    assert_str(answer(given, "list set l@example.test --drop two@example.test --expandable no "
                             "--member alice@example.test"),
               STR("changed list l@example.test\n"));
    assert_int_equal(typed(given, "list show l@example.test"), 0);
    assert_true(str_ends(buf_str(&given->out), STR("members          alice@example.test\n"
                                                   "                 bob@example.test\n")));
    assert_str(answer(given, "moved add old@example.test --forward bob@example.test"),
               STR("added moved old@example.test\n"));
    assert_str(answer(given, "moved set old@example.test --refer old@else.test"),
               STR("changed moved old@example.test\n"));
    assert_str(answer(given, "moved list"), STR("old@example.test  refer: old@else.test\n"));
    assert_str(answer(given, "list remove l@example.test"), STR("removed list l@example.test\n"));
    assert_str(answer(given, "list list"), STR(""));
}

static void forwards_are_changed_and_shown(void **state)
{
    struct given *given = *state;
    village(given);
    assert_str(answer(given, "account forward list bob@example.test"), STR(""));
    assert_str(answer(given, "account forward add bob@example.test Bob@Else.test"),
               STR("added forward Bob@else.test\n"));
    assert_str(complaint(given, "account forward add bob@example.test bob@else.test"),
               STR("veredus: it forwards there already: Bob@else.test\n"));
    assert_str(complaint(given, "account forward add alice@example.test x@else.test --keep "
                                "--no-keep"),
               STR("veredus: one of --keep and --no-keep is enough\n"));
    assert_int_equal(given->code, ADMIN_USAGE);
    assert_str(answer(given, "account forward add bob@example.test alice@example.test --no-keep"),
               STR("added forward alice@example.test\n"));
    assert_str(answer(given, "account forward list bob@example.test"),
               STR("Bob@else.test\nalice@example.test\n"));
    assert_int_equal(typed(given, "account show bob@example.test"), 0);
    assert_true(str_find(buf_str(&given->out), STR("forward          Bob@else.test\n"
                                                   "                 alice@example.test\n"
                                                   "keeps_none       yes\n")) > 0);
    assert_str(answer(given, "account forward set bob@example.test --keep"),
               STR("changed account bob@example.test\n"));
    assert_int_equal(typed(given, "account forward set bob@example.test"), ADMIN_USAGE);
    assert_int_equal(typed(given, "account forward set alice@example.test --no-keep"), ADMIN_USAGE);
    assert_str(answer(given, "account forward remove bob@example.test alice@example.test"),
               STR("removed forward alice@example.test\n"));
    assert_int_equal(typed(given, "account show bob@example.test"), 0);
    assert_true(str_find(buf_str(&given->out), STR("forward          Bob@else.test\n")) > 0);
    assert_true(str_find(buf_str(&given->out), STR("keeps_none")) < 0);
}

static void a_language_is_set_and_shown(void **state)
{
    struct given *given = *state;
    village(given);
    assert_int_equal(typed(given, "account show bob@example.test"), 0);
    assert_true(str_find(buf_str(&given->out), STR("language")) < 0);
    assert_int_equal(typed(given, "account set bob@example.test --language zh"), 0);
    assert_int_equal(typed(given, "account show bob@example.test"), 0);
    assert_true(str_find(buf_str(&given->out), STR("language         zh\n")) > 0);
    assert_str(complaint(given, "account set bob@example.test --language fr"),
               STR("veredus: expected en, zh or default, not \"fr\"\n"));
    assert_int_equal(typed(given, "account set bob@example.test --language default"), 0);
    assert_int_equal(typed(given, "account show bob@example.test"), 0);
    assert_true(str_find(buf_str(&given->out), STR("language")) < 0);
}

/* The list was stored, without the member that could not be: an error, and yet a change. */
static void a_list_and_its_members_are_one_change(void **state)
{
    struct given *given = *state;
    village(given);
    assert_str(complaint(given, "list add l@example.test --owner bob@example.test "
                                "--member bob@example.test --member ghost@example.test"),
               STR("veredus: nobody here has this address: ghost@example.test\n"));
    assert_str(complaint(given, "list add l@example.test --owner bob@example.test "
                                "--member bob@example.test --member Bob@example.test"),
               STR("veredus: it is a member already: Bob@example.test\n"));
    assert_str(answer(given, "list list"), STR(""));
    assert_str(answer(given, "list add l@example.test --owner bob@example.test "
                             "--member bob@example.test"),
               STR("added list l@example.test\n"));
    assert_str(complaint(given, "list set l@example.test --name New --drop bob@example.test "
                                "--drop bob@example.test"),
               STR("veredus: it is no member: bob@example.test\n"));
    assert_str(complaint(given, "list set l@example.test --name New --member l@example.test"),
               STR("veredus: the address would lead back to itself\n"));
    assert_int_equal(typed(given, "list show l@example.test"), 0);
    assert_true(str_ends(buf_str(&given->out), STR("members          bob@example.test\n")));
    assert_true(str_find(buf_str(&given->out), STR("New")) < 0);
}

/* They were shown as xn--fsqu00a. */
static void people_are_shown_u_labels(void **state)
{
    struct given *given = *state;
    assert_str(answer(given, "domain add XN--FSQU00A.test"), STR("added domain 例子.test\n"));
    assert_true(str_starts(answer(given, "domain list"), STR("例子.test  created: ")));
    assert_true(
        str_starts(answer(given, "domain show 例子.test"), STR("domain           例子.test\n")));
    assert_str(answer(given, "account add 用户@例子.test --no-password"),
               STR("added account 用户@例子.test\n"));
    assert_str(answer(given, "account list"), STR("用户@例子.test  no_password\n"));
    assert_str(answer(given, "alias add @xn--fsqu00a.test 用户@xn--fsqu00a.test"),
               STR("added alias @例子.test\n"));
    assert_str(answer(given, "alias list"), STR("@例子.test  to: 用户@例子.test\n"));
    assert_str(answer(given, "moved add old@xn--fsqu00a.test --refer old@xn--fsqu00a.test.test"),
               STR("added moved old@例子.test\n"));
    assert_str(answer(given, "moved list"), STR("old@例子.test  refer: old@例子.test.test\n"));
    assert_str(answer(given, "list add l@例子.test --owner 用户@例子.test"),
               STR("added list l@例子.test\n"));
    assert_str(answer(given, "list list"), STR("l@例子.test  owner: 用户@例子.test\n"));
    assert_true(str_find(answer(given, "export"), STR("xn--")) < 0);
}

static void programs_are_told_what_is_stored(void **state)
{
    struct given *given = *state;
    given->json = true;
    assert_str(answer(given, "domain add 例子.test"),
               STR("{\"done\":\"added\",\"domain\":\"xn--fsqu00a.test\","
                   "\"display\":\"例子.test\"}\n"));
    assert_str(answer(given, "account add bob@例子.test --no-password"),
               STR("{\"done\":\"added\",\"account\":\"bob@xn--fsqu00a.test\","
                   "\"display\":\"bob@例子.test\"}\n"));
    assert_str(answer(given, "alias add @例子.test bob@例子.test"),
               STR("{\"done\":\"added\",\"alias\":\"@xn--fsqu00a.test\","
                   "\"display\":\"@例子.test\"}\n"));
    assert_str(answer(given, "alias list"),
               STR("[\n{\"alias\":\"@xn--fsqu00a.test\",\"display\":\"@例子.test\","
                   "\"to\":[\"bob@xn--fsqu00a.test\"]}\n]\n"));
}

static void what_is_typed_wrong_is_said(void **state)
{
    struct given *given = *state;
    static const struct {
        const char *line;
        int code;
        struct str says; /* the first line */
    } rows[] = {
        {"", 64, STR_INIT("veredus: there is no such command; see veredus help:")},
        {"frob", 64, STR_INIT("veredus: there is no such command; see veredus help: \"frob\"")},
        {"domain", 64, STR_INIT("veredus: expected what to do behind \"domain\"")},
        {"domain frob", 64, STR_INIT("veredus: expected what to do, not \"frob\"")},
        {"domain add", 64, STR_INIT("veredus: something is missing in \"add\"")},
        {"domain add a b", 64, STR_INIT("veredus: this is too much: \"b\"")},
        {"domain add --force a", 64, STR_INIT("veredus: there is no such option: \"--force\"")},
        {"account add a@b --name", 64, STR_INIT("veredus: a value is missing behind \"--name\"")},
        {"account add bob", 65,
         STR_INIT("veredus: an address is written local-part@domain: \"bob\"")},
        {"account add --quota 2X a@b.test", 64,
         STR_INIT("veredus: expected a size like 500M, none or default, not \"2X\"")},
        {"account add --quota 0 a@b.test", 64,
         STR_INIT("veredus: expected a size like 500M, none or default, not \"0\"")},
        {"domain add -- --x", 65, STR_INIT("veredus: the domain is malformed: \"--x\"")},
        {"account set a@b.test --enable --disable", 64,
         STR_INIT("veredus: one of --enable and --disable is enough")},
        {"trace", 64, STR_INIT("veredus: give one of a message id, --to and --from")},
        {"trace --to a@b.test --from a@b.test", 64,
         STR_INIT("veredus: give one of a message id, --to and --from")},
        {"trace x", 64, STR_INIT("veredus: that is no message id: \"x\"")},
        {"trace x@a.test", 64,
         STR_INIT("veredus: that is no message id; for an address say --to or --from: "
                  "\"x@a.test\"")},
        {"trace --to a@b.test --since 5", 64,
         STR_INIT("veredus: expected a time like 90s, 15m, 1h or 7d, not \"5\"")},
        {"trace 0000000000000", 69, STR_INIT("veredus: nothing is known of that")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(typed(given, rows[i].line), rows[i].code);
        struct str rest = buf_str(&given->err);
        assert_str(str_cut(&rest, '\n'), rows[i].says);
    }
}

static void a_text_is_exported_and_applied(void **state)
{
    struct given *given = *state;
    village(given);
    struct arena arena;
    arena_init(&arena, OUTPUT_MAX);
    struct str text = arena_str(&arena, answer(given, "export"));
    given->input = text;
    assert_str(answer(given, "apply FILE"), STR("0 added, 0 changed, 3 unchanged\n"));
    given->input = STR("domain \"new.test\" { }");
    assert_str(answer(given, "apply --dry-run FILE"),
               STR("add domain new.test\n"
                   "nothing was written; it would be 1 added, 0 changed, 0 unchanged\n"));
    assert_str(answer(given, "apply -"),
               STR("add domain new.test\n1 added, 0 changed, 0 unchanged\n"));
    given->input = STR("domain \"x.test\" { }\nfrob");
    assert_str(complaint(given, "apply FILE"),
               STR("veredus: line 2: expected an address in quotes before the end of the line\n"));
    assert_int_equal(given->code, ADMIN_DATA);
    arena_done(&arena);
}

static void everything_speaks_json(void **state)
{
    static const char *const lines[] = {
        "domain add a.test",
        "domain show a.test",
        "domain list",
        "account add x@a.test --name \"X\\\"",
        "account show x@a.test",
        "account list",
        "mailbox list x@a.test",
        "account forward add x@a.test x@b.test",
        "account forward list x@a.test",
        "alias add y@a.test x@a.test",
        "alias show y@a.test",
        "alias list",
        "list add l@a.test --owner x@a.test",
        "list show l@a.test",
        "list list",
        "moved add m@a.test --refer x@b.test",
        "moved show m@a.test",
        "moved list",
        "export",
        "status",
        "apply FILE",
        "trace --to x@a.test",
        "account show nobody@a.test",
        "account remove l@a.test",
    };
    struct given *given = *state;
    given->json = true;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int code = typed(given, lines[i]);
        struct buf *text = code && given->err.n ? &given->err : &given->out;
        json_error_t error;
        json_t *value = json_loadb(text->p, text->n, JSON_REJECT_DUPLICATES, &error);
        if (!value)
            print_error("%s: %s: %.*s\n", lines[i], error.text, STR_FMT(buf_str(text)));
        assert_non_null(value);
        assert_true(str_find(buf_str(text), STR("\"no password\"")) < 0);
        json_decref(value);
    }
}

static void a_whole_store_is_found_whole(void **state)
{
    struct given *given = *state;
    village(given);
    assert_str(answer(given, "fsck"), STR("The store is whole.\n"));
    assert_str(answer(given, "fsck --repair"), STR("The store is whole.\n"));
    given->serving = true;
    assert_str(answer(given, "fsck"), STR("The store is whole.\n"));
    assert_int_equal(typed(given, "fsck --repair"), ADMIN_UNAVAILABLE);
    assert_true(
        str_starts(answer(given, "status"), STR("server           up\nstore            good\n")));
}

static void traced(struct rig *rig, void *arg)
{
    struct arena arena;
    struct addr to;
    arena_init(&arena, OUTPUT_MAX);
    assert_int_equal(addr_parse(STR("bob@example.test"), &arena, &to).code, ERR_NONE);
    int64_t now = world_wall(rig->loop->world);
    struct trace_event event = trace_event(TRACED_delivered, now);
    trace_text(&event, TRACE_address, STR("bob@example.test"));
    trace_number(&event, TRACE_uid, 7);
    struct op_list ops = op_list_take(&arena, trace_ops_count(1, 1));
    const struct addr null_path = {.kind = ADDR_NULL};
    trace_ops(message_id_make(now, 5), &event, 1, &null_path, &to, 1, &arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    *(bool *)arg = !err_is(engine_commit_wait(rig->engine, &commit));
    arena_done(&arena);
}

static void bans_are_listed_added_and_lifted(void **state)
{
    struct given *given = *state;
    assert_str(answer(given, "ban list"), STR(""));
    assert_str(answer(given, "ban add 192.0.2.0/24 --for 15m"), STR("added ban of 192.0.2.0/24\n"));
    assert_str(answer(given, "ban add 2001:db8::7"), STR("added ban of 2001:db8::7/128\n"));
    assert_true(str_starts(answer(given, "ban list"), STR("192.0.2.0/24  since: ")));
    assert_true(str_find(answer(given, "ban list"), STR("by: operator\n2001:db8::7/128  ")) > 0);
    given->json = true;
    assert_true(str_find(answer(given, "ban list"), STR("\"2001:db8::7/128\"")) > 0);
    given->json = false;
    assert_int_equal(typed(given, "ban lift 192.0.2.7"), ADMIN_NO_USER);
    assert_str(buf_str(&given->err), STR("veredus: no such ban\n"));
    assert_str(answer(given, "ban lift 192.0.2.0/24"), STR("lifted ban of 192.0.2.0/24\n"));
    assert_str(answer(given, "ban lift all"), STR("lifted bans: all\n"));
    assert_str(answer(given, "ban list"), STR(""));
    assert_int_equal(typed(given, "ban add 192.0.2.7/24"), ADMIN_DATA);
    assert_int_equal(typed(given, "ban add nonsense"), ADMIN_DATA);
    assert_int_equal(typed(given, "ban add 192.0.2.7 --for ever"), ADMIN_USAGE);
    assert_int_equal(typed(given, "ban add 192.0.2.7 --for 400d"), ADMIN_USAGE);
}

static void a_trace_is_told_by_address(void **state)
{
    struct given *given = *state;
    bool committed = false;
    assert_true(rig_do(&given->rig, traced, &committed));
    assert_true(committed);
    assert_int_equal(typed(given, "trace --to BOB@example.test --since 1h"), 0);
    assert_true(str_starts(buf_str(&given->out), STR("Message ")));
    assert_true(str_find(buf_str(&given->out), STR("Delivered to bob@example.test")) > 0);
    struct str rest = str_from_index(buf_str(&given->out), sizeof("Message ") - 1);
    struct str id = str_cut(&rest, '\n');
    char line[64];
    snprintf(line, sizeof(line), "trace %.*s", STR_FMT(id));
    assert_int_equal(typed(given, line), 0);
    assert_int_equal(typed(given, "trace --from bob@example.test"), ADMIN_UNAVAILABLE);
    assert_true(str_starts(answer(given, "trace --from <>"), STR("Message ")));
    assert_true(str_starts(answer(given, "trace --from  --limit 5"), STR("Message ")));
    assert_int_equal(typed(given, "trace --to <>"), ADMIN_DATA);
}

/* --- What accounts are known by --------------------------------------------------------------- */

struct looked {
    struct given *given;
    struct str user;
    struct arena arena;
    struct account account;
    struct credentials credentials;
};

static void look(struct rig *rig, void *arg)
{
    struct looked *looked = arg;
    struct directory *directory = &looked->given->directory;
    (void)rig;
    assert_int_equal(
        directory_login(directory, looked->user, &looked->arena, &looked->account).code, ERR_NONE);
    assert_int_equal(
        directory_credentials(directory, looked->account.id, &looked->arena, &looked->credentials)
            .code,
        ERR_NONE);
}

/* Its texts live until the next. */
static const struct looked *look_at(struct given *given, struct str user)
{
    static struct looked looked;
    arena_done(&looked.arena);
    looked = (struct looked){.given = given, .user = user};
    arena_init(&looked.arena, OUTPUT_MAX);
    assert_true(rig_do(&given->rig, look, &looked));
    return &looked;
}

static bool is_password(struct str password, struct str hash)
{
    struct arena scratch;
    arena_init(&scratch, PASSWORD_SCRATCH);
    bool right = password_verify(password, hash, &scratch);
    arena_done(&scratch);
    return right;
}

/* The keys are those of this password. */
static bool are_keys(struct str password, const struct password_keys *keys,
                     const struct password_kept *salt)
{
    struct scram_keys made;
    assert_int_equal(
        scram_keys_make(SASL_SCRAM_SHA_256, password, salt->salt, salt->rounds, &made).code,
        ERR_NONE);
    if (!keys->has_sha_256 || memcmp(made.stored, keys->sha_256.stored, 32) != 0)
        return false;
    assert_int_equal(
        scram_keys_make(SASL_SCRAM_SHA_1, password, salt->salt, salt->rounds, &made).code,
        ERR_NONE);
    return keys->has_sha_1 && memcmp(made.server, keys->sha_1.server, 20) == 0;
}

/* What stands behind "name " in an answer, to the end of its line. */
static struct str member(struct str text, const char *name)
{
    while (text.p) {
        struct str line = str_cut(&text, '\n');
        if (str_starts(line, str_from(name)))
            return str_trim(str_from_index(line, strlen(name)));
    }
    return STR("");
}

static void a_password_is_changed_with_its_keys(void **state)
{
    struct given *given = *state;
    struct str bob = STR("bob@example.test");
    given->conf.login.scram = true;
    given->conf.login.scram_rounds = 4096;
    village(given);
    const struct looked *looked = look_at(given, bob);
    uint64_t version = looked->account.credential_version;
    assert_true(
        are_keys(STR("secret"), &looked->credentials.password.keys, &looked->credentials.password));
    assert_int_equal(looked->credentials.password.cram_secret.n, 0);
    /* U+00A0 is a space once it is prepared, and a soft hyphen nothing. */
    given->input = STR("neues\xc2\xa0Pass\xc2\xadwort\r\nmore");
    assert_str(answer(given, "account password bob@example.test --password-stdin --cram-md5"),
               STR("changed account bob@example.test\n"));
    looked = look_at(given, bob);
    assert_int_equal(looked->account.credential_version, version + 1);
    assert_true(is_password(STR("neues Passwort"), looked->account.password));
    assert_true(are_keys(STR("neues Passwort"), &looked->credentials.password.keys,
                         &looked->credentials.password));
    assert_str(looked->credentials.password.cram_secret, STR("neues Passwort"));
    struct str shown = answer(given, "account show bob@example.test");
    assert_str(member(shown, "scram "), STR("SCRAM-SHA-256"));
    assert_str(member(shown, "cram_md5 "), STR("yes"));
    assert_true(str_find(shown, STR("neues")) < 0 && str_find(shown, STR("$")) < 0);
    char made[64] = "";
    struct str password =
        member(answer(given, "account password bob@example.test --new"), "password ");
    assert_true(password.n && password.n < sizeof(made));
    memcpy(made, password.p, password.n);
    looked = look_at(given, bob);
    assert_true(is_password(str_from(made), looked->account.password));
    assert_int_equal(looked->credentials.password.cram_secret.n, 0);
    /* Set by a hash: what it was made of is not known, so there are no keys. */
    answer(given, "account set bob@example.test --password-hash "
                  "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a");
    assert_int_equal(look_at(given, bob)->credentials.password.rounds, 0);
    assert_int_equal(typed(given, "account password bob@example.test"), ADMIN_USAGE);
    assert_int_equal(typed(given, "account password nobody@example.test --new"), ADMIN_NO_USER);
    assert_int_equal(typed(given, "account set bob@example.test --no-password --cram-md5"),
                     ADMIN_USAGE);
    given->input = STR("a\x01\x62\n");
    assert_int_equal(typed(given, "account password bob@example.test --password-stdin"),
                     ADMIN_USAGE);
    given->conf.login.scram = false;
    answer(given, "account password bob@example.test --new");
    assert_int_equal(look_at(given, bob)->credentials.password.rounds, 0);
}

static void services_are_switched(void **state)
{
    struct given *given = *state;
    village(given);
    assert_str(answer(given, "account set bob@example.test --service smtp=off,pop3=off "
                             "--service pop3=on"),
               STR("changed account bob@example.test\n"));
    assert_str(answer(given, "account list"),
               STR("alice@example.test  quota: 2147483648, no_password\n"
                   "bob@example.test  name: Bob, services_off: smtp\n"));
    assert_str(member(answer(given, "account show bob@example.test"), "services "), STR("pop3"));
    answer(given, "account set bob@example.test --service smtp=on,imap=off");
    assert_int_equal(look_at(given, STR("bob"))->account.services_off, SERVICE_IMAP);
    answer(given, "account add carol@example.test --no-password --service imap=off");
    assert_int_equal(look_at(given, STR("carol"))->account.services_off, SERVICE_IMAP);
    static const char *const wrong[] = {"fax=off", "smtp", "smtp=maybe", "smtp=off,", "=off"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char line[128];
        snprintf(line, sizeof(line), "account set bob@example.test --service %s", wrong[i]);
        assert_int_equal(typed(given, line), ADMIN_USAGE);
    }
    assert_str(complaint(given, "account set bob@example.test --service fax=off"),
               STR("veredus: expected smtp, pop3 or imap with =on or =off, not \"fax=off\"\n"));
}

static void an_application_password_is_shown_once(void **state)
{
    struct given *given = *state;
    given->conf.login.scram = true;
    given->conf.login.scram_rounds = 4096;
    village(given);
    struct str text =
        answer(given, "account app-password add bob@example.test phone --services pop3,imap");
    char made[64] = "";
    struct str password = member(text, "password ");
    assert_true(password.n > 28 && password.n < sizeof(made));
    memcpy(made, password.p, password.n);
    assert_str(member(text, "id "), STR("1"));
    const struct looked *looked = look_at(given, STR("bob"));
    const struct app_password *app = &looked->credentials.app_passwords[0];
    struct arena scratch;
    arena_init(&scratch, PASSWORD_SCRATCH);
    assert_true(password_app_verify(str_from(made), app->hash, &scratch));
    arena_done(&scratch);
    assert_int_equal(app->services, SERVICE_POP3 | SERVICE_IMAP);
    assert_true(are_keys(str_from(made), &app->keys, &looked->credentials.password));
    assert_true(
        are_keys(STR("secret"), &looked->credentials.password.keys, &looked->credentials.password));
    /* The salt is held now: another password has keys by it, too. */
    unsigned char salt[SCRAM_SALT];
    memcpy(salt, looked->credentials.password.salt, sizeof(salt));
    given->conf.login.scram_rounds = 5000;
    assert_int_equal(typed(given, "account password bob@example.test --new"), 0);
    looked = look_at(given, STR("bob"));
    assert_memory_equal(looked->credentials.password.salt, salt, sizeof(salt));
    assert_int_equal(looked->credentials.password.rounds, 4096);
    assert_true(str_starts(answer(given, "account app-password list bob@example.test"),
                           STR("phone  id: 1, services: pop3 imap, scram, created: ")));
    assert_true(str_find(answer(given, "account show bob@example.test"),
                         STR("\napp_passwords    phone  id: 1, services: pop3 imap")) > 0);
    assert_int_equal(typed(given, "account app-password add bob@example.test phone"),
                     ADMIN_CANNOT_CREATE);
    assert_int_equal(typed(given, "account app-password add bob@example.test x --services none"),
                     ADMIN_USAGE);
    assert_str(answer(given, "account app-password remove bob@example.test phone"),
               STR("removed app_password phone\n"));
    assert_int_equal(typed(given, "account app-password remove bob@example.test 1"), ADMIN_NO_USER);
    assert_str(answer(given, "account app-password list bob@example.test"), STR(""));
    assert_int_equal(typed(given, "account password bob@example.test --new"), 0);
    assert_int_equal(look_at(given, STR("bob"))->credentials.password.rounds, 5000);
}

static void certificates_are_given_by_file_or_fingerprint(void **state)
{
    struct given *given = *state;
    struct arena arena;
    struct str chain, key;
    static const struct str name = STR_INIT("client.example.test");
    static const unsigned char serial[CERTIFICATE_SERIAL] = {1};
    village(given);
    arena_init(&arena, OUTPUT_MAX);
    assert_int_equal(
        certificate_make(&name, 1, 1700000000 * US_PER_SECOND, serial, &arena, &chain, &key).code,
        ERR_NONE);
    given->input = chain;
    assert_str(answer(given, "account certificate add bob@example.test /home/bob/laptop.pem"),
               STR("added certificate laptop.pem\n"));
    unsigned char fingerprint[SHA256_SIZE];
    assert_int_equal(certificate_fingerprint(chain, fingerprint).code, ERR_NONE);
    assert_memory_equal(look_at(given, STR("bob"))->credentials.certificates[0].fingerprint,
                        fingerprint, sizeof(fingerprint));
    arena_done(&arena);
    given->input = STR("no certificate");
    assert_int_equal(typed(given, "account certificate add bob@example.test - --name x"),
                     ADMIN_DATA);
    assert_int_equal(typed(given, "account certificate add bob@example.test -"), ADMIN_USAGE);
    assert_int_equal(typed(given, "account certificate add bob@example.test"), ADMIN_USAGE);
    assert_int_equal(
        typed(given, "account certificate add bob@example.test --fingerprint 12 --name x"),
        ADMIN_USAGE);
    const char *by_digits = "account certificate add bob@example.test --name phone --fingerprint "
                            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF";
    assert_str(answer(given, by_digits), STR("added certificate phone\n"));
    assert_int_equal(typed(given, by_digits), ADMIN_CANNOT_CREATE);
    assert_true(str_find(answer(given, "account certificate list bob@example.test"),
                         STR("phone  sha256: 0123456789abcdef0123456789abcdef0123456789abcdef"
                             "0123456789abcdef, created: ")) > 0);
    assert_str(answer(given, "account certificate remove bob@example.test phone"),
               STR("removed certificate phone\n"));
    assert_int_equal(typed(given, "account certificate remove bob@example.test phone"),
                     ADMIN_NO_USER);
}

static void grants_are_given_and_taken_back(void **state)
{
    struct given *given = *state;
    village(given);
    assert_str(answer(given, "account grant add bob@example.test Info@example.test"),
               STR("added grant Info@example.test\n"));
    assert_str(answer(given, "account grant add bob@example.test @bücher.test"),
               STR("added grant @bücher.test\n"));
    assert_int_equal(typed(given, "account grant add bob@example.test info@EXAMPLE.test"),
                     ADMIN_CANNOT_CREATE);
    assert_str(answer(given, "account grant list bob@example.test"),
               STR("Info@example.test\n@bücher.test\n"));
    assert_true(
        str_find(answer(given, "account show bob@example.test"),
                 STR("send_as          Info@example.test\n                 @bücher.test\n")) > 0);
    assert_str(answer(given, "account grant remove bob@example.test info@example.test"),
               STR("removed grant info@example.test\n"));
    assert_int_equal(typed(given, "account grant remove bob@example.test info@example.test"),
                     ADMIN_NO_USER);
    assert_int_equal(typed(given, "account grant add nobody@example.test info@example.test"),
                     ADMIN_NO_USER);
    assert_int_equal(typed(given, "account grant add bob@example.test nothing"), ADMIN_DATA);
}

static void verbs_may_be_two_words(void **state)
{
    struct given *given = *state;
    assert_true(str_starts(complaint(given, "account grant"),
                           STR("veredus: expected what to do behind \"grant\"\n")));
    assert_true(str_starts(complaint(given, "account grant show"),
                           STR("veredus: expected what to do, not \"show\"\n")));
    assert_true(str_starts(complaint(given, "account gran add"),
                           STR("veredus: expected what to do, not \"gran\"\n")));
    assert_true(str_starts(complaint(given, "account"),
                           STR("veredus: expected what to do behind \"account\"\n")));
    assert_str(complaint(given, "account grant add bob@example.test"),
               STR("veredus: something is missing in \"add\"\n"
                   "  account grant add ADDRESS OTHER\n"));
    assert_true(str_starts(complaint(given, "account grant add a@b.test c@d.test e@f.test"),
                           STR("veredus: this is too much: \"e@f.test\"\n")));
}

static void access_speaks_json(void **state)
{
    struct given *given = *state;
    village(given);
    answer(given, "account app-password add bob@example.test phone");
    answer(given, "account grant add bob@example.test @bücher.test");
    answer(given, "account certificate add bob@example.test --name x --fingerprint "
                  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    given->json = true;
    struct str text = answer(given, "account show bob@example.test");
    json_t *shown = json_loadb(text.p, text.n, 0, NULL);
    assert_non_null(shown);
    assert_int_equal(json_array_size(json_object_get(shown, "services")), 3);
    assert_int_equal(json_array_size(json_object_get(shown, "scram")), 0);
    assert_true(json_is_false(json_object_get(shown, "cram_md5")));
    const json_t *app = json_array_get(json_object_get(shown, "app_passwords"), 0);
    assert_string_equal(json_string_value(json_object_get(app, "name")), "phone");
    assert_true(json_is_null(json_object_get(app, "last_used")));
    assert_null(json_object_get(app, "hash"));
    assert_string_equal(json_string_value(json_array_get(json_object_get(shown, "send_as"), 0)),
                        "@xn--bcher-kva.test");
    json_decref(shown);
    static const char *const lists[] = {"account app-password list bob@example.test",
                                        "account certificate list bob@example.test",
                                        "account grant list bob@example.test"};
    for (size_t i = 0; i < 3; i++) {
        text = answer(given, lists[i]);
        json_t *list = json_loadb(text.p, text.n, 0, NULL);
        assert_int_equal(json_array_size(list), 1);
        json_decref(list);
    }
    given->json = false;
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(sending_is_held_and_released),
        WITH_STORE(accounts_come_and_go),
        WITH_STORE(passwords_are_kept_or_made_up),
        WITH_STORE(a_domain_may_end_in_the_dot_of_the_root),
        WITH_STORE(groups_are_changed_and_shown),
        WITH_STORE(forwards_are_changed_and_shown),
        WITH_STORE(a_language_is_set_and_shown),
        WITH_STORE(a_list_and_its_members_are_one_change),
        WITH_STORE(people_are_shown_u_labels),
        WITH_STORE(programs_are_told_what_is_stored),
        WITH_STORE(what_is_typed_wrong_is_said),
        WITH_STORE(a_text_is_exported_and_applied),
        WITH_STORE(everything_speaks_json),
        WITH_STORE(a_whole_store_is_found_whole),
        WITH_STORE(bans_are_listed_added_and_lifted),
        WITH_STORE(a_trace_is_told_by_address),
        WITH_STORE(a_password_is_changed_with_its_keys),
        WITH_STORE(services_are_switched),
        WITH_STORE(an_application_password_is_shown_once),
        WITH_STORE(certificates_are_given_by_file_or_fingerprint),
        WITH_STORE(grants_are_given_and_taken_back),
        WITH_STORE(verbs_may_be_two_words),
        WITH_STORE(access_speaks_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
