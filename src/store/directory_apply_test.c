#include "base/test.h"

#include "store/directory_given_test.h"
#include "store/directory_text.h"

enum {
    TEXT_MAX = 8 << 20
};

#define SALT "$4096:MTIzNDU2Nzg5MDEyMzQ1Ng==$"
#define OCTETS_20 "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA="
#define OCTETS_32 "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
#define SCRAM_1 "SCRAM-SHA-1" SALT OCTETS_20 ":" OCTETS_20
#define SCRAM_256 "SCRAM-SHA-256" SALT OCTETS_32 ":" OCTETS_32
#define APP_HASH "$app$" OCTETS_32
#define FINGERPRINT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct str VILLAGE = STR_INIT(
    "# a comment\n"
    "alias \"sales@example.test\" { to = \"team@example.test\" to = \"Bob+s@example.test\" }\n"
    "alias \"@example.test\" { to = \"sales@example.test\" }\n"
    "domain \"example.test\" { }\n"
    "domain \"例子.测试\" {\n}\n"
    "account \"Bob@example.test\" {\n"
    "    name = \"Bob \\\"the \\\\ builder\\\"\"\n"
    "    quota = 2G # enough\n"
    "    disabled = yes\n"
    "    services = \"smtp,imap\"\n"
    "    send_as = \"team@example.test\" send_as = \"@else.test\"\n"
    "    scram = \"" SCRAM_1 "\" scram = \"" SCRAM_256 "\"\n"
    "    cram_md5 = \"c2VjcmV0\"\n"
    "    app_password = \"pop3 " APP_HASH " - an old program\"\n"
    "    app_password = \"all " APP_HASH " " SCRAM_1 "," SCRAM_256 " Telefon 电话\"\n"
    "    certificate = \"" FINGERPRINT " Bob's laptop\"\n"
    "}\n"
    "account \"alice@example.test\" {\n"
    "    password = \"$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\"\n"
    "}\n"
    "account \"用户@例子.测试\" { quota = 1000 }\n"
    "account \"dora@example.test\" { quota = none language = zh keep = no\n"
    "    forward = \"Dora@Else.test\" forward = \"sales@example.test\" }\n"
    "alias \"both@example.test\" { to = \"Bob@example.test\" to = \"bob@else.test\" }\n"
    "list \"team@example.test\" {\n"
    "    owner = \"alice@example.test\"\n"
    "    name = \"The team\"\n"
    "    expandable = yes\n"
    "    member = \"alice@example.test\"\n"
    "    member = \"用户@例子.测试\"\n"
    "}\n"
    "moved \"old@example.test\" { forward = \"alice@example.test\" }\n"
    "moved \"gone@example.test\" { refer = \"gone@else.test\" }\n");

struct told {
    struct buf text; /* a line each */
    struct directory_applied applied;
};

static void note(void *arg, struct str line)
{
    struct told *told = arg;
    buf_put(&told->text, line);
    buf_putc(&told->text, '\n');
}

static struct err apply(struct given *given, struct str text, bool dry_run, struct told *told)
{
    *told = (struct told){.text = BUF_INIT(TEXT_MAX)};
    return directory_apply(&given->directory, text, dry_run, note, told, &given->arena,
                           &told->applied);
}

static void piece(void *arg, struct str text)
{
    buf_put(arg, text);
}

static struct str exported(struct given *given)
{
    struct buf buf = BUF_INIT(TEXT_MAX);
    assert_int_equal(directory_export(&given->directory, piece, &buf).code, ERR_NONE);
    struct str text = buf_copy(&buf, &given->arena);
    buf_done(&buf);
    return text;
}

