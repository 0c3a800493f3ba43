"""Bars for what takes long, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def byte_bar(size: int, label: str) -> Iterator[Callable[[int], None]]:
    """A bar that is told of bytes; where there is no terminal, nothing."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    with click.progressbar(length=max(size, 1), label=label, file=sys.stderr) as bar:
        yield bar.update


def _ignore(_: int) -> None:
    """Nobody looks."""
