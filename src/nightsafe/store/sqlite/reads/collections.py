"""The reads of collections, in SQL."""

import sqlite3

from nightsafe.store.built_rows import ITEM_COLUMNS, collection_of, item_of
from nightsafe.store.collections import Collection, Item, Kind
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.stated import Proofs

_COLLECTIONS = """
SELECT name, id, body, created_on, modified_on FROM collections WHERE account_id = ? AND kind = ?
"""
_COLLECTION = f"{_COLLECTIONS} AND name = ?"
_COLLECTIONS_BY_NAME = f"{_COLLECTIONS} ORDER BY name"
_SCRIPT_AS_COLLECTION = """
SELECT s.name, s.id, coalesce(h.body, CAST('{}' AS BLOB)), s.created_on, coalesce(h.modified_on, s.created_on)
FROM scripts s LEFT JOIN collections h ON h.account_id = s.account_id AND h.id = s.id
WHERE s.account_id = ? AND s.namespace = '' AND s.name = ?
"""
ITEMS = f"""
SELECT {", ".join(ITEM_COLUMNS)} FROM items WHERE account_id = ? AND collection_id = ? ORDER BY environment, name
"""  # noqa: S608 - our own SQL
_RECORDS = """
SELECT environment, name, sealed, since, stated_in, position FROM items
WHERE account_id = ? AND collection_id = ? AND sealed IS NOT NULL
"""
COUNT_SCRIPTS = "SELECT count(*) FROM scripts WHERE account_id = ? AND namespace = ?"


class CollectionReads:
    """The part of `Store` that reads collections."""

    _reader: Reader

    async def collection(self, account_id: str, kind: Kind, name: str) -> Collection | None:
        """See `Store.collection`."""
        row = self._reader.one(*collection_query(account_id, kind, name))
        return None if row is None else collection_of(account_id, kind, row)

    async def collections(self, account_id: str, kind: Kind) -> list[Collection]:
        """See `Store.collections`."""
        if kind is Kind.SCRIPT:
            return []
        return [
            collection_of(account_id, kind, row) for row in self._reader.all(_COLLECTIONS_BY_NAME, (account_id, kind))
        ]

    async def items(self, account_id: str, collection_id: str) -> list[Item]:
        """See `Store.items`."""
        return [item_of(row) for row in self._reader.all(ITEMS, (account_id, collection_id))]

    async def item_records(self, account_id: str, collection_id: str) -> dict[tuple[str, str], bytes]:
        """See `Store.item_records`."""

        def read(db: sqlite3.Cursor) -> dict[tuple[str, str], bytes]:
            """Read the records within a transaction."""
            rows, proofs = db.execute(_RECORDS, (account_id, collection_id)).fetchall(), Proofs(db)
            return {(environment, name): proofs.record(*stated) for environment, name, *stated in rows}

        return self._reader.in_transaction(read)

    async def count_scripts(self, account_id: str, namespace: str) -> int:
        """See `Store.count_scripts`."""
        return int(self._reader.one(COUNT_SCRIPTS, (account_id, namespace))[0])


def collection_query(account_id: str, kind: Kind, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the SQL that finds one collection, and its parameters."""
    if kind is Kind.SCRIPT:
        return _SCRIPT_AS_COLLECTION, (account_id, name)
    return _COLLECTION, (account_id, kind, name)
