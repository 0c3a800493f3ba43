"""API tokens, Global API keys and user service keys: how they are made, told apart and compared.

Each is a prefix, 190 random bits in base 62 and a CRC-32 of what goes before, so that a leak scanner finds
them without asking anybody. Only their SHA-256 is kept.
"""

import hashlib
import secrets
import string
import zlib

TOKEN_PREFIX = "nst_"  # noqa: S105 - a prefix is no secret
KEY_PREFIX = "nsk_"
SERVICE_KEY_PREFIX = "v1.0-nss_"
"""Cloudflare's own begin with v1.0- too."""

_PREFIXES = (TOKEN_PREFIX, KEY_PREFIX, SERVICE_KEY_PREFIX)

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH = 32
_CHECKSUM_LENGTH = 6


def new_token() -> str:
    """A new API token, to be shown once."""
    return _new(TOKEN_PREFIX)


def new_key() -> str:
    """A new Global API key, to be shown once."""
    return _new(KEY_PREFIX)


def new_service_key() -> str:
    """A new user service key, to be shown once."""
    return _new(SERVICE_KEY_PREFIX)


def digest(credential: str | bytes) -> bytes:
    """The SHA-256 under which a credential is kept and looked up."""
    return hashlib.sha256(credential.encode() if isinstance(credential, str) else credential).digest()


def has_valid_checksum(credential: str) -> bool:
    """Whether a string is a token or key of ours, as far as can be told offline."""
    body, checksum = credential[:-_CHECKSUM_LENGTH], credential[-_CHECKSUM_LENGTH:]
    length = next((len(prefix) + _RANDOM_LENGTH for prefix in _PREFIXES if body.startswith(prefix)), 0)
    return len(body) == length > 0 and _checksum(body) == checksum


def _new(prefix: str) -> str:
    """A prefix, random characters, a checksum."""
    body = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return body + _checksum(body)


def _checksum(body: str) -> str:
    """CRC-32 in base 62, six digits."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
