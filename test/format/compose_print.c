/*
 * test_compose_print: composes one message from what it reads (key_lines.h), for tests that read it
 * with other parsers (test_compose.py). "attach name" and "type type" begin an attachment, "data
 * octets" are fed to it. Prints the message.
 */
#include "base/must.h"
#include "format/compose.h"
#include "key_lines.h"

enum {
    ARENA = 256 << 20,
    MAILBOXES = 200,
};

struct making {
    struct compose_head head;
    struct compose_mailbox to[MAILBOXES], cc[MAILBOXES];
    struct str name; /* of the next mailbox */
    struct str type; /* of the next attachment */
    struct compose compose;
    bool begun;
    struct arena arena;
};

static bool put(void *context, struct str octets)
{
    (void)context;
    must(octets.n > 0 && octets.n <= COMPOSE_PIECE);
    return fwrite(octets.p, 1, octets.n, stdout) == octets.n;
}

static void mailbox_take(struct making *making, struct compose_mailboxes *list,
                         struct compose_mailbox *at, struct str address)
{
    must(list->count < MAILBOXES);
    at[list->count++] = (struct compose_mailbox){making->name, address};
    list->at = at;
    making->name = STR("");
}

static bool text_take(struct making *making, struct str key, struct str value)
{
    struct compose_head *head = &making->head;
    const struct {
        struct str key;
        struct str *to;
    } texts[] = {
        {STR("name"), &making->name},
        {STR("type"), &making->type},
        {STR("from_name"), &head->from.name},
        {STR("from"), &head->from.address},
        {STR("subject"), &head->subject},
        {STR("message_id"), &head->message_id},
        {STR("user_agent"), &head->user_agent},
        {STR("receipt_to"), &head->receipt_to},
        {STR("unsubscribe_url"), &head->unsubscribe_url},
        {STR("unsubscribe_mail"), &head->unsubscribe_mail},
        {STR("text"), &head->text},
        {STR("charset"), &head->charset},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!str_eq(texts[i].key, key))
            continue;
        *texts[i].to = value;
        return true;
    }
    return false;
}

static void begin(struct making *making)
{
    if (making->begun)
        return;
    must(!err_is(compose_begin(&making->compose, &making->head, (struct compose_sink){NULL, put})));
    making->begun = true;
}

static void line_take(struct making *making, struct str key, struct str value)
{
    struct str text = key_line_text(&making->arena, value);
    if (str_eq(key, STR("priority"))) {
        making->head.priority = (enum compose_priority)key_line_number(value);
    } else if (str_eq(key, STR("attachments"))) {
        making->head.attachments = key_line_number(value);
    } else if (str_eq(key, STR("to"))) {
        mailbox_take(making, &making->head.to, making->to, text);
    } else if (str_eq(key, STR("cc"))) {
        mailbox_take(making, &making->head.cc, making->cc, text);
    } else if (str_eq(key, STR("attach"))) {
        begin(making);
        compose_attach(&making->compose, text, making->type);
    } else if (str_eq(key, STR("data"))) {
        compose_feed(&making->compose, text);
    } else {
        must(text_take(making, key, text));
    }
}

int main(void)
{
    static char line[KEY_LINE_MOST];
    static struct making making = {.head = {.time = 1795320000}};
    struct str key, value;
    arena_init(&making.arena, ARENA);
    while (key_line_next(line, &key, &value))
        line_take(&making, key, value);
    begin(&making);
    must(!err_is(compose_end(&making.compose)));
    arena_done(&making.arena);
    return 0;
}
