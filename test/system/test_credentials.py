"""What accounts log in with, set by command while the server is up, and while it is down."""
import base64
import json
import shutil

import pytest

from veredus import Pop3, Server, Smtp

pytestmark = pytest.mark.usefixtures("unharmed")

FINGERPRINT = "0123456789abcdef" * 4


@pytest.fixture
def carol(server):
    """An account that is made for one test."""
    server.cli("account", "add", "carol@example.test", "--password-stdin", text="the first secret\n")
    yield "carol@example.test"
    server.cli("account", "remove", "carol@example.test")


@pytest.fixture
def other():
    one = Server(directory=None)
    yield one
    if one.process:
        one.stop()
    shutil.rmtree(one.home, ignore_errors=True)


def logs_in(server, user, password):
    with Pop3(server.pop3) as session:
        session.expect(f"USER {user}", True)
        return session.command(f"PASS {password}")[0]


def shown(server, account):
    return json.loads(server.cli("account", "show", account, json=True).stdout)


def test_a_changed_password_is_the_password(server, carol):
    assert logs_in(server, carol, "the first secret")
    server.cli("account", "password", carol, "--password-stdin", text="the second secret\n")
    assert not logs_in(server, carol, "the first secret")
    assert logs_in(server, carol, "the second secret")
    made = json.loads(server.cli("account", "password", carol, "--new", json=True).stdout)["password"]
    assert logs_in(server, carol, made)
    assert shown(server, carol)["scram"] == ["SCRAM-SHA-256", "SCRAM-SHA-1"]
    assert made not in server.cli("export").stdout


def test_an_alias_of_one_account_logs_in(server, carol):
    server.cli("alias", "add", "caroline@example.test", carol)
    assert logs_in(server, "caroline@example.test", "the first secret")
    server.cli("alias", "set", "caroline@example.test", carol, "bob@example.test")
    assert not logs_in(server, "caroline@example.test", "the first secret")
    server.cli("alias", "remove", "caroline@example.test")


def test_certificates_come_from_files(server, carol, tmp_path):
    server.cli("tls", "new", "laptop.example.test", "--out", str(tmp_path))
    chain, key = str(tmp_path / "laptop.example.test.pem"), str(tmp_path / "laptop.example.test.key")
    server.cli("account", "certificate", "add", carol, chain)
    with open(chain) as file:
        again = server.cli("account", "certificate", "add", "--name", "again", carol, "-", text=file.read(), check=False)
    assert again.returncode == 73 and "it has this certificate" in again.stderr
    server.cli("account", "certificate", "add", carol, "--fingerprint", FINGERPRINT, "--name", "phone")
    names = [each["name"] for each in shown(server, carol)["certificates"]]
    assert names == ["laptop.example.test.pem", "phone"]
    refused = server.cli("account", "certificate", "add", carol, key, "--name", "key", check=False)
    assert refused.returncode == 65 and refused.stderr.startswith("veredus: ")
    server.cli("account", "certificate", "remove", carol, "SHA256:" + FINGERPRINT.upper())
    assert [each["name"] for each in shown(server, carol)["certificates"]] == ["laptop.example.test.pem"]


def test_what_is_exported_is_no_change(server, carol, tmp_path):
    server.cli("account", "password", carol, "--password-stdin", "--cram-md5", text="a third secret\n")
    server.cli("account", "app-password", "add", carol, "an old program", "--services", "pop3,imap")
    server.cli("account", "certificate", "add", carol, "--fingerprint", FINGERPRINT, "--name", "Carol's phone")
    server.cli("account", "grant", "add", carol, "@else.test")
    server.cli("account", "set", carol, "--service", "smtp=off")
    text = server.cli("export").stdout
    path = tmp_path / "exported"
    path.write_text(text)
    assert "0 added, 0 changed" in server.cli("apply", str(path)).stdout
    assert server.cli("export").stdout == text
    account = shown(server, carol)
    assert account["services"] == ["pop3", "imap"] and account["send_as"] == ["@else.test"]
    assert account["app_passwords"][0]["name"] == "an old program" and account["cram_md5"]


def test_all_of_it_works_on_a_store_that_nobody_serves(other):
    other.cli("domain", "add", "example.test")
    other.cli("account", "add", "dora@example.test", "--no-password")
    other.cli("account", "password", "dora@example.test", "--password-stdin", text="a long enough secret\n")
    other.cli("account", "app-password", "add", "dora@example.test", "phone")
    other.cli("account", "certificate", "add", "dora@example.test", "--fingerprint", FINGERPRINT, "--name", "x")
    other.cli("account", "grant", "add", "dora@example.test", "info@example.test")
    other.start()
    assert logs_in(other, "dora@example.test", "a long enough secret")
    assert shown(other, "dora@example.test")["app_passwords"][0]["last_used"] is None


# --- I14: names ---

SECRET = b"the first secret"


def names(account):
    """What would be a filter, a query, a variable or a path elsewhere."""
    return [b"*)(uid=*", b"a' OR 1=1--", b"%{x}", b"%{x}" * 80, b"%{x}" * 10000, b"../u", b"../../" + account, b"u\0v",
            account + b"\0", account + b" ", b"${HOME}", b"`id`", b"\xff\xfe", account.replace(b"o", b"\xd0\xbe", 1)]


def encoded(octets):
    return base64.b64encode(octets)


def smtp_auth(server, *lines):
    with Smtp(server.submission) as session:
        for line in lines:
            reply = session.command(line)
            if reply.code != 334:
                return reply.code
    return 334


def pop3_lines(server, *lines):
    with Pop3(server.pop3) as session:
        for line in lines:
            session.send(line + b"\r\n")
            answer = session.line()
            if answer.startswith(b"-ERR"):
                break
    return answer[:4].decode()


def test_I14_a_name_is_only_a_name(server, carol):
    refused = (500, 501, 535, "-ERR")
    begun = len(server.log())
    for name in names(carol.encode()):
        plain = encoded(b"\0" + name + b"\0" + SECRET)
        first = encoded(b"n,,n=" + name.replace(b"=", b"=3D").replace(b",", b"=2C") + b",r=abcdefghijklmnop")
        final = encoded(b"c=biws,r=abcdefghijklmnop,p=" + encoded(bytes(32)))
        for auth in (smtp_auth, pop3_lines):
            assert auth(server, b"AUTH PLAIN " + plain) in refused, name
            assert auth(server, b"AUTH LOGIN", encoded(name), encoded(SECRET)) in refused, name
            for mechanism in (b"AUTH SCRAM-SHA-1 ", b"AUTH SCRAM-SHA-256 "):
                assert auth(server, mechanism + first, final) in refused, (name, mechanism)
        assert pop3_lines(server, b"USER " + name, b"PASS " + SECRET) == "-ERR", name
    log = server.log()[begun:]
    assert log.count("%{x}") >= 5 and "`id`" in log and "${HOME}" in log


def test_I14_twins_are_one(server, carol):
    """By case, and by SASLprep's NFKC."""
    for name in (carol.upper().encode(), carol.replace("c", "\uff43", 1).encode(), carol.replace("@", "\uff20").encode()):
        assert smtp_auth(server, b"AUTH PLAIN " + encoded(b"\0" + name + b"\0" + SECRET)) == 235, name
        assert pop3_lines(server, b"AUTH PLAIN " + encoded(b"\0" + name + b"\0" + SECRET)) == "+OK ", name
    with Pop3(server.pop3) as session:
        session.expect(f"USER {carol.upper()}", True)
        session.expect(f"PASS {SECRET.decode()}", True)
