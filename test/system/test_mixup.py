"""I18: many users log in and out across the edge processes; nobody reads an octet of another's.

LOG_INS=100000 (of the environment) is the whole row; `./check` has a share of it. The client is bench/load (mixup.c
says what its sessions do).
"""
import json
import os
import subprocess

from veredus import BINARY, PATIENCE, Server, Smtp, password_hash, sanitized

LOAD = os.path.join(os.path.dirname(BINARY), "bench", "load", "load")
LOG_INS = int(os.environ.get("LOG_INS", "1000" if sanitized() else "4000"))
USERS, SESSIONS, LINES = 64, 40, 20
NAMES = [f"u{number:06d}@bench.test" for number in range(USERS)]


def secret(name):
    """A message that is all the user's own."""
    head = f"Subject: of {name}\r\nMessage-ID: <1.{name}>\r\n\r\n"
    return (head + "".join(f"{name} line {line} of the secret of {name}\r\n" for line in range(LINES))).encode()


def test_I18_nobody_reads_what_is_anothers():
    server = Server({"pop3": {"processes": "4"}, "login": {"scram": "no"}}, directory=None)
    server.start()
    try:
        server.apply('domain "bench.test" { }\n' + "".join(
            f'account "{name}" {{ password = "{password_hash("pw" + name)}" }}\n' for name in NAMES))
        with Smtp(server.smtp) as session:
            for name in NAMES:
                session.deliver(secret(name), name)
        done = subprocess.run([LOAD, "--processes", "2", "--sessions", str(SESSIONS), "--messages", str(LOG_INS),
                               "--accounts", str(USERS), "--password", "pw", "mixup", str(server.pop3)],
                              capture_output=True, text=True, timeout=PATIENCE + LOG_INS / 100)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(done.stdout)
        print(f"{found['done']} log-ins, {found['rate']:.0f} a second, {found['octets']} octets read, "
              f"{found['damaged']} texts with another's")
        assert found["done"] == LOG_INS and found["failed"] == 0 and found["damaged"] == 0
        assert found["octets"] > LOG_INS / 2 * LINES * len(NAMES[0])
        assert len(server.role("box")) == 4
    finally:
        server.close()
