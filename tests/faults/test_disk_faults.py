"""A disk that is full, or syncs nothing: what writes are answered, and what is stored after a crash."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from math import inf
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.engines.tools.changes import REF, secret, setting, upload
from tests.faults.disk import Disk, crash_image
from tests.stores import SIGNING_KEY

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine.condition import PAGE_BYTES


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Yield the disk under the store."""
    with Disk() as made:
        yield made


@pytest.fixture
async def store(disk: Disk, path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store with one script."""
    opened = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
    await opened.commit(upload())
    yield opened
    disk.heal()
    await opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the store."""
    return tmp_path / "safe" / "store.db"


async def refusal(store: SqliteStore, *names: str) -> set[Code]:
    """Write several secrets at once, which must all be refused; return the codes."""
    writes = (store.commit(setting(secret(name), most=10_000)) for name in names)
    errors = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(error, NightsafeError) for error in errors), errors
    return {error.code for error in errors if isinstance(error, NightsafeError)}


async def names(store: SqliteStore) -> set[str]:
    """Return the names of the stored bindings."""
    return {binding.name for binding in await store.bindings(REF)}


async def names_after_crash(path: Path, folder: Path) -> set[str]:
    """Return the names that a new process finds after this one is killed at this moment."""
    store = SqliteStore.open(crash_image(path, folder), signer=SIGNING_KEY)
    found = await names(store)
    await store.close()
    return found


@pytest.mark.parametrize("count", [1, 3, 40])
async def test_a_write_whose_sync_fails_is_undone(
    disk: Disk, store: SqliteStore, path: Path, tmp_path: Path, count: int
) -> None:
    """A write that is refused because its sync failed is not stored, neither now nor after a crash and a restart."""
    kept = await names(store)
    disk.unsynced = 1

    assert {Code.NOT_DURABLE} == await refusal(store, *(f"S{number}" for number in range(count)))

    assert kept == await names(store) == await names_after_crash(path, tmp_path / "crashed")
    await store.commit(setting(secret("NEXT")))
    assert kept | {"NEXT"} == await names(store) == await names_after_crash(path, tmp_path / "later")
    assert (1, 0) == (store.figures().undone_commits, store.figures().unknown_commits)


async def test_a_write_that_cannot_be_undone_is_unknown(
    disk: Disk, store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    """While nothing can be synced, no write is called failed; the next write that succeeds settles the outcome."""
    kept = await names(store)
    disk.unsynced = inf

    assert {Code.OUTCOME_UNKNOWN} == await refusal(store, "LOST")

    assert kept == await names(store)
    disk.heal()
    await store.commit(setting(secret("NEXT")))
    assert kept | {"NEXT"} == await names(store) == await names_after_crash(path, tmp_path / "crashed")


async def test_a_full_disk_has_a_code_of_its_own(disk: Disk, store: SqliteStore, path: Path, tmp_path: Path) -> None:
    """A write and the check say DISK_FULL from the first moment on, and the log says it once.

    Nothing is changed, and reads go on. With room again everything works without a restart.
    """
    kept = await names(store)
    disk.full = True
    with capture_logs() as log:
        with pytest.raises(NightsafeError) as checked:
            await store.check()
        assert Code.DISK_FULL is checked.value.code
        for _ in range(3):
            assert {Code.DISK_FULL} == await refusal(store, *(f"S{number}" for number in range(400)))
            with pytest.raises(NightsafeError) as checked:
                await store.check()
            assert Code.DISK_FULL is checked.value.code
        assert kept == await names(store) == await names_after_crash(path, tmp_path / "crashed")
        disk.full = False
        await store.check()
        await store.commit(setting(secret("NEXT")))

    assert kept | {"NEXT"} == await names(store)
    told = [(line["event"], line["kind"]) for line in log]
    assert [("store.trouble", "disk_full"), ("store.well_again", "disk_full")] == told


async def test_the_check_needs_room_for_more_than_a_row(disk: Disk, store: SqliteStore) -> None:
    """A refused write leaves room for a row in the log, which does not prove that anything can be written."""
    disk.full = True
    with pytest.raises(NightsafeError, match="full"):
        await store.commit(upload(ref=REF, bodies=(b"x" * 1_000_000,)))
    for _ in range(5):
        with pytest.raises(NightsafeError) as caught:
            await store.check()
        assert Code.DISK_FULL is caught.value.code


async def test_each_check_takes_one_page_of_the_log(store: SqliteStore, path: Path) -> None:
    """Each check makes the log one page longer; the rest that it writes is overwritten, and not in the database."""
    log = path.with_name("store.db-wal")
    await store.check()
    size = log.stat().st_size
    for _ in range(50):
        await store.check()

    assert size + 50 * PAGE_BYTES == log.stat().st_size
    assert 51 == store._reader.one("SELECT count FROM probe")[0]
