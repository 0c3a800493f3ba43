"""Measures reads, writes and bursts over HTTP, and compares them with the constant answer and the peers."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TypeVar

from benchmarks import peers, traffic
from benchmarks.load import by_python
from benchmarks.report import Line, Report
from benchmarks.rounds import Target, cpu, interleave, rate, ratios, record
from benchmarks.servers import NotMeasuredError, Running, constant_answer, nightsafe
from benchmarks.settings import PER_SCRIPT, Settings

from nightsafe.cli.data_directory.directory import DataDirectory

T = TypeVar("T")

NIGHTSAFE, CONSTANT, MOTO = "Nightsafe", "constant answer", "moto"
OPENBAO, USUAL = "OpenBao", "OpenBao with its default token"
_BURST_SCRIPTS = (("64 connections", 64), ("all at once", 0))


def reads_and_writes(report: Report, directory: DataDirectory, token: str, place: Path, log: IO[bytes]) -> None:
    """Measure both while every server is running, so that the rounds of the servers alternate."""
    settings = report.settings
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(nightsafe(directory.path, log))
        get = traffic.nightsafe_get(server.port, token, settings.scripts)
        plain = stack.enter_context(constant_answer(get, log))
        bao, why_no_bao = try_to_start(stack, lambda: peers.openbao(place, log))
        mock, why_no_moto = try_to_start(stack, lambda: peers.moto(log))
        missing = {OPENBAO: why_no_bao, MOTO: why_no_moto}
        targets: dict[str, Target] = {
            CONSTANT: (plain, traffic.nightsafe_get(plain.port, token, settings.scripts)),
            NIGHTSAFE: (server, get),
        }
        filled = settings.peer_keys // PER_SCRIPT
        if bao is not None:
            missing[OPENBAO] = fill(traffic.openbao_put(bao[0].port, bao[1].single, filled), settings, 16)
            targets |= {} if missing[OPENBAO] else _of_openbao(bao, traffic.openbao_get, filled)
        if mock is not None:
            missing[MOTO] = fill(traffic.moto_create(mock.port, filled), settings, 1)
            targets |= {} if missing[MOTO] else {MOTO: (mock, traffic.moto_describe(mock.port, filled))}
        _reads(report, targets, missing)
        targets = {NIGHTSAFE: (server, traffic.nightsafe_put(server.port, token, settings.scripts))}
        if bao is not None:
            targets |= _of_openbao(bao, traffic.openbao_put, settings.scripts)
        _writes(report, targets, missing)


def bursts(report: Report, directory: DataDirectory, token: str, log: IO[bytes]) -> None:
    """Measure many PUTs to one script at the same time, each with another name."""
    settings = report.settings
    report.title(f"{settings.burst:,} parallel PUTs to one script, each with another name")
    with nightsafe(directory.path, log, "--max-variables", str(settings.burst + PER_SCRIPT)) as server:
        for kind, (name, connections) in enumerate(_BURST_SCRIPTS):
            taken = []
            for number in range(settings.rounds):
                script = traffic.NAMES[traffic.SCRIPT] % (kind * settings.rounds + number)
                requests = traffic.nightsafe_put(server.port, token, 1, script)
                spread = traffic.with_secrets(requests, settings.burst)
                taken.append(by_python(spread, connections or settings.burst, 0, number, settings.burst))
            report.raw[f"burst, {name}"] = [load._asdict() for load in taken]
            failed = [float(settings.burst - load.answered + load.failed) for load in taken]
            report.add(Line(f"{name}: failed, in all rounds", "", [sum(failed)], at_most=0))
            report.add(Line(f"{name}: latency p99", "s", [load.p99 for load in taken], at_most=1))


def _reads(report: Report, targets: dict[str, Target], missing: dict[str, str]) -> None:
    """Run rounds of reads, and report the figures."""
    settings = report.settings
    report.title(
        f"GET of one secret: {settings.secrets:,} secrets in {settings.scripts:,} scripts, random keys, "
        f"{settings.connections} connections; peers hold {settings.peer_keys:,}"
    )
    samples, gone = interleave(targets, settings)
    missing = missing | gone
    ours = samples[NIGHTSAFE]
    bao, mock = samples.get(OPENBAO, []), samples.get(MOTO, [])
    cost = ratios(ours, samples[CONSTANT], cpu)
    report.add(Line("CPU per request / constant answer", "x", cost, at_most=1.5, note=gone.get(NIGHTSAFE, "")))
    report.add(Line("requests/s / OpenBao", "x", ratios(ours, bao, rate), at_least=8, note=missing.get(OPENBAO, "")))
    report.add(Line("OpenBao's CPU per request / ours", "x", ratios(bao, ours, cpu), note=missing.get(OPENBAO, "")))
    usual = ratios(ours, samples.get(USUAL, []), rate)
    report.add(Line(f"requests/s / {USUAL}", "x", usual, note=missing.get(OPENBAO, "")))
    report.add(Line("requests/s / moto", "x", ratios(ours, mock, rate), note=missing.get(MOTO, "")))
    report.add(Line("moto's CPU per request / ours", "x", ratios(mock, ours, cpu), note=missing.get(MOTO, "")))
    record(report, "get", samples)


def _writes(report: Report, targets: dict[str, Target], missing: dict[str, str]) -> None:
    """Run rounds of writes, and report the figures."""
    settings = report.settings
    report.title(f"PUT of one secret_text, durable: random keys, {settings.connections} writers")
    samples, gone = interleave(targets, settings)
    missing = missing | gone
    ours, bao = samples[NIGHTSAFE], samples.get(OPENBAO, [])
    note = gone.get(NIGHTSAFE, "") or missing.get(OPENBAO, "")
    report.add(Line("requests/s / OpenBao", "x", ratios(ours, bao, rate), at_least=4, note=note))
    usual = ratios(ours, samples.get(USUAL, []), rate)
    report.add(Line(f"requests/s / {USUAL}", "x", usual, note=note))
    report.add(Line("OpenBao's CPU per request / ours", "x", ratios(bao, ours, cpu), note=note))
    report.add(Line("CPU per request", "us", [sample.cpu for sample in ours], at_most=160, note=note))
    record(report, "put", samples)


def _of_openbao(
    bao: tuple[Running, peers.Tokens], make: Callable[[int, str, int], traffic.Requests], scripts: int
) -> dict[str, Target]:
    """Return the same server as two targets, one for each token."""
    running, tokens = bao
    return {
        OPENBAO: (running, make(running.port, tokens.single, scripts)),
        USUAL: (running, make(running.port, tokens.usual, scripts)),
    }


def fill(requests: traffic.Requests, settings: Settings, connections: int) -> str:
    """Write every key of a peer once. Return the failure, or ""."""
    load = by_python(requests, connections, 0, 0, settings.peer_keys)
    return f"{load.failed} writes to {requests.path} failed" if load.failed else ""


def try_to_start(stack: contextlib.ExitStack, enter: Callable[[], AbstractContextManager[T]]) -> tuple[T | None, str]:
    """Start a peer if it is installed; else return the reason."""
    try:
        return stack.enter_context(enter()), ""
    except NotMeasuredError as error:
        return None, str(error)
