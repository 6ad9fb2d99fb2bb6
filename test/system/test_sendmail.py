"""sendmail, mailq, newaliases and `veredus send`, as programs of this host call them: with the server, with a smart host
alone, and with nobody who answers."""
import contextlib
import email
import email.policy
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from encrypted import Encrypted
from veredus import BINARY, PASSWORD, Mailbox, Server, wait_until

ALICE, BOB = "alice@example.test", "bob@example.test"


class Caller:
    """A user with a home, a spool, and the commands by their names."""

    def __init__(self, folder, server=None, conf=None):
        self.folder = str(folder)
        self.spool = os.path.join(self.folder, "spool")
        for name in ("sendmail", "mailq", "newaliases"):
            os.symlink(BINARY, os.path.join(self.folder, name))
        self.env = dict(os.environ, HOME=self.folder, VEREDUS_SPOOL=self.spool, LANG="C.UTF-8",
                        VEREDUS_SUBMISSION=os.path.join(server.home, "submission") if server else
                        os.path.join(self.folder, "nobody"))
        self.env.pop("XDG_CONFIG_HOME", None)
        if server:
            self.env["VEREDUS_CONFIG"] = os.path.join(server.home, "veredus.conf")
        if conf:
            os.makedirs(os.path.join(self.folder, ".config", "veredus"))
            with open(os.path.join(self.folder, ".config", "veredus", "send.conf"), "w", encoding="utf-8") as file:
                file.write(conf)

    def run(self, *words, text=b""):
        return subprocess.run(words, input=text, env=self.env, capture_output=True, timeout=120, check=False)

    def sendmail(self, *words, text=b"Subject: s\n\nhello\n", code=0):
        ran = self.run(os.path.join(self.folder, "sendmail"), *words, text=text)
        assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
        return ran

    def send(self, *words, text=b"hello\n", code=0):
        ran = self.run(BINARY, "send", *words, text=text)
        assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
        return ran

    def waiting(self):
        there = sorted(os.listdir(self.spool)) if os.path.exists(self.spool) else []
        return [name for name in there if name.endswith(".letter")]


@pytest.fixture(name="server")
def serve():
    server = Server({})
    yield server
    server.stop()


@pytest.fixture(name="caller")
def call(server, tmp_path):
    return Caller(tmp_path, server)


