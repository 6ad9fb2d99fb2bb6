"""Accept to durable: how many messages a second are acknowledged, beside a sink that takes the same mail from the same
generator and throws it away."""
import contextlib
import dataclasses

from cases.contest import Contest
from cases.stage import KB, MB, REUSED, size_name
from peers.exim import Exim
from peers.opensmtpd import OpenSmtpd
from peers.postfix import Postfix
from peers.sink import Sink
from peers.veredus import Veredus


@dataclasses.dataclass(frozen=True)
class Accept:
    size: int
    sessions: int
    each: int  # messages for each connection
    one_by_one: bool = False

    @property
    def name(self):
        words = [f"accept {size_name(self.size)}", str(self.sessions), "reused" if self.each > 1 else "each"]
        return ", ".join(words + ["one by one"] * self.one_by_one)


# What a client without PIPELINING sees; it leaves the sink less of its lead.
ONE_BY_ONE = [Accept(KB, 10, REUSED, True), Accept(KB, 100, REUSED, True)]
FULL = [Accept(size, sessions, each) for size in (KB, 10 * KB, 100 * KB, 5 * MB) for sessions in (1, 10, 100)
        for each in (1, REUSED)] + ONE_BY_ONE
FIRST = [Accept(size, sessions, each) for size in (KB, 10 * KB) for sessions in (10, 100) for each in (1, REUSED)]
CORE = [*FIRST, *ONE_BY_ONE, Accept(100 * KB, 100, REUSED), Accept(KB, 1, REUSED)]
ROOT_DISK = [Accept(KB, 10, 1)]
QUICK = [Accept(KB, 10, REUSED)]
# Where all peers are compared in the core matrix, too; elsewhere Postfix stands for them.
ALL_PEERS = {Accept(KB, 10, 1), Accept(10 * KB, 10, REUSED)}


def run_cases(stage, cases, sometimes=(Exim, OpenSmtpd)):
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink(stage.folder))
        servers = {kind: stack.enter_context(kind(stage.folder)) for kind in (Veredus, Postfix, *sometimes)}
        cases_of_all = ALL_PEERS if stage.name == "journaled" else ()
        for case in cases:
            others = sometimes if stage.size == "full" or case in cases_of_all else ()
            Contest(stage, case.name, [servers[kind] for kind in (Veredus, Postfix, *others)], sink=sink,
                    size=case.size, sessions=case.sessions, each=case.each, accounts=100,
                    one_by_one=case.one_by_one).run()


def accept(stage):
    core = CORE if stage.name == "journaled" else ROOT_DISK
    run_cases(stage, {"quick": QUICK, "core": core, "full": FULL}[stage.size])


def first(stage):
    """A short picture: the sizes that most mail has, without the smaller peers."""
    run_cases(stage, FIRST, sometimes=())
