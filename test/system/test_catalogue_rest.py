"""Rows I and O of the catalogue: mailboxes, log-ins, POP3; files, programs, sockets, roles."""
import os
import shutil
import socket
import subprocess

import pytest

import veredus
from veredus import BINARY, Pop3, Server, Smtp, message, wait_until

pytestmark = pytest.mark.usefixtures("hostile")

PATHS = ["..", "../x", "/etc/passwd", "~root", "&AC4ALg-", "a/../../b", ".", "x/" * 1000, "x" * 10_000]


# --- I10: names are never paths ---

@pytest.mark.parametrize("name", PATHS, ids=range(len(PATHS)))
def test_I10_a_name_that_would_be_a_path(server, smtp, name):
    before = files(server)
    refused = server.cli("account", "add", f"{name}@example.test", "--no-password", check=False)
    smtp.expect("MAIL FROM:<>", 250)
    # Where it is a name at all, it is no more than one.
    reply = smtp.command(f"RCPT TO:<{name}@example.test>")
    assert reply.code == 250 if refused.returncode == 0 else reply.code in (500, 501, 550, 553), reply
    with Pop3(server.pop3) as session:
        session.command(f"USER {name}")
        session.expect("PASS correct horse", False)
    assert refused.returncode != 0 or name in ("~root", "&AC4ALg-")
    assert files(server) == before


def files(server):
    """What lies in the home, but for the numbers of the log's segments."""
    found = set()
    for folder, _, names in os.walk(server.home):
        found.add(os.path.relpath(folder, server.home))
        if "data" not in folder:
            found.update(names)
    return found


# --- I14: a user name is only a name ---

@pytest.mark.parametrize("name", [
    b"*)(uid=*", b"a' OR 1=1--", b"%{x}" * 200, b"../u", b"u\0v", b"bob@example.test\0", b"*", b"bob*",
    b"bob@example.test' --", b"$(id)", b"", b" ", b"\xff\xfe", b"bob@example.test x"])
def test_I14_a_user_name_is_only_a_name(server, name):
    with Pop3(server.pop3) as session:
        session.command(b"USER " + name)
        session.expect(b"PASS correct horse", False)
        session.expect("USER bob@example.test", True)
        session.expect("PASS correct horse", True)


def test_I14_spellings_that_saslprep_makes_one_are_one_account(server, bob):
    """RFC 4013 2.2: a wide letter is the letter. Nobody else can have that name, so it leads to nobody else."""
    with Smtp(server.smtp) as session:
        session.deliver(message("for bob alone"))
    with Pop3(server.pop3) as session:
        session.command(b"USER \xef\xbd\x82ob@example.test")
        session.expect(b"PASS correct horse", True)
        assert session.stat() == (1, len(bob.raw()[0]))


def test_I14_a_user_name_beyond_every_limit(server):
    with Pop3(server.pop3) as session:
        session.expect("USER " + "%{x}" * 10_000, False)
        session.expect("NOOP", False)
        session.expect("CAPA", True)
        session.multiline()
        session.expect("USER BOB@Example.TEST", True)
        session.expect("PASS correct horse", True)


# --- I19 ---

def fill(server, count):
    with Smtp(server.smtp) as session:
        for number in range(count):
            session.deliver(message(str(number)))


def test_I19_numbers(server, bob):
    fill(server, 2)
    with bob.session() as session:
        for text in ("TOP 1 99999999999", "RETR -1", "RETR 0", "RETR 3", "RETR 4294967297", "RETR x", "RETR", "RETR 1 2",
                     "TOP 1", "TOP 1 -1", "TOP 1 1 1", "DELE 18446744073709551617", "LIST 99", "UIDL -0", "STAT 1"):
            session.expect(text, False)
        assert session.stat()[0] == 2
        session.expect("QUIT", True)
    assert bob.count() == 2


def test_I19_cut_during_quit_is_all_or_none(server, bob):
    for _ in range(20):
        fill(server, 5)
        with bob.session() as session:
            count = session.stat()[0]
            for number in range(1, count + 1):
                session.expect(f"DELE {number}", True)
            session.send(b"QUIT\r\n")
            session.cut()
        with bob.session() as session:
            left = session.stat()[0]
        assert left in (0, count)


def test_I19_half_of_quit_deletes_nothing(server, bob):
    fill(server, 1)
    with bob.session() as session:
        session.expect("DELE 1", True)
        session.send(b"QUIT")
    assert bob.count() == 1


# --- O01: links ---

@pytest.fixture
def stopped():
    server = Server()
    with Smtp(server.smtp) as session:
        session.deliver(message("kept", body="x" * 900 + "\r\n"))
        session.deliver(b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 40000)
    server.stop()
    yield server
    if server.process:
        server.close()
    shutil.rmtree(server.home, ignore_errors=True)


def data_files(server, least=0):
    found = []
    for folder, _, names in os.walk(os.path.join(server.home, "data")):
        found += [os.path.join(folder, name) for name in names]
    return sorted(path for path in found if os.path.getsize(path) >= least and not path.endswith(("lock", "lock.mdb")))


