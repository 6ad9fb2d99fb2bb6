/*
 * What accounts are known by.
 */
#include "base/test.h"

#include "store/directory_given_test.h"
#include "store/directory_record.h"

enum {
    DAY = 20000,
    ALICE = 1,
    BOB = 2,
};

static const struct str APP_HASH = STR_INIT("$app$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
static const struct str HASH =
    STR_INIT("$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a");

/* example.test with alice (1) and bob (2). */
static struct given *village(void **state)
{
    struct given *given = *state;
    assert_int_equal(domain_add(given, STR("example.test")), ERR_NONE);
    assert_int_equal(account_add(given, STR("alice@example.test"), STR("Alice")), ERR_NONE);
    assert_int_equal(account_add(given, STR("bob@example.test"), STR("Bob")), ERR_NONE);
    return given;
}

static struct addr address(struct given *given, struct str text)
{
    struct addr addr;
    assert_int_equal(addr_of(given, text, &addr).code, ERR_NONE);
    return addr;
}

static struct addr bob(struct given *given)
{
    return address(given, STR("bob@example.test"));
}

static struct account account_of(struct given *given, uint64_t id)
{
    struct account account;
    assert_int_equal(directory_account_by_id(&given->directory, id, &given->arena, &account).code,
                     ERR_NONE);
    return account;
}

static uint64_t version_of(struct given *given, uint64_t id)
{
    uint64_t version = 0;
    assert_int_equal(directory_credential_version(&given->directory, id, &version).code, ERR_NONE);
    assert_int_equal(version, account_of(given, id).credential_version);
    return version;
}

static struct credentials credentials_of(struct given *given, uint64_t id)
{
    struct credentials credentials;
    assert_int_equal(directory_credentials(&given->directory, id, &given->arena, &credentials).code,
                     ERR_NONE);
    return credentials;
}

static enum err_code set_bob(struct given *given, struct account values, unsigned fields)
{
    struct addr addr = bob(given);
    return directory_account_set(&given->directory, &addr, &values, fields, &given->arena).code;
}

/* Keys of nothing in particular, by a salt of one octet's value. */
static struct password_kept kept_of(unsigned char salt, uint32_t rounds, unsigned char key)
{
    struct password_kept kept = {.rounds = rounds};
    memset(kept.salt, salt, sizeof(kept.salt));
    kept.keys = (struct password_keys){.has_sha_1 = true, .has_sha_256 = true};
    memset(kept.keys.sha_1.stored, key, 20);
    memset(kept.keys.sha_1.server, key + 1, 20);
    memset(kept.keys.sha_256.stored, key + 2, 32);
    memset(kept.keys.sha_256.server, key + 3, 32);
    return kept;
}

static enum err_code app_add(struct given *given, struct str name, uint8_t services,
                             const struct password_kept *kept)
{
    struct addr addr = bob(given);
    struct app_password app = {.name = name, .services = services, .hash = APP_HASH};
    if (kept)
        app.keys = kept->keys;
    return directory_app_password_add(&given->directory, &addr, &app, kept, &given->arena).code;
}

static enum err_code app_remove(struct given *given, struct str which)
{
    struct addr addr = bob(given);
    return directory_app_password_remove(&given->directory, &addr, which, &given->arena).code;
}

static enum err_code certificate_add(struct given *given, struct str whose, struct str name,
                                     unsigned char octet)
{
    struct addr addr = address(given, whose);
    struct client_certificate certificate = {.name = name};
    memset(certificate.fingerprint, octet, SHA256_SIZE);
    return directory_certificate_add(&given->directory, &addr, &certificate, &given->arena).code;
}

static enum err_code certificate_remove(struct given *given, struct str which)
{
    struct addr addr = bob(given);
    return directory_certificate_remove(&given->directory, &addr, which, &given->arena).code;
}

/* --- The version ------------------------------------------------------------------------------ */

static void a_change_of_credentials_is_another_version(void **state)
{
    struct given *given = village(state);
    uint64_t version = version_of(given, BOB), alice = version_of(given, ALICE), gone;
    struct password_kept kept = kept_of(1, 4096, 1);
    assert_int_equal(version, 1);
    assert_int_equal(set_bob(given, (struct account){.password = HASH}, FIELD_PASSWORD), ERR_NONE);
    assert_int_equal(version_of(given, BOB), ++version);
    /* The same password again is a change: somebody wants the sessions ended. */
    assert_int_equal(
        set_bob(given, (struct account){.password = HASH, .kept = &kept}, FIELD_PASSWORD),
        ERR_NONE);
    assert_int_equal(version_of(given, BOB), ++version);
    assert_int_equal(set_bob(given, (struct account){.disabled = true}, FIELD_DISABLED), ERR_NONE);
    assert_int_equal(version_of(given, BOB), ++version);
    assert_int_equal(set_bob(given, (struct account){.disabled = false}, FIELD_DISABLED), ERR_NONE);
    assert_int_equal(version_of(given, BOB), ++version);
    assert_int_equal(set_bob(given, (struct account){.services_off = SERVICE_POP3}, FIELD_POP3),
                     ERR_NONE);
    assert_int_equal(version_of(given, BOB), ++version);
    assert_int_equal(app_add(given, STR("phone"), SERVICE_IMAP, NULL), ERR_NONE);
    assert_int_equal(version_of(given, BOB), ++version);
    assert_int_equal(app_remove(given, STR("phone")), ERR_NONE);
    assert_int_equal(version_of(given, BOB), ++version);
    assert_int_equal(certificate_add(given, STR("bob@example.test"), STR("laptop"), 1), ERR_NONE);
    assert_int_equal(version_of(given, BOB), ++version);
    assert_int_equal(certificate_remove(given, STR("laptop")), ERR_NONE);
    assert_int_equal(version_of(given, BOB), ++version);
    /* Nobody else's, and nobody's where there was no change. */
    assert_int_equal(version_of(given, ALICE), alice);
    set_bob(given, (struct account){.services_off = SERVICE_POP3}, FIELD_POP3 | FIELD_DISABLED);
    set_bob(given, (struct account){.name = STR_INIT("Robert"), .quota = 7},
            FIELD_NAME | FIELD_QUOTA);
    assert_int_equal(grant_add(given, STR("bob@example.test"), STR("info@example.test")), ERR_NONE);
    assert_int_equal(version_of(given, BOB), version);
    assert_int_equal(directory_credential_version(&given->directory, 77, &gone).code,
                     ERR_NOT_FOUND);
    assert_int_equal(remove_by(given, directory_account_remove, STR("bob@example.test")), ERR_NONE);
    assert_int_equal(directory_credential_version(&given->directory, BOB, &gone).code,
                     ERR_NOT_FOUND);
}

static void services_are_switched_one_by_one(void **state)
{
    struct given *given = village(state);
    assert_int_equal(account_of(given, BOB).services_off, 0);
    assert_int_equal(
        set_bob(given, (struct account){.services_off = SERVICE_POP3 | SERVICE_SMTP}, FIELD_SMTP),
        ERR_NONE);
    assert_int_equal(account_of(given, BOB).services_off, SERVICE_SMTP);
    set_bob(given, (struct account){.services_off = SERVICE_IMAP}, FIELD_IMAP);
    assert_int_equal(account_of(given, BOB).services_off, SERVICE_SMTP | SERVICE_IMAP);
    set_bob(given, (struct account){.services_off = SERVICES_ALL}, FIELD_NAME);
    assert_int_equal(account_of(given, BOB).services_off, SERVICE_SMTP | SERVICE_IMAP);
    set_bob(given, (struct account){.services_off = SERVICE_POP3}, FIELD_SERVICES);
    assert_int_equal(account_of(given, BOB).services_off, SERVICE_POP3);
    struct addr addr = address(given, STR("carol@example.test"));
    struct account carol = {.services_off = SERVICE_IMAP};
    assert_int_equal(directory_account_add(&given->directory, &addr, &carol, &given->arena).code,
                     ERR_NONE);
    assert_int_equal(account_of(given, carol.id).services_off, SERVICE_IMAP);
}

/* --- The password ----------------------------------------------------------------------------- */

static void what_is_kept_of_a_password_goes_with_it(void **state)
{
    struct given *given = village(state);
    struct password_kept kept = kept_of(9, 5000, 20);
    kept.cram_secret = STR("secret");
    assert_int_equal(credentials_of(given, BOB).password.rounds, 0);
    set_bob(given, (struct account){.password = HASH, .kept = &kept}, FIELD_PASSWORD);
    struct credentials credentials = credentials_of(given, BOB);
    assert_int_equal(credentials.password.rounds, 5000);
    assert_memory_equal(credentials.password.salt, kept.salt, SCRAM_SALT);
    assert_memory_equal(&credentials.password.keys, &kept.keys, sizeof(kept.keys));
    assert_str(credentials.password.cram_secret, STR("secret"));
    /* Another field leaves it, a password set by its hash alone does not. */
    set_bob(given, (struct account){.name = STR_INIT("Robert")}, FIELD_NAME);
    assert_int_equal(credentials_of(given, BOB).password.rounds, 5000);
    set_bob(given, (struct account){.password = HASH}, FIELD_PASSWORD);
    credentials = credentials_of(given, BOB);
    assert_int_equal(credentials.password.rounds, 0);
    assert_false(credentials.password.keys.has_sha_1 || credentials.password.keys.has_sha_256);
    assert_int_equal(credentials.password.cram_secret.n, 0);
    struct addr addr = address(given, STR("carol@example.test"));
    struct account carol = {.password = HASH, .kept = &kept};
    assert_int_equal(directory_account_add(&given->directory, &addr, &carol, &given->arena).code,
                     ERR_NONE);
    assert_int_equal(credentials_of(given, carol.id).password.rounds, 5000);
}

/* Nobody knows an application password any more: keys by another salt could not be made for it. */
static void the_salt_stays_while_application_passwords_have_keys(void **state)
{
    struct given *given = village(state);
    struct password_kept first = kept_of(1, 5000, 10), other = kept_of(2, 5000, 30);
    struct password_kept dearer = kept_of(1, 6000, 30), again = kept_of(1, 5000, 50);
    set_bob(given, (struct account){.password = HASH, .kept = &first}, FIELD_PASSWORD);
    assert_int_equal(app_add(given, STR("phone"), SERVICES_ALL, &other), ERR_CONFLICT);
    assert_int_equal(app_add(given, STR("phone"), SERVICES_ALL, &first), ERR_NONE);
    uint64_t version = version_of(given, BOB);
    assert_int_equal(
        set_bob(given, (struct account){.password = HASH, .kept = &other}, FIELD_PASSWORD),
        ERR_CONFLICT);
    assert_int_equal(
        set_bob(given, (struct account){.password = HASH, .kept = &dearer}, FIELD_PASSWORD),
        ERR_CONFLICT);
    assert_int_equal(version_of(given, BOB), version);
    assert_int_equal(
        set_bob(given, (struct account){.password = HASH, .kept = &again}, FIELD_PASSWORD),
        ERR_NONE);
    set_bob(given, (struct account){.password = HASH}, FIELD_PASSWORD);
    struct credentials credentials = credentials_of(given, BOB);
    assert_int_equal(credentials.password.rounds, 5000);
    assert_memory_equal(credentials.password.salt, first.salt, SCRAM_SALT);
    assert_false(credentials.password.keys.has_sha_256);
    assert_memory_equal(&credentials.app_passwords[0].keys, &first.keys, sizeof(first.keys));
    assert_int_equal(app_remove(given, STR("phone")), ERR_NONE);
    assert_int_equal(
        set_bob(given, (struct account){.password = HASH, .kept = &other}, FIELD_PASSWORD),
        ERR_NONE);
}

/* The first application password brings the salt; a main password comes later. */
static void an_application_password_may_bring_the_salt(void **state)
{
    struct given *given = village(state);
    struct password_kept kept = kept_of(3, 4096, 10), other = kept_of(4, 4096, 10);
    assert_int_equal(app_add(given, STR("phone"), SERVICES_ALL, &kept), ERR_NONE);
    assert_int_equal(credentials_of(given, BOB).password.rounds, 4096);
    assert_int_equal(app_add(given, STR("tablet"), SERVICES_ALL, &other), ERR_CONFLICT);
    assert_int_equal(app_add(given, STR("tablet"), SERVICES_ALL, NULL), ERR_NONE);
}

static void a_password_is_kept_in_a_better_way(void **state)
{
    struct given *given = village(state);
    struct directory *directory = &given->directory;
    struct password_kept kept = kept_of(5, 4096, 10), other = kept_of(6, 4096, 10);
    struct password_kept secret = {.cram_secret = STR_INIT("secret")};
    set_bob(given, (struct account){.password = HASH, .kept = &secret}, FIELD_PASSWORD);
    uint64_t version = version_of(given, BOB);
    static const struct str better =
        STR_INIT("$2b$06$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a");
    assert_int_equal(directory_password_keep(directory, BOB, version - 1, better, &kept).code,
                     ERR_CONFLICT);
    assert_str(account_of(given, BOB).password, HASH);
    assert_int_equal(directory_password_keep(directory, BOB, version, better, &kept).code,
                     ERR_NONE);
    assert_str(account_of(given, BOB).password, better);
    assert_int_equal(version_of(given, BOB), version);
    struct credentials credentials = credentials_of(given, BOB);
    assert_memory_equal(&credentials.password.keys, &kept.keys, sizeof(kept.keys));
    assert_str(credentials.password.cram_secret, STR("secret"));
    assert_int_equal(app_add(given, STR("phone"), SERVICES_ALL, &kept), ERR_NONE);
    version = version_of(given, BOB);
    assert_int_equal(directory_password_keep(directory, BOB, version, HASH, &other).code,
                     ERR_CONFLICT);
    assert_str(account_of(given, BOB).password, better);
    assert_int_equal(directory_password_keep(directory, BOB, version, HASH, NULL).code, ERR_NONE);
    assert_str(account_of(given, BOB).password, HASH);
    assert_int_equal(credentials_of(given, BOB).password.rounds, 4096);
    assert_int_equal(directory_password_keep(directory, 77, 1, HASH, NULL).code, ERR_NOT_FOUND);
}

/* --- Application passwords -------------------------------------------------------------------- */

static void application_passwords_come_and_go(void **state)
{
    struct given *given = village(state);
    char octets[DIRECTORY_LABEL_MAX + 1];
    memset(octets, 'x', sizeof(octets));
    assert_int_equal(app_add(given, STR("phone"), SERVICE_IMAP, NULL), ERR_NONE);
    assert_int_equal(app_add(given, STR("phone"), SERVICE_POP3, NULL), ERR_EXISTS);
    assert_int_equal(app_add(given, STR("Telefon 电话"), SERVICE_POP3, NULL), ERR_NONE);
    assert_int_equal(app_add(given, STR("none"), 0, NULL), ERR_USAGE);
    assert_int_equal(app_add(given, STR("all"), SERVICES_ALL + 1, NULL), ERR_USAGE);
    assert_int_equal(app_add(given, STR(""), SERVICES_ALL, NULL), ERR_NAME_REFUSED);
    assert_int_equal(app_add(given, STR(" x"), SERVICES_ALL, NULL), ERR_NAME_REFUSED);
    assert_int_equal(app_add(given, STR("a\nb"), SERVICES_ALL, NULL), ERR_NAME_REFUSED);
    assert_int_equal(app_add(given, STR("\xff"), SERVICES_ALL, NULL), ERR_NAME_REFUSED);
    assert_int_equal(app_add(given, str_make(octets, DIRECTORY_LABEL_MAX + 1), SERVICES_ALL, NULL),
                     ERR_NAME_REFUSED);
    assert_int_equal(app_add(given, str_make(octets, DIRECTORY_LABEL_MAX), SERVICES_ALL, NULL),
                     ERR_NONE);
    struct credentials credentials = credentials_of(given, BOB);
    assert_int_equal(credentials.app_password_count, 3);
    assert_str(credentials.app_passwords[0].name, STR("phone"));
    assert_int_equal(credentials.app_passwords[0].services, SERVICE_IMAP);
    assert_str(credentials.app_passwords[0].hash, APP_HASH);
    assert_int_equal(credentials.app_passwords[0].created, 1700000000 * US_PER_SECOND);
    assert_int_equal(credentials.app_passwords[1].id, 2);
    assert_int_equal(app_remove(given, STR("2")), ERR_NONE);
    assert_int_equal(app_remove(given, STR("2")), ERR_NOT_FOUND);
    assert_int_equal(app_remove(given, STR("Phone")), ERR_NOT_FOUND);
    /* A name goes before a number. */
    assert_int_equal(app_add(given, STR("1"), SERVICES_ALL, NULL), ERR_NONE);
    assert_int_equal(app_remove(given, STR("1")), ERR_NONE);
    credentials = credentials_of(given, BOB);
    assert_int_equal(credentials.app_password_count, 2);
    assert_str(credentials.app_passwords[0].name, STR("phone"));
    /* A number is never given again. */
    assert_int_equal(app_add(given, STR("again"), SERVICES_ALL, NULL), ERR_NONE);
    assert_int_equal(credentials_of(given, BOB).app_passwords[2].id, 5);
}

static void application_passwords_have_a_limit(void **state)
{
    struct given *given = village(state);
    char name[8];
    for (unsigned i = 0; i < DIRECTORY_APP_PASSWORDS_MAX; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(app_add(given, str_from(name), SERVICES_ALL, NULL), ERR_NONE);
    }
    assert_int_equal(app_add(given, STR("more"), SERVICES_ALL, NULL), ERR_OVER_LIMIT);
    assert_int_equal(credentials_of(given, BOB).app_password_count, DIRECTORY_APP_PASSWORDS_MAX);
    assert_int_equal(app_remove(given, STR("n7")), ERR_NONE);
    assert_int_equal(app_add(given, STR("more"), SERVICES_ALL, NULL), ERR_NONE);
}

static uint32_t last_used(struct given *given, size_t at)
{
    struct credentials credentials = credentials_of(given, BOB);
    assert_int_equal(directory_app_passwords_used(&given->directory, BOB, &credentials).code,
                     ERR_NONE);
    return credentials.app_passwords[at].last_used;
}

static void the_use_of_an_application_password_is_written_once_a_day(void **state)
{
    struct given *given = village(state);
    struct directory *directory = &given->directory;
    app_add(given, STR("phone"), SERVICES_ALL, NULL);
    app_add(given, STR("tablet"), SERVICES_ALL, NULL);
    uint64_t id = credentials_of(given, BOB).app_passwords[0].id;
    assert_int_equal(last_used(given, 0), 0);
    unsigned commits = given->store.commits;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(directory_app_password_used(directory, BOB, id, DAY).code, ERR_NONE);
    assert_int_equal(given->store.commits, commits + 1);
    assert_int_equal(last_used(given, 0), DAY);
    assert_int_equal(last_used(given, 1), 0);
    assert_int_equal(directory_app_password_used(directory, BOB, id, DAY + 1).code, ERR_NONE);
    assert_int_equal(directory_app_password_used(directory, BOB, id, DAY).code, ERR_NONE);
    assert_int_equal(last_used(given, 0), DAY + 1);
    assert_int_equal(directory_app_password_used(directory, 77, id, DAY).code, ERR_NONE);
}

/* --- Certificates ----------------------------------------------------------------------------- */

static uint64_t holder(struct given *given, unsigned char octet, struct str as)
{
    unsigned char fingerprint[SHA256_SIZE];
    struct account account;
    memset(fingerprint, octet, sizeof(fingerprint));
    struct err e =
        directory_login_certificate(&given->directory, fingerprint, as, &given->arena, &account);
    assert_true(e.code == ERR_NONE || e.code == ERR_LOGIN_FAILED);
    return err_is(e) ? 0 : account.id;
}

static void a_certificate_is_its_accounts(void **state)
{
    struct given *given = village(state);
    struct str b = STR("bob@example.test"), a = STR("alice@example.test");
    assert_int_equal(holder(given, 1, STR("")), 0);
    assert_int_equal(certificate_add(given, b, STR("laptop"), 1), ERR_NONE);
    assert_int_equal(certificate_add(given, b, STR("laptop"), 2), ERR_EXISTS);
    assert_int_equal(certificate_add(given, b, STR("other"), 1), ERR_EXISTS);
    assert_int_equal(certificate_add(given, b, STR(""), 2), ERR_NAME_REFUSED);
    assert_int_equal(holder(given, 1, STR("")), BOB);
    assert_int_equal(holder(given, 1, b), BOB);
    assert_int_equal(holder(given, 1, STR("BOB")), BOB);
    assert_int_equal(holder(given, 1, a), 0);
    assert_int_equal(holder(given, 2, STR("")), 0);
    /* Two have it: each has to say who it is. */
    assert_int_equal(certificate_add(given, a, STR("shared"), 1), ERR_NONE);
    assert_int_equal(holder(given, 1, STR("")), 0);
    assert_int_equal(holder(given, 1, a), ALICE);
    assert_int_equal(holder(given, 1, b), BOB);
    assert_int_equal(certificate_remove(given, STR("phone")), ERR_NOT_FOUND);
    assert_int_equal(
        certificate_remove(
            given, STR("01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:"
                       "01:01:01:01:01:01:01:01")),
        ERR_NONE);
    assert_int_equal(holder(given, 1, STR("")), ALICE);
    assert_int_equal(holder(given, 1, b), 0);
    assert_int_equal(remove_by(given, directory_account_remove, a), ERR_NONE);
    assert_int_equal(holder(given, 1, STR("")), 0);
}

static void certificates_have_a_limit(void **state)
{
    struct given *given = village(state);
    char name[8];
    for (unsigned i = 0; i < DIRECTORY_CERTIFICATES_MAX; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(
            certificate_add(given, STR("bob@example.test"), str_from(name), (unsigned char)(i + 1)),
            ERR_NONE);
    }
    assert_int_equal(certificate_add(given, STR("bob@example.test"), STR("more"), 99),
                     ERR_OVER_LIMIT);
    assert_int_equal(holder(given, 99, STR("")), 0);
    assert_int_equal(certificate_remove(given, STR("n3")), ERR_NONE);
    assert_int_equal(certificate_add(given, STR("bob@example.test"), STR("more"), 99), ERR_NONE);
    assert_int_equal(holder(given, 99, STR("")), BOB);
}

static void fingerprints_are_64_digits(void **state)
{
    (void)state;
    unsigned char fingerprint[SHA256_SIZE];
    char digits[2 * SHA256_SIZE + 1];
    for (size_t i = 0; i < sizeof(digits); i++)
        digits[i] = "0123456789abcdefABCDEF"[i % 22];
    assert_false(directory_fingerprint_parse(str_make(digits, 63), fingerprint));
    assert_true(directory_fingerprint_parse(str_make(digits, 64), fingerprint));
    assert_false(directory_fingerprint_parse(str_make(digits, 65), fingerprint));
    assert_int_equal(fingerprint[0], 0x01);
    assert_int_equal(fingerprint[10], 0xef);
    struct buf text = BUF_INIT(100);
    directory_fingerprint_print(&text, fingerprint);
    assert_true(str_eq_nocase(buf_str(&text), str_make(digits, 64)));
    buf_done(&text);
    assert_true(directory_fingerprint_parse(
        STR("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"),
        fingerprint));
    assert_int_equal(fingerprint[31], 0xef);
    digits[5] = 'g';
    assert_false(directory_fingerprint_parse(str_make(digits, 64), fingerprint));
    assert_false(directory_fingerprint_parse(STR(""), fingerprint));
}

/* --- Log-in names ----------------------------------------------------------------------------- */

static enum err_code login(struct given *given, struct str user, uint64_t *account_r)
{
    struct account account = {0};
    struct err e = directory_login(&given->directory, user, &given->arena, &account);
    *account_r = account.id;
    return e.code;
}

static void an_alias_of_one_account_is_a_log_in_name(void **state)
{
    struct given *given = village(state);
    uint64_t who;
    alias_add(given, STR("robert@example.test"), STR("bob@example.test"));
    alias_add(given, STR("bobby@example.test"), STR("Robert@example.test"));
    alias_add(given, STR("both@example.test"), STR("bob@example.test alice@example.test"));
    alias_add(given, STR("@example.test"), STR("bob@example.test"));
    list_add(given, STR("list@example.test"), STR("bob@example.test"), false);
    member_add(given, STR("list@example.test"), STR("bob@example.test"));
    alias_add(given, STR("by.list@example.test"), STR("list@example.test"));
    alias_add(given, STR("by.both@example.test"), STR("bob@example.test list@example.test"));
    moved_add(given, STR("old@example.test"), STR("bob@example.test"), true);
    static const struct str good[] = {STR_INIT("ROBERT@example.test"),
                                      STR_INIT("bobby@Example.Test"), STR_INIT("bob")};
    static const struct str bad[] = {
        STR_INIT("both@example.test"),    STR_INIT("list@example.test"),
        STR_INIT("by.list@example.test"), STR_INIT("by.both@example.test"),
        STR_INIT("old@example.test"),     STR_INIT("any@example.test"),
        STR_INIT("bob+x@example.test"),   STR_INIT("robert"),
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(login(given, good[i], &who), ERR_NONE);
        assert_int_equal(who, BOB);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(login(given, bad[i], &who), ERR_LOGIN_FAILED);
}

static void a_name_in_chinese_logs_in(void **state)
{
    struct given *given = village(state);
    uint64_t who;
    domain_add(given, STR("例子.测试"));
    account_add(given, STR("用户@例子.测试"), STR(""));
    account_add(given, STR("Jörg@例子.测试"), STR(""));
    assert_int_equal(login(given, STR("用户@例子.测试"), &who), ERR_NONE);
    assert_int_equal(login(given, STR("用户"), &who), ERR_NONE);
    assert_int_equal(login(given, STR("JÖRG"), &who), ERR_NONE);
    assert_int_equal(login(given, STR("jo\xcc\x88rg@xn--fsqu00a.xn--0zwm56d"), &who), ERR_NONE);
}

/* --- Networks --------------------------------------------------------------------------------- */

static bool known(struct given *given, uint64_t account, struct str network, uint32_t since)
{
    bool known = true;
    assert_int_equal(
        directory_network_known(&given->directory, account, network, since, &known).code, ERR_NONE);
    return known;
}

static void note(struct given *given, uint64_t account, struct str network, uint32_t day)
{
    assert_int_equal(directory_network_note(&given->directory, account, network, day).code,
                     ERR_NONE);
}

static void a_network_is_known_for_a_while(void **state)
{
    struct given *given = village(state);
    struct str network = STR("192.0.2.0/24");
    assert_false(known(given, BOB, network, 0));
    note(given, BOB, network, DAY);
    assert_true(known(given, BOB, network, DAY - 1));
    assert_true(known(given, BOB, network, DAY));
    assert_false(known(given, BOB, network, DAY + 1));
    assert_false(known(given, ALICE, network, 0));
    assert_false(known(given, BOB, STR("192.0.2.0/2"), 0));
    unsigned commits = given->store.commits;
    note(given, BOB, network, DAY);
    note(given, BOB, network, DAY - 1);
    assert_int_equal(given->store.commits, commits);
    note(given, BOB, network, DAY + 1);
    assert_int_equal(given->store.commits, commits + 1);
    assert_true(known(given, BOB, network, DAY + 1));
}

static bool is_new(struct given *given, uint64_t account, struct str network, uint32_t day)
{
    bool new = false;
    assert_int_equal(directory_network_is_new(&given->directory, account, network, day, &new).code,
                     ERR_NONE);
    return new;
}

static void a_network_is_new_for_two_days(void **state)
{
    struct given *given = village(state);
    struct str home = STR("192.0.2.0/24"), abroad = STR("198.51.100.0/24");
    assert_false(is_new(given, BOB, home, DAY)); /* he has no other */
    note(given, BOB, home, DAY);
    assert_false(is_new(given, BOB, home, DAY));
    assert_true(is_new(given, BOB, abroad, DAY));
    assert_false(is_new(given, ALICE, abroad, DAY));
    note(given, BOB, abroad, DAY + 1);
    assert_true(is_new(given, BOB, abroad, DAY + 1));
    note(given, BOB, abroad, DAY + 2);
    assert_true(is_new(given, BOB, abroad, DAY + 2));
    assert_false(is_new(given, BOB, abroad, DAY + 3));
    note(given, BOB, abroad, DAY + 100);
    assert_false(is_new(given, BOB, abroad, DAY + 100));
    assert_false(is_new(given, BOB, home, DAY + 100)); /* known no more, and not new */
}

static struct str network_of(char text[32], unsigned i)
{
    snprintf(text, 32, "10.%u.%u.0/24", i / 256, i % 256);
    return str_from(text);
}

static void the_oldest_network_makes_room(void **state)
{
    struct given *given = village(state);
    char text[32];
    for (unsigned i = 0; i < DIRECTORY_NETWORKS_MAX; i++)
        note(given, BOB, network_of(text, i), DAY + i);
    assert_true(known(given, BOB, network_of(text, 0), 0));
    note(given, BOB, network_of(text, 0), DAY + 500); /* the oldest is the newest now */
    note(given, BOB, STR("2001:db8::/64"), DAY + 501);
    assert_true(known(given, BOB, network_of(text, 0), 0));
    assert_false(known(given, BOB, network_of(text, 1), 0));
    assert_true(known(given, BOB, network_of(text, 2), 0));
    assert_true(known(given, BOB, STR("2001:db8::/64"), 0));
    size_t left = 0;
    for (unsigned i = 0; i < DIRECTORY_NETWORKS_MAX; i++)
        left += known(given, BOB, network_of(text, i), 0);
    assert_int_equal(left, DIRECTORY_NETWORKS_MAX - 1);
}

/* Whoever watches the directory is not told of log-ins. */
static void count_change(struct partition_watch *watch)
{
    ++*(unsigned *)watch->arg;
}

static void log_ins_do_not_change_the_directory(void **state)
{
    struct given *given = village(state);
    unsigned changes = 0;
    struct partition_watch watch = {
        .partition = {.kind = PARTITION_DIRECTORY}, .changed = count_change, .arg = &changes};
    engine_watch(given->store.engine, &watch);
    note(given, BOB, STR("192.0.2.0/24"), DAY);
    directory_app_password_used(&given->directory, BOB, 1, DAY);
    assert_int_equal(changes, 0);
    set_bob(given, (struct account){.disabled = true}, FIELD_DISABLED);
    assert_int_equal(changes, 1);
    engine_unwatch(given->store.engine, &watch);
}

/* --- Removal ---------------------------------------------------------------------------------- */

static size_t entries_of(struct given *given, struct partition partition, struct str from,
                         struct str until)
{
    struct entry *entries;
    size_t count = SIZE_MAX;
    assert_int_equal(engine_scan(given->store.engine, partition, from, until, 100, &given->arena,
                                 &entries, &count)
                         .code,
                     ERR_NONE);
    return count;
}

static void a_removed_account_leaves_no_credentials(void **state)
{
    struct given *given = village(state);
    struct partition directory = {.kind = PARTITION_DIRECTORY};
    struct password_kept kept = kept_of(1, 4096, 1);
    set_bob(given, (struct account){.password = HASH, .kept = &kept}, FIELD_PASSWORD);
    app_add(given, STR("phone"), SERVICES_ALL, &kept);
    certificate_add(given, STR("bob@example.test"), STR("laptop"), 1);
    grant_add(given, STR("bob@example.test"), STR("info@example.test"));
    note(given, BOB, STR("192.0.2.0/24"), DAY);
    directory_app_password_used(&given->directory, BOB, 1, DAY);
    assert_int_equal(entries_of(given, directory, STR("c"), STR("d")), 1);
    assert_int_equal(entries_of(given, directory, STR("f"), STR("g")), 1);
    assert_int_equal(entries_of(given, directory, STR("a"), STR("b")), 1);
    assert_int_equal(remove_by(given, directory_account_remove, STR("bob@example.test")), ERR_NONE);
    assert_int_equal(entries_of(given, directory, STR("c"), STR("d")), 0);
    assert_int_equal(entries_of(given, directory, STR("f"), STR("g")), 0);
    assert_int_equal(entries_of(given, directory, STR("a"), STR("b")), 0);
    /* Core may have been about to write: nothing of a removed account comes back. */
    note(given, BOB, STR("198.51.100.0/24"), DAY);
    directory_app_password_used(&given->directory, BOB, 1, DAY + 1);
    assert_int_equal(entries_of(given, mailbox_account_partition(BOB), STR(""), str_null()), 0);
}

/* What a password was is not left behind in the index of used ones. */
static void a_removed_application_password_leaves_no_day(void **state)
{
    struct given *given = village(state);
    app_add(given, STR("phone"), SERVICES_ALL, NULL);
    directory_app_password_used(&given->directory, BOB, 1, DAY);
    struct partition account = mailbox_account_partition(BOB);
    assert_int_equal(entries_of(given, account, STR("a"), STR("b")), 1);
    assert_int_equal(app_remove(given, STR("phone")), ERR_NONE);
    assert_int_equal(entries_of(given, account, STR("a"), STR("b")), 0);
}

/* --- Records ---------------------------------------------------------------------------------- */

/* Format 1 ended with the password's hash. */
static void an_old_record_has_all_services_on(void **state)
{
    struct given *given = *state;
    struct name name = {.kind = NAME_ACCOUNT}, read = {0};
    name.account = (struct account){.id = 7,
                                    .inbox = 8,
                                    .quota = 9,
                                    .disabled = true,
                                    .services_off = SERVICE_IMAP,
                                    .credential_version = 5,
                                    .address = STR_INIT("bob@example.test"),
                                    .name = STR_INIT("Bob"),
                                    .password = HASH};
    struct str now = name_encode(&name, &given->arena);
    struct str old = arena_str(&given->arena, str_head(now, now.n - 15));
    ((char *)(uintptr_t)old.p)[0] = 1;
    assert_int_equal(name_decode(old, &given->arena, &read).code, ERR_NONE);
    assert_str(read.account.password, HASH);
    assert_true(read.account.disabled);
    assert_int_equal(read.account.services_off, 0);
    assert_int_equal(read.account.credential_version, 0);
    assert_int_equal(name_decode(now, &given->arena, &read).code, ERR_NONE);
    assert_int_equal(read.account.services_off, SERVICE_IMAP);
    assert_int_equal(read.account.credential_version, 5);
    ((char *)(uintptr_t)old.p)[0] = 2;
    assert_int_equal(name_decode(old, &given->arena, &read).code, ERR_STORE_DAMAGED);
    ((char *)(uintptr_t)now.p)[0] = 4;
    assert_int_equal(name_decode(now, &given->arena, &read).code, ERR_STORE_DAMAGED);
}

/* --- What is read, and when ------------------------------------------------------------------- */

static struct engine_ops counting;
static unsigned gets;

static struct err counted_get(struct engine *engine, struct partition partition, struct str key,
                              struct arena *arena, struct entry *entry_r)
{
    gets++;
    return store_rig_open_now->own->get(engine, partition, key, arena, entry_r);
}

/* Accepting mail reads what it read before there were credentials: the name twice (who answers, and
 * who is reached), and what the mailbox holds. */
static void a_recipient_costs_three_reads(void **state)
{
    struct given *given = village(state);
    struct password_kept kept = kept_of(1, 4096, 1);
    set_bob(given, (struct account){.password = HASH, .kept = &kept}, FIELD_PASSWORD);
    app_add(given, STR("phone"), SERVICES_ALL, &kept);
    grant_add(given, STR("bob@example.test"), STR("info@example.test"));
    const struct engine_ops *before = given->store.engine->ops;
    counting = *before;
    counting.get = counted_get;
    given->store.engine->ops = &counting;
    gets = 0;
    assert_str(copies_of(given, STR("bob@example.test")), STR("bob@example.test"));
    given->store.engine->ops = before;
    assert_int_equal(gets, 3);
}

static void the_key_of_salts_is_made_once(void **state)
{
    struct given *given = village(state);
    unsigned char first[DIRECTORY_SALT_KEY], second[DIRECTORY_SALT_KEY];
    assert_int_equal(directory_salt_key(&given->directory, first).code, ERR_NONE);
    unsigned commits = given->store.commits;
    assert_int_equal(directory_salt_key(&given->directory, second).code, ERR_NONE);
    assert_int_equal(given->store.commits, commits);
    assert_memory_equal(first, second, sizeof(first));
}

static unsigned char taken_first[DIRECTORY_SALT_KEY];

static void somebody_asks_first(struct store_rig *store)
{
    struct given *given = (struct given *)store;
    assert_int_equal(directory_salt_key(&given->directory, taken_first).code, ERR_NONE);
}

static void two_who_ask_at_once_get_one_key(void **state)
{
    struct given *given = village(state);
    unsigned char key[DIRECTORY_SALT_KEY];
    given->store.meanwhile = somebody_asks_first;
    assert_int_equal(directory_salt_key(&given->directory, key).code, ERR_NONE);
    assert_memory_equal(key, taken_first, sizeof(key));
}

/* A commit may lose to one that is not durable yet, and fails after it. */
static void who_lost_to_nobody_is_to_ask_again(void **state)
{
    struct given *given = village(state);
    unsigned char key[DIRECTORY_SALT_KEY];
    given->store.conflict_in = 1;
    assert_int_equal(directory_salt_key(&given->directory, key).code, ERR_CONFLICT);
    assert_int_equal(directory_salt_key(&given->directory, key).code, ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(a_change_of_credentials_is_another_version),
        WITH_DIRECTORY(services_are_switched_one_by_one),
        WITH_DIRECTORY(what_is_kept_of_a_password_goes_with_it),
        WITH_DIRECTORY(the_salt_stays_while_application_passwords_have_keys),
        WITH_DIRECTORY(an_application_password_may_bring_the_salt),
        WITH_DIRECTORY(a_password_is_kept_in_a_better_way),
        WITH_DIRECTORY(application_passwords_come_and_go),
        WITH_DIRECTORY(application_passwords_have_a_limit),
        WITH_DIRECTORY(the_use_of_an_application_password_is_written_once_a_day),
        WITH_DIRECTORY(a_certificate_is_its_accounts),
        WITH_DIRECTORY(certificates_have_a_limit),
        cmocka_unit_test(fingerprints_are_64_digits),
        WITH_DIRECTORY(an_alias_of_one_account_is_a_log_in_name),
        WITH_DIRECTORY(a_name_in_chinese_logs_in),
        WITH_DIRECTORY(a_network_is_known_for_a_while),
        WITH_DIRECTORY(a_network_is_new_for_two_days),
        WITH_DIRECTORY(the_oldest_network_makes_room),
        WITH_DIRECTORY(log_ins_do_not_change_the_directory),
        WITH_DIRECTORY(a_removed_account_leaves_no_credentials),
        WITH_DIRECTORY(a_removed_application_password_leaves_no_day),
        WITH_DIRECTORY(an_old_record_has_all_services_on),
        WITH_DIRECTORY(a_recipient_costs_three_reads),
        WITH_DIRECTORY(the_key_of_salts_is_made_once),
        WITH_DIRECTORY(two_who_ask_at_once_get_one_key),
        WITH_DIRECTORY(who_lost_to_nobody_is_to_ask_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
