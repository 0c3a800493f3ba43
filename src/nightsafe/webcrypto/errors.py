"""The package's only exception, and the rule for repeating a caller's text in a message."""

from typing import Final

SHOWN_CHARACTERS: Final = 20


class KeyRefusedError(Exception):
    """The Workers runtime would refuse this key, or would import it but could not use it.

    Attributes:
        error: the name of the runtime's exception: a DOMException's name, or "TypeError".
        message: the runtime's message. It never contains key material.
        field: the field of the binding at fault, as in "algorithm/hash" or "key_jwk/crv".
    """

    def __init__(self, error: str, message: str, field: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message
        self.field = field


def printable(text: str) -> str:
    """Make a caller's text safe for a message: keep a text as short as a name, and replace any longer text.

    The longest valid name has 17 characters, and the shortest meaningful key has 22 in base64. So a message never
    repeats a key that was put into the wrong member. Like the runtime, this function shows one replacement character
    for each byte of a lone surrogate.
    """
    well_formed = text[: SHOWN_CHARACTERS + 1].encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return well_formed if len(well_formed) <= SHOWN_CHARACTERS else "…"


def data_error(message: str, field: str) -> KeyRefusedError:
    """Build the runtime's `DataError`: the key is not valid for its format or algorithm."""
    return KeyRefusedError("DataError", message, field)


def support_error(message: str, field: str) -> KeyRefusedError:
    """Build the runtime's `NotSupportedError`: it does not support the requested format, algorithm or curve."""
    return KeyRefusedError("NotSupportedError", message, field)


def operation_error(message: str, field: str) -> KeyRefusedError:
    """Build the runtime's `OperationError`: the key's numbers are out of the runtime's bounds."""
    return KeyRefusedError("OperationError", message, field)


def type_error(message: str, field: str) -> KeyRefusedError:
    """Build the runtime's `TypeError`: a value could not be coerced."""
    return KeyRefusedError("TypeError", message, field)
