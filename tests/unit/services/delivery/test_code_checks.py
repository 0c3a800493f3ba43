"""Uploads and those who have them compiled find each other, and nobody waits in vain for long."""

import asyncio
from typing import Any

import msgspec

from nightsafe.bundle.code_checks import CheckedModule
from nightsafe.bundle.model import BundleBinding, BundleVersion
from nightsafe.services.delivery.code_checks import CodeChecks
from nightsafe.services.scripts.modules import Source
from nightsafe.store.scripts import Module

JS = "application/javascript+module"
FILES = (
    Module("index.js", JS, b"", b"export default {}"),
    Module("note.txt", "text/plain", b"", b"text"),
    Module("odd.py", "text/x-python", b"", b"odd"),
    Module("lib.cjs", "text/javascript", b"", b"module.exports = 1"),
)
SOURCE = Source("index.js", FILES, classic=False)
VERSION = BundleVersion(id="", percentage=100.0, created_on="", main_module="index.js", modules=())


def version(**members: Any) -> BundleVersion:
    """A version with these members."""
    return msgspec.structs.replace(VERSION, **members)


async def test_nobody_checks() -> None:
    """An upload does not wait; neither does one some seconds after the last process has gone."""
    now = 0.0
    code_checks = CodeChecks(lambda: now)
    assert "" == await code_checks.problem_of("a", SOURCE, VERSION)
    assert None is await code_checks.next("a", 0)
    now = 10.0
    assert "" == await code_checks.problem_of("a", SOURCE, VERSION)


async def test_somebody_who_has_not_asked_yet() -> None:
    """But has told something is there: an upload waits."""
    code_checks = CodeChecks()
    code_checks.tell("a", "none", "")
    asked = asyncio.create_task(code_checks.problem_of("a", SOURCE, VERSION))
    await asyncio.sleep(0)
    check = await code_checks.next("a", 0)

    assert check is not None
    code_checks.tell("a", check.id, "bad")
    assert "bad" == await asked


async def test_a_verdict() -> None:
    """Reaches the upload that it is about; of that, every file it may import, and its date and flags."""
    code_checks = CodeChecks()
    made = version(compatibility_date="2026-11-24", compatibility_flags=("nodejs_compat",))
    checker = asyncio.create_task(code_checks.next("a", 5))
    await asyncio.sleep(0)
    asked = asyncio.create_task(code_checks.problem_of("a", SOURCE, made))
    check = await checker

    assert check is not None
    assert ("index.js", False, "2026-11-24", ("nodejs_compat",)) == (
        check.main_module,
        check.classic,
        check.date,
        check.flags,
    )
    assert (
        CheckedModule("index.js", JS, FILES[0].body),
        CheckedModule("note.txt", "text/plain", b""),
        CheckedModule("lib.cjs", "text/javascript", FILES[3].body),
    ) == check.modules
    code_checks.tell("a", "another", "no")
    code_checks.tell("b", check.id, "no")
    code_checks.tell("a", check.id, "no\x1b[2Kgood")
    assert "no[2Kgood" == await asked
    code_checks.tell("a", check.id, "late")


async def test_a_classic_script() -> None:
    """Comes with the files that it has as compiled modules, and no others."""
    code_checks = CodeChecks()
    assert None is await code_checks.next("a", 0)
    files = (Module("s.js", "text/javascript", b"", b"1"), *(Module(n, "application/wasm", b"", b"\0") for n in "ab"))
    part = BundleBinding("W", "wasm_module", msgspec.Raw(b'{"part":"b"}'))
    asked = asyncio.create_task(
        code_checks.problem_of("a", Source("s.js", files, classic=True), version(bindings=(part,)))
    )
    await asyncio.sleep(0)
    check = await code_checks.next("a", 0)

    assert check is not None
    assert (True, ("b",), ["s.js", "b"]) == (check.classic, check.parts, [one.name for one in check.modules])
    code_checks.tell("a", check.id, "")
    await asked


async def test_a_process_that_is_busy() -> None:
    """Is waited for: the next upload is there when it asks again, in another account's turn it is not."""
    code_checks = CodeChecks()
    assert None is await code_checks.next("a", 0)
    asked = asyncio.create_task(code_checks.problem_of("a", SOURCE, VERSION))
    await asyncio.sleep(0)

    assert None is await code_checks.next("b", 0)
    check = await code_checks.next("a", 0)
    assert check is not None
    code_checks.tell("a", check.id, "")
    assert "" == await asked


async def test_the_end() -> None:
    """Of the server answers who asks."""
    code_checks = CodeChecks()
    asks = asyncio.create_task(code_checks.next("a", 5))
    await asyncio.sleep(0)
    code_checks.end()

    assert None is await asks


async def test_a_process_that_checks_for_long() -> None:
    """Counts as there while it may: what is uploaded meanwhile waits for it too."""
    now = 0.0
    code_checks = CodeChecks(lambda: now)
    assert None is await code_checks.next("a", 0)
    first = asyncio.create_task(code_checks.problem_of("a", large(20 << 20), VERSION))
    await asyncio.sleep(0)
    checked = await code_checks.next("a", 0)
    now = 10.0
    second = asyncio.create_task(code_checks.problem_of("a", SOURCE, VERSION))
    await asyncio.sleep(0)
    waiting = await code_checks.next("a", 0)

    assert checked is not None
    assert waiting is not None
    for check, asked in ((checked, first), (waiting, second)):
        code_checks.tell("a", check.id, "bad")
        assert "bad" == await asked


def large(size: int) -> Source:
    """Code of this many bytes."""
    return Source("index.js", (Module("index.js", JS, b"", bytes(size)),), classic=False)


async def test_what_is_too_large() -> None:
    """Or nothing that is compiled goes through at once."""
    code_checks = CodeChecks()
    assert None is await code_checks.next("a", 0)
    for source in (large((32 << 20) + 1), Source("odd.py", FILES[2:3], classic=False)):
        async with asyncio.timeout(0.5):
            assert "" == await code_checks.problem_of("a", source, VERSION)
