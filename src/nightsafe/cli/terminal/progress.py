"""Progress bars for long operations, on a terminal only."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import click

T = TypeVar("T")


@contextmanager
def byte_bar(size: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show a bar and give a function that takes numbers of bytes. Without a terminal, show nothing."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    with click.progressbar(length=max(size, 1), label=label, file=sys.stderr) as bar:
        yield bar.update


@contextmanager
def step_bar(steps: Sequence[T], label: str) -> Iterator[Iterable[T]]:
    """Give the steps, with a bar if this is a terminal and there are several steps."""
    if len(steps) < 2 or not sys.stderr.isatty():  # noqa: PLR2004 - one step is no progress
        yield steps
        return
    with click.progressbar(steps, label=label, file=sys.stderr) as bar:
        yield bar


def _ignore(_: int) -> None:
    """Do nothing."""
