"""The main benchmark: runs all parts, one after the other."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from benchmarks import machine
from benchmarks.client_bench import clients
from benchmarks.commands import commands
from benchmarks.http_bench import bursts, reads_and_writes
from benchmarks.load import WRK
from benchmarks.report import Line, Report
from benchmarks.seed import working_copy
from benchmarks.servers import NotMeasuredError
from benchmarks.settings import CACHE, ROOT, SERVER_CORE, Settings
from benchmarks.startup import startup

from nightsafe.cli.data_directory.directory import DataDirectory

_MICRO_SECONDS = 300


def main() -> None:
    """Measure, print and save. The exit code says whether every budget holds."""
    settings = Settings.parse()
    report = Report(settings, machine.describe())
    if len(machine.cores()) < 2:
        sys.exit("two cores are needed: one for the server, one for the loader")
    if WRK is None:
        print("wrk is not installed: the loader in Python replaces it, and uses more of its core")
    report.machine["loader"] = "wrk" if WRK else "python"
    with _place() as place, (CACHE / "servers.log").open("wb") as log:
        directory, token = working_copy(settings.secrets, place / "safe")
        for part in (
            partial(startup, report, directory, log),
            partial(commands, report, directory, token, place, log),
            partial(reads_and_writes, report, directory, token, place, log),
            partial(bursts, report, directory, token, log),
            partial(_micro, report, directory, token, log),
            partial(_worst_token, report, log),
            partial(clients, report, log),
        ):
            _guarded(report, part)
    print(f"\nraw figures: {report.save().relative_to(ROOT)}")
    sys.exit(report.exit_code())


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    """Make a directory for this run, on the measured disk."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as name:
        yield Path(name)


def _guarded(report: Report, part: Callable[[], None]) -> None:
    """Run a part. If it cannot be measured, report that and continue with the others."""
    try:
        part()
    except (NotMeasuredError, OSError, subprocess.SubprocessError) as error:
        report.add(Line("the rest of this part", "", [], note=str(error)))


def _micro(report: Report, directory: DataDirectory, token: str, _: IO[bytes]) -> None:
    """Measure single steps, in processes of their own on the server's core."""
    report.title("Single steps, without HTTP")
    figures = _figures_of(report, "benchmarks.micro", str(directory.path), token, str(report.settings.scripts))
    for name, values in (figures | _figures_of(report, "benchmarks.groups")).items():
        report.add(Line(name, "/s" if "second" in name else "x" if " / " in name else "us", values))


def _worst_token(report: Report, _: IO[bytes]) -> None:
    """Measure the cost of the largest accepted token, in a process of its own on the server's core."""
    report.title("The largest accepted token")
    for name, values in _figures_of(report, "benchmarks.worst_token").items():
        is_read = name.startswith("GET")
        report.add(Line(name, "us" if is_read else "ms", values, at_most=50 if is_read else 20))


def _figures_of(report: Report, module: str, *arguments: str) -> dict[str, list[float]]:
    """Run a module on the server's core, and return the figures that it prints."""
    command = [sys.executable, "-m", module, *arguments, "3" if report.settings.quick else "7"]
    with machine.on_core(SERVER_CORE):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=_MICRO_SECONDS)
    if done.returncode:
        raise NotMeasuredError(done.stderr.strip().splitlines()[-1])
    figures: dict[str, list[float]] = json.loads(done.stdout)
    return figures
