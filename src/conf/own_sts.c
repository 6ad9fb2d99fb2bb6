#include "conf/own_sts.h"

#include "format/mta_sts.h"

static const struct conf_domain *block_of(const struct conf *conf, struct str domain)
{
    for (size_t i = 0; i < conf->domain_count; i++)
        if (str_eq_nocase(conf->domains[i].name, domain) &&
            conf->domains[i].mta_sts != CONF_MTA_STS_OFF)
            return &conf->domains[i];
    return NULL;
}

bool conf_sts_print(const struct conf *conf, struct str domain, struct buf *to)
{
    static const enum mta_sts_mode modes[] = {[CONF_MTA_STS_NONE] = MTA_STS_NONE,
                                              [CONF_MTA_STS_TESTING] = MTA_STS_TESTING,
                                              [CONF_MTA_STS_ENFORCE] = MTA_STS_ENFORCE};
    const struct conf_domain *block = block_of(conf, domain);
    if (!block)
        return false;
    const struct str *mx =
        block->mta_sts_mx.count ? block->mta_sts_mx.list : &conf->server.hostname;
    size_t count = block->mta_sts_mx.count ? block->mta_sts_mx.count : 1;
    const struct mta_sts_policy policy = {
        .mode = modes[block->mta_sts],
        .max_age = (uint32_t)(block->mta_sts_max_age / 1000000000),
        .mx = mx,
        .mx_count = block->mta_sts == CONF_MTA_STS_NONE ? 0 : count,
    };
    mta_sts_policy_print(&policy, to);
    return !buf_over(to);
}

void conf_sts_id(const struct conf *conf, struct str domain, char id_r[CONF_STS_ID])
{
    struct buf text = BUF_INIT(CONF_STS_MAX);
    struct buf id = {.p = id_r, .cap = CONF_STS_ID, .max = CONF_STS_ID};
    id_r[0] = '\0';
    if (conf_sts_print(conf, domain, &text)) {
        buf_printf(&id, "%016llx", (unsigned long long)str_hash(buf_str(&text)));
        buf_putc(&id, '\0');
    }
    buf_done(&text);
}
