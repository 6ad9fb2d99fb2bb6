/*
 * Why printed from the rows: a manual page that is written beside the code is wrong after the next
 * change of either.
 */
#include "conf/rows.h"

enum {
    LINE_BREAK = 60 /* a line of text ends at the next space behind this column */
};

static const struct str head = STR_INIT(
    ".Dd November 21, 2026\n"
    ".Dt VEREDUS.CONF 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm veredus.conf\n"
    ".Nd settings of the Veredus mail server\n"
    ".Sh DESCRIPTION\n"
    "The file holds settings, one a line:\n"
    ".Bd -literal -offset indent\n"
    "# Text behind a # is a comment.\n"
    "hostname = mail.example.test\n"
    "\n"
    "smtp {\n"
    "    listen = {\"*:25\", \"[::1]:2525\"}\n"
    "    message_size = 50M\n"
    "}\n"
    "\n"
    "list office {\n"
    "    networks = {192.0.2.0/24, @branches}\n"
    "    files = {\"/etc/veredus/office\"}\n"
    "}\n"
    ".Ed\n"
    ".Pp\n"
    "Every setting has a default; an empty file is a working configuration.\n"
    "People (domains, accounts, aliases, lists) are not in it:\n"
    "they are kept in the store and managed with\n"
    ".Xr veredus 8 .\n"
    ".Pp\n"
    "A value is a word, or text in quotes where it has spaces or one of\n"
    ".Ql {\\ }\\ =\\ ,\\ ;\\ #\n"
    "in it.\n"
    "In double quotes a backslash stands before a double quote or another backslash.\n"
    "Several values stand in braces, with commas or spaces between them.\n"
    "Sizes are in octets and may end in K, M or G (of 1024).\n"
    "Times end in ms, s, m, h or d.\n"
    "No variable is replaced.\n"
    "No other file is read but those that blocks name:\n"
    "certificates, their keys, lists of networks, and the trust anchors of the DNS.\n"
    ".Pp\n"
    "A block whose title has a NAME or DOMAIN behind it may stand several times, each with\n"
    "another one.\n"
    ".Pp\n"
    "A mistake is reported with its file, line and setting, what was expected and\n"
    "the nearest known name, all mistakes of a file at once.\n"
    "A file with a mistake is not used: the server does not start with it, and at a\n"
    "reload it goes on with the settings it has.\n"
    ".Pp\n"
    "On\n"
    ".Dv SIGHUP\n"
    "the server reads the file again.\n"
    "Settings marked\n"
    ".Dq read at start\n"
    "change at the next start only.\n"
    ".Sh SETTINGS\n");

static const char *const titles[] = {
    [TITLE_NONE] = "", [TITLE_NAME] = " NAME", [TITLE_HOST] = " DOMAIN"};

static const struct str foot = STR_INIT(".Sh SEE ALSO\n"
                                        ".Xr veredus 8\n");

/* Text for mdoc: each sentence on a line of its own, no long line, none that looks like a request.
 */
static void text_put(struct buf *to, struct str text)
{
    size_t column = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == ' ' && (column > LINE_BREAK || (i > 0 && text.p[i - 1] == '.')))
            c = '\n';
        if (column == 0 && (c == '.' || c == '\''))
            buf_put(to, STR("\\&"));
        if (c == '\\')
            buf_put(to, STR("\\e"));
        else
            buf_putc(to, c);
        column = c == '\n' ? 0 : column + 1;
    }
    buf_putc(to, '\n');
}

static void setting_put(struct buf *to, const struct setting *setting)
{
    struct buf expected = BUF_INIT(1024);
    value_expected(setting, &expected);
    buf_printf(to, ".It Ic %s\n", setting->name);
    text_put(to, str_from(setting->help));
    buf_put(to, STR(".br\nValue:\n"));
    text_put(to, buf_str(&expected));
    if (setting->standard)
        buf_printf(to, ".br\nDefault: %s\n", setting->standard[0] ? setting->standard : "empty");
    else
        buf_put(to, STR(".br\nMust be set.\n"));
    if (setting->reload == RELOAD_START)
        buf_put(to, STR(".br\nRead at start.\n"));
    buf_done(&expected);
}

static void section_put(struct buf *to, const struct section *section)
{
    if (section == &section_rows[SECTION_server])
        buf_put(to, STR(".Ss Outside of any block\n"));
    else
        buf_printf(to, ".Ss %s%s\n", section->name, titles[section->title]);
    text_put(to, str_from(section->help));
    if (section->count == 0)
        return;
    buf_put(to, STR(".Bl -tag -width Ds\n"));
    for (size_t i = 0; i < section->count; i++)
        setting_put(to, &section->settings[i]);
    buf_put(to, STR(".El\n"));
}

void conf_manual(struct buf *to)
{
    buf_put(to, head);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        section_put(to, &section_rows[i]);
    buf_put(to, foot);
}