def parsed(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def content(part):
    return part.get_content().replace("\r\n", "\n")


def got(server, who=ALICE):
    return [parsed(raw) for raw in Mailbox(server, who).raw()]


CALLS = {
    "cron": (["-FCronDaemon", "-i", "-B8BITMIME", "-oem", ALICE],
             b"From: root (Cron Daemon)\nTo: alice\nSubject: Cron <root@vps> backup\nMIME-Version: 1.0\n"
             b"Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\nf\xc3\xbcr\n.\nend\n"),
    "php": (["-t", "-i"], b"To: alice@example.test\r\nSubject: form\r\nX-PHP-Originating-Script: 0:x.php\r\n\r\nhi\r\n"),
    "mdadm": (["-t"], b"From: mdadm monitoring <root>\nTo: alice@example.test\nSubject: TestMessage event on /dev/md0\n"
                      b"\nThis is an automatically generated mail message\n"),
    "logwatch": (["-t"], b"To: alice@example.test\nFrom: root\nSubject: Logwatch\nMime-Version: 1.0\n\nall well\n"),
    "git": (["-i", ALICE], b"From: Dev <dev@else.example>\nTo: alice@example.test\nSubject: [PATCH] x\n"
                           b"Message-Id: <1-dev@else.example>\nMIME-Version: 1.0\n\n---\n.\n"),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_of_programs(server, caller, name):
    words, text = CALLS[name]
    caller.sendmail(*words, text=text)
    mail = got(server)[0]
    assert mail["From"] and mail["Date"] and mail["Message-ID"] and mail["Subject"]
    body = mail.get_payload(decode=True)
    assert body.replace(b"\r\n", b"\n") == text.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def test_what_is_missing_is_added_and_bcc_is_gone(server, caller):
    caller.sendmail("-t", text=b"To: alice@example.test\nBcc: bob@example.test\n\nhello\n.\nnot this\n")
    mail, blind = got(server)[0], got(server, BOB)[0]
    assert mail["Bcc"] is None and blind["Bcc"] is None
    assert mail["From"].addresses[0].username and mail["Date"]
    assert content(mail) == "hello\n"


def test_exit_codes(server, caller):
    del server
    assert b"550 5.1.1" in caller.sendmail("nobody@example.test", code=67).stderr
    assert len([name for name in os.listdir(caller.spool) if name.endswith(".dead")]) == 1
    caller.sendmail(code=64)
    caller.sendmail("-x", ALICE, code=64)
    caller.sendmail("-t", text=b"Subject: to nobody\n\n\n", code=64)
    caller.sendmail(ALICE, text=b"From: a@b.example\nFrom: c@d.example\n\n", code=65)
    caller.sendmail("a b c", code=65)
    assert b"alias list" in caller.run(os.path.join(caller.folder, "newaliases")).stdout
    assert caller.waiting() == []


def test_swaks_speaks_smtp_through_it(server, caller):
    ran = caller.run("swaks", "--pipe", os.path.join(caller.folder, "sendmail") + " -bs", "--to", ALICE, "--from",
                     "swaks@else.example", "--body", "by a pipe")
    assert ran.returncode == 0, ran.stdout
    assert got(server)[0].get_content().strip() == "by a pipe"


def test_mutt(server, caller):
    rc = os.path.join(caller.folder, "muttrc")
    with open(rc, "w", encoding="utf-8") as file:
        file.write(f'set sendmail="{caller.folder}/sendmail -oem -oi"\nset from="me@else.example"\nset realname="Ä. Me"\n'
                   "set use_envelope_from=yes\nset copy=no\n")
    ran = caller.run("mutt", "-n", "-F", rc, "-s", "grüße", ALICE, text="wörter\n".encode())
    assert ran.returncode == 0, ran.stderr
    mail = got(server)[0]
    assert mail["Subject"] == "grüße" and content(mail) == "wörter\n"
    assert mail["Return-Path"] == "<me@else.example>"


def test_git_send_email(server, caller):
    patch = os.path.join(caller.folder, "0001-x.patch")
    with open(patch, "w", encoding="utf-8") as file:
        file.write("From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: Dév <dev@else.example>\n"
                   "Date: Sat, 21 Nov 2026 12:00:00 +0000\nSubject: [PATCH] x\nMIME-Version: 1.0\n"
                   "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n.\nü\n---\n-- \n2.39\n")
    caller.env.update(GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", GIT_CEILING_DIRECTORIES=caller.folder,
                      GIT_AUTHOR_NAME="Dév", GIT_AUTHOR_EMAIL="dev@else.example", GIT_COMMITTER_NAME="Dév",
                      GIT_COMMITTER_EMAIL="dev@else.example")
    ran = caller.run("git", "-C", caller.folder, "send-email", f"--sendmail-cmd={caller.folder}/sendmail", "--confirm=never",
                     "--from=Dév <dev@else.example>", "--envelope-sender=dev@else.example", "--suppress-cc=all",
                     f"--to={ALICE}", f"--cc={BOB}", patch)
    assert ran.returncode == 0, ran.stderr
    for who in (ALICE, BOB):
        mail = got(server, who)[0]
        assert mail["Subject"] == "[PATCH] x" and content(mail) == ".\nü\n---\n-- \n2.39\n"
        assert mail["Return-Path"] == "<dev@else.example>"
        assert str(mail["To"]) == ALICE and str(mail["Cc"]) == BOB


def test_mail_of_s_nail(server, caller):
    words = ("-:/", "-S", f"mta={caller.folder}/sendmail", "-S", "from=root <root@else.example>", "-S", "ttycharset=utf-8",
             "-s", "nächtlich", "-b", BOB, ALICE)
    ran = caller.run("s-nail", *words, text="größe\n".encode())
    assert ran.returncode == 0, ran.stderr
    mail = wait_until(lambda: got(server), "s-nail, which does not wait for sendmail, has sent it")[0]
    assert mail["Subject"] == "nächtlich" and content(mail) == "größe\n" and mail["Bcc"] is None
    wait_until(lambda: got(server, BOB), "the one in Bcc has it")


def test_what_cannot_leave_waits_and_keeps_its_order(server, caller):
    server.stop()
    for number in range(3):
        assert b"kept in" in caller.sendmail(ALICE, text=b"Subject: %d\n\nx\n" % number).stderr
    assert len(caller.waiting()) == 3
    assert caller.send("--list").stdout.count(b" waits ") == 3
    caller.send("--flush", code=75)
    server.start()
    caller.sendmail(ALICE, text=b"Subject: 3\n\nx\n")
    assert [mail["Subject"] for mail in got(server)] == ["0", "1", "2", "3"]
    assert caller.waiting() == []


def test_flush(server, caller):
    server.stop()
    caller.sendmail(ALICE)
    server.start()
    caller.send("--flush")
    caller.send("--flush")
    assert len(got(server)) == 1


def test_a_message_of_files_and_words(server, caller):
    path = os.path.join(caller.folder, "图表 1.csv")
    with open(path, "wb") as file:
        file.write(bytes(range(256)) * 1000)
    caller.send("-s", "报告 Q3", "-a", path, "-c", f"Bob <{BOB}>", "-r", f"Eve <{ALICE}>", "--receipt", "--priority", "high",
                "-H", "X-Job: 7", f"Alice Ö <{ALICE}>", text="größe\n".encode())
    mail = got(server, BOB)[0]
    assert mail["Subject"] == "报告 Q3" and mail["X-Job"] == "7"
    assert mail["Disposition-Notification-To"] == f"<{ALICE}>" or ALICE in mail["Disposition-Notification-To"]
    assert str(mail["To"]) == f"Alice Ö <{ALICE}>"
    text, attached = list(mail.iter_parts())
    assert content(text) == "größe\n"
    assert attached.get_filename() == "图表 1.csv"
    assert attached.get_payload(decode=True) == bytes(range(256)) * 1000
    assert len(got(server)) == 1


def test_a_text_in_another_charset_becomes_UTF_8(server, caller):
    caller.send("-s", "报告", "--charset", "gb18030", ALICE, text="中文 㐀 𠀀\n".encode("gb18030"))
    mail = got(server)[0]
    assert mail.get_content_charset() == "utf-8" and content(mail) == "中文 㐀 𠀀\n"
    assert mail["Subject"] == "报告"


def test_charsets_of_words_files_and_binary(server, caller):
    path = os.path.join(caller.folder, "a.txt")
    with open(path, "wb") as file:
        file.write("附件\n".encode("gb18030"))
    caller.send("-s", "主题".encode("gb18030"), "--charset", "GB18030", "-a", path, ALICE, text="中\n".encode("gb18030"))
    caller.send("-s", "1", "--charset", "big5", "--keep-charset", ALICE, text="中文\n".encode("big5"))
    caller.send("-s", "2", "--charset", "binary", ALICE, text=b"\xc4\xff\n")
    caller.send("-s", "3", "--charset", "iso-2022-jp", ALICE, text="日本\n".encode("iso-2022-jp"))
    caller.send("-s", "4", ALICE, text=b"\xc4\xff\n")  # nobody said what it is: it leaves as it is
    first, kept, binary, japanese, unsaid = got(server)
    assert first["Subject"] == "主题"
    text, attached = list(first.iter_parts())
    assert content(text) == "中\n" and attached.get_content_charset() == "gb18030"
    assert attached.get_payload(decode=True) == "附件\n".encode("gb18030")
    assert kept.get_content_charset() == "big5" and content(kept) == "中文\n"
    assert binary.get_content_charset() == unsaid.get_content_charset() == "unknown-8bit"
    assert binary.get_payload(decode=True) == unsaid.get_payload(decode=True) == b"\xc4\xff\r\n"
    assert content(japanese) == "日本\n"


def test_what_is_not_of_its_charset_is_named_and_not_sent(server, caller):
    wrong = caller.send("--charset", "gb18030", ALICE, text=b"a\nb \xc4\xff\n", code=65).stderr
    assert b"line 2 of the text is not gb18030" in wrong
    assert b"there is no charset klingon" in caller.send("--charset", "klingon", ALICE, code=65).stderr
    assert b"neither UTF-8" in caller.send("-s", b"\xff", ALICE, code=65).stderr
    assert got(server) == [] and caller.waiting() == []


def test_HTML_with_a_text_beside_it(server, caller):
    path = os.path.join(caller.folder, "page.html")
    with open(path, "wb") as file:
        file.write("<h1>报告</h1><p>See <a href='https://a.example/'>this</a>.".encode())
    caller.send("-s", "1", "--html", path, ALICE, text=b"")
    caller.send("-s", "2", "--html", path, "-a", path, ALICE, text=b"my own words\n")
    caller.send("-s", "3", "--html", "-", "--charset", "gb18030", ALICE, text="<p>中文".encode("gb18030"))
    caller.send("--html", os.path.join(caller.folder, "none"), ALICE, code=66)
    caller.send("--html", "-", ALICE, text=b"<p>\xff", code=65)
    caller.send("--html", "-", ALICE, text=b"", code=65)
    made, own, piped = got(server)
    assert made.get_content_type() == piped.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in made.iter_parts()] == ["text/plain", "text/html"]
    plain, html = list(made.iter_parts())
    assert content(plain) == "报告\n\nSee this <https://a.example/>.\n" and "<h1>报告</h1>" in content(html)
    assert own.get_content_type() == "multipart/mixed"
    both, attached = list(own.iter_parts())
    assert content(next(both.iter_parts())) == "my own words\n"
    assert attached.get_content_type() == "text/html" and attached.get_content_charset() == "utf-8"
    assert [content(part).strip() for part in piped.iter_parts()] == ["中文", "<p>中文"]


def test_later(server, caller):
    del server
    caller.send("-s", "x", "--at", "+2h", ALICE)
    caller.send("--at", "yesterday", ALICE, code=64)
    assert caller.waiting() == []


def test_standard_input_is_read_and_not_opened(server, caller):
    """cron's pipe is root's, and its sendmail the user's; some programs have a socket there; a shell reads the first lines
    of a file itself."""
    if os.getuid() == 0:
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
            program = shutil.copy(BINARY, os.path.join(folder, "sendmail"))
            user = [*other, "env", f"HOME={folder}", program]
            ran = caller.run(*user, ALICE, text=b"Subject: cron\n\nx\n")
            assert ran.returncode == 0, ran.stderr
            ran = caller.run(*user, "-bp")
            assert ran.returncode == 0 and b"may give it commands" in ran.stderr
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"Subject: socket\n\nx\n")
        ours.shutdown(socket.SHUT_WR)
        subprocess.run([os.path.join(caller.folder, "sendmail"), ALICE], stdin=theirs, env=caller.env, check=True, timeout=120)
    with open(os.path.join(caller.folder, "text"), "w+b", buffering=0) as file:
        file.write(b"not this\nSubject: rest\n\nx\n")
        file.seek(9)
        subprocess.run([os.path.join(caller.folder, "sendmail"), ALICE], stdin=file, env=caller.env, check=True, timeout=120)
    assert [mail["Subject"] for mail in got(server)] == (["cron"] if os.getuid() == 0 else []) + ["socket", "rest"]


