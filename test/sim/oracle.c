/*
 * Why counts and not single messages: which of two equal copies an attempt left behind is not to be
 * told from outside, and does not matter; how many there are does.
 */
#include "oracle.h"

#include <openssl/evp.h>

#include "base/must.h"
#include "format/message_id.h"
#include "internet.h"

enum {
    LINE_MOST = 200,
    PATH_MAX_OCTETS = 64,
};

/* Less than smtp.resent_window: who comes back later is not recognised. */
#define REMEMBERED (14 * 60 * NS_PER_SECOND)

/* How long the last one, begun in time, may take. */
#define LAST_TRY (1800 * NS_PER_SECOND)

void oracle_open(struct oracle *oracle, struct fake_world *fake, size_t letters)
{
    *oracle = (struct oracle){.fake = fake, .text = BUF_INIT(ORACLE_TEXT_MAX)};
    oracle->letters = calloc(letters + 1, sizeof(*oracle->letters));
    must(oracle->letters);
}

void oracle_close(struct oracle *oracle)
{
    for (size_t i = 0; i < oracle->letter_count; i++) {
        buf_done(&oracle->letters[i]->octets);
        free(oracle->letters[i]);
    }
    for (size_t i = 0; i < PEOPLE_ACCOUNTS; i++)
        free(oracle->accounts[i].at);
    free(oracle->letters);
    free(oracle->outcomes);
    buf_done(&oracle->text);
}

void oracle_wrong(struct oracle *oracle, const char *format, ...)
{
    va_list args;
    struct fake_memory *charged = fake_memory_charge(NULL); /* a role may be looking */
    oracle->violated = true;
    va_start(args, format);
    buf_vprintf(&oracle->text, format, args);
    va_end(args);
    buf_putc(&oracle->text, '\n');
    fake_memory_charge(charged);
    fake_stop(oracle->fake);
}

/* --- Letters --------------------------------------------------------------------------------- */

/* One line: some begin with dots, some are empty, some have eight bits. */
static void line_make(struct letter *letter, struct fake_random *random, size_t n)
{
    char line[LINE_MOST];
    must(n <= sizeof(line));
    fake_random_fill(random, line, n);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)line[i];
        line[i] = (char)(c < 0x80 || !letter->eight_bit ? ' ' + (c & 0x3f) : c);
    }
    size_t dots = n ? (unsigned char)line[0] % 8 : 8;
    for (size_t i = 0; dots < 3 && i <= dots && i < n; i++)
        line[i] = '.';
    must(buf_put(&letter->octets, str_make(line, n)));
}

#define BINARY_HEADER "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
#define ENCODED_BINARY "Content-Transfer-Encoding: binary\r\n\r\n"
#define ENCODED_BASE64 "Content-Transfer-Encoding: base64\r\n\r\n"

static void binary_make(struct letter *letter, struct fake_random *random, size_t size)
{
    must(buf_put(&letter->octets, STR(BINARY_HEADER ENCODED_BINARY)));
    char *room = buf_room(&letter->octets, size);
    must(room);
    fake_random_fill(random, room, size);
    buf_added(&letter->octets, size);
}

#define WHOLE_HEADER                                                                               \
    "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nTo: somebody:;\r\nMessage-ID: <l@sender.test>\r\n"

static void octets_make(struct letter *letter, struct fake_random *random, size_t size)
{
    struct buf *octets = &letter->octets;
    buf_init(octets, LETTER_SIZE_MAX);
    if (size == 0)
        return;
    buf_printf(octets, "Subject: letter %llu%s\r\nFrom: <%s>\r\n",
               (unsigned long long)letter->number, letter->utf8 ? " — grüße" : "",
               letter->is_false ? "alice@example.test" : "a@sender.test");
    if (letter->tls_optional)
        must(buf_put(octets, STR("TLS-Required: No\r\n")));
    if (letter->submitted)
        must(buf_put(octets, STR(WHOLE_HEADER)));
    if (letter->binary) {
        binary_make(letter, random, size);
        return;
    }
    must(buf_put(octets, STR("\r\n")));
    while (octets->n < size) {
        size_t n = fake_random_below(random, 4) == 0 ? fake_random_below(random, LINE_MOST + 1)
                                                     : 60 + fake_random_below(random, 20);
        line_make(letter, random, n);
        must(buf_put(octets, STR("\r\n")));
    }
    if (letter->chunked && fake_random_below(random, 4) == 0)
        must(buf_put(octets, STR("no end of line")));
}

