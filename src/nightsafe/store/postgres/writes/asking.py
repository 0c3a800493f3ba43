"""The queries of a change, which the rules make one by one and the writer answers before it runs the rules again.

The rules do not wait. So a query whose answer is not known yet ends their run with `NotRead`. The writer reads the
answer, and runs them again from the start; nothing was written meanwhile, because writes are collected and not made.
"""

from collections.abc import Sequence
from typing import Any

from nightsafe.store.rules.script_head import Key

Query = tuple[str, tuple[object, ...]]
"""A statement with its parameters."""


class NotRead(Exception):  # noqa: N818 - it is no error, but a request
    """Something has to be read before the rules can go on.

    Attributes:
        query: the query to answer; or None.
        script: the script to read with the bindings of some names (None: all); or None.
    """

    def __init__(self, query: Query | None = None, script: tuple[Key, frozenset[str] | None] | None = None) -> None:
        super().__init__()
        self.query = query
        self.script = script


class Asking:
    """Answers queries from what was read, and collects the statements of one change.

    Attributes:
        answers: the rows of each query that was read.
        altered: the same for queries whose answer the change has altered.
        statements: the statements that the change makes besides the rows that are written as a group.
    """

    def __init__(self) -> None:
        self.answers: dict[Query, list[Sequence[Any]]] = {}
        self.altered: dict[Query, list[Sequence[Any]]] = {}
        self.statements: list[Query] = []

    def _all(self, sql: str, *parameters: object) -> list[Sequence[Any]]:
        """Return the rows of a query."""
        query = (sql, parameters)
        if query in self.altered:
            return self.altered[query]
        if query not in self.answers:
            raise NotRead(query)
        return self.answers[query]

    def _one(self, sql: str, *parameters: object) -> Sequence[Any] | None:
        """Return the only row of a query, or None."""
        rows = self._all(sql, *parameters)
        return rows[0] if rows else None

    def _do(self, sql: str, *parameters: object) -> None:
        """Collect a statement."""
        self.statements.append((sql, parameters))
