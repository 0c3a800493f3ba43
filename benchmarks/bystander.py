"""`.venv/bin/python benchmarks/bystander.py`: how long one client's requests hold another's up.

A bystander reads one secret, again and again, while others ask for what takes long: lists of thousands, pages far
back, the deletion of a script with a long history, large uploads. All are processes of their own; the figures are the
bystander's.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks import machine  # noqa: E402 - found from the root of the project
from benchmarks.report import Line, Report  # noqa: E402
from benchmarks.seed import working_copy  # noqa: E402
from benchmarks.servers import nightsafe  # noqa: E402
from benchmarks.settings import ACCOUNT_ID, CACHE, LOADER_CORE, PER_SCRIPT, Settings  # noqa: E402
from benchmarks.traffic import NAMES, SCRIPT, SECRET  # noqa: E402
from tests.engines.changes import code, stamp  # noqa: E402

from nightsafe.audit.entry import Deed, entry_for  # noqa: E402
from nightsafe.cli.data_directory import DataDirectory  # noqa: E402
from nightsafe.store.model import Binding, Change, Rebind, ScriptEdit, ScriptRef  # noqa: E402
from nightsafe.store.model import Settings as Texts  # noqa: E402
from nightsafe.store.sqlite import SqliteStore  # noqa: E402
from nightsafe.workers.caller import now  # noqa: E402

_AT_MOST = 20.0
"""Milliseconds for which one client's request may hold another's."""

_PAUSE = 0.001
_BATCH = 512
_DELETED, _KEPT = "with-a-history", "with-another"
_BOUNDARY = "nightsafe-benchmark"
_MEGABYTE = 1 << 20
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Heavy:
    """What others ask meanwhile.

    Attributes:
        what: in words.
        path: below the account.
        method: in capitals.
        at_once: how many ask.
        times: how often each asks.
        upload: megabytes of the script that each sends.
    """

    what: str
    path: str
    method: str = "GET"
    at_once: int = 1
    times: int = 5
    upload: int = 0


def main() -> None:
    """Measure, print, keep; the exit code says whether every budget holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: 2,000 scripts, 3,000 versions")
    quick = parser.parse_args().quick
    scripts, versions = (2_000, 3_000) if quick else (20_000, 60_000)
    report = Report(Settings(scripts * PER_SCRIPT, 1, 0.0, 1, 0, 0, quick), machine.describe())
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name, (CACHE / "bystander.log").open("wb") as log:
        directory, token = working_copy(scripts * PER_SCRIPT, Path(name) / "safe")
        for script in (_DELETED, _KEPT):
            print(f"making {versions:,} versions of a script ...", flush=True)
            directory.run(partial(_history, name=script, versions=versions))
        _measure(report, directory, token, versions, log)
    print(f"\nraw figures: {report.save().relative_to(ROOT)}")
    sys.exit(report.exit_code())


async def _history(store: SqliteStore, name: str, versions: int) -> None:
    """A script with so many versions, each of which replaced a secret."""
    ref, at = ScriptRef(ACCOUNT_ID, name), now()
    audit = entry_for(Deed(at=at, action="scripts.put", actor="0" * 32, actor_kind="operator", account_id=ACCOUNT_ID))
    first = ScriptEdit(ref=ref, stamp=stamp(), upload=code(), rebind=Rebind(), settings=Texts(b"{}"))
    await store.commit(Change(at=at, audit=audit, edit=first))
    for start in range(0, versions, _BATCH):
        edits = (
            ScriptEdit(ref=ref, stamp=stamp(), set=(_value(number),))
            for number in range(start, min(start + _BATCH, versions))
        )
        await asyncio.gather(*(store.commit(Change(at=at, audit=audit, edit=edit)) for edit in edits))


def _value(number: int) -> Binding:
    """Some value of the secret that each version replaces; nobody opens it."""
    return Binding("TOKEN", "secret_text", b'{"name":"TOKEN","type":"secret_text"}', b"%d" % number, "0" * 16)


