"""Who may bring code into force that reaches other scripts: by its bindings, or as producer of what they consume.

A caller needs Read on each script that is reached so. Else a token that is good for one script of an account would be
good for all: its code would call them, by bindings that it brings or by those that it keeps. Nothing is looked up of
what is reached: a caller who may not read it is told the same whether it is there or not.
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
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import Inherit
from nightsafe.store.scripts import Binding, ScriptRef
from nightsafe.store.turns import in_turns

_CONSUMERS: Final = ("tail_consumers", "streaming_tail_consumers")


class Target(Struct, frozen=True):
    """What a script reaches.

    Attributes:
        words: the reference, as a refusal names it; it may have words of the caller, and of nobody else.
        pointer: JSON Pointer to where such references stand in a request.
        path: the script, with its namespace where it has one, or all of a namespace as `NAMESPACE/*`; "" when that is
            not to be told: then it may be any of the account.
    """

    words: str
    pointer: str
    path: str


class TargetAccess:
    """Looks at what code will reach.

    Args:
        store: where the bindings are that a script has.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    async def check_code(  # noqa: PLR0913 - an upload has many sides
        self,
        caller: Caller,
        ref: ScriptRef,
        made: Iterable[PlainBinding] = (),
        names: Iterable[str] = (),
        *,
        keep: frozenset[str] | None = None,
        inherits: Iterable[Inherit] = (),
        settings: bytes = b"{}",
    ) -> int | None:
        """Refuse new code that would reach what the caller may not read.

        Args:
            caller: who asks.
            ref: which script.
            made: bindings that come with the code.
            names: of all bindings that come with the code, secrets among them.
            keep: kinds of which the bindings of the version before stay; None for all.
            inherits: bindings to take over.
            settings: JSON object of the script's own settings that come with the code.

        Returns:
            The number of the newest version, 0 for none, which must still be the newest when the code is taken in;
            None when that does not matter.

        Raises:
            NightsafeError: TARGET_NOT_GRANTED, a problem for each reference.
        """
        if _reads_all(caller, ref):
            return None
        own, new = tuple(made), msgspec.json.decode(settings)
        script = await self._store.script(ref)
        before = [] if script is None else await self._store.bindings(ref, script.version)
        there = {} if script is None else msgspec.json.decode(script.script_settings)
        shown = [(one.name, one.kind, one.fields) for one in own]
        shown += _kept(before, {*names, *(one.name for one in own)}, keep, {one.old_name for one in inherits})
        await _refuse(caller, ref, (*_bound(ref, shown), *_consuming(ref, there | new)))
        return 0 if script is None else script.version

    async def check_bindings(self, caller: Caller, ref: ScriptRef, made: Iterable[PlainBinding]) -> int | None:
        """Refuse bindings, for code that is there, by which it would newly reach what the caller may not read.

        Returns:
            As `check_code`: other code must not have come when they are made.

        Raises:
            NightsafeError: as `check_code`.
        """
        made = tuple(made)
        if not made or _reads_all(caller, ref):
            return None
        script = await self._store.script(ref)
        before = [] if script is None else await self._store.bindings(ref, script.version)
        there = {(one.name, one.shown) for one in before}
        fresh = [(one.name, one.kind, one.fields) for one in made if (one.name, one.shown()) not in there]
        await _refuse(caller, ref, _bound(ref, fresh))
        return None if script is None else script.version

    async def check_settings(self, caller: Caller, ref: ScriptRef, settings: bytes | None) -> None:
        """Refuse consumers that are new to a script and that the caller may not read.

        Args:
            caller: who asks.
            ref: which script.
            settings: JSON object of the script's own settings that change, or None.

        Raises:
            NightsafeError: as `check_code`.
        """
        wanted = tuple(_consuming(ref, {} if settings is None else msgspec.json.decode(settings)))
        if not wanted or _reads_all(caller, ref):
            return
        script = await self._store.script(ref)
        there = set() if script is None else set(_consuming(ref, msgspec.json.decode(script.script_settings)))
        await _refuse(caller, ref, (one for one in wanted if one not in there))

    async def check_versions(self, caller: Caller, ref: ScriptRef, version_ids: Iterable[bytes]) -> None:
        """Refuse to serve versions that reach what the caller may not read; one that is not there is passed over.

        Raises:
            NightsafeError: as `check_code`.
        """
        script = None if _reads_all(caller, ref) else await self._store.script(ref)
        if script is None:
            return
        reached = list(_consuming(ref, msgspec.json.decode(script.script_settings)))
        for version_id in version_ids:
            version = await self._store.version(ref, version_id)
            bindings = [] if version is None else await self._store.bindings(ref, version.number)
            reached += _bound(ref, _kept(bindings))
        await _refuse(caller, ref, reached)


