"""The write-ahead log: it stays short under load, and is removed at the end."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.engines.tools.changes import ACCOUNT, REF, secret, setting, upload
from tests.stores import open_store

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite import store as store_module
from nightsafe.store.sqlite.engine import checkpointer
from nightsafe.store.sqlite.engine.commit_waiters import CommitWaiters

PAGE = 4096 + 24
REFS = [ScriptRef(ACCOUNT, f"worker-{number}") for number in range(64)]


async def mixed_load(path: Path, rounds: int) -> int:
    """Write to many scripts, with a read before and after each write; return the log's greatest size."""
    store = open_store(path)
    log, size = path.with_name("store.db-wal"), 0
    await asyncio.gather(*(store.commit(upload(ref=ref)) for ref in REFS))

    async def caller(ref: ScriptRef) -> None:
        """Write and read as one of many callers."""
        nonlocal size
        for _ in range(rounds):
            await store.secret(ref, "S")
            await store.commit(setting(secret("S"), ref=ref))
            await store.secret(ref, "S")
            size = max(size, log.stat().st_size)

    await asyncio.gather(*(caller(ref) for ref in REFS))
    await store.close()
    assert not log.exists()
    return size


@pytest.mark.thorough
@pytest.mark.heavy
async def test_the_log_stays_short(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under continuous reads and writes, the log does not grow with their number."""
    monkeypatch.setattr(store_module, "LOG_LIMIT", 200)

    size = await mixed_load(path, 120)

    assert size < 200 * 8 * 3 * PAGE


@pytest.mark.thorough
@pytest.mark.heavy
async def test_without_a_limit_the_log_grows_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the limit the same load makes the log far longer, so the test above is meaningful."""
    monkeypatch.setattr(store_module, "LOG_LIMIT", 1 << 40)

    size = await mixed_load(path, 120)

    assert size > 200 * 8 * 4 * PAGE


async def test_the_log_is_written_from_its_beginning_again(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With reads before and after every commit, the log is soon written from its beginning again."""
    monkeypatch.setattr(store._log, "_limit", 1)
    await store.commit(upload())
    frames = [store._index.frames()]
    while frames[-1] >= frames[0] and len(frames) < 1000:
        await store.secret(REF, "S")
        await store.commit(setting(secret("S")))
        await store.secret(REF, "S")
        frames.append(store._index.frames())

    assert frames[-1] < frames[0]


async def test_the_log_restarts_beside_the_reads_of_another_process(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process reads after every commit, the log still stays short."""
    monkeypatch.setattr(store_module, "LOG_LIMIT", 50)
    store, other, frames = open_store(path), open_store(path), list[int]()
    await store.commit(upload())
    for _ in range(100):
        await other.secret(REF, "S")
        await store.commit(setting(secret("S")))
        await other.secret(REF, "S")
        frames.append(store._index.frames())
    await store.close()
    await other.close()

    assert 100 < max(frames) < 200


async def write_until_refused(store: SqliteStore, most: int) -> NightsafeError:
    """Write to many scripts at once until a write is refused, and return the refusal; fail after `most` rounds."""
    for number in range(most):
        writes = (store.commit(setting(secret(f"S{number % 20}"), ref=ref, most=100)) for ref in REFS)
        for answer in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(answer, NightsafeError):
                return answer
            assert not isinstance(answer, BaseException)
    pytest.fail("the log has no limit")


async def test_a_long_reader_cannot_grow_the_log_without_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a reader blocks the log, writes are refused at a limit; once it ends, both the log and writes recover.

    Writes continue by themselves and the log is cut. The figures and the log report this. All acknowledged writes
    are stored, and the writer itself never copies more than a few pages at a time.
    """
    monkeypatch.setattr(store_module, "LOG_LIMIT", 50)
    monkeypatch.setattr(store_module, "MAX_LOG_PAGES", 1000)
    monkeypatch.setattr(checkpointer, "_MAX_WRITER_PAGES", 100)
    store = open_store(path)
    copied: list[int] = []
    copy_rest = checkpointer._copy_rest

    def copy_and_note(db: sqlite3.Connection) -> None:
        """Copy, and record how much there was to copy."""
        copied.append(store._index.uncopied())
        copy_rest(db)

    monkeypatch.setattr(checkpointer, "_copy_rest", copy_and_note)
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


async def test_a_failed_look_wakes_its_waiters(store: SqliteStore) -> None:
    """When the look for another process's commit fails, its waiters are woken; the next wait works."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    looks = iter([store._index.header()])

    def header() -> bytes:
        """Return the header once, then raise."""
        return next(looks)

    commits = CommitWaiters(header, asyncio.get_running_loop())
    async with asyncio.timeout(10):
        await commits.wait(60)
    looks = iter([store._index.header(), b"another"])
    async with asyncio.timeout(10):
        await commits.wait(60)


async def test_a_commit_waits_for_a_running_copy_of_the_log(store: SqliteStore) -> None:
    """A commit waits for a running copy of the log instead of being refused."""
    await store.commit(upload())
    store._log.max_pages = 1
    store._log._idle.clear()
    writing = asyncio.ensure_future(store.commit(upload()))
    done, _ = await asyncio.wait({writing}, timeout=0.1)
    assert not done

    store._log._idle.set()
    await writing
