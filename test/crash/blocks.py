#!/usr/bin/python3
"""Crash states at block level: what a power cut may leave of a file system with a store on it.

    test/crash/blocks.py [--fs ext4|xfs|btrfs] [--states N] [--seed S] [--workload NAME] [--build FOLDER]
    test/crash/blocks.py --lying ...    syncs do not reach the disk: violations must be found, or nothing is proved

As root, before a release; not part of ./check. `crash --live` runs a workload on a file system whose device is exported by
qemu-storage-daemon, which logs every write and flush; what is acknowledged is written to the same device behind the file
system, so it has its place in the log. A state is: all writes before the last flush before a moment, and of the rest each
with chance 0.45, torn at 512 octets with 0.10. It is mounted, and `crash --judge` opens and judges the store in it.

qemu and mkfs are unpacked under BUILD/blocks, not installed. Exits 1 if a state was wrong; such a state's image is kept there.
"""
import argparse
import glob
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

PACKAGES = ["qemu-system-common", "xfsprogs", "btrfs-progs", "liburing2", "libfuse3-3", "libaio1", "libinih1", "liburcu8"]
MEBI = 1 << 20
NOTE_BLOCK = 4096
NOTES = 4 * MEBI  # room for notes behind the file system
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4
KEPT, TORN = 0.45, 0.10
# Of each file system: its size in MiB, how it is made, how it is mounted.
SYSTEMS = {
    "ext4": (48, ["mkfs.ext4", "-qF"], ""),
    "xfs": (300, ["mkfs.xfs", "-qf"], "nouuid"),
    "btrfs": (128, ["mkfs.btrfs", "-qf"], ""),
}
# What an operator runs where it cannot be mounted: ext4 writes its superblock in place, and one that is torn has no sum that
# is right.
MENDERS = {"ext4": ["e2fsck", "-fy"]}
LYING = {"ext4": "nobarrier", "xfs": "", "btrfs": "nobarrier"}


