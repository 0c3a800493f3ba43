"""Pages projects, as far as they hold secrets: variables of two environments, and the settings beside them.

Source: `pages/projects` in the Cloudflare v4 API's specification.
"""

import re
from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.holding import Entry, Holder, HolderEdit, Kind
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Binding
from nightsafe.workers.caller import Caller, holder_change, now
from nightsafe.workers.holders import commit_hold, entry_of, new_id
from nightsafe.workers.limits import Limits
from nightsafe.workers.project_fields import ENVIRONMENTS, ProjectPatch
from nightsafe.workers.seal import Safe, place_of
from nightsafe.workers.setting_fields import encoded

MAX_NAME_LENGTH = 58
DEFAULT_BRANCH = "main"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_KIND = Kind.PAGES_PROJECT
_SECRET_SHOWN = b'{"type":"secret_text","value":""}'


class Project(Struct, frozen=True):
    """A project and its variables, by environment and name."""

    holder: Holder
    entries: Sequence[Entry]


class Projects:
    """The use cases. Values pass through to the safe and are wiped there."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits

    async def list(self, account_id: str) -> Sequence[Holder]:
        """Every project of an account, by name, without its variables."""
        return await self._store.holders(account_id, _KIND)

    async def get(self, account_id: str, name: str) -> Project:
        """One project.

        Raises:
            NightsafeError: PROJECT_NOT_FOUND.
        """
        holder = await self._store.holder(account_id, _KIND, name)
        if holder is None:
            raise NightsafeError(Code.PROJECT_NOT_FOUND)
        return await self.with_variables(holder)

    async def with_variables(self, holder: Holder) -> Project:
        """A project with its variables."""
        return Project(holder, await self._store.entries(holder.account_id, holder.id))

    async def create(self, caller: Caller, account_id: str, name: str, patch: ProjectPatch) -> Project:
        """Make a project.

        Raises:
            NightsafeError: INVALID, for a name that none may have, or a secret without a value; PROJECT_TAKEN;
                TOO_MANY_BINDINGS.
        """
        if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
            words = (
                f"'name' must be up to {MAX_NAME_LENGTH} lower-case letters, digits and -, and may not begin with -"
            )
            raise NightsafeError(Code.INVALID, words, "/name")
        _refuse_missing(patch, ())
        self._refuse_more(patch, ())
        at = now()
        kept = {"production_branch": DEFAULT_BRANCH} | patch.body
        body = encoded({path: value for path, value in kept.items() if value is not None})
        holder = Holder(
            account_id=account_id, kind=_KIND, name=name, id=new_id(), body=body, created_on=at, modified_on=at
        )
        put = await self._entries(account_id, name, patch, at)
        edit = HolderEdit(account_id=account_id, kind=_KIND, name=name, create=holder, put=put)
        return await self._commit(caller, "projects.create", edit, at)

    async def edit(self, caller: Caller, account_id: str, name: str, patch: ProjectPatch) -> Project:
        """Change a project: members and variables that the patch does not name stay.

        Raises:
            NightsafeError: PROJECT_NOT_FOUND; INVALID, for a secret that is new and has no value, or settings that
                become too large; TOO_MANY_BINDINGS.
        """
        there = await self.get(account_id, name)
        _refuse_missing(patch, there.entries)
        self._refuse_more(patch, there.entries)
        encoded(msgspec.json.decode(there.holder.body) | patch.body)
        at = now()
        edit = HolderEdit(
            account_id=account_id,
            kind=_KIND,
            name=name,
            body=msgspec.json.encode(patch.body),
            put=await self._entries(account_id, name, patch, at),
            drop=patch.drop,
        )
        return await self._commit(caller, "projects.edit", edit, at)

    async def delete(self, caller: Caller, account_id: str, name: str) -> None:
        """Delete a project with its variables.

        Raises:
            NightsafeError: PROJECT_NOT_FOUND.
        """
        edit = HolderEdit(account_id=account_id, kind=_KIND, name=name, remove=True)
        await commit_hold(self._store, holder_change(caller, "projects.delete", edit, now()))

    def _refuse_more(self, patch: ProjectPatch, held: Sequence[Entry]) -> None:
        """Refuse to hold too many variables in an environment."""
        before = {(entry.slot, entry.name) for entry in held}
        new = {(environment, one.name) for environment, one in patch.secrets}
        new |= {(environment, one.name) for environment, one in patch.plain}
        counts = Counter(environment for environment, _ in (before - set(patch.drop)) | new)
        for environment, count in counts.items():
            if new - before and count > self._limits.max_variables:
                words = f"{environment} would have {count} variables; {self._limits.max_variables} are allowed"
                raise NightsafeError(Code.TOO_MANY_BINDINGS, words, f"/deployment_configs/{environment}/env_vars")

    async def _entries(self, account_id: str, name: str, patch: ProjectPatch, at: int) -> tuple[Entry, ...]:
        """The variables of a patch as entries, the secret ones sealed to their environment."""
        entries = [
            entry_of(Binding(one.name, one.kind, one.shown()), environment, at) for environment, one in patch.plain
        ]
        try:
            for environment in ENVIRONMENTS:
                secrets = [one for slot, one in patch.secrets if slot == environment]
                sealed = await self._safe.seal_all(place_of(_KIND, account_id, name, environment), secrets)
                entries += [replace(entry_of(one, environment, at), shown=_SECRET_SHOWN) for one in sealed]
        finally:
            for _, secret in patch.secrets:
                secret.value.wipe()
        return tuple(entries)

    async def _commit(self, caller: Caller, action: str, edit: HolderEdit, at: int) -> Project:
        """Commit an edit; gives the project as it is then."""
        outcome = await commit_hold(self._store, holder_change(caller, action, edit, at))
        if outcome.holder is None:
            raise NightsafeError(Code.STORE, "the store did not tell of the project")
        return Project(outcome.holder, outcome.entries)


def _refuse_missing(patch: ProjectPatch, held: Sequence[Entry]) -> None:
    """Refuse secrets without a value that are not there already."""
    there = {(entry.slot, entry.name) for entry in held if entry.sealed is not None}
    for environment, name in patch.keep:
        if (environment, name) not in there:
            words = f"'value' is missing: there is no secret '{name}' in {environment} to keep"
            raise NightsafeError(Code.INVALID, words, f"/deployment_configs/{environment}/env_vars")
