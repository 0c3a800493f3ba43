"""The MACs of the rows of identities: the only place that makes them, and the only one that checks them.

A row of `tokens`, `users`, `memberships` or `accounts` counts only with the MAC of all its columns, under a key that
is not in the database. So a row that somebody else has written into the database is no identity.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, get_type_hints

import structlog
from msgspec.structs import astuple

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.encoding import encode
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.identities import Account, Identity, Membership, RefusedRow, Token, User
from nightsafe.store.sqlite.reads.rows import build

_log = structlog.get_logger()

_TAG: Final = b"nightsafe-identity-row/1 "
_MAX_LOGGED: Final = 100
"""How many rows one process names in its log: enough to see that the database was changed."""
_REASON: Final = "its MAC is missing or wrong, so something else than Nightsafe wrote it; run: nightsafe doctor"
_MAX_NAME_LENGTH: Final = 80


class _Table(NamedTuple):
    """A table of identities.

    Attributes:
        name: its name.
        kind: the struct whose fields are its columns, without `mac` and columns computed from others.
        keys: how many of the first columns identify a row.
    """

    name: str
    kind: type[Identity]
    keys: int = 1

    @property
    def columns(self) -> str:
        """The columns that the MAC covers, for a statement."""
        return ", ".join(self.kind.__struct_fields__)

    @property
    def contents(self) -> str:
        """An expression for the types and bytes of all columns."""
        columns = (*self.kind.__struct_fields__, "mac")
        return " || ' ' || ".join(f"typeof({column}) || hex({column})" for column in columns)


_TABLES: Final = (
    _Table("accounts", Account),
    _Table("users", User),
    _Table("memberships", Membership, keys=2),
    _Table("tokens", Token),
)
_TABLE_OF: Final = {table.kind: table for table in _TABLES}


def message_of(identity: Identity) -> bytes:
    """Return the message that an identity's MAC authenticates: its table and every field, with the fields' types.

    Raises:
        TypeError: when a field has a type that no column of an identity has.
    """
    table = _TABLE_OF[type(identity)]
    return encode(_TAG + table.name.encode("ascii"), *map(_encode_field, astuple(identity)))


class IdentityMacs:
    """Makes and checks the MACs of one store's identities.

    Args:
        key: the key; without one, no identity can be written, and none that is stored counts.
    """

    def __init__(self, key: IdentityKey | None) -> None:
        self._key = key
        self._logged: set[str] = set()

    def make(self, identity: Identity) -> bytes:
        """Return the MAC to store with an identity.

        Raises:
            NightsafeError: STORE, without a key.
        """
        if self._key is None:
            raise NightsafeError(Code.STORE, "the store was opened without the identity key, so it takes no identity")
        return self._key.mac(message_of(identity))

    def admits(self, identity: Identity, mac: object) -> bool:
        """Return whether an identity was stored with this MAC. The log names a row that was not, once."""
        if self._key is not None and _is_mac(self._key, identity, mac):
            return True
        table = _TABLE_OF[type(identity)]
        self._report(table.name, _name(table, astuple(identity)))
        return False

    def _report(self, table: str, row: str) -> None:
        """Log a row that does not count, unless it was logged before or too many were."""
        mark = f"{table} {row}"
        if mark in self._logged or len(self._logged) >= _MAX_LOGGED:
            return
        self._logged.add(mark)
        _log.error("identity.row_refused", table=table, row=row, reason=_REASON)


def has_mac_column(db: sqlite3.Connection) -> bool:
    """Return whether the schema of a database has MACs; an older one has not."""
    return any(column[1] == "mac" for column in db.execute("PRAGMA table_info(tokens)"))


def make_all(db: sqlite3.Connection, key: IdentityKey) -> None:
    """Give every row of an identity the MAC of its present content, in the caller's transaction.

    Only for the migration from a schema without MACs. A row with a value of a foreign type gets none.
    """
    for table in _TABLES:
        for row_id, *values in db.execute(f"SELECT rowid, {table.columns} FROM {table.name}").fetchall():  # noqa: S608
            identity = _identity(table, values)
            if identity is not None:
                mac = key.mac(message_of(identity))
                db.execute(f"UPDATE {table.name} SET mac = ? WHERE rowid = ?", (mac, row_id))  # noqa: S608


def refused_rows(db: sqlite3.Connection, key: IdentityKey | None) -> list[RefusedRow]:
    """Return the rows of identities that do not count: those without the MAC that this key makes.

    Args:
        db: a connection to a database whose schema has MACs.
        key: the key; without one, every row is returned.
    """
    db.text_factory = _decode_leniently  # a row with bytes that are no text is listed too
    return list(_refused(db, key))


def drop_refused(db: sqlite3.Cursor, row: RefusedRow) -> bool:
    """Delete a row, unless it has been written again since it was read; return whether it was deleted."""
    [table] = [table for table in _TABLES if table.name == row.table]
    condition = f"rowid = ? AND {table.contents} = ?"
    sql = f"DELETE FROM {table.name} WHERE {condition}"  # noqa: S608 - our own names
    return bool(db.execute(sql, (row.row_id, row.contents)).rowcount)


def _refused(db: sqlite3.Connection, key: IdentityKey | None) -> Iterator[RefusedRow]:
    """Yield the rows that do not count."""
    for table in _TABLES:
        sql = f"SELECT rowid, {table.contents}, {table.columns}, mac FROM {table.name}"  # noqa: S608
        for row_id, contents, *values, mac in db.execute(sql):
            identity = _identity(table, values)
            if key is None or identity is None or not _is_mac(key, identity, mac):
                name = _name(table, values)
                yield RefusedRow(table=table.name, name=name, row_id=row_id, contents=contents, identity=identity)


def _decode_leniently(text: bytes) -> str:
    """Return stored text; it may be an attacker's bytes."""
    return text.decode(errors="replace")


def _is_mac(key: IdentityKey, identity: Identity, mac: object) -> bool:
    """Return whether this is the MAC of an identity, which may have fields of foreign types."""
    try:
        message = message_of(identity)
    except TypeError:
        return False
    return key.is_mac(message, mac)


def _identity(table: _Table, values: Sequence[Any]) -> Identity | None:
    """Build an identity from its columns; return None if one has a foreign type."""
    types = get_type_hints(table.kind).values()
    if not all(isinstance(value, kind) for value, kind in zip(values, types, strict=True)):
        return None
    return build(table.kind, values)


def _name(table: _Table, values: Sequence[object]) -> str:
    """Return the columns that identify a row, safe to print: they may be an attacker's text."""
    name = " ".join(str(value) for value in values[: table.keys])[:_MAX_NAME_LENGTH]
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _encode_field(value: object) -> bytes:
    """Encode a field with its type, so that no two values have the same encoding."""
    match value:
        case None:
            return b"n"
        case int():
            return b"i%d" % value
        case str():
            return b"t" + value.encode()
        case bytes():
            return b"b" + value
    raise TypeError(type(value).__name__)
