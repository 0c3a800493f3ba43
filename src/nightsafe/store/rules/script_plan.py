"""Plans an edit of a script's bindings without a database, so that every engine carries out the same plan."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from nightsafe.bundle.statements import code_digest
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.store.script_edit import BindingsUpdate, ScriptEdit
from nightsafe.store.scripts import Binding, Upload

VARIABLE_KINDS = frozenset({"secret_text", "secret_key", "plain_text", "json"})
"""The binding types that count towards the limit on variables."""


class CurrentBinding(NamedTuple):
    """A binding that the script has before the edit.

    Attributes:
        kind: the binding's `type`.
        shown: the JSON object that reads return.
        secret: whether it has a sealed value.
        digest: `binding_digest` of it.
    """

    kind: str
    shown: bytes
    secret: bool
    digest: bytes = b""


class ScriptPlan(NamedTuple):
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


def plan_edit(edit: ScriptEdit, current: Mapping[str, CurrentBinding], variables: int) -> ScriptPlan:
    """Plan an edit that does not remove the script.

    A name in both `drop` and `set` is set; a name in both `set` and `inherits` is set.

    Args:
        edit: the requested edit.
        current: the script's bindings by name: all for an edit with `bindings_update`, otherwise at least those
            that the edit names.
        variables: how many variables the script has now.

    Raises:
        NightsafeError: as `Store.commit` specifies for bindings.
    """
    put = {binding.name: binding for binding in edit.set}
    removed_names = _secrets_to_drop(edit, current)
    if edit.bindings_update is None:
        _refuse_taken(put, current)
    else:
        rest = {name: current_binding for name, current_binding in current.items() if name not in removed_names}
        put, removed_names = _apply_bindings_update(edit.bindings_update, put, rest, removed_names)
    plan = _plan_rows(put, current, removed_names, variables)
    if variables < plan.variables > edit.max_variables:
        raise NightsafeError(Code.TOO_MANY_BINDINGS, str(plan.variables))
    return plan


def etag(upload: Upload) -> str:
    """Return the hex SHA-256 over the main module's name and each module's name, content type and digest."""
    return code_digest(
        upload.main_module, ((module.name, module.content_type, module.digest) for module in upload.modules)
    )


def refuse(code: Code, names: Iterable[str]) -> None:
    """Raise one problem for each name, if there are any, in their order and without duplicates."""
    problems = [Problem(code, name) for name in dict.fromkeys(names)]
    if problems:
        raise NightsafeError.of(problems)


def _plan_rows(
    put: Mapping[str, Binding], current: Mapping[str, CurrentBinding], removed_names: set[str], variables: int
) -> ScriptPlan:
    """Separate replaced names from removed names, and count the variables."""
    replaced = [name for name in put if name in current]
    removed = [name for name in current if name in removed_names and name not in put]
    retire = (*replaced, *removed)
    fewer = sum(current[name].kind in VARIABLE_KINDS for name in retire)
    more = sum(binding.kind in VARIABLE_KINDS for binding in put.values())
    return ScriptPlan(tuple(put.values()), retire, tuple(removed), variables - fewer + more)


def _secrets_to_drop(edit: ScriptEdit, current: Mapping[str, CurrentBinding]) -> set[str]:
    """Return the secrets among the names to drop; refuse any other name if `require_drop` is set."""
    present = {name for name in edit.drop if name in current and current[name].secret}
    if edit.require_drop:
        refuse(Code.BINDING_NOT_FOUND, (name for name in edit.drop if name not in present))
    return present


def _refuse_taken(names: Iterable[str], current: Mapping[str, CurrentBinding]) -> None:
    """Refuse names that belong to a binding other than a secret."""
    taken = [name for name in names if name in current and not current[name].secret]
    if taken:
        raise NightsafeError.of(Problem(Code.BINDING_NAME_TAKEN, name, kind=current[name].kind) for name in taken)


def _apply_bindings_update(
    bindings_update: BindingsUpdate,
    put: Mapping[str, Binding],
    current: Mapping[str, CurrentBinding],
    removed_names: set[str],
) -> tuple[dict[str, Binding], set[str]]:
    """Return the bindings that a bindings update writes, and the names of the bindings that it removes."""
    same, renamed = _split_inherited(bindings_update, current)
    fresh = {**renamed, **put}
    written = {name: new for name, new in fresh.items() if not _is_same_plain_binding(new, current.get(name))}
    lost = {
        name
        for name, current_binding in current.items()
        if current_binding.kind not in bindings_update.keep and name not in same
    }
    return written, removed_names | (lost - fresh.keys())


def _split_inherited(
    bindings_update: BindingsUpdate, current: Mapping[str, CurrentBinding]
) -> tuple[set[str], dict[str, Binding]]:
    """Return the names that are inherited unchanged, and the bindings that are inherited under a new name."""
    old_names = {inherit.name: inherit.old_name for inherit in bindings_update.inherits}
    existing = {name: old for name, old in old_names.items() if old in current}
    must = {inherit.name for inherit in bindings_update.inherits if inherit.required or bindings_update.strict}
    absent = [Problem(Code.INHERIT, name) for name in old_names if name in must and name not in existing]
    moved = [Problem(Code.INHERIT_RENAMED, to) for to, old in existing.items() if to != old and current[old].secret]
    if absent or moved:
        raise NightsafeError.of(absent + moved)
    renamed = {name: _with_name(name, current[old]) for name, old in existing.items() if name != old}
    return {name for name, old in existing.items() if name == old}, renamed


def _with_name(name: str, current_binding: CurrentBinding) -> Binding:
    """Return the same binding under another name; every other member of `shown` stays the same byte for byte."""
    fields = msgspec.json.decode(current_binding.shown, type=dict[str, msgspec.Raw])
    fields["name"] = msgspec.Raw(msgspec.json.encode(name))
    return Binding(name, current_binding.kind, msgspec.json.encode(fields))


def _is_same_plain_binding(new: Binding, current_binding: CurrentBinding | None) -> bool:
    """Return True if the script already has the same plain binding, which then needs no new row."""
    if current_binding is None or current_binding.secret or new.sealed is not None:
        return False
    return (current_binding.kind, current_binding.shown) == (new.kind, new.shown)
