"""The refused rows of a snapshot, as the writer of the PostgreSQL engine recognises them."""

import sqlite3
from collections.abc import Iterable

from msgspec.structs import replace

from nightsafe.store.identities import RefusedRow
from nightsafe.store.identity_macs import IDENTITY_TABLES


def recognisable_rows(db: sqlite3.Connection, rows: Iterable[RefusedRow]) -> list[RefusedRow]:
    """Return refused rows with their contents as PostgreSQL shows them.

    Args:
        db: the snapshot that the rows are from.
        rows: the rows.
    """
    columns = {table.name: ", ".join((*table.kind.__struct_fields__, "mac")) for table in IDENTITY_TABLES}
    return [replace(row, contents=_contents(db, row, columns[row.table])) for row in rows]


def _contents(db: sqlite3.Connection, row: RefusedRow, columns: str) -> str:
    """Return all columns of a row in one text; `Rows.drop_refused` has the same expression in SQL."""
    sql = f"SELECT {columns} FROM {row.table} WHERE rowid = ?"  # noqa: S608 - our own names
    return " ".join(map(_text, db.execute(sql, (row.row_id,)).fetchone()))


def _text(value: bytes | str | int | None) -> str:
    """Return a value as PostgreSQL casts it to a text."""
    if value is None:
        return "NULL"
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
