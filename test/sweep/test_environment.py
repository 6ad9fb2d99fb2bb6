"""What is around a real server goes wrong for a while: its disk, its memory, its descriptors, its clock, its log.

Each test begins a fault, lets clients meet it, ends it, and sees that service comes back by itself. The ledger
(house.py) is kept outside: acknowledged is there once and whole, refused is not, and what was refused is refused for
now (4xx). How long the way back took is printed; the limit is a guard against hanging, at ten times what is promised.

ENVIRONMENT_PAUSE=60 stops roles for so many seconds; otherwise a short stop has the others' clocks jump. Mounts are
made in a mount namespace of the test's own, so they go with it whatever happens.
"""
import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]

import pytest  # noqa: E402

import veredus  # noqa: E402
from house import ACKNOWLEDGED, ALICE, BOB, REFUSED, House, Message  # noqa: E402
from pieces import PIECES  # noqa: E402
from table import NEVER, SECOND  # noqa: E402
from veredus import Pop3, Smtp, stuffed, wait_until  # noqa: E402

PROMISED = 5  # seconds until there is service again
GUARD = 10 * PROMISED
PAUSE = float(os.environ.get("ENVIRONMENT_PAUSE", "0"))
LONG = 60  # seconds that a stopped role stays away, as the others' clocks tell
veredus.PATIENCE = max(GUARD, 2 * PAUSE)

SIZES = (500, 20_000, 400_000)  # the last one is an upload
MEGABYTE = 1 << 20
HOUR = 3600 * 1_000_000_000


# --- Houses and disks ---

@pytest.fixture
def house():
    one = made_house()
    yield one
    leave(one)


def made_house(settings=None, log=None):
    one = House(settings, log, hasty=False)
    one.patience = int(veredus.PATIENCE * SECOND)
    return one


def leave(house):
    """Looks at everything, by fsck too, but where a test failed before."""
    if not house.server.process:
        return
    house.look((BOB,), full=True)
    house.close()


