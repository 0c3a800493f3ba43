"""The bindings of one version after the other, from the rows of the newest version and of the history."""

import sqlite3
from typing import Final

from nightsafe.audit.verification.difference import DifferenceError, well_formed
from nightsafe.bundle.statements import ScriptIdentity, binding_digest

NEVER: Final = 1 << 62
"""The version that ends a binding of the newest version."""

_BINDINGS: Final = f"""
SELECT since, {NEVER} AS until, name, kind, shown, digest FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ?
UNION ALL
SELECT from_version, to_version, name, kind, shown, digest FROM binding_history
WHERE account_id = ? AND script_id = ? ORDER BY 1
"""  # noqa: S608 - our own number


class BindingTimeline:
    """The bindings of a script's versions, for versions in ascending order.

    Args:
        db: the database.
        script: the script.
        words: the script in words.
        is_older: whether the safe is older than its log, so that a row may have no digest.
    """

    def __init__(self, db: sqlite3.Connection, script: ScriptIdentity, words: str, *, is_older: bool) -> None:
        place = (script.account_id, script.namespace, script.name)
        self._rows = db.execute(_BINDINGS, (*place, script.account_id, script.id))
        self._next = self._rows.fetchone()
        self._words = words
        self._is_older = is_older
        self._current: dict[tuple[str, int], tuple[int, bytes]] = {}
        """The version that ends each current binding, and its digest, by its name and the version that put it."""

        self._first_end = NEVER

    def at(self, number: int) -> list[bytes]:
        """Return the digest of each binding of a version, computed from its row.

        Raises:
            DifferenceError: when a stored digest is wrong.
        """
        while self._next is not None and self._next[0] <= number:
            self._begin(*self._next)
            self._next = self._rows.fetchone()
        if self._first_end <= number:
            self._current = {key: end for key, end in self._current.items() if end[0] > number}
            self._first_end = min((until for until, _ in self._current.values()), default=NEVER)
        return [digest for _, digest in self._current.values()]

    def _begin(  # noqa: PLR0913, PLR0917 - the columns of a row
        self, since: int, until: int, name: str, kind: str, shown: bytes, stored: bytes | None
    ) -> None:
        """Add a binding."""
        with well_formed(f"the binding {name!r} of version {since} of {self._words}"):
            digest = binding_digest(name, kind, shown, since)
        if stored != digest and not (stored is None and self._is_older):
            raise DifferenceError(
                f"the binding {name!r} of version {since} of {self._words} was changed (its type, or what reads show)"
            )
        self._current[name, since] = (until, digest)
        self._first_end = min(self._first_end, until)
