"""Collections: creation, reads, bodies, limits and removal."""

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, change
from tests.engines.tools.collections import (
    KINDS,
    NAME,
    everything,
    held,
    holding,
    making,
    new_collection,
    putting,
    value,
)
from tests.engines.tools.engine import Engine
from tests.engines.tools.refusals import refusal

from nightsafe.errors import Code
from nightsafe.store.changes import Outcome
from nightsafe.store.collections import Kind
from nightsafe.store.identities import Account
from nightsafe.store.interface import Store


@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_collection_is_read_as_it_was_created(store: Store, kind: Kind) -> None:
    """The outcome and every read return a new collection as it was created, with one audit entry."""
    new = new_collection(kind=kind, body=b'{"a":1,"b":null}')

    outcome = await store.commit(making(new))

    assert Outcome(collection=new) == outcome
    assert new == await store.collection(ACCOUNT, kind, NAME)
    assert [new] == await store.collections(ACCOUNT, kind)
    assert [] == await store.items(ACCOUNT, new.id)
    assert 1 == len(await store.audit_entries(ACCOUNT))


async def test_a_collection_can_be_created_with_items_and_body(store: Store) -> None:
    """Items and body members in the same edit are applied to the new collection, which keeps its own times."""
    new, one, two = new_collection(body=b'{"a":1}'), value("B"), value("A")

    outcome = await store.commit(making(new, put=(one, two), body=b'{"b":2}'))

    expected = replace(new, body=b'{"a":1,"b":2}')
    assert Outcome(collection=expected, items=(two, one)) == outcome
    assert expected == await store.collection(ACCOUNT, new.kind, NAME)
    assert [two, one] == await store.items(ACCOUNT, new.id)


async def test_absent_collections_are_none_or_empty(store: Store) -> None:
    """Reads of absent collections return None or nothing, also beside an existing one."""
    await store.commit(making(new_collection()))

    assert None is await store.collection(ACCOUNT, Kind.SECRETS_STORE, "other")
    assert None is await store.collection(ACCOUNT, Kind.PAGES_PROJECT, NAME)
    assert None is await store.collection(OTHER_ACCOUNT, Kind.SECRETS_STORE, NAME)
    assert [] == await store.collections(ACCOUNT, Kind.PAGES_PROJECT)
    assert [] == await store.collections(OTHER_ACCOUNT, Kind.SECRETS_STORE)
    assert [] == await store.items(ACCOUNT, "0" * 32)


async def test_collections_are_listed_by_name_in_byte_order(store: Store) -> None:
    """Collections are ordered by the UTF-8 bytes of their names."""
    names = ["a", "Z", "é", "\U0001f511", "z", "￿", "A1", "A"]
    for name in names:
        await store.commit(making(new_collection(name)))

    assert sorted(names, key=str.encode) == [
        collection.name for collection in await store.collections(ACCOUNT, Kind.SECRETS_STORE)
    ]


async def test_a_name_is_taken_only_in_its_account_and_kind(store: Store) -> None:
    """A name can be used once for each kind and account; a second use is refused."""
    first = [new_collection(kind=kind, account_id=account) for kind in KINDS for account in (ACCOUNT, OTHER_ACCOUNT)]
    for new in first:
        await store.commit(making(new))
    before = await everything(store)

    problems = [
        await refusal(store, making(new_collection(kind=new.kind, account_id=new.account_id))) for new in first
    ]

    assert [[(Code.COLLECTION_TAKEN, NAME)]] * 6 == problems
    assert before == await everything(store)
    assert first == [await store.collection(new.account_id, new.kind, NAME) for new in first]


async def test_an_id_is_taken_in_its_account(store: Store) -> None:
    """Two collections of one account cannot share an id; two collections of different accounts can."""
    new = new_collection()
    await store.commit(making(new, put=(value("A"),)))
    foreign = replace(new, account_id=OTHER_ACCOUNT)

    for other in (replace(new, name="other"), replace(new, kind=Kind.PAGES_PROJECT)):
        assert [(Code.COLLECTION_TAKEN, other.name)] == await refusal(store, making(other))
    await store.commit(making(foreign))

    assert 1 == len(await store.items(ACCOUNT, new.id))
    assert [] == await store.items(OTHER_ACCOUNT, new.id)


