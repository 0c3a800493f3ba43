"""Pages projects: the variables of their two environments, and the settings beside them.

Source: `pages/projects` in the Cloudflare v4 API's specification.
"""

import re
from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, collection_change, now
from nightsafe.services.collections import commit_collection, find_collection, item_of, new_id
from nightsafe.services.limits import Limits
from nightsafe.services.pages.fields import ENVIRONMENTS, ProjectPatch
from nightsafe.services.scripts.setting_fields import encode_settings
from nightsafe.services.secrets.seal import Safe, sealing_ref
from nightsafe.store.collections import Collection, CollectionEdit, Item, Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding

MAX_NAME_LENGTH = 58
DEFAULT_BRANCH = "main"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_KIND = Kind.PAGES_PROJECT
_SECRET_SHOWN = b'{"type":"secret_text","value":""}'


class Project(Struct, frozen=True):
    """A project and its variables."""

    collection: Collection
    items: Sequence[Item]


class Projects:
    """The use cases of Pages projects. Secret values pass to the safe and are wiped afterwards."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits

    async def list(self, account_id: str) -> Sequence[Collection]:
        """Return every project of an account, by name, without its variables."""
        return await self._store.collections(account_id, _KIND)

    async def get(self, account_id: str, name: str) -> Project:
        """Return one project.

        Raises:
            NightsafeError: PROJECT_NOT_FOUND.
        """
        collection = await find_collection(self._store, account_id, _KIND, name)
        return await self.with_variables(collection)

    async def with_variables(self, collection: Collection) -> Project:
        """Return a project with its variables."""
        return Project(collection, await self._store.items(collection.account_id, collection.id))

    async def create(self, caller: Caller, account_id: str, name: str, patch: ProjectPatch) -> Project:
        """Create a project.

        Raises:
            NightsafeError: INVALID, for an invalid name, or a secret without a value; PROJECT_TAKEN;
                TOO_MANY_BINDINGS.
        """
        if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
            message = (
                f"'name' must be up to {MAX_NAME_LENGTH} lower-case letters, digits and -, and must not begin with -"
            )
            raise NightsafeError(Code.INVALID, message, "/name")
        _refuse_missing(patch, ())
        self._refuse_too_many_variables(patch, ())
        at = now()
        members = {"production_branch": DEFAULT_BRANCH} | patch.body
        body = encode_settings({path: value for path, value in members.items() if value is not None})
        collection = Collection(
            account_id=account_id, kind=_KIND, name=name, id=new_id(), body=body, created_on=at, modified_on=at
        )
        put = await self._sealed_items(account_id, name, patch, at)
        edit = CollectionEdit(account_id=account_id, kind=_KIND, name=name, create=collection, put=put)
        return await self._commit(caller, "projects.create", edit, at)

    async def edit(self, caller: Caller, account_id: str, name: str, patch: ProjectPatch) -> Project:
        """Change a project. Members and variables that the patch does not name stay.

        Raises:
            NightsafeError: PROJECT_NOT_FOUND; INVALID, for a new secret without a value, or settings that become too
                large; TOO_MANY_BINDINGS.
        """
        current = await self.get(account_id, name)
        _refuse_missing(patch, current.items)
        self._refuse_too_many_variables(patch, current.items)
        encode_settings(msgspec.json.decode(current.collection.body) | patch.body)
        at = now()
        edit = CollectionEdit(
            account_id=account_id,
            kind=_KIND,
            name=name,
            body=msgspec.json.encode(patch.body),
            put=await self._sealed_items(account_id, name, patch, at),
            drop=patch.drop,
        )
        return await self._commit(caller, "projects.edit", edit, at)

    async def delete(self, caller: Caller, account_id: str, name: str) -> None:
        """Delete a project and its variables.

        Raises:
            NightsafeError: PROJECT_NOT_FOUND.
        """
        edit = CollectionEdit(account_id=account_id, kind=_KIND, name=name, remove=True)
        await commit_collection(self._store, collection_change(caller, "projects.delete", edit, now()))

    def _refuse_too_many_variables(self, patch: ProjectPatch, existing: Sequence[Item]) -> None:
        """Refuse a patch that would leave too many variables in an environment.

        Raises:
            NightsafeError: TOO_MANY_BINDINGS.
        """
        before = {(item.environment, item.name) for item in existing}
        new = {(environment, secret.name) for environment, secret in patch.secrets}
        new |= {(environment, variable.name) for environment, variable in patch.plain}
        counts = Counter(environment for environment, _ in (before - set(patch.drop)) | new)
        for environment, count in counts.items():
            if new - before and count > self._limits.max_variables:
                message = f"{environment} would have {count} variables; the limit is {self._limits.max_variables}"
                raise NightsafeError(Code.TOO_MANY_BINDINGS, message, f"/deployment_configs/{environment}/env_vars")

    async def _sealed_items(self, account_id: str, name: str, patch: ProjectPatch, at: int) -> tuple[Item, ...]:
        """Return the variables of a patch as items; seal secret ones to their environment."""
        items = [
            item_of(Binding(variable.name, variable.kind, variable.public_json()), environment, at)
            for environment, variable in patch.plain
        ]
        try:
            for environment in ENVIRONMENTS:
                secrets = [
                    secret for secret_environment, secret in patch.secrets if secret_environment == environment
                ]
                sealed = await self._safe.seal_all(sealing_ref(_KIND, account_id, name, environment), secrets)
                items += [replace(item_of(binding, environment, at), shown=_SECRET_SHOWN) for binding in sealed]
        finally:
            for _, secret in patch.secrets:
                secret.value.wipe()
        return tuple(items)

    async def _commit(self, caller: Caller, action: str, edit: CollectionEdit, at: int) -> Project:
        """Commit an edit, and return the changed project."""
        outcome = await commit_collection(self._store, collection_change(caller, action, edit, at))
        if outcome.collection is None:
            raise NightsafeError(Code.STORE, "the store did not return the project")
        return Project(outcome.collection, outcome.items)


def _refuse_missing(patch: ProjectPatch, existing: Sequence[Item]) -> None:
    """Refuse secrets without a value that do not exist yet.

    Raises:
        NightsafeError: INVALID.
    """
    existing_secrets = {(item.environment, item.name) for item in existing if item.sealed is not None}
    for environment, name in patch.keep:
        if (environment, name) not in existing_secrets:
            message = f"the secret '{name}' in {environment} does not exist yet, so it needs a 'value'"
            raise NightsafeError(Code.INVALID, message, f"/deployment_configs/{environment}/env_vars")
