/*
 * Which fields: those of RFC 6376 5.4.1 and those that have come since. Once more than they occur
 * are named the fields that decide what a reader sees (who, to whom, about what, when, in which
 * thread) and how the body is read. What servers and lists on the way add in good faith (Sender,
 * List-*, Resent-*) is signed where it is and may be added where it is not: else mail through a
 * list that changes nothing of it would lose its signature.
 *
 * Fields of one name are named from the last to the first (5.4.2). Canonical fields go into the
 * hash one by one, so a header takes its own length once more and no more than that.
 */
#include "trust/dkim.h"

#include "base/must.h"
#include "format/encodings.h"
#include "format/header.h"

/* --- Body ------------------------------------------------------------------------------------ */

static void hash_put(void *arg, struct str octets)
{
    struct sha256 *sha256 = arg;
    sha256_feed(sha256, octets);
}

void dkim_hash_begin(struct dkim_hash *hash)
{
    dkim_body_begin(&hash->body, DKIM_RELAXED);
    sha256_init(&hash->sha256);
}

void dkim_hash_update(struct dkim_hash *hash, struct str octets)
{
    const struct dkim_sink sink = {.put = hash_put, .arg = &hash->sha256};
    dkim_body_feed(&hash->body, octets, &sink);
}

void dkim_hash_end(struct dkim_hash *hash, unsigned char hash_r[DKIM_HASH])
{
    const struct dkim_sink sink = {.put = hash_put, .arg = &hash->sha256};
    dkim_body_end(&hash->body, &sink);
    sha256_end(&hash->sha256, hash_r);
}

/* --- What is signed -------------------------------------------------------------------------- */

struct signed_name {
    struct str name; /* as in h= */
    bool once_more;
};

static const struct signed_name signed_names[] = {
    {.name = STR_INIT("from"), .once_more = true},
    {.name = STR_INIT("subject"), .once_more = true},
    {.name = STR_INIT("date"), .once_more = true},
    {.name = STR_INIT("to"), .once_more = true},
    {.name = STR_INIT("cc"), .once_more = true},
    {.name = STR_INIT("reply-to"), .once_more = true},
    {.name = STR_INIT("message-id"), .once_more = true},
    {.name = STR_INIT("in-reply-to"), .once_more = true},
    {.name = STR_INIT("references"), .once_more = true},
    {.name = STR_INIT("mime-version"), .once_more = true},
    {.name = STR_INIT("content-type"), .once_more = true},
    {.name = STR_INIT("content-transfer-encoding"), .once_more = true},
    {.name = STR_INIT("sender")},
    {.name = STR_INIT("content-disposition")},
    {.name = STR_INIT("content-id")},
    {.name = STR_INIT("content-description")},
    {.name = STR_INIT("resent-date")},
    {.name = STR_INIT("resent-from")},
    {.name = STR_INIT("resent-sender")},
    {.name = STR_INIT("resent-to")},
    {.name = STR_INIT("resent-cc")},
    {.name = STR_INIT("resent-message-id")},
    {.name = STR_INIT("list-id")},
    {.name = STR_INIT("list-help")},
    {.name = STR_INIT("list-subscribe")},
    {.name = STR_INIT("list-unsubscribe")},
    {.name = STR_INIT("list-unsubscribe-post")}, /* RFC 8058 4: must be */
    {.name = STR_INIT("list-post")},
    {.name = STR_INIT("list-owner")},
    {.name = STR_INIT("list-archive")},
    {.name = STR_INIT("feedback-id")},                 /* complaints name the mailing by it */
    {.name = STR_INIT("disposition-notification-to")}, /* RFC 8098 2.1 */
    {.name = STR_INIT("auto-submitted")},              /* RFC 3834 5 */
    {.name = STR_INIT("tls-required")},                /* RFC 8689 3 */
    {.name = STR_INIT("tls-report-domain")},           /* RFC 8460 5.3 */
    {.name = STR_INIT("tls-report-submitter")},
};

enum {
    NAMES = sizeof(signed_names) / sizeof(signed_names[0]),
    COLUMNS = 78,     /* RFC 5322 2.1.1 */
    FOLD_COLUMNS = 8, /* of the tab that a folded line begins with */
    NUMBER_MAX = 24,  /* octets of a tag with a number */
};

struct found {
    const struct signed_name *name;
    struct str whole;
};

/* A signature being made. */
struct work {
    const struct dkim_what *what;
    struct arena *arena;
    struct found *found; /* in the order of the header */
    size_t found_count;
    size_t named; /* in h= */
    struct sha256 sha256;
    struct buf canonical; /* one field */
    struct buf field;     /* the signature's own */
    size_t column;        /* where its last line ends */
};

static const struct signed_name *name_find(struct str name)
{
    for (size_t i = 0; i < NAMES; i++)
        if (str_eq_nocase(signed_names[i].name, name))
            return &signed_names[i];
    return NULL;
}

static bool fields_find(struct work *work)
{
    struct str rest = work->what->headers;
    struct header_field field;
    work->found = arena_take_array(work->arena, DKIM_FIELDS_MAX, sizeof(*work->found));
    while (work->found && header_next(&rest, &field)) {
        const struct signed_name *name = name_find(field.name);
        if (name && work->found_count == DKIM_FIELDS_MAX)
            return false;
        if (name)
            work->found[work->found_count++] = (struct found){name, field.whole};
    }
    return work->found != NULL;
}

static void canonical_hash(struct work *work, struct str whole, bool without_end)
{
    buf_clear(&work->canonical);
    dkim_header_canonical(DKIM_RELAXED, whole, &work->canonical);
    must(!buf_over(&work->canonical));
    struct str text = buf_str(&work->canonical);
    sha256_feed(&work->sha256, without_end ? str_head(text, text.n - 2) : text);
}

