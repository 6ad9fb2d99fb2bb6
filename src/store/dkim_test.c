#include "store/dkim.h"

#include "base/test.h"
#include "store/store_rig_test.h"

enum {
    ENOUGH = 1 << 20,
    SHOWN_MAX = 64 * 1024,
};

#define DAY (INT64_C(86400) * US_PER_SECOND)
/* 2026-11-22T00:00:00Z */
#define NOW (INT64_C(1795305600) * US_PER_SECOND)

#define HERE STR("example.test")

struct given {
    struct store_rig store;
    struct buf shown;
    size_t private_octets;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.shown = BUF_INIT(SHOWN_MAX)};
    store_rig_take_body(&given.store, state);
    store_rig_open(&given.store);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    buf_done(&given->shown);
    store_rig_close(&given->store);
    return 0;
}

static struct err add(struct given *given, struct str domain, bool first, int64_t now)
{
    static const struct dkim_new keys[] = {
        {.algorithm = DKIM_RSA, .record = STR_INIT("rsa record"), .private_key = STR_INIT("P1")},
        {.algorithm = DKIM_ED25519,
         .record = STR_INIT("ed record"),
         .private_key = STR_INIT("P2")}};
    return dkim_kept_add(given->store.engine, domain, first, keys, 2, now);
}

static void added(struct given *given, bool first, int64_t now)
{
    struct err e = add(given, HERE, first, now);
    assert_str(e.detail, STR(""));
    assert_false(err_is(e));
}

static void published(struct given *given, const char *selector, int64_t now)
{
    assert_false(err_is(dkim_kept_published(given->store.engine, HERE, str_from(selector), now)));
}

/* "selector state private key;" */
static struct err show(void *arg, const struct dkim_kept *kept)
{
    struct given *given = arg;
    buf_put(&given->shown, kept->selector);
    buf_putc(&given->shown, ' ');
    buf_put(&given->shown, dkim_state_name(kept->state));
    buf_putc(&given->shown, ' ');
    buf_put(&given->shown, kept->private_key);
    buf_putc(&given->shown, ';');
    return err_none();
}

static struct str shown(struct given *given, struct str domain)
{
    buf_clear(&given->shown);
    assert_false(err_is(dkim_kept_each(given->store.engine, domain, show, given)));
    return buf_str(&given->shown);
}

/* K1 to K4 */
static void keys_go_their_way(void **state)
{
    struct given *given = *state;
    added(given, true, NOW);
    assert_str(shown(given, HERE), STR("v202611a-ed made P2;v202611a-rsa made P1;"));
    published(given, "v202611a-rsa", NOW + DAY);
    assert_str(shown(given, HERE), STR("v202611a-ed made P2;v202611a-rsa active P1;"));
    published(given, "v202611a-ed", NOW + DAY);
    added(given, false, NOW + 2 * DAY);
    published(given, "v202611b-ed", NOW + 3 * DAY);
    assert_str(shown(given, HERE), STR("v202611a-ed retiring ;v202611a-rsa active P1;"
                                       "v202611b-ed active P2;v202611b-rsa made P1;"));
    published(given, "v202611b-rsa", NOW + 3 * DAY);
    assert_false(
        err_is(dkim_kept_retired(given->store.engine, HERE, STR("v202611a-rsa"), NOW + 20 * DAY)));
    assert_str(shown(given, HERE), STR("v202611a-ed retiring ;v202611a-rsa retired ;"
                                       "v202611b-ed active P2;v202611b-rsa active P1;"));
    assert_false(err_is(dkim_kept_remove(given->store.engine, HERE, STR("v202611a-rsa"))));
    assert_str(shown(given, HERE), STR("v202611a-ed retiring ;"
                                       "v202611b-ed active P2;v202611b-rsa active P1;"));
}

static struct err facts_look(void *arg, const struct dkim_kept *kept)
{
    struct given *given = arg;
    assert_str(kept->domain, HERE);
    assert_int_equal(kept->algorithm,
                     str_ends(kept->selector, STR("rsa")) ? DKIM_RSA : DKIM_ED25519);
    assert_str(kept->record, kept->algorithm == DKIM_RSA ? STR("rsa record") : STR("ed record"));
    assert_true(kept->created == NOW);
    assert_true(kept->since == (kept->state == DKIM_ACTIVE ? NOW + DAY : NOW));
    given->private_octets += kept->private_key.n;
    return err_none();
}