static void a_text_makes_a_directory_once(void **state)
{
    struct given *given = *state;
    struct told told;
    assert_int_equal(apply(given, VILLAGE, true, &told).code, ERR_NONE);
    assert_int_equal(told.applied.added, 12);
    assert_true(str_find(buf_str(&told.text), STR("add account Bob@example.test\n")) >= 0);
    buf_done(&told.text);
    assert_str(copies_of(given, STR("bob@example.test")), STR("RELAY_DENIED"));
    assert_int_equal(apply(given, VILLAGE, false, &told).code, ERR_NONE);
    assert_int_equal(told.applied.added, 12);
    buf_done(&told.text);
    unsigned commits = given->store.commits;
    assert_int_equal(apply(given, VILLAGE, false, &told).code, ERR_NONE);
    assert_int_equal(told.applied.unchanged, 12);
    assert_int_equal(told.text.n, 0);
    assert_int_equal(given->store.commits, commits);
    buf_done(&told.text);
    assert_str(copies_of(given, STR("sales@example.test")),
               STR("Bob+s@example.test alice@example.test 用户@xn--fsqu00a.xn--0zwm56d"));
    assert_str(copies_of(given, STR("old@example.test")), STR("alice@example.test"));
    assert_str(copies_of(given, STR("gone@example.test")), STR("MAILBOX_MOVED"));
    assert_str(outside_of(given, STR("both@example.test")), STR("bob@else.test"));
    assert_str(outside_of(given, STR("dora@example.test")), STR("Dora@else.test"));
    assert_true(str_starts(copies_of(given, STR("dora@example.test")), STR("Bob+s@")));
}

/* What is exported of one store and what another exports that was made of it. */
static struct buf first_text, second_text;

static void village_is_exported(void **state)
{
    struct given *given = *state;
    struct told told;
    assert_int_equal(apply(given, VILLAGE, false, &told).code, ERR_NONE);
    buf_done(&told.text);
    struct str first = exported(given);
    assert_true(str_find(first, STR("account \"用户@例子.测试\" {\n    quota = 1000\n}\n")) >= 0);
    assert_true(str_find(first, STR("name = \"Bob \\\"the \\\\ builder\\\"\"\n")) >= 0);
    assert_true(str_find(first, STR("quota = 2G\n")) >= 0);
    assert_true(str_find(first, STR("quota = none\n")) >= 0);
    assert_true(str_find(first, STR("    quota = none\n"
                                    "    language = \"zh\"\n"
                                    "    forward = \"Dora@else.test\"\n"
                                    "    forward = \"sales@example.test\"\n"
                                    "    keep = no\n}\n")) >= 0);
    assert_true(str_find(first, STR("domain \"例子.测试\" {\n")) >= 0);
    assert_true(str_find(first, STR("$2b$05$")) >= 0);
    assert_int_equal(apply(given, first, false, &told).code, ERR_NONE);
    assert_int_equal(told.applied.unchanged, 12);
    buf_done(&told.text);
    buf_put(&first_text, first);
}

static void village_is_made_anew(void **state)
{
    struct given *given = *state;
    struct told told;
    assert_int_equal(apply(given, buf_str(&first_text), false, &told).code, ERR_NONE);
    buf_done(&told.text);
    buf_put(&second_text, exported(given));
}

static void an_export_makes_the_same_directory_elsewhere(void **state)
{
    static void (*const bodies[])(void **) = {village_is_exported, village_is_made_anew};
    buf_init(&first_text, TEXT_MAX);
    buf_init(&second_text, TEXT_MAX);
    for (size_t i = 0; i < 2; i++) {
        *state = NULL;
        given_open(state);
        struct given *given = *state;
        store_rig_do(&given->store, bodies[i], given);
        given_close(state);
    }
    assert_str(buf_str(&second_text), buf_str(&first_text));
    buf_done(&first_text);
    buf_done(&second_text);
}

static void what_differs_is_changed_and_told(void **state)
{
    struct given *given = *state;
    struct told told;
    assert_int_equal(apply(given, VILLAGE, false, &told).code, ERR_NONE);
    buf_done(&told.text);
    assert_int_equal(
        apply(
            given,
            STR("account \"bob@example.test\" { name = \"Robert\" quota = 2048M }\n"
                "account \"alice@example.test\" { }\n"
                "alias \"sales@example.test\" { to = \"alice@example.test\" }\n"
                "list \"team@example.test\" { owner = \"bob@example.test\" name = \"The team\"\n"
                "expandable = yes member = \"bob@example.test\" member = \"alice@example.test\"}\n"
                "moved \"old@example.test\" { refer = \"alice@example.test\" }\n"),
            false, &told)
            .code,
        ERR_NONE);
    assert_str(buf_str(&told.text), STR("change account bob@example.test: name, services, "
                                        "disabled, send_as\n"
                                        "change alias sales@example.test: to\n"
                                        "change list team@example.test: owner, members\n"
                                        "change moved old@example.test: refer\n"));
    assert_int_equal(told.applied.unchanged, 1);
    buf_done(&told.text);
    struct addr addr;
    struct account account;
    addr_of(given, STR("alice@example.test"), &addr);
    assert_int_equal(directory_account_show(&given->directory, &addr, &given->arena, &account).code,
                     ERR_NONE);
    assert_true(str_starts(account.password, STR("$2b$05$")));
    assert_str(copies_of(given, STR("team@example.test")),
               STR("alice@example.test bob@example.test"));
}

