"""An sqlite3 connection that fails at a chosen call."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, Self, TypeVar

from nightsafe.errors import Code

Cursor = TypeVar("Cursor", bound=sqlite3.Cursor)
Moment = Literal["before", "after", "from"]
FAILURES = frozenset({Code.STORE, Code.NOT_DURABLE, Code.OUTCOME_UNKNOWN})
"""The codes of a change that the engine did not make; with the last of them the change may be stored all the same."""


class Breaker:
    """Decides which call fails: a single one, before or after its work, or a call and all calls after it."""

    def __init__(self) -> None:
        self._left: int | None = None
        self._moment: Moment = "before"
        self.struck = False

    def arm(self, calls: int, moment: Moment) -> None:
        """Make the call after `calls` more fail."""
        self._left, self._moment, self.struck = calls, moment, False

    def heal(self) -> None:
        """Let every call succeed."""
        self._left = None

    def call(self, work: Callable[[], Cursor]) -> Cursor:
        """Do the work, or fail."""
        if self._left is None or self._left > 0:
            self._left = None if self._left is None else self._left - 1
            return work()
        self.struck = True
        if self._moment != "from":
            self._left = None
        if self._moment == "after":
            work()
        raise sqlite3.OperationalError("disk I/O error")


class BrokenCursor(sqlite3.Cursor):
    """A cursor whose statements ask the breaker."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Execute a statement."""
        return BrokenConnection.breaker.call(lambda: super(BrokenCursor, self).execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        """Execute a statement many times."""
        return BrokenConnection.breaker.call(lambda: super(BrokenCursor, self).executemany(sql, parameters))


class BrokenConnection(sqlite3.Connection):
    """A connection whose statements ask the breaker that all connections share."""

    breaker: ClassVar[Breaker] = Breaker()

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor that asks the breaker."""
        return super().cursor(factory or BrokenCursor)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute a statement in a cursor of its own."""
        return BrokenConnection.breaker.call(lambda: super(BrokenConnection, self).execute(sql, parameters))
