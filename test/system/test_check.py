"""`veredus check DOMAIN`: what it says must be published is what makes a domain well; each fault has its line."""
import json
import re

import pytest

import veredus
from encrypted import Encrypted
from veredus import wait_until
from zones import Zone, Zones

DOMAIN, HOST = "good.test", "mail.good.test"
BASE = "mail A 192.0.2.1\nmta-sts A 192.0.2.80\n"
REVERSE = "2.0.192.in-addr.arpa"


@pytest.fixture(scope="module")
def served():
    zones = Zones([Zone(DOMAIN, BASE, ttl=1), Zone("other.test", "mx A 198.51.100.1", signed=False, ttl=0),
                   Zone(REVERSE, "", signed=False, ttl=1)])
    yield zones
    zones.close()


@pytest.fixture(scope="module")
def server(served):
    dead = veredus.free_ports(1)[0]
    settings = {**served.settings(timeout="1s"), "server": {"hostname": HOST},
                "zone dead.test": {"servers": f'"127.0.0.1:{dead}"', "dnssec": "no"}}
    one = Encrypted(settings)
    one.certify("test", HOST)
    one.reload()
    one.apply(f'domain "example.test" {{ }}\ndomain "{DOMAIN}" {{ }}\n')
    one.cli("dkim", "add", DOMAIN)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def harmless(unharmed):
    """After every test: no role died, nothing alarming was logged."""


def items(server, *words):
    done = server.cli("check", *(words or (DOMAIN,)), "--no-connect", check=False, json=True)
    return json.loads(done.stdout), done.returncode


def found(server, item, *words):
    return [one for one in items(server, *words)[0] if one["item"] == item]


def without_ports(all_of_them):
    return [one for one in all_of_them if one["item"] != "port"]


def asked_for(all_of_them):
    return [line for one in all_of_them if one["publish"] for line in one["publish"].split("\n")]


published = {}


def publish(served, lines, base=BASE):
    """Records as they were printed, each into its zone."""
    reverse = [line for line in lines if ".in-addr.arpa." in line.split()[0]]
    if published.get(REVERSE) != reverse:  # each change starts the name server anew
        served.change(REVERSE, "\n".join(reverse))
        published[REVERSE] = reverse
    served.change(DOMAIN, base + "\n".join(line for line in lines if line not in reverse))


@pytest.fixture(scope="module")
def good(served, server):
    """The records of a domain that is well: what was asked for, until nothing is."""
    lines = []
    for _ in range(6):
        more = [line for line in asked_for(items(server)[0]) if line not in lines]
        if not more:
            break
        replaced = {tuple(line.split()[:3]) for line in more if " TXT " in line and "_domainkey" not in line}
        lines = [line for line in lines if tuple(line.split()[:3]) not in replaced] + more
        publish(served, lines)
        server.cli("dkim", "published", DOMAIN, check=False)
        wait_until(lambda: not set(more) & set(asked_for(items(server)[0])), "the records are seen")
    return lines


def changed(served, good, pattern, *instead):
    publish(served, [line for line in good if not re.search(pattern, line)] + list(instead))


def test_at_first_nothing_is_there(served, server):
    publish(served, [])
    wait_until(lambda: found(server, "mx")[0]["state"] == "FAIL", "the zone is empty")
    all_of_them, code = items(server)
    assert code == 1
    states = {one["item"]: one["state"] for one in all_of_them if one["publish"]}
    assert states == {"reverse": "FAIL", "mx": "FAIL", "spf": "FAIL", "dkim": "warn", "dmarc": "FAIL",
                      "mta-sts": "warn", "tls-rpt": "warn"}
    lines = asked_for(all_of_them)
    assert f"1.{REVERSE}. IN PTR {HOST}." in lines
    assert f"{DOMAIN}. IN MX 10 {HOST}." in lines
    assert f'{DOMAIN}. IN TXT "v=spf1 mx ip4:192.0.2.1 -all"' in lines
    assert f'_dmarc.{DOMAIN}. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@{DOMAIN}"' in lines
    assert f'_smtp._tls.{DOMAIN}. IN TXT "v=TLSRPTv1; rua=mailto:postmaster@{DOMAIN}"' in lines
    text = server.cli("check", DOMAIN, check=False).stdout
    assert re.search(r"^FAIL +mx +good\.test has none.*\n +publish: good\.test\. IN MX 10 mail\.good\.test\.$", text, re.M)


