/*
 * HELO, EHLO, LHLO (RFC 5321 4.1.1.1, 2033 4.1). A name that is no domain but a word of harmless
 * characters is taken, since many clients have none better and RFC 5321 4.1.4 forbids to refuse
 * mail for it; everything else is 501, so that a name can go into Received and logs as it is.
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/extensions.h"
#include "edge/smtp/inquiry.h"
#include "edge/smtp/reply.h"

static bool is_harmless(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && !(c && strchr("-._+", c)))
            return false;
    }
    return name.n > 0 && name.n <= SMTP_HELO_MAX;
}

struct err smtp_hello_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    (void)s;
    if (!err_is(host_parse(text, args->arena, &args->text)) && args->text.n <= SMTP_HELO_MAX)
        return err_none();
    args->text = text;
    return is_harmless(text) ? err_none()
                             : err_detail(ERR_COMMAND_SYNTAX, STR("a domain name is expected"));
}

/* S1 to S7 -> S2 */
static void begin(struct smtp_session *s, struct str name, bool extended)
{
    smtp_transaction_end(s, STR("greeting again"));
    s->extended = extended;
    s->helo_length = (uint8_t)name.n;
    memcpy(s->helo, name.p, name.n);
    s->state = SMTP_READY;
    smtp_inquiry_helo(s);
}

void smtp_helo_run(struct smtp_session *s, struct smtp_arguments *args)
{
    begin(s, args->text, false);
    smtp_reply(s, 250, NULL, smtp_hostname(s));
}

void smtp_ehlo_run(struct smtp_session *s, struct smtp_arguments *args)
{
    begin(s, args->text, true);
    smtp_reply_line(s, 250, NULL, true, smtp_hostname(s));
    smtp_extensions_print(s);
}
