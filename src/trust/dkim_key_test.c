#include "trust/dkim_key.h"

#include <openssl/rsa.h>

#include "trust/dkim_key_rig_test.h"
#include "trust/dkim_tags.h"

static const struct str rsa_record =
    STR_INIT("v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
             "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
             "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
             "Ip3G+2kryOTIKT+l/K4w3QIDAQAB");
static const struct str ed_record =
    STR_INIT("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");

static void record_is(const struct dkim_key *key, struct str expected)
{
    struct buf record = BUF_INIT(DKIM_RECORD_MAX);
    assert_false(err_is(dkim_key_record(key, &record)));
    assert_str(buf_str(&record), expected);
    buf_done(&record);
}

/* RFC 8463 A.2 */
static void test_records_of_the_rfc(void **state)
{
    struct dkim_key *rsa = rig_rsa_8463(), *ed = rig_ed_8463();
    (void)state;
    assert_int_equal(dkim_key_algorithm(rsa), DKIM_RSA);
    assert_int_equal(dkim_key_algorithm(ed), DKIM_ED25519);
    record_is(rsa, rsa_record);
    record_is(ed, ed_record);
    dkim_key_free(rsa);
    dkim_key_free(ed);
}

static void kept_is_same(enum dkim_algorithm algorithm)
{
    struct dkim_key *key, *read;
    struct buf kept = BUF_INIT(DKIM_KEY_MAX), again = BUF_INIT(DKIM_KEY_MAX);
    struct buf record = BUF_INIT(DKIM_RECORD_MAX);
    assert_false(err_is(dkim_key_make(algorithm, &key)));
    assert_false(err_is(dkim_key_write(key, &kept)));
    assert_false(err_is(dkim_key_read(buf_str(&kept), &read)));
    assert_int_equal(dkim_key_algorithm(read), algorithm);
    assert_false(err_is(dkim_key_write(read, &again)));
    assert_str(buf_str(&kept), buf_str(&again));
    assert_false(err_is(dkim_key_record(key, &record)));
    record_is(read, buf_str(&record));
    assert_false(err_is(dkim_record_check(buf_str(&record), buf_str(&record))));
    dkim_key_free(key);
    dkim_key_free(read);
    buf_done(&kept);
    buf_done(&again);
    buf_done(&record);
}

static void test_kept_and_read(void **state)
{
    (void)state;
    kept_is_same(DKIM_RSA);
    kept_is_same(DKIM_ED25519);
}

static void test_made_keys_differ(void **state)
{
    struct dkim_key *one, *other;
    struct buf record = BUF_INIT(DKIM_RECORD_MAX), second = BUF_INIT(DKIM_RECORD_MAX);
    (void)state;
    assert_false(err_is(dkim_key_make(DKIM_ED25519, &one)));
    assert_false(err_is(dkim_key_make(DKIM_ED25519, &other)));
    assert_false(err_is(dkim_key_record(one, &record)));
    assert_false(err_is(dkim_key_record(other, &second)));
    assert_false(str_eq(buf_str(&record), buf_str(&second)));
    struct err e = dkim_record_check(buf_str(&record), buf_str(&second));
    assert_str(e.detail, STR("it holds another key"));
    dkim_key_free(one);
    dkim_key_free(other);
    buf_done(&record);
    buf_done(&second);
}

static void is_no_key(struct str octets)
{
    struct dkim_key *key = NULL;
    assert_int_equal(dkim_key_read(octets, &key).code, ERR_STORE_DAMAGED);
    assert_null(key);
}

static void pkey_is_no_key(EVP_PKEY *pkey)
{
    unsigned char *octets = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
    int n = i2d_PKCS8_PRIV_KEY_INFO(info, &octets);
    assert_true(n > 0);
    is_no_key(str_make(octets, (size_t)n));
    OPENSSL_free(octets);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(pkey);
}

static void test_what_is_no_key(void **state)
{
    struct dkim_key *key;
    struct buf kept = BUF_INIT(2 * DKIM_KEY_MAX);
    (void)state;
    assert_false(err_is(dkim_key_make(DKIM_ED25519, &key)));
    assert_false(err_is(dkim_key_write(key, &kept)));
    is_no_key(STR(""));
    is_no_key(STR("-----BEGIN PRIVATE KEY-----"));
    for (size_t n = 0; n < kept.n; n++)
        is_no_key(str_head(buf_str(&kept), n));
    buf_putc(&kept, '\0'); /* one octet behind it */
    is_no_key(buf_str(&kept));
    pkey_is_no_key(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"));
    pkey_is_no_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1023));
    dkim_key_free(key);
    buf_done(&kept);
}

/* --- Records ---------------------------------------------------------------------------------- */

static void quoted_is(struct str record, struct str expected)
{
    struct buf quoted = BUF_INIT(4096);
    dkim_record_quote(record, &quoted);
    assert_str(buf_str(&quoted), expected);
    buf_done(&quoted);
}

static void test_strings_of_255(void **state)
{
    char text[600], expected[600];
    (void)state;
    memset(text, 'x', sizeof(text));
    quoted_is(STR("v=DKIM1"), STR("\"v=DKIM1\""));
    for (size_t n = 254; n <= 256; n++) {
        struct buf want = {.p = expected, .cap = sizeof(expected), .max = sizeof(expected)};
        buf_putc(&want, '"');
        buf_put(&want, str_make(text, n < 255 ? n : 255));
        buf_put(&want, n > 255 ? STR("\" \"x\"") : STR("\""));
        quoted_is(str_make(text, n), buf_str(&want));
    }
}

