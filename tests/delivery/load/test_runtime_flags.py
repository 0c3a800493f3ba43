"""The recorded flags and dates of the runtime are those of the binary."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from tests.delivery.runtime import JS, ROOT, workerd

from nightsafe.bundle.code_checks import CheckedModule, CodeCheck
from nightsafe.bundle.runtime_flags import EXPERIMENTAL, FLAGS, NEWEST_DATE, OPPOSITES
from nightsafe.delivery.load.compiling import Compiler


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Return tools/runtime_flags.py as a module."""
    path: Path = ROOT / "tools" / "runtime_flags.py"
    spec = importlib.util.spec_from_file_location("runtime_flags", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_binary_knows_every_recorded_flag(tool: ModuleType) -> None:
    """The binary knows each recorded flag, with the same contradicting pairs, and not a made-up one."""
    pairs, single = tool.known(workerd(), [*sorted(FLAGS), "no_such_flag"])

    assert OPPOSITES == pairs
    assert FLAGS == {*pairs, *pairs.values(), *single}


@pytest.mark.thorough
def test_every_flag_of_the_binary_is_recorded(tool: ModuleType) -> None:
    """Each word in the binary that it takes for a flag is recorded."""
    words = {match.decode() for match in tool.CANDIDATE.findall(workerd().read_bytes())}
    pairs, single = tool.known(workerd(), sorted(words))

    assert FLAGS == {*pairs, *pairs.values(), *single}


@pytest.mark.parametrize(("date", "newest"), [(NEWEST_DATE, True), ("2999-12-31", False)])
def test_the_binary_knows_the_newest_date(tool: ModuleType, date: str, *, newest: bool) -> None:
    """The binary knows the newest date, and names it when it is given a later one."""
    said = tool.ask(workerd(), ["no_such_flag"], date)

    assert newest is (f'supported by this server binary is "{NEWEST_DATE}"' not in said)


def test_experimental_flags_are_those_of_the_binary(tool: ModuleType) -> None:
    """The recorded experimental flags are those that the binary calls experimental."""
    assert EXPERIMENTAL == tool.experimental(workerd(), sorted(FLAGS))


@pytest.mark.parametrize(
    "flag", ["experimental", "unsafe_module", "webgpu", "nodejs_compat", "python_workers_20250116"]
)
async def test_experimental_flags_of_a_loaded_script_are_refused(flag: str) -> None:
    """The runtime refuses a loaded script's flag exactly when that flag is experimental."""
    module = CheckedModule("a.js", JS, b"export default {};")
    said = await Compiler(workerd()).find_problem(
        CodeCheck(id="1", main_module="a.js", modules=(module,), flags=(flag,))
    )

    assert (flag in EXPERIMENTAL) is (f"{flag} is experimental" in said)
    assert (flag in EXPERIMENTAL) is bool(said)
