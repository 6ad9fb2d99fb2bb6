/*
 * The text is kept whole, since its encoding must be known before its first octet; attachments are
 * always base64, whose lines can hold no boundary, so nothing of them must be known.
 */
#include "format/compose.h"

#include "format/addr.h"
#include "format/clean.h"
#include "format/date.h"
#include "format/header_print.h"
#include "format/token.h"
#include "format/transfer.h"

enum {
    SEGMENT = 54,     /* characters of a piece of a file's name (RFC 2231 3): lines of 78 */
    STEP = 24 << 10,  /* octets of an attachment that are encoded at once */
    VALUE_MAX = 8192, /* of a field made of several parts */
    PART_MAX = 9 * COMPOSE_TEXT_MAX, /* of a text that is encoded, with its header */
};

/* --- The sink --- */

static void flush(struct compose *compose)
{
    struct str rest = buf_str(&compose->out);
    for (; rest.n && !compose->refused; rest = str_from_index(rest, COMPOSE_PIECE))
        compose->refused = !compose->sink.put(compose->sink.context, str_head(rest, COMPOSE_PIECE));
    buf_cut(&compose->out, 0);
}

/* --- The header --- */

static void mailboxes_put(struct compose *compose, struct str name, struct compose_mailboxes list)
{
    size_t column = name.n + 2;
    if (list.count == 0)
        return;
    buf_put(&compose->out, name);
    buf_put(&compose->out, STR(": "));
    for (size_t i = 0; i < list.count; i++) {
        compose->utf8 |= !str_is_ascii(list.at[i].address);
        header_add_mailbox(&compose->out, i == 0, list.at[i].name, list.at[i].address, &column);
        flush(compose);
    }
    buf_put(&compose->out, STR("\r\n"));
}

static void people_put(struct compose *compose, const struct compose_head *head)
{
    mailboxes_put(compose, STR("From"), (struct compose_mailboxes){&head->from, 1});
    mailboxes_put(compose, STR("Reply-To"), head->reply_to);
    mailboxes_put(compose, STR("To"), head->to);
    mailboxes_put(compose, STR("Cc"), head->cc);
    if (head->to.count + head->cc.count == 0 && !head->to_follows)
        header_put(&compose->out, STR("To"), STR("undisclosed-recipients:;"));
}

static void dated_put(struct compose *compose, const struct compose_head *head)
{
    struct buf value = BUF_INIT(VALUE_MAX);
    date_print(&value, head->time, head->zone);
    header_put(&compose->out, STR("Date"), buf_str(&value));
    buf_clear(&value);
    buf_putc(&value, '<');
    clean_put_some(&value, head->message_id, HEADER_LINE_MAX / 2, CLEAN_ASCII);
    buf_putc(&value, '>');
    header_put(&compose->out, STR("Message-ID"), buf_str(&value));
    buf_done(&value);
}

static void priority_put(struct compose *compose, enum compose_priority priority)
{
    if (priority == COMPOSE_NORMAL)
        return;
    bool high = priority == COMPOSE_HIGH;
    header_put(&compose->out, STR("X-Priority"), high ? STR("1 (Highest)") : STR("5 (Lowest)"));
    header_put(&compose->out, STR("Importance"), high ? STR("high") : STR("low"));
    header_put(&compose->out, STR("Priority"), high ? STR("urgent") : STR("non-urgent"));
}

static void unsubscribe_put(struct compose *compose, const struct compose_head *head)
{
    struct buf value = BUF_INIT(VALUE_MAX);
    if (head->unsubscribe_url.n) {
        buf_putc(&value, '<');
        buf_put(&value, head->unsubscribe_url);
        buf_putc(&value, '>');
    }
    if (head->unsubscribe_mail.n) {
        buf_put(&value, value.n ? STR(", <mailto:") : STR("<mailto:"));
        clean_put(&value, head->unsubscribe_mail, CLEAN_ASCII);
        buf_putc(&value, '>');
    }
    if (value.n)
        header_put(&compose->out, STR("List-Unsubscribe"), buf_str(&value));
    if (head->unsubscribe_url.n)
        header_put(&compose->out, STR("List-Unsubscribe-Post"), STR("List-Unsubscribe=One-Click"));
    buf_done(&value);
}

static void header_of(struct compose *compose, const struct compose_head *head)
{
    people_put(compose, head);
    if (head->subject.n)
        header_put_text(&compose->out, STR("Subject"), head->subject);
    dated_put(compose, head);
    if (head->user_agent.n)
        header_put_text(&compose->out, STR("User-Agent"), head->user_agent);
    priority_put(compose, head->priority);
    if (head->receipt_to.n)
        mailboxes_put(
            compose, STR("Disposition-Notification-To"),
            (struct compose_mailboxes){&(struct compose_mailbox){STR(""), head->receipt_to}, 1});
    unsubscribe_put(compose, head);
    header_put(&compose->out, STR("MIME-Version"), STR("1.0"));
    flush(compose);
}

