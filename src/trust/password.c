/*
 * Why yescrypt by default: it is memory-hard, Debian's own default, and its text form carries the
 * cost, so it can be raised without a change here. Costs of hashes that came from elsewhere are
 * bounded: a hash is data an operator may have copied from anywhere, and a cost of 2^31 rounds in
 * it would hold a lane for years.
 */
#include "trust/password.h"

#include <argon2.h>
#include <crypt.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "format/encodings.h"
#include "trust/prepare.h"

enum {
    YESCRYPT_COST = 5, /* crypt(5): 16 MB, some tens of milliseconds */
    YESCRYPT_COST_MAX = 8,
    BCRYPT_COST_MAX = 14,
    SHA_ROUNDS_MAX = 2000000,
    SCRYPT_LOG_MAX = 20,         /* of N */
    SCRYPT_BLOCKS_MAX = 1 << 21, /* N r, of 128 octets each */
    SCRYPT_TIMES_MAX = 4,
    ARGON2_MEMORY_MAX = 256 * 1024, /* KiB */
    ARGON2_TIME_MAX = 16,
    ARGON2_LANES_MAX = 16,
    GROUPS = 4,
    GROUP = 4,
    APP_GROUPS = 7,
    APP_BITS = 5, /* of each letter */
};

static const struct str app_prefix = STR_INIT("$app$");

static bool has_nul(struct str s)
{
    return str_index(s, '\0') >= 0;
}

/* NUL-terminated, for libcrypt. NULL: no room. */
static char *as_cstring(struct str s, struct arena *arena)
{
    char *copy = arena_take(arena, s.n + 1);
    if (copy && s.n)
        memcpy(copy, s.p, s.n);
    return copy;
}

static struct str crypt_text(const char *password, const char *setting, struct arena *arena)
{
    struct crypt_data *data = arena_new(arena, struct crypt_data);
    if (!data)
        return str_null();
    const char *text = crypt_r(password, setting, data);
    struct str hash = !text || text[0] == '*' ? str_null() : arena_str(arena, str_from(text));
    explicit_bzero(data, sizeof(*data));
    return hash;
}

struct err password_hash(struct str password, const unsigned char salt[PASSWORD_SALT],
                         struct arena *arena, struct str *hash_r)
{
    if (password.n == 0 || password.n > PASSWORD_MAX || has_nul(password))
        return err_detail(ERR_USAGE, STR("a password has 1 to 256 octets and no NUL"));
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (!crypt_gensalt_rn("$y$", YESCRYPT_COST, (const char *)salt, PASSWORD_SALT, setting,
                          sizeof(setting)))
        return err_make(ERR_NO_MEMORY);
    char *text = as_cstring(password, arena);
    if (!text)
        return err_make(ERR_NO_MEMORY);
    *hash_r = crypt_text(text, setting, arena);
    explicit_bzero(text, password.n);
    return hash_r->p ? err_none() : err_make(ERR_NO_MEMORY);
}

/* --- Forms and costs ---------------------------------------------------------------------------
 */

static bool cost_is_bearable(struct str number, uint64_t most)
{
    uint64_t value;
    return str_to_u64(number, &value) && value <= most;
}

/* "$argon2id$v=19$m=65536,t=3,p=4$salt$hash", from v= on */
static bool argon2_is_bearable(struct str rest)
{
    struct str version = str_cut(&rest, '$');
    struct str costs = str_cut(&rest, '$');
    struct str memory = str_cut(&costs, ','), time = str_cut(&costs, ','), lanes = costs;
    return str_eq(version, STR("v=19")) && rest.n && str_starts(memory, STR("m=")) &&
           str_starts(time, STR("t=")) && str_starts(lanes, STR("p=")) &&
           cost_is_bearable(str_from_index(memory, 2), ARGON2_MEMORY_MAX) &&
           cost_is_bearable(str_from_index(time, 2), ARGON2_TIME_MAX) &&
           cost_is_bearable(str_from_index(lanes, 2), ARGON2_LANES_MAX);
}

/* "$2b$12$..." */
static bool bcrypt_is_bearable(struct str rest)
{
    return rest.n == 56 && rest.p[2] == '$' && cost_is_bearable(str_head(rest, 2), BCRYPT_COST_MAX);
}

/* "$6$rounds=5000$salt$hash", the rounds optional */
static bool sha_is_bearable(struct str rest)
{
    struct str first = str_cut(&rest, '$');
    if (!str_starts(first, STR("rounds=")))
        return rest.n > 0;
    return rest.n && cost_is_bearable(str_from_index(first, STR("rounds=").n), SHA_ROUNDS_MAX);
}

