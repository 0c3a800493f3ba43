"""The one error of this package, and what of a caller's text a message may repeat."""

from typing import Final

SHOWN_CHARACTERS: Final = 20


class KeyRefusedError(Exception):
    """The Workers runtime would refuse this key, or would take it and could not work with it.

    Attributes:
        error: the name of the runtime's exception: a DOMException's name, or "TypeError".
        message: what the runtime says. Never holds key material.
        field: the field of the binding at fault, as in "algorithm/hash" or "key_jwk/crv".
    """

    def __init__(self, error: str, message: str, field: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message
        self.field = field


def shown(text: str) -> str:
    """Make a caller's text fit for a message: a name of the field's as it is, anything longer not at all.

    The longest name there is has 17 characters, and the shortest key worth the word 22 in base64: a key that was put
    into the wrong member does not come back. The runtime shows one replacement character for each byte of a lone
    surrogate; so does this.
    """
    well_formed = text[: SHOWN_CHARACTERS + 1].encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return well_formed if len(well_formed) <= SHOWN_CHARACTERS else "…"


def data_error(message: str, field: str) -> KeyRefusedError:
    """The runtime's `DataError`: the key is not what it should be."""
    return KeyRefusedError("DataError", message, field)


def support_error(message: str, field: str) -> KeyRefusedError:
    """The runtime's `NotSupportedError`: it does not know what was asked for."""
    return KeyRefusedError("NotSupportedError", message, field)


def operation_error(message: str, field: str) -> KeyRefusedError:
    """The runtime's `OperationError`: the key's numbers are out of its bounds."""
    return KeyRefusedError("OperationError", message, field)


def type_error(message: str, field: str) -> KeyRefusedError:
    """The runtime's `TypeError`: a value could not be coerced."""
    return KeyRefusedError("TypeError", message, field)
