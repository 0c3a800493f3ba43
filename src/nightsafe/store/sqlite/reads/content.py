"""The reads of the contents of scripts' files, in SQL. Large contents are read part by part, in a thread.

Reading a part of 1 MB takes the thread a millisecond, or tens of milliseconds while the part is in the log. The
loop's thread continues meanwhile. No transaction stays open between two parts, so a slow client does not block the
log.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from nightsafe.store.built_rows import files_of
from nightsafe.store.bundles import StoredFile
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite.engine.connection import store_error
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.rows import HEAD

_FILES: Final = """
SELECT m.name, m.content_type, m.digest, length(c.body)
FROM versions v
JOIN uploads u ON u.account_id = v.account_id AND u.script_id = v.script_id AND u.version = v.upload_version
JOIN modules m ON m.account_id = u.account_id AND m.script_id = u.script_id AND m.version = u.code_version
LEFT JOIN contents c ON c.account_id = m.account_id AND c.digest = m.digest
WHERE v.account_id = ? AND v.script_id = ? AND v.number = ?
ORDER BY m.position
"""
_CONTENT: Final = "SELECT body FROM contents WHERE account_id = ? AND digest = ?"
_SIZE: Final = "SELECT length(body) FROM contents WHERE account_id = ? AND digest = ?"
_ROW: Final = "SELECT rowid FROM contents WHERE account_id = ? AND digest = ?"

T = TypeVar("T")


class PartReader:
    """A thread with its own connection for long reads: parts of contents, and searches through rows.

    Args:
        connect: opens a connection; called again after an engine failure.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self.thread: Final = ThreadPoolExecutor(1, "nightsafe-contents")
        self._db: sqlite3.Connection | None = None

    def start(self) -> None:
        """Start the thread; raise RuntimeError if the system does not allow it."""
        self.thread.submit(int).result()

    def read(self, account_id: str, digest: bytes, start: int, size: int) -> bytes | None:
        """In the thread, read a part; return None if the contents are gone.

        Raises:
            NightsafeError: as `Store` specifies for every read.
        """
        try:
            if self._db is None:
                self._db = self._connect()
            return _part(self._db, (account_id, digest), start, size)
        except sqlite3.Error as error:
            self._drop()
            raise store_error(error) from error

    def in_transaction(self, read: Callable[[sqlite3.Cursor], T]) -> T:
        """In the thread, return the result of a longer read in a transaction.

        Raises:
            NightsafeError: as `Store` specifies for every read.
        """
        try:
            if self._db is None:
                self._db = self._connect()
            self._db.execute("BEGIN")
            try:
                return read(self._db.cursor())
            finally:
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._drop()
            raise store_error(error) from error

    def close(self) -> None:
        """Wait for the thread's current work, end the thread, and close the connection."""
        self.thread.shutdown(cancel_futures=True)
        self._drop()

    def _drop(self) -> None:
        """Drop the connection; the next read opens another."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None


class ContentReads:
    """The part of `Store` that reads files and their contents."""

    _reader: Reader
    _parts: PartReader

    async def files(self, ref: ScriptRef, version: int | None = None) -> list[StoredFile]:
        """See `Store.files`."""
        head = self._reader.one(HEAD, key_of(ref))
        if head is None:
            return []
        number = head[1] if version is None else version
        rows = self._reader.all(_FILES, (ref.account_id, head[0], number))
        return files_of(ref, rows)

    async def content(self, account_id: str, digest: bytes) -> bytes | None:
        """See `Store.content`."""
        row = self._reader.one(_CONTENT, (account_id, digest))
        return None if row is None else row[0]

    async def content_size(self, account_id: str, digest: bytes) -> int | None:
        """See `Store.content_size`."""
        row = self._reader.one(_SIZE, (account_id, digest))
        return None if row is None else int(row[0])

    async def content_part(self, account_id: str, digest: bytes, start: int, size: int) -> bytes | None:
        """See `Store.content_part`."""
        self._reader.generation()  # refuses reads after the store is closed
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._parts.thread, self._parts.read, account_id, digest, start, size)


def _part(db: sqlite3.Connection, key: tuple[str, bytes], start: int, size: int) -> bytes | None:
    """Read a part of a row's contents, in a transaction so that the row does not change during the read."""
    db.execute("BEGIN")
    try:
        row = db.execute(_ROW, key).fetchone()
        if row is None:
            return None
        with db.blobopen("contents", "body", row[0], readonly=True) as blob:
            blob.seek(start)
            return blob.read(size)
    finally:
        db.execute("COMMIT")
