"""Opening: files and their modes, schema versions, what is refused."""

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.engines.tools.changes import REF, secret, setting, upload

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine import connection, schema


@contextmanager
def refused(match: str | None = None) -> Iterator[None]:
    """The block is refused with STORE, in words that match, and leaves no thread behind."""
    threads = threading.active_count()
    with pytest.raises(NightsafeError, match=match) as caught:
        yield
    assert Code.STORE is caught.value.code
    assert threads == threading.active_count()


def open_files() -> list[str]:
    """The descriptors that this process has open."""
    return sorted(file.name for file in Path("/proc/self/fd").iterdir())


def read(path: Path) -> bytes:
    """A file's content."""
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    """Overwrite a file."""
    path.write_bytes(content)


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
async def test_files_are_the_owners_alone(path: Path, mask: int) -> None:
    """Database, log and index have mode 0600 and their folder 0700, whatever the umask."""
    before = os.umask(mask)
    try:
        store = SqliteStore.open(path, create=True)
        await store.commit(upload())
        modes = {file.name: mode(file) for file in path.parent.iterdir()}
        await store.close()
    finally:
        os.umask(before)

    assert dict.fromkeys(["store.db", "store.db-wal", "store.db-shm"], 0o600) == modes
    assert mode(path.parent) == 0o700


async def test_a_missing_store_is_not_made_unasked(path: Path) -> None:
    """Without `create` an absent file is refused and stays absent."""
    with refused():
        SqliteStore.open(path)

    assert not path.parent.exists()


async def test_create_opens_what_is_there(path: Path) -> None:
    """`create` leaves an existing store's data as they are."""
    store = SqliteStore.open(path, create=True)
    await store.commit(upload())
    await store.close()

    store = SqliteStore.open(path, create=True)
    found = await store.script(REF)
    await store.close()

    assert found is not None


async def test_what_is_no_database_is_refused(path: Path) -> None:
    """A file of another kind is refused and not touched."""
    other = b"no database" * 1000
    connection.create_file(path)
    write(path, other)

    with refused():
        SqliteStore.open(path, create=True)

    assert other == read(path)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A path below a plain file is an error of ours, not the system's."""
    (tmp_path / "file").write_bytes(b"")

    with refused():
        SqliteStore.open(tmp_path / "file" / "store.db", create=True)


async def test_a_newer_schema_is_refused(path: Path) -> None:
    """A database of a later program is refused with both numbers, and not touched."""
    await SqliteStore.open(path, create=True).close()
    newer = len(schema.migrations()) + 1
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {newer}")
    before = read(path)

    with refused(f"version {newer}.* up to {newer - 1}"):
        SqliteStore.open(path)

    assert before == read(path)


def test_every_tenants_key_is_led_by_the_account() -> None:
    """Each table that has an account_id has a unique key that begins with it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.migrate(db)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            keys = [
                db.execute(f"PRAGMA index_info({row[1]})").fetchone()[2]
                for row in db.execute(f"PRAGMA index_list({table})")
            ]
            assert "account_id" not in columns or "account_id" in keys, table
        assert {"bindings", "binding_history", "scripts", "versions"} <= set(tables)


async def test_the_audit_log_cannot_be_altered(store: SqliteStore, path: Path) -> None:
    """The schema itself refuses to change or delete an entry."""
    await store.commit(upload())

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for sql in ("UPDATE audit SET entry = x''", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(sql)


async def test_durability_is_asked_for(store: SqliteStore) -> None:
    """The writer's connection is in write-ahead mode with a sync at each commit, and overwrites what it deletes."""
    await store.commit(upload())
    db = store._writer._db
    assert db is not None

    found = {
        name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")
    }

    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


async def test_two_stores_of_one_file(store: SqliteStore, path: Path) -> None:
    """A second store in the same process sees the first one's commits, and closing it harms nothing."""
    second = SqliteStore.open(path)
    await store.commit(upload())
    new = secret("S")
    await second.commit(setting(new))
    assert new.shown == await store.shown(REF, "S")
    await second.close()

    await store.commit(setting(secret("T")))

    assert [binding.name.encode() for binding in await store.bindings(REF)] == [b"S", b"T"]


async def test_no_thread_is_left_behind(path: Path) -> None:
    """After `close` there are as many threads and open files as before `open`."""
    before = threading.active_count(), open_files()
    store = SqliteStore.open(path, create=True)
    await store.commit(upload())
    await store.script(REF)
    await store.close()

    assert before == (threading.active_count(), open_files())
    assert [path] == list(path.parent.iterdir())
