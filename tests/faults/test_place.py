"""Files of an open database are removed, moved or replaced: no write that would be lost is acknowledged."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.engines.tools.changes import REF, secret, setting, upload
from tests.faults.disk import crash_image
from tests.stores import SIGNING_KEY, open_store

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine.database_files import DatabaseFiles

Take = Callable[[Path, Path], None]
Give = Callable[[Path, Path], None]


def move_folder(folder: Path, aside: Path) -> None:
    """Move the whole data directory."""
    folder.rename(aside)


def move_files(folder: Path, aside: Path) -> None:
    """Move the files in it."""
    aside.mkdir()
    for path in folder.iterdir():
        path.rename(aside / path.name)


def move_database(folder: Path, aside: Path) -> None:
    """Move the database file alone."""
    aside.mkdir()
    (folder / "store.db").rename(aside / "store.db")


def move_log(folder: Path, aside: Path) -> None:
    """Move the log alone."""
    aside.mkdir()
    (folder / "store.db-wal").rename(aside / "store.db-wal")


def move_index(folder: Path, aside: Path) -> None:
    """Move the log's index alone."""
    aside.mkdir()
    (folder / "store.db-shm").rename(aside / "store.db-shm")


def replace(folder: Path, aside: Path) -> None:
    """Put another safe in its place."""
    folder.rename(aside)
    folder.mkdir()
    with closing(sqlite3.connect(folder / "store.db")) as other:
        other.execute("CREATE TABLE other (id)")


TAKEN: list[Take] = [move_folder, move_files, move_database, move_log, move_index, replace]


def give_back(folder: Path, aside: Path) -> None:
    """Put everything back where it was."""
    if (folder / "store.db").exists() and (aside / "store.db").exists():
        shutil.rmtree(folder)
    if not folder.exists():
        aside.rename(folder)
        return
    for path in aside.iterdir():
        path.rename(folder / path.name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the store."""
    return tmp_path / "safe" / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store with one script."""
    opened = open_store(path)
    await opened.commit(upload())
    yield opened
    await opened.close()


async def code_of(store: SqliteStore, name: str) -> tuple[Code, str] | None:
    """Write a secret; return the code and the words of the refusal, or None."""
    try:
        await store.commit(setting(secret(name)))
    except NightsafeError as error:
        return error.code, error.problems[0].detail
    return None


async def names(store: SqliteStore) -> set[str]:
    """Return the names of the stored bindings."""
    return {binding.name for binding in await store.bindings(REF)}


@pytest.mark.parametrize("take", TAKEN)
async def test_nothing_is_written_to_files_that_are_gone(
    store: SqliteStore, path: Path, tmp_path: Path, take: Take
) -> None:
    """Writes and the check are refused, reads go on with all acknowledged changes, and the log says it once.

    Once the same files are back, writes succeed again, and nothing is lost.
    """
    assert await code_of(store, "BEFORE") is None
    kept = await names(store)
    aside = tmp_path / "aside"
    take(path.parent, aside)
    with capture_logs() as log:
        for number in range(3):
            refused = await code_of(store, f"S{number}")
            assert refused is not None
            assert Code.FILE_GONE is refused[0]
            assert "nothing was changed" in refused[1]
            assert str(tmp_path) not in refused[1]
            with pytest.raises(NightsafeError) as caught:
                await store.check()
            assert Code.FILE_GONE is caught.value.code
            assert kept == await names(store)
            store._reader.release()
        give_back(path.parent, aside)
        await store.check()
        assert await code_of(store, "AFTER") is None

    told = [(line["event"], line["kind"]) for line in log]
    assert [("store.trouble", "file_gone"), ("store.well_again", "file_gone")] == told
    await store.close()
    again = SqliteStore.open(path, signer=SIGNING_KEY)
    assert kept | {"AFTER"} == await names(again)
    await again.close()


async def test_another_database_in_its_place_is_left_alone(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    """A store that is closed while another safe is in its place leaves that safe and its log as they are."""
    replace(path.parent, tmp_path / "aside")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL").fetchall()
        other.execute("INSERT INTO other VALUES (7)")
        before = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
        assert await code_of(store, "S") is not None
        await store.close()

        there = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
        assert before == there
        assert [(7,)] == other.execute("SELECT * FROM other").fetchall()


async def test_the_contents_of_a_removed_log_are_kept(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    """Removing the log loses nothing: the first refused write copies all of it into the database."""
    assert await code_of(store, "BEFORE") is None
    kept = await names(store)
    path.with_name("store.db-wal").unlink()

    assert await code_of(store, "S") is not None

    again = SqliteStore.open(crash_image(path, tmp_path / "crashed"), signer=SIGNING_KEY)
    assert kept == await names(again)
    await again.close()


async def test_a_commit_into_a_file_that_just_went_is_unknown(
    store: SqliteStore, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the files are moved between the first look and the end of the commit, the outcome is unknown."""
    looks, are_in_place = iter([True]), DatabaseFiles.are_in_place
    monkeypatch.setattr(DatabaseFiles, "are_in_place", lambda place: next(looks, None) or are_in_place(place))
    path.parent.rename(tmp_path / "aside")

    refused = await code_of(store, "S")

    assert refused is not None
    assert Code.OUTCOME_UNKNOWN is refused[0]
    assert "put back" in refused[1]
    (tmp_path / "aside").rename(path.parent)
    assert "S" in await names(store)


async def test_no_other_database_is_read(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    """A reader that needs a new connection is refused while another database is there, and goes on afterwards."""
    kept = await names(store)
    replace(path.parent, tmp_path / "aside")
    store._reader._drop()

    with pytest.raises(NightsafeError) as caught:
        await names(store)

    assert Code.FILE_GONE is caught.value.code
    give_back(path.parent, tmp_path / "aside")
    assert kept == await names(store)
