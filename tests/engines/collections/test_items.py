"""Items of a collection: puts, replacements, kept sealed records, drops and refusals."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT
from tests.engines.tools.collections import (
    LONG_AGO,
    NAME,
    everything,
    held,
    holding,
    making,
    new_collection,
    open_value,
    place_of,
    putting,
    some_id,
    value,
)
from tests.engines.tools.refusals import refusal
from tests.stores import SIGNING_KEY

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.proven_record import ProvenRecord
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.collections import Collection, Kind, PutMode
from nightsafe.store.interface import Store

LATER = 1_650_000_000_000_000
VERIFIER = VerifyKeys([SIGNING_KEY.verify_key])


@pytest.fixture(autouse=True)
async def collection(store: Store) -> Collection:
    """Return a new collection without items."""
    outcome = await store.commit(making(new_collection()))
    assert outcome.collection is not None
    return outcome.collection


async def test_items_are_ordered_by_environment_and_name(store: Store) -> None:
    """The outcome and the read return the items in the same order, with every field as it was put."""
    names = ["a", "Z", "é", "\U0001f511", "￿", "A1", "A", ""]
    items = [
        make(name, environment) for make in (value, open_value) for environment in ("b", "", "B") for name in names
    ]
    last = {(item.environment, item.name): item for item in items}
    ordered = [last[place] for place in sorted(last, key=lambda place: (place[0].encode(), place[1].encode()))]

    outcome = await store.commit(putting(*items))

    assert ordered == list(outcome.items)
    assert ordered == await held(store)


async def test_environments_are_separate(store: Store) -> None:
    """The same name in two environments is two items; each can be replaced or dropped alone."""
    production, preview = value("A", "production"), value("A", "preview")
    await store.commit(putting(production, preview))
    new = value("A", "preview")

    await store.commit(putting(new))
    assert [new, production] == await held(store)
    await store.commit(holding(drop=(("production", "A"),), require_drop=True))
    assert [new] == await held(store)


async def test_a_replaced_item_keeps_its_created_on(store: Store) -> None:
    """A replacement takes every field of the new item, including its id, except `created_on`."""
    old = value("A")
    new = open_value("A", created_on=LATER, modified_on=LATER + 1)
    await store.commit(putting(old))

    outcome = await store.commit(putting(new))

    expected = replace(new, created_on=old.created_on)
    assert (expected,) == outcome.items
    assert [expected] == await held(store)


async def test_a_dropped_name_gets_a_new_created_on(store: Store) -> None:
    """A name that is put again after a drop gets the new item's `created_on`."""
    await store.commit(putting(value("A")))
    await store.commit(holding(drop=(("", "A"),)))
    new = value("A", created_on=LATER)

    await store.commit(putting(new))

    assert [new] == await held(store)


async def test_last_of_equal_places_wins(store: Store) -> None:
    """When a change puts a place twice, the last item is kept with the `created_on` of the first."""
    last = value("A", created_on=LATER)

    outcome = await store.commit(putting(value("A"), last))

    assert (replace(last, created_on=value("A").created_on),) == outcome.items


async def test_amend_keeps_the_sealed_record_and_its_key(store: Store) -> None:
    """With `amend`, an item without a sealed record keeps the old record; an item with a record replaces it."""
    one, two = value("A"), value("B")
    await store.commit(putting(one, two))
    shown_only = open_value("A", id=one.id, modified_on=LATER)
    whole = value("B", key_id="key-2")

    outcome = await store.commit(putting(shown_only, whole, amend=True))

    expected = replace(shown_only, sealed=one.sealed, key_id="key-1")
    assert (expected, whole) == outcome.items
    assert [expected, whole] == await held(store)


async def test_amend_alters_only_the_named_members(store: Store) -> None:
    """Two concurrent amendments of different members are both kept."""
    one = value("A", shown=b'{"scopes":["a"],"comment":"old"}')
    await store.commit(putting(one))
    comment, scopes = (replace(one, shown=shown) for shown in (b'{"comment":"new"}', b'{"scopes":["b"]}'))

    await asyncio.gather(*(store.commit(putting(new, amend=True)) for new in (comment, scopes)))

    assert [replace(one, shown=b'{"scopes":["b"],"comment":"new"}')] == await held(store)
    outcome = await store.commit(putting(replace(one, shown=b'{"comment":"whole"}')))
    assert b'{"comment":"whole"}' == outcome.items[0].shown


async def test_amend_of_a_new_or_open_item_adds_no_record(store: Store) -> None:
    """With `amend`, an item without a record gets none if there was none before."""
    await store.commit(putting(open_value("A")))
    items = (open_value("A"), open_value("B"))

    outcome = await store.commit(putting(*items, amend=True))

    assert items == outcome.items


