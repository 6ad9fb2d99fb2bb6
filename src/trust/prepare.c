/*
 * ICU's profile is opened for each call: it is a reference to tables that ICU loads once, under a
 * lock of its own, and costs less than what follows. Nothing of ours is kept, so any thread may
 * call. glibc's IDN functions and GNU SASL's stringprep were the other ways: the first has no such
 * profile, the second is one more library for it.
 */
#include "trust/prepare.h"

#include <unicode/usprep.h>
#include <unicode/ustring.h>

#include "base/must.h"
#include "trust/password.h"

static struct err refused(const char *why)
{
    return err_detail(ERR_SASL_SYNTAX, str_from(why));
}

static struct err of_status(UErrorCode status)
{
    switch ((int)status) {
    case U_MEMORY_ALLOCATION_ERROR:
        return err_make(ERR_NO_MEMORY);
    case U_STRINGPREP_PROHIBITED_ERROR:
        return refused("a control or other character that SASLprep (RFC 4013) prohibits");
    case U_STRINGPREP_UNASSIGNED_ERROR:
        return refused("a character newer than Unicode 3.2, which SASLprep (RFC 4013) is made of");
    case U_STRINGPREP_CHECK_BIDI_ERROR:
        return refused("text in both directions, which SASLprep (RFC 4013) prohibits");
    case U_BUFFER_OVERFLOW_ERROR:
        return refused("too long");
    default:
        return err_detail(ERR_OS, STR("the tables of SASLprep cannot be used"));
    }
}

struct work {
    UChar from[PREPARE_MAX], to[PREPARE_MAX];
    char text[PREPARE_MAX];
};

static UErrorCode profile_apply(struct work *work, int32_t n, int32_t options, int32_t *n_r)
{
    UErrorCode status = U_ZERO_ERROR;
    UStringPrepProfile *profile = usprep_openByType(USPREP_RFC4013_SASLPREP, &status);
    if (U_FAILURE(status))
        return status == U_MEMORY_ALLOCATION_ERROR ? status : U_INTERNAL_PROGRAM_ERROR;
    *n_r = usprep_prepare(profile, work->from, n, work->to, PREPARE_MAX, options, NULL, &status);
    usprep_close(profile);
    return status;
}

static struct err prepare_into(struct work *work, struct str text, int32_t options,
                               struct arena *arena, struct str *prepared_r)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t n = 0;
    u_strFromUTF8(work->from, PREPARE_MAX, &n, text.p, (int32_t)text.n, &status);
    must(!U_FAILURE(status)); /* it is UTF-8, and has no more units than octets */
    status = profile_apply(work, n, options, &n);
    if (!U_FAILURE(status))
        u_strToUTF8(work->text, PREPARE_MAX, &n, work->to, n, &status);
    if (U_FAILURE(status))
        return of_status(status);
    if (n == 0)
        return refused("nothing is left of it");
    *prepared_r = arena_str(arena, str_make(work->text, (size_t)n));
    return prepared_r->p ? err_none() : err_make(ERR_NO_MEMORY);
}

/* ERR_SASL_SYNTAX with a literal detail: it has no prepared form. */
static struct err prepare(struct str text, int32_t options, struct arena *arena,
                          struct str *prepared_r)
{
    if (text.n == 0 || text.n > PREPARE_MAX)
        return refused(text.n ? "too long" : "empty");
    if (str_is_printable_ascii(text)) {
        *prepared_r = text;
        return err_none();
    }
    if (!str_is_utf8(text))
        return refused("not UTF-8");
    struct work work;
    struct err e = prepare_into(&work, text, options, arena, prepared_r);
    explicit_bzero(&work, sizeof(work));
    return e;
}

struct err prepare_name(struct str name, struct arena *arena, struct str *prepared_r)
{
    return prepare(name, USPREP_ALLOW_UNASSIGNED, arena, prepared_r);
}

struct err prepare_password(struct str password, struct arena *arena, struct str *prepared_r)
{
    struct err e = prepare(password, USPREP_ALLOW_UNASSIGNED, arena, prepared_r);
    if (e.code != ERR_SASL_SYNTAX)
        return e;
    *prepared_r = password;
    return err_none();
}

struct err prepare_new_password(struct str password, struct arena *arena, struct str *prepared_r)
{
    struct err e = prepare(password, USPREP_DEFAULT, arena, prepared_r);
    if (e.code == ERR_SASL_SYNTAX)
        return err_detail(ERR_USAGE, e.detail);
    if (!err_is(e) && prepared_r->n > PASSWORD_MAX)
        return err_detail(ERR_USAGE, STR("a password has at most 256 octets"));
    return e;
}
