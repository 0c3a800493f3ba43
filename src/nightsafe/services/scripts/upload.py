"""Parses and checks a script upload.

Source: the multipart upload of `workers/scripts/{script_name}` in the Cloudflare v4 API's specification.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from nightsafe.bindings.json_fields import need_array, need_object, optional_string
from nightsafe.bindings.kinds import PLAIN_KINDS
from nightsafe.bindings.model import InheritedBinding, PlainBinding, Secret
from nightsafe.bindings.unknown_members import refuse_misspelt, unknown_member_notices
from nightsafe.bundle.fields import BODY_PART
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.limits import Limits
from nightsafe.services.notices import Notices, migration_notices, settings_notices
from nightsafe.services.scripts.bindings_update import ReadBackBinding, parse_upload_bindings
from nightsafe.services.scripts.kept_bindings import kept_kinds
from nightsafe.services.scripts.modules import Part, Source, parse_source
from nightsafe.services.scripts.setting_fields import (
    SCRIPT_LEVEL,
    VERSION_LEVEL,
    encode_settings,
    script_settings,
    version_settings,
)
from nightsafe.services.versions.annotations import annotation_notices, parse_annotations
from nightsafe.store.script_edit import Inherit

_MAX_MIGRATION_TAG = 1024

_IGNORED_MEMBERS = frozenset({"capnp_schema", "code_update_strategy", "keep_assets"})
"""Members that wrangler sends and that Nightsafe ignores."""

_MEMBERS = (
    frozenset({"annotations", "bindings", BODY_PART, "keep_bindings", "main_module", "migrations"})
    | frozenset(VERSION_LEVEL)
    | frozenset(SCRIPT_LEVEL)
    | _IGNORED_MEMBERS
)
_MIGRATION = ("new_tag", "old_tag", "steps")
_BINDINGS_ELSEWHERE = ("env", "env_vars", "secret", "secrets", "vars")
"""Names for bindings in other requests and in configuration files. An upload has its bindings in `bindings`."""


class Migration(Struct, frozen=True):
    """The Durable Object migrations of an upload; Nightsafe uses only their tags.

    Attributes:
        old_tag: the tag that the Worker must have before, or None for any.
        new_tag: the tag that it has afterwards, or None to leave it unchanged.
    """

    old_tag: str | None = None
    new_tag: str | None = None


class ParsedUpload(Struct, frozen=True, kw_only=True):
    """An upload that has passed every check that does not need the store.

    Attributes:
        source: the code.
        secrets: bindings to seal.
        plain: bindings without a secret.
        inherits: bindings to inherit from the previous version.
        shown: secrets without their values: see `bindings_update`.
        keep: the types of bindings to keep from the previous version.
        settings: JSON object of all version settings.
        script_settings: JSON object of the script settings that the upload names.
        annotations: JSON object.
        migration: its Durable Object migrations, or None.
        notices: the parts of the upload that have no effect.
    """

    source: Source
    secrets: tuple[Secret, ...]
    plain: tuple[PlainBinding, ...]
    inherits: tuple[Inherit, ...]
    keep: frozenset[str]
    settings: bytes
    script_settings: bytes
    annotations: bytes
    shown: tuple[ReadBackBinding, ...] = ()
    migration: Migration | None = None
    notices: Notices = ()


def parse_upload(metadata: object, parts: Sequence[Part], limits: Limits, *, deployed: bool) -> ParsedUpload:
    """Parse an upload, and check its metadata against its parts.

    Args:
        metadata: the JSON value of the part `metadata`.
        parts: every other part.
        limits: the limits on uploads.
        deployed: whether the new version is deployed at once.

    Raises:
        NightsafeError: INVALID or a code of a binding, with a pointer into the metadata; a problem for each binding.
    """
    fields = need_object(metadata, "", "'metadata'")
    _check_members(fields)
    settings = version_settings(fields)
    bindings = parse_upload_bindings(need_array(fields, "bindings", "") if "bindings" in fields else [], limits)
    plain = tuple(binding for binding in bindings if isinstance(binding, PlainBinding))
    source = parse_source(fields, parts, _parts_of(plain), limits)
    _check_parts(plain, source)
    return ParsedUpload(
        source=source,
        secrets=tuple(
            binding
            for binding in bindings
            if not isinstance(binding, (PlainBinding, InheritedBinding, ReadBackBinding))
        ),
        plain=plain,
        inherits=tuple(
            Inherit(binding.name, binding.old_name) for binding in bindings if isinstance(binding, InheritedBinding)
        ),
        shown=tuple(binding for binding in bindings if isinstance(binding, ReadBackBinding)),
        keep=kept_kinds(fields, deployed=deployed),
        settings=encode_settings(settings | ({BODY_PART: source.main_module} if source.classic else {})),
        script_settings=encode_settings(script_settings(fields)),
        annotations=parse_annotations(fields.get("annotations"), limits),
        migration=_migration(fields),
        notices=_notices(fields),
    )


def _notices(fields: dict[str, Any]) -> Notices:
    """Return notices of the parts of an upload that have no effect or are unknown."""
    migrations = migration_notices(present=fields.get("migrations") is not None)
    unknown_members = unknown_member_notices(fields, _MEMBERS, "")
    return (*settings_notices(fields), *migrations, *annotation_notices(fields.get("annotations")), *unknown_members)


def _check_members(fields: dict[str, Any]) -> None:
    """Refuse misspelt members, and bindings under another name than `bindings`.

    If they were ignored, a secret would silently not be set.

    Raises:
        NightsafeError: INVALID.
    """
    refuse_misspelt(fields, _MEMBERS, "")
    elsewhere = next((name for name in _BINDINGS_ELSEWHERE if fields.get(name) is not None), None)
    if elsewhere is not None:
        sentence = f"an upload has no '{elsewhere}': list secrets and variables in 'bindings', each with its 'name'"
        raise NightsafeError(Code.INVALID, sentence, f"/{elsewhere}")


def _parts_of(plain: Sequence[PlainBinding]) -> set[str]:
    """Return the names of the parts that bindings of type `wasm_module`, `text_blob` or `data_blob` refer to."""
    return {binding.fields["part"] for binding in plain if isinstance(binding.fields.get("part"), str)}


def _check_parts(plain: Sequence[PlainBinding], source: Source) -> None:
    """Refuse bindings that refer to missing parts.

    Raises:
        NightsafeError: INVALID, with a problem for each binding.
    """
    names = {module.name for module in source.modules}
    absent = [
        binding
        for binding in plain
        if "part" in PLAIN_KINDS[binding.kind] and binding.fields.get("part") not in names
    ]
    if absent:
        sentence = "the binding's 'part' is not the name of a part of the upload"
        raise NightsafeError.of(
            Problem(Code.INVALID, f"'{binding.name}': {sentence}", "/bindings") for binding in absent
        )


def _migration(fields: dict[str, Any]) -> Migration | None:
    """Return the tags of the Durable Object migrations; the runtime handles their effect on classes."""
    if fields.get("migrations") is None:
        return None
    raw = need_object(fields["migrations"], "/migrations", "'migrations'")
    refuse_misspelt(raw, _MIGRATION, "/migrations")
    tags = {name: optional_string(raw, name, "/migrations") for name in ("old_tag", "new_tag")}
    for name, tag in tags.items():
        if tag is not None and len(tag) > _MAX_MIGRATION_TAG:
            raise NightsafeError(
                Code.INVALID, f"'{name}' is longer than {_MAX_MIGRATION_TAG} characters", f"/migrations/{name}"
            )
    return Migration(tags["old_tag"], tags["new_tag"])