static void test_where_it_stands(void **state)
{
    struct buf name = BUF_INIT(256);
    (void)state;
    dkim_record_name(STR("brisbane"), STR("football.example.com"), &name);
    assert_str(buf_str(&name), STR("brisbane._domainkey.football.example.com"));
    buf_done(&name);
}

static void fits(const char *seen)
{
    struct err e = dkim_record_check(str_from(seen), ed_record);
    assert_str(e.detail, STR(""));
    assert_false(err_is(e));
}

static void fits_not(const char *seen, const char *why)
{
    struct err e = dkim_record_check(str_from(seen), ed_record);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_str(e.detail, str_from(why));
}

#define P "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static void test_published_as_ours(void **state)
{
    (void)state;
    fits("v=DKIM1; k=ed25519; " P);
    fits("v=DKIM1;k=ed25519;" P ";");
    fits("k=ed25519; " P "; n=a note");
    fits("v=DKIM1; h=sha1:sha256; k=ed25519; s=email; t=y:s; " P);
    fits("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQ\r\n\tHOg7hcvPapiM lrwIaaPcHURo=");
    assert_false(err_is(
        dkim_record_check(str_from_index(rsa_record, sizeof("v=DKIM1; k=rsa;") - 1), rsa_record)));
}

static void test_published_otherwise(void **state)
{
    (void)state;
    fits_not("", "it is no record of DKIM");
    fits_not("v=spf1 -all", "its v= is not DKIM1, or does not stand first");
    fits_not("v=DKIM1; k=ed25519; " P "; " P, "it is no record of DKIM");
    fits_not("k=ed25519; v=DKIM1; " P, "its v= is not DKIM1, or does not stand first");
    fits_not("v=DKIM2; k=ed25519; " P, "its v= is not DKIM1, or does not stand first");
    fits_not("v=DKIM1; k=ed25519", "it has no p=");
    fits_not("v=DKIM1; k=ed25519; p=", "its p= is empty: it says that the key was withdrawn");
    fits_not("v=DKIM1; " P, "its k= is that of another kind of key");
    fits_not("v=DKIM1; k=rsa; " P, "its k= is that of another kind of key");
    fits_not("v=DKIM1; k=ed25519; h=sha1; " P, "its h= does not allow sha256");
    fits_not("v=DKIM1; k=ed25519; s=tlsrpt; " P, "its s= does not allow email");
    fits_not("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
             "it holds another key");
    fits_not("v=DKIM1; k=ed25519; p=21qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
             "it holds another key");
}

/* --- Tag lists -------------------------------------------------------------------------------- */

static void test_tag_lists(void **state)
{
    struct dkim_tags tags;
    (void)state;
    assert_true(dkim_tags_parse(STR(" a = 1 2 ;\r\n\tB_2=;c==;"), &tags));
    assert_int_equal(tags.count, 3);
    assert_str(dkim_tag(&tags, STR("a")), STR("1 2"));
    assert_non_null(dkim_tag(&tags, STR("B_2")).p);
    assert_int_equal(dkim_tag(&tags, STR("B_2")).n, 0);
    assert_str(dkim_tag(&tags, STR("c")), STR("="));
    assert_null(dkim_tag(&tags, STR("A")).p); /* names have case */
    static const char *const wrong[] = {"",       " ",          ";",      "a",        "a=1;;b=2",
                                        "=1",     "1a=1",       "a-b=1",  "a=1; a=2", "a b=1",
                                        "a=\x01", "a=\xc3\xa4", "a=1; b", "a=1; ; "};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(dkim_tags_parse(str_from(wrong[i]), &tags));
}

static void test_tags_at_their_limit(void **state)
{
    struct dkim_tags tags;
    (void)state;
    for (size_t count = DKIM_TAGS_MAX - 1; count <= DKIM_TAGS_MAX + 1; count++) {
        struct buf text = BUF_INIT(4096);
        for (size_t i = 0; i < count; i++)
            buf_printf(&text, "t%zu=x;", i);
        assert_int_equal(dkim_tags_parse(buf_str(&text), &tags), count <= DKIM_TAGS_MAX);
        buf_done(&text);
    }
}

static void test_values_with_colons(void **state)
{
    (void)state;
    assert_true(dkim_tag_lists(STR("sha1 : sha256"), STR("sha256")));
    assert_true(dkim_tag_lists(STR("*"), STR("*")));
    assert_false(dkim_tag_lists(STR("sha1:sha2567"), STR("sha256")));
    assert_false(dkim_tag_lists(STR(""), STR("sha256")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_of_the_rfc), cmocka_unit_test(test_kept_and_read),
        cmocka_unit_test(test_made_keys_differ),   cmocka_unit_test(test_what_is_no_key),
        cmocka_unit_test(test_strings_of_255),     cmocka_unit_test(test_where_it_stands),
        cmocka_unit_test(test_published_as_ours),  cmocka_unit_test(test_published_otherwise),
        cmocka_unit_test(test_tag_lists),          cmocka_unit_test(test_tags_at_their_limit),
        cmocka_unit_test(test_values_with_colons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
