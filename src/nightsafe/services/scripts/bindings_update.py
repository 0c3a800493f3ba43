"""Lists of bindings in which some stand without their values, and mean those there are.

In a change of settings the bindings take the place of all there are. One without its value, as reads show it or as
nothing but `{type, name}`, stays what it is: wrangler 3.17 to 4.93 sends back every binding so when it sets secrets
through the settings. In an upload a secret without its value is kept likewise: `versions secret put` of wrangler 3.73
to 3.90 uploads a version anew, with the keys as the version before shows them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from nightsafe.bindings.json_fields import need_object, pointer_to
from nightsafe.bindings.kinds import PLAIN_KINDS
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

_WHOLE_KINDS = frozenset(
    {
        "ai",
        "assets",
        "browser",
        "images",
        "media",
        "send_email",
        "unsafe_hello_world",
        "version_metadata",
        "worker_loader",
    }
)
"""Kinds that need no member beside `name` and `type`: one that is not there yet is made."""

_BARE = frozenset({"name", "type"})
_KEY_MEMBERS = frozenset({"key_base64", "key_jwk"})
_SHOWN_MEMBERS = {SecretText.kind: _BARE, SecretKey.kind: _BARE | {"format", "algorithm", "usages"}}
"""What reads show of a secret, by its kind."""


class Shown(Struct, frozen=True):
    """A binding that may be one there is, as it is shown: what it is then depends on what is there.

    Attributes:
        name: the binding's name.
        fields: the JSON object.
        at: JSON Pointer to it.
        index: its place in the list.
    """

    name: str
    fields: dict[str, Any]
    at: str
    index: int


class Bound(Struct, frozen=True):
    """The bindings that a script is to have: those to make and, by name, those to keep."""

    secrets: tuple[Secret, ...]
    plain: tuple[PlainBinding, ...]
    bindings_update: BindingsUpdate


Entry = AnyBinding | Shown


def parse_bindings(raw: Sequence[object], limits: Limits) -> tuple[Entry, ...]:
    """The bindings of a settings change, one for each name.

    Of two with the same name the later one counts, if the earlier brings no value. But a secret takes no other kind's
    place so: wrangler sends a variable back and a secret of its name behind it, without knowing what it does.

    Args:
        raw: the JSON values.
        limits: how many there may be.

    Raises:
        NightsafeError: INVALID or a code of a binding; one problem for each that is refused.
    """
    return _one_each(raw, limits, _entry, (InheritedBinding, Shown))


def parse_uploaded(raw: Sequence[object], limits: Limits) -> tuple[Entry, ...]:
    """The bindings of an upload, one for each name; `Shown` are secrets that came without their values.

    Of two with the same name the later one counts, if the earlier is such a secret.

    Args:
        raw: the JSON values.
        limits: how many there may be.

    Raises:
        NightsafeError: as `parse_bindings`.
    """
    return _one_each(raw, limits, _uploaded, (Shown,))


def _one_each(
    raw: Sequence[object], limits: Limits, read: Callable[[object, str, int], Entry], yields: tuple[type, ...]
) -> tuple[Entry, ...]:
    """Every binding of a list, or every problem with them.

    Args:
        raw: the JSON values.
        limits: how many there may be.
        read: makes one of its value, the pointer to it and its place.
        yields: what gives way to a later one of the same name.
    """
    if len(raw) > limits.max_bindings:
        raise NightsafeError(Code.INVALID, f"more than {limits.max_bindings} bindings", "/bindings")
    entries: dict[str, Entry] = {}
    kinds: dict[str, str] = {}
    problems: list[Problem] = []
    for index, one in enumerate(raw):
        at = pointer_to("/bindings", index)
        try:
            entry = read(one, at, index)
        except NightsafeError as error:
            problems += error.problems
            continue
        before = entries.get(entry.name)
        if before is not None and not (isinstance(before, yields) and _may_replace(entry, kinds[entry.name])):
            problems.append(Problem(Code.BINDING_NAME_TAKEN, entry.name, at, kinds[entry.name]))
            continue
        entries[entry.name], kinds[entry.name] = entry, need_object(one, at, "a binding")["type"]
    if problems:
        raise NightsafeError.of(problems)
    return tuple(entries.values())


def _may_replace(entry: Entry, kind: str) -> bool:
    """Whether an entry may take the place of one without a value that is of this kind."""
    return kind not in PLAIN_KINDS or not isinstance(entry, (SecretText, SecretKey))


def needs_look(entries: Iterable[Entry]) -> bool:
    """Whether it depends on the bindings there are what these come to."""
    return any(isinstance(entry, Shown) for entry in entries)


def bound(entries: Iterable[Entry], there: Iterable[Binding]) -> Bound:
    """What is to be made, and what is to be kept of the bindings there are.

    Raises:
        NightsafeError: as `parse_binding`, for one that is not as it is shown and lacks its value.
    """
    shown = {one.name: msgspec.json.decode(one.shown) for one in there}
    settled = [_settled(entry, shown) if isinstance(entry, Shown) else entry for entry in entries]
    return Bound(
        secrets=tuple(one for one in settled if not isinstance(one, (PlainBinding, InheritedBinding))),
        plain=tuple(one for one in settled if isinstance(one, PlainBinding)),
        bindings_update=BindingsUpdate(
            inherits=tuple(Inherit(one.name, one.old_name) for one in settled if isinstance(one, InheritedBinding)),
            strict=True,
        ),
    )


def _entry(raw: object, at: str, index: int) -> Entry:
    """One binding of the list."""
    fields = need_object(raw, at, "a binding")
    kind = fields.get("type")
    bare = fields.keys() == _BARE and isinstance(kind, str) and (kind in SECRET_KINDS or kind in PLAIN_KINDS)
    if not bare and not _lacks_key(fields):
        return parse_binding(fields, at, index)
    kept = parse_binding({"type": "inherit", "name": fields.get("name")}, at, index)
    return kept if bare and kind not in _WHOLE_KINDS else Shown(kept.name, fields, at, index)


def _uploaded(raw: object, at: str, index: int) -> Entry:
    """One binding of an upload."""
    fields = need_object(raw, at, "a binding")
    if not is_shown_secret(fields):
        return parse_binding(fields, at, index)
    kept = parse_binding({"type": "inherit", "name": fields.get("name")}, at, index)
    return Shown(kept.name, fields, at, index)


def is_shown_secret(fields: Mapping[str, Any]) -> bool:
    """Whether it is a secret as reads show it, or nothing but its kind and name: no value, and nothing misspelt."""
    shown = _SHOWN_MEMBERS.get(fields["type"]) if isinstance(fields.get("type"), str) else None
    return shown is not None and fields.keys() <= shown


def _lacks_key(fields: Mapping[str, Any]) -> bool:
    """Whether it is a secret key with what describes it and without itself."""
    return fields.get("type") == SecretKey.kind and not fields.keys() & _KEY_MEMBERS


def _settled(entry: Shown, shown: Mapping[str, dict[str, Any]]) -> AnyBinding:
    """Kept, if it is there so; else made anew, which is refused for a key."""
    there = shown.get(entry.name, {})
    same = there.get("type") == entry.fields["type"] if entry.fields.keys() == _BARE else there == entry.fields
    return InheritedBinding(entry.name, entry.name) if same else parse_binding(entry.fields, entry.at, entry.index)