def _reads_all(caller: Caller, ref: ScriptRef) -> bool:
    """Whether the caller may read every script of the account, in namespaces or not: then nothing has to be asked."""
    return caller.principal.grants.allow_all(Action.READ_SCRIPTS, ref.account_id)


async def _refuse(caller: Caller, ref: ScriptRef, targets: Iterable[Target]) -> None:
    """Refuse what is reached and may not be read, looking at a part in a turn. A script reaches itself anyway."""
    grants = caller.principal.grants

    def is_readable(path: str) -> bool:
        """Whether the caller may read a script, or all of a namespace."""
        if path.endswith("/*"):
            return grants.allow_all(Action.READ_SCRIPTS, ref.account_id, path)
        return bool(path) and grants.allow(Action.READ_SCRIPTS, Resource(ref.account_id, path))

    refused = [one async for one in in_turns(targets) if one.path != ref.path and not is_readable(one.path)]
    if refused:
        problems = dict.fromkeys(Problem(Code.TARGET_NOT_GRANTED, one.words, one.pointer) for one in refused)
        raise NightsafeError.of(problems)


def _kept(
    bindings: Iterable[Binding],
    own: set[str] | frozenset[str] = frozenset(),
    keep: frozenset[str] | None = None,
    inherited: set[str] | frozenset[str] = frozenset(),
) -> list[tuple[str, str, dict[str, Any]]]:
    """The bindings that stay of those there are: name, kind, and what is shown of each."""
    return [
        (one.name, one.kind, msgspec.json.decode(one.shown))
        for one in bindings
        if one.name in inherited or (one.name not in own and (keep is None or one.kind in keep))
    ]


def _bound(ref: ScriptRef, bindings: Iterable[tuple[str, str, dict[str, Any]]]) -> Iterator[Target]:
    """What bindings lead to."""
    for name, kind, fields in bindings:
        for path in _paths(ref, kind, fields):
            yield Target(f"the {kind} binding '{name}'", "/bindings", path)


def _paths(ref: ScriptRef, kind: str, fields: dict[str, Any]) -> Iterator[str]:
    """The scripts that a binding of a kind leads to."""
    if kind == "service" and isinstance(fields.get("service"), str):
        yield callee_of(fields)
    elif kind == "workflow" and isinstance(fields.get("script_name"), str):
        yield fields["script_name"]
    elif kind == "durable_object_namespace":
        yield from _of_objects(ref, fields)
    elif kind == "dispatch_namespace":
        namespace = str(fields.get("namespace"))
        yield f"{namespace}/*" if is_name(namespace) else ""
        worker = (fields.get("outbound") or {}).get("worker") if isinstance(fields.get("outbound"), dict) else None
        if isinstance(worker, dict) and isinstance(worker.get("service"), str):
            yield callee_of(worker)


def _of_objects(ref: ScriptRef, fields: dict[str, Any]) -> Iterator[str]:
    """The script whose Durable Objects a binding leads to: any, when it names their namespace by an id alone."""
    script, namespace, environment = (fields.get(one) for one in ("script_name", "dispatch_namespace", "environment"))
    if isinstance(script, str):
        path = callee_of({"service": script, "environment": environment})
        yield ScriptRef(ref.account_id, path, namespace if isinstance(namespace, str) else "").path
    elif fields.get("namespace_id"):
        yield ""


def _consuming(ref: ScriptRef, settings: dict[str, Any]) -> Iterator[Target]:
    """The scripts that a script's own settings name as consumers of its logs."""
    for member in _CONSUMERS:
        for one in settings.get(member) or ():
            if isinstance(one.get("service"), str):
                namespace = one.get("namespace")
                path = ScriptRef(ref.account_id, callee_of(one), namespace if isinstance(namespace, str) else "").path
                yield Target(f"the consumer '{one['service']}' of its logs", f"/{member}", path)
