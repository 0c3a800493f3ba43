"""What may lead to a script: bindings and settings with its name in them, and inheritance that must succeed."""

import pytest
from tests.engines.changes import ACCOUNT, OTHER_ACCOUNT, REF, namespace, plain, upload
from tests.engines.refusals import refusal

from nightsafe.errors import Code
from nightsafe.store.interfaces import Store
from nightsafe.store.lookups import Pointer
from nightsafe.store.model import Binding, Inherit, ScriptRef

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


@pytest.mark.parametrize("kind", ["dispatch_namespace", "durable_object_namespace", "service", "workflow"])
async def test_every_kind_that_leads_to_a_script_is_told(store: Store, kind: str) -> None:
    """Whatever member has the name."""
    binding = Binding("A", kind, b'{"name":"A","any":{"member":"target"}}')
    await store.commit(upload(binding))

    assert pointers(REF, binding) == await store.pointing(ACCOUNT, "target")


async def test_older_versions_count_while_the_newest_is_not_alone(store: Store) -> None:
    """With the versions that had the binding; once the newest is served alone, they are history."""
    old = service("A")
    await store.commit(upload(old))
    await store.commit(upload(deployed=False))

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
