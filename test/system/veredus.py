"""The server from outside: a home and ports of its own, the dialogues of SMTP and POP3 octet by octet.

Nothing here knows more of the server than its users do, but for /proc: which processes the parent has, and what
memory they hold. Every wait has a limit far above what is needed, so that no test depends on the machine's speed.
"""
import collections
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import warnings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("VEREDUS", os.path.join(ROOT, "build", "veredus")))
PEERS = os.path.abspath(os.environ.get("PEERS", os.path.join(ROOT, "build", "peers")))

PASSWORD = "correct horse"
PATIENCE = 60  # seconds until a wait is given up

# What must never stand in a log: a bug of ours, found by a must() or by a sanitizer.
ALARMS = (" panic ", "must(", "AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer",
          "runtime error:")


def password_hash(password):
    """Cheap on purpose: the tests log in often. The server's own hashes are tested where it makes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the module leaves Python after Debian 12's
        import crypt
        return crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=32))


HASH = password_hash(PASSWORD)

DIRECTORY = f"""
domain "example.test" {{ }}
domain "例子.测试" {{ }}
account "alice@example.test" {{ name = "Alice Example" password = "{HASH}" }}
account "bob@example.test" {{ name = "Bob Example" password = "{HASH}" }}
account "用户@例子.测试" {{ name = "用户" password = "{HASH}" }}
"""


def sanitized():
    with open(BINARY, "rb") as binary:
        return b"__asan_init" in binary.read()


def free_ports(count):
    """Below the range from which the kernel takes ports for clients: another test that runs beside this one would have one
    of ours by chance before our server stands there. Above it the chance is that of two drawing the same."""
    drawing = random.SystemRandom()
    ports = []
    while len(ports) < count:
        port = drawing.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def wait_until(condition, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.02)


def processes_below(pid):
    """{pid: command line} of the children of a process."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
            with open(f"/proc/{name}/cmdline", "rb") as line:
                words = line.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != b"Z":
            found[int(name)] = [word.decode("utf-8", "replace") for word in words if word]
    return found


def resident(pid):
    """Octets of anonymous and shared memory that a process holds; what is mapped from files does not count."""
    held = 0
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(("RssAnon:", "RssShmem:")):
                held += int(line.split()[1]) * 1024
    return held


