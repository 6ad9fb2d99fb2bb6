/*
 * Plays the transcripts of test/transcripts/courier: a courier in the fake world (stage_test.h)
 * between core and other servers, each three times: as it stands, with every read and write cut,
 * and cut at random with delays. What is said must be the same. Lines of a transcript:
 *
 *   # ...                a remark
 *   CONF: text           configuration, before anything else
 *   WHOLE                what it shows is about what arrives together: played as it stands only
 *   DNS: name TYPE data  as stage_dns; in TLSA @key stands for SHA-256 of the key that is shown,
 * @ca for that of the authority's BODY: text           a line of the message; BODY+ without CR LF;
 * BODY* n text HOST: address port   what the next connection there meets, by the lines behind it:
 *     S: text            it says this line; S+ without CR LF; S* n text
 *     C: text            it hears this line, * stands for anything; C* n text
 *     WAIT: seconds      it does nothing for a while
 *     CLOSE, RESET, VANISH   the connection ends
 *     GONE               the courier has closed it
 *     STARVE             it reads no more
 *     TLS names          a handshake; what is behind it is in TLS. Without names the certificate
 *                        is its own word; else the authority that is known here says that it is of
 *                        these ("a.example,b.example"), and the whole chain is shown
 *   REFUSES, SILENT, UNREACHABLE: address port
 *   JOB: number key=value ...   core orders it: from, to (commas between), domain, body, utf8, by,
 * require_tls, tls_optional, submits, collection;
 * of a route: route, via, source, tls_names (commas), tls (conf.h's number), lmtp, helo, user,
 *     password, token, mechanisms
 *   COUNTS: host         it answered an envelope as it should before (manners.h)
 *   DROP: number         core says job_drop
 *   POST: url            core asks for the message to be sent there by HTTPS
 *   LOOK: host address port smtp|tls [data]   core asks how that port looks; TLSA data as in DNS
 *   STS: domain own,own  core asks for the policy as it is served; its own addresses
 *   COLLECT: number host address port   the HOST there collects: core gives its connection
 *   COLLECTED: number    core says that this collection is over
 *   PASS: seconds        time passes
 *   CORE: word           die, start, mute, speak, forget, forgetful (keeps nothing), kind, half,
 *     empty, count (notes sessions)
 *   SAID: text           the next line that core noted (stage_test.h); * as above
 *   EXPECT: what n       dots, fetches, overs, asked (of the resolver)
 *
 * In texts \r \n \t \\ and \xNN are octets. At the end every HOST must have been met and played to
 * its end, and nothing said be left over.
 */
#include "courier/manners.h"
#include "courier/stage_test.h"

#include <stdarg.h>

#include <openssl/ssl.h>

#include "base/test.h"
#include "format/mail_options.h"
#include "sys/fake/tls_chain.h"
#include "trust/sasl.h"

enum {
    LINES_MAX = 4096,
    HOSTS_MAX = 64,
    SCRIPTS_MAX = 128,
    HEARD_MAX = 8 << 20,
    TEXT_MAX = 1 << 20,
    RECIPIENTS = 100,
    CHANCE = 300000, /* of a million: a part of a read or write */
};

enum weather {
    WEATHER_FAIR,
    WEATHER_CUT,
    WEATHER_SLOW,
    WEATHERS
};

struct player;

struct script {
    size_t from, to; /* lines */
    bool met;
};

struct stop {
    struct fake_host host;
    struct player *player;
    char *address;
    struct script scripts[16];
    size_t count, next;
};

struct visit {
    struct player *player;
    struct fake_client *client;
    struct script *script;
    size_t at, times;
    struct buf heard;
    size_t heard_to;
    struct fake_event wait;
    bool waiting, starving, over;
    SSL *ssl;
    struct buf wire; /* what TLS still has to send */
};

struct player {
    struct stage stage;
    bool on_stage, whole;
    const char *file;
    struct str lines[LINES_MAX];
    size_t count, at;
    struct stop stops[HOSTS_MAX];
    size_t stop_count;
    struct visit visits[SCRIPTS_MAX];
    size_t visit_count;
    struct buf conf;
    struct str said;
    enum weather weather;
};

