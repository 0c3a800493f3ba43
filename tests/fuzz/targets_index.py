"""The fuzz targets: each module below `tests/fuzz/targets` with its corpus and, if there is one, its dictionary."""

import importlib
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
_MODULES = {path.stem: path.relative_to(HERE).with_suffix("").parts for path in (HERE / "targets").rglob("*.py")}
NAMES = tuple(sorted(_MODULES))


def target(name: str) -> Callable[[bytes], None]:
    """Return the function that takes one input, and raises if the parser breaks its contract."""
    check: Callable[[bytes], None] = importlib.import_module(".".join(("tests.fuzz", *_MODULES[name]))).check
    return check


def corpus(name: str) -> Path:
    """Return the folder of a target's inputs: seeds, and inputs that were once found, kept for good."""
    return HERE / "corpus" / name


def dictionary(name: str) -> Path | None:
    """Return the file of words that inputs are made of, in libFuzzer's format, or None."""
    path = HERE / "dictionaries" / f"{name}.dict"
    return path if path.exists() else None
