#include "trust/dkim.h"

#include "format/header.h"
#include "trust/dkim_key_rig_test.h"
#include "trust/dkim_tags.h"

enum {
    ARENA = 4 << 20
};

/* RFC 8463 A.3, as RFC 6376 A.2 */
#define FROM "From: Joe SixPack <joe@football.example.com>\r\n"
#define TO "To: Suzie Q <suzie@shopping.example.net>\r\n"
#define SUBJECT "Subject: Is dinner ready?\r\n"
#define DATE "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
#define ID "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
#define BODY "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
#define BODY_HASH "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="

static void base64_is(const void *octets, size_t n, const char *expected)
{
    struct buf text = BUF_INIT(4096);
    base64_print(&text, str_make(octets, n));
    assert_str(buf_str(&text), str_from(expected));
    buf_done(&text);
}

static void body_hash(struct str body, unsigned char hash_r[DKIM_HASH])
{
    struct dkim_hash hash, moved;
    dkim_hash_begin(&hash);
    dkim_hash_update(&hash, str_head(body, body.n / 2));
    moved = hash; /* it is a value */
    dkim_hash_update(&moved, str_from_index(body, body.n / 2));
    dkim_hash_end(&moved, hash_r);
}

/* --- What the RFCs signed --------------------------------------------------------------------- */

static void test_body_hash_of_the_rfc(void **state)
{
    unsigned char hash[DKIM_HASH];
    (void)state;
    body_hash(STR(BODY), hash);
    base64_is(hash, sizeof(hash), BODY_HASH);
    body_hash(STR(BODY "\r\n\r\n"), hash);
    base64_is(hash, sizeof(hash), BODY_HASH);
}