/* An account with these settings: what was told, without its beginning. */
static struct str becomes(struct given *given, const char *address, const char *settings)
{
    struct told told;
    struct buf text = BUF_INIT(TEXT_MAX), head = BUF_INIT(TEXT_MAX);
    buf_printf(&text, "account \"%s\" { %s }", address, settings);
    buf_printf(&head, "change account %s: ", address);
    struct err e = apply(given, buf_str(&text), false, &told);
    struct str said = arena_str(&given->arena, err_is(e) ? e.detail : buf_str(&told.text));
    if (str_starts(said, buf_str(&head)))
        said = str_make(said.p + head.n, said.n - head.n - 1);
    buf_done(&text);
    buf_done(&head);
    buf_done(&told.text);
    return said;
}

/* Bob as the village has him, with these settings instead. */
static struct str bob_becomes(struct given *given, const char *settings)
{
    struct buf all = BUF_INIT(TEXT_MAX);
    buf_printf(&all,
               "name = \"Bob \\\"the \\\\ builder\\\"\" quota = 2G disabled = yes "
               "services = \"smtp,imap\" send_as = \"team@example.test\" "
               "send_as = \"@else.test\" %s%c",
               settings, '\0');
    struct str said = becomes(given, "bob@example.test", all.p);
    buf_done(&all);
    return said;
}

static struct credentials credentials_of_bob(struct given *given)
{
    struct addr addr;
    struct account account;
    struct credentials credentials;
    addr_of(given, STR("bob@example.test"), &addr);
    assert_int_equal(directory_account_show(&given->directory, &addr, &given->arena, &account).code,
                     ERR_NONE);
    assert_int_equal(
        directory_credentials(&given->directory, account.id, &given->arena, &credentials).code,
        ERR_NONE);
    return credentials;
}

static void what_an_account_is_known_by_is_applied(void **state)
{
    struct given *given = *state;
    struct told told;
    assert_int_equal(apply(given, VILLAGE, false, &told).code, ERR_NONE);
    buf_done(&told.text);
    struct credentials credentials = credentials_of_bob(given);
    assert_int_equal(credentials.password.rounds, 4096);
    assert_memory_equal(credentials.password.salt, "1234567890123456", SCRAM_SALT);
    assert_memory_equal(credentials.password.keys.sha_1.stored, "12345678901234567890", 20);
    assert_str(credentials.password.cram_secret, STR("secret"));
    assert_int_equal(credentials.app_password_count, 2);
    assert_str(credentials.app_passwords[1].name, STR("Telefon 电话"));
    assert_int_equal(credentials.app_passwords[0].services, SERVICE_POP3);
    assert_int_equal(credentials.certificates[0].fingerprint[1], 0x23);
    /* What is not mentioned stays; what is said again is no change. */
    assert_str(bob_becomes(given, ""), STR(""));
    assert_str(bob_becomes(given, "app_password = \"pop3 " APP_HASH " - an old program\""),
               STR("application passwords"));
    credentials = credentials_of_bob(given);
    assert_int_equal(credentials.app_password_count, 1);
    assert_int_equal(credentials.app_passwords[0].id, 1);
    /* Another one of the same name has another number; other services are the same one's. */
    assert_str(bob_becomes(given, "app_password = \"imap " APP_HASH " - an old program\""),
               STR("application passwords"));
    assert_int_equal(credentials_of_bob(given).app_passwords[0].id, 1);
    assert_str(bob_becomes(given, "app_password = \"imap $app$NTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3"
                                  "ODkwMTI= - an old program\""),
               STR("application passwords"));
    assert_int_equal(credentials_of_bob(given).app_passwords[0].id, 3);
    assert_str(bob_becomes(given, "app_password = none certificate = none"),
               STR("application passwords, certificates"));
    assert_str(bob_becomes(given, "cram_md5 = \"c2VjcmV0cw==\""), STR("CRAM-MD5 secret"));
    assert_int_equal(credentials_of_bob(given).certificate_count, 0);
    assert_int_equal(credentials_of_bob(given).password.rounds, 4096);
    /* A password that is another one leaves nothing of the old. */
    assert_str(bob_becomes(given, "password = \"$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/"
                                  "oeuTqixKmWdcYUh4Hjl0a\""),
               STR("password, SCRAM keys, CRAM-MD5 secret"));
    assert_int_equal(credentials_of_bob(given).password.rounds, 0);
    assert_str(bob_becomes(given, "scram = \"" SCRAM_256 "\""), STR("SCRAM keys"));
}