def _measure(report: Report, directory: DataDirectory, token: str, versions: int, log: IO[bytes]) -> None:
    """One kind of heavy request after the other."""
    report.title("A bystander's GET of one secret, while others ask for what takes long")
    far = versions // 200
    scripts, workers = "/workers/scripts", "/workers/workers"
    kinds = (
        Heavy("nothing else", "", times=0),
        Heavy("the list of all scripts", scripts),
        Heavy("ten of those lists at once", scripts, at_once=10, times=2),
        Heavy("a search among all scripts", "/workers/scripts-search?name=1"),
        Heavy("workers?per_page=100", f"{workers}?per_page=100"),
        Heavy(f"page {far} of {versions:,} versions", f"{scripts}/{_KEPT}/versions?page={far}&per_page=100"),
        Heavy(f"page {far} of the deployments", f"{scripts}/{_KEPT}/deployments?page={far}&per_page=100"),
        Heavy(f"deleting a script of {versions:,} versions", f"{scripts}/{_DELETED}", "DELETE", times=1),
        Heavy("uploads of 10 MB", scripts, "PUT", at_once=2, times=3, upload=10),
        Heavy("twenty uploads of 60 MB at once", scripts, "PUT", at_once=20, times=1, upload=60),
    )
    with nightsafe(directory.path, log) as running:
        for heavy in kinds:
            times = _beside(running.port, token, heavy)
            ordered = sorted(times)
            p99 = ordered[int(len(ordered) * 0.99)]
            note = f"p50 {ordered[len(ordered) // 2]:.1f} ms, at most {ordered[-1]:.1f} ms, of {len(times):,}"
            report.add(Line(heavy.what, "ms", [p99], at_most=_AT_MOST, note=note))
        report.add(Line("the server's memory at its peak", "MB", [_peak(running.pid)], at_most=512))


def _beside(port: int, token: str, heavy: Heavy) -> Sequence[float]:
    """The bystander's times, in milliseconds, while the others ask."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(heavy.at_once) as others:
        others.map(_nothing, range(heavy.at_once))
        asking = others.starmap_async(_ask, [(port, token, heavy, number) for number in range(heavy.at_once)])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        times: list[float] = []
        path = f"/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/{NAMES[SCRIPT] % 1}/secrets/{NAMES[SECRET] % 1}"
        while not asking.ready() or len(times) < 200:
            began = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            connection.getresponse().read()
            times.append((time.perf_counter() - began) * 1000)
            time.sleep(_PAUSE)
        for status in asking.get():
            if status not in {0, 200, 503}:
                raise SystemExit(f"{heavy.what}: answered {status}")
        connection.close()
    return times


def _nothing(_: int) -> None:
    """Be there, so that starting is not measured, and leave the loader's core to the bystander."""
    os.nice(19)


def _ask(port: int, token: str, heavy: Heavy, number: int) -> int:
    """Ask as often as it is wanted; gives the last status."""
    connection, status = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS), 0
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/client/v4/accounts/{ACCOUNT_ID}{heavy.path}" + (f"/uploaded-{number}" if heavy.upload else "")
    body = _form(heavy.upload, number) if heavy.upload else None
    if body is not None:
        headers["Content-Type"] = f"multipart/form-data; boundary={_BOUNDARY}"
    for _ in range(heavy.times):
        connection.request(heavy.method, path, body, headers)
        response = connection.getresponse()
        response.read()
        status = response.status
    connection.close()
    return status


def _form(megabytes: int, number: int) -> bytes:
    """A script of so many megabytes, as clients upload it."""
    source = b"export default {} // %d\n" % number
    parts = {
        b'name="metadata"\r\nContent-Type: application/json': json.dumps({"main_module": "worker.js"}).encode(),
        b'name="worker.js"; filename="worker.js"\r\nContent-Type: application/javascript+module': source
        + b"/" * (megabytes * _MEGABYTE),
    }
    boundary = _BOUNDARY.encode()
    head = b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n"
    return b"".join(head % (boundary, name, body) for name, body in parts.items()) + b"--%b--\r\n" % boundary


def _peak(pid: int) -> float:
    """The most memory that a process has had, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    with machine.on_core(LOADER_CORE):
        main()
