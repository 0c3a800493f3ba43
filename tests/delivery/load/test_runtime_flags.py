"""What is written down of the runtime's flags and dates is what the binary says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from tests.delivery.scene import JS, ROOT, workerd

from nightsafe.bundle.code_checks import Check, CheckedModule
from nightsafe.bundle.runtime_flags import EXPERIMENTAL, FLAGS, NEWEST_DATE, OPPOSITES
from nightsafe.delivery.load.compiling import Compiler


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


def test_experimental_flags(tool: ModuleType) -> None:
    """Are those that the binary calls so."""
    assert EXPERIMENTAL == tool.experimental(workerd(), sorted(FLAGS))


@pytest.mark.parametrize(
    "flag", ["experimental", "unsafe_module", "webgpu", "nodejs_compat", "python_workers_20250116"]
)
async def test_flags_of_a_script_that_is_loaded(flag: str) -> None:
    """Are refused by the runtime just when they are experimental."""
    module = CheckedModule("a.js", JS, b"export default {};")
    said = await Compiler(workerd()).problem_of(Check(id="1", main_module="a.js", modules=(module,), flags=(flag,)))

    assert (flag in EXPERIMENTAL) is (f"{flag} is experimental" in said)
    assert (flag in EXPERIMENTAL) is bool(said)
