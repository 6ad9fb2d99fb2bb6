"""What is accepted is in the mailboxes it was for, once, byte for byte."""
import re
import socket
import time

import pytest

import veredus
from veredus import DIRECTORY, HASH, Mailbox, Smtp, message, parted, stuffed, wait_until

pytestmark = pytest.mark.usefixtures("unharmed")


@pytest.fixture(scope="module")
def directory():
    return DIRECTORY + f"""
    account "carol@example.test" {{ name = "Carol" password = "{HASH}" }}
    account "full@example.test" {{ name = "Full" quota = 2000 password = "{HASH}" }}
    account "off@example.test" {{ disabled = yes password = "{HASH}" }}
    account "smith@example.test" {{ name = "John Smith" password = "{HASH}" }}
    account "jsmith@例子.测试" {{ name = "John Smith" password = "{HASH}" }}
    alias "sales@example.test" {{ to = "bob@example.test" to = "carol@example.test" }}
    alias "all@example.test" {{ to = "sales@example.test" to = "bob@example.test" }}
    list "team@example.test" {{
        owner = "alice@example.test" name = "The team" expandable = yes
        member = "bob@example.test" member = "carol@example.test" member = "full@example.test"
    }}
    list "secret@example.test" {{ owner = "alice@example.test" member = "bob@example.test" }}
    moved "old@example.test" {{ forward = "bob@example.test" }}
    moved "gone@example.test" {{ refer = "gone@elsewhere.test" }}
    """


def boxes(server, *names):
    made = [Mailbox(server, name if "@" in name else f"{name}@example.test") for name in names]
    for one in made:
        one.empty()
    return made


def test_trace_headers_stand_in_front_and_the_rest_is_untouched(server, smtp, bob):
    sent = message(body="one\r\n.two\r\n..three\r\n\r\n \t\r\nfour without an end mark.\r\n")
    ident = smtp.deliver(sent)
    [raw] = bob.raw()
    fields, rest = parted(raw)
    assert rest == sent
    assert fields["return-path"] == ["<alice@example.test>"]
    assert fields["delivered-to"] == ["bob@example.test"]
    [received] = fields["received"]
    assert "from client.example.test ([127.0.0.1])" in received
    assert f"with ESMTP id {ident}" in received and "by mail.example.test" in received


def test_received_names_the_protocol_and_only_a_single_recipient(server, bob):
    with Smtp(server.smtp, "HELO") as session:
        session.deliver(message())
    with Smtp(server.lmtp, "LHLO") as session:
        session.envelope("alice@example.test", ["bob@example.test", "alice@example.test"])
        assert session.data(message()).code == 250
        assert session.reply().code == 250
    first, second = (parted(raw)[0]["received"][0] for raw in bob.raw())
    assert "with SMTP id" in first and "for <bob@example.test>" in first
    assert "with LMTP id" in second and "for <" not in second


@pytest.mark.parametrize("protocol, greeting, parameters", [
    ("SMTP", "HELO", ""),
    ("ESMTP", "EHLO", ""),
    ("UTF8SMTP", "EHLO", " SMTPUTF8"),
    ("LMTP", "LHLO", ""),
    ("UTF8LMTP", "LHLO", " SMTPUTF8"),
])
def test_received_and_the_trace_name_the_same_protocol(server, bob, protocol, greeting, parameters):
    with Smtp(server.lmtp if greeting == "LHLO" else server.smtp, greeting) as session:
        session.expect(f"MAIL FROM:<alice@example.test>{parameters}", 250)
        session.expect("RCPT TO:<bob@example.test>", 250)
        assert session.data(message()).code == 250
    received = parted(bob.raw()[0])[0]["received"][0]
    ident = re.search(rf"with {protocol} id ([0-9a-z]+)", received).group(1)
    assert f" by {protocol}: " in server.cli("trace", ident).stdout


@pytest.mark.parametrize("sent", [
    b"",
    b"\r\n",
    b"no header, only a line\r\n",
    b".\r\n",
    b"..\r\n...\r\n",
    b"Subject: none behind\r\n\r\n",
    b"Subject: long lines\r\n\r\n" + b"x" * 5000 + b"\r\n" + b"." * 3000 + b"\r\n",
    b"Subject: 8 bit\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
    b"Subject: many lines\r\n\r\n" + b".a\r\n" * 70000,
    b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 120000,
], ids=["nothing", "empty line", "no header", "dot", "dots", "no body", "long", "8bit", "lines", "large"])
def test_what_was_sent_comes_back(smtp, bob, sent):
    smtp.deliver(sent)
    assert bob.bodies() == [sent]


