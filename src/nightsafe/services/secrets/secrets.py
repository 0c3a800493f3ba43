"""The secret bindings of a script: list, get, put, delete, patch.

Every write makes one version and deploys it, whatever number of secrets it sets. It is refused unless the newest
version is the only one served: otherwise it would put into service what nobody asked to be served.
Source: `workers/scripts/{script_name}/secrets` and `/secrets-bulk` in the Cloudflare v4 API's specification.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import msgspec
from msgspec import Struct

from nightsafe.bindings.json_fields import need_object, pointer_to
from nightsafe.bindings.model import SECRET_KINDS, Secret
from nightsafe.bindings.parse import parse_secret
from nightsafe.bindings.unknown_members import refuse_slips, unknown
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.caller import Caller, change, stamp
from nightsafe.services.commit import commit
from nightsafe.services.limits import Limits
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import ScriptRef

_MEMBERS = ("secrets", "version_tags")


class Patch(Struct, frozen=True):
    """A merge patch of a script's secrets.

    Attributes:
        set: secrets to set.
        drop: names of secrets to drop; one that is not there is no fault.
        annotations: JSON object, for the version that is made.
        notices: what of it is not known.
    """

    set: tuple[Secret, ...]
    drop: tuple[str, ...]
    annotations: bytes
    notices: tuple[Problem, ...] = ()


class Secrets:
    """The use cases. Values pass through to the safe and are wiped there."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits

    async def list(self, ref: ScriptRef) -> Sequence[bytes]:
        """What may be shown of every secret, by name.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        secrets = await self._store.secrets(ref)
        if secrets is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return secrets

    async def get(self, ref: ScriptRef, name: str) -> bytes:
        """What may be shown of one secret.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, or BINDING_NOT_FOUND when the script has no such secret.
        """
        shown = await self._store.shown(ref, name)
        if shown is not None:
            return shown
        if await self._store.script(ref) is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        await refuse_others(self._store, ref, (name,))
        raise NightsafeError(Code.BINDING_NOT_FOUND, name)

    async def put(self, caller: Caller, ref: ScriptRef, secret: Secret) -> bytes:
        """Create or replace one secret; gives what may be shown of it.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, SECRET_NOT_LIVE, BINDING_NAME_TAKEN, TOO_MANY_BINDINGS.
        """
        sealed = self._safe.seal(ref, secret)
        edit = ScriptEdit(
            ref=ref,
            stamp=stamp(caller, "secret"),
            set=(sealed,),
            must_be_live=Code.SECRET_NOT_LIVE,
            max_variables=self._limits.max_variables,
        )
        try:
            await commit(self._store, change(caller, "secrets.put", edit))
        except NightsafeError as error:
            raise pointed(error, lambda _: "/name") from None
        return sealed.shown

    async def delete(self, caller: Caller, ref: ScriptRef, name: str) -> None:
        """Remove one secret.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, SECRET_NOT_LIVE, BINDING_NOT_FOUND.
        """
        edit = ScriptEdit(ref=ref, stamp=stamp(caller, "secret"), drop=(name,), must_be_live=Code.SECRET_NOT_LIVE)
        try:
            await commit(self._store, change(caller, "secrets.delete", edit))
        except NightsafeError as error:
            if error.code is Code.BINDING_NOT_FOUND:
                await refuse_others(self._store, ref, (name,))
            raise

    async def patch(self, caller: Caller, ref: ScriptRef, patch: Patch) -> Sequence[bytes]:
        """Set and drop secrets in one version, all or nothing; gives what may be shown of those there are then.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, SECRET_NOT_LIVE, BINDING_NAME_TAKEN, TOO_MANY_BINDINGS;
                BINDING_NOT_FOUND, for the name of something else than a secret that is to be dropped.
        """
        if not patch.set and not patch.drop:
            return await self.list(ref)
        await refuse_others(self._store, ref, patch.drop, "/secrets")
        sealed = await self._safe.seal_all(ref, patch.set)
        edit = ScriptEdit(
            ref=ref,
            stamp=stamp(caller, "secret", patch.annotations),
            set=sealed,
            drop=patch.drop,
            require_drop=False,
            must_be_live=Code.SECRET_NOT_LIVE,
            list_secrets=True,
            max_variables=self._limits.max_variables,
        )
        try:
            outcome = await commit(self._store, change(caller, "secrets.patch", edit))
        except NightsafeError as error:
            raise pointed(error, lambda name: pointer_to("/secrets", name)) from None
        return outcome.secrets


async def refuse_others(store: Store, ref: ScriptRef, names: Collection[str], at: str | None = None) -> None:
    """Refuse names that bindings of other kinds have, where secrets are meant.

    Args:
        store: where they are.
        ref: of which script.
        names: of secrets; one that is not there at all is none of this.
        at: JSON Pointer to the object that has the names, where there is one.

    Raises:
        NightsafeError: BINDING_NOT_FOUND, with the kind that has the name; one problem for each.
    """
    if not names:
        return
    kinds = {one.name: one.kind for one in await store.bindings(ref) if one.kind not in SECRET_KINDS}
    others = [
        Problem(Code.BINDING_NOT_FOUND, name, None if at is None else pointer_to(at, name), kinds[name])
        for name in names
        if name in kinds
    ]
    if others:
        raise NightsafeError.of(others)


def pointed(error: NightsafeError, at: Callable[[str], str]) -> NightsafeError:
    """The store's refusal of names that are taken, pointing at each; any other as it is."""
    return NightsafeError.of(
        replace(one, pointer=at(one.detail)) if one.code is Code.BINDING_NAME_TAKEN else one for one in error.problems
    )