static void what_is_kept_of_a_key(void **state)
{
    struct given *given = *state;
    added(given, true, NOW);
    published(given, "v202611a-rsa", NOW + DAY);
    assert_false(err_is(dkim_kept_each(given->store.engine, HERE, facts_look, given)));
    assert_int_equal(given->private_octets, 4);
}

static void refused(struct err e, enum err_code code, const char *why)
{
    assert_int_equal(e.code, code);
    assert_str(e.detail, str_from(why));
}

static void only_one_pair_waits(void **state)
{
    struct given *given = *state;
    refused(add(given, HERE, false, NOW), ERR_NOT_FOUND,
            "the domain has no keys; dkim add makes the first");
    added(given, true, NOW);
    refused(add(given, HERE, true, NOW), ERR_EXISTS,
            "new keys wait for their records to be published");
    published(given, "v202611a-rsa", NOW);
    refused(add(given, HERE, false, NOW), ERR_EXISTS,
            "new keys wait for their records to be published");
    published(given, "v202611a-ed", NOW);
    refused(add(given, HERE, true, NOW), ERR_EXISTS,
            "the domain has keys; dkim rotate makes the next");
    added(given, false, NOW);
}

static void what_there_is_not_goes_nowhere(void **state)
{
    struct given *given = *state;
    struct engine *engine = given->store.engine;
    added(given, true, NOW);
    refused(dkim_kept_published(engine, HERE, STR("other"), NOW), ERR_NOT_FOUND,
            "no key waits under this selector");
    refused(dkim_kept_published(engine, STR("else.test"), STR("v202611a-rsa"), NOW), ERR_NOT_FOUND,
            "no key waits under this selector");
    refused(dkim_kept_retired(engine, HERE, STR("v202611a-rsa"), NOW), ERR_NOT_FOUND,
            "no key retires under this selector");
    refused(dkim_kept_remove(engine, HERE, STR("other")), ERR_NOT_FOUND, "there is no such key");
    refused(dkim_kept_remove(engine, STR("else.test"), str_null()), ERR_NOT_FOUND,
            "there is no such key");
    published(given, "v202611a-rsa", NOW);
    published(given, "v202611a-rsa", NOW + DAY); /* again: nothing */
    published(given, "v202611a-ed", NOW);
    added(given, false, NOW);
    published(given, "v202611b-rsa", NOW);
    refused(dkim_kept_published(engine, HERE, STR("v202611a-rsa"), NOW), ERR_NOT_FOUND,
            "no key waits under this selector");
}

static void selectors_are_never_given_twice(void **state)
{
    struct given *given = *state;
    struct engine *engine = given->store.engine;
    added(given, true, NOW);
    assert_false(err_is(dkim_kept_remove(engine, HERE, str_null())));
    assert_str(shown(given, HERE), STR(""));
    added(given, true, NOW);
    assert_str(shown(given, HERE), STR("v202611b-ed made P2;v202611b-rsa made P1;"));
    assert_false(err_is(dkim_kept_remove(engine, HERE, str_null())));
    added(given, true, NOW - 365 * DAY); /* the clock was set back */
    assert_str(shown(given, HERE), STR("v202611c-ed made P2;v202611c-rsa made P1;"));
    assert_false(err_is(dkim_kept_remove(engine, HERE, str_null())));
    added(given, true, NOW + 9 * DAY);
    assert_str(shown(given, HERE), STR("v202612a-ed made P2;v202612a-rsa made P1;"));
}

static void a_month_has_26_pairs(void **state)
{
    struct given *given = *state;
    for (int i = 0; i < DKIM_PAIRS_A_MONTH; i++) {
        added(given, true, NOW);
        if (i + 1 == DKIM_PAIRS_A_MONTH)
            assert_str(shown(given, HERE), STR("v202611z-ed made P2;v202611z-rsa made P1;"));
        assert_false(err_is(dkim_kept_remove(given->store.engine, HERE, str_null())));
    }
    refused(add(given, HERE, true, NOW), ERR_OVER_LIMIT,
            "26 pairs of keys in a month are the most");
    added(given, true, NOW + 30 * DAY);
}

