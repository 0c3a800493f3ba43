"""A value that its client sealed: it stands in the place of the plaintext, which never comes here.

On the wire `encrypted_value` (base64 of a sealed value, `docs/sealed-format.md`) and `key_id` stand in place of
`text`, `key_base64` or `key_jwk`. Whether it opens, and to what, cannot be told here.
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
"""More than the base64 of any value of 5 KB that is padded and sealed."""

_ID = re.compile(r"[0-9a-f]{16}")


class SealedByClient(Struct, frozen=True):
    """A sealed value, where else a `SecretValue` is.

    Attributes:
        sealed: the sealed value's bytes.
        key_id: the key that it is said to be sealed to.
        at: JSON Pointer to the binding, for a later refusal.
    """

    sealed: bytes
    key_id: str
    at: str

    def wipe(self) -> None:
        """Nothing: there is no plaintext in it."""

    def __len__(self) -> int:
        """How many bytes of plaintext are in it: none, as in a `SecretValue` that was wiped."""
        return 0

    def __repr__(self) -> str:
        """The key's id."""
        return f"SealedByClient(key_id={self.key_id!r})"

    def refuse(self, member: str, what: str) -> NightsafeError:
        """The refusal of one of its members."""
        return NightsafeError(Code.INVALID, what, pointer_to(self.at, member))


def is_sealed(fields: dict[str, Any]) -> bool:
    """Whether a binding says that its value is sealed."""
    return ENCRYPTED in fields or KEY_ID in fields


def read_sealed(fields: dict[str, Any], at: str, *plain: str) -> SealedByClient:
    """The sealed value of a binding.

    Args:
        fields: the binding's members.
        at: JSON Pointer to it.
        plain: members that would hold the plaintext; none of them may be there.

    Raises:
        NightsafeError: INVALID, pointing at the member at fault.
    """
    twice = next((member for member in plain if member in fields), None)
    if twice is not None:
        raise NightsafeError(
            Code.INVALID, f"'{ENCRYPTED}' stands in place of '{twice}': give one of them", pointer_to(at, twice)
        )
    encrypted, key_id = need_string(fields, ENCRYPTED, at), need_string(fields, KEY_ID, at)
    if _ID.fullmatch(key_id) is None:
        raise NightsafeError(Code.INVALID, f"'{KEY_ID}' must be 16 lower-case hex digits", pointer_to(at, KEY_ID))
    return SealedByClient(_decoded(encrypted, at), key_id, at)


def _decoded(encrypted: str, at: str) -> bytes:
    """The bytes of a sealed value."""
    here = pointer_to(at, ENCRYPTED)
    if len(encrypted) > MAX_ENCRYPTED_CHARACTERS:
        raise NightsafeError(Code.INVALID, f"'{ENCRYPTED}' is over {MAX_ENCRYPTED_CHARACTERS} characters", here)
    try:
        return b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        raise NightsafeError(Code.INVALID, f"'{ENCRYPTED}' is not base64", here) from None