/* In any of its states. */
static uint64_t change_accounts(const struct people_address *address)
{
    uint64_t accounts = 0;
    for (size_t i = 0; address->change && i < PEOPLE_STATES; i++)
        accounts |= people_changes[address->change - 1].states[i].accounts;
    return accounts;
}

/* Who may not send to elsewhere seldom tries. */
static size_t address_choose(const struct letter *letter, struct fake_random *random)
{
    bool direct = fake_random_below(random, letter->relays ? 2 : 16) == 0;
    return direct ? PEOPLE_LOCAL + fake_random_below(random, PEOPLE_ADDRESSES - PEOPLE_LOCAL)
                  : fake_random_below(random, PEOPLE_LOCAL);
}

static void addresses_choose(struct letter *letter, struct fake_random *random)
{
    static const size_t counts[] = {1, 1, 1, 2, 3, LETTER_ADDRESSES};
    letter->address_count = counts[fake_random_below(random, sizeof(counts) / sizeof(*counts))];
    for (size_t i = 0; i < letter->address_count; i++) {
        letter->addresses[i] = address_choose(letter, random);
        const struct people_address *address = &people_addresses[letter->addresses[i]];
        letter->utf8 = letter->utf8 || address->utf8;
        if (address->direct && !letter->relays)
            continue;
        letter->accounts |= address->accounts | address->perhaps | change_accounts(address);
        letter->certain |= address->full ? 0 : address->accounts;
    }
    if (letter->is_false)
        letter->accounts = letter->certain = 0;
    letter->together = letter->accounts;
}

void letter_goes_to(struct letter *letter, size_t address)
{
    must(people_addresses[address].direct && letter->relays && !letter->attempts);
    letter->addresses[0] = address;
    letter->address_count = 1;
    letter->accounts = letter->certain = letter->together = people_addresses[address].accounts;
}

static bool all_direct(const struct letter *letter)
{
    for (size_t i = 0; i < letter->address_count; i++)
        if (!people_addresses[letter->addresses[i]].direct)
            return false;
    return true;
}

/* Only who may send to elsewhere is offered all of it. A letter that is held has nobody here: who
 * looks for his copy when a session is over finds it at once, or it is lost. */
static void options_choose(struct letter *letter, struct fake_random *random)
{
    if (!letter->relays)
        return;
    if (fake_random_below(random, 3) == 0)
        letter->notify = (enum letter_notify)fake_random_below(random, NOTIFIES);
    letter->headers = fake_random_below(random, 4) == 0;
    if (fake_random_below(random, 4) == 0)
        letter->priority = (int)fake_random_below(random, 19) - 9;
    uint64_t kind = fake_random_below(random, 6);
    if (kind == 0 && letter->submitted && all_direct(letter))
        letter->hold = 30 + (int)fake_random_below(random, 1800);
    else if (kind == 1)
        letter->by = ORACLE_BY_LEAST + (int)fake_random_below(random, 7200);
}

struct letter *oracle_letter(struct oracle *oracle, int host, bool submitted,
                             struct fake_random *random, size_t size)
{
    struct letter *letter = calloc(1, sizeof(*letter));
    must(letter);
    letter->number = oracle->letter_count + 1;
    letter->host = host;
    letter->eight_bit = fake_random_below(random, 3) == 0;
    letter->chunked = fake_random_below(random, 3) == 0;
    letter->binary = letter->chunked && size > 0 && fake_random_below(random, 3) == 0;
    letter->utf8 = fake_random_below(random, 8) == 0;
    letter->submitted = submitted;
    letter->is_false = submitted && fake_random_below(random, 12) == 0;
    letter->relays = submitted || host < ORACLE_RELAYING;
    letter->local_sender = submitted && fake_random_below(random, 2) ? host - ORACLE_HOSTS : -1;
    letter->same = UINT64_MAX;
    letter->tls_optional = size > 0 && fake_random_below(random, 6) == 0;
    octets_make(letter, random, size);
    addresses_choose(letter, random);
    options_choose(letter, random);
    oracle->letters[oracle->letter_count++] = letter;
    return letter;
}

