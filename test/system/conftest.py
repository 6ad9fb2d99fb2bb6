"""One server for each file of tests; after every test it must be as well as before."""
import ctypes
import subprocess

import pytest

import veredus


def pytest_configure(config):
    config.addinivalue_line("markers", "restarts: the test stops or kills roles of the server on purpose")


CLONE_NEWNET = 0x40000000


@pytest.fixture(scope="module")
def own_network():
    """For files whose servers of others have fixed addresses and ports: loopback of a namespace of their own, so that they
    run beside each other, and beside themselves. This thread is there, and with it what it starts; it needs root."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
        libc.setns(home.fileno(), CLONE_NEWNET)


@pytest.fixture(scope="module")
def settings():
    """What a file of tests wants to have set; overridden there."""
    return {}


@pytest.fixture(scope="module")
def directory():
    return veredus.DIRECTORY


@pytest.fixture(scope="module")
def server(settings, directory):
    one = veredus.Server(settings, directory)
    yield one
    one.close()


@pytest.fixture
def bob(server):
    mailbox = veredus.Mailbox(server, "bob@example.test")
    mailbox.empty()
    return mailbox


@pytest.fixture
def smtp(server):
    with veredus.Smtp(server.smtp) as session:
        yield session


@pytest.fixture
def lmtp(server):
    with veredus.Smtp(server.lmtp, "LHLO") as session:
        yield session


@pytest.fixture
def unharmed(request, server):
    """No role died or was started anew, nothing alarming was logged, a fresh session is served."""
    before = server.roles()
    yield
    if not request.node.get_closest_marker("restarts"):
        assert server.roles() == before, "a role ended"
    assert server.alarms() == []
    server.check_up()


GROWTH_MOST = 1 << 20  # octets of a role for each hostile session
POOLS_MOST = 4 << 20  # octets by which a role may grow besides, once in a server's life: the index is brought up to
# date every ten seconds, whoever is being served then, and keeps the pages it took for that


@pytest.fixture
def hostile(request, server, unharmed):
    """The catalogue's rule for every row: as above, and no role grows by more than 1 MiB per session. A role's first
    sessions fill its pools, so a few ordinary ones come before."""
    with veredus.Smtp(server.smtp) as session:
        session.deliver(veredus.message("warm", body="x\r\n" * 100000))
    veredus.Mailbox(server, "bob@example.test").empty()
    server.wait_renewed()
    before = server.memory()
    sessions = server.logged("session")
    yield
    if veredus.sanitized():
        return  # what is freed is kept in quarantine there
    sessions = max(1, server.logged("session") - sessions)
    for pid, held in server.memory().items():
        grown = held - before.get(pid, held)
        server.pools[pid] = server.pools.get(pid, 0) + max(0, grown - GROWTH_MOST * sessions)
        assert server.pools[pid] < POOLS_MOST, f"{server.roles()[pid][0]} grew by {grown} in {sessions} sessions"