static _Noreturn void wrong(const struct player *p, size_t line, const char *what, struct str got)
{
    struct buf text = BUF_INIT(4096);
    buf_put_escaped(&text, got, 2000);
    fprintf(stderr, "%s:%zu: (weather %d) %s: \"%.*s\"\n", p->file, line + 1, (int)p->weather, what,
            STR_FMT(buf_str(&text)));
    if (p->on_stage)
        fprintf(stderr, "%.*s\n%.*s\n", STR_FMT(fake_log(p->stage.fake)),
                STR_FMT(buf_str(&p->stage.core.said)));
    abort();
}

/* --- Texts ----------------------------------------------------------------------------------- */

static void unescape(struct str text, struct buf *to)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c != '\\' || i + 1 == text.n) {
            buf_putc(to, c);
            continue;
        }
        c = text.p[++i];
        if (c == 'x' && i + 2 < text.n) {
            char hex[3] = {text.p[i + 1], text.p[i + 2], 0};
            buf_putc(to, (char)strtol(hex, NULL, 16));
            i += 2;
        } else {
            buf_putc(to, c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c);
        }
    }
}

static bool matches(struct str pattern, struct str text)
{
    ssize_t star = str_index(pattern, '*');
    if (star < 0)
        return str_eq(pattern, text);
    if (!str_starts(text, str_head(pattern, (size_t)star)))
        return false;
    struct str behind = str_from_index(pattern, (size_t)star + 1);
    text = str_from_index(text, (size_t)star);
    for (size_t i = 0; i <= text.n; i++)
        if (matches(behind, str_from_index(text, i)))
            return true;
    return false;
}

/* "S: text" -> 'S', "text"; how often in *times_r. */
static bool is_word(struct str line, const char *word, struct str *rest_r)
{
    struct str w = str_from(word);
    if (!str_starts(line, w) || (line.n > w.n && line.p[w.n] != ' '))
        return false;
    *rest_r = str_from_index(line, w.n + 1);
    return true;
}

static size_t times_cut(struct str *rest)
{
    uint64_t times;
    must(str_to_u64(str_cut(rest, ' '), &times));
    return times;
}

/* --- Other servers --------------------------------------------------------------------------- */

static void visit_go_on(struct visit *visit);

static void visit_over(struct visit *visit)
{
    fake_event_clear(visit->player->stage.fake, &visit->wait);
    if (visit->client)
        fake_client_done(visit->client);
    visit->client = NULL;
    visit->over = true;
}

/* --- In TLS */

/* "DNS:a.example,DNS:b.example" */
static void names_print(struct str names, char *to, size_t room)
{
    struct buf text = BUF_INIT(room - 1);
    while (names.n > 0) {
        struct str one = str_cut(&names, ',');
        buf_printf(&text, "%sDNS:%.*s", text.n > 0 ? "," : "", STR_FMT(one));
    }
    memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    buf_done(&text);
}

static void vouched(SSL_CTX *context, struct str names)
{
    char text[512];
    struct chain chain;
    names_print(names, text, sizeof text);
    chain_make(&chain,
               &(struct chain_settings){.issuer = BY_AUTHORITY, .key = KEY_P256, .names = text});
    must(SSL_CTX_use_certificate(context, chain.certificates[0]) == 1);
    must(SSL_CTX_add1_chain_cert(context, chain.certificates[1]) == 1);
    chain_done(&chain);
}

static SSL_CTX *certified(struct str names)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    X509 *certificate = fixture_certificate_parsed(KEY_P256);
    must(context);
    if (names.n > 0)
        vouched(context, names);
    else
        must(SSL_CTX_use_certificate(context, certificate) == 1);
    X509_free(certificate);
    must(SSL_CTX_use_PrivateKey(context, fixture_key(KEY_P256)) == 1);
    return context;
}

