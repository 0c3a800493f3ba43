"""Checks that a caller may read every script that code reaches, by its bindings or as a producer for its consumers.

A caller needs Read on each such script. Without this check, a token for one script of an account would be a token for
all: its code could call the others, through bindings that it adds or keeps. The check does not look up the scripts
that are reached, so a caller without Read gets the same answer whether or not the script exists.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from nightsafe.bindings.model import PlainBinding
from nightsafe.bundle.compatibility import callee_of
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.identity.globs import is_name
from nightsafe.identity.permissions import Action
from nightsafe.identity.policy import Resource
from nightsafe.services.caller import Caller
from nightsafe.services.scripts.setting_forms import CONSUMERS
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import Inherit
from nightsafe.store.scripts import Binding, ScriptRef
from nightsafe.store.turns import in_turns


class Target(Struct, frozen=True):
    """A script, or all scripts of a namespace, that code reaches.

    Attributes:
        reference: the reference, as a refusal names it. It may only contain text from the caller's own request or
            script.
        pointer: JSON Pointer to the part of a request that holds such references.
        path: the script, with its namespace if any, or `NAMESPACE/*` for all scripts of a namespace. "" if the
            reference does not name the script: it may then be any script in the account.
    """

    reference: str
    pointer: str
    path: str


class TargetAccess:
    """Checks the scripts that code will reach.

    Args:
        store: holds the bindings that a script already has.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    async def check_code(  # noqa: PLR0913 - an upload has many parts
        self,
        caller: Caller,
        ref: ScriptRef,
        new_bindings: Iterable[PlainBinding] = (),
        names: Iterable[str] = (),
        *,
        keep: frozenset[str] | None = None,
        inherits: Iterable[Inherit] = (),
        settings: bytes = b"{}",
    ) -> int | None:
        """Refuse new code that would reach a script that the caller may not read.

        Args:
            caller: the caller.
            ref: the script.
            new_bindings: bindings that come with the code.
            names: names of all bindings that come with the code, including secrets.
            keep: the types of bindings to keep from the previous version; None for all.
            inherits: bindings to inherit.
            settings: JSON object of the script settings that come with the code.

        Returns:
            The number of the newest version (0 if there is no version), which must still be the newest at the commit;
            None if the commit does not depend on it.

        Raises:
            NightsafeError: TARGET_NOT_GRANTED, with a problem for each reference.
        """
        if _can_read_all(caller, ref):
            return None
        own_bindings, new_settings = tuple(new_bindings), msgspec.json.decode(settings)
        script = await self._store.script(ref)
        before = [] if script is None else await self._store.bindings(ref, script.version)
        current_settings = {} if script is None else msgspec.json.decode(script.script_settings)
        bindings = [(binding.name, binding.kind, binding.fields) for binding in own_bindings]
        bindings += _kept_bindings(
            before,
            {*names, *(binding.name for binding in own_bindings)},
            keep,
            {inherit.old_name for inherit in inherits},
        )
        await _refuse(
            caller, ref, (*_binding_targets(ref, bindings), *_consumer_targets(ref, current_settings | new_settings))
        )
        return 0 if script is None else script.version

    async def check_bindings(
        self, caller: Caller, ref: ScriptRef, new_bindings: Iterable[PlainBinding]
    ) -> int | None:
        """Refuse bindings that let existing code reach another script that the caller may not read.

        Returns:
            Like `check_code`: the code must not have changed when the bindings are committed.

        Raises:
            NightsafeError: like `check_code`.
        """
        new_bindings = tuple(new_bindings)
        if not new_bindings or _can_read_all(caller, ref):
            return None
        script = await self._store.script(ref)
        before = [] if script is None else await self._store.bindings(ref, script.version)
        current = {(binding.name, binding.shown) for binding in before}
        changed = [
            (binding.name, binding.kind, binding.fields)
            for binding in new_bindings
            if (binding.name, binding.public_json()) not in current
        ]
        await _refuse(caller, ref, _binding_targets(ref, changed))
        return None if script is None else script.version

    async def check_settings(self, caller: Caller, ref: ScriptRef, settings: bytes | None) -> None:
        """Refuse consumers that are new for a script and that the caller may not read.

        Args:
            caller: the caller.
            ref: the script.
            settings: JSON object of the script settings that change, or None.

        Raises:
            NightsafeError: like `check_code`.
        """
        consumers = tuple(_consumer_targets(ref, {} if settings is None else msgspec.json.decode(settings)))
        if not consumers or _can_read_all(caller, ref):
            return
        script = await self._store.script(ref)
        current = (
            set() if script is None else set(_consumer_targets(ref, msgspec.json.decode(script.script_settings)))
        )
        await _refuse(caller, ref, (target for target in consumers if target not in current))

    async def check_versions(self, caller: Caller, ref: ScriptRef, version_ids: Iterable[bytes]) -> None:
        """Refuse to deploy versions that reach a script that the caller may not read.

        Ignore versions that do not exist.

        Raises:
            NightsafeError: like `check_code`.
        """
        script = None if _can_read_all(caller, ref) else await self._store.script(ref)
        if script is None:
            return
        targets = list(_consumer_targets(ref, msgspec.json.decode(script.script_settings)))
        for version_id in version_ids:
            version = await self._store.version(ref, version_id)
            bindings = [] if version is None else await self._store.bindings(ref, version.number)
            targets += _binding_targets(ref, _kept_bindings(bindings))
        await _refuse(caller, ref, targets)


