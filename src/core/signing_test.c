/*
 * Signing keys in core: commands over the bus, what signs, the schedule, a new start.
 *
 * What any role says on the bus is caught where it is encoded. RSA keys are two, made once, in
 * turn: making one takes longer than a test.
 */
#include "base/test.h"

#include "core/admin_command.h"
#include "core/core_rig_test.h"
#include "core/signing_keys.h"
#include "format/date.h"
#include "format/encodings.h"

enum {
    HEARD_MAX = 64 << 20
};

#define HEADERS                                                                                    \
    "From: ann@example.test\r\nTo: bob@b.test\r\nSubject: x\r\n"                                   \
    "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n"
#define HERE STR("example.test")
#define HOUR (3600 * NS_PER_SECOND)

static struct house house;
static struct buf heard = BUF_INIT(HEARD_MAX);
static struct buf told = BUF_INIT(HEARD_MAX); /* what the last command answered */
static bool json;
static struct edge_end *cli;

void __wrap_msg_encode(struct buf *to, const struct msg *msg);
void __real_msg_encode(struct buf *to, const struct msg *msg);

void __wrap_msg_encode(struct buf *to, const struct msg *msg)
{
    size_t before = to->n;
    __real_msg_encode(to, msg);
    buf_put(&heard, str_from_index(buf_str(to), before));
    if (msg->kind == MSG_admin_text)
        buf_put(&told, msg->admin_text.text);
}

struct err __wrap_dkim_key_make(enum dkim_algorithm algorithm, struct dkim_key **key_r);
struct err __real_dkim_key_make(enum dkim_algorithm algorithm, struct dkim_key **key_r);

struct err __wrap_dkim_key_make(enum dkim_algorithm algorithm, struct dkim_key **key_r)
{
    static char octets[2][DKIM_KEY_MAX];
    static struct buf made[2];
    static unsigned turn;
    struct dkim_key *key;
    if (algorithm != DKIM_RSA)
        return __real_dkim_key_make(algorithm, key_r);
    turn = !turn;
    if (!made[turn].n) {
        made[turn] = (struct buf){.p = octets[turn], .cap = DKIM_KEY_MAX, .max = DKIM_KEY_MAX};
        assert_false(err_is(__real_dkim_key_make(algorithm, &key)));
        assert_false(err_is(dkim_key_write(key, &made[turn])));
        dkim_key_free(key);
    }
    return dkim_key_read(buf_str(&made[turn]), key_r);
}

static int house_begin(void **state)
{
    (void)state;
    buf_clear(&heard);
    house_open(&house,
               "hostname = mx.example.test\ndkim {\n  rotate_every = 5h\n  keep_old = 3h\n}\n", 1);
    cli = house_edge(&house, ROLE_CLI);
    return 0;
}

static int house_end(void **state)
{
    (void)state;
    house_close(&house);
    buf_done(&heard);
    buf_done(&told);
    json = false;
    return 0;
}

/* The exit code. */
static int typed(const char *line)
{
    struct msg_text_line words[8];
    struct str rest = str_from(line);
    struct msg question = {.kind = MSG_admin, .admin = {.arguments = words, .json = json}}, answer;
    buf_clear(&told);
    while (rest.n)
        words[question.admin.arguments_count++].text = str_cut(&rest, ' ');
    assert_false(err_is(house_ask(cli, question, &answer)));
    return answer.admin_done.exit_code;
}

/* --- What signs ------------------------------------------------------------------------------- */

struct signing_try {
    const char *domain;
    struct err e;
    struct str fields;
};

static void fields_ask(struct rig *rig, void *arg)
{
    struct signing_try *try = arg;
    unsigned char hash[DKIM_HASH];
    struct dkim_hash body;
    (void)rig;
    dkim_hash_begin(&body);
    dkim_hash_update(&body, STR("body\r\n"));
    dkim_hash_end(&body, hash);
    try->e = signing_fields(&house.core, str_from(try->domain), STR(HEADERS), hash,
                            1795219200 * US_PER_SECOND, &house.arena, &try->fields);
}

static struct str fields_of(const char *domain)
{
    struct signing_try try = {.domain = domain};
    assert_true(rig_do(&house.rig, fields_ask, &try));
    assert_false(err_is(try.e));
    return try.fields;
}

static bool signs(const char *selector)
{
    struct buf tag = BUF_INIT(256);
    buf_printf(&tag, "s=%s;", selector);
    bool found = str_find(fields_of("example.test"), buf_str(&tag)) > 0;
    buf_done(&tag);
    return found;
}