@pytest.mark.parametrize("kind", [*KINDS, Kind.SCRIPT])
async def test_an_edit_of_an_absent_collection_is_refused(store: Store, kind: Kind) -> None:
    """Every edit of an absent collection is refused, even one that would change nothing."""
    for other in KINDS:
        if other is not kind:
            await store.commit(making(new_collection(kind=other)))
    await store.commit(making(new_collection("other") if kind is not Kind.SECRETS_STORE else new_collection("x")))
    before = await everything(store)

    for wanted in (
        holding(kind=kind),
        holding(kind=kind, put=(value("A"),)),
        holding(kind=kind, drop=(("", "A"),)),
        holding(kind=kind, body=b'{"a":1}'),
    ):
        assert [(Code.COLLECTION_NOT_FOUND, NAME)] == await refusal(store, wanted)
    assert before == await everything(store)


@pytest.mark.parametrize("kind", KINDS)
async def test_removal_of_an_absent_collection_is_refused(store: Store, kind: Kind) -> None:
    """The removal of an absent collection, or of another account's, is refused."""
    await store.commit(making(new_collection(kind=kind, account_id=OTHER_ACCOUNT)))
    before = await everything(store)

    assert [(Code.COLLECTION_NOT_FOUND, NAME)] == await refusal(store, holding(kind=kind, remove=True))
    assert before == await everything(store)


@pytest.mark.parametrize("kind", KINDS)
async def test_removal_removes_the_items(store: Store, kind: Kind) -> None:
    """A removed collection and its items are gone, its name and ids are free, and other collections stay."""
    new, items = new_collection(kind=kind), (value("A"), value("B", "preview"))
    others = [
        new_collection("other", kind),
        new_collection(kind=next(other for other in KINDS if other is not kind)),
        new_collection(kind=kind, account_id=OTHER_ACCOUNT),
    ]
    for collection in (new, *others):
        await store.commit(making(collection, put=items))

    outcome = await store.commit(holding(kind=kind, remove=True))

    assert Outcome() == outcome
    assert None is await store.collection(ACCOUNT, kind, NAME)
    assert [] == await store.items(ACCOUNT, new.id)
    for collection in others:
        assert collection == await store.collection(collection.account_id, collection.kind, collection.name)
        assert list(items) == await store.items(collection.account_id, collection.id)
    assert 4 == len(await store.audit_entries(ACCOUNT))
    assert Outcome(collection=new) == await store.commit(making(new))


async def test_body_is_merged_member_by_member(store: Store) -> None:
    """A body's members are replaced whole; null members are removed; other members stay byte for byte."""
    new = new_collection(body=b'{"stays":[1, 2],"goes":1,"deep":{"a":1,"b":2}}')
    await store.commit(making(new))

    outcome = await store.commit(holding(body=b'{"deep":{"c":null},"goes":null,"absent":null,"new":"\\u00e9"}'))

    assert outcome.collection is not None
    assert b'{"stays":[1, 2],"deep":{"c":null},"new":"\\u00e9"}' == outcome.collection.body
    assert outcome.collection == await store.collection(ACCOUNT, new.kind, NAME)


async def test_an_edit_based_on_an_older_body_is_refused(store: Store) -> None:
    """An edit based on an older body is refused with UNAVAILABLE and changes nothing."""
    await store.commit(making(new_collection(body=b'{"a":1}')))
    await store.commit(holding(body=b'{"a":2}', expected_body=b'{"a":1}'))
    before = await everything(store)

    refused = await refusal(store, holding(body=b'{"a":3}', expected_body=b'{"a":1}', put=(value("A"),)))

    assert [Code.UNAVAILABLE] == [code for code, _ in refused]
    assert before == await everything(store)


