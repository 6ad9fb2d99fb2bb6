"""How often the roles of a running server call malloc: what test/interpose/alloc_count.c keeps, read."""
import collections
import os
import re
import struct
import subprocess

import veredus

LIBRARY = os.path.join(os.path.dirname(veredus.BINARY), "test", "interpose", "liballoc_count.so")

# struct table, struct slot
SLOTS, STACKS, FRAMES = 128, 64, 12
SLOT = struct.Struct(f"q16s16sQ{STACKS * FRAMES}Q")
TABLE_SIZE = 8 + SLOTS * SLOT.size

Thread = collections.namedtuple("Thread", "pid role name calls stacks")


class Allocations:
    """Give `before` to veredus.Server. A thread is named ROLE for the one that runs a role's commands, ROLE/NAME for
    the others ("core/store-apply")."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.truncate(TABLE_SIZE)
        self.before = ["env", f"LD_PRELOAD={LIBRARY}", f"ALLOC_COUNT={path}"]

    def threads(self):
        with open(self.path, "rb") as file:
            octets = file.read()
        used, = struct.unpack_from("Q", octets)
        assert used <= SLOTS, "more threads than slots"
        for i in range(used):
            pid, role, name, calls, *addresses = SLOT.unpack_from(octets, 8 + i * SLOT.size)
            role, name = (text.rstrip(b"\0").decode() for text in (role, name))
            stacks = [addresses[k * FRAMES:(k + 1) * FRAMES] for k in range(STACKS)]
            yield Thread(pid, role, f"{role}/{name}" if name else role, calls, stacks)

    def calls(self):
        """{thread: calls}, of all processes of a role together."""
        found = collections.Counter()
        for thread in self.threads():
            found[thread.name] += thread.calls
        return found

    def latest(self, name, most):
        """Where the latest calls of a thread came from, the most frequent first."""
        told = []
        for thread in self.threads():
            if thread.name == name and thread.calls:
                latest = [thread.stacks[n % STACKS]
                          for n in range(max(0, thread.calls - min(most, STACKS)), thread.calls)]
                names = names_of(thread.pid, {address for stack in latest for address in stack if address})
                told += [" < ".join(names[address] for address in stack if names.get(address)) for stack in latest]
        return "\n".join(f"{times:4} x {stack}" for stack, times in collections.Counter(told).most_common())


def names_of(pid, addresses):
    """{address: "function file:line"} of those in the server's own program, while it runs."""
    program = os.path.realpath(veredus.BINARY)
    with open(f"/proc/{pid}/maps") as maps:
        spans = [re.match(r"(\w+)-(\w+) \S+ (\w+) \S+ \S+ +(.*)", line).groups() for line in maps if "/" in line]
    begin = min(int(start, 16) for start, _, _, path in spans if path == program)
    end = max(int(stop, 16) for _, stop, _, path in spans if path == program)
    # A return address stands behind the call.
    ours = sorted(address for address in addresses if begin < address < end)
    asked = "\n".join(f"{address - 1 - begin:#x}" for address in ours)
    told = subprocess.run(["addr2line", "-s", "-f", "-e", program], input=asked, capture_output=True, text=True,
                          check=True).stdout.splitlines()
    return {address: f"{told[2 * i]} {told[2 * i + 1].split(' ')[0]}" for i, address in enumerate(ours)}
