"""The reads of sealed values by their key, in SQL.

A mark is the letter of a table and a row's primary key in that table, in hex digits that sort like the key. Another
value may stand there later. This does no harm, because a write by mark compares the current record with the record
that was read.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from asyncpg import Connection

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.log.proofs import Proofs, stored_value
from nightsafe.store.postgres.engine.reader import Reader
from nightsafe.store.postgres.reads.stated import read_proofs
from nightsafe.store.sealed_values import StoredValue
from nightsafe.store.turns import turn


class ValueTable(NamedTuple):
    """A table that contains values.

    Attributes:
        table: the table's name.
        keys: the columns of its primary key after the account, and their types.
        columns: the columns for the collection's kind, namespace, owner and environment.
        since: the column with the version that put the value, or with the time when it was put.
        place: the value's place in the log after `value/`, in a row `t`.
        joined: the JOIN that a row `t` needs for these columns.
    """

    table: str
    keys: tuple[tuple[str, type], ...]
    columns: str
    since: str
    place: str
    joined: str = ""

    @property
    def key_names(self) -> str:
        """The columns of the key, in a row `t`."""
        return ", ".join(f"t.{name}" for name, _ in self.keys)

    @property
    def _is_key(self) -> str:
        """The condition that finds a row `t`."""
        return " AND ".join(f"t.{name} = ${number}" for number, (name, _) in enumerate(self.keys, start=2))

    @property
    def value(self) -> str:
        """The query for a value by its key."""
        return f"{self._select} WHERE t.account_id = $1 AND {self._is_key} AND t.key_id IS NOT NULL"

    @property
    def page(self) -> str:
        """The query for the values under a key after a row, with their sizes."""
        after = ", ".join(f"${number}" for number in range(5, 5 + len(self.keys)))
        return f"""
{self._select} JOIN (
  SELECT {", ".join(name for name, _ in self.keys)}, sum(size) OVER (ORDER BY {self._plain}) - size AS before FROM (
    SELECT {self._plain}, length(sealed) AS size FROM {self.table}
    WHERE account_id = $1 AND key_id = $2 AND ({self._plain}) > ({after}) ORDER BY {self._plain} LIMIT $3
  ) sizes
) p ON {" AND ".join(f"p.{name} = t.{name}" for name, _ in self.keys)}
WHERE t.account_id = $1 AND t.key_id = $2 AND p.before < $4 ORDER BY {self.key_names}
"""  # noqa: S608 - our own SQL

    @property
    def number(self) -> str:
        """The query for the number of values under a key."""
        return f"SELECT count(*) FROM {self.table} WHERE account_id = $1 AND key_id = $2"  # noqa: S608 - our own SQL

    @property
    def next_key(self) -> str:
        """The query for the next key in use."""
        return f"SELECT min(key_id) FROM {self.table} WHERE account_id = $1 AND key_id > $2"  # noqa: S608 - our own SQL

    @property
    def stored(self) -> str:
        """The query of `Rows.stored_value`."""
        number = 2 + len(self.keys)
        return f"""
SELECT t.{self.since}, {self.place} FROM {self.table} t
WHERE t.account_id = $1 AND {self._is_key} AND t.sealed = ${number}
"""  # noqa: S608 - our own SQL

    @property
    def reseal(self) -> str:
        """The statement of `Rows.reseal`."""
        columns = ("sealed", "key_id", "stated_in", "position")
        sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, start=2 + len(self.keys)))
        return f"UPDATE {self.table} t SET {sets} WHERE t.account_id = $1 AND {self._is_key}"  # noqa: S608 - our own SQL

    @property
    def _plain(self) -> str:
        """The columns of the key."""
        return ", ".join(name for name, _ in self.keys)

    @property
    def _select(self) -> str:
        """The start of a query for values."""
        return f"""
SELECT {self.key_names}, {self.columns}, t.name, t.kind, t.shown, t.sealed, t.key_id, {self.place},
  t.{self.since}, t.stated_in, t.position FROM {self.table} t {self.joined}
"""  # noqa: S608 - our own SQL


VALUE_TABLES: Final[Mapping[str, ValueTable]] = MappingProxyType(
    {
        "a": ValueTable(
            "bindings",
            (("namespace", str), ("script", str), ("name", str)),
            "NULL, t.namespace, t.script, ''",
            "since",
            """(
  SELECT id FROM scripts s WHERE s.account_id = t.account_id AND s.namespace = t.namespace AND s.name = t.script
) || '/' || t.since || '/' || t.name""",
        ),
        "b": ValueTable(
            "binding_history",
            (("script_id", str), ("to_version", int), ("name", str)),
            "NULL, s.namespace, s.name, ''",
            "from_version",
            "t.script_id || '/' || t.from_version || '/' || t.name",
            "LEFT JOIN scripts s ON s.account_id = t.account_id AND s.id = t.script_id",
        ),
        "c": ValueTable(
            "items",
            (("collection_id", str), ("environment", str), ("name", str)),
            "h.kind, '', h.name, t.environment",
            "since",
            "t.collection_id || '/' || t.environment || '/' || t.name",
            "JOIN collections h ON h.account_id = t.account_id AND h.id = t.collection_id",
        ),
    }
)
"""The tables, by their letters in marks. Live rows come first, because changes move rows to the history."""

_RETIRED: Final = "SELECT id FROM retired_keys ORDER BY id"
_RING_NUMBER: Final = "SELECT number FROM ring"
_NUMBER_SIZE: Final = 8
_OWNER: Final = 2
"""The index of the owner's name after the key; the name is NULL if the owner was deleted."""

