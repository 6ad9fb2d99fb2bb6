/*
 * The way of an attempt. Why the account is looked up before the guard is asked: the guard must
 * know whether the account is known on the client's network. That look-up costs microseconds and
 * says nothing to anybody; what costs (a hash), and what tells (its outcome), comes behind it.
 *
 * Unknown users, accounts without a password and wrong passwords take the same way, hash included,
 * so that neither words nor time tell them apart. Where the way reads what belongs to an account,
 * it reads for whom there is not as well: NOBODY's, who has nothing.
 */
#include "core/login_try.h"

#include <unicase.h>
#include <uninorm.h>

#include "base/must.h"
#include "trust/password.h"
#include "trust/prepare.h"

enum {
    WAITERS_MOST = 1000,  /* fibers that wait for other attempts */
    FOLDED_TIMES = 4,     /* octets that one octet becomes at most, folded */
    NETWORK_V4_BITS = 24, /* what is an account's own network */
    NETWORK_V6_BITS = 56,
};
#define NOBODY 0 /* no account has this number */
#define DECIDED_WAIT (2 * NS_PER_SECOND)
#define US_PER_DAY (INT64_C(86400) * US_PER_SECOND)

/* --- The desk -------------------------------------------------------------------------------- */

static struct err ban_load(void *arg, const struct ban *ban)
{
    struct core *core = arg;
    struct guard_now now = {core->loop->now, world_wall(core->world)};
    struct ban dropped;
    guard_ban(core->desk.guard, now, ban, &dropped);
    return err_none();
}

struct err login_desk_open(struct core *core)
{
    struct login_desk *desk = &core->desk;
    unsigned char guard_key[SIPHASH_KEY], key[SUCCESS_KEY];
    world_random(core->world, guard_key, sizeof(guard_key));
    world_random(core->world, key, sizeof(key));
    TAILQ_INIT(&desk->waiters);
    arena_init(&desk->token_arena, LOGIN_TOKEN_ARENA);
    hash_gate_init(&desk->gate, &core->hashes);
    desk->guard = guard_open(core->conf, guard_key);
    desk->successes = successes_open(key);
    explicit_bzero(key, sizeof(key));
    struct err e = err_make(desk->guard && desk->successes ? ERR_NONE : ERR_NO_MEMORY);
    if (!err_is(e))
        e = bans_store_list(core->engine, world_wall(core->world), ban_load, core);
    if (err_is(e))
        login_desk_close(core);
    return e;
}

void login_desk_close(struct core *core)
{
    struct login_desk *desk = &core->desk;
    struct wait idle = {.done = desk->chores == 0};
    desk->no_chores = &idle;
    wait_for(&idle);
    guard_close(desk->guard);
    successes_close(desk->successes);
    explicit_bzero(desk->salt_key, sizeof(desk->salt_key));
    token_keys_done(desk->token_keys);
    arena_done(&desk->token_arena);
    *desk = (struct login_desk){.guard = NULL};
}

/* --- What the edge says ---------------------------------------------------------------------- */

static bool protocol_fits(enum bus_role role, uint8_t protocol)
{
    if (role == ROLE_SUB)
        return protocol == LISTEN_SUBMISSION || protocol == LISTEN_SUBMISSIONS;
    return role == ROLE_BOX && (protocol == LISTEN_POP3 || protocol == LISTEN_POP3S);
}

static uint8_t service_of(enum listen_protocol protocol)
{
    return protocol == LISTEN_POP3 || protocol == LISTEN_POP3S ? SERVICE_POP3 : SERVICE_SMTP;
}

bool login_try_init(struct login_try *try, struct request *request, const struct login_said *said)
{
    struct peer *peer = request->peer;
    *try = (struct login_try){.request = request,
                              .core = peer->core,
                              .protocol = (enum listen_protocol)said->protocol,
                              .mechanism = (enum sasl_mechanism)said->mechanism,
                              .client = said->client,
                              .user = said->user,
                              .as = said->as,
                              .services = SERVICES_ALL};
    if (protocol_fits(peer->role, said->protocol) && said->mechanism <= SASL_USER_PASS &&
        said->mechanisms & 1u << said->mechanism && network_address(said->client, &try->network))
        return true;
    peer_cut(peer, err_detail(ERR_BUS_BROKEN, STR("a log-in that no edge of ours asks for")));
    return false;
}

/* --- The guard ------------------------------------------------------------------------------- */

struct login_waiter {
    TAILQ_ENTRY(login_waiter) link;
    struct core *core;
    struct wait wait;
    struct timer timer;
    bool decided;
};

