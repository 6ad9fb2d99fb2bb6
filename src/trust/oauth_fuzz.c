/* Any octets as an oauth_file and as what a token endpoint answers. Property: a grant is whole and
 * can be asked with; an answer has a token that can be said in SASL, or an error, never both; what
 * is for people is ASCII without controls and of bounded length. */
#include "base/must.h"
#include "trust/oauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void plain_check(struct str text, size_t most)
{
    must(text.n <= most);
    for (size_t i = 0; i < text.n; i++)
        must(text.p[i] >= ' ' && text.p[i] <= '~');
}

static void grant_check(const struct oauth_grant *grant, struct arena *arena)
{
    struct buf body = buf_in(arena, OAUTH_REQUEST_MAX);
    must(grant->refresh_token.n > 0 && grant->client_id.n > 0);
    must(str_starts_nocase(grant->endpoint, STR("https://")));
    must(oauth_request_print(grant, &body));
    plain_check(buf_built(&body), OAUTH_REQUEST_MAX);
}

static void answer_check(const struct oauth_answer *answer)
{
    must((answer->access_token.n > 0) != (answer->error.n > 0));
    must(answer->access_token.n == 0 || answer->refresh_token.p);
    plain_check(answer->access_token, OAUTH_TOKEN_MAX);
    plain_check(answer->refresh_token, OAUTH_TOKEN_MAX);
    plain_check(answer->error, OAUTH_ERROR_MAX);
    plain_check(answer->why, OAUTH_WHY_MAX);
    must(answer->lasts <= OAUTH_LASTS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct oauth_grant some = {.client_secret = STR_INIT("s3cret"),
                                            .refresh_token = STR_INIT("refresh")};
    struct arena arena;
    struct oauth_grant grant;
    struct oauth_answer answer;
    struct str text = str_make(data, n);
    arena_init(&arena, 4 << 20);
    struct err e = oauth_grant_parse(text, STR("https://p.test/"), &arena, &grant);
    must(!err_is(e) || (e.code == ERR_CONFIG && e.detail.n > 0));
    if (!err_is(e))
        grant_check(&grant, &arena);
    must(oauth_answer_parse(n % 2 ? 200 : 400, text, &some, &arena, &answer));
    answer_check(&answer);
    arena_wipe(&arena);
    return 0;
}