class Server:
    """One server in a home of its own.

    settings: {section: {name: value as written in the file}}; "server" holds what stands outside of blocks.
    """

    def __init__(self, settings=None, directory=DIRECTORY, before=(), log=None):
        self.home = tempfile.mkdtemp(prefix="veredus.")
        os.chmod(self.home, 0o755)  # started as root, core is another user
        self.smtp, self.lmtp, self.submission, self.pop3 = free_ports(4)
        self.settings = settings or {}
        self.before = list(before)  # a program that starts the server's
        self.process = None
        self.log_path = log or os.path.join(self.home, "log")
        self.log_from = 0
        self.expected_deaths = 0
        self.renewed = False
        self.pools = {}  # pid: octets by which it grew without being held to a session
        self.write_configuration()
        if directory:
            try:
                self.start()
                self.apply(directory)
            except BaseException:
                self.stop(hard=True)
                raise

    # --- Its files ---

    def configuration(self):
        sections = {
            "server": {"hostname": "mail.example.test", "data": "data", "control": "control", "pid_file": "pid"},
            "smtp": {"listen": f'{{"127.0.0.1:{self.smtp}"}}'},
            "lmtp": {"listen": f'{{"127.0.0.1:{self.lmtp}"}}'},
            "submission": {"listen": f'{{"127.0.0.1:{self.submission}"}}', "listen_tls": "{}"},
            "pop3": {"listen": f'{{"127.0.0.1:{self.pop3}"}}', "listen_tls": "{}"},
            "login": {},
            "tls": {},
            "store": {},
        }
        for section, values in self.settings.items():
            sections.setdefault(section, {}).update(values)
        lines = [f"{name} = {value}" for name, value in sections.pop("server").items()]
        for section, values in sections.items():
            if values:
                lines += [section + " {"] + [f"    {name} = {value}" for name, value in values.items()] + ["}"]
        return "\n".join(lines) + "\n"

    def write_configuration(self, text=None):
        path = os.path.join(self.home, "veredus.conf")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(self.configuration() if text is None else text)
        os.rename(path + ".new", path)

    def log(self):
        with open(self.log_path, "rb") as file:
            file.seek(self.log_from)
            return file.read().decode("utf-8", "backslashreplace")

    def logged(self, event, begun=0, also=""):
        """How many lines there are of an event ("message", "session" ...) behind the first `begun` characters."""
        lines = [line.split(" ", 4) for line in self.log()[begun:].splitlines()]
        return sum(len(words) > 3 and words[3] == event and also in words[-1] for words in lines)

    # --- Its life ---

    def spawn(self, home=None, folder=None):
        """`home` is how the home is named, seen from the working folder."""
        environment = dict(os.environ)
        environment["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=1:" + environment.get("ASAN_OPTIONS", "")
        environment["UBSAN_OPTIONS"] = "print_stacktrace=1"
        environment.pop("MALLOC_PERTURB_", None)  # it fills what the server takes: memory never touched would count
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.before + [BINARY, "serve", "--home", home or self.home], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=environment, cwd=folder)

    def answers(self):
        return self.cli("status", check=False).returncode == 0

    def start(self, **how):
        begun = len(self.log()) if os.path.exists(self.log_path) else 0
        self.spawn(**how)

        def up():
            assert self.process.poll() is None, "the server ended at its start:\n" + self.log()[-4000:]
            return self.logged("started", begun)

        # Not by asking `veredus status` again and again: while the server is not there, a command opens the store.
        wait_until(up, "the server answers")
        assert self.answers() and self.running()

    def stop(self, hard=False):
        if not self.process:
            return 0
        roles = list(self.roles()) if hard and self.process.poll() is None else []
        self.process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        for pid in roles:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def close(self):
        """Stops, and says what the log had to say against us."""
        failed = self.process is not None and self.process.poll() is not None
        code = self.stop()
        alarms = self.alarms()
        shutil.rmtree(self.home, ignore_errors=True)
        assert not failed, "the server had ended"
        assert code == 0, f"the server ended with {code}"
        assert not alarms, "\n".join(alarms)

    def pid(self):
        """The parent's, which is not that of the process we started if another program starts it."""
        if not self.before:
            return self.process.pid
        with open(os.path.join(self.home, "pid")) as file:
            return int(file.read())

    def running(self):
        """Every role is there."""
        names = sorted(name for name, _ in self.roles().values())
        return (names.count("core") == 1 and names.count("mx") >= 1 and names.count("box") >= 1 and
                names.count("resolver") == 1)

    def roles(self):
        """{pid: (role, command line)}"""
        found = {}
        for pid, words in processes_below(self.pid()).items():
            if len(words) == 3 and words[1] == "role":
                found[pid] = (words[2], words)
        return found

    def role(self, name):
        return sorted(pid for pid, (role, _) in self.roles().items() if role == name)

    def memory(self):
        return {pid: resident(pid) for pid in self.roles()}

    def alarms(self):
        lines = self.log().splitlines()
        return [line for line in lines if any(alarm in line for alarm in ALARMS)]

    def reload(self):
        os.kill(self.pid(), signal.SIGHUP)

    # --- Its commands ---

    def cli(self, *words, check=True, text=None, json=False):
        command = [BINARY, *words, "--home", self.home] + (["--json"] if json else [])
        done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8",
                              timeout=2 * PATIENCE)
        if check:
            assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def apply(self, text):
        path = os.path.join(self.home, "directory")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return self.cli("apply", path)

    def wait_renewed(self):
        """Behind the first log-in of an account with an imported hash core makes a better one, and keys for SCRAM: that
        takes memory and a second of a processor, which are no test's."""
        if not self.renewed:
            wait_until(lambda: "$y$" in self.cli("export").stdout, "what a log-in renews is written")
            self.renewed = True

    def check_up(self):
        """A fresh session gets its banner, and an answer to NOOP (the catalogue's rule)."""
        with Smtp(self.smtp) as session:
            session.expect("NOOP", 250)
        with Pop3(self.pop3) as session:
            session.expect("QUIT", True)


