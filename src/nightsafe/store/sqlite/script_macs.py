"""The MACs of all scripts in a database: finds scripts without the right one, and gives them a new one."""

import sqlite3
from collections.abc import Iterator
from typing import Final

from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.rules.script_head import Head, Key, StoredState
from nightsafe.store.rules.script_state import has_right_mac, right_mac

_SCRIPTS: Final = """
SELECT account_id, namespace, name, id, version, upload_version, content, mac, triggers, (
  SELECT CAST(group_concat(digest, '') AS BLOB) FROM bindings b
  WHERE b.account_id = s.account_id AND b.namespace = s.namespace AND b.script = s.name
)
FROM scripts s ORDER BY account_id, namespace, name
"""
_WITHOUT_DIGEST: Final = """
SELECT 1 FROM bindings WHERE account_id = ? AND namespace = ? AND script = ? AND digest IS NULL LIMIT 1
"""
_PUT: Final = "UPDATE scripts SET mac = ? WHERE account_id = ? AND namespace = ? AND name = ?"


def scripts_without_mac(db: sqlite3.Connection, key: IdentityKey) -> Iterator[Key]:
    """Yield each script that does not have the MAC of its state, so that nothing can be changed in it."""
    for script, _, _ in _without_mac(db, key):
        yield script


def renew_macs(db: sqlite3.Connection, key: IdentityKey) -> int:
    """Give each script without the right MAC the one of its present state, and return how many got one.

    A script that is older than the digests of its bindings or content keeps its MAC: `nightsafe migrate` signs it.

    Args:
        db: a connection in a write transaction, in which `verify_database` has found no difference.
        key: the identity key.
    """
    macs = [
        (right_mac(key, script, head, stored), *script)
        for script, head, stored in _without_mac(db, key)
        if head.content and db.execute(_WITHOUT_DIGEST, script).fetchone() is None
    ]
    db.executemany(_PUT, macs)
    return len(macs)


def _without_mac(db: sqlite3.Connection, key: IdentityKey) -> Iterator[tuple[Key, Head, StoredState]]:
    """Yield each script without the right MAC, with its state."""
    for account_id, namespace, name, script_id, version, upload_version, content, *stored in db.execute(_SCRIPTS):
        script, head = (account_id, namespace, name), Head(script_id, version, upload_version, content=content)
        if not has_right_mac(key, script, head, StoredState(*stored)):
            yield script, head, StoredState(*stored)
