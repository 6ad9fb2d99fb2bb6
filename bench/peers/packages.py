"""Gets the peers from Debian: downloaded and unpacked under build/, never installed, so that nothing of them is
started, and packages that conflict lie side by side."""
import os
import pathlib
import re
import subprocess
import sys

import machine

PACKAGES = ("postfix", "exim4-daemon-heavy", "opensmtpd", "dovecot-core", "dovecot-lmtpd", "dovecot-pop3d")
TREE = machine.WORK / "tree"


def _needed(package):
    """The package and what it depends on, as far as this machine does not have it."""
    done = subprocess.run(["apt-get", "--simulate", "--no-install-recommends", "install", package],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise LookupError(done.stderr)
    return re.findall(r"^Inst (\S+)", done.stdout, re.MULTILINE)


def _all_needed():
    try:
        return sorted({name for package in PACKAGES for name in _needed(package)} | set(PACKAGES))
    except LookupError:
        machine.run("apt-get", "update", "-q")
        return sorted({name for package in PACKAGES for name in _needed(package)} | set(PACKAGES))


def _unpack(folder):
    for deb in sorted(folder.glob("*.deb")):
        machine.run("dpkg-deb", "-x", deb, TREE)


def get():
    """The tree of unpacked packages; what is there already is not fetched again."""
    whole = TREE / ".whole"
    if whole.exists():
        return TREE
    debs = machine.WORK / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    debs.chmod(0o777)  # apt fetches as a user of its own
    for name in ("usr/bin", "usr/sbin", "usr/lib"):  # as on the machine: /bin is /usr/bin
        (TREE / name).mkdir(parents=True, exist_ok=True)
        (TREE / name.partition("/")[2]).symlink_to(name)
    print("Fetching the peers' packages from Debian", file=sys.stderr)
    machine.run("apt-get", "download", "-q", *_all_needed(), cwd=debs)
    _unpack(debs)
    # What a package's script would have set.
    os.chmod(TREE / "usr/sbin/exim4", 0o4755)
    whole.touch()
    return TREE


def version(package):
    """Of what was unpacked."""
    found = sorted(pathlib.Path(machine.WORK / "debs").glob(f"{package}_*.deb"))
    return machine.run("dpkg-deb", "-f", found[-1], "Version").strip() if found else "?"
