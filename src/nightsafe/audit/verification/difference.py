"""The first difference that a verification finds."""

from typing import Final

from nightsafe.errors import Code, NightsafeError

CHANGED: Final = (
    "somebody has changed the database without the API: keep a copy of it, find out who could write to it, then"
    " restore a backup that verifies, and replace the secrets that may have been put back or exchanged"
)
CUT: Final = (
    "the log was cut, or the whole database was put back to an older state: keep a copy of it, and find out who could"
    " write to it; if you restored a backup yourself, verify from a checkpoint of the time after that"
)
KEYS: Final = (
    "check that the file of verification keys belongs to this safe; if it does, somebody has changed the log"
)


class DifferenceError(NightsafeError):
    """A difference between the database and its log, or between the log and its signatures.

    Args:
        what: what differs and where, in words, without a value.
        advice: what to do.
        entry: the index of the entry of the log that the difference concerns, or None.

    Attributes:
        what, advice, entry: as in the arguments.
    """

    def __init__(self, what: str, advice: str = CHANGED, entry: int | None = None) -> None:
        super().__init__(Code.INVALID, f"{what}; {advice}")
        self.what = what
        self.advice = advice
        self.entry = entry
