"""Gives scripts new MACs, after a comparison of the whole database with the log."""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nightsafe.audit.verification.difference import DifferenceError, counted
from nightsafe.cli.audit.database_source import LogDatabase
from nightsafe.cli.audit.database_verification import verify_with_progress
from nightsafe.cli.data_directory.directory import DATABASE, DataDirectory
from nightsafe.cli.store.snapshot import write_snapshot
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.sqlite.engine.connection import connect, store_error
from nightsafe.store.sqlite.script_macs import renew_macs, scripts_without_mac

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address

_WAIT_SECONDS: Final = 10.0
_MACS: Final = "SELECT account_id, namespace, name, mac FROM scripts"


def renew_script_macs(directory: DataDirectory) -> None:
    """Renew the MACs of scripts that do not have the right one, if the database is what the log says.

    Nothing else is written to the database meanwhile.

    Raises:
        CommandError: if the database is not what the log says.
        NightsafeError: STORE, if it cannot be used.
    """
    key, keys = directory.load_identity_key(), VerifyKeys.load(directory.verify_keys)
    if directory.address is None:
        renewed = _renew(directory.database, key, keys)
    else:
        renewed = asyncio.run(_renew_in_postgres(directory.address, key, keys))
    if renewed is not None:
        say(f"Renewed the MACs of {counted(renewed, 'script')}.")


def _renew(database: Path, key: IdentityKey, keys: VerifyKeys) -> int | None:
    """Renew the MACs in a SQLite file, and return how many; None if all are right."""
    try:
        with closing(connect(database, _WAIT_SECONDS)) as db:
            db.execute("BEGIN IMMEDIATE")
            if next(scripts_without_mac(db, key), None) is None:
                return None
            verify_with_progress(LogDatabase(db, lambda report: report), keys)
            renewed = renew_macs(db, key)
            db.execute("COMMIT")
    except DifferenceError as difference:
        raise CommandError(
            f"the MACs of scripts were not renewed: {difference.what}. To do: {difference.advice}"
        ) from None
    except sqlite3.Error as error:
        raise store_error(error, database) from error
    return renewed


async def _renew_in_postgres(address: "Address", key: IdentityKey, keys: VerifyKeys) -> int | None:
    """Renew the MACs in a PostgreSQL database, by a snapshot; return how many, or None if all are right."""
    from nightsafe.store.postgres.script_macs import without_writes  # users of SQLite do not need its driver

    async with without_writes(address) as macs:
        with tempfile.TemporaryDirectory(prefix="nightsafe-") as folder:
            path = Path(folder) / DATABASE
            await write_snapshot(address, path)
            renewed = _renew(path, key, keys)
            if renewed is not None:
                with closing(connect(path, _WAIT_SECONDS)) as db:
                    await macs.replace(db.execute(_MACS).fetchall())
            return renewed
