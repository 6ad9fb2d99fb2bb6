/* Listening sockets, opened by the parent before anybody's rights are dropped, and unix sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sys/process.h"

enum {
    BACKLOG = 4096, /* the system's own limit (somaxconn) is usually this */
    HOST_TEXT_MOST = 64,
    PORT_MOST = 65535,
};

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
    bool both; /* IPv6 and IPv4 in one socket */
};

static bool port_parse(struct str text, in_port_t *port_r)
{
    uint64_t port;
    if (!str_to_u64(text, &port) || port > PORT_MOST)
        return false;
    *port_r = htons((uint16_t)port);
    return true;
}

static struct endpoint endpoint_v4(in_port_t port)
{
    return (struct endpoint){.v4 = {.sin_family = AF_INET, .sin_port = port},
                             .size = sizeof(struct sockaddr_in)};
}

static struct endpoint endpoint_v6(in_port_t port)
{
    return (struct endpoint){.v6 = {.sin6_family = AF_INET6, .sin6_port = port},
                             .size = sizeof(struct sockaddr_in6)};
}

static bool endpoint_parse(struct str text, struct endpoint *endpoint_r)
{
    char host[HOST_TEXT_MOST] = {0};
    ssize_t colon = str_last_index(text, ':');
    in_port_t port;
    if (colon < 1 || !port_parse(str_from_index(text, (size_t)colon + 1), &port))
        return false;
    struct str name = str_head(text, (size_t)colon);
    bool brackets = name.p[0] == '[' && name.p[name.n - 1] == ']';
    if (brackets)
        name = str_make(name.p + 1, name.n - 2);
    if (name.n == 0 || name.n >= sizeof(host))
        return false;
    memcpy(host, name.p, name.n);
    *endpoint_r = brackets ? endpoint_v6(port) : endpoint_v4(port);
    if (brackets)
        return inet_pton(AF_INET6, host, &endpoint_r->v6.sin6_addr) == 1;
    if (!str_eq(name, STR("*")))
        return inet_pton(AF_INET, host, &endpoint_r->v4.sin_addr) == 1;
    *endpoint_r = endpoint_v6(port);
    endpoint_r->both = true;
    return true;
}

static struct err failed_with(int handle, struct str what)
{
    struct err e = err_os(errno, what);
    if (handle >= 0)
        close(handle);
    return e;
}

