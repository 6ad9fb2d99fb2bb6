"""The pieces of work that are swept: each is done once while a call is armed, then looked at."""
import time

import veredus
from house import ACKNOWLEDGED, ALICE, BOB, CAROL, UNKNOWN, Message, require
from table import SECOND
from veredus import PASSWORD, Pop3, wait_until


class Delivery:
    """One message to one account."""
    roles = ("core", "mx")
    ends = False  # may the role end when a call fails?
    size, recipients, address = 2000, (BOB,), BOB

    def __init__(self, house, role=None):
        self.house = house
        self.message = None

    def prepare(self):
        """While nothing is armed."""
        if len(self.house.kept[self.recipients[0]]) > 150:
            for account in self.recipients:
                self.house.empty(account)
        self.message = Message(self.size, self.recipients, self.address)

    def do(self):
        self.house.send(self.message)

    def look(self):
        """While nothing is armed any more. A client that knows nothing sends again, as does one that was refused."""
        message = self.message
        if message.state == ACKNOWLEDGED:
            self.house.keep(message)
        else:
            require(not message.reply.startswith("5"), f"{message.name}: {message.reply}")
            if message.state != UNKNOWN:
                self.house.look(self.recipients)  # refused: there is none
            self.house.send_until_accepted(message)
        self.house.look(self.recipients)


class Large(Delivery):
    """One message that goes the way of uploads, into a file of its own."""
    size = 400_000

    def prepare(self):
        if len(self.house.kept[BOB]) > 12:
            self.house.empty(BOB)
        super().prepare()


class Fan(Delivery):
    """One message to a list whose members are an alias and an account."""
    recipients, address = (BOB, CAROL, ALICE), "team@example.test"


class Relaying(Delivery):
    """One message to another server."""
    roles = ("core", "courier")
    recipients, address = (), "x@far.test"

    def __init__(self, house, role=None):
        super().__init__(house)
        self.role = role

    def prepare(self):
        self.message = Message(self.size, self.recipients, self.address)
        self.begun = self.house.table["courier"].begun

    def copies(self):
        return self.house.sink.copies(self.message.name)

    def do(self):
        super().do()
        end = time.monotonic() + 0.3  # it is there, or met its fault
        while self.message.state == ACKNOWLEDGED and not self.copies() and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(0.01)

    def hurry(self):
        """What waits for its time goes now; core looks at its clock when it is asked something."""
        core = self.house.table["core"]
        core.advance(SECOND)
        core.wall += SECOND
        try:
            with veredus.Smtp(self.house.server.smtp) as session:
                session.command(f"MAIL FROM:<{ALICE}>")
                session.command(f"RCPT TO:<{BOB}>")
        except (OSError, EOFError, AssertionError):
            pass
        time.sleep(0.02)

    def look(self):
        """Sent whole, and a second time only where the first reply was not read, or who read it died."""
        super().look()
        end = time.monotonic() + veredus.PATIENCE
        while not self.copies():
            require(time.monotonic() < end, f"{self.message.name} is not sent")
            self.hurry()
        copies = self.copies()
        changed = [octets for octets, _ in copies if octets != self.message.octets]
        require(not changed, f"{self.message.name} was sent changed: {changed[:1]}")
        lived = self.house.table["courier"].begun == self.begun
        read = sum(heard for _, heard in copies)
        require(read <= 1 or not lived, f"{self.message.name} was sent {len(copies)} times")


