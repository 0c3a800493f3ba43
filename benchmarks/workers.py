"""`make bench-workers`: measures how reads scale with two API processes on one database.

A server with one API process and a server with two serve copies of the same database. Rounds of GETs of one secret
alternate between them, with the same loader on one core. The server with one process has the other core. The server
with two processes has both cores, and on a machine with two cores shares one of them with the loader.

One process alone can use more than one core: the HTTP library has threads of its own. So a further server with one
process may use both cores, too. Its rate is the one that a second process improves on a machine with two cores.

A process that waits for requests uses more CPU time for each, because it handles fewer of them at a time. So both
servers have a lower priority than the loader, and there are many connections: requests always wait for the servers.

So there are two figures. The first follows from CPU time: two processes with a core each, and the loader elsewhere,
answer 2 / (CPU per request) requests a second. The second is the ratio of the measured rates. It has a budget only
where the loader has a core to itself.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks import machine, traffic  # noqa: E402 - found from the root of the project
from benchmarks.load import WRK, Sample, measure  # noqa: E402
from benchmarks.report import Line, Report  # noqa: E402
from benchmarks.rounds import cpu, rate, ratios, record  # noqa: E402
from benchmarks.seed import working_copy  # noqa: E402
from benchmarks.servers import Running, nightsafe  # noqa: E402
from benchmarks.settings import CACHE, SERVER_CORE, Settings  # noqa: E402

_PROCESSES = 2
_AT_LEAST = 1.7
"""The least factor by which a second API process, with a core of its own, multiplies the reads."""

_LEAST_SHARE = 0.2
"""The least share of the work that each process should get."""

_NICE = 15

_ONE, _FREE, _TWO = "one API process", "one API process on both cores", "two API processes"


def main() -> None:
    """Measure, print and save. The exit code says whether every budget holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: 20,000 secrets, 3 rounds of 1 s")
    quick = parser.parse_args().quick
    settings = Settings(20_000 if quick else 200_000, 3 if quick else 7, 1.0 if quick else 3.0, 256, 0, 0, quick)
    report = Report(settings, machine.describe())
    if len(machine.cores()) < _PROCESSES:
        sys.exit("two cores are needed")
    report.machine["loader"] = "wrk" if WRK else "python"
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name, (CACHE / "workers.log").open("wb") as log:
        directory, token = working_copy(settings.secrets, Path(name) / "one")
        safes = (directory.path, Path(name) / "two", Path(name) / "three")
        for copy in safes[1:]:
            shutil.copytree(directory.path, copy)
        _measure(report, safes, token, log)
    print(f"\nraw figures: {report.save().relative_to(ROOT)}")
    sys.exit(report.exit_code())


def _measure(report: Report, safes: tuple[Path, Path, Path], token: str, log: IO[bytes]) -> None:
    """Run the rounds, and report the figures."""
    settings = report.settings
    report.title(f"GET of one secret: {settings.secrets:,} secrets, {settings.connections} connections")
    samples: dict[str, list[Sample]] = {_ONE: [], _FREE: [], _TWO: []}
    shares = list[float]()
    with (
        nightsafe(safes[0], log, core=SERVER_CORE) as one,
        nightsafe(safes[1], log, core=None) as free,
        nightsafe(safes[2], log, "--workers", str(_PROCESSES), core=None) as two,
    ):
        for server in (one, free, two):
            _lower(server)
        for number in range(settings.rounds + 1):
            for name, server in ((_ONE, one), (_FREE, free), (_TWO, two)):
                before = _cpu_of_children(server)
                requests = traffic.nightsafe_get(server.port, token, settings.scripts)
                sample = measure(server, requests, settings.connections, settings.seconds, number + 1)
                used = [after - start for start, after in zip(before, _cpu_of_children(server), strict=True)]
                if number:
                    samples[name].append(sample)
                    shares += [min(used) / sum(used)] if name is _TWO else []
    ours, single = samples[_TWO], samples[_ONE]
    alone = len(machine.cores()) > _PROCESSES
    capacity = [_PROCESSES * ratio for ratio in ratios(single, ours, cpu)]
    report.add(Line("reads of two / of one, a core for each, from CPU time", "x", capacity, at_least=_AT_LEAST))
    note = "" if alone else "the loader shares one of the two cores"
    measured = ratios(ours, single, rate)
    report.add(Line("requests/s of two / of one", "x", measured, at_least=_AT_LEAST if alone else None, note=note))
    report.add(Line("requests/s of two / of one on both cores", "x", ratios(ours, samples[_FREE], rate)))
    report.add(Line("share of the less busy process", "", shares, at_least=_LEAST_SHARE))
    record(report, "get", samples)


def _lower(server: Running) -> None:
    """Give every thread of a server a lower priority than the loader's."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for process in (str(server.pid), *children):
        for thread in Path(f"/proc/{process}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), _NICE)


def _cpu_of_children(server: Running) -> list[float]:
    """Return the CPU seconds of each child process of a server."""
    task = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    return [machine.cpu_seconds(int(child)) for child in task.read_text().split()]


if __name__ == "__main__":
    main()
