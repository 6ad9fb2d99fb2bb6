/*
 * Why the parent looks at what it reads: core takes a set as a whole, and one that it would refuse
 * at its next start must never become the set of the house.
 */
#include "parent/certificates.h"

#include "base/must.h"
#include "conf/routes.h"
#include "sys/process.h"
#include "trust/certificate.h"
#include "trust/oauth.h"

enum {
    ARENA = 1024 * 1024, /* a chain, decoded */
};

struct certificate_file {
    struct str name; /* in the arena */
    struct buf chain, key;
};

/* What a route logs in with. */
struct route_file {
    struct str name, via; /* in the arena */
    struct str endpoint;  /* of an oauth_file: the preset's; a literal */
    bool grant;
    struct buf secret; /* its first line alone; of an oauth_file all of it */
};

struct certificates {
    struct arena names;
    bool secrets_only;
    size_t count;
    struct buf tokens;
    struct route_file *routes;
    size_t route_count;
    struct certificate_file list[];
};

/* --- Reading --------------------------------------------------------------------------------- */

struct loading {
    struct certificates *to;
    struct str file; /* the configuration's */
    struct buf *trouble;
    bool failed;
};

static void buf_wipe(struct buf *buf)
{
    str_wipe(buf_str(buf));
    buf_done(buf);
}

/* "FILE:LINE: certificate.NAME.key: PATH: WHAT"; block: "certificate.". */
static void mistake_in(struct loading *loading, const char *block, unsigned line,
                       const char *setting, struct str name, struct str path, struct str what)
{
    loading->failed = true;
    if (loading->file.n) {
        buf_put_escaped(loading->trouble, loading->file, CERTIFICATES_KEY_MAX);
        buf_printf(loading->trouble, line ? ":%u: " : ": ", line);
    }
    buf_printf(loading->trouble, "%s%.*s%s: ", name.p ? block : "", STR_FMT(name), setting);
    buf_put_escaped(loading->trouble, path, CERTIFICATES_KEY_MAX);
    buf_printf(loading->trouble, ": %.*s\n", STR_FMT(what));
}

static void mistake(struct loading *loading, unsigned line, const char *setting, struct str name,
                    struct str path, struct str what)
{
    mistake_in(loading, "certificate.", line, setting, name, path, what);
}

static struct str why_unread(struct err e)
{
    if (e.code == ERR_NOT_ALLOWED && !e.os)
        return STR("may be read or written by others than its owner; chmod 600 mends it");
    if (e.code == ERR_OVER_LIMIT)
        return STR("is too long for what it should be");
    if (e.code == ERR_USAGE && !e.os)
        return e.detail;
    return str_from(e.os ? strerrordesc_np(e.os) : err_row(e.code)->text);
}

static bool file_read(struct loading *loading, const struct conf_certificate *certificate,
                      bool secret, struct buf *to)
{
    struct str path = secret ? certificate->key : certificate->chain;
    struct err e = secret ? process_read_secret(path, CERTIFICATES_KEY_MAX, to)
                          : process_read_file(path, CERTIFICATES_CHAIN_MAX, to);
    if (err_is(e))
        mistake(loading, certificate->line, secret ? ".key" : ".chain", certificate->name, path,
                why_unread(e));
    return !err_is(e);
}

/* What is wrong with them, a literal; null where all is well. */
static struct str pair_check(const struct certificate_file *file, bool *of_key_r)
{
    struct arena arena;
    struct certificate certificate;
    struct private_key *key = NULL;
    struct str wrong = str_null();
    arena_init(&arena, ARENA);
    struct err e = certificate_parse(buf_str(&file->chain), &arena, &certificate);
    *of_key_r = !err_is(e);
    if (!err_is(e))
        e = private_key_parse(buf_str(&file->key), &key);
    if (err_is(e))
        wrong = e.detail.n ? e.detail : str_from(err_row(e.code)->text);
    else if (!private_key_fits(key, &certificate))
        wrong = STR("is not the key of its certificate");
    private_key_free(key);
    arena_done(&arena);
    return wrong;
}

