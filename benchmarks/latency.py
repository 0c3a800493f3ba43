"""`make bench-latency`: measures latency at a fixed rate, beside OpenBao in the same run.

The load is that of OpenBao's published measurement: 500 requests a second, nine reads for each write, and values of
100 bytes. An open-loop loader counts each latency from the intended time. Each server may use every core. So may the
loader, which needs about a tenth of one; the report says how late it sent. The run ends with a table for
docs/benchmarks.md.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks import machine, peers, traffic  # noqa: E402 - found from the root of the project
from benchmarks.http_bench import NIGHTSAFE, OPENBAO, fill, try_to_start  # noqa: E402
from benchmarks.load import run_loader  # noqa: E402
from benchmarks.open_loop import Latencies  # noqa: E402
from benchmarks.report import Line, Report  # noqa: E402
from benchmarks.rounds import in_turns, ratios  # noqa: E402
from benchmarks.seed import working_copy  # noqa: E402
from benchmarks.servers import NotMeasuredError, nightsafe  # noqa: E402
from benchmarks.settings import CACHE, Settings  # noqa: E402

from nightsafe.cli.data_directory.directory import DataDirectory  # noqa: E402

_RATE = 500
_VALUE = "b5f1c0de" * 12 + "b5f1"
_CONNECTIONS = 256
"""Enough for half a second without an answer."""

_KINDS = (("GET", "reads", 10.0), ("PUT", "writes", 50.0))
"""Each kind of request: its method, its field in `Latencies`, and the most milliseconds of its 99th percentile."""

_PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
_HEAD = """| milliseconds | p50 | p99 | range of p99 | p99.9 | longest | budget for p99 | result |
| --- | --- | --- | --- | --- | --- | --- | --- |"""

_VERDICTS = {"pass": "holds", "FAIL": "**does not hold**", "NOT MEASURED": "not measured"}

Times = Sequence[Sequence[float]]
"""The latencies of one kind of request in each round, in seconds."""


def main() -> None:
    """Measure, print and save. The exit code says whether every budget holds."""
    parser = argparse.ArgumentParser(prog="make bench-latency", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: 2,000 secrets, 3 rounds of 2 s")
    quick = parser.parse_args().quick
    secrets, rounds, seconds = (2_000, 3, 2.0) if quick else (10_000, 5, 30.0)
    report = Report(Settings(secrets, rounds, seconds, _CONNECTIONS, 0, secrets, quick), machine.describe())
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name, (CACHE / "latency.log").open("wb") as log:
        directory, token = working_copy(secrets, Path(name) / "safe")
        _measure(report, directory, token, Path(name), log)
    print(f"\nraw figures: {report.save().relative_to(ROOT)}")
    sys.exit(report.exit_code())


def _measure(report: Report, directory: DataDirectory, token: str, place: Path, log: IO[bytes]) -> None:
    """Run the rounds on both servers, and report the figures."""
    settings = report.settings
    report.title(
        f"{_RATE} requests/s, 90 % GET and 10 % PUT of random secrets among {settings.secrets:,}, "
        f"{settings.rounds} rounds of {settings.seconds:g} s"
    )
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(nightsafe(directory.path, log, core=None))
        get = traffic.nightsafe_get(server.port, token, settings.scripts)
        put = traffic.nightsafe_put(server.port, token, settings.scripts, value=_VALUE)
        targets = {NIGHTSAFE: partial(_round, get, put, settings)}
        bao, missing = try_to_start(stack, lambda: peers.openbao(place, log, core=None))
        if bao is not None:
            running, tokens = bao
            get = traffic.openbao_get(running.port, tokens.single, settings.scripts)
            put = traffic.openbao_put(running.port, tokens.single, settings.scripts, _VALUE)
            missing = fill(put, settings, 16)
            targets |= {} if missing else {OPENBAO: partial(_round, get, put, settings)}
        rounds, gone = in_turns(targets, settings.rounds)
    report.raw = {name: [asdict(one) for one in taken] for name, taken in rounds.items()}
    _report(report, rounds, {OPENBAO: missing} | gone)


def _round(get: traffic.Requests, put: traffic.Requests, settings: Settings, seed: int) -> Latencies:
    """Run one round on a server.

    Raises:
        NotMeasuredError: when the loader or a request failed.
    """
    figures = (settings.connections, _RATE, settings.seconds, seed)
    command = [sys.executable, "-m", "benchmarks.open_loop", *map(str, figures)]
    latencies = Latencies(**json.loads(run_loader(command, f"{get.encode()}\n{put.encode()}", core=None)))
    if latencies.failed:
        raise NotMeasuredError(f"{latencies.failed} of {len(latencies.late)} requests failed")
    return latencies


def _report(report: Report, rounds: Mapping[str, Sequence[Latencies]], notes: Mapping[str, str]) -> None:
    """Report the figures, and print the table for the documentation."""
    rows = list[str]()
    for method, field, budget in _KINDS:
        ours, theirs = ([getattr(one, field) for one in rounds.get(name, ())] for name in (NIGHTSAFE, OPENBAO))
        rows.append(_row(report, f"{method}, {NIGHTSAFE}", _spread(ours), notes.get(NIGHTSAFE, ""), budget))
        rows.append(_row(report, f"{method}, {OPENBAO}", _spread(theirs), notes.get(OPENBAO, "")))
        shares = {name: ratios(theirs, ours, partial(_at, share=share)) for name, share in _PERCENTILES.items()}
        rows.append(_row(report, f"{method}, ratio {OPENBAO} / {NIGHTSAFE}", shares))
    for name, taken in rounds.items():
        rows.append(_row(report, f"sent late to {name}", _spread([one.late for one in taken]), notes.get(name, "")))
    print("", _HEAD, *rows, sep="\n", flush=True)


def _spread(taken: Times) -> dict[str, list[float]]:
    """Return the percentiles of each round, and the longest time of all rounds, in milliseconds."""
    values = {name: [_at(times, share) * 1e3 for times in taken] for name, share in _PERCENTILES.items()}
    return values | {"longest": [max(map(max, taken)) * 1e3] if taken else []}


def _row(
    report: Report, what: str, values: Mapping[str, list[float]], note: str = "", at_most: float | None = None
) -> str:
    """Report the figures, and return their row of the table. Figures without a longest time are ratios."""
    unit, cells = "ms" if "longest" in values else "x", dict.fromkeys(("p50", "p99", "range", "p99.9", "longest"), "")
    for name, found in values.items():
        line = Line(f"{what}: {name}", unit, found, at_most=at_most if name == "p99" else None, note=note)
        report.add(line)
        cells[name] = "" if line.figure is None else f"{line.figure:.1f}"
        if name == "p99":
            cells["range"] = f"{min(found):.1f} \N{EN DASH} {max(found):.1f}" if found else ""
            verdict = _VERDICTS.get(line.verdict, "")
    budget = "" if at_most is None else f"≤ {at_most:g}"
    return f"| {' | '.join((what, *cells.values(), budget, verdict))} |"


def _at(times: Sequence[float], share: float) -> float:
    """Return the time that this share of the times does not exceed."""
    return sorted(times)[int(len(times) * share)]


if __name__ == "__main__":
    main()