class Connection:
    """Octets to and from a server."""

    def __init__(self, port, source=None):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE, source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets.encode() if isinstance(octets, str) else octets)

    def send_anyway(self, octets):
        """To a server that may close on us in the middle; False if it did."""
        try:
            self.send(octets)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def more(self):
        try:
            got = self.socket.recv(1 << 16)
        except ConnectionResetError:
            got = b""
        self.pending += got
        return bool(got)

    def line(self):
        """A line without its CR LF; EOFError at the end."""
        while b"\r\n" not in self.pending:
            if not self.more():
                raise EOFError(self.pending)
        line, _, self.pending = self.pending.partition(b"\r\n")
        return line

    def rest(self):
        """Everything up to the end of the connection."""
        while self.more():
            pass
        rest, self.pending = self.pending, b""
        return rest

    def ended(self):
        return self.rest() == b""

    def cut(self):
        """Ends the connection at once, with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


class Reply(collections.namedtuple("Reply", "code lines")):
    """lines: without the code and what parts it from the text"""

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def enhanced(self):
        return self.lines[-1].split(" ")[0]

    @property
    def id(self):
        found = re.search(r"\bid ([0-9a-hjkmnp-tv-z]{13})$", self.lines[-1])
        assert found, f"no message id in {self.lines[-1]!r}"
        return found.group(1)

    def __str__(self):
        return f"{self.code} {self.text}"


def stuffed(message):
    """A message as DATA sends it, with the end."""
    assert message == b"" or message.endswith(b"\r\n")
    return re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"


class Smtp(Connection):
    """A session of SMTP (LMTP: hello="LHLO")."""

    def __init__(self, port, hello="EHLO", source=None, greeted=True):
        super().__init__(port, source)
        if not greeted:
            return
        self.greeting = self.reply()
        assert self.greeting.code == 220, self.greeting
        if hello:
            self.hello = self.expect(f"{hello} client.example.test", 250)

    def __exit__(self, *_):
        """As clients go. One that ends without a word behind our 250 may not have seen it, and is believed when it
        sends the same again."""
        try:
            self.socket.send(b"QUIT\r\n")
        except OSError:
            pass
        self.socket.close()

    def reply(self):
        lines = []
        while True:
            line = self.line().decode("utf-8")
            assert re.match(r"[2-5][0-9][0-9][ -]", line), f"not a reply: {line!r}"
            assert not lines or line[:3] == code, f"two codes in one reply: {lines} {line!r}"
            code = line[:3]
            lines.append(line[4:])
            if line[3] == " ":
                return Reply(int(code), lines)

    def command(self, text):
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.reply()

    def expect(self, text, code, enhanced=None):
        reply = self.command(text)
        assert reply.code == code, f"{text!r}: {reply}"
        assert enhanced is None or reply.enhanced == enhanced, f"{text!r}: {reply}"
        return reply

    def starttls(self):
        """In TLS from here on, whoever it is."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.expect("STARTTLS", 220)
        self.socket = context.wrap_socket(self.socket)
        self.hello = self.expect("EHLO client.example.test", 250)

    def envelope(self, sender, recipients, parameters=""):
        self.expect(f"MAIL FROM:<{sender}>{parameters}", 250)
        for recipient in [recipients] if isinstance(recipients, str) else recipients:
            self.expect(f"RCPT TO:<{recipient}>", 250)

    def data(self, message):
        """The final reply to DATA; what is refused in the middle is a reply too."""
        self.expect("DATA", 354)
        self.send_anyway(stuffed(message))
        return self.reply()

    def deliver(self, message, recipients="bob@example.test", sender="alice@example.test", parameters=""):
        self.envelope(sender, recipients, parameters)
        reply = self.data(message)
        assert reply.code == 250, reply
        return reply.id

    def refused_and_closed(self, code, enhanced):
        reply = self.reply()
        assert (reply.code, reply.enhanced) == (code, enhanced), reply
        assert self.ended()