/* --- What is kept ----------------------------------------------------------------------------- */

struct found_key {
    const char *selector;
    bool found;
    enum dkim_state state;
    struct str record, private_key;
};

static struct err key_look(void *arg, const struct dkim_kept *kept)
{
    struct found_key *found = arg;
    if (!str_eq(kept->selector, str_from(found->selector)))
        return err_none();
    found->found = true;
    found->state = kept->state;
    found->record = arena_str(&house.arena, kept->record);
    found->private_key = arena_str(&house.arena, kept->private_key);
    return err_none();
}

static void key_find(struct rig *rig, void *arg)
{
    assert_false(err_is(dkim_kept_each(rig->engine, HERE, key_look, arg)));
}

static struct found_key key_of(const char *selector)
{
    struct found_key found = {.selector = selector};
    assert_true(rig_do(&house.rig, key_find, &found));
    return found;
}

static void state_is(const char *selector, enum dkim_state state)
{
    struct found_key found = key_of(selector);
    assert_true(found.found);
    assert_int_equal(found.state, state);
}

static const char *selectors[4]; /* a-rsa, a-ed, b-rsa, b-ed of the fake world's month */

static void selectors_make(void)
{
    static char texts[4][DKIM_SELECTOR_MAX + 1];
    char date[32];
    struct buf text = {.p = date, .cap = sizeof(date), .max = sizeof(date)};
    date_print_rfc3339(&text, world_wall(&house.rig.fake->world) / US_PER_SECOND);
    for (int i = 0; i < 4; i++) {
        snprintf(texts[i], sizeof(texts[i]), "v%.4s%.2s%c-%s", date, date + 5, "aabb"[i],
                 i % 2 ? "ed" : "rsa");
        selectors[i] = texts[i];
    }
}