def unpack(folder):
    """Programs that are not on the machine, and what they need."""
    root = os.path.join(folder, "root")
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(os.path.join(root, ".whole")):
        for package in PACKAGES:
            subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        for package in glob.glob(os.path.join(folder, "*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
            os.remove(package)
        open(os.path.join(root, ".whole"), "w").close()
    libraries = [os.path.join(root, at, "x86_64-linux-gnu") for at in ("usr/lib", "lib")]
    paths = [os.path.join(root, at) for at in ("usr/bin", "usr/sbin", "sbin", "bin")] + ["/usr/sbin", "/sbin"]
    return dict(os.environ, LD_LIBRARY_PATH=":".join(libraries), PATH=":".join(paths + [os.environ["PATH"]]))


class Trial:
    def __init__(self, options, env, scratch):
        self.options, self.env, self.scratch = options, env, scratch
        self.size, self.mkfs, self.mount_options = SYSTEMS[options.fs]
        self.crash = os.path.join(options.build, "test", "crash", "crash")
        self.mended = 0
        self.mounted = self.at("mounted")
        os.mkdir(self.mounted)

    def at(self, name):
        return os.path.join(self.scratch, name)

    def run(self, *command, **more):
        return subprocess.run(command, env=self.env, **more)

    def mount(self, device, *options):
        options = [o for o in options + (self.mount_options,) if o]
        loop = [] if device.startswith("/dev/loop") else ["loop"]
        where = ["-o", ",".join(loop + options)] if loop + options else []
        return self.run("mount", "-t", self.options.fs, *where, device, self.mounted, stderr=subprocess.PIPE).returncode == 0

    # --- Recording ---------------------------------------------------------------------------------

    def images_make(self):
        total = self.size * MEBI + NOTES
        for name, size in (("base.img", total), ("exp.img", total), ("log.img", 4096 * MEBI)):
            with open(self.at(name), "wb") as image:
                image.truncate(size)
        with open(self.at("fs.img"), "wb") as image:
            image.truncate(self.size * MEBI)
        self.run(*self.mkfs, self.at("fs.img"), check=True, stdout=subprocess.DEVNULL)
        assert self.mount(self.at("fs.img"))
        os.mkdir(os.path.join(self.mounted, "store"))
        self.run("umount", self.mounted, check=True)
        self.run("dd", "if=fs.img", "of=base.img", "conv=notrunc,sparse", "bs=64k", "status=none", cwd=self.scratch, check=True)
        self.run("cp", "--sparse=always", "base.img", "orig.img", cwd=self.scratch, check=True)

    def daemon_start(self):
        daemon = subprocess.Popen(
            ["qemu-storage-daemon", "--blockdev", "driver=file,node-name=base,filename=base.img", "--blockdev",
             "driver=file,node-name=log,filename=log.img", "--blockdev",
             "driver=blklogwrites,node-name=lw,file=base,log=log,log-sector-size=512", "--export",
             "type=fuse,id=e,node-name=lw,mountpoint=exp.img,writable=on"], cwd=self.scratch, env=self.env)
        for _ in range(100):
            if any(self.at("exp.img") in line for line in open("/proc/mounts")):
                return daemon
            time.sleep(0.05)
        daemon.terminate()
        sys.exit("blocks.py: qemu-storage-daemon does not export")

    def record(self):
        self.images_make()
        daemon = self.daemon_start()
        device = self.run("losetup", "-f", "--show", "exp.img", cwd=self.scratch, check=True,
                          stdout=subprocess.PIPE).stdout.decode().strip()
        try:
            assert self.mount(device, LYING[self.options.fs] if self.options.lying else "")
            done = self.run(self.crash, "--live", os.path.join(self.mounted, "store"), "--notes", device, "--notes-at",
                            str(self.size * MEBI), "--workload", self.options.workload, "--seed", str(self.options.seed))
            self.run("umount", self.mounted, check=True)
        finally:
            self.run("losetup", "-d", device)
            daemon.terminate()
            daemon.wait()
        if done.returncode != 0:
            sys.exit("blocks.py: the workload failed")
        return self.log_read()

    def log_read(self):
        entries = []
        with open(self.at("log.img"), "rb") as log:
            magic, _, count, sector = struct.unpack("<QQQI", log.read(28))
            assert magic == MAGIC and sector == 512
            at = 512
            for _ in range(count):
                log.seek(at)
                where, sectors, flags, _ = struct.unpack("<QQQQ", log.read(32))
                at += 512
                n = 0 if flags & DISCARD else sectors * 512
                log.seek(at)
                entries.append((where * 512, flags, log.read(n)))
                at += n
        return entries

    # --- States --------------------------------------------------------------------------------------

    def is_note(self, entry):
        return entry[0] >= self.size * MEBI and entry[2]

    def state_make(self, entries, moment, chance):
        """The disk at `moment`; notes are kept as they are: they are ours, not the disk's."""
        durable = max([i for i in range(moment) if entries[i][1] & FLUSH], default=0)
        self.run("cp", "--sparse=always", "orig.img", "state.img", cwd=self.scratch, check=True)
        with open(self.at("state.img"), "r+b") as image:
            for i, (at, flags, octets) in enumerate(entries[:moment]):
                if not octets:
                    continue
                if i < durable or flags & FUA or self.is_note(entries[i]):
                    pieces = [(at, octets)]
                elif chance.random() >= KEPT:
                    pieces = []
                elif chance.random() >= TORN:
                    pieces = [(at, octets)]
                else:
                    pieces = [(at + j, octets[j:j + 512]) for j in range(0, len(octets), 512) if chance.random() < 0.5]
                for where, piece in pieces:
                    image.seek(where)
                    image.write(piece)

    def state_mount(self):
        image = self.at("state.img")
        if self.mount(image):
            return True
        mender = MENDERS.get(self.options.fs)
        if not mender:
            return False
        self.mended += 1
        self.run(*mender, image, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self.mount(image)

    def state_judge(self):
        if not self.state_mount():
            return "it cannot be mounted"
        try:
            done = self.run(self.crash, "--judge", os.path.join(self.mounted, "store"), "--notes", self.at("state.img"),
                            "--notes-at", str(self.size * MEBI), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
            return None if done.returncode == 0 else done.stdout.decode(errors="replace").strip()
        finally:
            self.run("umount", self.mounted, check=True)

    def kept(self, state):
        return os.path.join(self.options.build, "blocks", f"{self.options.fs}-{self.options.seed}-{state}.img")

    def judge(self, entries, deadline):
        wrong = done = 0
        started = time.monotonic()
        notes = sum(1 for entry in entries if self.is_note(entry))
        flushes = sum(1 for entry in entries if entry[1] & FLUSH)
        print(f"{self.options.fs}: {len(entries)} writes, {flushes} flushes, {notes} notes", flush=True)
        while done < self.options.states and wrong < 5 and time.monotonic() < deadline:
            done += 1
            chance = random.Random(f"{self.options.seed} {done}")
            moment = chance.randrange(1, len(entries) + 1)
            again = chance.getstate()
            self.state_make(entries, moment, chance)
            why = self.state_judge()
            if why:
                wrong += 1
                chance.setstate(again)
                self.state_make(entries, moment, chance)
                if not self.options.lying:
                    shutil.copyfile(self.at("state.img"), self.kept(done))
                print(f"state {done}, at write {moment}: {why}", flush=True)
        print(f"{self.options.fs}: {done} states, {done / (time.monotonic() - started):.1f} a second, {self.mended} mended, {wrong} wrong")
        return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fs", choices=SYSTEMS, default="ext4")
    parser.add_argument("--states", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workload", default="mix")
    parser.add_argument("--build", default="build")
    parser.add_argument("--scratch", default="/dev/shm")
    parser.add_argument("--lying", action="store_true")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    env = unpack(os.path.join(options.build, "blocks"))
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="veredus-blocks-") as scratch:
        trial = Trial(options, env, scratch)
        entries = trial.record()
        wrong = trial.judge(entries, time.monotonic() + options.seconds)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
