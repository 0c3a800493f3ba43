"""Archived entries: their texts leave the store, and their hashes stay."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, change, entry

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.tree import leaf_hash
from nightsafe.store.changes import ArchivedEntries, AuditEntry
from nightsafe.store.interface import Store


@pytest.fixture
def is_owner() -> bool:
    """Archive with the role that owns the tables, because the one that serves must not change the log."""
    return True


async def archive(store: Store, first: int, end: int) -> None:
    """Archive entries."""
    audit = entry(f"archived {first} to {end}", "")
    await store.commit(replace(change(audit=audit), archive=ArchivedEntries(first, end)))


async def test_archived_entries_are_empty_and_keep_their_hashes(store: Store) -> None:
    """Archived entries have an empty text and their account; their leaf hashes and those of the others stay."""
    for number in range(6):
        await store.commit(change(audit=entry(str(number), OTHER_ACCOUNT if number % 2 else ACCOUNT)))
    before = await store.log_entries(0, 6)
    await archive(store, 0, 2)
    await archive(store, 2, 4)
    found = await store.log_entries(0, 8)

    assert [one.leaf for one in before] == [one.leaf for one in found[:6]] == await store.log_hashes(0, 0, 6)
    assert [AuditEntry(one.account_id, b"", one.leaf) for one in before[:4]] == found[:4]
    assert before[4:] == found[4:6]
    assert all(leaf_hash(one.entry) == one.leaf for one in found[4:])


async def test_reads_of_entries_leave_archived_ones_out(store: Store) -> None:
    """Other reads begin with the first entry that is not archived, and the newest entry is still known."""
    for number in range(6):
        await store.commit(change(audit=entry(str(number), OTHER_ACCOUNT if number == 5 else ACCOUNT)))
    head = await store.audit_head(ACCOUNT)
    await archive(store, 0, 5)

    assert [6, 7] == [number for number, _ in await store.audit_entries_of_all_accounts()]
    assert [7] == [number for number, _ in await store.audit_entries_of_all_accounts(6)]
    assert [b""] * 5 == [found.entry for _, found in await store.audit_entries(ACCOUNT)]
    assert [(6, entry("5").entry)] == [
        (number, found.entry) for number, found in await store.audit_entries(OTHER_ACCOUNT)
    ]
    assert [] == await store.audit_between(ACCOUNT, 1, 9)
    assert [6] == [number for number, _ in await store.audit_between(OTHER_ACCOUNT, 1, 9)]
    assert (None, 6) == (await store.audit_number_after(ACCOUNT, 0), await store.audit_number_after(OTHER_ACCOUNT, 0))
    assert (None, 6) == (
        await store.audit_number_before(ACCOUNT, 9),
        await store.audit_number_before(OTHER_ACCOUNT, 9),
    )
    assert (7, head) == (await store.last_audit_number(), await store.audit_head(ACCOUNT))


@pytest.mark.parametrize(("first", "end"), [(0, 2), (1, 3), (3, 4), (2, 9)])
async def test_only_the_next_entries_can_be_archived(store: Store, first: int, end: int) -> None:
    """A change is refused, and nothing is changed, unless its entries follow the archived ones and are in the log."""
    for number in range(4):
        await store.commit(change(audit=entry(str(number))))
    await archive(store, 0, 2)
    before = await store.log_entries(0, 9)

    with pytest.raises(NightsafeError, match="not the next ones to archive") as refused:
        await archive(store, first, end)

    assert Code.UNAVAILABLE == refused.value.code
    assert before == await store.log_entries(0, 9)
    await archive(store, 2, 4)


async def test_the_log_goes_on_after_archiving(store: Store) -> None:
    """Entries that are written in the same transaction as an archiving, and after it, are in the log."""
    for number in range(3):
        await store.commit(change(audit=entry(str(number))))
    await asyncio.gather(store.commit(change(audit=entry("before"))), archive(store, 0, 3))
    await store.commit(change(audit=entry("after")))

    assert [4, 5, 6] == [number for number, _ in await store.audit_entries_of_all_accounts()]