@pytest.mark.parametrize("shift", range(4))
def test_lines_of_dots_wherever_a_piece_is_cut(smtp, bob, shift):
    """A message is kept and handed on in pieces; every octet of a line of four stands at a cut once."""
    sent = b"Subject: " + b"x" * shift + b"\r\n\r\n" + b".a\r\n" * 40_000 + b"..\r\n" * 40_000
    smtp.deliver(sent)
    assert bob.bodies() == [sent]


def test_the_same_octets_a_thousand_times_are_a_thousand_messages(smtp, bob):
    sent = message("again and again")
    idents = set()
    for _ in range(1000):
        idents.add(smtp.deliver(sent))
    assert len(idents) == 1000
    assert bob.count() == 1000
    assert set(bob.bodies()) == {sent}
    bob.empty()


def cut_before_the_reply(server, sent, recipients=("bob@example.test",)):
    """Sends a whole message and is gone before the 250 can be read."""
    # The log is limited to 1,000 lines of one event a second, and the test before may have used them up.
    time.sleep(1.1)
    begun = len(server.log())
    with Smtp(server.smtp) as session:
        session.envelope("alice@example.test", recipients)
        session.expect("DATA", 354)
        session.send(stuffed(sent))
        session.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: server.logged("message", begun), "the message is accepted")
        ident = session.reply().id
    wait_until(lambda: server.logged("session", begun, "end=lost"), "the session ended")
    return ident


def test_a_client_cut_before_it_saw_the_250_repeats_and_there_is_one_copy(server, bob):
    sent = message("resent")
    first = cut_before_the_reply(server, sent)
    with Smtp(server.smtp) as session:
        assert session.deliver(sent) == first
        assert bob.bodies() == [sent]
        # This one was seen: the next is another message.
        assert session.deliver(sent) != first
    assert bob.bodies() == [sent, sent]


@pytest.mark.restarts
def test_a_repeated_message_is_recognised_after_a_restart(server, bob):
    sent = message("resent after a restart")
    first = cut_before_the_reply(server, sent)
    server.stop()
    server.start()
    with Smtp(server.smtp) as session:
        assert session.deliver(sent) == first
    assert bob.bodies() == [sent]


def test_a_repeated_message_is_recognised_only_with_the_same_envelope_and_body(server, bob):
    sent = message("resent differently")
    first = cut_before_the_reply(server, sent)
    with Smtp(server.smtp) as session:
        assert session.deliver(sent, sender="someone@else.test") != first
        assert session.deliver(sent, ["bob@example.test", "alice@example.test"]) != first
        assert session.deliver(sent[:-2] + b"!\r\n") != first
        assert session.deliver(sent) == first
    assert bob.count() == 4


FILLS = b"Subject: fills\r\n\r\n" + b"z" * 1900 + b"\r\n"


def test_what_does_not_fit_is_refused_at_its_end(server, smtp):
    [full] = boxes(server, "full")
    smtp.expect("MAIL FROM:<alice@example.test>", 250)
    smtp.expect("RCPT TO:<full@example.test>", 250)
    assert smtp.data(b"Subject: large\r\n\r\n" + b"z" * 3000 + b"\r\n").code == 552
    assert full.count() == 0


def test_quota_of_an_account_is_452_at_rcpt(server, smtp):
    [full] = boxes(server, "full")
    smtp.expect("MAIL FROM:<alice@example.test> SIZE=2000", 250)
    smtp.expect("RCPT TO:<full@example.test>", 250)
    smtp.expect("RSET", 250)
    smtp.expect("MAIL FROM:<alice@example.test> SIZE=2001", 250)
    smtp.expect("RCPT TO:<full@example.test>", 552, "5.2.2")
    smtp.expect("RSET", 250)
    smtp.deliver(FILLS, "full@example.test")
    smtp.expect("MAIL FROM:<alice@example.test>", 250)
    smtp.expect("RCPT TO:<full@example.test>", 452, "4.2.2")
    smtp.expect("RCPT TO:<bob@example.test>", 250)
    smtp.expect("RSET", 250)
    full.empty()
    smtp.deliver(message(), "full@example.test")
    assert full.count() == 1


def test_a_full_member_of_a_list_costs_nobody_else_a_copy(server, smtp):
    bob, carol, full, alice = boxes(server, "bob", "carol", "full", "alice")
    smtp.deliver(FILLS, "full@example.test")
    sent = message("to the team", to="team@example.test")
    ident = smtp.deliver(sent, "team@example.test", sender="carol@example.test")
    assert bob.bodies() == carol.bodies() == [sent]
    assert full.count() == 1
    [notice] = alice.raw()
    fields, text = parted(notice)
    assert fields["return-path"] == ["<>"]
    assert b"full@example.test" in text and b"team@example.test" in text
    trace = server.cli("trace", ident).stdout
    assert "full@example.test" in trace and "notice" in trace