def test_words_that_are_no_address_are_named(server, caller):
    assert b'no mail address in "not an address"' in caller.send("not an address", code=65).stderr
    assert b'no mail address in "@"' in caller.send("-c", "@", ALICE, code=65).stderr
    assert got(server) == []


def test_who_is_refused_keeps_nobody_else_from_it(server, caller):
    told = caller.send("-v", ALICE, "nobody@example.test", code=67).stderr.decode()
    assert re.search(r"<alice@example\.test> is taken by the server of this host \(.*/submission\): 250 ", told)
    assert re.search(r"the others have it; for those refused it is in .*\.dead", told)
    assert len(got(server)) == 1


def test_a_page_in_UTF_8_beside_a_text_in_another_charset(server, caller):
    path = os.path.join(caller.folder, "page.html")
    with open(path, "wb") as file:
        file.write("<p>标题".encode())
    caller.send("--html", path, "--charset", "gb18030", ALICE, text="正文\n".encode("gb18030"))
    assert [content(part).strip() for part in got(server)[0].iter_parts()] == ["正文", "<p>标题"]


def test_TLS_all_the_way_or_not_at_all(tmp_path):
    """RFC 8689: what a command asks for, the queue has."""
    server = Server({"route far": {"via": '"127.0.0.1:1"'}})
    try:
        caller = Caller(tmp_path, server)
        caller.send("--require-tls", "far@else.example")
        caller.sendmail("-O", "RequireTLS", "far@else.example")
        caller.send("--tls-optional", ALICE, "far@else.example")
        caller.send("--require-tls", "--tls-optional", ALICE, code=64)
        waits = [json.loads(line) for line in server.cli("queue", "list", json=True).stdout.splitlines()]
        shown = [json.loads(server.cli("queue", "show", one["id"], json=True).stdout) for one in waits]
        assert sorted(one["require_tls"] for one in shown) == [False, True, True]
        assert [one["tls_optional"] for one in shown if not one["require_tls"]] == [True]
        assert got(server)[0]["TLS-Required"] == "No"
    finally:
        server.stop()


