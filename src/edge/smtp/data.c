/*
 * Runs, not octets: a run reaches over as many lines as the input has, up to a dot to be taken out,
 * so that an ordinary message leaves in one piece for each read and is hashed and copied in large
 * steps. The search inside is memchr, for CR first and then for a stray LF before it. A CR at the
 * end of a piece is handed out at once, whatever follows: in a refused message it does no harm, and
 * nothing has to be kept between calls but the place.
 */
#include "edge/smtp/data.h"

void data_init(struct data_reader *reader, bool dots, bool normalise)
{
    *reader = (struct data_reader){
        .place = dots ? DATA_AT_START : DATA_IN_LINE,
        .dots = dots,
        .normalise = normalise,
    };
}

static enum data_found take_run(struct data_reader *reader, struct str *input, size_t n,
                                enum data_place place, struct str *run_r)
{
    *run_r = str_head(*input, n);
    *input = str_from_index(*input, n);
    reader->place = place;
    if (memchr(run_r->p, '\0', run_r->n))
        reader->nul = true;
    return DATA_RUN;
}

/* A line end that was no CR LF; `text` completes it. */
static enum data_found bare(struct data_reader *reader, struct str text, struct str *run_r)
{
    if (!reader->normalise)
        return DATA_BARE;
    reader->place = DATA_IN_LINE;
    *run_r = text;
    return DATA_RUN;
}

static enum data_found bare_lf(struct data_reader *reader, struct str *input, size_t at,
                               struct str *run_r)
{
    if (at > 0 && reader->normalise)
        return take_run(reader, input, at, DATA_IN_LINE, run_r);
    *input = str_from_index(*input, 1);
    return bare(reader, STR("\r\n"), run_r);
}

static enum data_found in_line(struct data_reader *reader, struct str *input, struct str *run_r)
{
    const char *from = input->p, *end = input->p + input->n;
    for (;;) {
        const char *cr = memchr(from, '\r', (size_t)(end - from));
        const char *lf = memchr(from, '\n', (size_t)((cr ? cr : end) - from));
        if (lf)
            return bare_lf(reader, input, (size_t)(lf - input->p), run_r);
        if (!cr)
            return take_run(reader, input, input->n, DATA_IN_LINE, run_r);
        if (cr + 1 == end || cr[1] != '\n')
            return take_run(reader, input, (size_t)(cr + 1 - input->p), DATA_AT_CR, run_r);
        from = cr + 2;
        if (from == end || *from == '.')
            return take_run(reader, input, (size_t)(from - input->p),
                            reader->dots ? DATA_AT_START : DATA_IN_LINE, run_r);
    }
}

static enum data_found at_cr(struct data_reader *reader, struct str *input, struct str *run_r)
{
    if (input->p[0] != '\n')
        return bare(reader, STR("\n"), run_r);
    return take_run(reader, input, 1, reader->dots ? DATA_AT_START : DATA_IN_LINE, run_r);
}

static enum data_found at_dot_cr(struct data_reader *reader, struct str *input, struct str *run_r)
{
    if (input->p[0] != '\n')
        return bare(reader, STR("\r\n"), run_r);
    *input = str_from_index(*input, 1);
    reader->place = DATA_AT_START;
    return DATA_END;
}

enum data_found data_next(struct data_reader *reader, struct str *input, struct str *run_r)
{
    while (input->n > 0) {
        char c = input->p[0];
        switch (reader->place) {
        case DATA_AT_START:
            reader->place = c == '.' ? DATA_AT_DOT : DATA_IN_LINE;
            if (c == '.')
                *input = str_from_index(*input, 1);
            break;
        case DATA_AT_DOT:
            reader->place = c == '\r' ? DATA_AT_DOT_CR : DATA_IN_LINE;
            if (c == '\r')
                *input = str_from_index(*input, 1);
            break;
        case DATA_AT_DOT_CR:
            return at_dot_cr(reader, input, run_r);
        case DATA_AT_CR:
            return at_cr(reader, input, run_r);
        case DATA_IN_LINE:
            return in_line(reader, input, run_r);
        }
    }
    return DATA_MORE;
}

enum data_found data_finish(struct data_reader *reader, struct str *run_r)
{
    if (reader->place != DATA_AT_CR)
        return DATA_END;
    return bare(reader, STR("\n"), run_r);
}
