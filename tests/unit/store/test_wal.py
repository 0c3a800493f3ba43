"""The log: that it stays short under reads and writes, and is gone in the end."""

import asyncio
from pathlib import Path

import pytest
from tests.engines.changes import ACCOUNT, REF, secret, setting, upload

from nightsafe.store.model import ScriptRef
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite import store as store_module

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
