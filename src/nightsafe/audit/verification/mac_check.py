"""Checks the MACs in the rows of scripts and identities, which only a holder of the identity key can do."""

import sqlite3
from typing import Final

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.script_check import script_words
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.sqlite.identity_macs import refused_rows
from nightsafe.store.sqlite.script_macs import scripts_without_mac

_ADVICE: Final = (
    "somebody has changed the database or the identity key: compare keys/identity-key.json with the one in a backup."
    " If the key is right, keep a copy of the database, find out who could write to it, and restore a backup that"
    " verifies"
)
_SCRIPT_ADVICE: Final = (
    f"{_ADVICE}. If the key is new because the old one was lost, run: nightsafe token refused-rows --accept"
)


def check_macs(db: sqlite3.Connection, key: IdentityKey) -> None:
    """Check the MAC of each script and each identity.

    Args:
        db: the database, after `verify_database` has found no difference.
        key: the identity key.

    Raises:
        DifferenceError: the first row without the MAC that the key makes.
    """
    for script in scripts_without_mac(db, key):
        words = script_words(*script)
        raise DifferenceError(f"the row of {words} does not have the MAC that the identity key makes", _SCRIPT_ADVICE)
    for row in refused_rows(db, key):
        raise DifferenceError(
            f"the row {row.name!r} of the table {row.table} does not have the MAC that the identity key makes",
            _ADVICE,
        )
