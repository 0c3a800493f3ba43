"""`.venv/bin/python benchmarks/delivery.py`: measures the budgets of delivery, with the real workerd.

Warm requests are compared, in interleaved rounds, with a bare workerd that has the same script in a static
configuration. The time from a write to its effect is measured with the real API and the real delivery process, as
`nightsafe run` starts them. All else is measured in this process, which is both the API's part and the delivery side.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks import machine  # noqa: E402 - found from the root of the project
from benchmarks.report import Line, Report  # noqa: E402
from benchmarks.rounds import cpu, interleave, ratios, record  # noqa: E402
from benchmarks.servers import Running, free_port, wait_for  # noqa: E402
from benchmarks.settings import CACHE, SERVER_CORE, Settings  # noqa: E402
from benchmarks.traffic import Requests  # noqa: E402
from tests.clients.wire.talk import Wire  # noqa: E402
from tests.delivery.runtime import Runtime, text, workerd  # noqa: E402
from tests.live.tools.running import Run, put, upload  # noqa: E402
from tests.server import make_safe  # noqa: E402

HELLO = "export default { fetch(request, env) { return new Response(env.TOKEN); } };"
KEY = {
    "type": "secret_key",
    "name": "KEY",
    "format": "raw",
    "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign", "verify"],
    "key_base64": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
}
_BARE = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .bare)],
  sockets = [(name = "http", address = "127.0.0.1:%d", http = (), service = "main")],
);
const bare :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "index.js")],
  compatibilityDate = "2026-04-01",
  bindings = [(name = "TOKEN", text = "value")],
);
"""
RUDE = """
  export default { fetch(request) {
    const { pathname } = new URL(request.url);
    let sum = 0;
    if (pathname === "/compute") for (let i = 0; i < 1.8e9; i++) sum += i;
    if (pathname === "/loop") while (true);
    return new Response("done");
  } };"""
_MEGABYTE = 1e6
_PROVEN = 220
"""Enough requests for a script to run in the main process, and a few more."""


def main() -> None:
    """Measure, print and save. The exit code says whether every budget holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: less of everything")
    quick = parser.parse_args().quick
    settings = Settings(0, 3 if quick else 7, 1.0 if quick else 3.0, 16, 0, 0, quick)
    report = Report(settings, machine.describe())
    asyncio.run(_measure(report, 100 if quick else 1000))
    print(f"\nraw figures: {report.save().relative_to(ROOT)}")
    sys.exit(report.exit_code())


async def _measure(report: Report, count: int) -> None:
    """Measure every part, each on a workerd of its own."""
    report.title("Warm requests")
    async with _runtime() as runtime:
        await _warm(report, runtime)
    report.title("From a change to its effect")
    async with _runtime() as runtime:
        await _changes(report, runtime, count)
    report.title("From a write's answer to its effect, with nightsafe run")
    await asyncio.to_thread(_writes, report, count)
    report.title("A script that blocks its process")
    async with _runtime() as runtime:
        await _gaps(report, runtime)
    report.title("Memory")
    async with _runtime() as runtime:
        await _many(report, runtime, count)


@contextlib.asynccontextmanager
async def _runtime() -> AsyncIterator[Runtime]:
    """Start a delivery side whose workerd has a core of its own."""
    with tempfile.TemporaryDirectory() as name:
        async with Runtime(Path(name), script_header=False) as runtime:
            _pin(runtime.delivery.supervisor.current.pid)
            yield runtime


def _pin(pid: int) -> None:
    """Let a process run on the server's core only."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {SERVER_CORE})


async def _warm(report: Report, runtime: Runtime) -> None:
    """Measure the CPU time of a request through the dispatcher, and of a request to a bare workerd."""
    await runtime.upload("hello", HELLO, [text("TOKEN", "value")])
    for _ in range(_PROVEN):
        await runtime.get("hello")
    child = cast("subprocess.Popen[str]", runtime.delivery.supervisor.current)  # only its pid is used
    with _bare() as bare:
        targets = {
            "dispatcher": (Running(child, runtime.port), _requests(runtime.port, f"hello.localhost:{runtime.port}")),
            "bare workerd": (bare, _requests(bare.port, f"127.0.0.1:{bare.port}")),
        }
        samples, gone = await asyncio.to_thread(interleave, targets, report.settings)
    record(report, "warm", samples)
    shares = ratios(samples["dispatcher"], samples["bare workerd"], cpu)
    report.add(Line("CPU per request / bare workerd", "x", shares, at_most=2.4, note=" ".join(gone.values())))


@contextlib.contextmanager
def _bare() -> Iterator[Running]:
    """Start a workerd with the script in its configuration."""
    CACHE.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with tempfile.TemporaryDirectory() as name, (CACHE / "servers.log").open("wb") as log:
        (Path(name) / "index.js").write_text(HELLO)
        config = Path(name) / "bare.capnp"
        config.write_text(_BARE % port)
        process = machine.start([str(workerd()), "serve", str(config)], SERVER_CORE, log)
        try:
            yield wait_for(Running(process, port))
        finally:
            machine.stop(process)


