"""Counts what a group of processes asks of the kernel: syncs and changes of context.

perf_event_open(2) on trace points, for one cgroup and every processor: no program is traced, nothing is slowed.
"""
import ctypes
import os
import platform
import struct

EVENTS = ("syscalls/sys_enter_fsync", "syscalls/sys_enter_fdatasync", "syscalls/sys_enter_msync",
          "sched/sched_switch")
SYNCS = EVENTS[:3]
SWITCHES = EVENTS[3]

TRACING = "/sys/kernel/tracing/events"
CALL = {"x86_64": 298, "aarch64": 241}.get(platform.machine())
TYPE_TRACEPOINT = 2
FLAG_PID_CGROUP = 1 << 2
ATTRIBUTES = 112  # octets of struct perf_event_attr, version 5


def _open(event, group, processor):
    with open(f"{TRACING}/{event}/id") as file:
        number = int(file.read())
    attributes = struct.pack("IIQ", TYPE_TRACEPOINT, ATTRIBUTES, number).ljust(ATTRIBUTES, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(CALL, attributes, group, processor, -1, FLAG_PID_CGROUP)
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"perf_event_open of {event}")
    return fd


class Counters:
    """Of one cgroup of the second version, from now on; none of them where the kernel does not offer it."""

    def __init__(self, folder):
        self.open = {}
        try:
            group = os.open(folder, os.O_RDONLY)
        except OSError:
            return
        try:
            for event in EVENTS:
                self.open[event] = [_open(event, group, processor) for processor in range(os.cpu_count())]
        except OSError:
            self.close()
        finally:
            os.close(group)

    def read(self):
        """{event: count}"""
        return {event: sum(struct.unpack("Q", os.read(fd, 8))[0] for fd in fds) for event, fds in self.open.items()}

    def close(self):
        for fds in self.open.values():
            for fd in fds:
                os.close(fd)
        self.open = {}
