/*
 * One function for each place an exchange may be at, and one table that says where a mechanism
 * begins. What a client says is decoded into the exchange's arena first, so that nothing here
 * depends on the stream's buffer across a yield, and one wipe ends every copy of it.
 *
 * SCRAM's success comes with a last word of the server, and neither SMTP nor POP3 has a place for
 * it in the reply that ends an exchange: it is a challenge, answered by an empty line (RFC 4422
 * 5.1). So core has logged the user in one line before the client knows; a client that goes away in
 * between is logged out again.
 */
#include "edge/login.h"

#include "base/must.h"
#include "format/encodings.h"
#include "trust/token.h"

enum {
    EXCHANGE_ARENA = 96 * 1024, /* octets: some messages decoded, parsed, and answers of core */
    CHALLENGE_MAX = 4096,       /* octets of one, decoded; SCRAM's have 500 */
    SCRAM_GS2_MOST = 512,       /* octets of a GS2 header that is bound */
};

enum place {
    AT_FIRST,    /* the client begins */
    AT_PASSWORD, /* LOGIN: the name was said */
    AT_PROOF,    /* SCRAM, CRAM-MD5: core's challenge was said */
    AT_WELCOME,  /* SCRAM: core said yes, and the server's last word was said */
    AT_REASON,   /* bearer tokens: core said no, and why was said (RFC 7628 3.2.3) */
};

#define EXCHANGE_MAGIC MAGIC('S', 'A', 'S', 'L')

struct edge_exchange {
    uint32_t magic;
    enum place place;
    enum sasl_mechanism mechanism;
    struct edge_session *session;
    struct arena arena;  /* what was said, to the exchange's end */
    struct str user;     /* LOGIN */
    struct str binding;  /* SCRAM: what c= must be */
    struct str nonce;    /* SCRAM: the client's and core's */
    uint64_t attempt;    /* core's name for it; 0: none */
    uint64_t core_since; /* the core that named it */
    enum err_code error; /* AT_REASON: what it ends with */
};

static struct edge_exchange_says failed(enum err_code error)
{
    return (struct edge_exchange_says){.step = EDGE_EXCHANGE_FAILED, .error = error};
}

static struct edge_exchange_says challenge(struct edge_exchange *x, struct str octets)
{
    struct buf text = buf_in(&x->arena, base64_encoded_size(CHALLENGE_MAX, false));
    base64_print(&text, octets);
    struct str line = buf_built(&text);
    if (buf_over(&text))
        return failed(ERR_NO_MEMORY);
    return (struct edge_exchange_says){.step = EDGE_EXCHANGE_CHALLENGE, .challenge = line};
}

/* --- What a session offers ------------------------------------------------------------------- */

bool edge_session_is_encrypted(const struct edge_session *session)
{
    return stream_tls_state(session->stream) == STREAM_TLS_ON;
}

bool edge_login_offers_passwords(const struct edge_session *session)
{
    return edge_session_is_encrypted(session) ||
           conf_networks_hold(&session->conf->login.plain_text_from, edge_session_client(session));
}

static bool has_certificate(const struct edge_session *session)
{
    struct tls_facts facts;
    stream_tls_facts(session->stream, &facts);
    return facts.has_certificate;
}

/* This one every TLS session has; tls-exporter is missing in some of TLS 1.2. */
static bool has_binding(const struct edge_session *session)
{
    unsigned char octets[TLS_BINDING_MAX];
    size_t n;
    return stream_tls_binding(session->stream, TLS_BINDING_END_POINT, octets, &n);
}

_Static_assert((int)SASL_MECHANISMS == CONF_MECHANISM_EXTERNAL + 1 &&
                   (int)SASL_SCRAM_SHA_1 == CONF_MECHANISM_SCRAM_SHA_1,
               "login.mechanisms has a bit for each, in this order");

static bool is_configured(const struct edge_session *session, enum sasl_mechanism mechanism)
{
    const struct conf *conf = session->conf;
    bool token = mechanism == SASL_OAUTHBEARER || mechanism == SASL_XOAUTH2;
    return conf_mechanism_is_on(conf, (enum conf_mechanism)mechanism) &&
           (!token || conf->login.token_keys.n > 0);
}

