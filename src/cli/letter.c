/*
 * A text of lines with the message behind an empty one: whoever must look into a spool with a pager
 * sees whose it is, and to whom. What is asked for is binary, so it stands in hexadecimal digits.
 */
#include "cli/letter.h"

#include "format/header.h"

static const struct str magic = STR_INIT("veredus letter 1");

static void put_hex(struct str octets, struct buf *to)
{
    for (size_t i = 0; i < octets.n; i++)
        buf_printf(to, "%02x", (unsigned char)octets.p[i]);
}

void letter_print(const struct letter *letter, struct buf *to)
{
    buf_put(to, magic);
    buf_put(to, STR("\nfrom "));
    buf_put(to, letter->sender);
    buf_printf(to, "\nneeds%s%s\nasked ", letter->eight_bit ? " 8bit" : "",
               letter->utf8 ? " utf8" : "");
    put_hex(letter->asked, to);
    for (size_t i = 0; i < letter->count; i++) {
        buf_put(to, STR("\nto "));
        put_hex(letter->recipients[i].asked, to);
        buf_putc(to, ' ');
        buf_put(to, letter->recipients[i].address);
    }
    buf_put(to, STR("\n\n"));
    buf_put(to, letter->message);
}

static struct err damaged(void)
{
    return err_detail(ERR_STORE_DAMAGED, STR("no letter of a spool"));
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* str_null: no such digits, or no room. */
static struct str hex_parse(struct str text, struct arena *arena)
{
    char *octets = arena_take(arena, text.n / 2 + 1);
    if (!octets || text.n % 2)
        return str_null();
    for (size_t i = 0; i < text.n; i += 2) {
        int high = hex_digit(text.p[i]), low = hex_digit(text.p[i + 1]);
        if (high < 0 || low < 0)
            return str_null();
        octets[i / 2] = (char)(high << 4 | low);
    }
    return str_make(octets, text.n / 2);
}

static bool recipient_parse(struct str line, struct arena *arena, struct letter *letter)
{
    if (letter->count == LETTER_RECIPIENTS_MAX)
        return false;
    struct letter_recipient *to = &letter->recipients[letter->count++];
    to->asked = hex_parse(str_cut(&line, ' '), arena);
    to->address = line;
    return to->asked.p && line.n > 0;
}

static size_t recipients_count(struct str head)
{
    size_t count = 0;
    while (head.n)
        count += str_starts(str_cut(&head, '\n'), STR("to "));
    return count;
}

static bool line_parse(struct str line, struct arena *arena, struct letter *letter)
{
    struct str key = str_cut(&line, ' ');
    if (str_eq(key, STR("from")))
        letter->sender = line;
    else if (str_eq(key, STR("asked")))
        letter->asked = hex_parse(line, arena);
    else if (str_eq(key, STR("to")))
        return recipient_parse(line, arena, letter);
    else if (!str_eq(key, STR("needs")))
        return false;
    letter->eight_bit |= str_eq(key, STR("needs")) && str_find(line, STR("8bit")) >= 0;
    letter->utf8 |= str_eq(key, STR("needs")) && str_find(line, STR("utf8")) >= 0;
    return true;
}

struct err letter_parse(struct str text, struct arena *arena, struct letter *letter_r)
{
    ssize_t end = str_find(text, STR("\n\n"));
    struct letter letter = {.count = 0};
    if (end < 0 || end > LETTER_HEAD_MAX)
        return damaged();
    struct str head = str_head(text, (size_t)end);
    if (!str_eq(str_cut(&head, '\n'), magic))
        return damaged();
    letter.recipients =
        arena_take_array(arena, recipients_count(head) + 1, sizeof(*letter.recipients));
    if (!letter.recipients)
        return err_make(ERR_NO_MEMORY);
    while (head.n)
        if (!line_parse(str_cut(&head, '\n'), arena, &letter))
            return damaged();
    letter.message = str_from_index(text, (size_t)end + 2);
    if (letter.count == 0 || !letter.asked.p || !letter.sender.p)
        return arena_over(arena) ? err_make(ERR_NO_MEMORY) : damaged();
    *letter_r = letter;
    return err_none();
}

/* RFC 6532: the header of a message in UTF-8 needs SMTPUTF8, its body does not. An old program that
 * writes another charset there is left alone. */
static bool header_is_utf8(struct str message)
{
    struct str rest = message;
    struct header_field field;
    while (header_next(&rest, &field))
        ;
    struct str header = str_head(message, message.n - rest.n);
    return !str_is_ascii(header) && str_is_utf8(header);
}

void letter_look(struct letter *letter)
{
    letter->eight_bit = !str_is_ascii(letter->message);
    letter->utf8 = !str_is_ascii(letter->sender) || header_is_utf8(letter->message);
    for (size_t i = 0; i < letter->count; i++)
        letter->utf8 |= !str_is_ascii(letter->recipients[i].address);
}
