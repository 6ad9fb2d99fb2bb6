"""Starting, stopping, reloading, asking: what an operator does with the server."""
import itertools
import json
import os
import re
import signal
import socket
import subprocess

import pytest

import veredus
from veredus import BINARY, DIRECTORY, Mailbox, Pop3, Server, Smtp, message, wait_until

pytestmark = pytest.mark.usefixtures("unharmed")


def logged(server, begun, event, also=""):
    """Waits for a line of the log; gives back what was logged since."""
    wait_until(lambda: server.logged(event, begun, also), f"the log tells of {event} {also}")
    return server.log()[begun:]


@pytest.fixture
def restored(server):
    """Whatever a test sets, the next finds the file as it was."""
    settings = {section: dict(values) for section, values in server.settings.items()}
    yield
    server.settings = settings
    begun = len(server.log())
    server.write_configuration()
    server.reload()
    logged(server, begun, "reloaded")


def test_reload_with_a_good_file_keeps_sessions(server, smtp, bob, restored):
    smtp.expect("MAIL FROM:<alice@example.test>", 250)
    with bob.session() as reading:
        server.settings = {"smtp": {"message_size": "100K"}}
        server.write_configuration()
        begun = len(server.log())
        server.reload()
        logged(server, begun, "reloaded")
        smtp.expect("RCPT TO:<bob@example.test>", 250)
        assert smtp.data(message("over a reload")).code == 250
        assert reading.stat() == (0, 0)
    wait_until(lambda: "SIZE 102400" in hello(server), "new sessions have the new size")
    assert bob.bodies() == [message("over a reload")]


def hello(server):
    with Smtp(server.smtp) as session:
        return session.hello.lines


def test_reload_with_a_bad_file_changes_nothing(server, smtp, restored):
    before = hello(server)
    server.write_configuration(server.configuration() + "smtp {\n    mesage_size = 10K\n    recipients = 3\n}\n")
    begun = len(server.log())
    server.reload()
    log = logged(server, begun, "configuration_refused", "mesage_size")
    assert "message_size" in log and not server.logged("reloaded", begun)
    smtp.expect("NOOP", 250)
    assert hello(server) == before


def test_reload_says_what_needs_a_restart(server, restored):
    server.settings = {"pop3": {"listen": '{"127.0.0.1:1"}'}, "smtp": {"hops": "60"}}
    server.write_configuration()
    begun = len(server.log())
    server.reload()
    assert "pop3.listen" in logged(server, begun, "needs_restart")
    server.check_up()


@pytest.mark.restarts
@pytest.mark.parametrize("name", ["core", "mx", "box"])
def test_a_role_that_died_comes_back(server, bob, name):
    with Smtp(server.smtp) as session:
        session.deliver(message("before"))
    before = server.roles()
    pid = server.role(name)[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in server.roles() and len(server.roles()) == len(before), "the role is back")
    wait_until(lambda: served(server), "it is linked")
    with Smtp(server.smtp) as session:
        session.deliver(message("after"))
    assert bob.bodies() == [message("before"), message("after")]
    others = {pid for pid in before if pid in server.roles()}
    assert others == set(before) - {pid}, "another role ended too"


def served(server):
    try:
        server.check_up()
        Mailbox(server, "bob@example.test").count()
        return True
    except (EOFError, AssertionError, ConnectionError):
        return False


@pytest.mark.restarts
def test_a_session_outlives_core(server, bob):
    with Smtp(server.smtp) as session:
        session.deliver(message("one"))
        [core] = server.role("core")
        session.envelope("alice@example.test", "bob@example.test")
        os.kill(core, signal.SIGKILL)
        reply = session.data(message("two"))
        assert reply.code == 250, reply
    assert bob.bodies() == [message("one"), message("two")]


@pytest.mark.restarts
def test_everything_is_there_after_a_restart(server, bob):
    with Smtp(server.smtp) as session:
        for number in range(50):
            session.deliver(message(str(number)))
    before = bob.raw()
    server.wait_renewed()
    export = server.cli("export").stdout
    assert server.stop() == 0
    server.start()
    assert bob.raw() == before and len(before) == 50
    assert server.cli("export").stdout == export


