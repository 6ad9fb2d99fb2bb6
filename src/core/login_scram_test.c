/*
 * SCRAM, EXTERNAL and bearer tokens as core sees them: a client of our own computes the proofs.
 */
#include "base/test.h"

#define HOUSE_SETTINGS "hostname = mx.example.test\n"
#include <openssl/hmac.h>

#include "core/house_test.h"
#include "core/login.h"
#include "trust/token_rig_test.h"

enum {
    HASH = 32, /* of SHA-256 */
};

/* What a client has in its hands between the two messages. */
struct exchange {
    struct str bare, challenge, nonce, salt;
    uint64_t attempt, rounds;
};

static struct str joined(struct str a, struct str b, struct str c, struct str d)
{
    struct buf buf = buf_in(&house.arena, 1 << 16);
    buf_put(&buf, a);
    buf_put(&buf, b);
    buf_put(&buf, c);
    buf_put(&buf, d);
    return buf_built(&buf);
}

static enum err_code begun_as(struct edge_end *edge, struct str user, struct exchange *x)
{
    struct msg answer;
    struct msg msg = {.kind = MSG_login_begin,
                      .login_begin = {.protocol = LISTEN_POP3,
                                      .mechanism = SASL_SCRAM_SHA_256,
                                      .client = STR("192.0.2.7"),
                                      .user = user,
                                      .nonce = STR("a nonce of mine")}};
    *x = (struct exchange){.bare = joined(STR("n="), user, STR(",r="), msg.login_begin.nonce)};
    msg.login_begin.first = x->bare;
    assert_false(err_is(house_ask(edge, msg, &answer)));
    x->attempt = answer.login_challenge.attempt;
    x->challenge = answer.login_challenge.text;
    if (answer.login_challenge.error == ERR_NONE) {
        struct str rest = x->challenge;
        x->nonce = str_from_index(str_cut(&rest, ','), 2);
        x->salt = str_from_index(str_cut(&rest, ','), 2);
        assert_true(str_starts(x->nonce, msg.login_begin.nonce));
        assert_true(str_to_u64(str_from_index(rest, 2), &x->rounds));
    }
    return answer.login_challenge.error;
}

static enum err_code begun(struct edge_end *edge, const char *user, struct exchange *x)
{
    return begun_as(edge, str_from(user), x);
}

static void hmac(const unsigned char key[HASH], struct str text, unsigned char digest_r[HASH])
{
    unsigned n = HASH;
    assert_non_null(
        HMAC(EVP_sha256(), key, HASH, (const unsigned char *)text.p, text.n, digest_r, &n));
}

/* RFC 5802 3: ClientProof. */
static void proof_of(const struct exchange *x, const char *password, struct str final,
                     unsigned char proof_r[HASH])
{
    unsigned char salt[64], salted[HASH], key[HASH], stored[HASH], signature[HASH];
    int n = EVP_DecodeBlock(salt, (const unsigned char *)x->salt.p, (int)x->salt.n);
    assert_true(n >= SCRAM_SALT);
    assert_int_equal(PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, SCRAM_SALT,
                                       (int)x->rounds, EVP_sha256(), HASH, salted),
                     1);
    hmac(salted, STR("Client Key"), key);
    unsigned length = HASH;
    assert_int_equal(EVP_Digest(key, HASH, stored, &length, EVP_sha256(), NULL), 1);
    struct str both = joined(x->bare, STR(","), x->challenge, STR(","));
    hmac(stored, joined(both, final, STR(""), STR("")), signature);
    for (size_t i = 0; i < HASH; i++)
        proof_r[i] = key[i] ^ signature[i];
}

static struct msg_logged_in proved(struct edge_end *edge, const struct exchange *x,
                                   const char *password)
{
    unsigned char proof[HASH];
    struct msg answer;
    struct str final = joined(STR("c=biws,r="), x->nonce, STR(""), STR(""));
    proof_of(x, password, final, proof);
    struct msg msg = {.kind = MSG_login_proof,
                      .login_proof = {.attempt = x->attempt,
                                      .final = final,
                                      .proof = str_make(proof, sizeof(proof))}};
    assert_false(err_is(house_ask(edge, msg, &answer)));
    return answer.logged_in;
}

