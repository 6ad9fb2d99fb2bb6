"""A machine that has been up for a while: its memory holds cached files.

On a virtual machine memory that nobody used for some seconds may have gone back to the host, and its next use waits for
it: a file was written here at 0.35 GB/s into such memory and at 5 GB/s into what had been in use. Who writes most would
pay most for that, and nobody would on a machine of a week's age. So what is free is filled with a cached file of ours,
which gives way to everything else.
"""
import os

PIECE = 1 << 20
# Of all memory: what stays free all the same. The kernel keeps some, more after it had to look for it.
FREE = 0.06


def _kilobytes(name):
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))


class Cache:
    def __init__(self, folder):
        self.all = _kilobytes("MemTotal") << 10
        self.path = folder / "cached"
        self.path.touch()
        os.truncate(self.path, 2 * self.all)  # all of it a hole: it takes memory, and no disk
        self.file = os.open(self.path, os.O_RDONLY)
        self.at = 0
        self.fill()

    def fill(self):
        piece = bytearray(PIECE)
        for _ in range(int((_kilobytes("MemFree") << 10) - FREE * self.all) // PIECE):
            self.at = (self.at + os.preadv(self.file, [piece], self.at)) % (2 * self.all)

    def close(self):
        os.close(self.file)
        self.path.unlink()