def parse_patch(raw: object, limits: Limits) -> Patch:
    """A merge patch from a request body (RFC 7396: an object sets, null drops, absent keeps).

    Raises:
        NightsafeError: INVALID, without `secrets`; TOO_MANY_OPERATIONS, or one problem for each secret that is
            refused.
    """
    body = need_object(raw, "", "the body")
    if "secrets" not in body:
        sentence = "'secrets' is missing: give an object of secrets by their names, null for each to drop"
        raise NightsafeError(Code.INVALID, sentence, "/secrets")
    refuse_slips(body, _MEMBERS, "")
    secrets, dropped = parse_secrets(_optional_object(body, "secrets"), "/secrets", limits)
    strange = unknown(body, _MEMBERS, "")
    return Patch(secrets, dropped, _annotations(_optional_object(body, "version_tags"), limits), strange)


def parse_secrets(entries: dict[str, object], at: str, limits: Limits) -> tuple[tuple[Secret, ...], tuple[str, ...]]:
    """The secrets that an object sets, and the names of those that it drops, by null.

    Args:
        entries: a secret, or null, by its name.
        at: JSON Pointer to the object.
        limits: what it must keep to.

    Raises:
        NightsafeError: TOO_MANY_OPERATIONS, or one problem for each secret that is refused.
    """
    if len(entries) > limits.max_operations:
        raise NightsafeError(Code.TOO_MANY_OPERATIONS, str(len(entries)), at)
    secrets: list[Secret] = []
    problems: list[Problem] = []
    for name, entry in entries.items():
        try:
            secrets += [] if entry is None else [parse_secret(entry, pointer_to(at, name), name=name)]
        except NightsafeError as error:
            problems += error.problems
    if problems:
        raise NightsafeError.of(problems)
    return tuple(secrets), tuple(name for name, entry in entries.items() if entry is None)


def _optional_object(body: dict[str, object], member: str) -> dict[str, object]:
    """A member that may be absent, and else is an object."""
    return need_object(body[member], f"/{member}", f"'{member}'") if member in body else {}


def _annotations(tags: dict[str, object], limits: Limits) -> bytes:
    """Version tags as the new version keeps them."""
    if not tags:
        return b"{}"
    encoded = msgspec.json.encode({"version_tags": tags})
    if len(encoded) > limits.max_annotation_bytes:
        raise NightsafeError(
            Code.INVALID, f"'version_tags' is over {limits.max_annotation_bytes} bytes of JSON", "/version_tags"
        )
    return encoded