def test_what_it_asks_for_makes_it_well(server, good):
    all_of_them, _ = items(server)
    assert {one["state"] for one in without_ports(all_of_them)} == {"ok"}, without_ports(all_of_them)
    assert not asked_for(all_of_them)
    seen = {one["item"] for one in all_of_them}
    assert seen == {"hostname", "reverse", "mx", "dnssec", "port", "spf", "dkim", "dmarc", "mta-sts", "tls-rpt", "tls",
                    "tlsa"}


SPF = DOMAIN + r"\. IN TXT"
FAULTS = [
    ("reverse", r" PTR ", [f"1.{REVERSE}. IN PTR other.test."], "FAIL", "says HELO as", f"IN PTR {HOST}."),
    ("mx", r" MX ", ["@ MX 0 ."], "FAIL", "null MX", f"IN MX 10 {HOST}."),
    ("mx", r" MX ", ["@ MX 10 mx.other.test."], "warn", "none of them is this server", f"IN MX 10 {HOST}."),
    ("mx", r" MX ", ["@ MX 10 alias", "alias CNAME mail"], "FAIL", "alias (CNAME)", f"IN MX 10 {HOST}."),
    ("mx", r" MX ", ["@ MX 10 nowhere"], "FAIL", "has no address", "nowhere.good.test. IN A"),
    ("spf", "^" + SPF, ['@ TXT "v=spf1 ip4:192.0.2.9 -all"'], "FAIL", '"fail"',
     '"v=spf1 ip4:192.0.2.1 ip4:192.0.2.9 -all"'),
    ("spf", "^" + SPF, ['@ TXT "v=spf1 include:a.good.test ~all"', 'a TXT "v=spf1 -ip4:192.0.2.1 ?all"'], "FAIL",
     '"softfail"', "ip4:192.0.2.1"),
    ("spf", "^" + SPF, ['@ TXT "v=spf1 ip4:192.0.2.300 -all"'], "FAIL", "192.0.2.300", None),
    ("spf", "^" + SPF, ['@ TXT "v=spf1 -all"', '@ TXT "v=spf1 mx -all"'], "FAIL", "more than one", "ip4:192.0.2.1"),
    ("spf", "^" + SPF, ['@ TXT "v=spf1 redirect=good.test"'], "FAIL", "more than 10", None),
    ("spf", "^" + SPF, ['@ TXT "v=spf1 include:nothing.good.test -all"'], "FAIL", "no SPF record", None),
    ("dkim", r"-rsa\._domainkey", [], "FAIL", "its record is not there", "v=DKIM1"),
    ("dkim", r"-ed\._domainkey", [], "FAIL", "its record is not there", "v=DKIM1"),
    ("dmarc", r"^_dmarc", ['_dmarc TXT "v=DMARC1; p=all"'], "FAIL", "no policy", "v=DMARC1; p=none; rua="),
    ("dmarc", r"^_dmarc", ['_dmarc TXT "v=DMARC1; p=reject"'], "warn", "no reports", "p=reject; rua="),
    ("dmarc", r"^_dmarc", ['_dmarc TXT "v=DMARC1; p=none; rua=mailto:a@other.test"'], "warn", "other.test",
     '"v=DMARC1"'),
    ("mta-sts", r"^_mta-sts", ['_mta-sts TXT "v=STSv1; id="'], "FAIL", "", "v=STSv1; id="),
    ("tls-rpt", r"^_smtp\._tls", ['_smtp._tls TXT "v=TLSRPTv1; x=y"'], "FAIL", "has no rua", "v=TLSRPTv1; rua="),
    ("tlsa", r" TLSA ", ["_25._tcp.mail TLSA 3 1 1 " + "00" * 32], "FAIL", "fits no certificate", "TLSA 3 1 1 "),
    ("tls", r" MX ", ["@ MX 10 mail2", "mail2 A 192.0.2.1"], "FAIL", "names mail2.good.test", None),
    ("caa", r"^$", ['mail CAA 0 issue "authority.test"'], "note", "CAA", None),
    ("tlsa", r" TLSA ", [], "note", "zone is signed", "TLSA 3 1 1 "),
]


