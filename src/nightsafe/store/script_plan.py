"""Plans an edit of a script's bindings without a database, so that every engine carries out the same plan."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.store.script_edit import BindingsUpdate, ScriptEdit
from nightsafe.store.scripts import Binding, Upload

VARIABLE_KINDS = frozenset({"secret_text", "secret_key", "plain_text", "json"})
"""The binding types that count towards the limit on variables."""


class Held(NamedTuple):
    """A binding that the script has before the edit.

    Attributes:
        kind: the binding's `type`.
        shown: the JSON object that reads return.
        secret: whether it has a sealed value.
    """

    kind: str
    shown: bytes
    secret: bool


class Plan(NamedTuple):
    """The rows to write.

    Attributes:
        put: bindings to insert, or to write over bindings of the same name.
        retire: names whose current binding moves to the history table.
        remove: the names in `retire` without a replacement in `put`.
        variables: how many variables the script has after the edit.
    """

    put: tuple[Binding, ...]
    retire: tuple[str, ...]
    remove: tuple[str, ...]
    variables: int


def plan_edit(edit: ScriptEdit, held: Mapping[str, Held], variables: int) -> Plan:
    """Plan an edit that does not remove the script.

    A name in both `drop` and `set` is set; a name in both `set` and `inherits` is set.

    Args:
        edit: the requested edit.
        held: the script's bindings by name: all of them for an edit with `bindings_update`, otherwise at least those
            that the edit names.
        variables: how many variables the script has now.

    Raises:
        NightsafeError: as `Store.commit` specifies for bindings.
    """
    put = {binding.name: binding for binding in edit.set}
    gone = _dropped(edit, held)
    if edit.bindings_update is None:
        _refuse_taken(put, held)
    else:
        rest = {name: had for name, had in held.items() if name not in gone}
        put, gone = _rebound(edit.bindings_update, put, rest, gone)
    plan = _rows(put, held, gone, variables)
    if variables < plan.variables > edit.max_variables:
        raise NightsafeError(Code.TOO_MANY_BINDINGS, str(plan.variables))
    return plan


def etag(upload: Upload) -> str:
    """Return the hex SHA-256 over the main module's name and each module's name, content type and digest."""
    digest = hashlib.sha256()
    parts = [upload.main_module.encode()]
    for module in upload.modules:
        parts += (module.name.encode(), module.content_type.encode(), module.digest)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def refuse(code: Code, names: Iterable[str]) -> None:
    """Raise one problem for each name, if there are any, in their order and without duplicates."""
    problems = [Problem(code, name) for name in dict.fromkeys(names)]
    if problems:
        raise NightsafeError.of(problems)


def _rows(put: Mapping[str, Binding], held: Mapping[str, Held], gone: set[str], variables: int) -> Plan:
    """Separate replaced names from removed names, and count the variables."""
    replaced = [name for name in put if name in held]
    removed = [name for name in held if name in gone and name not in put]
    retire = (*replaced, *removed)
    fewer = sum(held[name].kind in VARIABLE_KINDS for name in retire)
    more = sum(binding.kind in VARIABLE_KINDS for binding in put.values())
    return Plan(tuple(put.values()), retire, tuple(removed), variables - fewer + more)


def _dropped(edit: ScriptEdit, held: Mapping[str, Held]) -> set[str]:
    """Return the secrets among the names to drop; refuse any other name if `require_drop` is set."""
    present = {name for name in edit.drop if name in held and held[name].secret}
    if edit.require_drop:
        refuse(Code.BINDING_NOT_FOUND, (name for name in edit.drop if name not in present))
    return present


def _refuse_taken(names: Iterable[str], held: Mapping[str, Held]) -> None:
    """Refuse names that belong to a binding other than a secret."""
    taken = [name for name in names if name in held and not held[name].secret]
    if taken:
        raise NightsafeError.of(Problem(Code.BINDING_NAME_TAKEN, name, kind=held[name].kind) for name in taken)


def _rebound(
    bindings_update: BindingsUpdate, put: Mapping[str, Binding], held: Mapping[str, Held], gone: set[str]
) -> tuple[dict[str, Binding], set[str]]:
    """Return the bindings that a bindings update writes, and the names of the bindings that it removes."""
    same, renamed = _inherited(bindings_update, held)
    fresh = {**renamed, **put}
    written = {name: new for name, new in fresh.items() if not _unchanged(new, held.get(name))}
    lost = {name for name, had in held.items() if had.kind not in bindings_update.keep and name not in same}
    return written, gone | (lost - fresh.keys())


def _inherited(bindings_update: BindingsUpdate, held: Mapping[str, Held]) -> tuple[set[str], dict[str, Binding]]:
    """Return the names that are inherited unchanged, and the bindings that are inherited under a new name."""
    wanted = {inherit.name: inherit.old_name for inherit in bindings_update.inherits}
    found = {name: old for name, old in wanted.items() if old in held}
    must = {inherit.name for inherit in bindings_update.inherits if inherit.must or bindings_update.strict}
    absent = [Problem(Code.INHERIT, name) for name in wanted if name in must and name not in found]
    moved = [Problem(Code.INHERIT_RENAMED, to) for to, old in found.items() if to != old and held[old].secret]
    if absent or moved:
        raise NightsafeError.of(absent + moved)
    renamed = {name: _renamed(name, held[old]) for name, old in found.items() if name != old}
    return {name for name, old in found.items() if name == old}, renamed


def _renamed(name: str, had: Held) -> Binding:
    """Return the same binding under another name; every other member of `shown` stays the same byte for byte."""
    shown = msgspec.json.decode(had.shown, type=dict[str, msgspec.Raw])
    shown["name"] = msgspec.Raw(msgspec.json.encode(name))
    return Binding(name, had.kind, msgspec.json.encode(shown))


def _unchanged(new: Binding, had: Held | None) -> bool:
    """Return True if the script already has the same plain binding, which then needs no new row."""
    if had is None or had.secret or new.sealed is not None:
        return False
    return (had.kind, had.shown) == (new.kind, new.shown)
