"""Log-ins and TLS as programs do them: swaks, msmtp, curl, Python, and by hand where no program would."""
import os
import poplib
import smtplib
import socket
import ssl
import subprocess

import pytest

from veredus import PASSWORD, Server, free_ports

BOB = "bob@example.test"


class Encrypted(Server):
    """A server with a certificate, and one account whose password was set by command: it has SCRAM keys, too."""

    def __init__(self):
        self.pop3s, self.submissions = free_ports(2)
        super().__init__({"submission": {"listen_tls": f'{{"127.0.0.1:{self.submissions}"}}'},
                          "pop3": {"listen_tls": f'{{"127.0.0.1:{self.pop3s}"}}'},
                          "login": {"scram_rounds": "4096"}}, directory=None)
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-keyout", self.path("tls.key"), "-out", self.path("tls.pem"), "-subj", "/CN=mail.example.test",
                        "-days", "30", "-addext", "subjectAltName=DNS:mail.example.test"],
                       check=True, capture_output=True)
        os.chmod(self.path("tls.key"), 0o600)
        self.start()
        self.apply('domain "example.test" { }\n')
        self.cli("account", "add", BOB, "--password-stdin", text=PASSWORD + "\n")

    def path(self, name):
        return os.path.join(self.home, name)

    def configuration(self):
        return super().configuration() + "certificate test {\n    chain = tls.pem\n    key = tls.key\n}\n"


@pytest.fixture(scope="module")
def server():
    one = Encrypted()
    yield one
    one.close()


pytestmark = pytest.mark.usefixtures("unharmed")


def context(server):
    return ssl.create_default_context(cafile=server.path("tls.pem"))


def run(*words, text=None):
    return subprocess.run([str(word) for word in words], input=text, capture_output=True, text=True, timeout=60)


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


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-1", "scram-sha-256"])
def test_msmtp(server, mechanism):
    done = run("msmtp", "--host=127.0.0.1", f"--port={server.submission}", "--tls=on", "--tls-starttls=on",
               "--tls-certcheck=off", f"--auth={mechanism}", f"--user={BOB}", f"--passwordeval=echo '{PASSWORD}'",
               f"--from={BOB}", BOB, text=f"From: {BOB}\nTo: {BOB}\nSubject: {mechanism}\n\nx\n")
    assert done.returncode == 0, done.stderr


def test_python_smtplib(server):
    with smtplib.SMTP("127.0.0.1", server.submission, local_hostname="c.example") as client:
        client._host = "mail.example.test"
        client.starttls(context=context(server))
        client.login(BOB, PASSWORD)
        client.sendmail(BOB, BOB, f"From: {BOB}\r\nSubject: smtplib\r\n\r\nx\r\n")


def test_python_poplib(server):
    one = poplib.POP3("127.0.0.1", server.pop3, timeout=30)
    assert "STLS" in one.capa()
    one.host = "mail.example.test"
    one.stls(context=context(server))
    capabilities = one.capa()
    assert "STLS" not in capabilities and "PLAIN" in capabilities["SASL"]
    one.user(BOB)
    one.pass_(PASSWORD)
    one.quit()


def test_curl(server):
    words = ["curl", "-sS", "--insecure", "--user", f"{BOB}:{PASSWORD}"]
    for url, more in ((f"pop3s://127.0.0.1:{server.pop3s}/", []),
                      (f"pop3://127.0.0.1:{server.pop3}/", ["--ssl-reqd"]),
                      (f"pop3://127.0.0.1:{server.pop3}/", ["--ssl-reqd", "--login-options", "AUTH=PLAIN"]),
                      (f"pop3://127.0.0.1:{server.pop3}/", ["--ssl-reqd", "--login-options", "AUTH=LOGIN"])):
        done = run(*words, *more, url)
        assert done.returncode == 0, (url, more, done.stderr)


def injected(port, begin, greeting):
    """What a client hears that puts commands behind the one which begins TLS."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        assert one.recv(1000).startswith(greeting)
        one.sendall(begin)
        heard = b""
        while True:
            octets = one.recv(10000)
            if not octets:
                return heard
            heard += octets


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
    other = context(server)
    other.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", server.pop3s), timeout=30) as one:
        with pytest.raises(ssl.SSLError):
            other.wrap_socket(one, server_hostname="mail.example.test")
