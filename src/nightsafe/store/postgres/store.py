"""The PostgreSQL engine's `Store`: opens the store, commits changes, and closes it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

import msgspec

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.store.changes import Change, Outcome, OutcomeUnknownError, commit_watcher, is_tried_again
from nightsafe.store.figures import Figures
from nightsafe.store.identity_macs import IdentityMacs
from nightsafe.store.log.written import is_newest
from nightsafe.store.postgres.engine.address import Address
from nightsafe.store.postgres.engine.commit_feed import CommitFeed
from nightsafe.store.postgres.engine.connection import PATIENCE, SIZE, connect
from nightsafe.store.postgres.engine.group_commit import GroupCommit
from nightsafe.store.postgres.engine.reader import LookUps, Reader
from nightsafe.store.postgres.engine.schema import check_version
from nightsafe.store.postgres.engine.writer import Writer
from nightsafe.store.postgres.reads.approvals import ApprovalReads
from nightsafe.store.postgres.reads.audit import AuditReads
from nightsafe.store.postgres.reads.audit_log import AuditLogReads
from nightsafe.store.postgres.reads.bundles import BundleReads
from nightsafe.store.postgres.reads.collections import CollectionReads
from nightsafe.store.postgres.reads.content import ContentReads
from nightsafe.store.postgres.reads.identities import ACCOUNTS, TOKENS, USERS, IdentityReads
from nightsafe.store.postgres.reads.identity_generation import IdentityGeneration
from nightsafe.store.postgres.reads.references import ReferenceReads
from nightsafe.store.postgres.reads.scripts import SHOWN, ScriptReads
from nightsafe.store.postgres.reads.sealed_values import ValueReads
from nightsafe.store.scripts import ScriptRef

if TYPE_CHECKING:
    from asyncpg import Connection

T = TypeVar("T")

_BEHIND: Final = (
    f"the server that has answered lacks commits that this node has seen, so it is not the primary any more: {AGAIN}"
)
_MOST_LATER: Final = 1000
"""After so many later entries, a change counts as one that another has followed."""

_LATER: Final = f"SELECT entry FROM audit WHERE seq > $1 ORDER BY seq LIMIT {_MOST_LATER}"  # noqa: S608 - our own SQL
_NOTIFIES: Final = "SELECT count(*) > 0 FROM pg_proc WHERE proname = 'pg_notify'"


class PostgresStore(
    ScriptReads,
    CollectionReads,
    ApprovalReads,
    AuditReads,
    AuditLogReads,
    IdentityReads,
    ContentReads,
    ReferenceReads,
    BundleReads,
    ValueReads,
):
    """`Store` in a PostgreSQL database. Create it with `open`, and use it only on the event loop that opened it."""

    knows_every_commit: bool = False

    def __init__(
        self,
        address: Address,
        identity_key: IdentityKey | None,
        signer: NoteSigner | None,
        patience: float,
        *,
        notifies: bool,
    ) -> None:
        """See `open`; `notifies` is whether the database can notify other nodes of commits."""
        open_connection = partial(connect, address, lambda: self._feed.size)
        self._macs = IdentityMacs(identity_key)
        self._reader = Reader(open_connection, patience)
        self._secret_look_ups = LookUps(self._reader, SHOWN)
        self._tokens = LookUps(self._reader, TOKENS)
        self._users = LookUps(self._reader, USERS)
        self._accounts = LookUps(self._reader, ACCOUNTS)
        self._identities = IdentityGeneration(self._reader)
        self._feed: CommitFeed = CommitFeed(open_connection, self._drop_idle, notifies=notifies)
        group = GroupCommit(signer, identity_key, notifies=notifies)
        self._writer = Writer(open_connection, group, self._feed.seen, patience)
        self._retired: list[str] = []
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        address: Address,
        identity_key: IdentityKey | None = None,
        *,
        signer: NoteSigner | None = None,
        patience: float = PATIENCE,
        command: str = "",
    ) -> Self:
        """Open a store. Its schema must be the newest, because a node may not have the right to migrate it.

        Args:
            address: the database.
            identity_key: authenticates the rows of identities, and scripts; without it, the store has and takes no
                identities, and does not notice that something else has changed a script.
            signer: signs the checkpoints of the audit log; without it, the store refuses every change.
            patience: seconds for which a request waits for a primary that answers.
            command: the name of the command that is making the safe, which is not finished; "" for a whole safe.

        Raises:
            NightsafeError: INVALID, when there is no safe; STORE, when the database cannot be used; NO_PRIMARY, when
                no primary answers in time.
        """
        reader = Reader(partial(connect, address), patience)

        async def prepare(db: "Connection") -> tuple[bool, int]:
            """Check the schema; return whether the database can notify, and the size of the log."""
            await check_version(db, command)
            return bool(await db.fetchval(_NOTIFIES)), int(await db.fetchval(SIZE))

        try:
            notifies, size = await reader.run(prepare, 60)
        finally:
            await reader.close()
        store = cls(address, identity_key, signer, patience, notifies=notifies)
        store._feed.seen(size)
        store._retired = await store.retired_keys()
        return store

    def figures(self) -> Figures:
        """See `Store.figures`. The server's log is not the engine's, so its length is 0."""
        counters = self._writer.counters
        return Figures(
            commits=counters.commits,
            failed_commits=counters.failures,
            undone_commits=0,
            unknown_commits=counters.unknown,
            writer_failures=0,
            log_bytes=0,
            log_held_bytes=0,
            log_most_bytes=0,
        )

    def failures(self) -> int:
        """See `Store.failures`."""
        return self._writer.counters.failures

    async def commit(self, change: Change) -> Outcome:
        """See `Store.commit`. If the caller is cancelled while it waits, the change may still be applied."""
        if change.put:
            change = msgspec.structs.replace(change, macs=tuple(map(self._macs.make, change.put)))
        watcher, known = commit_watcher.get(None), self._feed.size
        outcome: Outcome | None = None
        while outcome is None:
            try:
                outcome = await self._submit(change)
            except OutcomeUnknownError as error:
                if watcher is None or not await watcher.unknown(error):
                    raise
                outcome = await error.outcome
            except NightsafeError as error:
                if not await is_tried_again(error):
                    raise
        if watcher is not None:
            watcher.committed(partial(self._is_newest, change.audit.entry, known))
        return outcome

    def generation(self) -> object:
        """See `Store.generation`."""
        if self._closing is not None:
            raise _closed_error()
        return self._feed.size

    async def identity_generation(self) -> object:
        """See `Store.identity_generation`."""
        number, _ = await self._up_to_date(self._identities.look)
        return number

    async def secret_and_identity_generation(self, ref: ScriptRef, name: str) -> tuple[bytes | None, object]:
        """See `Store.secret_and_identity_generation`. One statement, unless the log has grown."""
        shown, size = await self._up_to_date(partial(self.secret_and_log_size, ref, name))
        if size > self._identities.size:
            return shown, await self.identity_generation()
        return shown, self._identities.number

    async def _up_to_date(self, look: Callable[[], Awaitable[tuple[T, int]]]) -> tuple[T, int]:
        """Return what a look has found, and the size of the log then; look again if the server lacks commits.

        Raises:
            NightsafeError: NO_PRIMARY, when the next server lacks commits, too.
        """
        for _ in range(2):
            known = self._feed.size  # the server may be asked before commits that become known while it answers
            found, size = await look()
            if size >= known:
                self._feed.seen(size)
                return found, size
            self._reader.drop()
        raise NightsafeError(Code.NO_PRIMARY, _BEHIND)

    async def changed(self, generation: object, seconds: float) -> None:
        """See `Store.changed`."""
        if self._closing is None and isinstance(generation, int):
            await self._feed.wait(generation, seconds)

    async def announce(self, texts: Sequence[str]) -> None:
        """See `Announcements.announce`."""
        await self._feed.announce(texts)

    def on_announcement(self, take: Callable[[str], None], resumed: Callable[[], None]) -> None:
        """See `Announcements.on_announcement`. A database that cannot notify carries no announcements."""
        self._feed.on_announcement(take, resumed)

    async def retired_keys(self) -> list[str]:
        """See `Store.retired_keys`."""
        self._retired = await super().retired_keys()
        return self._retired

    def retired_keys_now(self) -> list[str]:
        """See `Store.retired_keys_now`."""
        return self._retired

    async def check(self) -> None:
        """See `Store.check`. The proof is a written row."""
        await self._reader.one("SELECT count FROM probe")
        await self._submit(None)

    async def close(self) -> None:
        """See `Store.close`. Closing twice is harmless."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._shut())
        await asyncio.shield(self._closing)

    async def _is_newest(self, entry: bytes, known: int) -> bool:
        """Return whether the change of an entry is kept, and none after it is about the same."""
        later = await self._reader.all(_LATER, known)
        return len(later) < _MOST_LATER and is_newest(entry, [row[0] for row in later])

    def _drop_idle(self) -> None:
        """Give the idle connections up: their server may not be the primary any more, or silent for ever."""
        self._reader.drop()
        self._writer.drop_idle()

    async def _submit(self, change: Change | None) -> Outcome:
        """Queue a change or a probe, and wait for its answer."""
        if self._closing is not None:
            raise _closed_error()
        return await self._writer.submit(change)

    async def _shut(self) -> None:
        """Drain the queue, and close the connections."""
        await self._writer.end()
        await self._feed.close()
        await self._reader.close()


def _closed_error() -> NightsafeError:
    """Build the error of a call after `close`."""
    return NightsafeError(Code.STORE, "the store is closed")