static void waiter_over(struct login_waiter *waiter, bool decided)
{
    struct login_desk *desk = &waiter->core->desk;
    TAILQ_REMOVE(&desk->waiters, waiter, link);
    desk->waiting--;
    timer_clear(waiter->core->loop, &waiter->timer);
    waiter->decided = decided;
    wait_over(&waiter->wait);
}

static void waited_enough(struct timer *timer)
{
    waiter_over(timer->arg, false);
}

/* All of them: which counts the one that was decided had is not worth keeping. */
static void decided_tell(struct core *core)
{
    struct login_waiter *waiter, *next;
    for (waiter = TAILQ_FIRST(&core->desk.waiters); waiter; waiter = next) {
        next = TAILQ_NEXT(waiter, link);
        waiter_over(waiter, true);
    }
}

/* May yield. false: it took too long, or too many wait. */
static bool decided_wait(struct core *core, int64_t deadline)
{
    struct login_desk *desk = &core->desk;
    struct login_waiter waiter = {.core = core};
    if (desk->waiting >= WAITERS_MOST || core->loop->now >= deadline)
        return false;
    waiter.timer = (struct timer){.run = waited_enough, .arg = &waiter};
    TAILQ_INSERT_TAIL(&desk->waiters, &waiter, link);
    desk->waiting++;
    timer_set(core->loop, &waiter.timer, deadline);
    wait_for(&waiter.wait);
    return waiter.decided;
}

static struct guard_now now_of(const struct core *core)
{
    return (struct guard_now){core->loop->now, world_wall(core->world)};
}

/* May yield, while other attempts that may count against this one are looked at. */
static struct err guard_pass(struct login_try *try)
{
    struct core *core = try->core;
    int64_t deadline = core->loop->now + DECIDED_WAIT;
    struct guard_answer answer;
    do {
        answer = guard_ask(core->desk.guard, now_of(core), try->network, try->folded,
                           try->known || try->nameless, &try->attempt);
        if (answer.verdict == GUARD_WAIT && !decided_wait(core, deadline))
            return err_make(ERR_LOGIN_LATER);
    } while (answer.verdict == GUARD_WAIT);
    if (answer.new_ban)
        ban_begun(core, &answer.ban, answer.has_dropped ? &answer.dropped : NULL);
    if (answer.verdict == GUARD_BANNED)
        return err_make(ERR_BANNED);
    return answer.verdict == GUARD_LATER ? err_make(ERR_LOGIN_BACK_OFF) : err_none();
}

/* --- Whose log-in ---------------------------------------------------------------------------- */

static uint32_t day_of(int64_t wall)
{
    return wall < 0 ? 0 : (uint32_t)(wall / US_PER_DAY);
}

static struct str own_network(const struct login_try *try, char text[NETWORK_TEXT])
{
    struct network network = network_cut(&try->network, NETWORK_V4_BITS, NETWORK_V6_BITS);
    struct buf buf = {.p = text, .cap = NETWORK_TEXT, .max = NETWORK_TEXT};
    network_print(&network, &buf);
    return buf_str(&buf);
}

/* Where many users come from one address, it is nobody's own: who is there could else try every
 * name that ever logged in there. */
static bool has_own_network(const struct login_try *try)
{
    return !try->unlimited && try->core->conf->login.known_network > 0;
}

static uint64_t account_of(const struct login_try *try)
{
    return try->exists ? try->account.id : NOBODY;
}

static struct err known_find(struct login_try *try)
{
    struct core *core = try->core;
    char text[NETWORK_TEXT];
    int64_t since = world_wall(core->world) - core->conf->login.known_network / 1000;
    if (!has_own_network(try))
        return err_none();
    return directory_network_known(&core->directory, account_of(try), own_network(try, text),
                                   day_of(since), &try->known);
}

/* Two spellings of one name are one to the guard. */
static struct str folded(struct str name, struct arena *arena)
{
    size_t n = FOLDED_TIMES * name.n + 1;
    uint8_t *to = arena_take(arena, n);
    if (!to)
        return name;
    const uint8_t *text = (const uint8_t *)name.p;
    uint8_t *made = name.n ? u8_casefold(text, name.n, NULL, UNINORM_NFKC, to, &n) : NULL;
    if (made && made != to) {
        free(made);
        return name;
    }
    return made ? str_make(made, n) : name;
}

