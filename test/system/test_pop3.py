"""POP3: frozen views, nothing lost by accident."""
import pytest

from veredus import Mailbox, Pop3, Smtp, message, parted, wait_until

pytestmark = pytest.mark.usefixtures("unharmed")


def fill(server, count, user="bob@example.test"):
    with Smtp(server.smtp) as session:
        for number in range(count):
            session.deliver(message(f"number {number}", body=f"line 1 of {number}\r\n.line 2\r\n\r\nline 4\r\n"), user)


def test_two_sessions_see_frozen_views_and_both_may_delete(server, bob):
    fill(server, 3)
    with bob.session() as one, bob.session() as two:
        one.expect("DELE 1", True)
        one.expect("DELE 2", True)
        one.expect("QUIT", True)
        fill(server, 1)
        assert two.stat()[0] == 3
        assert b"number 2" in two.many("RETR 3")
        two.expect("RETR 1", False)
        two.expect("DELE 1", True)  # what is gone can be deleted
        two.expect("DELE 3", True)
        two.expect("QUIT", True)
    assert bob.count() == 1


def test_a_cut_connection_deletes_nothing(server, bob):
    fill(server, 2)
    for end in (lambda session: session.cut(), lambda session: session.socket.close()):
        with bob.session() as session:
            session.expect("DELE 1", True)
            session.expect("DELE 2", True)
            end(session)
        assert bob.count() == 2


def test_rset_takes_the_marks_back(server, bob):
    fill(server, 2)
    with bob.session() as session:
        session.expect("DELE 1", True)
        assert session.stat()[0] == 1
        session.expect("RETR 1", False)
        session.expect("RSET", True)
        assert session.stat()[0] == 2
        session.expect("QUIT", True)
    assert bob.count() == 2


def test_top(server, bob):
    fill(server, 1)
    with bob.session() as session:
        whole = session.many("RETR 1")
        head, _, body = whole.partition(b"\r\n\r\n")
        lines = body.splitlines(keepends=True)
        assert session.many("TOP 1 0") == head + b"\r\n\r\n"
        for count in range(1, 7):
            assert session.many(f"TOP 1 {count}") == head + b"\r\n\r\n" + b"".join(lines[:count])


@pytest.mark.restarts
def test_unique_ids_are_stable_over_sessions_and_restarts(server, bob):
    fill(server, 3)
    with bob.session() as session:
        first = session.listing("UIDL")
        assert len({ident for _, ident in first}) == 3
        assert session.expect("UIDL 2", True).split(" ") == first[1]
        session.expect("DELE 1", True)
        session.expect("QUIT", True)
    with bob.session() as session:
        assert [ident for _, ident in session.listing("UIDL")] == [ident for _, ident in first[1:]]
    server.stop()
    server.start()
    fill(server, 1)
    with bob.session() as session:
        again = [ident for _, ident in session.listing("UIDL")]
    assert again[:2] == [ident for _, ident in first[1:]]
    assert again[2] not in [ident for _, ident in first]


def test_capabilities(server):
    with Pop3(server.pop3) as session:
        words = session.many("CAPA").decode().splitlines()
    for word in ("TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"):
        assert word in words
    assert any(word.startswith("EXPIRE ") for word in words) and any(word.startswith("UTF8") for word in words)


def test_pipelined_commands(server, bob):
    fill(server, 2)
    with Pop3(server.pop3) as session:
        session.send("USER bob@example.test\r\nPASS correct horse\r\nSTAT\r\nDELE 1\r\nNOOP\r\nQUIT\r\n")
        assert [session.status()[0] for _ in range(6)] == [True] * 6
        assert session.ended()
    assert bob.count() == 1


def test_wrong_passwords(server):
    with Pop3(server.pop3) as session:
        session.expect("PASS x", False)
        session.expect("USER bob@example.test", True)
        assert session.expect("PASS wrong", False).startswith("[AUTH]")
        session.expect("USER nobody@example.test", True)
        assert session.expect("PASS wrong", False).startswith("[AUTH]")
        session.expect("STAT", False)
        session.expect("USER bob@example.test", True)
        session.expect("PASS correct horse", True)
        session.expect("STAT", True)


def test_a_mailbox_outside_of_ascii(server):
    user = Mailbox(server, "用户@例子.测试")
    user.empty()
    with Smtp(server.smtp) as session:
        session.deliver(message("你好"), ["用户@例子.测试"], parameters=" SMTPUTF8")
    with Pop3(server.pop3) as session:
        session.expect("UTF8", True)
        session.expect("USER 用户@例子.测试", True)
        session.expect("PASS correct horse", True)
        assert parted(session.many("RETR 1"))[1] == message("你好")


def test_messages_come_in_order_and_sizes_add_up(server, bob):
    fill(server, 20)
    with bob.session() as session:
        count, octets = session.stat()
        sizes = [int(size) for _, size in session.listing("LIST")]
        assert count == len(sizes) == 20 and octets == sum(sizes)
        for number in range(20):
            assert f"Subject: number {number}\r\n".encode() in session.many(f"TOP {number + 1} 0")


@pytest.mark.parametrize("parameters, sent", [
    ("", b""),
    ("", b"x"),
    ("", b"Subject: no line end\r\n\r\nlast line"),
    ("", b"Subject: header only"),
    ("", b"Subject: a line end\r\n\r\nlast line\r\n"),
    (" BODY=BINARYMIME", b"Subject: half of it\r\n\r\nlast line\r"),
    (" BODY=BINARYMIME", b"Subject: the wrong half\r\n\r\nlast line\n"),
    (" BODY=BINARYMIME", b"Content-Transfer-Encoding: binary\r\n\r\nlast line"),
    (" BODY=BINARYMIME", b"Subject: no label\r\n\r\nx\0\n"),
    (" BODY=BINARYMIME", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                         b"Content-Transfer-Encoding: binary\r\n\r\n\0\r\n--b--"),
])
def test_a_message_without_a_line_end_has_the_size_that_is_told(server, smtp, bob, parameters, sent):
    smtp.envelope("alice@example.test", "bob@example.test", parameters)
    half = len(sent) - 1 if sent else 0  # so that the end may lie in two pieces
    smtp.send(b"BDAT %d\r\n" % half + sent[:half])
    assert smtp.reply().code == 250
    smtp.send(b"BDAT %d LAST\r\n" % (len(sent) - half) + sent[half:])
    assert smtp.reply().code == 250
    [raw] = bob.raw()  # LIST is compared there
    with bob.session() as session:
        assert session.stat() == (1, len(raw))