static void visit_encrypt(struct visit *visit, struct str names)
{
    SSL_CTX *context = certified(names);
    visit->ssl = SSL_new(context);
    SSL_CTX_free(context);
    must(visit->ssl);
    SSL_set_bio(visit->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(visit->ssl);
    buf_init(&visit->wire, HEARD_MAX);
    visit->heard_to = visit->heard.n;
}

static void visit_flush(struct visit *visit)
{
    char octets[4096];
    int n;
    while (visit->ssl && (n = BIO_read(SSL_get_wbio(visit->ssl), octets, sizeof octets)) > 0)
        buf_put(&visit->wire, str_make(octets, (size_t)n));
    if (visit->wire.n > 0)
        buf_drop_front(&visit->wire, fake_client_send(visit->client, buf_str(&visit->wire)));
}

static void visit_decrypt(struct visit *visit)
{
    char octets[4096];
    size_t raw;
    while ((raw = fake_client_recv(visit->client, octets, sizeof octets)) > 0)
        must(BIO_write(SSL_get_rbio(visit->ssl), octets, (int)raw) == (int)raw);
    int n;
    while ((n = SSL_read(visit->ssl, octets, sizeof octets)) > 0)
        buf_put(&visit->heard, str_make(octets, (size_t)n));
    visit_flush(visit);
}

static void visit_hear(struct visit *visit)
{
    if (visit->ssl) {
        visit_decrypt(visit);
        return;
    }

    char *to;
    size_t n;
    while (!visit->starving && fake_client_waiting(visit->client) > 0 &&
           (to = buf_room(&visit->heard, 65536)) != NULL) {
        n = fake_client_recv(visit->client, to, 65536);
        buf_added(&visit->heard, n);
        if (n == 0)
            break;
    }
}

static bool line_heard(struct visit *visit, struct str *line_r)
{
    struct str left = str_from_index(buf_str(&visit->heard), visit->heard_to);
    ssize_t end = str_find(left, STR("\r\n"));
    if (end < 0)
        return false;
    *line_r = str_head(left, (size_t)end);
    if (str_index(*line_r, '\n') >= 0 || str_index(*line_r, '\r') >= 0)
        wrong(visit->player, visit->at, "a bare CR or LF on the wire", *line_r);
    visit->heard_to += (size_t)end + 2;
    return true;
}

/* False: the line is still to come. */
static bool play_heard(struct visit *visit, struct str text, size_t times)
{
    struct buf expected = BUF_INIT(TEXT_MAX);
    struct str line;
    unescape(text, &expected);
    while (visit->times < times && line_heard(visit, &line)) {
        if (!matches(buf_str(&expected), line))
            wrong(visit->player, visit->at, "the courier says", line);
        visit->times++;
    }
    buf_done(&expected);
    return visit->times == times;
}

static bool play_said(struct visit *visit, struct str text, size_t times, bool line)
{
    struct buf bytes = BUF_INIT(TEXT_MAX);
    for (size_t i = 0; i < times; i++) {
        unescape(text, &bytes);
        if (line)
            buf_put(&bytes, STR("\r\n"));
    }
    if (visit->ssl && visit->times == 0) {
        must(SSL_write(visit->ssl, bytes.p, (int)bytes.n) == (int)bytes.n);
        visit_flush(visit);
        visit->times = bytes.n;
    }
    visit->times += fake_client_send(visit->client, str_from_index(buf_str(&bytes), visit->times));
    bool all = visit->times == bytes.n || fake_client_state(visit->client) != FAKE_CLIENT_OPEN;
    buf_done(&bytes);
    return all;
}

static void wait_over_(struct fake_world *fake, struct fake_event *event)
{
    struct visit *visit = event->arg;
    (void)fake;
    visit->waiting = false;
    visit->at++;
    visit_go_on(visit);
}

static bool play_wait(struct visit *visit, struct str seconds)
{
    uint64_t n;
    must(str_to_u64(seconds, &n));
    visit->wait = (struct fake_event){.run = wait_over_, .arg = visit};
    visit->waiting = true;
    fake_event_set(visit->player->stage.fake, &visit->wait,
                   world_mono(&visit->player->stage.fake->world) + (int64_t)n * NS_PER_SECOND);
    return false;
}

/* One line. False: more must happen first. */
static bool play_line(struct visit *visit, struct str line)
{
    struct str rest;
    if (is_word(line, "S:", &rest))
        return play_said(visit, rest, 1, true);
    if (is_word(line, "S+", &rest))
        return play_said(visit, rest, 1, false);
    if (is_word(line, "S*", &rest)) {
        size_t times = times_cut(&rest);
        return play_said(visit, rest, times, true);
    }
    if (is_word(line, "C:", &rest))
        return play_heard(visit, rest, 1);
    if (is_word(line, "C*", &rest)) {
        size_t times = times_cut(&rest);
        return play_heard(visit, rest, times);
    }
    if (is_word(line, "WAIT:", &rest))
        return visit->waiting ? false : play_wait(visit, rest);
    if (is_word(line, "TLS", &rest)) {
        if (!visit->ssl)
            visit_encrypt(visit, rest);
        visit_hear(visit);
        return SSL_is_init_finished(visit->ssl) ||
               fake_client_state(visit->client) != FAKE_CLIENT_OPEN;
    }
    if (is_word(line, "RESET", &rest))
        fake_client_reset(visit->client);
    else if (is_word(line, "VANISH", &rest))
        fake_client_vanish(visit->client);
    else if (is_word(line, "STARVE", &rest))
        visit->starving = true;
    else if (is_word(line, "GONE", &rest))
        return fake_client_state(visit->client) != FAKE_CLIENT_OPEN;
    else if (!is_word(line, "CLOSE", &rest))
        wrong(visit->player, visit->at, "no such line", line);
    return true;
}

static void visit_go_on(struct visit *visit)
{
    if (visit->over || visit->waiting)
        return;
    visit_hear(visit);
    while (visit->at < visit->script->to) {
        struct str line = visit->player->lines[visit->at];
        if (line.n > 0 && line.p[0] != '#' && !play_line(visit, line))
            return;
        bool closes = str_eq(line, STR("CLOSE"));
        visit->times = 0;
        visit->at++;
        if (closes) {
            visit_over(visit);
            return;
        }
    }
}

static void visit_changed(struct fake_client *client, void *arg)
{
    (void)client;
    visit_go_on(arg);
}

static void called(struct fake_host *host, struct fake_client *client,
                   const struct peer_address *caller)
{
    struct stop *stop = host->arg;
    struct player *p = stop->player;
    (void)caller;
    if (stop->next == stop->count)
        wrong(p, p->at, "a connection that nobody expected", str_from(stop->address));
    struct visit *visit = &p->visits[p->visit_count++];
    struct script *script = &stop->scripts[stop->next++];
    *visit = (struct visit){.player = p, .client = client, .script = script, .at = script->from};
    buf_init(&visit->heard, HEARD_MAX);
    script->met = true;
    fake_client_watch(client, visit_changed, visit);
    visit_go_on(visit);
}

static struct stop *stop_at(struct player *p, struct str where)
{
    uint64_t port;
    struct str address = str_cut(&where, ' ');
    must(str_to_u64(where, &port));
    for (size_t i = 0; i < p->stop_count; i++)
        if (str_eq(str_from(p->stops[i].address), address) && p->stops[i].host.port == port)
            return &p->stops[i];
    must(p->stop_count < HOSTS_MAX);
    struct stop *stop = &p->stops[p->stop_count++];
    *stop = (struct stop){.player = p, .address = str_to_cstring(address)};
    stop->host = (struct fake_host){
        .address = stop->address, .port = (uint16_t)port, .called = called, .arg = stop};
    fake_host_add(p->stage.fake, &stop->host);
    return stop;
}

static bool is_scripted(struct str line)
{
    static const char *const words[] = {
        "S:", "S+", "S*", "C:", "C*", "WAIT:", "CLOSE", "RESET", "GONE", "VANISH", "STARVE", "TLS"};
    struct str rest;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(line, words[i], &rest))
            return true;
    return line.n == 0 || line.p[0] == '#';
}

