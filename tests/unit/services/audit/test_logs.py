"""Reading the audit log: each entry once, in order, in any period, however its times are ordered."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.stores import open_store

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.services.audit.archiving import archive_change
from nightsafe.services.audit.logs import AuditLogs, LogEntry, Span, number_of_id
from nightsafe.store.changes import ArchivedEntries, AuditEntry, Change
from nightsafe.store.scripts import ALWAYS, Period
from nightsafe.store.sqlite import SqliteStore

ACCOUNT, OTHER = "a" * 32, "b" * 32
BLOCK = 256


def event(at: int, account_id: str = ACCOUNT) -> AuditEvent:
    """Return an event at a time."""
    return AuditEvent(at=at, action="secrets.put", actor="t", actor_kind="token", account_id=account_id)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store of the test's own."""
    store = open_store(tmp_path / "safe" / "store.db")
    yield store
    await store.close()


async def write(store: SqliteStore, *times: int, account_id: str = ACCOUNT) -> None:
    """Write an entry for each time, in this order."""
    changes = [Change(at=at, audit=entry_for(event(at, account_id))) for at in times]
    await asyncio.gather(*map(store.commit, changes))


async def times_in(
    logs: AuditLogs, period: Period = ALWAYS, *, newest_first: bool = False, limit: int = 9999, skip: int = 0
) -> list[int]:
    """Return the times of the entries in a period."""
    span = Span(1, await logs.newest(ACCOUNT), newest_first)
    found = await logs.find(ACCOUNT, span, period, lambda _: True, limit, skip=skip)
    return [entry.event.at for entry in found]


async def test_entries_come_in_order_and_only_of_the_account(store: SqliteStore) -> None:
    """A log has the entries of its account in the order of writing, in both directions, over many blocks."""
    logs = AuditLogs(store)
    assert [] == await times_in(logs) == await times_in(logs, newest_first=True)
    for start in range(0, 3 * BLOCK, 64):
        await write(store, *range(start, start + 64))
        await write(store, 5, 6, account_id=OTHER)

    assert [*range(3 * BLOCK)] == await times_in(logs)
    assert [*range(3 * BLOCK)][::-1] == await times_in(logs, newest_first=True)
    assert [3, 4] == await times_in(logs, limit=2, skip=3)
    assert [3 * BLOCK - 1 - 3] == await times_in(logs, newest_first=True, limit=1, skip=3)


async def test_entries_far_apart_are_found(store: SqliteStore) -> None:
    """Many entries of other accounts between two entries of an account hide neither."""
    await write(store, 1)
    await write(store, *range(2 * BLOCK + 10), account_id=OTHER)
    await write(store, 2)
    await write(store, *range(BLOCK + 10), account_id=OTHER)
    await write(store, 3)

    for _ in range(2):
        logs = AuditLogs(store)
        assert [1, 2, 3] == await times_in(logs)
        assert [3, 2, 1] == await times_in(logs, newest_first=True)


