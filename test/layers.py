#!/usr/bin/python3
"""The layer check: imports point down, roles do not know each other, only src/sys makes system calls, and secrets
are compared by str_eq_secret alone.

    test/layers.py [BUILD]      BUILD: a build folder whose objects are looked at too

Prints each offence as FILE:LINE: what is wrong, and exits 1 if there was one.
"""
import os
import re
import subprocess
import sys

# Each room, and the rooms it may include from. A room may always include from itself.
ROOMS = {
    "base": [],
    "sys": ["base"],
    "sys/fake": ["base", "sys"],
    "format": ["base"],
    "trust": ["base", "format"],
    "bus": ["base", "sys"],
    "conf": ["base", "sys", "format"],
    "store": ["base", "sys", "format", "trust"],
    "store/local": ["base", "sys", "store"],
    "role": ["base", "sys", "format", "bus", "conf"],
    "resolver": ["base", "sys", "format", "bus", "conf", "role"],
    "terminal": ["base", "sys", "format", "bus", "conf", "role"],
    "core": ["base", "sys", "format", "trust", "bus", "conf", "store", "store/local", "role"],
    "edge": ["base", "sys", "format", "trust", "bus", "conf", "role"],
    "edge/smtp": ["base", "sys", "format", "trust", "bus", "conf", "role", "edge"],
    "edge/pop3": ["base", "sys", "format", "trust", "bus", "conf", "role", "edge"],
    "courier": ["base", "sys", "format", "trust", "bus", "conf", "role"],
    "parent": ["base", "sys", "trust", "bus", "conf", "role"],
    "cli": ["base", "sys", "format", "trust", "bus", "conf", "store", "store/local", "role", "core",
            "courier", "edge", "edge/smtp", "edge/pop3", "parent", "resolver", "terminal"],
}
# Tests may also use the fake world.
TEST_EXTRA = ["sys", "sys/fake", "store/local", "format", "bus", "conf"]

# What only src/sys may call: names of libc's system call wrappers, as `nm` shows them.
SYSTEM_CALLS = set("""
    accept accept4 access bind chdir chmod chown chroot clock_gettime clone close connect creat dup dup2 dup3
    epoll_create1 epoll_ctl epoll_wait eventfd execl execlp execv execve execvp fallocate fchdir fchmod fchown
    fcntl fcntl64 fdatasync flock fork fstat fstat64 fsync ftruncate ftruncate64 getrandom gettimeofday getsockname
    getsockopt inotify_init1 ioctl kill lchown link linkat listen lseek lseek64 mkdir mkdirat mmap mmap64 mprotect
    munmap open open64 openat openat64 opendir pipe pipe2 poll ppoll prctl pread pread64 preadv preadv64 preadv2
    pthread_create pwrite pwrite64 pwritev pwritev64 read readdir readdir64 readlink readv recv recvfrom recvmsg
    rename renameat renameat2 rmdir select send sendfile sendmsg sendto setgid setgroups setrlimit setsockopt setuid
    shutdown sigaction signalfd sleep socket socketpair splice stat stat64 symlink sync sync_file_range syscall
    sysconf time timerfd_create truncate umask unlink unlinkat usleep vfork waitpid write writev
""".split())
# Where a library does its own input and output behind a narrow interface of ours.
EXEMPT_OBJECTS = re.compile(r"(_test|_fuzz|_bench)\.c\.o$")

# How a secret must not be compared: time would tell where the two differ. What is a secret is told by its name, the
# last one of a path: "attempt->proof", "str_make(keys->stored, n)".
COMPARISON = re.compile(r"\b(memcmp|bcmp|strcmp|strncmp|str_eq|str_eq_nocase|str_cmp|CRYPTO_memcmp)\(")
SECRETS = set("""
    binding cram_secret digest hash keys mac password proof secret server_key signature stored tag
""".split())

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def room_of(path):
    """The deepest room the path lies in."""
    folder = os.path.dirname(path)
    while folder and folder not in ROOMS:
        folder = os.path.dirname(folder)
    return folder or None


def include_offences(root):
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in sorted(names):
            if not name.endswith((".c", ".h", ".def")):
                continue
            path = os.path.relpath(os.path.join(folder, name), os.path.join(root, "src"))
            room = room_of(path)
            if room is None:
                yield f"src/{path}:1: lies in no room that test/layers.py knows"
                continue
            allowed = {room, *ROOMS[room]}
            if name.endswith(("_test.c", "_fuzz.c", "_test.h")):
                allowed |= set(TEST_EXTRA)
            with open(os.path.join(folder, name), encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    match = INCLUDE.match(line)
                    if not match:
                        continue
                    target = room_of(match.group(1))
                    if target is None:
                        yield f'src/{path}:{number}: "{match.group(1)}" is not named from src/'
                    elif target not in allowed:
                        yield f"src/{path}:{number}: {room} may not include from {target}"


def arguments(text, at):
    """Those of the call whose parenthesis was opened before `at`."""
    found, depth, begun = [], 1, at
    while depth:
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0 or depth == 1 and text[at] == ",":
            found.append(text[begun:at])
            begun = at + 1
        at += 1
    return found


def secret_offences(root):
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in sorted(names):
            if not name.endswith((".c", ".h")) or name.endswith(("_test.c", "_test.h", "_fuzz.c")):
                continue
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for call in COMPARISON.finditer(text):
                for argument in arguments(text, call.end()):
                    inner = re.sub(r"^\s*str_make\(([^,]*),.*", r"\1", argument, flags=re.S)
                    last = re.split(r"\.|->", re.sub(r"\[.*?\]|[\s&*()]", "", inner))[-1]
                    if last in SECRETS:
                        yield (f"{os.path.relpath(path, root)}:{text.count(chr(10), 0, call.start()) + 1}: "
                               f"{call.group(1)} of {last}, a secret; str_eq_secret does not tell by time")


def call_offences(build):
    for folder, _, names in os.walk(os.path.join(build, "src")):  # build/mutants is not the tree
        for name in sorted(names):
            if not name.endswith(".c.o") or EXEMPT_OBJECTS.search(name):
                continue
            # meson: build/src/format/libformat.a.p/addr.c.o
            match = re.search(r"/src/([a-z0-9_/]+?)/[^/]+\.p$", folder.replace(os.sep, "/"))
            if not match or match.group(1).split("/")[0] == "sys":
                continue
            undefined = subprocess.run(["nm", "-u", os.path.join(folder, name)], capture_output=True,
                                       text=True, check=True).stdout
            for line in undefined.splitlines():
                symbol = line.split()[-1].split("@")[0]
                if symbol in SYSTEM_CALLS:
                    yield f"src/{match.group(1)}/{name[:-2]}: calls {symbol}(); only src/sys may"


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    offences = list(include_offences(root)) + list(secret_offences(root))
    if len(sys.argv) > 1:
        offences += call_offences(os.path.abspath(sys.argv[1]))
    for offence in offences:
        print(offence)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
