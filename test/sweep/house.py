"""A server whose calls can be made to fail, and the ledger of what its clients were told.

What must hold after every round: what was acknowledged is in its mailbox once and whole, what was refused is not, of
what nobody knows (the connection broke behind the last dot) there is one whole copy or none, and exactly one when its
client has sent it again and was believed. What was acknowledged as deleted stays away.
"""
import itertools
import os
import signal
import tempfile
import threading
import time

import veredus
from sink import Sink
from table import SECOND, SETTLED, Table
from veredus import HASH, PASSWORD, Pop3, Server, Smtp

veredus.PATIENCE = 20
BACK_MOST = 15 * SECOND  # a guard against hanging

DIRECTORY = f"""
domain "example.test" {{ }}
account "alice@example.test" {{ password = "{HASH}" }}
account "bob@example.test" {{ password = "{HASH}" }}
account "carol@example.test" {{ password = "{HASH}" }}
alias "sales@example.test" {{ to = "bob@example.test" to = "carol@example.test" }}
list "team@example.test" {{ owner = "alice@example.test" member = "sales@example.test" member = "alice@example.test" }}
"""
ALICE, BOB, CAROL = (f"{name}@example.test" for name in ("alice", "bob", "carol"))

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"


class Violation(AssertionError):
    pass


def require(holds, what):
    if not holds:
        raise Violation(what)


