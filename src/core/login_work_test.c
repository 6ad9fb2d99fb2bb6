/*
 * What core does for a log-in that fails, step by step: each look into the store, each hash with
 * its kind and cost, each HMAC, each message, how often memory is taken. Whoever there is not gets
 * the same work in the same order as whoever there is, so that time tells nothing; counted here,
 * and measured by the bench (login-timing).
 *
 * The names are of one length, and so is what is said of them. Calls are caught by the linker
 * (--wrap, meson.build); a library's own calls of malloc are not seen, nor buffers that grow (the
 * log's), nor what happens behind the answer.
 */
#include "base/test.h"

#define HOUSE_SETTINGS "hostname = mx.example.test\nlogin {\n failures_per_account = 1000\n}\n"
#include <crypt.h>
#include <openssl/hmac.h>

#include "core/house_test.h"
#include "core/login.h"
#include "trust/password.h"

enum {
    TRIES = 3,
    STEPS_MAX = 4096, /* octets */
    KIND_MAX = 7,     /* of a hash: "$y$j9T$" */
};

/* --- What is done --------------------------------------------------------------------------- */

static struct {
    bool on, answered;
    char text[STEPS_MAX];
    struct buf steps;
    size_t memory; /* how often it is taken */
    size_t found;  /* of what is looked for */
} work;

static const struct engine_ops *own;
static struct engine_ops watched;

static void step(const char *what, struct str which)
{
    if (!work.on || work.answered)
        return;
    buf_printf(&work.steps, "%s %.*s\n", what, STR_FMT(which));
    assert_false(buf_over(&work.steps));
}

static void number_step(const char *what, unsigned number)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    step(what, str_from(text));
}

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
unsigned char *__wrap_HMAC(const EVP_MD *md, const void *key, int key_n, const unsigned char *d,
                           size_t n, unsigned char *to, unsigned *n_r);
unsigned char *__real_HMAC(const EVP_MD *md, const void *key, int key_n, const unsigned char *d,
                           size_t n, unsigned char *to, unsigned *n_r);
struct err __wrap_link_send(struct link *link, const struct msg *msg);
struct err __real_link_send(struct link *link, const struct msg *msg);

void *__wrap_malloc(size_t n)
{
    work.memory += work.on && !work.answered;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    work.memory += work.on && !work.answered;
    return __real_calloc(count, n);
}

char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    step("hash", str_head(str_from(setting), KIND_MAX));
    return __real_crypt_r(phrase, setting, data);
}

unsigned char *__wrap_HMAC(const EVP_MD *md, const void *key, int key_n, const unsigned char *d,
                           size_t n, unsigned char *to, unsigned *n_r)
{
    number_step("hmac", (unsigned)n);
    return __real_HMAC(md, key, key_n, d, n, to, n_r);
}

struct err __wrap_link_send(struct link *link, const struct msg *msg)
{
    if (link->own == ROLE_CORE)
        number_step("message", msg->kind);
    work.answered |= msg->kind == MSG_logged_in;
    return __real_link_send(link, msg);
}

static struct err watched_get(struct engine *engine, struct partition partition, struct str key,
                              struct arena *arena, struct entry *entry_r)
{
    number_step("get", partition.kind);
    step("of", str_head(key, 1));
    struct err e = own->get(engine, partition, key, arena, entry_r);
    work.found += !work.answered && !err_is(e);
    return e;
}

static struct err watched_scan(struct engine *engine, struct partition partition, struct str from,
                               struct str until, size_t limit, struct arena *arena,
                               struct entry **entries_r, size_t *count_r)
{
    number_step("scan", partition.kind);
    return own->scan(engine, partition, from, until, limit, arena, entries_r, count_r);
}

static void counted_commit(struct engine *engine, struct commit *commit)
{
    number_step("commit", (unsigned)commit->op_count);
    own->commit(engine, commit);
}

static void begin(void)
{
    work.steps = (struct buf){.p = work.text, .cap = STEPS_MAX, .max = STEPS_MAX};
    work.memory = work.found = 0;
    work.answered = false;
    work.on = true;
}

/* --- Who there is ---------------------------------------------------------------------------- */

static void account_make(const char *user, struct str hash, struct account account)
{
    static const struct password_kept none;
    struct password_kept kept = none;
    account.password = hash;
    kept.rounds = SCRAM_ROUNDS_LEAST;
    kept.cram_secret = STR("secret");
    for (int sha_1 = 0; sha_1 < 2; sha_1++)
        assert_false(err_is(scram_keys_make(sha_1 ? SASL_SCRAM_SHA_1 : SASL_SCRAM_SHA_256,
                                            STR("secret"), kept.salt, kept.rounds,
                                            sha_1 ? &kept.keys.sha_1 : &kept.keys.sha_256)));
    kept.keys.has_sha_1 = kept.keys.has_sha_256 = true;
    if (hash.n)
        account.kept = &kept;
    house_account(&house, user, account);
}

