"""Puts load on a server from the other core: with wrk if it is installed, else with the loader in Python."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import cpu_seconds, on_core
from benchmarks.servers import NotMeasuredError, Running
from benchmarks.settings import LOADER_CORE, ROOT
from benchmarks.traffic import NAMES, SCRIPT, SECRET, Requests

WRK = shutil.which("wrk")
_GRACE_SECONDS = 60

_LUA = """
math.randomseed({seed})
wrk.method = {method}
{headers}
request = function()
  local script = string.format({script_name}, math.random(0, {last_script}))
  local secret = string.format({secret_name}, math.random(0, {last_secret}))
  return wrk.format(nil, {path}, nil, {body})
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{{"answered":%d,"seconds":%.6f,"failed":%d,"p50":%.6f,"p99":%.6f}}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
"""


class Load(NamedTuple):
    """The result of a loader: answers, seconds, failures, and percentiles of the latency in seconds."""

    answered: int
    seconds: float
    failed: int
    p50: float
    p99: float


class Sample(NamedTuple):
    """One round on one server: requests a second, and CPU microseconds per request of its whole process tree."""

    rate: float
    cpu: float
    load: Load


def measure(server: Running, requests: Requests, connections: int, seconds: float, seed: int) -> Sample:
    """Run one round on a server.

    Raises:
        NotMeasuredError: when the loader or a request failed.
    """
    before = cpu_seconds(server.pid)
    load = _by_wrk(requests, connections, seconds, seed) if WRK else by_python(requests, connections, seconds, seed)
    used = cpu_seconds(server.pid) - before
    if load.failed or not load.answered:
        raise NotMeasuredError(f"{load.failed} of {load.answered} requests to {requests.path} failed")
    return Sample(load.answered / load.seconds, used / load.answered * 1e6, load)


def by_python(requests: Requests, connections: int, seconds: float, seed: int, count: int = 0) -> Load:
    """Run a round with the loader in Python: for some seconds, or for `count` requests if that is not 0."""
    figures = (connections, seconds, seed, count)
    printed = run_loader([sys.executable, "-m", "benchmarks.loader", *map(str, figures)], requests.encode())
    return Load(**json.loads(printed))


def _by_wrk(requests: Requests, connections: int, seconds: float, seed: int) -> Load:
    """Run a round with wrk, which accepts only whole seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_lua(requests, seed))
        script.flush()
        length = f"{max(round(seconds), 1)}s"
        command = [str(WRK), "-t1", f"-c{connections}", f"-d{length}", "--timeout", "30s", "-s", script.name]
        printed = run_loader([*command, f"http://127.0.0.1:{requests.port}/"], "")
    return Load(**json.loads(printed.strip().splitlines()[-1]))


def run_loader(command: list[str], text: str, core: int | None = LOADER_CORE) -> str:
    """Run a loader on a core, and return its output."""
    with on_core(core):
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, timeout=_GRACE_SECONDS * 10, cwd=ROOT
        )
    if done.returncode:
        raise NotMeasuredError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def _lua(requests: Requests, seed: int) -> str:
    """Return the script that makes wrk send these requests."""
    headers = "\n".join(
        f"wrk.headers[{_quoted(name)}] = {_quoted(value)}" for name, value in requests.headers.items()
    )
    return _LUA.format(
        seed=seed,
        method=_quoted(requests.method),
        headers=headers,
        script_name=_quoted(NAMES[SCRIPT]),
        secret_name=_quoted(NAMES[SECRET]),
        last_script=requests.scripts - 1,
        last_secret=requests.secrets - 1,
        path=_joined(requests.path),
        body=_joined(requests.body) if requests.body else "nil",
    )


def _joined(template: str) -> str:
    """Return a template as an expression in Lua."""
    return " .. ".join(_pieces(template))


def _pieces(template: str) -> Iterator[str]:
    """Yield the literals and variables of a template, in order."""
    for placeholder, variable in ((SCRIPT, "script"), (SECRET, "secret")):
        before, found, after = template.partition(placeholder)
        if found:
            yield from _pieces(before) if before else ()
            yield variable
            yield from _pieces(after) if after else ()
            return
    yield _quoted(template)


def _quoted(text: str) -> str:
    """Return a string literal in Lua. The JSON escapes that occur here are valid in Lua too."""
    return json.dumps(text)