/* --- Attempts -------------------------------------------------------------------------------- */

void letter_begun(struct oracle *oracle, struct letter *letter)
{
    int64_t now = world_mono(&oracle->fake->world);
    if (letter->attempts++ == 0)
        letter->said_at = now;
    letter->said_last = now;
    if (letter->unknown == 0)
        letter->loose = false;
    else if (now - letter->unknown_at > REMEMBERED)
        letter->loose = true;
}

/* What may be said of a repetition: it is the earlier attempts' one copy, wherever that went. */
static struct reach reach_joined(const struct letter *letter, const struct reach *reach)
{
    struct reach joined = *reach;
    if (letter->unknown) {
        joined.sure &= letter->unknown_reach.sure;
        joined.perhaps |= reach->sure | letter->unknown_reach.perhaps;
    }
    joined.perhaps |= joined.sure;
    return joined;
}

/* The same message to other recipients is another message. */
static void is_loose(struct letter *letter, const struct reach *reach, bool forgotten)
{
    if (letter->unknown && (forgotten || letter->unknown_reach.taken != reach->taken))
        letter->loose = true;
}

void letter_accepted(struct oracle *oracle, struct letter *letter, const struct reach *reach,
                     bool forgotten)
{
    struct reach joined = reach_joined(letter, reach);
    oracle->accepted++;
    if (letter->unknown)
        oracle->repeated++;
    is_loose(letter, reach, forgotten);
    letter->settled++;
    letter->together &= reach->sure;
    for (int i = 0; i < PEOPLE_ALL; i++) {
        letter->least[i] += joined.sure >> i & 1;
        letter->most[i] += joined.perhaps >> i & 1;
    }
    if (!letter->loose) /* else what the unknown ones left stays open */
        letter->unknown = 0;
}

void letter_refused(struct oracle *oracle, struct letter *letter)
{
    (void)letter;
    oracle->refused++;
}

void letter_unknown(struct oracle *oracle, struct letter *letter, const struct reach *reach,
                    int64_t since, bool forgotten)
{
    struct reach joined = reach_joined(letter, reach);
    oracle->unknown++;
    letter->was_unknown = true;
    is_loose(letter, reach, forgotten);
    letter->together &= reach->sure;
    if (letter->unknown == 0)
        letter->unknown_at = since;
    if (letter->unknown == 0 || letter->loose)
        letter->unknown++;
    letter->unknown_reach = joined;
}

uint64_t letter_least(const struct letter *letter, int account)
{
    return letter->least[account];
}

uint64_t letter_most(const struct letter *letter, int account)
{
    bool open = letter->unknown_reach.perhaps >> account & 1;
    return letter->most[account] + (open ? letter->unknown : 0);
}

/* --- Listings -------------------------------------------------------------------------------- */

uint64_t oracle_listing(struct oracle *oracle)
{
    return ++oracle->listings;
}

static struct known *known_find(struct oracle *oracle, int account, struct str id)
{
    struct known_list *list = &oracle->accounts[account];
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(str_from(list->at[i].id), id))
            return &list->at[i];
    return NULL;
}

static struct known *known_add(struct oracle *oracle, int account, struct str id)
{
    struct known_list *list = &oracle->accounts[account];
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->at = realloc(list->at, list->room * sizeof(*list->at));
        must(list->at);
    }
    struct known *known = &list->at[list->count++];
    *known = (struct known){.state = KNOWN_LIVES};
    memcpy(known->id, id.p, id.n);
    return known;
}

