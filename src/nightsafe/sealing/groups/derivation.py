"""Derives the keys of a group's values: `docs/sealed-format.md`, "Sealed value, version 2"."""

import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nightsafe.sealing.encoding import encode
from nightsafe.sealing.record import GROUP_KEY_SIZE
from nightsafe.secret_value import SecretValue

NONCE: Final = bytes(12)
"""The nonce of every value. It may be fixed, because each key encrypts one value only."""

_GROUP_TAG: Final = b"nightsafe group key v1"
_FIRST_BLOCK: Final = b"\x01"


def group_info(key_id: str, group_id: bytes) -> bytes:
    """Return HPKE's `info` for the key of one group under one recipient key."""
    return encode(_GROUP_TAG, bytes.fromhex(key_id), group_id)


def value_cipher(group_key: SecretValue, info: bytes) -> AESGCM:
    """Return the cipher of one value, with a key of its own.

    The key is HKDF-Expand of RFC 5869 (section 2.3) with SHA-256 and a length of 32 bytes, which is a single HMAC.

    Args:
        group_key: 32 bytes.
        info: names the value and its place; made by `Context.grouped_info`.

    Raises:
        ValueError: when the group key has been wiped.
    """
    with group_key.view() as key:
        if len(key) != GROUP_KEY_SIZE:
            raise ValueError("a group key has 32 bytes")
        return AESGCM(hmac.digest(key, info + _FIRST_BLOCK, "sha256"))
