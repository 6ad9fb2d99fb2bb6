"""SEND, SOML, SAML (RFC 821 3.4): messages onto real terminals of users who are on, or not (catalogue F11 of the field).

Each user of the tests has terminals of his own, pairs of pseudo terminals, and a utmp that says who sits where."""
import contextlib
import grp
import os
import pty
import pwd
import select
import struct
import subprocess
import termios
import time

import pytest

import veredus
from veredus import Mailbox, Server, Smtp

DIRECTORY = veredus.DIRECTORY + f"""
account "al.smith@example.test" {{ password = "{veredus.HASH}" }}
alias "both@example.test" {{ to = "alice@example.test" to = "bob@example.test" }}
alias "gone@example.test" {{ to = "somebody@elsewhere.example" }}
list "staff@example.test" {{ owner = "bob@example.test" member = "alice@example.test" }}
"""

UTMP = struct.Struct("hi32s4s32s256shhiii4i20s")
USER_PROCESS = 7
assert UTMP.size == 384

TEXT = "From: eve@example.test\nSubject: Tea\n\nNow, or never.\n"
SHOWN = "| Subject: Tea\r\n| Now, or never.\r\nEnd of the message.\r\n"


class Terminal:
    def __init__(self, user, mesg=True, used=0, pid=None):
        self.master, self.slave = pty.openpty()
        self.path = os.ttyname(self.slave)
        self.user, self.pid = user, pid or os.getpid()
        settings = termios.tcgetattr(self.slave)
        settings[0] |= 0o40000  # IUTF8
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)
        with contextlib.suppress(PermissionError):
            os.chown(self.path, -1, grp.getgrnam("tty").gr_gid)
        os.chmod(self.path, 0o620 if mesg else 0o600)
        now = time.time()
        os.utime(self.path, (now - 3600 + used, now))

    def entry(self):
        line = self.path.removeprefix("/dev/").encode()
        return UTMP.pack(USER_PROCESS, self.pid, line, line[-4:], self.user.encode(), b"", 0, 0, 0, int(time.time()), 0,
                         0, 0, 0, 0, b"")

    def shown(self):
        """All that was written to it; what is shown was written before its sender was answered."""
        got = b""
        while select.select([self.master], [], [], 0)[0]:
            got += os.read(self.master, 65536)
        return got.decode()

    def close(self):
        os.close(self.master)
        os.close(self.slave)


class House:
    def __init__(self, **settings):
        self.server = Server({"smtp": {"relay_from": "127.0.0.7", "xclient_from": "127.0.0.1"},
                              "terminal": {"commands": "yes", "utmp": "utmp", **settings},
                              "terminal_user smith": {"accounts": '"al.smith@example.test"'}}, directory=None)
        self.utmp = os.path.join(self.server.home, "utmp")
        open(self.utmp, "wb").close()
        self.server.start()
        self.server.apply(DIRECTORY)
        self.terminals = []

    def on(self, user, **how):
        self.terminals.append(Terminal(user, **how))
        with open(self.utmp, "r+b") as file:
            file.write(b"".join(one.entry() for one in self.terminals))
        return self.terminals[-1]

    def off(self):
        os.truncate(self.utmp, 0)
        for one in self.terminals:
            one.close()
        self.terminals = []

    def mailed(self, user="alice"):
        mailbox = Mailbox(self.server, f"{user}@example.test")
        count = mailbox.count()
        mailbox.empty()
        return count

    def send(self, verb, recipient="alice@example.test", text=TEXT):
        """The replies to RCPT and to the message; without the latter where the former refuses."""
        with Smtp(self.server.smtp) as session:
            session.expect(f"{verb} FROM:<eve@example.test>", 250)
            first = session.command(f"RCPT TO:<{recipient}>")
            if first.code != 250:
                return first, None
            return first, session.data(text.replace("\n", "\r\n").encode())


@pytest.fixture(scope="module")
def built():
    house = House()
    yield house
    house.server.close()


@pytest.fixture
def house(built):
    yield built
    built.off()
    for user in "alice", "bob", "al.smith":
        built.mailed(user)
    assert not built.server.alarms()


