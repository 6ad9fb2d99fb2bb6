#include "format/transmission.h"

#include "base/test.h"

static void words_of_rfc_3848_and_6531(void **state)
{
    (void)state;
    static const struct {
        bool lmtp, extended, utf8;
        const char *word;
    } rows[] = {
        {false, false, false, "SMTP"},   {false, true, false, "ESMTP"},
        {false, true, true, "UTF8SMTP"}, {true, true, false, "LMTP"},
        {true, true, true, "UTF8LMTP"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(
            transmission_word(transmission_of(rows[i].lmtp, rows[i].extended, rows[i].utf8)),
            rows[i].word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_rfc_3848_and_6531),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