@pytest.fixture(scope="module")
def mounts():
    """Mounts of our own."""
    new_namespace = 0x00020000  # CLONE_NEWNS
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    if ctypes.CDLL(None, use_errno=True).unshare(new_namespace) != 0:
        pytest.skip(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class Disk:
    """A file system of its own."""

    def __init__(self, kind, size, options=""):
        self.home = tempfile.mkdtemp(prefix="veredus-disk.")
        os.chmod(self.home, 0o755)
        self.folder = os.path.join(self.home, "disk")
        self.ballast = os.path.join(self.folder, "ballast")
        os.mkdir(self.folder)
        words = ["-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs"]
        if kind == "ext4":
            self.image = os.path.join(self.home, "image")
            with open(self.image, "wb") as image:
                image.truncate(size)
            subprocess.run(["mkfs.ext4", "-qF", "-m", "0", self.image], check=True)
            words = ["-t", "ext4", "-o", f"loop{options}", self.image]
        self.words = words
        self.mount()

    def mount(self):
        done = subprocess.run(["mount", *self.words, self.folder], capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(self.home)
            pytest.skip(f"no such mount here: {done.stderr.strip()}")

    def unmount(self):
        subprocess.run(["umount", self.folder], check=True)

    def device(self):
        return subprocess.run(["findmnt", "-no", "SOURCE", self.folder], capture_output=True, text=True,
                              check=True).stdout.strip()

    def fill(self, leave=0):
        """With one file, to the last octet or nearly so."""
        with open(self.ballast, "ab", buffering=0) as file:
            while leave == 0 or self.free() > leave:
                try:
                    file.write(bytes(1 << 16))
                except OSError as full:
                    assert full.errno == errno.ENOSPC
                    break

    def take_names(self):
        """All inodes."""
        os.mkdir(self.ballast)
        for number in range(1 << 20):
            try:
                open(os.path.join(self.ballast, str(number)), "x").close()
            except OSError as full:
                assert full.errno == errno.ENOSPC
                return

    def free(self):
        numbers = os.statvfs(self.folder)
        return numbers.f_bavail * numbers.f_frsize

    def relieve(self):
        if os.path.isdir(self.ballast):
            shutil.rmtree(self.ballast)
        else:
            os.unlink(self.ballast)

    def close(self):
        self.unmount()
        shutil.rmtree(self.home)


@pytest.fixture
def disk(mounts):
    """Makes disks."""
    made = []

    def make(*how):
        made.append(Disk(*how))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def house_on(disk):
    """Makes a disk, and a house whose data folder is there."""
    made = []

    def make(kind, size, options="", **store):
        there = disk(kind, size, options)
        made.append(made_house({"server": {"data": os.path.join(there.folder, "data")}, "store": store}))
        return made[-1], there

    yield make
    for one in made:
        leave(one)
        one.server.stop(hard=True)


# --- What clients do ---

class Fault:
    """with Fault(...) as fault: the fault holds; behind it, service is back and the ledger is right."""

    def __init__(self, house, name, end):
        self.house, self.name, self.end = house, name, end
        self.unfinished = []
        self.clients = []
        self.speechless = False  # a connection may end without a greeting
        self.roles = set(house.server.roles())
        self.log_from = len(house.server.log())
        self.deaths = 0  # those that are part of the fault

    def send(self, size):
        """One try; the message's state."""
        message = Message(size, (BOB,), BOB)
        state = self.house.send(message)
        if state == ACKNOWLEDGED:
            self.house.keep(message)
        else:
            self.unfinished.append(message)
            assert not message.reply.startswith("5"), message.reply
            clear = message.reply.startswith("4") or self.speechless and "EOFError" in message.reply
            assert state != REFUSED or clear, message.reply
        return state

    def refused(self, size, begins="452 4.3.1 "):
        """As often as it takes: what is known of a disk may be a second old."""
        def once():
            return self.send(size) == REFUSED and self.unfinished[-1].reply

        reply = wait_until(once, f"{begins} is said")
        assert reply.startswith(begins), reply

    def told(self, event, also=""):
        wait_until(lambda: self.house.server.logged(event, self.log_from, also), f"the log tells of {event} {also}")

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        self.end()
        if failed:
            return
        ended = time.monotonic()
        self.house.send_until_accepted(Message(SIZES[0], (BOB,), BOB))
        self.house.mailbox(BOB, False)
        seconds = time.monotonic() - ended
        print(f"{self.name}: back within {seconds:.2f} s")
        assert seconds < GUARD
        for client in self.clients:
            client.finish()
        for message in self.unfinished:
            self.house.send_until_accepted(message)
        self.house.look((BOB,), full=True)
        gone = self.roles - set(self.house.server.roles())
        assert len(gone) == self.deaths, f"{len(gone)} roles ended"
        assert self.house.server.alarms() == []


def status(house):
    return house.server.cli("status", check=False).stdout


def send_some(fault, sizes=SIZES):
    return [fault.send(size) for size in sizes]


def settle(house):
    """Something of everything is there before the fault."""
    for size in SIZES:
        house.send_until_accepted(Message(size, (BOB,), BOB))
    house.look((BOB,), full=True)


# --- The disk ---

def test_little_room_on_the_disk(house_on):
    """Less than store.least_free: refused before anything is written; what is there can be read, and removed."""
    house, disk = house_on("ext4", 256 * MEGABYTE)
    settle(house)
    disk.fill(60 * MEGABYTE)
    with Fault(house, "less than least_free", disk.relieve) as fault:
        for size in SIZES:
            fault.refused(size)
        house.look((BOB,), full=True)
        assert "full" in status(house)
        fault.told("message_refused", "error=DISK_FULL")
        house.empty(BOB)


@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_disk_is_full(house_on, kind):
    """To the last block, in the middle of what is written."""
    house, disk = house_on(kind, 160 * MEGABYTE, least_free="0")
    settle(house)
    disk.fill()
    with Fault(house, f"{kind} full", disk.relieve) as fault:
        for size in SIZES:
            fault.refused(size)
        house.look((BOB,), full=True)
        assert "read-only" in status(house)
        fault.told("message_refused", "error=DISK_FULL")


def test_no_inodes(house_on):
    """Small mail needs no new file; an upload does."""
    house, disk = house_on("tmpfs", 256 * MEGABYTE, ",nr_inodes=100")
    settle(house)
    disk.take_names()
    with Fault(house, "no inodes", disk.relieve) as fault:
        fault.refused(SIZES[2])
        send_some(fault)
        house.look((BOB,), full=True)


def unfinished(house):
    """What may be on the disk or not is not answered before that is final; its client waits."""
    first = sender(house, SIZES[0])
    wait_until(lambda: "read-only" in status(house), "the store says that it is read-only")
    return first


def read_only(house, arm):
    """Every call of core that changes a file says EROFS, until it is released; but for writev, which the log has."""
    calls = "pwrite pwritev fdatasync fsync ftruncate fallocate open openat renameat unlinkat mkdirat".split()
    row = house.table["core"]
    if arm:
        row.arm(1, calls, errno.EROFS, NEVER)
    else:
        row.disarm()


def test_file_system_turns_read_only_and_back(house):
    """No kernel remounts a file system read-only under files that are open for writing, so the calls say it."""
    settle(house)
    read_only(house, True)
    with Fault(house, "read-only and back", lambda: read_only(house, False)) as fault:
        fault.clients = [unfinished(house)]
        for size in SIZES:
            fault.refused(size)
        house.look((BOB,), full=True)
        assert "read-only" in status(house)
        fault.told("message_refused", "error=STORE_READ_ONLY")


def test_file_system_gives_up(house_on):
    """ext4 met an error and lets nothing more be written; only a mount ends that. The stop waits for a client whose
    message may be on the disk or not."""
    if not PAUSE:
        pytest.skip("takes 20 seconds; with ENVIRONMENT_PAUSE")
    house, disk = house_on("ext4", 160 * MEGABYTE, ",errors=remount-ro")
    trigger = f"/sys/fs/ext4/{os.path.basename(disk.device())}/trigger_fs_error"
    if not os.access(trigger, os.W_OK):
        pytest.skip(f"cannot write {trigger}")
    settle(house)
    with open(trigger, "w") as file:
        file.write("veredus")

    def mount_again():
        assert house.server.stop() == 0
        disk.unmount()
        subprocess.run(["e2fsck", "-fy", disk.image], capture_output=True)
        disk.mount()
        house.server.start()

    fault = Fault(house, "ext4 error, mounted again", mount_again)
    fault.deaths = 3
    with fault:
        fault.clients = [unfinished(house)]
        for size in SIZES:
            fault.refused(size)
        house.look((BOB,), full=True)
        assert "read-only" in status(house)
        fault.told("message_refused", "error=STORE_READ_ONLY")


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_the_index_fails_once(house, call):
    """LMDB refuses everything, reading too, behind a page that could not be written: it stayed so."""
    settle(house)
    core = house.table["core"]
    piece = PIECES["apply"](house)
    for n in range(1, 7):
        piece.prepare()
        core.arm(n, [call], errno.EIO)
        piece.do()
        core.disarm()
        piece.look()


def test_log_disk_is_full(disk):
    """What cannot be logged is lost, and counted; mail goes on."""
    small = disk("tmpfs", MEGABYTE)
    house = made_house(log=os.path.join(small.folder, "log"))
    try:
        settle(house)
        small.fill()
        with Fault(house, "log disk full", small.relieve) as fault:
            assert all(send_some(fault, 10 * SIZES[:2])[:1] == [ACKNOWLEDGED] for _ in range(3))
        fault.told("left-out", "event=unwritten")
        assert all(line.startswith("20") or not line for line in house.server.log().splitlines())
        leave(house)
    finally:
        house.server.stop(hard=True)


# --- What a process may have ---

class Limited:
    """A limit of a running role, and what it was before. Without CAP_SYS_RESOURCE only a process of the same user
    may change it."""

    def __init__(self, pid, what, soft):
        self.pid, self.what = pid, what
        self.before = self.prlimit(f"--{what}", "--output=SOFT", "--noheadings", "--raw").strip()
        self.prlimit(f"--{what}={soft}:")

    def prlimit(self, *words):
        owner = os.stat(f"/proc/{self.pid}/task")
        as_owner = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run(["prlimit", "--pid", str(self.pid), *words], capture_output=True, text=True, **as_owner)
        assert done.returncode == 0, done
        return done.stdout

    def end(self):
        self.prlimit(f"--{self.what}={self.before}:")


class Client(threading.Thread):
    """Does something while a fault holds, and has done it some time after."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work, self.failed = work, None
        self.start()

    def run(self):
        try:
            self.work()
        except Exception as failed:  # for the main thread to tell
            self.failed = failed

    def finish(self):
        self.join(2 * veredus.PATIENCE)
        assert not self.is_alive(), "a client waits for ever"
        if self.failed:
            raise self.failed


def sender(house, size):
    message = Message(size, (BOB,), BOB)
    return Client(lambda: house.send_until_accepted(message))


def test_no_descriptors_in_the_smtp_edge(house):
    """Who is inside goes on; who comes waits at the door."""
    settle(house)
    with Smtp(house.server.smtp) as inside:
        limited = Limited(house.table["mx"].pid, "nofile", 0)
        with Fault(house, "no descriptors: mx", limited.end) as fault:
            fault.clients = [sender(house, size) for size in SIZES]
            fault.told("accept", "Too many open files")
            message = Message(SIZES[1], (BOB,), BOB)
            inside.envelope(ALICE, BOB)
            assert inside.data(message.octets).code == 250
            house.keep(message)


def test_no_descriptors_in_the_mailbox_edge(house):
    settle(house)
    limited = Limited(house.table["box"].pid, "nofile", 0)
    with Fault(house, "no descriptors: box", limited.end) as fault:
        fault.clients = [Client(lambda: house.mailbox(ALICE, True))]
        fault.told("accept", "Too many open files")
        send_some(fault)


def test_no_descriptors_in_core(house):
    """Small mail needs none; an upload does."""
    settle(house)
    limited = Limited(house.table["core"].pid, "nofile", 0)
    with Fault(house, "no descriptors: core", limited.end) as fault:
        fault.refused(SIZES[2], "45")
        assert fault.send(SIZES[0]) == ACKNOWLEDGED
        house.mailbox(BOB, False)


@pytest.mark.parametrize("role", ["core", "mx", "box"] if PAUSE else ["mx"])
def test_no_descriptors_in_the_parent(house, role):
    """A role dies and cannot be started. The fault lasts two minutes by the parent's clock."""
    settle(house)
    parent = house.table["serve"]
    limited = Limited(parent.pid, "nofile", 0)
    fault = Fault(house, f"no descriptors: parent, {role} died", limited.end)
    fault.deaths = 1
    with fault:
        os.kill(house.table[role].pid, signal.SIGKILL)
        for _ in range(120 * 5):
            parent.advance(SECOND // 5)
            time.sleep(0.008)
        tries = house.server.logged("role_not_started", fault.log_from)
        assert tries >= 120 // PROMISED, f"{tries} tries in two minutes"


def test_an_edge_that_was_not_linked_when_it_began(house):
    """Nobody linked it later: it had no link whose end it could tell of."""
    settle(house)
    parent = house.table["serve"]
    fault = Fault(house, "no descriptors: an edge's link to core", parent.disarm)
    fault.deaths = 1
    with fault:
        parent.arm(2, ["socketpair"], errno.EMFILE)
        os.kill(house.table["mx"].pid, signal.SIGKILL)
        fault.told("roles_not_linked")


def memory_of(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("role", ["core", "mx", "box", "serve"])
def test_no_memory(house, role):
    """No more than it has, and what its own stack may need."""
    settle(house)
    pid = house.table[role].pid
    limited = Limited(pid, "as", memory_of(pid) + MEGABYTE // 4)
    with Fault(house, f"no memory: {role}", limited.end) as fault:
        fault.speechless = True
        fault.clients = [sender(house, size) for size in 8 * SIZES]
        fault.clients += [Client(lambda: house.log_in(BOB).socket.close()) for _ in range(20)]
        send_some(fault)
        time.sleep(0.5)


# --- Roles that stand still ---

def pause(house, pid):
    """Stopped, while its peers' clocks go on; or, with ENVIRONMENT_PAUSE, really so long."""
    if PAUSE:
        time.sleep(PAUSE)
        return
    time.sleep(0.5)
    for row in house.table.rows.values():
        row.hurry = 20
        row.advance(LONG * SECOND)
    time.sleep(0.5)


@pytest.mark.parametrize("role", ["core", "mx", "box", "serve"])
def test_a_role_stands_still(house, role):
    """Clients of every kind meet it; none is told a lie, and each has its answer in the end."""
    settle(house)
    pid = house.table[role].pid
    last = Message(SIZES[1], (BOB,), BOB)
    with Smtp(house.server.smtp) as half, Pop3(house.server.pop3, BOB) as reading:
        half.envelope(ALICE, BOB)
        half.expect("DATA", 354)
        octets = stuffed(last.octets)
        half.send(octets[:SIZES[1] // 2])
        os.kill(pid, signal.SIGSTOP)
        with Fault(house, f"{role} stood still", lambda: os.kill(pid, signal.SIGCONT)) as fault:
            half.send(octets[SIZES[1] // 2:])
            fault.clients = [sender(house, size) for size in 3 * SIZES]
            fault.clients.append(Client(lambda: house.log_in(ALICE).socket.close()))
            fault.clients.append(Client(lambda: reading.expect("NOOP", True)))
            fault.clients.append(Client(lambda: keep_if_told(house, half, last)))
            pause(house, pid)


def keep_if_told(house, session, message):
    reply = session.reply()
    assert reply.code == 250 or 400 <= reply.code < 500, reply
    if reply.code == 250:
        house.keep(message)


def test_core_dies_while_the_parent_stands_still(house):
    settle(house)
    parent = house.table["serve"].pid
    os.kill(parent, signal.SIGSTOP)
    fault = Fault(house, "parent stood still, core died", lambda: os.kill(parent, signal.SIGCONT))
    fault.deaths = 1
    with fault:
        os.kill(house.table["core"].pid, signal.SIGKILL)
        fault.clients = [sender(house, size) for size in SIZES]
        pause(house, parent)


# --- Clocks that jump ---

def wall(house, hours):
    for row in house.table.rows.values():
        row.wall = hours * HOUR


def ids_of(house, count):
    """Of messages that were just accepted."""
    ids = []
    for _ in range(count):
        message = Message(SIZES[0], (BOB,), BOB)
        house.send_until_accepted(message)
        ids.append(message.reply.rsplit(" ", 1)[1])
    return ids


def jump_inside(house, hours):
    message = Message(SIZES[1], (BOB,), BOB)
    with Smtp(house.server.smtp) as session, Pop3(house.server.pop3, BOB) as reading:
        session.envelope(ALICE, BOB)
        wall(house, hours)
        assert session.data(message.octets).code == 250
        house.keep(message)
        reading.expect("NOOP", True)


@pytest.mark.parametrize("restarts", [False, True])
def test_the_clock_jumps(house, restarts):
    """Forwards and backwards by hours and more, in the middle of sessions or between two starts."""
    settle(house)
    ids = ids_of(house, 3)
    for hours in (5, -5, 24 * 20, 0, -24 * 365, 0):
        if restarts:
            house.stop()
            wall(house, hours)
            house.server.start()
        else:
            jump_inside(house, hours)
        ids += ids_of(house, 3)
        assert house.server.cli("fsck", check=False).returncode == 0
        assert "Accepted" in house.server.cli("trace", ids[-1]).stdout
    assert len(set(ids)) == len(ids)
    assert "Accepted" in house.server.cli("trace", ids[0]).stdout
    with house.log_in(BOB) as session:
        unique = session.listing("UIDL")
        assert len({name for _, name in unique}) == len(unique)
