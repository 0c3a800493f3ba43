"""`Change`, the only way to alter the store, with its audit entry and its outcome.

`store/scripts.py` defines the forms of times and ids.
"""

from asyncio import Future
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Protocol

from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.tree import leaf_hash
from nightsafe.store.bundles import StoredApproval
from nightsafe.store.collections import Collection, CollectionEdit, Item
from nightsafe.store.identities import Identity, RefusedRow, Token
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import Deployment, Script, Version
from nightsafe.store.sealed_values import Resealed, Retirement


class AuditEntry(Struct, frozen=True):
    """One audit log entry: who did what to which resource.

    Attributes:
        account_id: the account, or "" if only a user is concerned.
        entry: a JSON object. The store adds a member `written` with the digests of what the change wrote.
        leaf: the Merkle leaf hash of the entry, which the store computes.
    """

    account_id: str
    entry: bytes
    leaf: bytes = b""

    @property
    def is_intact(self) -> bool:
        """Whether the entry is what its leaf hash says; False if it is archived, or something else has changed it."""
        return leaf_hash(self.entry) == self.leaf


class ArchivedEntries(Struct, frozen=True):
    """Consecutive entries of the log that were written to an archive, as indexes: from `first` on, before `end`."""

    first: int
    end: int


class Change(Struct, frozen=True, kw_only=True):
    """One mutation, which the store applies whole or not at all.

    Attributes:
        at: the time of the change, in microseconds.
        audit: the log entry that is written with the change.
        edit: the edit of a script.
        collection_edit: the edit of a collection and its items.
        put: accounts, users, memberships and tokens to create or replace by their id.
        macs: a MAC for each row of `put`, in the same order; the store makes them, and callers leave them out.
        drop_tokens: ids of tokens to delete; ids without a token are ignored.
        drop_refused: rows to delete that do not count as identities; rows that have got a MAC since are skipped.
        unchanged: tokens that must still be as they were read; otherwise the store refuses the change.
        reseal: values of the audit entry's account that get another record; values that are no longer as they were
            read are skipped.
        older: values of the audit entry's account, with records of the first form, that are stated under their keys;
            values that are no longer as they were read are skipped.
        retire: a recipient key that accepts no new values from now on.
        approval: an approval to keep; the script must still exist.
        ring_number: the number of a public ring that is in use; the store keeps it only if it is the greatest so far.
        archive: the entries whose text is in an archive now, and leaves the store.
    """

    at: int
    audit: AuditEntry
    edit: ScriptEdit | None = None
    collection_edit: CollectionEdit | None = None
    put: tuple[Identity, ...] = ()
    macs: tuple[bytes, ...] = ()
    drop_tokens: tuple[str, ...] = ()
    drop_refused: tuple[RefusedRow, ...] = ()
    unchanged: tuple[Token, ...] = ()
    reseal: tuple[Resealed, ...] = ()
    older: tuple[Resealed, ...] = ()
    retire: Retirement | None = None
    approval: StoredApproval | None = None
    ring_number: int = 0
    archive: ArchivedEntries | None = None


class Outcome(Struct, frozen=True):
    """The result of a change.

    Attributes:
        version: the number of the version that the change made, or 0 if it made no version.
        script_id: the script's tag, or "" if the change has no script edit.
        secrets: `shown` of every secret that the script has after the change, ordered by name, if the edit asks for
            them.
        script: the script after an edit that can alter more than secrets (with an upload, settings of any level,
            `triggers`, `bindings_update`, `always` or `deploy`), else None.
        newest: the newest version after such an edit, else None.
        deployment: the deployment that `deploy` made, else None.
        collection: the collection after an edit that does not remove it, else None.
        items: every item of that collection, ordered by environment and name.
        resealed: the marks of the values that got another record.
        stated: how many statements `ScriptEdit.state` or `Change.older` made about rows that are older than the log.
    """

    version: int = 0
    script_id: str = ""
    secrets: tuple[bytes, ...] = ()
    script: Script | None = None
    newest: Version | None = None
    deployment: Deployment | None = None
    collection: Collection | None = None
    items: tuple[Item, ...] = ()
    resealed: tuple[str, ...] = ()
    stated: int = 0


class OutcomeUnknownError(NightsafeError):
    """OUTCOME_UNKNOWN of a commit whose outcome will be found out when a primary answers again.

    Attributes:
        outcome: gets the outcome of the commit, or the error for which it was not made.
    """

    outcome: "Future[Outcome]"


class CommitWatcher(Protocol):
    """Follows the commits of a request, which can be answered before its work has ended."""

    def committed(self, is_newest: Callable[[], Awaitable[bool]]) -> None:
        """Note a commit.

        Args:
            is_newest: returns whether no later commit was about the same.
        """
        ...

    async def unknown(self, error: OutcomeUnknownError) -> bool:
        """Answer that the outcome of a commit is unknown; return whether the request waits for it."""
        ...

    async def no_primary(self) -> bool:
        """Return whether work that finds no primary is tried again.

        Raises:
            NightsafeError: OUTCOME_UNKNOWN, when it is not, and the request has committed something.
        """
        ...


commit_watcher: ContextVar[CommitWatcher | None] = ContextVar("commit_watcher")


async def is_tried_again(error: NightsafeError) -> bool:
    """Return whether the current request tries work again that has failed; raise as `CommitWatcher.no_primary`."""
    if error.code is not Code.NO_PRIMARY or (watcher := commit_watcher.get(None)) is None:
        return False
    return await watcher.no_primary()