/* USER and PASS are POP3's own, and always there (RFC 1939 7). */
bool login_mechanism_is_on(const struct conf *conf, enum sasl_mechanism mechanism)
{
    return mechanism == SASL_USER_PASS ||
           conf_mechanism_is_on(conf, (enum conf_mechanism)mechanism);
}

struct err login_admit_begin(struct login_try *try)
{
    struct core *core = try->core;
    struct arena *arena = &try->request->arena;
    if (!login_mechanism_is_on(core->conf, try->mechanism))
        return err_make(ERR_SASL_MECHANISM);
    if (guard_ban_of(core->desk.guard, try->network, world_wall(core->world)))
        return err_make(ERR_BANNED);
    try->unlimited = conf_networks_hold(&core->conf->login.unlimited_from, try->client);
    struct err e = prepare_name(try->user, arena, &try->name);
    if (err_is(e) && e.code != ERR_SASL_SYNTAX)
        return e;
    if (err_is(e)) /* nobody is called that, and it counts like any other name */
        try->name = try->user;
    try->folded = folded(try->name, arena);
    return arena_over(arena) ? err_make(ERR_NO_MEMORY) : err_none();
}

struct err login_admit_end(struct login_try *try)
{
    struct err e = known_find(try);
    return err_is(e) ? e : guard_pass(try);
}

/* An unknown name is no error yet. */
static struct err account_find(struct login_try *try, struct str name, struct account *account_r,
                               bool *exists_r)
{
    struct err e = directory_login(&try->core->directory, name, &try->request->arena, account_r);
    *exists_r = !err_is(e);
    return e.code == ERR_LOGIN_FAILED ? err_none() : e;
}

struct err login_account_find(struct login_try *try)
{
    return account_find(try, try->name, &try->account, &try->exists);
}

struct err login_admit(struct login_try *try)
{
    struct err e = login_admit_begin(try);
    if (!err_is(e))
        e = login_account_find(try);
    return err_is(e) ? e : login_admit_end(try);
}

struct err login_credentials(struct login_try *try, struct credentials *credentials_r)
{
    return directory_credentials(&try->core->directory, account_of(try), &try->request->arena,
                                 credentials_r);
}

/* --- What is decided ------------------------------------------------------------------------- */

/* Whom to act as: nobody in particular, or the very account. */
static struct err as_check(struct login_try *try)
{
    struct account other;
    struct str name;
    bool exists = false;
    if (try->as.n == 0)
        return err_none();
    struct err e = prepare_name(try->as, &try->request->arena, &name);
    if (e.code == ERR_SASL_SYNTAX)
        return err_make(ERR_LOGIN_FAILED);
    if (!err_is(e))
        e = account_find(try, name, &other, &exists);
    if (err_is(e))
        return e;
    return exists && other.id == try->account.id ? err_none() : err_make(ERR_LOGIN_FAILED);
}

static struct err state_check(const struct login_try *try)
{
    uint8_t service = service_of(try->protocol);
    if (try->account.disabled)
        return err_make(ERR_LOGIN_DISABLED);
    if (try->account.services_off & service || !(try->services & service))
        return err_make(ERR_LOGIN_SERVICE_OFF);
    return err_none();
}

/* Only mail that is sent asks for it (core/sending.h). */
static struct err novelty_find(struct login_try *try, bool *new_r)
{
    struct core *core = try->core;
    char text[NETWORK_TEXT];
    if (!has_own_network(try) || service_of(try->protocol) != SERVICE_SMTP)
        return err_none();
    return directory_network_is_new(&core->directory, try->account.id, own_network(try, text),
                                    day_of(world_wall(core->world)), new_r);
}

/* May yield. The version is asked for again once the log-in is in its table: a change that came
 * while the hash was computed ends it as it would have ended an older one. */
static struct err enter(struct login_try *try)
{
    struct peer *peer = try->request->peer;
    struct login like = {.account = try->account.id,
                         .inbox = try->account.inbox,
                         .version = try->account.credential_version,
                         .protocol = try->protocol,
                         .mechanism = try->mechanism,
                         .address = try->account.address,
                         .client = try->client};
    uint64_t version;
    struct err e = novelty_find(try, &like.from_new_network);
    if (!err_is(e) && peer->gone)
        e = err_make(ERR_PEER_GONE);
    if (err_is(e))
        return e;
    struct login *login;
    e = login_add(peer, &like, &login);
    if (err_is(e))
        return e;
    login_hold(login);
    e = directory_credential_version(&try->core->directory, like.account, &version);
    if (!err_is(e) && (version != like.version || login->over))
        e = err_make(ERR_LOGIN_LATER);
    if (err_is(e)) {
        login_end(peer, login);
        e = err_make(e.code == ERR_NOT_FOUND ? ERR_LOGIN_FAILED : e.code);
    } else {
        try->login = login;
    }
    login_release(login);
    return e;
}

