"""The MACs of all identities in a database: finds rows without the right one, and deletes them."""

import sqlite3
from collections.abc import Iterator

from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.identities import RefusedRow
from nightsafe.store.identity_macs import IDENTITY_TABLES, IdentityTable, identity_of, is_mac_of, message_of, name_of


def has_mac_column(db: sqlite3.Connection) -> bool:
    """Return whether the schema of a database has MACs; an older one has not."""
    return any(column[1] == "mac" for column in db.execute("PRAGMA table_info(tokens)"))


def make_all(db: sqlite3.Connection, key: IdentityKey) -> None:
    """Give every row of an identity the MAC of its present content, in the caller's transaction.

    Only for the migration from a schema without MACs. A row with a value of a foreign type gets none.
    """
    for table in IDENTITY_TABLES:
        for row_id, *values in db.execute(f"SELECT rowid, {table.columns} FROM {table.name}").fetchall():  # noqa: S608
            identity = identity_of(table, values)
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
    [table] = [table for table in IDENTITY_TABLES if table.name == row.table]
    condition = f"rowid = ? AND {_contents(table)} = ?"
    sql = f"DELETE FROM {table.name} WHERE {condition}"  # noqa: S608 - our own names
    return bool(db.execute(sql, (row.row_id, row.contents)).rowcount)


def _refused(db: sqlite3.Connection, key: IdentityKey | None) -> Iterator[RefusedRow]:
    """Yield the rows that do not count."""
    for table in IDENTITY_TABLES:
        sql = f"SELECT rowid, {_contents(table)}, {table.columns}, mac FROM {table.name}"  # noqa: S608
        for row_id, contents, *values, mac in db.execute(sql):
            identity = identity_of(table, values)
            if key is None or identity is None or not is_mac_of(key, identity, mac):
                name = name_of(table, values)
                yield RefusedRow(table=table.name, name=name, row_id=row_id, contents=contents, identity=identity)


def _decode_leniently(text: bytes) -> str:
    """Return stored text; it may be an attacker's bytes."""
    return text.decode(errors="replace")


def _contents(table: IdentityTable) -> str:
    """Return an expression for the types and bytes of all columns."""
    columns = (*table.kind.__struct_fields__, "mac")
    return " || ' ' || ".join(f"typeof({column}) || hex({column})" for column in columns)