async def test_a_change_sets_the_collections_modified_time(store: Store) -> None:
    """An altered body, put items and dropped items each set `modified_on` to the time of the change."""
    new = new_collection()
    await store.commit(making(new))
    for wanted in (holding(body=b'{"a":1}'), putting(value("A")), holding(drop=(("", "A"),))):
        outcome = await store.commit(wanted)

        assert outcome.collection is not None
        expected = replace(new, modified_on=wanted.at, body=b'{"a":1}')
        assert expected == outcome.collection
        assert expected == await store.collection(ACCOUNT, new.kind, NAME)


async def test_a_change_leaves_other_collections_times(store: Store) -> None:
    """A change of one collection leaves the times of the account's other collections."""
    one, two = new_collection("one"), new_collection("two")
    for new in (one, two):
        await store.commit(making(new))

    await store.commit(holding("one", put=(value("A"),)))

    assert two == await store.collection(ACCOUNT, two.kind, "two")


async def test_an_edit_that_alters_nothing_writes_nothing(store: Store) -> None:
    """An edit that alters nothing returns the collection and its items, without an audit entry or a commit."""
    new, kept = new_collection(body=b'{"a": 1,"b":{"c":null}}'), value("A")
    await store.commit(making(new, put=(kept,)))
    before, generation = await everything(store), store.generation()

    for wanted in (
        holding(),
        holding(body=b"{}"),
        holding(body=b'{"x":null}'),
        holding(body=b'{"b":{"c":null}}'),
        holding(drop=(("", "X"), ("preview", "A"))),
        holding(max_collections=1, max_items=1),
    ):
        assert Outcome(collection=new, items=(kept,)) == await store.commit(wanted)

    assert before == await everything(store)
    assert generation == store.generation()


async def test_identities_are_put_beside_an_unaltered_collection(store: Store) -> None:
    """A change that puts identities is written with its audit entry even if its edit alters nothing."""
    await store.commit(making(new_collection()))
    account = Account(ACCOUNT, "Home", 1)

    await store.commit(replace(holding(), put=(account,)))

    assert account == await store.account(ACCOUNT)
    assert 2 == len(await store.audit_entries(ACCOUNT))


async def test_a_refused_collection_edit_puts_no_identity(store: Store) -> None:
    """A change with a refused collection edit does not put its identities either."""
    wanted = replace(holding(), put=(Account(ACCOUNT, "Home", 1),))

    assert [(Code.COLLECTION_NOT_FOUND, NAME)] == await refusal(store, wanted)

    assert None is await store.account(ACCOUNT)
    assert [] == await store.audit_entries(ACCOUNT)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_number_of_collections_is_limited(store: Store, kind: Kind) -> None:
    """One collection more than `max_collections` is refused; other kinds and accounts do not count."""
    others = [new_collection(kind=other) for other in KINDS if other is not kind]
    foreign = [new_collection(name, kind, OTHER_ACCOUNT) for name in ("x", "y", "z")]
    for new in (*others, *foreign):
        await store.commit(making(new))
    for name in ("a", "b"):
        await store.commit(making(new_collection(name, kind), max_collections=2))
    before = await everything(store)

    problems = await refusal(store, making(new_collection("c", kind), max_collections=2))

    assert [(Code.TOO_MANY_COLLECTIONS, "2")] == problems
    assert before == await everything(store)
    await store.commit(making(new_collection("c", kind), max_collections=3))
    await store.commit(making(new_collection("d", kind)))


async def test_only_empty_keeps_a_collection_with_items(store: Store) -> None:
    """With `only_empty`, the removal is refused with the number of items until no item is left."""
    await store.commit(making(new_collection(), put=(value("A"), value("B"))))
    await store.commit(making(new_collection("other"), put=(value("A"),)))

    assert [(Code.COLLECTION_NOT_EMPTY, "2")] == await refusal(store, holding(remove=True, only_empty=True))
    assert ["A", "B"] == [item.name for item in await held(store)]
    await store.commit(holding(drop=(("", "A"), ("", "B"))))
    await store.commit(holding(remove=True, only_empty=True))
    await store.commit(holding("other", remove=True))
    assert [] == await store.collections(ACCOUNT, Kind.SECRETS_STORE)


