"""Compares Nightsafe's client with the official SDK: time to the first answer, memory, and overhead of each call.

It is a part of `make bench`. To run it alone: `python -m benchmarks.client_bench [--quick]`.
"""

import base64
import json
import os
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import IO

from benchmarks import machine
from benchmarks.client_calls import CLIENTS
from benchmarks.report import Line, Report
from benchmarks.servers import NotMeasuredError, Running, free_port, wait_for
from benchmarks.settings import ACCOUNT_ID, CACHE, ROOT, SERVER_CORE, Settings
from packaging.requirements import Requirement

_BODY = b'{"result":{"name":"mySecret","type":"secret_text"},"success":true,"errors":[],"messages":[]}\n'
_ANSWER = {"headers": [["content-type", "application/json"]], "body": base64.b64encode(_BODY).decode()}
_CALL = f".workers.scripts.secrets.get('mySecret', account_id={ACCOUNT_ID!r}, script_name='script')"
_MADE = "(api_token='token', base_url='http://127.0.0.1:{port}/client/v4')"
PROGRAMS = {
    "ours": f"from nightsafe.client import Nightsafe\nNightsafe{_MADE}{_CALL}",
    "official": f"from cloudflare import Cloudflare\nCloudflare{_MADE}{_CALL}",
    "ours, with TLS set up": (
        "from nightsafe.client import Nightsafe\nfrom nightsafe.client.network import trusted_certificates\n"
        f"Nightsafe{_MADE}{_CALL}\ntrusted_certificates()"
    ),
    "nothing": "pass",
}
"""Programs that run from the start of the interpreter to the answer of the first call. The SDK always sets up TLS."""

_RESIDENT = "\nprint(*[line for line in open('/proc/self/status') if line.startswith('VmRSS')])"
_SECONDS = 120
_BY_HAND = {"nightsafe": "src/nightsafe"}
"""Distributions that are installed as a link to their source."""


def clients(report: Report, log: IO[bytes]) -> None:
    """Run the whole comparison."""
    report.title("The Python client beside the official SDK")
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.constant", str(port)]
    process = machine.start(command, SERVER_CORE, log, text=json.dumps(_ANSWER))
    try:
        running = wait_for(Running(process, port))
        _starts(report, running.port)
        _calls(report, running.port)
    finally:
        machine.stop(process)
    _sizes(report)


def _starts(report: Report, port: int) -> None:
    """Measure time and memory until the first answer. The first round compiles the modules and does not count."""
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    resident: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(report.settings.rounds + 1):
        for name, program in PROGRAMS.items():
            milliseconds, megabytes = _run(program.replace("{port}", str(port)))
            if number:
                taken[name].append(milliseconds)
                resident[name].append(megabytes)
    time_ratio, tls_ratio = (_ratios(taken[name], taken["official"]) for name in ("ours", "ours, with TLS set up"))
    report.add(Line("import to first answer / the SDK's", "x", time_ratio, at_most=0.2))
    report.add(Line("  the same, with TLS set up", "x", tls_ratio))
    report.add(Line("resident then / the SDK's", "x", _ratios(resident["ours"], resident["official"]), at_most=0.5))
    for name in PROGRAMS:
        report.add(Line(f"  {name}: to the first answer", "ms", taken[name]))
    for name in ("ours", "official", "nothing"):
        report.add(Line(f"  {name}: resident", "MB", resident[name]))


def _run(program: str) -> tuple[float, float]:
    """Return the milliseconds that a program takes, and the megabytes that it then holds."""
    environ = {name: shown for name, shown in os.environ.items() if not name.startswith(("PYTHON", "CLOUDFLARE_"))}
    began = time.perf_counter()
    _python(["-c", program], environ)
    taken = (time.perf_counter() - began) * 1000
    printed = _python(["-c", program + _RESIDENT], environ)
    return taken, int(re.findall(r"\d+", printed)[0]) * 1024 / 1e6


def _python(arguments: list[str], environ: dict[str, str] | None = None) -> str:
    """Run this interpreter, and return its output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise NotMeasuredError(done.stderr.strip().splitlines()[-1])
    return done.stdout


def _calls(report: Report, port: int) -> None:
    """Measure the time that a client adds to each GET of its HTTP library."""
    taken: dict[str, list[float]] = {name: [] for name in CLIENTS}
    for _ in range(report.settings.rounds):
        for name in CLIENTS:
            batches = json.loads(_python(["-m", "benchmarks.client_calls", name, str(port), "10"]))
            taken[name].append(min(batches))
    ours = [above - below for above, below in zip(taken["ours"], taken["under_ours"], strict=True)]
    official = [above - below for above, below in zip(taken["official"], taken["under_official"], strict=True)]
    usual = statistics.median(official)
    report.add(Line("added to a GET / what the SDK adds", "x", [added / usual for added in ours], at_most=0.25))
    report.add(Line("  ours: added to httpcore", "us", ours))
    report.add(Line("  official: added to httpx", "us", official))
    report.add(Line("  a GET in all / the SDK's", "x", _ratios(taken["ours"], taken["official"])))
    for name, values in taken.items():
        report.add(Line(f"  {name}: a GET in all", "us", values))


def _sizes(report: Report) -> None:
    """Measure the installed size of each client with its dependencies, without compiled files."""
    ours, official = (
        sum(_size(package) for package in _with_needs(name, set())) / 1e6 for name in ("nightsafe", "cloudflare")
    )
    report.add(Line("installed / the SDK's", "x", [ours / official], at_most=0.25))
    report.add(Line("  ours: installed", "MB", [ours]))
    report.add(Line("  official: installed", "MB", [official]))


def _with_needs(name: str, extras: set[str], seen: set[str] | None = None) -> set[str]:
    """Return the names of a distribution and of its dependencies on this machine."""
    seen = set() if seen is None else seen
    seen.add(name)
    for text in distribution(name).requires or ():
        need = Requirement(text)
        wanted = need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras | {""})
        if wanted and need.name not in seen:
            _with_needs(need.name, set(need.extras), seen)
    return seen


def _size(name: str) -> int:
    """Return the size of a distribution's files, in bytes."""
    if name in _BY_HAND:
        return _size_of([path for path in (ROOT / _BY_HAND[name]).rglob("*") if path.is_file()])
    try:
        found: Distribution = distribution(name)
    except PackageNotFoundError:
        raise NotMeasuredError(f"{name} is not installed") from None
    return _size_of([Path(str(file.locate())) for file in found.files or ()])


def _size_of(paths: list[Path]) -> int:
    """Return the size of files without compiled ones, in bytes."""
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())


def _ratios(above: list[float], below: list[float]) -> list[float]:
    """Return the ratio of each round."""
    return [one / other for one, other in zip(above, below, strict=True)]


def main() -> None:
    """Run only this part."""
    report = Report(Settings.parse(), machine.describe())
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "client.log").open("wb") as log:
        clients(report, log)
    sys.exit(report.exit_code())


if __name__ == "__main__":
    main()
