"""The reads of served versions and of the latest log entry, in SQL."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from asyncpg import Connection

from nightsafe.store.built_rows import deployment_of, version_of
from nightsafe.store.bundles import (
    AuditHead,
    ModuleName,
    Served,
    ServedDeployment,
    ServedVersion,
)
from nightsafe.store.log.proofs import Proofs, served_binding
from nightsafe.store.postgres.engine.reader import Reader
from nightsafe.store.postgres.reads.rows import (
    HEAD,
    NEWEST_DEPLOYMENT,
    ONE_DEPLOYMENT,
    VERSION,
    VERSION_BY_ID,
    at_version,
)
from nightsafe.store.postgres.reads.stated import read_proofs
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ScriptRef, Version

_AUDIT_HEAD: Final = "SELECT seq, leaf FROM audit WHERE account_id = $1 ORDER BY seq DESC LIMIT 1"
_TRIGGERS: Final = """
SELECT triggers, triggers_stated_in, triggers_position FROM scripts
WHERE account_id = $1 AND namespace = $2 AND name = $3
"""
_VERSION_PLACE: Final = """
SELECT stated_in, position FROM versions WHERE account_id = $1 AND script_id = $2 AND number = $3
"""
_DEPLOYMENT_PLACE: Final = """
SELECT stated_in, position + 1 FROM versions
WHERE account_id = $1 AND script_id = $2 AND number = $3 AND $4::bigint = 0
UNION ALL
SELECT stated_in, position FROM deployments
WHERE account_id = $1 AND script_id = $2 AND newest_version = $3 AND place = $4
"""
_SERVED_BINDINGS: Final = """
SELECT name, kind, shown, since, sealed, stated_in, position FROM bindings
WHERE account_id = $1 AND namespace = $2 AND script = $3 AND since <= $4
UNION ALL
SELECT name, kind, shown, from_version, sealed, stated_in, position FROM binding_history
WHERE account_id = $1 AND script_id = $5 AND to_version > $4 AND from_version <= $4
ORDER BY name
"""
_MODULE_NAMES: Final = """
SELECT m.name, m.content_type, m.digest
FROM versions v
JOIN uploads u ON u.account_id = v.account_id AND u.script_id = v.script_id AND u.version = v.upload_version
JOIN modules m ON m.account_id = u.account_id AND m.script_id = u.script_id AND m.version = u.code_version
WHERE v.account_id = $1 AND v.script_id = $2 AND v.number = $3
ORDER BY m.position
"""
_BOUND_TO_STORES: Final = """
SELECT script, shown FROM bindings WHERE account_id = $1 AND kind = 'secrets_store_secret' AND namespace = ''
UNION
SELECT s.name, h.shown FROM binding_history h JOIN scripts s ON s.account_id = h.account_id AND s.id = h.script_id
WHERE h.account_id = $1 AND h.kind = 'secrets_store_secret' AND s.namespace = ''
"""

_Place = tuple[int | None, int | None]


class BundleReads:
    """The part of `Store` that delivery uses."""

    _reader: Reader

    async def audit_head(self, account_id: str) -> AuditHead:
        """See `Store.audit_head`."""
        return _head(await self._reader.one(_AUDIT_HEAD, account_id))

    async def served(self, ref: ScriptRef, deployment_id: bytes | None = None) -> Served:
        """See `Store.served`."""
        return await self._reader.in_snapshot(lambda db: _served(db, ref, deployment_id))

    async def full_version(self, ref: ScriptRef, version_id: bytes | None = None) -> ServedVersion | None:
        """See `Store.full_version`."""
        return await self._reader.in_snapshot(lambda db: _full_version(db, ref, version_id))

    async def bound_to_stores(self, account_id: str) -> list[tuple[str, bytes]]:
        """See `Store.bound_to_stores`."""
        return [(script, shown) for script, shown in await self._reader.long(_BOUND_TO_STORES, account_id)]


class _VersionRows(NamedTuple):
    """A version with its modules, its bindings with the places of their statements, and the place of its own."""

    version: Version
    modules: tuple[ModuleName, ...]
    bindings: Sequence[Any]
    place: _Place

    def stated_in(self) -> set[int | None]:
        """Return the group commits that state it."""
        return {self.place[0], *(binding["stated_in"] for binding in self.bindings)}

    def served(self, percentage: float, proofs: Proofs) -> ServedVersion:
        """Return the version with its proofs."""
        return ServedVersion(
            version=self.version,
            percentage=percentage,
            modules=self.modules,
            bindings=tuple(served_binding(proofs, *binding) for binding in self.bindings),
            proof=proofs.proof(*self.place),
        )


def _head(row: Any) -> AuditHead:
    """Build the latest entry of an account."""
    return AuditHead() if row is None else AuditHead(*row)


async def _served(db: Connection, ref: ScriptRef, deployment_id: bytes | None) -> Served:
    """Read the served versions within a transaction."""
    head = _head(await db.fetchrow(_AUDIT_HEAD, ref.account_id))
    script = await db.fetchrow(HEAD, *key_of(ref))
    if script is None:
        return Served(head)
    key = (ref.account_id, script[0])
    found = (
        await db.fetchrow(NEWEST_DEPLOYMENT, *key)
        if deployment_id is None
        else await db.fetchrow(ONE_DEPLOYMENT, *key, deployment_id)
    )
    if found is None:
        return Served(head)
    *_, newest, place = found
    deployment = deployment_of(found)
    triggers, *triggers_place = await db.fetchrow(_TRIGGERS, *key_of(ref))
    statement = await db.fetchrow(_DEPLOYMENT_PLACE, *key, newest, place)
    versions = [(await _version(db, ref, script[0], version_id), share) for version_id, share in deployment.versions]
    stated_in = set().union(*(rows.stated_in() for rows, _ in versions))
    proofs = await read_proofs(db, {triggers_place[0], statement[0], *stated_in})
    return Served(
        head,
        tuple(rows.served(share, proofs) for rows, share in versions),
        triggers,
        proofs.proof(*triggers_place),
        script[0],
        ServedDeployment(deployment.id, newest, place, proofs.proof(*statement)),
    )


async def _full_version(db: Connection, ref: ScriptRef, version_id: bytes | None) -> ServedVersion | None:
    """Read a version within a transaction."""
    script = await db.fetchrow(HEAD, *key_of(ref))
    if script is None:
        return None
    script_id, newest = script
    query, key = (VERSION, newest) if version_id is None else (VERSION_BY_ID, version_id)
    row = await db.fetchrow(query, ref.account_id, script_id, key)
    if row is None:
        return None
    rows = await _version(db, ref, script_id, version_of(row).id)
    return rows.served(0.0, await read_proofs(db, rows.stated_in()))


async def _version(db: Connection, ref: ScriptRef, script_id: str, version_id: bytes) -> _VersionRows:
    """Read the rows of one version."""
    version = version_of(await db.fetchrow(VERSION_BY_ID, ref.account_id, script_id, version_id))
    key = (ref.account_id, script_id, version.number)
    modules = await db.fetch(_MODULE_NAMES, *key)
    bindings = await db.fetch(_SERVED_BINDINGS, *at_version(ref, script_id, version.number))
    stated_in, position = await db.fetchrow(_VERSION_PLACE, *key)
    return _VersionRows(version, tuple(ModuleName(*module) for module in modules), bindings, (stated_in, position))