class Reading:
    """One POP3 session: everything is read, and deleted."""
    roles = ("core", "box")
    ends = False

    def __init__(self, house, role=None):
        self.house = house
        self.done = False

    def prepare(self):
        if len(self.house.kept[BOB]) > 4:
            self.house.empty(BOB)
        while len(self.house.kept[BOB]) < 2:
            self.house.send_until_accepted(Message(3000, (BOB,), BOB))

    def session(self):
        with Pop3(self.house.server.pop3) as session:
            if not (session.command(f"USER {BOB}")[0] and session.command(f"PASS {PASSWORD}")[0]):
                return False
            count = session.stat()[0]
            require(count == len(self.house.kept[BOB]), f"{count} messages of {len(self.house.kept[BOB])}")
            for number in range(1, count + 1):
                if session.command(f"RETR {number}")[0]:
                    session.multiline()
                if not session.command(f"DELE {number}")[0]:
                    return False
            return session.command("QUIT")[0]

    def do(self):
        """True: acknowledged; False: refused; None: nobody knows."""
        try:
            self.done = self.session()
        except (OSError, EOFError):
            self.done = None

    def look(self):
        count, _ = self.house.mailbox(BOB, False)
        kept = self.house.kept[BOB]
        if self.done:
            require(count == 0, f"{count} deleted messages are back")
        require(count in (0, len(kept)), f"{count} of {len(kept)} messages")
        if count == 0:
            kept.clear()
        self.house.look((BOB,), full=True)


class Applying(Delivery):
    """One message, and the round in which the index takes it over: LMDB's calls."""
    roles = ("core",)

    def do(self):
        super().do()
        core = self.house.table["core"]
        syncs, began = core.counts()["fdatasync"], core.begun
        core.advance(11 * SECOND)
        try:
            with veredus.Smtp(self.house.server.smtp) as session:  # core looks at its clock when it is asked something
                session.command(f"MAIL FROM:<{ALICE}>")
                session.command(f"RCPT TO:<{BOB}>")
        except (OSError, EOFError, AssertionError):
            pass
        end = time.monotonic() + 0.03  # the round has ended, or met its fault
        while time.monotonic() < end and core.counts()["fdatasync"] == syncs and core.begun == began:
            time.sleep(0.001)
        time.sleep(0.003)


class Starting(Delivery):
    """A role is killed, and started again while a call is armed."""
    roles = ("core", "mx", "box")
    ends = True

    def __init__(self, house, role):
        super().__init__(house)
        self.role = role

    def prepare(self):
        super().prepare()
        row = self.house.table[self.role]
        wait_until(lambda: not row.away(), f"{self.role} is there")  # it may have died behind the last answer

    def do(self):
        row = self.house.table[self.role]
        begun = row.begun
        self.house.kill(self.role)
        wait_until(lambda: row.begun > begun, f"{self.role} is started again")
        super().do()


class Parenting(Delivery):
    """What the parent does while the server runs. Where it ends, all roles end, and somebody starts it anew."""
    roles = ("serve",)

    def wait(self):
        """Until it is done, the parent has ended, or it takes too long for that."""
        end = time.monotonic() + 0.5
        while self.works() and self.house.server.process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)

    def look(self):
        house = self.house
        end = time.monotonic() + veredus.PATIENCE
        while house.server.process.poll() is None and self.works():
            require(time.monotonic() < end, "the parent does not do it")
            time.sleep(0.002)
        # It may be dying still behind the last line that it logged.
        if house.server.process.poll() is not None or house.table["serve"].away():
            house.start_again()
        house.send_until_accepted(self.message)
        house.look(self.recipients)


class Reloading(Parenting):
    """SIGHUP: the file is read again. It may be refused for now."""

    def do(self):
        self.begun = len(self.house.server.log())
        self.house.server.reload()
        self.wait()

    def works(self):
        server = self.house.server
        return not (server.logged("reloaded", self.begun) or server.logged("configuration_refused", self.begun))


class Renewing(Parenting):
    """An edge is killed, and started again."""

    def do(self):
        self.row = self.house.table["mx"]
        self.before = self.row.begun
        self.house.kill("mx")
        self.wait()

    def works(self):
        return self.row.begun == self.before


PIECES = {"delivery": Delivery, "large": Large, "fan": Fan, "relay": Relaying, "pop3": Reading, "apply": Applying, "start": Starting,
          "reload": Reloading, "renew": Renewing}
