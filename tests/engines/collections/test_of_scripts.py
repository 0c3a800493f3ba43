"""Collections of scripts: dispatch namespaces, and scripts as collections of their previews' defaults."""

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, REF, dropping, removing, secret, setting, upload
from tests.engines.tools.collections import everything, holding, making, new_collection, value
from tests.engines.tools.refusals import refusal, state

from nightsafe.errors import Code
from nightsafe.store.changes import Outcome
from nightsafe.store.collections import Collection, Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef

NAMESPACE = new_collection("ns", Kind.DISPATCH_NAMESPACE)
INSIDE = ScriptRef(ACCOUNT, REF.name, "ns")


async def script_as_collection(store: Store, name: str = REF.name) -> Collection:
    """Return an existing script as a collection."""
    collection = await store.collection(ACCOUNT, Kind.SCRIPT, name)
    assert collection is not None
    return collection


async def test_a_namespace_counts_its_scripts(store: Store) -> None:
    """The count covers one namespace of one account, without removed scripts."""
    foreign = replace(NAMESPACE, account_id=OTHER_ACCOUNT)
    for new in (NAMESPACE, foreign, new_collection("other", Kind.DISPATCH_NAMESPACE)):
        await store.commit(making(new))
    counts = [await store.count_scripts(ACCOUNT, "ns")]
    for ref in (
        INSIDE,
        ScriptRef(ACCOUNT, "second", "ns"),
        REF,
        ScriptRef(ACCOUNT, "w", "other"),
        ScriptRef(OTHER_ACCOUNT, "w", "ns"),
    ):
        await store.commit(upload(ref=ref))
        counts.append(await store.count_scripts(ACCOUNT, "ns"))
    await store.commit(removing(INSIDE))

    assert [0, 1, 2, 2, 2, 2] == counts
    assert 1 == await store.count_scripts(ACCOUNT, "ns")
    assert 1 == await store.count_scripts(OTHER_ACCOUNT, "ns")
    assert 0 == await store.count_scripts(ACCOUNT, "absent")


async def test_a_namespace_with_scripts_is_not_removed(store: Store) -> None:
    """The removal of a namespace with scripts is refused with their number; an empty one is removed."""
    await store.commit(making(NAMESPACE))
    for name in ("one", "two"):
        await store.commit(upload(ref=ScriptRef(ACCOUNT, name, "ns")))
    before = await everything(store)
    removal = holding("ns", Kind.DISPATCH_NAMESPACE, remove=True)

    assert [(Code.NAMESPACE_NOT_EMPTY, "2")] == await refusal(store, removal)
    assert before == await everything(store)
    for name in ("one", "two"):
        await store.commit(removing(ScriptRef(ACCOUNT, name, "ns")))
    await store.commit(removal)

    assert [] == await store.collections(ACCOUNT, Kind.DISPATCH_NAMESPACE)


async def test_scripts_elsewhere_do_not_keep_a_namespace(store: Store) -> None:
    """Scripts outside a namespace, or in another account's namespace of that name, do not prevent its removal."""
    for new in (NAMESPACE, replace(NAMESPACE, account_id=OTHER_ACCOUNT)):
        await store.commit(making(new))
    for ref in (REF, ScriptRef(ACCOUNT, "ns"), ScriptRef(OTHER_ACCOUNT, "w", "ns")):
        await store.commit(upload(ref=ref))

    await store.commit(holding("ns", Kind.DISPATCH_NAMESPACE, remove=True))

    assert None is await store.collection(ACCOUNT, Kind.DISPATCH_NAMESPACE, "ns")


@pytest.mark.parametrize("kind", [Kind.PAGES_PROJECT, Kind.SECRETS_STORE])
async def test_only_a_namespace_is_kept_by_scripts(store: Store, kind: Kind) -> None:
    """A collection of another kind is removed even if a namespace of that name has scripts."""
    await store.commit(making(NAMESPACE))
    await store.commit(upload(ref=INSIDE))
    await store.commit(making(new_collection("ns", kind)))

    assert Outcome() == await store.commit(holding("ns", kind, remove=True))


