"""The rows of deployments and of older versions, in SQL."""

import sqlite3
from typing import Final

from nightsafe.store.built_rows import deployment_of, traffic_of
from nightsafe.store.rules.rows import LiveBinding, Place, VersionRow
from nightsafe.store.rules.script_head import Key
from nightsafe.store.scripts import Deployment, ScriptRef
from nightsafe.store.sqlite.reads.rows import (
    BINDINGS_AT,
    ONE_DEPLOYMENT,
    VERSION_NUMBER,
    WITHOUT_NEW_VERSION,
    at_version,
)

_SECRETS_AT: Final = f"SELECT name, kind, sealed FROM ({BINDINGS_AT}) WHERE sealed IS NOT NULL"  # noqa: S608 - our own SQL
_DEPLOY: Final = """
INSERT INTO deployments (account_id, script_id, newest_version, place, id, created_on, source, triggered_by,
  author_id, author_email, annotations, traffic, stated_in, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_BINDINGS_AT: Final = """
SELECT name, kind, shown, since FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND since <= ?
UNION ALL
SELECT name, kind, shown, from_version FROM binding_history
WHERE account_id = ? AND script_id = ? AND to_version > ? AND from_version <= ?
"""
_VERSION: Final = """
SELECT digest, id, deployment_id, created_on, annotations, upload_version FROM versions
WHERE account_id = ? AND script_id = ? AND number = ?
"""
_KEEP_VERSION: Final = """
UPDATE versions SET digest = ?, stated_in = ?, position = ? WHERE account_id = ? AND script_id = ? AND number = ?
"""
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
_OLDER_TRIGGERS: Final = """
SELECT triggers FROM scripts
WHERE account_id = ? AND namespace = ? AND name = ? AND triggers_stated_in IS NULL
"""
_KEEP_TRIGGERS: Final = """
UPDATE scripts SET triggers_stated_in = ?, triggers_position = ?
WHERE account_id = ? AND namespace = ? AND name = ?
"""
_KEEP_DIGEST: Final = "UPDATE bindings SET digest = ? WHERE rowid = ?"
_KEEP_MAC: Final = "UPDATE scripts SET mac = ?, content = ? WHERE account_id = ? AND namespace = ? AND name = ?"


class HistoryRows:
    """The part of `Rows` for the history of scripts."""

    _db: sqlite3.Cursor

    def version_number(self, account_id: str, script_id: str, version_id: bytes) -> int | None:
        """See `Rows.version_number`."""
        row = self._db.execute(VERSION_NUMBER, (account_id, script_id, version_id)).fetchone()
        return None if row is None else int(row[0])

    def secrets_at(self, ref: ScriptRef, script_id: str, number: int) -> dict[str, tuple[str, bytes]]:
        """See `Rows.secrets_at`. Equal records come from the same write."""
        rows = self._db.execute(_SECRETS_AT, at_version(ref, script_id, number))
        return {name: (kind, sealed) for name, kind, sealed in rows}

    def version_row(self, account_id: str, script_id: str, number: int) -> VersionRow:
        """See `Rows.version_row`."""
        return VersionRow(*self._db.execute(_VERSION, (account_id, script_id, number)).fetchone())

    def add_deployment(
        self, account_id: str, script_id: str, order: tuple[int, int], new: Deployment, place: Place
    ) -> None:
        """See `Rows.add_deployment`."""
        made = (new.id, new.created_on, new.source, new.triggered_by)
        author = (new.author_id, new.author_email, new.annotations)
        self._db.execute(_DEPLOY, (account_id, script_id, *order, *made, *author, traffic_of(new.versions), *place))

    def bindings_at(self, ref: ScriptRef, script_id: str, number: int) -> list[tuple[str, str, bytes, int]]:
        """See `Rows.bindings_at`."""
        return self._db.execute(_BINDINGS_AT, at_version(ref, script_id, number)).fetchall()

    def keep_version_statement(
        self, account_id: str, script_id: str, number: int, digest: bytes, place: Place
    ) -> None:
        """See `Rows.keep_version_statement`."""
        self._db.execute(_KEEP_VERSION, (digest, *place, account_id, script_id, number))

    def deployment(
        self, account_id: str, script_id: str, deployment_id: bytes
    ) -> tuple[Deployment, tuple[int, int]] | None:
        """See `Rows.deployment`."""
        row = self._db.execute(ONE_DEPLOYMENT, (account_id, script_id, deployment_id) * 2).fetchone()
        return None if row is None else (deployment_of(row), row[-2:])

    def older_deployments(
        self, account_id: str, script_id: str, limit: int
    ) -> list[tuple[Deployment, tuple[int, int]]]:
        """See `Rows.older_deployments`."""
        rows = self._db.execute(_OLDER_DEPLOYMENTS, (account_id, script_id, limit)).fetchall()
        return [(deployment_of(row), row[-2:]) for row in rows]

    def keep_deployment_statement(
        self, account_id: str, script_id: str, order: tuple[int, int], place: Place
    ) -> None:
        """See `Rows.keep_deployment_statement`."""
        self._db.execute(_KEEP_DEPLOYMENT, (*place, account_id, script_id, *order))

    def is_older_deployment(self, account_id: str, script_id: str, order: tuple[int, int]) -> bool:
        """See `Rows.is_older_deployment`."""
        return self._db.execute(_DEPLOYMENT_IS_OLDER, (account_id, script_id, *order)).fetchone() is not None

    def older_versions(self, account_id: str, script_id: str, limit: int) -> list[int]:
        """See `Rows.older_versions`."""
        return [number for (number,) in self._db.execute(_OLDER_VERSIONS, (account_id, script_id, limit)).fetchall()]

    def older_triggers(self, key: Key) -> bytes | None:
        """See `Rows.older_triggers`."""
        row = self._db.execute(_OLDER_TRIGGERS, key).fetchone()
        return None if row is None else bytes(row[0])

    def keep_triggers_statement(self, key: Key, place: Place) -> None:
        """See `Rows.keep_triggers_statement`."""
        self._db.execute(_KEEP_TRIGGERS, (*place, *key))

    def keep_digest(self, key: Key, old: LiveBinding, digest: bytes) -> None:  # noqa: ARG002 - the row suffices
        """See `Rows.keep_digest`."""
        self._db.execute(_KEEP_DIGEST, (digest, old.row))

    def keep_mac(self, key: Key, mac: bytes, content: bytes) -> None:
        """See `Rows.keep_mac`."""
        self._db.execute(_KEEP_MAC, (mac, content, *key))
