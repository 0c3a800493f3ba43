"""Which scripts of an account point at one of them, so that none is deleted that others need.

They do by a binding of their newest version or of an older one that is served, or as a tail consumer. Source: the
checks before a deletion in the Cloudflare v4 API's specification (`force`) and in wrangler.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interface import Store
from nightsafe.store.references import MOST_POINTING, Pointing
from nightsafe.store.scripts import Binding, Script, ScriptRef
from nightsafe.store.turns import in_turns

Sees = Callable[[ScriptRef], bool]
"""Whether the caller may know of a script."""

_PATHS: Final = {
    "service": ("service",),
    "durable_object_namespace": ("script_name",),
    "dispatch_namespace": ("outbound", "worker", "service"),
    "workflow": ("script_name",),
}
"""Kinds of binding that point at a script, and the members that lead to its name."""

_NAMESPACE: Final = "dispatch_namespace"
"""The member with the dispatch namespace of a script that has Durable Objects."""

_CONSUMERS: Final = ("tail_consumers", "streaming_tail_consumers")
_MOST_NAMED: Final = 20


class Reference(Struct, frozen=True):
    """A binding of a script that points elsewhere.

    Attributes:
        script: whose it is.
        name: the binding's name.
        kind: the binding's kind.
        fields: the binding as it is shown.
    """

    script: ScriptRef
    name: str
    kind: str
    fields: dict[str, Any]

    @property
    def target(self) -> ScriptRef | None:
        """The script that it points at; None for one of another account, or none at all."""
        place: Any = self.fields
        for member in _PATHS[self.kind]:
            place = place.get(member) if isinstance(place, dict) else None
        if not isinstance(place, str) or self.fields.get("cross_account_grant"):
            return None
        namespace = self.fields.get(_NAMESPACE) if self.kind == "durable_object_namespace" else None
        return ScriptRef(self.script.account_id, place, namespace if isinstance(namespace, str) else "")


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
        incoming = [one for one in await _incoming(ref, await self._pointing(ref)) if sees(one.script)]
        outgoing = _references(ref, await self._store.bindings(ref))
        return incoming, [one for one in outgoing if one.target not in {None, ref}]

    async def producers(self, ref: ScriptRef, sees: Sees) -> list[Script]:
        """The scripts that this one consumes the tail of."""
        seen = await self._pointing(ref)
        found = [await self._store.script(one) for one in await _producers(ref, seen) if sees(one)]
        return [one for one in found if one is not None]

    async def refuse_if_used(self, ref: ScriptRef, sees: Sees) -> Pointing:
        """Refuse to delete a script that others need, and name those that the caller may know of.

        Args:
            ref: which script.
            sees: whether the caller may know of a script.

        Returns:
            All that was looked at: none of it leads to the script.

        Raises:
            NightsafeError: SCRIPT_IN_USE.
        """
        seen = await self._pointing(ref)
        users = [(one.script, f"by its {one.kind} binding '{one.name}'") for one in await _incoming(ref, seen)]
        users += [(one, "as its tail consumer") for one in await _producers(ref, seen)]
        told = [f"'{script.path}' {how}" for script, how in dict.fromkeys(users) if sees(script)]
        more = len(dict.fromkeys(users)) - len(told[:_MOST_NAMED])
        if not users and max(len(seen.bindings), len(seen.settings)) >= MOST_POINTING:
            way_out = "too many to see whether it is needed; ask with ?force=true to delete it all the same"
            raise NightsafeError(Code.SCRIPT_IN_USE, f"{MOST_POINTING} bindings or more name it, {way_out}")
        if not users:
            return seen
        named = ", ".join([*told[:_MOST_NAMED], *([f"{more} more"] if more else [])])
        way_out = "take that out of them first or, to leave them broken, ask with ?force=true"
        raise NightsafeError(Code.SCRIPT_IN_USE, f"other Workers need it: {named}; {way_out}")

    async def _pointing(self, ref: ScriptRef) -> Pointing:
        """All that may lead to a script."""
        bindings = await self._store.pointing(ref.account_id, ref.name)
        return Pointing(tuple(bindings), tuple(await self._store.settings_naming(ref.account_id, ref.name)))


async def _incoming(ref: ScriptRef, seen: Pointing) -> list[Reference]:
    """Bindings of other scripts that point at this one."""
    every = [
        Reference(one.script, one.name, one.kind, msgspec.json.decode(one.shown))
        async for one in in_turns(seen.bindings)
    ]
    found = [one for one in every if one.script != ref and one.target == ref]
    return list({(one.script, one.name): one for one in reversed(found)}.values())[::-1]


async def _producers(ref: ScriptRef, seen: Pointing) -> list[ScriptRef]:
    """The other scripts that name this one among their tail consumers."""
    every = in_turns(seen.settings)
    return [one async for one, settings in every if one != ref and ref in _consumers(one, settings)]


def _references(ref: ScriptRef, bindings: Sequence[Binding]) -> Iterator[Reference]:
    """The bindings that point at a script."""
    for one in bindings:
        if one.kind in _PATHS:
            yield Reference(ref, one.name, one.kind, msgspec.json.decode(one.shown))


def _consumers(ref: ScriptRef, script_settings: bytes) -> Iterable[ScriptRef]:
    """The scripts that consume a script's tail."""
    settings = msgspec.json.decode(script_settings)
    for one in (one for name in _CONSUMERS for one in settings.get(name) or ()):
        service, namespace = one.get("service"), one.get("namespace")
        if isinstance(service, str):
            yield ScriptRef(ref.account_id, service, namespace if isinstance(namespace, str) else "")
