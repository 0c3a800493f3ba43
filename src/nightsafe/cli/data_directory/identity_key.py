"""The identity key of a data directory, and the one migration of a safe that had none.

A safe of an older schema has no identity key, and its rows have no MACs. The first command that opens it accepts the
rows as they are. It must do so exactly once: somebody who can write only the database must not be able to have rows
accepted by making the database look old. So the files decide, in this order:

| files in `keys/` | database | what happens |
| --- | --- | --- |
| the key | any | the key is used; rows without its MAC do not count |
| a pending key | any | the migration was interrupted: it is done again with this key |
| neither | without MACs | the migration: write a pending key, make the MACs, rename the key |
| neither | with MACs | the key was lost: refused |

The pending key is on the disk before the first MAC, and gets its final name after the last one, so the migration may
be interrupted anywhere. A write transaction keeps two processes from doing it at the same time.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.files import sync
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.sqlite.engine.connection import connect, store_error
from nightsafe.store.sqlite.engine.schema import check_own, migrate
from nightsafe.store.sqlite.identity_macs import has_mac_column, make_all

PENDING: Final = "pending-identity-key.json"
"""The name of the key until every row has its MAC."""

_WAIT_SECONDS: Final = 10.0


def load_identity_key(path: Path, database: Path) -> IdentityKey:
    """Return the identity key; migrate a safe that never had one.

    Args:
        path: the key file.
        database: the database whose rows it authenticates.

    Raises:
        NightsafeError: INVALID, if the key file is lost, damaged or accessible to others, or cannot be written;
            STORE, if the database cannot be used.
    """
    if not path.exists():
        try:
            with closing(connect(database, _WAIT_SECONDS)) as db:
                _migrate(db, path)
        except sqlite3.Error as error:
            raise store_error(error, database) from error
    return IdentityKey.load(path)


def is_lost(path: Path, database: Path) -> bool:
    """Return whether a safe has had its identity key and has it no longer.

    Raises:
        NightsafeError: STORE, if the database cannot be used.
    """
    if path.exists() or path.with_name(PENDING).exists():
        return False
    try:
        with closing(connect(database, _WAIT_SECONDS)) as db:
            return has_mac_column(db)
    except sqlite3.Error as error:
        raise store_error(error, database) from error


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Make the key and the MAC of every row, or finish an interrupted migration."""
    pending = path.with_name(PENDING)
    with _writing(db):
        if path.exists():
            return
        if not pending.exists():
            check_own(db)
            _refuse_lost(db, path)
            IdentityKey.generate(states_older_rows=True).save(pending)
    migrate(db)
    with _writing(db):
        if path.exists():
            return
        try:
            key = IdentityKey.load(pending)
        except NightsafeError:
            if path.exists():  # another process has just renamed it
                return
            raise
        make_all(db, key)
        db.execute("COMMIT")
    with suppress(FileNotFoundError):  # another process has renamed it
        pending.rename(path)
    sync(path.parent)


def _refuse_lost(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that has MACs: its key existed, so it was lost.

    Raises:
        NightsafeError: INVALID.
    """
    if has_mac_column(db):
        raise lost_error(path, "a backup")


def lost_error(path: Path, places: str) -> NightsafeError:
    """Return the refusal of a safe without its key, which may still be in these places."""
    return NightsafeError(
        Code.INVALID,
        f"{path} is missing, and without it no token, user, membership or account counts; restore the file from"
        f" {places}, or look at every row and accept it under a new key: nightsafe token refused-rows --accept",
    )


@contextmanager
def _writing(db: sqlite3.Connection) -> Iterator[None]:
    """Hold a write transaction, and undo what is not committed."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