static void host_take(struct player *p, struct str where)
{
    struct stop *stop = stop_at(p, where);
    must(stop->count < 16);
    struct script *script = &stop->scripts[stop->count++];
    script->from = p->at + 1;
    while (p->at + 1 < p->count && is_scripted(p->lines[p->at + 1]))
        p->at++;
    script->to = p->at + 1;
}

/* --- Core ------------------------------------------------------------------------------------ */

static size_t recipients_cut(struct str list, struct msg_job_recipient *recipients)
{
    size_t count = 0;
    while (list.n > 0) {
        must(count < RECIPIENTS);
        struct str one = str_cut(&list, ',');
        recipients[count] =
            (struct msg_job_recipient){.number = (uint32_t)count + 1, .address = one};
        count++;
    }
    return count;
}

/* Commas are spaces there. */
static struct str words_of(struct player *p, struct str value)
{
    char *words = arena_take(&p->stage.conf_arena, value.n);
    must(words);
    for (size_t i = 0; i < value.n; i++)
        words[i] = value.p[i] == ',' ? ' ' : value.p[i];
    return str_make(words, value.n);
}

static unsigned mechanisms_of(struct str value)
{
    enum sasl_mechanism mechanism;
    unsigned all = 0;
    while (value.n > 0) {
        must(sasl_find(str_cut(&value, ','), &mechanism));
        all |= 1u << mechanism;
    }
    return all;
}

