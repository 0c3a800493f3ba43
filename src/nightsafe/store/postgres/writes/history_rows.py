"""The rows of deployments and of older versions, in SQL."""

from typing import Final

from nightsafe.store.built_rows import deployment_of, traffic_of
from nightsafe.store.postgres.reads.rows import (
    BINDINGS_AT,
    ONE_DEPLOYMENT,
    VERSION_NUMBER,
    WITHOUT_NEW_VERSION,
    at_version,
)
from nightsafe.store.postgres.writes.asking import Asking
from nightsafe.store.rules.rows import LiveBinding, Place, VersionRow
from nightsafe.store.rules.script_head import Key
from nightsafe.store.scripts import Deployment, ScriptRef

_SECRETS_AT: Final = f"SELECT name, kind, sealed FROM ({BINDINGS_AT}) AS b WHERE sealed IS NOT NULL"  # noqa: S608 - our own SQL
_DEPLOY: Final = """
INSERT INTO deployments (account_id, script_id, newest_version, place, id, created_on, source, triggered_by,
  author_id, author_email, annotations, traffic, stated_in, position)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
_BINDINGS_AT: Final = """
SELECT name, kind, shown, since FROM bindings
WHERE account_id = $1 AND namespace = $2 AND script = $3 AND since <= $4
UNION ALL
SELECT name, kind, shown, from_version FROM binding_history
WHERE account_id = $1 AND script_id = $5 AND to_version > $4 AND from_version <= $4
"""
_VERSION: Final = """
SELECT digest, id, deployment_id, created_on, annotations, upload_version FROM versions
WHERE account_id = $1 AND script_id = $2 AND number = $3
"""
_KEEP_VERSION: Final = """
UPDATE versions SET digest = $1, stated_in = $2, position = $3
WHERE account_id = $4 AND script_id = $5 AND number = $6
"""
_KEEP_DEPLOYMENT: Final = """
UPDATE deployments SET stated_in = $1, position = $2
WHERE account_id = $3 AND script_id = $4 AND newest_version = $5 AND place = $6 AND stated_in IS NULL
"""
_DEPLOYMENT_IS_OLDER: Final = """
SELECT 1 FROM deployments
WHERE account_id = $1 AND script_id = $2 AND newest_version = $3 AND place = $4 AND stated_in IS NULL
"""
_OLDER_DEPLOYMENTS: Final = f"{WITHOUT_NEW_VERSION} AND stated_in IS NULL LIMIT $3"
_OLDER_VERSIONS: Final = """
SELECT number FROM versions
WHERE account_id = $1 AND script_id = $2 AND digest IS NULL ORDER BY number DESC LIMIT $3
"""
_OLDER_TRIGGERS: Final = """
SELECT triggers FROM scripts
WHERE account_id = $1 AND namespace = $2 AND name = $3 AND triggers_stated_in IS NULL
"""
_KEEP_DIGEST: Final = """
UPDATE bindings SET digest = $1 WHERE account_id = $2 AND namespace = $3 AND script = $4 AND name = $5
"""


class HistoryRows(Asking):
    """The part of `Rows` for the history of scripts."""

    def version_number(self, account_id: str, script_id: str, version_id: bytes) -> int | None:
        """See `Rows.version_number`."""
        row = self._one(VERSION_NUMBER, account_id, script_id, version_id)
        return None if row is None else int(row[0])

    def secrets_at(self, ref: ScriptRef, script_id: str, number: int) -> dict[str, tuple[str, bytes]]:
        """See `Rows.secrets_at`. Equal records come from the same write."""
        rows = self._all(_SECRETS_AT, *at_version(ref, script_id, number))
        return {name: (kind, sealed) for name, kind, sealed in rows}

    def version_row(self, account_id: str, script_id: str, number: int) -> VersionRow:
        """See `Rows.version_row`."""
        return VersionRow(*self._all(_VERSION, account_id, script_id, number)[0])

    def add_deployment(
        self, account_id: str, script_id: str, order: tuple[int, int], new: Deployment, place: Place
    ) -> None:
        """See `Rows.add_deployment`."""
        made = (new.id, new.created_on, new.source, new.triggered_by)
        author = (new.author_id, new.author_email, new.annotations)
        self._do(_DEPLOY, account_id, script_id, *order, *made, *author, traffic_of(new.versions), *place)

    def bindings_at(self, ref: ScriptRef, script_id: str, number: int) -> list[tuple[str, str, bytes, int]]:
        """See `Rows.bindings_at`."""
        rows = self._all(_BINDINGS_AT, ref.account_id, ref.namespace, ref.name, number, script_id)
        return [(name, kind, shown, since) for name, kind, shown, since in rows]

    def keep_version_statement(
        self, account_id: str, script_id: str, number: int, digest: bytes, place: Place
    ) -> None:
        """See `Rows.keep_version_statement`."""
        self._do(_KEEP_VERSION, digest, *place, account_id, script_id, number)
        query = (_VERSION, (account_id, script_id, number))
        self.altered[query] = [(digest, *self.answers[query][0][1:])]

    def deployment(
        self, account_id: str, script_id: str, deployment_id: bytes
    ) -> tuple[Deployment, tuple[int, int]] | None:
        """See `Rows.deployment`."""
        row = self._one(ONE_DEPLOYMENT, account_id, script_id, deployment_id)
        return None if row is None else (deployment_of(row), (row[-2], row[-1]))

    def older_deployments(
        self, account_id: str, script_id: str, limit: int
    ) -> list[tuple[Deployment, tuple[int, int]]]:
        """See `Rows.older_deployments`."""
        rows = self._all(_OLDER_DEPLOYMENTS, account_id, script_id, limit)
        return [(deployment_of(row), (row[-2], row[-1])) for row in rows]

    def keep_deployment_statement(
        self, account_id: str, script_id: str, order: tuple[int, int], place: Place
    ) -> None:
        """See `Rows.keep_deployment_statement`."""
        self._do(_KEEP_DEPLOYMENT, *place, account_id, script_id, *order)
        self.altered[_DEPLOYMENT_IS_OLDER, (account_id, script_id, *order)] = []

    def is_older_deployment(self, account_id: str, script_id: str, order: tuple[int, int]) -> bool:
        """See `Rows.is_older_deployment`."""
        return self._one(_DEPLOYMENT_IS_OLDER, account_id, script_id, *order) is not None

    def older_versions(self, account_id: str, script_id: str, limit: int) -> list[int]:
        """See `Rows.older_versions`."""
        return [number for (number,) in self._all(_OLDER_VERSIONS, account_id, script_id, limit)]

    def older_triggers(self, key: Key) -> bytes | None:
        """See `Rows.older_triggers`."""
        row = self._one(_OLDER_TRIGGERS, *key)
        return None if row is None else bytes(row[0])

    def keep_digest(self, key: Key, old: LiveBinding, digest: bytes) -> None:
        """See `Rows.keep_digest`."""
        self._do(_KEEP_DIGEST, digest, *key, old.name)
