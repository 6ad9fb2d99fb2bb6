/*
 * Why a head is read only when all of it is there: it is short, and then every rule is one look at
 * whole lines. What can be told before is told: a line end that is none, and a head that is too
 * long.
 */
#include "format/http_request.h"

#include <string.h>

enum {
    OK = 200,
    BAD_REQUEST = 400,
    LENGTH_REQUIRED = 411,
    CONTENT_TOO_LARGE = 413,
    URI_TOO_LONG = 414,
    FIELDS_TOO_LARGE = 431,
    NOT_IMPLEMENTED = 501,
    VERSION_NOT_SUPPORTED = 505,
    VERSION_OCTETS = sizeof "HTTP/1.1" - 1,
    PORT_DIGITS = 5,
    BOUNDARY_MAX = 70, /* RFC 2046 5.1.1 */
    WEIGHT_MOST = 1000,
};

/* What the fields say, as long as they are read. */
struct fields {
    struct http_asked *asked;
    struct str authority; /* of the target in its absolute form; p NULL: of none */
    size_t hosts, lengths, codings;
    size_t body_most;
};

/* --- The parts of a line --------------------------------------------------------------------- */

/* RFC 9110 5.6.2 */
static bool is_token(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return text.n > 0;
}

static bool is_visible(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] >= 0x7f)
            return false;
    return text.n > 0;
}

/* Blanks, tabs and what is visible, in any character set (RFC 9110 5.5). */
static bool is_field_value(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* Without its CR LF; `rest` moves behind that. Every LF has a CR before it: that was looked at. */
static struct str line_cut(struct str *rest)
{
    struct str line = str_cut(rest, '\n');
    return str_head(line, line.n - 1);
}

/* A weight is 0 to 1, in thousandths (RFC 9110 12.4.2); what is none counts as 0. */
static unsigned weight_of(struct str parameters)
{
    while (parameters.n > 0) {
        struct str one = str_trim(str_cut(&parameters, ';'));
        if (!str_starts_nocase(one, STR("q=")))
            continue;
        struct str digits = str_from_index(one, 2);
        unsigned weight = 0, unit = WEIGHT_MOST;
        for (size_t i = 0; i < digits.n && unit > 0; i++) {
            if (i == 1 && digits.p[i] == '.')
                continue;
            if (!ascii_is_digit(digits.p[i]))
                return 0;
            weight += (unsigned)(digits.p[i] - '0') * unit;
            unit /= 10;
        }
        return weight < WEIGHT_MOST ? weight : WEIGHT_MOST;
    }
    return WEIGHT_MOST;
}

/* --- The first line -------------------------------------------------------------------------- */

static unsigned version_read(struct str version, struct http_asked *asked)
{
    bool is_one = version.n == VERSION_OCTETS && str_starts(version, STR("HTTP/")) &&
                  ascii_is_digit(version.p[5]) && version.p[6] == '.' &&
                  ascii_is_digit(version.p[7]);
    if (!is_one)
        return BAD_REQUEST;
    asked->last = version.p[7] == '0';
    return version.p[5] == '1' ? OK : VERSION_NOT_SUPPORTED;
}

static unsigned method_read(struct str method, struct http_asked *asked)
{
    static const struct {
        struct str name;
        enum http_method method;
    } rows[] = {
        {STR_INIT("GET"), HTTP_GET}, {STR_INIT("HEAD"), HTTP_HEAD}, {STR_INIT("POST"), HTTP_POST}};
    if (!is_token(method))
        return BAD_REQUEST;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (str_eq(method, rows[i].name)) {
            asked->method = rows[i].method;
            return OK;
        }
    }
    return NOT_IMPLEMENTED;
}

/* "/path?query", or all of it (RFC 9112 3.2.2). */
static unsigned target_read(struct str target, struct fields *fields)
{
    if (target.n > HTTP_ASKED_TARGET_MAX)
        return URI_TOO_LONG;
    if (!is_visible(target) || str_index(target, '#') >= 0)
        return BAD_REQUEST;
    bool secure = str_starts_nocase(target, STR("https://"));
    if (secure || str_starts_nocase(target, STR("http://"))) {
        target = str_from_index(target, (secure ? sizeof "https://" : sizeof "http://") - 1);
        ssize_t slash = str_index(target, '/');
        fields->authority = str_head(target, slash < 0 ? target.n : (size_t)slash);
        target = slash < 0 ? STR("/") : str_from_index(target, (size_t)slash);
    }
    if (!str_starts(target, STR("/")))
        return BAD_REQUEST;
    fields->asked->path = str_cut(&target, '?');
    return OK;
}

static unsigned request_line(struct str line, struct fields *fields)
{
    struct str rest = line;
    struct str method = str_cut(&rest, ' ');
    struct str target = str_cut(&rest, ' ');
    unsigned status = version_read(rest, fields->asked);
    if (status == OK)
        status = method_read(method, fields->asked);
    return status == OK ? target_read(target, fields) : status;
}

