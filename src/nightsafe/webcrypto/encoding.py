"""Decodes base64 as the runtime does: lenient about padding and whitespace, strict about everything else."""

import binascii
from typing import Final

from nightsafe.webcrypto.errors import KeyRefusedError

_PEM: Final = "-----BEGIN "
_PEM_HINT: Final = (
    "The key is a PEM file, but must be the base64 of its DER bytes: remove the lines that begin with dashes"
    ' and join the others, or convert it: "openssl pkcs8 -topk8 -nocrypt -in KEY.pem -outform DER | base64 -w0" for'
    ' pkcs8, "openssl pkey -pubin -in KEY.pem -outform DER | base64 -w0" for spki'
)
_WHITESPACE: Final = str.maketrans("", "", "\t\n\f\r ")


def decode_base64(text: str) -> bytes:
    """Decode a binding's `key_base64`.

    Accepts only the standard alphabet. Padding is optional and ASCII whitespace is skipped, as in the
    "forgiving-base64 decode" of the WHATWG Infra standard, which the runtime's `atob` follows.

    Raises:
        KeyRefusedError: when the text is not base64. The message shows no part of the text; for a PEM file it gives
            the remedy.
    """
    decoded = _forgiving_decode(text)
    if _PEM in text:
        raise pem_error()
    if decoded is None:
        raise KeyRefusedError(
            "InvalidCharacterError",
            'The key is not valid base64. Use the standard alphabet ("+" and "/", not "-" and "_"), '
            "with or without padding.",
            "key_base64",
        )
    return decoded


def is_pem(decoded: bytes) -> bool:
    """Return True if the decoded bytes are a PEM file, which itself contains base64."""
    return _PEM.encode() in decoded


def pem_error() -> KeyRefusedError:
    """Build the error that refuses a PEM file and explains how to convert it."""
    return KeyRefusedError("DataError", _PEM_HINT, "key_base64")


def decode_member(text: str) -> bytes | None:
    """Decode a member of a JSON Web Key, in either alphabet; return None if it is not base64."""
    return _forgiving_decode(text.replace("-", "+").replace("_", "/"))


def _forgiving_decode(text: str) -> bytes | None:
    """Decode base64; return None if the text is not base64."""
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
