"""What is written down of the runtime's flags and dates is what the binary says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from tests.delivery.scene import ROOT, workerd

from nightsafe.bundle.runtime_flags import FLAGS, NEWEST_DATE, OPPOSITES


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """What asks the binary."""
    path: Path = ROOT / "tools" / "runtime_flags.py"
    spec = importlib.util.spec_from_file_location("runtime_flags", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_flag_is_known(tool: ModuleType) -> None:
    """To the binary, with the same pairs that contradict each other; one that is made up is not."""
    pairs, single = tool.known(workerd(), [*sorted(FLAGS), "no_such_flag"])

    assert OPPOSITES == pairs
    assert FLAGS == {*pairs, *pairs.values(), *single}


def test_no_flag_is_left_out(tool: ModuleType) -> None:
    """Of the words in the binary that it takes for flags."""
    words = {match.decode() for match in tool.CANDIDATE.findall(workerd().read_bytes())}
    pairs, single = tool.known(workerd(), sorted(words))

    assert FLAGS == {*pairs, *pairs.values(), *single}


@pytest.mark.parametrize(("date", "newest"), [(NEWEST_DATE, True), ("2999-12-31", False)])
def test_the_newest_date(tool: ModuleType, date: str, *, newest: bool) -> None:
    """Is one that the binary knows; it says which that is when it is given a later one."""
    said = tool.ask(workerd(), ["no_such_flag"], date)

    assert newest is (f'supported by this server binary is "{NEWEST_DATE}"' not in said)