void oracle_listed(struct oracle *oracle, int account, struct str id, uint64_t listing)
{
    if (id.n == 0 || id.n > UNIQUE_ID_MAX) {
        oracle_wrong(oracle, "a unique-id of %zu octets", id.n);
        return;
    }
    struct known *known = known_find(oracle, account, id);
    if (!known) {
        known = known_add(oracle, account, id);
        if (account == PEOPLE_LEAVER && listing <= oracle->left_at)
            *known = (struct known){.state = KNOWN_GONE, .gone_at = listing};
        memcpy(known->id, id.p, id.n);
    }
    if (known->state == KNOWN_GONE && listing > known->gone_at)
        oracle_wrong(oracle, "account %d: %s was acknowledged as removed and is back", account,
                     known->id);
    if (known->seen_in == listing)
        oracle_wrong(oracle, "account %d: %s stands twice in a listing", account, known->id);
    known->seen_in = listing;
}

/* --- Messages -------------------------------------------------------------------------------- */

/* The field's value; moves *text behind it and what is folded onto it. */
static struct str field_cut(struct str *text, struct str name)
{
    if (!str_starts(*text, name))
        return str_null();
    struct str value = str_from_index(*text, name.n);
    size_t at = 0;
    for (;;) {
        ssize_t end = str_find(str_from_index(value, at), STR("\r\n"));
        if (end < 0)
            return str_null();
        at += (size_t)end + 2;
        if (at >= value.n || (value.p[at] != ' ' && value.p[at] != '\t'))
            break;
    }
    *text = str_from_index(value, at);
    return str_head(value, at - 2);
}

/* Each user's own address, with a tag: "<mona+m7@example.test>". */
void letter_sender(const struct letter *letter, struct buf *to)
{
    unsigned long long number = letter->number;
    if (letter->local_sender < 0) {
        buf_printf(to, "m%llu@sender.test", number);
        return;
    }
    struct str domain = people_accounts[PEOPLE_FIRST_USER + letter->local_sender];
    struct str name = str_cut(&domain, '@');
    buf_printf(to, "%.*s+m%llu@%.*s", STR_FMT(name), number, STR_FMT(domain));
}

static struct letter *letter_named(struct oracle *oracle, struct str path)
{
    uint64_t number = 0;
    struct str rest = path;
    if (path.n < 4)
        return NULL;
    struct str local = str_from_index(str_cut(&rest, '@'), 1);
    ssize_t tag = str_index(local, '+');
    struct str digits = str_from_index(local, tag < 0 ? 1 : (size_t)tag + 2);
    if (!str_to_u64(digits, &number) || number < 1 || number > oracle->letter_count)
        return NULL;
    struct letter *letter = oracle->letters[number - 1];
    struct buf sender = BUF_INIT(PATH_MAX_OCTETS);
    letter_sender(letter, &sender);
    bool same = str_eq(buf_str(&sender), str_make(path.p + 1, path.n - 2));
    buf_done(&sender);
    return same ? letter : NULL;
}

const struct letter *oracle_letter_from(struct oracle *oracle, struct str sender)
{
    struct buf path = BUF_INIT(2 * PATH_MAX_OCTETS);
    buf_printf(&path, "<%.*s>", STR_FMT(sender));
    const struct letter *letter = letter_named(oracle, buf_str(&path));
    buf_done(&path);
    return letter;
}

/* POP3 ends the last line where the message does not. */
static bool text_equal(struct str octets, struct str body)
{
    if (str_eq(body, octets))
        return true;
    bool ended = octets.n == 0 || str_ends(octets, STR("\r\n"));
    return !ended && body.n == octets.n + 2 && str_starts(body, octets) &&
           str_ends(body, STR("\r\n"));
}