ValueKey = tuple[str | int, ...]
"""The primary key of a value after the account."""


class ValueReads:
    """The part of `Store` that reads values by their key."""

    _reader: Reader

    async def keys_in_use(self, account_id: str) -> list[str]:
        """See `Store.keys_in_use`."""
        keys = set()
        for table in VALUE_TABLES.values():
            key_id = ""
            while (key_id := (await self._reader.one(table.next_key, account_id, key_id))[0]) is not None:
                keys.add(key_id)
        return sorted(keys)

    async def count_values(self, account_id: str, key_id: str) -> int:
        """See `Store.count_values`."""
        counts = [await self._reader.long(table.number, account_id, key_id) for table in VALUE_TABLES.values()]
        return sum(rows[0][0] for rows in counts)

    async def values_under(
        self, account_id: str, key_id: str, *, after: str = "", limit: int = 100, max_bytes: int = 1 << 20
    ) -> list[StoredValue]:
        """See `Store.values_under`. A page ends at the end of its table, unless the page would then be empty.

        Rows of deleted scripts that are not yet purged are skipped.
        """
        first, _, key = (next(iter(VALUE_TABLES)), "", None) if not after else parse_mark(after)
        for letter, table in VALUE_TABLES.items():
            if letter < first:
                continue
            last: ValueKey | None = key if letter == first and key is not None else _least(table)
            while last is not None:
                found, last = await self._page(letter, account_id, (key_id, limit, max_bytes), last)
                if found:
                    return found
                await turn()
        return []

    async def value(self, account_id: str, mark: str) -> StoredValue | None:
        """See `Store.value`."""

        async def read(db: Connection) -> StoredValue | None:
            """Read the value within a transaction."""
            letter, owner, key = parse_mark(mark)
            row = await db.fetchrow(VALUE_TABLES[letter].value, account_id, *key) if owner == account_id else None
            if row is None or row[len(key) + _OWNER] is None:
                return None
            return _value(await read_proofs(db, [row["stated_in"]]), letter, account_id, row)

        return await self._reader.in_snapshot(read)

    async def _page(
        self, letter: str, account_id: str, page: tuple[str, int, int], after: ValueKey
    ) -> tuple[list[StoredValue], ValueKey | None]:
        """Read a page of values; return them, and the key of the last row of the page, which is None at the end."""
        size = len(VALUE_TABLES[letter].keys)

        async def read(db: Connection) -> tuple[list[StoredValue], ValueKey | None]:
            """Read the page within a transaction."""
            rows = await db.fetch(VALUE_TABLES[letter].page, account_id, *page, *after)
            proofs = await read_proofs(db, (row["stated_in"] for row in rows))
            values = [_value(proofs, letter, account_id, row) for row in rows if row[size + _OWNER] is not None]
            return values, tuple(rows[-1][:size]) if rows else None

        return await self._reader.in_snapshot(read)

    async def retired_keys(self) -> list[str]:
        """See `Store.retired_keys`."""
        return [key_id for (key_id,) in await self._reader.all(_RETIRED)]

    async def ring_number(self) -> int:
        """See `Store.ring_number`."""
        return int((await self._reader.one(_RING_NUMBER))[0])


def parse_mark(mark: str) -> tuple[str, str, ValueKey]:
    """Split a mark into the letter of its table, the account, and the rest of the key of its row.

    Raises:
        NightsafeError: INVALID, when `mark` is not a mark of this engine.
    """
    try:
        account_id, _, key = bytes.fromhex(mark[1:]).partition(b"\x00")
        return mark[:1], account_id.decode(), _decode(VALUE_TABLES[mark[:1]], key)
    except (KeyError, ValueError):
        raise NightsafeError(Code.INVALID, "the mark is not one that the store has returned") from None


def mark_of(letter: str, account_id: str, key: Sequence[str | int]) -> str:
    """Return the mark of a row."""
    parts = (
        part.to_bytes(_NUMBER_SIZE, "big") if isinstance(part, int) else part.encode() + b"\x00"
        for part in (account_id, *key)
    )
    return letter + b"".join(parts).hex()


def _decode(table: ValueTable, data: bytes) -> ValueKey:
    """Decode a key. Raise ValueError if it is malformed."""
    key: list[str | int] = []
    for _, kind in table.keys:
        if kind is int:
            part, data = data[:_NUMBER_SIZE], data[_NUMBER_SIZE:]
            key.append(int.from_bytes(part, "big"))
        else:
            text, separator, data = data.partition(b"\x00")
            if not separator:
                raise ValueError
            key.append(text.decode())
    if data or any(isinstance(part, int) and part >> 63 for part in key):
        raise ValueError
    return tuple(key)


def _least(table: ValueTable) -> ValueKey:
    """Return a key before every other."""
    return tuple(-1 if kind is int else "" for _, kind in table.keys)


def _value(proofs: Proofs, letter: str, account_id: str, row: Sequence[Any]) -> StoredValue:
    """Build a value from its row."""
    size = len(VALUE_TABLES[letter].keys)
    return stored_value(proofs, mark_of(letter, account_id, row[:size]), account_id, row[size:])
