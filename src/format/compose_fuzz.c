/*
 * A message composed of strings that were all chosen to break it. Properties: its header has the
 * fields that it would have with harmless strings, each once; its lines are lines of SMTP; all of
 * it is 7-bit; with an attachment it has two parts, and the second decodes to what was fed, however
 * it was cut.
 */
#include "base/must.h"
#include "format/compose.h"
#include "format/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ROOM = 8 << 20,
};

static bool put(void *context, struct str octets)
{
    must(octets.n > 0 && octets.n <= COMPOSE_PIECE);
    return buf_put(context, octets);
}

static struct str string_take(struct str *rest)
{
    if (rest->n < 1)
        return STR("");
    struct str s = str_head(str_from_index(*rest, 1), (unsigned char)rest->p[0] * 4u);
    *rest = str_from_index(*rest, 1 + s.n);
    return s;
}

static void lines_check(struct str text)
{
    must(str_is_ascii(text));
    while (text.n) {
        ssize_t end = str_find(text, STR("\r\n"));
        must(end >= 0 && end <= 998);
        struct str line = str_head(text, (size_t)end);
        must(str_index(line, '\n') < 0 && str_index(line, '\r') < 0 && str_index(line, '\0') < 0);
        text = str_from_index(text, (size_t)end + 2);
    }
}

static void header_check(struct str *rest)
{
    static const char *const names[] = {"From",
                                        "To",
                                        "Cc",
                                        "Subject",
                                        "Date",
                                        "Message-ID",
                                        "User-Agent",
                                        "Disposition-Notification-To",
                                        "List-Unsubscribe",
                                        "MIME-Version",
                                        "Content-Type",
                                        "Content-Transfer-Encoding"};
    enum {
        NAMES = sizeof(names) / sizeof(names[0])
    };
    size_t seen[NAMES] = {0};
    struct header_field field;
    while (header_next(rest, &field)) {
        size_t i = 0;
        while (i < NAMES && !str_eq(field.name, str_from(names[i])))
            i++;
        must(i < NAMES && seen[i]++ == 0);
    }
}

static void attachment_check(struct str message, struct str octets)
{
    struct buf plain = BUF_INIT(ROOM);
    struct base64_decode decode;
    ssize_t at = str_find(message, STR("\r\nContent-Disposition: attachment"));
    must(at >= 0);
    message = str_from_index(message, (size_t)at);
    message = str_from_index(message, (size_t)str_find(message, STR("\r\n\r\n")) + 4);
    message = str_head(message, (size_t)str_find(message, STR("\r\n--=_")));
    base64_decode_init(&decode);
    base64_decode_feed(&decode, message, &plain);
    base64_decode_end(&decode, &plain);
    must(!decode.malformed && str_eq(buf_str(&plain), octets));
    buf_done(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str rest = str_make(data, n);
    struct buf out = BUF_INIT(ROOM);
    struct compose compose;
    if (n < 2)
        return 0;
    bool attach = data[0] & 1;
    size_t step = 1 + data[1];
    rest = str_from_index(rest, 2);
    struct compose_mailbox to = {.name = string_take(&rest), .address = STR("b@example.net")};
    struct compose_head head = {.from = {string_take(&rest), STR("a@example.org")},
                                .to = {&to, 1},
                                .time = 1795320000,
                                .message_id = string_take(&rest),
                                .subject = string_take(&rest),
                                .user_agent = string_take(&rest),
                                .receipt_to = STR("a@example.org"),
                                .unsubscribe_mail = string_take(&rest),
                                .text = string_take(&rest),
                                .attachments = attach};
    struct str name = string_take(&rest), type = string_take(&rest);
    head.charset = string_take(&rest);
    if (data[0] & 2)
        head.html = string_take(&rest);
    struct err e = compose_begin(&compose, &head, (struct compose_sink){&out, put});
    must(!err_is(e) || (e.code == ERR_PARAMETER_VALUE && out.n == 0));
    if (!err_is(e) && attach) {
        compose_attach(&compose, name, type);
        for (struct str left = rest; left.n; left = str_from_index(left, step))
            compose_feed(&compose, str_head(left, step));
    }
    bool begun = !err_is(e);
    e = compose_end(&compose);
    if (begun) {
        struct str message = buf_str(&out), body = message;
        must(!err_is(e));
        lines_check(message);
        header_check(&body);
        if (attach)
            attachment_check(body, rest);
    }
    buf_done(&out);
    return 0;
}
