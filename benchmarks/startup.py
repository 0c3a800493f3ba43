"""Measures startup times and idle memory."""

import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from benchmarks.machine import resident_bytes, wait_until_idle
from benchmarks.report import Line, Report
from benchmarks.servers import nightsafe

from nightsafe.cli.data_directory.directory import DataDirectory

_TIMES = 10


def startup(report: Report, directory: DataDirectory, log: IO[bytes]) -> None:
    """Measure the time of `--help`, the time until the server is ready, and idle memory, with the large database."""
    report.title("Startup and idle memory")
    times = 3 if report.settings.quick else _TIMES
    report.add(Line("nightsafe --help", "ms", [_help() for _ in range(times)], at_most=200))
    ready, resident, anonymous = [], [], []
    for _ in range(times):
        with nightsafe(directory.path, log, core=None) as server:
            ready.append(server.ready_seconds)
            wait_until_idle(server.pid)
            whole, own = resident_bytes(server.pid)
            resident.append(whole / 1e6)
            anonymous.append(own / 1e6)
    report.add(Line("serve, until 'listening on'", "s", ready, at_most=1))
    report.add(Line("idle resident memory", "MB", resident, at_most=80))
    report.add(Line("  without file pages", "MB", anonymous))


def _help() -> float:
    """Return the milliseconds of `nightsafe --help`."""
    command = [str(Path(sys.executable).parent / "nightsafe"), "--help"]
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=30)
    return (time.perf_counter() - began) * 1000