static bool pair_is_good(struct loading *loading, const struct conf_certificate *certificate,
                         const struct certificate_file *file)
{
    bool of_key;
    struct str wrong = pair_check(file, &of_key);
    if (wrong.n)
        mistake(loading, certificate->line, of_key ? ".key" : ".chain", certificate->name,
                of_key ? certificate->key : certificate->chain, wrong);
    return wrong.n == 0;
}

static void certificate_load(struct loading *loading, const struct conf_certificate *certificate)
{
    struct certificate_file *file = &loading->to->list[loading->to->count];
    *file = (struct certificate_file){
        .name = arena_str(&loading->to->names, certificate->name),
        .chain = BUF_INIT(CERTIFICATES_CHAIN_MAX),
        .key = BUF_INIT(CERTIFICATES_KEY_MAX),
    };
    bool chain = file_read(loading, certificate, false, &file->chain);
    bool key = file_read(loading, certificate, true, &file->key);
    if (chain && key && pair_is_good(loading, certificate, file)) {
        loading->to->count++;
        return;
    }
    buf_done(&file->chain);
    buf_wipe(&file->key);
}

static void tokens_load(struct loading *loading, struct str path)
{
    if (path.n == 0)
        return;
    struct err e = process_read_file(path, CERTIFICATES_TOKENS_MAX, &loading->to->tokens);
    if (err_is(e))
        mistake(loading, 0, "login.token_keys", str_null(), path, why_unread(e));
}

/* --- What routes log in with -------------------------------------------------------------------
 */

static void first_line_keep(struct buf *secret)
{
    struct str whole = buf_str(secret), rest = whole;
    struct str line = str_cut(&rest, '\n');
    if (str_ends(line, STR("\r")))
        line = str_head(line, line.n - 1);
    str_wipe(str_from_index(whole, line.n));
    secret->n = line.n;
}

/* What is wrong with an oauth_file, a literal; null where all is well. */
static struct str grant_check(const struct route_file *file)
{
    struct arena arena;
    struct oauth_grant grant;
    arena_init(&arena, 2 * OAUTH_FILE_MAX);
    struct err e = oauth_grant_parse(buf_str(&file->secret), file->endpoint, &arena, &grant);
    arena_wipe(&arena);
    if (!err_is(e))
        return str_null();
    return e.detail.n ? e.detail : str_from(err_row(e.code)->text);
}

/* The same of any file. */
static struct str secret_look(struct route_file *file)
{
    if (file->grant)
        return grant_check(file);
    first_line_keep(&file->secret);
    return file->secret.n > 0 ? str_null() : STR("has nothing in its first line");
}

static struct str secret_path(const struct conf_route *route, const char **setting_r)
{
    bool token = route->token_file.n > 0, oauth = route->oauth_file.n > 0;
    *setting_r = oauth ? ".oauth_file" : token ? ".token_file" : ".password_file";
    return oauth ? route->oauth_file : token ? route->token_file : route->password_file;
}

static void secret_load(struct loading *loading, const struct conf_route *route)
{
    struct certificates *to = loading->to;
    const struct route_preset *preset = conf_preset(route->preset);
    const char *setting;
    struct str path = secret_path(route, &setting);
    struct conf_way way;
    conf_route_way(route, &way);
    struct route_file *file = &to->routes[to->route_count];
    *file = (struct route_file){.name = arena_str(&to->names, route->name),
                                .via = conf_way_via(&way, &to->names),
                                .endpoint = preset ? str_from(preset->token_endpoint) : STR(""),
                                .grant = route->oauth_file.n > 0,
                                .secret = BUF_INIT(CERTIFICATES_SECRET_MAX)};
    struct err e = process_read_secret(path, CERTIFICATES_SECRET_MAX, &file->secret);
    struct str wrong = err_is(e) ? why_unread(e) : secret_look(file);
    if (!wrong.p) {
        to->route_count++;
        return;
    }
    mistake_in(loading, "route.", route->line, setting, route->name, path, wrong);
    if (!to->secrets_only)
        to->route_count++; /* told empty: what was before is for nobody */
    buf_wipe(&file->secret);
    buf_init(&file->secret, 1);
}

