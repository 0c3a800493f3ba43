"""`.venv/bin/python benchmarks/bystander.py`: measures how long one client's requests delay another's.

A bystander reads and writes one secret, again and again, over a bare socket. Meanwhile other clients send requests
that take long: lists of thousands of items, late pages, the deletion of a script with a long history, uploads and
reads of large scripts. Each client is a process of its own. The figures are those of the bystander; the run ends with
a table of them for docs/benchmarks.md.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
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
from benchmarks.standing_by import Spread, Times, standing_by  # noqa: E402
from benchmarks.traffic import NAMES, SCRIPT  # noqa: E402
from tests.engines.tools.changes import code, stamp  # noqa: E402

from nightsafe.audit.entry import AuditEvent, entry_for  # noqa: E402
from nightsafe.cli.data_directory.directory import DataDirectory  # noqa: E402
from nightsafe.services.caller import now  # noqa: E402
from nightsafe.store.changes import Change  # noqa: E402
from nightsafe.store.script_edit import (  # noqa: E402
    BindingsUpdate,
    ScriptEdit,
    SettingsUpdate,
)
from nightsafe.store.scripts import Binding, ScriptRef  # noqa: E402
from nightsafe.store.sqlite import SqliteStore  # noqa: E402

_AT_MOST = 20.0
"""The most milliseconds by which one client's request may delay another's."""

_LEAST, _LEAST_QUICK = 200, 50
"""The least reads and the least writes of the bystander beside each kind of request."""

_HEAD = """| beside | GET: p50 | p99 | longest | PUT: p50 | p99 | longest |
| --- | --- | --- | --- | --- | --- | --- |"""
_BATCH = 512
_DELETED, _KEPT = "with-a-history", "with-another"
_BOUNDARY = "nightsafe-benchmark"
_MEGABYTE = 1 << 20
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Heavy:
    """A kind of request that other clients send meanwhile.

    Attributes:
        what: its description in the table.
        path: the path below the account.
        method: the method, in capitals.
        at_once: the number of clients.
        times: the number of requests of each client.
        upload: the size of the script that each client uploads, in megabytes.
    """

    what: str
    path: str
    method: str = "GET"
    at_once: int = 1
    times: int = 5
    upload: int = 0


def main() -> None:
    """Measure, print and save. The exit code says whether every budget holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: 2,000 scripts, 2,000 versions")
    quick = parser.parse_args().quick
    scripts, versions = (2_000, 2_000) if quick else (20_000, 60_000)
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
    """Make a script with this many versions. Each replaces a secret."""
    ref, at = ScriptRef(ACCOUNT_ID, name), now()
    audit = entry_for(
        AuditEvent(at=at, action="scripts.put", actor="0" * 32, actor_kind="operator", account_id=ACCOUNT_ID)
    )
    first = ScriptEdit(
        ref=ref, stamp=stamp(), upload=code(), bindings_update=BindingsUpdate(), settings=SettingsUpdate(b"{}")
    )
    await store.commit(Change(at=at, audit=audit, edit=first))
    for start in range(0, versions, _BATCH):
        edits = (
            ScriptEdit(ref=ref, stamp=stamp(), set=(_value(number),))
            for number in range(start, min(start + _BATCH, versions))
        )
        await asyncio.gather(*(store.commit(Change(at=at, audit=audit, edit=edit)) for edit in edits))


def _value(number: int) -> Binding:
    """Return a value of the secret that each version replaces. It is never opened."""
    return Binding(
        "TOKEN", "secret_text", b'{"name":"TOKEN","type":"secret_text"}', b"%d" % number, "0" * 16, bytes(32)
    )


def _kinds(versions: int, quick: bool) -> tuple[Heavy, ...]:  # noqa: FBT001
    """Return the requests to send beside the bystander, one kind after the other."""
    far, large, crowd = versions // 200, *((20, 4) if quick else (60, 20))
    scripts, workers = "/workers/scripts", "/workers/workers"
    first = f"{scripts}/uploaded-0"
    return (
        Heavy("nothing", "", times=0),
        Heavy("the list of all scripts", scripts),
        Heavy("ten of those lists at once", scripts, at_once=10, times=2),
        Heavy("a search among all scripts", "/workers/scripts-search?name=1"),
        Heavy("`workers?per_page=100`", f"{workers}?per_page=100"),
        Heavy("ten of those at once", f"{workers}?per_page=100", at_once=10, times=2),
        Heavy("the references of a script", f"{scripts}/{_KEPT}/references"),
        Heavy(f"page {far} of {versions:,} versions", f"{scripts}/{_KEPT}/versions?page={far}&per_page=100"),
        Heavy(f"page {far} of the deployments", f"{scripts}/{_KEPT}/deployments?page={far}&per_page=100"),
        Heavy("100 secrets in one request", f"{scripts}/{_KEPT}/secrets-bulk", "PATCH"),
        Heavy(f"deletion of a script with {versions:,} versions", f"{scripts}/{_DELETED}", "DELETE", times=1),
        Heavy("two uploads of 10 MB at once", scripts, "PUT", at_once=2, times=3, upload=10),
        Heavy("reading a script of 10 MB", first),
        Heavy(f"{crowd} uploads of {large} MB at once", scripts, "PUT", at_once=crowd, times=1, upload=large),
        Heavy(f"reading a script of {large} MB", first),
        Heavy(f"the same in base64, {large} MB", f"{workers}/uploaded-0/versions/latest?include=modules"),
    )