/* What a route block brings. */
static bool order_route(struct player *p, struct msg_job *job, struct str key, struct str value,
                        uint64_t number)
{
    if (str_eq(key, STR("route")))
        job->route = value;
    else if (str_eq(key, STR("via")))
        job->via = words_of(p, value);
    else if (str_eq(key, STR("lmtp")))
        job->lmtp = (uint8_t)number;
    else if (str_eq(key, STR("tls")))
        job->tls = (uint8_t)number;
    else if (str_eq(key, STR("tls_names")))
        job->tls_names = words_of(p, value);
    else if (str_eq(key, STR("source")))
        job->source = words_of(p, value);
    else if (str_eq(key, STR("helo")))
        job->helo = value;
    else if (str_eq(key, STR("user")))
        job->user = value;
    else if (str_eq(key, STR("password")))
        job->password = value;
    else if (str_eq(key, STR("token")))
        job->token = (uint8_t)number;
    else if (str_eq(key, STR("mechanisms")))
        job->mechanisms = mechanisms_of(value);
    else
        return false;
    return true;
}

/* There in so many seconds, or back (RFC 2852). */
static void by_set(const struct player *p, struct mail_options *mail, uint64_t seconds)
{
    mail->deliver_by_mode = DELIVER_BY_RETURN;
    mail->deliver_by = world_wall(&p->stage.fake->world) / US_PER_SECOND + (int64_t)seconds;
}

/* "1:enforce:mx.example:-10": what core keeps: the record's id, mode, the one host, seconds left.
 */
static void sts_put(const struct player *p, struct msg_job *job, struct str text,
                    struct buf *policy)
{
    int64_t now = world_wall(&p->stage.fake->world) / US_PER_SECOND;
    job->sts_id = str_cut(&text, ':');
    struct str mode = str_cut(&text, ':'), host = str_cut(&text, ':');
    int64_t left = strtol(text.p, NULL, 10);
    buf_printf(policy, "version: STSv1\nmode: %.*s\nmx: %.*s\nmax_age: 1000\n", STR_FMT(mode),
               STR_FMT(host));
    job->sts_policy = buf_str(policy);
    job->sts_fetched = (uint64_t)(now + left - 1000);
    job->sts_until = (uint64_t)(now + left);
}

static void order(struct player *p, struct str rest)
{
    struct buf sts = BUF_INIT(4096);
    struct msg_job_recipient recipients[RECIPIENTS];
    struct msg_job job = {.sender = STR("a@b.example"), .recipients = recipients};
    struct mail_options mail = {.ret = DSN_RETURN_UNSAID};
    struct rcpt_options rcpt = {.notify = 0};
    struct buf asked[2] = {BUF_INIT(4096), BUF_INIT(4096)};
    must(str_to_u64(str_cut(&rest, ' '), &job.job));
    job.message = job.job + 1000;
    while (rest.n > 0) {
        struct str value = str_cut(&rest, ' ');
        struct str key = str_cut(&value, '=');
        uint64_t number = 0;
        (void)str_to_u64(value, &number);
        if (order_route(p, &job, key, value, number))
            continue;
        if (str_eq(key, STR("to")))
            job.recipients_count = recipients_cut(value, recipients);
        else if (str_eq(key, STR("from")))
            job.sender = value;
        else if (str_eq(key, STR("domain")))
            job.domain = value;
        else if (str_eq(key, STR("body")))
            job.body_type = (uint8_t)number;
        else if (str_eq(key, STR("utf8")))
            job.utf8 = (uint8_t)number;
        else if (str_eq(key, STR("submits")))
            job.submits = (uint8_t)number;
        else if (str_eq(key, STR("envid")))
            mail.envid = value;
        else if (str_eq(key, STR("notify")))
            rcpt.notify = (uint8_t)number;
        else if (str_eq(key, STR("orcpt")))
            rcpt.orcpt = value;
        else if (str_eq(key, STR("sts")))
            sts_put(p, &job, value, &sts);
        else if (str_eq(key, STR("require_tls")))
            mail.require_tls = number;
        else if (str_eq(key, STR("tls_optional")))
            mail.tls_optional = number;
        else if (str_eq(key, STR("collection")))
            job.collection = number;
        else if (str_eq(key, STR("by")))
            by_set(p, &mail, number);
        else
            wrong(p, p->at, "no such word", key);
    }
    if (job.domain.n == 0) {
        struct str first = recipients[0].address;
        job.domain = str_from_index(first, (size_t)str_last_index(first, '@') + 1);
    }
    mail_options_encode(&asked[0], &mail);
    rcpt_options_encode(&asked[1], &rcpt);
    job.asked = buf_str(&asked[0]);
    for (size_t i = 0; i < job.recipients_count; i++)
        recipients[i].asked = buf_str(&asked[1]);
    stage_order(&p->stage, &job);
    buf_done(&asked[0]);
    buf_done(&asked[1]);
    buf_done(&sts);
}