/* --- Fields ---------------------------------------------------------------------------------- */

static bool is_host_octet(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '.' || c == '_';
}

static bool is_literal_octet(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == ':' || c == '.';
}

/* "host", "host:port", "[literal]:port"; p NULL: it is none. */
static struct str host_of(struct str value)
{
    bool literal = str_starts(value, STR("["));
    size_t n = literal;
    while (n < value.n && (literal ? is_literal_octet(value.p[n]) : is_host_octet(value.p[n])))
        n++;
    if (literal && (n == value.n || value.p[n++] != ']'))
        return str_null();
    struct str port = str_from_index(value, n + 1);
    uint64_t number;
    bool has_port = n < value.n;
    if (n == 0 || (has_port && value.p[n] != ':') ||
        (port.n > 0 && (port.n > PORT_DIGITS || !str_to_u64(port, &number))))
        return str_null();
    return str_head(value, n);
}

static unsigned host_field(struct fields *fields, struct str value)
{
    fields->asked->host = host_of(value);
    bool same = !fields->authority.p || str_eq_nocase(fields->authority, value);
    return fields->hosts++ == 0 && fields->asked->host.p && same ? OK : BAD_REQUEST;
}

/* One, of digits alone: "5, 5" and "+5" are what others read as something else. */
static unsigned length_field(struct fields *fields, struct str value)
{
    uint64_t length = 0;
    bool digits = value.n > 0;
    for (size_t i = 0; i < value.n; i++)
        digits = digits && ascii_is_digit(value.p[i]);
    if (fields->lengths++ > 0 || !digits)
        return BAD_REQUEST;
    if (!str_to_u64(value, &length) || length > fields->body_most)
        return CONTENT_TOO_LARGE;
    fields->asked->length = (size_t)length;
    return OK;
}

static bool list_has(struct str list, struct str word)
{
    while (list.n > 0)
        if (str_eq_nocase(str_trim(str_cut(&list, ',')), word))
            return true;
    return false;
}

static unsigned field_read(struct fields *fields, struct str line)
{
    struct http_asked *asked = fields->asked;
    ssize_t colon = str_index(line, ':');
    if (colon <= 0 || !is_token(str_head(line, (size_t)colon)) || !is_field_value(line))
        return BAD_REQUEST;
    struct str name = str_head(line, (size_t)colon);
    struct str value = str_trim(str_from_index(line, (size_t)colon + 1));
    if (str_eq_nocase(name, STR("Host")))
        return host_field(fields, value);
    if (str_eq_nocase(name, STR("Content-Length")))
        return length_field(fields, value);
    if (str_eq_nocase(name, STR("Transfer-Encoding")))
        fields->codings++;
    else if (str_eq_nocase(name, STR("Connection")))
        asked->last = asked->last || list_has(value, STR("close"));
    else if (str_eq_nocase(name, STR("Expect")))
        asked->expects = str_eq_nocase(value, STR("100-continue"));
    else if (str_eq_nocase(name, STR("Content-Type")))
        asked->type = value;
    else if (str_eq_nocase(name, STR("Accept-Language")))
        asked->language = value;
    return OK;
}

/* --- The head -------------------------------------------------------------------------------- */

/* Where the empty line ends; 0: not yet. *status_r: why it never will. */
static size_t head_find(struct str octets, unsigned *status_r)
{
    struct str head = str_head(octets, HTTP_ASKED_HEAD_MAX);
    size_t begin = 0;
    for (;;) {
        ssize_t lf = str_index(str_from_index(head, begin), '\n');
        if (lf < 0) {
            bool first = begin == 0;
            if (head.n == HTTP_ASKED_HEAD_MAX)
                *status_r = first ? URI_TOO_LONG : FIELDS_TOO_LARGE;
            return 0;
        }
        if (lf == 0 || head.p[begin + (size_t)lf - 1] != '\r') {
            *status_r = BAD_REQUEST;
            return 0;
        }
        if (lf == 1)
            return begin + 2;
        begin += (size_t)lf + 1;
    }
}

/* What two fields say together (RFC 9112 3.2, 6.1, 6.3). */
static unsigned agree(const struct fields *fields)
{
    const struct http_asked *asked = fields->asked;
    bool posts = asked->method == HTTP_POST;
    if (fields->hosts == 0 || (fields->codings > 0 && (fields->lengths > 0 || asked->last)) ||
        (!posts && asked->length > 0))
        return BAD_REQUEST;
    return fields->codings > 0 || (posts && fields->lengths == 0) ? LENGTH_REQUIRED : OK;
}

static unsigned head_read(struct str head, struct fields *fields)
{
    size_t count = 0;
    unsigned status = request_line(line_cut(&head), fields);
    for (struct str line = line_cut(&head); status == OK && line.n > 0; line = line_cut(&head))
        status = ++count > HTTP_ASKED_FIELDS_MAX ? FIELDS_TOO_LARGE : field_read(fields, line);
    return status == OK ? agree(fields) : status;
}