# --- A smart host alone ---


@contextlib.contextmanager
def smart_host(tmp_path, conf="", name="localhost", couriers=1):
    """Another Veredus, with a certificate for its name."""
    host = Encrypted({"sending": {"processes": str(couriers)}})
    host.certify("test", name=name)
    os.chmod(host.path("test.pem"), 0o644)
    host.reload()
    wait_until(lambda: host.logged("reloaded") or host.logged("configured"), "the certificate is there")
    password = os.path.join(str(tmp_path), "password")
    with open(password, "w", encoding="ascii") as file:
        file.write(PASSWORD + "\n")
    os.chmod(password, 0o600)
    try:
        yield host, Caller(tmp_path, conf=conf.format(host=host, password=password))
    finally:
        host.stop()


TRUSTED = "host = localhost\nport = {host.smtp}\nauthorities = {host.home}/test.pem\n"


def test_a_smart_host_by_tls(tmp_path):
    with smart_host(tmp_path, TRUSTED) as (host, caller):
        caller.sendmail(BOB, text=b"Subject: from a VPS\n\nx\n")
        mail = got(host, BOB)[0]
        assert mail["Subject"] == "from a VPS"
        assert re.search(r"using TLSv1\.[23]", str(mail["Received"]))


def test_a_smart_host_that_keeps_TLS(tmp_path):
    with smart_host(tmp_path, TRUSTED) as (host, caller):
        caller.send("--require-tls", BOB)
        caller.sendmail("-O", "RequireTLS", BOB)
        assert len(got(host, BOB)) == 2


