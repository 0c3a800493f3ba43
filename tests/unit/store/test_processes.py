"""Several processes on one store: commits, locks, and the kill of one."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.effort import chosen
from tests.engines.tools.changes import ACCOUNT, REF, secret, setting, upload
from tests.engines.tools.log import check_log
from tests.engines.tools.refusals import refusal
from tests.stores import SIGNING_KEY, open_store

from nightsafe.errors import Code
from nightsafe.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[3]


async def store_process(*arguments: str) -> asyncio.subprocess.Process:
    """Start the second process."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.engines.tools.store_process",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=asyncio.subprocess.PIPE,
    )


@pytest.fixture
def rival(store: SqliteStore, path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that belongs to another program."""
    assert store is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


async def test_another_processs_commit_is_seen_at_once(store: SqliteStore, path: Path) -> None:
    """A commit by another process changes the generation and is in the next read, even after that process closed."""
    await store.commit(upload())
    assert await store.secret(REF, "S") is None
    generation = store.generation()

    for name in ("S", "T"):
        process = await store_process("commit", str(path), name)
        assert await process.wait() == 0
        assert generation != store.generation()
        generation = store.generation()
        assert await store.secret(REF, name) is not None

    assert (await store.commit(setting(secret("U")))).version == 4


async def test_an_idle_reader_ends_an_outdated_transaction(store: SqliteStore, path: Path) -> None:
    """The watch ends a read transaction that another process's commit outdated, and keeps a current one."""
    await store.commit(upload())
    await store.secret(REF, "S")
    db = store._reader._db
    assert db is not None
    store._reader._watch()
    held = db.in_transaction

    process = await store_process("commit", str(path), "S")
    assert await process.wait() == 0
    store._reader._watch()

    assert (held, db.in_transaction) == (True, False)
    assert await store.secret(REF, "S") is not None


async def test_a_write_waits_for_another_process(store: SqliteStore, rival: sqlite3.Connection) -> None:
    """While another process writes, commits wait and reads continue; afterwards all succeed."""
    await store.commit(upload())
    rival.execute("BEGIN IMMEDIATE")
    task = asyncio.ensure_future(store.commit(setting(secret("S"))))
    reads = [await store.secret(REF, "S") for _ in range(100)]

    waiting = not task.done()
    rival.execute("COMMIT")

    assert waiting
    assert reads == [None] * 100
    assert (await task).version == 2


async def test_a_write_that_waits_too_long_fails_alone(path: Path) -> None:
    """After the timeout the waiting commit fails with STORE, and later commits succeed."""
    store = open_store(path, busy_timeout=0.01)
    await store.commit(upload())
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        [(code, detail)] = await refusal(store, setting(secret("S")))
        db.execute("COMMIT")

    assert (code, "SQLITE_BUSY" in detail) == (Code.STORE, True)
    assert (await store.commit(setting(secret("S")))).version == 2
    await store.close()


@pytest.mark.heavy
async def test_a_kill_loses_no_acknowledged_commit(path: Path) -> None:
    """After a kill at any moment, the file is intact and holds every acknowledged commit, whole."""
    store = open_store(path)
    await store.commit(upload())
    await store.close()
    for turn in range(0, 25, chosen(thorough=1, quick=4)):
        process = await store_process("write", str(path), f"T{turn}_")
        assert process.stdout is not None
        lines = [await process.stdout.readline() for _ in range(1 + 37 * turn % 400)]
        process.kill()
        lines += (await process.stdout.read()).splitlines(keepends=True)
        await process.wait()
        acknowledged = [line.decode().split() for line in lines if line.endswith(b"\n")]
        await sound(path, {int(version): name for version, name in acknowledged})


async def sound(path: Path, acknowledged: dict[int, str]) -> None:
    """Check that no acknowledged commit is missing, and that every version has its row, its entry and its value."""
    assert check_log(path)
    store = SqliteStore.open(path, signer=SIGNING_KEY)
    versions = await store.versions(REF, limit=1_000_000)
    script = await store.script(REF)
    entries = await store.audit_entries(ACCOUNT, limit=1_000_000)
    latest = {binding.name for binding in await store.bindings(REF)}
    await store.close()
    numbers = [version.number for version in versions]
    assert acknowledged
    assert script is not None
    assert list(range(script.version, 0, -1)) == numbers
    assert len(entries) == len(numbers)
    assert max(acknowledged) <= script.version
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        since = dict(db.execute("SELECT since, name FROM bindings").fetchall())
        since |= dict(db.execute("SELECT from_version, name FROM binding_history").fetchall())
        assert len(latest) == db.execute("SELECT variables FROM scripts").fetchone()[0]
    assert acknowledged == {version: since[version] for version in acknowledged}
    assert set(since) == set(numbers) - {1}
