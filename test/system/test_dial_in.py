"""Hosts that are not always there: ETRN (RFC 1985), asked for as fetchmail asks and by hand."""
import shutil
import subprocess

import pytest

import veredus
from sinks import Exchange
from veredus import Server, Smtp, free_ports, message, wait_until


@pytest.fixture(scope="module")
def office():
    """The host that dials in: a server of somebody else's, which we reach by a route."""
    one = Exchange("127.0.0.1", free_ports(1)[0])
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(office):
    port = office.socket.getsockname()[1]
    one = Server({"route office": {"to": '"office.test"', "via": f'"127.0.0.1:{port}"', "tls": "off"},
                  "smtp": {"relay_from": '"127.0.0.1"', "etrn_domains": '"office.test"'},
                  "sending": {"retry_first": "1h", "retry_most": "1h"}}, veredus.DIRECTORY)
    yield one
    one.close()


def put_off(server, office, text):
    """A message that the office did not take at once."""
    office.later = 1
    with Smtp(server.smtp) as smtp:
        smtp.deliver(message(text), recipients="carol@office.test")
    wait_until(lambda: office.later == 0, "the office has put it off")
    wait_until(lambda: "deferred" in server.cli("queue", "list", "--state", "waiting").stdout or
               "come again" in server.cli("queue", "list").stdout, "it waits")


def taken(office, text):
    return [octets for _, _, octets in office.messages if text.encode() in octets]


def test_fetchmail_asks_and_what_waits_arrives(server, office, tmp_path):
    put_off(server, office, "while you were out")
    config = tmp_path / "fetchmailrc"
    config.write_text(f'poll 127.0.0.1 service {server.smtp} protocol etrn no dns\n  user "x" fetchdomains office.test\n')
    config.chmod(0o600)
    done = subprocess.run([shutil.which("fetchmail"), "--nodetach", "--nosyslog", "-v", "-f", config, "--pidfile",
                           tmp_path / "pid"], capture_output=True, text=True, timeout=60,
                          env={"FETCHMAILHOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    print(done.stdout, done.stderr)
    assert "ETRN office.test" in done.stdout
    wait_until(lambda: taken(office, "while you were out"), "it has arrived")


def test_what_may_be_asked_is_announced_and_all_else_refused(server, office):
    with Smtp(server.smtp) as smtp:
        assert "ETRN" in smtp.hello.lines
        smtp.expect("ETRN other.test", 459, "4.7.1")
        smtp.expect("ETRN office", 501, "5.5.4")
        smtp.expect("ETRN #office", 250)
        assert "ETRN" in str(smtp.expect("HELP", 214))
