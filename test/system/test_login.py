"""Log-ins and TLS as mail programs do them, with the settings that a server has when nothing is said: swaks, msmtp, mutt,
curl, Python, openssl; and by hand where no program would."""
import base64
import poplib
import shutil
import smtplib
import socket
import ssl
import subprocess

import pytest

import veredus
from encrypted import BOB, NAME, Encrypted, run
from test_clients import MUTT, run_on_terminal, write
from veredus import PASSWORD


@pytest.fixture(scope="module")
def server():
    one = Encrypted()
    yield one
    one.close()


@pytest.fixture
def empty(server):
    """bob's mailbox, with nothing in it."""
    with poplib_over_tls(server) as reader:
        for number in range(1, reader.stat()[0] + 1):
            reader.dele(number)


pytestmark = pytest.mark.usefixtures("unharmed")


class poplib_over_tls:
    """A session of Python's reader that ends well."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.one = poplib.POP3_SSL("127.0.0.1", self.server.pop3s, timeout=veredus.PATIENCE, context=unnamed(self.server))
        self.one.user(BOB)
        self.one.pass_(PASSWORD)
        return self.one

    def __exit__(self, *_):
        self.one.quit()


def unnamed(server):
    """A context for those who were not told by which name they come."""
    context = server.context()
    context.check_hostname = False
    return context


def kept(server):
    """The bodies behind our trace headers."""
    with poplib_over_tls(server) as reader:
        whole = [b"\r\n".join(reader.retr(number)[1]) + b"\r\n" for number in range(1, reader.stat()[0] + 1)]
    return [veredus.parted(one)[1] for one in whole]


def letter(subject):
    return f"From: {BOB}\nTo: {BOB}\nSubject: {subject}\nDate: x\nMessage-ID: <1@x>\n\n.a line\nx\n"


def octets(text):
    return text.replace("\n", "\r\n").encode()


def came_by(server, begun, mechanism):
    """Who logged in since then did it in this way, each time."""
    assert server.logged("login", begun, f"mechanism={mechanism}") == server.logged("login", begun) > 0


# --- Sending ---

@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("style", ["--tls", "--tlsc"])
def test_swaks(server, mechanism, style):
    port = server.submission if style == "--tls" else server.submissions
    words = ["swaks", style, "--server", "127.0.0.1", "--port", port, "--auth", mechanism, "--auth-user", BOB,
             "--from", BOB, "--to", BOB, "--quit-after", "AUTH", "--auth-password"]
    good = run(*words, PASSWORD)
    assert good.returncode == 0 and "235 2.7.0" in good.stdout, good.stdout
    bad = run(*words, "wrong")
    assert bad.returncode != 0 and "535 5.7.8" in bad.stdout, bad.stdout


def test_what_is_off_is_not_offered_and_refused(server):
    said = run("swaks", "--tlsc", "--server", "127.0.0.1", "--port", server.submissions, "--auth", "CRAM-MD5", "--auth-user",
               BOB, "--auth-password", PASSWORD, "--from", BOB, "--to", BOB, "--quit-after", "AUTH")
    assert said.returncode == 28 and "250-AUTH PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256\n" in said.stdout, said.stdout
    with smtplib.SMTP_SSL("127.0.0.1", server.submissions, context=unnamed(server)) as client:
        client.ehlo()
        for name in "CRAM-MD5", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2", "EXTERNAL":
            assert client.docmd("AUTH", name)[0] == 504, name


@pytest.mark.parametrize("style", ["on", "off"])
@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-1", "scram-sha-256"])
def test_msmtp(server, empty, mechanism, style):
    begun = len(server.log())
    port = server.submission if style == "on" else server.submissions
    done = run("msmtp", "--host=127.0.0.1", f"--port={port}", "--tls=on", f"--tls-starttls={style}",
               f"--tls-trust-file={server.path('test.pem')}", f"--tls-host-override={NAME}", f"--auth={mechanism}",
               f"--user={BOB}", f"--passwordeval=echo '{PASSWORD}'", f"--from={BOB}", BOB, text=letter(mechanism))
    assert done.returncode == 0, done.stderr
    came_by(server, begun, mechanism.upper())
    assert kept(server) == [octets(letter(mechanism))]


@pytest.mark.parametrize("style", ["starttls", "tls"])
def test_smtplib(server, empty, style):
    if style == "tls":
        client = smtplib.SMTP_SSL("127.0.0.1", server.submissions, "c.example", context=unnamed(server))
    else:
        client = smtplib.SMTP("127.0.0.1", server.submission, "c.example")
        client._host = NAME
        client.starttls(context=server.context())
    with client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(BOB, "wrong")
        client.login(BOB, PASSWORD)
        client.sendmail(BOB, BOB, letter("smtplib"))
    assert kept(server) == [octets(letter("smtplib"))]


@pytest.mark.parametrize("style", ["smtp", "smtps"])
def test_curl_sends(server, empty, tmp_path, style):
    port = server.submission if style == "smtp" else server.submissions
    mail = write(tmp_path / "mail", octets(letter("curl")))
    words = ["curl", "-sS", "--ssl-reqd", "--cacert", server.path("test.pem"), "--resolve", f"{NAME}:{port}:127.0.0.1",
             "--url", f"{style}://{NAME}:{port}/c.example", "--mail-from", BOB, "--mail-rcpt", BOB, "--upload-file", mail]
    for options in [], ["--login-options", "AUTH=PLAIN"], ["--login-options", "AUTH=LOGIN"]:
        done = run(*words, "--user", f"{BOB}:{PASSWORD}", *options)
        assert done.returncode == 0, done.stderr
    assert run(*words, "--user", f"{BOB}:wrong").returncode == 67
    assert kept(server) == [octets(letter("curl"))] * 3


@pytest.mark.parametrize("style", ["smtp", "pop3", "smtps", "pop3s"])
def test_s_client(server, style):
    """Each line when the one before was answered, as a person types."""
    port = {"smtp": server.submission, "smtps": server.submissions, "pop3": server.pop3, "pop3s": server.pop3s}[style]
    words = ["timeout", str(veredus.PATIENCE), "openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile",
             server.path("test.pem"), "-verify_hostname", NAME, "-servername", NAME, "-connect", f"127.0.0.1:{port}"]
    secret = base64.b64encode(f"\0{BOB}\0{PASSWORD}".encode()).decode()
    dialogue = [(f"AUTH PLAIN {secret}", "235 2.7.0 " if style.startswith("smtp") else "+OK Logged in"),
                ("NOOP", ("250 ", "+OK")), ("QUIT", ("221 ", "+OK"))]
    if style.startswith("smtp"):
        dialogue.insert(0, ("EHLO c.example", "250 "))
    if style.endswith("s"):
        dialogue.insert(0, (None, ("220 ", "+OK")))
    else:
        words += ["-starttls", style]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          bufsize=1) as one:
        for typed, answer in dialogue:
            if typed:
                one.stdin.write(typed + "\r\n")
            line = one.stdout.readline()
            while line.startswith("250-"):
                line = one.stdout.readline()
            assert line.startswith(answer), (typed, line)
    assert one.returncode == 0


def mutt(server, home, *lines):
    """Its configuration: what a user sets, and whom to trust. No word of how to log in."""
    path = home / "muttrc"
    whole = MUTT.replace("alice@", "bob@") + "\n".join(
        ["set ssl_force_tls = yes", "set ssl_starttls = yes", f'set certificate_file = "{server.path("test.pem")}"',
         "set ssl_verify_host = no", "set ssl_verify_dates = no", *lines]) + "\n"
    return write(path, whole)


@pytest.mark.parametrize("style", ["smtp", "smtps"])
def test_mutt_sends_as_it_is_after_its_installation(server, empty, tmp_path, style):
    """It takes the strongest mechanism that is offered, whether it can do it or not."""
    begun = len(server.log())
    port = server.submission if style == "smtp" else server.submissions
    config = mutt(server, tmp_path, f'set smtp_url = "{style}://bob%40example.test@127.0.0.1:{port}"',
                  f'set smtp_pass = "{PASSWORD}"')
    done = run("mutt", "-n", "-F", config, "-s", "sent by mutt", "--", BOB, text=".a line\n",
               env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"})
    assert done.returncode == 0, done.stdout + done.stderr
    came_by(server, begun, "SCRAM-SHA-256")
    [body] = kept(server)
    assert b"\r\nSubject: sent by mutt\r\n" in body and body.endswith(b"\r\n\r\n.a line\r\n")


@pytest.mark.parametrize("style", ["pop", "pops"])
def test_mutt_reads_as_it_is_after_its_installation(server, empty, tmp_path, style):
    with smtplib.SMTP_SSL("127.0.0.1", server.submissions, context=unnamed(server)) as client:
        client.login(BOB, PASSWORD)
        client.sendmail(BOB, BOB, letter("read by mutt"))
    begun = len(server.log())
    port = server.pop3 if style == "pop" else server.pop3s
    got = tmp_path / "got"
    config = mutt(server, tmp_path, f'set pop_pass = "{PASSWORD}"', "set confirmappend = no", "set confirmcreate = no",
                  "set mbox_type = mbox", "set quit = yes")
    run_on_terminal(["mutt", "-n", "-F", config, "-f", f"{style}://bob%40example.test@127.0.0.1:{port}/", "-e",
                     f'push "<copy-message><kill-line>{got}<enter><quit>"'], tmp_path)
    came_by(server, begun, "SCRAM-SHA-256")
    assert "\nSubject: read by mutt\n" in got.read_text() and "\n\n.a line\nx\n" in got.read_text()


# --- Reading ---

@pytest.mark.parametrize("style", ["stls", "tls"])
def test_poplib(server, style):
    if style == "tls":
        one = poplib.POP3_SSL("127.0.0.1", server.pop3s, timeout=veredus.PATIENCE, context=unnamed(server))
    else:
        one = poplib.POP3("127.0.0.1", server.pop3, timeout=veredus.PATIENCE)
        assert "STLS" in one.capa()
        one.host = NAME
        one.stls(context=server.context())
    capabilities = one.capa()
    assert "STLS" not in capabilities and "PLAIN" in capabilities["SASL"]
    one.user(BOB)
    with pytest.raises(poplib.error_proto, match="AUTH"):
        one.pass_("wrong")
    one.user(BOB)
    one.pass_(PASSWORD)
    one.quit()


def test_curl_reads(server):
    words = ["curl", "-sS", "--cacert", server.path("test.pem"), "--user", f"{BOB}:{PASSWORD}"]
    for style, port in ("pop3s", server.pop3s), ("pop3", server.pop3):
        for options in [], ["AUTH=PLAIN"], ["AUTH=LOGIN"]:
            done = run(*words, "--ssl-reqd", "--resolve", f"{NAME}:{port}:127.0.0.1",
                       *[word for option in options for word in ("--login-options", option)], f"{style}://{NAME}:{port}/")
            assert done.returncode == 0, (style, options, done.stderr)


def test_fetchmail_reads(server, empty, tmp_path):
    with smtplib.SMTP_SSL("127.0.0.1", server.submissions, context=unnamed(server)) as client:
        client.login(BOB, PASSWORD)
        client.sendmail(BOB, BOB, letter("fetched"))
    got = tmp_path / "got"
    config = write(tmp_path / "fetchmailrc", f'poll {NAME} via 127.0.0.1 service {server.pop3s} protocol pop3 no dns\n'
                   f'  user "{BOB}" password "{PASSWORD}" ssl sslcertck sslcertfile {server.path("test.pem")}\n'
                   f'  sslcommonname {NAME} is "root" here mda "cat >> {got}" no rewrite fetchall no keep\n')
    done = run(shutil.which("fetchmail"), "--nodetach", "--nosyslog", "-f", config, "--pidfile", tmp_path / "pid",
               "--invisible", env={"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    assert got.read_bytes().endswith(letter("fetched").encode()) and kept(server) == []


# --- What no program would do ---

def injected(port, begin, greeting):
    """What a client hears that puts commands behind the one which begins TLS."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        assert one.recv(1000).startswith(greeting)
        one.sendall(begin)
        heard = b""
        while True:
            got = one.recv(10000)
            if not got:
                return heard
            heard += got


def test_S07_commands_behind_starttls_are_an_error(server):
    for port in (server.smtp, server.submission):
        heard = injected(port, b"STARTTLS\r\nRSET\r\nEHLO x\r\n", b"220")
        assert heard.startswith(b"501 5.5.1 ") and heard.count(b"\r\n") == 1, heard
    heard = injected(server.pop3, b"STLS\r\nCAPA\r\n", b"+OK")
    assert heard.startswith(b"-ERR ") and heard.count(b"\r\n") == 1, heard


def test_S16_what_is_no_tls_is_not_answered(server):
    for port in (server.submissions, server.pop3s):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            heard = one.recv(1000)
            assert not heard.startswith((b"2", b"+OK")), heard
    other = server.context()
    other.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", server.pop3s), timeout=30) as one:
        with pytest.raises(ssl.SSLError):
            other.wrap_socket(one, server_hostname=NAME)