def test_send_shows_it_and_keeps_nothing(house):
    alice = house.on("alice")
    first, last = house.send("SEND")
    assert (first.code, last.code) == (250, 250)
    shown = alice.shown()
    assert shown.startswith("\r\n\aMessage from <eve@example.test>, 20")
    assert shown.endswith("Z:\r\n" + SHOWN)
    assert house.mailed() == 0
    trace = house.server.cli("trace", last.id).stdout
    line = alice.path.removeprefix("/dev/")
    assert f"Shown on {line}, a terminal of the user alice, for alice@example.test." in trace
    assert "Delivered" not in trace


def test_send_is_refused_where_nobody_is_on(house):
    first, _ = house.send("SEND")
    assert (first.code, first.enhanced) == (450, "4.2.1")
    house.on("bob")
    first, _ = house.send("SEND")
    assert first.code == 450
    assert house.mailed() == 0


def test_mesg_n_is_respected(house):
    alice = house.on("alice", mesg=False)
    assert house.send("SEND")[0].code == 450
    first, last = house.send("SOML")
    assert first.text == "2.1.5 User not active now, so will do mail" and last.code == 250
    assert house.send("SAML")[1].code == 250
    assert alice.shown() == ""
    assert house.mailed() == 2


def test_the_terminal_used_last_of_those_that_accept(house):
    away = house.on("alice", used=10)
    here = house.on("alice", used=30)
    closed = house.on("alice", used=40, mesg=False)
    others = house.on("bob", used=50)
    assert house.send("SEND")[1].code == 250
    assert here.shown().endswith(SHOWN)
    assert away.shown() == closed.shown() == others.shown() == ""


def test_an_entry_that_was_left_behind_counts_for_nothing(house):
    with subprocess.Popen(["true"]) as ended:
        pass
    left = house.on("alice", pid=ended.pid)
    assert house.send("SEND")[0].code == 450
    assert left.shown() == ""


def test_soml_goes_to_the_terminal_or_into_the_mailbox(house):
    alice = house.on("alice")
    first, last = house.send("SOML")
    assert first.text == "2.1.5 Recipient OK" and last.code == 250
    assert alice.shown().endswith(SHOWN)
    assert house.mailed() == 0
    house.off()
    first, last = house.send("SOML")
    assert first.text == "2.1.5 User not active now, so will do mail" and last.code == 250
    assert house.mailed() == 1


def test_saml_goes_to_both(house):
    alice = house.on("alice")
    first, last = house.send("SAML")
    assert (first.code, last.code) == (250, 250)
    assert alice.shown().endswith(SHOWN)
    assert house.mailed() == 1
    trace = house.server.cli("trace", last.id).stdout
    assert "Shown on" in trace and "Delivered to alice@example.test" in trace


def test_each_of_an_alias_by_himself(house):
    alice = house.on("alice")
    assert house.send("SOML", "both@example.test")[1].code == 250
    assert alice.shown().endswith(SHOWN)
    assert (house.mailed(), house.mailed("bob")) == (0, 1)


def test_what_controls_a_terminal_is_not_written(house):
    alice = house.on("alice")
    text = "Subject: =?utf-8?Q?a=1B]0;x=07b?=\n\n\x1b[2J\x1b]0;owned\x07plain \u202e\u4f60\u597d\x7f\x08\u009b31m.\n"
    assert house.send("SEND", text=text)[1].code == 250
    shown = alice.shown()
    assert "| plain \u4f60\u597d.\r\n" in shown
    assert not [c for c in shown.removeprefix("\r\n\a") if (c < " " and c not in "\r\n") or "\x7f" <= c < "\xa0"]


def test_one_that_takes_no_utf8_gets_ascii(house):
    alice = house.on("alice")
    settings = termios.tcgetattr(alice.slave)
    settings[0] &= ~0o40000
    termios.tcsetattr(alice.slave, termios.TCSANOW, settings)
    assert house.send("SEND", text="\nna\u00fb\u4f60\n")[1].code == 250
    assert "| na??\r\n" in alice.shown()


def test_much_is_cut(house):
    alice = house.on("alice")
    assert house.send("SEND", text="\n" + "a line\n" * 20000)[1].code == 250
    shown = alice.shown()
    assert shown.count("| a line\r\n") == 39 and "| [...]\r\n" in shown


