"""A place of our own on this machine.

Everything runs in a private mount namespace. There the packages of the peers lie over /usr and /etc without being
installed, their users stand in a passwd file that only we see, and whatever is mounted goes away with the last of our
processes. Of the machine itself nothing is changed.
"""
import datetime
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "bench"  # on the real disk, like the repository

# The users that packages would have made, and our own; each has a group of the same name.
USERS = ("postfix", "postdrop", "dovecot", "dovenull", "vmail", "Debian-exim", "opensmtpd", "opensmtpq",
         "veredus-core", "veredus-edge", "veredus-courier", "veredus-dns")
FIRST_ID = 940
SOURCES = 200  # addresses that `load --spread` uses: 127.0.1.1 ...


def run(*words, **more):
    """A command that has to succeed; what it says is shown where it does not."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(word) for word in words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def enter():
    """Starts this program again in a mount namespace of its own, once."""
    if os.environ.get("BENCH_ENTERED"):
        return
    if os.geteuid() != 0:
        sys.exit("bench/run: peers run as users of their own and file systems are mounted; start it as root")
    os.environ["BENCH_ENTERED"] = "yes"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def _known(path, name):
    return any(line.split(":")[0] == name for line in path.read_text().splitlines())


def _write_users(etc):
    for kind, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin\n"), ("group", "{0}:x:{1}:\n")):
        path = pathlib.Path("/etc") / kind
        text = path.read_text()
        for number, name in enumerate(USERS):
            if not _known(path, name):
                text += line.format(name, FIRST_ID + number)
        (etc / kind).write_text(text)


def _give_group(path, etc, name):
    """A program that has to run with a group, as its package's script would have it."""
    groups = dict(line.split(":")[0:3:2] for line in (etc / "group").read_text().splitlines())
    os.chown(path, 0, int(groups[name]))
    path.chmod(0o2755)


def _write_names(etc):
    """Servers look up who connects; no resolver is to be measured."""
    lines = ["127.0.0.1 localhost client.test mx.bench.test"]
    lines += [f"127.0.1.{1 + n} client{n}.test" for n in range(SOURCES)]
    (etc / "hosts").write_text("\n".join(lines) + "\n")
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")


def lay_over(tree):
    """Shows the unpacked packages at their places, read-only, with users and names that they need."""
    etc = WORK / "etc"
    shutil.rmtree(etc, ignore_errors=True)
    etc.mkdir(parents=True)
    _write_users(etc)
    _write_names(etc)
    (etc / "exim4").mkdir()
    (etc / "exim4" / "exim4.conf").symlink_to(WORK / "exim4.conf")
    for name in ("var/spool/smtpd", "var/lib/opensmtpd/empty"):  # compiled into OpenSMTPD
        (tree / name).mkdir(parents=True, exist_ok=True)
    _give_group(tree / "usr/sbin/smtpctl", etc, "opensmtpq")
    for place in ("/usr", "/etc", "/var/spool", "/var/lib"):
        over = [etc] if place == "/etc" else []
        lower = ":".join(str(one) for one in [*over, tree / place[1:], place])
        run("mount", "-t", "overlay", "-o", f"ro,lowerdir={lower}", "overlay", place)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")


def mount_tracing():
    """Where the kernel names its trace points; False where it has none."""
    place = "/sys/kernel/tracing"
    if os.path.isdir(place + "/events"):
        return True
    return subprocess.run(["mount", "-t", "tracefs", "tracefs", place], capture_output=True).returncode == 0


class JournaledDisk:
    """A fresh ext4 with a journal, in a file that is written through to the disk (direct I/O, flushes passed on)."""

    def __init__(self, gigabytes):
        self.folder = WORK / "journaled"
        self.image = WORK / "journaled.img"
        self.image.unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        run("fallocate", "-l", f"{gigabytes}G", self.image)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        self.device = run("losetup", "--direct-io=on", "--find", "--show", self.image).strip()
        run("mount", self.device, self.folder)
        run("losetup", "--detach", self.device)  # takes effect when it is unmounted, in whatever way

    def close(self):
        run("umount", self.folder)
        self.image.unlink()


def has_journal(folder):
    device = os.stat(folder).st_dev
    name = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
    journals = pathlib.Path("/proc/fs/jbd2")
    return journals.is_dir() and any(one.name.startswith(name + "-") for one in journals.iterdir())


def facts():
    """What a reader has to know of the machine."""
    model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                 "unknown processor")
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal:"))
    release = next((line.partition("=")[2].strip().strip('"') for line in open("/etc/os-release")
                    if line.startswith("PRETTY_NAME=")), "unknown system")
    return {"date": datetime.date.today().isoformat(), "journal": has_journal(WORK),
            "processors": os.cpu_count(), "model": model, "memory_gb": round(memory / 2**20),
            "system": f"{release}, Linux {os.uname().release}",
            "commit": run("git", "-C", ROOT, "rev-parse", "--short", "HEAD").strip() if shutil.which("git") else "?"}
