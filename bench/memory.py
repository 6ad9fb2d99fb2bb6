"""A machine that has been up for a while: its memory holds cached files.

On a virtual machine memory that nobody used for some seconds may have gone back to the host, and its next use waits for
it: a file was written here at 0.35 GB/s into such memory and at 5 GB/s into what had been in use. Who writes most would
pay most for that, and nobody would on a machine of a week's age. So what is free is filled with a cached file of ours,
which gives way to everything else.
"""
import os
import time

FREE = 0.02    # of all memory, that stays free: the kernel keeps about that by itself
PIECE = 1 << 20
PATIENCE = 10  # seconds, once the first filling is over


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
        self.fill(patience=600)

    def fill(self, patience=PATIENCE):
        end = time.monotonic() + patience
        piece = bytearray(PIECE)
        while _kilobytes("MemFree") << 10 > FREE * self.all and time.monotonic() < end:
            self.at = (self.at + os.preadv(self.file, [piece], self.at)) % (2 * self.all)

    def close(self):
        os.close(self.file)
        self.path.unlink()