/* Bob logs in with his password, and has keys then. */
static void keys_are_made(void)
{
    house_enter(box, "bob@example.test");
    house_pass(&house, 5 * NS_PER_SECOND);
}

static void a_proof_is_right_once(void **state)
{
    (void)state;
    struct exchange x;
    keys_are_made();
    uint64_t hashes = house.core.desk.gate.hashes;
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    struct msg_logged_in in = proved(box, &x, "secret");
    assert_int_equal(in.error, ERR_NONE);
    assert_true(in.handle != 0);
    assert_true(str_starts(in.text, STR("v=")));
    assert_int_equal(house_rows(box, in.handle, 0).error, ERR_NONE);
    assert_int_equal(proved(box, &x, "secret").error, ERR_LOGIN_FAILED); /* again */
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    in = proved(box, &x, "wrong");
    assert_int_equal(in.error, ERR_LOGIN_FAILED);
    assert_int_equal(in.text.n, 0);
    assert_int_equal(proved(box, &x, "secret").error, ERR_LOGIN_FAILED);
    assert_int_equal(house.core.desk.gate.hashes, hashes);
}

static void an_attempt_is_its_links_and_lives_a_minute(void **state)
{
    (void)state;
    struct exchange x, y;
    keys_are_made();
    struct edge_end *other = house_edge(&house, ROLE_BOX);
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    assert_int_equal(proved(other, &x, "secret").error, ERR_LOGIN_FAILED);
    house_pass(&house, 59 * NS_PER_SECOND);
    assert_int_equal(begun(box, "bob@example.test", &y), ERR_NONE);
    assert_int_equal(proved(box, &x, "secret").error, ERR_NONE);
    house_pass(&house, 61 * NS_PER_SECOND);
    assert_int_equal(proved(box, &y, "secret").error, ERR_LOGIN_FAILED);
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    edge_end_tell(
        box, &(struct msg){.kind = MSG_login_dropped, .login_dropped = {.attempt = x.attempt}});
    assert_int_equal(proved(box, &x, "secret").error, ERR_LOGIN_FAILED);
    /* Of very many that were begun the newest are known. */
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    for (int i = 0; i < 1999; i++)
        assert_int_equal(begun(box, "alice@example.test", &y), ERR_NONE);
    assert_int_equal(begun(box, "alice@example.test", &y), ERR_NONE);
    assert_int_equal(proved(box, &x, "secret").error, ERR_LOGIN_FAILED);
}

/* Whom there are not, and who has no keys, look like anybody else, and the same each time. */
static void everybody_has_a_steady_salt(void **state)
{
    static const char *const users[] = {"nobody@example.test", "alice@example.test", "\x01",
                                        "bob@example.test"};
    (void)state;
    keys_are_made();
    struct str salts[4];
    for (size_t i = 0; i < 4; i++) {
        struct exchange x, again;
        assert_int_equal(begun(box, users[i], &x), ERR_NONE);
        assert_int_equal(begun(box, users[i], &again), ERR_NONE);
        assert_str(x.salt, again.salt);
        assert_int_equal(x.rounds, SCRAM_ROUNDS_LEAST);
        assert_int_equal(x.salt.n, 24);
        assert_true(!str_eq(x.nonce, again.nonce));
        salts[i] = x.salt;
        for (size_t j = 0; j < i; j++)
            assert_false(str_eq(salts[i], salts[j]));
        if (i < 3)
            assert_int_equal(proved(box, &x, "secret").error, ERR_LOGIN_FAILED);
    }
    struct exchange x;
    assert_int_equal(begun(box, "NOBODY@example.test", &x), ERR_NONE);
    assert_str(x.salt, salts[0]);
}