/* Behind house_people. */
static void more_people(struct rig *rig, void *arg)
{
    static const unsigned char salt[PASSWORD_SALT] = "sixteen octets.";
    static const struct str imported =
        STR_INIT("$6$rounds=1000$salt$HNxBeBnDfSfUrTj6KiLnmd7tGCvHEmcExh8kl/S0cZ5WrCciNZgf"
                 "hbpkeFQ4JfkHX.8vPq45lY0iINnCx1Lkm.");
    struct str hash;
    (void)arg;
    assert_false(err_is(password_hash(STR("secret"), salt, &house.arena, &hash)));
    account_make("there@example.test", hash, (struct account){.name = STR("There")});
    account_make("disab@example.test", hash, (struct account){.disabled = true});
    account_make("nosvc@example.test", hash, (struct account){.services_off = SERVICE_POP3});
    account_make("nopwd@example.test", str_null(), (struct account){.disabled = false});
    house_account(&house, "plain@example.test", (struct account){.password = hash});
    house_account(&house, "older@example.test", (struct account){.password = imported});
    own = rig->engine->ops;
    watched = *own;
    watched.get = watched_get;
    watched.scan = watched_scan;
    watched.commit = counted_commit;
    rig->engine->ops = &watched;
}

static int people_up(void **state)
{
    house_up(state);
    house.conf.login.mechanisms |= 1u << SASL_CRAM_MD5 | 1u << SASL_SCRAM_SHA_256_PLUS;
    work.on = false;
    assert_true(rig_do(&house.rig, more_people, NULL));
    return 0;
}

static int people_down(void **state)
{
    work.on = false;
    house.rig.engine->ops = own;
    return house_down(state);
}

/* --- Attempts -------------------------------------------------------------------------------- */

/* Another network each time, as long as any other. */
static struct str somewhere(void)
{
    static unsigned networks;
    char *text = arena_take(&house.arena, NETWORK_TEXT);
    unsigned n = networks++ % 800;
    assert_non_null(text);
    snprintf(text, NETWORK_TEXT, "10.%u.%u.100", 100 + n / 100, 100 + n % 100);
    return str_from(text);
}

static struct msg answer_to(struct msg question)
{
    struct msg answer;
    assert_false(err_is(house_ask(box, question, &answer)));
    return answer;
}

static enum err_code guess(enum sasl_mechanism mechanism, const char *user, const char *password)
{
    struct msg question = {.kind = MSG_login,
                           .login = {.protocol = LISTEN_POP3,
                                     .mechanism = (uint8_t)mechanism,
                                     .client = somewhere(),
                                     .user = str_from(user),
                                     .password = str_from(password)}};
    return answer_to(question).logged_in.error;
}

static enum err_code challenge_guess(enum sasl_mechanism mechanism, const char *user)
{
    bool cram = mechanism == SASL_CRAM_MD5;
    struct msg question = {.kind = MSG_login_begin,
                           .login_begin = {.protocol = LISTEN_POP3,
                                           .mechanism = (uint8_t)mechanism,
                                           .client = somewhere(),
                                           .user = cram ? str_null() : str_from(user),
                                           .nonce = STR("a nonce of mine"),
                                           .first = STR("n=there,r=a nonce of mine")}};
    struct msg begun = answer_to(question);
    assert_int_equal(begun.login_challenge.error, ERR_NONE);
    size_t length = cram ? 16 : scram_length(mechanism);
    struct msg proof = {
        .kind = MSG_login_proof,
        .login_proof = {.attempt = begun.login_challenge.attempt,
                        .user = cram ? str_from(user) : str_null(),
                        .final = STR("c=biws,r=a nonce of mine"),
                        .proof = str_head(STR("a proof that is nobody's: wrong."), length)}};
    return answer_to(proof).logged_in.error;
}

/* Nobody's records are made with the first challenge; before it only mechanisms with a hash were
 * used, which is ten thousand times what they are there for. */
static int challenged_up(void **state)
{
    people_up(state);
    (void)challenge_guess(SASL_SCRAM_SHA_256, "first@example.test");
    return 0;
}

static enum err_code guess_by(enum sasl_mechanism mechanism, const char *user)
{
    return mechanism == SASL_PLAIN || mechanism == SASL_LOGIN || mechanism == SASL_USER_PASS
               ? guess(mechanism, user, "guess")
               : challenge_guess(mechanism, user);
}

/* What is done for it; and how often memory is taken at least, for pools grow now and then, and so
 * does the test's own memory. */
