"""Base64 as the runtime reads it: forgiving about padding and whitespace, strict about everything else."""

import binascii
from typing import Final

from nightsafe.bindings.keys.errors import KeyRefusedError

_WHITESPACE: Final = str.maketrans("", "", "\t\n\f\r ")


def decode_base64(text: str) -> bytes:
    """Decode a binding's `key_base64`.

    The standard alphabet only; padding may be left out and ASCII whitespace is skipped, as in the "forgiving-base64
    decode" of the WHATWG Infra standard, which the runtime's `atob` follows.

    Raises:
        KeyRefusedError: the text is not base64. The message shows nothing of it.
    """
    decoded = _forgiving_decode(text)
    if decoded is None:
        raise KeyRefusedError(
            "InvalidCharacterError",
            'The key is not valid base64. Use the standard alphabet ("+" and "/", not "-" and "_"), '
            "with its padding or without.",
            "key_base64",
        )
    return decoded


def decode_member(text: str) -> bytes | None:
    """Decode a member of a JSON Web Key, in either alphabet; None where it is not base64."""
    return _forgiving_decode(text.replace("-", "+").replace("_", "/"))


def _forgiving_decode(text: str) -> bytes | None:
    """Decode, or None."""
    if not text.isascii():
        return None
    digits = text.translate(_WHITESPACE)
    if len(digits) % 4 == 0:
        digits = digits.removesuffix("=").removesuffix("=")
    if "=" in digits or len(digits) % 4 == 1:
        return None
    try:
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True)
    except ValueError:
        return None
