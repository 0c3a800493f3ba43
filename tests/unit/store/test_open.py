"""Opening a store: files and modes, schema versions, and refusals."""

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.engines.tools.changes import REF, secret, setting, upload
from tests.stores import SIGNING_KEY, open_store

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine import connection, schema


@contextmanager
def refused(match: str | None = None) -> Iterator[None]:
    """Check that the block is refused with STORE and a matching message, and leaves no thread."""
    threads = threading.active_count()
    with pytest.raises(NightsafeError, match=match) as caught:
        yield
    assert Code.STORE is caught.value.code
    assert threads == threading.active_count()


def open_files() -> list[str]:
    """Return the open descriptors of this process."""
    return sorted(file.name for file in Path("/proc/self/fd").iterdir())


def read(path: Path) -> bytes:
    """Return a file's content."""
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    """Overwrite a file."""
    path.write_bytes(content)


def mode(path: Path) -> int:
    """Return the permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
async def test_files_are_readable_by_the_owner_only(path: Path, mask: int) -> None:
    """The database, its log and its index have mode 0600 and the folder 0700, with any umask."""
    before = os.umask(mask)
    try:
        store = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
        await store.commit(upload())
        modes = {file.name: mode(file) for file in path.parent.iterdir()}
        await store.close()
    finally:
        os.umask(before)

    assert dict.fromkeys(["store.db", "store.db-wal", "store.db-shm"], 0o600) == modes
    assert mode(path.parent) == 0o700


async def test_a_missing_store_is_not_created_without_create(path: Path) -> None:
    """Without `create` a missing file is refused and not created."""
    with refused():
        SqliteStore.open(path, signer=SIGNING_KEY)

    assert not path.parent.exists()


async def test_an_empty_file_is_not_made_a_store_without_create(path: Path) -> None:
    """Without `create` an empty file is refused: it has lost its content, and is not a store to fill."""
    connection.create_file(path)

    with refused("the database is empty"):
        SqliteStore.open(path, signer=SIGNING_KEY)


async def test_create_keeps_an_existing_stores_data(path: Path) -> None:
    """With `create` an existing store keeps its data."""
    store = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
    await store.commit(upload())
    await store.close()

    store = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
    found = await store.script(REF)
    await store.close()

    assert found is not None


async def test_a_file_that_is_not_a_database_is_refused(path: Path) -> None:
    """A file of another kind is refused and not changed."""
    other = b"no database" * 1000
    connection.create_file(path)
    write(path, other)

    with refused():
        SqliteStore.open(path, create=True, signer=SIGNING_KEY)

    assert other == read(path)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A path below a plain file is refused with STORE, not with an operating-system error."""
    (tmp_path / "file").write_bytes(b"")

    with refused():
        SqliteStore.open(tmp_path / "file" / "store.db", create=True, signer=SIGNING_KEY)


async def test_a_newer_schema_is_refused(path: Path) -> None:
    """A database with a newer schema is refused with both version numbers, and not changed."""
    await SqliteStore.open(path, create=True, signer=SIGNING_KEY).close()
    newer = len(schema.migrations()) + 1
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {newer}")
    before = read(path)

    with refused(f"version {newer}.* up to {newer - 1}"):
        SqliteStore.open(path, signer=SIGNING_KEY)

    assert before == read(path)


def test_every_tables_key_begins_with_the_account() -> None:
    """Each table with an account_id has a unique key that begins with it."""
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
    """The schema refuses to change or delete an audit entry."""
    await store.commit(upload())

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for sql in ("UPDATE audit SET entry = x''", "UPDATE audit SET leaf = x''", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(sql)


async def test_the_writer_syncs_each_commit(store: SqliteStore) -> None:
    """The writer uses write-ahead mode, a sync at each commit, and secure deletion."""
    await store.commit(upload())
    db = store._writer._db
    assert db is not None

    found = {
        name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")
    }

    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


async def test_two_stores_of_one_file_see_each_others_commits(store: SqliteStore, path: Path) -> None:
    """A second store in the same process sees the first one's commits, and closing it does not affect the first."""
    second = open_store(path)
    await store.commit(upload())
    new = secret("S")
    await second.commit(setting(new))
    assert new.shown == await store.secret(REF, "S")
    await second.close()

    await store.commit(setting(secret("T")))

    assert [binding.name.encode() for binding in await store.bindings(REF)] == [b"S", b"T"]


async def test_close_leaves_no_thread_or_file_open(path: Path) -> None:
    """After `close` there are as many threads and open files as before `open`."""
    before = threading.active_count(), open_files()
    store = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
    await store.commit(upload())
    await store.script(REF)
    await store.close()

    assert before == (threading.active_count(), open_files())
    assert [path] == list(path.parent.iterdir())
