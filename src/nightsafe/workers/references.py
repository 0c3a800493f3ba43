"""Which scripts of an account point at one of them, so that a client can warn before it deletes that one."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Binding, Script, ScriptRef

Sees = Callable[[str], bool]
"""Whether the caller may know of a script, by its name."""


_PATHS = {
    "service": ("service",),
    "durable_object_namespace": ("script_name",),
    "dispatch_namespace": ("outbound", "worker", "service"),
}
"""Kinds of binding that point at a script, and the members that lead to its name."""


class Reference(Struct, frozen=True):
    """A binding of a script that points elsewhere.

    Attributes:
        script: the name of the script that has it.
        name: the binding's name.
        kind: the binding's kind.
        fields: the binding as it is shown.
    """

    script: str
    name: str
    kind: str
    fields: dict[str, Any]

    @property
    def target(self) -> str | None:
        """The name of the script that it points at."""
        place = self.fields
        for member in _PATHS[self.kind]:
            inner = place.get(member)
            if not isinstance(inner, dict):
                return inner if isinstance(inner, str) else None
            place = inner
        return None


class References:
    """The use cases."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def around(self, ref: ScriptRef, sees: Sees) -> tuple[list[Reference], list[Reference]]:
        """Bindings of other scripts that point at this one, and its own that point at others.

        Args:
            ref: which script.
            sees: whether the caller may know of a script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        if await self._store.script(ref) is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        incoming: list[Reference] = []
        for script in await self._store.scripts(ref.account_id, ref.namespace):
            if script.ref != ref and sees(script.ref.name):
                every = _references(script.ref, await self._store.bindings(script.ref))
                incoming += [one for one in every if one.target == ref.name]
                await asyncio.sleep(0)
        outgoing = _references(ref, await self._store.bindings(ref))
        return incoming, [one for one in outgoing if one.target not in {None, ref.name}]

    async def producers(self, ref: ScriptRef, sees: Sees) -> list[Script]:
        """The scripts that this one consumes the tail of."""
        every = await self._store.scripts(ref.account_id, ref.namespace)
        return [one for one in every if sees(one.ref.name) and ref.name in _consumers(one)]


def _references(ref: ScriptRef, bindings: list[Binding]) -> Iterator[Reference]:
    """The bindings that point at a script."""
    for one in bindings:
        if one.kind in _PATHS:
            yield Reference(ref.name, one.name, one.kind, msgspec.json.decode(one.shown))


def _consumers(script: Script) -> set[object]:
    """The names of the scripts that consume a script's tail."""
    consumers = msgspec.json.decode(script.script_settings).get("tail_consumers") or []
    return {one.get("service") for one in consumers if isinstance(one.get("service"), str)}