struct setting {
    char text[CRYPT_GENSALT_OUTPUT_SIZE];
};

/* What libcrypt writes between the second and the third $ for this cost; str_null: nothing. */
static struct str yescrypt_parameters(unsigned long cost, struct setting *setting)
{
    static const char salt[PASSWORD_SALT] = {0};
    if (!crypt_gensalt_rn("$y$", cost, salt, sizeof(salt), setting->text, sizeof(setting->text)))
        return str_null();
    struct str rest = str_from_index(str_from(setting->text), STR("$y$").n);
    return str_cut(&rest, '$');
}

/* "$y$j9T$salt$hash": bearable are the costs that libcrypt writes up to YESCRYPT_COST_MAX. */
static bool yescrypt_is_bearable(struct str rest)
{
    struct str parameters = str_cut(&rest, '$');
    struct setting setting;
    for (unsigned long cost = 1; cost <= YESCRYPT_COST_MAX; cost++)
        if (str_eq(yescrypt_parameters(cost, &setting), parameters))
            return rest.n > 0;
    return false;
}

/* Digits of crypt(5), the lowest first; UINT32_MAX: it is none. */
static uint32_t crypt_number(struct str digits)
{
    static const char alphabet[] =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint32_t value = 0;
    for (size_t i = digits.n; i > 0; i--) {
        const char *at = memchr(alphabet, digits.p[i - 1], sizeof(alphabet) - 1);
        if (!at)
            return UINT32_MAX;
        value = value << 6 | (uint32_t)(at - alphabet);
    }
    return value;
}

/* "$7$" and the logarithm of N as one digit, r and p as five each, then salt$hash. Its memory is
 * 128 r N octets, its time that p times. */
static bool scrypt_is_bearable(struct str rest)
{
    if (rest.n < 12 || str_index(rest, '$') < 11)
        return false;
    uint32_t n = crypt_number(str_head(rest, 1));
    uint32_t r = crypt_number(str_head(str_from_index(rest, 1), 5));
    uint32_t p = crypt_number(str_head(str_from_index(rest, 6), 5));
    return n >= 1 && n <= SCRYPT_LOG_MAX && r >= 1 && (uint64_t)r << n <= SCRYPT_BLOCKS_MAX &&
           p >= 1 && p <= SCRYPT_TIMES_MAX;
}

enum scheme {
    SCHEME_UNKNOWN,
    SCHEME_ARGON2,
    SCHEME_CRYPT
};

static const struct form {
    struct str prefix;
    enum scheme scheme;
    bool (*is_bearable)(struct str behind_prefix);
} forms[] = {
    {STR_INIT("$y$"), SCHEME_CRYPT, yescrypt_is_bearable},
    {STR_INIT("$argon2id$"), SCHEME_ARGON2, argon2_is_bearable},
    {STR_INIT("$2b$"), SCHEME_CRYPT, bcrypt_is_bearable},
    {STR_INIT("$2a$"), SCHEME_CRYPT, bcrypt_is_bearable},
    {STR_INIT("$2y$"), SCHEME_CRYPT, bcrypt_is_bearable},
    {STR_INIT("$6$"), SCHEME_CRYPT, sha_is_bearable},
    {STR_INIT("$5$"), SCHEME_CRYPT, sha_is_bearable},
    {STR_INIT("$7$"), SCHEME_CRYPT, scrypt_is_bearable},
};

/* Dovecot's names in front of hashes that tell by themselves what they are. */
static const struct str dovecot_schemes[] = {
    STR_INIT("CRYPT"),        STR_INIT("BLF-CRYPT"), STR_INIT("SHA512-CRYPT"),
    STR_INIT("SHA256-CRYPT"), STR_INIT("ARGON2ID"),
};

static struct str without_scheme(struct str hash)
{
    if (!str_starts(hash, STR("{")))
        return hash;
    struct str rest = str_from_index(hash, 1);
    struct str name = str_cut(&rest, '}');
    for (size_t i = 0; i < sizeof(dovecot_schemes) / sizeof(dovecot_schemes[0]); i++)
        if (str_eq_nocase(name, dovecot_schemes[i]))
            return rest;
    return hash;
}

/* Of a hash without Dovecot's name. */
static enum scheme scheme_of(struct str hash)
{
    if (hash.n == 0 || hash.n > PASSWORD_HASH_MAX || !str_is_printable_ascii(hash))
        return SCHEME_UNKNOWN;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (str_starts(hash, forms[i].prefix))
            return forms[i].is_bearable(str_from_index(hash, forms[i].prefix.n)) ? forms[i].scheme
                                                                                 : SCHEME_UNKNOWN;
    return SCHEME_UNKNOWN;
}