@settings(max_examples=examples(15), deadline=None)
@given(
    times=st.lists(st.integers(0, 20), min_size=1, max_size=12),
    periods=st.lists(st.tuples(st.integers(0, 21), st.integers(0, 21)), min_size=1, max_size=4),
)
def test_a_period_has_every_entry_however_the_clocks_stood(
    times: list[int], periods: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A period has exactly the entries with these times, also if later entries have earlier times.

    The second answer, from what the first one has kept, is the same.
    """

    async def check() -> None:
        """Compare each answer with the list of times."""
        store = open_store(tmp_path_factory.mktemp("log") / "safe" / "store.db")
        for time in times:  # a part of a block each, so that whole blocks have different times
            await write(store, *[time] * 90)
        logs, written = AuditLogs(store), [time for time in times for _ in range(90)]
        for since, until in periods * 2:
            expected = [time for time in written if since <= time <= until]
            assert expected == await times_in(logs, Period(since, until))
            assert expected[::-1] == await times_in(logs, Period(since, until), newest_first=True)
        await store.close()

    asyncio.run(check())


class CountingStore:
    """A store that counts the entries that it reads."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.read = 0

    def __getattr__(self, name: str) -> object:
        """Return a method of the store."""
        return getattr(self.store, name)

    async def audit_between(self, account_id: str, first: int, last: int) -> list[tuple[int, AuditEntry]]:
        """Read entries, and count them."""
        rows = await self.store.audit_between(account_id, first, last)
        self.read += len(rows)
        return rows


async def test_blocks_outside_a_period_are_read_once(store: SqliteStore) -> None:
    """The times of whole blocks are kept: a period far back in the log then costs no reads in between."""
    await write(store, *range(8 * BLOCK))
    counting = CountingStore(store)
    logs = AuditLogs(counting)  # type: ignore[arg-type]
    period = Period(BLOCK + 3, BLOCK + 5)

    assert [BLOCK + 5, BLOCK + 4, BLOCK + 3] == await times_in(logs, period, newest_first=True)
    assert 8 * BLOCK == counting.read
    counting.read = 0
    await write(store, BLOCK + 4)

    assert [BLOCK + 4, BLOCK + 5, BLOCK + 4, BLOCK + 3] == await times_in(logs, period, newest_first=True)
    assert 3 * BLOCK >= counting.read


async def test_a_block_that_still_grows_is_not_kept(store: SqliteStore) -> None:
    """A question about numbers that are still to come does not hide the entries that get them later."""
    await write(store, *range(BLOCK + 10))
    logs = AuditLogs(store)
    assert [] == await logs.find(ACCOUNT, Span(1, 1 << 60), Period(9999), lambda _: True, 9)
    await write(store, 9999)

    for newest_first in (True, False):
        assert [9999] == await times_in(logs, Period(9999), newest_first=newest_first)


async def test_other_tasks_run_while_a_log_is_read(store: SqliteStore) -> None:
    """A long log is read in parts, and other tasks run in between."""
    await write(store, *range(4 * BLOCK))
    turns = 0

    async def bystander() -> None:
        """Count its own turns."""
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.ensure_future(bystander())
    assert [] == await AuditLogs(store).find(ACCOUNT, Span(1, 4 * BLOCK), ALWAYS, lambda _: False, 1)
    other.cancel()

    assert 4 <= turns


async def test_an_id_leads_to_its_entry(store: SqliteStore) -> None:
    """An ID has 32 hex digits and says where its entry is; no two entries share one, even with the same content."""
    await write(store, 1, 1, 1)
    found: list[LogEntry] = await AuditLogs(store).find(ACCOUNT, Span(1, 9), ALWAYS, lambda _: True, 9)

    assert [1, 2, 3] == [entry.number for entry in found] == [number_of_id(entry.id) for entry in found]
    assert {32} == {len(entry.id) for entry in found}
    assert [None] * 4 == [number_of_id(wrong) for wrong in ("", "x" * 32, "f" * 32, "٣" * 32)]


async def test_a_list_begins_with_the_first_entry_that_is_not_archived(store: SqliteStore) -> None:
    """Archived entries are left out, in both directions, also for a reader that has seen them before."""
    logs = AuditLogs(store)
    await write(store, *range(3 * BLOCK))
    assert [*range(3 * BLOCK)] == await times_in(logs)
    end = 2 * BLOCK + 7
    await store.commit(archive_change(ArchivedEntries(0, end), 0))

    for reader in (logs, AuditLogs(store)):
        assert [*range(end, 3 * BLOCK)] == await times_in(reader)
        assert [*range(end, 3 * BLOCK)][::-1] == await times_in(reader, newest_first=True)
        assert [] == await times_in(reader, Period(0, end - 1))


async def test_a_long_archive_is_not_searched(store: SqliteStore) -> None:
    """A list reads nothing of the archived entries, however many there are."""
    await write(store, *range(8 * BLOCK))
    await store.commit(archive_change(ArchivedEntries(0, 8 * BLOCK), 0))
    counting = CountingStore(store)

    assert [] == await times_in(AuditLogs(counting))  # type: ignore[arg-type]  # only what a reader calls
    assert 0 == counting.read
