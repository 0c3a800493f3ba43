"""The reads of collections, in SQL."""

from typing import Final

from asyncpg import Connection

from nightsafe.store.built_rows import ITEM_COLUMNS, collection_of, item_of
from nightsafe.store.collections import Collection, Item, Kind
from nightsafe.store.postgres.engine.reader import Reader
from nightsafe.store.postgres.reads.stated import read_proofs

_COLLECTIONS: Final = """
SELECT name, id, body, created_on, modified_on FROM collections WHERE account_id = $1 AND kind = $2
"""
_COLLECTION: Final = f"{_COLLECTIONS} AND name = $3"
_COLLECTIONS_BY_NAME: Final = f"{_COLLECTIONS} ORDER BY name"
_SCRIPT_AS_COLLECTION: Final = """
SELECT s.name, s.id, coalesce(h.body, '{}'::bytea), s.created_on, coalesce(h.modified_on, s.created_on)
FROM scripts s LEFT JOIN collections h ON h.account_id = s.account_id AND h.id = s.id
WHERE s.account_id = $1 AND s.namespace = '' AND s.name = $2
"""
ITEMS: Final = f"""
SELECT {", ".join(ITEM_COLUMNS)} FROM items WHERE account_id = $1 AND collection_id = $2 ORDER BY environment, name
"""  # noqa: S608 - our own SQL
_RECORDS: Final = """
SELECT environment, name, sealed, since, stated_in, position FROM items
WHERE account_id = $1 AND collection_id = $2 AND sealed IS NOT NULL
"""
COUNT_SCRIPTS: Final = "SELECT count(*) FROM scripts WHERE account_id = $1 AND namespace = $2"


class CollectionReads:
    """The part of `Store` that reads collections."""

    _reader: Reader

    async def collection(self, account_id: str, kind: Kind, name: str) -> Collection | None:
        """See `Store.collection`."""
        sql, parameters = collection_query(account_id, kind, name)
        row = await self._reader.one(sql, *parameters)
        return None if row is None else collection_of(account_id, kind, row)

    async def collections(self, account_id: str, kind: Kind) -> list[Collection]:
        """See `Store.collections`."""
        if kind is Kind.SCRIPT:
            return []
        rows = await self._reader.all(_COLLECTIONS_BY_NAME, account_id, kind)
        return [collection_of(account_id, kind, row) for row in rows]

    async def items(self, account_id: str, collection_id: str) -> list[Item]:
        """See `Store.items`."""
        return [item_of(row) for row in await self._reader.all(ITEMS, account_id, collection_id)]

    async def item_records(self, account_id: str, collection_id: str) -> dict[tuple[str, str], bytes]:
        """See `Store.item_records`."""

        async def read(db: Connection) -> dict[tuple[str, str], bytes]:
            """Read the records within a transaction."""
            rows = await db.fetch(_RECORDS, account_id, collection_id)
            proofs = await read_proofs(db, (row["stated_in"] for row in rows))
            return {(environment, name): proofs.record(*stated) for environment, name, *stated in rows}

        return await self._reader.in_snapshot(read)

    async def count_scripts(self, account_id: str, namespace: str) -> int:
        """See `Store.count_scripts`."""
        return int((await self._reader.one(COUNT_SCRIPTS, account_id, namespace))[0])


def collection_query(account_id: str, kind: Kind, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the SQL that finds one collection, and its parameters."""
    if kind is Kind.SCRIPT:
        return _SCRIPT_AS_COLLECTION, (account_id, name)
    return _COLLECTION, (account_id, kind, name)