static struct str dora_becomes(struct given *given, const char *settings)
{
    return becomes(given, "dora@example.test", settings);
}

#define TWO "forward = \"dora@else.test\" forward = \"alice@example.test\""

static void where_an_account_forwards_is_applied(void **state)
{
    struct given *given = *state;
    struct told told;
    struct str dora = STR("dora@example.test");
    assert_int_equal(apply(given, VILLAGE, false, &told).code, ERR_NONE);
    buf_done(&told.text);
    assert_str(dora_becomes(given, ""), STR("quota, language, forward"));
    assert_str(copies_of(given, dora), dora);
    assert_str(outside_of(given, dora), STR(""));
    assert_str(dora_becomes(given, TWO), STR("forward"));
    assert_str(dora_becomes(given, TWO " forward = \"DORA@else.test\""), STR(""));
    assert_str(copies_of(given, dora), STR("dora@example.test alice@example.test"));
    assert_str(dora_becomes(given, TWO " keep = no language = en"), STR("language, forward"));
    assert_str(copies_of(given, dora), STR("alice@example.test"));
    assert_str(dora_becomes(given, TWO " keep = no"), STR("language"));
    assert_str(dora_becomes(given, TWO " keep = yes name = \"Dora\""), STR("name, forward"));
    assert_str(outside_of(given, dora), STR("dora@else.test"));
    assert_str(dora_becomes(given, "forward = \"dora+x@example.test\""),
               STR("line 1: the address would lead back to itself"));
    assert_str(dora_becomes(given, "forward = \"nobody@example.testing\" "
                                   "forward = \"@example.test\""),
               STR("line 1: expected an address, not \"@example.test\""));
}

static uint64_t version_of_bob(struct given *given)
{
    struct addr addr;
    struct account account;
    addr_of(given, STR("bob@example.test"), &addr);
    assert_int_equal(directory_account_show(&given->directory, &addr, &given->arena, &account).code,
                     ERR_NONE);
    return account.credential_version;
}

static void a_text_changes_the_credential_version_with_the_credentials(void **state)
{
    struct given *given = *state;
    struct told told;
    assert_int_equal(apply(given, VILLAGE, false, &told).code, ERR_NONE);
    buf_done(&told.text);
    uint64_t version = version_of_bob(given);
    bob_becomes(given, "");
    bob_becomes(given, "certificate = \"" FINGERPRINT " Bob's laptop\"");
    assert_int_equal(version_of_bob(given), version);
    bob_becomes(given, "certificate = \"" FINGERPRINT " Bob's old laptop\"");
    assert_int_equal(version_of_bob(given), ++version);
    bob_becomes(given, "app_password = none");
    assert_int_equal(version_of_bob(given), ++version);
    apply(given, STR("account \"bob@example.test\" { disabled = yes services = \"smtp,imap\" }"),
          false, &told);
    buf_done(&told.text);
    assert_int_equal(version_of_bob(given), version);
    apply(given, STR("account \"bob@example.test\" { disabled = yes }"), false, &told);
    buf_done(&told.text);
    assert_int_equal(version_of_bob(given), ++version);
}

/* The salt is the account's: keys by another one would be keys of nothing. */
static void keys_of_a_text_have_one_salt(void **state)
{
    struct given *given = *state;
    struct told told;
    assert_int_equal(apply(given, VILLAGE, false, &told).code, ERR_NONE);
    buf_done(&told.text);
#define OTHER "SCRAM-SHA-256$4096:OTIzNDU2Nzg5MDEyMzQ1Ng==$" OCTETS_32 ":" OCTETS_32
#define DEARER "SCRAM-SHA-256$4097:MTIzNDU2Nzg5MDEyMzQ1Ng==$" OCTETS_32 ":" OCTETS_32
    assert_str(bob_becomes(given, "scram = \"" SCRAM_1 "\" scram = \"" OTHER "\""),
               STR("line 1: the SCRAM keys of an account have one salt and one number of rounds"));
    assert_str(bob_becomes(given, "scram = \"" SCRAM_1 "\" scram = \"" DEARER "\""),
               STR("line 1: the SCRAM keys of an account have one salt and one number of rounds"));
    assert_str(bob_becomes(given, "scram = \"" OTHER "\""),
               STR("line 1: SCRAM keys that stay are by another salt: give scram and app_password, "
                   "both"));
    assert_str(bob_becomes(given, "app_password = \"all " APP_HASH " " DEARER " x\""),
               STR("line 1: SCRAM keys that stay are by another salt: give scram and app_password, "
                   "both"));
    assert_str(bob_becomes(given, "scram = \"" OTHER "\" app_password = none"),
               STR("SCRAM keys, application passwords"));
    assert_memory_equal(credentials_of_bob(given).password.salt, "9234567890123456", SCRAM_SALT);
}

