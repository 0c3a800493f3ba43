"""Compiles code on the real runtime without running any of it.

A process of its own does so for each upload, which has no socket, no address and no value, and is ended after a
moment: whatever the code is, neither the Workers that are served nor this process can be held up by it. Its main
module is one of ours, that imports none of the script's; the runtime's older registry compiles every module when the
Worker is made, imported or not. A classic script is given to `new Function`, which compiles it and does not call it.
"""

import asyncio
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from nightsafe.bundle.checking import Check
from nightsafe.bundle.support import RESERVED

_LAUNCH: Final = Path(__file__).with_name("launch.py")
_SECONDS: Final = 1.5
_MOST_WORDS: Final = 1 << 16
_DATE: Final = "2026-04-01"
"""Before the runtime's newer registry, which compiles a module only when it is imported."""

_MAIN: Final = f"{RESERVED}/check.js"
_SOURCE: Final = f"{RESERVED}/source.txt"
_NOTHING: Final = "export default { test() {} };"
_FUNCTION: Final = f'import source from "./source.txt"; new Function(source); {_NOTHING}'
_EVAL: Final = "allow_eval_during_startup"
_KINDS: Final = {"js": "esModule", "cjs": "commonJsModule", "json": "json", "wasm": "wasm", "text": "text"}
_SAFE_NAME: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")
_PROBLEM: Final = re.compile(r"Uncaught ((?:Syntax|Compile|Range)Error: [^\n]*)(?:\n\s+at ([^\s]+))?")
_CONFIG: Final = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = (
  compatibilityDate = "%s", compatibilityFlags = %s, modules = [%s]))]);
"""


class Compiler:
    """The runtime, as what compiles.

    Args:
        binary: of workerd.
        seconds: for which one check may go on.
    """

    def __init__(self, binary: Path, seconds: float = _SECONDS) -> None:
        self._binary: Final = binary
        self._seconds: Final = seconds

    async def problem_of(self, check: Check) -> str:
        """What the runtime says against code; "" when it has nothing against it or does not say in time.

        Raises:
            OSError: when the process cannot be started or the files not be written.
        """
        with TemporaryDirectory(prefix="nightsafe-check-") as folder:
            config = _write(Path(folder), check)
            return "" if config is None else _problem_in(await self._said(config))

    async def _said(self, config: Path) -> str:
        """What the process says before it ends, or is ended."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(_LAUNCH), str(os.getpid()), str(self._binary)),
            *("test", "--experimental", str(config)),
            env={},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stderr is not None  # noqa: S101 - asked for above
        said = b""
        try:
            async with asyncio.timeout(self._seconds):
                said = await process.stderr.read(_MOST_WORDS)
                await process.wait()
        except TimeoutError:
            said = b""
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        return said.decode("utf-8", "replace")


def _write(folder: Path, check: Check) -> Path | None:
    """Put code and a configuration into a folder; None when a name cannot be written down."""
    files = [(one.name, one.kind, one.body) for one in check.modules]
    if not all(_SAFE_NAME.fullmatch(name) for name, _, _ in files):
        return None
    if check.classic is not None:
        files = [(_MAIN, "js", _FUNCTION.encode()), (_SOURCE, "text", check.classic)]
    else:
        files = [(_MAIN, "js", _NOTHING.encode()), *files]
    modules = []
    for number, (name, kind, body) in enumerate(files):
        (folder / str(number)).write_bytes(body)
        modules.append(f'(name = "{name}", {_KINDS[kind]} = embed "{number}")')
    flags = msgspec.json.encode([*check.flags, _EVAL]).decode()
    config = folder / "check.capnp"
    config.write_text(_CONFIG % (_DATE, flags, ", ".join(modules)))
    return config


def _problem_in(said: str) -> str:
    """The first thing that the runtime says against the code, with where it is."""
    found = _PROBLEM.search(said)
    if found is None:
        return ""
    words, place = found.groups()
    return words + (f" at {place}" if place and not place.startswith(RESERVED) else "")