static void first_pair_signs(void)
{
    selectors_make();
    assert_int_equal(typed("dkim add Example.Test."), 0);
    assert_int_equal(typed("dkim published example.test"), 0);
    assert_true(signs(selectors[0]) && signs(selectors[1]));
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void nothing_signs_before_it_is_published(void **state)
{
    (void)state;
    selectors_make();
    assert_str(fields_of("example.test"), STR(""));
    assert_int_equal(typed("dkim add example.test"), 0);
    state_is(selectors[0], DKIM_MADE);
    assert_str(fields_of("example.test"), STR(""));
    assert_int_equal(typed("dkim published example.test"), 0);
    assert_int_equal(typed("dkim published example.test"), ADMIN_NO_USER);
    struct str fields = fields_of("example.test");
    assert_true(str_starts(fields, STR("DKIM-Signature: v=1; a=rsa-sha256;")));
    assert_true(str_find(fields, STR("\r\nDKIM-Signature: v=1; a=ed25519-sha256;")) > 0);
    assert_true(str_find(fields, STR(" d=example.test;")) > 0 ||
                str_find(fields, STR("\td=example.test;")) > 0);
    assert_str(fields_of("sub.example.test"), STR(""));
    assert_str(fields_of("test"), STR(""));
}

static struct err with_key(void *arg, const unsigned char hash[DKIM_HASH],
                           unsigned char signature_r[DKIM_SIGNATURE_MAX], size_t *length_r)
{
    return dkim_key_sign(arg, hash, signature_r, length_r);
}

static struct str signed_with(const char *selector)
{
    unsigned char hash[DKIM_HASH];
    struct dkim_hash body;
    struct dkim_key *key;
    struct str field;
    assert_false(err_is(dkim_key_read(key_of(selector).private_key, &key)));
    dkim_hash_begin(&body);
    dkim_hash_update(&body, STR("body\r\n"));
    dkim_hash_end(&body, hash);
    const struct dkim_what what = {.headers = STR(HEADERS),
                                   .body_hash = hash,
                                   .domain = HERE,
                                   .selector = str_from(selector),
                                   .now = 1795219200};
    const struct dkim_signer signer = {
        .algorithm = dkim_key_algorithm(key), .sign = with_key, .arg = key};
    assert_false(err_is(dkim_sign(&what, &signer, &house.arena, &field)));
    dkim_key_free(key);
    return field;
}

/* Each selector's signature is that of its own key. */
static void the_key_that_is_named_has_signed(void **state)
{
    (void)state;
    first_pair_signs();
    struct str fields = fields_of("example.test");
    struct str rsa = signed_with(selectors[0]), ed = signed_with(selectors[1]);
    assert_str(str_head(fields, rsa.n), rsa);
    assert_str(str_from_index(fields, rsa.n), ed);
}

static void off_is_off(void **state)
{
    (void)state;
    first_pair_signs();
    house.conf.dkim.sign = false;
    assert_str(fields_of("example.test"), STR(""));
    house.conf.dkim.sign = true;
    assert_true(fields_of("example.test").n > 0);
}

static void keys_are_there_after_a_start(void **state)
{
    (void)state;
    first_pair_signs();
    struct str before = fields_of("example.test");
    edge_end_leave(cli);
    house_stop(&house);
    house_start(&house);
    edge_end_connect(cli);
    assert_str(fields_of("example.test"), before);
}

static void and_after_a_crash(void **state)
{
    (void)state;
    first_pair_signs();
    struct str before = fields_of("example.test");
    house_crash(&house);
    house_start(&house);
    edge_end_connect(cli);
    assert_str(fields_of("example.test"), before);
}

static void removed_keys_sign_no_more(void **state)
{
    (void)state;
    first_pair_signs();
    char line[128];
    snprintf(line, sizeof(line), "dkim remove example.test %s", selectors[0]);
    assert_int_equal(typed(line), 0);
    assert_true(!signs(selectors[0]) && signs(selectors[1]));
    assert_int_equal(typed("dkim remove example.test"), 0);
    assert_str(fields_of("example.test"), STR(""));
    assert_int_equal(typed("dkim remove example.test"), ADMIN_NO_USER);
}

static void too_many_wait(void **state)
{
    (void)state;
    struct signing_try try = {.domain = "example.test"};
    first_pair_signs();
    house.core.signing->lane.waiting += SIGNING_WAITING_MAX;
    assert_true(rig_do(&house.rig, fields_ask, &try));
    house.core.signing->lane.waiting -= SIGNING_WAITING_MAX;
    assert_int_equal(try.e.code, ERR_TRY_LATER);
    assert_true(fields_of("example.test").n > 0);
}

static void remove_meanwhile(struct rig *rig, void *arg)
{
    struct err *e = arg;
    *e = dkim_kept_remove(rig->engine, HERE, str_null());
    if (!err_is(*e))
        *e = signing_reload(&house.core, HERE);
}

struct aside {
    struct fiber_start start;
    struct signing_try try;
    bool done;
};

static void aside_run(void *arg)
{
    struct aside *aside = arg;
    fields_ask(&house.rig, &aside->try);
    aside->done = true;
}

/* A signature on the lane has its key though it was removed meanwhile. */
static void a_key_at_work_stays(void **state)
{
    (void)state;
    struct aside aside = {.try = {.domain = "example.test"}};
    struct err e;
    first_pair_signs();
    struct str before = fields_of("example.test");
    fake_role_enter(house.rig.fake, house.rig.role);
    aside.start = (struct fiber_start){.run = aside_run, .arg = &aside};
    fiber_run(house.rig.fibers, &aside.start);
    fake_role_enter(house.rig.fake, 0);
    assert_false(aside.done);
    assert_true(rig_do(&house.rig, remove_meanwhile, &e));
    assert_false(err_is(e));
    house_pass(&house, NS_PER_SECOND);
    assert_true(aside.done);
    assert_str(aside.try.fields, before);
    assert_str(fields_of("example.test"), STR(""));
}

/* --- The schedule ----------------------------------------------------------------------------- */

struct publishing {
    const char *selector;
    struct str txt;
    struct err e;
};

static void publish_run(struct rig *rig, void *arg)
{
    struct publishing *publishing = arg;
    (void)rig;
    publishing->e =
        signing_published(&house.core, HERE, str_from(publishing->selector), publishing->txt);
}

static struct err published(const char *selector, struct str txt)
{
    struct publishing publishing = {.selector = selector, .txt = txt};
    assert_true(rig_do(&house.rig, publish_run, &publishing));
    return publishing.e;
}

static void keys_change_on_schedule(void **state)
{
    (void)state;
    first_pair_signs();
    house_pass(&house, 4 * HOUR);
    assert_false(key_of(selectors[2]).found);
    house_pass(&house, 3 * HOUR); /* a look an hour */
    state_is(selectors[2], DKIM_MADE);
    state_is(selectors[3], DKIM_MADE);
    assert_true(signs(selectors[0]) && signs(selectors[1]));
    house_pass(&house, 24 * HOUR); /* nobody publishes them: nothing else is made */
    assert_true(signs(selectors[0]) && signs(selectors[1]));
    assert_int_equal(published(selectors[2], STR("v=spf1 -all")).code, ERR_CONFIG);
    assert_int_equal(published(selectors[2], key_of(selectors[3]).record).code, ERR_CONFIG);
    assert_int_equal(published("other", key_of(selectors[2]).record).code, ERR_NOT_FOUND);
    assert_true(signs(selectors[0]) && !signs(selectors[2]));
    assert_false(err_is(published(selectors[2], key_of(selectors[2]).record)));
    assert_false(err_is(published(selectors[2], key_of(selectors[2]).record)));
    assert_true(!signs(selectors[0]) && signs(selectors[1]) && signs(selectors[2]));
    assert_int_equal(key_of(selectors[0]).private_key.n, 0);
    house_pass(&house, 2 * HOUR);
    state_is(selectors[0], DKIM_RETIRING);
    house_pass(&house, 3 * HOUR);
    state_is(selectors[0], DKIM_RETIRED);
    state_is(selectors[1], DKIM_ACTIVE);
}

static void no_schedule_no_change(void **state)
{
    (void)state;
    house.conf.dkim.rotate_every = 0;
    first_pair_signs();
    house_pass(&house, 30 * HOUR);
    assert_false(key_of(selectors[2]).found);
    assert_int_equal(typed("dkim rotate example.test"), 0);
    state_is(selectors[2], DKIM_MADE);
    assert_int_equal(typed("dkim rotate example.test"), ADMIN_CANNOT_CREATE);
}

/* --- What is said ----------------------------------------------------------------------------- */

static void said(struct str part)
{
    if (str_find(buf_str(&told), part) < 0)
        print_error("said: %.*s\n", STR_FMT(buf_str(&told)));
    assert_true(str_find(buf_str(&told), part) >= 0);
}

/* A line of the answer, with what this pair's names and records are. */
static void line_said(const char *format, const char *selector)
{
    struct buf line = BUF_INIT(4096), record = BUF_INIT(4096);
    struct str kept = key_of(selector).record, rest = str_from(format);
    dkim_record_quote(kept, &record);
    while (rest.n) {
        struct str plain = str_cut(&rest, '%');
        buf_put(&line, plain);
        char what = rest.n ? rest.p[0] : '\0';
        buf_put(&line, what == 's'   ? str_from(selector)
                       : what == 'r' ? kept
                       : what == 'q' ? buf_str(&record)
                                     : STR(""));
        rest = str_from_index(rest, 1);
    }
    said(buf_str(&line));
    buf_done(&line);
    buf_done(&record);
}

static void records_are_shown_to_be_published(void **state)
{
    (void)state;
    selectors_make();
    assert_int_equal(typed("dkim add example.test"), 0);
    line_said("selector         %s\ndomain           example.test\nalgorithm        rsa-sha256\n"
              "state            made\n",
              selectors[0]);
    line_said("\nname             %s._domainkey.example.test\nrecord           %r\n"
              "zone             %s._domainkey.example.test. IN TXT %q\n",
              selectors[0]);
    line_said("\nname             %s._domainkey.example.test\nrecord           %r\n"
              "zone             %s._domainkey.example.test. IN TXT %q\n\n",
              selectors[1]);
    said(STR("\" \"")); /* a record of more than 255 octets */
    assert_int_equal(typed("dkim published example.test"), 0);
    assert_str(buf_str(&told), STR("published dkim example.test\n"));
    assert_int_equal(typed("dkim rotate example.test"), 0);
    assert_true(str_find(buf_str(&told), str_from(selectors[0])) < 0); /* the new ones alone */
    line_said("selector         %s\n", selectors[3]);
    assert_int_equal(typed("dkim published example.test"), 0);
    assert_int_equal(typed("dkim show example.test"), 0);
    said(STR("next             its record must stay for mail that is on its way\n"));
    said(STR("next             its record must stay\n"));
    assert_int_equal(typed("dkim list"), 0);
    line_said("%s  domain: example.test, algorithm: ed25519-sha256, state: retiring, since: ",
              selectors[1]);
    assert_int_equal(typed("dkim remove example.test"), 0);
    assert_str(buf_str(&told), STR("removed dkim example.test\n"));
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int code;
        struct str says;
    } rows[] = {
        {"dkim show example.test", 67, STR_INIT("veredus: the domain has no signing keys\n")},
        {"dkim rotate example.test", 67,
         STR_INIT("veredus: the domain has no keys; dkim add makes the first\n")},
        {"dkim published example.test", 67,
         STR_INIT("veredus: no key of the domain waits for its record\n")},
        {"dkim remove example.test x", 67, STR_INIT("veredus: there is no such key\n")},
        {"dkim add [192.0.2.1]", 65,
         STR_INIT("veredus: an address literal has no records: \"[192.0.2.1]\"\n")},
        {"dkim add a..b", 65, STR_INIT("veredus: the domain is malformed: \"a..b\"\n")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(typed(rows[i].line), rows[i].code);
        assert_str(buf_str(&told), rows[i].says);
    }
    assert_int_equal(typed("dkim list"), 0);
    assert_str(buf_str(&told), STR(""));
}

static void programs_are_told_in_json(void **state)
{
    (void)state;
    static const char *const lines[] = {"dkim add example.test", "dkim show example.test",
                                        "dkim list"};
    json = true;
    selectors_make();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(typed(lines[i]), 0);
        json_t *list = json_loadb(told.p, told.n, 0, NULL);
        assert_int_equal(json_array_size(list), 2);
        json_t *key = json_array_get(list, 1);
        assert_string_equal(json_string_value(json_object_get(key, "selector")), selectors[0]);
        assert_string_equal(json_string_value(json_object_get(key, "state")), "made");
        assert_int_equal(json_object_get(key, "record") != NULL, i < 2);
        assert_null(json_object_get(key, "private_key"));
        json_decref(list);
    }
    assert_int_equal(typed("dkim published example.test"), 0);
    assert_str(buf_str(&told), STR("{\"done\":\"published\",\"dkim\":\"example.test\"}\n"));
}

