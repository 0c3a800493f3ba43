"""How a store is: what keeps it from writing at this moment, and figures to look at."""

from typing import Final

import structlog

from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

LOG_HELD: Final = "log_held"
"""The trouble that the log grows because somebody reads for long; writes go on meanwhile."""

PAGE_BYTES: Final = 4096 + 24
"""What a page takes in the log."""


class Condition:
    """Counts, and says in the log once when a trouble begins and once when it is over.

    Attributes:
        failures: how many transactions have failed. It tells whether what was found out before still holds.
    """

    def __init__(self) -> None:
        self.commits = 0
        self.failures = 0
        self.undone = 0
        self.unknown = 0
        self.writer_failures = 0
        self._troubles: set[str] = set()

    def committed(self) -> None:
        """A transaction is durable, so that nothing is in its way."""
        self.commits += 1
        for kind in self._troubles - {LOG_HELD}:
            self.over(kind)

    def failed(self, error: NightsafeError) -> None:
        """A transaction has failed."""
        self.failures += 1
        self.undone += error.code is Code.NOT_DURABLE
        self.unknown += error.code is Code.OUTCOME_UNKNOWN
        self.trouble(error.code, error.problems[0].detail)

    def trouble(self, kind: str, why: str) -> None:
        """Something is wrong."""
        if kind not in self._troubles:
            self._troubles.add(kind)
            _log.error("store.trouble", kind=kind, reason=why)

    def over(self, kind: str) -> None:
        """It is wrong no longer."""
        if kind in self._troubles:
            self._troubles.discard(kind)
            _log.info("store.well_again", kind=kind)
