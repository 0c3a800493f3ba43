"""Parts of the audit log: entries by their sequence numbers, and the numbers around a gap."""

from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, change, entry

from nightsafe.store.interface import Store


async def test_a_part_has_the_entries_of_one_account_in_order(store: Store) -> None:
    """A part has the account's entries with these numbers, both ends included, and no others."""
    for number in range(6):
        account_id = OTHER_ACCOUNT if number % 3 == 1 else ACCOUNT
        await store.commit(change(audit=entry(str(number), account_id)))

    part = await store.audit_between(ACCOUNT, 3, 6)
    assert [(3, entry("2").entry), (4, entry("3").entry), (6, entry("5").entry)] == [
        (number, found.entry) for number, found in part
    ]
    assert await store.audit_entries(ACCOUNT, 2) == part
    assert [] == await store.audit_between(ACCOUNT, 7, 9) == await store.audit_between(ACCOUNT, 5, 4)


async def test_the_numbers_around_a_gap_are_found(store: Store) -> None:
    """The next and the previous entry of an account are found across entries of other accounts."""
    for account_id in (ACCOUNT, OTHER_ACCOUNT, OTHER_ACCOUNT, ACCOUNT):
        await store.commit(change(audit=entry(account_id=account_id)))

    assert [1, 4, 4, None] == [await store.audit_number_after(ACCOUNT, number) for number in (0, 1, 3, 4)]
    assert [None, 1, 1, 4] == [await store.audit_number_before(ACCOUNT, number) for number in (1, 2, 4, 9)]
