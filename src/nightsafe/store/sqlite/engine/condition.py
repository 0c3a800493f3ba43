"""The condition of a store: the troubles that keep it from writing now, and its counters."""

from typing import Final

import structlog

from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

LOG_HELD: Final = "log_held"
"""The trouble that the log grows because of a long read; writes continue."""

PAGE_BYTES: Final = 4096 + 24
"""The size of a page in the log."""


class Condition:
    """Counts transactions, and logs each trouble once when it begins and once when it ends.

    Attributes:
        failures: how many transactions have failed. If it has changed, earlier findings may no longer hold.
    """

    def __init__(self) -> None:
        self.commits = 0
        self.failures = 0
        self.undone = 0
        self.unknown = 0
        self.writer_failures = 0
        self._troubles: set[str] = set()

    def committed(self) -> None:
        """Count a durable transaction, which shows that every trouble except a long log is over."""
        self.commits += 1
        for kind in self._troubles - {LOG_HELD}:
            self.end_trouble(kind)

    def failed(self, error: NightsafeError) -> None:
        """Count a failed transaction, and note the trouble."""
        self.failures += 1
        self.undone += error.code is Code.NOT_DURABLE
        self.unknown += error.code is Code.OUTCOME_UNKNOWN
        self.begin_trouble(error.code, error.problems[0].detail)

    def begin_trouble(self, kind: str, why: str) -> None:
        """Note that a trouble has begun."""
        if kind not in self._troubles:
            self._troubles.add(kind)
            _log.error("store.trouble", kind=kind, reason=why)

    def end_trouble(self, kind: str) -> None:
        """Note that a trouble is over."""
        if kind in self._troubles:
            self._troubles.discard(kind)
            _log.info("store.well_again", kind=kind)