/* --- The text --- */

/* Every end of line as CR LF; where NUL is in it (UTF-16, or no text at all) nothing is touched. */
static void lines_make(struct str text, struct buf *lines)
{
    if (str_index(text, '\0') >= 0) {
        buf_put(lines, text);
        return;
    }
    while (text.n) {
        struct str rest = text;
        struct str line = str_cut(&rest, '\n');
        if (rest.p && str_ends(line, STR("\r")))
            line.n--;
        buf_put(lines, line);
        buf_put(lines, STR("\r\n"));
        text = rest.p ? rest : str_head(text, 0);
    }
}

static struct str charset_of(const struct compose_head *head)
{
    if (head->charset.n)
        return head->charset;
    if (str_is_ascii(head->text))
        return STR("us-ascii");
    return str_is_utf8(head->text) ? STR("utf-8") : STR("unknown-8bit");
}

/* A part with its header, and no end of line but the text's own behind it. */
static bool part_put(struct buf *to, struct str type, struct str charset, struct str text)
{
    struct buf lines = BUF_INIT(2 * COMPOSE_TEXT_MAX + 2), value = BUF_INIT(VALUE_MAX);
    struct transfer_look look = {0};
    lines_make(text, &lines);
    transfer_look(&look, buf_str(&lines));
    enum transfer transfer = transfer_choose(&look);
    buf_put(&value, type);
    buf_put(&value, STR("; charset="));
    buf_put(&value, charset);
    header_put(to, STR("Content-Type"), buf_str(&value));
    header_put(to, STR("Content-Transfer-Encoding"), transfer_word(transfer));
    buf_put(to, STR("\r\n"));
    transfer_put(to, buf_str(&lines), transfer);
    bool good = !buf_over(&lines) && !buf_over(to);
    buf_done(&lines);
    buf_done(&value);
    return good;
}

static void delimiter_put(struct compose *compose, struct str behind)
{
    buf_put(&compose->out, STR("\r\n--"));
    buf_put(&compose->out, str_make(compose->boundary, compose->boundary_n));
    buf_put(&compose->out, behind);
    buf_put(&compose->out, STR("\r\n"));
}

static void multipart_begin(struct compose *compose, const struct compose_head *head,
                            struct str body)
{
    struct buf boundary = {.p = compose->boundary, .cap = BOUNDARY_MAX, .max = BOUNDARY_MAX};
    boundary_put(&boundary, head->message_id, &body, 1);
    compose->boundary_n = boundary.n;
    buf_put(&compose->out, STR("Content-Type: multipart/mixed;\r\n boundary=\""));
    buf_put(&compose->out, buf_str(&boundary));
    buf_put(&compose->out, STR("\"\r\n"));
    delimiter_put(compose, STR(""));
}

/* RFC 2046 5.1.4: the plainest first. Its boundary is none that the one around it begins with. */
static bool alternative_put(struct buf *to, const struct compose_head *head)
{
    struct buf parts[] = {BUF_INIT(PART_MAX), BUF_INIT(PART_MAX)};
    struct buf unique = BUF_INIT(VALUE_MAX), boundary = BUF_INIT(BOUNDARY_MAX);
    bool good = part_put(&parts[0], STR("text/plain"), charset_of(head), head->text) &&
                part_put(&parts[1], STR("text/html"), STR("utf-8"), head->html);
    const struct str texts[] = {buf_str(&parts[0]), buf_str(&parts[1])};
    buf_put(&unique, STR("alternative "));
    buf_put(&unique, str_head(head->message_id, VALUE_MAX / 2));
    boundary_put(&boundary, buf_str(&unique), texts, 2);
    buf_printf(to, "Content-Type: multipart/alternative;\r\n boundary=\"%.*s\"\r\n",
               STR_FMT(buf_str(&boundary)));
    for (size_t i = 0; i < 2; i++) {
        buf_printf(to, "\r\n--%.*s\r\n", STR_FMT(buf_str(&boundary)));
        buf_put(to, texts[i]);
        buf_done(&parts[i]);
    }
    buf_printf(to, "\r\n--%.*s--\r\n", STR_FMT(buf_str(&boundary)));
    buf_done(&unique);
    buf_done(&boundary);
    return good && !buf_over(to);
}

