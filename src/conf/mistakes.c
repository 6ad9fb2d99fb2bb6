/*
 * Why a distance in letters: people mistype one or two, or forget one; what is farther away was
 * something else, and a guess at it would only be in the way.
 */
#include "conf/mistakes.h"

#include "conf/rows.h"

enum {
    NEAR_ALWAYS = 2,    /* letters that differ */
    NAME_COMPARED = 40, /* octets of a name that may be meant */
};

void mistakes_init(struct mistakes *mistakes, struct buf *to)
{
    *mistakes = (struct mistakes){.to = to, .line = BUF_INIT(MISTAKE_MOST)};
}

void mistakes_done(struct mistakes *mistakes)
{
    if (mistakes->count > CONF_TROUBLE_MOST)
        buf_printf(mistakes->to, "and %zu more\n", mistakes->count - CONF_TROUBLE_MOST);
    buf_done(&mistakes->line);
}

struct buf *mistake_begin(struct mistakes *mistakes, struct str file, unsigned line)
{
    buf_clear(&mistakes->line);
    mistakes->line.over = false;
    buf_put_escaped(&mistakes->line, file, NAME_SHOWN * 4);
    buf_printf(&mistakes->line, ":%u: ", line);
    return &mistakes->line;
}

void mistake_end(struct mistakes *mistakes)
{
    mistakes->count++;
    if (mistakes->count <= CONF_TROUBLE_MOST) {
        buf_put(mistakes->to, buf_str(&mistakes->line));
        buf_putc(mistakes->to, '\n');
    }
}

void mistake_name(struct buf *to, const char *section, struct str title, struct str name)
{
    if (strcmp(section, section_rows[SECTION_server].name) != 0)
        buf_printf(to, "%s.", section);
    if (title.p) {
        buf_put_escaped(to, title, NAME_SHOWN);
        buf_putc(to, '.');
    }
    buf_put_escaped(to, name, NAME_SHOWN);
}

/* --- The nearest name ------------------------------------------------------------------------ */

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters to put in, take out or change (Levenshtein), of the first NAME_COMPARED. */
static unsigned distance(struct str a, struct str b)
{
    unsigned row[NAME_COMPARED + 1];
    a = str_head(a, NAME_COMPARED);
    b = str_head(b, NAME_COMPARED);
    for (unsigned j = 0; j <= b.n; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned across = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned same = ascii_lower(a.p[i - 1]) == ascii_lower(b.p[j - 1]);
            unsigned here = least_of(row[j] + 1, row[j - 1] + 1, across + !same);
            across = row[j];
            row[j] = here;
        }
    }
    return row[b.n];
}

/* How far a word may be from what was meant: farther ones are no misspelling of it. */
static unsigned near_of(struct str meant)
{
    unsigned third = (unsigned)str_head(meant, NAME_COMPARED).n / 3;
    return third > NEAR_ALWAYS ? third : NEAR_ALWAYS;
}

struct nearest nearest_begin(struct str meant)
{
    return (struct nearest){.meant = meant, .least = near_of(meant) + 1};
}

void nearest_try(struct nearest *nearest, struct str name)
{
    unsigned d = distance(nearest->meant, name);
    if (d < nearest->least) {
        nearest->least = d;
        nearest->best = name;
    }
}

void nearest_put(const struct nearest *nearest, struct buf *to)
{
    if (nearest->best.p)
        buf_printf(to, "; did you mean %.*s?", STR_FMT(nearest->best));
}