def _requests(port: int, host: str) -> Requests:
    """Return requests for `GET /` of a host."""
    return Requests(port, "GET", "/", {"Host": host}, "", 1, 1)


async def _changes(report: Report, runtime: Runtime, count: int) -> None:
    """Measure the time until a request sees a changed value, and the growth of memory after 1,000 changes."""
    await runtime.upload("changing", HELLO, [text("TOKEN", "0"), KEY])
    await runtime.get("changing")
    before = _resident(runtime)
    told, seen = [], []
    for number in range(1, count + 1):
        version = runtime.version("changing", HELLO, [text("TOKEN", str(number)), KEY])
        began = time.perf_counter()
        await runtime.serve("changing", version)
        told.append(time.perf_counter() - began)
        answer = await runtime.get("changing")
        seen.append(time.perf_counter() - began)
        if answer.text != str(number):
            raise AssertionError("a request did not see the value that was set before it")
    report.add(Line("put -> dispatcher has acknowledged, median", "ms", [statistics.median(told) * 1e3]))
    report.add(Line("put -> new value in an answer, median", "ms", [statistics.median(seen) * 1e3]))
    report.add(Line("put -> new value in an answer, p99", "ms", [_p99(seen) * 1e3], at_most=100))
    grown = (_resident(runtime) - before) / _MEGABYTE
    report.add(Line(f"a script updated {count:,} times: growth", "MB", [grown], at_most=100))


def _writes(report: Report, count: int) -> None:
    """Measure a PUT until its answer, and from there until a request sees the value, with real processes."""
    with tempfile.TemporaryDirectory() as name, Run(make_safe(Path(name)), cold=True) as run, Wire.to(run) as wire:
        upload(wire, "changing", HELLO.encode(), {"type": "secret_text", "name": "TOKEN", "text": "0"}, KEY)
        run.workers.text("changing")
        told, seen = [], []
        for number in range(1, count + 1):
            began = time.perf_counter()
            put(wire, "changing", "TOKEN", str(number))
            answered = time.perf_counter()
            if run.workers.text("changing") != str(number):
                raise AssertionError("a request did not see the value that was set before it")
            told.append(answered - began)
            seen.append(time.perf_counter() - answered)
    report.add(Line("PUT -> answer, after delivery, median", "ms", [statistics.median(told) * 1e3]))
    report.add(Line("PUT -> answer, after delivery, p99", "ms", [_p99(told) * 1e3]))
    report.add(Line("answer to PUT -> new value in a response, median", "ms", [statistics.median(seen) * 1e3]))
    report.add(Line("answer to PUT -> new value in a response, p99", "ms", [_p99(seen) * 1e3], at_most=100))


async def _many(report: Report, runtime: Runtime, count: int) -> None:
    """Measure the memory of many loaded scripts, and the time to load each."""
    names = [f"script-{number}" for number in range(count)]
    for name in names:
        await runtime.put(name, runtime.version(name, HELLO, [text("TOKEN", name), KEY]))
    await runtime.source.wait_until_acknowledged(runtime.source.serial)
    took = []
    for name in names:
        began = time.perf_counter()
        answer = await runtime.get(name)
        took.append(time.perf_counter() - began)
        if answer.text != name:
            raise AssertionError("a script did not see its own value")
    report.add(Line("cold load of a script, median", "ms", [statistics.median(took) * 1e3]))
    report.add(Line("cold load of a script, p99", "ms", [_p99(took) * 1e3], at_most=50))
    report.add(Line(f"{count:,} scripts loaded", "GB", [_resident(runtime) / 1e9], at_most=2.5))


async def _gaps(report: Report, runtime: Runtime) -> None:
    """Measure the longest wait of others, on a kept connection, while a script blocks its process."""
    await runtime.upload("hello", HELLO, [text("TOKEN", "value")])
    await runtime.upload("rude", RUDE, cpu_ms=5000)
    for name in ("hello", "rude"):
        await runtime.get(name)
    for what, path in (
        ("a script computes for 2 s", "/compute"),
        ("a script loops for the first time", "/loop"),
        ("a script that has looped gets another request", "/loop"),
    ):
        longest = await _longest_wait(runtime, path)
        report.add(Line(f"{what}: others wait at most", "ms", [longest * 1e3], at_most=1500))


async def _longest_wait(runtime: Runtime, path: str) -> float:
    """Return the seconds of the slowest request to another script during a request to the rude script."""
    rude = asyncio.create_task(runtime.get("rude", path))
    waits = [0.0]
    while not rude.done():
        began = time.perf_counter()
        answer = await runtime.get("hello")
        waits.append(time.perf_counter() - began)
        if answer.text != "value":
            raise AssertionError("a request got a wrong answer")
    return max(waits)


def _resident(runtime: Runtime) -> int:
    """Return the resident memory of all processes of the runtime, in bytes."""
    supervisor = runtime.delivery.supervisor
    return sum(child.resident_bytes() for child in (supervisor.current, *supervisor.cells))


def _p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return sorted(values)[int(len(values) * 0.99)]


if __name__ == "__main__":
    main()
