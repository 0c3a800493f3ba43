"""The first difference that a verification finds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from nightsafe.errors import Code, NightsafeError

CHANGED: Final = (
    "somebody has changed the database without the API: keep a copy of it, find out who could write to it, then"
    " restore a backup that verifies, and replace the secrets that may have been put back or exchanged"
)
CUT: Final = (
    "the log was cut, or the whole database was put back to an older state: keep a copy of it, and find out who could"
    " write to it; if you restored a backup yourself, verify from a checkpoint of the time after that."
    " Verify a backup from a checkpoint that is older than the backup"
)
KEYS: Final = (
    "check that the file of verification keys belongs to this safe; if it does, somebody has changed the log"
)
RETIRED: Final = (
    "if a node of yours ran on after its key was retired, stop it and run `nightsafe node retire` with --again; if"
    " not, somebody else has the key"
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
        what = "".join(letter if letter.isprintable() else "?" for letter in what)  # a name may be an attacker's text
        super().__init__(Code.INVALID, f"{what}; {advice}")
        self.what = what
        self.advice = advice
        self.entry = entry


def counted(number: int, one: str) -> str:
    """Return a number with its noun, such as `1 entry` or `2 entries`."""
    many = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{number} {one if number == 1 else many}"


@contextmanager
def well_formed(words: str) -> Iterator[None]:
    """Turn the errors about a row of another form, for example one that is not JSON, into a difference.

    Args:
        words: the row in words. The errors themselves would quote its content.

    Raises:
        DifferenceError: with these words.
    """
    try:
        yield
    except DifferenceError:
        raise
    except (NightsafeError, TypeError, ValueError, OverflowError, AttributeError, LookupError):
        raise DifferenceError(f"{words} has a form that this program does not write") from None