def together():
    """Faults of different items stand in the zone at once, since each change of it takes seconds; one of the MX is alone,
    for it changes what else is looked at."""
    groups = []
    for fault in FAULTS:
        alone = "MX" in fault[1]
        free = [group for group in groups if fault[0] not in [one[0] for one in group] and "MX" not in group[0][1]]
        if alone or not free:
            groups.append([fault])
        else:
            free[0].append(fault)
    return groups


@pytest.mark.parametrize("faults", together(), ids=lambda group: "-".join(fault[0] for fault in group))
def test_each_fault_has_its_line(served, server, good, faults):
    kept = [line for line in good if not any(re.search(fault[1], line) for fault in faults)]
    publish(served, kept + [line for fault in faults for line in fault[2]])

    def unseen():
        all_of_them = items(server)[0]
        return [fault for fault in faults
                if not any(one["item"] == fault[0] and one["state"] == fault[3] and fault[4] in one["text"] and
                           (fault[5] or "") in (one["publish"] or "") for one in all_of_them)]
    wait_until(lambda: not unseen(), faults)


WAYS = [
    ("a:mail.good.test a:one.good.test -all", "192.0.2.11"),
    ("mx/24 -all", "192.0.2.77"),
    ("include:in.good.test -all", "192.0.2.13"),
    ("redirect=to.good.test", "192.0.2.14"),
    ("ip6:2001:db8::/32 ip4:192.0.2.0/28 -all", "192.0.2.15"),
    ("-exists:%{i}.x.test ptr a:mail.good.test a:near.good.test/31 -all", "192.0.2.21"),
]


def test_spf_passes_by_each_way(served, server, good):
    """Each record lets an address pass that the one before it, which the resolver may still have, does not."""
    for terms, address in WAYS:
        changed(served, good, "^" + SPF, f'@ TXT "v=spf1 {terms}"', "one A 192.0.2.11", "near A 192.0.2.20",
                'in TXT "v=spf1 a:mail.good.test ip4:192.0.2.13 -all"',
                'to TXT "v=spf1 a:mail.good.test ip4:192.0.2.14 -all"')
        wait_until(lambda: [one["state"] for one in found(server, "spf", DOMAIN, "--address", address)] == ["ok", "ok"], terms)


def test_addresses_that_are_added(served, server, good):
    publish(served, good)
    wait_until(lambda: {one["state"] for one in found(server, "spf")} == {"ok"}, "all is well")
    added = found(server, "spf", DOMAIN, "--address", "192.0.2.77")
    assert [one["state"] for one in added] == ["FAIL", "ok"], added
    assert server.cli("check", DOMAIN, "--address", "x", check=False).returncode == 64
    assert server.cli("check", "a b", check=False).returncode == 65


def test_a_dns_that_does_not_answer_is_no_fault(server):
    all_of_them, code = items(server, "dead.test")
    assert code in (1, 75)
    assert {one["state"] for one in all_of_them if one["item"] in ("mx", "spf", "dmarc")} == {"unknown"}


@pytest.mark.restarts
def test_without_a_server_it_says_so(server):
    server.stop()
    done = server.cli("check", DOMAIN, check=False)
    assert done.returncode == 69 and "down" in done.stderr
    server.start()
