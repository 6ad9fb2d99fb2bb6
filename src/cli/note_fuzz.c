/*
 * What comes: options in the first octet, then what a program hands to sendmail. Properties: what
 * becomes a letter has only whole lines, no Bcc, an author, a sender and recipients that are
 * addresses; as a text of a spool it is read back to the same; rewritten for a smart host it has
 * its sender and stays so when that is done again. The same octets as a letter of a spool and as a
 * small configuration are read or refused.
 */
#include "base/must.h"
#include "cli/note.h"
#include "cli/send_conf.h"
#include "format/addr.h"
#include "format/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ARENA = 64 << 20,
    INPUT_MAX = 65536,
    TEXT_MAX = 4 << 20,
};

static const struct note_facts facts = {.user = STR_INIT("joe"),
                                        .host = STR_INIT("vps.example"),
                                        .name = STR_INIT("Joe"),
                                        .id = STR_INIT("1.2"),
                                        .time = 1795240637};

static void lines_check(struct str text)
{
    must(str_ends(text, STR("\r\n")));
    for (size_t i = 0; i < text.n; i++) {
        must(text.p[i] != '\r' || (i + 1 < text.n && text.p[i + 1] == '\n'));
        must(text.p[i] != '\n' || (i > 0 && text.p[i - 1] == '\r'));
    }
}

static void address_check(struct str address, struct arena *arena)
{
    struct addr addr;
    must(!err_is(addr_parse(address, arena, &addr)));
}

static void letter_check(const struct letter *letter, struct arena *arena)
{
    struct header_field field;
    lines_check(letter->message);
    must(!header_find(letter->message, STR("Bcc"), &field));
    must(header_find(letter->message, STR("From"), &field));
    must(letter->count > 0);
    if (letter->sender.n > 0)
        address_check(letter->sender, arena);
    for (size_t i = 0; i < letter->count; i++)
        address_check(letter->recipients[i].address, arena);
}

static void text_check(const struct letter *letter, struct arena *arena)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    struct letter again;
    letter_print(letter, &text);
    must(!buf_over(&text) && !err_is(letter_parse(buf_str(&text), arena, &again)));
    must(str_eq(again.message, letter->message) && str_eq(again.sender, letter->sender));
    must(again.count == letter->count && again.utf8 == letter->utf8);
    for (size_t i = 0; i < again.count; i++)
        must(str_eq(again.recipients[i].address, letter->recipients[i].address));
    buf_done(&text);
}

static void rewritten_check(struct letter *letter, struct arena *arena)
{
    struct str own = STR("me@own.example");
    struct header_field field;
    if (!note_rewrite(letter, own, arena))
        return;
    struct str once = letter->message;
    lines_check(once);
    must(header_find(once, STR("From"), &field) && str_find(field.value, own) >= 0);
    must(note_rewrite(letter, own, arena) && str_eq(letter->message, once));
}

static void others_check(struct str text, struct arena *arena)
{
    struct letter letter;
    struct send_conf conf;
    struct buf trouble = BUF_INIT(TEXT_MAX);
    (void)letter_parse(text, arena, &letter);
    struct err e = send_conf_parse(text, STR("f"), STR("/"), arena, &conf, &trouble);
    must(err_is(e) == (trouble.n > 0));
    buf_done(&trouble);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct letter letter;
    struct str what;
    if (n < 1 || n > INPUT_MAX)
        return 0;
    const struct str named[] = {STR("root")};
    const struct note note = {.text = str_make(data + 1, n - 1),
                              .dot_ends = data[0] & 1,
                              .from_header = data[0] & 2,
                              .named = named,
                              .named_count = data[0] & 4 ? 1 : 0};
    arena_init(&arena, ARENA);
    if (note_letter(&note, &facts, &arena, &letter, &what) == NOTE_FINE) {
        letter_check(&letter, &arena);
        text_check(&letter, &arena);
        rewritten_check(&letter, &arena);
    }
    others_check(note.text, &arena);
    arena_done(&arena);
    return 0;
}
