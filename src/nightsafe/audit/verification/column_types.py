"""Checks that each column of a database has values of its declared type.

SQLite takes values of any type. The digests of the log do not tell bytes from the text of their Base64.
"""

import sqlite3
from typing import Final

from nightsafe.audit.verification.difference import DifferenceError

_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
_COLUMNS: Final = "SELECT name, lower(type) FROM pragma_table_info(?)"
_KEYS: Final = """
SELECT c.name FROM pragma_index_list(?1) i, pragma_index_info(i.name) c
WHERE i.seq = (SELECT max(seq) FROM pragma_index_list(?1) WHERE origin <> 'c') ORDER BY c.seqno
"""
_SCRIPT: Final = "SELECT namespace, name FROM scripts WHERE account_id = ? AND id = ?"
_MAX_SHOWN: Final = 100


def check_column_types(db: sqlite3.Connection) -> None:
    """Check every column of every table. NULL has no type.

    Raises:
        DifferenceError: the first row with a value of another type.
    """
    for (table,) in db.execute(_TABLES).fetchall():
        columns: list[tuple[str, str]] = db.execute(_COLUMNS, (table,)).fetchall()
        wrong = " OR ".join(f"typeof({name}) NOT IN ('{declared}', 'null')" for name, declared in columns)
        row = db.execute(f"SELECT rowid FROM {table} WHERE {wrong} LIMIT 1").fetchone()  # noqa: S608 - our own names
        if row is None:
            continue
        for name, declared in columns:
            (actual,) = db.execute(f"SELECT typeof({name}) FROM {table} WHERE rowid = ?", row).fetchone()  # noqa: S608 - the same
            if actual not in {declared, "null"}:
                raise DifferenceError(
                    f"{_words(db, table, row[0])} has a value of the type {actual} in the column {name!r}, whose type"
                    f" is {declared}"
                )


def _words(db: sqlite3.Connection, table: str, row: int) -> str:
    """Return a row in words, with the columns that identify it."""
    keys = [name for (name,) in db.execute(_KEYS, (table,))]
    if not keys:
        return f"row {row} of the table {table}"
    values = db.execute(f"SELECT {', '.join(keys)} FROM {table} WHERE rowid = ?", (row,)).fetchone()  # noqa: S608 - the same
    shown = dict(zip(keys, values, strict=True))
    script = db.execute(_SCRIPT, (shown.get("account_id"), shown.get("script_id"))).fetchone()
    if script is not None:
        shown["script"] = "/".join(filter(None, script))
    parts = [
        f"{name} {value.hex() if isinstance(value, bytes) else value!r}"[:_MAX_SHOWN] for name, value in shown.items()
    ]
    return f"the row of the table {table} with {', '.join(parts)}"