bool edge_login_offers(const struct edge_session *session, enum sasl_mechanism mechanism)
{
    const struct sasl_row *row = &sasl_rows[mechanism];
    if (session->listen == LISTEN_LOCAL || !is_configured(session, mechanism))
        return false;
    if (row->shows_password && !edge_login_offers_passwords(session))
        return false;
    if (row->needs_tls && !edge_session_is_encrypted(session))
        return false;
    if (mechanism == SASL_SCRAM_SHA_256_PLUS)
        return has_binding(session);
    return mechanism != SASL_EXTERNAL || has_certificate(session);
}

void edge_login_mechanisms_print(const struct edge_session *session, struct buf *to)
{
    for (int i = 0; i < SASL_MECHANISMS; i++) {
        if (!edge_login_offers(session, (enum sasl_mechanism)i))
            continue;
        buf_putc(to, ' ');
        buf_put(to, str_from(sasl_rows[i].name));
    }
}

/* --- Core's answers -------------------------------------------------------------------------- */

static bool refuses_user(enum err_code error)
{
    return error == ERR_LOGIN_FAILED || error == ERR_LOGIN_DISABLED ||
           error == ERR_LOGIN_SERVICE_OFF || error == ERR_LOGIN_BACK_OFF;
}

static void tell_logout(struct edge *edge, uint64_t handle)
{
    struct msg msg = {.kind = MSG_logout, .logout = {.handle = handle}};
    edge_tell(edge, &msg);
}

/* May yield. Asks who it is; session->login is set where core says so, and `text_r` to what the
 * mechanism says at its end. */
static struct err who_is_it(struct edge_session *session, struct msg *question,
                            enum sasl_mechanism mechanism, struct arena *arena, struct str *text_r)
{
    struct edge *edge = session->edge;
    struct msg answer;
    struct err e = edge_ask(edge, question, arena, &answer);
    if (err_is(e))
        return e;
    const struct msg_logged_in *in = &answer.logged_in;
    e = err_make((enum err_code)in->error);
    session->login_failures += refuses_user(e.code);
    if (err_is(e))
        return e;
    if (in->handle && edge_login_has_ended(edge, in->handle))
        return err_make(ERR_LOGIN_LATER);
    char *address = str_to_cstring(in->address);
    if (!address || !in->handle) {
        tell_logout(edge, in->handle);
        free(address);
        return err_make(address ? ERR_TRY_LATER : ERR_NO_MEMORY);
    }
    session->login = (struct edge_login){.handle = in->handle,
                                         .core_since = edge->core_since,
                                         .mechanism = mechanism,
                                         .address = address};
    *text_r = in->text;
    return err_none();
}

/* The client never heard of its success. */
static void take_back(struct edge_session *session)
{
    if (session->login.core_since == session->edge->core_since)
        tell_logout(session->edge, session->login.handle);
    free(session->login.address);
    session->login = (struct edge_login){.handle = 0};
}

static struct edge_exchange_says decided(struct err e)
{
    if (err_is(e))
        return failed(e.code);
    return (struct edge_exchange_says){.step = EDGE_EXCHANGE_DONE};
}

/* What we ourselves found out counts like core's no. */
static struct edge_exchange_says not_theirs(struct edge_exchange *x)
{
    x->session->login_failures++;
    return failed(ERR_LOGIN_FAILED);
}

/* May yield. */
static struct edge_exchange_says ask(struct edge_exchange *x, struct msg *question)
{
    struct str text;
    return decided(who_is_it(x->session, question, x->mechanism, &x->arena, &text));
}

/* --- A program of this host ------------------------------------------------------------------ */

struct err edge_login_local(struct edge_session *session)
{
    struct msg question = {.kind = MSG_login_local, .login_local = {.uid = (uint32_t)session->uid}};
    struct arena arena;
    struct str text;
    must(!session->login.handle && session->listen == LISTEN_LOCAL);
    if (session->uid < 0 || session->uid > UINT32_MAX)
        return err_make(ERR_NOT_ALLOWED);
    arena_init(&arena, EXCHANGE_ARENA);
    struct err e = who_is_it(session, &question, SASL_EXTERNAL, &arena, &text);
    arena_done(&arena);
    return e;
}