/* S22: a salt that changed with a restart would tell whom there are not. */
static void salts_outlive_a_restart(void **state)
{
    static const char *const users[] = {"nobody@example.test", "alice@example.test",
                                        "bob@example.test"};
    struct exchange before[3], after;
    (void)state;
    keys_are_made();
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(begun(box, users[i], &before[i]), ERR_NONE);
    edge_end_leave(box);
    edge_end_leave(mx);
    house_stop(&house);
    house_start(&house);
    edge_end_connect(box);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(begun(box, users[i], &after), ERR_NONE);
        assert_str(after.salt, before[i].salt);
        assert_int_equal(after.rounds, before[i].rounds);
    }
}

struct new_password {
    struct str hash;
};

static void password_set(struct rig *rig, void *arg)
{
    struct addr addr = house_addr(&house, "bob@example.test");
    struct account account = {.password = ((struct new_password *)arg)->hash};
    (void)rig;
    assert_false(err_is(directory_account_set(&house.core.directory, &addr, &account,
                                              FIELD_PASSWORD, &house.arena)));
}

static void switch_off_and_on(struct rig *rig, void *arg)
{
    struct addr addr = house_addr(&house, "bob@example.test");
    (void)rig;
    (void)arg;
    for (int off = 1; off >= 0; off--) {
        struct account account = {.disabled = off};
        assert_false(err_is(directory_account_set(&house.core.directory, &addr, &account,
                                                  FIELD_DISABLED, &house.arena)));
    }
}

static void a_challenge_is_of_the_password_there_was(void **state)
{
    (void)state;
    struct exchange x;
    keys_are_made();
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    struct new_password other = {
        STR("$6$rounds=1000$salt$HNxBeBnDfSfUrTj6KiLnmd7tGCvHEmcExh8kl/S0cZ5WrCciNZgf"
            "hbpkeFQ4JfkHX.8vPq45lY0iINnCx1Lkm.")};
    assert_true(rig_do(&house.rig, password_set, &other));
    assert_int_equal(proved(box, &x, "secret").error, ERR_LOGIN_FAILED);
    /* The keys are the same, but what was true of the account was looked at before. */
    keys_are_made();
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    assert_true(rig_do(&house.rig, switch_off_and_on, NULL));
    assert_int_equal(proved(box, &x, "secret").error, ERR_LOGIN_FAILED);
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    assert_int_equal(proved(box, &x, "secret").error, ERR_NONE);
}

/* Wrong proofs are guesses like any others. */
static void proofs_are_counted(void **state)
{
    (void)state;
    struct exchange x;
    keys_are_made();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
        assert_int_equal(proved(box, &x, "wrong").error, ERR_LOGIN_FAILED);
    }
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    assert_int_equal(proved(box, &x, "secret").error, ERR_LOGIN_BACK_OFF);
}

static void what_is_off_is_refused(void **state)
{
    struct msg answer;
    struct msg msg = {.kind = MSG_login_begin,
                      .login_begin = {.protocol = LISTEN_POP3,
                                      .mechanism = SASL_CRAM_MD5,
                                      .client = STR("192.0.2.7")}};
    (void)state;
    assert_false(err_is(house_ask(box, msg, &answer)));
    assert_int_equal(answer.login_challenge.error, ERR_SASL_MECHANISM);
    struct exchange x;
    house.conf.login.scram = false;
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_SASL_MECHANISM);
    house.conf.login.scram = true;
    assert_int_equal(begun(box, "bob@example.test", &x), ERR_NONE);
    msg.login_begin.mechanism = SASL_PLAIN;
    refused_with_a_cut(box, msg);
}

/* --- EXTERNAL -------------------------------------------------------------------------------- */

static const unsigned char fingerprint[SHA256_SIZE] = "of a certificate that bob made.";

static void certificate_add(struct rig *rig, void *arg)
{
    struct addr addr = house_addr(&house, "bob@example.test");
    struct client_certificate certificate = {.name = STR("laptop")};
    (void)rig;
    (void)arg;
    memcpy(certificate.fingerprint, fingerprint, SHA256_SIZE);
    assert_false(err_is(
        directory_certificate_add(&house.core.directory, &addr, &certificate, &house.arena)));
}

