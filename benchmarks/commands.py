"""Measures how long a command takes, with nightsafe and with wrangler, in turns against the same server."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from benchmarks.report import Line, Report
from benchmarks.servers import NotMeasuredError, nightsafe
from benchmarks.settings import ACCOUNT_ID, ROOT
from benchmarks.traffic import NAMES, SCRIPT

from nightsafe.cli.data_directory.directory import DataDirectory

_WRANGLER: Final = ROOT / "tests" / "clients" / "node" / "node_modules" / "wrangler" / "bin" / "wrangler.js"
_NOWHERE: Final = "http://127.0.0.1:9/"
_SECONDS: Final = 60


def commands(report: Report, directory: DataDirectory, token: str, place: Path, log: IO[bytes]) -> None:
    """Measure `secret list`, with compiled code and warm files for both."""
    report.title("Commands")
    times, script = (3 if report.settings.quick else 10), NAMES[SCRIPT] % 0
    ours = [str(Path(sys.executable).parent / "nightsafe"), "secret", "list", "--script", script]
    with nightsafe(directory.path, log) as server:
        environ = _environ(f"http://127.0.0.1:{server.port}/client/v4", token, place)
        node = shutil.which("node")
        theirs = (
            [str(node), str(_WRANGLER), "secret", "list", "--name", script] if node and _WRANGLER.exists() else None
        )
        _milliseconds(ours, environ, place)
        mine, wranglers = [], []
        for _ in range(times):
            mine.append(_milliseconds(ours, environ, place))
            wranglers += [_milliseconds(theirs, environ, place)] if theirs else []
    report.add(Line("nightsafe secret list", "ms", mine, at_most=350))
    if not wranglers:
        raise NotMeasuredError("wrangler is not installed: run `make node`")
    report.add(Line("wrangler secret list", "ms", wranglers))
    ratios = [theirs_ms / mine_ms for theirs_ms, mine_ms in zip(wranglers, mine, strict=True)]
    report.add(Line("  wrangler's time / nightsafe's", "x", ratios))


def _environ(url: str, token: str, place: Path) -> dict[str, str]:
    """Return the environment of both. It gives wrangler no other host."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "XDG_CONFIG_HOME": str(place),
        "CI": "1",
        "NO_COLOR": "1",
        "CLOUDFLARE_BASE_URL": url,
        "CLOUDFLARE_API_BASE_URL": url,
        "CLOUDFLARE_API_TOKEN": token,
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT_ID,
        "WRANGLER_SEND_METRICS": "false",
        "npm_registry": _NOWHERE,
    }


def _milliseconds(command: Sequence[str], environ: Mapping[str, str], place: Path) -> float:
    """Return the milliseconds of one run, which must succeed."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environ, cwd=place, capture_output=True, check=False, timeout=_SECONDS)
    taken = (time.perf_counter() - began) * 1000
    if done.returncode:
        raise NotMeasuredError(f"{command[1]} ended with {done.returncode}")
    return taken
