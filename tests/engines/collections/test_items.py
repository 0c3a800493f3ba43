"""Items of a collection: put, replaced, kept sealed, dropped; and what is refused."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT
from tests.engines.tools.collections import (
    NAME,
    everything,
    held,
    holding,
    making,
    new_collection,
    open_value,
    putting,
    some_id,
    value,
)
from tests.engines.tools.refusals import refusal

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.collections import Collection, Put
from nightsafe.store.interface import Store

LATER = 1_650_000_000_000_000


@pytest.fixture(autouse=True)
async def collection(store: Store) -> Collection:
    """A collection without items."""
    outcome = await store.commit(making(new_collection()))
    assert outcome.collection is not None
    return outcome.collection


async def test_items_are_by_slot_and_name_in_byte_order(store: Store) -> None:
    """Outcome and read agree on the order, and give every field back as it was put."""
    names = ["a", "Z", "é", "\U0001f511", "￿", "A1", "A", ""]
    items = [
        make(name, environment) for make in (value, open_value) for environment in ("b", "", "B") for name in names
    ]
    last = {(item.environment, item.name): item for item in items}
    ordered = [last[place] for place in sorted(last, key=lambda place: (place[0].encode(), place[1].encode()))]

    outcome = await store.commit(putting(*items))

    assert ordered == list(outcome.items)
    assert ordered == await held(store)


async def test_slots_are_apart(store: Store) -> None:
    """The same name in two environments is two items; one can be replaced or dropped without the other."""
    production, preview = value("A", "production"), value("A", "preview")
    await store.commit(putting(production, preview))
    new = value("A", "preview")

    await store.commit(putting(new))
    assert [new, production] == await held(store)
    await store.commit(holding(drop=(("production", "A"),), require_drop=True))
    assert [new] == await held(store)


async def test_one_put_over_another_keeps_when_the_name_was_first_put(store: Store) -> None:
    """All of the new item is there, its own id too, but for the `created_on` of the one it replaces."""
    old = value("A")
    new = open_value("A", created_on=LATER, modified_on=LATER + 1)
    await store.commit(putting(old))

    outcome = await store.commit(putting(new))

    expected = replace(new, created_on=old.created_on)
    assert (expected,) == outcome.items
    assert [expected] == await held(store)


async def test_a_dropped_name_begins_anew(store: Store) -> None:
    """A name put after it was dropped has the `created_on` it comes with."""
    await store.commit(putting(value("A")))
    await store.commit(holding(drop=(("", "A"),)))
    new = value("A", created_on=LATER)

    await store.commit(putting(new))

    assert [new] == await held(store)


async def test_last_of_equal_places_wins(store: Store) -> None:
    """When a change puts a place twice, the last one is kept, since the first."""
    last = value("A", created_on=LATER)

    outcome = await store.commit(putting(value("A"), last))

    assert (replace(last, created_on=value("A").created_on),) == outcome.items


async def test_what_amends_keeps_the_sealed_record_with_its_key(store: Store) -> None:
    """An item without a record takes that of the one it replaces; one with a record brings its own."""
    one, two = value("A"), value("B")
    await store.commit(putting(one, two))
    shown_only = open_value("A", id=one.id, modified_on=LATER)
    whole = value("B", key_id="key-2")

    outcome = await store.commit(putting(shown_only, whole, amend=True))

    expected = replace(shown_only, sealed=one.sealed, key_id="key-1")
    assert (expected, whole) == outcome.items
    assert [expected, whole] == await held(store)


async def test_what_amends_alters_only_what_it_names(store: Store) -> None:
    """Of two changes at once, each of another member, neither undoes the other."""
    one = value("A", shown=b'{"scopes":["a"],"comment":"old"}')
    await store.commit(putting(one))
    comment, scopes = (replace(one, shown=shown) for shown in (b'{"comment":"new"}', b'{"scopes":["b"]}'))

    await asyncio.gather(*(store.commit(putting(new, amend=True)) for new in (comment, scopes)))

    assert [replace(one, shown=b'{"scopes":["b"],"comment":"new"}')] == await held(store)
    outcome = await store.commit(putting(replace(one, shown=b'{"comment":"whole"}')))
    assert b'{"comment":"whole"}' == outcome.items[0].shown


async def test_what_amends_has_nothing_to_keep_of_what_is_new_or_open(store: Store) -> None:
    """Where there was no record there is none afterwards."""
    await store.commit(putting(open_value("A")))
    items = (open_value("A"), open_value("B"))

    outcome = await store.commit(putting(*items, amend=True))

    assert items == outcome.items


async def test_what_does_not_amend_lets_the_record_go(store: Store) -> None:
    """An item without a record that replaces a secret is no secret."""
    await store.commit(putting(value("A")))
    new = open_value("A")

    assert (new,) == (await store.commit(putting(new))).items


async def test_only_new_names_may_be_required(store: Store) -> None:
    """With `Put.NEW` each name that is there, and each that comes twice, is a problem; nothing is put."""
    await store.commit(putting(value("A"), value("B"), value("D", "preview")))
    before = await everything(store)
    items = (value("C"), value("B"), value("A"), value("E"), value("E"), value("B"))

    problems = await refusal(store, putting(*items, over=Put.NEW))

    assert [(Code.ITEM_TAKEN, "B"), (Code.ITEM_TAKEN, "A"), (Code.ITEM_TAKEN, "E")] == problems
    assert before == await everything(store)
    outcome = await store.commit(putting(value("C"), value("D"), over=Put.NEW))
    assert ["A", "B", "C", "D", "D"] == [item.name for item in outcome.items]


async def test_only_present_ones_may_be_required(store: Store) -> None:
    """With `Put.PRESENT` each name that is absent, or has another id by now, is a problem; nothing is put."""
    one, two = value("A"), value("B")
    await store.commit(putting(one, two))
    before = await everything(store)
    items = (value("C"), value("A", id=one.id), value("B"), value("A", "preview", id=one.id))

    problems = await refusal(store, putting(*items, over=Put.PRESENT))

    assert [(Code.ITEM_NOT_FOUND, "C"), (Code.ITEM_NOT_FOUND, "B"), (Code.ITEM_NOT_FOUND, "A")] == problems
    assert before == await everything(store)
    new = (value("A", id=one.id), value("B", id=two.id))
    assert new == (await store.commit(putting(*new, over=Put.PRESENT))).items


async def test_an_id_belongs_to_one_item(store: Store) -> None:
    """An item with the id of another item of its collection is refused by name; another collection may use it."""
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
    """A change may rename an item, or exchange two, each with its id."""
    one, two = value("A"), value("B")
    await store.commit(putting(one, two))

    exchanged = (value("A", id=two.id), value("B", id=one.id))
    assert exchanged == (await store.commit(putting(*exchanged))).items
    renamed = value("C", id=two.id)
    outcome = await store.commit(putting(renamed, drop=(("", "A"),), require_drop=True))

    assert (exchanged[1], renamed) == outcome.items
    assert list(outcome.items) == await held(store)


async def test_drop_can_require_what_it_drops(store: Store) -> None:
    """With `require_drop` each place that is absent is a problem of its own, and nothing is dropped."""
    await store.commit(putting(value("A"), value("B", "preview")))
    before = await everything(store)
    drop = (("", "X"), ("", "A"), ("preview", "A"), ("", "B"), ("", "X"))

    problems = await refusal(store, holding(drop=drop, require_drop=True))

    assert [(Code.ITEM_NOT_FOUND, name) for name in ("X", "A", "B")] == problems
    assert before == await everything(store)


async def test_drop_can_pass_over_what_is_absent(store: Store) -> None:
    """Without `require_drop` the items that are there are dropped, of whatever kind, and no others."""
    kept = value("A", "preview")
    await store.commit(putting(value("A"), open_value("B"), kept))

    outcome = await store.commit(holding(drop=(("", "X"), ("", "A"), ("", "B"))))

    assert (kept,) == outcome.items
    assert [kept] == await held(store)


async def test_a_name_put_and_dropped_is_put(store: Store) -> None:
    """An item that a change both puts and drops is there afterwards, since its name was first put."""
    old = value("A")
    await store.commit(putting(old))
    new = value("A", created_on=LATER)

    outcome = await store.commit(putting(new, drop=(("", "A"),), require_drop=True))

    assert (replace(new, created_on=old.created_on),) == outcome.items


async def test_a_put_and_a_drop_at_fault_are_told_together(store: Store) -> None:
    """Problems of what is put come first, then those of what is dropped."""
    await store.commit(putting(value("A")))

    problems = await refusal(store, putting(value("A"), over=Put.NEW, drop=(("", "X"),), require_drop=True))

    assert [(Code.ITEM_TAKEN, "A"), (Code.ITEM_NOT_FOUND, "X")] == problems


async def test_a_refusal_alters_no_part(store: Store) -> None:
    """When an item is refused, neither body, nor other items, nor drops of the change are applied."""
    await store.commit(putting(value("A"), value("B")))
    before = await everything(store)

    wanted = putting(value("C"), value("A"), over=Put.NEW, body=b'{"x":1}', drop=(("", "B"),))

    assert [(Code.ITEM_TAKEN, "A")] == await refusal(store, wanted)
    assert before == await everything(store)


async def test_accounts_are_apart(store: Store, collection: Collection) -> None:
    """Two accounts' collections of the same name and id have their own items; reads of one never show the other's."""
    await store.commit(putting(value("A")))
    await store.commit(making(replace(collection, account_id=OTHER_ACCOUNT), put=(value("B"),)))
    mine = await held(store)

    await store.commit(holding(account_id=OTHER_ACCOUNT, drop=(("", "A"), ("", "B"))))
    await store.commit(holding(account_id=OTHER_ACCOUNT, remove=True))

    assert [] == await store.items(OTHER_ACCOUNT, collection.id)
    assert mine == await held(store)
    assert 2 == len(await store.audit_entries(ACCOUNT))
    assert 3 == len(await store.audit_entries(OTHER_ACCOUNT))


async def test_a_hundred_at_once(store: Store) -> None:
    """Concurrent puts of different names all succeed, of one new name just one does, and the rest learn of it."""
    names = [f"S{number:03}" for number in range(100)]
    many = (putting(value(name), max_items=101) for name in names)
    same = (putting(value("SAME"), over=Put.NEW) for _ in range(50))

    answers = await asyncio.gather(*(store.commit(new) for new in (*many, *same)), return_exceptions=True)

    refused = [answer.code for answer in answers if isinstance(answer, NightsafeError)]
    assert [Code.ITEM_TAKEN] * 49 == refused
    assert [*names, "SAME"] == sorted(item.name for item in await held(store))
    assert 102 == len(await store.audit_entries(ACCOUNT, limit=1000))
    assert [(Code.TOO_MANY_ITEMS, "101")] == await refusal(store, putting(value("T"), max_items=101))


async def test_an_unstorable_item_touches_no_neighbour(store: Store) -> None:
    """Text that no database can hold fails its own commit, with nothing of it written, and no other."""
    answers = await asyncio.gather(
        store.commit(putting(value("A"))),
        store.commit(putting(value("B"), value("\ud800", shown=b"{}"))),
        store.commit(putting(value("C"))),
        return_exceptions=True,
    )

    assert [False, True, False] == [isinstance(answer, UnicodeEncodeError) for answer in answers]
    assert ["A", "C"] == [item.name for item in await held(store, NAME)]
