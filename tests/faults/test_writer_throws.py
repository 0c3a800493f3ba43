"""The writer's task and the log's checkpointer: after an error at any await every caller is answered."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.engines.tools.changes import ACCOUNT, REF, removing, secret, setting, upload
from tests.failing_awaits import Boom, Moment, Thrower, awaits_of, thrown
from tests.faults.failing_sqlite import FAILURES
from tests.stores import open_store

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Change
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite import store as store_module
from nightsafe.store.sqlite.writes import removal

WRITER, KEEPER = "nightsafe.store.sqlite.engine.writer", "nightsafe.store.sqlite.engine.checkpointer"
CLASSES = {WRITER: "Writer", KEEPER: "Checkpointer"}
CLOSING = ("end",)
"""The functions that are called once at the end, by a caller that gets the error."""

AWAITS = [(name, number) for name in CLASSES for number in range(len(awaits_of(name, CLOSING)))]
IDS = [f"{name.rpartition('.')[2]}:{line}" for name in CLASSES for line in awaits_of(name, CLOSING)]
CALLERS = 20
DELETED = ScriptRef(ACCOUNT, "deleted")
SECONDS = 20.0

Situation = Callable[[SqliteStore, Path], Awaitable[dict[str, Code | None]]]


async def written(store: SqliteStore, prefix: str, count: int = CALLERS) -> dict[str, Code | None]:
    """Set secrets all at once; return the code of each refusal. No caller waits for ever."""
    names = [f"{prefix}{number}" for number in range(count)]
    changes = [setting(secret(name), most=10_000) for name in names]
    async with asyncio.timeout(SECONDS):
        codes = await asyncio.gather(*(committed(store, change) for change in changes))
    return dict(zip(names, codes, strict=True))


async def committed(store: SqliteStore, change: Change) -> Code | None:
    """Make a change; return the code of its refusal, or None."""
    try:
        await store.commit(change)
    except NightsafeError as error:
        return error.code
    return None


async def plain(store: SqliteStore, _: Path) -> dict[str, Code | None]:
    """Write while nothing stands in the way."""
    return await written(store, "PLAIN")


async def heavy(store: SqliteStore, _: Path) -> dict[str, Code | None]:
    """Make a change that takes long by itself."""
    large = upload(secret("HEAVY"), bodies=(bytes(300_000),), keep=("secret_text",), most=10_000)
    async with asyncio.timeout(SECONDS):
        return {"HEAVY": await committed(store, large)}


async def busy(store: SqliteStore, path: Path) -> dict[str, Code | None]:
    """Write while another connection is writing, which lets go when the writer waits for it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.ensure_future(written(store, "BUSY"))
        await asyncio.sleep(0.02)
        other.execute("ROLLBACK")
    return await writing


async def away(store: SqliteStore, path: Path) -> dict[str, Code | None]:
    """Write while the file is not where it was."""
    aside = path.with_suffix(".aside")
    path.rename(aside)  # noqa: ASYNC240 - a rename does not block
    try:
        return await written(store, "AWAY")
    finally:
        aside.rename(path)


async def left(store: SqliteStore, _: Path) -> dict[str, Code | None]:
    """Cancel a task amid its turn, with which another task goes on."""
    writing = asyncio.ensure_future(written(store, "LEFT"))
    while store._writer._batch is None:  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0)
    task = store._writer._task
    assert task is not None
    task.cancel()
    return await writing


async def unconnected(store: SqliteStore, _: Path) -> dict[str, Code | None]:
    """Write while the writer has no connection."""
    store._writer._forget()
    return await written(store, "UNCONNECTED")


async def probed(store: SqliteStore, _: Path) -> dict[str, Code | None]:
    """Check whether the store is well."""
    try:
        await store.check()
    except NightsafeError as error:
        assert error.code in FAILURES  # noqa: PT017  # whether it raises depends on the await
    return {}


async def long(store: SqliteStore, _: Path) -> dict[str, Code | None]:
    """Write while the log must be cut during a copy, or with little left to copy."""
    store._log._limit = 1
    store._log._idle.clear()
    found = await written(store, "COPYING", 2)
    store._log._idle.set()
    found |= await written(store, "LITTLE", 2)
    store._log.max_pages, store._log._limit = 1, 4000
    found |= await written(store, "MOST", 2)
    store._log.max_pages = 64_000
    return found


async def delete(store: SqliteStore) -> None:
    """Delete a script that leaves something to be purged."""
    with suppress(NightsafeError):
        await store.commit(upload(ref=DELETED))
        await store.commit(setting(secret("OLD"), ref=DELETED))
        await store.commit(setting(secret("OLD"), ref=DELETED))
        await store.commit(removing(DELETED))


async def idle(store: SqliteStore) -> None:
    """Wait until the writer rests."""
    async with asyncio.timeout(SECONDS):
        while store._writer._task is not None:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0)


async def purged(store: SqliteStore, _: Path) -> dict[str, Code | None]:
    """Delete scripts that leave something to be purged, in parts and by a writer without a connection."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(removal, "PART", 1)
        await delete(store)
        await idle(store)
        store._writer._forget()
        store._writer.purge()
        await idle(store)
    return {}


async def amid(store: SqliteStore, _: Path) -> dict[str, Code | None]:
    """Cancel a task amid a purge, after which another task begins."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(removal, "PART", 1)
        deleting = asyncio.ensure_future(delete(store))
        while not store._writer._purging:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0)
        task = store._writer._task
        assert task is not None
        task.cancel()
        await deleting
        return await written(store, "AMID", 2)


SITUATIONS: tuple[Situation, ...] = (plain, heavy, unconnected, probed, left, busy, away, long, purged, amid)


@asynccontextmanager
async def store_under(
    thrower: Thrower, module: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SqliteStore]:
    """Yield a store in which the awaits of a module ask a thrower; it can be closed at the end."""
    name = CLASSES[module]
    with monkeypatch.context() as patched:
        patched.setattr(store_module, name, getattr(thrown(module, thrower, CLOSING), name))
        store = open_store(path)
        await store.commit(upload())
        yield store
        thrower.heal()
        async with asyncio.timeout(SECONDS):
            await store.close()


async def there(store: SqliteStore) -> set[str]:
    """Return the names of all secrets."""
    return {binding.name for binding in await store.bindings(REF)}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("module", "number"), AWAITS, ids=IDS)
async def test_every_caller_is_answered_after_an_error_at_any_await(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, number: int, moment: Moment
) -> None:
    """After an error or a cancellation at any await, accepted changes are stored and refused ones are not.

    Callers whose outcome is unknown are told so. The next write goes through, and the log names what happened. An
    await that none of the situations reaches fails this test: add a situation that does.
    """
    for error in (Boom(), asyncio.CancelledError()):
        thrower = Thrower()
        async with store_under(thrower, module, tmp_path / f"{type(error).__name__}.db", monkeypatch) as store:
            thrower.arm(number, moment, error)
            with capture_logs() as log:
                for situation in SITUATIONS:
                    found = await situation(store, tmp_path / f"{type(error).__name__}.db")
                    if thrower.struck:
                        break
                else:
                    pytest.fail("no situation reaches this await")
            thrower.heal()
            held = await there(store) & found.keys()
            done = {name for name, code in found.items() if code is None}
            assert done <= held <= done | {name for name, code in found.items() if code is Code.OUTCOME_UNKNOWN}
            assert {"NEXT0": None} == await written(store, "NEXT", 1)
            assert log
