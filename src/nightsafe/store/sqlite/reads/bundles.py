"""The reads of served versions and of the latest log entry, in SQL."""

import sqlite3
from typing import Any

from nightsafe.store.built_rows import deployment_of, version_of
from nightsafe.store.bundles import (
    AuditHead,
    ModuleName,
    Served,
    ServedDeployment,
    ServedVersion,
)
from nightsafe.store.log.proofs import served_binding
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.rows import DEPLOYMENTS, HEAD, ONE_DEPLOYMENT, VERSION, VERSION_BY_ID, at_version
from nightsafe.store.sqlite.reads.stated import Proofs

_AUDIT_HEAD = "SELECT seq, leaf FROM audit WHERE account_id = ? ORDER BY seq DESC LIMIT 1"
_TRIGGERS = """
SELECT triggers, triggers_stated_in, triggers_position FROM scripts
WHERE account_id = ? AND namespace = ? AND name = ?
"""
_VERSION_PLACE = "SELECT stated_in, position FROM versions WHERE account_id = ? AND script_id = ? AND number = ?"
_DEPLOYMENT_PLACE = """
SELECT stated_in, position + 1 FROM versions
WHERE account_id = ?1 AND script_id = ?2 AND number = ?3 AND ?4 = 0
UNION ALL
SELECT stated_in, position FROM deployments
WHERE account_id = ?1 AND script_id = ?2 AND newest_version = ?3 AND place = ?4
"""
_SERVED_BINDINGS = """
SELECT name, kind, shown, since, sealed, stated_in, position FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND since <= ?
UNION ALL
SELECT name, kind, shown, from_version, sealed, stated_in, position FROM binding_history
WHERE account_id = ? AND script_id = ? AND to_version > ? AND from_version <= ?
ORDER BY name
"""
_MODULE_NAMES = """
SELECT m.name, m.content_type, m.digest
FROM versions v
JOIN uploads u ON u.account_id = v.account_id AND u.script_id = v.script_id AND u.version = v.upload_version
JOIN modules m ON m.account_id = u.account_id AND m.script_id = u.script_id AND m.version = u.code_version
WHERE v.account_id = ? AND v.script_id = ? AND v.number = ?
ORDER BY m.position
"""
_BOUND_TO_STORES = """
SELECT script, shown FROM bindings WHERE account_id = ? AND kind = 'secrets_store_secret' AND namespace = ''
UNION
SELECT s.name, h.shown FROM binding_history h JOIN scripts s ON s.account_id = h.account_id AND s.id = h.script_id
WHERE h.account_id = ? AND h.kind = 'secrets_store_secret' AND s.namespace = ''
"""


class BundleReads:
    """The part of `Store` that delivery uses."""

    _reader: Reader

    async def audit_head(self, account_id: str) -> AuditHead:
        """See `Store.audit_head`."""
        row = self._reader.one(_AUDIT_HEAD, (account_id,))
        return AuditHead() if row is None else AuditHead(*row)

    async def served(self, ref: ScriptRef, deployment_id: bytes | None = None) -> Served:
        """See `Store.served`."""
        return self._reader.in_transaction(lambda db: _served(db, ref, deployment_id))

    async def full_version(self, ref: ScriptRef, version_id: bytes | None = None) -> ServedVersion | None:
        """See `Store.full_version`."""
        return self._reader.in_transaction(lambda db: _made_of(db, ref, version_id))

    async def bound_to_stores(self, account_id: str) -> list[tuple[str, bytes]]:
        """See `Store.bound_to_stores`."""
        return self._reader.all(_BOUND_TO_STORES, (account_id, account_id))


def _served(db: sqlite3.Cursor, ref: ScriptRef, deployment_id: bytes | None) -> Served:
    """Read the served versions within a transaction."""
    row = db.execute(_AUDIT_HEAD, (ref.account_id,)).fetchone()
    head = AuditHead() if row is None else AuditHead(*row)
    script = db.execute(HEAD, key_of(ref)).fetchone()
    if script is None:
        return Served(head)
    found = _deployment(db, ref.account_id, script[0], deployment_id)
    if found is None:
        return Served(head)
    *_, newest, place = found
    deployment, proofs = deployment_of(found), Proofs(db)
    triggers, *triggers_place = db.execute(_TRIGGERS, key_of(ref)).fetchone()
    statement = db.execute(_DEPLOYMENT_PLACE, (ref.account_id, script[0], newest, place)).fetchone()
    return Served(
        head,
        tuple(_version(db, ref, script[0], *share, proofs) for share in deployment.versions),
        triggers,
        proofs.proof(*triggers_place),
        script[0],
        ServedDeployment(deployment.id, newest, place, proofs.proof(*statement)),
    )


def _deployment(
    db: sqlite3.Cursor, account_id: str, script_id: str, deployment_id: bytes | None
) -> tuple[Any, ...] | None:
    """Read the row of a deployment (default: the newest)."""
    script = (account_id, script_id)
    found = (
        db.execute(DEPLOYMENTS, (*script, *script, 1, 0))
        if deployment_id is None
        else db.execute(ONE_DEPLOYMENT, (*script, deployment_id) * 2)
    )
    row: tuple[Any, ...] | None = found.fetchone()
    return row


def _made_of(db: sqlite3.Cursor, ref: ScriptRef, version_id: bytes | None) -> ServedVersion | None:
    """Read a version within a transaction."""
    script = db.execute(HEAD, key_of(ref)).fetchone()
    if script is None:
        return None
    script_id, newest = script
    query, key = (VERSION, newest) if version_id is None else (VERSION_BY_ID, version_id)
    row = db.execute(query, (ref.account_id, script_id, key)).fetchone()
    return None if row is None else _version(db, ref, script_id, version_of(row).id, 0.0, Proofs(db))


def _version(  # noqa: PLR0913, PLR0917 - what a version is read with
    db: sqlite3.Cursor, ref: ScriptRef, script_id: str, version_id: bytes, percentage: float, proofs: Proofs
) -> ServedVersion:
    """Read one served version."""
    version = version_of(db.execute(VERSION_BY_ID, (ref.account_id, script_id, version_id)).fetchone())
    modules = db.execute(_MODULE_NAMES, (ref.account_id, script_id, version.number)).fetchall()
    bindings = db.execute(_SERVED_BINDINGS, at_version(ref, script_id, version.number)).fetchall()
    place = db.execute(_VERSION_PLACE, (ref.account_id, script_id, version.number)).fetchone()
    return ServedVersion(
        version=version,
        percentage=percentage,
        modules=tuple(ModuleName(*module) for module in modules),
        bindings=tuple(served_binding(proofs, *binding) for binding in bindings),
        proof=proofs.proof(*place),
    )
