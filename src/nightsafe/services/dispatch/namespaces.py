"""Dispatch namespaces: an account's groups of scripts that other scripts dispatch to.

Source: `workers/dispatch/namespaces` in the Cloudflare v4 API's specification.
"""

import re
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, change, collection_change, now
from nightsafe.services.collections import commit_collection, new_id
from nightsafe.services.commit import commit, until_undisturbed
from nightsafe.services.scripts.setting_fields import script_settings
from nightsafe.store.collections import Collection, CollectionEdit, Kind
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit, Settings
from nightsafe.store.scripts import Script, ScriptRef
from nightsafe.store.turns import in_turns

MAX_NAME_LENGTH = 64
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_KIND = Kind.DISPATCH_NAMESPACE


class Namespace(Struct, frozen=True):
    """A namespace, who made it, and how many scripts are in it."""

    collection: Collection
    created_by: str
    script_count: int


class _Body(Struct):
    """What is kept of a namespace beside its name."""

    created_by: str = ""


class Namespaces:
    """The use cases of namespaces, and of tags of the scripts in them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, account_id: str) -> Sequence[Namespace]:
        """Every namespace of an account, by name."""
        return [await self._counted(one) async for one in in_turns(await self._store.collections(account_id, _KIND))]

    async def get(self, account_id: str, name: str) -> Namespace:
        """One namespace.

        Raises:
            NightsafeError: NAMESPACE_NOT_FOUND.
        """
        return await self._counted(await self.require(account_id, name))

    async def require(self, account_id: str, name: str) -> Collection:
        """The namespace as it is kept, without looking into it.

        Raises:
            NightsafeError: NAMESPACE_NOT_FOUND.
        """
        collection = await self._store.collection(account_id, _KIND, name)
        if collection is None:
            raise NightsafeError(Code.NAMESPACE_NOT_FOUND, name)
        return collection

    async def create(self, caller: Caller, account_id: str, name: str) -> Namespace:
        """Make a namespace.

        Raises:
            NightsafeError: INVALID, for a name that none may have; COLLECTION_TAKEN.
        """
        if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
            raise NightsafeError(
                Code.INVALID,
                f"'name' must be up to {MAX_NAME_LENGTH} letters, digits, - and _, and may not begin with -",
                "/name",
            )
        at = now()
        body = msgspec.json.encode(_Body(caller.principal.user_id))
        collection = Collection(
            account_id=account_id, kind=_KIND, name=name, id=new_id(), body=body, created_on=at, modified_on=at
        )
        edit = CollectionEdit(account_id=account_id, kind=_KIND, name=name, create=collection)
        await commit_collection(self._store, collection_change(caller, "namespaces.create", edit, at))
        return Namespace(collection, caller.principal.user_id, 0)

    async def delete(self, caller: Caller, account_id: str, name: str) -> None:
        """Delete a namespace in which there is no script.

        Raises:
            NightsafeError: NAMESPACE_NOT_FOUND, NAMESPACE_NOT_EMPTY.
        """
        edit = CollectionEdit(account_id=account_id, kind=_KIND, name=name, remove=True)
        await commit_collection(self._store, collection_change(caller, "namespaces.delete", edit, now()))

    async def tags(self, ref: ScriptRef) -> Sequence[str]:
        """The tags of a script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return tags_of(await self._script(ref))

    async def set_tags(self, caller: Caller, ref: ScriptRef, tags: Sequence[str]) -> Sequence[str]:
        """Give a script these tags in place of those it has; no version is made.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return await self._set_tags(caller, ref, tags, None)

    async def alter_tags(
        self, caller: Caller, ref: ScriptRef, alter: Callable[[Sequence[str]], Sequence[str]]
    ) -> Sequence[str]:
        """Give a script the tags that come of those it has, whoever else alters them at the same time.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, and what `alter` raises.
        """

        async def attempt() -> Sequence[str]:
            """Look and commit."""
            script = await self._script(ref)
            return await self._set_tags(caller, ref, alter(tags_of(script)), script.script_settings)

        return await until_undisturbed(attempt)

    async def _set_tags(
        self, caller: Caller, ref: ScriptRef, tags: Sequence[str], over: bytes | None
    ) -> Sequence[str]:
        """Commit tags, each once, over the settings that they were worked out from."""
        each = tuple(dict.fromkeys(tags))
        settings = Settings(msgspec.json.encode({"tags": each}), merge=True, over=over)
        await commit(self._store, change(caller, "scripts.tags", ScriptEdit(ref=ref, script_settings=settings)))
        return each

    async def _script(self, ref: ScriptRef) -> Script:
        """A script; SCRIPT_NOT_FOUND when it is absent."""
        script = await self._store.script(ref)
        if script is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return script

    async def _counted(self, collection: Collection) -> Namespace:
        """A namespace with what is in it."""
        count = await self._store.count_scripts(collection.account_id, collection.name)
        return Namespace(collection, msgspec.json.decode(collection.body, type=_Body).created_by, count)


def tags_of(script: Script) -> Sequence[str]:
    """The tags that a script has."""
    tags: Sequence[str] = msgspec.json.decode(script.script_settings).get("tags") or []
    return tags


def check_tags(raw: object) -> Sequence[str]:
    """Tags from a request body; null stands for none.

    Raises:
        NightsafeError: INVALID.
    """
    tags: Sequence[str] = script_settings({"tags": raw}).get("tags", [])
    if not all(tags):
        raise NightsafeError(Code.INVALID, "a tag must have at least one character", "")
    return tags