/* Lines of base64, by OpenSSL, so that it is not our own code that is asked. */
static bool base64_equal(struct str octets, struct str text)
{
    struct buf joined = BUF_INIT(2 * LETTER_SIZE_MAX);
    while (text.n) {
        struct str line = str_cut(&text, '\n');
        bool cr = str_ends(line, STR("\r"));
        must(buf_put(&joined, str_head(line, line.n - cr)));
    }
    unsigned char *decoded = malloc(joined.n + 1);
    must(decoded);
    int n = EVP_DecodeBlock(decoded, (const unsigned char *)joined.p, (int)joined.n);
    bool equal = n >= 0 && (size_t)n >= octets.n && (size_t)n < octets.n + 3 &&
                 memcmp(decoded, octets.p, octets.n) == 0;
    free(decoded);
    buf_done(&joined);
    return equal;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Quoted-printable (RFC 2045 6.7), read by no code of ours, too. */
static bool printable_equal(struct str octets, struct str text)
{
    struct buf decoded = BUF_INIT(2 * LETTER_SIZE_MAX);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '=') {
            buf_putc(&decoded, text.p[i]);
            continue;
        }
        if (i + 2 >= text.n)
            break;
        if (text.p[i + 1] != '\r')
            buf_putc(&decoded, (char)(digit_of(text.p[i + 1]) << 4 | digit_of(text.p[i + 2])));
        i += 2;
    }
    bool equal = text_equal(octets, buf_str(&decoded));
    buf_done(&decoded);
    return equal;
}

static bool octets_equal(const struct letter *letter, struct str body)
{
    struct str octets = buf_str(&letter->octets);
    if (!letter->binary || body.n == octets.n)
        return text_equal(octets, body);
    ssize_t at = str_find(octets, STR(ENCODED_BINARY));
    must(at >= 0);
    size_t end = (size_t)at + STR(ENCODED_BASE64).n;
    return str_starts(body, str_head(octets, (size_t)at)) &&
           str_starts(str_from_index(body, (size_t)at), STR(ENCODED_BASE64)) &&
           base64_equal(str_from_index(octets, end), str_from_index(body, end));
}

/* The 13 characters behind `words`. */
static uint64_t id_behind(struct str text, struct str words)
{
    uint64_t id = 0;
    ssize_t at = str_find(text, words);
    if (at >= 0)
        (void)message_id_parse(
            str_head(str_from_index(text, (size_t)at + words.n), MESSAGE_ID_TEXT), &id);
    return id;
}

static struct found notice_find(struct oracle *oracle, int account, struct str text)
{
    struct found found = {.is_notice = true};
    found.message = id_behind(text, STR("Its id, for the administrator: "));
    if (account != PEOPLE_OWNER || !found.message ||
        str_find(text, STR("Subject: Your list " PEOPLE_FULL_LIST ": a member's mailbox is full")) <
            0 ||
        str_find(text, STR("\r\n  ivan@example.test\r\n")) < 0)
        oracle_wrong(oracle, "account %d holds a strange notice: %.*s", account,
                     STR_FMT(str_head(text, 900)));
    return found;
}

/* A route nears its limit, says the server to the postmaster: alice, or bob. */
static bool is_route_notice(int account, struct str text)
{
    return account < 2 && str_find(text, STR("Subject: Route tight nears its limit: ")) >= 0;
}

struct found oracle_find(struct oracle *oracle, int account, struct str text)
{
    struct str rest = text;
    struct str path = str_trim(field_cut(&rest, STR("Return-Path:")));
    struct str to = str_trim(field_cut(&rest, STR("Delivered-To:")));
    if (str_eq(path, STR("<>")) && returns_is_report(text)) {
        returns_read(oracle->returns, text, account);
        return (struct found){.is_report = true};
    }
    if (str_eq(path, STR("<>")) && is_route_notice(account, text))
        return (struct found){.is_report = true};
    if (str_eq(path, STR("<>")))
        return notice_find(oracle, account, text);
    struct str received = field_cut(&rest, STR("Received:"));
    struct letter *letter = path.p ? letter_named(oracle, path) : NULL;
    struct found found = {.letter = letter};
    if (!letter || !to.p || !received.p) {
        oracle_wrong(oracle, "account %d holds a message nobody sent: %.*s", account,
                     STR_FMT(str_head(text, 300)));
        return (struct found){.letter = NULL};
    }
    found.message = id_behind(received, STR(" id "));
    if (!(letter->accounts >> account & 1))
        oracle_wrong(oracle, "letter %llu is in account %d, where it does not belong",
                     (unsigned long long)letter->number, account);
    if (!octets_equal(letter, rest))
        oracle_wrong(oracle, "letter %llu in account %d: %zu octets came back changed (%zu sent)",
                     (unsigned long long)letter->number, account, rest.n, letter->octets.n);
    if (!found.message)
        oracle_wrong(oracle, "letter %llu in account %d has no id: %.*s",
                     (unsigned long long)letter->number, account, STR_FMT(received));
    return found;
}