/* A domain's rows are its own, whatever others are called. */
static void domains_are_told_apart(void **state)
{
    struct given *given = *state;
    static const char *const domains[] = {"a.test", "a.test.b", "a.tes", "b.a.test"};
    for (size_t i = 0; i < 4; i++)
        assert_false(err_is(add(given, str_from(domains[i]), true, NOW)));
    for (size_t i = 0; i < 4; i++)
        assert_str(shown(given, str_from(domains[i])),
                   STR("v202611a-ed made P2;v202611a-rsa made P1;"));
    assert_false(err_is(dkim_kept_remove(given->store.engine, STR("a.test"), str_null())));
    assert_str(shown(given, STR("a.test")), STR(""));
    assert_str(shown(given, STR("a.tes")), STR("v202611a-ed made P2;v202611a-rsa made P1;"));
}

/* More than a page of rows. */
static void all_domains_are_shown(void **state)
{
    struct given *given = *state;
    char name[32];
    for (int i = 0; i < 120; i++) {
        struct buf domain = {.p = name, .cap = sizeof(name), .max = sizeof(name)};
        buf_printf(&domain, "d%03d.test", i);
        assert_false(err_is(add(given, buf_str(&domain), true, NOW)));
    }
    assert_int_equal(shown(given, str_null()).n, 240 * (sizeof("v202611a-ed made P2;") - 1) + 120);
}

static void a_conflict_changes_nothing(void **state)
{
    struct given *given = *state;
    added(given, true, NOW);
    given->store.conflict_in = 1;
    struct err e = dkim_kept_published(given->store.engine, HERE, STR("v202611a-rsa"), NOW);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_str(shown(given, HERE), STR("v202611a-ed made P2;v202611a-rsa made P1;"));
}

static void others_publish(struct store_rig *store)
{
    assert_false(err_is(dkim_kept_published(store->engine, HERE, STR("v202611a-rsa"), NOW)));
}

static void others_add(struct store_rig *store)
{
    struct given *given = (struct given *)(void *)store;
    assert_false(err_is(add(given, HERE, true, NOW)));
}

/* Two at it: what the one decided on is no longer there. */
static void two_at_it(void **state)
{
    struct given *given = *state;
    given->store.meanwhile = others_add;
    assert_int_equal(add(given, HERE, true, NOW).code, ERR_CONFLICT);
    assert_str(shown(given, HERE), STR("v202611a-ed made P2;v202611a-rsa made P1;"));
    given->store.meanwhile = others_publish;
    struct err e = dkim_kept_published(given->store.engine, HERE, STR("v202611a-rsa"), NOW + DAY);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_str(shown(given, HERE), STR("v202611a-ed made P2;v202611a-rsa active P1;"));
}

static void broken_put(struct given *given, struct str value)
{
    struct op op = {.kind = OP_PUT,
                    .partition = {PARTITION_DKIM, 0},
                    .key = str_make("kexample.test\0x", 15),
                    .value = value};
    struct commit commit = {.ops = &op, .op_count = 1};
    assert_false(err_is(engine_commit_wait(given->store.engine, &commit)));
    struct err e = dkim_kept_each(given->store.engine, HERE, show, given);
    assert_int_equal(e.code, ERR_STORE_DAMAGED);
}

static void rows_that_cannot_be_read(void **state)
{
    struct given *given = *state;
    broken_put(given, STR(""));
    broken_put(given, STR("\1\1\1"));
    broken_put(given, str_make("\2\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21));
    broken_put(given, str_make("\1\3\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21));
    broken_put(given, str_make("\1\1\5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21));
    broken_put(given, str_make("\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21));
    broken_put(given, str_make("\1\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", 22));
}

#define ONE(test) ON_FIBER(test, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(keys_go_their_way),
        ONE(what_is_kept_of_a_key),
        ONE(only_one_pair_waits),
        ONE(what_there_is_not_goes_nowhere),
        ONE(selectors_are_never_given_twice),
        ONE(a_month_has_26_pairs),
        ONE(domains_are_told_apart),
        ONE(all_domains_are_shown),
        ONE(a_conflict_changes_nothing),
        ONE(two_at_it),
        ONE(rows_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
