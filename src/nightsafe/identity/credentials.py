"""Makes and recognises API tokens, Global API keys and user service keys.

Each is a prefix, 190 random bits in base 62, and a CRC-32 of the text before it. So a leak scanner can recognise one
offline. Only the SHA-256 of a credential is stored.
"""

import hashlib
import secrets
import string
import zlib

TOKEN_PREFIX = "nst_"  # noqa: S105 - a prefix is not a secret
KEY_PREFIX = "nsk_"
SERVICE_KEY_PREFIX = "v1.0-nss_"
"""Cloudflare's service keys also begin with `v1.0-`."""

_PREFIXES = (TOKEN_PREFIX, KEY_PREFIX, SERVICE_KEY_PREFIX)

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH = 32
_CHECKSUM_LENGTH = 6


def new_token() -> str:
    """Return a new API token, to show once."""
    return _new(TOKEN_PREFIX)


def new_key() -> str:
    """Return a new Global API key, to show once."""
    return _new(KEY_PREFIX)


def new_service_key() -> str:
    """Return a new user service key, to show once."""
    return _new(SERVICE_KEY_PREFIX)


def digest(credential: str | bytes) -> bytes:
    """Return the SHA-256 under which a credential is stored and looked up."""
    return hashlib.sha256(credential.encode() if isinstance(credential, str) else credential).digest()


def has_valid_checksum(credential: str) -> bool:
    """Return whether a string has the form and checksum of a Nightsafe credential. Asks no store."""
    body, checksum = credential[:-_CHECKSUM_LENGTH], credential[-_CHECKSUM_LENGTH:]
    length = next((len(prefix) + _RANDOM_LENGTH for prefix in _PREFIXES if body.startswith(prefix)), 0)
    return len(body) == length > 0 and _checksum(body) == checksum


def _new(prefix: str) -> str:
    """Return a prefix, random characters and a checksum."""
    body = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return body + _checksum(body)


def _checksum(body: str) -> str:
    """Return the CRC-32 of a text as six base-62 digits."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
