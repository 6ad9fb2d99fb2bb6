"""The fault sweep: a call of a role fails at its n-th use, or from then on, with each error it can return."""
import errno
import threading
import time

from house import require
from kill import in_turn
from pieces import PIECES
from table import CALLS, NEVER

LASTS = 0.25  # seconds that a lasting fault is there, where nobody is told anything before
# What a role cannot be without: its loop would turn for ever, or it would hear nothing.
NOT_LASTING = ("epoll_wait", "read", "write", "EINTR", "EAGAIN")

# What a call may say on Linux. A read or write here is of an eventfd or a signalfd, a writev the log's or LMDB's;
# files are read and written with pread's and pwrite's kin. Not epoll_ctl: a role that the kernel has no memory to wake
# ends on purpose (src/sys/real_loop.c).
ERRORS = {
    "read": "EINTR EAGAIN",
    "write": "EINTR",
    "writev": "EINTR ENOSPC EIO",
    "pread": "EINTR EIO",
    "preadv2": "EINTR EIO EAGAIN",
    "pwrite": "EINTR EIO ENOSPC EDQUOT",
    "pwritev": "EINTR EIO ENOSPC EDQUOT",
    "fdatasync": "EIO ENOSPC EINTR",
    "fsync": "EIO ENOSPC EINTR",
    "ftruncate": "EIO EINTR",
    "fallocate": "ENOSPC EIO EOPNOTSUPP EINTR",
    "fstat": "EIO ENOMEM",
    "fstatvfs": "EIO ENOMEM",
    "open": "EMFILE ENFILE ENOMEM EINTR EIO",
    "openat": "EMFILE ENFILE ENOMEM EINTR EIO ENOSPC",
    "renameat": "EIO ENOSPC",
    "unlinkat": "EIO",
    "mkdirat": "EIO ENOSPC",
    "mmap": "ENOMEM EAGAIN",
    "sendmsg": "EAGAIN EINTR ENOBUFS ENOMEM ECONNRESET",
    "recvmsg": "EAGAIN EINTR ENOMEM",
    "recv": "EAGAIN EINTR ENOMEM ECONNRESET",
    "accept4": "EAGAIN EINTR EMFILE ENFILE ENOMEM ENOBUFS ECONNABORTED EPERM",
    "epoll_wait": "EINTR",
    "eventfd": "EMFILE ENOMEM",
    "socketpair": "EMFILE ENOMEM",
    "pipe2": "EMFILE",
    "fork": "EAGAIN ENOMEM",
    "pthread_create": "EAGAIN",
    "malloc": "ENOMEM",
    "calloc": "ENOMEM",
    "realloc": "ENOMEM",
    "posix_memalign": "ENOMEM",
}


def tries_of(house, piece, role):
    """[(function, error, n)]"""
    piece.prepare()
    before = house.table[role].counts()
    house.table[role].arm(NEVER, CALLS)
    piece.do()
    house.table[role].disarm()
    piece.look()
    after = house.table[role].counts()
    calls = [call for call in ERRORS if (role, call) != ("serve", "writev")]  # it writes its log, and nothing else
    return [(call, error, n) for call in calls for error in ERRORS[call].split()
            for n in range(1, after[call] - before[call] + 1)]


def do_for_a_while(piece):
    """While the fault lasts a client may hear nothing: it waits until the fault is over."""
    doing = threading.Thread(target=piece.do, daemon=True)
    doing.start()
    doing.join(LASTS)
    return doing


def fault_round(house, piece, role, call, error, n, lasting=False):
    """Did it meet the fault? Afterwards there is service, by the same processes, with nothing left open."""
    row = house.table[role]
    row.wait_back()
    piece.prepare()
    begun = row.begun
    alarms = len(house.server.alarms())
    row.arm(n, [call], getattr(errno, error), NEVER if lasting else 1)
    doing = do_for_a_while(piece) if lasting else piece.do()
    hit = row.disarm()
    if lasting:
        doing.join()
    ended = house.now()
    piece.look()
    if hit:
        house.back.append(house.now() - ended)
    require(piece.ends or row.begun == begun, "the role ended")
    require(len(house.server.alarms()) == alarms, "\n".join(house.server.alarms()[alarms:]))
    if row.begun == begun:
        nothing_left_open(house)
    return bool(hit)


def nothing_left_open(house):
    """Not more than before the first fault, as soon as the round's sessions have ended."""
    end = time.monotonic() + 2
    while any(count > house.open_at_first.get(role, count) for role, count in house.descriptors().items()):
        require(time.monotonic() < end, f"descriptors: {house.open_at_first} at first, {house.descriptors()} now")
        time.sleep(0.005)


def lasting_sweep(house, tally, name, role, deadline, chance):
    return fault_sweep(house, tally, name, role, deadline, chance, True)


def fault_sweep(house, tally, name, role, deadline, chance, lasting=False):
    """As kill_sweep."""
    piece = PIECES[name](house, role)
    tries = tries_of(house, piece, role)
    if lasting:
        tries = [one for one in tries if not set(one[:2]) & set(NOT_LASTING)]
    wanted = in_turn(tries, deadline, chance)
    house.open_at_first = house.idle_descriptors()
    house.back, swept, hit, begun = [], 0, 0, time.monotonic()
    for call, error, n in wanted:
        if deadline and time.monotonic() > deadline:
            break
        try:
            hit += fault_round(house, piece, role, call, error, n, lasting)
        except (AssertionError, OSError, EOFError) as what:
            tally.violation(f"{name}: {role}'s {call} {n} says {error}{' from then on' * lasting}: {what}")
            return False
        swept += 1
    tally.rounds += swept
    tally.add("lasts" if lasting else "fault", name, role, swept, hit, time.monotonic() - begun, house.back)
    return True
