"""The rows of collections and their items, in SQL."""

import sqlite3
from typing import Final

from nightsafe.store.built_rows import collection_of, item_of
from nightsafe.store.collections import Collection, Item, Kind
from nightsafe.store.sqlite.reads.collections import COUNT_SCRIPTS, ITEMS, collection_query

_ID_EXISTS: Final = "SELECT 1 FROM collections WHERE account_id = ? AND id = ?"
_COUNT_COLLECTIONS: Final = "SELECT count(*) FROM collections WHERE account_id = ? AND kind = ?"
_COUNT_ITEMS: Final = """
SELECT count(*) FROM collections h JOIN items e ON e.account_id = h.account_id AND e.collection_id = h.id
WHERE h.account_id = ? AND h.kind = ?
"""
_PUT_COLLECTION: Final = """
INSERT INTO collections (account_id, kind, name, id, body, created_on, modified_on) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, kind, name) DO UPDATE SET body = excluded.body, modified_on = excluded.modified_on
"""
_PUT_ITEM: Final = """
INSERT INTO items
  (account_id, collection_id, environment, name, id, kind, shown, created_on, modified_on, key_id, sealed,
  since, stated_in, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_STATED: Final = """
SELECT since, stated_in, position FROM items
WHERE account_id = ? AND collection_id = ? AND environment = ? AND name = ?
"""
_DROP_ITEM: Final = "DELETE FROM items WHERE account_id = ? AND collection_id = ? AND environment = ? AND name = ?"
_REMOVE_ITEMS: Final = "DELETE FROM items WHERE account_id = ? AND collection_id = ?"
_REMOVE_COLLECTION: Final = "DELETE FROM collections WHERE account_id = ? AND id = ?"


class CollectionRows:
    """The part of `Rows` for collections."""

    _db: sqlite3.Cursor

    def collection(self, account_id: str, kind: Kind, name: str) -> Collection | None:
        """See `Rows.collection`."""
        row = self._db.execute(*collection_query(account_id, kind, name)).fetchone()
        return None if row is None else collection_of(account_id, kind, row)

    def items(self, account_id: str, collection_id: str) -> list[Item]:
        """See `Rows.items`."""
        return [item_of(row) for row in self._db.execute(ITEMS, (account_id, collection_id))]

    def count_collections(self, account_id: str, kind: Kind) -> int:
        """See `Rows.count_collections`."""
        return self._count(_COUNT_COLLECTIONS, account_id, kind)

    def count_items(self, account_id: str, kind: Kind) -> int:
        """See `Rows.count_items`."""
        return self._count(_COUNT_ITEMS, account_id, kind)

    def count_scripts(self, account_id: str, namespace: str) -> int:
        """See `Rows.count_scripts`."""
        return self._count(COUNT_SCRIPTS, account_id, namespace)

    def has_collection_id(self, account_id: str, collection_id: str) -> bool:
        """See `Rows.has_collection_id`."""
        return self._db.execute(_ID_EXISTS, (account_id, collection_id)).fetchone() is not None

    def item_statement(
        self, account_id: str, collection_id: str, item: Item
    ) -> tuple[int | None, int | None, int | None]:
        """See `Rows.item_statement`."""
        row = self._db.execute(_STATED, (account_id, collection_id, item.environment, item.name)).fetchone()
        return row or (None, None, None)

    def put_collection(self, new: Collection) -> None:
        """See `Rows.put_collection`."""
        values = (new.id, new.body, new.created_on, new.modified_on)
        self._db.execute(_PUT_COLLECTION, (new.account_id, new.kind, new.name, *values))

    def drop_item(self, account_id: str, collection_id: str, item: Item) -> None:
        """See `Rows.drop_item`."""
        self._db.execute(_DROP_ITEM, (account_id, collection_id, item.environment, item.name))

    def put_item(
        self, account_id: str, collection_id: str, item: Item, stated: tuple[int | None, int | None, int | None]
    ) -> None:
        """See `Rows.put_item`."""
        what = (item.environment, item.name, item.id, item.kind, item.shown)
        rest = (item.created_on, item.modified_on, item.key_id, item.sealed)
        self._db.execute(_PUT_ITEM, (account_id, collection_id, *what, *rest, *stated))

    def remove_collection(self, account_id: str, collection_id: str) -> None:
        """See `Rows.remove_collection`."""
        self._db.execute(_REMOVE_ITEMS, (account_id, collection_id))
        self._db.execute(_REMOVE_COLLECTION, (account_id, collection_id))

    def _count(self, sql: str, account_id: str, name: str) -> int:
        """Return a count."""
        return int(self._db.execute(sql, (account_id, name)).fetchone()[0])
