"""Applies the changes of a key rotation to values, inside the writer's transaction."""

import sqlite3
from collections.abc import Iterator
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.proven_record import put_digest
from nightsafe.store.changes import Change
from nightsafe.store.log.written import Subject, row_digest
from nightsafe.store.sealed_values import Resealed, Retirement
from nightsafe.store.sqlite.reads.sealed_values import TABLES, WHERE_PUT, parse_mark, table_of
from nightsafe.store.sqlite.writes.audit_log import GroupLog

_RESEAL: Final = {
    table: f"UPDATE {table} SET sealed = ?, key_id = ?, stated_in = ?, position = ? WHERE rowid = ?"  # noqa: S608 - our own SQL
    for table in TABLES
}
_SINCE: Final = {
    table: f"SELECT {columns} FROM {table} t WHERE rowid = ? AND account_id = ? AND sealed = ?"  # noqa: S608 - the same
    for table, columns in WHERE_PUT.items()
}
_USES: Final = tuple(f"SELECT 1 FROM {table} WHERE account_id = ? AND key_id = ? LIMIT 1" for table in TABLES)  # noqa: S608 - the same
_ACCOUNTS = "SELECT id FROM accounts"
_RETIRE = "INSERT INTO retired_keys (id, retired_on) VALUES (?, ?) ON CONFLICT DO NOTHING"
_RING = "UPDATE ring SET number = max(number, ?)"
_IS_RETIRED = "SELECT 1 FROM retired_keys WHERE id = ?"


def refuse_retired(db: sqlite3.Cursor, change: Change) -> None:
    """Refuse values that are sealed to a retired key, which only a client with an old ring does.

    Raises:
        NightsafeError: UNAVAILABLE, when a value is sealed to a retired key.
    """
    for key_id in {*_key_ids_of(change)}:
        if db.execute(_IS_RETIRED, (key_id,)).fetchone() is not None:
            raise NightsafeError(
                Code.UNAVAILABLE,
                f"the value is sealed to the key {key_id}, which no longer accepts new values: send the request"
                " again, or seal the value to the ring's primary key",
            )


def reseal(db: sqlite3.Cursor, log: GroupLog, account_id: str, values: tuple[Resealed, ...]) -> tuple[str, ...]:
    """Replace records that are still as they were read, and return the marks of the replaced ones."""
    return tuple(value.mark for value in values if _reseal(db, log, account_id, value))


def state_values(db: sqlite3.Cursor, log: GroupLog, account_id: str, values: tuple[Resealed, ...]) -> int:
    """State values whose records of the first form are still as they were read; return their number.

    Raises:
        NightsafeError: CANNOT_OPEN, when the log is as old as the safe, so that it has no older records.
    """
    if not log.states_older_rows:
        raise NightsafeError(
            Code.CANNOT_OPEN,
            "every value of this safe is in the log: something else has put older records into the database. If you"
            " know that they are as they should be, run: nightsafe migrate",
        )
    return len(reseal(db, log, account_id, values))


def retire(db: sqlite3.Cursor, log: GroupLog, retirement: Retirement, at: int) -> None:
    """Retire a key, so that it accepts no new values.

    Raises:
        NightsafeError: KEY_IN_USE, when values are sealed to the key and the retirement does not allow it.
    """
    if not retirement.in_use and _is_in_use(db, retirement.key_id):
        raise NightsafeError(Code.KEY_IN_USE, retirement.key_id)
    if db.execute(_RETIRE, (retirement.key_id, at)).rowcount:
        log.written.rows.append((f"retired/{retirement.key_id}", row_digest("Retired", retirement.key_id, at)))


def keep_ring_number(db: sqlite3.Cursor, number: int) -> None:
    """Keep the number of a ring if it is the greatest so far."""
    db.execute(_RING, (number,))


def _key_ids_of(change: Change) -> Iterator[str]:
    """Yield the keys that the change's values are sealed to."""
    if change.edit is not None:
        yield from (binding.key_id for binding in change.edit.set if binding.key_id is not None)
    if change.collection_edit is not None:
        yield from (item.key_id for item in change.collection_edit.put if item.key_id is not None)
    yield from (value.key_id for value in change.reseal)


def _reseal(db: sqlite3.Cursor, log: GroupLog, account_id: str, value: Resealed) -> bool:
    """Replace one record; return False if another record is there now."""
    letter, number = parse_mark(value.mark)
    table = table_of(letter)
    row = db.execute(_SINCE[table], (number, account_id, value.before)).fetchone()
    if row is None:
        return False
    since, owned = row
    place = log.state(Subject.RESEALED, put_digest(value.digest, since), owned)
    db.execute(_RESEAL[table], (value.sealed, value.key_id, *place, number))
    return True


def _is_in_use(db: sqlite3.Cursor, key_id: str) -> bool:
    """Return True if any account has a value that is sealed to the key."""
    accounts = db.execute(_ACCOUNTS).fetchall()
    return any(db.execute(sql, (account, key_id)).fetchone() for (account,) in accounts for sql in _USES)