static bool text_put(struct compose *compose, const struct compose_head *head)
{
    struct buf body = BUF_INIT(2 * (size_t)PART_MAX);
    bool good = head->html.n > 0 ? alternative_put(&body, head)
                                 : part_put(&body, STR("text/plain"), charset_of(head), head->text);
    if (head->attachments)
        multipart_begin(compose, head, buf_str(&body));
    buf_put(&compose->out, buf_str(&body));
    flush(compose);
    buf_done(&body);
    return good;
}

/* --- What may be said --- */

static bool is_token(struct str text)
{
    struct str rest = text;
    return token_take(&rest).n > 0 && rest.n == 0 && str_is_printable_ascii(text);
}

static bool is_url(struct str url)
{
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= 0x20 || url.p[i] > 0x7e || memchr("<>\"\\^`{|}", url.p[i], 9))
            return false;
    return str_starts_nocase(url, STR("https://")) && url.n > 8 && url.n <= HEADER_LINE_MAX / 2;
}

static struct err head_check(const struct compose_head *head)
{
    if (head->charset.n && (!is_token(head->charset) || head->charset.n > HEADER_LINE))
        return err_detail(ERR_PARAMETER_VALUE, STR("that is no charset"));
    if (head->unsubscribe_url.n && !is_url(head->unsubscribe_url))
        return err_detail(ERR_PARAMETER_VALUE, STR("that is no https URL"));
    if (head->unsubscribe_mail.n > ADDR_PATH_MAX)
        return err_detail(ERR_PARAMETER_VALUE, STR("that address is too long"));
    return head->text.n > COMPOSE_TEXT_MAX || head->html.n > COMPOSE_TEXT_MAX
               ? err_make(ERR_MESSAGE_TOO_LARGE)
               : err_none();
}

struct err compose_begin(struct compose *compose, const struct compose_head *head,
                         struct compose_sink sink)
{
    /* Between two flushes stands a field, a piece of an attachment, or the text. */
    *compose = (struct compose){.sink = sink, .out = BUF_INIT(SIZE_MAX)};
    struct err e = head_check(head);
    if (err_is(e))
        return e;
    header_of(compose, head);
    return text_put(compose, head) ? err_none() : err_make(ERR_NO_MEMORY);
}

/* --- Attachments --- */

struct str compose_type(struct str name)
{
    static const struct {
        struct str end, type;
    } types[] = {
        {STR_INIT("txt"), STR_INIT("text/plain")},
        {STR_INIT("log"), STR_INIT("text/plain")},
        {STR_INIT("md"), STR_INIT("text/markdown")},
        {STR_INIT("csv"), STR_INIT("text/csv")},
        {STR_INIT("html"), STR_INIT("text/html")},
        {STR_INIT("htm"), STR_INIT("text/html")},
        {STR_INIT("ics"), STR_INIT("text/calendar")},
        {STR_INIT("vcf"), STR_INIT("text/vcard")},
        {STR_INIT("patch"), STR_INIT("text/x-patch")},
        {STR_INIT("diff"), STR_INIT("text/x-patch")},
        {STR_INIT("png"), STR_INIT("image/png")},
        {STR_INIT("jpg"), STR_INIT("image/jpeg")},
        {STR_INIT("jpeg"), STR_INIT("image/jpeg")},
        {STR_INIT("gif"), STR_INIT("image/gif")},
        {STR_INIT("webp"), STR_INIT("image/webp")},
        {STR_INIT("svg"), STR_INIT("image/svg+xml")},
        {STR_INIT("mp3"), STR_INIT("audio/mpeg")},
        {STR_INIT("mp4"), STR_INIT("video/mp4")},
        {STR_INIT("pdf"), STR_INIT("application/pdf")},
        {STR_INIT("json"), STR_INIT("application/json")},
        {STR_INIT("xml"), STR_INIT("application/xml")},
        {STR_INIT("zip"), STR_INIT("application/zip")},
        {STR_INIT("gz"), STR_INIT("application/gzip")},
        {STR_INIT("tgz"), STR_INIT("application/gzip")},
        {STR_INIT("tar"), STR_INIT("application/x-tar")},
        {STR_INIT("doc"), STR_INIT("application/msword")},
        {STR_INIT("xls"), STR_INIT("application/vnd.ms-excel")},
        {STR_INIT("ppt"), STR_INIT("application/vnd.ms-powerpoint")},
        {STR_INIT("docx"),
         STR_INIT("application/vnd.openxmlformats-officedocument.wordprocessingml.document")},
        {STR_INIT("xlsx"),
         STR_INIT("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")},
        {STR_INIT("pptx"),
         STR_INIT("application/vnd.openxmlformats-officedocument.presentationml.presentation")},
        {STR_INIT("odt"), STR_INIT("application/vnd.oasis.opendocument.text")},
        {STR_INIT("ods"), STR_INIT("application/vnd.oasis.opendocument.spreadsheet")},
    };
    ssize_t dot = str_last_index(name, '.');
    for (size_t i = 0; dot >= 0 && i < sizeof(types) / sizeof(types[0]); i++)
        if (str_eq_nocase(str_from_index(name, (size_t)dot + 1), types[i].end))
            return types[i].type;
    return STR("application/octet-stream");
}