/* --- What leaves -------------------------------------------------------------------------------
 */

static void not_heard(struct str octets)
{
    assert_true(octets.n >= 16);
    assert_true(str_find(buf_str(&heard), octets) < 0);
}

/* As it is, in base64 and in hexadecimal. */
static void private_part_not_heard(struct str whole, size_t from)
{
    struct str part = str_from_index(whole, from);
    struct buf text = BUF_INIT(16384);
    not_heard(part);
    base64_print(&text, whole);
    not_heard(str_from_index(buf_str(&text), from / 3 * 4 + 4));
    buf_clear(&text);
    base64_print(&text, part);
    not_heard(str_head(buf_str(&text), text.n - 4));
    buf_clear(&text);
    for (size_t i = 0; i < part.n; i++)
        buf_printf(&text, "%02x", (unsigned char)part.p[i]);
    not_heard(buf_str(&text));
    buf_done(&text);
}

/* The last 100 octets of an RSA key are of its CRT numbers, the last 32 of an Ed25519 one are it.
 */
static void no_message_of_the_bus_has_a_private_key(void **state)
{
    (void)state;
    static const char *const lines[] = {"dkim list",    "dkim show example.test",
                                        "export",       "dkim list example.test",
                                        "audit export", "status"};
    first_pair_signs();
    (void)house_edge(&house, ROLE_MX);
    (void)house_edge(&house, ROLE_SUB);
    (void)house_edge(&house, ROLE_BOX);
    assert_int_equal(typed("dkim rotate example.test"), 0);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(typed(lines[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        struct found_key key = key_of(selectors[i]);
        assert_true(key.private_key.n > 40);
        private_part_not_heard(key.private_key, key.private_key.n - (i % 2 ? 32 : 100));
        struct str record = str_from_index(key.record, key.record.n - 40); /* that is heard */
        assert_true(str_find(buf_str(&heard), record) > 0);
    }
    assert_false(buf_over(&heard));
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, house_begin, house_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(nothing_signs_before_it_is_published),
        ONE(the_key_that_is_named_has_signed),
        ONE(off_is_off),
        ONE(keys_are_there_after_a_start),
        ONE(and_after_a_crash),
        ONE(removed_keys_sign_no_more),
        ONE(too_many_wait),
        ONE(a_key_at_work_stays),
        ONE(keys_change_on_schedule),
        ONE(no_schedule_no_change),
        ONE(records_are_shown_to_be_published),
        ONE(what_is_wrong_is_said),
        ONE(programs_are_told_in_json),
        ONE(no_message_of_the_bus_has_a_private_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
