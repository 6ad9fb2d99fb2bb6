"""Programs of this host submit through a unix socket: without a log-in, under their user's name, to anywhere."""
import contextlib
import os
import socket
import subprocess
import sys

import pytest

from veredus import Mailbox, Server

NOBODY = 65534

SPEAK = r"""
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile("rwb")
def hear():
    while True:
        line = f.readline().decode().rstrip()
        print(line)
        if line[3:4] != "-":
            return
hear()
for line in sys.argv[2:]:
    f.write(line.replace("\n", "\r\n").encode() + b"\r\n")
    f.flush()
    hear()
"""


@contextlib.contextmanager
def serving(**submission):
    server = Server({"submission": submission})
    try:
        yield server
    finally:
        server.stop()


def spoken(server, *lines, uid=None):
    path = os.path.join(server.home, "submission")
    who = {"user": uid, "group": uid, "extra_groups": []} if uid is not None else {}
    return subprocess.run([sys.executable, "-c", SPEAK, path, *lines], capture_output=True, text=True, timeout=60,
                          **who).stdout


MESSAGE = ("EHLO localhost", "MAIL FROM:<cron@else.example>", "RCPT TO:<alice@example.test>", "DATA",
           "From: cron@else.example\nTo: alice\nSubject: s\n\nhello\n.", "QUIT")


def test_a_program_sends_as_whom_it_says_and_is_named_by_its_user():
    with serving() as server:
        said = spoken(server, *MESSAGE)
        assert "250 2.0.0 Accepted" in said
        assert "AUTH" not in said and "STARTTLS" not in said
        mail = Mailbox(server, "alice@example.test").raw()[0]
        assert b"Received: (from uid %d)\r\n" % os.getuid() in mail
        assert b"\r\nTo: alice@" in mail


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_another_user_has_limits_and_root_has_none():
    with serving(recipients_per_hour="1") as server:
        assert "250 2.0.0 Accepted" in spoken(server, *MESSAGE, uid=NOBODY)
        assert b"(from uid 65534)" in Mailbox(server, "alice@example.test").raw()[0]
        assert "450 " in spoken(server, *MESSAGE, uid=NOBODY)
        for _ in range(3):
            assert "250 2.0.0 Accepted" in spoken(server, *MESSAGE)


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_a_group_keeps_others_out():
    with serving(local_group='"daemon"') as server:
        assert spoken(server, *MESSAGE, uid=NOBODY) == ""
        assert "250 2.0.0 Accepted" in spoken(server, *MESSAGE)


def test_it_can_be_switched_off():
    with serving(local="no") as server:
        assert not os.path.exists(os.path.join(server.home, "submission"))
        with socket.create_connection(("127.0.0.1", server.submission)) as client:
            assert client.recv(100).startswith(b"220 ")


def test_nobody_logs_in_there():
    with serving() as server:
        said = spoken(server, "EHLO localhost", "AUTH PLAIN", "STARTTLS", "QUIT")
        assert said.count("\n502 ") == 1
        assert "454 " in said
