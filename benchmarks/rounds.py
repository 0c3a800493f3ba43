"""Runs interleaved rounds, and computes the ratios within each round."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from benchmarks.load import Sample, measure
from benchmarks.report import Line, Report
from benchmarks.servers import NotMeasuredError, Running
from benchmarks.settings import Settings
from benchmarks.traffic import Requests

T = TypeVar("T")

Target = tuple[Running, Requests]
Rounds = dict[str, list[Sample]]


def interleave(targets: Mapping[str, Target], settings: Settings) -> tuple[Rounds, dict[str, str]]:
    """Measure the targets in turns with a closed-loop loader."""
    runs = {
        name: partial(measure, *target, settings.connections, settings.seconds) for name, target in targets.items()
    }
    return in_turns(runs, settings.rounds)


def in_turns(targets: Mapping[str, Callable[[int], T]], rounds: int) -> tuple[dict[str, list[T]], dict[str, str]]:
    """Measure the targets in turns (A B C, A B C ...): one round that does not count, then `rounds` of each.

    Args:
        targets: runs one round on the target; its argument is the seed, the same for all targets.
        rounds: the number of rounds that count.

    Returns:
        The samples, and the reason for each target that failed. A failed target has no samples, and does not stop the
        others.
    """
    samples: dict[str, list[T]] = {name: [] for name in targets}
    gone: dict[str, str] = {}
    for number in range(rounds + 1):
        for name, run in targets.items():
            if name in gone:
                continue
            try:
                sample = run(number + 1)
            except NotMeasuredError as error:
                gone[name] = str(error)
                samples[name] = []
                continue
            samples[name] += [sample] if number else []
    return samples, gone


def ratios(above: Sequence[T], below: Sequence[T], of: Callable[[T], float]) -> list[float]:
    """Return the ratio in each round, so that a disturbance of both cancels out."""
    return [of(one) / of(other) for one, other in zip(above, below, strict=False) if of(other)]


def record(report: Report, key: str, samples: Rounds) -> None:
    """Keep the rounds, and print the absolute figures of each server."""
    report.raw[key] = {name: [sample._asdict() for sample in taken] for name, taken in samples.items()}
    for name, taken in samples.items():
        if taken:
            report.add(Line(f"  {name}: requests", "/s", [sample.rate for sample in taken]))
            report.add(Line(f"  {name}: CPU per request", "us", [sample.cpu for sample in taken]))
            report.add(Line(f"  {name}: latency p99", "ms", [sample.load.p99 * 1000 for sample in taken]))


def rate(sample: Sample) -> float:
    """Return the requests per second."""
    return sample.rate


def cpu(sample: Sample) -> float:
    """Return the CPU microseconds per request."""
    return sample.cpu
