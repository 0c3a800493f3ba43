"""Parses lists of bindings in which a binding without a value stands for the existing one.

In a change of settings the list replaces all bindings. A binding without its value, either as reads show it or as
`{type, name}` alone, stays unchanged: wrangler 3.17 to 4.93 sends every existing binding back like this when it sets
secrets through the settings. In an upload a secret without its value stays, too: `versions secret put` of wrangler
3.73 to 3.90 uploads a version again, with the secret keys as reads of the previous version show them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from nightsafe.bindings.json_fields import need_object, pointer_to
from nightsafe.bindings.kinds import MEMBERLESS_KINDS, PLAIN_KINDS
from nightsafe.bindings.model import (
    SECRET_KINDS,
    AnyBinding,
    InheritedBinding,
    PlainBinding,
    Secret,
    SecretKey,
    SecretText,
)
from nightsafe.bindings.parse import parse_binding
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.limits import Limits
from nightsafe.store.script_edit import BindingsUpdate, Inherit
from nightsafe.store.scripts import Binding

_BARE = frozenset({"name", "type"})
_KEY_MEMBERS = frozenset({"key_base64", "key_jwk"})
_SHOWN_MEMBERS = {SecretText.kind: _BARE, SecretKey.kind: _BARE | {"format", "algorithm", "usages"}}
"""The members of a secret that reads show, by its type."""


class ShownBinding(Struct, frozen=True):
    """A binding in the form in which reads show it. The existing bindings decide whether it stands for one of them.

    Attributes:
        name: the binding's name.
        fields: the JSON object.
        at: JSON Pointer to it.
        index: its index in the list.
    """

    name: str
    fields: dict[str, Any]
    at: str
    index: int


class ResolvedBindings(Struct, frozen=True):
    """The bindings that a script will have: those to make, and the names of those to keep."""

    secrets: tuple[Secret, ...]
    plain: tuple[PlainBinding, ...]
    bindings_update: BindingsUpdate


Entry = AnyBinding | ShownBinding


def parse_bindings(raw: Sequence[object], limits: Limits) -> tuple[Entry, ...]:
    """Parse the bindings of a settings change, one for each name.

    If two have the same name, the later one counts, provided that the earlier one has no value. As an exception, a
    secret does not replace a binding of another type: wrangler sends a variable back and adds a secret of the same
    name, without noticing the conflict.

    Args:
        raw: the JSON values.
        limits: sets the largest number of bindings.

    Raises:
        NightsafeError: INVALID, or the code of a binding; with a problem for each binding that is refused.
    """
    return _one_each(raw, limits, _entry, (InheritedBinding, ShownBinding))


def parse_uploaded(raw: Sequence[object], limits: Limits) -> tuple[Entry, ...]:
    """Parse the bindings of an upload, one for each name. Secrets without their values become `ShownBinding`.

    If two have the same name, the later one counts, provided that the earlier one is a secret without its value.

    Args:
        raw: the JSON values.
        limits: sets the largest number of bindings.

    Raises:
        NightsafeError: like `parse_bindings`.
    """
    return _one_each(raw, limits, _uploaded, (ShownBinding,))


def _one_each(
    raw: Sequence[object], limits: Limits, read: Callable[[object, str, int], Entry], yields: tuple[type, ...]
) -> tuple[Entry, ...]:
    """Return the bindings of a list, one for each name, or refuse with every problem in them.

    Args:
        raw: the JSON values.
        limits: sets the largest number of bindings.
        read: parses one binding from its value, its pointer and its index.
        yields: the classes that a later binding of the same name may replace.
    """
    if len(raw) > limits.max_bindings:
        raise NightsafeError(Code.INVALID, f"more than {limits.max_bindings} bindings", "/bindings")
    entries: dict[str, Entry] = {}
    kinds: dict[str, str] = {}
    problems: list[Problem] = []
    for index, item in enumerate(raw):
        at = pointer_to("/bindings", index)
        try:
            entry = read(item, at, index)
        except NightsafeError as error:
            problems += error.problems
            continue
        before = entries.get(entry.name)
        if before is not None and not (isinstance(before, yields) and _may_replace(entry, kinds[entry.name])):
            problems.append(Problem(Code.BINDING_NAME_TAKEN, entry.name, at, kinds[entry.name]))
            continue
        entries[entry.name], kinds[entry.name] = entry, need_object(item, at, "a binding")["type"]
    if problems:
        raise NightsafeError.of(problems)
    return tuple(entries.values())


def _may_replace(entry: Entry, kind: str) -> bool:
    """Return whether an entry may replace an earlier one of this type that has no value."""
    return kind not in PLAIN_KINDS or not isinstance(entry, (SecretText, SecretKey))


def needs_existing(entries: Iterable[Entry]) -> bool:
    """Return whether the result of `resolve` depends on the existing bindings."""
    return any(isinstance(entry, ShownBinding) for entry in entries)


def resolve(entries: Iterable[Entry], existing: Iterable[Binding]) -> ResolvedBindings:
    """Resolve entries against the existing bindings.

    Raises:
        NightsafeError: like `parse_binding`, for a binding that has no value and differs from the existing one.
    """
    by_name = {binding.name: msgspec.json.decode(binding.shown) for binding in existing}
    resolved = [_resolved(entry, by_name) if isinstance(entry, ShownBinding) else entry for entry in entries]
    return ResolvedBindings(
        secrets=tuple(binding for binding in resolved if not isinstance(binding, (PlainBinding, InheritedBinding))),
        plain=tuple(binding for binding in resolved if isinstance(binding, PlainBinding)),
        bindings_update=BindingsUpdate(
            inherits=tuple(
                Inherit(binding.name, binding.old_name)
                for binding in resolved
                if isinstance(binding, InheritedBinding)
            ),
            strict=True,
        ),
    )


def _entry(raw: object, at: str, index: int) -> Entry:
    """Parse one binding of a settings change."""
    fields = need_object(raw, at, "a binding")
    kind = fields.get("type")
    bare = fields.keys() == _BARE and isinstance(kind, str) and (kind in SECRET_KINDS or kind in PLAIN_KINDS)
    if not bare and not _lacks_key(fields):
        return parse_binding(fields, at, index)
    kept = parse_binding({"type": "inherit", "name": fields.get("name")}, at, index)
    return kept if bare and kind not in MEMBERLESS_KINDS else ShownBinding(kept.name, fields, at, index)


def _uploaded(raw: object, at: str, index: int) -> Entry:
    """Parse one binding of an upload."""
    fields = need_object(raw, at, "a binding")
    if not is_shown_secret(fields):
        return parse_binding(fields, at, index)
    kept = parse_binding({"type": "inherit", "name": fields.get("name")}, at, index)
    return ShownBinding(kept.name, fields, at, index)


def is_shown_secret(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a secret without its value.

    It is one if it has no other members than reads show of this type, or is `{type, name}` alone. So a misspelt
    member makes it something else.
    """
    shown = _SHOWN_MEMBERS.get(fields["type"]) if isinstance(fields.get("type"), str) else None
    return shown is not None and fields.keys() <= shown


def _lacks_key(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a secret key without its key material."""
    return fields.get("type") == SecretKey.kind and not fields.keys() & _KEY_MEMBERS


def _resolved(entry: ShownBinding, by_name: Mapping[str, dict[str, Any]]) -> AnyBinding:
    """Inherit the existing binding if it is the same. Otherwise make a new one; this refuses a key without its value.

    Args:
        entry: the binding in the request.
        by_name: the existing bindings, as reads show them.
    """
    current = by_name.get(entry.name, {})
    same = current.get("type") == entry.fields["type"] if entry.fields.keys() == _BARE else current == entry.fields
    return InheritedBinding(entry.name, entry.name) if same else parse_binding(entry.fields, entry.at, entry.index)
