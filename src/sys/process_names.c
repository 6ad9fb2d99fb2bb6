/* Names of hosts as every program of this system looks them up: nsswitch.conf(5), hosts(5), the
 * DNS. */
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "sys/process.h"

enum {
    HOST_MOST = 256
};

static bool is_absence(int failed)
{
    return failed == EAI_NONAME || failed == EAI_NODATA || failed == EAI_ADDRFAMILY;
}

static void take(const struct addrinfo *one, struct process_address *to)
{
    if (one->ai_family == AF_INET6)
        memcpy(to->octets, &((const struct sockaddr_in6 *)(const void *)one->ai_addr)->sin6_addr,
               16);
    else
        memcpy(to->octets, &((const struct sockaddr_in *)(const void *)one->ai_addr)->sin_addr, 4);
}

bool process_addresses(struct str name, bool six, struct process_address *list, size_t most,
                       size_t *count_r)
{
    char host[HOST_MOST];
    const struct addrinfo want = {.ai_family = six ? AF_INET6 : AF_INET,
                                  .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    *count_r = 0;
    if (name.n == 0 || name.n >= sizeof(host) || str_index(name, '\0') >= 0)
        return true;
    memcpy(host, name.p, name.n);
    host[name.n] = '\0';
    int failed = getaddrinfo(host, NULL, &want, &found);
    if (failed)
        return is_absence(failed);
    for (const struct addrinfo *one = found; one && *count_r < most; one = one->ai_next)
        take(one, &list[(*count_r)++]);
    freeaddrinfo(found);
    return true;
}