def test_an_alias_reaches_each_account_once(server, smtp):
    bob, carol = boxes(server, "bob", "carol")
    sent = message("to all")
    smtp.deliver(sent, ["all@example.test", "bob@example.test", "BOB+tag@Example.TEST"])
    assert bob.bodies() == carol.bodies() == [sent]


def test_moved_users(server, smtp, bob):
    smtp.expect("MAIL FROM:<alice@example.test>", 250)
    forwarded = smtp.expect("RCPT TO:<old@example.test>", 251)
    assert forwarded.text.endswith("User not local; will forward to <bob@example.test>")
    refused = smtp.expect("RCPT TO:<gone@example.test>", 551, "5.1.6")
    assert refused.text.endswith("User not local; please try <gone@elsewhere.test>")
    assert smtp.data(message("moved")).code == 250
    assert bob.bodies() == [message("moved")]


def test_disabled_and_unknown_recipients(smtp):
    smtp.expect("MAIL FROM:<>", 250)
    smtp.expect("RCPT TO:<off@example.test>", 550, "5.2.1")
    smtp.expect("RCPT TO:<nobody@example.test>", 550, "5.1.1")
    smtp.expect("DATA", 554)


def test_vrfy(smtp):
    assert smtp.expect("VRFY bob", 250).lines[0].endswith("Bob Example <bob@example.test>")
    assert smtp.expect("VRFY Bob Example", 250).lines[0].endswith("Bob Example <bob@example.test>")
    assert smtp.expect("VRFY <bob@example.test>", 250).lines[0].endswith("Bob Example <bob@example.test>")
    old = smtp.expect("VRFY old@example.test", 251, "2.1.5")
    assert old.text.endswith("User not local; will forward to <bob@example.test>")
    gone = smtp.expect("VRFY gone@example.test", 551, "5.1.6")
    assert gone.text.endswith("User not local; please try <gone@elsewhere.test>")
    smtp.expect("VRFY nobody@example.test", 550, "5.1.1")
    ambiguous = smtp.expect("VRFY John Smith", 553)
    assert "smith@example.test" in ambiguous.text and "jsmith@" in ambiguous.text
    assert "mailing list" in smtp.expect("VRFY team@example.test", 550).text
    smtp.expect("VRFY", 501)


def test_vrfy_of_a_name_that_needs_utf8(smtp):
    smtp.expect("VRFY 用户@例子.测试", 252)
    found = smtp.expect("VRFY 用户@例子.测试 SMTPUTF8", 250)
    assert found.text.endswith("<用户@例子.测试>")
    ascii_only = smtp.expect("VRFY jsmith@例子.测试", 250)
    assert ascii_only.text.endswith("<jsmith@xn--fsqu00a.xn--0zwm56d>")


def test_expn(smtp):
    expanded = smtp.expect("EXPN team@example.test", 250)
    assert len(expanded.lines) == 3
    assert all(re.search(r"<(bob|carol|full)@example.test>$", line) for line in expanded.lines)
    smtp.expect("EXPN secret@example.test", 550, "5.7.1")
    assert "not a mailing list" in smtp.expect("EXPN bob@example.test", 550).text
    smtp.expect("EXPN nobody@example.test", 550)


def test_lmtp_answers_for_each_recipient(server, lmtp):
    bob, carol = boxes(server, "bob", "carol")
    lmtp.expect("HELO client.example.test", 500)
    lmtp.expect("MAIL FROM:<alice@example.test>", 250)
    lmtp.expect("RCPT TO:<bob@example.test>", 250)
    lmtp.expect("RCPT TO:<nobody@example.test>", 550)
    lmtp.expect("RCPT TO:<carol@example.test>", 250)
    first = lmtp.data(message("lmtp"))
    second = lmtp.reply()
    assert (first.code, second.code) == (250, 250) and first.id == second.id
    lmtp.expect("NOOP", 250)
    assert bob.bodies() == carol.bodies() == [message("lmtp")]


def test_lmtp_without_a_recipient_is_503_at_data(lmtp):
    lmtp.expect("MAIL FROM:<alice@example.test>", 250)
    lmtp.expect("RCPT TO:<nobody@example.test>", 550)
    lmtp.expect("DATA", 503)


def test_chunks_make_the_same_message_as_data(smtp, bob):
    sent = message("in chunks", body=".a\r\n.\r\n..\r\nend\r\n")
    smtp.envelope("alice@example.test", "bob@example.test")
    for octets in (sent[:7], sent[7:8], b"", sent[8:]):
        smtp.send(b"BDAT %d\r\n" % len(octets) + octets)
        assert smtp.reply().code == 250
    smtp.expect("BDAT 0 LAST", 250)
    assert bob.bodies() == [sent]


