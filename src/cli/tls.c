/*
 * veredus tls new: the pair that a server needs to speak TLS at all. It asks nothing of a running
 * server and changes no configuration: what is to be added is printed.
 */
#include "cli/cli.h"

#include "format/addr.h"
#include "sys/process.h"
#include "trust/certificate.h"

enum {
    CHAIN_MODE = 0644,
    KEY_MODE = 0600,
    FOLDER_MODE = 0700,
};

struct pair {
    struct cli *cli;
    struct str names[CERTIFICATE_NAMES_MAX]; /* A-labels */
    size_t count;
    struct str folder;
    bool force, folder_is_named;
    struct str title; /* of the files and of the block */
    struct str chain_path, key_path;
    struct str chain, key;
};

static int usage(const char *wrong, struct str word)
{
    fprintf(stderr,
            "veredus: %s \"%.*s\"; usage: veredus tls new NAME ... [--out FOLDER] [--force]\n",
            wrong, STR_FMT(word));
    return EXIT_USAGE;
}

/* --- What was typed -------------------------------------------------------------------------- */

/* "*" may stand for the first label. */
static bool name_read(struct pair *pair, struct str word, struct str *name_r)
{
    struct arena *arena = &pair->cli->arena;
    bool wild = str_starts(word, STR("*."));
    struct buf text = buf_in(arena, CLI_PATH_MAX);
    struct str domain;
    if (err_is(domain_parse(str_from_index(word, wild ? 2 : 0), arena, &domain)))
        return false;
    buf_put(&text, wild ? STR("*.") : STR(""));
    buf_put(&text, domain);
    *name_r = buf_built(&text);
    return name_r->p != NULL;
}

static int words_read(struct pair *pair)
{
    const struct cli *cli = pair->cli;
    for (size_t i = 2; i < cli->word_count; i++) {
        struct str word = cli->words[i];
        if (str_eq(word, STR("--force")))
            pair->force = true;
        else if (str_eq(word, STR("--out")) && i + 1 < cli->word_count)
            pair->folder = cli->words[++i], pair->folder_is_named = true;
        else if (str_starts(word, STR("-")))
            return usage("unknown or incomplete option", word);
        else if (pair->count >= CERTIFICATE_NAMES_MAX)
            return usage("that is one name too many:", word);
        else if (!name_read(pair, word, &pair->names[pair->count++]))
            return usage("that is no host name:", word);
    }
    return pair->count ? 0 : usage("expected a host name behind", STR("tls new"));
}

static struct str joined(struct cli *cli, struct str one, const char *between, struct str two,
                         const char *end)
{
    struct buf text = buf_in(&cli->arena, CLI_PATH_MAX);
    buf_printf(&text, "%.*s%s%.*s%s", STR_FMT(one), between, STR_FMT(two), end);
    return buf_built(&text);
}

static bool paths_make(struct pair *pair)
{
    struct cli *cli = pair->cli;
    struct buf whole = BUF_INIT(CLI_PATH_MAX); /* the block shall hold wherever it stands */
    struct str name = pair->names[0];
    bool wild = str_starts(name, STR("*."));
    process_absolute_path(pair->folder, &whole);
    struct str folder = buf_copy(&whole, &cli->arena);
    buf_done(&whole);
    pair->title =
        joined(cli, wild ? STR("wildcard.") : STR(""), "", str_from_index(name, wild ? 2 : 0), "");
    if (!folder.p || !pair->title.p)
        return false;
    pair->chain_path = joined(cli, folder, "/", pair->title, ".pem");
    pair->key_path = joined(cli, folder, "/", pair->title, ".key");
    return pair->chain_path.p && pair->key_path.p;
}

/* --- The files ------------------------------------------------------------------------------- */

static int write_failed(struct str path, struct err e)
{
    if (e.code == ERR_EXISTS)
        fprintf(stderr, "veredus: %.*s is there already; --force makes a new one in its place\n",
                STR_FMT(path));
    else
        fprintf(stderr, "veredus: cannot write %.*s: %s\n", STR_FMT(path),
                e.os ? strerror(e.os) : err_row(e.code)->text);
    return EXIT_CANNOT_CREATE;
}

/* Where one is named and missing, the last of the path: for its owner alone, since it is for keys.
 */
static int folder_make(const struct pair *pair)
{
    if (!pair->folder_is_named)
        return 0;
    struct err e = process_make_folder(pair->folder, FOLDER_MODE);
    if (!err_is(e) || e.code == ERR_EXISTS)
        return 0;
    fprintf(stderr, "veredus: cannot make the folder %.*s: %s\n", STR_FMT(pair->folder),
            e.os ? strerror(e.os) : err_row(e.code)->text);
    return EXIT_CANNOT_CREATE;
}

/* Both or, where it is not forced, none. */
static int files_write(struct pair *pair)
{
    struct err (*put)(struct str, struct str, unsigned) =
        pair->force ? process_write_file : process_new_file;
    struct err e = put(pair->key_path, pair->key, KEY_MODE);
    if (err_is(e))
        return write_failed(pair->key_path, e);
    e = put(pair->chain_path, pair->chain, CHAIN_MODE);
    if (!err_is(e))
        return 0;
    if (!pair->force)
        (void)process_remove_file(pair->key_path);
    return write_failed(pair->chain_path, e);
}

static struct err pair_make(struct pair *pair)
{
    unsigned char serial[CERTIFICATE_SERIAL];
    struct world *world = world_real();
    world_random(world, serial, sizeof(serial));
    return certificate_make(pair->names, pair->count, world_wall(world), serial, &pair->cli->arena,
                            &pair->chain, &pair->key);
}

static void pair_say(const struct pair *pair)
{
    unsigned char fingerprint[CERTIFICATE_FINGERPRINT];
    struct str text = str_null();
    if (!err_is(certificate_fingerprint(pair->chain, fingerprint)))
        text = certificate_fingerprint_text(fingerprint, &pair->cli->arena);
    printf("# A self-signed certificate, %.*s\n"
           "# To show it, add this to %.*s and reload:\n"
           "certificate %.*s {\n"
           "    chain = \"%.*s\"\n"
           "    key = \"%.*s\"\n"
           "}\n",
           STR_FMT(text), STR_FMT(pair->cli->file), STR_FMT(pair->title), STR_FMT(pair->chain_path),
           STR_FMT(pair->key_path));
}

int cli_tls_new(struct cli *cli)
{
    struct pair pair = {.cli = cli, .folder = cli->folder};
    int code = words_read(&pair);
    if (code)
        return code;
    struct err e = paths_make(&pair) ? pair_make(&pair) : err_make(ERR_NO_MEMORY);
    if (err_is(e)) {
        cli_say(e.detail.n ? e.detail : str_from(err_row(e.code)->text));
        return EXIT_SOFTWARE;
    }
    code = folder_make(&pair);
    if (!code)
        code = files_write(&pair);
    str_wipe(pair.key);
    if (!code)
        pair_say(&pair);
    return code;
}