static struct msg_logged_in shown_as(struct str octets, struct str as)
{
    struct msg answer;
    struct msg msg = {
        .kind = MSG_login_certificate,
        .login_certificate = {
            .protocol = LISTEN_POP3, .client = STR("192.0.2.7"), .as = as, .fingerprint = octets}};
    assert_false(err_is(house_ask(box, msg, &answer)));
    return answer.logged_in;
}

static struct msg_logged_in shown(struct str octets, const char *as)
{
    return shown_as(octets, str_from(as));
}

static void a_certificate_is_its_accounts(void **state)
{
    struct str own = str_make(fingerprint, SHA256_SIZE);
    (void)state;
    assert_int_equal(shown(own, "").error, ERR_LOGIN_FAILED);
    assert_true(rig_do(&house.rig, certificate_add, NULL));
    struct msg_logged_in in = shown(own, "");
    assert_int_equal(in.error, ERR_NONE);
    assert_str(in.address, STR("bob@example.test"));
    assert_int_equal(shown(own, "bob").error, ERR_NONE);
    assert_int_equal(shown(own, "alice@example.test").error, ERR_LOGIN_FAILED);
    assert_int_equal(shown(STR("some certificate of somebody els"), "bob@example.test").error,
                     ERR_LOGIN_FAILED);
    struct msg wild = {.kind = MSG_login_certificate,
                       .login_certificate = {.protocol = LISTEN_POP3,
                                             .client = STR("192.0.2.7"),
                                             .fingerprint = str_head(own, 31)}};
    refused_with_a_cut(box, wild);
}

/* --- Tokens ---------------------------------------------------------------------------------- */

#define KEYS                                                                                       \
    STR("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"" RIG_ED25519_X     \
        "\"}]}")
#define HEAD STR("{\"alg\":\"EdDSA\",\"kid\":\"k\"}")

static struct str token_for(const char *email, const char *audience)
{
    struct buf claims = buf_in(&house.arena, 4096);
    EVP_PKEY *key = rig_ed25519();
    buf_printf(
        &claims, "{\"iss\":\"https://id.example\",\"aud\":\"%s\",\"email\":\"%s\",\"exp\":%lld}",
        audience, email, (long long)(world_wall(&house.rig.fake->world) / US_PER_SECOND + 300));
    struct str token = rig_token(STR("EdDSA"), key, HEAD, buf_built(&claims), &house.arena);
    EVP_PKEY_free(key);
    return token;
}

static struct msg_logged_in borne_as(struct str token, struct str user)
{
    struct msg answer;
    struct msg msg = {.kind = MSG_login_token,
                      .login_token = {.protocol = LISTEN_POP3,
                                      .mechanism = SASL_XOAUTH2,
                                      .client = STR("192.0.2.7"),
                                      .user = user,
                                      .algorithm = STR("EdDSA"),
                                      .key = STR("k"),
                                      .token = token}};
    assert_false(err_is(house_ask(box, msg, &answer)));
    assert_true((answer.logged_in.handle != 0) == (answer.logged_in.error == ERR_NONE));
    return answer.logged_in;
}

static enum err_code borne(struct str token, const char *user)
{
    return borne_as(token, str_from(user)).error;
}