async def test_a_put_without_amend_drops_the_record(store: Store) -> None:
    """Without `amend`, an item without a sealed record replaces a secret and is not a secret."""
    await store.commit(putting(value("A")))
    new = open_value("A")

    assert (new,) == (await store.commit(putting(new))).items


async def test_put_new_refuses_existing_names(store: Store) -> None:
    """With `Put.NEW`, each existing name and each repeated name is a problem, and nothing is put."""
    await store.commit(putting(value("A"), value("B"), value("D", "preview")))
    before = await everything(store)
    items = (value("C"), value("B"), value("A"), value("E"), value("E"), value("B"))

    problems = await refusal(store, putting(*items, put_mode=PutMode.NEW))

    assert [(Code.ITEM_TAKEN, "B"), (Code.ITEM_TAKEN, "A"), (Code.ITEM_TAKEN, "E")] == problems
    assert before == await everything(store)
    outcome = await store.commit(putting(value("C"), value("D"), put_mode=PutMode.NEW))
    assert ["A", "B", "C", "D", "D"] == [item.name for item in outcome.items]


async def test_put_present_refuses_absent_items(store: Store) -> None:
    """With `Put.PRESENT`, each absent name and each name with another id is a problem, and nothing is put."""
    one, two = value("A"), value("B")
    await store.commit(putting(one, two))
    before = await everything(store)
    items = (value("C"), value("A", id=one.id), value("B"), value("A", "preview", id=one.id))

    problems = await refusal(store, putting(*items, put_mode=PutMode.PRESENT))

    assert [(Code.ITEM_NOT_FOUND, "C"), (Code.ITEM_NOT_FOUND, "B"), (Code.ITEM_NOT_FOUND, "A")] == problems
    assert before == await everything(store)
    new = (value("A", id=one.id), value("B", id=two.id))
    assert new == (await store.commit(putting(*new, put_mode=PutMode.PRESENT))).items


async def test_an_id_belongs_to_one_item(store: Store) -> None:
    """An item with the id of another item of its collection is refused; another collection may use the id."""
    one = value("A")
    await store.commit(putting(one))
    before = await everything(store)
    shared = some_id()

    assert [(Code.ITEM_TAKEN, "B")] == await refusal(store, putting(value("B", id=one.id)))
    twins = putting(value("B", id=shared), value("C", id=shared))
    assert [(Code.ITEM_TAKEN, "B"), (Code.ITEM_TAKEN, "C")] == await refusal(store, twins)
    assert before == await everything(store)
    await store.commit(making(new_collection("other"), put=(value("B", id=one.id),)))


async def test_ids_can_pass_from_one_name_to_another(store: Store) -> None:
    """A change may rename an item, or exchange the names of two items."""
    one, two = value("A"), value("B")
    await store.commit(putting(one, two))

    exchanged = (value("A", id=two.id), value("B", id=one.id))
    assert exchanged == (await store.commit(putting(*exchanged))).items
    renamed = value("C", id=two.id)
    outcome = await store.commit(putting(renamed, drop=(("", "A"),), require_drop=True))

    assert (exchanged[1], renamed) == outcome.items
    assert list(outcome.items) == await held(store)


async def test_require_drop_refuses_absent_items(store: Store) -> None:
    """With `require_drop`, each absent place is a problem, and nothing is dropped."""
    await store.commit(putting(value("A"), value("B", "preview")))
    before = await everything(store)
    drop = (("", "X"), ("", "A"), ("preview", "A"), ("", "B"), ("", "X"))

    problems = await refusal(store, holding(drop=drop, require_drop=True))

    assert [(Code.ITEM_NOT_FOUND, name) for name in ("X", "A", "B")] == problems
    assert before == await everything(store)


async def test_a_drop_ignores_absent_items(store: Store) -> None:
    """Without `require_drop`, the existing items are dropped, and absent places are ignored."""
    kept = value("A", "preview")
    await store.commit(putting(value("A"), open_value("B"), kept))

    outcome = await store.commit(holding(drop=(("", "X"), ("", "A"), ("", "B"))))

    assert (kept,) == outcome.items
    assert [kept] == await held(store)


async def test_a_name_put_and_dropped_is_put(store: Store) -> None:
    """An item that a change both puts and drops is put, and keeps its `created_on`."""
    old = value("A")
    await store.commit(putting(old))
    new = value("A", created_on=LATER)

    outcome = await store.commit(putting(new, drop=(("", "A"),), require_drop=True))

    assert (replace(new, created_on=old.created_on),) == outcome.items


