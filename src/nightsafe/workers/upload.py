"""A script upload, from its parts to what is stored of it.

Source: the multipart upload of `workers/scripts/{script_name}` in the Cloudflare v4 API's specification, and
what its clients send: a part `metadata`, and modules known by their file name or, lacking one, their part's name.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from nightsafe.bindings.fields import need_array, need_object, optional_string, pointer_to, type_name
from nightsafe.bindings.kinds import PLAIN_KINDS
from nightsafe.bindings.model import SECRET_KINDS, AnyBinding, InheritedBinding, PlainBinding, SecretKey, SecretText
from nightsafe.bindings.parse import parse_binding
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.store.model import Inherit, Module
from nightsafe.workers.limits import Limits

VERSION_LEVEL: dict[str, type] = {
    "assets": dict,
    "cache_options": dict,
    "compatibility_date": str,
    "compatibility_flags": list,
    "containers": list,
    "exports": dict,
    "keep_assets": bool,
    "limits": dict,
    "migrations": dict,
    "package_dependencies": list,
    "placement": dict,
    "usage_model": str,
}
"""Settings of a version, with their types. Nothing else is kept: it would be shown again."""

SCRIPT_LEVEL: dict[str, type] = {"logpush": bool, "observability": dict, "tags": list, "tail_consumers": list}
"""Settings that belong to the script and not to a version, with their types."""

_MAX_SETTINGS_BYTES = 64 * 1024


class Part(Struct, frozen=True):
    """One file of the upload; `name` is what the metadata calls it."""

    name: str
    content_type: str
    body: bytes


class ParsedUpload(Struct, frozen=True, kw_only=True):
    """An upload that has passed every check which needs no look at the store."""

    main_module: str
    modules: tuple[Module, ...]
    secrets: tuple[SecretText | SecretKey, ...]
    plain: tuple[PlainBinding, ...]
    inherits: tuple[Inherit, ...]
    keep: frozenset[str]
    settings: bytes
    script_settings: bytes
    annotations: bytes


def parse_upload(metadata: object, parts: Sequence[Part], limits: Limits) -> ParsedUpload:
    """Check an upload's metadata against its parts.

    Args:
        metadata: the JSON value of the part `metadata`.
        parts: every other part.
        limits: what it must keep to.

    Raises:
        NightsafeError: INVALID or a code of a binding, with a pointer into the metadata; one problem a binding.
    """
    fields = need_object(metadata, "", "'metadata'")
    bindings = _bindings(fields, limits)
    return ParsedUpload(
        main_module=_main_module(fields, parts, limits),
        modules=tuple(Module(p.name, p.content_type, hashlib.sha256(p.body).digest(), p.body) for p in parts),
        secrets=tuple(one for one in bindings if isinstance(one, (SecretText, SecretKey))),
        plain=tuple(one for one in bindings if isinstance(one, PlainBinding)),
        inherits=tuple(Inherit(one.name, one.old_name) for one in bindings if isinstance(one, InheritedBinding)),
        keep=_keep(fields),
        settings=_settings(fields),
        script_settings=_sized(_known(fields, SCRIPT_LEVEL), ""),
        annotations=_annotations(fields, limits),
    )


def _main_module(fields: dict[str, Any], parts: Sequence[Part], limits: Limits) -> str:
    """The part that the Worker starts with; every part must have a name of its own."""
    member = "main_module" if fields.get("main_module") is not None else "body_part"
    main = optional_string(fields, member, "")
    if main is None:
        raise NightsafeError(
            Code.INVALID, "'main_module' is missing: name the module that the Worker starts with", "/main_module"
        )
    names = [part.name for part in parts]
    if main not in names:
        raise NightsafeError(Code.INVALID, f"'{member}' names no part of the upload", f"/{member}")
    if len(names) != len(set(names)):
        raise NightsafeError(Code.INVALID, "two parts of the upload have the same file name", "")
    if len(names) > limits.max_modules:
        raise NightsafeError(Code.INVALID, f"the upload has more than {limits.max_modules} modules", "")
    return main


def _bindings(fields: dict[str, Any], limits: Limits) -> list[AnyBinding]:
    """Every binding, or every problem with them."""
    raw = need_array(fields, "bindings", "") if "bindings" in fields else []
    if len(raw) > limits.max_bindings:
        raise NightsafeError(Code.INVALID, f"more than {limits.max_bindings} bindings", "/bindings")
    bindings: list[AnyBinding] = []
    problems: list[Problem] = []
    for index, one in enumerate(raw):
        try:
            bindings.append(parse_binding(one, pointer_to("/bindings", index), index))
        except NightsafeError as error:
            problems += error.problems
    problems += _named_twice(bindings)
    if problems:
        raise NightsafeError.of(problems)
    return bindings


def _named_twice(bindings: Sequence[AnyBinding]) -> list[Problem]:
    """A problem for each name that comes again."""
    seen: set[str] = set()
    problems = []
    for one in bindings:
        if one.name in seen:
            problems.append(Problem(Code.BINDING_NAME_TAKEN, one.name, "/bindings"))
        seen.add(one.name)
    return problems


def _keep(fields: dict[str, Any]) -> frozenset[str]:
    """Kinds whose bindings stay: the listed ones, or without a list the secret ones, which no upload may lose."""
    if fields.get("keep_bindings") is None:
        return SECRET_KINDS
    kinds = need_array(fields, "keep_bindings", "")
    if not all(isinstance(kind, str) and (kind in SECRET_KINDS or kind in PLAIN_KINDS) for kind in kinds):
        raise NightsafeError(Code.INVALID, "'keep_bindings' may hold only kinds of binding", "/keep_bindings")
    return frozenset(kinds)


def _settings(fields: dict[str, Any]) -> bytes:
    """The versioned settings; that a script is a classic one is known by its `body_part`."""
    kept = _known(fields, VERSION_LEVEL)
    if kept.get("compatibility_date") and not _is_date(kept["compatibility_date"]):
        raise NightsafeError(Code.INVALID, "'compatibility_date' must be a date as YYYY-MM-DD", "/compatibility_date")
    if not all(isinstance(flag, str) for flag in kept.get("compatibility_flags", ())):
        raise NightsafeError(Code.INVALID, "'compatibility_flags' may hold only strings", "/compatibility_flags")
    if fields.get("main_module") is None:
        kept["body_part"] = fields["body_part"]
    return _sized(kept, "")


def _known(fields: dict[str, Any], settings: dict[str, type]) -> dict[str, Any]:
    """The settings of a table that are there and not null, each of the type it must have."""
    kept = {name: fields[name] for name in settings if fields.get(name) is not None}
    for name, value in kept.items():
        if not isinstance(value, settings[name]):
            raise NightsafeError(
                Code.INVALID, f"'{name}' must be {type_name(settings[name]())}, not {type_name(value)}", f"/{name}"
            )
    return kept


def _is_date(text: str) -> bool:
    """Whether a text is a date as YYYY-MM-DD."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _annotations(fields: dict[str, Any], limits: Limits) -> bytes:
    """The annotations of the version, as JSON."""
    raw = fields.get("annotations")
    annotations = {} if raw is None else need_object(raw, "/annotations", "'annotations'")
    encoded = msgspec.json.encode(annotations)
    if len(encoded) > limits.max_annotation_bytes:
        raise NightsafeError(
            Code.INVALID, f"'annotations' is over {limits.max_annotation_bytes} bytes of JSON", "/annotations"
        )
    return encoded


def _sized(settings: dict[str, Any], at: str) -> bytes:
    """Settings as JSON, if they are not too large."""
    encoded = msgspec.json.encode(settings)
    if len(encoded) > _MAX_SETTINGS_BYTES:
        raise NightsafeError(Code.INVALID, f"the settings are over {_MAX_SETTINGS_BYTES} bytes of JSON", at)
    return encoded
