/*
 * Why yescrypt by default: it is memory-hard, Debian's own default, and its text form carries the
 * cost, so it can be raised without a change here. Costs of hashes that came from elsewhere are
 * bounded: a hash is data an operator may have copied from anywhere, and a cost of 2^31 rounds in
 * it would hold a lane for years.
 */
#include "trust/password.h"

#include <argon2.h>
#include <crypt.h>

#include "base/must.h"

enum {
    YESCRYPT_COST = 5, /* crypt(5): 16 MB, some tens of milliseconds */
    YESCRYPT_COST_MAX = 8,
    BCRYPT_COST_MAX = 14,
    SHA512_ROUNDS_MAX = 2000000,
    ARGON2_MEMORY_MAX = 256 * 1024, /* KiB */
    ARGON2_TIME_MAX = 16,
    ARGON2_LANES_MAX = 16,
    GROUPS = 4,
    GROUP = 4,
};

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

/* "$argon2id$v=19$m=65536,t=3,p=4$salt$hash" */
static bool argon2_is_bearable(struct str hash)
{
    struct str rest = str_from_index(hash, STR("$argon2id$").n);
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
static bool bcrypt_is_bearable(struct str hash)
{
    return hash.n == 60 && hash.p[6] == '$' &&
           cost_is_bearable(str_make(hash.p + 4, 2), BCRYPT_COST_MAX);
}

/* "$6$rounds=5000$salt$hash", the rounds optional */
static bool sha512_is_bearable(struct str hash)
{
    struct str rest = str_from_index(hash, STR("$6$").n);
    struct str first = str_cut(&rest, '$');
    if (!str_starts(first, STR("rounds=")))
        return rest.n > 0;
    return rest.n && cost_is_bearable(str_from_index(first, STR("rounds=").n), SHA512_ROUNDS_MAX);
}

/* "$y$j9T$salt$hash": what stands between the second and third $ is the cost; the bearable ones are
 * those that libcrypt writes for costs up to YESCRYPT_COST_MAX. */
static bool yescrypt_is_bearable(struct str hash)
{
    static const char salt[PASSWORD_SALT] = {0};
    struct str rest = str_from_index(hash, STR("$y$").n);
    struct str costs = str_cut(&rest, '$');
    for (unsigned long cost = 1; cost <= YESCRYPT_COST_MAX; cost++) {
        char setting[CRYPT_GENSALT_OUTPUT_SIZE];
        if (!crypt_gensalt_rn("$y$", cost, salt, sizeof(salt), setting, sizeof(setting)))
            return false;
        struct str of_cost = str_from_index(str_from(setting), STR("$y$").n);
        if (str_eq(str_cut(&of_cost, '$'), costs))
            return rest.n > 0;
    }
    return false;
}

enum scheme {
    SCHEME_UNKNOWN,
    SCHEME_ARGON2,
    SCHEME_CRYPT
};

static enum scheme scheme_of(struct str hash)
{
    if (hash.n == 0 || hash.n > PASSWORD_HASH_MAX || !str_is_printable_ascii(hash))
        return SCHEME_UNKNOWN;
    if (str_starts(hash, STR("$argon2id$")))
        return argon2_is_bearable(hash) ? SCHEME_ARGON2 : SCHEME_UNKNOWN;
    bool known = (str_starts(hash, STR("$y$")) && yescrypt_is_bearable(hash)) ||
                 (str_starts(hash, STR("$6$")) && sha512_is_bearable(hash)) ||
                 ((str_starts(hash, STR("$2b$")) || str_starts(hash, STR("$2a$")) ||
                   str_starts(hash, STR("$2y$"))) &&
                  bcrypt_is_bearable(hash));
    return known ? SCHEME_CRYPT : SCHEME_UNKNOWN;
}

bool password_hash_is_known(struct str hash)
{
    return scheme_of(hash) != SCHEME_UNKNOWN;
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
