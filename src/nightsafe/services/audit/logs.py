"""Reads the audit log of an account, or of a user: by position, by time, and by any condition on its entries.

The order is the order in which the entries were written. It is nearly the order of their times: entries of several
processes, or of one process whose clock was set back, may differ.
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from nightsafe.audit.entry import AuditEvent
from nightsafe.store.changes import AuditEntry
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Period
from nightsafe.store.turns import turn

_log = structlog.get_logger()

USERS: Final = ""
"""Stands for an account in the log's entries about users, which belong to no account."""

_BLOCK_BITS: Final = 8
_MAX_KNOWN_BLOCKS: Final = 1 << 16
_ID_DIGITS: Final = 16
_MAX_CHANGED: Final = 100
"""How many changed entries one process names in its log."""


class LogEntry(Struct, frozen=True):
    """One entry of the log: its sequence number, its ID and its content."""

    number: int
    id: str
    event: AuditEvent


class Span(Struct, frozen=True):
    """A part of the log, by sequence numbers inclusive, and the direction to read it in."""

    first: int
    last: int
    newest_first: bool = False


class _Time(Struct, frozen=True):
    """The time of an entry."""

    at: int


_TIME: Final = msgspec.json.Decoder(_Time)
_EVENT: Final = msgspec.json.Decoder(AuditEvent)

Condition = Callable[[LogEntry], bool]


def number_of_id(entry_id: str) -> int | None:
    """Return the sequence number in an entry's ID, or None for a text that cannot be an ID."""
    if len(entry_id) != 2 * _ID_DIGITS or not entry_id.isascii():
        return None
    try:
        number = int(entry_id[:_ID_DIGITS], 16)
    except ValueError:
        return None
    return number if number < 1 << 63 else None


class AuditLogs:
    """The use cases of readers of the audit log. An entry that is not what its leaf hash says is left out.

    The log is read in blocks of sequence numbers, and other tasks run after each block. The times of each block that
    was read whole are kept, because entries never change. So a period far back in a long log is found without reading
    the entries in between again, wherever the clocks of its writers stood.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._times: Final[dict[tuple[str, int], tuple[int, int]]] = {}
        self._changed: Final = set[int]()

    async def newest(self, account_id: str) -> int:
        """Return the sequence number of the newest entry, or 0."""
        return (await self._store.audit_head(account_id)).number

    async def find(  # noqa: PLR0913 - a question has many parts
        self, account_id: str, span: Span, period: Period, condition: Condition, limit: int, *, skip: int = 0
    ) -> list[LogEntry]:
        """Return entries, at most `limit` after the first `skip`.

        Args:
            account_id: the account, or `USERS`.
            span: the part of the log, and the direction.
            period: the times of the entries.
            condition: returns whether to include an entry.
            limit: the most entries to return.
            skip: the number of entries to leave out first.
        """
        found: list[LogEntry] = []
        # Numbers beyond the newest entry are still to come: without this limit, a block that fills up later would
        # count as read whole.
        span = Span(span.first, min(span.last, await self.newest(account_id)), span.newest_first)
        async for entry in self._entries(account_id, span, period):
            if not condition(entry):
                continue
            if skip:
                skip -= 1
                continue
            found.append(entry)
            if len(found) == limit:
                break
        return found

    async def _entries(self, account_id: str, span: Span, period: Period) -> AsyncIterator[LogEntry]:
        """Yield the entries of a part of the log in a period."""
        at: int | None = span.last if span.newest_first else span.first
        while at is not None and span.first <= at <= span.last:
            low = at >> _BLOCK_BITS << _BLOCK_BITS
            high = low + (1 << _BLOCK_BITS) - 1
            at = low - 1 if span.newest_first else high + 1
            times = self._times.get((account_id, low))
            if times is not None and (times[1] < period.since or times[0] > period.until):
                continue
            part = Span(max(low, span.first), min(high, span.last))
            rows = await self._store.audit_between(account_id, part.first, part.last)
            intact = [row for row in rows if self._is_intact(*row)]
            times_of_rows = [_TIME.decode(entry.entry).at for _, entry in intact]
            if intact and part == Span(low, high):
                self._remember(account_id, low, times_of_rows)
            elif not rows:
                at = await self._next(account_id, part, newest_first=span.newest_first)
            pairs = zip(intact, times_of_rows, strict=True)
            wanted = [row for row, time in pairs if period.since <= time <= period.until]
            for number, entry in reversed(wanted) if span.newest_first else wanted:
                yield _log_entry(number, entry)
            await turn()

    def _is_intact(self, number: int, entry: AuditEntry) -> bool:
        """Return whether an entry is what its leaf hash says. The server's log names one that is not, once."""
        if entry.is_intact:
            return True
        if number not in self._changed and len(self._changed) < _MAX_CHANGED:
            self._changed.add(number)
            _log.error("audit_log.entry_changed", entry=number - 1, reason="run: nightsafe audit verify")
        return False

    async def _next(self, account_id: str, empty: Span, *, newest_first: bool) -> int | None:
        """Return the number of the next entry beyond a part without entries."""
        if newest_first:
            return await self._store.audit_number_before(account_id, empty.first)
        return await self._store.audit_number_after(account_id, empty.last)

    def _remember(self, account_id: str, low: int, times: list[int]) -> None:
        """Keep the first and last time of a block that gets no more entries, because it has a later one."""
        if len(self._times) >= _MAX_KNOWN_BLOCKS:
            self._times.clear()
        self._times[account_id, low] = (min(times), max(times))


def _log_entry(number: int, entry: AuditEntry) -> LogEntry:
    """Return an entry with its ID: its number and the beginning of its hash."""
    return LogEntry(number, f"{number:016x}{entry.leaf.hex()[:_ID_DIGITS]}", _EVENT.decode(entry.entry))