/* --- A name and a password ------------------------------------------------------------------- */

static struct msg password_question(struct edge_session *session, enum sasl_mechanism mechanism,
                                    const struct sasl_plain *plain)
{
    return (struct msg){.kind = MSG_login,
                        .login = {.protocol = (uint8_t)session->listen,
                                  .encrypted = edge_session_is_encrypted(session),
                                  .mechanism = (uint8_t)mechanism,
                                  .client = edge_session_client(session),
                                  .user = plain->user,
                                  .as = plain->as,
                                  .password = plain->password}};
}

struct err edge_login_password(struct edge_session *session, struct str user, struct str password)
{
    struct sasl_plain plain = {.user = user, .password = password};
    struct msg question = password_question(session, SASL_USER_PASS, &plain);
    struct arena arena;
    struct str text;
    must(!session->login.handle);
    if (!edge_login_offers_passwords(session))
        return err_make(ERR_ENCRYPTION_NEEDED);
    arena_init(&arena, EXCHANGE_ARENA);
    struct err e = who_is_it(session, &question, SASL_USER_PASS, &arena, &text);
    arena_done(&arena);
    return e;
}

static struct edge_exchange_says plain_first(struct edge_exchange *x, struct str message)
{
    struct sasl_plain plain;
    struct err e = sasl_plain_parse(message, &plain);
    if (err_is(e))
        return failed(e.code);
    struct msg question = password_question(x->session, x->mechanism, &plain);
    return ask(x, &question);
}

static struct edge_exchange_says login_first(struct edge_exchange *x, struct str message)
{
    if (message.n == 0 || message.n > SASL_NAME_MAX)
        return failed(ERR_SASL_SYNTAX);
    x->user = message;
    x->place = AT_PASSWORD;
    return challenge(x, STR("Password:"));
}

static struct edge_exchange_says login_password(struct edge_exchange *x, struct str message)
{
    struct sasl_plain plain = {.user = x->user, .password = message};
    struct msg question = password_question(x->session, x->mechanism, &plain);
    return message.n > 0 ? ask(x, &question) : failed(ERR_SASL_SYNTAX);
}

/* --- Challenge and proof --------------------------------------------------------------------- */

/* May yield. Core's challenge becomes ours. */
static struct edge_exchange_says begin_proof(struct edge_exchange *x, struct msg *question,
                                             struct str *text_r)
{
    struct msg answer;
    struct edge *edge = x->session->edge;
    struct msg_login_begin *begin = &question->login_begin;
    begin->protocol = (uint8_t)x->session->listen;
    begin->encrypted = edge_session_is_encrypted(x->session);
    begin->mechanism = (uint8_t)x->mechanism;
    begin->client = edge_session_client(x->session);
    struct err e = edge_ask(edge, question, &x->arena, &answer);
    if (!err_is(e))
        e = err_make((enum err_code)answer.login_challenge.error);
    if (err_is(e)) {
        x->session->login_failures += refuses_user(e.code);
        return failed(e.code);
    }
    x->attempt = answer.login_challenge.attempt;
    x->core_since = edge->core_since;
    x->place = AT_PROOF;
    *text_r = answer.login_challenge.text;
    return challenge(x, *text_r);
}

/* May yield. */
static struct err ask_proof(struct edge_exchange *x, struct msg *question, struct str *text_r)
{
    struct edge *edge = x->session->edge;
    if (!edge->core_up || edge->core_since != x->core_since)
        return err_make(ERR_BUS_BROKEN); /* another core knows nothing of the attempt */
    question->login_proof.attempt = x->attempt;
    x->attempt = 0;
    return who_is_it(x->session, question, x->mechanism, &x->arena, text_r);
}

static struct edge_exchange_says cram_begin(struct edge_exchange *x)
{
    struct msg question = {.kind = MSG_login_begin};
    struct str text;
    return begin_proof(x, &question, &text);
}