static bool secrets_load(struct loading *loading, const struct conf *conf)
{
    struct certificates *to = loading->to;
    to->routes = calloc(conf->route_count + 1, sizeof(to->routes[0]));
    for (size_t i = 0; to->routes && i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        bool renewed = route->token_file.n > 0 || route->oauth_file.n > 0;
        if (route->user.n > 0 && (renewed || !to->secrets_only))
            secret_load(loading, route);
    }
    return to->routes != NULL;
}

struct certificates *certificates_load_tokens(const struct conf *conf)
{
    struct buf trouble = BUF_INIT(CONF_TROUBLE_SIZE);
    struct certificates *to = calloc(1, sizeof(*to));
    struct loading loading = {.to = to, .trouble = &trouble};
    if (!to)
        return NULL;
    arena_init(&to->names, ARENA);
    buf_init(&to->tokens, 1);
    to->secrets_only = true;
    bool loaded = secrets_load(&loading, conf) && to->route_count > 0;
    buf_done(&trouble);
    if (loaded)
        return to;
    certificates_free(to);
    return NULL;
}

struct err certificates_load(const struct conf *conf, struct str file,
                             struct certificates **certificates_r, struct buf *trouble)
{
    struct certificates *to =
        calloc(1, sizeof(*to) + conf->certificate_count * sizeof(to->list[0]));
    struct loading loading = {.to = to, .file = file, .trouble = trouble};
    *certificates_r = to;
    if (!to)
        return err_make(ERR_NO_MEMORY);
    arena_init(&to->names, ARENA);
    buf_init(&to->tokens, CERTIFICATES_TOKENS_MAX);
    for (size_t i = 0; i < conf->certificate_count; i++)
        certificate_load(&loading, &conf->certificates[i]);
    tokens_load(&loading, conf->login.token_keys);
    if (!secrets_load(&loading, conf)) {
        certificates_free(to);
        *certificates_r = NULL;
        return err_make(ERR_NO_MEMORY);
    }
    return loading.failed ? err_make(ERR_CONFIG) : err_none();
}

void certificates_free(struct certificates *certificates)
{
    if (!certificates)
        return;
    for (size_t i = 0; i < certificates->count; i++) {
        buf_done(&certificates->list[i].chain);
        buf_wipe(&certificates->list[i].key);
    }
    for (size_t i = 0; i < certificates->route_count; i++)
        buf_wipe(&certificates->routes[i].secret);
    free(certificates->routes);
    buf_wipe(&certificates->tokens);
    arena_done(&certificates->names);
    free(certificates);
}

/* --- Telling --------------------------------------------------------------------------------- */

static bool secret_msg(const struct certificates *certificates, size_t place, struct msg *msg_r)
{
    if (place >= certificates->route_count)
        return false;
    const struct route_file *file = &certificates->routes[place];
    *msg_r = (struct msg){.kind = MSG_route_secret,
                          .route_secret = {.name = file->name,
                                           .via = file->via,
                                           .grant = file->grant,
                                           .endpoint = file->endpoint,
                                           .secret = buf_str(&file->secret)}};
    return true;
}

bool certificates_msg(const struct certificates *certificates, size_t place, struct msg *msg_r)
{
    size_t told = certificates->count ? certificates->count : 1; /* also that there are none */
    if (certificates->secrets_only)
        return secret_msg(certificates, place, msg_r);
    if (place > told)
        return secret_msg(certificates, place - told - 1, msg_r);
    if (place == told) {
        *msg_r = (struct msg){.kind = MSG_token_keys_file,
                              .token_keys_file = {.json = buf_str(&certificates->tokens)}};
        return true;
    }
    const struct certificate_file *file = &certificates->list[place];
    *msg_r = (struct msg){.kind = MSG_certificate_files,
                          .certificate_files = {.count = (uint32_t)certificates->count}};
    if (certificates->count == 0)
        return true;
    msg_r->certificate_files.place = (uint32_t)place;
    msg_r->certificate_files.name = file->name;
    msg_r->certificate_files.chain = buf_str(&file->chain);
    msg_r->certificate_files.key = buf_str(&file->key);
    return true;
}
