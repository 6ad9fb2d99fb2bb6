"""What a run costs: processor time of a server's processes, what the disk is asked to do, memory, and the disk's own
latency beside it."""
import os
import pathlib
import signal
import time

import events

SECTOR = 512


def _mounted(kind, option=None):
    for line in open("/proc/self/mounts"):
        _, place, found, options = line.split()[:4]
        if found == kind and (option is None or option in options.split(",")):
            return pathlib.Path(place)
    return None


class Group:
    """The processes of one server: a cgroup, by which they are counted and, in the end, found."""

    def __init__(self, name):
        self.second = _mounted("cgroup2")
        base = self.second or _mounted("cgroup", "cpuacct")
        assert base, "no cgroup file system (version 2, or cpuacct of version 1) is mounted"
        self.folder = base / f"veredus-bench-{os.getpid()}-{name}"
        self.folder.mkdir()
        self.counters = events.Counters(self.folder)

    def join(self):
        """Called in a process that is to be one of the group, before it runs the server."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def processes(self):
        return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]

    def cpu(self):
        """Seconds in user mode and in the kernel."""
        if not self.second:
            return tuple(int((self.folder / f"cpuacct.usage_{part}").read_text()) / 1e9 for part in ("user", "sys"))
        lines = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return int(lines["user_usec"]) / 1e6, int(lines["system_usec"]) / 1e6

    def memory(self):
        """Octets: proportional share of all pages, and anonymous ones, of all processes together."""
        pss = anonymous = 0
        for pid in self.processes():
            try:
                rollup = open(f"/proc/{pid}/smaps_rollup").read()
                status = open(f"/proc/{pid}/status").read()
            except (FileNotFoundError, ProcessLookupError):
                continue
            pss += _kilobytes(rollup, "Pss:")
            anonymous += _kilobytes(status, "RssAnon:")
        return {"pss": pss, "anonymous": anonymous, "processes": len(self.processes())}

    def wait_empty(self, seconds=20):
        """Ends, each by its id, what has not ended by itself then."""
        for number, last in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5), (signal.SIGKILL, 5)):
            end = time.monotonic() + last
            while self.processes() and time.monotonic() < end:
                time.sleep(0.02)
            for pid in self.processes():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass

    def close(self):
        self.wait_empty()
        self.counters.close()
        self.folder.rmdir()


def _kilobytes(text, name):
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(name))


class Disk:
    """The device that a folder's file system lies on, as the kernel counts it."""

    def __init__(self, folder):
        device = os.stat(folder).st_dev
        path = pathlib.Path(os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
        self.path = path.parent if (path / "partition").exists() else path
        self.patience = 6  # seconds that settle() waits at most

    def read(self):
        """Octets written and flushes, since the machine was started."""
        fields = (self.path / "stat").read_text().split()
        return {"written": int(fields[6]) * SECTOR, "flushes": int(fields[15]) if len(fields) > 15 else 0}

    def settle(self, quiet=0.3):
        """Waits until nothing has been written for a while: what was begun before a run is not part of it."""
        os.sync()
        end = time.monotonic() + self.patience
        before = self.read()
        while time.monotonic() < end:
            time.sleep(quiet)
            now = self.read()
            if now == before:
                return
            before = now


def busy():
    """Seconds that all processors together have worked."""
    fields = open("/proc/stat").readline().split()[1:]
    return sum(int(fields[n]) for n in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")


class Meter:
    """From begin() to end(): what a server and the disk did."""

    def __init__(self, group, disk, beside=()):
        """beside: groups of whatever else belongs to the case."""
        self.group, self.disk, self.beside = group, disk, beside

    def beside_cpu(self):
        return sum(sum(group.cpu()) for group in self.beside)

    def begin(self):
        self.disk.settle()
        self.events = self.group.counters.read()
        self.written = self.disk.read()
        self.cpu = self.group.cpu()
        self.busy = busy() - self.beside_cpu()
        self.generator = sum(os.times()[2:4])
        self.at = time.monotonic()

    def stop(self):
        """The work is done; what follows is only for the disk."""
        self.seconds = time.monotonic() - self.at
        self.cpu = [now - then for now, then in zip(self.group.cpu(), self.cpu)]
        self.generator = sum(os.times()[2:4]) - self.generator
        self.busy = busy() - self.beside_cpu() - self.busy

    def end(self, messages):
        """What it came to for each message."""
        os.sync()
        written = self.disk.read()
        counted = {name: count - self.events[name] for name, count in self.group.counters.read().items()}
        found = {
            "cpu_us": sum(self.cpu) / messages * 1e6,
            "system_us": self.cpu[1] / messages * 1e6,
            "written": (written["written"] - self.written["written"]) / messages,
            "flushes": (written["flushes"] - self.written["flushes"]) / messages,
            "generator_us": self.generator / messages * 1e6,
            # processors taken by anything else, the kernel's own threads included
            "others": max(0, self.busy - self.generator - sum(self.cpu)) / self.seconds,
        }
        if counted:
            found["syncs"] = sum(counted[name] for name in events.SYNCS) / messages
            found["switches"] = counted[events.SWITCHES] / messages
        return found


def sync_latency(folder, seconds=3.0):
    """Milliseconds (p50, p99) of writing 4 KB over blocks that were written before, and one fdatasync."""
    path = os.path.join(folder, "sync-latency")
    blocks, size = 4096, 4096
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for _ in range(blocks):
            os.write(fd, bytes(size))
        os.fsync(fd)
        found, block, end = [], os.urandom(size), time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.perf_counter()
            os.pwrite(fd, block, len(found) % blocks * size)
            os.fdatasync(fd)
            found.append(time.perf_counter() - begun)
    finally:
        os.close(fd)
        os.unlink(path)
    found.sort()
    return found[len(found) // 2] * 1e3, found[len(found) * 99 // 100] * 1e3
