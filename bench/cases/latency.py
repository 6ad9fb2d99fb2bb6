"""How long a sender waits for its 250, at half the rate that a server can keep; beside it, in the same minute, how long
the disk takes for one sync. And what it costs good clients that ten thousand others drip."""
import generator
import measure
from cases.stage import KB, REUSED, Numbers, probe
from peers.postfix import Postfix
from peers.veredus import Veredus

SESSIONS = 10
SECONDS = 6
DRIPPING = 10000
GOOD = 200       # clients
GOOD_PART = 4    # they send at this part of the rate that could be kept


def paced(server, rate, numbers, sessions, seconds, may_fail=False):
    count = max(sessions, int(rate * seconds))
    return generator.run("smtp", server.port, messages=count, first=numbers.take(count), size=KB, sessions=sessions,
                         each=REUSED, rate=max(1, int(rate)), may_fail=may_fail)


def latency(stage):
    seconds = stage.scaled(SECONDS, 0.5)
    with Veredus(stage.folder) as veredus, Postfix(stage.folder) as postfix:
        numbers = {veredus: Numbers(), postfix: Numbers()}
        rates = {server: probe(server, numbers[server], 200, size=KB, sessions=SESSIONS, each=REUSED)
                 for server in numbers}
        for number in range(stage.rounds):
            for server in numbers:
                stage.disk.settle()
                before = measure.sync_latency(stage.folder, seconds / 2)
                found = paced(server, rates[server] / 2, numbers[server], SESSIONS, seconds)
                after = measure.sync_latency(stage.folder, seconds / 2)
                sync = [(one + two) / 2 for one, two in zip(before, after)]
                stage.add("latency at half the rate", server, round=number, sync_p50_ms=sync[0], sync_p99_ms=sync[1],
                          of_sync=found["p99_ms"] / sync[1], **found)


def drip(stage):
    count = stage.scaled(DRIPPING)
    good = stage.scaled(GOOD)
    seconds = stage.scaled(SECONDS, 0.5)
    with Veredus(stage.folder) as server:
        numbers = Numbers()
        rate = probe(server, numbers, 1000, size=KB, sessions=good, each=REUSED) / GOOD_PART
        for number in range(stage.rounds):
            alone = paced(server, rate, numbers, good, seconds)
            held = generator.Held("drip", server.port, sessions=count, processes=1, spread=True)
            beside = paced(server, rate, numbers, good, seconds, may_fail=True)
            held.close()
            stage.add("good clients beside dripping ones", server, round=number, dripping=held.counts["held"],
                      alone_p99_ms=alone["p99_ms"], times=beside["p99_ms"] / alone["p99_ms"], **beside)
