"""What TLS costs: hand-shakes with the key behind SIGN, beside a server that has it in its own memory; and what a
connection in TLS keeps while it only stands. What the time of a refused log-in tells of who there is."""
import itertools
import json
import subprocess
import time

import machine
from peers.s_server import SServer
from peers.veredus import VeredusTimed, VeredusTls

PROGRAM = machine.ROOT / "build" / "bench" / "load" / "tls"
TIMING = machine.ROOT / "build" / "bench" / "load" / "timing"
KEYS = {"P-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "RSA 2048": ["rsa:2048"]}
WAYS = {"whole, TLS 1.3": [], "whole, TLS 1.2": ["--suite", "1.2"], "resumed, TLS 1.3": ["--resume"]}
AT_ONCE = (8, 1)  # clients: as many as a server at work has, and one alone, for whom it wakes up each time
COUNT = 3200
IDLE = 5000
SETTLING = 2
SAMPLES = 10000


def pair(folder, kind):
    """A certificate that signs itself, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    name = kind.replace(" ", "-").lower()
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    machine.run("/usr/bin/openssl", "req", "-x509", "-newkey", *KEYS[kind], "-nodes", "-keyout", key, "-out", chain,
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "30")
    key.chmod(0o600)
    return chain, key


def words(mode, port, *more):
    return [str(PROGRAM), *more, mode, str(port)]


def shake(stage, server, port, count, *more, at_once=1):
    """Microseconds of the server's processors for each hand-shake."""
    stage.wait_quiet()
    before = sum(server.group.cpu())
    done = subprocess.run(words("hands", port, "--count", str(count), "--at-once", str(at_once), *more),
                          capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["done"] == count and found["resumed"] == (count - at_once if "--resume" in more else 0), found
    return {"cpu_us": (sum(server.group.cpu()) - before) / count * 1e6, "rate": count / found["seconds"]}


def handshakes(stage):
    count = stage.scaled(COUNT, 80)
    for kind in KEYS:
        files = pair(stage.folder / "certificates", kind)
        with VeredusTls(stage.folder, files) as veredus, SServer(stage.folder, files) as bare:
            for server, port, more in ((veredus, veredus.pop3s, []), (bare, bare.port, ["--bare"])):
                shake(stage, server, port, 100, *more)  # what is loaded at the first one
            for number in range(stage.rounds):
                for at_once, (way, more) in itertools.product(AT_ONCE, WAYS.items()):
                    case = f"hand-shake, {kind}, {way}, " + (f"{at_once} at once" if at_once > 1 else "one by one")
                    plain = shake(stage, bare, bare.port, count, "--bare", *more, at_once=at_once)
                    stage.add(case, bare, round=number, **plain)
                    found = shake(stage, veredus, veredus.pop3s, count, *more, at_once=at_once)
                    stage.add(case, veredus, round=number, of_bare=found["cpu_us"] / plain["cpu_us"], **found)


def idle_tls(stage):
    """Each round in a server of its own: what one round's sessions leave serves the next one's."""
    count = stage.scaled(IDLE, 20)
    files = pair(stage.folder / "certificates", "P-256")
    for number in range(stage.rounds):
        with VeredusTls(stage.folder, files) as server:
            shake(stage, server, server.pop3s, 100)
            time.sleep(stage.scaled(SETTLING, 0.2))
            before = server.group.memory()
            held = subprocess.Popen(words("hold", server.pop3s, "--count", str(count)), stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True)
            counts = json.loads(held.stdout.readline())
            time.sleep(stage.scaled(SETTLING, 0.2))
            after = server.group.memory()
            held.stdin.close()
            held.wait()
            stands = counts["done"]
            stage.add("idle in TLS", server, round=number, held=stands, failed=counts["failed"],
                      pss_each=(after["pss"] - before["pss"]) / max(1, stands),
                      anonymous_each=(after["anonymous"] - before["anonymous"]) / max(1, stands),
                      processes=after["processes"])


def timed(stage, count, *more):
    """The medians of two kinds of the same thing, in turns of chance, and Welch's t of the two."""
    stage.wait_quiet()
    done = subprocess.run([str(word) for word in (TIMING, "--count", count, *more)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def login_timing(stage):
    """10 minutes: each wrong password costs a hash, for who there is and for who there is not."""
    count = stage.scaled(SAMPLES, 20)
    with VeredusTimed(stage.folder) as server:
        for case, way in (("a wrong password", "pass"), ("a wrong proof of SCRAM-SHA-256", "scram")):
            timed(stage, max(5, count // 100), way, server.pop3, server.user, server.nobody)
            stage.add(f"log-in timing, {case}", server,
                      **timed(stage, count, way, server.pop3, server.user, server.nobody))
        for case, way in (("str_eq_secret, octet 0 or 31", "compare"), ("a loop that stops, octet 0 or 31", "control")):
            stage.add(f"log-in timing, {case}", server, **timed(stage, count, way))