static void a_token_is_for_whom_it_names(void **state)
{
    (void)state;
    struct str bobs = token_for("bob@example.test", "mail"), forged = token_for("bob", "mail");
    house.conf.login.token_issuer = STR("https://id.example");
    house.conf.login.token_audience = STR("mail");
    assert_int_equal(borne(bobs, ""), ERR_LOGIN_FAILED); /* there are no keys yet */
    assert_false(err_is(login_token_keys(&house.core, KEYS)));
    assert_int_equal(borne(bobs, ""), ERR_NONE);
    assert_int_equal(borne(bobs, "Bob@example.test"), ERR_NONE);
    assert_int_equal(borne(bobs, "alice@example.test"), ERR_LOGIN_FAILED);
    assert_int_equal(borne(token_for("nobody@example.test", "mail"), ""), ERR_LOGIN_FAILED);
    assert_int_equal(borne(token_for("dave@example.test", "mail"), ""), ERR_LOGIN_DISABLED);
    assert_int_equal(borne(token_for("bob@example.test", "calendar"), ""), ERR_LOGIN_FAILED);
    /* A broken set leaves the keys as they were. */
    assert_true(err_is(login_token_keys(&house.core, STR("{}"))));
    assert_int_equal(borne(bobs, ""), ERR_NONE);
    assert_int_equal(borne(str_head(forged, forged.n - 1), ""), ERR_LOGIN_FAILED);
    assert_int_equal(borne(bobs, ""), ERR_LOGIN_BACK_OFF); /* five were wrong */
    assert_false(err_is(login_token_keys(&house.core, str_null())));
}

/* --- Names ----------------------------------------------------------------------------------- */

static struct msg_logged_in tried(enum sasl_mechanism mechanism, struct str user)
{
    struct msg answer;
    struct msg msg = {.kind = MSG_login,
                      .login = {.protocol = LISTEN_POP3,
                                .mechanism = (uint8_t)mechanism,
                                .client = STR("192.0.2.7"),
                                .user = user,
                                .password = STR("secret")}};
    assert_false(err_is(house_ask(box, msg, &answer)));
    return answer.logged_in;
}

static struct msg_logged_in cram_tried(struct str user)
{
    struct msg answer;
    struct msg begin = {.kind = MSG_login_begin,
                        .login_begin = {.protocol = LISTEN_POP3,
                                        .mechanism = SASL_CRAM_MD5,
                                        .client = STR("192.0.2.7")}};
    assert_false(err_is(house_ask(box, begin, &answer)));
    assert_int_equal(answer.login_challenge.error, ERR_NONE);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n;
    struct str text = answer.login_challenge.text;
    assert_non_null(
        HMAC(EVP_md5(), "secret", 6, (const unsigned char *)text.p, text.n, digest, &n));
    struct msg proof = {.kind = MSG_login_proof,
                        .login_proof = {.attempt = answer.login_challenge.attempt,
                                        .user = user,
                                        .proof = str_make(digest, n)}};
    assert_false(err_is(house_ask(box, proof, &answer)));
    return answer.logged_in;
}

static void cram_secret_keep(struct rig *rig, void *arg)
{
    struct addr addr = house_addr(&house, "bob@example.test");
    struct account account;
    struct password_kept kept = {.rounds = SCRAM_ROUNDS_LEAST, .cram_secret = STR("secret")};
    (void)rig;
    (void)arg;
    assert_false(
        err_is(directory_account_show(&house.core.directory, &addr, &house.arena, &account)));
    assert_false(err_is(scram_keys_make(SASL_SCRAM_SHA_256, STR("secret"), kept.salt, kept.rounds,
                                        &kept.keys.sha_256)));
    kept.keys.has_sha_256 = true;
    account.kept = &kept;
    assert_false(err_is(directory_account_set(&house.core.directory, &addr, &account,
                                              FIELD_PASSWORD, &house.arena)));
}

/* By every mechanism there is, with bob's right password, certificate and token. */
static void tried_by_all(struct str user, enum err_code expected)
{
    struct exchange x;
    struct msg_logged_in in[7];
    size_t count = 0;
    in[count++] = tried(SASL_PLAIN, user);
    in[count++] = tried(SASL_LOGIN, user);
    in[count++] = tried(SASL_USER_PASS, user);
    in[count++] = cram_tried(user);
    assert_int_equal(begun_as(box, user, &x), ERR_NONE);
    in[count++] = proved(box, &x, "secret");
    in[count++] = shown_as(str_make(fingerprint, SHA256_SIZE), user);
    in[count++] = borne_as(token_for("bob@example.test", "mail"), user);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(in[i].error, expected);
        if (expected == ERR_NONE)
            assert_str(in[i].address, STR("bob@example.test"));
        else
            assert_true(in[i].handle == 0 && in[i].address.n == 0);
    }
}