static const struct {
    struct str text, says;
} mistakes[] = {
    {STR_INIT("domain \"a.test\" { }\nperson \"x\" { }"),
     STR_INIT("line 2: expected domain, account, alias, list or moved, not \"person\"")},
    {STR_INIT("domain a.test { }"),
     STR_INIT("line 1: expected an address in quotes, not \"a.test { }\"")},
    {STR_INIT("domain \"a.test\" \n x"), STR_INIT("line 2: expected {, not \"x\"")},
    {STR_INIT("domain \"a b\" { }"), STR_INIT("line 1: expected a domain, not \"a b\"")},
    {STR_INIT("\n\naccount \"x@a.test\" {\n\n size = 5 }"),
     STR_INIT("line 5: there is no such setting in this kind of block: \"size\"")},
    {STR_INIT("account \"x@a.test\" { quota = many }"),
     STR_INIT("line 1: expected a size like 500M, none or default, not \"many\"")},
    {STR_INIT("account \"x@a.test\" { disabled = maybe }"),
     STR_INIT("line 1: expected yes or no, not \"maybe\"")},
    {STR_INIT("account \"x@a.test\" { name = \"a\"\nname = \"b\" }"),
     STR_INIT("line 2: given twice in one block: \"name\"")},
    {STR_INIT("account \"x@a.test\" { name = \"a"),
     STR_INIT("line 1: expected a closing quote, not \"a\"")},
    {STR_INIT("account \"x@a.test\" { name = \"a\nb\" }"),
     STR_INIT("line 1: expected a text without control characters, not \"a\"")},
    {STR_INIT("account \"x@a.test\" { name = \"a\\n\" }"),
     STR_INIT("line 1: expected \\\" or \\\\ behind a backslash, not \"a\\\\n\\\" }\"")},
    {STR_INIT("account \"x@a.test\" { name \"a\" }"),
     STR_INIT("line 1: expected = behind the setting's name, not \"\\\"a\\\" }\"")},
    {STR_INIT("alias \"x@a.test\" { to = y@a.test }"),
     STR_INIT("line 1: expected a text in quotes, a number, or yes or no, not \"y@a.test }\"")},
    {STR_INIT("account \"x@a.test\" {\n"),
     STR_INIT("line 2: expected a setting or } before the end of the line")},
    {STR_INIT("account \"@a.test\" { }"),
     STR_INIT("line 1: only an alias can be a catch-all: \"@a.test\"")},
    {STR_INIT("alias \"x@a.test\" { }"), STR_INIT("line 1: an alias needs a setting \"to\"")},
    {STR_INIT("moved \"x@a.test\" { forward = \"y@a.test\" refer = \"y@a.test\" }"),
     STR_INIT("line 1: a moved user needs either \"forward\" or \"refer\"")},
    {STR_INIT("alias \"x@a.test\" { to = \"|/bin/sh\" }"),
     STR_INIT("line 1: expected an address, not \"|/bin/sh\"")},
    {STR_INIT("domain \"A.test\" { }\n\ndomain \"a.TEST\" { }"),
     STR_INIT("line 3: this was given before: \"a.TEST\"")},
    {STR_INIT("account \"x@a.test\" { }\naccount \"X@a.test\" { }"),
     STR_INIT("line 2: this was given before: \"X@a.test\"")},
    {STR_INIT("domain \"a.test\" {}\naccount \"x@b.test\" { }"),
     STR_INIT("line 2: add the domain first: b.test")},
    {STR_INIT("domain \"a.test\" {}\nalias \"x@a.test\" { to = \"y@a.test\" }\n"
              "alias \"y@a.test\" { to = \"z@a.test\" }\nalias \"z@a.test\" { to = "
              "\"x@a.test\" }\n"),
     STR_INIT("line 2: the address would lead back to itself")},
    {STR_INIT("domain \"a.test\" {}\naccount \"x@a.test\" { password = \"secret\" }"),
     STR_INIT("line 2: the password is no hash of a known form")},
    {STR_INIT("account \"x@a.test\" { services = \"smtp,fax\" }"),
     STR_INIT("line 1: expected some of smtp,pop3,imap, or all or none, not \"smtp,fax\"")},
    {STR_INIT("account \"x@a.test\" { scram = \"SCRAM-SHA-256$4095:x$y:z\" }"),
     STR_INIT("line 1: expected 4096 to 10000000 rounds of SCRAM")},
    {STR_INIT("account \"x@a.test\" { scram = \"SCRAM-SHA-256$4096:x$y:z\" }"),
     STR_INIT("line 1: expected SCRAM-SHA-256$ROUNDS:SALT$KEY:KEY")},
    {STR_INIT("account \"x@a.test\" { scram = \"PLAIN$4096:x$y:z\" }"),
     STR_INIT("line 1: expected SCRAM-SHA-256$ROUNDS:SALT$KEY:KEY")},
    {STR_INIT("account \"x@a.test\" { scram = \"" SCRAM_1 "\"\nscram = \"" SCRAM_1 "\" }"),
     STR_INIT("line 2: two SCRAM keys of one kind")},
    {STR_INIT("account \"x@a.test\" { cram_md5 = \"secret!\" }"),
     STR_INIT("line 1: expected a password in base64")},
    {STR_INIT("account \"x@a.test\" { app_password = \"smtp secret - x\" }"),
     STR_INIT("line 1: the hash of an application password is malformed")},
    {STR_INIT("account \"x@a.test\" { app_password = \"none " APP_HASH " - x\" }"),
     STR_INIT("line 1: an application password is for at least one service")},
    {STR_INIT("account \"x@a.test\" { app_password = \"all " APP_HASH " -\" }"),
     STR_INIT("line 1: expected SERVICES HASH KEYS NAME")},
    {STR_INIT("account \"x@a.test\" { app_password = \"all " APP_HASH " - x\"\n"
              "app_password = \"all " APP_HASH " - x\" }"),
     STR_INIT("line 2: two application passwords of one name: \"x\"")},
    {STR_INIT("account \"x@a.test\" { certificate = \"0123 x\" }"),
     STR_INIT("line 1: expected FINGERPRINT NAME")},
    {STR_INIT("account \"x@a.test\" { certificate = \"" FINGERPRINT " x\"\n"
              "certificate = \"" FINGERPRINT " y\" }"),
     STR_INIT("line 2: a certificate is given twice, or two of one name: \"y\"")},
    {STR_INIT("account \"x@a.test\" { language = \"fr\" }"),
     STR_INIT("line 1: expected en, zh or default, not \"fr\"")},
    {STR_INIT("account \"x@a.test\" {\nkeep = no }"),
     STR_INIT("line 1: an account that keeps no mail needs a setting \"forward\"")},
    {STR_INIT("account \"x@a.test\" { forward = \"1@b.test\" forward = \"2@b.test\"\n"
              "forward = \"3@b.test\" forward = \"4@b.test\" forward = \"5@b.test\"\n"
              "forward = \"6@b.test\" forward = \"7@b.test\" forward = \"8@b.test\"\n"
              "forward = \"9@b.test\" forward = \"a@b.test\"\nforward = \"b@b.test\" }"),
     STR_INIT("line 5: an account forwards to at most 10 addresses")},
    {STR_INIT("domain \"a.test\" {}\naccount \"x@a.test\" { forward = \"y@a.test\" }\n"
              "account \"y@a.test\" { forward = \"z@a.test\" }\n"
              "alias \"z@a.test\" { to = \"y@b.test\" to = \"x@a.test\" }"),
     STR_INIT("line 2: the address would lead back to itself")},
    {STR_INIT("domain \"a.test\" {}\naccount \"x@a.test\" { }\n"
              "list \"l@a.test\" { owner = \"x@b.test\" }"),
     STR_INIT("line 3: the owner of a list has an address here: x@b.test")},
    {STR_INIT("account \"x@a.test\" { send_as = \"else\" }"),
     STR_INIT("line 1: expected an address or @domain, not \"else\"")},
    {STR_INIT("domain \"a.test\" {}\naccount \"\u0430dmin@a.test\" { }"),
     STR_INIT("line 2: the local part mixes scripts")},
};

