/*
 * Days are counted from 1 March of year 0, so that the leap day is the last of its year and months
 * follow one formula; libc's conversions are not used because they know locales and time zones.
 */
#include "format/date.h"

#include "format/token.h"

enum {
    DAY = 24 * 60 * 60,
    DAYS_TO_1970 = 719468, /* from 1 March 0 */
    DAYS_IN_400_YEARS = 146097,
    YEAR_MIN = 1970,
    YEAR_MAX = 9999,
};

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

struct civil {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
    int weekday; /* 0 = Sunday */
};

static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3; /* March is 0 */
    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - DAYS_TO_1970;
}

static struct civil civil_of(int64_t time)
{
    int64_t days = time / DAY, seconds = time % DAY;
    int64_t d = days + DAYS_TO_1970;
    int64_t era = d / DAYS_IN_400_YEARS, of_era = d % DAYS_IN_400_YEARS;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    return (struct civil){
        .year = (int)(era * 400 + y + (m >= 10)),
        .month = (int)(m < 10 ? m + 3 : m - 9),
        .day = (int)(of_year - (153 * m + 2) / 5 + 1),
        .hour = (int)(seconds / 3600),
        .minute = (int)(seconds / 60 % 60),
        .second = (int)(seconds % 60),
        .weekday = (int)((days + 4) % 7),
    };
}

static int64_t clamp(int64_t time)
{
    return time < 0 ? 0 : time > DATE_MAX ? DATE_MAX : time;
}

void date_print(struct buf *buf, int64_t time, int zone)
{
    time = clamp(clamp(time) + (int64_t)zone * 60);
    struct civil c = civil_of(time);
    int east = zone < 0 ? -zone : zone;
    buf_printf(buf, "%s, %02d %s %04d %02d:%02d:%02d %c%02d%02d", weekdays[c.weekday], c.day,
               months[c.month - 1], c.year, c.hour, c.minute, c.second, zone < 0 ? '-' : '+',
               east / 60, east % 60);
}

void date_print_rfc3339(struct buf *buf, int64_t time)
{
    struct civil c = civil_of(clamp(time));
    buf_printf(buf, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour, c.minute,
               c.second);
}

/* Reading */

/* Between `least` and `most` digits, not more. */
static bool digits_take(struct str *rest, size_t least, size_t most, int *value_r, size_t *n_r)
{
    size_t n = 0;
    int value = 0;
    while (n < rest->n && n < most && ascii_is_digit(rest->p[n]))
        value = value * 10 + (rest->p[n++] - '0');
    if (n < least || (n < rest->n && ascii_is_digit(rest->p[n])))
        return false;
    *rest = str_from_index(*rest, n);
    *value_r = value;
    *n_r = n;
    return true;
}

static bool number_take(struct str *rest, size_t most, int *value_r)
{
    size_t n;
    cfws_skip(rest);
    return digits_take(rest, 1, most, value_r, &n);
}

static struct str letters_take(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && ascii_is_alpha(rest->p[n]))
        n++;
    struct str letters = str_head(*rest, n);
    *rest = str_from_index(*rest, n);
    return letters;
}

static bool char_take(struct str *rest, char c)
{
    cfws_skip(rest);
    if (rest->n == 0 || rest->p[0] != c)
        return false;
    *rest = str_from_index(*rest, 1);
    return true;
}

static bool month_take(struct str *rest, int *month_r)
{
    cfws_skip(rest);
    struct str name = letters_take(rest);
    for (int i = 0; i < 12; i++)
        if (str_eq_nocase(name, str_make(months[i], 3))) {
            *month_r = i + 1;
            return true;
        }
    return false;
}

/* RFC 5322 4.3: two digits under 50 are 20xx, over it 19xx, three are 1900 and more. */
static bool year_take(struct str *rest, int *year_r)
{
    size_t n;
    cfws_skip(rest);
    if (!digits_take(rest, 2, 4, year_r, &n))
        return false;
    if (n == 2)
        *year_r += *year_r < 50 ? 2000 : 1900;
    if (n == 3)
        *year_r += 1900;
    return *year_r >= YEAR_MIN && *year_r <= YEAR_MAX;
}

static bool zone_number_take(struct str *rest, struct date *date)
{
    bool west = rest->p[0] == '-';
    *rest = str_from_index(*rest, 1);
    int hhmm;
    size_t n;
    if (!digits_take(rest, 4, 4, &hhmm, &n) || hhmm / 100 > 23 || hhmm % 100 > 59)
        return false;
    int minutes = hhmm / 100 * 60 + hhmm % 100;
    date->zone = west ? -minutes : minutes;
    date->zone_unknown = west && minutes == 0;
    return true;
}

