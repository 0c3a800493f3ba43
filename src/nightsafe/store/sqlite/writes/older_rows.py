"""States rows that are older than the log, so that delivery can verify them like all others."""

import sqlite3
from typing import Any, Final

from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite.reads.rows import (
    ONE_DEPLOYMENT,
    VERSION_NUMBER,
    WITHOUT_NEW_VERSION,
    deployment_of,
    key_of,
)
from nightsafe.store.sqlite.writes.audit_log import GroupLog
from nightsafe.store.sqlite.writes.script_head import Head, Key
from nightsafe.store.sqlite.writes.statements import (
    refuse_older_row,
    state_deployment,
    state_triggers,
    version_at,
)

_KEEP_DEPLOYMENT: Final = """
UPDATE deployments SET stated_in = ?, position = ?
WHERE account_id = ? AND script_id = ? AND newest_version = ? AND place = ? AND stated_in IS NULL
"""
_DEPLOYMENT_IS_OLDER: Final = """
SELECT 1 FROM deployments
WHERE account_id = ? AND script_id = ? AND newest_version = ? AND place = ? AND stated_in IS NULL
"""
_OLDER_DEPLOYMENTS: Final = f"{WITHOUT_NEW_VERSION} AND stated_in IS NULL LIMIT ?"
_OLDER_VERSIONS: Final = """
SELECT number FROM versions WHERE account_id = ? AND script_id = ? AND digest IS NULL ORDER BY number DESC LIMIT ?
"""
_PART: Final = 100
"""The number of rows of the history that one change states: some milliseconds."""

_OLDER_TRIGGERS: Final = """
SELECT triggers FROM scripts
WHERE account_id = ? AND namespace = ? AND name = ? AND triggers_stated_in IS NULL
"""
_KEEP_TRIGGERS: Final = """
UPDATE scripts SET triggers_stated_in = ?, triggers_position = ?
WHERE account_id = ? AND namespace = ? AND name = ?
"""


def state_older_rows(db: sqlite3.Cursor, log: GroupLog, ref: ScriptRef, head: Head, deployment_id: bytes) -> int:
    """State what is older than the log: a deployment with its versions, the triggers, and a part of the history.

    Args:
        db: the transaction.
        log: the transaction's part of the log.
        ref: the script.
        head: its row.
        deployment_id: the deployment to state first; b"" for none.

    Returns:
        The number of statements that were made. When it is 0, everything of the script has been stated.

    Raises:
        NightsafeError: CANNOT_OPEN, when the log is as old as the safe, so that it has no older rows.
    """
    key, before = key_of(ref), len(log.written.statements)
    script = (ref.account_id, head.id)
    first = db.execute(ONE_DEPLOYMENT, (*script, deployment_id) * 2).fetchone()
    for row in [*([] if first is None else [first]), *db.execute(_OLDER_DEPLOYMENTS, (*script, _PART)).fetchall()]:
        _state_deployment(db, log, key, head, row)
    for (number,) in db.execute(_OLDER_VERSIONS, (*script, _PART)).fetchall():
        version_at(db, log, key, head, number)
    triggers = db.execute(_OLDER_TRIGGERS, key).fetchone()
    if triggers is not None:
        refuse_older_row(log, "the subdomain setting")
        db.execute(_KEEP_TRIGGERS, (*state_triggers(log, key, head, triggers[0]), *key))
    return len(log.written.statements) - before


def _state_deployment(db: sqlite3.Cursor, log: GroupLog, key: Key, head: Head, row: tuple[Any, ...]) -> None:
    """State a deployment, from its row in DEPLOYMENTS, and its versions."""
    script = (key[0], head.id)
    *_, newest, place = row
    deployment, order, shares = deployment_of(row), (newest, place), []
    for version_id, share in deployment.versions:
        (number,) = db.execute(VERSION_NUMBER, (*script, version_id)).fetchone()
        shares.append((number, share, version_at(db, log, key, head, number)))
    if place and db.execute(_DEPLOYMENT_IS_OLDER, (*script, *order)).fetchone() is not None:
        refuse_older_row(log, "a deployment")
        stated = state_deployment(log, key, head, order, deployment.id, shares)
        db.execute(_KEEP_DEPLOYMENT, (*stated, *script, *order))
