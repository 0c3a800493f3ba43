"""The embedded engine's `Store`: opens the store, commits changes, and closes it."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.figures import Figures
from nightsafe.store.identity_macs import IdentityMacs
from nightsafe.store.sqlite.engine.checkpointer import Checkpointer
from nightsafe.store.sqlite.engine.commit_waiters import CommitWaiters
from nightsafe.store.sqlite.engine.condition import PAGE_BYTES, Condition
from nightsafe.store.sqlite.engine.connection import closed_error, connect, create_file, store_error
from nightsafe.store.sqlite.engine.database_files import DatabaseFiles, identity
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.engine.schema import migrate, refuse_empty
from nightsafe.store.sqlite.engine.wal import WalIndex
from nightsafe.store.sqlite.engine.writer import Writer
from nightsafe.store.sqlite.reads.approvals import ApprovalReads
from nightsafe.store.sqlite.reads.audit import AuditReads
from nightsafe.store.sqlite.reads.audit_log import AuditLogReads
from nightsafe.store.sqlite.reads.bundles import BundleReads
from nightsafe.store.sqlite.reads.content import ContentReads, PartReader
from nightsafe.store.sqlite.reads.identities import IdentityReads
from nightsafe.store.sqlite.reads.references import ReferenceReads
from nightsafe.store.sqlite.reads.scripts import Reads
from nightsafe.store.sqlite.reads.sealed_values import ValueReads
from nightsafe.store.sqlite.writes.removal import is_purge_pending

BUSY_TIMEOUT = 10.0
"""Seconds that a write waits for another process's write before it fails."""

_READ_TIMEOUT = 1.0
LOG_LIMIT = 4000
"""The log length, in pages, from which the log is copied into the database and restarted."""

MAX_LOG_PAGES = 64_000
"""The log length, in pages, from which writes are refused: 264 MB that another process's read keeps in the log."""

NO_THREAD = (
    "cannot start a thread: raise the limit on tasks (ulimit -u, TasksMax= of the unit, pids.max of the container)"
)