def _measure(report: Report, directory: DataDirectory, token: str, versions: int, log: IO[bytes]) -> None:
    """Measure one kind of heavy request after the other, and print the table for the documentation."""
    report.title("A bystander's GET and PUT of one secret, while others send requests that take long")
    rows = list[str]()
    with nightsafe(directory.path, log) as running:
        for heavy in _kinds(versions, report.settings.quick):
            times = _beside(running.port, token, heavy, _LEAST_QUICK if report.settings.quick else _LEAST)
            spreads = {"GET": Spread.of(times.get), "PUT": Spread.of(times.put)}
            for method, spread in spreads.items():
                note = f"p50 {spread.p50:.1f} ms, longest {spread.longest:.1f} ms, of {times.least():,}"
                report.add(Line(f"{method} beside {heavy.what}", "ms", [spread.p99], at_most=_AT_MOST, note=note))
            rows.append(f"| {heavy.what} | {spreads['GET'].cells()} | {spreads['PUT'].cells()} |")
            report.raw[heavy.what] = asdict(times)
        report.add(Line("the server's memory at its peak", "MB", [_peak(running.pid)], at_most=512))
    print("", _HEAD, *rows, sep="\n", flush=True)


def _beside(port: int, token: str, heavy: Heavy, least: int) -> Times:
    """Return the bystander's times, in milliseconds, while the others send requests."""
    secrets = f"/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/{NAMES[SCRIPT] % 1}/secrets"
    with multiprocessing.get_context("spawn").Pool(heavy.at_once) as others:
        others.map(_nothing, range(heavy.at_once))
        with standing_by(port, token, secrets, least) as times:
            found = others.starmap(_ask, [(port, token, heavy, number) for number in range(heavy.at_once)])
    refused = {status for status in found if status not in {0, 200, 503}}
    if refused:
        raise SystemExit(f"{heavy.what}: answered {refused}")
    return times


def _nothing(_: int) -> None:
    """Start a process before the measurement, with a low priority so that the bystander gets the loader's core."""
    os.nice(19)


def _ask(port: int, token: str, heavy: Heavy, number: int) -> int:
    """Send the requests, and return the last status."""
    connection, status = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS), 0
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/client/v4/accounts/{ACCOUNT_ID}{heavy.path}" + (f"/uploaded-{number}" if heavy.upload else "")
    body: bytes | None = None
    if heavy.upload:
        body, headers["Content-Type"] = _form(heavy.upload, number), f"multipart/form-data; boundary={_BOUNDARY}"
    elif heavy.method == "PATCH":
        body, headers["Content-Type"] = _many(), "application/json"
    for _ in range(heavy.times):
        connection.request(heavy.method, path, body, headers)
        response = connection.getresponse()
        response.read()
        status = response.status
    connection.close()
    return status


def _form(megabytes: int, number: int) -> bytes:
    """Return an upload form with a script of this many megabytes."""
    source = b"export default {} // %d\n" % number
    parts = {
        b'name="metadata"\r\nContent-Type: application/json': json.dumps({"main_module": "worker.js"}).encode(),
        b'name="worker.js"; filename="worker.js"\r\nContent-Type: application/javascript+module': source
        + b"/" * (megabytes * _MEGABYTE),
    }
    boundary = _BOUNDARY.encode()
    head = b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n"
    return b"".join(head % (boundary, name, body) for name, body in parts.items()) + b"--%b--\r\n" % boundary


def _many() -> bytes:
    """Return a body with a hundred secrets."""
    every = {f"B{number}": {"type": "secret_text", "text": "a value"} for number in range(100)}
    return json.dumps({"secrets": every}).encode()


def _peak(pid: int) -> float:
    """Return the peak memory of a process, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    with machine.on_core(LOADER_CORE):
        main()
