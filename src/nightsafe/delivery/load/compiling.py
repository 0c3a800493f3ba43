"""Compiles and links code on the real runtime without running any of it.

A separate process does so for each upload. It has no socket, no address and no value, and it is ended after a moment,
so no code can hold up this process or the Workers that it serves. It loads the code as it would be served, with its
own date and flags, behind a module of Nightsafe that throws first.
"""

import asyncio
import os
import re
import secrets
import sys
from contextlib import suppress
from hashlib import sha256
from importlib.resources import files as resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from msgspec.structs import replace

from nightsafe.bundle.code_checks import CodeCheck
from nightsafe.bundle.compatibility import RESERVED
from nightsafe.bundle.model import BundleBinding, BundleModule, BundleVersion
from nightsafe.delivery.load.compatibility import Compatibility
from nightsafe.delivery.load.frame import Frame
from nightsafe.delivery.load.modules import Modules, quoted
from nightsafe.delivery.workerd.binary import LAUNCH

_RUNTIME: Final = resources("nightsafe.delivery") / "runtime"
_OWN: Final = {name: (_RUNTIME / name).read_bytes() for name in ("check.js", "loads.js")}
_MOST_WORDS: Final = 1 << 16
_DATE: Final = "2026-04-01"
"""A date before the runtime's newer registry, which compiles a module only when something imports it."""

_FIRST: Final = f"{RESERVED}/first.js"
_BODY: Final = re.compile(r"Failed to start Worker:\s+")
_PROBLEM: Final = re.compile(r"Uncaught ([^\n]*)(?:\n\s+(at|imported from) ([^\n]+))?")
_ROOT: Final = "file:///bundle/"
_OURS: Final = "Duplicate export of 'NightsafeLifecycle'"
_UNKNOWN: Final = "internal error"
_CONFIG: Final = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = (
  compatibilityDate = "%(date)s",
  compatibilityFlags = ["connect_pass_through", "enhanced_error_serialization"],
  modules = [(name = "check.js", esModule = embed "check.js"), (name = "loads.js", esModule = embed "loads.js")],
  bindings = [
    (name = "LOADER", workerLoader = (id = "checks")),
    (name = "WORD", text = "%(word)s"),
    %(loads)s
  ],
))]);
"""


class Compiler:
    """Compiles code on the runtime.

    Args:
        binary: path of workerd.
        seconds: the time limit of one check; by default it depends on the size of the code.
    """

    def __init__(self, binary: Path, seconds: float | None = None) -> None:
        self._binary: Final = binary
        self._seconds: Final = seconds

    async def problem_of(self, check: CodeCheck) -> str:
        """Return the runtime's problem with the code; "" when it has none or does not answer in time.

        Raises:
            OSError: when the process cannot be started or the files cannot be written.
            NightsafeError: UNSUPPORTED, for a file of a type that cannot be served.
        """
        word = secrets.token_hex(16)
        with TemporaryDirectory(prefix="nightsafe-check-") as folder:
            seconds = check.seconds if self._seconds is None else self._seconds
            said = await self._said(_write(Path(folder), check, word), seconds)
        return _problem_in(said, word)

    async def _said(self, config: Path, seconds: float) -> str:
        """Return the output of the process; "" when it ran out of time and was killed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(LAUNCH), str(os.getpid()), str(self._binary)),
            *("test", "--experimental", str(config)),
            env={},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        said = b""
        try:
            async with asyncio.timeout(seconds):
                said = await process.stdout.read(_MOST_WORDS)
                await process.wait()
        except TimeoutError:
            said = b""
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        return said.decode("utf-8", "replace")


def _write(folder: Path, check: CodeCheck, word: str) -> Path:
    """Write a configuration, and the code as loads, into a folder."""
    version = _version(check)
    loads = {"LINKED": _load(check, version, word)}
    newer = Compatibility.of(version).module_root != Compatibility.of(_older(version)).module_root
    if newer and len(check.modules) > 1:  # a module that no other imports is not linked
        loads["COMPILED"] = _load(check, _older(version), word, linked=False)
    for name, body in (_OWN | loads).items():
        (folder / name).write_bytes(body)
    bindings = ", ".join(f'(name = "{name}", data = embed "{name}")' for name in loads)
    config = folder / "check.capnp"
    config.write_text(_CONFIG % {"date": _DATE, "word": word, "loads": bindings})
    return config


def _version(check: CodeCheck) -> BundleVersion:
    """Return a version with only this code."""
    parts = ((f"part{at}", msgspec.json.encode({"part": part})) for at, part in enumerate(check.parts))
    return BundleVersion(
        id="",
        percentage=100.0,
        created_on="",
        main_module=check.main_module,
        classic=check.classic,
        compatibility_date=check.date,
        compatibility_flags=check.flags,
        modules=tuple(BundleModule(one.name, one.content_type, sha256(one.body).digest()) for one in check.modules),
        bindings=tuple(BundleBinding(name, "wasm_module", msgspec.Raw(shown)) for name, shown in parts),
    )


def _older(version: BundleVersion) -> BundleVersion:
    """Return the same version for the older registry, which compiles every module when a script is loaded."""
    return replace(version, compatibility_date=_DATE, compatibility_flags=())


def _load(check: CodeCheck, version: BundleVersion, word: str, *, linked: bool = True) -> bytearray:
    """Return the code as it would be served, but with a module before it that throws."""
    packing = Frame()
    compatibility = Compatibility.of(version)
    modules = Modules(packing, version, {one.name: one.body for one in check.modules}, compatibility, _FIRST)
    main = modules.add()
    first = [f"throw {quoted(word)};"]
    if check.classic:
        first = [
            'import { compile } from "./classic.js";',
            f"import source from {modules.specifier(check.main_module)};",
            "compile(source);",
            *first,
        ]
    packing.add_module(_FIRST, "js", "\n".join(first).encode())
    return packing.pack(
        compatibility_date=compatibility.date,
        compatibility_flags=compatibility.flags,
        main_module=main if linked else _FIRST,
    )


def _problem_in(said: str, word: str) -> str:
    """Return the problem in the runtime's output, with its place. The word marks the line that our module wrote."""
    _, begun, told = said.partition(word)
    if not begun:
        return ""
    words = _BODY.sub("", str(msgspec.json.decode(told.partition("\n")[0]))).replace(_ROOT, "")
    if words.startswith(_UNKNOWN):
        return ""
    found = _PROBLEM.match(words)
    if found is None:
        return words
    problem, how, place = found.groups()
    if _OURS in problem:
        return f"{problem}: the name is reserved, because Nightsafe adds an export with this name"
    if place is None or RESERVED in place:
        return problem
    where = place.strip('"')
    return f"{problem.rstrip('.')} {how} {where}"