async def test_collections_past_the_limit_can_be_edited_and_removed(store: Store) -> None:
    """After a limit was lowered, only new collections are refused."""
    for name in ("a", "b"):
        await store.commit(making(new_collection(name)))

    await store.commit(holding("a", body=b'{"x":1}', max_collections=1))
    await store.commit(holding("a", remove=True, max_collections=1))

    assert [(Code.TOO_MANY_COLLECTIONS, "1")] == await refusal(store, making(new_collection("a"), max_collections=1))


@pytest.mark.parametrize("kind", KINDS)
async def test_the_number_of_items_is_limited(store: Store, kind: Kind) -> None:
    """All items of the account's collections of one kind count, in every environment; other items do not."""
    for new in (
        *(new_collection(kind=other) for other in KINDS if other is not kind),
        new_collection(kind=kind, account_id=OTHER_ACCOUNT),
        new_collection("x", kind),
    ):
        await store.commit(making(new, put=(value("A"), value("B"))))
    await store.commit(making(new_collection(kind=kind), put=(value("A"),), max_items=3))
    before = await everything(store)

    problems = await refusal(store, holding(kind=kind, put=(value("A", "preview"),), max_items=3))

    assert [(Code.TOO_MANY_ITEMS, "3")] == problems
    assert before == await everything(store)
    await store.commit(holding(kind=kind, put=(value("A", "preview"),), max_items=4))
    await store.commit(holding(kind=kind, put=(value("C"),)))


async def test_a_new_collections_items_count_against_the_limit(store: Store) -> None:
    """A collection with more items than the limit is not created."""
    problems = await refusal(store, making(new_collection(), put=(value("A"), value("B")), max_items=1))

    assert [(Code.TOO_MANY_ITEMS, "1")] == problems
    assert None is await store.collection(ACCOUNT, Kind.SECRETS_STORE, NAME)


async def test_items_past_the_limit_can_be_replaced_exchanged_and_dropped(store: Store) -> None:
    """A change that adds no items is not refused, even with more items than the limit."""
    await store.commit(making(new_collection(), put=(value("A"), value("B"), value("C"))))

    await store.commit(putting(value("A"), max_items=1))
    await store.commit(putting(value("D"), drop=(("", "A"),), max_items=1))
    outcome = await store.commit(holding(drop=(("", "B"),), max_items=1))

    assert ["C", "D"] == [item.name for item in outcome.items]


async def test_a_contradictory_edit_is_refused(store: Store) -> None:
    """An edit that creates another collection than its own, or that creates or removes a script, is refused."""
    script = new_collection(kind=Kind.SCRIPT)
    for wanted in (
        making(script),
        holding(kind=Kind.SCRIPT, remove=True),
        holding("other", create=new_collection()),
        holding(kind=Kind.PAGES_PROJECT, create=new_collection()),
        holding(account_id=OTHER_ACCOUNT, create=new_collection()),
    ):
        [(code, detail)] = await refusal(store, wanted)
        assert Code.INVALID is code
        assert "collection" in detail
    assert [[], []] == await everything(store)


async def test_collections_survive_reopening(engine: Engine) -> None:
    """Closing and opening the store changes nothing."""
    store = await engine.open()
    await store.commit(making(new_collection(body=b'{"a":1}'), put=(value("A"),)))
    await store.commit(putting(value("B", "preview")))
    before = await everything(store)
    await store.close()

    store = await engine.open()
    try:
        assert before == await everything(store)
    finally:
        await store.close()


async def test_an_outcome_without_collection_edit_has_none(store: Store) -> None:
    """The outcome of a change without a collection edit has no collection and no items."""
    assert Outcome() == await store.commit(change())
