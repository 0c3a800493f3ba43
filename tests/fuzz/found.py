"""The fuzz targets: each module of `tests/fuzz/targets` with its corpus, and its dictionary where it has one."""

import importlib
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = tuple(sorted(path.stem for path in (HERE / "targets").glob("*.py")))


def target(name: str) -> Callable[[bytes], None]:
    """What takes one input, and raises when the parser does not keep its contract."""
    one: Callable[[bytes], None] = importlib.import_module(f"tests.fuzz.targets.{name}").one
    return one


def corpus(name: str) -> Path:
    """The folder of a target's inputs: seeds, and what was once found, kept for good."""
    return HERE / "corpus" / name


def dictionary(name: str) -> Path | None:
    """The file of words that inputs are made of, in libFuzzer's form; None without one."""
    path = HERE / "dictionaries" / f"{name}.dict"
    return path if path.exists() else None
