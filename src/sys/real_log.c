/*
 * Where a finished line goes. journald and syslog learn the priority by a number in front; both
 * keep the time, word and role that stand in the line.
 *
 * A file may be on a disk that is full. What is lost then is counted, and told with the next line
 * that is taken, which begins a line of its own: of those before it a part may be there.
 *
 * syslog(3) is not used: it opens /dev/log when it likes, which is too late in a sandbox, and it
 * formats what is formatted already.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "sys/log.h"
#include "sys/real.h"

enum {
    /* RFC 5424, 6.2.1 */
    FACILITY_MAIL = 2 * 8,
    PREFIX_LIMIT = 64,
    UNWRITTEN_LIMIT = 200
};

static unsigned priority(int word)
{
    static const unsigned by_word[] = {[LOG_INFO] = 6, [LOG_WARN] = 4, [LOG_FAIL] = 3};
    must(word >= LOG_INFO && word <= LOG_FAIL);
    return by_word[word];
}

/* $JOURNAL_STREAM is "device:inode" of the stream that systemd opened for us. */
static bool is_journal(const char *named)
{
    struct stat st;
    struct str inode = str_from(named);
    struct str device = str_cut(&inode, ':');
    uint64_t dev, ino;
    return str_to_u64(device, &dev) && str_to_u64(inode, &ino) && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == dev && st.st_ino == ino;
}

static int syslog_open(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    int failed = errno;
    if (fd >= 0)
        close(fd);
    return -failed;
}

int world_real_log_to(struct world *world, enum log_sink sink)
{
    must(world == world_real());
    struct real_world *real = (struct real_world *)world;
    real->journal = is_journal(getenv("JOURNAL_STREAM"));
    if (sink == LOG_TO_STANDARD_ERROR)
        return 0;
    int fd = syslog_open();
    if (fd < 0)
        return fd;
    real->syslog = fd;
    return 0;
}

static bool to_syslog(int fd, int word, struct str line)
{
    char text[PREFIX_LIMIT];
    int n = snprintf(text, sizeof(text), "<%u>veredus[%d]: ", FACILITY_MAIL | priority(word),
                     (int)getpid());
    struct str bare = str_ends(line, STR("\n")) ? str_head(line, line.n - 1) : line;
    struct iovec parts[] = {{text, (size_t)n}, {(void *)(uintptr_t)bare.p, bare.n}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* One call, so that the lines of several processes do not mix. False: it did not take all of it. */
static bool to_standard_error(struct real_world *real, int word, struct str before, struct str line)
{
    char text[PREFIX_LIMIT];
    int n = real->journal ? snprintf(text, sizeof(text), "<%u>", priority(word)) : 0;
    struct iovec parts[] = {{(void *)(uintptr_t)before.p, before.n},
                            {text, (size_t)n},
                            {(void *)(uintptr_t)line.p, line.n}};
    ssize_t took;
    while ((took = writev(STDERR_FILENO, parts, 3)) < 0 && errno == EINTR)
        continue;
    return took == (ssize_t)(before.n + (size_t)n + line.n);
}

/* "... warn core left-out event=unwritten lines=N", with the time and role of the line behind it.
 */
static void unwritten_tell(struct real_world *real, struct str line, uint64_t lines)
{
    char text[UNWRITTEN_LIMIT];
    struct buf told = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    struct str rest = line, time = str_cut(&rest, ' ');
    (void)str_cut(&rest, ' ');
    struct str role = str_cut(&rest, ' ');
    buf_printf(&told, "%.*s warn %.*s left-out event=unwritten lines=%llu\n", STR_FMT(time),
               STR_FMT(role), (unsigned long long)lines);
    if (!buf_over(&told))
        (void)to_standard_error(real, LOG_WARN, str_null(), buf_str(&told));
}

void real_log_line(struct world *world, int word, struct str line)
{
    struct real_world *real = (struct real_world *)world;
    if (real->syslog >= 0 && to_syslog(real->syslog, word, line))
        return;
    if (!to_standard_error(real, word, real->unwritten > 0 ? STR("\n") : str_null(), line)) {
        real->unwritten++;
        return;
    }
    uint64_t lines = atomic_exchange(&real->unwritten, 0);
    if (lines > 0)
        unwritten_tell(real, line, lines);
}