def test_TLS_that_is_required_is_never_done_without(tmp_path):
    """A host without REQUIRETLS (it sends nothing on), one whose certificate is not good, and one in clear: refused at
    once, also with the null sender, which an MTA's report might have."""
    with smart_host(tmp_path, TRUSTED, couriers=0) as (host, caller):
        told = caller.send("--require-tls", BOB, code=69).stderr
        assert b"cannot be sent by localhost: 5.7.30 it promises no TLS all the way (REQUIRETLS)" in told
        assert b"5.7.30" in caller.sendmail("-f", "<>", "-O", "RequireTLS", BOB, code=69).stderr
        conf = os.path.join(caller.folder, "clear")
        with open(conf, "w", encoding="ascii") as file:
            file.write(f"host = localhost\nport = {host.smtp}\ntls = off\n")
        assert b"5.7.10" in caller.send("-F", conf, "--require-tls", BOB, code=69).stderr
        with open(conf, "w", encoding="ascii") as file:
            file.write(f"host = localhost\nport = {host.smtp}\ntls = required\n")
        assert b"5.7.10" in caller.send("-F", conf, "--require-tls", BOB, code=69).stderr
        assert got(host, BOB) == [] and caller.waiting() == []
        caller.send(BOB)
        assert len(got(host, BOB)) == 1


