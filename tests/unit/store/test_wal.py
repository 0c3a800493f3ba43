"""The log: that it stays short under reads and writes, and is gone in the end."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.engines.tools.changes import ACCOUNT, REF, secret, setting, upload

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite import store as store_module
from nightsafe.store.sqlite.engine import checkpointer
from nightsafe.store.sqlite.engine.waiting import Waiting

PAGE = 4096 + 24
REFS = [ScriptRef(ACCOUNT, f"worker-{number}") for number in range(64)]


async def mixed_load(path: Path, rounds: int) -> int:
    """Writes to many scripts, with a read before and after each; gives the log's greatest size."""
    store = SqliteStore.open(path, create=True)
    log, size = path.with_name("store.db-wal"), 0
    await asyncio.gather(*(store.commit(upload(ref=ref)) for ref in REFS))

    async def caller(ref: ScriptRef) -> None:
        """One of many."""
        nonlocal size
        for _ in range(rounds):
            await store.shown(ref, "S")
            await store.commit(setting(secret("S"), ref=ref))
            await store.shown(ref, "S")
            size = max(size, log.stat().st_size)

    await asyncio.gather(*(caller(ref) for ref in REFS))
    await store.close()
    assert not log.exists()
    return size


async def test_the_log_stays_short(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under reads and writes without a pause the log does not grow with their number."""
    monkeypatch.setattr(store_module, "LOG_LIMIT", 200)

    size = await mixed_load(path, 120)

    assert size < 200 * 8 * 2 * PAGE


async def test_the_same_load_would_make_it_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it not cut, the log of that load would be far longer: the bound above means something."""
    monkeypatch.setattr(store_module, "LOG_LIMIT", 1 << 40)

    size = await mixed_load(path, 120)

    assert size > 200 * 8 * 4 * PAGE


async def test_a_log_is_started_over(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """With reads before and after every commit, the log is soon written from its beginning again."""
    monkeypatch.setattr(store._log, "_limit", 1)
    await store.commit(upload())
    frames = [store._index.frames()]
    while frames[-1] >= frames[0] and len(frames) < 1000:
        await store.shown(REF, "S")
        await store.commit(setting(secret("S")))
        await store.shown(REF, "S")
        frames.append(store._index.frames())

    assert frames[-1] < frames[0]


async def write_until_refused(store: SqliteStore, most: int) -> NightsafeError:
    """Write to many scripts at once until one is refused, and give how; so many times it must not take."""
    for number in range(most):
        writes = (store.commit(setting(secret(f"S{number % 20}"), ref=ref, most=100)) for ref in REFS)
        for answer in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(answer, NightsafeError):
                return answer
            assert not isinstance(answer, BaseException)
    pytest.fail("the log has no bound")


async def test_a_long_reader_cannot_make_the_log_grow_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes are refused in words at a bound, and go on by themselves once the reader has ended; the log is cut then.

    The figures and the log tell of it. All that was acknowledged is there, and the writer itself never copies more
    than a few pages at a time.
    """
    monkeypatch.setattr(store_module, "LOG_LIMIT", 50)
    monkeypatch.setattr(store_module, "LOG_MOST", 1000)
    monkeypatch.setattr(checkpointer, "_REST", 100)
    store = SqliteStore.open(path, create=True)
    copied: list[int] = []
    copy_rest = checkpointer._copy_rest

    def noted(db: sqlite3.Connection) -> None:
        """Copy, and remember how much there was to be copied."""
        copied.append(store._index.uncopied())
        copy_rest(db)

    monkeypatch.setattr(checkpointer, "_copy_rest", noted)
    await asyncio.gather(*(store.commit(upload(ref=ref)) for ref in REFS))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader, capture_logs() as log:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM scripts").fetchall()
        refused = await write_until_refused(store, 200)
        assert Code.LOG_FULL is refused.code
        assert "nothing was changed" in refused.problems[0].detail
        with pytest.raises(NightsafeError) as caught:
            await store.check()
        assert Code.LOG_FULL is caught.value.code
        held = store.figures()
        assert 0 < held.log_held_bytes <= held.log_bytes < held.log_most_bytes * 2
        reader.execute("ROLLBACK")
        for _ in range(1000):
            try:
                await store.check()
                break
            except NightsafeError:
                await asyncio.sleep(0.01)
        await store.commit(setting(secret("AFTER"), ref=REFS[0]))
    assert store.figures().log_bytes < held.log_bytes
    assert [("store.trouble", "log_held"), ("store.trouble", "log_full")] == [
        (line["event"], line["kind"]) for line in log if line["event"] == "store.trouble"
    ]
    assert {"log_held", "log_full"} == {line["kind"] for line in log if line["event"] == "store.well_again"}
    assert all(pages <= 100 for pages in copied)
    await store.close()


async def test_a_look_that_fails_leaves_nobody_waiting(store: SqliteStore) -> None:
    """Whoever waits for another process's commit is woken when the look for it fails; the next waits as ever."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    looks = iter([store._index.header()])

    def header() -> bytes:
        """The header once, then an error."""
        return next(looks)

    commits = Waiting(header, asyncio.get_running_loop())
    async with asyncio.timeout(10):
        await commits.wait(60)
    looks = iter([store._index.header(), b"another"])
    async with asyncio.timeout(10):
        await commits.wait(60)


async def test_a_copy_that_is_under_way_is_waited_for(store: SqliteStore) -> None:
    """Large changes that come faster than they are copied are not refused: nothing outside holds the log."""
    store._log.most = 1
    store._log._idle.clear()
    writing = asyncio.ensure_future(store.commit(upload()))
    done, _ = await asyncio.wait({writing}, timeout=0.1)
    assert not done

    store._log._idle.set()
    await writing