void oracle_read(struct oracle *oracle, int account, struct str id, struct str text)
{
    struct found found = oracle_find(oracle, account, text);
    struct known *known = known_find(oracle, account, id);
    if ((!found.letter && !found.is_notice && !found.is_report) || !known)
        return;
    oracle->read++;
    if (known->message && (known->letter != found.letter || known->message != found.message))
        oracle_wrong(oracle, "account %d: %s was one message and is another", account, known->id);
    known->letter = found.letter;
    known->is_notice = found.is_notice;
    known->is_report = found.is_report;
    known->message = found.message;
}

void oracle_removal(struct oracle *oracle, int account, struct str id, enum known_state state)
{
    struct known *known = known_find(oracle, account, id);
    if (!known || known->state == KNOWN_GONE)
        return;
    oracle->removed += state == KNOWN_GONE;
    known->gone_at = oracle->listings;
    known->state = state;
}

void oracle_account_leaves(struct oracle *oracle, int account)
{
    uint64_t others = ~PEOPLE_BIT(account);
    for (size_t i = 0; i < oracle->letter_count; i++) {
        struct letter *letter = oracle->letters[i];
        letter->least[account] = 0;
        letter->unknown_reach.sure &= others;
        letter->together &= others;
    }
}

void oracle_account_left(struct oracle *oracle, int account)
{
    struct known_list *list = &oracle->accounts[account];
    oracle->left_at = oracle->listings;
    for (size_t i = 0; i < list->count; i++) {
        list->at[i].state = KNOWN_GONE;
        list->at[i].gone_at = oracle->listings;
    }
}

/* --- Judgment -------------------------------------------------------------------------------- */

/* Copies by letter of one account: what is there, and what was removed at a reader's wish. */
static void copies_count(struct oracle *oracle, int account, uint64_t first_listing,
                         uint64_t *copies)
{
    struct known_list *list = &oracle->accounts[account];
    for (size_t i = 0; i < list->count; i++) {
        struct known *known = &list->at[i];
        if (known->seen_in < first_listing && known->state == KNOWN_LIVES)
            oracle_wrong(oracle, "account %d: %s is lost", account, known->id);
        if (known->is_notice || known->is_report)
            continue;
        if (known->letter)
            copies[known->letter->number - 1]++;
        else if (account != PEOPLE_LEAVER || known->state != KNOWN_GONE)
            oracle_wrong(oracle, "account %d: %s was never read", account, known->id);
    }
}

static void letter_judge(struct oracle *oracle, struct letter *letter, int account, uint64_t copies)
{
    uint64_t least = letter_least(letter, account), most = letter_most(letter, account);
    oracle->checked++;
    if (copies < least || copies > most)
        oracle_wrong(
            oracle, "letter %llu (%zu octets): %llu copies in account %d, must be %llu to %llu",
            (unsigned long long)letter->number, letter->octets.n, (unsigned long long)copies,
            account, (unsigned long long)least, (unsigned long long)most);
}

static void together_judge(struct oracle *oracle, struct letter *letter, int account,
                           uint64_t copies)
{
    if (!(letter->together >> account & 1))
        return;
    if (letter->same != UINT64_MAX && letter->same != copies)
        oracle_wrong(oracle, "letter %llu: %llu copies in account %d, %llu in another",
                     (unsigned long long)letter->number, (unsigned long long)copies, account,
                     (unsigned long long)letter->same);
    letter->same = copies;
}