/* --- The field ------------------------------------------------------------------------------- */

static void fold(struct work *work)
{
    buf_put(&work->field, STR("\r\n\t"));
    work->column = FOLD_COLUMNS;
}

/* On a new line where this one has no room; what does not fit there either stays in one piece. */
static void piece_put(struct work *work, struct str piece)
{
    if (work->column + piece.n > COLUMNS && work->column > FOLD_COLUMNS)
        fold(work);
    buf_put(&work->field, piece);
    work->column += piece.n;
}

/* " name=value;" */
static void tag_put(struct work *work, struct str name, struct str value)
{
    size_t n = name.n + value.n + 1;
    if (work->column + 1 + n > COLUMNS)
        fold(work);
    else
        piece_put(work, STR(" "));
    buf_put(&work->field, name);
    buf_put(&work->field, value);
    buf_putc(&work->field, ';');
    work->column += n;
}

static void number_put(struct work *work, struct str name, int64_t value)
{
    char text[NUMBER_MAX];
    struct buf number = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    buf_put_u64(&number, value > 0 ? (uint64_t)value : 0);
    tag_put(work, name, buf_str(&number));
}

/* A name in h=; there is always room for what stands behind it. False: there are too many. */
static bool name_put(struct work *work, struct str name)
{
    if (work->named == DKIM_FIELDS_MAX)
        return false;
    if (work->named++ > 0) {
        buf_putc(&work->field, ':');
        work->column++;
    }
    if (work->column + name.n + 1 > COLUMNS)
        fold(work);
    piece_put(work, name);
    return true;
}

/* All of one name: the last is named, and hashed, first. */
static bool name_sign(struct work *work, const struct signed_name *name)
{
    bool fits = true;
    for (size_t i = work->found_count; i > 0 && fits; i--)
        if (work->found[i - 1].name == name) {
            fits = name_put(work, name->name);
            canonical_hash(work, work->found[i - 1].whole, false);
        }
    return fits && (!name->once_more || name_put(work, name->name));
}

static bool names_sign(struct work *work)
{
    bool fit = true;
    fold(work);
    piece_put(work, STR("h="));
    for (size_t i = 0; i < NAMES && fit; i++)
        fit = name_sign(work, &signed_names[i]);
    buf_putc(&work->field, ';');
    return fit;
}

static struct str base64_in(struct arena *arena, const void *octets, size_t n)
{
    struct buf text = buf_in(arena, 2 * DKIM_SIGNATURE_MAX);
    base64_print(&text, str_make(octets, n));
    return buf_built(&text);
}

/* All tags but the value of b=, which is signed as an empty one. */
static bool tags_put(struct work *work, enum dkim_algorithm algorithm)
{
    const struct dkim_what *what = work->what;
    struct str algorithms[] = {
        [DKIM_RSA] = STR("rsa-sha256"), [DKIM_ED25519] = STR("ed25519-sha256")};
    struct str body_hash = base64_in(work->arena, what->body_hash, DKIM_HASH);
    piece_put(work, STR("DKIM-Signature:"));
    tag_put(work, STR("v="), STR("1"));
    tag_put(work, STR("a="), algorithms[algorithm]);
    tag_put(work, STR("c="), STR("relaxed/relaxed"));
    tag_put(work, STR("d="), what->domain);
    tag_put(work, STR("s="), what->selector);
    number_put(work, STR("t="), what->now);
    if (what->expires)
        number_put(work, STR("x="), what->expires);
    bool fit = names_sign(work);
    fold(work);
    piece_put(work, STR("bh="));
    piece_put(work, body_hash);
    piece_put(work, STR(";"));
    fold(work);
    piece_put(work, STR("b="));
    return fit;
}

static void signature_put(struct work *work, struct str text)
{
    while (text.n) {
        if (work->column >= COLUMNS)
            fold(work);
        struct str piece = str_head(text, COLUMNS - work->column);
        piece_put(work, piece);
        text = str_from_index(text, piece.n);
    }
    buf_put(&work->field, STR("\r\n"));
}

static struct err work_sign(struct work *work, const struct dkim_signer *signer)
{
    unsigned char hash[DKIM_HASH], signature[DKIM_SIGNATURE_MAX];
    size_t length = 0;
    sha256_end(&work->sha256, hash);
    struct err e = signer->sign(signer->arg, hash, signature, &length);
    if (err_is(e))
        return e;
    must(length > 0 && length <= DKIM_SIGNATURE_MAX);
    signature_put(work, base64_in(work->arena, signature, length));
    return err_none();
}

struct err dkim_sign(const struct dkim_what *what, const struct dkim_signer *signer,
                     struct arena *arena, struct str *field_r)
{
    /* A field alone is never longer than the header, but for an end that it may get. */
    size_t room = (what->headers.n > DKIM_FIELD_MAX ? what->headers.n : DKIM_FIELD_MAX) + 2;
    struct work work = {.what = what, .arena = arena};
    char *canonical = arena_take(arena, room);
    if (!canonical || !fields_find(&work))
        return err_make(ERR_OVER_LIMIT);
    work.canonical = (struct buf){.p = canonical, .cap = room, .max = room};
    work.field = buf_in(arena, DKIM_FIELD_MAX);
    sha256_init(&work.sha256);
    if (!tags_put(&work, signer->algorithm) || buf_over(&work.field) || arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    canonical_hash(&work, buf_str(&work.field), true);
    struct err e = work_sign(&work, signer);
    struct str field = buf_built(&work.field);
    if (!err_is(e) && !field.p)
        e = err_make(ERR_OVER_LIMIT);
    if (!err_is(e))
        *field_r = field;
    return e;
}
