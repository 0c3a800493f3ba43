"""The base configuration of a script's previews, and the bindings of named previews, including secrets.

Nightsafe makes no previews. It stores their configuration so that clients need not keep its secrets elsewhere.

Source: `previews_base_config` (formerly `preview_defaults`) of `workers/workers/{worker_id}` in the Cloudflare v4
API's specification.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nightsafe.bindings.json_fields import need_object, pointer_to, type_name
from nightsafe.bindings.model import PlainBinding, Secret, SecretKey, SecretText
from nightsafe.bindings.parse import parse_binding
from nightsafe.bindings.unknown_members import require_known
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.caller import Caller, collection_change, now
from nightsafe.services.collections import commit_collection, find_collection, item_of
from nightsafe.services.limits import Limits
from nightsafe.services.merge_patch import merge_patch
from nightsafe.services.scripts.bindings_update import is_shown_secret
from nightsafe.services.scripts.setting_fields import SCRIPT_LEVEL, VERSION_LEVEL, encode_settings
from nightsafe.services.scripts.setting_forms import check_forms, refuse_many_consumers
from nightsafe.services.secrets.seal import Safe, sealing_ref
from nightsafe.services.secrets_store.access import check_store_access
from nightsafe.services.target_access import TargetAccess
from nightsafe.store.collections import Collection, CollectionEdit, Item, Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding, ScriptRef

MAX_PREVIEW_NAME = 255
MAX_PREVIEWS = 100

_KIND = Kind.SCRIPT
_SETTINGS: dict[str, type] = {
    name: (VERSION_LEVEL | SCRIPT_LEVEL)[name]
    for name in ("cache_options", "limits", "logpush", "observability", "placement", "tail_consumers")
}


class PreviewPatch(Struct, frozen=True, kw_only=True):
    """A merge patch of the previews' base configuration or of one preview.

    Attributes:
        settings: members to merge; None removes a member.
        secrets: secret bindings to put.
        plain: other bindings to put.
        keep: names of secrets without a value; their current values stay.
        drop: names of bindings to remove.
    """

    settings: dict[str, Any]
    secrets: tuple[Secret, ...]
    plain: tuple[PlainBinding, ...]
    keep: tuple[str, ...]
    drop: tuple[str, ...]


class Previews:
    """The use cases of previews. Values pass to the safe and are wiped afterwards."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits
        self._targets = TargetAccess(store)

    async def base_config(self, ref: ScriptRef) -> tuple[bytes, Sequence[Item]]:
        """Return the base configuration: its settings as a JSON object, and its bindings by name.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        collection, items = await self._stored_previews(ref)
        return collection.body, items_of_preview(items, "")

    async def bindings_of(self, ref: ScriptRef, preview: str) -> Sequence[Item]:
        """Return the bindings of one preview, by name. A preview without bindings gives an empty list.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return items_of_preview((await self._stored_previews(ref))[1], preview)

    async def edit_preview(self, caller: Caller, ref: ScriptRef, preview: str, patch: PreviewPatch) -> Sequence[Item]:
        """Change the bindings of one preview, and return them. A preview exists once it has a binding.

        Raises:
            NightsafeError: like `base_config_edit`; INVALID, for an invalid name, or too many previews.
        """
        _, items = await self._stored_previews(ref)
        _check_name(preview, {item.environment for item in items})
        self._check(patch, items_of_preview(items, preview))
        put, at = await self.seal(caller, ref, patch, preview), now()
        edit = CollectionEdit(
            account_id=ref.account_id,
            kind=_KIND,
            name=ref.name,
            put=tuple(_to_item(binding, at, preview) for binding in put),
            drop=tuple((preview, name) for name in patch.drop),
        )
        outcome = await commit_collection(self._store, collection_change(caller, "previews.edit", edit, at))
        return items_of_preview(outcome.items, preview)

    async def _stored_previews(self, ref: ScriptRef) -> tuple[Collection, Sequence[Item]]:
        """Return everything that is stored for a script's previews."""
        collection = await find_collection(self._store, ref.account_id, _KIND, ref.name)
        return collection, await self._store.items(ref.account_id, collection.id)

    async def seal(self, caller: Caller, ref: ScriptRef, patch: PreviewPatch, preview: str = "") -> Sequence[Binding]:
        """Return the bindings that a patch puts, with their values sealed to the preview's name and wiped.

        Raises:
            NightsafeError: STORE_NOT_GRANTED, TARGET_NOT_GRANTED.
        """
        check_store_access(caller, ref.account_id, patch.plain)
        await self._targets.check_bindings(caller, ref, patch.plain)
        await self._targets.check_settings(caller, ref, msgspec.json.encode(patch.settings))
        sealed = await self._safe.seal_all(sealing_ref(_KIND, ref.account_id, ref.name, preview), patch.secrets)
        return sealed + tuple(Binding(binding.name, binding.kind, binding.public_json()) for binding in patch.plain)

    async def base_config_edit(
        self, ref: ScriptRef, patch: PreviewPatch, put: Sequence[Binding], at: int
    ) -> CollectionEdit:
        """Return the edit for a patch of the base configuration, computed from its current state.

        Args:
            ref: the script.
            patch: the changes.
            put: its bindings, sealed.
            at: the time, in microseconds.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND; INVALID, for a new secret without a value; TOO_MANY_BINDINGS.
        """
        body, existing = await self.base_config(ref)
        self._check(patch, existing)
        before = msgspec.json.decode(body)
        settings = {name: merge_patch(before.get(name), value) for name, value in patch.settings.items()}
        return CollectionEdit(
            account_id=ref.account_id,
            kind=_KIND,
            name=ref.name,
            body=encode_settings(settings) if settings else None,
            expected_body=body,
            put=tuple(_to_item(binding, at) for binding in put),
            drop=tuple(("", name) for name in patch.drop),
        )

    def _check(self, patch: PreviewPatch, existing: Sequence[Item]) -> None:
        """Refuse missing secrets without a value, and too many bindings."""
        secrets = {item.name for item in existing if item.sealed is not None}
        missing = [
            Problem(Code.INVALID, f"the secret '{name}' does not exist yet, so it needs a value")
            for name in patch.keep
            if name not in secrets
        ]
        if missing:
            raise NightsafeError.of(missing)
        new = {binding.name for binding in (*patch.secrets, *patch.plain)}
        after = ({item.name for item in existing} - set(patch.drop)) | new
        if new and len(after) > self._limits.max_variables:
            message = f"Previews would have {len(after)} bindings; the limit is {self._limits.max_variables}"
            raise NightsafeError(Code.TOO_MANY_BINDINGS, message)