async def test_an_upload_needs_its_namespace(store: Store) -> None:
    """A script is created only in an existing namespace; a project or another account's namespace does not count."""
    await store.commit(making(new_collection("ns", Kind.PAGES_PROJECT)))
    await store.commit(making(replace(NAMESPACE, account_id=OTHER_ACCOUNT)))

    assert [(Code.NAMESPACE_NOT_FOUND, "ns")] == await refusal(store, upload(ref=INSIDE))

    assert None is await store.script(INSIDE)
    await store.commit(making(NAMESPACE))
    assert 1 == (await store.commit(upload(ref=INSIDE))).version


async def test_a_script_is_a_collection_by_itself(store: Store) -> None:
    """A script outside every namespace is a collection without items, with its own id and time; it is not listed."""
    assert None is await store.collection(ACCOUNT, Kind.SCRIPT, REF.name)
    created = upload()
    outcome = await store.commit(created)
    expected = Collection(
        account_id=ACCOUNT,
        kind=Kind.SCRIPT,
        name=REF.name,
        id=outcome.script_id,
        body=b"{}",
        created_on=created.at,
        modified_on=created.at,
    )

    assert expected == await script_as_collection(store)
    assert [] == await store.items(ACCOUNT, outcome.script_id)
    assert [] == await store.collections(ACCOUNT, Kind.SCRIPT)


async def test_a_script_in_a_namespace_is_not_a_collection(store: Store) -> None:
    """A script in a namespace is not found as a collection and cannot be edited as one."""
    await store.commit(making(NAMESPACE))
    await store.commit(upload(ref=INSIDE))

    assert None is await store.collection(ACCOUNT, Kind.SCRIPT, REF.name)
    wanted = holding(REF.name, Kind.SCRIPT, put=(value("A"),))
    assert [(Code.COLLECTION_NOT_FOUND, REF.name)] == await refusal(store, wanted)


async def test_a_script_holds_items_and_a_body(store: Store) -> None:
    """Items and a body of a script are put, dropped and read as in any collection."""
    script_id = (await store.commit(upload())).script_id
    one, two = value("A"), value("B")
    wanted = holding(REF.name, Kind.SCRIPT, put=(two, one), body=b'{"x":1}')

    first = await store.commit(wanted)
    assert (one, two) == first.items
    assert replace(await script_as_collection(store), body=b'{"x":1}', modified_on=wanted.at) == first.collection
    second = await store.commit(holding(REF.name, Kind.SCRIPT, drop=(("", "A"),)))

    assert second.collection == await script_as_collection(store)
    assert second.collection is not None
    assert (script_id, b'{"x":1}') == (second.collection.id, second.collection.body)
    assert [two] == await store.items(ACCOUNT, script_id)
    assert [] == await store.collections(ACCOUNT, Kind.SCRIPT)


async def test_a_scripts_items_are_separate_from_its_versions(store: Store) -> None:
    """A script's items do not appear among its bindings and versions, and new versions do not alter the items."""
    await store.commit(upload(secret("S")))
    before = await store.script(REF), await store.bindings(REF), await store.versions(REF)
    kept = value("S")
    await store.commit(holding(REF.name, Kind.SCRIPT, put=(kept,)))
    assert before == (await store.script(REF), await store.bindings(REF), await store.versions(REF))
    held = await script_as_collection(store)

    await store.commit(setting(secret("S")))
    await store.commit(upload())

    assert held == await script_as_collection(store)
    assert [kept] == await store.items(ACCOUNT, held.id)


async def test_an_edit_that_alters_nothing_writes_nothing(store: Store) -> None:
    """An edit that alters nothing leaves the script and the log unchanged."""
    await store.commit(upload())
    before, generation = await state(store, REF), store.generation()

    outcome = await store.commit(holding(REF.name, Kind.SCRIPT, drop=(("", "A"),)))

    assert Outcome(collection=await script_as_collection(store)) == outcome
    assert before == await state(store, REF)
    assert generation == store.generation()


