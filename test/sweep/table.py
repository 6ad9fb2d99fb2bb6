"""The table that nth_call.c shares with every process of a server: arming a call, counting, moving clocks."""
import mmap
import os
import struct
import threading
import time

import veredus

LIBRARY = os.path.join(os.path.dirname(veredus.BINARY), "test", "sweep", "libnth_call.so")

# nth_call.c: enum call, struct row
CALLS = ("read write writev pread preadv2 pwrite pwritev "
         "fdatasync fsync ftruncate fallocate fstat fstatvfs "
         "open openat renameat unlinkat mkdirat close "
         "mmap munmap sendmsg recvmsg recv accept4 "
         "epoll_wait epoll_ctl eventfd socketpair pipe2 fork pthread_create "
         "malloc calloc realloc posix_memalign").split()
FIELDS = "begun pid skew wall hurry jumped armed mask nth times error seen hits hit".split()
ROLES = ("serve", "core", "mx", "box", "fsck", "courier")
ROWS, NAME_SIZE = 8, 16
ROW_SIZE = NAME_SIZE + 8 * (len(FIELDS) + len(CALLS))

MEMORY = ("malloc", "calloc", "realloc", "posix_memalign")
SYSTEM = [call for call in CALLS if call not in MEMORY]  # between two of them a death leaves the same behind
BACK_PATIENCE = 20  # seconds of real time in which a role is started again, or something else will notice
NEVER = 1 << 40  # an n that is not reached
SECOND = 1_000_000_000
SETTLED = 61 * SECOND  # a role that ends after so long is started again soonest


def field(offset):
    def get(row):
        return struct.unpack_from("q", row.memory, row.at + offset)[0]

    def put(row, value):
        struct.pack_into("q", row.memory, row.at + offset, value)

    return property(get, put)


class Row:
    """One role's; its fields are those of struct row."""

    def __init__(self, memory, at, role):
        self.memory, self.at, self.role = memory, at, role
        self.advancing = threading.Lock()
        self.base = self.others = 0  # processes begun when it was armed; deaths since then that were not here
        memory[at:at + NAME_SIZE] = role.encode().ljust(NAME_SIZE, b"\0")

    def advance(self, nanoseconds):
        """Its clock; also while another thread does so."""
        with self.advancing:
            self.skew += nanoseconds

    def arm(self, nth, calls, error=0, times=1):
        """The n-th call (from 1) of these functions from now on fails with the error, or ends the process (0)."""
        self.mask = sum(1 << CALLS.index(call) for call in calls)
        self.nth, self.times, self.error = nth, times, error
        self.seen = self.hits = self.others = 0
        self.base = self.begun
        self.armed = 1

    def wait_back(self):
        """Before it is armed again: from there on nobody would know that it was away, and its parent's clock not hurry."""
        end = time.monotonic() + BACK_PATIENCE
        while self.away() and time.monotonic() < end:
            time.sleep(0.002)

    def away(self):
        """It ended, and was not started again yet."""
        deaths = self.others + (self.hits if self.error == 0 else 0)
        return deaths > 0 and self.begun < self.base + deaths

    def disarm(self):
        """Which function was hit, "" for none."""
        self.armed = 0
        return CALLS[self.hit] if self.hits else ""

    def counts(self):
        """{function: calls so far}"""
        values = struct.unpack_from(f"{len(CALLS)}q", self.memory, self.at + NAME_SIZE + 8 * len(FIELDS))
        return dict(zip(CALLS, values))


for number, name in enumerate(FIELDS):
    setattr(Row, name, field(NAME_SIZE + 8 * number))


class Table:
    def __init__(self, path):
        with open(path, "wb") as file:
            file.truncate(ROWS * ROW_SIZE)
        os.chmod(path, 0o666)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        self.before = ["env", f"LD_PRELOAD={LIBRARY}", f"NTH_CALL={path}"]
        self.rows = {role: Row(self.memory, i * ROW_SIZE, role) for i, role in enumerate(ROLES)}

    def __getitem__(self, role):
        return self.rows[role]
