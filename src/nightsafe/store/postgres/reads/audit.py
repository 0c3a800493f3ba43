"""The reads of the audit log and its parts, in SQL."""

from typing import Final

from nightsafe.store.changes import AuditEntry
from nightsafe.store.postgres.engine.reader import Reader

_ENTRIES: Final = """
SELECT seq, account_id, entry, leaf FROM audit WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""
_OF_ALL: Final = """
SELECT a.seq, a.account_id, a.entry, a.leaf FROM (
  SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
    SELECT seq, length(entry) AS size FROM audit
    WHERE seq > greatest($1::bigint, (SELECT archived FROM log_head)) ORDER BY seq LIMIT $2
  ) sizes
) p JOIN audit a ON a.seq = p.seq
WHERE p.before = 0 OR p.before + length(a.entry) <= $3 ORDER BY a.seq
"""
_LAST: Final = "SELECT coalesce(max(seq), 0) FROM audit"
_BETWEEN: Final = """
SELECT seq, account_id, entry, leaf FROM audit WHERE account_id = $1 AND seq BETWEEN $2 AND $3
  AND seq > (SELECT archived FROM log_head) ORDER BY seq
"""
_NUMBER_AFTER: Final = """
SELECT min(seq) FROM audit WHERE account_id = $1 AND seq > greatest($2::bigint, (SELECT archived FROM log_head))
"""
_NUMBER_BEFORE: Final = """
SELECT max(seq) FROM audit WHERE account_id = $1 AND seq < $2 AND seq > (SELECT archived FROM log_head)
"""


class AuditReads:
    """The part of `Store` that reads entries of the audit log. Each read takes as long as its part."""

    _reader: Reader

    async def audit_entries(self, account_id: str, after: int = 0, limit: int = 100) -> list[tuple[int, AuditEntry]]:
        """See `Store.audit_entries`."""
        return await self._entries(_ENTRIES, account_id, after, limit)

    async def audit_entries_of_all_accounts(
        self, after: int = 0, limit: int = 100, max_bytes: int = 1 << 20
    ) -> list[tuple[int, AuditEntry]]:
        """See `Store.audit_entries_of_all_accounts`."""
        return await self._entries(_OF_ALL, after, limit, max_bytes)

    async def last_audit_number(self) -> int:
        """See `Store.last_audit_number`."""
        return int((await self._reader.one(_LAST))[0])

    async def audit_between(self, account_id: str, first: int, last: int) -> list[tuple[int, AuditEntry]]:
        """See `Store.audit_between`."""
        return await self._entries(_BETWEEN, account_id, first, last)

    async def audit_number_after(self, account_id: str, number: int) -> int | None:
        """See `Store.audit_number_after`."""
        return await self._number(_NUMBER_AFTER, account_id, number)

    async def audit_number_before(self, account_id: str, number: int) -> int | None:
        """See `Store.audit_number_before`."""
        return await self._number(_NUMBER_BEFORE, account_id, number)

    async def _entries(self, sql: str, *parameters: object) -> list[tuple[int, AuditEntry]]:
        """Return the entries that a query finds, with their numbers."""
        return [(number, AuditEntry(*entry)) for number, *entry in await self._reader.all(sql, *parameters)]

    async def _number(self, sql: str, account_id: str, number: int) -> int | None:
        """Return the number that a query finds, or None."""
        row = await self._reader.one(sql, account_id, number)
        return None if row is None or row[0] is None else int(row[0])
