"""Checks the usages that a key may have, with the runtime's messages."""

from collections.abc import Sequence
from typing import Final

from nightsafe.webcrypto.errors import KeyRefusedError, printable

ENCRYPT: Final = frozenset({"encrypt", "decrypt"})
WRAP: Final = frozenset({"wrapKey", "unwrapKey"})
SIGN: Final = frozenset({"sign", "verify"})
DERIVE: Final = frozenset({"deriveKey", "deriveBits"})

_OF_PUBLIC_KEYS: Final = frozenset({"encrypt", "verify", "wrapKey"})
_OF_PRIVATE_KEYS: Final = frozenset({"decrypt", "sign", "unwrapKey", "deriveKey", "deriveBits"})


def check_secret_usages(name: str, usages: Sequence[str], allowed: frozenset[str]) -> None:
    """Refuse a usage that a secret key of this algorithm does not have.

    Raises:
        KeyRefusedError: when there is such a usage.
    """
    _check(f"secret {name}", usages, allowed)


def check_public_usages(name: str, usages: Sequence[str], allowed: frozenset[str]) -> None:
    """Refuse a usage that a public key of this algorithm does not have.

    Raises:
        KeyRefusedError: when there is such a usage.
    """
    _check(f"public {name}", usages, allowed & _OF_PUBLIC_KEYS)


def check_private_usages(name: str, usages: Sequence[str], allowed: frozenset[str]) -> None:
    """Refuse a usage that a private key of this algorithm does not have.

    Raises:
        KeyRefusedError: when there is such a usage.
    """
    _check(f"private {name}", usages, allowed & _OF_PRIVATE_KEYS)


def require_usage(usages: Sequence[str]) -> None:
    """Refuse a secret or private key without any usage.

    Raises:
        KeyRefusedError: when there is no usage.
    """
    if not usages:
        raise KeyRefusedError("SyntaxError", "Secret/private CryptoKeys must have at least one usage.", "usages")


def _check(key: str, usages: Sequence[str], allowed: frozenset[str]) -> None:
    """Refuse the first usage that is not allowed."""
    for usage in usages:
        if usage not in allowed:
            message = f'Attempt to import {key} key with invalid usage "{printable(usage)}".'
            raise KeyRefusedError("SyntaxError", message, "usages")
