"""The audit log of all accounts."""

from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, change, dropping, entry, secret, setting, upload
from tests.engines.tools.engine import Engine
from tests.engines.tools.refusals import refusal

from nightsafe.errors import Code
from nightsafe.merkle.tree import leaf_hash
from nightsafe.store.changes import AuditEntry
from nightsafe.store.interface import Store


async def everything(store: Store, limit: int = 100, max_bytes: int = 1 << 20) -> list[tuple[int, AuditEntry]]:
    """Return the entries of all accounts, page by page."""
    found: list[tuple[int, AuditEntry]] = []
    while page := await store.audit_entries_of_all_accounts(found[-1][0] if found else 0, limit, max_bytes):
        found += page
    return found


async def test_the_log_of_all_accounts_is_in_the_order_of_commits(store: Store) -> None:
    """Entries of several accounts have numbers from 1 without gaps, in the order of their commits."""
    written = [entry(f"entry {number}", (ACCOUNT, OTHER_ACCOUNT)[number % 2]) for number in range(20)]
    for one in written:
        await store.commit(change(audit=one))

    expected = [(number, replace(one, leaf=leaf_hash(one.entry))) for number, one in enumerate(written, 1)]
    assert expected == await store.audit_entries_of_all_accounts()
    assert expected == await everything(store, limit=3)
    assert 20 == await store.last_audit_number()


async def test_refused_and_empty_changes_leave_no_gap(store: Store) -> None:
    """The numbers have no gap after refused changes and after changes that alter nothing."""
    await store.commit(upload())
    assert [(Code.BINDING_NOT_FOUND, "ABSENT")] == await refusal(store, dropping("ABSENT"))
    await store.commit(dropping("ABSENT", require=False))
    await store.commit(setting(secret("S")))

    assert [1, 2] == [number for number, _ in await store.audit_entries_of_all_accounts()]
    assert 2 == await store.last_audit_number()


async def test_an_empty_log(store: Store) -> None:
    """The number of an empty log is 0, and it has no entries."""
    assert (0, []) == (await store.last_audit_number(), await store.audit_entries_of_all_accounts())


async def test_a_page_is_limited_by_size(store: Store) -> None:
    """A page ends before the entry that would exceed the size; an entry that is larger is alone in its page."""
    for size in (10, 10, 10, 500, 10):
        await store.commit(change(audit=entry("x" * size)))
    small, large = (len(entry("x" * size).entry) for size in (10, 500))

    pages, after = [], 0
    while page := await store.audit_entries_of_all_accounts(after, 100, small * 2 + 5):
        pages.append([len(one.entry) for _, one in page])
        after = page[-1][0]
    assert [[small, small], [small], [large], [small]] == pages


async def test_another_process_sees_the_same_log(engine: Engine) -> None:
    """An entry that one store has committed is at once in the log that another store of the same data reads."""
    first, second = await engine.open(), await engine.open()
    try:
        await first.commit(change(audit=entry("one")))
        assert 1 == await second.last_audit_number()
        await second.commit(change(audit=entry("two", OTHER_ACCOUNT)))
        assert [entry("one").entry, entry("two").entry] == [
            one.entry for _, one in await first.audit_entries_of_all_accounts()
        ]
    finally:
        await first.close()
        await second.close()