class SqliteStore(
    Reads,
    ApprovalReads,
    AuditReads,
    AuditLogReads,
    IdentityReads,
    ContentReads,
    ReferenceReads,
    BundleReads,
    ValueReads,
):
    """`Store` in one SQLite file. Create it with `open`, and use it only on the event loop that opened it."""

    knows_every_commit: bool = True

    def __init__(  # noqa: PLR0913, PLR0917 - what an open store needs
        self,
        path: Path,
        anchor: sqlite3.Connection,
        files: DatabaseFiles,
        identity_key: IdentityKey | None,
        busy_timeout: float,
        signer: NoteSigner | None,
    ) -> None:
        """See `open`.

        Args:
            path: the database file.
            anchor: a connection that keeps the wal-index alive while other connections open and close.
            files: the location of the database's files.
            identity_key: as for `open`.
            busy_timeout: as for `open`.
            signer: as for `open`.
        """
        self._macs = IdentityMacs(identity_key)
        self._loop = asyncio.get_running_loop()
        self._path = path
        self._anchor = anchor
        self._files = files
        self._index = WalIndex.of(path)
        super().__init__(Reader(partial(self._connect, _READ_TIMEOUT), self._index, self._loop, LOG_LIMIT))
        self._closing: asyncio.Task[None] | None = None
        self._copied = asyncio.Event()
        self._condition = Condition()
        self._parts = PartReader(partial(self._connect, _READ_TIMEOUT))
        connect_at_once = partial(self._connect, 0)
        release = self._reader.release
        copied = partial(self._post, self._copied.set)
        self._log = Checkpointer(
            connect_at_once, self._index, release, copied, self._condition, LOG_LIMIT, MAX_LOG_PAGES
        )
        self._commits = CommitWaiters(self._index.header, self._loop)
        self._writer = Writer(
            connect_at_once,
            busy_timeout,
            self._committed,
            self._log,
            files,
            self._condition,
            self._copy_removed_log,
            signer,
            identity_key,
        )

    @classmethod
    def open(
        cls,
        path: Path,
        identity_key: IdentityKey | None = None,
        *,
        create: bool = False,
        busy_timeout: float = BUSY_TIMEOUT,
        signer: NoteSigner | None = None,
    ) -> Self:
        """Open a store, and migrate an older schema to the newest.

        Args:
            path: the database file.
            identity_key: authenticates the rows of identities, and scripts; without it, the store has and takes no
                identities, and does not notice that something else has changed a script.
            create: create the file if it is absent, with mode 0600, and its folder with mode 0700.
            busy_timeout: seconds that a write waits for another process's write before it fails.
            signer: signs the checkpoints of the audit log; without it, the store refuses every change.

        Raises:
            NightsafeError: STORE, when the store is absent, empty, damaged, or newer than this program.
        """
        try:
            if create:
                create_file(path)
            elif not path.is_file():
                raise NightsafeError(Code.STORE, f"there is no store at {path}: create it first")
            identity_before = identity(path)
            anchor = connect(path, busy_timeout)
        except (OSError, sqlite3.Error) as error:
            raise store_error(error, path) from error
        try:
            if not create:
                refuse_empty(anchor)
            migrate(anchor)
            purge_pending = is_purge_pending(anchor)
            files = DatabaseFiles(path)
            files.check_database(identity_before, path)
            store = cls(path, anchor, files, identity_key, busy_timeout, signer)
        except (OSError, sqlite3.Error) as error:
            anchor.close()
            raise store_error(error, path) from error
        except BaseException:
            anchor.close()
            raise
        store.start()
        if purge_pending:
            store._writer.purge()
        return store

    def start(self) -> None:
        """Start the threads now, so that a limit on threads shows at the start and not at the first write.

        Raises:
            NightsafeError: STORE, when the system allows no further thread; everything is closed first.
        """
        try:
            self._writer.start()
            self._parts.start()
            self._log.start()
        except RuntimeError:
            self._writer.abandon()
            self._parts.close()
            self._reader.close()
            self._anchor.close()
            self._index.close()
            raise NightsafeError(Code.STORE, NO_THREAD) from None

    def figures(self) -> Figures:
        """See `Store.figures`."""
        return Figures(
            commits=self._condition.commits,
            failed_commits=self._condition.failures,
            undone_commits=self._condition.undone,
            unknown_commits=self._condition.unknown,
            writer_failures=self._condition.writer_failures,
            log_bytes=self._index.frames() * PAGE_BYTES,
            log_held_bytes=self._index.uncopied() * PAGE_BYTES,
            log_most_bytes=self._log.max_pages * PAGE_BYTES,
        )

    def failures(self) -> int:
        """See `Store.failures`."""
        return self._condition.failures

    async def commit(self, change: Change) -> Outcome:
        """See `Store.commit`. If the caller is cancelled while it waits, the change may still be applied."""
        if change.put:
            change = msgspec.structs.replace(change, macs=tuple(map(self._macs.make, change.put)))
        return await self._submit(change)

    async def changed(self, generation: object, seconds: float) -> None:
        """See `Store.changed`."""
        if self._closing is None and generation == self.generation():
            await self._commits.wait(seconds)

    async def check(self) -> None:
        """See `Store.check`. The proof is a written row, which counts as a commit for `generation`."""
        self._reader.one("SELECT count FROM probe")
        await self._submit(None)

    def _connect(self, timeout: float) -> sqlite3.Connection:
        """Open another connection, only to the files that were opened first.

        Raises:
            NightsafeError: FILE_GONE, when these files are no longer in their place.
            sqlite3.Error: when the connection cannot be opened.
        """
        self._files.check()
        db = connect(self._path, timeout)
        try:
            self._files.check()
        except BaseException:
            db.close()
            raise
        return db

    async def close(self) -> None:
        """See `Store.close`. Closing twice is harmless."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._shut())
        await asyncio.shield(self._closing)

    def _committed(self) -> None:
        """Release the reader and wake waiting tasks after a transaction of this process."""
        self._reader.release()
        self._commits.wake()

    def _copy_removed_log(self) -> None:
        """In the writer's thread, copy a removed log's content into the database, if the database is still there.

        The removed log stays readable while it is open, but a restart would not find it.
        """
        if self._files.has_lost_only_its_log():
            with suppress(sqlite3.Error):
                self._anchor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    async def _submit(self, change: Change | None) -> Outcome:
        """Queue a change or a probe, and wait for its answer."""
        if self._closing is not None:
            raise closed_error()
        return await self._writer.submit(change)

    async def _shut(self) -> None:
        """Drain the queue, copy the log, close the connections, and close the wal-index last."""
        await self._writer.end()
        self._commits.wake()
        self._reader.close()
        self._parts.close()
        self._log.end()
        await self._copied.wait()
        self._log.join()
        self._anchor.close()
        self._index.close()

    def _post(self, call: Callable[[], object]) -> None:
        """From another thread, schedule a call on the loop; do nothing if the loop is closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)
