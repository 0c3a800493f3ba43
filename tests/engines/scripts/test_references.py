"""What may lead to a script: bindings and settings with its name in them, and inheritance that must succeed."""

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, REF, deploying, editing, namespace, plain, upload
from tests.engines.tools.refusals import refusal, state

from nightsafe.errors import Code, Problem
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.references import MOST_POINTING, Need, Pointer, Pointing
from nightsafe.store.script_edit import Inherit
from nightsafe.store.scripts import Binding, ScriptRef

DISPATCHED = ScriptRef(ACCOUNT, "user", "customers")
ELSEWHERE = ScriptRef(OTHER_ACCOUNT, "worker")


def service(name: str, target: str = "target") -> Binding:
    """A binding that leads to a script."""
    return Binding(
        name, "service", b'{"name":"%b","type":"service","service":"%b"}' % (name.encode(), target.encode())
    )


def pointers(script: ScriptRef, *bindings: Binding) -> list[Pointer]:
    """Bindings as the store tells of them."""
    return [Pointer(script, one.name, one.kind, one.shown) for one in bindings]


async def test_bindings_that_may_lead_to_a_script_are_told(store: Store) -> None:
    """Of every script of the account, in whatever namespace; only of kinds that lead somewhere, and with the name."""
    await store.commit(namespace("customers"))
    here, there = service("A"), service("B")
    await store.commit(upload(here, service("OTHER", "target-2"), plain("TEXT", text="target")))
    await store.commit(upload(there, ref=DISPATCHED))
    await store.commit(upload(service("C"), ref=ELSEWHERE))

    assert pointers(REF, here) + pointers(DISPATCHED, there) == await store.pointing(ACCOUNT, "target")
    assert [] == await store.pointing(ACCOUNT, "nothing")


async def test_so_many_are_told_and_no_more(store: Store) -> None:
    """However many there are: whoever asks waits for these."""
    many = [service(f"S{number}") for number in range(900)]
    for script in ("a", "b", "c"):
        await store.commit(upload(*many, ref=ScriptRef(ACCOUNT, script)))

    assert MOST_POINTING == len(await store.pointing(ACCOUNT, "target"))


@pytest.mark.parametrize("kind", ["dispatch_namespace", "durable_object_namespace", "service", "workflow"])
async def test_every_kind_that_leads_to_a_script_is_told(store: Store, kind: str) -> None:
    """Whatever member has the name."""
    binding = Binding("A", kind, b'{"name":"A","any":{"member":"target"}}')
    await store.commit(upload(binding))

    assert pointers(REF, binding) == await store.pointing(ACCOUNT, "target")


async def test_older_versions_count_while_they_are_served(store: Store) -> None:
    """Those that are served, with the versions that had the binding; the others are history."""
    old = service("A")
    await store.commit(upload(old))
    await store.commit(upload(deployed=False))

    assert [Pointer(REF, "A", "service", old.shown, 1, 2)] == await store.pointing(ACCOUNT, "target")
    await store.commit(upload(deployed=False))
    versions = [one.id for one in await store.versions(REF)]
    await store.commit(deploying((versions[1], 100.0)))
    assert [] == await store.pointing(ACCOUNT, "target")
    await store.commit(deploying((versions[0], 50.0), (versions[2], 50.0), force=True))
    assert [Pointer(REF, "A", "service", old.shown, 1, 2)] == await store.pointing(ACCOUNT, "target")
    await store.commit(upload())
    assert [] == await store.pointing(ACCOUNT, "target")


async def test_settings_with_a_name_in_them_are_told(store: Store) -> None:
    """As they are, of the account's own scripts."""
    named = b'{"tail_consumers":[{"service":"target"}]}'
    await store.commit(upload(script_settings=named))
    await store.commit(upload(script_settings=b'{"tags":["target-2"]}', ref=ScriptRef(ACCOUNT, "other")))
    await store.commit(upload(script_settings=named, ref=ELSEWHERE))

    assert [(REF, named)] == await store.settings_naming(ACCOUNT, "target")


async def test_what_must_be_inherited_is_not_passed_over(store: Store) -> None:
    """Its absence is a problem, while others that are absent are dropped."""
    await store.commit(upload(plain("THERE")))
    wanted = (Inherit("A", "A", must=True), Inherit("B", "B"), Inherit("THERE", "THERE", must=True))

    assert [(Code.INHERIT, "A")] == await refusal(store, upload(inherits=wanted))
    await store.commit(upload(inherits=wanted[1:]))
    assert ["THERE"] == [one.name for one in await store.bindings(REF)]


TARGET = ScriptRef(ACCOUNT, "target")
SETTINGS = b'{"tail_consumers":[{"service":"target"}]}'
OLD = service("OLD")


async def look(store: Store) -> Pointing:
    """What leads to the target now."""
    bindings = await store.pointing(ACCOUNT, TARGET.name)
    return Pointing(tuple(bindings), tuple(await store.settings_naming(ACCOUNT, TARGET.name)))


async def two_scripts(store: Store) -> bytes:
    """The target, and a script with a version that was bound to it and is no longer served; gives that one's id."""
    await store.commit(upload(ref=TARGET))
    await store.commit(upload(OLD))
    await store.commit(upload())
    return (await store.versions(REF))[-1].id


def removal(seen: Pointing | None) -> Change:
    """A deletion of the target by one who saw what leads to it."""
    return editing(TARGET, remove=True, pointing=seen)


def needing() -> Change:
    """An upload that needs the target."""
    asked = upload(service("S"))
    assert asked.edit is not None
    need = Need(TARGET, Problem(Code.SERVICE_UNBOUND, "of S"))
    return replace(asked, edit=replace(asked.edit, needs=(need, Need(REF, Problem(Code.SERVICE_UNBOUND, "no")))))


@pytest.mark.parametrize("by", ["upload", "version", "settings", "deployment"])
async def test_what_came_to_lead_to_a_script_keeps_it(store: Store, by: str) -> None:
    """Whatever leads there since it was looked at; after another look, or without one, the script goes."""
    old = await two_scripts(store)
    seen = await look(store)
    changes = {
        "upload": needing(),
        "version": upload(service("S"), deployed=False),
        "settings": upload(script_settings=SETTINGS),
        "deployment": deploying((old, 100.0), force=True),
    }
    await store.commit(changes[by])
    before = await state(store, TARGET)

    assert [Code.UNAVAILABLE] == [code for code, _ in await refusal(store, removal(seen))]

    assert before == await state(store, TARGET)
    now = await look(store)
    assert 1 == len(now.bindings) + len(now.settings)
    await store.commit(removal(now if by == "upload" else None))
    assert await store.script(TARGET) is None


async def test_what_went_meanwhile_needs_no_script_that_is_gone(store: Store) -> None:
    """The change that needs it is refused with the problem of that need alone, and nothing is changed."""
    await two_scripts(store)
    await store.commit(removal(await look(store)))
    before = await state(store, REF)

    assert [(Code.SERVICE_UNBOUND, "of S")] == await refusal(store, needing())

    assert before == await state(store, REF)
    await store.commit(upload(ref=TARGET))
    assert [] == await refusal(store, needing())
