"""The secret bindings of a script: list, get, put, delete, patch.

Every write makes one version and deploys it, however many secrets it sets. A write is refused unless the newest
version is the only deployed one: otherwise it would deploy code that nobody has asked to deploy.

Source: `workers/scripts/{script_name}/secrets` and `/secrets-bulk` in the Cloudflare v4 API's specification.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import msgspec
from msgspec import Struct

from nightsafe.bindings.json_fields import need_object, pointer_to
from nightsafe.bindings.model import SECRET_KINDS, Secret
from nightsafe.bindings.parse import parse_secret
from nightsafe.bindings.unknown_members import refuse_misspelt, unknown_member_notices
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.caller import Caller, new_stamp, script_change
from nightsafe.services.commit import commit
from nightsafe.services.limits import Limits
from nightsafe.services.lookup import find_script
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import ScriptRef

_MEMBERS = ("secrets", "version_tags")


class SecretsPatch(Struct, frozen=True):
    """A merge patch of a script's secrets.

    Attributes:
        set: secrets to set.
        drop: names of secrets to delete; missing ones are ignored.
        annotations: JSON object with the annotations of the new version.
        notices: unknown members of the request.
    """

    set: tuple[Secret, ...]
    drop: tuple[str, ...]
    annotations: bytes
    notices: tuple[Problem, ...] = ()


class Secrets:
    """The use cases of secret bindings. Values pass to the safe and are wiped afterwards."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits

    async def list(self, ref: ScriptRef) -> Sequence[bytes]:
        """Return the public fields of every secret, by name.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        secrets = await self._store.secrets(ref)
        if secrets is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return secrets

    async def get(self, ref: ScriptRef, name: str) -> bytes:
        """Return the public fields of one secret.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, or BINDING_NOT_FOUND if the script has no such secret.
        """
        public_json = await self._store.secret(ref, name)
        if public_json is not None:
            return public_json
        await find_script(self._store, ref)
        await refuse_non_secrets(self._store, ref, (name,))
        raise NightsafeError(Code.BINDING_NOT_FOUND, name)

    async def put(self, caller: Caller, ref: ScriptRef, secret: Secret) -> bytes:
        """Create or replace one secret, and return its public fields.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, SECRET_NOT_LIVE, BINDING_NAME_TAKEN, TOO_MANY_BINDINGS.
        """
        sealed = self._safe.seal(ref, secret)
        edit = ScriptEdit(
            ref=ref,
            stamp=new_stamp(caller, "secret"),
            set=(sealed,),
            must_be_live=Code.SECRET_NOT_LIVE,
            max_variables=self._limits.max_variables,
        )
        try:
            await commit(self._store, script_change(caller, "secrets.put", edit))
        except NightsafeError as error:
            raise with_pointers(error, lambda _: "/name") from None
        return sealed.shown

    async def delete(self, caller: Caller, ref: ScriptRef, name: str) -> None:
        """Delete one secret.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, SECRET_NOT_LIVE, BINDING_NOT_FOUND.
        """
        edit = ScriptEdit(ref=ref, stamp=new_stamp(caller, "secret"), drop=(name,), must_be_live=Code.SECRET_NOT_LIVE)
        try:
            await commit(self._store, script_change(caller, "secrets.delete", edit))
        except NightsafeError as error:
            if error.code is Code.BINDING_NOT_FOUND:
                await refuse_non_secrets(self._store, ref, (name,))
            raise

    async def patch(self, caller: Caller, ref: ScriptRef, patch: SecretsPatch) -> Sequence[bytes]:
        """Set and delete secrets in one version, all or nothing; return the public fields of all secrets afterwards.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, SECRET_NOT_LIVE, BINDING_NAME_TAKEN, TOO_MANY_BINDINGS;
                BINDING_NOT_FOUND, if a name to delete is the name of a binding other than a secret.
        """
        if not patch.set and not patch.drop:
            return await self.list(ref)
        await refuse_non_secrets(self._store, ref, patch.drop, "/secrets")
        sealed = await self._safe.seal_all(ref, patch.set)
        edit = ScriptEdit(
            ref=ref,
            stamp=new_stamp(caller, "secret", patch.annotations),
            set=sealed,
            drop=patch.drop,
            require_drop=False,
            must_be_live=Code.SECRET_NOT_LIVE,
            list_secrets=True,
            max_variables=self._limits.max_variables,
        )
        try:
            outcome = await commit(self._store, script_change(caller, "secrets.patch", edit))
        except NightsafeError as error:
            raise with_pointers(error, lambda name: pointer_to("/secrets", name)) from None
        return outcome.secrets


async def refuse_non_secrets(store: Store, ref: ScriptRef, names: Collection[str], at: str | None = None) -> None:
    """Refuse names of bindings that are not secrets.

    Args:
        store: holds the bindings.
        ref: the script.
        names: names that should belong to secrets; names of missing bindings pass.
        at: JSON Pointer to the object that has the names, or None.

    Raises:
        NightsafeError: BINDING_NOT_FOUND, with the type of the binding that has the name; a problem for each name.
    """
    if not names:
        return
    kinds = {binding.name: binding.kind for binding in await store.bindings(ref) if binding.kind not in SECRET_KINDS}
    others = [
        Problem(Code.BINDING_NOT_FOUND, name, None if at is None else pointer_to(at, name), kinds[name])
        for name in names
        if name in kinds
    ]
    if others:
        raise NightsafeError.of(others)


def with_pointers(error: NightsafeError, at: Callable[[str], str]) -> NightsafeError:
    """Return the error with a pointer in each problem of a taken name; other problems stay unchanged."""
    return NightsafeError.of(
        replace(problem, pointer=at(problem.detail)) if problem.code is Code.BINDING_NAME_TAKEN else problem
        for problem in error.problems
    )


def parse_patch(raw: object, limits: Limits) -> SecretsPatch:
    """Parse a merge patch in a request body (RFC 7396: an object sets, null deletes, absent keeps).

    Raises:
        NightsafeError: INVALID, if `secrets` is missing; TOO_MANY_OPERATIONS, or a problem for each refused secret.
    """
    body = need_object(raw, "", "the body")
    if "secrets" not in body:
        sentence = "'secrets' is missing: set it to an object with each secret under its name, and null to delete one"
        raise NightsafeError(Code.INVALID, sentence, "/secrets")
    refuse_misspelt(body, _MEMBERS, "")
    secrets, dropped = parse_secrets(_optional_object(body, "secrets"), "/secrets", limits)
    notices = unknown_member_notices(body, _MEMBERS, "")
    return SecretsPatch(secrets, dropped, _annotations(_optional_object(body, "version_tags"), limits), notices)


def parse_secrets(entries: dict[str, object], at: str, limits: Limits) -> tuple[tuple[Secret, ...], tuple[str, ...]]:
    """Return the secrets that an object sets, and the names that it deletes with null.

    Args:
        entries: a secret, or null, by its name.
        at: JSON Pointer to the object.
        limits: sets the largest number of operations.

    Raises:
        NightsafeError: TOO_MANY_OPERATIONS, or a problem for each refused secret.
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
    """Return a member that is an object; an empty object if it is absent."""
    return need_object(body[member], f"/{member}", f"'{member}'") if member in body else {}


def _annotations(tags: dict[str, object], limits: Limits) -> bytes:
    """Return version tags as annotations of the new version."""
    if not tags:
        return b"{}"
    encoded = msgspec.json.encode({"version_tags": tags})
    if len(encoded) > limits.max_annotation_bytes:
        raise NightsafeError(
            Code.INVALID,
            f"'version_tags' is larger than {limits.max_annotation_bytes} bytes as JSON",
            "/version_tags",
        )
    return encoded