struct err login_decide(struct login_try *try, enum login_proof proof, struct err failed)
{
    struct guard *guard = try->core->desk.guard;
    if (proof == PROOF_WRONG)
        guard_failed(guard, now_of(try->core), &try->attempt);
    else if (proof == PROOF_RIGHT)
        guard_right(guard, &try->attempt);
    else
        guard_let_go(guard, &try->attempt);
    decided_tell(try->core);
    if (proof != PROOF_RIGHT)
        return proof == PROOF_WRONG ? err_make(ERR_LOGIN_FAILED) : failed;
    struct err e = as_check(try);
    if (!err_is(e))
        e = state_check(try);
    return err_is(e) ? e : enter(try);
}

/* What was wrong is a failure, what broke is none. */
struct err login_decide_by(struct login_try *try, struct err e)
{
    enum login_proof proof = !err_is(e)                   ? PROOF_RIGHT
                             : e.code == ERR_LOGIN_FAILED ? PROOF_WRONG
                                                          : PROOF_NONE;
    return login_decide(try, proof, e);
}

/* --- What is told ---------------------------------------------------------------------------- */

static struct str protocol_name(enum listen_protocol protocol)
{
    return service_of(protocol) == SERVICE_POP3 ? STR("POP3") : STR("SUBMISSION");
}

/* "LOGIN_FAILED" as "login_failed" */
static struct str error_name(enum err_code code, char *to, size_t size)
{
    struct str name = str_head(str_from(err_row(code)->name), size);
    for (size_t i = 0; i < name.n; i++)
        to[i] = ascii_lower(name.p[i]);
    return str_make(to, name.n);
}

/* Whoever is told "later" was not looked at: of these the log has a share, and the audit none, or a
 * flood of them would be a flood of writes. */
static bool is_decided(enum err_code code)
{
    return code != ERR_LOGIN_BACK_OFF && code != ERR_LOGIN_LATER && code != ERR_BANNED;
}

static void event_audit(const struct login_try *try, enum err_code code)
{
    char error[64];
    struct trace_event event = trace_event(
        code == ERR_NONE ? TRACED_logged_in : TRACED_login_failed, world_wall(try->core->world));
    trace_text(&event, TRACE_user, try->user);
    trace_text(&event, TRACE_mechanism, sasl_name(try->mechanism));
    trace_text(&event, TRACE_protocol, protocol_name(try->protocol));
    trace_text(&event, TRACE_client, try->client);
    if (code == ERR_NONE)
        trace_text(&event, TRACE_account, try->account.address);
    else
        trace_text(&event, TRACE_error, error_name(code, error, sizeof(error)));
    audit_tell(&try->core->audit, &event);
}

/* A log line of a log-in that went well has no error, not even the one named NONE. */
void login_event(const struct login_try *try, struct err e)
{
    struct log *log = try->core->log;
    struct str mechanism = sasl_name(try->mechanism);
    if (is_decided(e.code))
        event_audit(try, e.code);
    if (!err_is(e))
        log_event(log, LOG_INFO, "login", log_str("user", try->user),
                  log_str("client", try->client), log_str("mechanism", mechanism));
    else
        log_event(log, LOG_INFO, "login_failed", log_str("user", try->user),
                  log_str("client", try->client), log_str("mechanism", mechanism),
                  log_str("error", str_from(err_row(e.code)->name)));
}

void login_answer(struct login_try *try, struct err e)
{
    struct msg answer = {.kind = MSG_logged_in,
                         .logged_in = {.error = (uint16_t)e.code, .text = try->text}};
    if (try->login) {
        answer.logged_in.handle = try->login->handle;
        answer.logged_in.address = try->login->address;
    }
    login_event(try, e);
    request_answer(try->request, &answer);
}

void login_afterwards(struct login_try *try)
{
    struct core *core = try->core;
    uint32_t today = day_of(world_wall(core->world));
    char text[NETWORK_TEXT];
    struct err e = err_none();
    if (!try->login)
        return;
    if (has_own_network(try))
        e = directory_network_note(&core->directory, try->account.id, own_network(try, text),
                                   today);
    if (!err_is(e) && try->app)
        e = directory_app_password_used(&core->directory, try->account.id, try->app, today);
    if (err_is(e))
        log_err(core->log, "login_not_noted", e);
}
