"""Gives scripts new MACs, after a comparison of the whole database with the log."""

import sqlite3
from contextlib import closing
from typing import Final

from nightsafe.audit.verification.difference import DifferenceError, counted
from nightsafe.cli.audit.database_source import LogDatabase
from nightsafe.cli.audit.database_verification import verify_with_progress
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.sqlite.engine.connection import connect, store_error
from nightsafe.store.sqlite.script_macs import renew_macs, scripts_without_mac

_WAIT_SECONDS: Final = 10.0


def renew_script_macs(directory: DataDirectory) -> None:
    """Renew the MACs of scripts that do not have the right one, if the database is what the log says.

    Nothing else is written to the database meanwhile.

    Raises:
        CommandError: if the database is not what the log says.
        NightsafeError: STORE, if it cannot be used.
    """
    key, keys = directory.load_identity_key(), VerifyKeys.load(directory.verify_keys)
    try:
        with closing(connect(directory.database, _WAIT_SECONDS)) as db:
            db.execute("BEGIN IMMEDIATE")
            if next(scripts_without_mac(db, key), None) is None:
                return
            verify_with_progress(LogDatabase(db, lambda report: report), keys)
            renewed = renew_macs(db, key)
            db.execute("COMMIT")
    except DifferenceError as difference:
        raise CommandError(
            f"the MACs of scripts were not renewed: {difference.what}. To do: {difference.advice}"
        ) from None
    except sqlite3.Error as error:
        raise store_error(error, directory.database) from error
    say(f"Renewed the MACs of {counted(renewed, 'script')}.")
