"""`make bench-postgres`: measures nodes on PostgreSQL beside OpenBao, on the same PostgreSQL server.

The server keeps what it answers (fsync, synchronous commit, full page writes). One Nightsafe node, three nodes, and
OpenBao with its PostgreSQL storage are measured in interleaved rounds. OpenBao is measured without its cache, too,
because Nightsafe asks PostgreSQL in each GET. A single node and OpenBao have one core, in turns. The three nodes and
PostgreSQL may use both cores; the loader has the other one. So on two cores PostgreSQL and the loader take from what
is measured, and only the ratios say something.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks import machine, peers, postgres_bare, traffic  # noqa: E402 - found from the root of the project
from benchmarks.http_bench import fill  # noqa: E402
from benchmarks.load import Load, Sample, by_python  # noqa: E402
from benchmarks.postgres_safe import PostgresSafe, create_database, plain_url, secrets_of  # noqa: E402
from benchmarks.report import Line, Report  # noqa: E402
from benchmarks.rounds import Rounds, cpu, in_turns, rate, ratios  # noqa: E402
from benchmarks.servers import NotMeasuredError, Running, nightsafe  # noqa: E402
from benchmarks.settings import CACHE, PER_SCRIPT, Settings  # noqa: E402
from tests.postgres.server import PostgresServer  # noqa: E402

Target = tuple[Sequence[Running], Sequence[traffic.Requests]]
"""The servers that are measured together, and the requests to each."""

_ONE, _THREE = "one node", "three nodes"
_BAO, _BAO_READS = "OpenBao", "OpenBao without its cache"
_NODES = 3
_SETTINGS = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=4GB")
_LOAD_SECONDS = 300.0
"""The copying of secrets ends after this time, with as many as there are then."""

_MAKE_GET = (traffic.nightsafe_get, traffic.openbao_get)
_MAKE_PUT = (traffic.nightsafe_put, traffic.openbao_put)


def main() -> None:
    """Measure, print and save. The exit code says whether every budget holds."""
    parser = argparse.ArgumentParser(prog="make bench-postgres", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: 3 rounds of 1 s, 100,000 secrets at most")
    parser.add_argument("--secrets", type=int, default=0, metavar="N", help="the larger number of secrets")
    given = parser.parse_args()
    quick, most = given.quick, given.secrets or (100_000 if given.quick else 10_000_000)
    settings = Settings(10_000, 3, 1.0 if quick else 2.0, 64, 0, 1000, quick)
    report = Report(settings, machine.describe() | {"loader": "python"})
    CACHE.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as name,
        (CACHE / "postgres.log").open("wb") as log,
        PostgresServer(*_SETTINGS) as server,
    ):
        safe = PostgresSafe.create(server, "safe", Path(name) / "safe")
        safe.fill(settings.scripts)
        _sizes(report, safe)
        _against_openbao(report, safe, Path(name), log)
        _with_many(report, safe, most, log)
    print(f"\nraw figures: {report.save().relative_to(ROOT)}")
    sys.exit(report.exit_code())


def _against_openbao(report: Report, safe: PostgresSafe, place: Path, log: IO[bytes]) -> None:
    """Measure reads and writes while all servers are running."""
    settings, server = report.settings, safe.server
    alone = {"GET": _bare_reads(safe, settings), "PUT": _bare_writes(report, server, place)}
    for database in ("openbao", "openbao_uncached"):
        create_database(server, database)
    url = plain_url(server, "{}") + "?sslmode=disable"
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(nightsafe(safe.path, log))
        three = [
            stack.enter_context(nightsafe(safe.copy_directory(place / f"node-{number}"), log, core=None))
            for number in range(_NODES)
        ]
        bao, tokens = stack.enter_context(peers.openbao(place / "bao", log, url=url.format("openbao")))
        bare, others = stack.enter_context(
            peers.openbao(place / "bare", log, url=url.format("openbao_uncached"), caches=False)
        )
        filled = settings.peer_keys // PER_SCRIPT
        for peer, token in ((bao, tokens.single), (bare, others.single)):
            if failure := fill(traffic.openbao_put(peer.port, token, filled), settings, 16):
                raise NotMeasuredError(failure)
        for title, (make, make_peer), peer_scripts in (
            ("GET of one secret", _MAKE_GET, filled),
            ("PUT of one secret_text, durable", _MAKE_PUT, settings.scripts),
        ):
            ours = partial(make, token=safe.token, scripts=settings.scripts)
            targets: dict[str, Target] = {
                _ONE: ([one], [ours(one.port)]),
                _THREE: (three, [ours(node.port) for node in three]),
                _BAO: ([bao], [make_peer(bao.port, tokens.single, peer_scripts)]),
                _BAO_READS: ([bare], [make_peer(bare.port, others.single, peer_scripts)]),
            }
            _compare(report, server, title, targets, alone[title[:3]])


def _bare_reads(safe: PostgresSafe, settings: Settings) -> list[float]:
    """Return the look-ups a second that the statement of a GET reaches alone."""
    return postgres_bare.reads(safe, settings.scripts, settings.connections, settings.seconds)


def _bare_writes(report: Report, server: PostgresServer, place: Path) -> list[float]:
    """Return the changes a second that the statement of a group of PUTs reaches alone, on a safe of its own.

    Report what the PUTs add to the safe.
    """
    scripts, size = report.settings.scripts, report.settings.connections
    safe = PostgresSafe.create(server, "recorded", place / "recorded")
    safe.fill(scripts)
    before = sum(safe.sizes().values())
    rates = postgres_bare.writes(safe, scripts, size)
    added = sum(safe.sizes().values()) - before
    report.add(Line("  all tables: bytes of a PUT", "", [added / (postgres_bare.GROUPS * size)]))
    return rates


def _compare(
    report: Report,
    server: PostgresServer,
    title: str,
    targets: dict[str, Target],
    alone: list[float],
) -> None:
    """Run the rounds of one kind of request, and report them.

    Args:
        report: takes the figures.
        server: the PostgreSQL server of all targets.
        title: what is measured.
        targets: the servers of each name, with the requests to each.
        alone: what the batched statement reaches alone.
    """
    settings = report.settings
    report.title(f"{title}: {settings.secrets:,} secrets, {settings.connections} connections")
    used: dict[str, list[float]] = {name: [] for name in targets}
    runs: dict[str, Callable[[int], Sample]] = {
        name: partial(_measure, server, target, settings, used[name]) for name, target in targets.items()
    }
    samples, gone = in_turns(runs, settings.rounds)
    is_read, one = title.startswith("GET"), samples[_ONE]
    for peer in (_BAO, _BAO_READS):
        budget = (8 if is_read else 4) if peer is _BAO else None
        line = Line(
            f"requests/s / {peer}", "x", ratios(one, samples[peer], rate), at_least=budget, note=gone.get(peer, "")
        )
        report.add(line)
        report.add(Line(f"CPU per request of {peer} / ours", "x", ratios(samples[peer], one, cpu)))
    report.add(Line("requests/s of three nodes / of one", "x", ratios(samples[_THREE], one, rate)))
    shares = [sample.rate / reached for sample, reached in zip(one, alone, strict=False)]
    report.add(Line("requests/s / the batched statement alone", "x", shares, at_least=0.7))
    report.add(Line("  the batched statement alone", "/s", alone))
    _record(report, title, samples, used)


def _record(report: Report, key: str, samples: Rounds, used: dict[str, list[float]]) -> None:
    """Keep the rounds, and print the absolute figures of each server."""
    report.raw[key] = {name: [sample._asdict() for sample in taken] for name, taken in samples.items()}
    for name, taken in samples.items():
        report.add(Line(f"  {name}: requests", "/s", [sample.rate for sample in taken]))
        report.add(Line(f"  {name}: CPU per request", "us", [sample.cpu for sample in taken]))
        report.add(Line(f"  {name}: PostgreSQL's CPU per request", "us", used[name][1:]))
        report.add(Line(f"  {name}: latency p99", "ms", [sample.load.p99 * 1000 for sample in taken]))


def _measure(server: PostgresServer, target: Target, settings: Settings, used: list[float], seed: int) -> Sample:
    """Run one round on all nodes at once, and keep the CPU microseconds of PostgreSQL for a request.

    Raises:
        NotMeasuredError: when a request failed.
    """
    nodes, requests = target
    pids = [node.pid for node in nodes]
    before, before_postgres = sum(map(machine.cpu_seconds, pids)), _cpu_of(server)
    with ThreadPoolExecutor(len(nodes)) as pool:
        connections = settings.connections // len(nodes)
        loads = list(
            pool.map(
                lambda each: by_python(each[1], connections, settings.seconds, seed * 10 + each[0]),
                enumerate(requests),
            )
        )
    spent, of_postgres = sum(map(machine.cpu_seconds, pids)) - before, _cpu_of(server) - before_postgres
    answered, failed = sum(load.answered for load in loads), sum(load.failed for load in loads)
    if failed or not answered:
        raise NotMeasuredError(f"{failed} of {answered} requests to {requests[0].path} failed")
    used.append(of_postgres / answered * 1e6)
    load = Load(
        answered,
        max(load.seconds for load in loads),
        failed,
        max(load.p50 for load in loads),
        max(load.p99 for load in loads),
    )
    return Sample(sum(load.answered / load.seconds for load in loads), spent / answered * 1e6, load)


def _cpu_of(server: PostgresServer) -> float:
    """Return the CPU seconds of PostgreSQL's processes."""
    if server.process is None:
        raise NotMeasuredError("PostgreSQL has ended")
    return machine.cpu_seconds(server.process.pid)


