"""A database with archived entries, and its archives."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.stores import open_store
from tests.unit.audit.tools.filled_safe import KEYS

from nightsafe.audit.exports.joined import Archives
from nightsafe.audit.exports.json_lines import Export, json_lines
from nightsafe.audit.verification.database_check import Verified, verify_database
from nightsafe.audit.verification.log_check import read_head
from nightsafe.cli.safe.database_copy import copy_database
from nightsafe.services.audit.archiving import archive_change
from nightsafe.services.key_rotation.resealing import location_of_value
from nightsafe.store.changes import ArchivedEntries

AT: Final = 1_800_000_000_000_000
_END_OF_GROUP: Final = "SELECT max(size) FROM log_groups WHERE size <= ?"
Lines = list[bytes]


def archive(folder: Path, database: bytes, *counts: int) -> tuple[bytes, list[Lines]]:
    """Archive the oldest entries of a database in several steps.

    Args:
        folder: an empty folder.
        database: the bytes of the database.
        counts: about how many entries are archived after each step; a group commit is archived as a whole.

    Returns:
        The bytes of the database, and the lines of each archive.
    """
    path, first, archives = folder / "archived.db", 0, []
    path.write_bytes(database)
    path.chmod(0o600)
    for count in counts:
        with closing(sqlite3.connect(path)) as db:
            end = db.execute(_END_OF_GROUP, (count,)).fetchone()[0]
            archives.append(list(json_lines(db, lambda _: None, end)))
        asyncio.run(_commit(path, ArchivedEntries(first, end)))
        first = end
    copy_database(path, folder / "archived-copy.db")
    return (folder / "archived-copy.db").read_bytes(), archives


async def _commit(path: Path, entries: ArchivedEntries) -> None:
    """Empty archived entries."""
    store = open_store(path)
    await store.commit(archive_change(entries, AT))
    await store.close()


def exports(archives: Sequence[Lines]) -> list[Export]:
    """Return archives as they are read."""
    return [Export(lines, KEYS, f"archive {number}") for number, lines in enumerate(archives)]


def verify_with(db: sqlite3.Connection, archives: Sequence[Lines]) -> Verified:
    """Verify a database with archives."""
    texts = Archives(exports(archives), read_head(db).origin)
    verified = verify_database(db, KEYS, None, lambda value: location_of_value(value).signed, lambda _: None, texts)
    texts.check_rest()
    return verified
