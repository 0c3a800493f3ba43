"""Dispatch namespaces: groups of scripts in an account that other scripts dispatch requests to.

Source: `workers/dispatch/namespaces` in the Cloudflare v4 API's specification.
"""

import re
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, collection_change, now, script_change
from nightsafe.services.collections import commit_collection, new_id
from nightsafe.services.commit import commit, retry_conflicts
from nightsafe.services.lookup import find_script
from nightsafe.services.scripts.setting_fields import script_settings
from nightsafe.store.collections import Collection, CollectionEdit, Kind
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit, SettingsUpdate
from nightsafe.store.scripts import Script, ScriptRef
from nightsafe.store.turns import in_turns

MAX_NAME_LENGTH = 64
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_KIND = Kind.DISPATCH_NAMESPACE


class Namespace(Struct, frozen=True):
    """A namespace, the ID of the user who created it, and the number of scripts in it."""

    collection: Collection
    created_by: str
    script_count: int


class _Body(Struct):
    """The stored fields of a namespace other than its name."""

    created_by: str = ""


class Namespaces:
    """The use cases of namespaces and of the tags of their scripts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, account_id: str) -> Sequence[Namespace]:
        """Return every namespace of an account, by name."""
        return [
            await self._with_script_count(collection)
            async for collection in in_turns(await self._store.collections(account_id, _KIND))
        ]

    async def get(self, account_id: str, name: str) -> Namespace:
        """Return one namespace.

        Raises:
            NightsafeError: NAMESPACE_NOT_FOUND.
        """
        return await self._with_script_count(await self.require(account_id, name))

    async def require(self, account_id: str, name: str) -> Collection:
        """Return the stored namespace, without the number of its scripts.

        Raises:
            NightsafeError: NAMESPACE_NOT_FOUND.
        """
        collection = await self._store.collection(account_id, _KIND, name)
        if collection is None:
            raise NightsafeError(Code.NAMESPACE_NOT_FOUND, name)
        return collection

    async def create(self, caller: Caller, account_id: str, name: str) -> Namespace:
        """Create a namespace.

        Raises:
            NightsafeError: INVALID, for an invalid name; COLLECTION_TAKEN.
        """
        if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
            raise NightsafeError(
                Code.INVALID,
                f"'name' must be up to {MAX_NAME_LENGTH} letters, digits, - and _, and must not begin with -",
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
        """Delete an empty namespace.

        Raises:
            NightsafeError: NAMESPACE_NOT_FOUND, NAMESPACE_NOT_EMPTY.
        """
        edit = CollectionEdit(account_id=account_id, kind=_KIND, name=name, remove=True)
        await commit_collection(self._store, collection_change(caller, "namespaces.delete", edit, now()))

    async def tags(self, ref: ScriptRef) -> Sequence[str]:
        """Return the tags of a script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return tags_of(await find_script(self._store, ref))

    async def set_tags(self, caller: Caller, ref: ScriptRef, tags: Sequence[str]) -> Sequence[str]:
        """Replace the tags of a script. This makes no version.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return await self._set_tags(caller, ref, tags, None)

    async def alter_tags(
        self, caller: Caller, ref: ScriptRef, alter: Callable[[Sequence[str]], Sequence[str]]
    ) -> Sequence[str]:
        """Compute new tags from the current tags of a script, and set them. Concurrent changes are not lost.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, and any error that `alter` raises.
        """

        async def attempt() -> Sequence[str]:
            """Read the current tags, and commit the new ones."""
            script = await find_script(self._store, ref)
            return await self._set_tags(caller, ref, alter(tags_of(script)), script.script_settings)

        return await retry_conflicts(attempt)

    async def _set_tags(
        self, caller: Caller, ref: ScriptRef, tags: Sequence[str], expected: bytes | None
    ) -> Sequence[str]:
        """Commit tags without duplicates.

        Args:
            caller: the caller.
            ref: the script.
            tags: the tags.
            expected: the script settings that the tags were computed from, which must not have changed; None for any.
        """
        unique = tuple(dict.fromkeys(tags))
        settings = SettingsUpdate(msgspec.json.encode({"tags": unique}), merge=True, expected=expected)
        await commit(
            self._store, script_change(caller, "scripts.tags", ScriptEdit(ref=ref, script_settings=settings))
        )
        return unique

    async def _with_script_count(self, collection: Collection) -> Namespace:
        """Return a namespace with the number of its scripts."""
        count = await self._store.count_scripts(collection.account_id, collection.name)
        return Namespace(collection, msgspec.json.decode(collection.body, type=_Body).created_by, count)


def tags_of(script: Script) -> Sequence[str]:
    """Return the tags of a script."""
    tags: Sequence[str] = msgspec.json.decode(script.script_settings).get("tags") or []
    return tags


def check_tags(raw: object) -> Sequence[str]:
    """Return the tags in a request body; null means no tags.

    Raises:
        NightsafeError: INVALID.
    """
    tags: Sequence[str] = script_settings({"tags": raw}).get("tags", [])
    if not all(tags):
        raise NightsafeError(Code.INVALID, "a tag must have at least one character", "")
    return tags