bool password_hash_is_known(struct str hash)
{
    return hash.n <= PASSWORD_HASH_MAX && scheme_of(without_scheme(hash)) != SCHEME_UNKNOWN;
}

bool password_hash_is_current(struct str hash)
{
    struct setting setting;
    struct str rest = str_from_index(hash, STR("$y$").n);
    return str_starts(hash, STR("$y$")) &&
           str_eq(str_cut(&rest, '$'), yescrypt_parameters(YESCRYPT_COST, &setting));
}

/* --- Verifying ---------------------------------------------------------------------------------
 */

/* As dear as a real one. */
static void hash_for_nothing(struct str password, struct arena *scratch)
{
    static const unsigned char salt[PASSWORD_SALT] = "equal time, all";
    struct str hash;
    struct err e = password_hash(password, salt, scratch, &hash);
    (void)e; /* nobody is interested in the hash */
}

bool password_verify(struct str password, struct str hash, struct arena *scratch)
{
    hash = without_scheme(hash);
    enum scheme scheme = scheme_of(hash);
    if (password.n == 0 || password.n > PASSWORD_MAX || has_nul(password))
        return false;
    char *text = as_cstring(password, scratch), *expected = as_cstring(hash, scratch);
    if (!text || !expected)
        return false;
    bool right = false;
    if (scheme == SCHEME_ARGON2) {
        right = argon2id_verify(expected, text, password.n) == ARGON2_OK;
    } else if (scheme == SCHEME_CRYPT) {
        struct str got = crypt_text(text, expected, scratch);
        right = got.p && str_eq_secret(got, hash);
    } else {
        hash_for_nothing(password, scratch);
    }
    explicit_bzero(text, password.n);
    return right;
}

bool password_verify_typed(struct str typed, struct str hash, struct arena *scratch)
{
    struct str prepared;
    if (err_is(prepare_password(typed, scratch, &prepared)))
        return false;
    return password_verify(prepared, hash, scratch) ||
           (!str_eq(prepared, typed) && password_verify(typed, hash, scratch));
}

/* --- Making one up ------------------------------------------------------------------------------
 */

struct str password_make(const unsigned char random[PASSWORD_SALT], struct arena *arena)
{
    /* None is taken for another: no 0, 1, i, l, o. */
    static const char letters[] = "23456789abcdefghjkmnpqrstuvwxyz";
    char *text = arena_take(arena, GROUPS * GROUP + GROUPS - 1);
    if (!text)
        return str_null();
    size_t at = 0;
    for (size_t i = 0; i < GROUPS * GROUP; i++) {
        if (i && i % GROUP == 0)
            text[at++] = '-';
        text[at++] = letters[random[i] % (sizeof(letters) - 1)];
    }
    return str_make(text, at);
}

/* --- Application passwords -----------------------------------------------------------------------
 */

struct str password_app_make(const unsigned char random[PASSWORD_APP_RANDOM], struct arena *arena)
{
    /* A power of two, so that no letter is likelier. There is no 0 and no 1 to mistake for i. */
    static const char letters[1 << APP_BITS] = "23456789abcdefghijkmnpqrstuvwxyz";
    struct buf buf = buf_in(arena, APP_GROUPS * (GROUP + 1));
    uint32_t bits = 0;
    unsigned have = 0, next = 0;
    for (size_t i = 0; i < APP_GROUPS * GROUP; i++) {
        if (have < APP_BITS) {
            bits = bits << 8 | random[next++];
            have += 8;
        }
        have -= APP_BITS;
        if (i && i % GROUP == 0)
            buf_putc(&buf, '-');
        buf_putc(&buf, letters[bits >> have & ((1 << APP_BITS) - 1)]);
    }
    return buf_built(&buf);
}

struct str password_app_hash(struct str password, struct arena *arena)
{
    unsigned char digest[SHA256_SIZE];
    struct sha256 sha256;
    sha256_init(&sha256);
    sha256_feed(&sha256, password);
    sha256_end(&sha256, digest);
    struct buf buf = buf_in(arena, PASSWORD_HASH_MAX);
    buf_put(&buf, app_prefix);
    base64_print(&buf, str_make(digest, sizeof(digest)));
    return buf_built(&buf);
}

bool password_app_verify(struct str password, struct str hash, struct arena *scratch)
{
    struct str expected = password_app_hash(password, scratch);
    return expected.p && str_eq_secret(expected, hash);
}
