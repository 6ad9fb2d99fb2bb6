#include "format/transmission.h"

#include "base/test.h"

static void words_of_rfc_3848_and_6531(void **state)
{
    (void)state;
    static const struct {
        struct transmission_facts facts;
        const char *word;
    } rows[] = {
        {{.lmtp = false}, "SMTP"},
        {{.extended = true}, "ESMTP"},
        {{.extended = true, .encrypted = true}, "ESMTPS"},
        {{.extended = true, .logged_in = true}, "ESMTPA"},
        {{.extended = true, .encrypted = true, .logged_in = true}, "ESMTPSA"},
        {{.encrypted = true}, "ESMTPS"},
        {{.extended = true, .utf8 = true}, "UTF8SMTP"},
        {{.utf8 = true, .encrypted = true}, "UTF8SMTPS"},
        {{.utf8 = true, .logged_in = true}, "UTF8SMTPA"},
        {{.utf8 = true, .encrypted = true, .logged_in = true}, "UTF8SMTPSA"},
        {{.lmtp = true, .extended = true}, "LMTP"},
        {{.lmtp = true, .encrypted = true}, "LMTPS"},
        {{.lmtp = true, .utf8 = true}, "UTF8LMTP"},
        {{.lmtp = true, .utf8 = true, .encrypted = true}, "UTF8LMTPS"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum transmission transmission = transmission_of(&rows[i].facts);
        assert_string_equal(transmission_word(transmission), rows[i].word);
        assert_int_equal(transmission_is_lmtp(transmission), rows[i].facts.lmtp);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_rfc_3848_and_6531),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
