"""Mail programs as people have them, from Debian: each sends or reads for real, and the octets are compared."""
import os
import poplib
import pty
import select
import shutil
import smtplib
import subprocess

import pytest

import veredus
from veredus import PASSWORD, PEERS, Mailbox, message, parted, wait_until

pytestmark = pytest.mark.usefixtures("unharmed")

TEXT = "Hello Bob.\r\n.a line with a dot\r\n..and two\r\n\r\nGoodbye: 你好\r\n"
HEADER = ("From: alice@example.test\r\nTo: bob@example.test\r\nSubject: =?UTF-8?B?5L2g5aW9?=\r\n"
          "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nMessage-ID: <client.1@example.test>\r\n"
          "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
SENT = (HEADER + TEXT).encode()


def program(name):
    path = shutil.which(name)
    assert path, f"{name} is not installed; ./check installs it"
    return path


@pytest.fixture
def home(tmp_path):
    """A user's home folder, so that no test reads or writes that of the caller."""
    return tmp_path


def run(words, home, octets=b"", good=(0,), **more):
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    environment.update(more)
    done = subprocess.run([str(word) for word in words], input=octets, capture_output=True, env=environment,
                          cwd=home, timeout=2 * veredus.PATIENCE)
    assert done.returncode in good, f"{words[0]}: {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
    return done.stdout


def write(path, octets):
    path.write_bytes(octets if isinstance(octets, bytes) else octets.encode())
    os.chmod(path, 0o600)
    return path


def run_on_terminal(words, home):
    """A program that has a person in front of it."""
    master, slave = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "TERM": "vt100",
                   "LINES": "25", "COLUMNS": "80"}
    started = subprocess.Popen([str(word) for word in words], stdin=slave, stdout=slave, stderr=slave, env=environment,
                               cwd=home, start_new_session=True)
    os.close(slave)
    shown = b""
    try:
        while True:
            ready, _, _ = select.select([master], [], [], veredus.PATIENCE)
            assert ready, f"{words[0]} waits for something: {shown[-2000:]!r}"
            got = os.read(master, 4096)
            if not got:
                break
            shown += got
    except OSError:  # its end: nobody has the terminal open any more
        pass
    finally:
        started.kill() if started.poll() is None and not shown else None
        os.close(master)
    assert started.wait(veredus.PATIENCE) == 0, shown[-2000:]


def with_newlines(octets):
    return octets.replace(b"\r\n", b"\n")


# --- Sending ---

def test_swaks_sends(server, bob, home):
    said = run([program("swaks"), "--server", f"127.0.0.1:{server.smtp}", "--helo", "client.example.test", "--from",
                "alice@example.test", "--to", "bob@example.test,alice@example.test", "--data",
                write(home / "mail", with_newlines(SENT))], home)
    assert b"250 2.0.0" in said
    assert [body.rstrip(b"\r\n") for body in bob.bodies()] == [SENT.rstrip(b"\r\n")]


def test_swaks_pipelines_and_speaks_lmtp(server, bob, home):
    mail = write(home / "mail", with_newlines(SENT))
    common = ["--helo", "client.example.test", "--from", "alice@example.test", "--to", "bob@example.test", "--data", mail]
    run([program("swaks"), "--pipeline", "--server", f"127.0.0.1:{server.smtp}", *common], home)
    run([program("swaks"), "--protocol", "LMTP", "--server", f"127.0.0.1:{server.lmtp}", *common], home)
    assert [body.rstrip(b"\r\n") for body in bob.bodies()] == [SENT.rstrip(b"\r\n")] * 2


def test_swaks_is_refused_a_relay(server, home):
    run([program("swaks"), "--server", f"127.0.0.1:{server.smtp}", "--helo", "client.example.test", "--from",
         "a@else.test", "--to", "b@elsewhere.test"], home, good=(24,))  # no recipient was accepted


def smtp_source():
    path = os.path.join(PEERS, "postfix", "usr", "sbin", "smtp-source")
    if not os.path.exists(path):
        subprocess.run([os.path.join(os.path.dirname(__file__), "peers.sh"), PEERS], check=True)
    return path


def libraries():
    found = set()
    for folder, _, names in os.walk(PEERS):
        if any(".so" in name for name in names):
            found.add(folder)
    return ":".join(sorted(found))


@pytest.mark.parametrize("options, port", [
    (["-s", "10"], "smtp"),
    (["-s", "5", "-d"], "smtp"),
    (["-s", "4", "-L"], "lmtp"),
], ids=["sessions", "kept open", "lmtp"])
def test_smtp_source_sends_many(server, bob, home, options, port):
    mail = write(home / "mail", with_newlines(SENT))
    run([smtp_source(), *options, "-m", 200, "-M", "client.example.test", "-f", "alice@example.test", "-t",
         "bob@example.test", "-F", mail, f"inet:127.0.0.1:{getattr(server, port)}"], home, LD_LIBRARY_PATH=libraries())
    # It ends the last line once more before the dot.
    assert bob.bodies() == [SENT + b"\r\n"] * 200
    bob.empty()


def test_smtp_source_sends_large_messages(server, bob, home):
    run([smtp_source(), "-s", 3, "-m", 12, "-l", 400_000, "-M", "client.example.test", "-f", "alice@example.test",
         "-t", "bob@example.test", f"inet:127.0.0.1:{server.smtp}"], home, LD_LIBRARY_PATH=libraries())
    bodies = bob.bodies()
    assert len(bodies) == 12 and all(len(body) > 400_000 for body in bodies)
    bob.empty()


def test_msmtp_sends(server, bob, home):
    run([program("msmtp"), "--host=127.0.0.1", f"--port={server.smtp}", "--tls=off", "--auth=off",
         "--domain=client.example.test", "--from=alice@example.test", "bob@example.test"], home, with_newlines(SENT))
    assert bob.bodies() == [SENT]


