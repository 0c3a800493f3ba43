"""The reads of parts of the audit log, in SQL."""

from nightsafe.store.changes import AuditEntry
from nightsafe.store.sqlite.engine.reader import Reader

_BETWEEN = """
SELECT seq, account_id, entry, leaf FROM audit WHERE account_id = ? AND seq BETWEEN ? AND ?
  AND seq > (SELECT archived FROM log_head) ORDER BY seq
"""
_NUMBER_AFTER = "SELECT min(seq) FROM audit WHERE account_id = ? AND seq > max(?, (SELECT archived FROM log_head))"
_NUMBER_BEFORE = """
SELECT max(seq) FROM audit WHERE account_id = ? AND seq < ? AND seq > (SELECT archived FROM log_head)
"""


class AuditReads:
    """The reads of parts of the audit log. Each takes as long as its part."""

    _reader: Reader

    async def audit_between(self, account_id: str, first: int, last: int) -> list[tuple[int, AuditEntry]]:
        """See `Store.audit_between`."""
        rows = self._reader.all(_BETWEEN, (account_id, first, last))
        return [(sequence, AuditEntry(*entry)) for sequence, *entry in rows]

    async def audit_number_after(self, account_id: str, number: int) -> int | None:
        """See `Store.audit_number_after`."""
        return self._number(_NUMBER_AFTER, account_id, number)

    async def audit_number_before(self, account_id: str, number: int) -> int | None:
        """See `Store.audit_number_before`."""
        return self._number(_NUMBER_BEFORE, account_id, number)

    def _number(self, sql: str, account_id: str, number: int) -> int | None:
        """Return the number that a query finds, or None."""
        row = self._reader.one(sql, (account_id, number))
        return None if row is None or row[0] is None else int(row[0])