async def test_a_removed_scripts_items_are_removed(store: Store) -> None:
    """The items are removed with their script; a new script of that name starts empty, with a new id."""
    old = (await store.commit(upload())).script_id
    other, foreign = ScriptRef(ACCOUNT, "other"), ScriptRef(OTHER_ACCOUNT, REF.name)
    kept = value("A")
    for ref in (other, foreign):
        await store.commit(upload(ref=ref))
    for ref in (REF, other, foreign):
        await store.commit(holding(ref.name, Kind.SCRIPT, ref.account_id, put=(kept,), body=b'{"x":1}'))

    await store.commit(removing(REF))
    assert None is await store.collection(ACCOUNT, Kind.SCRIPT, REF.name)
    assert [] == await store.items(ACCOUNT, old)
    new = await store.commit(upload())
    held = await script_as_collection(store)
    assert (new.script_id, b"{}") == (held.id, held.body)
    await store.commit(holding(REF.name, Kind.SCRIPT, put=(value("B"),)))

    assert ["B"] == [item.name for item in await store.items(ACCOUNT, new.script_id)]
    for ref in (other, foreign):
        script = await store.script(ref)
        assert script is not None
        assert [kept] == await store.items(ref.account_id, script.id)


async def test_removing_a_namespaced_script_keeps_outside_items(store: Store) -> None:
    """The removal of a script in a namespace leaves the items of the script of that name outside."""
    await store.commit(making(NAMESPACE))
    script_id = (await store.commit(upload())).script_id
    await store.commit(upload(ref=INSIDE))
    kept = value("A")
    await store.commit(holding(REF.name, Kind.SCRIPT, put=(kept,)))

    await store.commit(removing(INSIDE))

    assert [kept] == await store.items(ACCOUNT, script_id)


async def test_scripts_items_count_together(store: Store) -> None:
    """The limit on items counts the items of all scripts of the account, and no other collection's."""
    for name in ("one", "two"):
        await store.commit(upload(ref=ScriptRef(ACCOUNT, name)))
    await store.commit(making(new_collection(), put=(value("A"), value("B"))))
    await store.commit(holding("one", Kind.SCRIPT, put=(value("A"),), max_items=1))

    problems = await refusal(store, holding("two", Kind.SCRIPT, put=(value("A"),), max_items=1))

    assert [(Code.TOO_MANY_ITEMS, "1")] == problems


async def test_a_script_and_collection_change_has_one_outcome(store: Store) -> None:
    """A change of a script and its collection has one outcome and one audit entry."""
    kept = value("A")
    both = replace(upload(), collection_edit=holding(REF.name, Kind.SCRIPT, put=(kept,)).collection_edit)

    outcome = await store.commit(both)

    assert (1, (kept,)) == (outcome.version, outcome.items)
    assert outcome.collection == await script_as_collection(store)
    assert outcome.script == await store.script(REF)
    assert 1 == len(await store.audit_entries(ACCOUNT))


async def test_a_change_is_logged_if_either_part_alters(store: Store) -> None:
    """A change is logged if it alters only the script or only the collection."""
    await store.commit(upload())
    idle = holding(REF.name, Kind.SCRIPT)

    first = await store.commit(replace(setting(secret("S")), collection_edit=idle.collection_edit))
    second = await store.commit(
        replace(
            dropping("X", require=False),
            collection_edit=holding(REF.name, Kind.SCRIPT, put=(value("A"),)).collection_edit,
        )
    )

    assert (2, ()) == (first.version, first.items)
    assert (0, 1) == (second.version, len(second.items))
    assert 3 == len(await store.audit_entries(ACCOUNT))


async def test_a_refused_collection_undoes_its_script(store: Store) -> None:
    """When the collection's part of a change is refused, the script is not altered either."""
    both = replace(upload(), collection_edit=holding("absent", Kind.SECRETS_STORE).collection_edit)

    assert [(Code.COLLECTION_NOT_FOUND, "absent")] == await refusal(store, both)

    assert None is await store.script(REF)
    assert [] == await store.audit_entries(ACCOUNT)
