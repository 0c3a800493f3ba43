"""Deletion of a script with a long history: it is gone at once, and its rows are purged in small transactions."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.engines.tools.changes import ACCOUNT, REF, removing, secret, setting, upload
from tests.engines.tools.stored import modules_of
from tests.stores import SIGNING_KEY

from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine import writer
from nightsafe.store.sqlite.writes import removal

_VERSIONS = 700
_OTHER = ScriptRef(ACCOUNT, "other")
_TABLES = ("versions", "uploads", "modules", "contents", "deployments", "binding_history", "bindings", "removals")
_KEY = "key-1"
"""The key that all values of these tests are sealed to."""


@pytest.fixture
async def long_past(store: SqliteStore) -> SqliteStore:
    """Return a store with one script with many versions; each replaced a secret."""
    await store.commit(upload())
    await make_past(store)
    return store


async def make_past(store: SqliteStore) -> None:
    """Replace one secret many times."""
    values = (secret("S", sealed=b"value-%d" % number) for number in range(_VERSIONS))
    await asyncio.gather(*(store.commit(setting(value)) for value in values))


def count(path: Path, *tables: str) -> dict[str, int]:
    """Return the number of rows of each table."""
    with closing(sqlite3.connect(path)) as db:
        return {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608


async def until_purged(path: Path) -> None:
    """Wait until nothing is left to be purged."""
    async with asyncio.timeout(60):
        while count(path, "removals")["removals"]:  # noqa: ASYNC110 - another connection has no event for it
            await asyncio.sleep(0.01)


async def test_a_deleted_script_is_gone_before_its_rows(
    long_past: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No read finds the script after its deletion; after the purge no row and no sealed value is in the file."""
    store, may_purge, purge = long_past, threading.Event(), removal.purge_part

    def wait_and_purge(db: sqlite3.Cursor) -> None:
        """In the writer's thread, purge one part as soon as the test has read what is left."""
        may_purge.wait(60)
        purge(db)

    monkeypatch.setattr(writer, "purge_part", wait_and_purge)
    await store.commit(removing())

    assert count(path, "removals") == {"removals": 1}
    assert count(path, "binding_history")["binding_history"] > 0
    assert await store.script(REF) is None
    assert [] == await store.scripts(ACCOUNT)
    assert ([], [], []) == (await store.versions(REF), await store.deployments(REF), await modules_of(store, REF))
    assert await store.secrets(REF) is None
    may_purge.set()
    await until_purged(path)
    assert count(path, *_TABLES) == dict.fromkeys(_TABLES, 0)
    await store.close()
    assert b"value-" not in path.read_bytes()  # noqa: ASYNC240


async def test_a_deleted_scripts_name_is_free_at_once(long_past: SqliteStore, path: Path) -> None:
    """A new script with the same name and code keeps all its rows while the old one is purged."""
    store = long_past
    _, made, *_ = await asyncio.gather(
        store.commit(removing()), store.commit(upload()), store.commit(setting(secret("S", sealed=b"new")))
    )

    await until_purged(path)
    script = await store.script(REF)
    assert script is not None
    assert (script.id, script.version) == (made.script_id, 2)
    assert [2, 1] == [version.number for version in await store.versions(REF)]
    assert [b"new"] == [binding.sealed for binding in await store.bindings(REF)]
    assert len(await modules_of(store, REF)) == len(await store.files(REF)) > 0


async def test_commits_run_between_two_parts_of_a_purge(
    long_past: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit during the purge waits for one part only, and no part is longer than its limit."""
    store, parts, written = long_past, list[int](), list[int]()
    purge = removal.purge_part

    def part(db: sqlite3.Cursor) -> None:
        """Purge one part, and count its changes."""
        before = db.connection.total_changes
        purge(db)
        parts.append(db.connection.total_changes - before)

    monkeypatch.setattr(writer, "purge_part", part)
    monkeypatch.setattr(removal, "PART", 50)
    await store.commit(removing())
    while count(path, "removals")["removals"]:
        await store.commit(upload(ref=_OTHER))
        written.append(len(parts))

    assert max(parts) <= removal.PART + 1
    assert len(parts) >= 10
    assert all(after - before <= 2 for before, after in pairwise(written))
    assert len(written) >= 5


async def test_a_purge_continues_after_reopening(
    long_past: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash the purge continues when the store is opened again, without any write."""

    def fail(_: Any) -> None:
        """Fail, as if the process had ended."""
        raise sqlite3.OperationalError

    with monkeypatch.context() as patched:
        patched.setattr(writer, "purge_part", fail)
        await long_past.commit(removing())
        await long_past.close()
    assert count(path, "removals") == {"removals": 1}

    again = SqliteStore.open(path, signer=SIGNING_KEY)
    await until_purged(path)
    assert count(path, *_TABLES) == dict.fromkeys(_TABLES, 0)
    await again.close()


async def test_a_failed_purge_is_retried_after_the_next_change(
    long_past: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure of the purge fails no write, and the rest is purged later."""
    for change, error in ((removing(), sqlite3.OperationalError()), (upload(ref=_OTHER), RuntimeError())):
        failed = threading.Event()

        def fail(_: Any, error: Exception = error, failed: threading.Event = failed) -> None:
            """Fail."""
            failed.set()
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(writer, "purge_part", fail)
            await long_past.commit(change)
            assert await asyncio.to_thread(failed.wait, 60)
    assert count(path, "removals") == {"removals": 1}

    await long_past.commit(setting(secret("S"), ref=_OTHER))
    await until_purged(path)
    assert (await long_past.script(_OTHER)) is not None


async def test_unpurged_records_keep_their_key_in_use(
    long_past: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key counts as in use until its last record is purged; resealing does not return those records."""

    def fail(_: Any) -> None:
        """Fail, so that the purge happens later."""
        raise sqlite3.OperationalError

    await long_past.commit(upload(ref=_OTHER))
    with monkeypatch.context() as patched:
        patched.setattr(writer, "purge_part", fail)
        await long_past.commit(removing())
        await long_past.commit(setting(secret("S"), ref=_OTHER))
        await long_past.commit(setting(secret("S", sealed=b"2"), ref=_OTHER))
        left = await long_past.count_values(ACCOUNT, _KEY)
        found = await long_past.values_under(ACCOUNT, _KEY, limit=10)
        found += await long_past.values_under(ACCOUNT, _KEY, after=found[-1].mark, limit=10)

    assert left > 2
    assert ["other", "other"] == [value.owner for value in found]
    await long_past.commit(upload(ref=_OTHER))
    await until_purged(path)
    assert await long_past.count_values(ACCOUNT, _KEY) == 2


async def test_contents_are_removed_with_their_last_script(store: SqliteStore, path: Path) -> None:
    """The deletion of one of two scripts with the same file keeps the file; the deletion of the other removes it."""
    await asyncio.gather(*(store.commit(upload(ref=ref, bodies=(b"same",))) for ref in (REF, _OTHER)))

    await store.commit(removing())
    assert [b"same"] == [module.body for module in await modules_of(store, _OTHER)]
    await store.commit(removing(_OTHER))
    await until_purged(path)
    assert count(path, "contents", "modules") == {"contents": 0, "modules": 0}