def parse_previews(raw: object, at: str, limits: Limits) -> PreviewPatch:
    """Parse a patch of the previews' base configuration in a request body.

    Raises:
        NightsafeError: INVALID or a code of a binding, with a pointer; a problem for each binding.
    """
    fields = need_object(raw, at, "the previews' base configuration")
    require_known(fields, (*_SETTINGS, "env"), at, "the previews' base configuration")
    settings = {name: fields[name] for name in _SETTINGS if name in fields}
    for name, value in settings.items():
        if value is not None and not isinstance(value, _SETTINGS[name]):
            message = f"'{name}' must be {type_name(_SETTINGS[name]())}, not {type_name(value)}"
            raise NightsafeError(Code.INVALID, message, pointer_to(at, name))
    refuse_many_consumers(settings.get("tail_consumers") or [], pointer_to(at, "tail_consumers"))
    check_forms(settings, at)
    env = fields.get("env")
    return _with_bindings(
        settings, {} if env is None else need_object(env, f"{at}/env", "'env'"), f"{at}/env", limits
    )


def _with_bindings(settings: dict[str, Any], env: Mapping[str, Any], at: str, limits: Limits) -> PreviewPatch:
    """Return the patch with its bindings, or refuse with every problem in them."""
    if len(env) > limits.max_bindings:
        raise NightsafeError(Code.INVALID, f"more than {limits.max_bindings} bindings", at)
    bindings: list[Secret | PlainBinding | str] = []
    problems: list[Problem] = []
    for name, raw in env.items():
        try:
            bindings += [] if raw is None else [_binding(raw, name, pointer_to(at, name))]
        except NightsafeError as error:
            problems += error.problems
    if problems:
        raise NightsafeError.of(problems)
    return PreviewPatch(
        settings=settings,
        secrets=tuple(binding for binding in bindings if isinstance(binding, SecretText | SecretKey)),
        plain=tuple(binding for binding in bindings if isinstance(binding, PlainBinding)),
        keep=tuple(binding for binding in bindings if isinstance(binding, str)),
        drop=tuple(name for name, raw in env.items() if raw is None),
    )


def _binding(raw: object, name: str, at: str) -> Secret | PlainBinding | str:
    """Parse a binding under its name, or return the name of a secret without its value."""
    fields = need_object(raw, at, "a binding")
    if fields.get("name", name) != name:
        raise NightsafeError(
            Code.INVALID, "'name' must equal the name of the member that holds this object", pointer_to(at, "name")
        )
    if name and is_shown_secret(fields):
        return name
    binding = parse_binding(fields | {"name": name}, at, 0)
    if isinstance(binding, SecretText | SecretKey | PlainBinding):
        return binding
    raise NightsafeError(Code.UNSUPPORTED, "inherit bindings of previews from a version", pointer_to(at, "type"))


def parse_preview_patch(raw: object, limits: Limits) -> PreviewPatch:
    """Parse a patch of the bindings of one preview in a request body.

    Raises:
        NightsafeError: INVALID, if `env` is missing, or a code of a binding, with a pointer; a problem for each
            binding.
    """
    fields = need_object(raw, "", "the body")
    if fields.get("env") is None:
        raise NightsafeError(
            Code.INVALID,
            "'env' is missing: set it to an object with each binding under its name, and null to delete one",
            "/env",
        )
    return _with_bindings({}, need_object(fields["env"], "/env", "'env'"), "/env", limits)


def items_of_preview(items: Sequence[Item], preview: str) -> Sequence[Item]:
    """Return the items of one preview; for "", the items of the base configuration."""
    return [item for item in items if item.environment == preview]


def _check_name(preview: str, existing: set[str]) -> None:
    """Refuse an invalid name for a preview, and too many previews.

    Args:
        preview: the name.
        existing: the names of the script's previews.

    Raises:
        NightsafeError: INVALID.
    """
    if not preview or len(preview) > MAX_PREVIEW_NAME or not preview.isprintable():
        raise NightsafeError(Code.INVALID, f"a preview's name must have 1 to {MAX_PREVIEW_NAME} printable characters")
    if preview not in existing and len(existing) >= MAX_PREVIEWS:
        raise NightsafeError(Code.INVALID, f"a Worker may have bindings of at most {MAX_PREVIEWS} previews")


def _to_item(binding: Binding, at: int, preview: str = "") -> Item:
    """Return a binding as an item; its name is removed from its public fields, because the item has it."""
    fields = msgspec.json.decode(binding.shown)
    del fields["name"]
    return replace(item_of(binding, preview, at), shown=msgspec.json.encode(fields))