@pytest.mark.restarts
def test_stopping_waits_for_no_idle_client_and_says_goodbye(server):
    with Smtp(server.smtp) as session, Pop3(server.pop3) as reading:
        server.process.send_signal(signal.SIGTERM)
        assert session.reply().code == 421
        assert reading.status()[0] is False
        assert session.ended() and reading.ended()
        assert server.process.wait(veredus.PATIENCE) == 0
    assert not os.path.exists(os.path.join(server.home, "pid"))
    assert not os.path.exists(os.path.join(server.home, "control"))
    server.process = None
    server.start()


@pytest.mark.restarts
def test_roles_end_when_their_parent_is_gone(server, bob):
    with Smtp(server.smtp) as session:
        session.deliver(message("kept"))
    roles = server.roles()
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(is_role(pid) for pid in roles), "the roles ended")
    wait_until(lambda: server.cli("account", "list", check=False).returncode == 0, "the store is free")
    server.process = None
    server.start()
    assert bob.bodies() == [message("kept")]


def is_role(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"role" in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- Starts that fail ---

@pytest.fixture
def other():
    one = Server(directory=None)
    yield one
    if one.process:
        one.stop()
    import shutil
    shutil.rmtree(one.home, ignore_errors=True)


def failed_start(server, home_before=None):
    """The lines on standard error of a start that fails with exit code 1."""
    done = subprocess.run([BINARY, "serve", "--home", server.home], capture_output=True, text=True,
                          timeout=veredus.PATIENCE)
    assert done.returncode == 1, done
    return done.stderr.splitlines()


@pytest.mark.parametrize("name", ["smtp", "lmtp", "pop3"])
def test_a_port_in_use_is_one_clear_line_and_nothing_half_made(other, name):
    port = getattr(other, name)
    before = sorted(os.listdir(other.home))
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        lines = failed_start(other)
    assert len(lines) == 1 and f"127.0.0.1:{port}" in lines[0] and "in use" in lines[0], lines
    assert sorted(set(os.listdir(other.home)) - {"data"}) == before
    assert not os.path.isdir(os.path.join(other.home, "data")) or os.listdir(os.path.join(other.home, "data")) == []
    other.start()


def test_a_bad_configuration_names_file_line_key_and_the_nearest(other):
    other.write_configuration("hostname = mail.example.test\nsmtp {\n    mesage_size = 10K\n}\n")
    done = subprocess.run([BINARY, "serve", "--home", other.home], capture_output=True, text=True)
    assert done.returncode != 0
    assert re.search(r"veredus\.conf:3: .*mesage_size.*message_size", done.stderr), done.stderr
    assert other.cli("config", "check", check=False).returncode == 78


def test_a_home_may_be_named_from_where_one_stands(other):
    """The roles leave the working folder, so core once made its data at the same name below the root."""
    folder, name = os.path.split(other.home)
    other.start(home=name, folder=folder)
    assert os.path.isdir(os.path.join(other.home, "data", "store", "log"))
    other.apply(veredus.DIRECTORY)
    with veredus.Smtp(other.smtp) as session:
        session.deliver(veredus.message("from here"))


def test_two_servers_in_one_home(server):
    before = server.roles()
    lines = failed_start(server)
    assert len(lines) == 1, lines
    assert server.roles() == before
    server.check_up()


# --- The commands ---

def test_commands_work_on_the_store_while_the_server_is_down(other):
    def add(*words, **more):
        return other.cli(*words, **more)
    add("domain", "add", "example.test")
    add("account", "add", "bob@example.test", "--password-stdin", text="a long enough secret\n")
    assert "bob@example.test" in other.cli("account", "list").stdout
    other.start()
    with Pop3(other.pop3, "bob@example.test", "a long enough secret") as session:
        assert session.stat() == (0, 0)
    assert "bob@example.test" in other.cli("account", "list").stdout
    other.cli("account", "set", "bob@example.test", "--disable")
    with Pop3(other.pop3) as session:
        session.expect("USER bob@example.test", True)
        session.expect("PASS a long enough secret", False)


def test_the_manual_has_every_command_and_option():
    helped = subprocess.run([BINARY, "help"], capture_output=True, text=True, timeout=veredus.PATIENCE, check=True).stdout
    with open(os.path.join(veredus.ROOT, "doc", "veredus.8"), encoding="utf-8") as file:
        manual = file.read()
    commands = re.findall(r"^  ([a-z].*(?:\n    \S.*)*)", helped, re.M)
    assert len(commands) > 80
    for command in commands:
        usage = re.sub(r"(?<=\S) {3,}.*", "", command)  # of some the help stands beside it
        words = " ".join(itertools.takewhile(lambda word: re.fullmatch("[a-z-]+", word), usage.split()))
        assert re.search(rf"^\.It (Xo )?(Cm )?{words}\b|^\.Cm {words}\b", manual, re.M) or usage == "version, help", words
        for option in re.findall(r"--([a-z0-9-]+)", command):
            assert f"Fl -{option}" in manual, (words, option)


def test_wrong_words_are_told_before_anything_is_opened():
    """Without a configuration: only the words are wrong, or help is asked for."""
    def run(*words):
        return subprocess.run([BINARY, *words, "--home", "/nonexistent"], capture_output=True, text=True,
                              timeout=veredus.PATIENCE)
    for words in (["frob"], ["domain"], ["domain", "frob"], ["domain", "add"], ["account", "list", "--frob"],
                  ["status", "extra"], ["serve", "extra"], ["version", "extra"], ["config"], ["config", "frob"],
                  ["config", "show", "extra"], ["alias", "add"] + 300 * ["a@example.test"]):
        refused = run(*words)
        assert refused.returncode == 64 and refused.stderr.startswith("veredus: "), (words, refused)
    for words in (["account", "--help"], ["account", "add", "--help"], ["help", "account"], ["account", "-h"]):
        helped = run(*words)
        assert helped.returncode == 0 and "account add ADDRESS" in helped.stdout, (words, helped)
        assert "domain add" not in helped.stdout
    assert "serve" in run("serve", "--help").stdout and "serve" in run("help").stdout
    assert "--require-tls" in run("help", "send").stdout
    wrong = run("help", "sned")
    assert wrong.returncode == 64 and 'no command "sned"' in wrong.stderr
    assert run("domain", "list").returncode == 78


def test_export_and_apply_are_the_same_twice(server):
    text = server.cli("export").stdout
    path = os.path.join(server.home, "exported")
    with open(path, "w") as file:
        file.write(text)
    assert "nothing was written" in server.cli("apply", path, "--dry-run").stdout
    assert "0 added, 0 changed" in server.cli("apply", path).stdout
    assert server.cli("export").stdout == text


def test_a_file_that_is_not_there_is_no_wrong_usage(server):
    refused = server.cli("apply", os.path.join(server.home, "nowhere"), check=False)
    assert refused.returncode == 66 and "cannot read" in refused.stderr


def test_directory_commands_in_json(server):
    server.cli("alias", "add", "json@example.test", "bob@example.test")
    shown = json.loads(server.cli("alias", "show", "json@example.test", json=True).stdout)
    assert shown["to"] == ["bob@example.test"]
    assert json.loads(server.cli("alias", "list", json=True).stdout)
    assert json.loads(server.cli("status", json=True).stdout)["server"] == "up"
    server.cli("alias", "remove", "json@example.test")


def test_people_are_shown_domains_as_they_are_written(server):
    assert "xn--" not in server.cli("domain", "list").stdout + server.cli("account", "list").stdout
    assert server.cli("account", "show", "用户@xn--fsqu00a.xn--0zwm56d").stdout.split()[1] == "用户@例子.测试"
    domains = json.loads(server.cli("domain", "list", json=True).stdout)
    accounts = json.loads(server.cli("account", "list", json=True).stdout)
    assert {each["domain"]: each.get("display") for each in domains}["xn--fsqu00a.xn--0zwm56d"] == "例子.测试"
    shown = {each["account"]: each.get("display") for each in accounts}
    assert shown["用户@xn--fsqu00a.xn--0zwm56d"] == "用户@例子.测试" and shown["bob@example.test"] is None


def test_loops_are_refused(server):
    server.cli("alias", "add", "one@example.test", "bob@example.test")
    server.cli("alias", "add", "two@example.test", "one@example.test")
    loop = server.cli("alias", "set", "one@example.test", "two@example.test", check=False)
    assert loop.returncode in (65, 73) and loop.stderr
    loop = server.cli("account", "forward", "add", "bob@example.test", "two@example.test", check=False)
    assert loop.returncode in (65, 73) and loop.stderr
    server.cli("alias", "remove", "two@example.test")
    server.cli("alias", "remove", "one@example.test")


def test_targets_are_here_or_elsewhere(server):
    server.cli("alias", "add", "x@example.test", "a@else.test")
    server.cli("moved", "add", "y@example.test", "--forward", "a@else.test")
    server.cli("list", "add", "z@example.test", "--owner", "alice@example.test", "--member", "a@else.test")
    refused = server.cli("list", "set", "z@example.test", "--owner", "a@else.test", check=False)
    assert refused.returncode == 77 and refused.stderr.count("\n") == 1, refused
    server.cli("account", "forward", "add", "bob@example.test", "a@else.test", "--no-keep")
    text = server.cli("export").stdout
    assert 'forward = "a@else.test"\n    keep = no\n' in text
    assert json.loads(server.cli("account", "show", "bob@example.test", json=True).stdout)["forward"] == ["a@else.test"]
    server.cli("account", "forward", "remove", "bob@example.test", "a@else.test")
    for noun, name in (("alias", "x"), ("moved", "y"), ("list", "z")):
        server.cli(noun, "remove", f"{name}@example.test")


def test_trace_tells_the_story_of_a_message(server, smtp, bob):
    ident = smtp.deliver(message("traced"), ["bob@example.test"])
    smtp.expect("MAIL FROM:<stranger@else.test>", 250)
    smtp.expect("RCPT TO:<victim@else.test>", 550)
    smtp.expect("QUIT", 221)
    story = server.cli("trace", ident).stdout
    assert re.search(r"Accepted from 127\.0\.0\.1 \(client\.example\.test\) by ESMTP: [0-9]+ octets", story)
    assert "Delivered to bob@example.test" in story
    assert ident in server.cli("trace", "--to", "bob@example.test", "--since", "1h").stdout
    assert ident in server.cli("trace", "--from", "alice@example.test", "--since", "1h").stdout
    told = json.loads(server.cli("trace", ident, json=True).stdout)
    events = (told if isinstance(told, dict) else told[0])["events"]
    assert [event["event"] for event in events][:2] == ["accepted", "delivered"]
    assert "Removed" not in story
    bob.empty()
    assert re.search(r"Removed from INBOX of bob@example\.test \(UID [0-9]+\) by POP3 from 127\.0\.0\.1\.",
                     server.cli("trace", ident).stdout)
    refused = wait_until(lambda: server.cli("trace", "--to", "victim@else.test", check=False).stdout,
                         "the refusal is written down")
    assert "550" in refused and "Relaying denied" in refused
    nothing = server.cli("trace", "0000000000000", check=False)
    assert nothing.returncode == 69 and nothing.stderr


def test_the_log_is_one_line_for_each_event(server, smtp):
    smtp.deliver(message("logged"))
    smtp.expect("QUIT", 221)
    logged(server, 0, "message", "from=alice@example.test")
    for line in server.log().splitlines():
        assert re.fullmatch(r"[0-9T:.-]+Z (info|warn|fail) [a-z]+ [a-z_-]+"
                            r"( [a-z_0-9]+=([^ \"]*|\"([^\"\\]|\\.)*\"))*", line), line


def test_fsck_finds_nothing_to_say(server):
    assert server.cli("fsck").returncode == 0