static void core_word(struct player *p, struct str word)
{
    struct stage_core *core = &p->stage.core;
    if (str_eq(word, STR("die")))
        stage_core_die(&p->stage);
    else if (str_eq(word, STR("start")))
        stage_core_start(&p->stage);
    else if (str_eq(word, STR("mute")))
        core->mute = true;
    else if (str_eq(word, STR("speak")))
        core->mute = false;
    else if (str_eq(word, STR("forget")))
        core->forgot = true;
    else if (str_eq(word, STR("forgetful")))
        core->keeps_nothing = true;
    else if (str_eq(word, STR("kind")))
        core->keeps_nothing = false;
    else if (str_eq(word, STR("empty")))
        buf_clear(&core->body);
    else if (str_eq(word, STR("half")))
        core->half = true;
    else if (str_eq(word, STR("count")))
        core->counts = true;
    else
        wrong(p, p->at, "core cannot", word);
}

static void said_expect(struct player *p, struct str pattern)
{
    struct buf expected = BUF_INIT(TEXT_MAX);
    struct str said = str_from_index(buf_str(&p->stage.core.said), p->said.n);
    ssize_t end = str_index(said, '\n');
    unescape(pattern, &expected);
    if (end < 0)
        wrong(p, p->at, "core heard nothing more than", buf_str(&p->stage.core.said));
    struct str line = str_head(said, (size_t)end);
    if (!matches(buf_str(&expected), line))
        wrong(p, p->at, "core heard", line);
    p->said.n += (size_t)end + 1;
    buf_done(&expected);
}

static void number_expect(struct player *p, struct str rest)
{
    const struct stage *stage = &p->stage;
    uint64_t number, got = 0;
    struct str what = str_cut(&rest, ' ');
    must(str_to_u64(rest, &number));
    if (str_eq(what, STR("dots")))
        got = stage->core.dots;
    else if (str_eq(what, STR("fetches")))
        got = stage->core.fetches;
    else if (str_eq(what, STR("overs")))
        got = stage->core.overs;
    else if (str_eq(what, STR("asked")))
        got = stage->resolver.asked;
    else if (str_eq(what, STR("jobs")))
        got = stage->courier.job_count;
    else
        wrong(p, p->at, "no such number", what);
    if (got != number) {
        struct buf text = BUF_INIT(100);
        buf_put_u64(&text, got);
        wrong(p, p->at, "the number is", buf_str(&text));
    }
}

static void body_put(struct player *p, struct str text, size_t times, bool line)
{
    struct buf one = BUF_INIT(TEXT_MAX);
    unescape(text, &one);
    if (line)
        buf_put(&one, STR("\r\n"));
    for (size_t i = 0; i < times; i++)
        buf_put(&p->stage.core.body, buf_str(&one));
    buf_done(&one);
}

/* SHA-256 of "@key" or "@ca". */
static void digest_put(struct str which, struct buf *to)
{
    struct chain chain;
    unsigned char data[4096];
    chain_make(&chain, &(struct chain_settings){.issuer = BY_AUTHORITY, .key = KEY_P256});
    bool ca = str_eq(which, STR("@ca"));
    struct tls_tlsa record = chain_record(chain.certificates[ca], 0, 1, 1, data);
    buf_put(to, record.data);
    chain_done(&chain);
}

/* "@key" and "@ca" as hex. */
static void dns_put(struct player *p, struct str text)
{
    struct buf line = BUF_INIT(TEXT_MAX), digest = BUF_INIT(64);
    ssize_t at = str_index(text, '@');
    buf_put(&line, at < 0 ? text : str_head(text, (size_t)at));
    if (at >= 0)
        digest_put(str_from_index(text, (size_t)at), &digest);
    for (size_t i = 0; i < digest.n; i++)
        buf_printf(&line, "%02x", (unsigned char)digest.p[i]);
    buf_done(&digest);
    buf_putc(&line, '\0');
    stage_dns(&p->stage, line.p);
    buf_done(&line);
}

/* --- Looks and collections ------------------------------------------------------------------- */

static uint16_t port_cut(struct str *rest)
{
    uint64_t port;
    must(str_to_u64(str_cut(rest, ' '), &port));
    return (uint16_t)port;
}

