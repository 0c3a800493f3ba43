"""The state that the log describes: the latest digest that its entries name for each place.

The state is in a temporary database, which SQLite moves to the disk when it is large, so memory stays bounded.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Final, Self

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.logged_entry import LoggedEntry

Stated = tuple[int | None, int | None]
"""The columns `stated_in` and `position` of a row."""

SignedDigest = Callable[[int, int], bytes]
"""Returns the digest of a signed statement, by the columns `stated_in` and `position`."""

_TABLES: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32768;
CREATE TABLE named (
  place TEXT PRIMARY KEY, owner TEXT, digest BLOB, entry INTEGER, stated_in INTEGER, position INTEGER
) WITHOUT ROWID;
CREATE INDEX named_by_owner ON named (owner);
CREATE TABLE older (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_NAME: Final = "INSERT OR REPLACE INTO named VALUES (?, ?, ?, ?, ?, ?)"
_FIND: Final = "SELECT digest, entry, stated_in, position FROM named WHERE place = ?"
_LEFT: Final = "SELECT place, entry FROM named ORDER BY entry, place LIMIT 1"
_OWNED_TABLES: Final = frozenset({"value", "version", "deployment", "triggers", "settings", "item"})


class NamedState:
    """The state that the log describes.

    Attributes:
        matched: how many rows were as the log says.
        older: how many rows are older than the log, which names no digest of them.
        older_until: the time of the last entry from before the log, or -1.
        unread: how many entries, from the first one on, could not be read because they are archived.
        uncompared: how many rows no read entry names, so that only an archived one can.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
        self.matched = 0
        self.older = 0
        self.older_until = -1
        self.unread = 0
        self.uncompared = 0
        self._has_begun = False
        self._signed: SignedDigest | None = None

    def __enter__(self) -> Self:
        """Return the state itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the temporary database."""
        with closing(self._db):
            self._db.execute("COMMIT")

    def begin_unread(self, count: int, signed: SignedDigest) -> None:
        """Begin with archived entries that cannot be read.

        Args:
            count: their number.
            signed: returns the digests of the signed statements, which stay in the database.
        """
        self.unread = count
        self._signed = signed
        self._has_begun = True

    def add(self, index: int, entry: LoggedEntry, first: int, position: int) -> None:
        """Apply the next entry.

        Args:
            index: its index in the log.
            entry: the entry.
            first: the size of the log before the group commit that has the entry.
            position: how many statements of that group commit come before those of the entry.
        """
        if entry.written is None:
            if not self._has_begun:
                self._add_older(entry)
            return
        self._has_begun = True
        for place in entry.written.gone:
            self._forget(entry.written.full(place))
        for place, digest in entry.written.rows:
            self._name(entry.written.full(place), digest, (index, None, None))
        for number, (subject, digest, place) in enumerate(entry.written.statements, start=position):
            self._name(entry.written.full_statement(subject, place), digest, (index, first, number))

    def match(
        self,
        place: str,
        digest: bytes,
        words: str,
        *,
        stated: Stated | None = None,
        is_older: Callable[[], bool] = lambda: False,
    ) -> None:
        """Compare a row of the database with the latest digest that the log names for its place.

        Args:
            place: the row's place.
            digest: the row's digest, computed from its columns.
            words: the row in words.
            stated: the columns of the row that say where it is stated; None for a row without them.
            is_older: tells whether a row that the log does not name may be older than the log.

        Raises:
            DifferenceError: when the row is not as the log says.
        """
        named = self._db.execute(_FIND, (place,)).fetchone()
        if named is None:
            if is_older():
                self.older += 1
            elif self._may_be_unread(digest, words, stated):
                self.uncompared += 1
            else:
                raise DifferenceError(f"{words} is in the database, but no entry of the log says that it was written")
            return
        expected, entry, *place_in_log = named
        if digest != expected:
            raise DifferenceError(f"{words} is not what entry {entry} of the log says", entry=entry)
        if stated is not None and [*stated] != place_in_log:
            raise DifferenceError(
                f"{words} names another proof than the one of entry {entry} of the log", entry=entry
            )
        self._db.execute("DELETE FROM named WHERE place = ?", (place,))
        self.matched += 1

    def has(self, place: str) -> bool:
        """Return True if the log names a digest for a place that was not matched yet."""
        return self._db.execute(_FIND, (place,)).fetchone() is not None

    def is_older(self, row_id: str) -> bool:
        """Return True if an entry from before the log names a version, a deployment or a token."""
        return self._db.execute("SELECT 1 FROM older WHERE id = ?", (row_id,)).fetchone() is not None

    @property
    def has_older(self) -> bool:
        """Whether the safe is older than its log, or may be, because archived entries cannot be read."""
        return self.older_until >= 0 or self.unread > 0

    def first_missing(self) -> tuple[str, int] | None:
        """Return place and entry of the first digest that no row matched, or None."""
        found: tuple[str, int] | None = self._db.execute(_LEFT).fetchone()
        return found

    def _may_be_unread(self, digest: bytes, words: str, stated: Stated | None) -> bool:
        """Return True if an entry that could not be read may name a row. A signed statement must fit the row."""
        if stated is None or stated[0] is None or stated[1] is None or self._signed is None:
            return self.unread > 0
        if stated[0] >= self.unread:
            return False
        if self._signed(stated[0], stated[1]) != digest:
            raise DifferenceError(f"{words} is not what its signed statement says")
        return True

    def _add_older(self, entry: LoggedEntry) -> None:
        """Note the ids that an entry from before the log names."""
        self.older_until = max(self.older_until, entry.at)
        ids = {*entry.version_id.split(","), entry.resource} - {""}
        self._db.executemany("INSERT OR IGNORE INTO older VALUES (?)", [(row_id,) for row_id in ids])

    def _forget(self, place: str) -> None:
        """Forget what a change removed: one place, or a script or collection with everything in it."""
        table, _, rest = place.partition("/")
        if table == "owner":
            self._db.execute("DELETE FROM named WHERE owner = ?", (rest,))
            return
        places = (place, f"value/{rest}") if table == "item" else (place,)
        self._db.executemany("DELETE FROM named WHERE place = ?", [(one,) for one in places])

    def _name(self, place: str, digest: bytes, where: tuple[int, int | None, int | None]) -> None:
        """Note the latest digest of a place."""
        table, owner, *_ = place.split("/")
        self._db.execute(_NAME, (place, owner if table in _OWNED_TABLES | {"collection"} else None, digest, *where))