def _with_many(report: Report, safe: PostgresSafe, most: int, log: IO[bytes]) -> None:
    """Measure reads with few secrets, copy secrets until there are many, and measure the same reads again."""
    settings = report.settings
    few = list(_reads(safe, settings, settings.scripts, log))
    scripts = safe.copy_secrets(settings.scripts, most // PER_SCRIPT, 10.0 if settings.quick else _LOAD_SECONDS)
    many = list(_reads(safe, settings, scripts, log))
    report.title(f"GET of one secret: {secrets_of(scripts):,} secrets against {settings.secrets:,}")
    p99 = [sample.load.p99 / before.load.p99 for sample, before in zip(many, few, strict=True)]
    note = "" if secrets_of(scripts) >= most else f"{most:,} could not be copied in time"
    report.add(Line("latency p99 / with few", "x", p99, at_most=1.5, note=note))
    report.add(Line("requests/s / with few", "x", ratios(many, few, rate)))
    size = safe.sizes()["bindings"]
    report.add(Line("  bytes of a secret, with indexes", "", [size / secrets_of(scripts)]))


def _reads(safe: PostgresSafe, settings: Settings, scripts: int, log: IO[bytes]) -> Iterator[Sample]:
    """Yield the rounds of one node, after one that does not count."""
    with nightsafe(safe.path, log) as node:
        requests = [traffic.nightsafe_get(node.port, safe.token, scripts)]
        for number in range(settings.rounds + 1):
            sample = _measure(safe.server, ([node], requests), settings, [], number + 1)
            if number:
                yield sample


def _sizes(report: Report, safe: PostgresSafe) -> None:
    """Report the bytes that a script with ten secrets takes."""
    sizes = safe.sizes()
    report.title(f"Size: {report.settings.scripts:,} scripts with {PER_SCRIPT} secrets each, with indexes")
    for table, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if size > 100_000:
            report.add(Line(f"  {table}: bytes a script", "", [size / report.settings.scripts]))
    report.add(Line("  all tables: bytes a script", "", [sum(sizes.values()) / report.settings.scripts]))


if __name__ == "__main__":
    main()