static void errors_name_the_line_and_change_nothing(void **state)
{
    struct given *given = *state;
    struct told told;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct err e = apply(given, mistakes[i].text, false, &told);
        assert_true(err_is(e));
        assert_str(e.detail, mistakes[i].says);
        assert_int_equal(told.text.n, 0);
    }
    assert_int_equal(given->store.commits, 0);
}

static void sizes_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        uint64_t size;
    } rows[] = {
        {STR_INIT("0"), 0},
        {STR_INIT("1000"), 1000},
        {STR_INIT("1K"), 1024},
        {STR_INIT("1536K"), 1536 << 10},
        {STR_INIT("2G"), UINT64_C(2) << 30},
        {STR_INIT("8388607T"), UINT64_C(8388607) << 40},
    };
    struct buf buf = BUF_INIT(64);
    uint64_t size;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(text_to_size(rows[i].text, &size));
        assert_true(size == rows[i].size);
        buf_clear(&buf);
        text_put_size(&buf, size);
        assert_str(buf_str(&buf), rows[i].text);
    }
    buf_done(&buf);
    assert_true(text_to_size(STR("5m"), &size));
    assert_false(text_to_size(STR("8388608T"), &size));
    assert_false(text_to_size(STR("18446744073709551616"), &size));
    assert_false(text_to_size(STR("-1"), &size));
    assert_false(text_to_size(STR("G"), &size));
    assert_false(text_to_size(STR(""), &size));
}

