"""Packaging: what each extra installs."""

import re
import subprocess
import sys
from importlib.metadata import distribution, entry_points

ALONE = {"httpcore", "msgspec"}
SEALING = {"cryptography", "rfc8785"}


def requirements(extra: str = "") -> set[str]:
    """Return the requirements of the distribution, bare or with an extra."""
    found = set()
    for text in distribution("nightsafe").requires or ():
        need, _, marker = text.partition(";")
        of = re.search(r"extra == ['\"](\w+)['\"]", marker)
        if (of[1] if of else "") == extra:
            found.add(re.split(r"[\[<>=~! ]", need.strip())[0])
    return found


def test_the_bare_distribution_is_the_client() -> None:
    """The bare distribution needs two libraries; `seal`, `cli` and `server` are extras that build on each other."""
    assert ALONE == requirements()
    assert SEALING == requirements("seal")
    assert {"click", "nightsafe"} == requirements("cli")
    assert {"granian", "nightsafe", "starlette"} <= requirements("server")
    assert all("nightsafe" in requirements(extra) for extra in ("example", "dev", "bench"))


def test_pytest_finds_the_plugin() -> None:
    """Pytest finds the plugin by its entry point."""
    [plugin] = [entry_point for entry_point in entry_points(group="pytest11") if entry_point.name == "nightsafe"]

    assert "nightsafe.pytest_plugin" == plugin.value


def test_the_command_names_its_missing_library() -> None:
    """Without its libraries, the command line prints what to install."""
    code = "import sys, runpy; sys.modules['click'] = None; runpy.run_module('nightsafe', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "nightsafe: not installed: click; the commands need: pip install 'nightsafe[cli]'\n" == done.stderr
