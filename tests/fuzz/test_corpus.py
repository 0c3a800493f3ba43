"""Every kept input runs through its target, also where atheris cannot be installed."""

import random
from collections.abc import Iterator

import pytest
from tests.fuzz.targets_index import NAMES, corpus, target

_MOST_BYTES = 200_000
_ALTERED = 6


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus_keeps_the_contract(name: str) -> None:
    """Seeds, and inputs that once broke a parser, are taken or refused as the target promises."""
    check, kept = target(name), sorted(corpus(name).iterdir())
    assert kept
    for path in kept:
        check(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_altered_inputs_keep_the_contract(name: str) -> None:
    """A few altered copies of each input, the same in every run, keep the contract too."""
    check, draw = target(name), random.Random(name)
    for path in sorted(corpus(name).iterdir()):
        for data in _altered(draw, path.read_bytes()):
            check(data)


def test_the_corpus_stays_small_and_belongs_to_targets() -> None:
    """A checkout stays small, and no input is forgotten when a target is removed."""
    folder = corpus(NAMES[0]).parent
    assert list(NAMES) == sorted(path.name for path in folder.iterdir())
    assert _MOST_BYTES > sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _altered(draw: random.Random, data: bytes) -> Iterator[bytes]:
    """Yield copies with a piece cut out and another put in."""
    for _ in range(_ALTERED):
        at, gone = draw.randint(0, len(data)), draw.randint(0, 8)
        yield data[:at] + draw.randbytes(draw.randint(0, 8)) + data[at + gone :]
