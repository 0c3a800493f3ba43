"""Carrying out an edit of a holder in SQL, inside a transaction that the writer holds."""

import sqlite3

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.holder_plan import Counts, HolderPlan, plan_hold, refuse_senseless
from nightsafe.store.holding import Entry, Holder, HolderEdit, Kind
from nightsafe.store.sqlite.holder_reads import COUNT_SCRIPTS, ENTRIES, entry_of, holder_of, holder_query

_ID_EXISTS = "SELECT 1 FROM holders WHERE account_id = ? AND id = ?"
_COUNT_HOLDERS = "SELECT count(*) FROM holders WHERE account_id = ? AND kind = ?"
_COUNT_ENTRIES = """
SELECT count(*) FROM holders h JOIN entries e ON e.account_id = h.account_id AND e.holder_id = h.id
WHERE h.account_id = ? AND h.kind = ?
"""
_PUT_HOLDER = """
INSERT INTO holders (account_id, kind, name, id, body, created_on, modified_on) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, kind, name) DO UPDATE SET body = excluded.body, modified_on = excluded.modified_on
"""
_PUT_ENTRY = """
INSERT INTO entries (account_id, holder_id, slot, name, id, kind, shown, created_on, modified_on, key_id, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DROP_ENTRY = "DELETE FROM entries WHERE account_id = ? AND holder_id = ? AND slot = ? AND name = ?"
_REMOVE_ENTRIES = "DELETE FROM entries WHERE account_id = ? AND holder_id = ?"
_REMOVE_HOLDER = "DELETE FROM holders WHERE account_id = ? AND id = ?"


def hold(db: sqlite3.Cursor, edit: HolderEdit, at: int) -> tuple[Holder | None, tuple[Entry, ...], bool]:
    """Carry out an edit of a holder.

    Args:
        db: in a transaction, with a savepoint of this change's own.
        edit: what is asked for.
        at: when, in microseconds.

    Returns:
        The holder after it, None when it was removed; its entries, by slot and name; whether anything was altered.

    Raises:
        NightsafeError: as `Store.commit` promises; nothing was written.
        sqlite3.Error: the caller rolls back.
    """
    refuse_senseless(edit)
    holder = _find(db, edit.account_id, edit.kind, edit.name)
    if edit.remove:
        _remove(db, edit, holder)
        return None, (), True
    held = [] if holder is None else _entries(db, holder)
    plan = plan_hold(edit, holder, held, _counts(db, edit), at)
    if plan.altered:
        _refuse_id(db, edit)
        _write(db, plan)
    return plan.holder, plan.entries, plan.altered


def exists(db: sqlite3.Cursor, account_id: str, kind: Kind, name: str) -> bool:
    """Whether a holder is there."""
    return _find(db, account_id, kind, name) is not None


def forget_script(db: sqlite3.Cursor, account_id: str, script_id: str) -> None:
    """Remove what a script that is being deleted holds."""
    _erase(db, account_id, script_id)


def _find(db: sqlite3.Cursor, account_id: str, kind: Kind, name: str) -> Holder | None:
    """The holder as it is."""
    row = db.execute(*holder_query(account_id, kind, name)).fetchone()
    return None if row is None else holder_of(account_id, kind, row)


def _entries(db: sqlite3.Cursor, holder: Holder) -> list[Entry]:
    """All its entries."""
    return [entry_of(row) for row in db.execute(ENTRIES, (holder.account_id, holder.id))]


def _counts(db: sqlite3.Cursor, edit: HolderEdit) -> Counts:
    """What there is of the edit's kind, counted only where there is a limit."""
    of = (edit.account_id, edit.kind)
    holders = db.execute(_COUNT_HOLDERS, of).fetchone()[0] if edit.max_holders and edit.create is not None else 0
    entries = db.execute(_COUNT_ENTRIES, of).fetchone()[0] if edit.max_entries and edit.put else 0
    return Counts(holders, entries)


def _refuse_id(db: sqlite3.Cursor, edit: HolderEdit) -> None:
    """Refuse to make a holder whose id another one of the account has: they would share their entries."""
    if edit.create is not None and db.execute(_ID_EXISTS, (edit.account_id, edit.create.id)).fetchone() is not None:
        raise NightsafeError(Code.HOLDER_TAKEN, edit.name)


def _write(db: sqlite3.Cursor, plan: HolderPlan) -> None:
    """Write the rows of a plan. What goes does so first, so that an id can pass from one entry to another."""
    new = plan.holder
    values = (new.id, new.body, new.created_on, new.modified_on)
    db.execute(_PUT_HOLDER, (new.account_id, new.kind, new.name, *values))
    for entry in plan.retire:
        db.execute(_DROP_ENTRY, (new.account_id, new.id, entry.slot, entry.name))
    for entry in plan.put:
        what = (entry.slot, entry.name, entry.id, entry.kind, entry.shown)
        rest = (entry.created_on, entry.modified_on, entry.key_id, entry.sealed)
        db.execute(_PUT_ENTRY, (new.account_id, new.id, *what, *rest))


def _remove(db: sqlite3.Cursor, edit: HolderEdit, holder: Holder | None) -> None:
    """Delete a holder with its entries; a dispatch namespace goes only when no script is in it."""
    if holder is None:
        raise NightsafeError(Code.HOLDER_NOT_FOUND, edit.name)
    if edit.kind is Kind.DISPATCH_NAMESPACE:
        count = db.execute(COUNT_SCRIPTS, (edit.account_id, edit.name)).fetchone()[0]
        if count:
            raise NightsafeError(Code.NAMESPACE_NOT_EMPTY, str(count))
    count = len(_entries(db, holder)) if edit.only_empty else 0
    if count:
        raise NightsafeError(Code.HOLDER_NOT_EMPTY, str(count))
    _erase(db, edit.account_id, holder.id)


def _erase(db: sqlite3.Cursor, account_id: str, holder_id: str) -> None:
    """Delete every row of a holder."""
    db.execute(_REMOVE_ENTRIES, (account_id, holder_id))
    db.execute(_REMOVE_HOLDER, (account_id, holder_id))
