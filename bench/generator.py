"""Runs bench/load: the one generator for every server."""
import json
import subprocess

import machine

PROGRAM = machine.ROOT / "build" / "bench" / "load" / "load"


def words(mode, port, **settings):
    """load(each=5, remove=True) is `load --each 5 --remove`."""
    line = [str(PROGRAM)]
    for name, value in settings.items():
        if value is True:
            line.append("--" + name.replace("_", "-"))
        elif value is not False and value is not None:
            line += ["--" + name.replace("_", "-"), str(value)]
    return line + [mode, str(port)]


def run(mode, port, may_fail=False, **settings):
    """What it printed, as a dict; a run in which anything was refused is none."""
    line = words(mode, port, **settings)
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode != 0 and not may_fail:
        raise RuntimeError(f"{' '.join(line)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


class Held:
    """Connections that stand, idle or dripping, until close()."""

    def __init__(self, mode, port, **settings):
        self.process = subprocess.Popen(words(mode, port, **settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.counts = json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