void oracle_judge_outside(struct oracle *oracle, struct letter *letter, int at, uint64_t copies)
{
    letter_judge(oracle, letter, PEOPLE_ACCOUNTS + at, copies);
    together_judge(oracle, letter, PEOPLE_ACCOUNTS + at, copies);
}

/* --- Conservation ---------------------------------------------------------------------------- */

static int outcome_order(const void *a, const void *b)
{
    const struct outcome *one = a, *other = b;
    return one->message < other->message ? -1 : one->message > other->message;
}

/* One row for each message that an account knows; then those of one message are joined. */
static size_t outcomes_collect(struct oracle *oracle, struct outcome *rows)
{
    size_t count = 0, joined = 0;
    for (int account = 0; account < PEOPLE_ACCOUNTS; account++) {
        const struct known_list *list = &oracle->accounts[account];
        for (size_t i = 0; i < list->count; i++) {
            if (!list->at[i].message)
                continue; /* it left unread */
            rows[count++] =
                (struct outcome){.message = list->at[i].message,
                                 .letter = list->at[i].letter,
                                 .accounts = list->at[i].is_notice ? 0 : PEOPLE_BIT(account),
                                 .notices = list->at[i].is_notice};
        }
    }
    qsort(rows, count, sizeof(*rows), outcome_order);
    for (size_t i = 0; i < count; i++) {
        struct outcome *last = joined ? &rows[joined - 1] : NULL;
        if (!last || last->message != rows[i].message) {
            rows[joined++] = rows[i];
            continue;
        }
        if (last->accounts & rows[i].accounts)
            oracle_wrong(oracle, "an account has a message twice");
        if (last->letter && rows[i].letter && last->letter != rows[i].letter)
            oracle_wrong(oracle, "letters %llu and %llu have one id",
                         (unsigned long long)last->letter->number,
                         (unsigned long long)rows[i].letter->number);
        last->accounts |= rows[i].accounts;
        last->notices += rows[i].notices;
        last->letter = last->letter ? last->letter : rows[i].letter;
    }
    return joined;
}

static bool is_for_full_list(const struct letter *letter)
{
    for (size_t i = 0; letter && i < letter->address_count; i++)
        if (people_addresses[letter->addresses[i]].perhaps)
            return true;
    return false;
}

/* A member of the list has the message, or its owner the notice: one of them, once. */
static void outcome_judge(struct oracle *oracle, const struct outcome *outcome)
{
    bool copy = outcome->accounts & PEOPLE_BIT(PEOPLE_MEMBER);
    uint64_t owed = is_for_full_list(outcome->letter) && !copy;
    oracle->notices += outcome->notices;
    if (outcome->letter && outcome->notices != owed)
        oracle_wrong(oracle, "letter %llu: %llu notices that a member is full, must be %llu",
                     (unsigned long long)outcome->letter->number,
                     (unsigned long long)outcome->notices, (unsigned long long)owed);
    if (!outcome->letter)
        oracle_wrong(oracle, "a notice about a message that nobody has");
}

static void conservation_judge(struct oracle *oracle)
{
    size_t count = 1;
    for (int account = 0; account < PEOPLE_ACCOUNTS; account++)
        count += oracle->accounts[account].count;
    struct outcome *rows = calloc(count, sizeof(*rows));
    must(rows);
    count = outcomes_collect(oracle, rows);
    for (size_t i = 0; i < count && !oracle->violated; i++)
        outcome_judge(oracle, &rows[i]);
    free(oracle->outcomes);
    oracle->outcomes = rows;
    oracle->outcome_count = count;
}