static int names_up(void **state)
{
    house_up(state);
    house.conf.login.mechanisms |= 1u << SASL_CRAM_MD5;
    house.conf.login.failures_per_address = house.conf.login.failures_per_network = 1000000;
    house.conf.login.token_issuer = STR("https://id.example");
    house.conf.login.token_audience = STR("mail");
    assert_false(err_is(login_token_keys(&house.core, KEYS)));
    assert_true(rig_do(&house.rig, certificate_add, NULL));
    assert_true(rig_do(&house.rig, cram_secret_keep, NULL));
    return 0;
}

/* I14: what would be a filter, a query, a variable or a path elsewhere is nobody's name. */
static void names_of_every_shape_are_nobodys(void **state)
{
    static const struct str names[] = {
        STR_INIT("*)(uid=*"),
        STR_INIT("bob*"),
        STR_INIT("a' OR 1=1--"),
        STR_INIT("bob@example.test' --"),
        STR_INIT("%{x}"),
        STR_INIT("%u@example.test"),
        STR_INIT("${USER}"),
        STR_INIT("../u"),
        STR_INIT("../bob@example.test"),
        STR_INIT("alice/../bob@example.test"),
        STR_INIT("u\0v"),
        STR_INIT("bob@example.test\0"),
        STR_INIT("bob@example.test\r\n"),
        STR_INIT("bob@example.test "),
        STR_INIT("b\xd0\xbe"
                 "b@example.test"), /* a Cyrillic o */
        STR_INIT("bob@example.test@else.test"),
        STR_INIT("\xff\xfe"),
        STR_INIT("\xed\xa0\x80"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        tried_by_all(names[i], ERR_LOGIN_FAILED);
    struct buf many = buf_in(&house.arena, 4 * 10000);
    for (size_t i = 0; i < 10000; i++)
        buf_put(&many, STR("%{x}"));
    tried_by_all(str_head(buf_built(&many), SASL_NAME_MAX), ERR_LOGIN_FAILED);
    assert_int_equal(tried(SASL_PLAIN, buf_built(&many)).error, ERR_LOGIN_FAILED);
    /* What was said is in the log, on the line of it, and nothing was put in its place. */
    struct str log = fake_log(house.rig.fake);
    assert_true(str_find(log, STR("user=\"a' OR 1=1--\"")) >= 0);
    assert_true(str_find(log, STR("user=%u@example.test")) >= 0);
    assert_true(str_find(log, STR("\r")) < 0);
}

/* Case, and what SASLprep's NFKC makes one: the same account, and the same count of failures
 * (login_order_test.c). */
static void twins_of_a_name_are_one_account(void **state)
{
    static const struct str names[] = {
        STR_INIT("bob@example.test"),
        STR_INIT("BOB@Example.TEST"),
        STR_INIT("\xef\xbd\x82ob@example.test"), /* a full-width b */
        STR_INIT("bo\xc2\xad"
                 "b@example.test"), /* a soft hyphen, mapped to nothing */
        STR_INIT("b\xe2\x93\x9e"
                 "b@example.test"), /* a circled o */
        STR_INIT("bob\xef\xbc\xa0"
                 "example.test"), /* a full-width @ */
        STR_INIT("bob@example\xef\xbc\x8e"
                 "test"), /* and a full-width dot */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        tried_by_all(names[i], ERR_NONE);
}

#define NAMES_TEST(name) cmocka_unit_test_setup_teardown(name, names_up, house_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_proof_is_right_once),
        TEST(an_attempt_is_its_links_and_lives_a_minute),
        TEST(everybody_has_a_steady_salt),
        TEST(salts_outlive_a_restart),
        TEST(a_challenge_is_of_the_password_there_was),
        TEST(proofs_are_counted),
        TEST(what_is_off_is_refused),
        TEST(a_certificate_is_its_accounts),
        TEST(a_token_is_for_whom_it_names),
        NAMES_TEST(names_of_every_shape_are_nobodys),
        NAMES_TEST(twins_of_a_name_are_one_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
