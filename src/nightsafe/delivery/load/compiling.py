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
from nightsafe.delivery.load.modules import Modules, js_string
from nightsafe.delivery.workerd.binary import LAUNCH

_RUNTIME: Final = resources("nightsafe.delivery") / "runtime"
_OWN: Final = {path.name: path.read_bytes() for path in (_RUNTIME / "check.js", _RUNTIME / "dispatcher" / "loads.js")}
_MAX_OUTPUT: Final = 1 << 16
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

    async def find_problem(self, check: CodeCheck) -> str:
        """Return the runtime's problem with the code; "" when it finds no problem or does not answer in time.

        Raises:
            OSError: when the process cannot be started or the files cannot be written.
            NightsafeError: UNSUPPORTED, for a file of a type that cannot be served.
        """
        marker = secrets.token_hex(16)
        with TemporaryDirectory(prefix="nightsafe-check-") as folder:
            seconds = check.seconds if self._seconds is None else self._seconds
            output = await self._run(_write(Path(folder), check, marker), seconds)
        return _parse_problem(output, marker)

    async def _run(self, config: Path, seconds: float) -> str:
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
        output = b""
        try:
            async with asyncio.timeout(seconds):
                output = await process.stdout.read(_MAX_OUTPUT)
                await process.wait()
        except TimeoutError:
            output = b""
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        return output.decode("utf-8", "replace")


def _write(folder: Path, check: CodeCheck, marker: str) -> Path:
    """Write a configuration, and the code as loads, into a folder."""
    version = _version(check)
    loads = {"LINKED": _build_load(check, version, marker)}
    newer = (
        Compatibility.for_version(version).module_root
        != Compatibility.for_version(_for_older_registry(version)).module_root
    )
    if newer and len(check.modules) > 1:  # a module that no other imports is not linked
        loads["COMPILED"] = _build_load(check, _for_older_registry(version), marker, linked=False)
    for name, body in (_OWN | loads).items():
        (folder / name).write_bytes(body)
    bindings = ", ".join(f'(name = "{name}", data = embed "{name}")' for name in loads)
    config = folder / "check.capnp"
    config.write_text(_CONFIG % {"date": _DATE, "word": marker, "loads": bindings})
    return config


def _version(check: CodeCheck) -> BundleVersion:
    """Return a version with only this code."""
    parts = ((f"part{index}", msgspec.json.encode({"part": part})) for index, part in enumerate(check.parts))
    return BundleVersion(
        id="",
        percentage=100.0,
        created_on="",
        main_module=check.main_module,
        classic=check.classic,
        compatibility_date=check.date,
        compatibility_flags=check.flags,
        modules=tuple(
            BundleModule(module.name, module.content_type, sha256(module.body).digest()) for module in check.modules
        ),
        bindings=tuple(BundleBinding(name, "wasm_module", msgspec.Raw(fields)) for name, fields in parts),
    )


def _for_older_registry(version: BundleVersion) -> BundleVersion:
    """Return the same version for the older registry, which compiles every module when a script is loaded."""
    return replace(version, compatibility_date=_DATE, compatibility_flags=())


def _build_load(check: CodeCheck, version: BundleVersion, marker: str, *, linked: bool = True) -> bytearray:
    """Return the code as it would be served, but with a module before it that throws."""
    frame = Frame()
    compatibility = Compatibility.for_version(version)
    modules = Modules(frame, version, {module.name: module.body for module in check.modules}, compatibility, _FIRST)
    main = modules.add()
    first = [f"throw {js_string(marker)};"]
    if check.classic:
        first = [
            'import { compile } from "./classic.js";',
            f"import source from {modules.specifier(check.main_module)};",
            "compile(source);",
            *first,
        ]
    frame.add_module(_FIRST, "js", "\n".join(first).encode())
    return frame.pack(
        compatibility_date=compatibility.date,
        compatibility_flags=compatibility.flags,
        main_module=main if linked else _FIRST,
    )


def _parse_problem(output: str, marker: str) -> str:
    """Return the problem in the runtime's output, with its place. The word marks the line that our module wrote."""
    _, separator, rest = output.partition(marker)
    if not separator:
        return ""
    message = _BODY.sub("", str(msgspec.json.decode(rest.partition("\n")[0]))).replace(_ROOT, "")
    if message.startswith(_UNKNOWN):
        return ""
    match = _PROBLEM.match(message)
    if match is None:
        return message
    problem, relation, location = match.groups()
    if _OURS in problem:
        return f"{problem}: the name is reserved, because Nightsafe adds an export with this name"
    if location is None or RESERVED in location:
        return problem
    quoted_location = location.strip('"')
    return f"{problem.rstrip('.')} {relation} {quoted_location}"
