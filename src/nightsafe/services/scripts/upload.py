"""A script upload, from its parts to what is stored of it.

Source: the multipart upload of `workers/scripts/{script_name}` in the Cloudflare v4 API's specification.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from nightsafe.bindings.json_fields import need_array, need_object, optional_string
from nightsafe.bindings.kinds import PLAIN_KINDS
from nightsafe.bindings.model import InheritedBinding, PlainBinding, Secret
from nightsafe.bindings.unknown_members import refuse_slips, unknown
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.limits import Limits
from nightsafe.services.notices import Notices, of_migrations, of_settings
from nightsafe.services.scripts.bindings_update import Shown, parse_uploaded
from nightsafe.services.scripts.kept_bindings import kept_kinds
from nightsafe.services.scripts.modules import BODY_PART, Part, Source, parse_source
from nightsafe.services.scripts.setting_fields import (
    SCRIPT_LEVEL,
    VERSION_LEVEL,
    encoded,
    script_settings,
    version_settings,
)
from nightsafe.services.versions.annotations import of_annotations, parse_annotations
from nightsafe.store.script_edit import Inherit

_MAX_MIGRATION_TAG = 1024

_SENT = frozenset({"capnp_schema", "code_update_strategy", "keep_assets"})
"""What wrangler sends beside, and means nothing here."""

_MEMBERS = (
    frozenset({"annotations", "bindings", BODY_PART, "keep_bindings", "main_module", "migrations"})
    | frozenset(VERSION_LEVEL)
    | frozenset(SCRIPT_LEVEL)
    | _SENT
)
_MIGRATION = ("new_tag", "old_tag", "steps")
_BINDINGS_ELSEWHERE = ("env", "env_vars", "secret", "secrets", "vars")
"""What other requests and configuration files call the bindings that an upload brings in `bindings`."""


class Migration(Struct, frozen=True):
    """The Durable Object migrations of an upload, of which only the tags matter here.

    Attributes:
        old_tag: the tag that the Worker must be at, or None for any.
        new_tag: the tag that it is at afterwards, or None to leave it.
    """

    old_tag: str | None = None
    new_tag: str | None = None


class ParsedUpload(Struct, frozen=True, kw_only=True):
    """An upload that has passed every check which needs no look at the store.

    Attributes:
        source: the code.
        secrets: bindings to be sealed.
        plain: bindings that hold no secret.
        inherits: bindings to take over from the version before.
        shown: secrets that came without their values: see `rebinding`.
        keep: kinds of which the bindings of the version before stay.
        settings: JSON object of the versioned settings, all of them.
        script_settings: JSON object of those of the script that the upload names.
        annotations: JSON object.
        migration: its Durable Object migrations, or None without any.
        notices: what of it is kept and does nothing.
    """

    source: Source
    secrets: tuple[Secret, ...]
    plain: tuple[PlainBinding, ...]
    inherits: tuple[Inherit, ...]
    keep: frozenset[str]
    settings: bytes
    script_settings: bytes
    annotations: bytes
    shown: tuple[Shown, ...] = ()
    migration: Migration | None = None
    notices: Notices = ()


def parse_upload(metadata: object, parts: Sequence[Part], limits: Limits, *, in_force: bool) -> ParsedUpload:
    """Check an upload's metadata against its parts.

    Args:
        metadata: the JSON value of the part `metadata`.
        parts: every other part.
        limits: what it must keep to.
        in_force: whether the version that it makes is served at once.

    Raises:
        NightsafeError: INVALID or a code of a binding, with a pointer into the metadata; one problem a binding.
    """
    fields = need_object(metadata, "", "'metadata'")
    _check_members(fields)
    settings = version_settings(fields)
    bindings = parse_uploaded(need_array(fields, "bindings", "") if "bindings" in fields else [], limits)
    plain = tuple(one for one in bindings if isinstance(one, PlainBinding))
    source = parse_source(fields, parts, _parts_of(plain), limits)
    _check_parts(plain, source)
    return ParsedUpload(
        source=source,
        secrets=tuple(one for one in bindings if not isinstance(one, (PlainBinding, InheritedBinding, Shown))),
        plain=plain,
        inherits=tuple(Inherit(one.name, one.old_name) for one in bindings if isinstance(one, InheritedBinding)),
        shown=tuple(one for one in bindings if isinstance(one, Shown)),
        keep=kept_kinds(fields, in_force=in_force),
        settings=encoded(settings | ({BODY_PART: source.main_module} if source.classic else {})),
        script_settings=encoded(script_settings(fields)),
        annotations=parse_annotations(fields.get("annotations"), limits),
        migration=_migration(fields),
        notices=_notices(fields),
    )


def _notices(fields: dict[str, Any]) -> Notices:
    """What of an upload is kept and does nothing, or is not known."""
    migrations = of_migrations(present=fields.get("migrations") is not None)
    strange = unknown(fields, _MEMBERS, "")
    return (*of_settings(fields), *migrations, *of_annotations(fields.get("annotations")), *strange)


def _check_members(fields: dict[str, Any]) -> None:
    """Refuse members by which something else was meant: done as they stand, a secret would not be set."""
    refuse_slips(fields, _MEMBERS, "")
    elsewhere = next((name for name in _BINDINGS_ELSEWHERE if fields.get(name) is not None), None)
    if elsewhere is not None:
        sentence = f"an upload has no '{elsewhere}': give secrets and variables in 'bindings', each with its 'name'"
        raise NightsafeError(Code.INVALID, sentence, f"/{elsewhere}")


def _parts_of(plain: Sequence[PlainBinding]) -> set[str]:
    """The names of parts that bindings are made of, as those of kind `wasm_module`, `text_blob`, `data_blob` are."""
    return {one.fields["part"] for one in plain if isinstance(one.fields.get("part"), str)}


def _check_parts(plain: Sequence[PlainBinding], source: Source) -> None:
    """Refuse bindings made of parts that have not come."""
    names = {module.name for module in source.modules}
    absent = [one for one in plain if "part" in PLAIN_KINDS[one.kind] and one.fields.get("part") not in names]
    if absent:
        sentence = "the binding's 'part' names no part of the upload"
        raise NightsafeError.of(Problem(Code.INVALID, f"'{one.name}': {sentence}", "/bindings") for one in absent)


def _migration(fields: dict[str, Any]) -> Migration | None:
    """The tags of the Durable Object migrations: what they do to classes is the runtime's business."""
    if fields.get("migrations") is None:
        return None
    raw = need_object(fields["migrations"], "/migrations", "'migrations'")
    refuse_slips(raw, _MIGRATION, "/migrations")
    tags = {name: optional_string(raw, name, "/migrations") for name in ("old_tag", "new_tag")}
    for name, tag in tags.items():
        if tag is not None and len(tag) > _MAX_MIGRATION_TAG:
            raise NightsafeError(
                Code.INVALID, f"'{name}' is over {_MAX_MIGRATION_TAG} characters", f"/migrations/{name}"
            )
    return Migration(tags["old_tag"], tags["new_tag"])