/* Behind the last '/', clean, as many whole characters as are allowed. */
static void name_make(struct str name, struct buf *clean)
{
    name = str_from_index(name, (size_t)(str_last_index(name, '/') + 1));
    size_t n = name.n < COMPOSE_NAME_MAX ? name.n : COMPOSE_NAME_MAX;
    while (n && n < name.n && ((unsigned char)name.p[n] & 0xc0) == 0x80)
        n--;
    clean_put(clean, str_head(name, n), CLEAN_UTF8);
}

static void quoted_put(struct buf *buf, struct str text)
{
    buf_putc(buf, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            buf_putc(buf, '\\');
        buf_putc(buf, text.p[i]);
    }
    buf_putc(buf, '"');
}

/* RFC 2231: attribute-char as it is, the rest as %XX. */
static bool is_attribute_char(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || memchr("!#$&+-.^_`{|}~", c, 14);
}

/* As many octets as become SEGMENT characters. */
static size_t segment_octets(struct str name)
{
    size_t n = 0, used = 0;
    while (n < name.n && used + 3 <= SEGMENT)
        used += is_attribute_char(name.p[n++]) ? 1 : 3;
    return n;
}

/* filename*=utf-8''..., or filename*0*, filename*1* and so on. */
static void segments_put(struct buf *buf, struct str name)
{
    bool several = segment_octets(name) < name.n;
    for (unsigned number = 0; name.n; number++) {
        size_t n = segment_octets(name);
        buf_put(buf, STR(";\r\n filename*"));
        if (several)
            buf_printf(buf, "%u*", number);
        buf_put(buf, number ? STR("=") : STR("=utf-8''"));
        for (size_t i = 0; i < n; i++)
            if (is_attribute_char(name.p[i]))
                buf_putc(buf, name.p[i]);
            else
                buf_printf(buf, "%%%02X", (unsigned char)name.p[i]);
        name = str_from_index(name, n);
    }
}

static void attachment_header(struct compose *compose, struct str name, struct str type,
                              struct str charset)
{
    struct str subtype = type;
    bool good =
        is_token(str_cut(&subtype, '/')) && subtype.p && is_token(subtype) && type.n <= HEADER_LINE;
    buf_put(&compose->out, STR("Content-Type: "));
    buf_put(&compose->out, good ? type : compose_type(name));
    if (charset.n > 0 && charset.n <= HEADER_LINE && is_token(charset)) {
        buf_put(&compose->out, STR(";\r\n charset="));
        buf_put(&compose->out, charset);
    }
    buf_put(&compose->out, STR("\r\nContent-Transfer-Encoding: base64\r\n"
                               "Content-Disposition: attachment"));
    if (str_is_printable_ascii(name) && name.n && name.n <= SEGMENT) {
        buf_put(&compose->out, STR(";\r\n filename="));
        quoted_put(&compose->out, name);
    } else {
        segments_put(&compose->out, name);
    }
    buf_put(&compose->out, STR("\r\n\r\n"));
    flush(compose);
}

static void attachment_end(struct compose *compose)
{
    if (compose->attached)
        base64_encode_end(&compose->base64, &compose->out);
    compose->attached = false;
}

void compose_attach_text(struct compose *compose, struct str name, struct str type,
                         struct str charset)
{
    struct buf clean = BUF_INIT(8 * COMPOSE_NAME_MAX);
    attachment_end(compose);
    name_make(name, &clean);
    delimiter_put(compose, STR(""));
    attachment_header(compose, buf_str(&clean), type, charset);
    buf_done(&clean);
    base64_encode_init(&compose->base64, true);
    compose->attached = true;
}

void compose_attach(struct compose *compose, struct str name, struct str type)
{
    compose_attach_text(compose, name, type, STR(""));
}

void compose_feed(struct compose *compose, struct str octets)
{
    for (; octets.n && !compose->refused; octets = str_from_index(octets, STEP)) {
        base64_encode_feed(&compose->base64, str_head(octets, STEP), &compose->out);
        flush(compose);
    }
}

struct err compose_end(struct compose *compose)
{
    attachment_end(compose);
    if (compose->boundary_n)
        delimiter_put(compose, STR("--"));
    flush(compose);
    bool over = buf_over(&compose->out);
    buf_done(&compose->out);
    if (over)
        return err_make(ERR_NO_MEMORY);
    return compose->refused ? err_make(ERR_OS) : err_none();
}
