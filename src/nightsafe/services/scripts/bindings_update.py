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
from nightsafe.bindings.metadata import KEY_METADATA
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
_READ_BACK_MEMBERS = {SecretText.kind: _BARE, SecretKey.kind: _BARE.union(KEY_METADATA)}
"""The members of a secret that reads show, by its type."""


class ReadBackBinding(Struct, frozen=True):
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


ParsedBinding = AnyBinding | ReadBackBinding


def parse_bindings(raw: Sequence[object], limits: Limits) -> tuple[ParsedBinding, ...]:
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
    return _parse_unique(raw, limits, _parse_settings_binding, (InheritedBinding, ReadBackBinding))


def parse_upload_bindings(raw: Sequence[object], limits: Limits) -> tuple[ParsedBinding, ...]:
    """Parse the bindings of an upload, one for each name. Secrets without their values become `ReadBackBinding`.

    If two have the same name, the later one counts, provided that the earlier one is a secret without its value.

    Args:
        raw: the JSON values.
        limits: sets the largest number of bindings.

    Raises:
        NightsafeError: like `parse_bindings`.
    """
    return _parse_unique(raw, limits, _parse_upload_binding, (ReadBackBinding,))


def _parse_unique(
    raw: Sequence[object],
    limits: Limits,
    parse_one: Callable[[object, str, int], ParsedBinding],
    replaceable: tuple[type, ...],
) -> tuple[ParsedBinding, ...]:
    """Return the bindings of a list, one for each name, or refuse with every problem in them.

    Args:
        raw: the JSON values.
        limits: sets the largest number of bindings.
        parse_one: parses one binding from its value, its pointer and its index.
        replaceable: the classes that a later binding of the same name may replace.
    """
    if len(raw) > limits.max_bindings:
        raise NightsafeError(Code.INVALID, f"more than {limits.max_bindings} bindings", "/bindings")
    bindings: dict[str, ParsedBinding] = {}
    kinds: dict[str, str] = {}
    problems: list[Problem] = []
    for index, item in enumerate(raw):
        at = pointer_to("/bindings", index)
        try:
            binding = parse_one(item, at, index)
        except NightsafeError as error:
            problems += error.problems
            continue
        before = bindings.get(binding.name)
        if before is not None and not (
            isinstance(before, replaceable) and _may_replace(binding, kinds[binding.name])
        ):
            problems.append(Problem(Code.BINDING_NAME_TAKEN, binding.name, at, kinds[binding.name]))
            continue
        bindings[binding.name], kinds[binding.name] = binding, need_object(item, at, "a binding")["type"]
    if problems:
        raise NightsafeError.of(problems)
    return tuple(bindings.values())


def _may_replace(binding: ParsedBinding, kind: str) -> bool:
    """Return whether an entry may replace an earlier one of this type that has no value."""
    return kind not in PLAIN_KINDS or not isinstance(binding, (SecretText, SecretKey))


def needs_existing(bindings: Iterable[ParsedBinding]) -> bool:
    """Return whether the result of `resolve` depends on the existing bindings."""
    return any(isinstance(binding, ReadBackBinding) for binding in bindings)


def resolve(bindings: Iterable[ParsedBinding], existing: Iterable[Binding]) -> ResolvedBindings:
    """Resolve entries against the existing bindings.

    Raises:
        NightsafeError: like `parse_binding`, for a binding that has no value and differs from the existing one.
    """
    by_name = {binding.name: msgspec.json.decode(binding.shown) for binding in existing}
    resolved = [
        _resolve_one(binding, by_name) if isinstance(binding, ReadBackBinding) else binding for binding in bindings
    ]
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


def _parse_settings_binding(raw: object, at: str, index: int) -> ParsedBinding:
    """Parse one binding of a settings change."""
    fields = need_object(raw, at, "a binding")
    kind = fields.get("type")
    bare = fields.keys() == _BARE and isinstance(kind, str) and (kind in SECRET_KINDS or kind in PLAIN_KINDS)
    if not bare and not _lacks_key(fields):
        return parse_binding(fields, at, index)
    inherited = parse_binding({"type": "inherit", "name": fields.get("name")}, at, index)
    return inherited if bare and kind not in MEMBERLESS_KINDS else ReadBackBinding(inherited.name, fields, at, index)


def _parse_upload_binding(raw: object, at: str, index: int) -> ParsedBinding:
    """Parse one binding of an upload."""
    fields = need_object(raw, at, "a binding")
    if not is_shown_secret(fields):
        return parse_binding(fields, at, index)
    inherited = parse_binding({"type": "inherit", "name": fields.get("name")}, at, index)
    return ReadBackBinding(inherited.name, fields, at, index)


def is_shown_secret(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a secret without its value.

    It is one if it has no other members than reads show of this type, or is `{type, name}` alone. So a misspelt
    member makes it something else.
    """
    public_members = _READ_BACK_MEMBERS.get(fields["type"]) if isinstance(fields.get("type"), str) else None
    return public_members is not None and fields.keys() <= public_members


def _lacks_key(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a secret key without its key material."""
    return fields.get("type") == SecretKey.kind and not fields.keys() & _KEY_MEMBERS


def _resolve_one(binding: ReadBackBinding, by_name: Mapping[str, dict[str, Any]]) -> AnyBinding:
    """Inherit the existing binding if it is the same. Otherwise make a new one; this refuses a key without its value.

    Args:
        binding: the binding in the request.
        by_name: the existing bindings, as reads show them.
    """
    current = by_name.get(binding.name, {})
    same = (
        current.get("type") == binding.fields["type"] if binding.fields.keys() == _BARE else current == binding.fields
    )
    return (
        InheritedBinding(binding.name, binding.name)
        if same
        else parse_binding(binding.fields, binding.at, binding.index)
    )
