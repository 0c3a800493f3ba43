"""What is installed with what."""

import re
import subprocess
import sys
from importlib.metadata import distribution, entry_points

ALONE = {"httpcore", "msgspec"}
SEALING = {"cryptography", "rfc8785"}


def needs(extra: str = "") -> set[str]:
    """What the distribution asks for, bare or with an extra."""
    found = set()
    for text in distribution("nightsafe").requires or ():
        need, _, marker = text.partition(";")
        of = re.search(r"extra == ['\"](\w+)['\"]", marker)
        if (of[1] if of else "") == extra:
            found.add(re.split(r"[\[<>=~! ]", need.strip())[0])
    return found


def test_the_bare_distribution_is_the_client() -> None:
    """It needs two libraries; sealing, commands and the server are extras, and each brings the one before."""
    assert ALONE == needs()
    assert SEALING == needs("seal")
    assert {"click", "nightsafe"} == needs("cli")
    assert {"granian", "nightsafe", "starlette"} <= needs("server")
    assert all("nightsafe" in needs(extra) for extra in ("example", "dev", "bench"))


def test_the_plugin_is_announced() -> None:
    """Pytest finds it by itself."""
    [plugin] = [one for one in entry_points(group="pytest11") if one.name == "nightsafe"]

    assert "nightsafe.pytest_plugin" == plugin.value


def test_commands_say_what_is_missing() -> None:
    """Without the command line's libraries it ends with what to run."""
    code = "import sys, runpy; sys.modules['click'] = None; runpy.run_module('nightsafe', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "nightsafe: not installed: click; the commands need: pip install 'nightsafe[cli]'\n" == done.stderr