/* RFC 5322 4.3: these eight zones mean something, all other letters "-0000". */
static void zone_name_take(struct str *rest, struct date *date)
{
    static const struct {
        struct str name;
        int hours;
    } rows[] = {
        {STR_INIT("UT"), 0},   {STR_INIT("GMT"), 0},  {STR_INIT("EST"), -5}, {STR_INIT("EDT"), -4},
        {STR_INIT("CST"), -6}, {STR_INIT("CDT"), -5}, {STR_INIT("MST"), -7}, {STR_INIT("MDT"), -6},
        {STR_INIT("PST"), -8}, {STR_INIT("PDT"), -7}, {STR_INIT("UTC"), 0},  {STR_INIT("Z"), 0},
    };
    struct str name = letters_take(rest);
    date->zone = 0;
    date->zone_unknown = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (str_eq_nocase(name, rows[i].name)) {
            date->zone = rows[i].hours * 60;
            date->zone_unknown = false;
        }
}

static bool zone_take(struct str *rest, struct date *date)
{
    cfws_skip(rest);
    if (rest->n && (rest->p[0] == '+' || rest->p[0] == '-'))
        return zone_number_take(rest, date);
    zone_name_take(rest, date);
    return true;
}

/* A leap second counts as the one before it. */
static bool time_is_real(struct civil *c)
{
    if (c->second == 60)
        c->second = 59;
    return c->hour < 24 && c->minute < 60 && c->second < 60;
}

static bool time_take(struct str *rest, struct civil *c)
{
    c->second = 0;
    if (!number_take(rest, 2, &c->hour) || !char_take(rest, ':') ||
        !number_take(rest, 2, &c->minute))
        return false;
    if (char_take(rest, ':') && !number_take(rest, 2, &c->second))
        return false;
    return time_is_real(c);
}

static bool is_day_of_month(const struct civil *c)
{
    static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
    int length = c->month == 2 && !leap ? 28 : lengths[c->month - 1];
    return c->day >= 1 && c->day <= length;
}

/* `date` has the zone. */
static bool date_make(const struct civil *c, struct date *date, struct date *date_r)
{
    if (!is_day_of_month(c))
        return false;
    date->time = days_of(c->year, c->month, c->day) * DAY + c->hour * 3600 + c->minute * 60 +
                 c->second - (int64_t)date->zone * 60;
    if (date->time < 0 || date->time > DATE_MAX)
        return false;
    *date_r = *date;
    return true;
}

static void weekday_skip(struct str *rest)
{
    cfws_skip(rest);
    if (letters_take(rest).n)
        char_take(rest, ',');
}

bool date_parse(struct str text, struct date *date_r)
{
    struct civil c;
    struct date date;
    struct str rest = text;
    weekday_skip(&rest);
    if (!number_take(&rest, 2, &c.day) || !month_take(&rest, &c.month) ||
        !year_take(&rest, &c.year) || !time_take(&rest, &c) || !zone_take(&rest, &date))
        return false;
    cfws_skip(&rest);
    return rest.n == 0 && date_make(&c, &date, date_r);
}

/* --- RFC 3339 5.6: no blank, no comment, every number of its own width --- */

static bool mark_take(struct str *rest, char mark)
{
    bool there = rest->n > 0 && ascii_lower(rest->p[0]) == mark;
    *rest = str_from_index(*rest, there);
    return there;
}

static bool width_take(struct str *rest, size_t width, int *value_r)
{
    size_t n;
    return digits_take(rest, width, width, value_r, &n);
}

/* Two numbers of two digits, a colon between them. */
static bool pair_take(struct str *rest, int *one_r, int *two_r)
{
    return width_take(rest, 2, one_r) && mark_take(rest, ':') && width_take(rest, 2, two_r);
}

static bool second_take(struct str *rest, struct civil *c)
{
    size_t n = 0;
    if (!mark_take(rest, ':') || !width_take(rest, 2, &c->second))
        return false;
    if (!mark_take(rest, '.'))
        return true;
    while (n < rest->n && ascii_is_digit(rest->p[n]))
        n++;
    *rest = str_from_index(*rest, n);
    return n > 0;
}

static bool offset_take(struct str *rest, struct date *date)
{
    int hours, minutes;
    *date = (struct date){.zone = 0};
    if (mark_take(rest, 'z'))
        return true;
    bool west = mark_take(rest, '-');
    if ((!west && !mark_take(rest, '+')) || !pair_take(rest, &hours, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    date->zone = (west ? -1 : 1) * (hours * 60 + minutes);
    date->zone_unknown = west && date->zone == 0;
    return true;
}

bool date_parse_rfc3339(struct str text, struct date *date_r)
{
    struct civil c;
    struct date date;
    struct str rest = text;
    return width_take(&rest, 4, &c.year) && mark_take(&rest, '-') &&
           width_take(&rest, 2, &c.month) && mark_take(&rest, '-') &&
           width_take(&rest, 2, &c.day) && mark_take(&rest, 't') &&
           pair_take(&rest, &c.hour, &c.minute) && second_take(&rest, &c) &&
           offset_take(&rest, &date) && rest.n == 0 && c.year >= YEAR_MIN && c.month >= 1 &&
           c.month <= 12 && time_is_real(&c) && date_make(&c, &date, date_r);
}