/* More entries than one commit takes: several commits, and the same result. */
static void a_large_text_is_applied_in_slices(void **state)
{
    enum {
        PEOPLE = 2000
    };
    struct given *given = *state;
    struct told told;
    struct buf text = BUF_INIT(TEXT_MAX);
    buf_put(&text, STR("domain \"a.test\" { }\nlist \"all@a.test\" { owner = \"p0@a.test\"\n"));
    for (unsigned i = 0; i < PEOPLE; i++)
        buf_printf(&text, "member = \"p%u@a.test\"\n", i);
    buf_put(&text, STR("}\n"));
    for (unsigned i = 0; i < PEOPLE; i++)
        buf_printf(&text, "account \"p%u@a.test\" { name = \"P %u\" }\n", i, i);
    assert_int_equal(apply(given, buf_str(&text), false, &told).code, ERR_NONE);
    assert_int_equal(told.applied.added, PEOPLE + 2);
    assert_in_range(given->store.commits, 2, 4);
    buf_done(&told.text);
    assert_int_equal(resolved_of(given, STR("all@a.test")).count, PEOPLE);
    assert_int_equal(apply(given, exported(given), false, &told).code, ERR_NONE);
    assert_int_equal(told.applied.unchanged, PEOPLE + 2);
    buf_done(&text);
}

/* A domain, accounts p0 ... and a list of the first `members` of them. */
static void crowd_put(struct buf *text, unsigned people, unsigned members)
{
    buf_put(text, STR("domain \"a.test\" { }\nlist \"all@a.test\" { owner = \"p0@a.test\"\n"));
    for (unsigned i = 0; i < members; i++)
        buf_printf(text, "member = \"p%u@a.test\"\n", i);
    buf_put(text, STR("}\n"));
    for (unsigned i = 0; i < people; i++)
        buf_printf(text, "account \"p%u@a.test\" { }\n", i);
}

struct bystander {
    struct loop *loop;
    struct timer timer;
    unsigned turns;
};

static void bystander_turn(struct timer *timer)
{
    struct bystander *bystander = timer->arg;
    bystander->turns++;
    timer_set(bystander->loop, timer, bystander->loop->now);
}

/* How often somebody else on the loop got a turn while the list was resolved. */
static unsigned turns_while_resolving(struct given *given, struct str address)
{
    struct bystander bystander = {.loop = given->store.rig.loop};
    bystander.timer = (struct timer){.run = bystander_turn, .arg = &bystander};
    timer_set(bystander.loop, &bystander.timer, bystander.loop->now);
    resolved_of(given, address);
    timer_clear(bystander.loop, &bystander.timer);
    return bystander.turns;
}