static struct edge_exchange_says cram_proof(struct edge_exchange *x, struct str message)
{
    unsigned char digest[16];
    struct msg question = {.kind = MSG_login_proof};
    struct str text;
    struct err e = sasl_cram_parse(message, &question.login_proof.user, digest);
    question.login_proof.proof = str_make(digest, sizeof digest);
    return decided(err_is(e) ? e : ask_proof(x, &question, &text));
}

/* --- SCRAM ----------------------------------------------------------------------------------- */

static bool binding_type(struct str name, enum tls_binding *type_r)
{
    static const struct {
        struct str name;
        enum tls_binding type;
    } types[] = {
        {STR_INIT("tls-exporter"), TLS_BINDING_EXPORTER},
        {STR_INIT("tls-server-end-point"), TLS_BINDING_END_POINT},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (str_eq(types[i].name, name)) {
            *type_r = types[i].type;
            return true;
        }
    }
    return false;
}

/* What c= must be (RFC 5802 7): the header, and behind it what the channel is bound to. str_null:
 * the two do not go together. */
static struct str binding_expected(struct edge_exchange *x, const struct scram_first *first)
{
    bool plus = x->mechanism == SASL_SCRAM_SHA_256_PLUS;
    unsigned char octets[TLS_BINDING_MAX];
    enum tls_binding type;
    size_t n = 0;
    /* A client that could bind, and was told by somebody that we cannot (RFC 5802 6). */
    if (first->binding == SCRAM_WOULD_BIND &&
        edge_login_offers(x->session, SASL_SCRAM_SHA_256_PLUS))
        return str_null();
    if (plus != (first->binding == SCRAM_BINDS))
        return str_null();
    if (plus && (!binding_type(first->binding_type, &type) ||
                 !stream_tls_binding(x->session->stream, type, octets, &n)))
        return str_null();
    struct buf whole = buf_in(&x->arena, SCRAM_GS2_MOST + sizeof octets);
    buf_put(&whole, first->gs2);
    buf_put(&whole, str_make(octets, n));
    return buf_built(&whole);
}

/* r= of server-first-message, which begins with it. */
static struct str server_nonce(struct str server_first)
{
    if (!str_starts(server_first, STR("r=")))
        return str_null();
    struct str rest = str_from_index(server_first, 2);
    return str_cut(&rest, ',');
}

static struct edge_exchange_says scram_first(struct edge_exchange *x, struct str message)
{
    struct scram_first first;
    struct str text;
    struct err e = scram_first_parse(message, &x->arena, &first);
    if (err_is(e))
        return failed(e.code);
    x->binding = binding_expected(x, &first);
    if (!x->binding.p)
        return not_theirs(x);
    struct msg question = {
        .kind = MSG_login_begin,
        .login_begin = {
            .user = first.user, .as = first.as, .nonce = first.nonce, .first = first.bare}};
    struct edge_exchange_says says = begin_proof(x, &question, &text);
    if (says.step != EDGE_EXCHANGE_CHALLENGE)
        return says;
    x->nonce = server_nonce(text);
    return str_starts(x->nonce, first.nonce) ? says : failed(ERR_TRY_LATER);
}

static struct edge_exchange_says scram_proof(struct edge_exchange *x, struct str message)
{
    struct scram_final final;
    struct str text;
    struct err e = scram_final_parse(message, &x->arena, &final);
    if (err_is(e))
        return failed(e.code);
    if (!str_eq(final.nonce, x->nonce) || !str_eq_secret(final.binding, x->binding))
        return not_theirs(x);
    struct msg question = {.kind = MSG_login_proof,
                           .login_proof = {.final = final.without_proof, .proof = final.proof}};
    e = ask_proof(x, &question, &text);
    if (err_is(e))
        return failed(e.code);
    x->place = AT_WELCOME;
    return challenge(x, text);
}

static struct edge_exchange_says scram_welcome(struct edge_exchange *x, struct str message)
{
    (void)x;
    return decided(err_make(message.n > 0 ? ERR_SASL_SYNTAX : ERR_NONE));
}