/* "3 1 1 @key", or octets. */
static void tlsa_put(struct str text, struct buf *rdata)
{
    uint64_t number;
    while (str_to_u64(str_head(text, 1), &number)) {
        buf_putc(rdata, (char)number);
        (void)str_cut(&text, ' ');
    }
    if (str_starts(text, STR("@")))
        digest_put(text, rdata);
    else
        unescape(text, rdata);
}

static void look(struct player *p, struct str rest)
{
    struct buf rdata = BUF_INIT(4096);
    struct msg_dns_record record;
    struct msg msg = {.kind = MSG_look, .look = {.tlsa = &record}};
    msg.look.host = str_cut(&rest, ' ');
    msg.look.address = str_cut(&rest, ' ');
    msg.look.port = port_cut(&rest);
    msg.look.kind = str_eq(str_cut(&rest, ' '), STR("smtp")) ? LOOK_SMTP : LOOK_TLS;
    msg.look.tlsa_count = rest.n > 0;
    tlsa_put(rest, &rdata);
    record.rdata = buf_str(&rdata);
    stage_ask(&p->stage, &msg);
    buf_done(&rdata);
}

static void sts_look(struct player *p, struct str rest)
{
    struct msg_text_line own[8];
    struct msg msg = {.kind = MSG_sts_look,
                      .sts_look = {.domain = str_cut(&rest, ' '), .own = own}};
    while (rest.n > 0)
        own[msg.sts_look.own_count++].text = str_cut(&rest, ',');
    stage_ask(&p->stage, &msg);
}

static void collect(struct player *p, struct str rest)
{
    uint64_t number;
    must(str_to_u64(str_cut(&rest, ' '), &number));
    struct str host = str_cut(&rest, ' ');
    struct connect_to from = {.address = str_cut(&rest, ' ')};
    from.port = port_cut(&rest);
    stage_collect(&p->stage, number, host, &from);
}

static void collected(struct player *p, struct str number)
{
    struct msg msg = {.kind = MSG_collection_over};
    must(str_to_u64(number, &msg.collection_over.collection));
    stage_core_tell(&p->stage, &msg);
}

/* --- A transcript ---------------------------------------------------------------------------- */

static void on_stage(struct player *p)
{
    static const struct fake_settings weathers[WEATHERS] = {
        [WEATHER_CUT] = {.split = 1000000},
        [WEATHER_SLOW] = {.split = CHANCE, .delay_most = 20 * NS_PER_MS},
    };
    if (p->on_stage)
        return;
    struct fake_settings settings = weathers[p->weather];
    settings.wall_start = world_wall(world_real()); /* certificates are made today */
    if (p->conf.n == 0)
        buf_put(&p->conf, STR("hostname = us.example\n"));
    stage_open(&p->stage, buf_str(&p->conf), &settings, 7);
    must(tls_client_authorities(p->stage.courier.tls, chain_authority()) == 1);
    p->on_stage = true;
}

static void way_take(struct player *p, struct str where, enum fake_host_way way)
{
    stop_at(p, where)->host.way = way;
}

static void pass(struct player *p, struct str seconds)
{
    uint64_t n;
    must(str_to_u64(seconds, &n));
    stage_pass(&p->stage, (int64_t)n * NS_PER_SECOND);
}

static void drop(struct player *p, struct str number)
{
    struct msg msg = {.kind = MSG_job_drop};
    must(str_to_u64(number, &msg.job_drop.job));
    stage_core_tell(&p->stage, &msg);
}