def test_binarymime_is_stored_and_served_as_base64(smtp, bob):
    assert "BINARYMIME" in smtp.hello.lines, "not offered"
    octets = bytes(range(256)) * 40 + b"\r\n.\r\n\0\r\n--b\n"
    head = (b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
            b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n")
    sent = head + octets + b"\r\n--b--\r\n"
    smtp.envelope("alice@example.test", "bob@example.test", " BODY=BINARYMIME")
    smtp.expect("DATA", 503)
    smtp.send(b"BDAT %d LAST\r\n" % len(sent) + sent)
    assert smtp.reply().code == 250
    [raw] = bob.raw()  # sizes are compared there
    import email
    import email.policy
    read = email.message_from_bytes(parted(raw)[1], policy=email.policy.SMTP)
    first, second = read.iter_parts()
    assert first.get_content() == "hello\n" or first.get_content() == "hello"
    assert second["Content-Transfer-Encoding"] == "base64"
    assert second.get_payload(decode=True) == octets
    assert b"\0" not in raw
    with bob.session() as session:
        assert session.many("TOP 1 0").endswith(b"\r\n\r\n")


def test_smtputf8_to_an_address_outside_of_ascii(server, smtp):
    user = Mailbox(server, "用户@例子.测试")
    user.empty()
    smtp.expect("MAIL FROM:<用户@例子.测试>", 550, "5.6.7")
    smtp.expect("MAIL FROM:<alice@example.test>", 250)
    smtp.expect("RCPT TO:<用户@例子.测试>", 553, "5.6.7")
    smtp.expect("RSET", 250)
    sent = "From: 用户@例子.测试\r\nSubject: 你好\r\n\r\n你好\r\n".encode()
    smtp.deliver(sent, ["用户@例子.测试"], "用户@例子.测试", " SMTPUTF8 BODY=8BITMIME")
    [raw] = user.raw()
    fields, rest = parted(raw)
    assert rest == sent
    assert "with UTF8SMTP id" in fields["received"][0]
    smtp.deliver(sent, ["用户@xn--fsqu00a.xn--0zwm56d"], "", " SMTPUTF8")
    assert user.count() == 2


def test_a_source_route_to_us_is_ignored_and_elsewhere_is_relaying(smtp, bob):
    smtp.expect("MAIL FROM:<@a.test,@b.test:alice@example.test>", 250)
    smtp.expect("RCPT TO:<@a.test,@b.test:bob@example.test>", 250)
    smtp.expect("RCPT TO:<@example.test:victim@else.test>", 550, "5.7.1")
    assert smtp.data(message("routed")).code == 250
    assert bob.bodies() == [message("routed")]


def test_postmaster_without_a_domain_is_always_somebody(server, smtp):
    [alice] = boxes(server, "alice")  # the first account that was made
    smtp.deliver(message("to you"), "Postmaster")
    smtp.deliver(message("to you"), "postmaster@example.test")
    assert alice.bodies() == [message("to you")] * 2


def test_the_null_reverse_path(smtp, bob):
    smtp.deliver(message("a report"), sender="")
    assert parted(bob.raw()[0])[0]["return-path"] == ["<>"]


def test_size_is_checked_at_mail_and_while_reading(server, smtp):
    smtp.expect("MAIL FROM:<alice@example.test> SIZE=52428800", 250)
    smtp.expect("RSET", 250)
    smtp.expect("MAIL FROM:<alice@example.test> SIZE=52428801", 552, "5.3.4")


def test_commands_that_are_known_but_not_built(smtp):
    for verb in ("TURN", "SEND FROM:<a@b.test>", "SOML FROM:<a@b.test>", "SAML FROM:<a@b.test>", "ETRN x.test"):
        smtp.expect(verb, 502)
    smtp.expect("WIZ", 500)
    assert smtp.expect("HELP", 214).lines
    smtp.expect("HELP MAIL", 214)


def test_ehlo_announces_what_works(server, smtp):
    words = smtp.hello.lines
    for word in ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN",
                 "LIMITS RCPTMAX=1000 MAILMAX=1000 RCPTDOMAINMAX=1000", "VRFY", "HELP"):
        assert word in words, word
    assert not any(word.startswith(("STARTTLS", "AUTH", "FUTURERELEASE", "DELIVERBY", "MT-PRIORITY", "REQUIRETLS", "ETRN")) for word in words)


def test_pipelined_commands_are_answered_in_order(smtp, bob):
    sent = message("pipelined")
    smtp.send("MAIL FROM:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
              "RCPT TO:<gone@example.test>\r\nDATA\r\n")
    assert [smtp.reply().code for _ in range(5)] == [250, 550, 250, 551, 354]
    smtp.send(stuffed(sent) + b"RSET\r\nNOOP\r\nQUIT\r\n")
    assert [smtp.reply().code for _ in range(4)] == [250, 250, 250, 221]
    assert smtp.ended()
    assert bob.bodies() == [sent]