def test_curl_sends(server, bob, home):
    run([program("curl"), "-sS", "--url", f"smtp://127.0.0.1:{server.smtp}/client.example.test", "--mail-from",
         "alice@example.test", "--mail-rcpt", "bob@example.test", "--upload-file", write(home / "mail", SENT)], home)
    assert bob.bodies() == [SENT]


def test_smtplib_sends(server, bob):
    with smtplib.SMTP("127.0.0.1", server.smtp, "client.example.test", veredus.PATIENCE) as client:
        assert client.sendmail("alice@example.test", ["bob@example.test"], SENT, ["BODY=8BITMIME"]) == {}
        refused = client.sendmail("alice@example.test", ["bob@example.test", "nobody@example.test"], SENT)
        assert refused["nobody@example.test"][0] == 550
        assert client.verify("bob")[0] == 250
    with smtplib.LMTP("127.0.0.1", server.lmtp) as client:
        assert client.sendmail("alice@example.test", ["bob@example.test"], SENT) == {}
    assert bob.bodies() == [SENT] * 3


def test_smtplib_sends_to_an_address_outside_of_ascii(server):
    user = Mailbox(server, "用户@例子.测试")
    user.empty()
    with smtplib.SMTP("127.0.0.1", server.smtp, "client.example.test", veredus.PATIENCE) as client:
        client.ehlo()
        client.sendmail("alice@example.test", ["用户@例子.测试"], SENT, ["SMTPUTF8", "BODY=8BITMIME"])
    assert user.bodies() == [SENT]


MUTT = """
set use_envelope_from = yes
set envelope_from_address = alice@example.test
set from = alice@example.test
set realname = "Alice Example"
set hostname = client.example.test
set folder = /tmp
set copy = no
set move = no
set delete = no
set mark_old = no
set wait_key = no
set ssl_starttls = no
set ssl_force_tls = no
set charset = utf-8
set header_cache = ""
set message_cachedir = ""
set certificate_file = ""
"""


def test_mutt_sends(server, bob, home):
    attachment = write(home / "附件一.bin", bytes(range(256)) * 20)
    config = write(home / "muttrc", MUTT + f'set smtp_url = "smtp://127.0.0.1:{server.smtp}/"\n')
    run([program("mutt"), "-n", "-F", config, "-s", "你好", "-a", attachment, "--", "bob@example.test"], home,
        with_newlines(TEXT.encode()))
    import email
    import email.policy
    [body] = bob.bodies()
    read = email.message_from_bytes(body, policy=email.policy.SMTP)
    text, attached = read.iter_parts()
    assert read["Subject"] == "你好"
    assert text.get_payload(decode=True) == TEXT.encode()
    assert attached.get_payload(decode=True) == bytes(range(256)) * 20
    assert attached.get_filename() == "附件一.bin"


# --- Reading ---

@pytest.fixture
def one_message(server, bob):
    with veredus.Smtp(server.smtp) as session:
        session.deliver(SENT)
    return bob.raw()[0]


def test_poplib_reads(server, bob, one_message):
    client = poplib.POP3("127.0.0.1", server.pop3, veredus.PATIENCE)
    client.user("bob@example.test")
    client.pass_(PASSWORD)
    assert client.stat() == (1, len(one_message))
    _, lines, octets = client.retr(1)
    assert b"".join(line + b"\r\n" for line in lines) == one_message
    assert len(client.uidl()[1]) == 1 and "TOP" in client.capa()
    client.dele(1)
    client.quit()
    assert bob.count() == 0


def test_curl_reads(server, one_message, home):
    common = [program("curl"), "-sS", "-u", f"bob@example.test:{PASSWORD}"]
    listed = run([*common, f"pop3://127.0.0.1:{server.pop3}/"], home)
    assert listed.split() == [b"1", str(len(one_message)).encode()]
    assert run([*common, f"pop3://127.0.0.1:{server.pop3}/1"], home) == one_message


def test_fetchmail_reads(server, bob, one_message, home):
    got = home / "got"
    config = write(home / "fetchmailrc", f'poll 127.0.0.1 service {server.pop3} protocol pop3 no dns\n'
                   f'  user "bob@example.test" password "{PASSWORD}" sslproto "" is "root" here\n'
                   f'  mda "cat >> {got}" no rewrite fetchall no keep\n')
    run([program("fetchmail"), "--nodetach", "--nosyslog", "-f", config, "--pidfile", home / "pid", "--invisible"], home,
        FETCHMAILHOME=str(home))
    assert got.read_bytes() == with_newlines(one_message)
    assert bob.count() == 0


def test_mutt_reads(server, bob, one_message, home):
    got = home / "got"
    config = write(home / "muttrc", MUTT + f'set pop_user = "bob@example.test"\nset pop_pass = "{PASSWORD}"\n'
                   "set confirmcreate = no\nset pop_authenticators = user\nset pop_checkinterval = 0\nset quit = yes\nset confirmappend = no\n"
                   "set mbox_type = mbox\n")
    run_on_terminal([program("mutt"), "-n", "-F", config, "-f", f"pop://127.0.0.1:{server.pop3}/",
                     "-e",
                     f'push "<copy-message><kill-line>{got}<enter><quit>"'], home)
    from_line, _, copied = got.read_bytes().partition(b"\n")
    assert from_line.startswith(b"From ")
    # mutt adds Status and Content-Length of its own, and quotes From lines; there are none.
    lines = [line for line in copied.split(b"\n") if not line.startswith((b"Status:", b"Content-Length:", b"Lines:"))]
    assert b"\n".join(lines).rstrip(b"\n") == with_newlines(one_message).rstrip(b"\n")
    assert bob.count() == 1