@pytest.mark.parametrize("verb, code, mailed", [("SEND", 450, 0), ("SOML", 250, 1), ("SAML", 250, 1)])
def test_a_stopped_terminal_keeps_nobody_waiting(house, verb, code, mailed):
    alice = house.on("alice")
    termios.tcflow(alice.slave, termios.TCOOFF)  # ^S
    first, last = house.send(verb)
    assert (first.code, last.code) == (250, code)
    assert house.mailed() == mailed
    termios.tcflow(alice.slave, termios.TCOON)
    assert alice.shown() == ""


def test_who_has_no_terminal_here(house):
    house.on("alice")
    assert house.send("SEND", "staff@example.test")[0].code == 550
    first, _ = house.send("SEND", "gone@example.test")
    assert (first.code, first.enhanced) == (550, "5.3.3")
    assert house.send("SEND", "nobody@example.test")[0].enhanced == "5.1.1"
    assert house.send("SOML", "staff@example.test")[1].code == 250
    assert house.terminals[0].shown() == "" and house.mailed() == 1


def test_send_takes_one_recipient_at_a_time(house):
    house.on("alice")
    house.on("bob")
    with Smtp(house.server.smtp) as session:
        session.expect("SEND FROM:<>", 250)
        session.expect("RCPT TO:<alice@example.test>", 250)
        session.expect("RCPT TO:<bob@example.test>", 452, "4.5.3")
        assert session.data(TEXT.encode().replace(b"\n", b"\r\n")).code == 250
        session.expect("SOML FROM:<>", 250)
        session.expect("RCPT TO:<alice@example.test>", 250)
        session.expect("RCPT TO:<bob@example.test>", 250)
        assert session.data(TEXT.encode().replace(b"\n", b"\r\n")).code == 250
    assert house.terminals[0].shown().count(SHOWN) == 2
    assert house.terminals[1].shown().count(SHOWN) == 1


def test_an_account_by_another_name(house):
    smith = house.on("smith")
    assert house.send("SEND", "al.smith@example.test")[1].code == 250
    assert smith.shown().endswith(SHOWN)


def test_strangers_may_not(house):
    house.on("alice")
    with Smtp(house.server.smtp) as session:
        session.expect("XCLIENT ADDR=192.0.2.9", 220)
        reply = session.command("EHLO stranger.example")
        assert "SEND" not in str(reply)
        session.expect("SEND FROM:<eve@example.test>", 550, "5.7.0")
        session.expect("MAIL FROM:<eve@example.test>", 250)


def test_while_its_process_is_away_mail_goes_on(house):
    alice = house.on("alice")
    server = house.server
    (pid,) = server.role("terminal")
    os.kill(pid, 19)  # stopped, it answers nobody; killed, nobody is on
    os.kill(pid, 9)
    veredus.wait_until(lambda: pid not in server.role("terminal"), "it is gone")
    first, last = house.send("SOML")
    assert last.code == 250
    veredus.wait_until(lambda: server.role("terminal"), "it is back")
    house.mailed()
    alice.shown()

    def shows():
        house.send("SAML")
        return SHOWN in alice.shown()
    veredus.wait_until(shows, "it shows messages again")


def test_its_process_is_nobody_but_of_the_group_of_terminals(house):
    (pid,) = house.server.role("terminal")
    with open(f"/proc/{pid}/status") as file:
        status = {name: value.strip() for name, _, value in (line.partition(":") for line in file)}
    assert int(status["CapEff"], 16) == 0
    try:
        user = pwd.getpwnam("veredus-terminal")
    except KeyError:
        pytest.skip("this system has no user veredus-terminal")
    if os.getuid() == 0:
        assert status["Uid"].split() == [str(user.pw_uid)] * 4
        assert status["Gid"].split() == [str(grp.getgrnam("tty").gr_gid)] * 4
        assert status["Groups"].split() == []


def test_off_by_default():
    with contextlib.closing(Server()) as server:
        with Smtp(server.smtp) as session:
            for verb in "SEND", "SOML", "SAML":
                session.expect(f"{verb} FROM:<eve@example.test>", 502, "5.5.1")
            assert "SEND" not in str(session.command("EHLO c.example"))
        assert not server.role("terminal")
