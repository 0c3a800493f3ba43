"""References to a script: bindings and settings with its name, inheritance that must succeed, and safe deletion."""

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, REF, deploying, editing, namespace, plain, upload
from tests.engines.tools.refusals import refusal, state

from nightsafe.errors import Code, Problem
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.references import MAX_CANDIDATES, CandidateBinding, ReferenceCandidates, RequiredScript
from nightsafe.store.script_edit import Inherit
from nightsafe.store.scripts import Binding, ScriptRef

DISPATCHED = ScriptRef(ACCOUNT, "user", "customers")
ELSEWHERE = ScriptRef(OTHER_ACCOUNT, "worker")


def service(name: str, target: str = "target") -> Binding:
    """Return a binding that refers to a script."""
    return Binding(
        name, "service", b'{"name":"%b","type":"service","service":"%b"}' % (name.encode(), target.encode())
    )


def pointers(script: ScriptRef, *bindings: Binding) -> list[CandidateBinding]:
    """Return bindings as the store reports them."""
    return [CandidateBinding(script, binding.name, binding.kind, binding.shown) for binding in bindings]


async def test_bindings_that_name_a_script_are_returned(store: Store) -> None:
    """Bindings that name the script are returned, from every script of the account in any namespace."""
    await store.commit(namespace("customers"))
    here, there = service("A"), service("B")
    await store.commit(upload(here, service("OTHER", "target-2"), plain("TEXT", text="target")))
    await store.commit(upload(there, ref=DISPATCHED))
    await store.commit(upload(service("C"), ref=ELSEWHERE))

    assert pointers(REF, here) + pointers(DISPATCHED, there) == await store.bindings_mentioning(ACCOUNT, "target")
    assert [] == await store.bindings_mentioning(ACCOUNT, "nothing")


async def test_the_number_of_references_is_limited(store: Store) -> None:
    """At most `MOST_POINTING` references are returned."""
    many = [service(f"S{number}") for number in range(900)]
    for script in ("a", "b", "c"):
        await store.commit(upload(*many, ref=ScriptRef(ACCOUNT, script)))

    assert MAX_CANDIDATES == len(await store.bindings_mentioning(ACCOUNT, "target"))


@pytest.mark.parametrize("kind", ["dispatch_namespace", "durable_object_namespace", "service", "workflow"])
async def test_every_referring_kind_is_returned(store: Store, kind: str) -> None:
    """A binding of each kind that can refer to a script is returned, for each member that can hold the name."""
    binding = Binding("A", kind, b'{"name":"A","any":{"member":"target"}}')
    await store.commit(upload(binding))

    assert pointers(REF, binding) == await store.bindings_mentioning(ACCOUNT, "target")


async def test_older_versions_count_while_they_are_served(store: Store) -> None:
    """Bindings of older versions are returned while a version that has them is served."""
    old = service("A")
    await store.commit(upload(old))
    await store.commit(upload(deployed=False))

    assert [CandidateBinding(REF, "A", "service", old.shown, 1, 2)] == await store.bindings_mentioning(
        ACCOUNT, "target"
    )
    await store.commit(upload(deployed=False))
    versions = [version.id for version in await store.versions(REF)]
    await store.commit(deploying((versions[1], 100.0)))
    assert [] == await store.bindings_mentioning(ACCOUNT, "target")
    await store.commit(deploying((versions[0], 50.0), (versions[2], 50.0), force=True))
    assert [CandidateBinding(REF, "A", "service", old.shown, 1, 2)] == await store.bindings_mentioning(
        ACCOUNT, "target"
    )
    await store.commit(upload())
    assert [] == await store.bindings_mentioning(ACCOUNT, "target")


async def test_settings_that_name_a_script_are_returned(store: Store) -> None:
    """Script settings that name the script are returned unchanged, within the account."""
    named = b'{"tail_consumers":[{"service":"target"}]}'
    await store.commit(upload(script_settings=named))
    await store.commit(upload(script_settings=b'{"tags":["target-2"]}', ref=ScriptRef(ACCOUNT, "other")))
    await store.commit(upload(script_settings=named, ref=ELSEWHERE))

    assert [(REF, named)] == await store.settings_mentioning(ACCOUNT, "target")


async def test_an_absent_mandatory_inheritance_is_refused(store: Store) -> None:
    """An absent binding that must be inherited is a problem; other absent bindings are dropped."""
    await store.commit(upload(plain("THERE")))
    wanted = (Inherit("A", "A", required=True), Inherit("B", "B"), Inherit("THERE", "THERE", required=True))

    assert [(Code.INHERIT, "A")] == await refusal(store, upload(inherits=wanted))
    await store.commit(upload(inherits=wanted[1:]))
    assert ["THERE"] == [binding.name for binding in await store.bindings(REF)]


TARGET = ScriptRef(ACCOUNT, "target")
SETTINGS = b'{"tail_consumers":[{"service":"target"}]}'
OLD = service("OLD")


async def references(store: Store) -> ReferenceCandidates:
    """Return the present references to the target."""
    bindings = await store.bindings_mentioning(ACCOUNT, TARGET.name)
    return ReferenceCandidates(tuple(bindings), tuple(await store.settings_mentioning(ACCOUNT, TARGET.name)))


async def target_with_old_reference(store: Store) -> bytes:
    """Create the target, and a script whose first version was bound to it and is no longer served; return its id."""
    await store.commit(upload(ref=TARGET))
    await store.commit(upload(OLD))
    await store.commit(upload())
    return (await store.versions(REF))[-1].id


def removal(seen: ReferenceCandidates | None) -> Change:
    """Return a deletion of the target by a caller who saw these references."""
    return editing(TARGET, remove=True, reference_candidates=seen)


def upload_that_needs_target() -> Change:
    """Return an upload that needs the target."""
    asked = upload(service("S"))
    assert asked.edit is not None
    need = RequiredScript(TARGET, Problem(Code.SERVICE_UNBOUND, "of S"))
    return replace(
        asked, edit=replace(asked.edit, needs=(need, RequiredScript(REF, Problem(Code.SERVICE_UNBOUND, "no"))))
    )


@pytest.mark.parametrize("by", ["upload", "version", "settings", "deployment"])
async def test_a_new_reference_prevents_the_deletion(store: Store, by: str) -> None:
    """A reference added since the caller looked prevents the deletion; a new look, or none, permits it."""
    old = await target_with_old_reference(store)
    seen = await references(store)
    changes = {
        "upload": upload_that_needs_target(),
        "version": upload(service("S"), deployed=False),
        "settings": upload(script_settings=SETTINGS),
        "deployment": deploying((old, 100.0), force=True),
    }
    await store.commit(changes[by])
    before = await state(store, TARGET)

    assert [Code.UNAVAILABLE] == [code for code, _ in await refusal(store, removal(seen))]

    assert before == await state(store, TARGET)
    now = await references(store)
    assert 1 == len(now.bindings) + len(now.settings)
    await store.commit(removal(now if by == "upload" else None))
    assert await store.script(TARGET) is None


async def test_a_change_that_needs_a_deleted_script_is_refused(store: Store) -> None:
    """A change that needs a deleted script is refused with that need's problem, and nothing is changed."""
    await target_with_old_reference(store)
    await store.commit(removal(await references(store)))
    before = await state(store, REF)

    assert [(Code.SERVICE_UNBOUND, "of S")] == await refusal(store, upload_that_needs_target())

    assert before == await state(store, REF)
    await store.commit(upload(ref=TARGET))
    assert [] == await refusal(store, upload_that_needs_target())