static struct err endpoint_listen(const struct endpoint *endpoint, int *handle_r)
{
    int yes = 1, v6_alone = !endpoint->both;
    int handle = socket(endpoint->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (handle < 0)
        return failed_with(handle, STR("socket"));
    if (setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
        return failed_with(handle, STR("SO_REUSEADDR"));
    if (endpoint->any.sa_family == AF_INET6 &&
        setsockopt(handle, IPPROTO_IPV6, IPV6_V6ONLY, &v6_alone, sizeof(v6_alone)) < 0)
        return failed_with(handle, STR("IPV6_V6ONLY"));
    if (bind(handle, &endpoint->any, endpoint->size) < 0)
        return failed_with(handle, STR("bind"));
    if (listen(handle, BACKLOG) < 0)
        return failed_with(handle, STR("listen"));
    *handle_r = handle;
    return err_none();
}

static bool no_such_family(struct err e)
{
    return e.os == EAFNOSUPPORT || e.os == EADDRNOTAVAIL;
}

struct err process_listen(struct str address, int *handle_r)
{
    struct endpoint endpoint;
    if (!endpoint_parse(address, &endpoint))
        return err_detail(ERR_USAGE, STR("no ADDRESS:PORT"));
    struct err e = endpoint_listen(&endpoint, handle_r);
    if (!endpoint.both || !no_such_family(e))
        return e;
    struct endpoint v4 = endpoint_v4(endpoint.v6.sin6_port);
    return endpoint_listen(&v4, handle_r);
}

/* --- Unix sockets ---------------------------------------------------------------------------- */

static bool unix_address(struct str path, struct sockaddr_un *address_r)
{
    *address_r = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path.n == 0 || path.n >= sizeof(address_r->sun_path) || str_index(path, '\0') >= 0)
        return false;
    memcpy(address_r->sun_path, path.p, path.n);
    return true;
}

static struct err path_wrong(void)
{
    return err_detail(ERR_USAGE, STR("the path of a socket has 1 to 107 octets"));
}

static int unix_socket(int type)
{
    return socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
}

static bool set_nonblocking(int handle)
{
    int flags = fcntl(handle, F_GETFL);
    return flags >= 0 && fcntl(handle, F_SETFL, flags | O_NONBLOCK) == 0;
}

static struct err unix_connect(int type, struct str path, int *handle_r)
{
    struct sockaddr_un to;
    if (!unix_address(path, &to))
        return path_wrong();
    int handle = unix_socket(type);
    if (handle < 0 || connect(handle, (struct sockaddr *)&to, sizeof(to)) < 0 ||
        !set_nonblocking(handle))
        return failed_with(handle, STR("connect"));
    *handle_r = handle;
    return err_none();
}

struct err process_connect_unix(struct str path, int *handle_r)
{
    return unix_connect(SOCK_SEQPACKET, path, handle_r);
}

struct err process_connect_local(struct str path, int *handle_r)
{
    return unix_connect(SOCK_STREAM, path, handle_r);
}

/* A socket nobody listens on any more; what is no socket is left alone. */
static bool stale_remove(int type, const struct sockaddr_un *at)
{
    struct stat st;
    int handle = unix_socket(type);
    if (handle < 0)
        return false;
    bool refused =
        connect(handle, (const struct sockaddr *)at, sizeof(*at)) < 0 && errno == ECONNREFUSED;
    close(handle);
    return refused && lstat(at->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
           unlink(at->sun_path) == 0;
}

static bool unix_bind(int handle, const struct sockaddr_un *at)
{
    return bind(handle, (const struct sockaddr *)at, sizeof(*at)) == 0;
}

/* The mode is set before the name exists: bind takes it from the socket. */
static struct err unix_listen(int type, struct str path, int *handle_r)
{
    struct sockaddr_un at;
    if (!unix_address(path, &at))
        return path_wrong();
    int handle = unix_socket(type);
    if (handle < 0 || fchmod(handle, 0600) < 0)
        return failed_with(handle, STR("socket"));
    if (!unix_bind(handle, &at)) {
        if (errno != EADDRINUSE)
            return failed_with(handle, STR("bind"));
        bool removed = stale_remove(type, &at);
        errno = EADDRINUSE;
        if (!removed || !unix_bind(handle, &at))
            return failed_with(handle, STR("bind"));
    }
    if (listen(handle, BACKLOG) < 0 || !set_nonblocking(handle))
        return failed_with(handle, STR("listen"));
    *handle_r = handle;
    return err_none();
}

struct err process_listen_unix(struct str path, int *handle_r)
{
    return unix_listen(SOCK_SEQPACKET, path, handle_r);
}

/* Behind bind, which cuts the mode by the umask. The folder is ours alone. */
static bool unix_open_to(struct str path, int64_t gid)
{
    struct sockaddr_un at;
    bool all = gid < 0;
    return unix_address(path, &at) && (all || chown(at.sun_path, (uid_t)-1, (gid_t)gid) == 0) &&
           chmod(at.sun_path, all ? 0666 : 0660) == 0;
}

struct err process_listen_local(struct str path, struct str group, int *handle_r)
{
    int64_t gid = -1;
    int handle;
    if (group.n > 0 && !process_group(group, &gid))
        return err_detail(ERR_CONFIG, STR("there is no such group"));
    struct err e = unix_listen(SOCK_STREAM, path, &handle);
    if (err_is(e))
        return e;
    if (!unix_open_to(path, gid))
        return failed_with(handle, STR("chmod"));
    *handle_r = handle;
    return err_none();
}