def test_O01_a_file_of_ours_that_became_a_link_is_not_followed(stopped):
    outside = os.path.join(stopped.home, "outside")
    for path in data_files(stopped):
        if not os.path.exists(path):  # a spare that was filled in part: each start begins another
            assert os.path.basename(path).startswith("spare-"), f"{path} is gone"
            path = next((other for other in data_files(stopped) if "/spare-" in other), None)
            if not path:
                continue
        kept = path + ".kept"
        os.rename(path, kept)
        with open(outside, "wb") as file:
            file.write(b"not yours")
        os.symlink(outside, path)
        refuses_or_serves(stopped)
        with open(outside, "rb") as file:
            assert file.read() == b"not yours", f"{path} was followed"
        if os.path.lexists(path):
            os.remove(path)
        os.rename(kept, path)


def refuses_or_serves(server):
    """True: it ended by itself. A server that goes on serving what is whole is stopped."""
    begun = len(server.log())
    server.spawn()

    def settled():
        return server.process.poll() is not None or server.logged("started", begun)

    wait_until(settled, "it serves or ends")
    if server.process.poll() is None:
        server.stop()
        return False
    server.process = None
    return True


@pytest.mark.parametrize("inside", [False, True])
def test_O01_a_folder_that_became_a_link(stopped, inside):
    data = os.path.join(stopped.home, "data")
    if not inside and os.getuid() != 0:
        pytest.skip("where nothing is given to another user, the data folder is what its owner says it is")
    if inside:
        [data] = [os.path.join(data, name) for name in os.listdir(data)]
    elsewhere = os.path.join(stopped.home, "elsewhere")
    os.rename(data, data + ".kept")
    os.mkdir(elsewhere)
    os.chmod(elsewhere, 0o777)
    os.symlink(elsewhere, data)
    refuses_or_serves(stopped)
    assert os.listdir(elsewhere) == []


# --- O02: programs and files as recipients ---

@pytest.mark.parametrize("recipient", ['"|/bin/sh"', '"|id"', "/etc/passwd", '":include:/etc/shadow"', '"/dev/null"'])
def test_O02_no_recipient_is_a_program_or_a_file(server, smtp, recipient):
    smtp.expect("MAIL FROM:<>", 250)
    assert smtp.command(f"RCPT TO:<{recipient}@example.test>").code in (550, 553)
    for words in (("alias", "add", f"{recipient}@example.test", "bob@example.test"),
                  ("alias", "add", "x@example.test", f"{recipient}@example.test"),
                  ("alias", "add", "x@example.test", recipient.strip('"'))):
        assert server.cli(*words, check=False).returncode != 0
    assert server.cli("alias", "list").stdout.find("x@example.test") < 0
    for pid in server.roles():
        assert veredus.processes_below(pid) == {}


# --- O03: the control socket ---

def control(server):
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    end.settimeout(veredus.PATIENCE)
    end.connect(os.path.join(server.home, "control"))
    return end


def test_O03_the_control_socket_is_its_owners(server):
    assert os.stat(os.path.join(server.home, "control")).st_mode & 0o777 == 0o600


def test_O03_noise_and_half_messages(server):
    noise = os.urandom(1 << 16)
    for start in range(0, 160):
        with control(server) as end:
            try:
                end.send(noise[start * 64:start * 64 + (1 << 15)])
                end.send(noise[:start])
                end.recv(1 << 16)
            except OSError:
                pass
    for octets in (b"\0", b"\0" * 4, b"\xff" * 64, b"\x01\0\0\0"):
        with control(server) as end:
            end.send(octets)
    server.cli("status")


def test_O03_a_thousand_idle_connections(server):
    ends = []
    try:
        for _ in range(1000):
            end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            end.setblocking(False)
            ends.append(end)
            try:
                end.connect(os.path.join(server.home, "control"))
            except BlockingIOError:
                continue  # the queue is full: nobody was taken in
        server.check_up()
    finally:
        for end in ends:
            end.close()
    wait_until(server.answers, "the socket serves again")


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_O03_another_user_is_refused_by_who_he_is(server):
    path = os.path.join(server.home, "control")
    mode = os.stat(path).st_mode & 0o777
    os.chmod(path, 0o666)
    # Where the other user can start it: the build may lie in a folder of root's.
    program = shutil.copy(BINARY, os.path.join(server.home, "another-users-veredus"))
    os.chmod(program, 0o755)
    try:
        done = subprocess.run([program, "status", "--home", server.home], capture_output=True, text=True, user=65534,
                              group=65534)
    finally:
        os.chmod(path, mode)
        os.remove(program)
    assert done.returncode != 0, done
    assert server.logged("control_refused")


# --- O05: what each role may do; a unit test tries it from the inside ---

def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_O05_every_role_gave_up_what_it_does_not_need(server):
    for pid, (role, _) in server.roles().items():
        status = status_of(pid)
        assert status["NoNewPrivs"] == "1", role
        assert status["Seccomp"] == "2", role
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0, role


@pytest.mark.skipif(os.getuid() != 0, reason="a role shows its descriptors to root only")
def test_O05_a_network_role_holds_no_file_of_ours(server):
    for role in ("mx", "sub", "box", "courier", "resolver"):
        for pid in server.role(role):
            for number in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{number}")
                assert not target.startswith(os.path.join(server.home, "data")), f"{role} holds {target}"


@pytest.mark.skipif(os.getuid() != 0, reason="a role shows its descriptors to root only")
def test_O05_only_core_has_the_data_open(server):
    [core] = server.role("core")
    held = [os.readlink(f"/proc/{core}/fd/{number}") for number in os.listdir(f"/proc/{core}/fd")]
    assert any(target.startswith(os.path.join(server.home, "data")) for target in held)