class Pop3(Connection):
    def __init__(self, port, user=None, password=PASSWORD):
        super().__init__(port)
        self.greeting = self.status()
        if user:
            self.expect(f"USER {user}", True)
            self.expect(f"PASS {password}", True)

    def status(self):
        """(ok, text)"""
        line = self.line().decode("utf-8")
        assert line.startswith(("+OK", "-ERR")), f"not a status: {line!r}"
        return line.startswith("+OK"), line.partition(" ")[2]

    def command(self, text):
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.status()

    def expect(self, text, ok):
        got, rest = self.command(text)
        assert got == ok, f"{text!r}: {rest}"
        return rest

    def multiline(self):
        """The octets up to the dot, unstuffed."""
        while not (self.pending == b".\r\n" or self.pending.startswith(b".\r\n") or b"\r\n.\r\n" in self.pending):
            if not self.more():
                raise EOFError(self.pending)
        if self.pending.startswith(b".\r\n"):
            self.pending = self.pending[3:]
            return b""
        text, _, self.pending = self.pending.partition(b"\r\n.\r\n")
        return re.sub(rb"(?m)^\.\.", b".", text + b"\r\n")

    def many(self, text):
        self.expect(text, True)
        return self.multiline()

    def listing(self, text):
        return [line.decode().split(" ") for line in self.many(text).splitlines()]

    def stat(self):
        return tuple(int(word) for word in self.expect("STAT", True).split(" "))


TRACE_HEADERS = ("return-path", "delivered-to", "received")


def parted(octets):
    """(our trace header fields as {name: [value]}, what was sent)."""
    fields = collections.defaultdict(list)
    rest = octets
    while True:
        found = re.match(rb"([A-Za-z-]+):((?:[^\r]|\r\n[ \t])*)\r\n", rest)
        name = found.group(1).decode().lower() if found else ""
        if name not in TRACE_HEADERS or name == "received" and fields["received"]:
            return fields, rest
        fields[name].append(found.group(2).decode("utf-8").strip())
        rest = rest[found.end():]


class Mailbox:
    """A user's INBOX, as POP3 shows it."""

    def __init__(self, server, user, password=PASSWORD):
        self.server, self.user, self.password = server, user, password

    def session(self):
        return Pop3(self.server.pop3, self.user, self.password)

    def count(self):
        with self.session() as session:
            return session.stat()[0]

    def raw(self):
        """All messages as they are served; each has the size that LIST tells."""
        with self.session() as session:
            sizes = {int(number): int(size) for number, size in session.listing("LIST")}
            messages = []
            for number, size in sizes.items():
                message = session.many(f"RETR {number}")
                assert len(message) == size, f"LIST says {size}, RETR gives {len(message)}"
                messages.append(message)
            session.expect("QUIT", True)
        return messages

    def bodies(self):
        """All messages behind our trace headers: what was sent."""
        return [parted(message)[1] for message in self.raw()]

    def empty(self):
        with self.session() as session:
            for number, _ in session.listing("LIST"):
                session.expect(f"DELE {number}", True)
            session.expect("QUIT", True)


def message(subject="Hello", body="Hello Bob.\r\n", sender="alice@example.test", to="bob@example.test"):
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n"
            f"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\n{body}").encode()
