"""The reads of holders, in SQL."""

from typing import Any

from nightsafe.store.holding import Entry, Holder, Kind
from nightsafe.store.sqlite.reader import Reader

_HOLDERS = """
SELECT name, id, body, created_on, modified_on FROM holders WHERE account_id = ? AND kind = ?
"""
_HOLDER = f"{_HOLDERS} AND name = ?"
_HOLDERS_BY_NAME = f"{_HOLDERS} ORDER BY name"
_SCRIPT_AS_HOLDER = """
SELECT s.name, s.id, coalesce(h.body, CAST('{}' AS BLOB)), s.created_on, coalesce(h.modified_on, s.created_on)
FROM scripts s LEFT JOIN holders h ON h.account_id = s.account_id AND h.id = s.id
WHERE s.account_id = ? AND s.namespace = '' AND s.name = ?
"""
ENTRIES = """
SELECT slot, name, id, kind, shown, created_on, modified_on, sealed, key_id FROM entries
WHERE account_id = ? AND holder_id = ? ORDER BY slot, name
"""
COUNT_SCRIPTS = "SELECT count(*) FROM scripts WHERE account_id = ? AND namespace = ?"


class HolderReads:
    """What `Store` promises of the reads of holders."""

    _reader: Reader

    async def holder(self, account_id: str, kind: Kind, name: str) -> Holder | None:
        """See `Store.holder`."""
        row = self._reader.one(*holder_query(account_id, kind, name))
        return None if row is None else holder_of(account_id, kind, row)

    async def holders(self, account_id: str, kind: Kind) -> list[Holder]:
        """See `Store.holders`."""
        if kind is Kind.SCRIPT:
            return []
        return [holder_of(account_id, kind, row) for row in self._reader.all(_HOLDERS_BY_NAME, (account_id, kind))]

    async def entries(self, account_id: str, holder_id: str) -> list[Entry]:
        """See `Store.entries`."""
        return [entry_of(row) for row in self._reader.all(ENTRIES, (account_id, holder_id))]

    async def count_scripts(self, account_id: str, namespace: str) -> int:
        """See `Store.count_scripts`."""
        return int(self._reader.one(COUNT_SCRIPTS, (account_id, namespace))[0])


def holder_query(account_id: str, kind: Kind, name: str) -> tuple[str, tuple[str, ...]]:
    """The SQL that finds one holder, and its parameters."""
    if kind is Kind.SCRIPT:
        return _SCRIPT_AS_HOLDER, (account_id, name)
    return _HOLDER, (account_id, kind, name)


def holder_of(account_id: str, kind: Kind, row: tuple[Any, ...]) -> Holder:
    """A row of `holder_query`, or of all holders of a kind."""
    name, holder_id, body, created_on, modified_on = row
    return Holder(
        account_id=account_id,
        kind=kind,
        name=name,
        id=holder_id,
        body=body,
        created_on=created_on,
        modified_on=modified_on,
    )


def entry_of(row: tuple[Any, ...]) -> Entry:
    """A row of ENTRIES."""
    return Entry(**dict(zip(Entry.__struct_fields__, row, strict=True)))
