"""The reads of served versions and of the latest log entry, in SQL."""

import sqlite3

from nightsafe.store.bundles import AuditHead, ModuleName, Served, ServedVersion
from nightsafe.store.scripts import Binding, Deployment, ScriptRef
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.rows import (
    BINDINGS_AT,
    DEPLOYMENTS,
    HEAD,
    VERSION,
    VERSION_BY_ID,
    at_version,
    deployment_of,
    key_of,
    version_of,
)

_AUDIT_HEAD = "SELECT seq, leaf FROM audit WHERE account_id = ? ORDER BY seq DESC LIMIT 1"
_TRIGGERS = "SELECT triggers FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?"
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

    async def served(self, ref: ScriptRef) -> Served:
        """See `Store.served`."""
        return self._reader.in_transaction(lambda db: _served(db, ref))

    async def full_version(self, ref: ScriptRef, version_id: bytes | None = None) -> ServedVersion | None:
        """See `Store.full_version`."""
        return self._reader.in_transaction(lambda db: _made_of(db, ref, version_id))

    async def bound_to_stores(self, account_id: str) -> list[tuple[str, bytes]]:
        """See `Store.bound_to_stores`."""
        return self._reader.all(_BOUND_TO_STORES, (account_id, account_id))


def _served(db: sqlite3.Cursor, ref: ScriptRef) -> Served:
    """Read the served versions within a transaction."""
    row = db.execute(_AUDIT_HEAD, (ref.account_id,)).fetchone()
    head = AuditHead() if row is None else AuditHead(*row)
    script = db.execute(HEAD, key_of(ref)).fetchone()
    if script is None:
        return Served(head)
    newest = db.execute(DEPLOYMENTS, (ref.account_id, script[0]) * 2 + (1, 0)).fetchone()
    if newest is None:
        return Served(head)
    deployment: Deployment = deployment_of(newest)
    (triggers,) = db.execute(_TRIGGERS, key_of(ref)).fetchone()
    return Served(head, tuple(_version(db, ref, script[0], *share) for share in deployment.versions), triggers)


def _made_of(db: sqlite3.Cursor, ref: ScriptRef, version_id: bytes | None) -> ServedVersion | None:
    """Read a version within a transaction."""
    script = db.execute(HEAD, key_of(ref)).fetchone()
    if script is None:
        return None
    script_id, newest = script
    query, key = (VERSION, newest) if version_id is None else (VERSION_BY_ID, version_id)
    row = db.execute(query, (ref.account_id, script_id, key)).fetchone()
    return None if row is None else _version(db, ref, script_id, version_of(row).id, 0.0)


def _version(
    db: sqlite3.Cursor, ref: ScriptRef, script_id: str, version_id: bytes, percentage: float
) -> ServedVersion:
    """Read one served version."""
    version = version_of(db.execute(VERSION_BY_ID, (ref.account_id, script_id, version_id)).fetchone())
    modules = db.execute(_MODULE_NAMES, (ref.account_id, script_id, version.number)).fetchall()
    bindings = db.execute(BINDINGS_AT, at_version(ref, script_id, version.number)).fetchall()
    return ServedVersion(
        version=version,
        percentage=percentage,
        modules=tuple(ModuleName(*module) for module in modules),
        bindings=tuple(Binding(*binding) for binding in bindings),
    )
