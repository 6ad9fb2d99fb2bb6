/*
 * test_dkim_sign: signs messages, for comparison with another verifier (test_dkim.py). Makes a key
 * of each kind and prints their records as two lines. Then reads messages, each as a line with its
 * length and its octets, and prints for each the fields to be put in front: a line with their
 * length, and the fields. The body goes into the hash in pieces whose size changes.
 */
#include "base/must.h"
#include "format/header.h"
#include "trust/dkim_key.h"

enum {
    MESSAGE_MAX = 4 << 20,
    LINE_MOST = 64,
    ARENA = 32 << 20,
    PIECES = 17,
};

static struct err key_sign(void *arg, const unsigned char hash[DKIM_HASH],
                           unsigned char signature_r[DKIM_SIGNATURE_MAX], size_t *length_r)
{
    return dkim_key_sign(arg, hash, signature_r, length_r);
}

static void body_hash(struct str body, unsigned char hash_r[DKIM_HASH])
{
    struct dkim_hash hash;
    size_t step = 1;
    dkim_hash_begin(&hash);
    while (body.n) {
        struct str piece = str_head(body, step);
        dkim_hash_update(&hash, piece);
        body = str_from_index(body, piece.n);
        step = 1 + (step * 5 + 3) % PIECES;
    }
    dkim_hash_end(&hash, hash_r);
}

/* Behind the empty line. */
static struct str body_of(struct str message)
{
    struct header_field field;
    while (header_next(&message, &field))
        continue;
    return str_from_index(message, message.n ? 2 : 0);
}

static void message_sign(struct str message, struct dkim_key *const keys[2])
{
    static const struct str selectors[] = {STR_INIT("one"), STR_INIT("two")};
    unsigned char hash[DKIM_HASH];
    struct dkim_what what = {
        .headers = message, .body_hash = hash, .domain = STR("example.test"), .now = 1795219200};
    struct arena arena;
    struct str fields[2];
    arena_init(&arena, ARENA);
    body_hash(body_of(message), hash);
    for (size_t i = 0; i < 2; i++) {
        const struct dkim_signer signer = {
            .algorithm = dkim_key_algorithm(keys[i]), .sign = key_sign, .arg = keys[i]};
        what.selector = selectors[i];
        must(!err_is(dkim_sign(&what, &signer, &arena, &fields[i])));
    }
    printf("%zu\n", fields[0].n + fields[1].n);
    fwrite(fields[0].p, 1, fields[0].n, stdout);
    fwrite(fields[1].p, 1, fields[1].n, stdout);
    fflush(stdout);
    arena_done(&arena);
}

static void key_begin(enum dkim_algorithm algorithm, struct dkim_key **key_r)
{
    struct buf record = BUF_INIT(DKIM_RECORD_MAX);
    must(!err_is(dkim_key_make(algorithm, key_r)));
    must(!err_is(dkim_key_record(*key_r, &record)));
    printf("%.*s\n", STR_FMT(buf_str(&record)));
    buf_done(&record);
}

int main(void)
{
    static char octets[MESSAGE_MAX], line[LINE_MOST];
    struct dkim_key *keys[2];
    uint64_t n;
    key_begin(DKIM_RSA, &keys[0]);
    key_begin(DKIM_ED25519, &keys[1]);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        struct str text = str_from(line);
        must(str_to_u64(str_head(text, text.n - 1), &n) && n <= MESSAGE_MAX);
        must(fread(octets, 1, n, stdin) == n);
        message_sign(str_make(octets, n), keys);
    }
    dkim_key_free(keys[0]);
    dkim_key_free(keys[1]);
    return 0;
}