/* --- Bearer tokens --------------------------------------------------------------------------- */

static struct edge_exchange_says reason(struct edge_exchange *x, enum err_code error)
{
    x->place = AT_REASON;
    x->error = error;
    return challenge(x, x->mechanism == SASL_XOAUTH2
                            ? STR("{\"status\":\"401\",\"schemes\":\"bearer\"}")
                            : STR("{\"status\":\"invalid_token\"}"));
}

static struct edge_exchange_says bearer_first(struct edge_exchange *x, struct str message)
{
    struct sasl_bearer bearer;
    struct token_head head = {.algorithm = STR("")};
    struct edge_session *session = x->session;
    struct err e = x->mechanism == SASL_XOAUTH2
                       ? sasl_xoauth2_parse(message, &x->arena, &bearer)
                       : sasl_oauthbearer_parse(message, &x->arena, &bearer);
    if (err_is(e))
        return failed(e.code);
    e = token_head_parse(bearer.token, &x->arena, &head);
    struct msg question = {.kind = MSG_login_token,
                           .login_token = {.protocol = (uint8_t)session->listen,
                                           .encrypted = edge_session_is_encrypted(session),
                                           .mechanism = (uint8_t)x->mechanism,
                                           .client = edge_session_client(session),
                                           .user = bearer.user,
                                           .algorithm = head.algorithm,
                                           .key = head.key,
                                           .token = bearer.token}};
    if (e.code == ERR_LOGIN_FAILED)
        session->login_failures++;
    struct edge_exchange_says says = err_is(e) ? failed(e.code) : ask(x, &question);
    return says.step == EDGE_EXCHANGE_FAILED && refuses_user(says.error) ? reason(x, says.error)
                                                                         : says;
}

static struct edge_exchange_says bearer_reason(struct edge_exchange *x, struct str message)
{
    (void)message; /* a kvsep, or nothing (RFC 7628 3.2.3) */
    return failed(x->error);
}

/* --- EXTERNAL -------------------------------------------------------------------------------- */

static struct edge_exchange_says external_first(struct edge_exchange *x, struct str message)
{
    struct tls_facts facts;
    stream_tls_facts(x->session->stream, &facts);
    if (message.n > SASL_NAME_MAX || str_index(message, '\0') >= 0 || !str_is_utf8(message))
        return failed(ERR_SASL_SYNTAX);
    struct msg question = {.kind = MSG_login_certificate,
                           .login_certificate = {.protocol = (uint8_t)x->session->listen,
                                                 .client = edge_session_client(x->session),
                                                 .as = message,
                                                 .fingerprint = str_make(
                                                     facts.certificate, sizeof facts.certificate)}};
    return ask(x, &question);
}

/* --- An exchange ----------------------------------------------------------------------------- */

typedef struct edge_exchange_says step_run(struct edge_exchange *x, struct str message);

static const struct {
    step_run *first, *proof, *end;
    struct edge_exchange_says (*server_first)(struct edge_exchange *x);
} mechanisms[SASL_MECHANISMS] = {
    [SASL_PLAIN] = {.first = plain_first},
    [SASL_LOGIN] = {.first = login_first, .proof = login_password},
    [SASL_CRAM_MD5] = {.proof = cram_proof, .server_first = cram_begin},
    [SASL_SCRAM_SHA_1] = {.first = scram_first, .proof = scram_proof, .end = scram_welcome},
    [SASL_SCRAM_SHA_256] = {.first = scram_first, .proof = scram_proof, .end = scram_welcome},
    [SASL_SCRAM_SHA_256_PLUS] = {.first = scram_first, .proof = scram_proof, .end = scram_welcome},
    [SASL_OAUTHBEARER] = {.first = bearer_first, .end = bearer_reason},
    [SASL_XOAUTH2] = {.first = bearer_first, .end = bearer_reason},
    [SASL_EXTERNAL] = {.first = external_first},
};

