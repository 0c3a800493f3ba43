"""Compares the sealed values of a database with the log: those of bindings, of their history, and of items."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from nightsafe.audit.verification.difference import DifferenceError, well_formed
from nightsafe.audit.verification.log_check import Report
from nightsafe.audit.verification.named_state import NamedState
from nightsafe.errors import NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.proven_record import put_digest
from nightsafe.sealing.record import Record, key_id_of
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.collections import Kind
from nightsafe.store.log.written import value_place
from nightsafe.store.sealed_values import StoredValue

ContextOf = Callable[[StoredValue], Context]
"""Returns the context that the signature on a value covers; raises NightsafeError for fields of a foreign form."""

_BINDINGS: Final = """
SELECT t.account_id, NULL, t.namespace, t.script, '', t.name, t.kind, t.shown, t.sealed, t.key_id,
  s.id, t.since, t.since, t.stated_in, t.position, 0
FROM bindings t JOIN scripts s ON s.account_id = t.account_id AND s.namespace = t.namespace AND s.name = t.script
WHERE (t.sealed IS NOT NULL OR t.key_id IS NOT NULL)
"""
_HISTORY: Final = """
SELECT t.account_id, NULL, s.namespace, s.name, '', t.name, t.kind, t.shown, t.sealed, t.key_id,
  s.id, t.from_version, t.from_version, t.stated_in, t.position, 0
FROM binding_history t JOIN scripts s ON s.account_id = t.account_id AND s.id = t.script_id
WHERE (t.sealed IS NOT NULL OR t.key_id IS NOT NULL)
"""
_ITEMS: Final = """
SELECT t.account_id, h.kind, '', h.name, t.environment, t.name, t.kind, t.shown, t.sealed, t.key_id,
  h.id, t.environment, t.since, t.stated_in, t.position, t.since
FROM items t JOIN collections h ON h.account_id = t.account_id AND h.id = t.collection_id
WHERE (t.sealed IS NOT NULL OR t.key_id IS NOT NULL)
"""


class _Row(NamedTuple):
    """The row of a value, with its script or collection as the owner."""

    account_id: str
    collection: str | None
    namespace: str
    owner: str
    environment: str
    name: str
    kind: str
    shown: bytes
    sealed: bytes | None
    key_id: str | None
    owner_id: str
    part: int | str
    since: int | None
    stated_in: int | None
    position: int | None
    made_on: int

    @property
    def words(self) -> str:
        """The row in words."""
        return f"{self.name!r} of {self.owner!r} in the account {self.account_id}"

    def value(self) -> StoredValue:
        """Return the value of a row that has one."""
        return StoredValue(
            mark="",
            account_id=self.account_id,
            collection=None if self.collection is None else Kind(self.collection),
            namespace=self.namespace,
            owner=self.owner,
            environment=self.environment,
            name=self.name,
            kind=self.kind,
            shown=self.shown,
            sealed=self.sealed or b"",
            record=self.sealed or b"",
            key_id=self.key_id or "",
            place=f"{self.owner_id}/{value_place(self.part, self.name)}",
        )


class ValueCheck:
    """The comparison of sealed values with the log.

    Args:
        state: the state that the log describes.
        keys: verify the records of values that are older than the log.
        context_of: returns the context of a value.
        report: receives the progress.
    """

    def __init__(self, state: NamedState, keys: VerifyKeys, context_of: ContextOf, report: Report) -> None:
        self._state = state
        self._keys = keys
        self._context_of = context_of
        self._report = report

    def check(self, db: sqlite3.Connection) -> int:
        """Compare every sealed value, and return their number.

        Raises:
            DifferenceError: the first difference.
        """
        count = 0
        for sql in (_BINDINGS, _HISTORY, _ITEMS):
            for row in db.execute(sql):
                self._check_value(_Row(*row))
                self._report(1)
                count += 1
        return count

    def _check_value(self, row: _Row) -> None:
        """Compare one value."""
        if row.sealed is None or row.key_id is None:
            raise DifferenceError(f"{row.words} has a value without the id of its key, or the id without a value")
        with well_formed(row.words):
            value = row.value()
        words = _words(value, row.part)
        with well_formed(words):
            context = self._context_of(value)
            digest = put_digest(context.record_digest(value.sealed), row.since or 0)
            sealed_to = _key_id_of(value)
        if sealed_to != value.key_id:
            raise DifferenceError(f"{words} is sealed to another key than its row says")

        def is_older() -> bool:
            """Return True if the value has a signature of its own, as values had before the log."""
            return (
                row.stated_in is None
                and row.made_on <= self._state.older_until
                and _is_signed(value, self._keys, self._context_of)
            )

        stated = (row.stated_in, row.position)
        self._state.match(f"value/{value.place}", digest, words, stated=stated, is_older=is_older)


def unstated_values(db: sqlite3.Connection, keys: VerifyKeys, context_of: ContextOf) -> Iterator[tuple[str, bool]]:
    """Yield each value without a statement, in words, and whether a given key has signed its record itself.

    Args:
        db: the database.
        keys: verify the records.
        context_of: returns the context of a value.

    Raises:
        DifferenceError: when a column has a wrong type.
    """
    for sql in (_BINDINGS, _HISTORY, _ITEMS):
        for row in map(_Row._make, db.execute(f"{sql} AND t.sealed IS NOT NULL AND t.stated_in IS NULL")):
            with well_formed(row.words):
                value = row.value()
                is_signed = _is_signed(value, keys, context_of)
            yield _words(value, row.part), is_signed


def _is_signed(value: StoredValue, keys: VerifyKeys, context_of: ContextOf) -> bool:
    """Return True if a value is a record of the first form with a signature by a given key."""
    try:
        return value.is_older and bool(keys.verify(context_of(value), value.sealed))
    except NightsafeError:
        return False


def _key_id_of(value: StoredValue) -> str:
    """Return the id of the key that a value is sealed to; the value may be a record of the first form."""
    return key_id_of(Record.parse(value.sealed).sealed if value.is_older else value.sealed)


def _words(value: StoredValue, part: Any) -> str:
    """Return a value in words."""
    if value.collection is not None:
        where = f"{value.environment} of " if value.environment else ""
        kind = value.collection.replace("_", " ")
        return f"the value of {value.name!r} in {where}the {kind} {value.owner!r} of the account {value.account_id}"
    script = f"{value.namespace}/{value.owner}" if value.namespace else value.owner
    return (
        f"the value of the binding {value.name!r}, put by version {part} of the script {script!r} of the account"
        f" {value.account_id},"
    )
