"""The reads of scripts, their secrets and their versions, in SQL."""

from typing import Final

from nightsafe.store.built_rows import deployment_of, script_of, version_of
from nightsafe.store.postgres.engine.reader import LookUps, Reader
from nightsafe.store.postgres.reads.history import HistoryReads
from nightsafe.store.postgres.reads.rows import (
    ONE_DEPLOYMENT,
    SCRIPT,
    SCRIPTS,
    VERSION,
    VERSION_BY_ID,
    VERSIONS,
)
from nightsafe.store.references import SecretVersion
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ALWAYS, Binding, Deployment, Period, Script, ScriptRef, Version
from nightsafe.store.turns import PART, turn

SHOWN: Final = """
SELECT k.n, b.shown, h.size
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS k(n, account_id, namespace, script, name)
CROSS JOIN log_head h
LEFT JOIN bindings b ON b.account_id = k.account_id AND b.namespace = k.namespace AND b.script = k.script
  AND b.name = k.name AND b.sealed IS NOT NULL
"""
"""Looks secrets up, and the size of the log as of the same moment."""

_SECRETS: Final = """
SELECT shown FROM bindings
WHERE account_id = $1 AND namespace = $2 AND script = $3 AND sealed IS NOT NULL ORDER BY name
"""
_BINDINGS: Final = """
SELECT name, kind, shown, sealed, key_id FROM bindings
WHERE account_id = $1 AND namespace = $2 AND script = $3 ORDER BY name
"""
_SCRIPT_BY_ID: Final = SCRIPTS + "AND s.id = $3"
_SCRIPTS_AFTER: Final = SCRIPTS + "AND s.name > $3 ORDER BY s.name LIMIT $4"
_VERSIONS: Final = VERSIONS + "AND v.number BETWEEN $3 AND $4 ORDER BY v.number DESC"
_VERSIONS_BETWEEN: Final = VERSIONS + "AND v.id BETWEEN $3 AND $4 ORDER BY v.number DESC"
_COUNT_DEPLOYMENTS: Final = (
    "SELECT deployment_count FROM scripts WHERE account_id = $1 AND namespace = $2 AND name = $3"
)
_VERSIONS_BY_BINDING: Final = """
SELECT b.name, v.id, v.annotations, v.created_on, v.author_email, v.source
FROM scripts s
JOIN bindings b ON b.account_id = s.account_id AND b.namespace = s.namespace AND b.script = s.name
JOIN versions v ON v.account_id = s.account_id AND v.script_id = s.id AND v.number = b.since
WHERE s.account_id = $1 AND s.namespace = $2 AND s.name = $3 AND b.sealed IS NOT NULL
ORDER BY b.name
"""


class ScriptReads(HistoryReads):
    """The part of `Store` that reads scripts."""

    _reader: Reader
    _secret_look_ups: LookUps

    async def secret(self, ref: ScriptRef, name: str) -> bytes | None:
        """See `Store.secret`."""
        return (await self.secret_and_log_size(ref, name))[0]

    async def secret_and_log_size(self, ref: ScriptRef, name: str) -> tuple[bytes | None, int]:
        """Return what `secret` returns, and the size of the log as of the same moment."""
        row = await self._secret_look_ups.find(ref.account_id, ref.namespace, ref.name, name)
        if row is None:  # a name cannot be stored, and nothing has empty ones
            row = await self._secret_look_ups.find("", "", "", "")
        shown, size = row
        return shown, size

    async def secrets(self, ref: ScriptRef) -> list[bytes] | None:
        """See `Store.secrets`."""
        rows = await self._reader.all(_SECRETS, *key_of(ref))
        if not rows and await self._head(ref) is None:
            return None
        return [shown for (shown,) in rows]

    async def bindings(self, ref: ScriptRef, version: int | None = None) -> list[Binding]:
        """See `Store.bindings`."""
        if version is None:
            return [Binding(*row) for row in await self._reader.all(_BINDINGS, *key_of(ref))]
        return (await self.bindings_of(ref, version, version)).get(version, [])

    async def script(self, ref: ScriptRef) -> Script | None:
        """See `Store.script`."""
        row = await self._reader.one(SCRIPT, *key_of(ref))
        return None if row is None else script_of(ref.account_id, row)

    async def script_by_id(self, account_id: str, script_id: str) -> Script | None:
        """See `Store.script_by_id`."""
        row = await self._reader.one(_SCRIPT_BY_ID, account_id, "", script_id)
        return None if row is None else script_of(account_id, row)

    async def scripts(self, account_id: str, namespace: str = "") -> list[Script]:
        """See `Store.scripts`."""
        scripts: list[Script] = []
        while part := await self.scripts_after(account_id, namespace, scripts[-1].ref.name if scripts else "", PART):
            scripts += part
            if len(part) < PART:
                break
            await turn()
        return scripts

    async def scripts_after(self, account_id: str, namespace: str, name: str, limit: int = PART) -> list[Script]:
        """See `Store.scripts_after`."""
        rows = await self._reader.all(_SCRIPTS_AFTER, account_id, namespace, name, limit)
        return [script_of(account_id, row) for row in rows]

    async def version(self, ref: ScriptRef, version_id: bytes | None = None) -> Version | None:
        """See `Store.version`."""
        head = await self._head(ref)
        if head is None:
            return None
        script_id, newest = head
        query, key = (VERSION, newest) if version_id is None else (VERSION_BY_ID, version_id)
        row = await self._reader.one(query, ref.account_id, script_id, key)
        return None if row is None else version_of(row)

    async def versions(self, ref: ScriptRef, *, offset: int = 0, limit: int = 100) -> list[Version]:
        """See `Store.versions`."""
        head = await self._head(ref)
        if head is None:
            return []
        newest = head[1] - offset  # versions are numbered from 1 without gaps
        rows = await self._reader.all(_VERSIONS, ref.account_id, head[0], newest - limit + 1, newest)
        return [version_of(row) for row in rows]

    async def versions_between(self, ref: ScriptRef, first: bytes, last: bytes) -> list[Version]:
        """See `Store.versions_between`."""
        head = await self._head(ref)
        if head is None:
            return []
        rows = await self._reader.all(_VERSIONS_BETWEEN, ref.account_id, head[0], first, last)
        return [version_of(row) for row in rows]

    async def deployment(self, ref: ScriptRef, deployment_id: bytes) -> Deployment | None:
        """See `Store.deployment`."""
        head = await self._head(ref)
        if head is None or not deployment_id:
            return None
        row = await self._reader.one(ONE_DEPLOYMENT, ref.account_id, head[0], deployment_id)
        return None if row is None else deployment_of(row)

    async def count_deployments(self, ref: ScriptRef, period: Period = ALWAYS) -> int:
        """See `Store.count_deployments`."""
        if period != ALWAYS:
            return await self.count_deployments_in(ref, period)
        row = await self._reader.one(_COUNT_DEPLOYMENTS, *key_of(ref))
        return 0 if row is None else int(row[0])

    async def secret_versions(self, ref: ScriptRef) -> list[SecretVersion]:
        """See `Store.secret_versions`."""
        rows = await self._reader.all(_VERSIONS_BY_BINDING, *key_of(ref))
        return [SecretVersion(*row) for row in rows]