def test_nothing_leaves_without_a_good_certificate(tmp_path):
    with smart_host(tmp_path, "host = localhost\nport = {host.smtp}\n") as (host, caller):
        assert b"TLS failed" in caller.sendmail(BOB).stderr
        assert len(caller.waiting()) == 1 and got(host, BOB) == []


def test_mail_leaves_as_one_s_own(tmp_path):
    with smart_host(tmp_path, TRUSTED + "from = me@own.example\nrewrite_from = yes\n") as (host, caller):
        caller.sendmail("-f", "root", BOB, text=b"From: Monit <monit@vps>\nSubject: s\n\nx\n")
        mail = got(host, BOB)[0]
        assert str(mail["From"]) == "Monit <me@own.example>" and "monit@vps" in mail["Reply-To"]
        assert mail["Return-Path"] == "<me@own.example>"


def test_a_mistake_in_the_configuration_is_named(tmp_path):
    caller = Caller(tmp_path, conf="host = a.example\nprot = 25\n")
    assert b"send.conf:2: there is no setting prot" in caller.sendmail(BOB, code=78).stderr


LOGGED_IN = ("host = localhost\nport = {port}\n{more}authorities = {host.home}/test.pem\nuser = bob@example.test\n"
             "password_file = {password}\nfrom = bob@example.test\nrewrite_from = yes\n")


def test_a_smart_host_that_wants_a_log_in(tmp_path):
    conf = LOGGED_IN.replace("{port}", "{host.submission}").replace("{more}", "")
    with smart_host(tmp_path, conf) as (host, caller):
        caller.sendmail("root@example.test", BOB, text=b"From: cron <root@vps>\nSubject: s\n\nx\n", code=67)
        mail = got(host, BOB)[0]
        assert str(mail["From"]) == "cron <bob@example.test>"
        assert "ESMTPSA" in str(mail["Received"])


def test_a_smart_host_in_tls_from_the_first_octet(tmp_path):
    conf = LOGGED_IN.replace("{port}", "{host.submissions}").replace("{more}", "tls = implicit\n")
    with smart_host(tmp_path, conf) as (host, caller):
        caller.send("-s", "s", BOB)
        assert "ESMTPSA" in str(got(host, BOB)[0]["Received"])


def test_a_wrong_password_is_told_and_the_message_waits(tmp_path):
    conf = LOGGED_IN.replace("{port}", "{host.submission}").replace("{more}", "")
    with smart_host(tmp_path, conf) as (host, caller):
        with open(os.path.join(caller.folder, "password"), "w", encoding="ascii") as file:
            file.write("wrong\n")
        assert b"kept in" in caller.sendmail(BOB).stderr
        assert len(caller.waiting()) == 1 and got(host, BOB) == []


def test_a_password_that_others_may_read_is_refused(tmp_path):
    conf = LOGGED_IN.replace("{port}", "1").replace("{more}", "").replace("{host.home}", "/nowhere")
    password = os.path.join(str(tmp_path), "password")
    with open(password, "w", encoding="ascii") as file:
        file.write("secret\n")
    os.chmod(password, 0o644)
    caller = Caller(tmp_path, conf=conf.format(password=password))
    ran = caller.sendmail(BOB, code=78)
    assert b"chmod 600" in ran.stderr and b"secret" not in ran.stderr
