"""What the configuration names beside itself: lists of networks in files, certificates and their keys."""
import os
import ssl
import subprocess

import pytest

import veredus
from veredus import BINARY, Connection, Server, Smtp, free_ports, wait_until

SETTINGS = {"smtp": {"verify_from": '{"@askers"}', "verify": "ambiguous"}}
BLOCKS = """
list askers { networks = { 192.0.2.0/24, @others } }
list others { files = others }
certificate mail { chain = chain.pem key = key.pem }
"""


def make_pair(home, name):
    """A self-signed pair, as an operator makes one."""
    key, chain = os.path.join(home, "key.pem"), os.path.join(home, "chain.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", chain],
                   check=True, capture_output=True)
    os.chmod(key, 0o600)


class House(Server):
    def configuration(self):
        return super().configuration() + BLOCKS

    def shown(self):
        """The certificate, as PEM, that a client of POP3 in TLS sees."""
        return ssl.get_server_certificate(("127.0.0.1", self.pop3s), timeout=veredus.PATIENCE).strip()

    def chain(self):
        with open(os.path.join(self.home, "chain.pem"), encoding="utf-8") as file:
            return file.read().strip()

    def write_others(self, text):
        with open(os.path.join(self.home, "others"), "w", encoding="utf-8") as file:
            file.write(text)


@pytest.fixture
def house():
    one = House(dict(SETTINGS), directory=None)
    one.submissions, one.pop3s = free_ports(2)
    one.settings["submission"] = {"listen_tls": f'{{"127.0.0.1:{one.submissions}"}}'}
    one.settings["pop3"] = {"listen_tls": f'{{"127.0.0.1:{one.pop3s}"}}'}
    one.write_configuration()
    make_pair(one.home, "mail.example.test")
    one.write_others("# nobody yet\r\n198.51.100.0/24\r\n")
    one.start()
    one.apply(veredus.DIRECTORY)
    yield one
    one.close()


def may_ask(house):
    with Smtp(house.smtp) as session:
        return session.command("VRFY bob@example.test").code == 250


def reload(house, event="reloaded", also=""):
    begun = len(house.log())
    house.reload()
    wait_until(lambda: house.logged(event, begun, also), f"the log tells of {event} {also}")
    return house.log()[begun:]


def check(house):
    return subprocess.run([BINARY, "config", "check", "--home", house.home], capture_output=True, text=True, check=False)


def test_a_list_is_read_again(house):
    assert not may_ask(house)
    house.write_others("".join(f"10.{n >> 8 & 255}.{n & 255}.0/24\n" for n in range(60000)) + "127.0.0.1 # me\n")
    reload(house)
    wait_until(lambda: may_ask(house), "whom the list holds may ask")
    house.write_others("127.0.0.1\n127.0.0.256\n")
    assert "others:2:" in reload(house, "configuration_refused", "127.0.0.256")
    assert may_ask(house)
    assert check(house).returncode == 78
    house.write_others("")
    reload(house)
    wait_until(lambda: not may_ask(house), "the list is empty")


def test_who_is_turned_away_hears_nothing_where_tls_comes_first(house):
    house.settings = {name: dict(values) for name, values in house.settings.items()}
    for section in ("submission", "pop3"):
        house.settings[section]["deny_from"] = "127.0.0.1"
    house.write_configuration()
    reload(house)

    def heard(port):
        with Connection(port) as connection:
            return connection.rest()
    wait_until(lambda: heard(house.submission).startswith(b"554 5.7.1 "), "submission denies")
    wait_until(lambda: heard(house.pop3).startswith(b"-ERR "), "POP3 denies")
    assert heard(house.submissions) == heard(house.pop3s) == b""


def test_a_certificate_is_read_again(house):
    assert check(house).returncode == 0
    before = house.chain()
    assert house.shown() == before
    make_pair(house.home, "new.example.test")
    assert house.shown() == before
    reload(house)
    wait_until(lambda: house.shown() == house.chain() != before, "the new certificate is shown")
    key = os.path.join(house.home, "key.pem")
    os.chmod(key, 0o644)
    reload(house, "configuration_refused", "chmod 600")
    checked = check(house)
    assert checked.returncode == 78 and "key.pem: may be read" in checked.stderr
    os.chmod(key, 0o600)
    os.rename(os.path.join(house.home, "chain.pem"), os.path.join(house.home, "gone.pem"))
    reload(house, "configuration_refused", "chain.pem")
    checked = check(house)
    assert checked.returncode == 78 and "certificate.mail.chain: " in checked.stderr
    os.rename(os.path.join(house.home, "gone.pem"), os.path.join(house.home, "chain.pem"))
    reload(house)
    shown = subprocess.run([BINARY, "config", "show", "--all", "--home", house.home], capture_output=True, text=True, check=True)
    assert "certificate mail {" in shown.stdout
    for text in (shown.stdout, house.log()):
        assert "PRIVATE" not in text
