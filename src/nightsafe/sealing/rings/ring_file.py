"""What the four key files have in common: JSON in, JSON out, and a ring's rules."""

import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final, Protocol, TypeVar

import msgspec

from nightsafe.errors import Code, NightsafeError

_FIELD: Final = re.compile(r"at `(\$[^`]*)`$")
T = TypeVar("T")

Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"""How many rotations a ring has behind it, the first key included; 0 of a ring that was made before rings had one."""


class State(StrEnum):
    """What a key may still be used for; every state opens."""

    PRIMARY = "primary"
    ACTIVE = "active"
    RETIRED = "retired"


class RingKey(Protocol):
    """What the rules of a ring look at."""

    @property
    def id(self) -> str:
        """The key's id."""
        ...  # pragma: no cover

    @property
    def state(self) -> State:
        """Its state."""
        ...  # pragma: no cover


def problem(source: str, what: str) -> NightsafeError:
    """The refusal of a key file: which one, and what is wrong with it."""
    return NightsafeError(Code.INVALID, f"{source}: {what}")


def decode(data: bytes, form: type[T], source: str) -> T:
    """A key file's JSON as a struct.

    The parser's own message may repeat what stands in the file, so only the field it points to is passed on.

    Raises:
        NightsafeError: INVALID, with the source and the field at fault.
    """
    try:
        return msgspec.json.decode(data, type=form)
    except msgspec.ValidationError as error:
        field = _FIELD.search(str(error))
        raise problem(source, f"wrong or missing field at {field[1] if field else '$'}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise problem(source, "is not JSON") from None


def encode(form: msgspec.Struct) -> bytes:
    """A struct as the text of a key file."""
    return msgspec.json.format(msgspec.json.encode(form), indent=2) + b"\n"


def check_id(source: str, stated: str, derived: str) -> None:
    """Refuse a key whose stated id is not its own.

    Raises:
        NightsafeError: INVALID, when they differ.
    """
    if stated != derived:
        raise problem(source, f"a key states an id that is not its own, which is {derived}")


def check_unique(source: str, ids: Sequence[str]) -> None:
    """Refuse no key at all, and two of one id.

    Raises:
        NightsafeError: INVALID, with the id.
    """
    if not ids:
        raise problem(source, "has no key")
    key_id, count = Counter(ids).most_common(1)[0]
    if count > 1:
        raise problem(source, f"has the key {key_id} more than once")


def check_number(source: str, form: str, number: int) -> None:
    """Refuse a ring of the first form with a number, and one of the second without; the third may have none.

    Raises:
        NightsafeError: INVALID.
    """
    if not form.endswith("/3") and form.endswith("/1") != (number == 0):
        raise problem(source, "wrong or missing field at $.number")


def check_not_older(source: str, number: int, known: int) -> None:
    """Refuse a ring that an earlier rotation made than the one that is known.

    Raises:
        NightsafeError: INVALID, with both numbers and the way out.
    """
    if number < known:
        raise problem(
            source,
            f"is an older ring: its number is {number}, and there has been one with the number {known} here; keys "
            "that were given up since would come back. Take the newest ring",
        )


def check_ring(source: str, keys: Sequence[RingKey]) -> None:
    """Refuse a ring that is empty, names a key twice or has not exactly one primary.

    Raises:
        NightsafeError: INVALID, with which of these it is.
    """
    check_unique(source, [key.id for key in keys])
    primaries = sum(key.state is State.PRIMARY for key in keys)
    if primaries != 1:
        raise problem(source, f"has {primaries} primary keys; it must have exactly one")