class Message:
    numbers = itertools.count(1)

    def __init__(self, size, recipients, address):
        self.name = f"m{next(self.numbers)}"
        line = b"%s .%s\r\n" % (self.name.encode(), b"x" * 60)
        self.octets = b"Subject: %s\r\n\r\n" % self.name.encode() + line * (1 + size // len(line))
        self.recipients, self.address = recipients, address
        self.state = REFUSED
        self.reply = ""


class Clock(threading.Thread):
    """Where a role is away, the parent's time runs fast, so that a round need not wait for it."""

    def __init__(self, table):
        super().__init__(daemon=True)
        self.table, self.ending = table, threading.Event()

    def run(self):
        parent = self.table["serve"]
        while not self.ending.wait(0.002):
            if any(row.away() for row in self.table.rows.values()):
                parent.advance(SECOND // 20)

    def end(self):
        self.ending.set()
        if self.ident:
            self.join()


class House:
    """hasty: the parent's time runs fast while a role is away."""

    def __init__(self, settings=None, log=None, hasty=True):
        self.file = tempfile.NamedTemporaryFile(prefix="nth-call.")
        self.table = Table(self.file.name)
        self.table["serve"].hurry = 4
        self.patience = BACK_MOST
        self.sink = Sink()
        own = {"smtp": {"processes": "1", "relay_from": "127.0.0.1"}, "submission": {"listen": "{}"}, "store": {"prefill": "no"},
               "sending": {"allow_to": "127.0.0.1", "retry_first": "1s", "retry_most": "1s"},
               "route far": {"to": "far.test", "via": f"127.0.0.1:{self.sink.port}"}}
        for section, values in (settings or {}).items():
            own.setdefault(section, {}).update(values)
        self.kept = {ALICE: {}, BOB: {}, CAROL: {}}  # {account: {message name: octets}}
        self.server = Server(own, DIRECTORY, self.table.before, log)
        self.clock = Clock(self.table)
        if hasty:
            self.clock.start()
        self.back = []  # nanoseconds until a round's service was back

    def close(self):
        self.clock.end()
        stopped = self.server.stop()
        checked = self.server.cli("fsck", check=False)
        alarms = self.server.alarms()
        self.server.stop(hard=True)
        require(stopped == 0, f"the server ended with {stopped}")
        require(checked.returncode == 0, f"fsck: {checked.stdout}{checked.stderr}")
        require(not alarms, "\n".join(alarms))
        self.server.close()
        self.sink.close()

    def stop(self):
        """In order; the store is nobody's then."""
        require(self.server.stop() == 0, "the server did not stop in order")

    def start_again(self):
        """The parent ended; its roles do so as soon as they see it, and give up the store's lock."""
        pids = [self.table[role].pid for role in ("core", "mx", "box", "courier")]
        self.server.process.wait()
        self.server.process = None
        veredus.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}/fd") for pid in pids), "the roles ended")
        self.server.start()

    def leave(self):
        """Behind a violation; the home stays where it is, for whoever looks into it."""
        self.clock.end()
        self.server.stop(hard=True)
        print(f"left behind: {self.server.home}", flush=True)

    def kill(self, role):
        """From outside."""
        row = self.table[role]
        row.others += 1
        self.table["serve"].advance(SETTLED)
        os.kill(row.pid, signal.SIGKILL)

    def now(self):
        return time.monotonic_ns()

    # --- Sending ---

    def send(self, message):
        """One try; the message's state afterwards."""
        message.state, message.reply = REFUSED, ""
        try:
            with Smtp(self.server.smtp) as session:
                reply = session.command(f"MAIL FROM:<{ALICE}>")
                for command in (f"RCPT TO:<{message.address}>", "DATA"):
                    if reply.code == 250:
                        reply = session.command(command)
                if reply.code == 354:
                    message.state = UNKNOWN
                    session.send_anyway(veredus.stuffed(message.octets))
                    reply = session.reply()
                    message.state = ACKNOWLEDGED if reply.code == 250 else REFUSED
                message.reply = str(reply)
        except (OSError, EOFError, AssertionError) as trouble:
            if isinstance(trouble, AssertionError) and "220" not in str(trouble) and "EHLO" not in str(trouble):
                raise
            message.reply = repr(trouble)
        return message.state

    def send_until_accepted(self, message):
        """As a mail client does; the message it repeats is one that it knows nothing of."""
        end = self.now() + self.patience
        while self.send(message) != ACKNOWLEDGED:
            require(self.now() < end, f"{message.name} is not accepted: {message.reply}")
            require(not message.reply.startswith("5"), f"{message.name}: {message.reply}")
            time.sleep(0.003)
        self.keep(message)

    def keep(self, message):
        for account in message.recipients:
            self.kept[account][message.name] = message.octets

    # --- Reading ---

    def log_in(self, account):
        """A session, as soon as there is service."""
        begun = self.now()
        while True:
            try:
                session = Pop3(self.server.pop3)
                if session.command(f"USER {account}")[0] and session.command(f"PASS {PASSWORD}")[0]:
                    return session
                session.socket.close()
            except (OSError, EOFError, AssertionError):
                pass
            require(self.now() < begun + self.patience, f"{account} cannot log in")
            time.sleep(0.003)

    def mailbox(self, account, full):
        """How many messages there are, and {name: octets} of the last ones, or of all."""
        with self.log_in(account) as session:
            count = session.stat()[0]
            found = {}
            for number in range(1 if full else max(1, count - 1), count + 1):
                octets = veredus.parted(session.many(f"RETR {number}"))[1]
                name = octets.split(b"\r\n", 1)[0].partition(b": ")[2].decode()
                require(name not in found, f"{account}: {name} is there twice")
                found[name] = octets
            session.expect("QUIT", True)
        return count, found

    def mailbox_in_service(self, account, full):
        """As a client who is told of a trouble and comes again: a failed index is opened anew meanwhile."""
        begun = self.now()
        while True:
            try:
                return self.mailbox(account, full)
            except Violation:
                raise
            except (OSError, EOFError, AssertionError) as trouble:
                require(self.now() < begun + self.patience, f"{account} cannot be read: {trouble}")
            time.sleep(0.003)

    def look(self, accounts, full=False):
        """The mailboxes against the ledger."""
        for account in accounts:
            kept = self.kept[account]
            count, found = self.mailbox_in_service(account, full)
            strange = [name for name, octets in found.items() if kept.get(name) != octets]
            require(not strange, f"{account}: {strange} not acknowledged, or changed")
            require(count == len(kept), f"{account}: {count} messages, {len(kept)} acknowledged "
                    f"(missing {sorted(set(kept) - set(found))[-5:] if full else '?'})")

    def empty(self, account):
        with self.log_in(account) as session:
            for number in range(1, session.stat()[0] + 1):
                session.expect(f"DELE {number}", True)
            session.expect("QUIT", True)
        self.kept[account].clear()

    # --- What is left behind ---

    def descriptors(self):
        """{role: how many are open}, but for segments and bodies that were written, which are kept open up to a
        limit (SEGMENT_FILES_MAX); nothing where we may not look."""
        found = {}
        for role in ("serve", "core", "mx", "box"):
            folder = f"/proc/{self.table[role].pid}/fd"
            try:
                targets = [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]
            except OSError:
                continue
            found[role] = sum("/store/log/" not in target and "/store/bodies/" not in target for target in targets)
        return found

    def idle_descriptors(self):
        """Those that nobody's session holds."""
        last, found = None, self.descriptors()
        while last != found:
            time.sleep(0.05)
            last, found = found, self.descriptors()
        return found
