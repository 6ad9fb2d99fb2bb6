/* domain add|show|list|remove */
#include "core/admin_command.h"

static json_t *domain_object(const struct admin_call *call, const struct domain *domain)
{
    json_t *object = json_object();
    admin_put_name(call, object, "domain", domain->name);
    json_put_time(object, "created", domain->created);
    return object;
}

int admin_domain_add(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct str domain;
    int code = admin_domain_name(call, call->words[0], &domain);
    if (!code)
        code = admin_fail(call, directory_domain_add(admin->directory, domain, admin->arena));
    return code ? code : admin_done(call, "added", "domain", domain);
}

int admin_domain_show(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct str name;
    struct domain domain;
    int code = admin_domain_name(call, call->words[0], &name);
    if (!code)
        code =
            admin_fail(call, directory_domain_show(admin->directory, name, admin->arena, &domain));
    return code ? code : admin_show(call, domain_object(call, &domain));
}

static struct err domain_item(void *arg, const struct domain *domain)
{
    struct admin_list *list = arg;
    admin_list_item(list, domain_object(list->call, domain));
    return err_none();
}

int admin_domain_list(struct admin_call *call)
{
    struct admin_list list = admin_list_open(call);
    struct err e = directory_domains(call->admin->directory, domain_item, &list);
    return admin_list_close(&list, e);
}

int admin_domain_remove(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct str domain;
    int code = admin_domain_name(call, call->words[0], &domain);
    if (!code)
        code = admin_fail(call, directory_domain_remove(admin->directory, domain, admin->arena));
    return code ? code : admin_done(call, "removed", "domain", domain);
}
