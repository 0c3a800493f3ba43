"""Converts a JSON value to a string or an integer as JavaScript does for an interface's argument.

The runtime's interfaces coerce values instead of refusing them: `{"name": ["HMAC"]}` means HMAC, and a length of
`"256"` means 256. Source: ECMA-262, sections 7.1.4 (ToNumber), 7.1.17 (ToString) and 6.1.6.1.20 (Number::toString).
"""

import math
import re
from decimal import Decimal
from typing import Final

from nightsafe.webcrypto.errors import SHOWN_CHARACTERS, type_error

_WHITESPACE: Final = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
# Possessive, so that a long text that is not a number costs no more to match than a number.
_DECIMAL: Final = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:e[+-]?\d++)?", re.ASCII | re.IGNORECASE)
_PREFIXED: Final = {"0x": 16, "0o": 8, "0b": 2}
_INFINITIES: Final = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}
_INT32_MIN: Final = -(2**31)
_INT32_MAX: Final = 2**31 - 1


def to_string(value: object, field: str) -> str:
    """Return the string that JavaScript makes of a JSON value.

    Raises:
        KeyRefusedError: a `TypeError`, for an object whose own "toString" member hides the inherited method.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ",".join("" if leaf is None else _scalar(leaf, field) for leaf in _leaves(value))
    return _scalar(value, field)


def to_int32(value: object, field: str) -> int:
    """Return the 32-bit integer that the runtime makes of a JSON value; 0 for anything but a finite number.

    Raises:
        KeyRefusedError: a `TypeError`, for a number that does not fit, or for a value that `to_string` refuses.
    """
    number = _to_number(value, field)
    if not math.isfinite(number):
        return 0
    # The runtime truncates before it compares, so 2147483647.5 fits.
    integer = math.trunc(number)
    if not _INT32_MIN <= integer <= _INT32_MAX:
        raise type_error(f"Value out of range. Must be between {_INT32_MIN} and {_INT32_MAX} (inclusive).", field)
    return integer


def _leaves(value: list[object] | tuple[object, ...]) -> list[object]:
    """Flatten nested arrays, with null for an empty array, so that joining the result equals joining the arrays.

    The function is iterative, because the caller chooses the depth of nesting and Python's stack is limited. It
    returns no more elements than a message shows, because a text with a comma is neither a name nor base64.
    """
    leaves: list[object] = []
    waiting: list[object] = [value]
    while waiting and len(leaves) <= SHOWN_CHARACTERS + 1:
        item = waiting.pop()
        if isinstance(item, list | tuple) and item:
            waiting.extend(reversed(item[: SHOWN_CHARACTERS + 2]))
        else:
            leaves.append(None if isinstance(item, list | tuple) else item)
    return leaves


def _scalar(value: object, field: str) -> str:
    """Return the string of any value except an array."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _number_to_string(_double(value))
        case str():
            return value
        case dict() if "toString" in value:
            raise type_error("Cannot convert object to primitive value", field)
        case _:
            return "[object Object]"


def _double(value: float) -> float:
    """Convert a JSON number to a JavaScript number; a number that is too large becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _number_to_string(number: float) -> str:
    """Return the shortest digits that parse to the same number, with an exponent from 1e21 up and from 1e-7 down."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    if 1e-6 <= abs(number) < 1e21:  # noqa: PLR2004 (the bounds of Number::toString)
        plain = f"{Decimal(repr(number)):f}"
        return plain.removesuffix(".0")
    mantissa, exponent = repr(number).split("e")
    return f"{mantissa}e{int(exponent):+d}"


def _to_number(value: object, field: str) -> float:
    """Return the double that JavaScript makes of a JSON value."""
    match value:
        case None:
            return 0.0
        case int() | float():
            return _double(value)
        case _:
            return _parse_number(to_string(value, field).strip(_WHITESPACE))


def _parse_number(text: str) -> float:
    """Parse a string as a double; return NaN if it is not a number."""
    if not text:
        return 0.0
    if text in _INFINITIES:
        return _INFINITIES[text]
    if _DECIMAL.fullmatch(text):
        return float(text)
    base = _PREFIXED.get(text[:2].lower())
    if base is None or not text[2:].isalnum() or not text.isascii():
        return math.nan
    try:
        return _double(int(text[2:], base))
    except ValueError:
        return math.nan
