"""Checks the MACs in the rows of scripts and identities, which only a holder of the identity key can do."""

import sqlite3
from typing import Final

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.script_check import script_words
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.sqlite.identity_macs import refused_rows
from nightsafe.store.sqlite.writes.script_head import Head
from nightsafe.store.sqlite.writes.script_state import StoredState, has_right_mac

_SCRIPTS: Final = """
SELECT account_id, namespace, name, id, version, upload_version, content, mac, triggers, (
  SELECT CAST(group_concat(digest, '') AS BLOB) FROM bindings b
  WHERE b.account_id = s.account_id AND b.namespace = s.namespace AND b.script = s.name
)
FROM scripts s ORDER BY account_id, namespace, name
"""
_ADVICE: Final = (
    "somebody has changed the database or the identity key: compare keys/identity-key.json with the one in a backup;"
    " a new key, made because the old one was lost, does not fit older scripts."
    " If the key is right, keep a copy of the database, find out who could write to it, and restore a backup that"
    " verifies"
)


def check_macs(db: sqlite3.Connection, key: IdentityKey) -> None:
    """Check the MAC of each script and each identity.

    Args:
        db: the database, after `verify_database` has found no difference.
        key: the identity key.

    Raises:
        DifferenceError: the first row without the MAC that the key makes.
    """
    for account_id, namespace, name, script_id, version, upload_version, content, *stored in db.execute(_SCRIPTS):
        head = Head(script_id, version, upload_version, content=content)
        if not has_right_mac(key, (account_id, namespace, name), head, StoredState(*stored)):
            words = script_words(account_id, namespace, name)
            raise DifferenceError(f"the row of {words} does not have the MAC that the identity key makes", _ADVICE)
    for row in refused_rows(db, key):
        raise DifferenceError(
            f"the row {row.name!r} of the table {row.table} does not have the MAC that the identity key makes",
            _ADVICE,
        )
