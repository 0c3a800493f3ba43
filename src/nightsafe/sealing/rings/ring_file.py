"""Common code of the key files: reads and writes their JSON, and checks the rules of a ring."""

import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final, Protocol, TypeVar

import msgspec

from nightsafe.errors import Code, NightsafeError

_FIELD: Final = re.compile(r"at `(\$[^`]*)`$")
_BYTE: Final = re.compile(r"\(byte (\d+)\)$")
T = TypeVar("T")

Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"""How many rotations made the ring, counting its first key; 0 for a ring that was made before rings had numbers."""


class State(StrEnum):
    """The uses that a key still has; a key opens values in every state."""

    PRIMARY = "primary"
    ACTIVE = "active"
    RETIRED = "retired"


class RingKey(Protocol):
    """The parts of a key that the rules of a ring check."""

    @property
    def id(self) -> str:
        """The key's id."""
        ...  # pragma: no cover

    @property
    def state(self) -> State:
        """The key's state."""
        ...  # pragma: no cover


def problem(source: str, what: str) -> NightsafeError:
    """Build the error that refuses a key file: its name, and what is wrong with it."""
    return NightsafeError(Code.INVALID, f"{source}: {what}")


def decode(data: bytes, form: type[T], source: str) -> T:
    """Decode a key file's JSON into a struct.

    The parser's own message may repeat the file's content, so the error names only the field that it points to.

    Raises:
        NightsafeError: INVALID, with the source and the field at fault.
    """
    try:
        return msgspec.json.decode(data, type=form)
    except msgspec.ValidationError as error:
        field = _FIELD.search(str(error))
        raise problem(source, f"wrong or missing field at {field[1] if field else '$'}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = _BYTE.search(str(error))
        line = data.count(b"\n", 0, int(place[1]) if place else len(data)) + 1
        raise problem(source, f"is not JSON: see line {line}") from None


def encode(form: msgspec.Struct) -> bytes:
    """Encode a struct as the text of a key file."""
    return msgspec.json.format(msgspec.json.encode(form), indent=2) + b"\n"


def check_id(source: str, stated: str, derived: str) -> None:
    """Refuse a key whose stated id differs from its derived id.

    Raises:
        NightsafeError: INVALID, when the ids differ.
    """
    if stated != derived:
        raise problem(source, f"a key states a wrong id; the id derived from the key is {derived}")


def check_unique(source: str, ids: Sequence[str]) -> None:
    """Refuse an empty list of keys, and two keys with the same id.

    Raises:
        NightsafeError: INVALID, with the id.
    """
    if not ids:
        raise problem(source, "has no key")
    key_id, count = Counter(ids).most_common(1)[0]
    if count > 1:
        raise problem(source, f"has the key {key_id} more than once")


def check_number(source: str, form: str, number: int) -> None:
    """Refuse a format 1 ring with a number, and a format 2 ring without one; format 3 allows both.

    Raises:
        NightsafeError: INVALID.
    """
    if not form.endswith("/3") and form.endswith("/1") != (number == 0):
        raise problem(source, "wrong or missing field at $.number")


def check_not_older(source: str, number: int, known: int) -> None:
    """Refuse a ring from an earlier rotation than the known ring.

    Raises:
        NightsafeError: INVALID, with both numbers and the remedy.
    """
    if number < known:
        raise problem(
            source,
            f"is an older ring: its number is {number}, but a ring with the number {known} has been used here; keys "
            "that have since been retired or removed would come back. Use the newest ring",
        )


def check_ring(source: str, keys: Sequence[RingKey]) -> None:
    """Refuse a ring that is empty, names a key twice or has not exactly one primary.

    Raises:
        NightsafeError: INVALID, naming the rule that the ring breaks.
    """
    check_unique(source, [key.id for key in keys])
    primaries = sum(key.state is State.PRIMARY for key in keys)
    if primaries != 1:
        raise problem(source, f"has {primaries} primary keys; it must have exactly one")
