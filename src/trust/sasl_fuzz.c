/*
 * One message, to every parser of what SASL clients say. Property: what was read, printed again, is
 * the message (as far as it was read: extensions and unknown pairs are ignored); names are names;
 * memory is linear.
 */
#include "base/buf.h"
#include "base/must.h"
#include "format/encodings.h"
#include "trust/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    PRINTED_MAX = 1 << 16,
    MEMORY_TIMES = 8,
    MEMORY_MORE = 8192,
};

static void plain_check(struct str message)
{
    struct sasl_plain plain;
    if (err_is(sasl_plain_parse(message, &plain)))
        return;
    must(sasl_name_is_valid(plain.user) && plain.password.n);
    must(plain.as.n == 0 || sasl_name_is_valid(plain.as));
    struct buf printed = BUF_INIT(PRINTED_MAX);
    buf_put(&printed, plain.as);
    buf_putc(&printed, '\0');
    buf_put(&printed, plain.user);
    buf_putc(&printed, '\0');
    buf_put(&printed, plain.password);
    must(str_eq(buf_str(&printed), message));
    buf_done(&printed);
}

static void cram_check(struct str message)
{
    struct str user;
    unsigned char digest[16];
    if (err_is(sasl_cram_parse(message, &user, digest)))
        return;
    must(sasl_name_is_valid(user));
    struct buf printed = BUF_INIT(PRINTED_MAX);
    buf_put(&printed, user);
    buf_putc(&printed, ' ');
    for (size_t i = 0; i < sizeof(digest); i++)
        buf_printf(&printed, "%02x", digest[i]);
    must(str_eq_nocase(buf_str(&printed), message));
    buf_done(&printed);
}

static void saslname_print(struct buf *buf, struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == ',')
            buf_put(buf, STR("=2C"));
        else if (name.p[i] == '=')
            buf_put(buf, STR("=3D"));
        else
            buf_putc(buf, name.p[i]);
}

static void gs2_print(struct buf *buf, const struct scram_first *first)
{
    static const struct str flags[] = {STR_INIT("n"), STR_INIT("y"), STR_INIT("p=")};
    buf_put(buf, flags[first->binding]);
    buf_put(buf, first->binding_type);
    buf_put(buf, first->as.n ? STR(",a=") : STR(","));
    saslname_print(buf, first->as);
    buf_putc(buf, ',');
}

static void first_check(struct str message, struct arena *arena)
{
    struct scram_first first;
    if (err_is(scram_first_parse(message, arena, &first)))
        return;
    must(sasl_name_is_valid(first.user) && first.nonce.n && first.nonce.n <= SASL_NONCE_MAX);
    must(first.gs2.p == message.p && first.gs2.n + first.bare.n == message.n);
    must(str_ends(message, first.bare));
    must((first.binding == SCRAM_BINDS) == (first.binding_type.n > 0));
    struct buf printed = BUF_INIT(PRINTED_MAX);
    gs2_print(&printed, &first);
    must(str_eq(buf_str(&printed), first.gs2));
    buf_clear(&printed);
    buf_put(&printed, STR("n="));
    saslname_print(&printed, first.user);
    buf_put(&printed, STR(",r="));
    buf_put(&printed, first.nonce);
    must(str_starts(first.bare, buf_str(&printed)));
    must(printed.n == first.bare.n || first.bare.p[printed.n] == ',');
    must(str_find(str_from_index(first.bare, printed.n), STR(",m=")) < 0);
    buf_done(&printed);
}

static void final_check(struct str message, struct arena *arena)
{
    struct scram_final final;
    if (err_is(scram_final_parse(message, arena, &final)))
        return;
    struct buf printed = BUF_INIT(PRINTED_MAX);
    buf_put(&printed, STR("c="));
    base64_print(&printed, final.binding);
    buf_put(&printed, STR(",r="));
    buf_put(&printed, final.nonce);
    must(str_starts(final.without_proof, buf_str(&printed)));
    buf_clear(&printed);
    buf_put(&printed, final.without_proof);
    buf_put(&printed, STR(",p="));
    base64_print(&printed, final.proof);
    must(str_eq(buf_str(&printed), message));
    buf_done(&printed);
}

static void bearer_check(const struct sasl_bearer *bearer, struct str message)
{
    must(bearer->user.n == 0 || sasl_name_is_valid(bearer->user));
    must(str_is_printable_ascii(bearer->token) && str_find(message, bearer->token) >= 0);
    must(str_find(message, STR("\1auth=")) >= 0 && str_ends(message, STR("\1\1")));
}

static void bearers_check(struct str message, struct arena *arena)
{
    struct sasl_bearer bearer;
    if (!err_is(sasl_oauthbearer_parse(message, arena, &bearer)))
        bearer_check(&bearer, message);
    if (err_is(sasl_xoauth2_parse(message, arena, &bearer)))
        return;
    bearer_check(&bearer, message);
    struct buf printed = BUF_INIT(PRINTED_MAX);
    buf_put(&printed, STR("user="));
    buf_put(&printed, bearer.user);
    buf_putc(&printed, '\1');
    must(str_starts(message, buf_str(&printed)));
    buf_done(&printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str message = str_make(data, n);
    struct arena arena;
    enum sasl_mechanism mechanism;
    arena_init(&arena, 1 << 20);
    must(!sasl_find(message, &mechanism) || str_eq_nocase(sasl_name(mechanism), message));
    plain_check(message);
    cram_check(message);
    first_check(message, &arena);
    final_check(message, &arena);
    bearers_check(message, &arena);
    must(!arena_over(&arena) && arena.used <= MEMORY_TIMES * n + MEMORY_MORE);
    arena_done(&arena);
    return 0;
}