static void a_list_has_a_limit(void **state)
{
    struct given *given = *state;
    struct told told;
    struct buf text = BUF_INIT(TEXT_MAX);
    crowd_put(&text, DIRECTORY_COPIES_MAX + 1, DIRECTORY_COPIES_MAX + 1);
    assert_int_equal(apply(given, buf_str(&text), false, &told).code, ERR_OVER_LIMIT);
    buf_clear(&text);
    crowd_put(&text, DIRECTORY_COPIES_MAX + 1, DIRECTORY_COPIES_MAX);
    assert_int_equal(apply(given, buf_str(&text), false, &told).code, ERR_NONE);
    buf_done(&told.text);
    buf_done(&text);
    assert_int_equal(resolved_of(given, STR("all@a.test")).count, DIRECTORY_COPIES_MAX);
    assert_true(turns_while_resolving(given, STR("all@a.test")) >= 100);
    assert_int_equal(member_add(given, STR("all@a.test"), STR("p10000@a.test")), ERR_OVER_LIMIT);
    assert_int_equal(alias_add(given, STR("more@a.test"), STR("all@a.test p10000@a.test")),
                     ERR_OVER_LIMIT);
    /* Who is elsewhere is counted by himself. */
    assert_int_equal(alias_add(given, STR("more@a.test"), STR("x@b.test all@a.test")), ERR_NONE);
}

static void outsiders_put(struct buf *text, unsigned members)
{
    buf_clear(text);
    buf_put(text, STR("domain \"a.test\" { }\naccount \"p0@a.test\" { }\n"
                      "list \"all@a.test\" { owner = \"p0@a.test\"\n"));
    for (unsigned i = 0; i < members; i++)
        buf_printf(text, "member = \"m%u@d%u.b.test\"\n", i, i % 100);
    buf_put(text, STR("}\n"));
}

static void a_list_may_lead_elsewhere_a_hundred_thousand_times(void **state)
{
    struct given *given = *state;
    struct told told;
    struct buf text = BUF_INIT(TEXT_MAX);
    outsiders_put(&text, DIRECTORY_MEMBERS_MAX + 1);
    assert_int_equal(apply(given, buf_str(&text), false, &told).code, ERR_OVER_LIMIT);
    outsiders_put(&text, DIRECTORY_MEMBERS_MAX);
    assert_int_equal(apply(given, buf_str(&text), false, &told).code, ERR_NONE);
    buf_done(&told.text);
    buf_done(&text);
    struct resolved resolved = resolved_of(given, STR("all@a.test"));
    assert_int_equal(resolved.outside_count, DIRECTORY_MEMBERS_MAX);
    struct outside first = resolved.outside[0], last = resolved.outside[DIRECTORY_MEMBERS_MAX - 1];
    assert_str(first.text, STR("m0@d0.b.test"));
    assert_str(last.addr.domain, STR("d99.b.test"));
    /* What they have in common is there once. */
    assert_str(last.list, STR("all@a.test"));
    assert_ptr_equal(first.list.p, last.list.p);
    assert_ptr_equal(first.list_owner.p, last.list_owner.p);
    assert_int_equal(member_add(given, STR("all@a.test"), STR("late@b.test")), ERR_OVER_LIMIT);
    /* Nor may what leads to it and to one more. */
    assert_int_equal(alias_add(given, STR("more@a.test"), STR("all@a.test m0@d0.b.test")),
                     ERR_NONE);
    assert_int_equal(alias_add(given, STR("most@a.test"), STR("all@a.test late@b.test")),
                     ERR_OVER_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(a_text_makes_a_directory_once),
        cmocka_unit_test(an_export_makes_the_same_directory_elsewhere),
        WITH_DIRECTORY(what_differs_is_changed_and_told),
        WITH_DIRECTORY(what_an_account_is_known_by_is_applied),
        WITH_DIRECTORY(where_an_account_forwards_is_applied),
        WITH_DIRECTORY(a_text_changes_the_credential_version_with_the_credentials),
        WITH_DIRECTORY(keys_of_a_text_have_one_salt),
        WITH_DIRECTORY(errors_name_the_line_and_change_nothing),
        WITH_DIRECTORY(sizes_are_read_and_written),
        WITH_DIRECTORY(a_list_has_a_limit),
        WITH_DIRECTORY(a_list_may_lead_elsewhere_a_hundred_thousand_times),
        WITH_DIRECTORY(a_large_text_is_applied_in_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