void oracle_judge(struct oracle *oracle, uint64_t first_listing)
{
    uint64_t *copies = calloc(oracle->letter_count + 1, sizeof(*copies));
    must(copies);
    for (size_t i = 0; i < oracle->letter_count; i++)
        oracle->letters[i]->same = UINT64_MAX;
    for (int account = 0; account < PEOPLE_ACCOUNTS; account++) {
        memset(copies, 0, oracle->letter_count * sizeof(*copies));
        copies_count(oracle, account, first_listing, copies);
        for (size_t i = 0; i < oracle->letter_count; i++) {
            struct letter *letter = oracle->letters[i];
            letter_judge(oracle, letter, account, copies[i]);
            together_judge(oracle, letter, account, copies[i]);
        }
    }
    free(copies);
    if (!oracle->violated)
        conservation_judge(oracle);
}

/* --- What sites took ------------------------------------------------------------------------- */

/* Down-converted (RFC 6152 3): the same content in another encoding, its header grown. */
static bool recoded_equal(const struct letter *letter, struct str body)
{
    struct str octets = buf_str(&letter->octets);
    ssize_t was = str_find(octets, STR("\r\n\r\n")), is = str_find(body, STR("\r\n\r\n"));
    if (was < 0 || is < 0)
        return false;
    struct str header = str_head(body, (size_t)is + 2);
    struct str content = str_from_index(octets, (size_t)was + 4);
    struct str text = str_from_index(body, (size_t)is + 4);
    if (str_find(header, STR("Content-Transfer-Encoding: base64")) >= 0)
        return base64_equal(content, text);
    return str_find(header, STR("Content-Transfer-Encoding: quoted-printable")) >= 0 &&
           printable_equal(content, text);
}

/* HOLDFOR and BY=n;R (RFC 4865, 2852); their times are whole seconds. */
static void time_judge(struct oracle *oracle, const struct letter *letter, bool by)
{
    int64_t now = world_mono(&oracle->fake->world);
    int64_t held = letter->said_at + (letter->hold - 1) * NS_PER_SECOND;
    int64_t late = letter->said_last + letter->by * NS_PER_SECOND + LAST_TRY;
    if (letter->hold && now < held)
        oracle_wrong(oracle, "letter %llu was to be held, and leaves",
                     (unsigned long long)letter->number);
    if (letter->by && now > late)
        oracle_wrong(oracle, "letter %llu leaves when it was to be returned",
                     (unsigned long long)letter->number);
    if (letter->by && !by)
        oracle_wrong(oracle, "letter %llu leaves without the time by which it must be there",
                     (unsigned long long)letter->number);
}

uint64_t oracle_relayed(struct oracle *oracle, struct str content, bool by,
                        struct letter **letter_r)
{
    uint64_t number = 0, id = id_behind(content, STR(" id "));
    ssize_t at = str_find(content, STR("\r\nSubject: letter "));
    *letter_r = NULL;
    if (!id)
        oracle_wrong(oracle, "what a site took has no id: %.*s", STR_FMT(str_head(content, 300)));
    if (at < 0)
        return id; /* a letter of no octets; law.c knows it by its id */
    struct str body = str_from_index(content, (size_t)at + 2);
    struct str digits = str_from_index(body, STR("Subject: letter ").n);
    size_t n = 0;
    while (n < digits.n && digits.p[n] >= '0' && digits.p[n] <= '9')
        n++;
    if (!str_to_u64(str_head(digits, n), &number) || number < 1 || number > oracle->letter_count) {
        oracle_wrong(oracle, "a site took a letter nobody sent");
        return id;
    }
    struct letter *letter = *letter_r = oracle->letters[number - 1];
    time_judge(oracle, letter, by);
    if (!octets_equal(letter, body) && !recoded_equal(letter, body))
        oracle_wrong(oracle, "letter %llu was sent changed: %zu octets, of %zu",
                     (unsigned long long)number, body.n, letter->octets.n);
    return id;
}

uint64_t oracle_hash(const struct oracle *oracle, uint64_t hash)
{
    hash = fake_mix(hash, oracle->accepted);
    hash = fake_mix(hash, oracle->refused);
    hash = fake_mix(hash, oracle->unknown);
    hash = fake_mix(hash, oracle->read);
    hash = fake_mix(hash, oracle->removed);
    return fake_mix_bytes(hash, buf_str(&oracle->text));
}
