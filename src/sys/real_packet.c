/*
 * Packets between roles and the memory they share. Both ends check what the other could have done:
 * a role that was taken over may send more descriptors than we asked for, or a memfd that it cuts
 * short while we read from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/real.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

enum {
    SHM_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL
};

/* Room for one descriptor is padded to room for two, so a second one does arrive. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* Keeps the first descriptor that came and closes the others. How many came? */
static int take_descriptors(struct msghdr *message, int *first_r)
{
    int count = 0;
    *first_r = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (count++ == 0)
                *first_r = descriptor;
            else
                close(descriptor);
        }
    }
    return count;
}

ssize_t real_packet_recv(struct world *world, int handle, void *to, size_t cap, int *passed_r)
{
    (void)world;
    *passed_r = -1;
    union control control;
    struct iovec part = {to, cap};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t got;
    do
        got = recvmsg(handle, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;

    int passed;
    int count = take_descriptors(&message, &passed);
    bool stray = count > 1 || (message.msg_flags & MSG_CTRUNC);
    if (!stray && !(message.msg_flags & MSG_TRUNC)) {
        *passed_r = passed;
        return got;
    }
    if (passed >= 0)
        close(passed);
    return stray ? -EBADMSG : -EMSGSIZE;
}

ssize_t real_packet_send(struct world *world, int handle, struct str packet, int pass)
{
    (void)world;
    must(packet.n > 0);
    union control control = {.bytes = {0}};
    struct iovec part = {(void *)(uintptr_t)packet.p, packet.n};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (pass >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &pass, sizeof(int));
    }
    for (;;) {
        ssize_t sent = sendmsg(handle, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            return sent;
        if (errno != EINTR)
            return -errno;
    }
}

static int memory_file(void)
{
    int fd = memfd_create("veredus", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("veredus", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

int real_shm_create(struct world *world, size_t size)
{
    (void)world;
    int fd = memory_file();
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SHM_SEALS) < 0) {
        int failed = errno;
        close(fd);
        return -failed;
    }
    return fd;
}

void *real_shm_map(struct world *world, int handle, size_t size)
{
    (void)world;
    struct stat st;
    int seals = fcntl(handle, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(handle, &st) < 0 ||
        (uint64_t)st.st_size < size)
        return NULL;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    return at == MAP_FAILED ? NULL : at;
}

void real_shm_unmap(struct world *world, void *at, size_t size)
{
    (void)world;
    must(munmap(at, size) == 0);
}
