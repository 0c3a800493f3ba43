"""`.venv/bin/python tools/fuzz.py [--seconds N] [--target NAME]`: look for inputs that break a parser.

Each target in tests/fuzz/targets runs in a process of its own, guided by coverage (atheris, libFuzzer). It starts
from the corpus in the repository; new inputs go to .cache/fuzz. If an input breaks a target, it is kept there too,
and the exit code is 1: minimise the input, add it to the corpus, and fix the parser.
"""

import argparse
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from tests.fuzz.targets_index import NAMES, corpus, dictionary, target  # noqa: E402 - found from the root of the project

_CACHE = ROOT / ".cache" / "fuzz"
_SLOWEST = 5
"""The most seconds for one input, on a machine that may be busy with other things."""

_MEMORY = 2048
"""The most megabytes of memory for a target."""

_LONGEST = 8192
"""The most bytes of an input."""

_GRACE = 120
_ABSENT = """\
atheris is not installed, and may not support this machine: it has wheels for CPython 3.11 to 3.14 on Linux x86-64
(glibc). `make fuzz` installs it if there is a wheel. `make test` replays the corpus without it."""


def main() -> None:
    """Fuzz one target after the other. The exit code says whether all kept their contract."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30, help="seconds for each target (default: %(default)s)")
    parser.add_argument("--target", choices=NAMES, action="append", help="only this target; may be repeated")
    parser.add_argument("--inside", choices=NAMES, help=argparse.SUPPRESS)
    arguments, passed = parser.parse_known_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit(_ABSENT)
    if arguments.inside:
        _fuzz(arguments.inside, passed)
        return
    broken = [name for name in arguments.target or NAMES if not _holds(name, arguments.seconds)]
    if broken:
        sys.exit(f"broken: {', '.join(broken)}; the inputs are in {_CACHE.relative_to(ROOT)}")


def _holds(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own. Return whether it kept its contract."""
    found, broken = _CACHE / name / "corpus", _CACHE / name / "broken-"
    found.mkdir(parents=True, exist_ok=True)
    words = dictionary(name)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST}",
        f"-timeout={_SLOWEST}",
        f"-rss_limit_mb={_MEMORY}",
        f"-artifact_prefix={broken}",
        "-print_final_stats=1",
        *([f"-dict={words}"] if words else []),
    ]
    command = [sys.executable, __file__, "--inside", name, *options, str(found), str(corpus(name))]
    log = _CACHE / name / "log.txt"
    with log.open("wb") as out:
        try:
            code = subprocess.run(
                command, cwd=ROOT, stdout=out, stderr=out, timeout=seconds + _GRACE, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    said = log.read_text("utf-8", "replace").splitlines()
    runs = next((line.split()[-1] for line in said if line.startswith("stat::number_of_executed_units")), "?")
    print(f"{name:16} {'holds' if code == 0 else f'BROKEN, see {log.relative_to(ROOT)}'}: {runs} inputs", flush=True)
    return code == 0


def _fuzz(name: str, options: list[str]) -> None:
    """Hand this process over to libFuzzer."""
    atheris: Any = importlib.import_module("atheris")  # not available on every machine, so no module imports it
    with atheris.instrument_imports(include=["nightsafe", "python_multipart"]):
        check = target(name)
    atheris.Setup([sys.argv[0], *options], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