/* Values that RFC 6376 3.4.3, 3.4.4 name for bodies with nothing in them. */
static void test_body_hash_of_nothing(void **state)
{
    unsigned char hash[DKIM_HASH];
    (void)state;
    body_hash(STR(""), hash);
    base64_is(hash, sizeof(hash), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    body_hash(STR("\r\n \r\n"), hash);
    base64_is(hash, sizeof(hash), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

/* Those of h=, in its order, and the signature's own without its end. */
static void header_hash(struct str signature, unsigned char hash_r[DKIM_HASH])
{
    static const char *const fields[] = {FROM, TO, SUBJECT, DATE, ID};
    struct buf text = BUF_INIT(4096);
    struct sha256 sha256;
    for (size_t i = 0; i < 5; i++)
        dkim_header_canonical(DKIM_RELAXED, str_from(fields[i]), &text);
    dkim_header_canonical(DKIM_RELAXED, signature, &text);
    sha256_init(&sha256);
    sha256_feed(&sha256, str_head(buf_str(&text), text.n - 2));
    sha256_end(&sha256, hash_r);
    buf_done(&text);
}

static void signature_is(struct dkim_key *key, struct str signature, const char *expected)
{
    unsigned char hash[DKIM_HASH], octets[DKIM_SIGNATURE_MAX];
    size_t length;
    header_hash(signature, hash);
    assert_false(err_is(dkim_key_sign(key, hash, octets, &length)));
    base64_is(octets, length, expected);
    dkim_key_free(key);
}

static void test_signatures_of_the_rfc(void **state)
{
    (void)state;
    signature_is(rig_ed_8463(),
                 STR("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
                     " d=football.example.com; i=@football.example.com;\r\n"
                     " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
                     " subject : date : message-id : from : subject : date;\r\n"
                     " bh=" BODY_HASH ";\r\n"
                     " b=\r\n"),
                 "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus"
                 "Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==");
    signature_is(rig_rsa_8463(),
                 STR("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
                     " d=football.example.com; i=@football.example.com;\r\n"
                     " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
                     " date : message-id : from : subject : date;\r\n"
                     " bh=" BODY_HASH ";\r\n"
                     " b=\r\n"),
                 "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3"
                 "DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz"
                 "dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=");
}

/* --- What we sign ------------------------------------------------------------------------------
 */

struct sample {
    struct arena arena;
    struct dkim_key *key;
    struct dkim_what what;
    unsigned char body[DKIM_HASH];
    struct str field;
};

static void sample_begin(struct sample *sample, struct dkim_key *key, struct str headers)
{
    *sample = (struct sample){.key = key};
    arena_init(&sample->arena, ARENA);
    body_hash(STR(BODY), sample->body);
    sample->what = (struct dkim_what){.headers = headers,
                                      .body_hash = sample->body,
                                      .domain = STR("football.example.com"),
                                      .selector = STR("v202611a-ed"),
                                      .now = 1795219200};
}

static void sample_end(struct sample *sample)
{
    dkim_key_free(sample->key);
    arena_done(&sample->arena);
}

static struct err key_sign(void *arg, const unsigned char hash[DKIM_HASH],
                           unsigned char signature_r[DKIM_SIGNATURE_MAX], size_t *length_r)
{
    return dkim_key_sign(arg, hash, signature_r, length_r);
}

static struct err sample_try(struct sample *sample)
{
    const struct dkim_signer signer = {
        .algorithm = dkim_key_algorithm(sample->key), .sign = key_sign, .arg = sample->key};
    return dkim_sign(&sample->what, &signer, &sample->arena, &sample->field);
}

static void sample_sign(struct sample *sample)
{
    struct err e = sample_try(sample);
    assert_false(err_is(e));
}

static struct dkim_tags tags_of(const struct sample *sample)
{
    struct dkim_tags tags;
    struct str value = str_from_index(sample->field, sizeof("DKIM-Signature:") - 1);
    assert_true(dkim_tags_parse(value, &tags));
    return tags;
}

static size_t times_in(struct str names, struct str name)
{
    size_t times = 0;
    while (names.p) {
        struct str one = str_cut(&names, ':');
        times += str_eq(str_trim(one), name);
    }
    return times;
}

/* How often a name stands in h=. */
static size_t named(const struct sample *sample, struct str name)
{
    struct dkim_tags tags = tags_of(sample);
    struct buf text = BUF_INIT(DKIM_FIELD_MAX);
    header_unfold(dkim_tag(&tags, STR("h")), &text);
    size_t times = times_in(buf_str(&text), name);
    buf_done(&text);
    return times;
}

static void test_field_as_a_whole(void **state)
{
    struct sample sample;
    (void)state;
    sample_begin(&sample, rig_ed_8463(), STR(FROM TO SUBJECT DATE ID "\r\n" BODY));
    sample_sign(&sample);
    assert_str(sample.field,
               STR("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
                   "\td=football.example.com; s=v202611a-ed; t=1795219200;\r\n"
                   "\th=from:from:subject:subject:date:date:to:to:cc:reply-to:message-id:\r\n"
                   "\tmessage-id:in-reply-to:references:mime-version:content-type:\r\n"
                   "\tcontent-transfer-encoding;\r\n"
                   "\tbh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                   "\tb=N7PcwPL0pYXQwJp7cuLAJxg0oasD4DFIwWhllXKfx3oVF2So5YofUydgnEHxkxHu56iL\r\n"
                   "\tMcBM9yym2ZBZBT19CQ==\r\n"));
    sample_end(&sample);
}

static void test_fits_into_78_columns(void **state)
{
    struct sample sample;
    (void)state;
    sample_begin(&sample, rig_rsa_8463(), STR(FROM TO TO TO TO TO "\r\n"));
    sample_sign(&sample);
    struct str rest = sample.field;
    assert_true(str_ends(rest, STR("\r\n")));
    while (rest.n) {
        struct str line = str_cut(&rest, '\n');
        assert_true(str_ends(line, STR("\r")));
        size_t tab = str_starts(line, STR("\t")) ? 7 : 0;
        assert_true(line.n - 1 + tab <= 78);
        assert_true(rest.n == 0 || rest.p[0] == '\t');
    }
    sample_end(&sample);
}

/* A name that is longer than a line stands alone on it. */
static void test_long_domain(void **state)
{
    struct sample sample;
    char domain[DKIM_DOMAIN_MAX];
    (void)state;
    memset(domain, 'x', sizeof(domain));
    sample_begin(&sample, rig_ed_8463(), STR(FROM));
    sample.what.domain = str_make(domain, sizeof(domain));
    sample_sign(&sample);
    struct dkim_tags tags = tags_of(&sample);
    assert_str(dkim_tag(&tags, STR("d")), sample.what.domain);
    sample_end(&sample);
}

/* D02: a field that is added breaks the signature, since the name after the last one is named. */
static void test_shown_fields_are_named_once_more(void **state)
{
    static const char *const shown[] = {"from",       "subject",      "date",
                                        "to",         "cc",           "reply-to",
                                        "message-id", "mime-version", "content-type",
                                        "references", "in-reply-to",  "content-transfer-encoding"};
    struct sample sample;
    (void)state;
    sample_begin(
        &sample, rig_ed_8463(),
        STR(FROM TO "tO: c@d\r\nCONTENT-TYPE: text/plain\r\n" SUBJECT DATE ID "\r\nCc: x@y\r\n"));
    sample_sign(&sample);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        struct header_field found;
        struct str rest = sample.what.headers;
        size_t there = 0;
        while (header_next(&rest, &found))
            there += str_eq_nocase(found.name, str_from(shown[i]));
        assert_int_equal(named(&sample, str_from(shown[i])), there + 1);
    }
    assert_int_equal(named(&sample, STR("to")), 3);
    assert_int_equal(named(&sample, STR("cc")), 1); /* that one is the body's */
    sample_end(&sample);
}

static void test_two_from_are_three(void **state)
{
    struct sample sample;
    (void)state;
    sample_begin(&sample, rig_ed_8463(), STR(FROM "from : b@c\r\n\r\n"));
    sample_sign(&sample);
    assert_int_equal(named(&sample, STR("from")), 3);
    sample_end(&sample);
}

/* What lists and servers may add is named as often as it is there; what is on its way, never. */
static void test_others_are_named_as_often_as_they_are(void **state)
{
    struct sample sample;
    (void)state;
    sample_begin(&sample, rig_ed_8463(),
                 STR("Received: by x\r\nReturn-Path: <a@b>\r\nDKIM-Signature: v=1\r\n"
                     "Veredus-Loop: v1 x\r\nX-Spam: no\r\nBcc: a@b\r\n"
                     "List-Unsubscribe: <https://x>\r\n"
                     "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nSender: a@b\r\n"
                     "TLS-Required: No\r\n" FROM "\r\n"));
    sample_sign(&sample);
    assert_int_equal(named(&sample, STR("list-unsubscribe")), 1);
    assert_int_equal(named(&sample, STR("tls-required")), 1);
    assert_int_equal(named(&sample, STR("list-unsubscribe-post")), 1);
    assert_int_equal(named(&sample, STR("sender")), 1);
    assert_int_equal(named(&sample, STR("list-id")), 0);
    static const char *const never[] = {"received",     "return-path", "dkim-signature",
                                        "veredus-loop", "x-spam",      "bcc"};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        assert_int_equal(named(&sample, str_from(never[i])), 0);
    sample_end(&sample);
}

static void test_tags(void **state)
{
    struct sample sample;
    (void)state;
    sample_begin(&sample, rig_rsa_8463(), STR(FROM "\r\n"));
    sample.what.expires = 1795219200 + 86400;
    sample_sign(&sample);
    struct dkim_tags tags = tags_of(&sample);
    assert_str(dkim_tag(&tags, STR("v")), STR("1"));
    assert_str(dkim_tag(&tags, STR("a")), STR("rsa-sha256"));
    assert_str(dkim_tag(&tags, STR("c")), STR("relaxed/relaxed"));
    assert_str(dkim_tag(&tags, STR("bh")), STR(BODY_HASH));
    assert_str(dkim_tag(&tags, STR("t")), STR("1795219200"));
    assert_str(dkim_tag(&tags, STR("x")), STR("1795305600"));
    assert_null(dkim_tag(&tags, STR("l")).p); /* D01 */
    assert_null(dkim_tag(&tags, STR("i")).p);
    sample_end(&sample);
}

/* Of a field's octets each one counts, but for what the relaxed form leaves out. */
static void test_each_field_counts(void **state)
{
    struct sample sample;
    struct str first, header = STR(FROM "Subject: a  b\r\n\r\n");
    (void)state;
    sample_begin(&sample, rig_ed_8463(), header);
    sample_sign(&sample);
    first = sample.field;
    sample.what.headers = STR("SUBJECT : a\r\n b \r\n" FROM "\r\n");
    sample_sign(&sample);
    assert_str(sample.field, first);
    sample.what.headers = STR(FROM "Subject: ab\r\n\r\n");
    sample_sign(&sample);
    assert_false(str_eq(sample.field, first));
    sample_end(&sample);
}

static void fields_many(size_t count, enum err_code expected)
{
    struct sample sample;
    struct buf headers = BUF_INIT(1 << 20);
    for (size_t i = 0; i < count; i++)
        buf_put(&headers, STR("List-Id: <a>\r\n"));
    sample_begin(&sample, rig_ed_8463(), buf_str(&headers));
    assert_int_equal(sample_try(&sample).code, expected);
    assert_int_equal(sample.field.p != NULL, expected == ERR_NONE);
    sample_end(&sample);
    buf_done(&headers);
}

/* Twelve names are in h= though nothing has them. */
static void test_fields_at_their_limit(void **state)
{
    (void)state;
    fields_many(DKIM_FIELDS_MAX - 13, ERR_NONE);
    fields_many(DKIM_FIELDS_MAX - 12, ERR_NONE);
    fields_many(DKIM_FIELDS_MAX - 11, ERR_OVER_LIMIT);
    fields_many(DKIM_FIELDS_MAX + 1, ERR_OVER_LIMIT);
}

/* What the header says is taken. */
static void test_memory_as_said(void **state)
{
    struct sample sample;
    struct buf headers = BUF_INIT(1 << 20);
    (void)state;
    for (size_t i = 0; i < 900; i++)
        buf_put(&headers, STR("Content-Transfer-Encoding: 8bit\r\n"));
    sample_begin(&sample, rig_rsa_8463(), buf_str(&headers));
    sample_sign(&sample);
    assert_true(sample.arena.used <= 2 * headers.n + DKIM_SIGN_ARENA_MORE);
    sample_end(&sample);
    buf_done(&headers);
    sample_begin(&sample, rig_rsa_8463(), STR(FROM));
    arena_done(&sample.arena);
    arena_init(&sample.arena, DKIM_SIGN_ARENA_MORE / 8);
    assert_int_equal(sample_try(&sample).code, ERR_OVER_LIMIT);
    sample_end(&sample);
}

static struct err no_sign(void *arg, const unsigned char hash[DKIM_HASH],
                          unsigned char signature_r[DKIM_SIGNATURE_MAX], size_t *length_r)
{
    (void)arg;
    (void)hash;
    (void)signature_r;
    (void)length_r;
    return err_make(ERR_TRY_LATER);
}

static void test_signers_error(void **state)
{
    struct sample sample;
    const struct dkim_signer signer = {.algorithm = DKIM_RSA, .sign = no_sign};
    (void)state;
    sample_begin(&sample, rig_rsa_8463(), STR(FROM));
    struct err e = dkim_sign(&sample.what, &signer, &sample.arena, &sample.field);
    assert_int_equal(e.code, ERR_TRY_LATER);
    assert_null(sample.field.p);
    sample_end(&sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_hash_of_the_rfc),
        cmocka_unit_test(test_body_hash_of_nothing),
        cmocka_unit_test(test_signatures_of_the_rfc),
        cmocka_unit_test(test_field_as_a_whole),
        cmocka_unit_test(test_fits_into_78_columns),
        cmocka_unit_test(test_long_domain),
        cmocka_unit_test(test_shown_fields_are_named_once_more),
        cmocka_unit_test(test_two_from_are_three),
        cmocka_unit_test(test_others_are_named_as_often_as_they_are),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_each_field_counts),
        cmocka_unit_test(test_fields_at_their_limit),
        cmocka_unit_test(test_memory_as_said),
        cmocka_unit_test(test_signers_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