static step_run *step_at(const struct edge_exchange *x)
{
    switch (x->place) {
    case AT_FIRST:
        return mechanisms[x->mechanism].first;
    case AT_PASSWORD:
    case AT_PROOF:
        return mechanisms[x->mechanism].proof;
    case AT_WELCOME:
    case AT_REASON:
        break;
    }
    return mechanisms[x->mechanism].end;
}

static void drop_attempt(struct edge_exchange *x)
{
    struct msg msg = {.kind = MSG_login_dropped, .login_dropped = {.attempt = x->attempt}};
    if (x->attempt && x->core_since == x->session->edge->core_since)
        edge_tell(x->session->edge, &msg);
}

void edge_exchange_drop(struct edge_exchange **exchange)
{
    struct edge_exchange *x = *exchange;
    if (!x)
        return;
    must_be(x, EXCHANGE_MAGIC);
    drop_attempt(x);
    if (x->place == AT_WELCOME)
        take_back(x->session);
    arena_wipe(&x->arena);
    x->magic = 0;
    free(x);
    *exchange = NULL;
}

/* May yield. */
static struct edge_exchange_says step(struct edge_exchange **exchange, struct str text)
{
    struct edge_exchange *x = *exchange;
    struct buf message = buf_in(&x->arena, SASL_MESSAGE_MAX);
    bool good = base64_parse(text, &message);
    struct str octets = buf_built(&message);
    struct edge_exchange_says says =
        good && !buf_over(&message) ? step_at(x)(x, octets) : failed(ERR_SASL_SYNTAX);
    if (says.step == EDGE_EXCHANGE_CHALLENGE)
        return says;
    if (says.step == EDGE_EXCHANGE_DONE)
        x->place = AT_FIRST;
    edge_exchange_drop(exchange);
    return says;
}

static struct edge_exchange_says open_word(struct edge_exchange *x)
{
    if (mechanisms[x->mechanism].server_first)
        return mechanisms[x->mechanism].server_first(x);
    return challenge(x, x->mechanism == SASL_LOGIN ? STR("Username:") : STR(""));
}

static enum err_code may_begin(const struct edge_session *session, struct str name,
                               struct str initial, enum sasl_mechanism *mechanism_r)
{
    if (!sasl_find(name, mechanism_r))
        return ERR_SASL_MECHANISM;
    if (!edge_login_offers(session, *mechanism_r)) {
        bool in_clear = is_configured(session, *mechanism_r) &&
                        sasl_rows[*mechanism_r].shows_password &&
                        !edge_session_is_encrypted(session);
        return in_clear ? ERR_ENCRYPTION_NEEDED : ERR_SASL_MECHANISM;
    }
    return initial.p && mechanisms[*mechanism_r].server_first ? ERR_SASL_NO_INITIAL : ERR_NONE;
}

struct edge_exchange_says edge_exchange_begin(struct edge_session *session, struct str mechanism,
                                              struct str initial, struct edge_exchange **exchange_r)
{
    enum sasl_mechanism found = SASL_PLAIN;
    enum err_code error = may_begin(session, mechanism, initial, &found);
    must(!session->login.handle);
    *exchange_r = NULL;
    if (error != ERR_NONE)
        return failed(error);
    struct edge_exchange *x = *exchange_r = malloc(sizeof *x);
    if (!x)
        return failed(ERR_NO_MEMORY);
    *x = (struct edge_exchange){.magic = EXCHANGE_MAGIC, .mechanism = found, .session = session};
    arena_init(&x->arena, EXCHANGE_ARENA);
    if (initial.p)
        return step(exchange_r, str_eq(initial, STR("=")) ? STR("") : initial);
    struct edge_exchange_says says = open_word(x);
    if (says.step != EDGE_EXCHANGE_CHALLENGE)
        edge_exchange_drop(exchange_r);
    return says;
}

struct edge_exchange_says edge_exchange_line(struct edge_exchange **exchange, struct str line)
{
    must_be(*exchange, EXCHANGE_MAGIC);
    if (!str_eq(line, STR("*")))
        return step(exchange, line);
    edge_exchange_drop(exchange);
    return failed(ERR_SASL_CANCELLED);
}
