/*
 * Certificates as the server shows them. The files may be others by now: what counts is what was
 * read.
 */
#include "core/admin_command.h"
#include "core/keys.h"

#define US_A_DAY (INT64_C(86400) * 1000000)

static json_t *names_list(const struct keys_row *row)
{
    json_t *names = json_array();
    for (size_t i = 0; i < row->name_count; i++)
        json_array_append_new(names, json_text(row->names[i]));
    return names;
}

static json_t *listeners_list(unsigned roles)
{
    static const struct {
        unsigned role;
        const char *name; /* as in certificate.listeners */
    } rows[] = {{FROM_MX, "smtp"}, {FROM_SUB, "submission"}, {FROM_BOX, "pop3"}};
    json_t *names = json_array();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (roles & rows[i].role)
            json_array_append_new(names, json_text(str_from(rows[i].name)));
    return names;
}

static json_t *certificate_object(struct admin_call *call, const struct keys_row *row)
{
    const struct certificate *certificate = row->certificate;
    struct arena *arena = call->admin->arena;
    int64_t left = certificate->not_after - world_wall(call->admin->loop->world);
    json_t *object = json_object();
    json_put_text(object, "certificate", row->name);
    json_put_flag(object, "EXPIRED", left <= 0);
    json_put(object, "names", names_list(row));
    json_put_text(object, "issuer", certificate->issuer);
    json_put_time(object, "not_before", certificate->not_before);
    json_put_time(object, "not_after", certificate->not_after);
    json_put(object, "days_left", json_integer(left / US_A_DAY));
    json_put_text(object, "key", certificate_key_text(certificate, arena));
    json_put(object, "listeners", listeners_list(row->roles));
    json_put_text(object, "fingerprint",
                  certificate_fingerprint_text(certificate->fingerprint, arena));
    return object;
}

int admin_tls_show(struct admin_call *call)
{
    const struct keys *keys = call->admin->keys;
    struct admin_list list = admin_list_open(call);
    for (size_t i = 0; i < keys_count(keys); i++) {
        struct keys_row row = keys_row(keys, i);
        admin_list_item(&list, certificate_object(call, &row));
    }
    return admin_list_close(&list, err_none());
}

/* "example: mail.example.test *.example.test, 63 days left"; what is over is said first and loud.
 */
static void certificate_line(struct buf *to, const struct keys_row *row, int64_t now)
{
    int64_t left = row->certificate->not_after - now;
    if (left <= 0)
        buf_put(to, STR("EXPIRED "));
    buf_put(to, row->name);
    buf_putc(to, ':');
    for (size_t i = 0; i < row->name_count; i++)
        buf_printf(to, " %.*s", STR_FMT(row->names[i]));
    if (left <= 0)
        buf_printf(to, ", EXPIRED %lld days ago", (long long)(-left / US_A_DAY));
    else if (row->certificate->not_before > now)
        buf_put(to, STR(", NOT VALID YET"));
    else
        buf_printf(to, ", %lld days left", (long long)(left / US_A_DAY));
}

void admin_put_certificates(struct admin_call *call, json_t *object)
{
    const struct keys *keys = call->admin->keys;
    int64_t now = world_wall(call->admin->loop->world);
    json_t *lines = json_array();
    struct buf line = BUF_INIT(ADMIN_LINE_MAX);
    for (size_t i = 0; i < keys_count(keys); i++) {
        struct keys_row row = keys_row(keys, i);
        buf_clear(&line);
        certificate_line(&line, &row, now);
        json_array_append_new(lines, json_text(buf_str(&line)));
    }
    buf_done(&line);
    json_put(object, "certificates", lines);
}
