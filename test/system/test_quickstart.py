"""./quickstart as a new user types it. Its ports are fixed, so this file has the machine for itself.

As root it makes the system users of the roles; this machine's own are none of a test's business, so as root
everything runs where /etc is a copy."""
import os
import poplib
import shutil
import socket
import subprocess

import pytest

import veredus
from veredus import ROOT, Smtp, message, parted, wait_until

PORTS = (2525, 2424, 2587, 2465, 2110, 2995)


def is_free(port):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    """What stands in front of every command."""
    if os.getuid() != 0:
        return []
    etc = tmp_path_factory.mktemp("root") / "etc"
    shutil.copytree("/etc", etc, symlinks=True)
    words = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', str(etc)]
    if subprocess.run([*words, "true"], capture_output=True).returncode != 0:
        pytest.skip("as root this would make system users, and there are no mount namespaces here to hide them in")
    return words


@pytest.fixture
def quickstart(around, tmp_path):
    wait_until(lambda: all(is_free(port) for port in PORTS), "the ports of ./quickstart are free", patience=300)
    home = tmp_path / "home"
    os.chmod(tmp_path, 0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and str(folder).startswith("/tmp/"):
            os.chmod(folder, 0o755)

    def run(*words, check=True, place=home):
        with open(tmp_path / "said", "w+") as said:  # a pipe would stay open as long as the server in the background
            done = subprocess.run([*around, os.path.join(ROOT, "quickstart"), *words, "--home", str(place)], stdout=said,
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=600)
            said.seek(0)
            done.stdout = said.read()
        assert not check or done.returncode == 0, done.stdout
        return done

    run.home = home
    yield run
    if (home / "pid").exists():
        run("--stop", check=False)


def test_once(quickstart):
    said = quickstart("--once").stdout
    assert "byte for byte" in said
    assert "Return-Path" in said and "Received" in said
    assert all(is_free(port) for port in PORTS), "something still runs"


def read_all(user, password):
    client = poplib.POP3("127.0.0.1", 2110, veredus.PATIENCE)
    client.user(user)
    client.pass_(password)
    found = [b"".join(line + b"\r\n" for line in client.retr(number + 1)[1]) for number in range(client.stat()[0])]
    client.quit()
    return found


def test_background_stop_and_what_is_there_is_used_again(quickstart):
    first = quickstart("--background", "--password", "quick and easy").stdout
    assert "quick and easy" in first and "curl" in first and "swaks" in first and "mutt" in first
    with Smtp(2525) as session:
        session.deliver(message("first"))
    again = quickstart("--background", "--password", "another").stdout
    assert "password: " not in again and "another" not in again and "as they were made before" in again
    configuration = (quickstart.home / "veredus.conf").read_bytes()
    quickstart("--stop")
    assert all(is_free(port) for port in PORTS)
    quickstart("--background")
    assert (quickstart.home / "veredus.conf").read_bytes() == configuration
    [raw] = read_all("bob@example.test", "quick and easy")
    assert parted(raw)[1] == message("first")
    quickstart("--stop")
    assert quickstart("--stop", check=False).returncode != 0


def test_the_commands_it_prints_work(quickstart, tmp_path):
    said = quickstart("--background", "--password", "quick-and-easy").stdout
    commands = [line.strip() for line in said.splitlines()]
    send = next(i for i, line in enumerate(commands) if line.startswith("printf"))
    subprocess.run(commands[send] + " " + commands[send + 1], shell=True, check=True, timeout=60)
    swaks = next(line for line in commands if line.startswith("swaks"))
    subprocess.run(swaks, shell=True, check=True, capture_output=True, timeout=60)
    listing = next(line for line in commands if line.startswith("curl") and line.endswith("2110/"))
    listed = subprocess.run(listing.replace("bob@example.test", "bob@example.test:quick-and-easy", 1), shell=True,
                            check=True, capture_output=True, timeout=60)
    assert len(listed.stdout.splitlines()) == 2
    trace = next(line for line in commands if " trace --to " in line)
    assert b"Delivered to bob" in subprocess.run(trace, shell=True, check=True, capture_output=True, timeout=60).stdout


@pytest.mark.parametrize("port", PORTS)
def test_a_port_in_use(quickstart, port):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        for mode in ("--once", "--background"):
            done = quickstart(mode, check=False)
            lines = done.stdout.splitlines()
            assert done.returncode != 0
            assert len(lines) == 1 and f"127.0.0.1:{port}" in lines[0], done.stdout
            assert not (quickstart.home / "pid").exists()


def test_a_home_that_cannot_be_made(quickstart, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = quickstart("--once", check=False, place=tmp_path / "file" / "home")
    assert done.returncode != 0
    assert len(done.stdout.splitlines()) <= 2 and "cannot make" in done.stdout


def test_an_option_it_does_not_know(quickstart):
    assert quickstart("--wat", check=False).returncode == 64
