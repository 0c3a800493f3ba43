"""Values that a client sealed before it sent them, so that Nightsafe never receives the plaintext.

In a request, `encrypted_value` (base64 of a sealed value, `docs/sealed-format.md`) and `key_id` replace `text`,
`key_base64` or `key_jwk`. The server cannot check that such a value opens, or what it contains.
"""

import binascii
import re
from base64 import b64decode
from typing import Any

from msgspec import Struct

from nightsafe.bindings.json_fields import need_string, pointer_to
from nightsafe.errors import Code, NightsafeError

ENCRYPTED = "encrypted_value"
KEY_ID = "key_id"
MAX_ENCRYPTED_CHARACTERS = 12 * 1024
"""Larger than the base64 of any 5 KB value after padding and sealing."""

_ID = re.compile(r"[0-9a-f]{16}")


class SealedByClient(Struct, frozen=True):
    """A sealed value that a binding holds in place of a `SecretValue`.

    Attributes:
        sealed: the sealed value's bytes.
        key_id: the key that the client says the value is sealed to.
        at: JSON Pointer to the binding, used if a later check refuses it.
    """

    sealed: bytes
    key_id: str
    at: str

    def wipe(self) -> None:
        """Do nothing, because a sealed value holds no plaintext."""

    def __len__(self) -> int:
        """Return 0, the number of plaintext bytes held, as a wiped `SecretValue` does."""
        return 0

    def __repr__(self) -> str:
        """Show only the key id."""
        return f"SealedByClient(key_id={self.key_id!r})"

    def refuse(self, member: str, what: str) -> NightsafeError:
        """Build the error that refuses one of the binding's members."""
        return NightsafeError(Code.INVALID, what, pointer_to(self.at, member))


def is_sealed(fields: dict[str, Any]) -> bool:
    """Return True if the binding has a member of a client-sealed value."""
    return ENCRYPTED in fields or KEY_ID in fields


def parse_sealed(fields: dict[str, Any], at: str, *plain: str) -> SealedByClient:
    """Read the sealed value of a binding.

    Args:
        fields: the binding's members.
        at: JSON Pointer to the binding.
        plain: the members that would hold the plaintext; none of them may be present.

    Raises:
        NightsafeError: INVALID, pointing at the member at fault.
    """
    plain_member = next((member for member in plain if member in fields), None)
    if plain_member is not None:
        raise NightsafeError(
            Code.INVALID,
            f"'{ENCRYPTED}' replaces '{plain_member}': give only one of them",
            pointer_to(at, plain_member),
        )
    encrypted, key_id = need_string(fields, ENCRYPTED, at), need_string(fields, KEY_ID, at)
    if _ID.fullmatch(key_id) is None:
        raise NightsafeError(Code.INVALID, f"'{KEY_ID}' must be 16 lower-case hex digits", pointer_to(at, KEY_ID))
    return SealedByClient(_decoded(encrypted, at), key_id, at)


def _decoded(encrypted: str, at: str) -> bytes:
    """Decode the base64 of a sealed value."""
    pointer = pointer_to(at, ENCRYPTED)
    if len(encrypted) > MAX_ENCRYPTED_CHARACTERS:
        raise NightsafeError(Code.INVALID, f"'{ENCRYPTED}' is over {MAX_ENCRYPTED_CHARACTERS} characters", pointer)
    try:
        return b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        raise NightsafeError(Code.INVALID, f"'{ENCRYPTED}' is not base64", pointer) from None