static void command(struct player *p, struct str line)
{
    struct str rest;
    if (is_word(line, "CONF:", &rest)) {
        must(!p->on_stage);
        buf_put(&p->conf, rest);
        buf_putc(&p->conf, '\n');
        return;
    }
    if (is_word(line, "WHOLE", &rest)) {
        p->whole = p->weather != WEATHER_FAIR;
        return;
    }
    on_stage(p);
    if (is_word(line, "DNS:", &rest)) {
        dns_put(p, rest);
    } else if (is_word(line, "BODY:", &rest)) {
        body_put(p, rest, 1, true);
    } else if (is_word(line, "BODY+", &rest)) {
        body_put(p, rest, 1, false);
    } else if (is_word(line, "BODY*", &rest)) {
        size_t times = times_cut(&rest);
        body_put(p, rest, times, true);
    } else if (is_word(line, "HOST:", &rest)) {
        host_take(p, rest);
    } else if (is_word(line, "REFUSES:", &rest)) {
        way_take(p, rest, FAKE_HOST_REFUSES);
    } else if (is_word(line, "SILENT:", &rest)) {
        way_take(p, rest, FAKE_HOST_SILENT);
    } else if (is_word(line, "UNREACHABLE:", &rest)) {
        way_take(p, rest, FAKE_HOST_UNREACHABLE);
    } else if (is_word(line, "JOB:", &rest)) {
        order(p, rest);
    } else if (is_word(line, "DROP:", &rest)) {
        drop(p, rest);
    } else if (is_word(line, "POST:", &rest)) {
        stage_post(&p->stage, rest);
    } else if (is_word(line, "LOOK:", &rest)) {
        look(p, rest);
    } else if (is_word(line, "STS:", &rest)) {
        sts_look(p, rest);
    } else if (is_word(line, "COLLECT:", &rest)) {
        collect(p, rest);
    } else if (is_word(line, "COLLECTED:", &rest)) {
        collected(p, rest);
    } else if (is_word(line, "PASS:", &rest)) {
        pass(p, rest);
    } else if (is_word(line, "COUNTS:", &rest)) {
        manners_learn(p->stage.courier.manners, rest, MANNER_COUNTS, p->stage.courier.loop->now);
    } else if (is_word(line, "CORE:", &rest)) {
        core_word(p, rest);
    } else if (is_word(line, "SAID:", &rest)) {
        said_expect(p, rest);
    } else if (is_word(line, "EXPECT:", &rest)) {
        number_expect(p, rest);
    } else {
        wrong(p, p->at, "no such line", line);
    }
}

static void all_met(struct player *p)
{
    for (size_t i = 0; i < p->stop_count; i++)
        for (size_t j = 0; j < p->stops[i].count; j++)
            if (!p->stops[i].scripts[j].met)
                wrong(p, p->stops[i].scripts[j].from, "nobody came", str_from(p->stops[i].address));
    for (size_t i = 0; i < p->visit_count; i++)
        if (!p->visits[i].over && p->visits[i].at < p->visits[i].script->to)
            wrong(p, p->visits[i].at, "it did not come to this; left over is",
                  str_from_index(buf_str(&p->visits[i].heard), p->visits[i].heard_to));
    if (p->said.n < p->stage.core.said.n)
        wrong(p, p->at, "core heard more", str_from_index(buf_str(&p->stage.core.said), p->said.n));
}

static void player_close(struct player *p)
{
    for (size_t i = 0; i < p->visit_count; i++) {
        if (!p->visits[i].over)
            visit_over(&p->visits[i]);
        buf_done(&p->visits[i].heard);
        buf_done(&p->visits[i].wire);
        SSL_free(p->visits[i].ssl);
    }
    stage_settle(&p->stage);
    for (size_t i = 0; i < p->stop_count; i++)
        fake_host_remove(&p->stops[i].host);
    stage_close(&p->stage);
    for (size_t i = 0; i < p->stop_count; i++)
        free(p->stops[i].address);
    buf_done(&p->conf);
}

static void play(const char *file, struct str text, enum weather weather)
{
    struct player *p = calloc(1, sizeof *p);
    must(p);
    p->file = file;
    p->weather = weather;
    buf_init(&p->conf, TEXT_MAX);
    while (text.n > 0 && p->count < LINES_MAX)
        p->lines[p->count++] = str_cut(&text, '\n');
    for (p->at = 0; p->at < p->count && !p->whole; p->at++)
        if (p->lines[p->at].n > 0 && p->lines[p->at].p[0] != '#')
            command(p, p->lines[p->at]);
    if (!p->whole) {
        all_met(p);
        player_close(p);
    }
    free(p);
}

static void play_file(const char *name)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    FILE *file = fopen(name, "r");
    char *to;
    size_t n;
    must(file);
    while ((to = buf_room(&text, 4096)) != NULL && (n = fread(to, 1, 4096, file)) > 0)
        buf_added(&text, n);
    fclose(file);
    for (enum weather weather = 0; weather < WEATHERS; weather++)
        play(name, buf_str(&text), weather);
    buf_done(&text);
}

int main(int count, char **files)
{
    void *state = NULL;
    must(fixture_open(&state) == 0);
    for (int i = 1; i < count; i++)
        play_file(files[i]);
    must(fixture_close(&state) == 0);
    return 0;
}