static struct str work_of(enum sasl_mechanism mechanism, const char *user, size_t *memory_r)
{
    struct str steps = str_null();
    *memory_r = SIZE_MAX;
    for (size_t i = 0; i < TRIES; i++) {
        begin();
        assert_int_equal(guess_by(mechanism, user), ERR_LOGIN_FAILED);
        house_pass(&house, NS_PER_SECOND);
        work.on = false;
        *memory_r = work.memory < *memory_r ? work.memory : *memory_r;
        buf_printf(&work.steps, "found %zu\n", work.found);
        steps = arena_str(&house.arena, buf_str(&work.steps));
    }
    return steps;
}

static const enum sasl_mechanism mechanisms[] = {
    SASL_PLAIN,       SASL_LOGIN,         SASL_USER_PASS,          SASL_CRAM_MD5,
    SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_256_PLUS,
};

enum {
    MECHANISMS = sizeof(mechanisms) / sizeof(*mechanisms),
};

static size_t times(struct str steps, struct str step)
{
    size_t found = 0;
    for (ssize_t at; (at = str_find(steps, step)) >= 0; found++)
        steps = str_from_index(steps, (size_t)at + step.n);
    return found;
}

/* --- Tests ----------------------------------------------------------------------------------- */

/* S22 */
static void whom_there_are_not_costs_what_others_cost(void **state)
{
    static const char *const users[] = {"there@example.test", "disab@example.test",
                                        "nosvc@example.test", "nopwd@example.test",
                                        "plain@example.test", "nobod@elsewhe.test"};
    (void)state;
    for (size_t i = 0; i < MECHANISMS; i++) {
        size_t expected, memory;
        bool hashed = mechanisms[i] == SASL_PLAIN || mechanisms[i] == SASL_LOGIN ||
                      mechanisms[i] == SASL_USER_PASS;
        (void)work_of(mechanisms[i], "nobod@example.test", &memory);
        struct str steps = work_of(mechanisms[i], "nobod@example.test", &expected);
        assert_int_equal(times(steps, STR("hash $y$j9T$\n")), hashed ? 1 : 0);
        assert_true(times(steps, STR("get ")) >= 3 && times(steps, STR("message ")) >= 1);
        for (size_t user = 0; user < sizeof(users) / sizeof(*users); user++) {
            assert_str(work_of(mechanisms[i], users[user], &memory), steps);
            assert_int_equal(memory, expected);
        }
    }
}

static void a_local_part_that_nobody_has_is_looked_for_as_long(void **state)
{
    size_t memory, expected;
    (void)state;
    (void)work_of(SASL_CRAM_MD5, "nobod", &memory);
    struct str steps = work_of(SASL_CRAM_MD5, "nobod", &expected);
    assert_str(work_of(SASL_CRAM_MD5, "there", &memory), steps);
    assert_int_equal(memory, expected);
}

/* What is prepared into something else is tried both ways, whoever it is for. */
static void two_forms_of_a_password_are_two_hashes_for_everybody(void **state)
{
    static const char *const users[] = {"there@example.test", "nobod@example.test"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        assert_int_equal(guess(SASL_PLAIN, users[i], "gue\xc2\xaa\xc2\xadss"), ERR_LOGIN_FAILED);
        work.on = false;
        assert_int_equal(times(buf_str(&work.steps), STR("hash $y$j9T$\n")), 2);
    }
}

/* A hash that was imported costs what it costs, once, until its owner logs in (doc/access.md 3). */
static void an_imported_hash_looks_like_others_behind_the_first_log_in(void **state)
{
    size_t memory;
    (void)state;
    (void)work_of(SASL_PLAIN, "nobod@example.test", &memory);
    struct str steps = work_of(SASL_PLAIN, "nobod@example.test", &memory);
    struct str older = work_of(SASL_PLAIN, "older@example.test", &memory);
    assert_int_equal(times(older, STR("hash ")), 1);
    assert_int_equal(times(older, STR("hash $6$roun\n")), 1);
    assert_int_equal(guess(SASL_PLAIN, "older@example.test", "secret"), ERR_NONE);
    house_pass(&house, 5 * NS_PER_SECOND);
    assert_str(work_of(SASL_PLAIN, "older@example.test", &memory), steps);
}

#define PEOPLE_TEST(name) cmocka_unit_test_setup_teardown(name, challenged_up, people_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEOPLE_TEST(whom_there_are_not_costs_what_others_cost),
        PEOPLE_TEST(a_local_part_that_nobody_has_is_looked_for_as_long),
        PEOPLE_TEST(two_forms_of_a_password_are_two_hashes_for_everybody),
        PEOPLE_TEST(an_imported_hash_looks_like_others_behind_the_first_log_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