async def test_problems_of_puts_and_drops_are_listed_together(store: Store) -> None:
    """Problems with puts are listed before problems with drops."""
    await store.commit(putting(value("A")))

    problems = await refusal(store, putting(value("A"), put_mode=PutMode.NEW, drop=(("", "X"),), require_drop=True))

    assert [(Code.ITEM_TAKEN, "A"), (Code.ITEM_NOT_FOUND, "X")] == problems


async def test_a_refused_item_refuses_the_whole_change(store: Store) -> None:
    """When one item is refused, no part of the change is applied: no body, no other item and no drop."""
    await store.commit(putting(value("A"), value("B")))
    before = await everything(store)

    wanted = putting(value("C"), value("A"), put_mode=PutMode.NEW, body=b'{"x":1}', drop=(("", "B"),))

    assert [(Code.ITEM_TAKEN, "A")] == await refusal(store, wanted)
    assert before == await everything(store)


async def test_accounts_are_separate(store: Store, collection: Collection) -> None:
    """Collections of two accounts with the same name and id have separate items."""
    await store.commit(putting(value("A")))
    await store.commit(making(replace(collection, account_id=OTHER_ACCOUNT), put=(value("B"),)))
    mine = await held(store)

    await store.commit(holding(account_id=OTHER_ACCOUNT, drop=(("", "A"), ("", "B"))))
    await store.commit(holding(account_id=OTHER_ACCOUNT, remove=True))

    assert [] == await store.items(OTHER_ACCOUNT, collection.id)
    assert mine == await held(store)
    assert 2 == len(await store.audit_entries(ACCOUNT))
    assert 3 == len(await store.audit_entries(OTHER_ACCOUNT))


async def test_records_of_items_are_proven(store: Store) -> None:
    """Each sealed item has a record, by environment and name, with the time when its value was put and a proof."""
    pages = new_collection("site", Kind.PAGES_PROJECT)
    first, second, plain = value("A", "production"), value("A", "preview"), open_value("B", "preview")
    await store.commit(making(pages, put=(first, second, plain)))
    later = value("A", "preview", modified_on=LONG_AGO + 5)
    await store.commit(holding("site", Kind.PAGES_PROJECT, put=(later,)))
    amended = replace(first, sealed=None, key_id=None, shown=b'{"comment":"c"}', modified_on=LONG_AGO + 9)
    await store.commit(holding("site", Kind.PAGES_PROJECT, put=(amended,), amend=True))

    records = await store.item_records(ACCOUNT, pages.id)

    assert {("production", "A"), ("preview", "A")} == records.keys()
    for item, since in ((first, LONG_AGO), (later, LONG_AGO + 5)):
        record = records[item.environment, item.name]
        assert (since, item.sealed) == (
            ProvenRecord.parse(record).since,
            VERIFIER.verify(place_of("site", item), record),
        )
        with pytest.raises(NightsafeError, match="cannot open"):
            VERIFIER.verify(place_of("other", item), record)
    assert {} == await store.item_records(OTHER_ACCOUNT, pages.id)
    assert {} == await store.item_records(ACCOUNT, "0" * 32)


async def test_a_hundred_concurrent_puts_are_consistent(store: Store) -> None:
    """Concurrent puts of different names all succeed; of concurrent puts of one new name, exactly one does."""
    names = [f"S{number:03}" for number in range(100)]
    many = (putting(value(name), max_items=101) for name in names)
    same = (putting(value("SAME"), put_mode=PutMode.NEW) for _ in range(50))

    answers = await asyncio.gather(*(store.commit(new) for new in (*many, *same)), return_exceptions=True)

    refused = [answer.code for answer in answers if isinstance(answer, NightsafeError)]
    assert [Code.ITEM_TAKEN] * 49 == refused
    assert [*names, "SAME"] == sorted(item.name for item in await held(store))
    assert 102 == len(await store.audit_entries(ACCOUNT, limit=1000))
    assert [(Code.TOO_MANY_ITEMS, "101")] == await refusal(store, putting(value("T"), max_items=101))


async def test_an_unstorable_item_fails_alone(store: Store) -> None:
    """Text that the database cannot store fails only its own commit, which writes nothing."""
    answers = await asyncio.gather(
        store.commit(putting(value("A"))),
        store.commit(putting(value("B"), value("\ud800", shown=b"{}"))),
        store.commit(putting(value("C"))),
        return_exceptions=True,
    )

    assert [False, True, False] == [isinstance(answer, UnicodeEncodeError) for answer in answers]
    assert ["A", "C"] == [item.name for item in await held(store, NAME)]
