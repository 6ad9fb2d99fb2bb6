/* newsletter: send */
#include "core/admin_command.h"
#include "core/newsletter.h"
#include "format/message_id.h"

/* A file of this system, whose lines end in LF alone, is what people write. One that has CR
 * anywhere stays as it is: what is wrong in it is told. */
static struct str lines_read(struct str text, struct arena *arena)
{
    struct buf lines = buf_in(arena, 2 * text.n + 1);
    if (str_index(text, '\r') >= 0)
        return text;
    while (text.n > 0) {
        buf_put(&lines, str_cut(&text, '\n'));
        buf_put(&lines, STR("\r\n"));
    }
    return buf_built(&lines);
}

int admin_newsletter_send(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr list;
    struct mailing_list found;
    uint64_t id;
    char text[MESSAGE_ID_TEXT];
    if (!admin->core)
        return admin_refuse(call, ADMIN_UNAVAILABLE, "the server is down, and its queue, too",
                            str_null());
    int code = admin_addr(call, call->words[0], &list);
    if (!code)
        code = admin_fail(call, directory_list_show(admin->directory, &list, admin->arena, &found));
    if (!code && found.members == 0)
        return admin_refuse(call, ADMIN_DATA, "it has no members:", found.address);
    struct str issue = code ? str_null() : lines_read(admin->input, admin->arena);
    if (!code && !issue.p)
        code = admin_fail(call, err_make(ERR_OVER_LIMIT));
    if (!code)
        code = admin_fail(call, newsletter_put(admin->core, &list, issue, admin->arena, &id));
    if (code)
        return code;
    message_id_print(id, text);
    json_t *object = json_object();
    json_put_text(object, "newsletter", str_make(text, sizeof(text)));
    json_put(object, "list", admin_address(call, found.address));
    json_put_number(object, "members", found.members);
    return admin_show(call, object);
}
