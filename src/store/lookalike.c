/*
 * Restriction level "highly restrictive": one script, or Latin beside Han with kana, bopomofo or
 * hangul, as Japanese, Chinese and Korean names are written. "Moderately restrictive" would let
 * Latin mix with one more script of choice, which is where most look-alikes live.
 *
 * ASCII is decided without ICU: all of it may be written, and opening a checker costs more than
 * everything else about adding a name.
 */
#include "store/lookalike.h"

#include <unicode/uspoof.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

enum {
    LOCAL_MAX = 256,               /* octets */
    SKELETON_MAX = 18 * LOCAL_MAX, /* no character becomes more than 18 */
};

static struct err bad(const char *why)
{
    return err_detail(ERR_NAME_REFUSED, str_from(why));
}

static struct err no_checker(void)
{
    return err_detail(ERR_OS, STR("the tables of look-alike characters cannot be loaded"));
}

/* A checker that lets ASCII and the recommended characters pass; NULL: ICU failed. */
static USpoofChecker *checker_open(void)
{
    UErrorCode status = U_ZERO_ERROR;
    USpoofChecker *checker = uspoof_open(&status);
    if (U_FAILURE(status))
        return NULL;
    USet *allowed = uset_cloneAsThawed(uspoof_getRecommendedSet(&status));
    if (allowed) {
        uset_addRange(allowed, 0x20, 0x7e);
        uspoof_setAllowedChars(checker, allowed, &status);
        uset_close(allowed);
    }
    uspoof_setRestrictionLevel(checker, USPOOF_HIGHLY_RESTRICTIVE);
    uspoof_setChecks(checker,
                     USPOOF_RESTRICTION_LEVEL | USPOOF_CHAR_LIMIT | USPOOF_INVISIBLE |
                         USPOOF_MIXED_NUMBERS | USPOOF_HIDDEN_OVERLAY,
                     &status);
    if (allowed && !U_FAILURE(status))
        return checker;
    uspoof_close(checker);
    return NULL;
}

static bool has_ignorable(struct str local)
{
    while (local.n) {
        ucs4_t c;
        int n = u8_mbtoucr(&c, (const uint8_t *)local.p, local.n);
        if (n <= 0 || uc_is_property_default_ignorable_code_point(c))
            return true;
        local = str_from_index(local, (size_t)n);
    }
    return false;
}

/* Would NFKC change it? Full-width letters, ligatures, circled digits ... */
static bool has_compatibility_forms(struct str local)
{
    uint8_t folded[4 * LOCAL_MAX];
    size_t n = sizeof(folded);
    uint8_t *at = u8_normalize(UNINORM_NFKC, (const uint8_t *)local.p, local.n, folded, &n);
    bool same = at && str_eq(str_make(at, n), local);
    if (at && at != folded)
        free(at);
    return !same;
}

struct err lookalike_check(struct str local)
{
    if (str_is_ascii(local))
        return err_none();
    if (local.n > LOCAL_MAX || !str_is_utf8(local))
        return bad("the local part is malformed");
    if (has_ignorable(local))
        return bad("the local part has an invisible character");
    if (has_compatibility_forms(local))
        return bad("the local part has compatibility forms of other characters");
    USpoofChecker *checker = checker_open();
    if (!checker)
        return no_checker();
    UErrorCode status = U_ZERO_ERROR;
    int32_t found = uspoof_check2UTF8(checker, local.p, (int32_t)local.n, NULL, &status);
    uspoof_close(checker);
    if (U_FAILURE(status))
        return no_checker();
    if (found & USPOOF_RESTRICTION_LEVEL)
        return bad("the local part mixes scripts");
    return found ? bad("the local part has characters that are easily mistaken") : err_none();
}

struct err lookalike_skeleton(struct str local, struct arena *arena, struct str *skeleton_r)
{
    if (local.n > LOCAL_MAX)
        return bad("the local part is too long");
    UErrorCode status = U_ZERO_ERROR;
    USpoofChecker *checker = uspoof_open(&status);
    if (U_FAILURE(status))
        return no_checker();
    char skeleton[SKELETON_MAX];
    int32_t n = uspoof_getSkeletonUTF8(checker, 0, local.p, (int32_t)local.n, skeleton,
                                       SKELETON_MAX, &status);
    uspoof_close(checker);
    if (U_FAILURE(status) || n > SKELETON_MAX)
        return no_checker();
    *skeleton_r = arena_str(arena, str_make(skeleton, (size_t)n));
    return skeleton_r->p ? err_none() : err_make(ERR_OVER_LIMIT);
}