def _can_read_all(caller: Caller, ref: ScriptRef) -> bool:
    """Return whether the caller may read every script of the account, so that the checks can be skipped."""
    return caller.principal.grants.allow_all(Action.READ_SCRIPTS, ref.account_id)


async def _refuse(caller: Caller, ref: ScriptRef, targets: Iterable[Target]) -> None:
    """Refuse targets that the caller may not read. A script may always reach itself.

    The targets are checked in parts, so that other requests get their turn in between.
    """
    grants = caller.principal.grants

    def is_readable(path: str) -> bool:
        """Return whether the caller may read a script, or all scripts of a namespace."""
        if path.endswith("/*"):
            return grants.allow_all(Action.READ_SCRIPTS, ref.account_id, path)
        return bool(path) and grants.allow(Action.READ_SCRIPTS, Resource(ref.account_id, path))

    refused = [
        target async for target in in_turns(targets) if target.path != ref.path and not is_readable(target.path)
    ]
    if refused:
        problems = dict.fromkeys(
            Problem(Code.TARGET_NOT_GRANTED, target.reference, target.pointer) for target in refused
        )
        raise NightsafeError.of(problems)


def _kept_bindings(
    bindings: Iterable[Binding],
    own: set[str] | frozenset[str] = frozenset(),
    keep: frozenset[str] | None = None,
    inherited: set[str] | frozenset[str] = frozenset(),
) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the bindings that stay, as tuples of name, type and public fields.

    Args:
        bindings: the current bindings.
        own: names that the request sets itself.
        keep: the types to keep; None for all.
        inherited: names to inherit.
    """
    return [
        (binding.name, binding.kind, msgspec.json.decode(binding.shown))
        for binding in bindings
        if binding.name in inherited or (binding.name not in own and (keep is None or binding.kind in keep))
    ]


def _binding_targets(ref: ScriptRef, bindings: Iterable[tuple[str, str, dict[str, Any]]]) -> Iterator[Target]:
    """Yield the targets of bindings."""
    for name, kind, fields in bindings:
        for path in _reached_paths(ref, kind, fields):
            yield Target(f"the {kind} binding '{name}'", "/bindings", path)


def _reached_paths(ref: ScriptRef, kind: str, fields: dict[str, Any]) -> Iterator[str]:
    """Yield the paths of the scripts that a binding reaches."""
    if kind == "service" and isinstance(fields.get("service"), str):
        yield callee_of(fields)
    elif kind == "workflow" and isinstance(fields.get("script_name"), str):
        yield fields["script_name"]
    elif kind == "durable_object_namespace":
        yield from _durable_object_paths(ref, fields)
    elif kind == "dispatch_namespace":
        namespace = str(fields.get("namespace"))
        yield f"{namespace}/*" if is_name(namespace) else ""
        worker = (fields.get("outbound") or {}).get("worker") if isinstance(fields.get("outbound"), dict) else None
        if isinstance(worker, dict) and isinstance(worker.get("service"), str):
            yield callee_of(worker)


def _durable_object_paths(ref: ScriptRef, fields: dict[str, Any]) -> Iterator[str]:
    """Yield the path of the script whose Durable Objects a binding reaches.

    The path is "", for any script, if the binding names the objects' namespace only by its ID.
    """
    script, namespace, environment = (
        fields.get(member) for member in ("script_name", "dispatch_namespace", "environment")
    )
    if isinstance(script, str):
        path = callee_of({"service": script, "environment": environment})
        yield ScriptRef(ref.account_id, path, namespace if isinstance(namespace, str) else "").path
    elif fields.get("namespace_id"):
        yield ""


def _consumer_targets(ref: ScriptRef, settings: dict[str, Any]) -> Iterator[Target]:
    """Yield the scripts that a script's settings name as consumers of its logs."""
    for member in CONSUMERS:
        for consumer in settings.get(member) or ():
            if isinstance(consumer.get("service"), str):
                namespace = consumer.get("namespace")
                path = ScriptRef(
                    ref.account_id, callee_of(consumer), namespace if isinstance(namespace, str) else ""
                ).path
                yield Target(f"the consumer '{consumer['service']}' of its logs", f"/{member}", path)
