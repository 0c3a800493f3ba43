"""Checks of uploaded code by delivery processes, and the time that uploads wait for them."""

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
    """Return a version with these members."""
    return msgspec.structs.replace(VERSION, **members)


async def test_an_upload_without_a_checking_process_does_not_wait() -> None:
    """An upload does not wait without a process, nor some seconds after the last process has left."""
    now = 0.0
    code_checks = CodeChecks(lambda: now)
    assert "" == await code_checks.problem_of("a", SOURCE, VERSION)
    assert None is await code_checks.next("a", 0)
    now = 10.0
    assert "" == await code_checks.problem_of("a", SOURCE, VERSION)


async def test_an_upload_waits_for_a_process_between_its_requests() -> None:
    """An upload waits for a process that has given a verdict before, even if it has not asked for code yet."""
    code_checks = CodeChecks()
    code_checks.record_verdict("a", "none", "")
    upload = asyncio.create_task(code_checks.problem_of("a", SOURCE, VERSION))
    await asyncio.sleep(0)
    check = await code_checks.next("a", 0)

    assert check is not None
    code_checks.record_verdict("a", check.id, "bad")
    assert "bad" == await upload


async def test_a_verdict_answers_its_upload() -> None:
    """A verdict answers its own upload; the check has the files that can be imported, the date and the flags."""
    code_checks = CodeChecks()
    made = version(compatibility_date="2026-11-24", compatibility_flags=("nodejs_compat",))
    checker = asyncio.create_task(code_checks.next("a", 5))
    await asyncio.sleep(0)
    upload = asyncio.create_task(code_checks.problem_of("a", SOURCE, made))
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
    code_checks.record_verdict("a", "another", "no")
    code_checks.record_verdict("b", check.id, "no")
    code_checks.record_verdict("a", check.id, "no\x1b[2Kgood")
    assert "no[2Kgood" == await upload
    code_checks.record_verdict("a", check.id, "late")


async def test_the_check_of_a_classic_script_has_its_parts() -> None:
    """The check of a classic script has the script and only those files that its bindings name as modules."""
    code_checks = CodeChecks()
    assert None is await code_checks.next("a", 0)
    files = (Module("s.js", "text/javascript", b"", b"1"), *(Module(n, "application/wasm", b"", b"\0") for n in "ab"))
    part = BundleBinding("W", "wasm_module", msgspec.Raw(b'{"part":"b"}'))
    upload = asyncio.create_task(
        code_checks.problem_of("a", Source("s.js", files, classic=True), version(bindings=(part,)))
    )
    await asyncio.sleep(0)
    check = await code_checks.next("a", 0)

    assert check is not None
    assert (True, ("b",), ["s.js", "b"]) == (check.classic, check.parts, [module.name for module in check.modules])
    code_checks.record_verdict("a", check.id, "")
    await upload


async def test_an_upload_waits_for_a_busy_process() -> None:
    """An upload waits for a busy process of its own account until that process asks again."""
    code_checks = CodeChecks()
    assert None is await code_checks.next("a", 0)
    upload = asyncio.create_task(code_checks.problem_of("a", SOURCE, VERSION))
    await asyncio.sleep(0)

    assert None is await code_checks.next("b", 0)
    check = await code_checks.next("a", 0)
    assert check is not None
    code_checks.record_verdict("a", check.id, "")
    assert "" == await upload


async def test_the_end_answers_a_waiting_process() -> None:
    """At the end of the server, a waiting process is answered."""
    code_checks = CodeChecks()
    request = asyncio.create_task(code_checks.next("a", 5))
    await asyncio.sleep(0)
    code_checks.end()

    assert None is await request


async def test_a_process_checking_large_code_counts_as_present() -> None:
    """A process that checks large code counts as present for longer, so that later uploads wait for it too."""
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
    for check, upload in ((checked, first), (waiting, second)):
        code_checks.record_verdict("a", check.id, "bad")
        assert "bad" == await upload


def large(size: int) -> Source:
    """Return code of this many bytes."""
    return Source("index.js", (Module("index.js", JS, b"", bytes(size)),), classic=False)


async def test_code_too_large_to_check_is_accepted() -> None:
    """Code that is too large, or has no compiled file, is accepted without a check."""
    code_checks = CodeChecks()
    assert None is await code_checks.next("a", 0)
    for source in (large((32 << 20) + 1), Source("odd.py", FILES[2:3], classic=False)):
        async with asyncio.timeout(0.5):
            assert "" == await code_checks.problem_of("a", source, VERSION)