unsigned http_asked_read(struct str octets, size_t body_most, struct http_asked *asked_r)
{
    struct fields fields = {.asked = asked_r, .body_most = body_most};
    unsigned status = 0;
    /* One empty line before it: what old programs send behind a body (RFC 9112 2.2). */
    size_t before = str_starts(octets, STR("\r\n")) ? 2 : 0;
    octets = str_from_index(octets, before);
    *asked_r = (struct http_asked){.type = STR(""), .language = STR("")};
    size_t n = head_find(octets, &status);
    if (n == 2)
        return BAD_REQUEST;
    if (n == 0)
        return status;
    asked_r->head = before + n;
    return head_read(str_head(octets, n), &fields);
}

/* --- Forms ----------------------------------------------------------------------------------- */

static bool pairs_say(struct str body, struct str name, struct str value)
{
    while (body.n > 0) {
        struct str pair = str_cut(&body, '&');
        struct str key = str_cut(&pair, '=');
        if (str_eq(key, name) && str_eq(pair, value))
            return true;
    }
    return false;
}

/* A parameter of a value, without its quotes; p NULL: it has none. */
static struct str parameter_of(struct str value, struct str name)
{
    (void)str_cut(&value, ';');
    while (value.n > 0) {
        struct str one = str_trim(str_cut(&value, ';'));
        struct str key = str_cut(&one, '=');
        if (!str_eq_nocase(key, name))
            continue;
        bool quoted = one.n >= 2 && one.p[0] == '"' && one.p[one.n - 1] == '"';
        return quoted ? str_head(str_from_index(one, 1), one.n - 2) : one;
    }
    return str_null();
}

/* Of a part: its fields, an empty line, and what it holds (RFC 7578 4.2). */
static bool part_says(struct str part, struct str name, struct str value)
{
    ssize_t end = str_find(part, STR("\r\n\r\n"));
    if (end < 0)
        return false;
    struct str fields = str_head(part, (size_t)end + 2);
    bool is_named = false;
    while (fields.n > 0) {
        struct str line = line_cut(&fields);
        if (str_starts_nocase(line, STR("Content-Disposition:")))
            is_named = is_named || str_eq(parameter_of(line, STR("name")), name);
    }
    return is_named && str_eq(str_from_index(part, (size_t)end + 4), value);
}

/* CR LF, two hyphens and the boundary stand between parts; the first has no CR LF before it. */
static bool parts_say(struct str boundary, struct str body, struct str name, struct str value)
{
    char room[BOUNDARY_MAX + 4];
    if (boundary.n == 0 || boundary.n > BOUNDARY_MAX)
        return false;
    memcpy(room, "\r\n--", 4);
    memcpy(room + 4, boundary.p, boundary.n);
    struct str between = str_make(room, boundary.n + 4);
    if (!str_starts(body, str_from_index(between, 2)))
        return false;
    body = str_from_index(body, between.n - 2);
    while (str_starts(body, STR("\r\n"))) {
        body = str_from_index(body, 2);
        ssize_t end = str_find(body, between);
        if (end < 0)
            return false;
        if (part_says(str_head(body, (size_t)end), name, value))
            return true;
        body = str_from_index(body, (size_t)end + between.n);
    }
    return false;
}

/* Lines of a part end in CR LF; where one does not, there is nothing that line_cut could cut. */
static bool lines_are_whole(struct str body)
{
    for (size_t i = 0; i < body.n; i++)
        if (body.p[i] == '\n' && (i == 0 || body.p[i - 1] != '\r'))
            return false;
    return true;
}

bool http_form_says(struct str type, struct str body, struct str name, struct str value)
{
    struct str rest = type;
    struct str media = str_trim(str_cut(&rest, ';'));
    if (str_eq_nocase(media, STR("application/x-www-form-urlencoded")))
        return pairs_say(body, name, value);
    return str_eq_nocase(media, STR("multipart/form-data")) && lines_are_whole(body) &&
           parts_say(parameter_of(type, STR("boundary")), body, name, value);
}

/* --- Languages ------------------------------------------------------------------------------- */

enum language http_language(struct str accepted, enum language standard)
{
    static const struct str ours[LANGUAGES] = {
        [LANGUAGE_ENGLISH] = STR_INIT("en"), [LANGUAGE_CHINESE] = STR_INIT("zh")};
    enum language best = standard;
    unsigned best_weight = 0;
    while (accepted.n > 0) {
        struct str one = str_cut(&accepted, ',');
        struct str range = str_trim(str_cut(&one, ';'));
        struct str language = str_cut(&range, '-');
        unsigned weight = weight_of(one);
        for (size_t i = 0; i < LANGUAGES; i++) {
            if (weight > best_weight && str_eq_nocase(language, ours[i])) {
                best = (enum language)i;
                best_weight = weight;
            }
        }
    }
    return best;
}
