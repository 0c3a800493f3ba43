"""Finds the scripts of an account that refer to a script, so that no script is deleted that others need.

A script refers to another by a binding of its newest version or of an older version that is deployed, or by naming it
as a tail consumer.

Source: the checks before a deletion in the Cloudflare v4 API's specification (`force`) and in wrangler.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from nightsafe.bindings.kinds import SCRIPT_REFERENCES
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.lookup import find_script
from nightsafe.services.scripts.setting_forms import CONSUMERS
from nightsafe.store.interface import Store
from nightsafe.store.references import MAX_CANDIDATES, ReferenceCandidates
from nightsafe.store.scripts import Binding, Script, ScriptRef
from nightsafe.store.turns import in_turns

IsVisible = Callable[[ScriptRef], bool]
"""Tells whether the caller may know that a script exists."""

_NAMESPACE: Final = "dispatch_namespace"
"""The member that names the dispatch namespace of the script with the Durable Objects."""

_MAX_NAMED: Final = 20


class Reference(Struct, frozen=True):
    """A binding that refers to a script.

    Attributes:
        script: the script that has the binding.
        name: the binding's name.
        kind: the binding's type.
        fields: the binding's public fields.
    """

    script: ScriptRef
    name: str
    kind: str
    fields: dict[str, Any]

    @property
    def target(self) -> ScriptRef | None:
        """The script that the binding refers to; None if that is in another account or not named."""
        value: Any = self.fields
        for member in SCRIPT_REFERENCES[self.kind]:
            value = value.get(member) if isinstance(value, dict) else None
        if not isinstance(value, str) or self.fields.get("cross_account_grant"):
            return None
        namespace = self.fields.get(_NAMESPACE) if self.kind == "durable_object_namespace" else None
        return ScriptRef(self.script.account_id, value, namespace if isinstance(namespace, str) else "")


class References:
    """The use cases of references between scripts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def references_both_ways(
        self, ref: ScriptRef, is_visible: IsVisible
    ) -> tuple[list[Reference], list[Reference]]:
        """Return the bindings of other scripts that refer to this one, and its own bindings that refer to others.

        Args:
            ref: the script.
            is_visible: tells whether the caller may know that a script exists.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        await find_script(self._store, ref)
        incoming = [
            reference
            for reference in await _incoming(ref, await self._candidates(ref))
            if is_visible(reference.script)
        ]
        outgoing = _references(ref, await self._store.bindings(ref))
        return incoming, [reference for reference in outgoing if reference.target not in {None, ref}]

    async def producers(self, ref: ScriptRef, is_visible: IsVisible) -> list[Script]:
        """Return the scripts that name this one as a tail consumer."""
        candidates = await self._candidates(ref)
        found = [
            await self._store.script(producer)
            for producer in await _producers(ref, candidates)
            if is_visible(producer)
        ]
        return [script for script in found if script is not None]

    async def refuse_if_used(self, ref: ScriptRef, is_visible: IsVisible) -> ReferenceCandidates:
        """Refuse to delete a script that others need, and name those that the caller may know of.

        Args:
            ref: the script.
            is_visible: tells whether the caller may know that a script exists.

        Returns:
            Everything that was examined; none of it refers to the script.

        Raises:
            NightsafeError: SCRIPT_IN_USE.
        """
        candidates = await self._candidates(ref)
        referrers = [
            (reference.script, f"by its {reference.kind} binding '{reference.name}'")
            for reference in await _incoming(ref, candidates)
        ]
        referrers += [(producer, "as its tail consumer") for producer in await _producers(ref, candidates)]
        visible = [f"'{script.path}' {how}" for script, how in dict.fromkeys(referrers) if is_visible(script)]
        more = len(dict.fromkeys(referrers)) - len(visible[:_MAX_NAMED])
        if not referrers and max(len(candidates.bindings), len(candidates.settings)) >= MAX_CANDIDATES:
            advice = "too many to check whether it is needed; add ?force=true to delete it anyway"
            raise NightsafeError(Code.SCRIPT_IN_USE, f"{MAX_CANDIDATES} bindings or more name it, {advice}")
        if not referrers:
            return candidates
        named = ", ".join([*visible[:_MAX_NAMED], *([f"{more} more"] if more else [])])
        advice = "remove these references first, or add ?force=true to delete it and break them"
        raise NightsafeError(Code.SCRIPT_IN_USE, f"other Workers need it: {named}; {advice}")

    async def _candidates(self, ref: ScriptRef) -> ReferenceCandidates:
        """Return everything that may refer to a script."""
        bindings = await self._store.bindings_mentioning(ref.account_id, ref.name)
        return ReferenceCandidates(
            tuple(bindings), tuple(await self._store.settings_mentioning(ref.account_id, ref.name))
        )


async def _incoming(ref: ScriptRef, candidates: ReferenceCandidates) -> list[Reference]:
    """Return the bindings of other scripts that refer to this one."""
    references = [
        Reference(pointer.script, pointer.name, pointer.kind, msgspec.json.decode(pointer.shown))
        async for pointer in in_turns(candidates.bindings)
    ]
    found = [reference for reference in references if reference.script != ref and reference.target == ref]
    return list({(reference.script, reference.name): reference for reference in reversed(found)}.values())[::-1]


async def _producers(ref: ScriptRef, candidates: ReferenceCandidates) -> list[ScriptRef]:
    """Return the other scripts that name this one as a tail consumer."""
    settings_by_script = in_turns(candidates.settings)
    return [
        producer
        async for producer, settings in settings_by_script
        if producer != ref and ref in _consumers(producer, settings)
    ]


def _references(ref: ScriptRef, bindings: Sequence[Binding]) -> Iterator[Reference]:
    """Yield the bindings that refer to a script."""
    for binding in bindings:
        if binding.kind in SCRIPT_REFERENCES:
            yield Reference(ref, binding.name, binding.kind, msgspec.json.decode(binding.shown))


def _consumers(ref: ScriptRef, script_settings: bytes) -> Iterable[ScriptRef]:
    """Yield the tail consumers of a script."""
    settings = msgspec.json.decode(script_settings)
    for consumer in (consumer for name in CONSUMERS for consumer in settings.get(name) or ()):
        service, namespace = consumer.get("service"), consumer.get("namespace")
        if isinstance(service, str):
            yield ScriptRef(ref.account_id, service, namespace if isinstance(namespace, str) else "")
