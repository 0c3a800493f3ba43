"""The reads of scripts and the audit log, in SQL."""

from nightsafe.store.built_rows import deployment_of, script_of, version_of
from nightsafe.store.changes import AuditEntry
from nightsafe.store.references import SecretVersion
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ALWAYS, Binding, Deployment, Period, Script, ScriptRef, Version
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.collections import CollectionReads
from nightsafe.store.sqlite.reads.history import HistoryReads
from nightsafe.store.sqlite.reads.rows import ONE_DEPLOYMENT, SCRIPT, SCRIPTS, VERSION, VERSION_BY_ID, VERSIONS
from nightsafe.store.turns import PART, turn

_SHOWN = """
SELECT shown FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND name = ? AND sealed IS NOT NULL
"""
_SECRETS = """
SELECT shown FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND sealed IS NOT NULL ORDER BY name
"""
_BINDINGS = """
SELECT name, kind, shown, sealed, key_id FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? ORDER BY name
"""
_SCRIPT_BY_ID = SCRIPTS + "AND s.id = ?"
_SCRIPTS_AFTER = SCRIPTS + "AND s.name > ? ORDER BY s.name LIMIT ?"
_VERSIONS = VERSIONS + "AND v.number BETWEEN ? AND ? ORDER BY v.number DESC"
_VERSIONS_BETWEEN = VERSIONS + "AND v.id BETWEEN ? AND ? ORDER BY v.number DESC"
_COUNT_DEPLOYMENTS = "SELECT deployment_count FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?"
_VERSIONS_BY_BINDING = """
SELECT b.name, v.id, v.annotations, v.created_on, v.author_email, v.source
FROM scripts s
JOIN bindings b ON b.account_id = s.account_id AND b.namespace = s.namespace AND b.script = s.name
JOIN versions v ON v.account_id = s.account_id AND v.script_id = s.id AND v.number = b.since
WHERE s.account_id = ? AND s.namespace = ? AND s.name = ? AND b.sealed IS NOT NULL
ORDER BY b.name
"""
_AUDIT = """
SELECT seq, account_id, entry, leaf FROM audit WHERE account_id = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_AUDIT_OF_ALL = """
SELECT a.seq, a.account_id, a.entry, a.leaf FROM (
  SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
    SELECT seq, length(entry) AS size FROM audit
    WHERE seq > max(?, (SELECT archived FROM log_head)) ORDER BY seq LIMIT ?
  )
) p JOIN audit a ON a.seq = p.seq
WHERE p.before = 0 OR p.before + length(a.entry) <= ? ORDER BY a.seq
"""
_LAST_AUDIT = "SELECT coalesce(max(seq), 0) FROM audit"


class Reads(HistoryReads, CollectionReads):
    """The reads of `Store` that run on the event loop's thread, because they take only microseconds."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def secret(self, ref: ScriptRef, name: str) -> bytes | None:
        """See `Store.secret`."""
        row = self._reader.one(_SHOWN, (ref.account_id, ref.namespace, ref.name, name))
        return None if row is None else row[0]

    async def secrets(self, ref: ScriptRef) -> list[bytes] | None:
        """See `Store.secrets`."""
        rows = self._reader.all(_SECRETS, key_of(ref))
        if not rows and self._head(ref) is None:
            return None
        return [shown for (shown,) in rows]

    async def bindings(self, ref: ScriptRef, version: int | None = None) -> list[Binding]:
        """See `Store.bindings`."""
        if version is None:
            return [Binding(*row) for row in self._reader.all(_BINDINGS, key_of(ref))]
        return (await self.bindings_of(ref, version, version)).get(version, [])

    async def script(self, ref: ScriptRef) -> Script | None:
        """See `Store.script`."""
        row = self._reader.one(SCRIPT, key_of(ref))
        return None if row is None else script_of(ref.account_id, row)

    async def script_by_id(self, account_id: str, script_id: str) -> Script | None:
        """See `Store.script_by_id`."""
        row = self._reader.one(_SCRIPT_BY_ID, (account_id, "", script_id))
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
        rows = self._reader.all(_SCRIPTS_AFTER, (account_id, namespace, name, limit))
        return [script_of(account_id, row) for row in rows]

    async def version(self, ref: ScriptRef, version_id: bytes | None = None) -> Version | None:
        """See `Store.version`."""
        head = self._head(ref)
        if head is None:
            return None
        script_id, newest = head
        query = (VERSION, newest) if version_id is None else (VERSION_BY_ID, version_id)
        row = self._reader.one(query[0], (ref.account_id, script_id, query[1]))
        return None if row is None else version_of(row)

    async def versions(self, ref: ScriptRef, *, offset: int = 0, limit: int = 100) -> list[Version]:
        """See `Store.versions`."""
        head = self._head(ref)
        if head is None:
            return []
        newest = head[1] - offset  # versions are numbered from 1 without gaps
        rows = self._reader.all(_VERSIONS, (ref.account_id, head[0], newest - limit + 1, newest))
        return [version_of(row) for row in rows]

    async def versions_between(self, ref: ScriptRef, first: bytes, last: bytes) -> list[Version]:
        """See `Store.versions_between`."""
        head = self._head(ref)
        if head is None:
            return []
        return [
            version_of(row) for row in self._reader.all(_VERSIONS_BETWEEN, (ref.account_id, head[0], first, last))
        ]

    async def deployment(self, ref: ScriptRef, deployment_id: bytes) -> Deployment | None:
        """See `Store.deployment`."""
        head = self._head(ref)
        if head is None or not deployment_id:
            return None
        row = self._reader.one(ONE_DEPLOYMENT, (ref.account_id, head[0], deployment_id) * 2)
        return None if row is None else deployment_of(row)

    async def count_deployments(self, ref: ScriptRef, period: Period = ALWAYS) -> int:
        """See `Store.count_deployments`."""
        if period != ALWAYS:
            return await self.count_deployments_in(ref, period)
        row = self._reader.one(_COUNT_DEPLOYMENTS, key_of(ref))
        return 0 if row is None else int(row[0])

    async def secret_versions(self, ref: ScriptRef) -> list[SecretVersion]:
        """See `Store.secret_versions`."""
        rows = self._reader.all(_VERSIONS_BY_BINDING, (ref.account_id, ref.namespace, ref.name))
        return [SecretVersion(*row) for row in rows]

    async def audit_entries(self, account_id: str, after: int = 0, limit: int = 100) -> list[tuple[int, AuditEntry]]:
        """See `Store.audit_entries`."""
        rows = self._reader.all(_AUDIT, (account_id, after, limit))
        return [(sequence, AuditEntry(*entry)) for sequence, *entry in rows]

    async def audit_entries_of_all_accounts(
        self, after: int = 0, limit: int = 100, max_bytes: int = 1 << 20
    ) -> list[tuple[int, AuditEntry]]:
        """See `Store.audit_entries_of_all_accounts`."""
        rows = self._reader.all(_AUDIT_OF_ALL, (after, limit, max_bytes))
        return [(sequence, AuditEntry(*entry)) for sequence, *entry in rows]

    async def last_audit_number(self) -> int:
        """See `Store.last_audit_number`."""
        number: int = self._reader.one(_LAST_AUDIT)[0]
        return number

    def generation(self) -> object:
        """See `Store.generation`."""
        return self._reader.generation()

    async def identity_generation(self) -> object:
        """See `Store.identity_generation`. Every commit counts as one that wrote an identity."""
        return self.generation()

    async def secret_and_identity_generation(self, ref: ScriptRef, name: str) -> tuple[bytes | None, object]:
        """See `Store.secret_and_identity_generation`."""
        return await self.secret(ref, name), self.generation()
