"""`.venv/bin/python benchmarks/rotation.py`: measures how a rotation of keys slows other requests.

`nightsafe run` with the real workerd holds 100,000 values. Three clients are timed: one writes, one reads, and one
sends requests to a Worker. They are timed first for a while without a rotation, and then from the rotation until all
values are resealed.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks import machine  # noqa: E402 - found from the root of the project
from benchmarks.report import Line, Report  # noqa: E402
from benchmarks.settings import ACCOUNT_ID, CACHE, Settings  # noqa: E402
from tests.clients.cli.keys.test_keys import done  # noqa: E402
from tests.clients.wire.talk import SCRIPTS, Wire  # noqa: E402
from tests.engines.tools.changes import code, stamp  # noqa: E402
from tests.live.tools.running import HELLO, Run, put, secret, upload  # noqa: E402
from tests.server import Safe, make_safe  # noqa: E402

from nightsafe.audit.entry import AuditEvent, entry_for  # noqa: E402
from nightsafe.bindings.model import SecretText  # noqa: E402
from nightsafe.cli.data_directory.directory import DataDirectory  # noqa: E402
from nightsafe.secret_value import SecretValue  # noqa: E402
from nightsafe.services.caller import now  # noqa: E402
from nightsafe.store.changes import Change  # noqa: E402
from nightsafe.store.interface import Store  # noqa: E402
from nightsafe.store.script_edit import (  # noqa: E402
    BindingsUpdate,
    ScriptEdit,
    SettingsUpdate,
)
from nightsafe.store.scripts import ScriptRef  # noqa: E402

PER_SCRIPT = 100
_PAUSE = 0.005
_LOOK_SECONDS = 1.0
_AT_MOST = 3.0
"""The most by which the 99th percentile may grow while values are resealed, as a factor."""

Times = dict[str, list[float]]


def main() -> None:
    """Measure, print and save. The exit code says whether every budget holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: 5,000 values")
    quick = parser.parse_args().quick
    values, seconds = (5_000, 3.0) if quick else (100_000, 15.0)
    report = Report(Settings(values, 1, seconds, 3, 0, 0, quick), machine.describe())
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        safe = make_safe(Path(name), ACCOUNT_ID)
        print(f"sealing {values:,} values ...", flush=True)
        DataDirectory(safe.path).run(lambda store: _fill(store, DataDirectory(safe.path), values // PER_SCRIPT))
        with Run(safe, cold=True) as running:
            _measure(report, safe, running, seconds)
    print(f"\nraw figures: {report.save().relative_to(ROOT)}")
    sys.exit(report.exit_code())


async def _fill(store: Store, directory: DataDirectory, scripts: int) -> None:
    """Make this many scripts, each with a hundred values that are really sealed for it."""
    sealer = directory.safe()
    for number in range(scripts):
        ref, at = ScriptRef(ACCOUNT_ID, f"script-{number}"), now()
        bindings = tuple(
            sealer.seal(ref, SecretText(f"S{place}", SecretValue(f"{number}-{place}".encode())))
            for place in range(PER_SCRIPT)
        )
        edit = ScriptEdit(
            ref=ref,
            stamp=stamp("upload"),
            set=bindings,
            upload=code(HELLO),
            bindings_update=BindingsUpdate(),
            settings=SettingsUpdate(b"{}"),
        )
        deed = AuditEvent(
            at=at, action="scripts.put", actor="", actor_kind="operator", account_id=ACCOUNT_ID, script=ref.name
        )
        await store.commit(Change(at=at, audit=entry_for(deed), edit=edit))
        await asyncio.sleep(0)


def _measure(report: Report, safe: Safe, running: Run, seconds: float) -> None:
    """Measure both periods, and report the figures."""
    with Wire.to(running) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "x"))
    before = _timed(running, lambda: time.sleep(seconds))
    rotated = time.perf_counter()
    done(safe, "rotate")
    waiting = _waiting(running)
    during = _timed(running, lambda: _until_none(running))
    took = time.perf_counter() - rotated
    report.title(f"While {waiting:,} values are resealed")
    report.add(Line("values resealed a second", "", [waiting / took]))
    for what in before:
        report.add(Line(f"{what}: median before", "ms", [statistics.median(before[what])]))
        report.add(Line(f"{what}: median meanwhile", "ms", [statistics.median(during[what])]))
        report.add(Line(f"{what}: p99 before", "ms", [_p99(before[what])]))
        report.add(Line(f"{what}: p99 meanwhile", "ms", [_p99(during[what])]))
        share = _p99(during[what]) / _p99(before[what])
        report.add(Line(f"{what}: p99 meanwhile / before", "x", [share], at_most=_AT_MOST))
        report.add(
            Line(f"{what}: longest meanwhile", "ms", [max(during[what])], note=f"{len(during[what])} requests")
        )
    report.raw = {"before": before, "during": during, "seconds": took, "values": waiting}


def _waiting(running: Run) -> int:
    """Return the number of values under older keys."""
    with Wire.to(running) as wire:
        keys = wire.ask("GET", SCRIPTS.replace("workers/scripts", "nightsafe/keys")).result["keys"]
    return sum(key["values"] for key in keys if key["state"] != "primary")


def _until_none(running: Run) -> None:
    """Wait until no value is under an older key."""
    while _waiting(running):
        time.sleep(_LOOK_SECONDS)


def _timed(running: Run, meanwhile: Callable[[], None]) -> Times:
    """Return the milliseconds of each request of three clients during another task. All requests must succeed."""
    stop = threading.Event()
    times: Times = {"PUT": [], "GET": [], "Worker": []}
    failures: list[BaseException] = []

    def client(what: str, ask: Callable[[], object]) -> None:
        """Send requests as one client, until the signal to stop."""
        try:
            while not stop.is_set():
                began = time.perf_counter()
                ask()
                times[what].append((time.perf_counter() - began) * 1e3)
                time.sleep(_PAUSE)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failures.append(error)

    with Wire.to(running) as putting, Wire.to(running) as reading:
        asks: dict[str, Callable[[], object]] = {
            "PUT": lambda: put(putting, "worker", "TOKEN", "y"),
            "GET": lambda: reading.ask("GET", f"{SCRIPTS}/script-1/secrets/S1").result,
            "Worker": lambda: running.workers.text("worker"),
        }
        threads = [threading.Thread(target=client, args=kind) for kind in asks.items()]
        for thread in threads:
            thread.start()
        meanwhile()
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    return times


def _p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return sorted(values)[int(len(values) * 0.99)]


if __name__ == "__main__":
    main()
