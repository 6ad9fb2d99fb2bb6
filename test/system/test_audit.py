"""The audit: what was decided at the door and by operators stays on record, and shows whether it was tampered with."""
import json

import pytest

from veredus import Server, Smtp, wait_until

pytestmark = pytest.mark.usefixtures("unharmed")


def events(server, event=None):
    lines = server.cli("audit", "export").stdout.splitlines()
    told = [json.loads(line) for line in lines]
    assert [one["number"] for one in told] == list(range(told[0]["number"], told[0]["number"] + len(told)))
    return [one for one in told if event in (None, one.get("event"))]


def verified(server, *options):
    return json.loads(server.cli("audit", "verify", *options, json=True).stdout)


def test_commands_are_recorded_as_typed_but_for_secrets(server):
    server.cli("account", "add", "audited@example.test", "--password-hash", "no hash", check=False)
    told = events(server, "administered")[-1]
    assert told["arguments"] == "account add audited@example.test --password-hash (hidden)"
    assert told["exit"] != 0
    server.cli("account", "add", "audited@example.test", "--password-stdin", text="open sesame, please\n")
    told = events(server, "administered")[-1]
    assert told["arguments"] == "account add audited@example.test --password-stdin"
    assert told["exit"] == 0
    server.cli("account", "remove", "audited@example.test")


def test_looking_is_not_recorded(server):
    before = len(events(server, "administered"))
    server.cli("account", "list")
    server.cli("account", "grant", "list", "bob@example.test")
    server.cli("status")
    server.cli("audit", "verify")
    assert len(events(server, "administered")) == before


def test_refusals_are_recorded(server):
    with Smtp(server.smtp) as session:
        session.expect("MAIL FROM:<alice@example.test>", 250)
        session.expect("RCPT TO:<nobody-of-the-audit@example.test>", 550)
    wait_until(lambda: any(one["recipient"] == "nobody-of-the-audit@example.test" for one in events(server, "refused")),
               "the refusal is on record")


def test_a_reload_is_recorded_with_what_it_changed(server):
    def told_of(settings):
        before = len(events(server, "configured"))
        server.settings = settings
        server.write_configuration()
        server.reload()
        wait_until(lambda: len(events(server, "configured")) == before + 1, "the reload is on record")
        return events(server, "configured")[-1]["text"]
    as_it_was = server.settings
    assert "smtp.listen = {127.0.0.1:" in events(server, "configured")[0]["text"]
    changed = dict(as_it_was, smtp=dict(as_it_was.get("smtp", {}), hops="40", deny_from="192.0.2.1"), lmtp={"listen": "{}"})
    text = told_of(changed)
    assert text == "by a reload: smtp.deny_from = {192.0.2.1}, smtp.hops = 40", text  # lmtp.listen waits for a restart
    assert told_of(changed) == "by a reload: no setting changed"
    assert told_of(as_it_was).startswith("by a reload: ")


def test_the_chain_is_whole_and_knows_its_earlier_heads(server):
    server.cli("domain", "add", "one.example.test")
    head = verified(server)["head"]
    server.cli("domain", "remove", "one.example.test")
    report = verified(server, "--head", head)
    assert report["audit"] == "whole" and report["named"] == "found" and report["troubles"] == []
    other = ("0" if head[0] != "0" else "1") + head[1:]
    assert "NOT FOUND" in server.cli("audit", "verify", "--head", other, check=False).stdout
    assert "expected 64" in server.cli("audit", "verify", "--head", "abc", check=False).stderr


def test_commands_without_a_server_are_recorded_too():
    server = Server()
    try:
        server.stop()
        server.cli("domain", "add", "offline.example.test")
        told = events(server, "administered")[-1]
        assert told["arguments"].endswith("domain add offline.example.test")
        assert verified(server)["audit"] == "whole"
    finally:
        server.close()


def test_words_are_for_people(server):
    server.cli("domain", "add", "words.example.test")
    server.cli("domain", "remove", "words.example.test")
    assert "gave the command: domain remove words.example.test; it ended with 0." in server.cli("audit", "list").stdout
